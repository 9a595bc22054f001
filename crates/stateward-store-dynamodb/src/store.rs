//! The engine.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stateward_store::{
    BlobId, BlobRef, Description, Entry, Horizon, Key, Listing, Live, Locator, NewBlob, Problem, Record, Result,
    Revision, Session, Store, StoreError, SweepPage, Write,
};
use stateward_store_aws::{Counter, Usage};
use tokio::sync::Mutex;

use crate::item::{Action, Condition};
use crate::open::Opener;
use crate::options::Options;
use crate::refusal::OpenError;
use crate::session::DynamoSession;
use crate::shared::{Shared, Unpublished};
use crate::table::Unwritten;

/// A note by itself makes a transaction of a plain write, which costs twice as much; in the record it costs its own bytes.
const GATHER: usize = 8;

/// Now, in seconds since 1970.
pub type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A store in a table.
#[derive(Debug)]
pub struct DynamoStore {
    opener: Opener,
    shared: std::sync::RwLock<Arc<Shared>>,
    /// One at a time looks for a home that has moved.
    moving: Mutex<()>,
}

impl DynamoStore {
    /// Opens a store, or begins one in a table that has none. `seed` is random: what this process calls its writes is made from it.
    pub async fn open(options: &Options, now: Now, seed: [u8; 32]) -> Result<Self, OpenError> {
        let opener = Opener::new(options, now, seed).await?;
        let shared = opener.open().await?;
        Ok(Self { opener, shared: std::sync::RwLock::new(Arc::new(shared)), moving: Mutex::new(()) })
    }

    /// What was asked of `DynamoDB` since the store was opened, and what it cost.
    pub fn usage(&self) -> Usage {
        self.opener.counter().usage()
    }

    /// The counter behind [`DynamoStore::usage`].
    pub fn counter(&self) -> &Counter {
        self.opener.counter()
    }

    pub(crate) fn options(&self) -> &Options {
        self.opener.options()
    }

    /// A client of the service at the home, which tries again by itself.
    pub(crate) fn client(&self) -> aws_sdk_dynamodb::Client {
        self.now_shared().table().clients.reads.clone()
    }

    fn now_shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// What is open, at the home as it is known.
    async fn current(&self) -> Result<Arc<Shared>> {
        let has_moved = |shared: &Shared| shared.table().fence.as_ref().is_some_and(|fence| fence.has_moved());
        let shared = self.now_shared();
        if !has_moved(&shared) {
            return Ok(shared);
        }
        let _only = self.moving.lock().await;
        let shared = self.now_shared();
        if !has_moved(&shared) {
            return Ok(shared);
        }
        let opened = Arc::new(self.opener.open().await?);
        *self.shared.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::clone(&opened);
        Ok(opened)
    }

    /// What is open, for a read: the home has been asked not long ago.
    async fn readable(&self) -> Result<Arc<Shared>> {
        let shared = self.current().await?;
        if let Some(fence) = &shared.table().fence
            && !shared.is_replica
        {
            fence.look(shared.table()).await?;
        }
        Ok(shared)
    }

    /// What is open, for a write.
    async fn writable(&self) -> Result<Arc<Shared>> {
        let shared = self.current().await?;
        shared.check_writable().map(|()| shared)
    }
}

#[async_trait]
impl Store for DynamoStore {
    fn describe(&self) -> Description {
        Description { engine: "dynamodb", location: self.opener.options().location() }
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.readable().await?.committer.records.get(key).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        self.readable().await?.committer.records.list(listing).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision> {
        let shared = self.writable().await?;
        shared.publish(&writes, &[]).await.map_err(|error| match error {
            Unpublished::Store(error) => error,
            Unpublished::Pack(_) => StoreError::Unavailable { retry_after: None, reason: "a pack is missing".into() },
        })
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<()> {
        let write = Write { key: key.clone(), value: None, expect: stateward_store::Expect::Revision(expect) };
        self.commit(vec![write]).await.map(drop)
    }

    fn session(&self, _home: &Key) -> Box<dyn Session> {
        let shared = self.now_shared();
        match shared.check_writable() {
            Ok(()) => Box::new(DynamoSession::new(shared)),
            Err(error) => Box::new(Refused(error)),
        }
    }

    async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        self.current().await?.get_blobs(refs).await
    }

    async fn begin_sweep(&self) -> Result<Horizon> {
        let shared = self.writable().await?;
        shared.rounds.begin(shared.table(), shared.layout()).await
    }

    async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage> {
        self.writable().await?.sweep(horizon, after, live).await
    }

    fn gather(&self) -> usize {
        GATHER
    }

    async fn ready(&self) -> Result<()> {
        let shared = self.readable().await?;
        shared.table().get(&shared.layout().meta("ready")).await?;
        if let Some(depot) = &shared.depot {
            depot.ready().await?;
        }
        if shared.is_replica {
            return Ok(());
        }
        // A write that is never done, since nothing is ever there, asks for the right to write.
        let never = Action::delete(shared.layout().meta("ready")).when(Condition::new("attribute_exists(W)"));
        match shared.table().write(&[never]).await {
            Ok(()) | Err(Unwritten::Conditions(_)) => Ok(()),
            Err(Unwritten::Store(error)) => Err(error),
        }
    }

    async fn verify(&self) -> Result<Vec<Problem>> {
        self.readable().await?.verify().await
    }

    async fn backup(&self, _to: &Path) -> Result<()> {
        Err(StoreError::Unsupported {
            what: "a backup to a file".into(),
            reason: "DynamoDB has backups of its own: switch on point-in-time recovery for the table, or copy the store to a file with `stateward state copy`".into(),
        })
    }
}

/// The session of a store that takes no writes.
struct Refused(StoreError);

#[async_trait]
impl Session for Refused {
    async fn share(&mut self, _ids: &[BlobId]) -> Result<Vec<Option<Locator>>> {
        Err(self.0.clone())
    }

    async fn put(&mut self, _blobs: Vec<NewBlob>) -> Result<Vec<Locator>> {
        Err(self.0.clone())
    }

    async fn commit(&mut self, _writes: Vec<Write>) -> Result<Revision> {
        Err(self.0.clone())
    }
}
