//! Moving a state: copied under a lock, compared, and only then deleted where it was.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{self, Either};
use sha2::{Digest, Sha256};
use stateward_core::{Error, Kind, LockInfo, LockRequest, Result, StateId, Timestamp, Version};

use super::copy::{self, Copied};
use super::{Found, Held, OnTransfer, Origin, copy as copy_versions};
use crate::connection::Connection;

/// How the lock says what it is for.
const OPERATION: &str = "state-move";

/// What is to be moved, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Relocation<'a> {
    /// Where it is.
    pub from: &'a dyn Connection,
    /// What it is called there.
    pub source: &'a StateId,
    /// Where it shall be.
    pub to: &'a dyn Connection,
    /// What it shall be called there.
    pub target: &'a StateId,
    /// Who moves it; stands in the lock.
    pub who: &'a str,
    /// The version of the program; stands in the lock.
    pub tool: &'a str,
    /// Now; stands in the lock.
    pub now: Timestamp,
}

/// What a move came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What was copied.
    pub copied: Copied,
    /// The version that was deleted at the source; nothing where an earlier try got so far.
    pub deleted: Option<Version>,
}

/// Moves a state with all its versions. At the source it is then deleted, with its history, and can be undeleted.
///
/// It is held all the while by a lock of our own, whose ID depends on what is moved where and by whom: so a move that was killed takes
/// its own lock up again, and goes on where it stopped. Where `interrupted` ends first, the lock is given back, and the move fails.
pub async fn relocate(
    relocation: Relocation<'_>,
    interrupted: impl Future<Output = ()> + Send,
    progress: OnTransfer<'_>,
) -> Result<Moved> {
    let Relocation { from, source, .. } = relocation;
    // A lock makes a name known: ask first, so that none is left on a name that is none.
    from.history(source, None, Some(1)).await?;
    let info = relocation.lock_info();
    let raw = Bytes::from(serde_json::to_vec(&info).unwrap_or_default());
    let request = LockRequest { raw: raw.clone(), wait: Some(Duration::ZERO), lease: None };
    from.lock(source, request).await.map_err(|error| relocation.locked_out(&error))?;
    let arrived = match future::select(pin!(relocation.bring(&info.id, progress)), pin!(interrupted)).await {
        Either::Left((arrived, _)) => arrived,
        Either::Right(((), _)) => Err(relocation.broken_off()),
    };
    // From here on nothing interrupts it: a deletion is sent or not, and never half.
    let moved = match arrived {
        Ok(arrived) => relocation.leave(&info.id, arrived).await,
        Err(error) => Err(error),
    };
    let unlocked = from.unlock(source, raw).await;
    moved.and_then(|moved| unlocked.map(|()| moved))
}

/// The lock for an operation on `parts`. Its ID follows from these and from who does it: so who was cut off takes the lock up again.
pub fn own_lock(operation: &str, parts: &[&str], info: String, who: &str, tool: &str, now: Timestamp) -> LockInfo {
    let mut hasher = Sha256::new();
    for text in [operation].iter().chain(parts).chain([&who]) {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    let hex = hex::encode(hasher.finalize());
    LockInfo {
        // In the form of a UUID, as Terraform's own are.
        id: format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]),
        operation: operation.to_owned(),
        info,
        who: who.to_owned(),
        version: tool.to_owned(),
        created: now.to_string(),
        path: String::new(),
    }
}

/// Everything is at the target.
struct Arrived {
    copied: Copied,
    /// An earlier try has deleted it at the source.
    is_left: bool,
}

impl Relocation<'_> {
    fn lock_info(&self) -> LockInfo {
        let to = format!("{} in {}", self.target, self.to.place());
        let parts = [&self.from.place(), &self.source.to_string(), &to];
        own_lock(OPERATION, &parts.map(String::as_str), format!("to {to}"), self.who, self.tool, self.now)
    }

    /// Sees to it that everything is at the target.
    async fn bring(&self, lock: &str, progress: OnTransfer<'_>) -> Result<Arrived> {
        let Self { from, source, to, target, .. } = *self;
        // By another name it may be the very state that we just locked: then it would be deleted in both places.
        if to.locks(Some(target)).await?.items.iter().any(|held| held.id == lock) {
            let why = format!("{} in {} is the same state as {} in {}", target, to.place(), source, from.place());
            return Err(Error::new(
                Kind::Invalid,
                self.not_moved(),
                why,
                "move it to another name, or to another store",
            ));
        }
        let origin = Held::new(from, source);
        let mut found = origin.versions().await?;
        if !found.iter().any(|found| found.current) {
            return self.look_back(&origin, &mut found, progress).await;
        }
        let copied = copy_versions(&origin, to, target, progress).await?;
        if copied.let_go > 0 {
            let why = "the retention rule at the target has already let go of old versions that are still kept here";
            let next = format!("if they may go: stateward state delete {source}");
            return Err(Error::new(Kind::Conflict, self.not_moved(), why, next));
        }
        Ok(Arrived { copied, is_left: false })
    }

    /// The source is deleted: by an earlier try, if everything is at the target.
    async fn look_back(&self, origin: &Held<'_>, found: &mut [Found], progress: OnTransfer<'_>) -> Result<Arrived> {
        let there = copy::history(self.to, self.target).await?;
        let current = there.iter().position(|item| item.head);
        match current.and_then(|current| found.get_mut(current)) {
            Some(found) => found.current = true,
            None => {
                let why = "it is deleted";
                let next = format!("bring it back first: `stateward state undelete {}`", self.source);
                return Err(Error::new(Kind::NotFound, self.not_moved(), why, next));
            }
        }
        let copied = copy::compare(origin, found, self.to, self.target, found.len(), progress).await?;
        Ok(Arrived { copied, is_left: true })
    }

    /// Deletes it at the source, unless it is deleted already.
    async fn leave(&self, lock: &str, Arrived { copied, is_left }: Arrived) -> Result<Moved> {
        let deleted = match is_left {
            true => None,
            false => self.from.delete(self.source, Some(lock)).await?,
        };
        Ok(Moved { copied, deleted })
    }

    fn not_moved(&self) -> String {
        format!("`{}` was not moved", self.source)
    }

    fn locked_out(&self, error: &Error) -> Error {
        if error.kind() != Kind::Locked {
            return error.clone();
        }
        let holder = error.holder().and_then(|raw| LockInfo::parse(raw).ok()).unwrap_or_default();
        let next = format!(
            "wait for the end of that run, or if it is gone: stateward lock release {} --id {}",
            self.source, holder.id
        );
        Error::new(Kind::Locked, self.not_moved(), error.why(), next)
    }

    fn broken_off(&self) -> Error {
        let why = "it was interrupted; what has been copied stays at the target, and nothing was deleted";
        Error::new(Kind::Unavailable, self.not_moved(), why, "run the same command again: it goes on where it stopped")
    }
}
