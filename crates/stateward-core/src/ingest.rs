//! Taking a body in: cut, address, compress, hash and index it in one pass, whatever its size.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use md5::Md5;
use sha2::{Digest, Sha256};
use stateward_state::{Entry, ScanError, Scanner, Summary};
use stateward_store::body::{Grain, ListWriter, Tree, Writer};
use stateward_store::{BlobId, Locator, NewBlob, Revision, Session, StoreError, Write};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::backend::Backend;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::index;
use crate::name::StateId;
use crate::ops::{Base, BodyStream};

/// Bodies up to this size are worked on in place: handing them to other threads would cost more than it saves.
pub(crate) const INLINE_BYTES: usize = 128 << 10;
/// A lineage stands in every record of its state.
const LINEAGE_BYTES_MAX: usize = 1024;
/// Pieces on their way to each worker.
const QUEUE: usize = 8;
/// So many entries are compared with the head's on another thread than the one that writes their index.
const MANY: usize = 4096;

/// A body that is in the store, but not yet published.
pub(crate) struct Ingested {
    pub(crate) body: Taken,
    pub(crate) base: Base,
    /// Keeps its blobs until they are published.
    pub(crate) session: Counted,
}

/// What is known of a body that was taken in.
pub(crate) struct Taken {
    pub(crate) summary: Summary,
    pub(crate) sha256: String,
    pub(crate) md5: [u8; 16],
    pub(crate) tree: Tree,
    /// Instances and outputs, sorted by address.
    pub(crate) entries: Arc<Vec<Entry>>,
    pub(crate) index: Option<Tree>,
    pub(crate) stored_size: u64,
}

impl Backend {
    /// Streams a body into the store. Memory stays bounded but for the index of its instances.
    pub(crate) async fn ingest(&self, state: &StateId, mut body: BodyStream) -> Result<Ingested> {
        let limit = self.settings().limits.body_bytes;
        let mut first: Vec<Bytes> = Vec::new();
        let mut size = 0u64;
        let mut rest = None;
        while let Some(piece) = body.bytes.next().await {
            let piece = piece?;
            size += piece.len() as u64;
            check_size(size, limit)?;
            first.push(piece);
            if size > INLINE_BYTES as u64 {
                rest = Some(body.bytes);
                break;
            }
        }
        let grain = Grain::for_size(body.length);
        let work = Work::new(self, state, grain);
        let done = match rest {
            None => work.inline(&first).await?,
            Some(rest) => work.spread(first, rest, size, limit).await?,
        };
        done.index(self, state, grain).await
    }
}

pub(crate) fn check_size(size: u64, limit: u64) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(Error::new(
        Kind::TooLarge,
        "the state was not stored",
        format!("it is larger than the limit of {limit} bytes"),
        "raise `limits.body_bytes` in stateward.toml, or split the state",
    ))
}

/// The three workers of a body.
struct Work {
    hashes: Hashes,
    scan: Scan,
    chunks: Chunks,
}

struct Done {
    digests: Digests,
    summary: Result<Summary, ScanError>,
    body: Tree,
    session: Counted,
}

impl Work {
    fn new(backend: &Backend, state: &StateId, grain: Grain) -> Self {
        let session = Counted { inner: backend.shared.store.session(&Control::key(state)), bytes: 0 };
        Self {
            hashes: Hashes { sha256: Sha256::new(), md5: Md5::new() },
            scan: Scan { scanner: Scanner::new(backend.shared.meaning_key), fault: None },
            chunks: Chunks { writer: Writer::new(&backend.shared.sealer, grain), session },
        }
    }

    async fn inline(self, pieces: &[Bytes]) -> Result<Done> {
        let Self { mut hashes, mut scan, mut chunks } = self;
        for piece in pieces {
            hashes.take(piece)?;
            scan.take(piece)?;
            chunks.writer.write(piece, &mut chunks.session).await?;
        }
        let body = chunks.writer.finish(&mut chunks.session).await?;
        Ok(Done { digests: hashes.finish()?, summary: scan.finish()?, body, session: chunks.session })
    }

    /// Gives each worker a thread of its own, so that a large body takes as long as the slowest of them.
    async fn spread(
        self,
        first: Vec<Bytes>,
        mut rest: futures::stream::BoxStream<'static, Result<Bytes>>,
        mut size: u64,
        limit: u64,
    ) -> Result<Done> {
        let (to_hashes, pieces) = mpsc::channel(QUEUE);
        let hashes = tokio::spawn(work_off(self.hashes, pieces));
        let (to_scan, pieces) = mpsc::channel(QUEUE);
        let scan = tokio::spawn(work_off(self.scan, pieces));
        let (to_chunks, pieces) = mpsc::channel(QUEUE);
        let chunks = tokio::spawn(work_off(self.chunks, pieces));
        let workers = [to_hashes, to_scan, to_chunks];
        for piece in first {
            hand_out(&workers, piece).await;
        }
        while let Some(piece) = rest.next().await {
            let piece = piece?;
            size += piece.len() as u64;
            check_size(size, limit)?;
            if !hand_out(&workers, piece).await {
                break;
            }
        }
        drop(workers);
        let (body, session) = chunks.await.map_err(|_| stopped())??;
        Ok(Done {
            digests: hashes.await.map_err(|_| stopped())??,
            summary: scan.await.map_err(|_| stopped())??,
            body,
            session,
        })
    }
}

/// False where a worker has given up; its own result says why.
async fn hand_out(workers: &[mpsc::Sender<Bytes>; 3], piece: Bytes) -> bool {
    for worker in workers {
        if worker.send(piece.clone()).await.is_err() {
            return false;
        }
    }
    true
}

/// Has a worker do all pieces. A thread is held only while there are some, so a slow client holds none.
async fn work_off<W: Worker>(mut worker: W, mut pieces: mpsc::Receiver<Bytes>) -> Result<W::Done> {
    while let Some(piece) = pieces.recv().await {
        let work = move || {
            worker.take(&piece)?;
            while let Ok(piece) = pieces.try_recv() {
                worker.take(&piece)?;
            }
            Ok::<_, StoreError>((worker, pieces))
        };
        (worker, pieces) = tokio::task::spawn_blocking(work).await.map_err(|_| stopped())??;
    }
    Ok(tokio::task::spawn_blocking(move || worker.finish()).await.map_err(|_| stopped())??)
}

pub(crate) fn stopped() -> Error {
    Error::new(Kind::Unavailable, "the state was not stored", "the server is stopping", "try again in a moment")
}

/// What is done with every piece of a body. May block.
trait Worker: Send + Sized + 'static {
    type Done: Send + 'static;

    fn take(&mut self, piece: &[u8]) -> Result<(), StoreError>;

    fn finish(self) -> Result<Self::Done, StoreError>;
}

struct Hashes {
    sha256: Sha256,
    md5: Md5,
}

struct Digests {
    sha256: String,
    md5: [u8; 16],
}

impl Worker for Hashes {
    type Done = Digests;

    fn take(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.sha256.update(piece);
        self.md5.update(piece);
        Ok(())
    }

    fn finish(self) -> Result<Digests, StoreError> {
        Ok(Digests { sha256: hex::encode(self.sha256.finalize()), md5: self.md5.finalize().into() })
    }
}

struct Scan {
    scanner: Scanner,
    /// Why it is no state. It is read to its end all the same.
    fault: Option<ScanError>,
}

impl Worker for Scan {
    type Done = Result<Summary, ScanError>;

    fn take(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        if self.fault.is_none() {
            self.fault = self.scanner.feed(piece).err();
        }
        Ok(())
    }

    fn finish(self) -> Result<Self::Done, StoreError> {
        Ok(self.fault.map_or_else(|| self.scanner.finish(), Err))
    }
}

struct Chunks {
    writer: Writer,
    session: Counted,
}

impl Worker for Chunks {
    type Done = (Tree, Counted);

    fn take(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        Handle::current().block_on(self.writer.write(piece, &mut self.session))
    }

    fn finish(mut self) -> Result<Self::Done, StoreError> {
        Ok((Handle::current().block_on(self.writer.finish(&mut self.session))?, self.session))
    }
}

impl Done {
    /// Writes the index of instances beside the body, and counts meanwhile what changes.
    async fn index(mut self, backend: &Backend, state: &StateId, grain: Grain) -> Result<Ingested> {
        let mut summary = self.summary.map_err(|error| {
            Error::new(
                Kind::Invalid,
                "the state was not stored",
                error.to_string(),
                "send the whole state file as Terraform or OpenTofu writes it",
            )
        })?;
        if summary.lineage.len() > LINEAGE_BYTES_MAX {
            return Err(Error::new(
                Kind::Invalid,
                "the state was not stored",
                format!("its lineage is longer than {LINEAGE_BYTES_MAX} bytes"),
                "send a state that Terraform or OpenTofu wrote: their lineages are UUIDs",
            ));
        }
        let mut entries = std::mem::take(&mut summary.instances);
        entries.append(&mut summary.outputs);
        // Stable sorting makes one pass of two sorted runs.
        entries.sort_by(|one, other| one.address.cmp(&other.address));
        let entries = Arc::new(entries);
        let opaque = summary.opaque;
        let counting = {
            let (backend, state, entries) = (backend.clone(), state.clone(), entries.clone());
            async move { backend.base(&state, &entries, opaque).await }
        };
        let counting = async {
            match entries.len() < MANY {
                true => counting.await,
                false => tokio::spawn(counting).await.map_err(|_| stopped())?,
            }
        };
        let list = ListWriter::new(&backend.shared.sealer, grain);
        let indexing = write_index(&entries, opaque, list, &mut self.session);
        let (base, index) = futures::try_join!(counting, indexing)?;
        let body = Taken {
            summary,
            sha256: self.digests.sha256,
            md5: self.digests.md5,
            tree: self.body,
            entries,
            index,
            stored_size: self.session.bytes,
        };
        Ok(Ingested { body, base, session: self.session })
    }
}

async fn write_index(
    entries: &[Entry],
    opaque: bool,
    mut list: ListWriter,
    session: &mut Counted,
) -> Result<Option<Tree>> {
    if opaque || entries.iter().any(|entry| entry.address.len() > index::ADDRESS_BYTES_MAX) {
        return Ok(None);
    }
    let mut item = Vec::new();
    for entry in entries {
        let hash = index::encode(entry, &mut item);
        list.append(&item, hash, session).await?;
    }
    Ok(Some(list.done(session).await?))
}

/// A session that counts what it puts.
pub(crate) struct Counted {
    inner: Box<dyn Session>,
    bytes: u64,
}

#[async_trait]
impl Session for Counted {
    async fn share(&mut self, ids: &[BlobId]) -> Result<Vec<Option<Locator>>, StoreError> {
        self.inner.share(ids).await
    }

    async fn put(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Locator>, StoreError> {
        self.bytes += blobs.iter().map(|blob| blob.sealed.len() as u64).sum::<u64>();
        self.inner.put(blobs).await
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Revision, StoreError> {
        self.inner.commit(writes).await
    }
}
