//! What `cargo xtask kb-lab` counted: of the causes that it enumerates, how many print a text, and how many a remedy ends.
//!
//! The counts are of that list. They say nothing of how often a cause is met.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::entry::Remedy;

/// The data as it is kept: the counts, and every cause with its policies.
pub(crate) const DATA: &str = include_str!("../lab.json");

/// What is counted of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The enumerated causes that print a text of this entry.
    pub causes: usize,
    /// How many of them each remedy ends.
    pub ends: BTreeMap<Remedy, usize>,
}

#[derive(Default, Deserialize)]
struct Lab {
    entries: BTreeMap<String, Count>,
}

/// The counts of an entry; none where policies have no part in it.
pub fn count(id: &str) -> Option<&'static Count> {
    static LAB: LazyLock<Lab> = LazyLock::new(|| serde_json::from_str(DATA).unwrap_or_default());
    LAB.entries.get(id)
}
