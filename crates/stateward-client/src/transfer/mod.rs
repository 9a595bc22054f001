//! Taking states from one place to another with all their versions: copy, move, import, export.
//!
//! An [`Origin`] has the versions of one state; [`copy`] takes them to any [`Connection`](crate::Connection), reads each back from there
//! and compares its SHA-256. [`relocate`] copies under a lock and deletes the source only then. What is there already is not sent again,
//! so that whatever was cut off goes on where it stopped. [`bring_outside`] takes a current version to where other programs keep it.

mod copy;
mod export;
mod http;
mod origin;
mod outside;
mod place;
mod relocate;

pub use copy::{Copied, compare_current, copy};
pub use export::{Export, Exported, export};
pub use http::{Fetched, fetch, public_address};
pub use origin::{Found, Held, Origin};
pub use outside::{There, bring_outside, look_outside};
pub use place::{Files, LeftOut, Place, Snapshot, Snapshots};
pub use relocate::{Moved, Relocation, own_lock, relocate};

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Versions for which that is done.
    pub done: u64,
    /// Versions in all.
    pub of: u64,
}

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Finding out what there is.
    Reading,
    /// Sending versions, or writing them to files.
    Copying,
    /// Reading them back and comparing.
    Comparing,
}

/// Hears how far a transfer has come.
pub type OnTransfer<'a> = &'a mut (dyn FnMut(Progress) + Send);
