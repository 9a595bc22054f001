//! Reading blobs out of packs.
//!
//! Packs are read in windows of a fixed size: whoever reads a body asks for the next window while the SDK still delivers this one, and
//! the many small blobs in one window cost one request. The windows read last stay in memory, so that a read and the write that follows
//! it fetch nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use lru::LruCache;
use stateward_store::{BlobRef, Result, StoreError};
use tokio::sync::OnceCell;

use crate::bucket::Bucket;
use crate::pack::{PackName, Span, damaged, parse_locator};
use crate::session::BLOB_BYTES_MAX;
use crate::together;

/// Bytes of a pack that are read together.
const WINDOW_BYTES: u64 = 1 << 20;
/// Windows that stay in memory.
const WINDOWS: NonZeroUsize = NonZeroUsize::new(24).unwrap();

/// Reads packs.
pub(crate) struct Reader {
    bucket: Bucket,
    root: String,
    windows: Mutex<LruCache<Window, Arc<OnceCell<Bytes>>>>,
}

/// A part of a pack: the number of the window in it.
type Window = (PackName, u64);

/// Where a blob is to be found.
pub(crate) enum Place {
    Kept(Bytes),
    Packed(PackName, Span),
}

/// Reads where a blob is from its locator.
pub(crate) fn place_of(blob: &BlobRef) -> Result<Place> {
    if let Some(kept) = blob.locator.kept() {
        return Ok(Place::Kept(kept));
    }
    if blob.locator.0.is_empty() {
        return Err(missing(blob));
    }
    let (pack, span) = parse_locator(&blob.locator)
        .filter(|(_, span)| span.length as usize <= BLOB_BYTES_MAX)
        .ok_or_else(|| StoreError::Corrupt {
            what: format!("blob {}", blob.id),
            reason: "its locator is none of this store's".into(),
        })?;
    Ok(Place::Packed(pack, span))
}

fn missing(blob: &BlobRef) -> StoreError {
    StoreError::NotFound { what: blob.id.to_string() }
}

impl Reader {
    pub(crate) fn new(bucket: Bucket, root: String) -> Self {
        Self { bucket, root, windows: Mutex::new(LruCache::new(WINDOWS)) }
    }

    /// Reads blobs in the order asked for.
    pub(crate) async fn read(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        let places: Vec<Place> = refs.iter().map(place_of).collect::<Result<_>>()?;
        let mut wanted: BTreeMap<Window, &BlobRef> = BTreeMap::new();
        for (place, blob) in places.iter().zip(refs) {
            if let Place::Packed(pack, span) = place {
                wanted.extend(windows_of(*span).map(|window| ((*pack, window), blob)));
            }
        }
        let fetch = |(window, blob): (Window, &BlobRef)| {
            let blob = blob.clone();
            async move { Ok((window, self.window(window).await?.ok_or_else(|| missing(&blob))?)) }.boxed()
        };
        let windows: BTreeMap<Window, Bytes> =
            together::all(wanted.into_iter().map(fetch)).await?.into_iter().collect();
        places
            .into_iter()
            .map(|place| match place {
                Place::Kept(kept) => Ok(kept),
                Place::Packed(pack, span) => self.cut(pack, span, &windows),
            })
            .collect()
    }

    /// Takes a blob out of the windows that hold it.
    fn cut(&self, pack: PackName, span: Span, windows: &BTreeMap<Window, Bytes>) -> Result<Bytes> {
        let short = || damaged(&pack.object(&self.root), "it is shorter than a blob that should be in it");
        let mut parts = Vec::new();
        for window in windows_of(span) {
            let start = window * WINDOW_BYTES;
            let content = windows.get(&(pack, window)).ok_or_else(short)?;
            let within = |at: u64| usize::try_from(at.clamp(start, start + WINDOW_BYTES) - start).unwrap_or(usize::MAX);
            let range = within(u64::from(span.offset))..within(span.end());
            if range.end > content.len() {
                return Err(short());
            }
            parts.push(content.slice(range));
        }
        if let [part] = &parts[..] {
            return Ok(part.clone());
        }
        let mut whole = BytesMut::with_capacity(span.length as usize);
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        Ok(whole.freeze())
    }

    /// Reads a window, once for all who want it at the same time; `None` where there is no such pack.
    async fn window(&self, window: Window) -> Result<Option<Bytes>> {
        let cell = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(windows.get_or_insert(window, Arc::default))
        };
        let (pack, number) = window;
        let fetch = async || {
            let from = number * WINDOW_BYTES;
            match self.bucket.get_range(&pack.object(&self.root), from, from + WINDOW_BYTES).await {
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

    /// Remembers a pack that was just written, where that costs little.
    pub(crate) fn remember(&self, pack: PackName, content: &Bytes) {
        if content.len() as u64 <= WINDOW_BYTES {
            let cell = Arc::new(OnceCell::new_with(Some(content.clone())));
            self.windows.lock().unwrap_or_else(PoisonError::into_inner).put((pack, 0), cell);
        }
    }

    /// Forgets packs that have been deleted.
    pub(crate) fn forget(&self, packs: &BTreeSet<PackName>) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<Window> =
            windows.iter().filter(|((pack, _), _)| packs.contains(pack)).map(|(window, _)| *window).collect();
        for window in gone {
            windows.pop(&window);
        }
    }
}

/// The windows that a span lies in; at least one.
fn windows_of(span: Span) -> std::ops::RangeInclusive<u64> {
    let last = span.end().max(u64::from(span.offset) + 1) - 1;
    u64::from(span.offset) / WINDOW_BYTES..=last / WINDOW_BYTES
}
