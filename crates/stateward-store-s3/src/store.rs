//! The engine as its callers see it.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use bytes::Bytes;
use stateward_store::{
    BlobId, BlobRef, Description, Entry, Expect, Horizon, Key, Listing, Live, Problem, Record, Result, Revision,
    Session, Store, StoreError, SweepPage, Write,
};
use stateward_store_aws::{Counter, Ids};
use tokio::sync::Semaphore;

use crate::hold::Hold;
use crate::options::Options;
use crate::pack::{PackName, Span};
use crate::read::{Packs, Place, place_of};
use crate::records::{Found, Put, Records};
use crate::session::S3Session;
use crate::shelf::Shelves;

/// Bytes of packs that may be under way, of all sessions together.
pub(crate) const UPLOAD_BYTES_MAX: usize = 24 << 20;
/// Small records that are worth gathering before they are written: each would be a request.
const GATHERED: usize = 32;
/// The record that counts rounds of collection.
const ROUND: &str = "round";
/// Lost races after which a new round is given up.
const RACES_MAX: usize = 64;

/// A store in an S3 bucket. Cheap to clone; clones are handles on the same store.
#[derive(Clone)]
pub struct S3Store {
    pub(crate) shared: Arc<Shared>,
}

/// What sessions need, too.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) configuration: SdkConfig,
    pub(crate) counter: Counter,
    pub(crate) ids: Arc<Ids>,
    /// What the core keeps.
    pub(crate) records: Records,
    /// What the engine keeps for itself.
    pub(crate) meta: Records,
    pub(crate) packs: Packs,
    pub(crate) shelves: Shelves,
    /// One permit for each byte of packs that may be under way.
    pub(crate) upload_bytes: Arc<Semaphore>,
}

impl Shared {
    /// The latest round of collection.
    pub(crate) async fn round(&self) -> Result<u64> {
        round_of(self.meta.read(ROUND).await?.as_ref())
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.ids.number()
    }
}

fn round_of(found: Option<&Found>) -> Result<u64> {
    let Some(found) = found else { return Ok(0) };
    let text = std::str::from_utf8(&found.value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| StoreError::Corrupt {
        what: "the count of collection rounds".into(),
        reason: "it is not a number".into(),
    })
}

impl S3Store {
    /// Counts the requests that this store sends.
    pub fn requests(&self) -> &Counter {
        &self.shared.counter
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("options", &self.shared.options)
            .field("requests", &self.shared.counter)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for S3Store {
    fn describe(&self) -> Description {
        Description { engine: "s3", location: self.shared.options.location() }
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        Ok(self.shared.records.read(key.as_str()).await?.and_then(Found::record))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        self.shared.records.list(listing).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision> {
        self.shared.records.commit(writes, &mut Hold::default()).await
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<()> {
        let write = Write { key: key.clone(), value: None, expect: Expect::Revision(expect) };
        self.shared.records.decide(&write, &mut Hold::default()).await.map(drop)
    }

    fn session(&self, home: &Key) -> Box<dyn Session> {
        Box::new(S3Session::new(Arc::clone(&self.shared), home))
    }

    async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        // Before the packs are read: one that can be read now had not been given up by then.
        let lesson = Lesson::new(&self.shared, refs)?;
        let blobs = self.shared.packs.read(refs).await?;
        lesson.learn(&self.shared);
        Ok(blobs)
    }

    async fn begin_sweep(&self) -> Result<Horizon> {
        let meta = &self.shared.meta;
        let mut found = meta.read(ROUND).await?;
        for _ in 0..RACES_MAX {
            let next = round_of(found.as_ref())?.saturating_add(1);
            let base = found.as_ref().map(|found| &found.known);
            let upkeep = crate::envelope::Upkeep::default();
            match meta.put(ROUND, base, Some(next.to_string().as_bytes()), upkeep).await? {
                Put::Done(_) => return Ok(Horizon(next)),
                Put::Other(other) => found = other,
            }
        }
        Err(StoreError::Unavailable { retry_after: None, reason: "others begin rounds all the time".into() })
    }

    async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage> {
        crate::sweep::step(&self.shared, horizon, after, &live).await
    }

    fn gather(&self) -> usize {
        GATHERED
    }

    async fn ready(&self) -> Result<()> {
        self.shared.round().await.map(drop)
    }

    async fn verify(&self) -> Result<Vec<Problem>> {
        crate::verify::verify(&self.shared).await
    }

    async fn backup(&self, _to: &Path) -> Result<()> {
        Err(StoreError::Unsupported {
            what: "backup".into(),
            reason: "the bucket has backups of its own: turn on versioning, or replicate it to another one".into(),
        })
    }
}

/// What a read tells about which blobs are where.
struct Lesson {
    packs: HashMap<PackName, (u64, Vec<(BlobId, Span)>)>,
}

impl Lesson {
    /// Of homes whose record is known, the packs that it does not give up.
    fn new(shared: &Shared, refs: &[BlobRef]) -> Result<Self> {
        let mut packs: HashMap<PackName, (u64, Vec<(BlobId, Span)>)> = HashMap::new();
        for blob in refs {
            let Place::Packed(pack, span) = place_of(blob)? else { continue };
            if let Some((_, blobs)) = packs.get_mut(&pack) {
                blobs.push((blob.id, span));
            } else if let Some(known) = shared.records.known(pack.home)
                && !known.header.upkeep.dropped.contains(&pack.id())
            {
                packs.insert(pack, (known.header.upkeep.round, vec![(blob.id, span)]));
            }
        }
        Ok(Self { packs })
    }

    fn learn(self, shared: &Shared) {
        for (pack, (round, blobs)) in self.packs {
            shared.shelves.learn(pack, round, blobs);
        }
    }
}
