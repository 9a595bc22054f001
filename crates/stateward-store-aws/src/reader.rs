//! Reading parts of objects that never change.
//!
//! Objects are read in windows of a fixed size: whoever reads a body asks for the next window while the SDK still delivers this one, and
//! the many small parts in one window cost one request. The windows read last stay in memory, so that a read and the write that follows
//! it fetch nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use lru::LruCache;
use stateward_store::{Result, StoreError};
use tokio::sync::OnceCell;

use crate::bucket::Bucket;
use crate::together;

/// Bytes of an object that are read together.
const WINDOW_BYTES: u64 = 1 << 20;
/// Windows that stay in memory.
const WINDOWS: NonZeroUsize = NonZeroUsize::new(24).unwrap();

/// Reads objects that never change.
pub struct Reader {
    bucket: Bucket,
    windows: Mutex<LruCache<Window, Arc<OnceCell<Bytes>>>>,
}

/// A part of an object: the number of the window in it.
type Window = (Arc<str>, u64);

/// A part of an object that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The object's name.
    pub object: Arc<str>,
    /// Where the part begins.
    pub from: u64,
    /// Where it ends: the offset of the byte after its last.
    pub to: u64,
}

impl Reader {
    /// Reads from this bucket.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket, windows: Mutex::new(LruCache::new(WINDOWS)) }
    }

    /// Reads parts of objects, in the order asked for; `None` where there is no such object, `Corrupt` where it is too short.
    pub async fn read(&self, wanted: &[Wanted]) -> Result<Vec<Option<Bytes>>> {
        let needed: BTreeSet<Window> = wanted.iter().flat_map(Wanted::windows).collect();
        let fetch = |window: Window| async move { Ok((window.clone(), self.window(window).await?)) }.boxed();
        let windows: BTreeMap<Window, Option<Bytes>> =
            together::all(needed.into_iter().map(fetch)).await?.into_iter().collect();
        wanted.iter().map(|wanted| wanted.cut(&windows)).collect()
    }

    /// Reads a window, once for all who want it at the same time; `None` where there is no such object.
    async fn window(&self, window: Window) -> Result<Option<Bytes>> {
        let cell = Arc::clone(self.windows().get_or_insert(window.clone(), Arc::default));
        let (object, number) = window;
        let fetch = async || {
            let from = number * WINDOW_BYTES;
            match self.bucket.get_range(&object, from, from + WINDOW_BYTES).await {
                Ok(Some(content)) => Ok(content),
                Ok(None) => Err(None),
                Err(fault) => Err(Some(fault)),
            }
        };
        match cell.get_or_try_init(fetch).await {
            Ok(content) => Ok(Some(content.clone())),
            Err(None) => Ok(None),
            Err(Some(fault)) => Err(fault.into()),
        }
    }

    /// Remembers an object that was just written, where that costs little.
    pub fn remember(&self, object: Arc<str>, content: &Bytes) {
        if content.len() as u64 <= WINDOW_BYTES {
            self.windows().put((object, 0), Arc::new(OnceCell::new_with(Some(content.clone()))));
        }
    }

    /// Forgets objects that have been deleted.
    pub fn forget(&self, is_gone: impl Fn(&str) -> bool) {
        let mut windows = self.windows();
        let gone: Vec<Window> =
            windows.iter().filter(|((object, _), _)| is_gone(object)).map(|(window, _)| window.clone()).collect();
        for window in gone {
            windows.pop(&window);
        }
    }

    fn windows(&self) -> MutexGuard<'_, LruCache<Window, Arc<OnceCell<Bytes>>>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    /// The windows that it lies in; at least one.
    fn numbers(&self) -> RangeInclusive<u64> {
        let last = self.to.max(self.from + 1) - 1;
        self.from / WINDOW_BYTES..=last / WINDOW_BYTES
    }

    fn windows(&self) -> impl Iterator<Item = Window> {
        self.numbers().map(|number| (Arc::clone(&self.object), number))
    }

    /// Takes it out of the windows that hold it.
    fn cut(&self, windows: &BTreeMap<Window, Option<Bytes>>) -> Result<Option<Bytes>> {
        let mut parts = Vec::new();
        for window in self.windows() {
            let start = window.1 * WINDOW_BYTES;
            let Some(Some(content)) = windows.get(&window) else { return Ok(None) };
            let within = |at: u64| usize::try_from(at.clamp(start, start + WINDOW_BYTES) - start).unwrap_or(usize::MAX);
            let range = within(self.from)..within(self.to);
            if range.end > content.len() {
                return Err(StoreError::Corrupt {
                    what: self.object.to_string(),
                    reason: "it is shorter than a blob that should be in it".into(),
                });
            }
            parts.push(content.slice(range));
        }
        if let [part] = &parts[..] {
            return Ok(Some(part.clone()));
        }
        let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        Ok(Some(whole.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(from: u64, to: u64) -> Wanted {
        Wanted { object: "o".into(), from, to }
    }

    #[test]
    fn a_part_lies_in_one_window_or_in_several() {
        let mib = WINDOW_BYTES;
        for (from, to, windows) in
            [(0, 0, 0..=0), (0, mib, 0..=0), (mib, mib, 1..=1), (mib - 1, mib + 1, 0..=1), (5, 3 * mib, 0..=2)]
        {
            assert_eq!(wanted(from, to).numbers(), windows, "{from} {to}");
        }
    }

    #[test]
    fn a_part_is_put_together_or_too_short_or_not_there() {
        let content = |byte: u8, size: u64| Some(Bytes::from(vec![byte; usize::try_from(size).unwrap()]));
        let windows = [(("o".into(), 0), content(1, WINDOW_BYTES)), (("o".into(), 1), content(2, 3))].into();
        assert_eq!(wanted(WINDOW_BYTES - 1, WINDOW_BYTES + 2).cut(&windows).unwrap().unwrap(), &[1, 2, 2][..]);
        assert!(matches!(wanted(WINDOW_BYTES, WINDOW_BYTES + 4).cut(&windows), Err(StoreError::Corrupt { .. })));
        assert_eq!(Wanted { object: "other".into(), ..wanted(0, 1) }.cut(&windows).unwrap(), None);
    }
}
