//! What stands in the place as it is, digest, lock file and lock item each by itself: for who puts right what does not fit together.
//!
//! Nothing here is changed unless it still is exactly what was looked at.

use std::time::Duration;

use bytes::Bytes;
use stateward_store::outside::{LockInfo, Mark, Seen, Spot, lock_id_in as id_in};
use stateward_store::{Result, StoreError};
use stateward_store_aws::{Condition, Fault, Refused};

use super::bytes::conflict;
use super::{Inner, TerraformPlace};

/// The `ETag` of no object.
const NO_TAG: &str = "\"00000000000000000000000000000000\"";

/// One of Terraform's locks, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingLock {
    /// Where.
    pub kind: LockKind,
    /// The lock's ID; `None` where its information cannot be read.
    pub id: Option<String>,
    /// The information, to the byte.
    pub info: Bytes,
    /// When the storage says that it was written, since 1970; an item in a table does not say.
    pub written: Option<Duration>,
    /// The lock file's `ETag`.
    tag: Option<String>,
}

/// The two ways in which Terraform locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// An object beside the state.
    File,
    /// An item in the lock table.
    Item,
}

impl StandingLock {
    /// What it says of its holder; empty where it cannot be read.
    pub fn lock_info(&self) -> LockInfo {
        serde_json::from_slice(&self.info).unwrap_or_default()
    }

    /// A lock with this information, as if it stood somewhere.
    pub fn new(kind: LockKind, info: Bytes) -> Self {
        Self { kind, id: id_in(&info), info, written: None, tag: None }
    }
}

impl TerraformPlace {
    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.inner.spots.bucket
    }

    /// The object of a state: its name in the bucket.
    pub fn object(&self, at: &Spot) -> String {
        self.inner.spots.object(at)
    }

    /// True where locks are objects beside the states.
    pub fn uses_lockfile(&self) -> bool {
        self.inner.use_lockfile
    }

    /// The table of locks and digests, if there is one.
    pub fn lock_table(&self) -> Option<&str> {
        self.inner.table.as_ref().map(|table| table.name.as_str())
    }

    /// The bytes of a state, whatever its digest says.
    pub async fn read_unchecked(&self, at: &Spot) -> Result<Seen> {
        self.inner.fetch(at, None).await
    }

    /// The digest of a state: 32 hexadecimal digits. `None` where there is no table, no item, or no digest in it.
    pub async fn digest(&self, at: &Spot) -> Result<Option<String>> {
        match &self.inner.table {
            Some(table) => Ok(table.digest(&self.inner.spots.lock_id(at)).await?),
            None => Ok(None),
        }
    }

    /// Puts `new` (`None`: nothing) in place of a digest. `Conflict` where the digest is neither `old` nor `new` already.
    pub async fn replace_digest(&self, at: &Spot, old: Option<&str>, new: Option<&str>) -> Result<()> {
        let Some(table) = &self.inner.table else { return Ok(()) };
        let lock_id = self.inner.spots.lock_id(at);
        if table.replace_digest(&lock_id, old, new).await? || self.digest(at).await?.as_deref() == new {
            return Ok(());
        }
        Err(StoreError::Conflict { key: super::table::digest_id(&lock_id), current: None })
    }

    /// Puts bytes in place of those that `expected` names (`None`: of nothing), as plain Terraform would: without a label. The digest
    /// is left as it is. `Conflict` where other bytes stand there.
    pub async fn replace_bytes(&self, at: &Spot, expected: Option<&Mark>, content: Bytes) -> Result<Mark> {
        let inner = &*self.inner;
        let name = inner.spots.object(at);
        let condition = expected.map_or(Condition::Absent, |mark| Condition::Tag(mark.as_str().to_owned()));
        let mut last = Fault::Contended;
        for turn in 0..inner.tries {
            match inner.put_json_if(&name, content.clone(), &condition, None).await {
                Ok(tag) => return Ok(Mark::new(tag)),
                Err(fault) if fault.may_pass() || matches!(fault, Fault::Precondition | Fault::Lost(_)) => last = fault,
                Err(fault) => return Err(fault.into()),
            }
            // Without a label it is the bytes themselves that tell whether this was us.
            match inner.bucket.get(&name).await? {
                Some(there) if there.content == content => return Ok(Mark::new(there.tag)),
                there if there.as_ref().map(|there| there.tag.as_str()) == expected.map(Mark::as_str) => {}
                _ => return Err(conflict(&name)),
            }
            tokio::time::sleep(inner.wait(turn)).await;
        }
        Err(last.into())
    }

    /// The locks that stand on a state: the lock file, also where the options do not name it, and the item in the table.
    pub async fn standing_locks(&self, at: &Spot) -> Result<Vec<StandingLock>> {
        let inner = &*self.inner;
        let mut locks: Vec<StandingLock> = inner.standing_file(at).await?.into_iter().collect();
        if let Some(table) = &inner.table
            && let Some(info) = table.lock(&inner.spots.lock_id(at)).await?
        {
            locks.push(StandingLock::new(LockKind::Item, info.into()));
        }
        Ok(locks)
    }

    /// Refuses where a lock file that is taken could not be given back: asks for a delete of it under a condition that no object meets.
    /// For who has seen that nobody holds it; where the storage heeds no such condition, nothing is there to go.
    pub async fn may_give_file(&self, at: &Spot) -> Result<()> {
        let inner = &*self.inner;
        match inner.bucket.delete_if(&inner.spots.lock_file(at), NO_TAG).await {
            Err(fault @ Fault::Refused(Refused::Denied(_))) => Err(fault.into()),
            // Whatever else it says, it does not say that it may not be deleted.
            _ => Ok(()),
        }
    }

    /// Removes this very lock; false where it is gone, or another has come in its place.
    pub async fn remove_lock(&self, at: &Spot, lock: &StandingLock) -> Result<bool> {
        let inner = &*self.inner;
        match (lock.kind, &lock.tag, &inner.table) {
            (LockKind::Item, _, Some(table)) => {
                let info = String::from_utf8_lossy(&lock.info);
                Ok(table.delete_lock(&inner.spots.lock_id(at), &info).await?)
            }
            (LockKind::File, Some(tag), _) => inner.delete_file(&inner.spots.lock_file(at), tag).await,
            _ => Ok(false),
        }
    }
}

impl Inner {
    async fn standing_file(&self, at: &Spot) -> Result<Option<StandingLock>> {
        let answer = match self.bucket.reading(&self.spots.lock_file(at)).send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match self.bucket.fault("S3: GetObject", &error) {
                    Fault::Missing => Ok(None),
                    fault => Err(fault.into()),
                };
            }
        };
        let seconds = answer.last_modified.and_then(|at| u64::try_from(at.secs()).ok());
        let tag = answer.e_tag;
        let info = answer.body.collect().await.map_err(|error| StoreError::Unavailable {
            retry_after: None,
            reason: format!("S3: GetObject: the answer was cut short: {error}"),
        })?;
        let written = seconds.map(Duration::from_secs);
        Ok(Some(StandingLock { written, tag, ..StandingLock::new(LockKind::File, info.into_bytes()) }))
    }
}
