//! Reading blobs out of packs.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use stateward_store::{BlobRef, Result, StoreError};

use crate::item::take_bytes;
use crate::pack::{BYTES, Bulk, DOOMED, PackId, Piece, Spot};
use crate::places::At;
use crate::shared::Shared;

/// Where the bytes of a blob are.
enum Source {
    Kept(Bytes),
    Items(PackId, Vec<Piece>),
    /// The next that the bucket gives.
    Bucket,
}

impl Shared {
    /// Reads blobs, in the order asked for.
    pub(crate) async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        let missing = |blob: &BlobRef| StoreError::NotFound { what: blob.id.to_string() };
        let mut sources = Vec::with_capacity(refs.len());
        let (mut spots, mut outside) = (Vec::new(), Vec::new());
        for blob in refs {
            if let Some(kept) = blob.locator.kept() {
                sources.push(Source::Kept(kept));
                continue;
            }
            let spot = Spot::read(&blob.locator).ok_or_else(|| missing(blob))?;
            spots.push((blob.id, spot));
            sources.push(match spot.bulk {
                Bulk::Table => Source::Items(spot.pack, spot.pieces()),
                Bulk::Bucket => {
                    outside.push(spot);
                    Source::Bucket
                }
            });
        }
        let items = self.items(&sources).await?;
        let mut outside = self.outside(&outside).await?.into_iter();
        let mut blobs = Vec::with_capacity(refs.len());
        for (blob, source) in refs.iter().zip(sources) {
            blobs.push(match source {
                Source::Kept(kept) => kept,
                Source::Items(pack, pieces) => self.join(pack, &pieces, &items, blob)?.ok_or_else(|| missing(blob))?,
                Source::Bucket => outside.next().flatten().ok_or_else(|| missing(blob))?,
            });
        }
        self.shelf.learn(spots);
        Ok(blobs)
    }

    async fn outside(&self, spots: &[Spot]) -> Result<Vec<Option<Bytes>>> {
        match &self.depot {
            _ if spots.is_empty() => Ok(Vec::new()),
            Some(depot) => depot.read(spots).await,
            None => Err(StoreError::Unsupported {
                what: "a blob that lies in a bucket".into(),
                reason: "this process was started before the store kept blobs there: start it again, with `blobs=s3://…` in the store's URL"
                    .into(),
            }),
        }
    }

    /// The bytes of the items that are needed.
    async fn items(&self, sources: &[Source]) -> Result<HashMap<At, Bytes>> {
        let mut places: Vec<At> = Vec::new();
        for source in sources {
            if let Source::Items(pack, pieces) = source {
                places.extend(pieces.iter().map(|piece| self.layout().piece(*pack, *piece)));
            }
        }
        places.sort_unstable();
        places.dedup();
        let mut items = HashMap::with_capacity(places.len());
        let mut wanted = Vec::new();
        for at in places {
            match self.shelf.cached(&at) {
                Some(bytes) => drop(items.insert(at, bytes)),
                None => wanted.push(at),
            }
        }
        // Packs do not change, so what a replica of the item holds is right, at half the price; it may only not be there yet.
        let mut found = self.table().get_many(wanted.clone(), false).await?;
        wanted.retain(|at| !found.contains_key(at));
        found.extend(self.table().get_many(wanted, true).await?);
        for (at, mut item) in found {
            if item.contains_key(DOOMED) {
                continue;
            }
            let bytes = take_bytes(&mut item, BYTES).unwrap_or_default();
            self.shelf.cache_bytes(at.clone(), bytes.clone());
            items.insert(at, bytes);
        }
        Ok(items)
    }

    /// A blob out of its pieces; none where an item is missing.
    fn join(
        &self,
        pack: PackId,
        pieces: &[Piece],
        items: &HashMap<At, Bytes>,
        blob: &BlobRef,
    ) -> Result<Option<Bytes>> {
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let at = self.layout().piece(pack, *piece);
            let Some(bytes) = items.get(&at) else { return Ok(None) };
            if bytes.len() < piece.to {
                return Err(StoreError::Corrupt {
                    what: format!("blob {}", blob.id),
                    reason: format!("the item `{}`, {} is too short", at.partition, at.range),
                });
            }
            parts.push(bytes.slice(piece.from..piece.to));
        }
        if let [part] = parts.as_slice() {
            return Ok(Some(part.clone()));
        }
        let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        Ok(Some(whole.freeze()))
    }
}
