//! Where blobs lie: in packs, each of a header and as many parts as its bytes need.
//!
//! A header (partition `packs/SHARD`, range key the pack's id) holds the first bytes of the pack and what collection needs to know;
//! a small pack is nothing but its header, put by the very transaction that publishes it. Further bytes are in parts (partition
//! `pack/ID`, range keys from 1 on), small enough that reading one blob of an old pack does not cost much. The ids of the blobs
//! stand in the header, or, where there are many, in an item of their own (range key 0).
//!
//! Or the bytes lie in a bucket (`depot`), in parts that are larger, and none in the header. Both kinds may be in one store: the
//! header and each locator say which one it is.

use bytes::Bytes;
use stateward_store::{BlobId, Locator};

use crate::places::{At, Layout, Stretch};

/// The largest sealed blob.
pub(crate) const BLOB_BYTES_MAX: usize = 1 << 20;
/// Ids that a header holds.
pub(crate) const HEAD_IDS: usize = 16;
/// Ids in a pack: they have to fit into one item.
pub(crate) const IDS_MAX: usize = 8000;
/// Packs of a session until the next are twice as large, so that any session has few.
const PACKS_ALIKE: usize = 6;
/// Shards of the headers: 2 bits of the id.
const SHARD_BITS: u32 = 2;

/// When the pack was last put, shared or published, as the number of the collection round.
pub(crate) const TOUCHED: &str = "R";
/// The round that found nobody referring to the pack.
pub(crate) const SUSPECT: &str = "S";
/// The pack is being deleted.
pub(crate) const DOOMED: &str = "X";
/// Bytes of a pack.
pub(crate) const SIZE: &str = "Z";
/// The most parts that a pack under way can come to.
pub(crate) const PARTS_MAX: &str = "M";
/// The bytes that an item holds.
pub(crate) const BYTES: &str = "B";
/// Ids of blobs, one behind the other.
pub(crate) const IDS: &str = "I";
/// How many there are.
pub(crate) const COUNT: &str = "N";
/// The bytes are in a bucket.
pub(crate) const OUTSIDE: &str = "O";

/// Where the bytes of a pack lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bulk {
    /// In items of the table.
    Table,
    /// In objects of a bucket.
    Bucket,
}

/// Which pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackId(pub(crate) u64);

/// Where a blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Spot {
    pub(crate) bulk: Bulk,
    pub(crate) pack: PackId,
    pub(crate) offset: u64,
    pub(crate) size: u32,
}

/// Some bytes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Which part; 0 is the header.
    pub(crate) part: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Bulk {
    /// Bytes of a pack that its header holds. A touch of the pack is charged for these, too.
    pub(crate) const fn head_bytes(self) -> u64 {
        match self {
            Self::Table => 4 << 10,
            Self::Bucket => 0,
        }
    }

    /// Bytes of a part: an item, of which reading one blob should not cost much, or an object, of which a part can be read.
    pub(crate) const fn part_bytes(self) -> u64 {
        match self {
            Self::Table => 64 << 10,
            Self::Bucket => 4 << 20,
        }
    }

    /// Parts that are sent in one go.
    pub(crate) const fn parts_together(self) -> usize {
        match self {
            Self::Table => 16,
            Self::Bucket => 1,
        }
    }

    /// What one more pack of a session may hold, beyond the header.
    pub(crate) fn bytes_max(self, packs: usize) -> u64 {
        let first: u64 = match self {
            Self::Table => 1 << 20,
            Self::Bucket => 4 << 20,
        };
        first << (packs / PACKS_ALIKE).min(12)
    }

    /// How many parts so many bytes have.
    pub(crate) fn parts(self, size: u64) -> u64 {
        size.saturating_sub(self.head_bytes()).div_ceil(self.part_bytes())
    }

    /// The first byte of a locator.
    const fn sign(self) -> u8 {
        match self {
            Self::Table => 1,
            Self::Bucket => 2,
        }
    }
}

impl Layout {
    pub(crate) fn header(&self, pack: PackId) -> At {
        At { partition: format!("{}packs/{}", self.0, shard(pack)), range: pack.0.into() }
    }

    /// Where some bytes of a pack are that lie in the table.
    pub(crate) fn piece(&self, pack: PackId, piece: Piece) -> At {
        if piece.part == 0 { self.header(pack) } else { self.part(pack, piece.part) }
    }

    /// Part 0 is the ids.
    pub(crate) fn part(&self, pack: PackId, part: u64) -> At {
        At { partition: format!("{}pack/{:016x}", self.0, pack.0), range: part.into() }
    }

    /// The headers from this pack on, in its shard.
    pub(crate) fn headers_from(&self, pack: PackId) -> Stretch {
        let last = pack.0 | (u64::MAX >> SHARD_BITS);
        Stretch { partition: self.header(pack).partition, first: pack.0.into(), last: last.into() }
    }
}

fn shard(pack: PackId) -> u64 {
    pack.0 >> (64 - SHARD_BITS)
}

/// The first id of the next shard.
pub(crate) fn next_shard(pack: PackId) -> Option<PackId> {
    (pack.0 | (u64::MAX >> SHARD_BITS)).checked_add(1).map(PackId)
}

impl Spot {
    pub(crate) fn locator(&self) -> Locator {
        let mut bytes = vec![self.bulk.sign()];
        bytes.extend_from_slice(&self.pack.0.to_be_bytes());
        bytes.extend_from_slice(&self.offset.to_be_bytes()[2..]);
        bytes.extend_from_slice(&self.size.to_be_bytes()[1..]);
        Locator(bytes.into())
    }

    /// What a locator says; `None` where this engine did not make it.
    pub(crate) fn read(locator: &Locator) -> Option<Self> {
        let (sign, rest) = locator.0.split_first()?;
        let bulk = [Bulk::Table, Bulk::Bucket].into_iter().find(|bulk| bulk.sign() == *sign)?;
        let rest: &[u8; 17] = rest.try_into().ok()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let size = u32::try_from(number(&rest[14..])).ok().filter(|size| *size as usize <= BLOB_BYTES_MAX)?;
        Some(Self { bulk, pack: PackId(number(&rest[..8])), offset: number(&rest[8..14]), size })
    }

    /// The bytes of parts that make up the blob; at least one, if an empty one.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let (head, part_bytes) = (self.bulk.head_bytes(), self.bulk.part_bytes());
        let end = self.offset + u64::from(self.size);
        let mut pieces = Vec::new();
        let mut at = self.offset;
        loop {
            let (part, start, length) = match at.checked_sub(head) {
                None => (0, 0, head),
                Some(beyond) => (beyond / part_bytes + 1, head + beyond / part_bytes * part_bytes, part_bytes),
            };
            let stop = end.min(start + length);
            let within = |position: u64| usize::try_from(position - start).unwrap_or(usize::MAX);
            pieces.push(Piece { part, from: within(at), to: within(stop) });
            at = stop;
            if at >= end {
                return pieces;
            }
        }
    }
}

/// The ids in an item.
pub(crate) fn ids(bytes: &Bytes) -> impl Iterator<Item = BlobId> + '_ {
    bytes.chunks_exact(32).filter_map(|id| id.try_into().ok().map(BlobId))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(offset: u64, size: u32) -> Spot {
        Spot { bulk: Bulk::Table, pack: PackId(0xABCD_0000_0000_0001), offset, size }
    }

    fn pieces(spot: Spot) -> Vec<(u64, usize, usize)> {
        spot.pieces().into_iter().map(|piece| (piece.part, piece.from, piece.to)).collect()
    }

    #[test]
    fn locators_are_short_and_say_all() {
        for spot in [spot(0, 1), spot(1 << 40, 1 << 20), Spot { bulk: Bulk::Bucket, ..spot(12345, 0) }] {
            let locator = spot.locator();
            assert!(locator.0.len() <= 64);
            assert_eq!(Spot::read(&locator), Some(spot));
        }
        for other in [&b""[..], b"\x01", b"\xFFkept", &[1; 17], &[1; 19], &[3; 18]] {
            assert_eq!(Spot::read(&Locator(Bytes::copy_from_slice(other))), None, "{other:?}");
        }
    }

    #[test]
    fn a_blob_lies_in_the_header_in_parts_or_in_both() {
        assert_eq!(pieces(spot(10, 20)), [(0, 10, 30)]);
        assert_eq!(pieces(spot(4000, 196)), [(0, 4000, 4096), (1, 0, 100)]);
        assert_eq!(pieces(spot(4096, 65_536)), [(1, 0, 65_536)]);
        assert_eq!(pieces(spot(4096 + 65_536, 1)), [(2, 0, 1)]);
        assert_eq!(pieces(spot(4095, 65_538)), [(0, 4095, 4096), (1, 0, 65_536), (2, 0, 1)]);
        assert_eq!([4096, 4097, 4096 + 65_537].map(|size| Bulk::Table.parts(size)), [0, 1, 2]);
    }

    #[test]
    fn in_a_bucket_nothing_lies_in_the_header() {
        let spot = |offset, size| Spot { bulk: Bulk::Bucket, ..spot(offset, size) };
        assert_eq!(pieces(spot(0, 1 << 20)), [(1, 0, 1 << 20)]);
        assert_eq!(pieces(spot((4 << 20) - 1, 3)), [(1, (4 << 20) - 1, 4 << 20), (2, 0, 2)]);
        assert_eq!([0, 1, 4 << 20, (4 << 20) + 1].map(|size| Bulk::Bucket.parts(size)), [0, 1, 1, 2]);
    }

    #[test]
    fn shards_follow_each_other() {
        let mut shards = vec![PackId(0)];
        while let Some(next) = next_shard(*shards.last().unwrap()) {
            shards.push(next);
        }
        assert_eq!(shards.len(), 4);
        let layout = Layout(String::new());
        let stretches: Vec<Stretch> = shards.iter().map(|shard| layout.headers_from(*shard)).collect();
        assert!(stretches.is_sorted_by_key(|stretch| stretch.first));
        assert!(
            stretches
                .windows(2)
                .all(|pair| pair[0].last + 1 == pair[1].first && pair[0].partition != pair[1].partition)
        );
    }

    #[test]
    fn few_packs_hold_much() {
        let all: u64 = (0..40).map(|packs| Bulk::Table.bytes_max(packs)).sum();
        assert!(all > 600 << 20, "{all}");
    }
}
