//! Packs: objects that hold many blobs of one home, and at their end a list of them.
//!
//! ```text
//! "swpack1\n"  blob blob blob …  index  bytes of the index (u32)  checksum of the index (8 bytes)  "swpack1\n"
//! ```
//!
//! The index is the home's key behind its length (u16), and for each blob its id and its length (u32); the blobs stand one behind the
//! other. Numbers are little endian.

use bytes::{Buf, BufMut, Bytes};
use stateward_store::{BlobId, Locator, StoreError};

use crate::envelope::PackId;
use crate::records::Home;

const MAGIC: &[u8; 8] = b"swpack1\n";
/// Length and checksum of the index, and the end.
pub(crate) const TAIL_BYTES: usize = 20;
const ID_BYTES: usize = 32;
/// The first byte of a locator into a pack. `0xFF` is a blob that is kept in its locator.
const IN_PACK: u8 = 1;

/// A blob's place in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

impl Span {
    pub(crate) fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

/// Which pack: its home, the round in which it was begun, and a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackName {
    pub(crate) home: Home,
    pub(crate) round: u64,
    pub(crate) number: u64,
}

impl PackName {
    /// The name within its home.
    pub(crate) fn id(&self) -> PackId {
        PackId(format!("{}-{:016x}", self.round, self.number))
    }

    /// The object's name.
    pub(crate) fn object(&self, root: &str) -> String {
        format!("{}{}", directory(root, self.home), self.id().0)
    }

    /// Reads the name of an object below the directory of all packs.
    pub(crate) fn parse(root: &str, object: &str) -> Option<Self> {
        let (home, id) = object.strip_prefix(root)?.strip_prefix("packs/")?.split_once('/')?;
        Self::of(parse_home(home)?, &PackId(id.to_owned()))
    }

    /// A pack of a home.
    pub(crate) fn of(home: Home, id: &PackId) -> Option<Self> {
        let (round, number) = id.0.split_once('-')?;
        let name = Self { home, round: round.parse().ok()?, number: u64::from_str_radix(number, 16).ok()? };
        (name.id() == *id).then_some(name)
    }
}

/// The directory of all packs.
pub(crate) fn all(root: &str) -> String {
    format!("{root}packs/")
}

/// The directory of a home's packs.
pub(crate) fn directory(root: &str, home: Home) -> String {
    format!("{root}packs/{}/", hex::encode(home.0))
}

fn parse_home(text: &str) -> Option<Home> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(Home(number.to_be_bytes()))
}

/// Where a blob is: which pack, and where in it. At most 46 bytes.
pub(crate) fn locator(pack: &PackName, span: Span) -> Locator {
    let mut bytes = Vec::with_capacity(46);
    bytes.put_u8(IN_PACK);
    bytes.put_slice(&pack.home.0);
    bytes.put_u64_le(pack.number);
    bytes.put_u32_le(span.offset);
    bytes.put_u32_le(span.length);
    let round = pack.round.to_le_bytes();
    let zeros = round.iter().rev().take_while(|byte| **byte == 0).count();
    bytes.put_slice(&round[..round.len() - zeros]);
    Locator(bytes.into())
}

/// Reads a locator; `None` where it is none of ours.
pub(crate) fn parse_locator(locator: &Locator) -> Option<(PackName, Span)> {
    let mut bytes = &locator.0[..];
    if bytes.len() < 33 || bytes.get_u8() != IN_PACK {
        return None;
    }
    let mut home = [0; 16];
    bytes.copy_to_slice(&mut home);
    let number = bytes.get_u64_le();
    let span = Span { offset: bytes.get_u32_le(), length: bytes.get_u32_le() };
    let mut round = [0; 8];
    round.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some((PackName { home: Home(home), round: u64::from_le_bytes(round), number }, span))
}

/// A pack that is being filled.
pub(crate) struct Builder {
    pub(crate) name: PackName,
    content: Vec<u8>,
    index: Vec<u8>,
}

impl Builder {
    pub(crate) fn new(name: PackName, key: &str) -> Self {
        let mut index = Vec::new();
        index.put_u16_le(u16::try_from(key.len()).unwrap_or(u16::MAX));
        index.put_slice(key.as_bytes());
        Self { name, content: MAGIC.to_vec(), index }
    }

    /// Bytes that the pack has at the end.
    pub(crate) fn len(&self) -> usize {
        self.content.len() + self.index.len() + TAIL_BYTES
    }

    pub(crate) fn push(&mut self, id: &BlobId, sealed: &[u8]) -> Span {
        // A pack is closed long before its length is more than 32 bits hold.
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let span = Span { offset: number(self.content.len()), length: number(sealed.len()) };
        self.content.put_slice(sealed);
        self.index.put_slice(&id.0);
        self.index.put_u32_le(span.length);
        span
    }

    pub(crate) fn finish(mut self) -> Bytes {
        let checksum = checksum(&self.index);
        self.content.put_slice(&self.index);
        self.content.put_u32_le(u32::try_from(self.index.len()).unwrap_or(u32::MAX));
        self.content.put_slice(&checksum);
        self.content.put_slice(MAGIC);
        self.content.into()
    }
}

fn checksum(index: &[u8]) -> [u8; 8] {
    let mut checksum = [0; 8];
    checksum.copy_from_slice(&blake3::hash(index).as_bytes()[..8]);
    checksum
}

/// What the end of a pack says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    /// The key of the home.
    pub(crate) key: String,
    pub(crate) blobs: Vec<(BlobId, Span)>,
}

/// How much of the end of a pack the index takes, from its last bytes.
pub(crate) fn index_bytes(end: &[u8]) -> Result<u64, &'static str> {
    let at = end.len().checked_sub(TAIL_BYTES).ok_or("it is shorter than any pack")?;
    let mut tail = &end[at..];
    if !tail.ends_with(MAGIC) {
        return Err("it does not end as a pack does");
    }
    Ok(u64::from(tail.get_u32_le()) + TAIL_BYTES as u64)
}

/// Reads the index from the end of a pack of `size` bytes. `end` holds at least [`index_bytes`].
pub(crate) fn read_index(end: &[u8], size: u64) -> Result<Index, &'static str> {
    let length = usize::try_from(index_bytes(end)?).map_err(|_| "its index is too long")?;
    let at = end.len().checked_sub(length).ok_or("its index is longer than itself")?;
    let (mut index, tail) = end[at..].split_at(length - TAIL_BYTES);
    if checksum(index) != tail[4..12] {
        return Err("its index is not the one that was written");
    }
    let key = usize::from(index.try_get_u16_le().map_err(|_| "its index is cut short")?);
    let (key, blobs) = index.split_at_checked(key).ok_or("its index is cut short")?;
    let key = String::from_utf8(key.to_vec()).map_err(|_| "its index does not name a key")?;
    let mut offset = MAGIC.len() as u64;
    let mut found = Vec::with_capacity(blobs.len() / (ID_BYTES + 4));
    for mut entry in blobs.chunks(ID_BYTES + 4) {
        let mut id = [0; ID_BYTES];
        entry.try_copy_to_slice(&mut id).map_err(|_| "its index is cut short")?;
        let length = entry.try_get_u32_le().map_err(|_| "its index is cut short")?;
        let span = Span { offset: u32::try_from(offset).map_err(|_| "it is too large")?, length };
        offset += u64::from(length);
        found.push((BlobId(id), span));
    }
    if offset + length as u64 != size {
        return Err("its blobs and its index are not as long as it is");
    }
    Ok(Index { key, blobs: found })
}

/// The error about a pack that is damaged.
pub(crate) fn damaged(object: &str, reason: &str) -> StoreError {
    StoreError::Corrupt { what: object.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> PackName {
        PackName { home: Home::of("state/a@default"), round: 3, number: 0xAB }
    }

    fn pack(blobs: &[Vec<u8>]) -> (Bytes, Vec<Span>) {
        let mut builder = Builder::new(name(), "state/a@default");
        let spans = blobs.iter().map(|blob| builder.push(&BlobId(*blake3::hash(blob).as_bytes()), blob)).collect();
        let length = builder.len();
        let content = builder.finish();
        assert_eq!(content.len(), length);
        (content, spans)
    }

    #[test]
    fn names_are_read_back() {
        let object = name().object("p/.stateward/");
        assert!(object.starts_with("p/.stateward/packs/") && object.ends_with("/3-00000000000000ab"), "{object}");
        assert_eq!(PackName::parse("p/.stateward/", &object), Some(name()));
        for wrong in ["p/.stateward/packs/x/3-ab", "p/.stateward/records/a!", "packs/0/0", ""] {
            assert_eq!(PackName::parse("p/.stateward/", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn locators_are_short_and_read_back() {
        for round in [0, 1, 255, 256, u64::MAX] {
            let (name, span) = (PackName { round, ..name() }, Span { offset: 77, length: 1 << 20 });
            let locator = locator(&name, span);
            assert!(locator.0.len() <= 64 && locator.kept().is_none());
            assert_eq!(parse_locator(&locator), Some((name, span)));
        }
        assert_eq!(parse_locator(&Locator::default()), None);
        assert_eq!(parse_locator(&Locator(Bytes::from_static(&[1; 60]))), None);
    }

    proptest! {
        #[test]
        fn blobs_come_back(blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let (content, spans) = pack(&blobs);
            let index = read_index(&content, content.len() as u64).unwrap();
            prop_assert_eq!(&index.key, "state/a@default");
            prop_assert_eq!(index.blobs.iter().map(|(_, span)| *span).collect::<Vec<_>>(), spans.clone());
            for (span, blob) in spans.iter().zip(&blobs) {
                let from = usize::try_from(span.offset).unwrap();
                prop_assert_eq!(&content[from..from + blob.len()], &blob[..]);
            }
        }

        #[test]
        fn damage_at_the_end_is_noticed(blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..9), at in any::<prop::sample::Index>()) {
            let (content, spans) = pack(&blobs);
            let mut damaged = content.to_vec();
            let first = usize::try_from(spans.last().unwrap().end()).unwrap();
            damaged[first + at.index(content.len() - first)] ^= 1;
            prop_assert!(read_index(&damaged, content.len() as u64).is_err());
        }

        #[test]
        fn a_part_is_no_pack(blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..9), at in any::<prop::sample::Index>()) {
            let (content, _) = pack(&blobs);
            let cut = at.index(content.len());
            prop_assert!(read_index(&content[..cut], cut as u64).is_err());
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(end in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(read_index(&end, end.len() as u64).is_err());
        }
    }
}
