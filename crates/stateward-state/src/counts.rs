//! How two versions differ, from their indexes alone.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::scan::Entry;

/// What happened to an instance or output between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Only the later version has it.
    Add,
    /// Both have it, with different meanings.
    Change,
    /// Only the earlier version has it.
    Remove,
}

/// How many entries differ between two versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Entries only the later version has.
    pub added: u64,
    /// Entries that mean something else in the later version.
    pub changed: u64,
    /// Entries only the earlier version has.
    pub removed: u64,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An address and a meaning, owned or borrowed.
pub trait IndexEntry {
    /// The address, by which a sequence is sorted.
    fn address(&self) -> &str;
    /// The digest of what stands there.
    fn meaning(&self) -> [u8; 16];
}

impl IndexEntry for Entry {
    fn address(&self) -> &str {
        &self.address
    }

    fn meaning(&self) -> [u8; 16] {
        self.meaning
    }
}

impl<T: IndexEntry> IndexEntry for &T {
    fn address(&self) -> &str {
        (**self).address()
    }

    fn meaning(&self) -> [u8; 16] {
        (**self).meaning()
    }
}

impl<A: AsRef<str>> IndexEntry for (A, [u8; 16]) {
    fn address(&self) -> &str {
        self.0.as_ref()
    }

    fn meaning(&self) -> [u8; 16] {
        self.1
    }
}

/// Calls `visit` for each entry that differs, in the order of addresses. Both sequences must be sorted by address.
pub fn merge_join<A, B>(before: A, after: B, mut visit: impl FnMut(&str, Action))
where
    A: IntoIterator<Item: IndexEntry>,
    B: IntoIterator<Item: IndexEntry>,
{
    let mut before = before.into_iter().peekable();
    let mut after = after.into_iter().peekable();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.address().cmp(new.address()),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        match (old, new) {
            (Some(old), Some(new)) if old.meaning() != new.meaning() => visit(new.address(), Action::Change),
            (Some(old), None) => visit(old.address(), Action::Remove),
            (None, Some(new)) => visit(new.address(), Action::Add),
            _ => {}
        }
    }
}

/// Counts the entries that differ. Both sequences must be sorted by address.
pub fn changes<A, B>(before: A, after: B) -> Changes
where
    A: IntoIterator<Item: IndexEntry>,
    B: IntoIterator<Item: IndexEntry>,
{
    let mut changes = Changes::default();
    merge_join(before, after, |_, action| match action {
        Action::Add => changes.added += 1,
        Action::Change => changes.changed += 1,
        Action::Remove => changes.removed += 1,
    });
    changes
}

/// The addresses that differ, sorted. Both slices must be sorted by address.
pub fn changed_addresses(before: &[Entry], after: &[Entry]) -> Vec<(String, Action)> {
    let mut addresses = Vec::new();
    merge_join(before, after, |address, action| addresses.push((address.to_owned(), action)));
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, meaning: u8) -> Entry {
        Entry { address: address.into(), meaning: [meaning; 16] }
    }

    #[test]
    fn entries_are_added_changed_or_removed() {
        let before = [entry("a", 1), entry("b", 1), entry("d", 1), entry("e", 1)];
        let after = [entry("b", 1), entry("c", 1), entry("d", 2), entry("f", 1)];
        assert_eq!(changes(&before, &after), Changes { added: 2, changed: 1, removed: 2 });
        let expected = [
            ("a", Action::Remove),
            ("c", Action::Add),
            ("d", Action::Change),
            ("e", Action::Remove),
            ("f", Action::Add),
        ];
        assert_eq!(changed_addresses(&before, &after), expected.map(|(address, action)| (address.to_owned(), action)));
        assert!(changes(&before, &before).is_empty());
        assert_eq!(changes([("a", [0; 16])], Vec::<Entry>::new()), Changes { removed: 1, ..Changes::default() });
    }

    #[test]
    fn actions_are_lowercase_words() {
        assert_eq!(serde_json::to_string(&Action::Remove).expect("serializable"), "\"remove\"");
    }
}
