//! What is known of each error, and what to do about it. Pure: no I/O, no async.
//!
//! The entries are files in `entries`, one each; the build checks and embeds them.
//!
//! - [`entry_for`] finds the entry that a problem is, and finds none rather than a wrong one; [`search`] takes words as well.
//! - [`markdown`], [`html`] and [`site`] show them.
//! - [`advice`] says what to do about a problem, whether there is an entry for it or not.

pub mod advice;
mod entry;
mod html;
mod lab;
mod markdown;
mod matching;
mod page;
mod search;
pub mod site;
mod words;

use std::sync::LazyLock;

pub use entry::{
    Correction, DeadEnd, Document, Entry, Language, Likeness, Match, Remedy, Step, Test, Text, Versions, Who,
};
pub use html::html;
pub use lab::{Count, count};
pub use markdown::markdown;
pub use matching::entry_for;
pub use search::search;

/// All entries, in the order of their IDs.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        // The build wrote it from this very type, and a test reads it: there is nothing to handle.
        serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/entries.json"))).unwrap_or_default()
    });
    &ENTRIES
}

/// The entry of an ID.
pub fn find(id: &str) -> Option<&'static Entry> {
    let entries = entries();
    entries.binary_search_by(|entry| entry.id.as_str().cmp(id)).ok().and_then(|at| entries.get(at))
}
