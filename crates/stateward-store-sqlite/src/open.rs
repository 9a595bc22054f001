//! Opening a file, and refusing to.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};
use rustix::fs::Access;

use crate::filesystem::network_filesystem_of;
use crate::refusal::OpenError;
use crate::schema::{self, APPLICATION_ID, FORMAT, Role};

/// Up to this size a file is checked page by page when it is opened. That takes time in proportion to the size, so for
/// larger files it is left to `verify`; their header, schema and length are checked always.
const QUICK_CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How to open a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file. `SQLite` keeps two more beside it (`-wal`, `-shm`) while it is open.
    pub path: PathBuf,
    /// Make the file, and the directories above it, if they are not there.
    pub create: bool,
    /// The file may not grow beyond this; then writes are refused with `Full`, and reads go on.
    pub max_bytes: Option<u64>,
    /// How many reads run side by side; at least one.
    pub readers: usize,
}

impl Options {
    /// The usual choice: created if missing, no limit but the disk's, two readers.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), create: true, max_bytes: None, readers: 2 }
    }
}

/// Opens the file, makes it if that is wanted, and returns its absolute path and the connection that writes.
pub(crate) fn open(options: &Options) -> Result<(PathBuf, Connection), OpenError> {
    // Absolute, so that it stays the same file whatever the process does, and SQLite never takes it for a URI.
    let path = std::path::absolute(&options.path).map_err(|error| system(&options.path, &error))?;
    locate(&path, options.create)?;

    let failed = |error: rusqlite::Error| sqlite(&path, &error);
    let mut connection = schema::connect(&path, Role::Writer).map_err(failed)?;
    if schema::is_blank(&connection).map_err(failed)? {
        if !options.create {
            return Err(OpenError::Blank { path });
        }
        schema::create(&mut connection).map_err(failed)?;
    }
    check_ours(&path, &connection)?;
    check_whole(&path, &connection)?;
    schema::keep_log(&connection).map_err(failed)?;
    limit(&connection, options.max_bytes).map_err(failed)?;
    Ok((path, connection))
}

/// Makes sure that there is a file that we can write, on a disk of this machine.
fn locate(path: &Path, create: bool) -> Result<(), OpenError> {
    let directory = path.parent().ok_or_else(|| OpenError::NotAFile { path: path.into() })?;
    if create {
        fs::create_dir_all(directory).map_err(|error| match system(directory, &error) {
            OpenError::Missing { path } => OpenError::NotWritable { path, reason: error.to_string() },
            other => other,
        })?;
    }
    let kind = match network_filesystem_of(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(OpenError::Missing { path: path.into() }),
        found => found.map_err(|error| system(directory, &error))?,
    };
    if let Some(kind) = kind {
        return Err(OpenError::NetworkFilesystem { path: path.into(), kind });
    }
    // `SQLite` has to make and remove its log beside the file.
    check_access(directory, Access::WRITE_OK | Access::EXEC_OK)?;
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(OpenError::NotAFile { path: path.into() }),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound && create => make(path, directory)?,
        Err(error) => return Err(system(path, &error)),
    }
    check_access(path, Access::READ_OK | Access::WRITE_OK)
}

/// Asks whether we may, without opening the file: to close it again would give up all locks that this process has on it.
fn check_access(path: &Path, access: Access) -> Result<(), OpenError> {
    rustix::fs::access(path, access).map_err(|error| system(path, &error.into()))
}

/// Makes an empty file that only its owner may read: states hold secrets. `SQLite` gives its log the same rights.
fn make(path: &Path, directory: &Path) -> Result<(), OpenError> {
    match private_file().open(path) {
        Ok(_) => {}
        // Another process was faster; it makes the same file.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(system(path, &error)),
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| system(directory, &error))
}

/// Options for a new file, readable by its owner only.
pub(crate) fn private_file() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

/// Refuses files of other programs and of later versions.
fn check_ours(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| sqlite(path, &error);
    if schema::application_id(connection).map_err(failed)? != APPLICATION_ID {
        let reason = "it is an SQLite file of another program".into();
        return Err(OpenError::Foreign { path: path.into(), reason });
    }
    let found = schema::format(connection).map_err(failed)?;
    if found > FORMAT {
        return Err(OpenError::Newer { path: path.into(), found, known: FORMAT });
    }
    Ok(())
}

/// Finds what damage can be found in bounded time.
fn check_whole(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| sqlite(path, &error);
    let damaged = |reason: String| OpenError::Corrupt { path: path.into(), reason };
    for table in ["meta", "record", "blob", "sealed"] {
        let sql = format!("SELECT 1 FROM {table} LIMIT 1");
        connection.prepare(&sql).and_then(|mut statement| statement.exists([])).map_err(failed)?;
    }

    let pages: u64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(failed)?;
    let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(failed)?;
    let there = fs::metadata(path).map_err(|error| system(path, &error))?.len();
    let expected = pages * page_bytes;
    // With a log, the end of the file may be in it.
    if there < expected && !has_log(path) {
        return Err(damaged(format!("it was cut short: {there} of {expected} bytes are there")));
    }
    if expected <= QUICK_CHECK_BYTES_MAX {
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if found != "ok" {
            return Err(damaged(found));
        }
    }
    Ok(())
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Room beyond the limit that blobs may not take: in a full store locks can still be given back, and versions let go.
pub(crate) const RESERVE_BYTES: u64 = 2 << 20;

fn limit(connection: &Connection, max_bytes: Option<u64>) -> rusqlite::Result<()> {
    let Some(max_bytes) = max_bytes else { return Ok(()) };
    let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    // The largest number SQLite takes; a file that is longer already just does not grow.
    let pages = (max_bytes.saturating_add(RESERVE_BYTES) / page_bytes.max(1)).clamp(1, 0xFFFF_FFFE);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

fn system(path: &Path, error: &std::io::Error) -> OpenError {
    let (path, reason) = (path.to_path_buf(), error.to_string());
    match error.kind() {
        ErrorKind::NotFound => OpenError::Missing { path },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::NotWritable { path, reason },
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => OpenError::NotAFile { path },
        _ => OpenError::Failed { path, reason },
    }
}

fn sqlite(path: &Path, error: &rusqlite::Error) -> OpenError {
    let (path, reason) = (path.to_path_buf(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path, reason },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::NotWritable { path, reason },
        // `Unknown` is a statement that the schema does not fit.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) | None => OpenError::Corrupt { path, reason },
        Some(_) => OpenError::Failed { path, reason },
    }
}
