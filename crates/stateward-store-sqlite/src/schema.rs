//! The format of the file, and how connections to it are set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

/// Marks the file as ours (`StWd`), where `file(1)` and other programs look for it.
pub(crate) const APPLICATION_ID: i32 = 0x5374_5764;

/// The format that this version writes. A change that an older version would misread takes the next number.
pub(crate) const FORMAT: i32 = 1;

/// With 4096, rows of 1.6 to 4 KB (compressed chunks) take 1.41 times their size, with 8192 1.25 times; the rate of small commits is
/// the same within noise.
pub(crate) const PAGE_BYTES: u32 = 8192;

/// How long to wait for another process that holds the write lock.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// A log that grew beyond this (behind a long backup) shrinks back to it when it starts over.
const LOG_BYTES_KEPT: u32 = 32 * 1024 * 1024;

/// The tables.
///
/// - `meta`: `epoch` counts rounds of collection; `revision` is the end of the last range of revisions handed out.
/// - `record`: without a rowid, so that a small commit changes one page.
/// - `blob`: where each blob is and when it was last in use; small, so that sweeps and stamps do not touch contents.
/// - `sealed`: the contents, in the order in which they came.
const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE record (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE blob (id BLOB PRIMARY KEY, n INTEGER NOT NULL, epoch INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE sealed (n INTEGER PRIMARY KEY, content BLOB NOT NULL);
    INSERT INTO meta VALUES ('epoch', 1), ('revision', 0);
";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that writes.
    Writer,
    /// Reads only.
    Reader,
    /// Carries the log over.
    Checkpointer,
}

/// Opens a connection to a file that exists.
pub(crate) fn connect(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    // Readers too need to write the shared memory beside the file; `query_only` keeps them from the file itself.
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // Negative: KiB. A transaction that outgrew the writer's cache would reach the log twice.
    connection.pragma_update(None, "cache_size", if role == Role::Writer { -4096 } else { -2048 })?;
    connection.pragma_update(None, "query_only", role == Role::Reader)?;
    Ok(connection)
}

/// True where nothing was ever stored: a new file, or one whose creation was cut short.
pub(crate) fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 && application_id(connection)? == 0)
}

/// Makes a blank file ours. Does nothing if another process was faster.
pub(crate) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    keep_log(connection)?;
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    if is_blank(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.commit()
}

/// Turns the write-ahead log on; it is remembered in the file.
pub(crate) fn keep_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)).map(drop)
}

pub(crate) fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

pub(crate) fn format(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
