//! Carries the write-ahead log over into the database without holding up commits.
//!
//! The bulk is copied by a thread of its own while the writer goes on. What came meanwhile is little; with bulky tasks held
//! back it is copied too, the last of it by the writer between two transactions. Then nothing is left over, and the next
//! transaction starts the log at its beginning: it stays small, and is overwritten in place, which makes syncs cheap.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tracing::warn;

use crate::queue::Queue;
use crate::schema::PAGE_BYTES;
use crate::stats::Counters;

/// A log of this many pages is carried over.
const LOG_PAGES: u64 = 4 * 1024 * 1024 / PAGE_BYTES as u64;

/// Bulky tasks wait while the log is longer than this: the disk carries over more slowly than they write, or a backup reads.
const LOG_PAGES_HELD: u64 = 4 * LOG_PAGES;

/// When to try again where a reader was in the way.
const AGAIN: Duration = Duration::from_millis(50);

/// Tells the thread when there is something to do.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<Signal>,
    rung: Condvar,
}

#[derive(Default)]
struct Signal {
    due: bool,
    closed: bool,
}

impl Bell {
    /// Notes the length of the log after a transaction.
    pub(crate) fn note(&self, log_pages: u64, queue: &Queue) {
        if log_pages >= LOG_PAGES_HELD {
            queue.hold_bulk(true);
        }
        if log_pages >= LOG_PAGES {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).due = true;
            self.rung.notify_one();
        }
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.rung.notify_one();
    }

    /// Waits until the log is long; false when it is time to end.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.rung.wait_while(state, |signal| !signal.due && !signal.closed);
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        state.due = false;
        !state.closed
    }

    /// Waits a little; false when it is time to end.
    fn pause(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.rung.wait_timeout_while(state, AGAIN, |signal| !signal.closed);
        !waiting.unwrap_or_else(PoisonError::into_inner).0.closed
    }
}

/// The checkpointing thread.
pub(crate) fn run(connection: &Connection, bell: &Bell, queue: &Arc<Queue>, counters: &Counters) {
    while bell.wait() {
        passive(connection);
        queue.hold_bulk(true);
        passive(connection);
        let finished = queue.finish_checkpoint();
        queue.hold_bulk(false);
        if finished {
            counters.checkpoints.fetch_add(1, Relaxed);
        } else if !bell.pause() {
            return;
        }
    }
}

/// Copies what no reader still needs from the log; true if that was all of it.
pub(crate) fn passive(connection: &Connection) -> bool {
    let pages = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    match connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], pages) {
        Ok((busy, log, copied)) => {
            let (busy, log, copied): (i64, i64, i64) = (busy, log, copied);
            busy == 0 && log == copied
        }
        Err(error) => {
            warn!(%error, "a checkpoint failed; the log is kept and the next one tries again");
            false
        }
    }
}
