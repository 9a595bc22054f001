//! The names of objects.
//!
//! A record's object is named after its key, so that a listing of objects is a listing of keys in their order, and a person finds
//! `state/net/prod@default` under `records/state/net/prod@default!`. Keys may hold any text, and names must suit every store: ASCII that
//! needs no care in a URL, no empty or dotted part between slashes, no name that is also the directory of another (some stores keep
//! files), no part over 255 bytes. So:
//!
//! - every name ends in `!`, which is below all that can follow in a longer key;
//! - letters, digits, `-`, `.`, `/` and `@` stand for themselves; other bytes are an escape character and two hexadecimal digits, with an
//!   escape character that sorts where the byte does: `(` below `-`, `=` between `9` and `@`, `_` around the underscore, `~` above `z`;
//! - at the start of a part `.` is `.-`, and an empty part is `._`;
//! - a name that gets too long is cut, and ends in `~~` and a hash of the key. All such keys with the same beginning stand together, so
//!   the order is put right once they have been read.

use std::fmt::Write as _;

/// Where a name is cut.
const NAME_BYTES_MAX: usize = 640;
/// Where a part of a name between slashes is cut.
const PART_BYTES_MAX: usize = 200;
const END: char = '!';
/// Marks a name that was cut. No escape has this form.
const CUT: &str = "~~";

/// The name of a key, below the directory of all records.
pub(crate) fn name_of(key: &str) -> String {
    let mut name = escape(key);
    if name.cut {
        let hash = blake3::hash(key.as_bytes());
        // 128 bits: two keys of one name are as good as impossible, and would show in the record itself.
        let _ = write!(name.text, "{CUT}{}", &hash.to_hex()[..32]);
    } else {
        name.text.push(END);
    }
    name.text
}

/// What the names of all keys with this prefix begin with. Names of other keys may begin so, too, where it was cut.
pub(crate) fn prefix_of(prefix: &str) -> String {
    escape(prefix).text
}

/// The largest name that sorts before the names of all keys after `key`, and perhaps before some that are not.
pub(crate) fn before(key: &str) -> String {
    let name = escape(key);
    if name.cut { name.text } else { name.text + "!" }
}

/// What a cut name has in common with those that it stands together with; `None` where it is whole.
pub(crate) fn group(name: &str) -> Option<&str> {
    name.rfind(CUT).map(|at| &name[..at])
}

struct Escaped {
    text: String,
    cut: bool,
}

fn escape(key: &str) -> Escaped {
    let mut text = String::with_capacity(key.len() + 8);
    let mut part = 0;
    for byte in key.bytes() {
        let before = text.len();
        match byte {
            b'/' if part == 0 => text.push_str("._/"),
            b'.' if part == 0 => text.push_str(".-"),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'/' | b'@' => text.push(char::from(byte)),
            b'_' => text.push_str("__"),
            b'`' => text.push_str("_z"),
            _ => {
                // Of each two neighbours among the signs that stand for themselves, the one below which it sorts.
                let signs = [(b'-', '('), (b'@', '='), (b'_', '_')];
                let sign = signs.iter().find(|(above, _)| byte < *above).map_or('~', |(_, sign)| *sign);
                let _ = write!(text, "{sign}{byte:02x}");
            }
        }
        part = if byte == b'/' { 0 } else { part + text.len() - before };
        if part > PART_BYTES_MAX || text.len() > NAME_BYTES_MAX {
            text.truncate(before);
            return Escaped { text, cut: true };
        }
    }
    Escaped { text, cut: false }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_keys_of_every_day_can_be_read() {
        for (key, name) in [
            ("state/net/prod@default", "state/net/prod@default!"),
            ("version/a.b_c-d@default#ffff-1", "version/a.b__c-d@default(23ffff-1!"),
            ("s//x", "s/._/x!"),
            ("s/..", "s/.-.!"),
            ("s/.", "s/.-!"),
            ("s/", "s/!"),
            ("ä", "~c3~a4!"),
        ] {
            assert_eq!(name_of(key), name, "{key}");
        }
    }

    #[test]
    fn a_long_key_is_cut_and_stands_with_its_like() {
        let (long, other) = ("k".repeat(1024), "k".repeat(1023));
        assert_ne!(name_of(&long), name_of(&other));
        assert_eq!(group(&name_of(&long)), Some(&*"k".repeat(200)));
        assert_eq!(group(&name_of(&"k".repeat(200))), None);
        assert!(name_of(&long).starts_with(&prefix_of(&"k".repeat(500))));
        assert!(before(&other) < name_of(&long));
    }

    fn key() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => "[-a-c._/@#]{0,4}",
            2 => any::<String>(),
            1 => "[a_.]{150,260}",
            1 => Just("\u{FFFF}\u{10FFFF}".to_owned()),
        ];
        prop::collection::vec(part, 1..6)
            .prop_map(|parts| parts.join("/"))
            .prop_filter("a key", |key| !key.is_empty() && key.len() <= 1024)
    }

    proptest! {
        #[test]
        fn names_are_ordered_as_keys_are(a in key(), b in key()) {
            let (one, two) = (name_of(&a), name_of(&b));
            let together = group(&one).is_some_and(|group| two.starts_with(group))
                || group(&two).is_some_and(|group| one.starts_with(group));
            if !together {
                prop_assert_eq!(a.cmp(&b), one.cmp(&two), "{} {}", one, two);
            }
            prop_assert_eq!(a == b, one == two);
        }

        #[test]
        fn names_suit_every_store(key in key()) {
            let name = name_of(&key);
            prop_assert!(name.len() <= 700 && name.is_ascii());
            for part in name.split('/') {
                prop_assert!(!part.is_empty() && part.len() < 250 && part != "." && part != "..", "{}", name);
            }
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-./@(=_~!".contains(&byte)));
        }

        #[test]
        fn no_name_is_the_directory_of_another(a in key(), b in key()) {
            let (one, two) = (name_of(&a), name_of(&b) + "/");
            prop_assert!(!one.starts_with(&two));
        }

        #[test]
        fn prefixes_and_starts_hold(key in key(), other in key(), at in any::<prop::sample::Index>()) {
            let cuts: Vec<usize> = key.char_indices().map(|(at, _)| at).collect();
            let prefix = &key[..*at.get(&cuts)];
            prop_assert!(name_of(&key).starts_with(&prefix_of(prefix)));
            if other > key {
                prop_assert!(name_of(&other) > before(&key), "{} {}", name_of(&other), before(&key));
            }
        }
    }
}
