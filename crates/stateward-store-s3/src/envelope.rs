//! What the object of a record holds: one line of JSON about the record, and then its value, byte for byte.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateward_store::StoreError;

/// The version of the form. A reader refuses a higher one.
const FORMAT: u8 = 1;
/// Ids of earlier writes that a record remembers, so that a writer finds its own after others wrote.
const EARLIER_MAX: usize = 8;
/// A header line is never longer; what is, is no record.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The version of the form.
    stateward: u8,
    /// The record's key: names may be cut.
    pub(crate) key: String,
    /// The id of this write, unique among all writes ever. So the same value written again is another object with another `ETag`.
    pub(crate) write: String,
    /// The ids of the writes before it, latest first, as far back as is remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<String>,
    /// The record has been removed. Without a delete that is conditional everywhere, a removal is a write like any other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gone: bool,
    /// What collection knows about the home that this record is.
    #[serde(default, skip_serializing_if = "Upkeep::is_empty")]
    pub(crate) upkeep: Upkeep,
    /// A hash of the value, so that damage shows.
    hash: String,
}

/// What collection keeps in the record of a home. See the `sweep` module for what it means and why it is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upkeep {
    /// The last round that visited this home; 0 before the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) round: u64,
    /// The packs that commits have put or shared since.
    #[serde(default, skip_serializing_if = "Touched::is_empty")]
    pub(crate) touched: Touched,
    /// The packs that have been given up, and may be deleted at any moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dropped: Vec<PackId>,
}

/// The packs that have been used since a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Touched {
    /// These.
    Some(Vec<PackId>),
    /// Too many to name: take it that it was any.
    Any(()),
}

/// Which pack of a home: its name below the home's directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PackId(pub(crate) String);

/// Packs that are named one by one. More make the record of a busy home too long.
const TOUCHED_MAX: usize = 256;

impl Default for Upkeep {
    fn default() -> Self {
        Self { round: 0, touched: Touched::Some(Vec::new()), dropped: Vec::new() }
    }
}

impl Default for Touched {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl Touched {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Some(packs) if packs.is_empty())
    }

    pub(crate) fn contains(&self, pack: &PackId) -> bool {
        match self {
            Self::Some(packs) => packs.contains(pack),
            Self::Any(()) => true,
        }
    }

    pub(crate) fn add(&mut self, pack: &PackId) {
        if self.contains(pack) {
            return;
        }
        match self {
            Self::Some(packs) if packs.len() < TOUCHED_MAX => packs.push(pack.clone()),
            _ => *self = Self::Any(()),
        }
    }
}

impl Upkeep {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(round: &u64) -> bool {
    *round == 0
}

impl Header {
    /// The header of the first write of a record.
    pub(crate) fn first(key: &str, write: String) -> Self {
        Self {
            stateward: FORMAT,
            key: key.to_owned(),
            write,
            earlier: Vec::new(),
            gone: false,
            upkeep: Upkeep::default(),
            hash: String::new(),
        }
    }

    /// The header of the next write.
    pub(crate) fn next(&self, write: String) -> Self {
        let earlier = std::iter::once(&self.write).chain(&self.earlier).take(EARLIER_MAX).cloned().collect();
        Self { earlier, ..Self { write, ..self.clone() } }
    }

    /// True where the record's last write or one of those before, as far as they are known, is this one.
    pub(crate) fn knows(&self, write: &str) -> bool {
        self.write == write || self.earlier.iter().any(|earlier| earlier == write)
    }

    /// True where writes may have been forgotten.
    pub(crate) fn forgets(&self) -> bool {
        self.earlier.len() >= EARLIER_MAX
    }
}

/// Makes the content of an object.
pub(crate) fn seal(header: &Header, value: &[u8]) -> Bytes {
    let header = Header { hash: hash(value), ..header.clone() };
    // Plain data into memory: there is no way to fail.
    let mut content = serde_json::to_vec(&header).unwrap_or_default();
    content.reserve_exact(1 + value.len());
    content.push(b'\n');
    content.extend_from_slice(value);
    content.into()
}

/// A record as its object holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) header: Header,
    pub(crate) value: Bytes,
}

/// Reads the content of an object. `what` names it in errors.
pub(crate) fn open(what: &str, content: &Bytes) -> Result<Envelope, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt { what: what.to_owned(), reason };
    let end = content.iter().take(HEADER_BYTES_MAX).position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| corrupt("it does not begin with the line about the record".to_owned()))?;
    let form: Form = serde_json::from_slice(&content[..end])
        .map_err(|error| corrupt(format!("the line about the record cannot be read: {error}")))?;
    if form.stateward > FORMAT {
        return Err(StoreError::Unsupported {
            what: format!("the form {} of `{what}`", form.stateward),
            reason: "a newer stateward wrote it; upgrade this one".to_owned(),
        });
    }
    let header: Header = serde_json::from_slice(&content[..end])
        .map_err(|error| corrupt(format!("the line about the record cannot be read: {error}")))?;
    let value = content.slice(end + 1..);
    if header.hash != hash(&value) {
        return Err(corrupt("its value is not the one that was written: it has another hash".to_owned()));
    }
    Ok(Envelope { header, value })
}

/// What is read before all else, whatever the form.
#[derive(Deserialize)]
struct Form {
    stateward: u8,
}

fn hash(value: &[u8]) -> String {
    blake3::hash(value).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header::first("state/a@default", "w1".into())
    }

    #[test]
    fn a_record_is_one_line_and_its_value() {
        let content = seal(&header(), b"{}");
        let text = std::str::from_utf8(&content).unwrap();
        let hash = &blake3::hash(b"{}").to_hex()[..32];
        assert_eq!(
            text,
            format!("{{\"stateward\":1,\"key\":\"state/a@default\",\"write\":\"w1\",\"hash\":\"{hash}\"}}\n{{}}")
        );
    }

    #[test]
    fn what_collection_knows_comes_back() {
        let pack = PackId("3-x".into());
        for touched in [Touched::default(), Touched::Some(vec![pack.clone()]), Touched::Any(())] {
            let upkeep = Upkeep { round: 7, touched, dropped: vec![pack.clone()] };
            let content = seal(&Header { upkeep: upkeep.clone(), gone: true, ..header() }, b"");
            let back = open("a", &content).unwrap().header;
            assert_eq!((back.upkeep, back.gone), (upkeep, true));
        }
    }

    #[test]
    fn a_record_knows_its_last_writes() {
        let mut header = header();
        for n in 2..=20 {
            header = header.next(format!("w{n}"));
        }
        assert!(header.knows("w20") && header.knows("w12") && !header.knows("w11") && header.forgets());
        assert!(!Header::first("a", "w".into()).next("x".into()).forgets());
    }

    #[test]
    fn too_many_packs_are_any() {
        let mut touched = Touched::default();
        for n in 0..=TOUCHED_MAX {
            touched.add(&PackId(n.to_string()));
            touched.add(&PackId(n.to_string()));
            assert_eq!(touched == Touched::Any(()), n == TOUCHED_MAX);
        }
        assert!(touched.contains(&PackId("another".into())));
    }

    #[test]
    fn a_newer_form_is_refused() {
        let newer = Bytes::from_static(b"{\"stateward\":2}\nx");
        assert!(matches!(open("a", &newer), Err(StoreError::Unsupported { .. })));
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in prop::collection::vec(any::<u8>(), 0..500), key in ".{1,40}") {
            let header = Header::first(&key, "w".into()).next("x".into());
            let back = open(&key, &seal(&header, &value)).unwrap();
            prop_assert_eq!(&back.value[..], &value[..]);
            prop_assert_eq!((back.header.key, back.header.write, back.header.earlier), (key, "x".into(), vec!["w".into()]));
        }

        #[test]
        fn every_change_is_noticed(value in prop::collection::vec(any::<u8>(), 1..100), at in any::<prop::sample::Index>()) {
            let sealed = seal(&header(), &value);
            let mut damaged = sealed.to_vec();
            let at = at.index(damaged.len());
            damaged[at] ^= 1;
            if let Ok(back) = open("a", &damaged.into()) {
                prop_assert_eq!(&back.value[..], &value[..], "only the header's own words may differ");
            }
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open("a", &content.into()).is_err());
        }
    }
}
