//! `stateward setup` on the command line.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// Make a bucket and a lock table for state, or bring those that are there up to what state needs.
    ///
    /// It reads what is there, shows what it would do and why, asks, does it, and checks it. Nothing that is there is weakened or
    /// deleted. It can be run again at any time, also after it was broken off.
    #[command(
        after_help = "Exit codes: 0 all is as it shall be, or the plan was shown; 1 something stands in the way; \
                            4 AWS refused a request."
    )]
    Aws(SetupAwsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SetupAwsArgs {
    /// The bucket.
    #[arg(long, value_name = "NAME")]
    pub(crate) bucket: String,
    /// A lock table in `DynamoDB`; without it Terraform's locks are files in the bucket.
    #[arg(long, value_name = "NAME")]
    pub(crate) lock_table: Option<String>,
    /// Locks are files in the bucket, which is so unless told.
    #[arg(long, conflicts_with = "lock_table")]
    pub(crate) use_lockfile: bool,
    /// The Region; unless told, that of the AWS configuration.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do it without asking.
    #[arg(long)]
    pub(crate) yes: bool,
}
