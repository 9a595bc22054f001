//! The reference engine: everything in memory, under one lock, in the most obvious way.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    BlobId, BlobRef, Description, Entry, Expect, Horizon, Key, Listing, Live, Locator, NewBlob, Problem, Record,
    Result, Revision, Session, Store, StoreError, SweepPage, Write,
};

/// The largest value of a record.
const VALUE_BYTES_MAX: usize = 256 * 1024;
/// The largest sealed blob.
const BLOB_BYTES_MAX: usize = 1024 * 1024;
/// How many blobs one step of a sweep looks at.
const SWEEP_STEP_BLOBS: usize = 1024;

/// A store in memory. Clones are handles on the same store, so that a test can "reopen" it.
#[derive(Clone, Default)]
pub struct MemStore {
    state: Arc<Mutex<State>>,
    gather: usize,
}

#[derive(Default)]
struct State {
    records: BTreeMap<String, Row>,
    blobs: BTreeMap<BlobId, Blob>,
    /// Counts every write, so that no revision is ever given out twice.
    last_revision: u64,
    /// Counts sweeps.
    epoch: u64,
}

struct Row {
    revision: u64,
    value: Bytes,
}

struct Blob {
    /// The epoch in which it was last put, shared or published.
    epoch: u64,
    sealed: Bytes,
}

impl MemStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store that asks for small records to be gathered, as engines do whose records are requests.
    pub fn gathering(gather: usize) -> Self {
        Self { gather, ..Self::default() }
    }

    /// A panic elsewhere cannot leave the state half changed: every change is checked before it begins.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemStore")
            .field("records", &state.records.len())
            .field("blobs", &state.blobs.len())
            .field("epoch", &state.epoch)
            .finish()
    }
}

impl State {
    /// Checks every expectation before it changes anything.
    fn commit(&mut self, writes: Vec<Write>) -> Result<Revision> {
        if writes.is_empty() {
            return Err(StoreError::Unsupported {
                what: "a commit without writes".into(),
                reason: "its last write is what decides; name at least one".into(),
            });
        }
        for write in &writes {
            at_most(write.value.as_ref().map_or(0, Bytes::len), VALUE_BYTES_MAX)?;
            self.check(&write.key, &write.expect)?;
        }
        for write in writes {
            self.last_revision += 1;
            let key = write.key.as_str().to_owned();
            match write.value {
                Some(value) => {
                    let revision = self.last_revision;
                    self.records.insert(key, Row { revision, value });
                }
                None => drop(self.records.remove(&key)),
            }
        }
        Ok(token(self.last_revision))
    }

    fn check(&self, key: &Key, expect: &Expect) -> Result<()> {
        let current = self.records.get(key.as_str()).map(|row| token(row.revision));
        let holds = match expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Revision(expected) => current.as_ref() == Some(expected),
        };
        if holds { Ok(()) } else { Err(StoreError::Conflict { key: key.to_string(), current }) }
    }

    /// Notes that a blob is in use now; false where there is no such blob.
    fn stamp(&mut self, id: &BlobId) -> bool {
        let epoch = self.epoch;
        self.blobs.get_mut(id).is_some_and(|blob| {
            blob.epoch = epoch;
            true
        })
    }

    fn sweep(&mut self, horizon: Horizon, after: Option<u64>, live: &Live) -> SweepPage {
        let first = after.map_or(BlobId([0; 32]), first_with_prefix);
        let mut ids = self.blobs.range(first..).map(|(id, _)| *id);
        let step: Vec<BlobId> = ids.by_ref().take(SWEEP_STEP_BLOBS).collect();
        let next = ids.next().map(|id| prefix(&id));

        let mut page = SweepPage { next, deleted: 0, freed_bytes: 0 };
        for id in step {
            let dead = |blob: &Blob| blob.epoch + 1 < horizon.0 && !live.contains(&id);
            if self.blobs.get(&id).is_some_and(dead)
                && let Some(blob) = self.blobs.remove(&id)
            {
                page.deleted += 1;
                page.freed_bytes += blob.sealed.len() as u64;
            }
        }
        page
    }
}

#[async_trait]
impl Store for MemStore {
    fn describe(&self) -> Description {
        Description { engine: "memory", location: "memory:".into() }
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        Ok(self.lock().records.get(key.as_str()).map(record))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        let state = self.lock();
        let entries = state
            .records
            .range(listing.prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&listing.prefix))
            .filter(|(key, _)| listing.after.as_ref().is_none_or(|after| key.as_str() > after.as_str()))
            .take(listing.limit)
            .map(|(key, row)| Entry { key: Key::new(key.clone()), record: record(row) })
            .collect();
        Ok(entries)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision> {
        self.lock().commit(writes)
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<()> {
        let write = Write { key: key.clone(), value: None, expect: Expect::Revision(expect) };
        self.lock().commit(vec![write]).map(drop)
    }

    fn session(&self, _home: &Key) -> Box<dyn Session> {
        Box::new(MemSession { store: self.clone(), held: HashSet::new() })
    }

    fn gather(&self) -> usize {
        self.gather.max(1)
    }

    async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        let state = self.lock();
        let find = |blob: &BlobRef| match state.blobs.get(&blob.id) {
            Some(found) => Ok(found.sealed.clone()),
            None => Err(StoreError::NotFound { what: blob.id.to_string() }),
        };
        refs.iter().map(find).collect()
    }

    async fn begin_sweep(&self) -> Result<Horizon> {
        let mut state = self.lock();
        state.epoch += 1;
        Ok(Horizon(state.epoch))
    }

    async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage> {
        Ok(self.lock().sweep(horizon, after, &live))
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn verify(&self) -> Result<Vec<Problem>> {
        Ok(Vec::new())
    }

    async fn backup(&self, _to: &Path) -> Result<()> {
        Err(StoreError::Unsupported {
            what: "backup".into(),
            reason: "a store in memory ends with its process; use a `sqlite:` store to keep anything".into(),
        })
    }
}

/// Blobs go into the store as they are put: until a record refers to them they are only garbage to come.
struct MemSession {
    store: MemStore,
    held: HashSet<BlobId>,
}

#[async_trait]
impl Session for MemSession {
    async fn share(&mut self, ids: &[BlobId]) -> Result<Vec<Option<Locator>>> {
        let mut state = self.store.lock();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let exists = state.stamp(id);
            if exists {
                self.held.insert(*id);
            }
            found.push(exists.then(Locator::default));
        }
        Ok(found)
    }

    async fn put(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Locator>> {
        for blob in &blobs {
            at_most(blob.sealed.len(), BLOB_BYTES_MAX)?;
        }
        let mut state = self.store.lock();
        let mut locators = Vec::with_capacity(blobs.len());
        for NewBlob { id, sealed } in blobs {
            if !state.stamp(&id) {
                let epoch = state.epoch;
                state.blobs.insert(id, Blob { epoch, sealed });
            }
            self.held.insert(id);
            locators.push(Locator::default());
        }
        Ok(locators)
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Revision> {
        let mut state = self.store.lock();
        if let Some(lost) = self.held.iter().find(|id| !state.blobs.contains_key(id)) {
            return Err(StoreError::Unavailable {
                retry_after: None,
                reason: format!("blob {lost} was collected before it was published; start over"),
            });
        }
        let revision = state.commit(writes)?;
        for id in &self.held {
            state.stamp(id);
        }
        Ok(revision)
    }
}

fn record(row: &Row) -> Record {
    Record { value: row.value.clone(), revision: token(row.revision) }
}

fn token(revision: u64) -> Revision {
    Revision::new(revision.to_string())
}

fn at_most(size: usize, limit: usize) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(StoreError::TooLarge { size: size as u64, limit: limit as u64 })
}

/// A sweep's place: the first 8 bytes of the id of the next blob to look at.
fn prefix(id: &BlobId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.0[..8]);
    u64::from_be_bytes(bytes)
}

fn first_with_prefix(prefix: u64) -> BlobId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&prefix.to_be_bytes());
    BlobId(id)
}
