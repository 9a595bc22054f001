//! The contract between the core and a storage engine.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// A storage engine.
///
/// What every engine promises (the suite in [`crate::conformance`] tests each sentence):
///
/// - **Durable**: when `commit` or `delete` returns `Ok`, a crash or power loss does not undo it.
/// - **Atomic where it counts**: of the writes of one commit, all but the last may become visible before the last one; the last,
///   a compare-and-set, decides. If it loses, no compare-and-set record that the commit names has changed.
/// - **Linearizable records**: a `get` or `commit` that starts after a commit returned sees it. `list` sees all that was
///   committed before it started.
/// - **Honest**: an error other than `OutcomeUnknown` means that nothing was done. An engine never retries a compare-and-set by
///   itself in a way that could report a conflict with its own first try.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What this store is, for people and logs. Holds no secrets.
    fn describe(&self) -> Description;

    /// Reads one record.
    async fn get(&self, key: &Key) -> Result<Option<Record>>;

    /// Lists records whose key starts with `listing.prefix`, in byte order of their keys, after `listing.after`.
    async fn list(&self, listing: &Listing) -> Result<Vec<Entry>>;

    /// Writes records; the last write decides. Returns the new revision of the last one.
    async fn commit(&self, writes: Vec<Write>) -> Result<Revision>;

    /// Removes a record that is at `expect`.
    async fn delete(&self, key: &Key, expect: Revision) -> Result<()>;

    /// Opens a session in which blobs are written and at last published by one commit, which `home` decides: it is the last write
    /// of that commit. An engine may share blobs between sessions of one home only.
    fn session(&self, home: &Key) -> Box<dyn Session>;

    /// Reads blobs, in the order asked for, exactly as they were put.
    async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>>;

    /// Starts a collection round. Blobs that a session puts, shares or publishes from now on are safe from this round.
    async fn begin_sweep(&self) -> Result<Horizon>;

    /// Deletes, from `after` on, a bounded number of blobs that are neither live nor put, shared or published since the round
    /// *before* `horizon` began. A fresh blob that nobody refers to thus goes in the second round; one that has been there for longer may go in the first
    /// round that begins after it lost its last reference.
    async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage>;

    /// How many small records, of those that nobody waits for, are worth gathering in a record that is written anyway before they are
    /// written by themselves. More than one only where each record is a request that costs time and money.
    fn gather(&self) -> usize {
        1
    }

    /// Answers when the store can serve reads and writes.
    async fn ready(&self) -> Result<()>;

    /// Checks what the engine itself can check (pages, indexes, files), without knowing what the records mean.
    async fn verify(&self) -> Result<Vec<Problem>>;

    /// Writes a consistent copy of the whole store to a new file while serving.
    ///
    /// Engines whose storage has backups of its own answer `Unsupported`.
    async fn backup(&self, to: &std::path::Path) -> Result<()>;
}

/// Blobs on their way into the store, and the commit that makes them count.
///
/// A session that is dropped without a commit leaves nothing that a sweep does not remove.
#[async_trait]
pub trait Session: Send {
    /// Asks which of `ids` the store holds already, so that they need not be sealed and put again. `None` may also mean that
    /// finding out would cost more than putting.
    async fn share(&mut self, ids: &[BlobId]) -> Result<Vec<Option<Locator>>>;

    /// Takes blobs. They are durable no later than the commit of this session. Putting an id that is there already is fine.
    async fn put(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Locator>>;

    /// Like [`Store::commit`], and guarantees that every blob put or shared in this session exists at the moment the last write
    /// becomes visible, and can from then on only be removed by a round whose horizon was taken later.
    ///
    /// After `Conflict` the session is still good: rebuild the writes and commit again. After `Unavailable` because a shared
    /// blob has meanwhile been collected, start over.
    async fn commit(&mut self, writes: Vec<Write>) -> Result<Revision>;
}

/// A record's name: UTF-8, 1 to 1024 bytes, ordered by its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Makes a key. The core builds keys from validated names; an empty or over-long one is a bug there.
    pub fn new(key: impl Into<String>) -> Self {
        let key = key.into();
        debug_assert!(!key.is_empty() && key.len() <= 1024, "key of {} bytes", key.len());
        Self(key)
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which state of a record a reader saw. Opaque; equal only for the same write of the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Wraps an engine's own token (a counter, an `ETag`).
    pub fn new(token: impl Into<Arc<str>>) -> Self {
        Self(token.into())
    }

    /// The engine's token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The value, at most 256 KiB.
    pub value: Bytes,
    /// What a compare-and-set on this value expects.
    pub revision: Revision,
}

/// A record in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its value and revision.
    pub record: Record,
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only keys greater than this.
    pub after: Option<Key>,
    /// At most so many; at least one.
    pub limit: usize,
}

/// What a write expects to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// No record.
    Absent,
    /// The record at this revision.
    Revision(Revision),
    /// Whatever there is. Only for records whose key is unique to this commit, so that nobody else writes them.
    Any,
}

/// One record of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its name.
    pub key: Key,
    /// Its new value; `None` removes the record.
    pub value: Option<Bytes>,
    /// What has to be there.
    pub expect: Expect,
}

/// The address of a blob: a keyed hash of its plain content, made by [`crate::body`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where an engine put a blob, in its own terms (a pack and an offset); at most 64 bytes, often none.
///
/// Where a request costs more than bytes do, an engine may keep a small blob in its locator, with [`Locator::keeping`]. Such a blob is
/// there for as long as whoever refers to it: no sweep counts or deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Locator(pub Bytes);

/// The first byte of a locator that keeps its blob. Engines begin their own locators with another.
const KEPT: u8 = 0xFF;

impl Locator {
    /// The most bytes of a blob that a locator keeps.
    pub const KEPT_BYTES_MAX: usize = 24 << 10;

    /// A locator that is the blob.
    pub fn keeping(sealed: &[u8]) -> Self {
        debug_assert!(sealed.len() <= Self::KEPT_BYTES_MAX, "{} bytes in a locator", sealed.len());
        let mut bytes = Vec::with_capacity(1 + sealed.len());
        bytes.push(KEPT);
        bytes.extend_from_slice(sealed);
        Self(bytes.into())
    }

    /// The blob, where the locator keeps it.
    pub fn kept(&self) -> Option<Bytes> {
        (self.0.first() == Some(&KEPT)).then(|| self.0.slice(1..))
    }
}

/// A blob and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// Its address.
    pub id: BlobId,
    /// What `share` or `put` answered for it.
    pub locator: Locator,
}

/// A sealed blob to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlob {
    /// Its address.
    pub id: BlobId,
    /// Header and (compressed) content, at most 1 MiB.
    pub sealed: Bytes,
}

/// The start of a collection round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon(pub u64);

/// The blobs that records refer to. Holds 8 bytes of each id: a collision keeps a dead blob, it never frees a live one.
#[derive(Debug, Default)]
pub struct Live(std::collections::HashSet<u64>);

impl Live {
    /// Notes a blob that is referred to; false where it was noted before.
    pub fn insert(&mut self, id: &BlobId) -> bool {
        self.0.insert(Self::short(id))
    }

    /// True where the blob must stay.
    pub fn contains(&self, id: &BlobId) -> bool {
        self.0.contains(&Self::short(id))
    }

    /// How many blobs are referred to.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where nothing is referred to.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn short(id: &BlobId) -> u64 {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&id.0[..8]);
        u64::from_be_bytes(prefix)
    }
}

/// One step of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepPage {
    /// Where the next step starts; `None` when the round is over.
    pub next: Option<u64>,
    /// Blobs deleted in this step.
    pub deleted: u64,
    /// Bytes of them.
    pub freed_bytes: u64,
}

/// What a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `sqlite`, `memory`, `s3`, `dynamodb`.
    pub engine: &'static str,
    /// Where it is, as its URL without secrets.
    pub location: String,
}

/// Something that an engine found wrong with itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The page, file, key or blob.
    pub what: String,
    /// What does not hold.
    pub why: String,
}
