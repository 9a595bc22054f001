//! `stateward migrate` on the command line.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command};
use stateward_core::{NameError, StateName};

use super::YES;
use crate::config::Target;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct MigrateArgs {
    /// Where the state shall be: `s3://BUCKET/KEY?region=…` for Terraform's own `s3` backend (with `use_lockfile=true`, the default,
    /// or `lock_table=TABLE`), `stateward` for the store or server of `--store` or `--server`, or the URL of another one, whose token
    /// comes from `STATEWARD_TO_TOKEN`; or which lock an `s3` backend shall take: `lockfile` or `dynamodb-lock`.
    #[arg(long, value_name = "WHERE", value_parser = Where)]
    pub(crate) to: MigrateTo,
    /// The directory of the configuration [default: the current one].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Arguments of the backend that its block leaves out, as `terraform init` takes them: a file, or `NAME=VALUE`.
    #[arg(long, value_name = "FILE|NAME=VALUE")]
    pub(crate) backend_config: Vec<String>,
    /// What the state is called in stateward, where it goes there or comes from there.
    #[arg(long, value_name = "NAME", value_parser = state_name)]
    pub(crate) state: Option<StateName>,
    /// The table, for `--to dynamodb-lock`.
    #[arg(long, value_name = "TABLE")]
    pub(crate) lock_table: Option<String>,
    /// The second step from one lock to the other: everybody's block names both, and the old one goes.
    #[arg(long)]
    pub(crate) finish: bool,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print what the backend block has to say, and leave the files of the configuration alone.
    #[arg(long)]
    pub(crate) print: bool,
    #[arg(long, short, help = YES)]
    pub(crate) yes: bool,
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MigrateTo {
    /// Terraform's own `s3` backend, as the URL of a store whose prefix is the key.
    S3(String),
    /// A store or server; `None` for the one that all commands work on.
    Stateward(Option<Target>),
    LockFile,
    LockTable,
}

impl FromStr for MigrateTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "stateward" => Ok(Self::Stateward(None)),
            None if text == "lockfile" => Ok(Self::LockFile),
            None if text == "dynamodb-lock" => Ok(Self::LockTable),
            Some(("s3", _)) => Ok(Self::S3(text.to_owned())),
            Some(("http" | "https", _)) => text
                .parse()
                .map(|server| Self::Stateward(Some(Target::Server(server))))
                .map_err(|error| format!("is no server: {error}")),
            Some(("sqlite" | "dynamodb", _)) => text.parse().map(|store| Self::Stateward(Some(Target::Store(store)))),
            _ => {
                Err("is no place: write it as `s3://BUCKET/KEY`, `stateward`, `lockfile` or `dynamodb-lock`".to_owned())
            }
        }
    }
}

/// Reads [`MigrateTo`]. What is wrong is told without the text itself, which may hold a token.
#[derive(Debug, Clone)]
struct Where;

impl TypedValueParser for Where {
    type Value = MigrateTo;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<MigrateTo, clap::Error> {
        value.to_string_lossy().parse().map_err(|why| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("what `--to` names {why}\n")).with_cmd(command)
        })
    }
}

fn state_name(text: &str) -> Result<StateName, String> {
    text.parse().map_err(|error: NameError| format!("{error}; {}", NameError::SHAPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_without_the_text() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            migrate: MigrateArgs,
        }
        for to in ["http://geheim@h:port", "dynamodb://id:geheim@t", "redis://:geheim@h"] {
            let error = <Line as clap::Parser>::try_parse_from(["x", "--to", to]).unwrap_err();
            assert!(error.use_stderr() && error.exit_code() == 2, "{error}");
            assert!(error.to_string().contains("`--to`") && !error.to_string().contains("geheim"), "{error}");
        }
    }

    #[test]
    fn places_are_told_apart() {
        let of = |text: &str| text.parse::<MigrateTo>();
        assert_eq!(of("s3://b/k?region=r"), Ok(MigrateTo::S3("s3://b/k?region=r".to_owned())));
        assert_eq!(of("stateward"), Ok(MigrateTo::Stateward(None)));
        assert!(matches!(of("sqlite:/x.db"), Ok(MigrateTo::Stateward(Some(Target::Store(_))))));
        assert!(matches!(of("https://states.example.com"), Ok(MigrateTo::Stateward(Some(Target::Server(_))))));
        assert_eq!((of("lockfile"), of("dynamodb-lock")), (Ok(MigrateTo::LockFile), Ok(MigrateTo::LockTable)));
        for bad in ["", "s3", "local", "gs://b/k", "memory:", "http://"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
