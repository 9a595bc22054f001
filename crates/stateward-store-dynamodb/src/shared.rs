//! What all parts of an open store have in common.

use std::sync::Arc;
use std::time::Duration;

use stateward_store::{Revision, StoreError, Write};
use tokio::sync::Semaphore;

use crate::commit::{Committer, Uncommitted};
use crate::depot::Depot;
use crate::home::Epoch;
use crate::item::Action;
use crate::places::Layout;
use crate::rounds::Rounds;
use crate::shelf::Shelf;
use crate::table::Table;

/// MiB of uploads under way, of all sessions together: to the table, and to a bucket.
pub(crate) const UPLOADS_MAX: usize = 8;
pub(crate) const BUCKET_UPLOADS_MAX: usize = 24;
/// How soon to start over when a pack was collected.
const AT_ONCE: Duration = Duration::ZERO;

/// An open store.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) epoch: Epoch,
    /// Only read, from what may be old.
    pub(crate) is_replica: bool,
    pub(crate) committer: Committer,
    pub(crate) rounds: Rounds,
    pub(crate) shelf: Shelf,
    /// Where the bytes of packs go, if not into the table.
    pub(crate) depot: Option<Depot>,
    pub(crate) uploads: Arc<Semaphore>,
}

/// Why something was not published.
pub(crate) enum Unpublished {
    /// The condition of one of the actions on packs does not hold.
    Pack(usize),
    /// Anything else.
    Store(StoreError),
}

impl Shared {
    pub(crate) fn table(&self) -> &Table {
        &self.committer.records.table
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.committer.records.layout
    }

    /// Writes records, and does what has to be done to packs in the same moment.
    pub(crate) async fn publish(&self, writes: &[Write], packs: &[Action]) -> Result<Revision, Unpublished> {
        self.committer.commit(writes, packs).await.map_err(|error| match error {
            Uncommitted::Further { index } => Unpublished::Pack(index),
            Uncommitted::Store(error) => Unpublished::Store(error),
        })
    }

    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        if !self.is_replica {
            return Ok(());
        }
        Err(StoreError::Unsupported {
            what: "a write through `read_replica=true`".into(),
            reason: format!("the store's home is {}; open the store without `read_replica`", self.epoch.region),
        })
    }
}

/// The answer to a session whose pack was collected.
pub(crate) fn start_over(pack: crate::pack::PackId) -> StoreError {
    StoreError::Unavailable {
        retry_after: Some(AT_ONCE),
        reason: format!("the pack {:016x} was collected before it was published; start over", pack.0),
    }
}
