//! Blobs on their way in, and the commit that makes them count.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use stateward_store::{BlobId, Locator, NewBlob, Result, Revision, Session, StoreError, Write};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::blobs::{self, BLOB_BYTES_MAX};
use crate::error::closed;
use crate::queue::{Lane, answered};
use crate::records;
use crate::store::Shared;

/// Blobs are gathered up to this before they are written ahead of the commit. What is gathered at the commit goes with it.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// How many batches a session has under way, so that it can prepare the next while one is written.
const BATCHES_UNDER_WAY_MAX: usize = 2;

pub(crate) struct SqliteSession {
    shared: Arc<Shared>,
    /// All ids put or shared.
    known: HashSet<BlobId>,
    /// Those of them that are in the database, or on their way.
    held: Arc<Vec<BlobId>>,
    /// The oldest epoch with which any of `held` is stamped; `None` while there are none.
    since: Option<i64>,
    /// Not written yet.
    gathered: Vec<NewBlob>,
    gathered_bytes: usize,
    /// Batches not yet known to be written; each answers its epoch.
    under_way: VecDeque<oneshot::Receiver<Result<i64>>>,
    /// A batch was lost, and the session with it.
    broken: Option<StoreError>,
}

impl SqliteSession {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            known: HashSet::new(),
            held: Arc::default(),
            since: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            under_way: VecDeque::new(),
            broken: None,
        }
    }

    fn check_whole(&self) -> Result<()> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Notes that what was just added to `held` is stamped with `epoch` at least.
    fn stamped(&mut self, epoch: i64) {
        self.since = Some(self.since.map_or(epoch, |since| since.min(epoch)));
    }

    /// Sends what is gathered to the writer, once there is room in its queue.
    async fn send_batch(&mut self) -> Result<()> {
        let size = u32::try_from(self.gathered_bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.shared.room).acquire_many_owned(size).await;
        let room: OwnedSemaphorePermit = room.map_err(|_| closed())?;

        let batch = std::mem::take(&mut self.gathered);
        let bytes = std::mem::take(&mut self.gathered_bytes);
        Arc::make_mut(&mut self.held).extend(batch.iter().map(|blob| blob.id));
        let answer = self.shared.queue.submit(Lane::Bulk, bytes, move |tx| {
            // Room is given back when the task is dropped.
            let _ = &room;
            blobs::put(tx, &batch)
        });
        match answer {
            Ok(answer) => self.under_way.push_back(answer),
            Err(error) => return Err(self.broken.insert(error).clone()),
        }
        self.wait_until_under_way(BATCHES_UNDER_WAY_MAX).await
    }

    async fn wait_until_under_way(&mut self, most: usize) -> Result<()> {
        while self.under_way.len() > most
            && let Some(batch) = self.under_way.front_mut()
        {
            let written = answered(batch.await);
            self.under_way.pop_front();
            match written {
                Ok(epoch) => self.stamped(epoch),
                Err(error) => return Err(self.broken.insert(error).clone()),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Session for SqliteSession {
    async fn share(&mut self, ids: &[BlobId]) -> Result<Vec<Option<Locator>>> {
        self.check_whole()?;
        let unknown: Arc<[BlobId]> = ids.iter().filter(|id| !self.known.contains(id)).copied().collect();
        if !unknown.is_empty() {
            let asked = Arc::clone(&unknown);
            let fresh = self.shared.readers.ask(move |connection| blobs::look_up(connection, &asked)).await?;
            let found = if let Some(found) = fresh {
                found
            } else {
                let asked = Arc::clone(&unknown);
                let size = asked.len() * size_of::<BlobId>();
                self.shared.queue.ask(Lane::Small, size, move |tx| blobs::stamp(tx, &asked)).await?
            };
            let there = unknown.iter().zip(&found.exists).filter_map(|(id, exists)| exists.then_some(*id));
            for id in there {
                if self.known.insert(id) {
                    Arc::make_mut(&mut self.held).push(id);
                }
            }
            self.stamped(found.epoch);
        }
        Ok(ids.iter().map(|id| self.known.contains(id).then(Locator::default)).collect())
    }

    async fn put(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Locator>> {
        self.check_whole()?;
        if let Some(blob) = blobs.iter().find(|blob| blob.sealed.len() > BLOB_BYTES_MAX) {
            return Err(StoreError::TooLarge { size: blob.sealed.len() as u64, limit: BLOB_BYTES_MAX as u64 });
        }
        let locators = vec![Locator::default(); blobs.len()];
        for blob in blobs {
            if self.known.contains(&blob.id) {
                continue;
            }
            if self.gathered_bytes + blob.sealed.len() > BATCH_BYTES_MAX {
                self.send_batch().await?;
            }
            self.known.insert(blob.id);
            self.gathered_bytes += blob.sealed.len();
            self.gathered.push(blob);
        }
        Ok(locators)
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Revision> {
        self.check_whole()?;
        let size = self.gathered_bytes + records::validate(&writes)?;
        // Small tasks overtake bulky ones, so all batches have to be there first.
        self.wait_until_under_way(0).await?;

        let (held, since, gathered) = (Arc::clone(&self.held), self.since, self.gathered.clone());
        let publish = move |tx: &mut crate::writer::Tx<'_>| {
            records::check(tx, &writes)?;
            let epoch = tx.epoch()?;
            // While the epoch is the one of the stamps, nothing can have been deleted.
            if since.is_some_and(|since| since < epoch) {
                blobs::hold(tx, &held)?;
            }
            blobs::put(tx, &gathered)?;
            let revision = records::apply(tx, &writes)?;
            Ok((revision, epoch))
        };
        let (revision, epoch) = self.shared.queue.ask(Lane::Small, size, publish).await?;

        let gathered = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        if !gathered.is_empty() {
            Arc::make_mut(&mut self.held).extend(gathered.iter().map(|blob| blob.id));
            self.stamped(epoch);
        }
        Ok(revision)
    }
}
