//! What the command did not see, told when it has ended.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use stateward_client::{Session, Unsaved};
use stateward_core::StateId;

use super::place::Place;
use crate::exit::Exit;
use crate::failure::{Message, Result, plain};
use crate::output;
use crate::output::human::one_line;

/// Where Terraform itself keeps a state that it could not save.
const ERRORED: &str = "errored.tfstate";
/// Where we do.
const UNSAVED: &str = "stateward-unsaved";
const NAMES_MAX: u32 = 1000;

/// Terraform's own file of a state that it could not save, as it was before the run.
pub(super) struct Errored {
    path: PathBuf,
    before: Option<(u64, i64, i64)>,
}

impl Errored {
    pub(super) fn look(directory: &Path) -> Self {
        let path = directory.join(ERRORED);
        let before = stamp(&path);
        Self { path, before }
    }

    /// Its path, if the run has written it.
    fn new_one(&self) -> Option<&Path> {
        let now = stamp(&self.path);
        (now.is_some() && now != self.before).then_some(&self.path)
    }
}

fn stamp(path: &Path) -> Option<(u64, i64, i64)> {
    let stamp = |found: Metadata| (found.ino(), found.mtime(), found.mtime_nsec());
    fs::symlink_metadata(path).ok().map(stamp)
}

/// Says what became of the state where that is not what the command believes, and gives the exit code.
pub(super) fn tell(session: &Session, place: &Place, errored: &Errored, code: u8) -> Result<Exit> {
    let unsaved = session.unsaved();
    if let Some(unsaved) = &unsaved {
        tell_unsaved(unsaved, place, errored);
    }
    match session.refusal() {
        // What ended by a signal was not ended by the refusal; and once is enough to tell of it.
        Some(refusal) if (1..128).contains(&code) && unsaved.is_some() => return Ok(refusal.kind().into()),
        Some(refusal) if (1..128).contains(&code) => return Err(refusal.into()),
        _ => {}
    }
    if code == 0 && !session.was_asked() {
        output::note(&format!(
            "note: the command never asked for `{}`: does its configuration declare `backend \"http\" {{}}`?\n",
            place.state
        ));
    }
    Ok(Exit::Command(code))
}

fn tell_unsaved(unsaved: &Unsaved, place: &Place, errored: &Errored) {
    let what = format!("the last state of `{}` was not stored", place.state);
    let why = unsaved.error.why();
    let kept = match errored.new_one() {
        Some(path) => Ok(path.to_owned()),
        None => keep(unsaved, &place.directory),
    };
    let next = match kept {
        Ok(path) => {
            let (path, state) = (path.display(), &place.state);
            let bring_in = match &unsaved.tx {
                Some(tx) => format!("stateward tx recover {state} {path} --tx {tx}"),
                None => format!("stateward state push {state} {path}"),
            };
            format!(
                "it is kept in `{path}`; bring it in with `{bring_in}`, then remove the file, which may hold secrets"
            )
        }
        Err(error) => format!("it could not be kept beside the configuration either: {}", plain(&error)),
    };
    output::error(&Message::new(what, why, next));
}

/// Writes it to a new file that only its owner can read.
fn keep(unsaved: &Unsaved, directory: &Path) -> io::Result<PathBuf> {
    for number in 0..NAMES_MAX {
        let name = if number == 0 { format!("{UNSAVED}.tfstate") } else { format!("{UNSAVED}-{number}.tfstate") };
        let path = directory.join(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                unsaved.body.write_to(&mut file)?;
                file.sync_all()?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Gives back what is still held. If that fails, the lease ends by itself.
pub(super) async fn close(session: &Session, state: &StateId) {
    if let Err(error) = session.close().await {
        output::note(&format!(
            "warning: the lock of `{state}` was not given back: {}; it ends with its lease\n",
            one_line(error.why())
        ));
    }
}
