//! The engine as its callers see it, and the life of its threads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use stateward_store::{
    BlobRef, Description, Entry, Expect, Horizon, Key, Listing, Live, Problem, Record, Result, Revision, Session,
    Store, StoreError, SweepPage, Write,
};
use tokio::sync::Semaphore;
use tracing::{debug, error};

use crate::checkpoint::{self, Bell};
use crate::open::{Options, open};
use crate::queue::{Lane, Queue};
use crate::readers::Readers;
use crate::refusal::OpenError;
use crate::schema::{self, Role};
use crate::session::SqliteSession;
use crate::stats::{Counters, Stats};
use crate::writer::{Revisions, Writer};
use crate::{backup, blobs, error::closed, records};

/// Bytes of blobs that may wait for the writer, of all sessions together. Sessions beyond it wait themselves.
const QUEUED_BLOB_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A store in one `SQLite` file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    /// The readers and the checkpointer.
    helpers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

/// What sessions need, too.
pub(crate) struct Shared {
    path: PathBuf,
    counters: Arc<Counters>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) readers: Readers,
    /// One permit for each byte of blobs that may wait for the writer.
    pub(crate) room: Arc<Semaphore>,
}

impl SqliteStore {
    /// Opens a database, or says why not. Blocks for some milliseconds.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let (path, mut writer) = open(options)?;
        let failed = |reason: String| OpenError::Failed { path: path.clone(), reason };
        let connect = |role| schema::connect(&path, role).map_err(|error| failed(error.to_string()));
        let checkpointer = connect(Role::Checkpointer)?;
        let readers = (0..options.readers.max(1)).map(|_| connect(Role::Reader)).collect::<Result<Vec<_>, _>>()?;

        let (queue, counters, bell) = (Arc::<Queue>::default(), Arc::<Counters>::default(), Arc::<Bell>::default());
        note_log(&mut writer, &queue, &counters, &bell).map_err(|error| failed(error.to_string()))?;
        let (readers, reading) = Readers::start(readers).map_err(|error| failed(error.to_string()))?;
        let room = Arc::new(Semaphore::new(QUEUED_BLOB_BYTES_MAX));
        let shared = Arc::new(Shared { path: path.clone(), counters, queue, readers, room });
        // From here on, dropping the store ends the threads that have been started.
        let mut store = Self { shared, bell, helpers: reading, writer: None };
        store.start_checkpointer(checkpointer).map_err(|error| failed(error.to_string()))?;
        store.start_writer(writer).map_err(|error| failed(error.to_string()))?;
        debug!(path = %path.display(), "opened the database");
        Ok(store)
    }

    /// Finishes what was asked for, carries the log over and closes the file. Dropping the store does the same.
    /// Blocks until it is done; sessions that are still open are then refused.
    pub fn close(self) {
        drop(self);
    }

    /// What the engine did since it was opened.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    fn start_checkpointer(&mut self, connection: Connection) -> std::io::Result<()> {
        let (bell, shared) = (Arc::clone(&self.bell), Arc::clone(&self.shared));
        let work = move || checkpoint::run(&connection, &bell, &shared.queue, &shared.counters);
        self.helpers.push(std::thread::Builder::new().name("sqlite-checkpoint".into()).spawn(work)?);
        Ok(())
    }

    fn start_writer(&mut self, connection: Connection) -> std::io::Result<()> {
        let (queue, counters) = (Arc::clone(&self.shared.queue), Arc::clone(&self.shared.counters));
        let writer = Writer { connection, queue, counters, revisions: Revisions::default() };
        let thread = std::thread::Builder::new().name("sqlite-writer".into());
        self.writer = Some(thread.spawn(move || writer.run())?);
        Ok(())
    }
}

/// Has `SQLite` report the length of the log after each transaction.
fn note_log(
    writer: &mut Connection,
    queue: &Arc<Queue>,
    counters: &Arc<Counters>,
    bell: &Arc<Bell>,
) -> rusqlite::Result<()> {
    let (queue, counters, bell) = (Arc::clone(queue), Arc::clone(counters), Arc::clone(bell));
    writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        let pages = u64::try_from(pages).unwrap_or(0);
        counters.log_pages.store(pages, Relaxed);
        bell.note(pages, &queue);
        Ok(())
    }))
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        let join = |thread: JoinHandle<()>| {
            if thread.join().is_err() {
                error!("a thread of the database panicked");
            }
        };
        self.bell.close();
        self.shared.readers.close();
        self.helpers.drain(..).for_each(join);
        // Last and alone: the last connection to close carries the log over and removes it, but not if two close at once.
        self.shared.queue.close();
        self.writer.take().into_iter().for_each(join);
        debug!(path = %self.shared.path.display(), "closed the database");
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.shared.path)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn describe(&self) -> Description {
        Description { engine: "sqlite", location: format!("sqlite:{}", self.shared.path.display()) }
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let key = key.clone();
        self.shared.readers.ask(move |connection| records::get(connection, &key)).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        let listing = listing.clone();
        self.shared.readers.ask(move |connection| records::list(connection, &listing)).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision> {
        let size = records::validate(&writes)?;
        let work = move |tx: &mut crate::writer::Tx<'_>| {
            records::check(tx, &writes)?;
            records::apply(tx, &writes)
        };
        self.shared.queue.ask(Lane::Small, size, work).await
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<()> {
        let write = Write { key: key.clone(), value: None, expect: Expect::Revision(expect) };
        self.commit(vec![write]).await.map(drop)
    }

    fn session(&self, _home: &Key) -> Box<dyn Session> {
        Box::new(SqliteSession::new(Arc::clone(&self.shared)))
    }

    async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        let refs = refs.to_vec();
        self.shared.readers.ask(move |connection| blobs::get(connection, &refs)).await
    }

    async fn begin_sweep(&self) -> Result<Horizon> {
        let epoch = self.shared.queue.ask(Lane::Small, 0, |tx| Ok(tx.next_epoch()?)).await?;
        u64::try_from(epoch).map(Horizon).map_err(|_| StoreError::Corrupt {
            what: "the count of collection rounds".into(),
            reason: "it is negative".into(),
        })
    }

    async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage> {
        self.shared.queue.ask(Lane::Bulk, 0, move |tx| blobs::sweep(tx, horizon, after, &live)).await
    }

    async fn ready(&self) -> Result<()> {
        self.shared.readers.ask(|connection| Ok(crate::writer::read_epoch(connection).map(drop)?)).await?;
        // An empty transaction takes the write lock and gives it back.
        self.shared.queue.ask(Lane::Small, 0, |_| Ok(())).await
    }

    async fn verify(&self) -> Result<Vec<Problem>> {
        let path = self.shared.path.clone();
        apart(move || backup::verify(&path)).await
    }

    async fn backup(&self, to: &Path) -> Result<()> {
        let (from, to) = (self.shared.path.clone(), to.to_path_buf());
        apart(move || backup::backup(&from, &to)).await
    }
}

/// Runs something long on a thread of its own, with a connection of its own, so that reads do not wait behind it.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(closed()))
}
