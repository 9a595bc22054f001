//! Our backend in the place of the configuration's own, for the time of a run.

use std::ffi::OsStr;
use std::path::PathBuf;

use stateward_core::{Error, Kind};
use stateward_terraform::{Addresses, InitError, OverrideError, OverrideFile, RunDir};

use super::place::Place;
use crate::failure::{Failure, Result};
use crate::output;

const NOT_STARTED: &str = "the command was not started";

/// Dropping it leaves everything as it was.
pub(super) struct Detour {
    _file: OverrideFile,
    data: RunDir,
}

impl Detour {
    pub(super) async fn make(place: &Place, program: &OsStr, nowhere: &Addresses) -> Result<Self> {
        let data = RunDir::make().map_err(|error| temporary(&error))?;
        data.note_backend(program, nowhere).await.map_err(no_init)?;
        data.share(&place.data_dir).map_err(|error| temporary(&error))?;
        let file = OverrideFile::put(&place.directory).map_err(|error| no_file(&error))?;
        Ok(Self { _file: file, data })
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.data.path()
    }
}

fn temporary(error: &std::io::Error) -> Failure {
    let next = "make room in the directory for temporary files, or name another with `TMPDIR`";
    Failure::file(NOT_STARTED, &std::env::temp_dir(), error, next)
}

fn no_file(error: &OverrideError) -> Failure {
    let (kind, next) = match error {
        OverrideError::Foreign { .. } => (Kind::Invalid, "rename the file: `--override` needs this name"),
        OverrideError::Io { .. } => {
            (Kind::Denied, "make the directory writable, or declare `backend \"http\" {}` and leave `--override` out")
        }
    };
    Error::new(kind, NOT_STARTED, error.to_string(), next).into()
}

fn no_init(error: InitError) -> Failure {
    let why = match error {
        InitError::Io(error) => {
            return Failure::file(NOT_STARTED, "init".as_ref(), &error, "check the command behind `--`");
        }
        InitError::Failed { status, said } => {
            output::note(&said);
            format!("its `init` for the run's backend ended with {status}")
        }
    };
    Error::new(Kind::Invalid, NOT_STARTED, why, "mend what the tool says above").into()
}
