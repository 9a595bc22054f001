//! What can be asked of a store, wherever it is.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use stateward_core::audit::AuditItem;
use stateward_core::view::{
    Change, List, LockItem, Pruned, StateItem, Stored, TimelineItem, TxItem, Verified, VersionItem,
};
use stateward_core::{
    Adoption, Begin, BodyStream, Ending, LockRequest, Recover, Result, StateId, StatesQuery, VerifyProgress, Version,
};

/// A version's bytes on their way here.
pub struct Pulled {
    /// How many there will be, where that is known.
    pub size: Option<u64>,
    /// The bytes, exactly as they were stored.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

impl fmt::Debug for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulled").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Hears how far a verification has come.
pub type OnVerify<'a> = &'a mut (dyn FnMut(VerifyProgress) + Send);

/// A store on this machine, or a server.
///
/// Lists are whole unless a limit is given, however many requests that takes.
#[async_trait]
pub trait Connection: fmt::Debug + Send + Sync {
    /// Where it is: a URL without secrets.
    fn place(&self) -> String;

    /// The states there are.
    async fn states(&self, query: &StatesQuery) -> Result<List<StateItem>>;

    /// A state's versions, newest first; only those before `before`, at most `limit`.
    async fn history(
        &self,
        state: &StateId,
        before: Option<Version>,
        limit: Option<usize>,
    ) -> Result<List<VersionItem>>;

    /// A state's versions as they are recorded, newest first, without a look at what others may have written to a place that is shared
    /// with them. Empty where there never was one.
    async fn recorded(&self, state: &StateId) -> Result<List<VersionItem>>;

    /// The bytes of a version; of the current one unless told.
    async fn pull(&self, state: &StateId, version: Option<Version>) -> Result<Pulled>;

    /// Stores a body as it is. With `force` its lineage may be another; see [`push`](crate::push) for its serial.
    async fn store(&self, state: &StateId, body: BodyStream, force: bool) -> Result<Stored>;

    /// Takes in a version from elsewhere, with its bytes unless they are no longer kept; see [`copy`](crate::transfer::copy).
    async fn adopt(&self, state: &StateId, adoption: &Adoption, body: Option<BodyStream>) -> Result<Stored>;

    /// Makes an old version, or only some addresses of it, the current one.
    async fn restore(&self, state: &StateId, version: Version, only: &[String]) -> Result<Stored>;

    /// What changed from one version to another; from the one before the current to the current unless told.
    async fn diff(&self, state: &StateId, from: Option<Version>, to: Option<Version>) -> Result<List<Change>>;

    /// When an address came, changed and went.
    async fn timeline(&self, state: &StateId, address: &str) -> Result<List<TimelineItem>>;

    /// Deletes a state, under a lock where one is named; gives its last version, or nothing where there was no state.
    async fn delete(&self, state: &StateId, lock_id: Option<&str>) -> Result<Option<Version>>;

    /// Brings a deleted state back.
    async fn undelete(&self, state: &StateId) -> Result<Version>;

    /// Checks one state, or everything.
    async fn verify(&self, state: Option<&StateId>, progress: OnVerify<'_>) -> Result<Verified>;

    /// The locks held on one state, or on all.
    async fn locks(&self, state: Option<&StateId>) -> Result<List<LockItem>>;

    /// Terraform's POST: stores a body under the lock `lock_id`. `md5` is what its bytes have to have.
    async fn write(
        &self,
        state: &StateId,
        lock_id: Option<&str>,
        md5: Option<[u8; 16]>,
        body: BodyStream,
    ) -> Result<Stored>;

    /// Terraform's LOCK. Dropping the future gives up the place in the queue.
    async fn lock(&self, state: &StateId, request: LockRequest) -> Result<()>;

    /// Renews the lease of a lock that was taken with one.
    async fn renew(&self, state: &StateId, id: &str, lease: Duration) -> Result<()>;

    /// Terraform's UNLOCK: `raw` is the lock information that LOCK was sent; nothing or an ID alone is `force-unlock`.
    async fn unlock(&self, state: &StateId, raw: Bytes) -> Result<()>;

    /// Breaks the lock with this ID, or whatever is held; gives the IDs of what was released.
    async fn release(&self, state: &StateId, id: Option<&str>) -> Result<Vec<String>>;

    /// The transactions of one state, or of all: those that are open or wait, and with `ended` those of the last seven days.
    async fn transactions(&self, state: Option<&StateId>, ended: bool) -> Result<List<TxItem>>;

    /// Begins a transaction. Dropping the future gives up its place in the queue. It is kept alive by [`renew`](Self::renew).
    async fn begin(&self, state: &StateId, begin: Begin) -> Result<()>;

    /// The state as a transaction sees it; `None` where there was none.
    async fn pull_in(&self, state: &StateId, tx: &str) -> Result<Option<Pulled>>;

    /// Stores what a run writes in a transaction. `md5` is what its bytes have to have.
    async fn commit(&self, state: &StateId, tx: &str, md5: Option<[u8; 16]>, body: BodyStream) -> Result<Stored>;

    /// Ends a transaction.
    async fn finish(&self, state: &StateId, tx: &str, ending: Ending) -> Result<()>;

    /// Brings in what a transaction was to store.
    async fn recover(&self, state: &StateId, recover: Recover) -> Result<Stored>;

    /// The audit log, newest first.
    async fn audit(&self, state: Option<&StateId>, limit: Option<usize>) -> Result<List<AuditItem>>;

    /// Applies the retention rule and removes what nobody refers to.
    async fn prune(&self) -> Result<Pruned>;
}

/// One state as it stands in the list, deleted or not.
pub async fn find_state(connection: &dyn Connection, state: &StateId) -> Result<Option<StateItem>> {
    // The list is in order of `name@workspace`, so that the whole name, if it is there, comes first of all that start with it.
    let prefix = format!("{}@{}", state.name, state.workspace);
    let query = StatesQuery { prefix, limit: Some(1), deleted: true, after: None };
    let list = connection.states(&query).await?;
    Ok(list.items.into_iter().find(|item| item.state == state.name && item.workspace == state.workspace))
}
