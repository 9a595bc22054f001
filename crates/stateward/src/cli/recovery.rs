//! `state repair` and `lock inspect` on the command line: states of Terraform's own `s3` backend, without a store.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use stateward_aws::recovery::Keep;

use super::YES;

/// A state that Terraform's own `s3` backend keeps.
#[derive(Debug, Args)]
pub(crate) struct TerraformStateArgs {
    /// The directory of a configuration with `backend "s3"`, or `s3://BUCKET/KEY?region=…&lock_table=…&use_lockfile=…`.
    pub(crate) source: PathBuf,
    /// The workspace [default: the one that is selected in the directory].
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
    /// Arguments of the backend that its block leaves out, as `terraform init` takes them: a file, or `NAME=VALUE`.
    #[arg(long, value_name = "FILE|NAME=VALUE")]
    pub(crate) backend_config: Vec<String>,
}

impl TerraformStateArgs {
    /// The URL, where it is one.
    pub(crate) fn url(&self) -> Option<&str> {
        self.source.to_str().filter(|text| text.starts_with("s3://"))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.source
    }
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) state: TerraformStateArgs,
    /// Which side counts, where the evidence does not decide it.
    #[arg(long, value_enum, value_name = "SIDE", conflicts_with = "object_version")]
    pub(crate) keep: Option<KeepArg>,
    /// Make this version of the object the current one again, as `aws s3api list-object-versions` and `--dry-run` name it.
    #[arg(long, value_name = "ID")]
    pub(crate) object_version: Option<String>,
    /// Only say what was found and what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, short, help = YES)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeepArg {
    /// What stands in the bucket, also where that is nothing.
    Object,
    /// The version of the object that the digest names.
    Digest,
}

impl From<KeepArg> for Keep {
    fn from(keep: KeepArg) -> Self {
        match keep {
            KeepArg::Object => Self::Object,
            KeepArg::Digest => Self::Digest,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) state: TerraformStateArgs,
    /// Remove the locks, where their holder is seen to be gone; with `--id` or `--force` also where it may be alive.
    #[arg(long)]
    pub(crate) release: bool,
    /// Only the locks with this ID.
    #[arg(long, value_name = "ID", requires = "release", conflicts_with = "force")]
    pub(crate) id: Option<String>,
    /// Whatever locks were found.
    #[arg(long, requires = "release")]
    pub(crate) force: bool,
    #[arg(long, short, requires = "release", help = YES)]
    pub(crate) yes: bool,
}
