//! What this process knows of blobs that are in packs already, so that they need not be put again.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use stateward_store::BlobId;

use crate::pack::{PackName, Span};
use crate::records::Home;

/// Blobs remembered, of all homes together: about 10 MiB.
const BLOBS_MAX: usize = 128 << 10;
/// Homes remembered.
const HOMES_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Where a blob is, and the last round whose visit is known not to have taken its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) pack: PackName,
    pub(crate) span: Span,
    pub(crate) round: u64,
}

/// Blobs of homes that were used lately.
pub(crate) struct Shelves {
    homes: Mutex<Homes>,
}

struct Homes {
    shelves: LruCache<Home, Shelf>,
    blobs: usize,
}

#[derive(Default)]
struct Shelf {
    packs: Vec<(PackName, u64)>,
    blobs: HashMap<BlobId, (usize, Span)>,
    /// The last write had more small blobs than records could keep.
    crowded: bool,
}

impl Shelves {
    pub(crate) fn new() -> Self {
        Self { homes: Mutex::new(Homes { shelves: LruCache::new(HOMES_MAX), blobs: 0 }) }
    }

    fn lock(&self) -> MutexGuard<'_, Homes> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes blobs of a pack that was there after the visit of `round`.
    pub(crate) fn learn(&self, pack: PackName, round: u64, blobs: impl IntoIterator<Item = (BlobId, Span)>) {
        let mut homes = self.lock();
        if homes.shelves.peek(&pack.home).is_none() {
            let evicted = homes.shelves.push(pack.home, Shelf::default());
            homes.blobs -= evicted.map_or(0, |(_, shelf)| shelf.blobs.len());
        }
        let room = BLOBS_MAX.saturating_sub(homes.blobs);
        let Some(shelf) = homes.shelves.get_mut(&pack.home) else { return };
        let before = shelf.blobs.len();
        shelf.learn(pack, round, blobs, before + room);
        let after = shelf.blobs.len();
        homes.blobs += after - before;
        // The home that was used last stays, whatever its size.
        while homes.blobs >= BLOBS_MAX && homes.shelves.len() > 1 {
            let evicted = homes.shelves.pop_lru();
            homes.blobs -= evicted.map_or(0, |(_, shelf)| shelf.blobs.len());
        }
    }

    pub(crate) fn find(&self, home: Home, id: &BlobId) -> Option<Shared> {
        let mut homes = self.lock();
        let shelf = homes.shelves.get(&home)?;
        let (at, span) = *shelf.blobs.get(id)?;
        let (pack, round) = *shelf.packs.get(at)?;
        Some(Shared { pack, span, round })
    }

    /// Forgets all blobs of a home.
    pub(crate) fn forget(&self, home: Home) {
        let mut homes = self.lock();
        let blobs = homes.shelves.pop(&home).map_or(0, |shelf| shelf.blobs.len());
        homes.blobs -= blobs;
    }

    pub(crate) fn is_crowded(&self, home: Home) -> bool {
        self.lock().shelves.peek(&home).is_some_and(|shelf| shelf.crowded)
    }

    pub(crate) fn note_crowded(&self, home: Home, crowded: bool) {
        let mut homes = self.lock();
        if let Some(shelf) = homes.shelves.get_mut(&home) {
            shelf.crowded = crowded;
        }
    }
}

impl Shelf {
    fn learn(&mut self, pack: PackName, round: u64, blobs: impl IntoIterator<Item = (BlobId, Span)>, most: usize) {
        let at = match self.packs.iter().position(|(known, _)| *known == pack) {
            Some(at) => at,
            None => {
                self.packs.push((pack, round));
                self.packs.len() - 1
            }
        };
        if let Some((_, known)) = self.packs.get_mut(at) {
            *known = round.max(*known);
        }
        for (id, span) in blobs {
            if self.blobs.len() >= most && !self.blobs.contains_key(&id) {
                return;
            }
            self.blobs.insert(id, (at, span));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> BlobId {
        BlobId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn pack(home: &str) -> PackName {
        PackName { home: Home::of(home), round: 1, number: 2 }
    }

    const SPAN: Span = Span { offset: 8, length: 9 };

    #[test]
    fn blobs_are_found_in_their_home_only() {
        let shelves = Shelves::new();
        shelves.learn(pack("a"), 3, [(id(1), SPAN)]);
        shelves.learn(pack("a"), 2, [(id(2), SPAN)]);
        let found = Some(Shared { pack: pack("a"), span: SPAN, round: 3 });
        assert_eq!((shelves.find(Home::of("a"), &id(1)), shelves.find(Home::of("a"), &id(2))), (found, found));
        assert_eq!(shelves.find(Home::of("b"), &id(1)), None);
        shelves.forget(Home::of("a"));
        assert_eq!(shelves.find(Home::of("a"), &id(1)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let shelves = Shelves::new();
        shelves.learn(pack("a"), 1, [(id(1), SPAN)]);
        shelves.learn(pack("b"), 1, (0..2 * BLOBS_MAX).map(|n| (id(n), SPAN)));
        let counts = |homes: &Homes| (homes.blobs, homes.shelves.iter().map(|(_, shelf)| shelf.blobs.len()).sum());
        let (counted, there): (usize, usize) = counts(&shelves.lock());
        assert_eq!(counted, there);
        assert!(counted <= BLOBS_MAX, "{counted}");
        assert!(shelves.find(Home::of("a"), &id(1)).is_none(), "the oldest goes");
        assert!(shelves.find(Home::of("b"), &id(1)).is_some());
    }
}
