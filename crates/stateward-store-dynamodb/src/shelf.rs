//! What this process knows of packs, and bytes of them that it read lately. All of it is bounded, and none of it is believed without
//! the check that the publishing transaction makes.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use stateward_store::BlobId;

use crate::pack::{PackId, Spot};
use crate::places::At;

/// Blobs whose place is known: some 100 bytes each.
const SPOTS: NonZeroUsize = NonZeroUsize::new(64 << 10).unwrap();
/// Packs whose last touch is known.
const PACKS: NonZeroUsize = NonZeroUsize::new(16 << 10).unwrap();
/// Bytes that were read lately.
const CACHED_BYTES_MAX: usize = 16 << 20;

/// What is known of packs.
#[derive(Debug)]
pub(crate) struct Shelf {
    known: Mutex<Known>,
    cache: Mutex<Cache>,
}

#[derive(Debug)]
struct Known {
    spots: LruCache<BlobId, Spot>,
    /// The round of its last touch that is known of.
    touched: LruCache<PackId, u64>,
}

#[derive(Debug)]
struct Cache {
    items: LruCache<At, Bytes>,
    bytes: usize,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let known = Known { spots: LruCache::new(SPOTS), touched: LruCache::new(PACKS) };
        let cache = Cache { items: LruCache::unbounded(), bytes: 0 };
        Self { known: Mutex::new(known), cache: Mutex::new(cache) }
    }

    pub(crate) fn spot(&self, id: &BlobId) -> Option<Spot> {
        self.known().spots.get(id).copied()
    }

    pub(crate) fn learn(&self, spots: impl IntoIterator<Item = (BlobId, Spot)>) {
        let mut known = self.known();
        for (id, spot) in spots {
            known.spots.put(id, spot);
        }
    }

    pub(crate) fn touched(&self, pack: PackId) -> Option<u64> {
        self.known().touched.get(&pack).copied()
    }

    pub(crate) fn touch(&self, packs: impl IntoIterator<Item = PackId>, round: u64) {
        let mut known = self.known();
        for pack in packs {
            known.touched.put(pack, round);
        }
    }

    /// The pack is gone: whoever finds a place in it finds out by asking.
    pub(crate) fn forget(&self, pack: PackId, ids: impl IntoIterator<Item = BlobId>) {
        let mut known = self.known();
        known.touched.pop(&pack);
        for id in ids {
            if known.spots.peek(&id).is_some_and(|spot| spot.pack == pack) {
                known.spots.pop(&id);
            }
        }
    }

    pub(crate) fn cached(&self, at: &At) -> Option<Bytes> {
        self.cache().items.get(at).cloned()
    }

    pub(crate) fn cache_bytes(&self, at: At, bytes: Bytes) {
        let mut cache = self.cache();
        cache.bytes += bytes.len();
        if let Some((_, old)) = cache.items.push(at, bytes) {
            cache.bytes -= old.len();
        }
        while cache.bytes > CACHED_BYTES_MAX
            && let Some((_, old)) = cache.items.pop_lru()
        {
            cache.bytes -= old.len();
        }
    }

    /// Items that have been deleted.
    pub(crate) fn uncache(&self, places: impl IntoIterator<Item = At>) {
        let mut cache = self.cache();
        for at in places {
            if let Some(old) = cache.items.pop(&at) {
                cache.bytes -= old.len();
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(range: u128) -> At {
        At { partition: "p".into(), range }
    }

    #[test]
    fn the_cache_is_bounded() {
        let shelf = Shelf::new();
        let bytes = Bytes::from(vec![0; 1 << 20]);
        for n in 0..40 {
            shelf.cache_bytes(at(n), bytes.clone());
            shelf.cache_bytes(at(n), bytes.clone());
        }
        assert!(shelf.cached(&at(39)).is_some() && shelf.cached(&at(23)).is_none());
        assert!((24..40).all(|n| shelf.cached(&at(n)).is_some()));
        shelf.uncache((0..40).map(at));
        assert_eq!(shelf.cache().bytes, 0);
    }

    #[test]
    fn a_place_in_another_pack_is_not_forgotten() {
        let shelf = Shelf::new();
        let spot = |pack| Spot { bulk: crate::pack::Bulk::Table, pack: PackId(pack), offset: 0, size: 1 };
        let (one, other) = (BlobId([1; 32]), BlobId([2; 32]));
        shelf.learn([(one, spot(1)), (other, spot(2))]);
        shelf.forget(PackId(1), [one, other]);
        assert_eq!((shelf.spot(&one), shelf.spot(&other)), (None, Some(spot(2))));
    }
}
