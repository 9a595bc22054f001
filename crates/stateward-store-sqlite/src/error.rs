//! What `SQLite`'s errors mean in the words of the contract.

use rusqlite::ErrorCode;
use stateward_store::StoreError;

/// Why a task stops.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The task itself is refused and has written nothing; the transaction it runs in goes on.
    Refused(StoreError),
    /// `SQLite` failed; the transaction it runs in is undone.
    Broken(rusqlite::Error),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Halt {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Halt> for StoreError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Refused(error) => error,
            Halt::Broken(error) => undone(&error),
        }
    }
}

/// The meaning of an error that came before COMMIT, or from a read: nothing was done.
pub(crate) fn undone(error: &rusqlite::Error) -> StoreError {
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { reason },
        // None: not from SQLite but from the shape of a row, which somebody else must have written.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => damaged(reason),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            StoreError::Denied { denial: reason }
        }
        Some(_) => StoreError::Unavailable { retry_after: None, reason },
    }
}

/// The meaning of an error of COMMIT itself.
///
/// `SQLite` writes the transaction to the log, its commit mark last, and then syncs. No room, or no lock, means that the mark
/// was not written. After any other error it may be on disk and be found there after a crash.
pub(crate) fn at_commit(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => undone(error),
        _ => StoreError::OutcomeUnknown { reason: error.to_string() },
    }
}

/// The answer where a thread of the engine is gone or going, before it began the task.
pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable { retry_after: None, reason: "the database is closed".into() }
}

fn damaged(reason: String) -> StoreError {
    StoreError::Corrupt { what: "the database".into(), reason }
}
