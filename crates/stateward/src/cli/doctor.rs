//! `stateward doctor` on the command line.

use std::path::PathBuf;

use clap::Args;

use super::policy::PurposeArg;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The directory of a configuration whose `backend "s3"` is looked at [default: the current one].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Arguments of the backend that its block leaves out, as `terraform init` takes them: a file, or `NAME=VALUE`.
    #[arg(long, value_name = "FILE|NAME=VALUE")]
    pub(crate) backend_config: Vec<String>,
    /// The bucket, where no configuration names it.
    #[arg(long, value_name = "NAME", requires = "key", conflicts_with = "dir")]
    pub(crate) bucket: Option<String>,
    /// The state's `key` in the bucket.
    #[arg(long, requires = "bucket")]
    pub(crate) key: Option<String>,
    /// The table of locks and digests (`dynamodb_table`).
    #[arg(long, value_name = "TABLE", requires = "bucket")]
    pub(crate) lock_table: Option<String>,
    /// Locks are objects beside the states.
    #[arg(long, requires = "bucket")]
    pub(crate) use_lockfile: bool,
    /// The workspace [default: the one that is selected in the directory].
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
    /// The Region, instead of the one that the backend names.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration, instead of the one that the backend names.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// What is to be done with the state: the rights that this takes are tried.
    #[arg(long = "for", value_enum, value_name = "WHAT", default_value = "apply")]
    pub(crate) purpose: PurposeArg,
    /// The policy of the VPC endpoint that requests go through, alone or as `aws ec2 describe-vpc-endpoints` prints it: of several
    /// endpoints, each has a say about its own service.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) vpc_endpoint: Vec<PathBuf>,
    /// Write nothing at all; what takes writing is not tested.
    #[arg(long)]
    pub(crate) read_only: bool,
}
