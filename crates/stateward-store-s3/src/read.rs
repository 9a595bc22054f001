//! Reading blobs out of packs.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use stateward_store::{BlobRef, Result, StoreError};
use stateward_store_aws::{Bucket, Reader, Wanted};

use crate::pack::{PackName, Span, parse_locator};
use crate::session::BLOB_BYTES_MAX;

/// Reads packs.
pub(crate) struct Packs {
    reader: Reader,
    root: String,
}

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

impl Packs {
    pub(crate) fn new(bucket: Bucket, root: String) -> Self {
        Self { reader: Reader::new(bucket), root }
    }

    /// Reads blobs in the order asked for.
    pub(crate) async fn read(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        let places: Vec<Place> = refs.iter().map(place_of).collect::<Result<_>>()?;
        let wanted = places.iter().filter_map(|place| match place {
            Place::Kept(_) => None,
            Place::Packed(pack, span) => {
                Some(Wanted { object: self.object(pack), from: span.offset.into(), to: span.end() })
            }
        });
        let mut packed = self.reader.read(&wanted.collect::<Vec<_>>()).await?.into_iter();
        let blobs = places.into_iter().zip(refs).map(|(place, blob)| match place {
            Place::Kept(kept) => Ok(kept),
            Place::Packed(..) => packed.next().flatten().ok_or_else(|| missing(blob)),
        });
        blobs.collect()
    }

    /// Remembers a pack that was just written, where that costs little.
    pub(crate) fn remember(&self, pack: PackName, content: &Bytes) {
        self.reader.remember(self.object(&pack), content);
    }

    /// Forgets packs that have been deleted.
    pub(crate) fn forget(&self, packs: &BTreeSet<PackName>) {
        let gone: BTreeSet<Arc<str>> = packs.iter().map(|pack| self.object(pack)).collect();
        self.reader.forget(|object| gone.contains(object));
    }

    fn object(&self, pack: &PackName) -> Arc<str> {
        pack.object(&self.root).into()
    }
}
