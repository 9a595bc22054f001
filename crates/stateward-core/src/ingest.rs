//! Taking a body in: cut, address, compress, hash and index it in one pass, whatever its size.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use md5::Md5;
use sha2::{Digest, Sha256};
use stateward_state::{Entry, ScanError, Scanner, Summary};
use stateward_store::body::{Grain, Sealer, Tree, TreeBuilder, Writer};
use stateward_store::{BlobId, Locator, NewBlob, Revision, Session, StoreError, Write};
use tokio::sync::mpsc;

use crate::backend::Backend;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::index;
use crate::name::StateId;
use crate::ops::BodyStream;

/// Bodies up to this size are worked on in place: handing them to other threads would cost more than it saves.
const INLINE_BYTES: usize = 128 << 10;
/// A lineage stands in every record of its state.
const LINEAGE_BYTES_MAX: usize = 1024;
/// Pieces on their way to each worker.
const QUEUE: usize = 8;

/// A body that is in the store, but not yet published.
pub(crate) struct Ingested {
    pub(crate) body: Taken,
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
    pub(crate) entries: Vec<Entry>,
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
        let work = Work::new(self, state, Grain::for_size(body.length));
        let done = match rest {
            None => work.inline(&first).await?,
            Some(rest) => work.spread(first, rest, size, limit).await?,
        };
        done.index(&self.shared.sealer).await
    }
}

fn check_size(size: u64, limit: u64) -> Result<()> {
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

/// The three workers of a body: hashes, scanner, and chunks.
struct Work {
    hashes: Hashes,
    scanner: Scanner,
    chunks: Chunks,
}

struct Hashes {
    sha256: Sha256,
    md5: Md5,
}

struct Chunks {
    writer: Writer,
    session: Counted,
}

struct Done {
    hashes: Hashes,
    summary: Result<Summary, ScanError>,
    body: Tree,
    session: Counted,
}

impl Work {
    fn new(backend: &Backend, state: &StateId, grain: Grain) -> Self {
        let session = Counted { inner: backend.shared.store.session(&Control::key(state)), bytes: 0 };
        Self {
            hashes: Hashes { sha256: Sha256::new(), md5: Md5::new() },
            scanner: Scanner::new(backend.shared.meaning_key),
            chunks: Chunks { writer: Writer::new(&backend.shared.sealer, grain), session },
        }
    }

    async fn inline(self, pieces: &[Bytes]) -> Result<Done> {
        let Self { mut hashes, mut scanner, mut chunks } = self;
        let mut fault = None;
        for piece in pieces {
            hashes.update(piece);
            fault = fault.or_else(|| scanner.feed(piece).err());
            chunks.writer.write(piece, &mut chunks.session).await?;
        }
        let summary = fault.map_or_else(|| scanner.finish(), Err);
        let body = chunks.writer.finish(&mut chunks.session).await?;
        Ok(Done { hashes, summary, body, session: chunks.session })
    }

    /// Gives each worker a thread of its own, so that a large body takes as long as the slowest of them.
    async fn spread(
        self,
        first: Vec<Bytes>,
        mut rest: futures::stream::BoxStream<'static, Result<Bytes>>,
        mut size: u64,
        limit: u64,
    ) -> Result<Done> {
        let Self { mut hashes, mut scanner, mut chunks } = self;
        let (to_hashes, mut pieces) = mpsc::channel::<Bytes>(QUEUE);
        let hashes = tokio::task::spawn_blocking(move || {
            while let Some(piece) = pieces.blocking_recv() {
                hashes.update(&piece);
            }
            hashes
        });
        let (to_scanner, mut pieces) = mpsc::channel::<Bytes>(QUEUE);
        let summary = tokio::task::spawn_blocking(move || {
            let mut fault = None;
            while let Some(piece) = pieces.blocking_recv() {
                fault = fault.or_else(|| scanner.feed(&piece).err());
            }
            fault.map_or_else(|| scanner.finish(), Err)
        });
        let (to_chunks, mut pieces) = mpsc::channel::<Bytes>(QUEUE);
        let runtime = tokio::runtime::Handle::current();
        let chunks = tokio::task::spawn_blocking(move || {
            runtime.block_on(async move {
                while let Some(piece) = pieces.recv().await {
                    chunks.writer.write(&piece, &mut chunks.session).await?;
                }
                let body = chunks.writer.finish(&mut chunks.session).await?;
                Ok::<_, StoreError>((body, chunks.session))
            })
        });
        let workers = [to_hashes, to_scanner, to_chunks];
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
            hashes: hashes.await.map_err(|_| stopped())?,
            summary: summary.await.map_err(|_| stopped())?,
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

fn stopped() -> Error {
    Error::new(Kind::Unavailable, "the state was not stored", "the server is stopping", "try again in a moment")
}

impl Hashes {
    fn update(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        self.md5.update(piece);
    }
}

impl Done {
    /// Writes the index of instances beside the body.
    async fn index(mut self, sealer: &Sealer) -> Result<Ingested> {
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
        entries.sort_unstable_by(|one, other| one.address.cmp(&other.address));
        let index = match summary.opaque || entries.iter().any(|entry| entry.address.len() > index::ADDRESS_BYTES_MAX) {
            true => None,
            false => {
                let mut tree = TreeBuilder::new(sealer.clone());
                for entry in &entries {
                    let (item, hash) = index::encode(entry);
                    tree.append(&item, hash, &mut self.session).await?;
                }
                Some(tree.done(&mut self.session).await?)
            }
        };
        let body = Taken {
            summary,
            sha256: hex::encode(self.hashes.sha256.finalize()),
            md5: self.hashes.md5.finalize().into(),
            tree: self.body,
            entries,
            index,
            stored_size: self.session.bytes,
        };
        Ok(Ingested { body, session: self.session })
    }
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
