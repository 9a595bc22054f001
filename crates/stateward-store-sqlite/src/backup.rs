//! Copies of the whole database while it serves, and the check of the whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use stateward_store::{Problem, Result, StoreError};

use crate::error::undone;
use crate::open::private_file;
use crate::schema::{self, Role};

/// Pages copied at a time.
const STEP_PAGES: i32 = 256;

/// Copies the database at `from` to a new file, all as of one moment. Commits go on meanwhile; the log cannot start over
/// until the copy is done.
pub(crate) fn backup(from: &Path, to: &Path) -> Result<()> {
    if fs::exists(to).map_err(|error| failed(to, &error))? {
        return Err(taken(to));
    }
    let partial = Partial::beside(to).map_err(|error| failed(to, &error))?;
    copy(from, &partial.0).map_err(|error| undone(&error))?;
    File::open(&partial.0).and_then(|file| file.sync_all()).map_err(|error| failed(to, &error))?;
    match rename_to_new(&partial.0, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(to)),
        Err(error) => return Err(failed(to, &error)),
    }
    File::open(directory_of(to)).and_then(|directory| directory.sync_all()).map_err(|error| failed(to, &error))
}

/// Has `SQLite` check every page, index and row.
pub(crate) fn verify(path: &Path) -> Result<Vec<Problem>> {
    let problem = |why| Problem { what: path.display().to_string(), why };
    let check = || -> rusqlite::Result<Vec<String>> {
        let connection = schema::connect(path, Role::Reader)?;
        let mut statement = connection.prepare("PRAGMA integrity_check")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    match check() {
        Ok(found) => Ok(found.into_iter().filter(|line| line != "ok").map(problem).collect()),
        // Some damage stops the check itself.
        Err(error) => match undone(&error) {
            StoreError::Corrupt { reason, .. } => Ok(vec![problem(reason)]),
            other => Err(other),
        },
    }
}

fn copy(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let source = schema::connect(from, Role::Reader)?;
    // Inside a read transaction the copy sees one moment; without it, it would start over at every commit.
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT 1 FROM meta", [], |_| Ok(()))?;
    let mut target =
        Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // The file counts only once it is renamed, after it was synced as a whole.
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(&source, &mut target)?;
    while backup.step(STEP_PAGES)? != StepResult::Done {}
    drop(backup);
    target.close().map_err(|(_, error)| error)
}

/// An unfinished copy, removed unless it was renamed.
struct Partial(PathBuf);

impl Partial {
    fn beside(to: &Path) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(to.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        // A copy that was killed leaves its file behind, and must not stand in the way of the next one.
        name.push(format!(".{}.partial", std::process::id()));
        let path = directory_of(to).join(name);
        private_file().open(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        drop(fs::remove_file(&self.0));
    }
}

fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(target_os = "linux")]
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every filesystem can; the name was free a moment ago.
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn taken(to: &Path) -> StoreError {
    StoreError::Unsupported {
        what: "a backup over an existing file".into(),
        reason: format!("`{}` exists; name a new file, or move it away", to.display()),
    }
}

fn failed(to: &Path, error: &io::Error) -> StoreError {
    let reason = format!("the backup `{}` was not made: {error}", to.display());
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::Full { reason },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::Denied { denial: reason },
        io::ErrorKind::NotFound => StoreError::NotFound { what: directory_of(to).display().to_string() },
        _ => StoreError::Unavailable { retry_after: None, reason },
    }
}
