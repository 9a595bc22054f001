//! Why a plan cannot be read, or cannot be held to single resources.

use crate::error::ScanError;

/// Why a file is not a plan this crate can work with. The messages name members of the file, never what they hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Not a zip archive, or one without the members of a plan.
    #[error("not a plan file: {why}; give the file that `terraform plan -out=FILE` wrote")]
    NotAPlan {
        /// What is missing, as a clause.
        why: &'static str,
    },
    /// A zip archive that cannot be read.
    #[error("the plan file is damaged: its `{member}` cannot be read; make the plan again")]
    Damaged {
        /// The member, or `directory` for the archive's list of them.
        member: String,
    },
    /// Larger than any plan.
    #[error(
        "the plan file's `{member}` unpacks to more than {limit} bytes: no plan is that large; make the plan again"
    )]
    TooLarge {
        /// The member.
        member: String,
        /// In bytes.
        limit: u64,
    },
    /// Of a format this crate does not know.
    #[error(
        "the plan file has format {version}, and only 3 is known: upgrade stateward, or make the plan with an older Terraform"
    )]
    UnknownFormat {
        /// The format it has.
        version: u64,
    },
    /// Encrypted by `OpenTofu`.
    #[error(
        "the plan file is encrypted by OpenTofu, so what it changes cannot be seen: the whole state has to be locked"
    )]
    Encrypted,
    /// The state in it is encrypted by `OpenTofu`.
    #[error("the state in the plan file is encrypted by OpenTofu: the whole state has to be locked")]
    OpaqueState,
    /// The state in it cannot be read.
    #[error("the plan file's `{member}` cannot be read: {error}")]
    State {
        /// `tfstate` or `tfstate-prev`.
        member: &'static str,
        /// What is wrong with it.
        #[source]
        error: ScanError,
    },
}

/// Why a text is not what `terraform show -json` says of a plan. The message holds nothing of the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the output of `terraform show -json PLANFILE`: {what} at line {line}, column {column}")]
pub struct ShowError {
    /// What is wrong, as a clause.
    pub(super) what: &'static str,
    /// From 1; 0 where no place is known.
    pub(super) line: usize,
    /// From 1; 0 where no place is known.
    pub(super) column: usize,
}

impl ShowError {
    pub(super) fn new(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Data => "a field has another shape than that of a plan",
            _ => "it is not valid JSON",
        };
        Self { what, line: error.line(), column: error.column() }
    }
}

/// Why a plan cannot be held to single resources: applying it needs the whole state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Whole {
    /// Of a `format_version` this crate does not know.
    #[error("the plan is described in format {version}, and only 1 is known")]
    UnknownFormat {
        /// The `format_version`.
        version: String,
    },
    /// Holds a part that this crate does not know, so what it does is unknown.
    #[error("the plan has a part `{part}` that is not known")]
    UnknownPart {
        /// The field of the description.
        part: String,
    },
    /// An action that this crate does not know.
    #[error("the plan does `{action}` to {address}, which is not known")]
    UnknownAction {
        /// What it is done to.
        address: String,
        /// The action's name.
        action: String,
    },
    /// An address that this crate does not know how to read.
    #[error("the plan names `{address}`, which is not an address that is known")]
    UnknownAddress {
        /// The address.
        address: String,
    },
    /// Planning failed.
    #[error("planning failed, so the plan is not complete")]
    Errored,
    /// Changes were put off until more is known.
    #[error("the plan puts changes off until more is known")]
    Deferred,
    /// Runs actions of providers, which may do anything.
    #[error("the plan invokes actions of providers")]
    Actions,
    /// The configuration is not described, so what the plan refers to is unknown.
    #[error("the plan is described without its configuration")]
    NoConfiguration,
}
