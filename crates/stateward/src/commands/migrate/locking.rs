//! The locks that are held while states are looked at and moved.

use std::time::Duration;

use bytes::Bytes;
use stateward_client::Connection;
use stateward_client::transfer::own_lock;
use stateward_core::{Clock, Error, Kind, LockInfo, LockRequest, Result, StateId, Workspace};
use stateward_store::outside::{LockPlace, Taken};

use super::super::state::bucket::S3State;
use super::super::{Context, TOOL};
use super::NOT_MOVED;
use super::claim::Claim;
use super::setting::Setting;
use crate::system::SystemClock;

/// How the lock says what it is for.
const OPERATION: &str = "migrate";

/// A lock to take.
#[derive(Clone)]
pub(super) enum Lock<'a> {
    /// Terraform's own, in a bucket and maybe a table.
    Place(&'a S3State, Workspace),
    /// One of a store or server.
    State(&'a dyn Connection, StateId),
}

impl Lock<'_> {
    fn name(&self) -> String {
        match self {
            Self::Place(place, workspace) => place.title(workspace),
            Self::State(_, state) => state.to_string(),
        }
    }

    /// Who holds it: its information, as far as it can be read.
    async fn holder(&self) -> Result<Option<LockInfo>> {
        match self {
            Self::Place(place, workspace) => {
                let raw = place.place().holder(&place.spot(workspace)).await?;
                Ok(raw.map(|raw| LockInfo::parse(&raw).unwrap_or_default()))
            }
            Self::State(connection, state) => {
                let held = connection.locks(Some(state)).await?.items.into_iter().next();
                Ok(held.map(|held| LockInfo {
                    id: held.id,
                    who: held.who,
                    operation: held.operation,
                    created: held.created.to_string(),
                    ..LockInfo::default()
                }))
            }
        }
    }

    /// How to break it.
    fn release(&self, id: &str) -> String {
        match self {
            Self::Place(..) => format!("terraform force-unlock {id}"),
            Self::State(_, state) => format!("stateward lock release {state} --id {id}"),
        }
    }

    fn is_held(&self, holder: &LockInfo) -> Error {
        let gone = match self {
            Self::Place(place, workspace) => {
                format!("whether it is gone says: stateward lock inspect {}", place.argument(workspace))
            }
            Self::State(..) => format!("if it is gone: {}", self.release(&holder.id)),
        };
        held(&self.name(), holder, Some(&gone))
    }
}

/// Refuses because somebody holds a state. `gone`: what to do where the holder is no more.
pub(super) fn held(name: &str, holder: &LockInfo, gone: Option<&str>) -> Error {
    let LockInfo { who, created, operation, id, .. } = holder;
    let why = match who.is_empty() {
        true => format!("somebody holds `{name}`, and does not say who"),
        false => format!("{who} holds `{name}` since {created} ({operation}, lock {id})"),
    };
    let next = ["wait for the end of that run"].into_iter().chain(gone).collect::<Vec<_>>().join("; ");
    Error::new(Kind::Locked, NOT_MOVED, why, next)
}

/// Locks that are held, all under one ID, by which the next run in this directory knows what a killed one left.
pub(super) struct Locks<'a> {
    claim: Claim,
    info: LockInfo,
    raw: Bytes,
    held: Vec<Lock<'a>>,
}

impl<'a> Locks<'a> {
    /// `to`: what people read.
    pub(super) fn new(context: &Context, setting: &Setting, to: &str) -> Self {
        let claim = Claim::read(&setting.data_dir);
        let tool = TOOL.split_once('/').map_or(TOOL, |(_, version)| version);
        // Who it is may be another the next time: a container has a name of its own.
        let info = own_lock(OPERATION, &[claim.name()], format!("to {to}"), "", tool, SystemClock.now());
        let info = LockInfo { who: context.who(), ..info };
        let raw = Bytes::from(serde_json::to_vec(&info).unwrap_or_default());
        Self { claim, info, raw, held: Vec::new() }
    }

    /// An earlier run may have left some.
    pub(super) fn were_left(&self) -> bool {
        self.claim.was_left()
    }

    /// Before any is taken or tidied: from now on no other run in this directory is.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.claim.hold()
    }

    /// Refuses where somebody else holds one of them. What an earlier try left is ours.
    pub(super) async fn look(&self, locks: &[Lock<'a>]) -> Result<()> {
        for lock in locks {
            if let Some(holder) = lock.holder().await?.filter(|holder| holder.id != self.info.id) {
                return Err(lock.is_held(&holder));
            }
        }
        Ok(())
    }

    /// Gives back what an earlier try left at a place.
    pub(super) async fn tidy(&self, lock: &Lock<'_>) -> Result<()> {
        if !self.is_ours(lock).await? {
            return Ok(());
        }
        self.unlock(lock).await
    }

    async fn unlock(&self, lock: &Lock<'_>) -> Result<()> {
        match lock {
            Lock::Place(place, workspace) => {
                place.place().unlock(&place.spot(workspace), &self.info.id, &self.raw).await.map_err(Error::from)
            }
            Lock::State(connection, state) => connection.unlock(state, self.raw.clone()).await,
        }
    }

    /// Whether it is held under our ID.
    pub(super) async fn is_ours(&self, lock: &Lock<'_>) -> Result<bool> {
        Ok(lock.holder().await?.is_some_and(|holder| holder.id == self.info.id))
    }

    /// Takes a lock.
    pub(super) async fn take(&mut self, lock: Lock<'a>) -> Result<()> {
        // Noted first: where the answer is lost it has to be given back, too.
        self.held.push(lock.clone());
        match &lock {
            Lock::Place(place, workspace) => {
                let taken = place.place().lock(&place.spot(workspace), &self.info.id, &self.raw).await?;
                if let Taken::Held(holder) = taken {
                    self.held.pop();
                    return Err(lock.is_held(&LockInfo::parse(&holder).unwrap_or_default()));
                }
                Ok(())
            }
            Lock::State(connection, state) => {
                let request = LockRequest { raw: self.raw.clone(), wait: Some(Duration::ZERO), lease: None };
                let taken = connection.lock(state, request).await;
                if let Err(error) = &taken
                    && error.kind() == Kind::Locked
                {
                    self.held.pop();
                    let holder = error.holder().and_then(|raw| LockInfo::parse(raw).ok()).unwrap_or_default();
                    return Err(lock.is_held(&holder));
                }
                taken
            }
        }
    }

    /// Refuses where a place does not keep others out while one of these locks is held.
    pub(super) async fn see_that_it_keeps_out(
        &self,
        place: &S3State,
        workspace: &Workspace,
    ) -> crate::failure::Result<()> {
        let other =
            own_lock(OPERATION, &["another"], String::new(), &self.info.who, &self.info.version, SystemClock.now());
        let raw = serde_json::to_vec(&other).unwrap_or_default();
        let spot = place.spot(workspace);
        if place.place().lock(&spot, &other.id, &raw).await.map_err(Error::from)? != Taken::Yes {
            return Ok(());
        }
        place.place().unlock(&spot, &other.id, &raw).await.map_err(Error::from)?;
        let why = "the storage gave the lock file to two at once: it does not heed `If-None-Match`";
        let next = "stay with the lock table, or use a storage with conditional writes";
        Err(Error::new(Kind::Unsupported, NOT_MOVED, why, next).into())
    }

    /// Gives all of them back; the first failure is told when all have been tried. `is_done`: all that an earlier run may have held
    /// has been held by this one, too.
    pub(super) async fn give_back(self, is_done: bool) -> Result<()> {
        let mut outcome = Ok(());
        for lock in self.held.iter().rev() {
            let given = self.unlock(lock).await.map_err(|error| {
                let next = format!("run the same command again; if it does not go: {}", lock.release(&self.info.id));
                Error::new(error.kind(), format!("the lock on `{}` was not given back", lock.name()), error.why(), next)
            });
            outcome = outcome.and(given);
        }
        if outcome.is_ok() && (is_done || !self.claim.was_left()) {
            self.claim.end();
        }
        outcome
    }
}
