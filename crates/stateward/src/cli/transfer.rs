//! `state copy`, `move`, `import` and `export` on the command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use stateward_core::{NameError, StateId, StateName, Workspace};

use super::state_id;

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The state; with `/` at its end every state whose name begins so.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) from: Option<Selection>,
    /// What it is called there, if not the same; for several states what their names begin with there, with `/` at its end.
    pub(crate) to: Option<Selection>,
    /// Every state there is.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) ends: Ends,
}

/// Where FROM and TO are, as far as it is not where other commands work.
#[derive(Debug, Args)]
pub(crate) struct Ends {
    /// The store that FROM is in; without it, the one that all commands work on.
    #[arg(long, value_name = "URL")]
    pub(crate) from_store: Option<String>,
    /// The server that FROM is on; its token comes from `STATEWARD_FROM_TOKEN`.
    #[arg(long, value_name = "URL", conflicts_with = "from_store")]
    pub(crate) from_server: Option<String>,
    /// The store that TO is in; without it, the one that all commands work on. It is made if it is not there.
    #[arg(long, value_name = "URL")]
    pub(crate) to_store: Option<String>,
    /// The server that TO is on; its token comes from `STATEWARD_TO_TOKEN`.
    #[arg(long, value_name = "URL", conflicts_with = "to_store")]
    pub(crate) to_server: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What it shall be called here.
    #[arg(value_parser = state_id)]
    pub(crate) name: StateId,
    /// A state file, `-` for standard input, a directory of Terraform or of `state export`, the address of an `http` backend,
    /// or `s3://BUCKET/KEY?region=…` of an `s3` backend.
    pub(crate) source: PathBuf,
    /// Only this workspace; without it, all that the source has.
    #[arg(long, value_name = "NAME", value_parser = workspace)]
    pub(crate) workspace: Option<Workspace>,
    /// Old versions too, where the source keeps them.
    #[arg(long)]
    pub(crate) with_versions: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[arg(value_parser = state_id)]
    pub(crate) name: StateId,
    /// An empty directory, or one that is made; `-` writes the current version to standard output.
    pub(crate) directory: PathBuf,
    /// Every version that is kept, each in its file.
    #[arg(long)]
    pub(crate) all_versions: bool,
}

/// One state, or all whose names begin with something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    One(StateId),
    /// With the slash at its end.
    Below(String),
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('/') {
            None => state_id(text).map(Self::One),
            Some(name) => {
                let parsed = name.parse::<StateName>();
                parsed.map(|_| Self::Below(text.to_owned())).map_err(|error| format!("{error}; {}", NameError::SHAPE))
            }
        }
    }
}

fn workspace(text: &str) -> Result<Workspace, String> {
    text.parse().map_err(|error: NameError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_means_all_below() {
        assert_eq!("a/b@dev".parse(), Ok(Selection::One("a/b@dev".parse().unwrap())));
        assert_eq!("a/b/".parse(), Ok(Selection::Below("a/b/".to_owned())));
        for bad in ["", "/", "a//", "a@dev/", "../", "a b"] {
            assert!(bad.parse::<Selection>().is_err(), "{bad}");
        }
    }
}
