//! Where a record lies: partitions that can be listed in the order of their keys, consistently and without an index.
//!
//! A key is cut behind its first `#` or else its first `/`; what is before the cut is its *stem*, the rest its *tail*.
//!
//! - Keys with a `#`, and keys whose tail begins with 16 hexadecimal digits and a `-` (`version/net@default#ffff…-…`,
//!   `audit/8000…-…`), are numbered: all of a stem lie together in the partition `series/STEM`, in the order of their numbers. One
//!   query lists them with their values.
//! - All other keys (`state/net@default`) have a partition of their own, `record/KEY`, so that what is written often is spread out. Their
//!   names stand in the partition `names/STEM`, written by the transaction that makes or removes the record.
//!
//! Each `STEM#` stands as a mark among the names of its segment (the part up to the first `/`), and each segment as a mark among the
//! names at the top. A mark is written before the first record below it and never removed, so whoever lists finds every record.
//!
//! Range keys are numbers of at most 124 bits: 64 bits that never order two keys wrongly, and 60 bits of a hash that tells apart
//! those with the same 64. Where they are the same in all 124, which one record in 2^60 suffers, the second is refused.

use stateward_store::Key;

/// Bits of the hash in a range key.
const HASH_BITS: u32 = 60;
/// Hexadecimal digits that number a record.
const DIGITS: usize = 16;

/// How the partitions begin of what belongs to a store's data, behind the store's own prefix.
pub(crate) const KINDS: [&str; 6] = ["record/", "series/", "names/", "packs/", "pack/", "meta/"];

/// Where an item is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct At {
    /// The partition key.
    pub(crate) partition: String,
    /// The range key.
    pub(crate) range: u128,
}

/// Where a record is, and what makes it be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The record itself.
    pub(crate) at: At,
    /// Its name among the names, where it does not stand in a series.
    pub(crate) name: Option<At>,
    /// The marks above it, the highest first.
    pub(crate) marks: Vec<Mark>,
}

/// What makes a stem be found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark {
    /// Where it stands.
    pub(crate) at: At,
    /// The stem: a series where it ends in `#`, a segment where it ends in `/`.
    pub(crate) stem: String,
}

/// A part of a partition: from the first range key to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) partition: String,
    pub(crate) first: u128,
    pub(crate) last: u128,
}

/// Begins the name of every partition of one store: several may share a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout(pub(crate) String);

impl Layout {
    pub(crate) fn place(&self, key: &Key) -> Place {
        let key = key.as_str();
        let (stem, tail) = cut(key);
        let segment = segment(stem);
        let mut marks = Vec::new();
        if !segment.is_empty() {
            marks.push(self.mark("", segment));
        }
        let series = stem.ends_with('#');
        if series {
            marks.push(self.mark(segment, stem));
        }
        if series || is_numbered(tail) {
            let at = At { partition: self.series(stem), range: join(number(tail, 0), key) };
            return Place { at, name: None, marks };
        }
        let name = At { partition: self.names(stem), range: join(letters(tail, 0), key) };
        Place { at: At { partition: format!("{}record/{key}", self.0), range: 0 }, name: Some(name), marks }
    }

    fn mark(&self, above: &str, stem: &str) -> Mark {
        let range = join(letters(&stem[above.len()..], 0), stem);
        Mark { at: At { partition: self.names(above), range }, stem: stem.to_owned() }
    }

    pub(crate) fn series(&self, stem: &str) -> String {
        format!("{}series/{stem}", self.0)
    }

    pub(crate) fn names(&self, segment: &str) -> String {
        format!("{}names/{segment}", self.0)
    }

    /// Where the numbered records of a stem lie that begin with `prefix` and come after `after`.
    pub(crate) fn in_series(&self, stem: &str, prefix: &str, after: Option<&str>) -> Option<Stretch> {
        stretch(self.series(stem), stem, prefix, after, after, number)
    }

    /// Where names stand, and marks, of what begins with `prefix` and comes after `after`.
    pub(crate) fn in_names(&self, segment: &str, prefix: &str, after: Option<&str>) -> Option<Stretch> {
        // What comes after a record may be below the same mark as the record.
        let mark = after.map(|after| match cut(after).0 {
            stem if segment.is_empty() && !self::segment(stem).is_empty() => self::segment(stem),
            stem if stem.len() > segment.len() => stem,
            _ => after,
        });
        stretch(self.names(segment), segment, prefix, after, mark, letters)
    }

    /// An item that belongs to the store as a whole.
    pub(crate) fn meta(&self, name: &str) -> At {
        At { partition: format!("{}meta/{name}", self.0), range: 0 }
    }
}

/// What a prefix leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// All that begins with it is in this series.
    Series(&'a str),
    /// All that begins with it is below this segment.
    Segment(&'a str),
    /// It may be anywhere.
    Top,
}

/// Where everything is that begins with a prefix.
pub(crate) fn scope(prefix: &str) -> Scope<'_> {
    let (stem, _) = cut(prefix);
    match stem.as_bytes().last() {
        Some(b'#') => Scope::Series(stem),
        Some(_) => Scope::Segment(stem),
        None => Scope::Top,
    }
}

/// Cuts behind the first `#`, or else behind the first `/`.
fn cut(key: &str) -> (&str, &str) {
    match key.find('#').or_else(|| key.find('/')) {
        Some(at) => key.split_at(at + 1),
        None => ("", key),
    }
}

/// The part of a stem up to its first `/`.
fn segment(stem: &str) -> &str {
    stem.find('/').map_or("", |at| &stem[..=at])
}

fn is_numbered(tail: &str) -> bool {
    let bytes = tail.as_bytes();
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    bytes.len() > DIGITS && bytes[..DIGITS].iter().all(is_digit) && bytes[DIGITS] == b'-'
}

fn join(order: u64, key: &str) -> u128 {
    let hash = blake3::hash(key.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let hash = u64::from_be_bytes(first) >> (64 - HASH_BITS);
    u128::from(order) << HASH_BITS | u128::from(hash)
}

/// The part of a range key by which items are ordered.
pub(crate) fn order(range: u128) -> u128 {
    range >> HASH_BITS
}

/// The first eight bytes. `fill` (0 or 0xFF) stands for those that are missing.
fn letters(text: &str, fill: u8) -> u64 {
    let mut letters = [fill; 8];
    let known = text.len().min(8);
    letters[..known].copy_from_slice(&text.as_bytes()[..known]);
    u64::from_be_bytes(letters)
}

/// The first sixteen hexadecimal digits. Other bytes stand for the digits that they lie between: no two texts are ordered wrongly,
/// though some alike. `fill` (0 or anything else) stands for digits that are missing: the lowest or the highest.
fn number(text: &str, fill: u8) -> u64 {
    let mut number: u64 = 0;
    let mut rest = if fill == 0 { 0 } else { 0xF };
    let mut digits = text.bytes();
    let mut open = true;
    for _ in 0..DIGITS {
        let digit = match digits.next().filter(|_| open) {
            Some(byte @ b'0'..=b'9') => byte - b'0',
            Some(byte @ b'a'..=b'f') => byte - b'a' + 10,
            Some(byte) => {
                open = false;
                rest = if byte < b'0' { 0 } else { 0xF };
                if byte > b'9' && byte < b'a' { 9 } else { rest }
            }
            None => {
                open = false;
                rest
            }
        };
        number = number << 4 | u64::from(digit);
    }
    number
}

fn stretch(
    partition: String,
    stem: &str,
    prefix: &str,
    after: Option<&str>,
    from: Option<&str>,
    order: fn(&str, u8) -> u64,
) -> Option<Stretch> {
    let (mut first, mut last) = (0, u64::MAX);
    if let Some(tail) = prefix.strip_prefix(stem) {
        (first, last) = (order(tail, 0), order(tail, 0xFF));
    } else if !stem.starts_with(prefix) {
        return None;
    }
    if after.is_some_and(|after| after > stem && !after.starts_with(stem)) {
        return None;
    }
    if let Some(tail) = from.and_then(|from| from.strip_prefix(stem)) {
        // The same text may be ordered alike with others: they are looked at again.
        first = first.max(order(tail, 0));
    }
    let stretch = Stretch {
        partition,
        first: u128::from(first) << HASH_BITS,
        last: u128::from(last) << HASH_BITS | ((1 << HASH_BITS) - 1),
    };
    (first <= last).then_some(stretch)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(key: &str) -> Place {
        Layout(String::new()).place(&Key::new(key))
    }

    #[test]
    fn keys_of_each_kind() {
        for (key, partition, name, marks) in [
            ("store", "record/store", Some("names/"), &[][..]),
            ("state/a/b@default", "record/state/a/b@default", Some("names/state/"), &["state/"]),
            ("version/a/b@w#fffffffffffffffe-01", "series/version/a/b@w#", None, &["version/", "version/a/b@w#"]),
            ("audit/8000000000000000-01-2", "series/audit/", None, &["audit/"]),
            ("audit/8000", "record/audit/8000", Some("names/audit/"), &["audit/"]),
            ("a#/b", "series/a#", None, &["a#"]),
        ] {
            let place = place(key);
            assert_eq!(place.at.partition, partition, "{key}");
            assert_eq!(place.name.as_ref().map(|at| at.partition.as_str()), name, "{key}");
            assert_eq!(place.marks.iter().map(|mark| mark.stem.as_str()).collect::<Vec<_>>(), marks, "{key}");
        }
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        let range = |key: &str| place(key).at.range;
        assert_eq!(order(range("v#fffffffffffffffe-01")), u128::from(u64::MAX - 1));
        assert!(range("v#0000000000000009-ff") < range("v#000000000000000a-00"));
        assert_ne!(range("v#000000000000000a-00"), range("v#000000000000000a-01"));
        assert!(range("v#ffffffffffffffff-ff") < 10_u128.pow(38), "DynamoDB keeps 38 digits");
    }

    #[test]
    fn a_prefix_says_where_to_look() {
        assert_eq!(scope("version/a@w#ff"), Scope::Series("version/a@w#"));
        assert_eq!(scope("state/ne"), Scope::Segment("state/"));
        assert_eq!(scope("stat"), Scope::Top);
    }

    #[test]
    fn going_on_after_a_record_finds_the_marks_above_it() {
        let layout = Layout(String::new());
        let after = "version/a@w#ff";
        for (segment, mark) in [("", 0), ("version/", 1)] {
            let stretch = layout.in_names(segment, "", Some(after)).unwrap();
            let mark = &place(after).marks[mark].at;
            assert_eq!(mark.partition, stretch.partition);
            assert!(stretch.first <= mark.range && mark.range <= stretch.last);
        }
        assert_eq!(layout.in_names("state/", "", Some(after)), None);
        assert!(layout.in_series("version/b@w#", "version/", Some(after)).is_some());
    }

    /// Texts of letters at which the orders could go wrong.
    fn text() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[!/0189:@abef\u{e9}-]{0,20}").unwrap()
    }

    proptest! {
        #[test]
        fn no_two_texts_are_ordered_wrongly(one in text(), other in text()) {
            for order in [letters, number] {
                prop_assert!(one > other || order(&one, 0) <= order(&other, 0));
            }
        }

        #[test]
        fn what_begins_alike_lies_between(prefix in text(), rest in text()) {
            for order in [letters, number] {
                let whole = order(&format!("{prefix}{rest}"), 0);
                prop_assert!(order(&prefix, 0) <= whole && whole <= order(&prefix, 0xFF));
            }
        }
    }
}
