//! What the engine counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::writer::Tally;

/// What the engine did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Write transactions that reached the disk.
    pub transactions: u64,
    /// Commits and deletions answered with success. More of them than transactions means that group commit groups.
    pub commits: u64,
    /// Blobs stored that were not there before.
    pub blobs: u64,
    /// Bytes of these.
    pub blob_bytes: u64,
    /// Times the write-ahead log was carried over into the database.
    pub checkpoints: u64,
    /// Pages in the write-ahead log after the last transaction.
    pub log_pages: u64,
}

/// The running counts behind [`Stats`]. They order nothing, so relaxed access is enough.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) transactions: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) blobs: AtomicU64,
    pub(crate) blob_bytes: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) log_pages: AtomicU64,
}

impl Counters {
    /// Adds a transaction that reached the disk.
    pub(crate) fn add(&self, tally: &Tally) {
        self.transactions.fetch_add(1, Relaxed);
        self.commits.fetch_add(tally.commits, Relaxed);
        self.blobs.fetch_add(tally.blobs, Relaxed);
        self.blob_bytes.fetch_add(tally.blob_bytes, Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            transactions: self.transactions.load(Relaxed),
            commits: self.commits.load(Relaxed),
            blobs: self.blobs.load(Relaxed),
            blob_bytes: self.blob_bytes.load(Relaxed),
            checkpoints: self.checkpoints.load(Relaxed),
            log_pages: self.log_pages.load(Relaxed),
        }
    }
}
