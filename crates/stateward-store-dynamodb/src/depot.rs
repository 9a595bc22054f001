//! The bucket in which the bytes of packs lie, where the options name one.
//!
//! Everything about a pack but its bytes stays in the table: its header, the ids of its blobs, whose it is and whether it may be
//! collected. So publishing and collection are decided by the same transactions, wherever the bytes are, and of the bucket no more is asked
//! than that an object is there once it was put. Objects have the pack's id in their name, are written once, before the transaction
//! that publishes the pack, and deleted after the one that gives it up. None needs a condition.
//!
//! An object of its own, the mark, says which store the bytes belong to. The same id stands in the table: a bucket that is another
//! store's, or that has nothing of this one, is refused when the store is opened; a copy of the bucket is as good as the bucket.
//!
//! Replicas of a global table share the bucket. After a forced move a former home may go on for a while, and give up packs that the
//! new home still needs. The move therefore raises the number in the mark, and no home deletes objects once it is above its own.

use std::sync::Arc;

use bytes::Bytes;
use stateward_store::{Result, StoreError};
use stateward_store_aws::{
    BLOBS_MARK, Bucket, BucketError, Condition, Fault, Place, ROOT, Reader, S3_STORE_MARK, Wanted, together,
};

use crate::pack::{Bulk, PackId, Spot};

/// Begins a mark: what it is, and the version of its form.
const MARK: &str = "stateward-blobs 1";

/// A bucket that holds the bytes of packs.
pub(crate) struct Depot {
    bucket: Bucket,
    reader: Reader,
    place: Place,
    /// The number of the epoch in which this process works.
    epoch: u64,
    /// Whether others may have begun a later one.
    has_rivals: bool,
}

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which store.
    pub(crate) id: String,
    /// Homes of an earlier epoch delete nothing any more.
    pub(crate) epoch: u64,
    /// Its table, for people.
    pub(crate) table: String,
}

impl std::fmt::Debug for Depot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Depot").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Depot {
    pub(crate) fn new(bucket: Bucket, place: Place) -> Self {
        Self { reader: Reader::new(bucket.clone()), bucket, place, epoch: 0, has_rivals: false }
    }

    /// For whoever works in this epoch. Has rivals where the table is in several Regions.
    pub(crate) fn in_epoch(self, epoch: u64, has_rivals: bool) -> Self {
        Self { epoch, has_rivals, ..self }
    }

    pub(crate) fn url(&self) -> String {
        self.place.url()
    }

    fn name(&self, rest: &str) -> String {
        let prefix = &self.place.prefix;
        if prefix.is_empty() { format!("{ROOT}{rest}") } else { format!("{prefix}/{ROOT}{rest}") }
    }

    /// The name of a part of a pack. The id comes first, so that the names of a store are spread out.
    fn object(&self, pack: PackId, part: u64) -> Arc<str> {
        self.name(&format!("blobs/{:016x}-{part}", pack.0)).into()
    }

    /// Puts a part of a pack.
    pub(crate) async fn put(&self, pack: PackId, part: u64, content: Bytes) -> Result<()> {
        let object = self.object(pack, part);
        self.bucket.put(&object, content.clone()).await?;
        self.reader.remember(object, &content);
        Ok(())
    }

    /// Reads blobs, in the order asked for; `None` where a part is not there.
    pub(crate) async fn read(&self, spots: &[Spot]) -> Result<Vec<Option<Bytes>>> {
        let pieces: Vec<Vec<Wanted>> = spots.iter().map(|spot| self.wanted(spot)).collect();
        let mut read = self.reader.read(&pieces.concat()).await?.into_iter();
        let join = |pieces: &Vec<Wanted>| {
            let parts: Option<Vec<Bytes>> = read.by_ref().take(pieces.len()).collect::<Vec<_>>().into_iter().collect();
            parts.map(|parts| match parts.as_slice() {
                [part] => part.clone(),
                parts => parts.concat().into(),
            })
        };
        Ok(pieces.iter().map(join).collect())
    }

    fn wanted(&self, spot: &Spot) -> Vec<Wanted> {
        let pieces = spot.pieces().into_iter().filter(|_| spot.size > 0);
        let wanted = pieces.map(|piece| Wanted {
            object: self.object(spot.pack, piece.part),
            from: piece.from as u64,
            to: piece.to as u64,
        });
        wanted.collect()
    }

    /// Another home was made without asking this one, and may need what is given up here.
    pub(crate) async fn has_been_left(&self) -> Result<bool> {
        Ok(self.has_rivals && self.mark().await?.is_none_or(|mark| mark.epoch > self.epoch))
    }

    /// Deletes the parts of a pack that was given up.
    pub(crate) async fn remove(&self, pack: PackId, parts: u64) -> Result<()> {
        let objects: Vec<Arc<str>> = (1..=parts).map(|part| self.object(pack, part)).collect();
        self.reader.forget(|object| objects.iter().any(|gone| **gone == *object));
        let delete = |object: Arc<str>| -> futures::future::BoxFuture<'_, Result<()>> {
            Box::pin(async move { Ok(self.bucket.delete(&object).await?) })
        };
        together::all(objects.into_iter().map(delete)).await.map(drop)
    }

    /// What does not hold of the parts of a pack: their names, and why.
    pub(crate) async fn check(&self, pack: PackId, size: u64) -> Result<Vec<(String, String)>> {
        let look = |part: u64| -> futures::future::BoxFuture<'_, Result<Option<(String, String)>>> {
            Box::pin(async move {
                let object = self.object(pack, part);
                let expected = (size - (part - 1) * Bulk::Bucket.part_bytes()).min(Bulk::Bucket.part_bytes());
                let held = self.bucket.head(&object).await?.map(|head| head.size);
                let why = match held {
                    Some(held) if held == expected => return Ok(None),
                    Some(held) => format!("it should have {expected} bytes and has {held}"),
                    None => "it is not there".to_owned(),
                };
                Ok(Some((format!("s3://{}/{object}", self.place.bucket), why)))
            })
        };
        let parts = (1..=Bulk::Bucket.parts(size)).map(look);
        Ok(together::all(parts).await?.into_iter().flatten().collect())
    }

    /// Answers when the bucket does, and is still this store's.
    pub(crate) async fn ready(&self) -> Result<()> {
        let gone =
            || StoreError::Corrupt { what: self.url(), reason: "the mark of this store is no longer there".into() };
        self.mark().await?.map(drop).ok_or_else(gone)
    }

    async fn mark(&self) -> Result<Option<Mark>, Fault> {
        let found = self.bucket.get(&self.name(BLOBS_MARK)).await?;
        Ok(found.map(|object| Mark::read(&object.content)))
    }

    /// Whose bytes are here. `Taken` where a store in S3 is.
    pub(crate) async fn owner(&self) -> Result<Option<Mark>, BucketError> {
        let failed = |fault| BucketError::new(&self.bucket.name, fault);
        let mark = self.mark().await.map_err(failed)?;
        if mark.is_none() && self.bucket.head(&self.name(S3_STORE_MARK)).await.map_err(failed)?.is_some() {
            return Err(self.taken("a store in S3"));
        }
        Ok(mark)
    }

    pub(crate) fn taken(&self, by: &str) -> BucketError {
        BucketError::Taken { place: self.url(), by: by.to_owned() }
    }

    /// Puts a mark where there is none. Gives whose is there then.
    pub(crate) async fn claim(&self, mark: &Mark) -> Result<Mark, BucketError> {
        match self.bucket.put_if(&self.name(BLOBS_MARK), mark.write(), &Condition::Absent).await {
            Ok(_) => Ok(mark.clone()),
            // Somebody was faster, or it was this very request, sent twice.
            Err(Fault::Precondition | Fault::Contended | Fault::Lost(_)) => {
                let there = self.owner().await?;
                there.ok_or_else(|| BucketError::new(&self.bucket.name, Fault::Contended))
            }
            Err(fault) => Err(BucketError::new(&self.bucket.name, fault)),
        }
    }

    /// Puts a mark in place of the one that is there.
    pub(crate) async fn renew(&self, mark: &Mark) -> Result<()> {
        Ok(self.bucket.put(&self.name(BLOBS_MARK), mark.write()).await?)
    }
}

impl Mark {
    fn write(&self) -> Bytes {
        format!("{MARK}\n{}\n{}\n{}\n", self.id, self.epoch, self.table).into()
    }

    /// One that cannot be read belongs to nobody that is known here.
    fn read(content: &[u8]) -> Self {
        let text = String::from_utf8_lossy(content);
        let mut lines = text.strip_prefix(MARK).unwrap_or_default().lines().skip(1);
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (id, epoch, table) = (next(), next(), next());
        Self { id, epoch: epoch.parse().unwrap_or(u64::MAX), table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_another_text_is_none() {
        let mark = Mark { id: "abc".into(), epoch: 3, table: "states".into() };
        assert_eq!(Mark::read(&mark.write()), mark);
        for other in [&b""[..], b"stateward-blobs 2\nabc\n3\nstates\n", b"\xFF\xFE"] {
            let read = Mark::read(other);
            assert!(read.id != "abc" && read.epoch == u64::MAX, "{read:?}");
        }
    }
}
