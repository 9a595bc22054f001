//! `stateward setup` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::YES;

#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// Make what state needs on AWS, or bring what is there up to it: a bucket, tables, a key, a record of calls, policies and
    /// roles.
    ///
    /// It reads what is there, shows what it would do and why, asks, does it, and checks it. Nothing that is there is weakened or
    /// deleted. It can be run again at any time, also after it was broken off.
    #[command(
        after_help = "Exit codes: 0 all is as it shall be, or the plan was shown; 1 something stands in the way; \
                            4 AWS refused a request."
    )]
    Aws(SetupAwsArgs),
}

/// Where state is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// As objects in a bucket, where Terraform keeps it too.
    #[default]
    S3,
    /// As items of a table, for a server.
    Dynamodb,
}

/// How the set-up is written instead of done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// Resources of Terraform's AWS provider.
    Terraform,
    /// A template for `CloudFormation`, as JSON.
    Cloudformation,
    /// The requests, for a script.
    Json,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct SetupAwsArgs {
    /// The bucket.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["state_table", "engine"])]
    pub(crate) bucket: Option<String>,
    /// A lock table in DynamoDB; without it Terraform's locks are files in the bucket.
    #[arg(long, value_name = "NAME")]
    pub(crate) lock_table: Option<String>,
    /// Locks are files in the bucket, which is so without `--lock-table`; with it they are taken in both ways, as on the way from one to
    /// the other.
    #[arg(long, requires = "bucket")]
    pub(crate) use_lockfile: bool,
    /// Where state is kept.
    #[arg(long, value_name = "ENGINE", default_value = "s3")]
    pub(crate) engine: Engine,
    /// The table that keeps state, with `--engine dynamodb`.
    #[arg(long, value_name = "NAME")]
    pub(crate) state_table: Option<String>,
    /// The key that encrypts state: an ARN, `alias/NAME`, or `create` to have one made for it.
    #[arg(long, value_name = "ARN|alias/NAME|create")]
    pub(crate) kms_key: Option<String>,
    /// A bucket that is told of each request for state.
    #[arg(long, value_name = "NAME", requires = "bucket")]
    pub(crate) access_log: Option<String>,
    /// A trail that records who reads and writes state and locks; its files go to the bucket of `--access-log`.
    #[arg(long, value_name = "NAME", requires = "access_log")]
    pub(crate) trail: Option<String>,
    /// A bucket in which S3 keeps a copy of what is written from now on; in another Region where one is named.
    #[arg(long, value_name = "NAME[@REGION]", requires = "bucket")]
    pub(crate) replicate_to: Option<String>,
    /// The key that encrypts the copies, in the Region where they go: an ARN.
    #[arg(long, value_name = "ARN", requires = "replicate_to")]
    pub(crate) replica_kms_key: Option<String>,
    /// Environments that share the bucket, each with its states below a prefix of its name: a policy is made for each, which reaches no
    /// other's.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) environments: Vec<String>,
    /// Who may work there: a role with the policy is made, and the account, user or role of this ARN may take it. An OIDC provider is
    /// trusted with a subject, `ARN#SUBJECT`; `ENV=` before it names the one environment. May be given more than once.
    #[arg(long, value_name = "[ENV=]ARN", requires = "environments")]
    pub(crate) trust: Vec<String>,
    /// Leave what is set of public access as it is: where an organization refuses `s3:PutBucketPublicAccessBlock`, and the account's own
    /// settings block public access already.
    #[arg(long, conflicts_with = "emit")]
    pub(crate) leave_public_access: bool,
    /// A tag for whatever is made; may be given more than once.
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub(crate) tags: Vec<String>,
    /// The Region; unless told, that of the AWS configuration.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Once all is there, write each environment and the policies about it to this directory, for `policy check --isolation`.
    #[arg(long, value_name = "DIR", requires = "environments", conflicts_with_all = ["dry_run", "emit"])]
    pub(crate) write_policies: Option<PathBuf>,
    /// Write the set-up as code to standard output, and ask AWS nothing.
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["dry_run", "yes", "profile"])]
    pub(crate) emit: Option<Emit>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, short, help = YES)]
    pub(crate) yes: bool,
}
