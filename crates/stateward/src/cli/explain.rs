//! The arguments of `stateward explain`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The file with the text; `-` for standard input [default: -].
    pub(crate) file: Option<PathBuf>,
    /// The text is all that AWS said: a name at its very end is no half of one, and gets a policy.
    #[arg(long)]
    pub(crate) whole: bool,
    /// Mask account IDs, names of users, roles and sessions, people, access keys and addresses, so that the answer can be passed on.
    #[arg(long)]
    pub(crate) share: bool,
    /// Policies of whoever asked, and of its groups, or what `aws iam get-account-authorization-details` prints: to say
    /// whether they refuse next.
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Policies that are known")]
    pub(crate) policy: Vec<PathBuf>,
    /// Its permissions boundary.
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Policies that are known")]
    pub(crate) boundary: Vec<PathBuf>,
    /// The policies that its session was opened with.
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Policies that are known")]
    pub(crate) session: Vec<PathBuf>,
    /// Service control policies, from the root down: those of one level with a comma between them.
    #[arg(long, value_name = "FILE,…", num_args = 1.., help_heading = "Policies that are known")]
    pub(crate) scp: Vec<String>,
    /// Resource control policies, in the same way.
    #[arg(long, value_name = "FILE,…", num_args = 1.., help_heading = "Policies that are known")]
    pub(crate) rcp: Vec<String>,
    /// The policy of the resource; of a role that was to be assumed, its trust policy.
    #[arg(long, value_name = "FILE", help_heading = "Policies that are known")]
    pub(crate) resource_policy: Option<PathBuf>,
    /// The policy of the VPC endpoint that the request went through.
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Policies that are known")]
    pub(crate) vpc_endpoint: Vec<PathBuf>,
}
