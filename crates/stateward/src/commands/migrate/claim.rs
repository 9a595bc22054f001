//! By what a run knows again the locks that an earlier one left.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use stateward_core::{Error, Kind, Result};

use super::NOT_MOVED;
use crate::store;

/// Lies beside what `init` noted.
const NAME: &str = "stateward-migrate";

const TRIES_MAX: u32 = 100;

/// The name under which a run takes locks: one of its own, or that of an earlier run in this directory which did not give all of them
/// back. Other directories have other names, even of the same person and machine, so that no run takes another one's lock for its own.
pub(super) struct Claim {
    path: PathBuf,
    name: String,
    was_left: bool,
    /// Held as long as locks are.
    file: Option<File>,
}

impl Claim {
    /// Writes nothing.
    pub(super) fn read(data_dir: &Path) -> Self {
        let path = data_dir.join(NAME);
        let left = fs::read_to_string(&path).ok().filter(|name| !name.is_empty());
        let was_left = left.is_some();
        Self { path, name: left.unwrap_or_else(|| hex::encode(store::seed())), was_left, file: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An earlier run may have left locks.
    pub(super) fn was_left(&self) -> bool {
        self.was_left
    }

    /// Before anything is locked, or given back for an earlier run. Refused while another run is at work in this directory.
    pub(super) fn hold(&mut self) -> Result<()> {
        let failed = |path: &Path, error: &io::Error| {
            let why = format!("`{}`: {error}", path.display());
            let next =
                "see that the directory can be written to, or copy it to one that can, and name that by `TF_DATA_DIR`";
            Error::new(Kind::Unavailable, NOT_MOVED, why, next)
        };
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
        let failed = |error: io::Error| failed(&self.path, &error);
        let mut tries = 0;
        let mut file = loop {
            tries += 1;
            let file =
                File::options().read(true).write(true).create(true).truncate(false).open(&self.path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &self.path) => break file,
                // Its holder ended, and took it away.
                Ok(()) if tries < TRIES_MAX => {}
                Ok(()) | Err(TryLockError::WouldBlock) => return Err(at_work()),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        };
        let mut left = String::new();
        file.read_to_string(&mut left).map_err(failed)?;
        match left.as_str() {
            "" => file.write_all(self.name.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?,
            left if left == self.name => {}
            _ => {
                let why = "an earlier run in this directory was killed since this one began";
                return Err(Error::new(Kind::Locked, NOT_MOVED, why, "run the same command again"));
            }
        }
        self.file = Some(file);
        Ok(())
    }

    /// All locks have been given back.
    pub(super) fn end(self) {
        if self.file.is_some_and(|file| is_at(&file, &self.path)) {
            // What stays is taken for a lock that may be left: looked for by the next run, and not found.
            let _stays = fs::remove_file(&self.path);
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    fs::metadata(path).map(identity).ok() == file.metadata().map(identity).ok()
}

fn at_work() -> Error {
    let why = "another `stateward migrate` is at work in this directory";
    Error::new(Kind::Locked, NOT_MOVED, why, "wait for its end, and run the same command again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_until_all_locks_are_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Claim::read(dir.path());
        assert!(!first.was_left());
        first.hold().unwrap();
        let name = first.name().to_owned();
        // As a process that is killed lets go.
        drop(first);
        let mut next = Claim::read(dir.path());
        assert_eq!((next.name(), next.was_left()), (name.as_str(), true));
        next.hold().unwrap();
        let mut meanwhile = Claim::read(dir.path());
        assert!(meanwhile.hold().unwrap_err().why().contains("is at work"));
        next.end();
        let last = Claim::read(dir.path());
        assert!(!last.was_left() && last.name() != name);
    }

    #[test]
    fn who_read_before_another_was_killed_does_not_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut early = Claim::read(dir.path());
        let mut killed = Claim::read(dir.path());
        killed.hold().unwrap();
        drop(killed);
        assert!(early.hold().is_err());
    }
}
