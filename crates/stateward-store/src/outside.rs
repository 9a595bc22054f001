//! Somebody else's place for what a store keeps: where other programs look for the current bytes, and take a lock of their own.
//!
//! Terraform's `s3` backend is one: the state's object, a lock file beside it, an item in a lock table. A store that shares such a place
//! keeps its promises there too: the current bytes stand where the others look, and who holds the lock here holds theirs. What is
//! found there that is not ours is somebody else's, and never written over unseen.
//!
//! An implementation moves bytes and knows formats; it decides nothing. Its errors mean what they mean in [`crate::Store`].

mod lock_info;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::Result;

pub use lock_info::{LockInfo, OPERATION_PLAN, lock_id_in, lock_info_at, with_who};

/// What is kept, by its name and workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// `net/prod`.
    pub name: String,
    /// `default`, mostly.
    pub workspace: String,
}

/// Which bytes stand in a place: equal only for the same write (an `ETag`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark(Arc<str>);

impl Mark {
    /// Wraps the place's own token.
    pub fn new(token: impl Into<Arc<str>>) -> Self {
        Self(token.into())
    }

    /// The place's own token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A lock that others take too.
#[async_trait]
pub trait LockPlace: fmt::Debug + Send + Sync + 'static {
    /// Takes the others' lock. `info` is the lock information as it was sent, `id` the lock's ID in it. The lock is taken where it is
    /// held under this `id` already. Where the place has several locks, all are taken in the others' own order, or none.
    async fn lock(&self, at: &Spot, id: &str, info: &[u8]) -> Result<Taken>;

    /// Gives the others' lock back if it is held under `id`; a lock that is not there, or another's, is left as it is.
    async fn unlock(&self, at: &Spot, id: &str, info: &[u8]) -> Result<()>;

    /// Breaks the others' lock: the one held under `id`, or whatever is held. Gives the information of what was broken.
    async fn break_lock(&self, at: &Spot, id: Option<&str>) -> Result<Option<Bytes>>;

    /// Who holds the others' lock: their information as it stands there.
    async fn holder(&self, at: &Spot) -> Result<Option<Bytes>>;

    /// All locks that are held in the place, with the information as it stands there.
    async fn holders(&self) -> Result<Vec<(Spot, Bytes)>>;
}

/// A place where others look for the current bytes.
#[async_trait]
pub trait BytesPlace: fmt::Debug + Send + Sync + 'static {
    /// What stands there. With `known`, bytes that are known already need not be sent again. `Corrupt` where the place contradicts
    /// itself (a digest that is not that of the bytes).
    async fn read(&self, at: &Spot, known: Option<&Mark>) -> Result<Seen>;

    /// Puts bytes there in place of those that `expected` names (`None`: of nothing), with a label that [`BytesPlace::read`] gives
    /// back. `Conflict` where something else stands there now: it is not written over.
    async fn write(&self, at: &Spot, expected: Option<&Mark>, body: Outgoing) -> Result<Mark>;

    /// Removes the bytes that `expected` names; `Conflict` where others stand there.
    async fn delete(&self, at: &Spot, expected: &Mark) -> Result<()>;

    /// All that stands in the place, in any order.
    async fn list(&self) -> Result<Vec<(Spot, Mark)>>;
}

/// Whether a lock was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It was, or it was held under the same ID before.
    Yes,
    /// It is held: the holder's information as it stands there; empty where it cannot be read.
    Held(Bytes),
}

/// What stands in a place.
pub enum Seen {
    /// Nothing.
    Absent,
    /// The bytes that were known.
    Same,
    /// These.
    Bytes(Incoming),
}

/// Bytes on their way in.
pub struct Incoming {
    /// Which they are.
    pub mark: Mark,
    /// The label that they were written with; `None` where somebody else wrote them.
    pub label: Option<String>,
    /// How many.
    pub size: u64,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

/// Bytes on their way out.
pub struct Outgoing {
    /// At most 512 bytes of ASCII: what we call these bytes.
    pub label: String,
    /// How many.
    pub size: u64,
    /// Their MD5, hexadecimal: Terraform's digest of them.
    pub md5: String,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Same => f.write_str("Same"),
            Self::Bytes(incoming) => f
                .debug_struct("Bytes")
                .field("mark", &incoming.mark)
                .field("label", &incoming.label)
                .field("size", &incoming.size)
                .finish_non_exhaustive(),
        }
    }
}
