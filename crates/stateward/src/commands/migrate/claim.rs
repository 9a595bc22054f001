//! What a run holds, written down before it is taken: so the next run in the directory gives back what a killed one left.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use stateward_core::{Error, Kind, Result, StateId, Workspace};
use stateward_terraform::rights::{can_make_in, can_write};
use stateward_terraform::workdir::is_at;

use super::NOT_MOVED;
use crate::failure::plain;

/// Lies beside what `init` noted.
const NAME: &str = "stateward-migrate";

const TRIES_MAX: u32 = 100;

/// A lock that may have been left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) id: String,
    pub(super) at: At,
}

/// Where a lock is, as it can be reached without the configuration that named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    /// In a bucket, and maybe a table.
    Place { url: String, workspace: Workspace },
    /// In a store or server.
    State { at: String, state: StateId },
}

impl Left {
    /// How a person gives it back.
    pub(super) fn command(&self) -> String {
        let id = &self.id;
        match &self.at {
            At::Place { url, workspace } => {
                let workspace =
                    if workspace.is_default() { String::new() } else { format!(" --workspace {workspace}") };
                format!("stateward lock inspect '{url}'{workspace} --release --id {id}")
            }
            At::State { at, state } => {
                let flag = if at.starts_with("http") { "--server" } else { "--store" };
                format!("stateward lock release {state} --id {id} {flag} '{at}'")
            }
        }
    }
}

/// A line of the file. Lines are only ever added.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// What follows is about locks of runs that had this very file.
    File(Identity),
    Takes(Left),
    Gave(Left),
}

/// By which a file is told from a copy of it, whose locks are those of another directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    inode: u64,
    /// In nanoseconds, where the file system knows.
    born: Option<u64>,
    /// Where it does not.
    path: Option<PathBuf>,
}

impl Identity {
    fn of(file: &File, path: &Path) -> io::Result<Self> {
        let found = file.metadata()?;
        let since = found.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born = since.and_then(|since| u64::try_from(since.as_nanos()).ok());
        let path = if born.is_none() { Some(fs::canonicalize(path)?) } else { None };
        Ok(Self { inode: found.ino(), born, path })
    }
}

/// What a file says.
#[derive(Debug, Default)]
struct Lines {
    left: Vec<Left>,
    /// Those of the directory that the file is a copy from.
    copied: Vec<Left>,
    /// The last of them are of this very file.
    is_own: bool,
}

impl Lines {
    fn read(text: &str, own: &Identity) -> Self {
        let mut lines = Self::default();
        for line in text.lines() {
            // One that is half written was cut off before anything was taken.
            let Ok(line) = serde_json::from_str(line) else { continue };
            let locks = if lines.is_own { &mut lines.left } else { &mut lines.copied };
            match line {
                Line::File(identity) => lines.is_own = identity == *own,
                Line::Takes(left) => locks.push(left),
                Line::Gave(gave) => locks.retain(|left| *left != gave),
            }
        }
        lines
    }
}

/// The file in which the locks of this directory's runs stand. It is held as long as a run has locks, so that whatever else stands in it
/// is of runs that are over.
pub(super) struct Claim {
    path: PathBuf,
    lines: Lines,
    file: Option<File>,
}

impl Claim {
    /// Writes nothing.
    pub(super) fn read(data_dir: &Path) -> Self {
        let path = data_dir.join(NAME);
        let read = || {
            let mut file = File::open(&path)?;
            let (own, mut text) = (Identity::of(&file, &path)?, String::new());
            file.read_to_string(&mut text)?;
            Ok::<_, io::Error>(Lines::read(&text, &own))
        };
        // What cannot be read is found out when it is held.
        Self { lines: read().unwrap_or_default(), path, file: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An earlier run was cut off, or could not give all locks back; or another is at work.
    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Locks that earlier runs may have left.
    pub(super) fn left(&self) -> &[Left] {
        &self.lines.left
    }

    /// Locks of the directory of which this is a copy: its run may be at work.
    pub(super) fn copied(&self) -> &[Left] {
        &self.lines.copied
    }

    /// Refuses where it could not be made, written to, or taken away again. Nothing is written.
    pub(super) fn can_be_held(&self) -> Result<()> {
        let directory = self.directory();
        can_make_in(directory).map_err(|error| failed(directory, &error))?;
        can_write(&self.path).map_err(|error| failed(&self.path, &error))
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Before anything is locked, or given back for an earlier run. Refused while another run is at work in this directory.
    pub(super) fn hold(&mut self) -> Result<()> {
        let directory = self.directory().to_path_buf();
        fs::create_dir_all(&directory).map_err(|error| failed(&directory, &error))?;
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
        let own = Identity::of(&file, &self.path).map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        self.lines = Lines::read(&text, &own);
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(failed)?;
        }
        let directory = File::open(directory).map_err(failed)?;
        self.file = Some(file);
        if !self.lines.is_own {
            self.write(&Line::File(own))?;
            self.lines.is_own = true;
        }
        // The name of the file has to be there after a loss of power, too.
        directory.sync_all().map_err(|error| self::failed(&self.path, &error))
    }

    /// A lock is about to be taken.
    pub(super) fn takes(&mut self, lock: Left) -> Result<()> {
        self.write(&Line::Takes(lock.clone()))?;
        self.lines.left.push(lock);
        Ok(())
    }

    /// A lock is not held any more.
    pub(super) fn gave(&mut self, lock: &Left) -> Result<()> {
        self.write(&Line::Gave(lock.clone()))?;
        self.lines.left.retain(|left| left != lock);
        Ok(())
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut text = serde_json::to_string(line).unwrap_or_default();
        text.push('\n');
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|error| failed(&self.path, &error))
    }

    /// Lets go. The file goes, unless a lock is left.
    pub(super) fn end(self) {
        if self.lines.left.is_empty() && self.file.is_some_and(|file| is_at(&file, &self.path)) {
            // What stays says of no lock that it is left.
            let _stays = fs::remove_file(&self.path);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let why = format!("`{}`: {}", path.display(), plain(error));
    let next = "see that the directory can be written to, or copy it to one that can, and name that by `TF_DATA_DIR`";
    Error::new(Kind::Unavailable, NOT_MOVED, why, next)
}

fn at_work() -> Error {
    let why = "another `stateward migrate` is at work in this directory";
    Error::new(Kind::Locked, NOT_MOVED, why, "wait for its end, and run the same command again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(id: &str) -> Left {
        let at = At::Place { url: "s3://b/k?region=r".to_owned(), workspace: Workspace::default() };
        Left { id: id.to_owned(), at }
    }

    /// A run that took locks and was killed: a process that is killed lets go.
    fn killed(dir: &Path, ids: &[&str]) {
        let mut claim = Claim::read(dir);
        claim.hold().unwrap();
        ids.iter().for_each(|id| claim.takes(lock(id)).unwrap());
    }

    #[test]
    fn what_was_taken_stands_there_until_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        killed(dir.path(), &["a", "b"]);
        let mut next = Claim::read(dir.path());
        assert_eq!(next.left(), [lock("a"), lock("b")]);
        next.hold().unwrap();
        let mut meanwhile = Claim::read(dir.path());
        assert!(meanwhile.hold().unwrap_err().why().contains("is at work"));
        next.gave(&lock("a")).unwrap();
        next.end();
        let mut last = Claim::read(dir.path());
        assert_eq!(last.left(), [lock("b")], "it was not given back");
        last.hold().unwrap();
        last.gave(&lock("b")).unwrap();
        last.end();
        assert!(!dir.path().join(NAME).exists());
    }

    #[test]
    fn a_run_that_was_killed_meanwhile_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let mut early = Claim::read(dir.path());
        killed(dir.path(), &["a"]);
        early.hold().unwrap();
        assert_eq!(early.left(), [lock("a")]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_none() {
        let dir = tempfile::tempdir().unwrap();
        killed(dir.path(), &["a"]);
        let path = dir.path().join(NAME);
        let text = fs::read_to_string(&path).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&text.as_bytes()[..20]).unwrap();
        killed(dir.path(), &["b"]);
        assert_eq!(Claim::read(dir.path()).left(), [lock("a"), lock("b")]);
    }

    /// As caches of CI do: the run over there may be at work.
    #[test]
    fn locks_in_a_copy_are_those_of_another_directory() {
        let [one, copy] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        killed(one.path(), &["a"]);
        fs::copy(one.path().join(NAME), copy.path().join(NAME)).unwrap();
        let claim = Claim::read(copy.path());
        assert_eq!((claim.left(), claim.copied()), (&[][..], &[lock("a")][..]));
        killed(copy.path(), &["b"]);
        let mut claim = Claim::read(copy.path());
        claim.hold().unwrap();
        assert_eq!((claim.left(), claim.copied()), (&[lock("b")][..], &[lock("a")][..]));
        claim.gave(&lock("b")).unwrap();
        claim.end();
        assert!(!copy.path().join(NAME).exists());
        assert_eq!(Claim::read(one.path()).left(), [lock("a")]);
    }

    #[test]
    fn a_person_gives_it_back_by_a_command() {
        let at = At::State { at: "sqlite:/x.db".to_owned(), state: "net@dev".parse().unwrap() };
        assert_eq!(
            Left { id: "i".to_owned(), at }.command(),
            "stateward lock release net@dev --id i --store 'sqlite:/x.db'"
        );
        assert_eq!(lock("i").command(), "stateward lock inspect 's3://b/k?region=r' --release --id i");
    }
}
