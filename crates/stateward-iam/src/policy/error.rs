//! Why a document is no policy.

use std::fmt;

use super::PolicyKind;
use crate::json::{JsonError, JsonErrorKind};
use crate::place::Place;

/// Why a document is not a policy that AWS would take, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Where.
    pub place: Place,
    /// The element, such as `Statement[0].Action`; empty for the whole document.
    pub path: String,
    /// What.
    pub kind: PolicyErrorKind,
}

impl PolicyError {
    pub(crate) fn json(error: JsonError) -> Self {
        Self { place: error.place, path: String::new(), kind: PolicyErrorKind::Json(error.kind) }
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> String {
        if self.path.is_empty() { self.kind.to_string() } else { format!("`{}`: {}", self.path, self.kind) }
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.message(), self.place)
    }
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyErrorKind {
    /// Not JSON, or JSON that readers would disagree about.
    #[error("{0}")]
    Json(JsonErrorKind),
    /// Another JSON type.
    #[error("expected {expected}, and this is {found}")]
    Type {
        /// What the language has here.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// No element of the language.
    #[error("no element of the policy language{}", suggestion(*.meant))]
    UnknownElement {
        /// The element it differs from in case only.
        meant: Option<&'static str>,
    },
    /// A required element is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Two elements exclude each other.
    #[error("has both `{0}` and `{1}`: keep one")]
    Both(&'static str, &'static str),
    /// Not a version of the language.
    #[error("must be `2012-10-17` or `2008-10-17`")]
    Version,
    /// Neither `Allow` nor `Deny`.
    #[error("must be `Allow` or `Deny`, in this case")]
    Effect,
    /// Not an action or a pattern of actions.
    #[error("`{0}` is no action: it must be `*`, or a service's prefix, a colon and a name, such as `s3:GetObject`")]
    Action(String),
    /// Neither an ARN nor `*`.
    #[error("`{0}` is no resource: it must be an ARN or `*`")]
    Resource(String),
    /// Not a principal.
    #[error(
        "`{0}` is no principal: it must be `*`, an account, or the whole ARN of a root, user, role or session, without wildcards"
    )]
    Principal(String),
    /// Not a kind of principal.
    #[error("no kind of principal: it must be `AWS`, `Service`, `Federated` or `CanonicalUser`, in this case")]
    PrincipalType,
    /// An element that this kind of policy does not have.
    #[error("{kind} has no `{element}`: remove it")]
    NotAllowed {
        /// The element.
        element: &'static str,
        /// The kind of policy.
        kind: PolicyKind,
    },
}

fn suggestion(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!(": case matters, write `{meant}`"))
}
