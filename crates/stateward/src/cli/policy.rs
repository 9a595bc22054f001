//! `stateward policy` on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde::Deserialize;
use stateward_iam::{Keeping, Layout, PolicyKind, Purpose, names};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print the smallest policy for what somebody does with state.
    ///
    /// It can be attached as it is. Every action in it is needed: without any one of them something fails.
    Generate(Box<GenerateArgs>),
    /// Say whether policies allow a request, and which statements decide.
    Evaluate(EvaluateArgs),
    /// Say whether policies allow all that keeping state needs; exit code 4 where something needed is refused.
    ///
    /// Policies are read alone, or as `aws` prints them (`get-role-policy`, `get-policy-version`, `get-bucket-policy`, …).
    /// With `--isolation` it says whether environments are kept apart: exit code 4 where one may touch what is another's.
    Check(Box<CheckArgs>),
    /// Look for what cannot be meant in policies; exit code 1 where something is wrong.
    Lint(LintArgs),
}

/// Where and how state is kept.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").required(true).args(["bucket", "table"]))]
pub(crate) struct KeepingArgs {
    /// Who keeps the state, and so how.
    #[arg(long, value_enum, default_value = "s3")]
    layout: LayoutArg,
    /// The bucket.
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// The table, where states are kept in one.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// `key` of an `s3` backend, `hash` of a `dynamodb` backend, the prefix of a store of stateward.
    #[arg(long, default_value = "", hide_default_value = true)]
    key: String,
    /// All states of an `s3` backend below this prefix, in place of the one of `--key`: an environment's.
    #[arg(long, value_name = "PREFIX", conflicts_with = "key")]
    prefix: Option<String>,
    /// There are workspaces beside `default`. A store of stateward in a bucket looks for them, unless its URL says `share=false`.
    #[arg(long)]
    workspaces: bool,
    /// `workspace_key_prefix` of an `s3` backend or a store in a bucket; unless told, `env:`, or the prefix of `--prefix`.
    #[arg(long, value_name = "PREFIX", requires = "workspaces")]
    workspace_key_prefix: Option<String>,
    /// The table of locks and digests: `dynamodb_table` of an `s3` backend.
    #[arg(long, value_name = "TABLE")]
    lock_table: Option<String>,
    /// Locks are objects beside the states.
    #[arg(long)]
    use_lockfile: bool,
    /// The key that encrypts the states.
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,
    /// The key that encrypts the lock table.
    #[arg(long, value_name = "ARN", requires = "lock_table")]
    lock_table_kms_key: Option<String>,
    /// The Region of the tables; unless told, any.
    #[arg(long, value_name = "REGION", default_value = "*", hide_default_value = true)]
    region: String,
    /// The account of the tables; unless told, any.
    #[arg(long, value_name = "ID", default_value = "*", hide_default_value = true)]
    account: String,
    /// The partition; unless told, that of the Region.
    #[arg(long, value_name = "NAME", value_parser = names::PARTITIONS, hide_possible_values = true)]
    partition: Option<String>,
}

/// [`Layout`] as it is told; where a table is named, stateward's is the one in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LayoutArg {
    #[default]
    S3,
    Dynamodb,
    Stateward,
}

impl LayoutArg {
    pub(crate) fn layout(self, in_table: bool) -> Layout {
        match self {
            Self::S3 => Layout::S3,
            Self::Dynamodb => Layout::Dynamodb,
            Self::Stateward if in_table => Layout::StatewardDynamodb,
            Self::Stateward => Layout::Stateward,
        }
    }

    /// A table where there can be none.
    pub(crate) fn is_misplaced(self, in_table: bool) -> bool {
        self == Self::S3 && in_table
    }
}

/// [`Purpose`] as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PurposeArg {
    ReadOnly,
    Plan,
    Apply,
    Admin,
}

impl From<PurposeArg> for Purpose {
    fn from(purpose: PurposeArg) -> Self {
        match purpose {
            PurposeArg::ReadOnly => Self::ReadOnly,
            PurposeArg::Plan => Self::Plan,
            PurposeArg::Apply => Self::Apply,
            PurposeArg::Admin => Self::Admin,
        }
    }
}

impl KeepingArgs {
    pub(crate) fn keeping(&self) -> Keeping {
        let layout = self.layout.layout(self.table.is_some());
        let place = self.bucket.as_ref().or(self.table.as_ref());
        Keeping {
            below: self.prefix.is_some(),
            workspaces: self.workspaces,
            workspace_prefix: self.workspace_key_prefix.clone(),
            lock_table: self.lock_table.clone(),
            use_lockfile: self.use_lockfile,
            kms_key: self.kms_key.clone(),
            lock_table_key: self.lock_table_kms_key.clone(),
            partition: self.partition.clone().unwrap_or_else(|| names::partition_of(&self.region).to_owned()),
            region: self.region.clone(),
            account: self.account.clone(),
            ..Keeping::new(
                layout,
                place.cloned().unwrap_or_default(),
                self.prefix.as_ref().unwrap_or(&self.key).as_str(),
            )
        }
    }

    pub(crate) fn is_misplaced(&self) -> bool {
        self.layout.is_misplaced(self.table.is_some())
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// What somebody does with state; each includes the ones before it.
    #[arg(long = "for", value_enum, value_name = "PURPOSE", required_unless_present = "split")]
    pub(crate) purpose: Option<PurposeArg>,
    /// A policy for each purpose up to the one of `--for`, for a role each: one JSON object, by purpose.
    #[arg(long)]
    pub(crate) split: bool,
    #[command(flatten)]
    pub(crate) keeping: KeepingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// The file with the request and the policies, as JSON; `-` for standard input.
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    pub(crate) scenario: Option<PathBuf>,
    /// Read scenarios from standard input, one a line, and answer each with a line of JSON.
    #[arg(long)]
    pub(crate) batch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// What somebody does with state; each includes the ones before it.
    #[arg(long = "for", value_enum, value_name = "PURPOSE", default_value = "apply")]
    pub(crate) purpose: PurposeArg,
    /// Try each environment of this file on what every other one has, with all actions that AWS knows for it.
    #[arg(
        long,
        value_name = "FILE",
        group = "place",
        conflicts_with_all = ["principal", "policy", "boundary", "session", "scp", "rcp", "resource_policy", "vpc_endpoint"]
    )]
    pub(crate) isolation: Option<PathBuf>,
    /// Who: the ARN of a user, a role or a session.
    #[arg(
        long,
        value_name = "ARN",
        required_unless_present = "isolation",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) principal: String,
    /// Policies of the principal and of its groups, or what `aws iam get-account-authorization-details` prints.
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "isolation")]
    pub(crate) policy: Vec<PathBuf>,
    /// Its permissions boundary.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) boundary: Vec<PathBuf>,
    /// Session policies.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) session: Vec<PathBuf>,
    /// Service control policies, from the root down: those of one level with a comma between them.
    #[arg(long, value_name = "FILE,…", num_args = 1..)]
    pub(crate) scp: Vec<String>,
    /// Resource control policies, in the same way.
    #[arg(long, value_name = "FILE,…", num_args = 1..)]
    pub(crate) rcp: Vec<String>,
    /// Policies of the bucket, the tables and the key; each counts for the resources that it names.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) resource_policy: Vec<PathBuf>,
    /// The policy of the VPC endpoint that requests go through, alone or as `aws ec2 describe-vpc-endpoints` prints it: of several
    /// endpoints, each has a say about its own service.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) vpc_endpoint: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) keeping: KeepingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The policies; `-` for standard input.
    #[arg(required = true)]
    pub(crate) file: Vec<PathBuf>,
    /// What they are attached to; unless told, what their elements say.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<KindArg>,
}

/// [`PolicyKind`] as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    Identity,
    Boundary,
    Session,
    Resource,
    Trust,
    Scp,
    Rcp,
    VpcEndpoint,
}

impl From<KindArg> for PolicyKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Identity => Self::Identity,
            KindArg::Boundary => Self::Boundary,
            KindArg::Session => Self::Session,
            KindArg::Resource => Self::Resource,
            KindArg::Trust => Self::Trust,
            KindArg::Scp => Self::Scp,
            KindArg::Rcp => Self::Rcp,
            KindArg::VpcEndpoint => Self::VpcEndpoint,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        keeping: KeepingArgs,
    }

    #[test]
    fn what_is_printed_is_read() {
        let bucket = |layout, key| Keeping::new(layout, "states", key);
        let all = Keeping {
            workspaces: true,
            workspace_prefix: Some("w".to_owned()),
            lock_table: Some("locks".to_owned()),
            use_lockfile: true,
            kms_key: Some("arn:aws-cn:kms:cn-north-1:111122223333:key/k".to_owned()),
            lock_table_key: Some("arn:aws-cn:kms:cn-north-1:111122223333:key/l".to_owned()),
            region: "cn-north-1".to_owned(),
            account: "111122223333".to_owned(),
            partition: "aws-cn".to_owned(),
            ..bucket(Layout::S3, "net/prod.tfstate")
        };
        let below = Keeping { below: true, ..bucket(Layout::S3, "dev") };
        let elsewhere = Keeping { partition: "aws-us-gov".to_owned(), ..below.clone() };
        let in_table = Keeping::new(Layout::StatewardDynamodb, "t", "");
        let never_merged = Keeping::new(Layout::Dynamodb, "t", "hash");
        let workspace_prefix = Some("dev".to_owned());
        let store = Keeping { workspaces: true, workspace_prefix, ..bucket(Layout::Stateward, "dev") };
        for keeping in [all, below, elsewhere, bucket(Layout::Stateward, ""), store, in_table, never_merged] {
            let words = keeping.words();
            let line = Line::try_parse_from(std::iter::once("x".to_owned()).chain(words.clone())).unwrap();
            assert_eq!(line.keeping.keeping(), keeping, "{words:?}");
        }
    }
}
