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

    fn is_held(&self, holder: &LockInfo) -> Error {
        let gone = match self {
            Self::Place(place, workspace) => {
                let url = format!("s3://{}/{}", place.place().bucket(), place.place().object(&place.spot(workspace)));
                format!("`stateward lock inspect` says whether it is gone ({url})")
            }
            Self::State(_, state) => format!("if it is gone: stateward lock release {state} --id {}", holder.id),
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

/// Locks that are held, all under one ID, which follows from what is moved where and by whom.
pub(super) struct Locks<'a> {
    info: LockInfo,
    raw: Bytes,
    held: Vec<Lock<'a>>,
}

impl<'a> Locks<'a> {
    pub(super) fn new(context: &Context, from: &str, to: &str) -> Self {
        let tool = TOOL.split_once('/').map_or(TOOL, |(_, version)| version);
        let info = own_lock(OPERATION, &[from, to], format!("to {to}"), &context.who(), tool, SystemClock.now());
        let raw = Bytes::from(serde_json::to_vec(&info).unwrap_or_default());
        Self { info, raw, held: Vec::new() }
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

    /// Whether a place keeps others out while one of these locks is held.
    pub(super) async fn keeps_out(&self, place: &S3State, workspace: &Workspace) -> Result<bool> {
        let other =
            own_lock(OPERATION, &["another"], String::new(), &self.info.who, &self.info.version, SystemClock.now());
        let raw = serde_json::to_vec(&other).unwrap_or_default();
        let spot = place.spot(workspace);
        let is_taken = place.place().lock(&spot, &other.id, &raw).await? == Taken::Yes;
        if is_taken {
            place.place().unlock(&spot, &other.id, &raw).await?;
        }
        Ok(!is_taken)
    }

    /// Gives all of them back; the first failure is told when all have been tried.
    pub(super) async fn give_back(self) -> Result<()> {
        let mut outcome = Ok(());
        for lock in self.held.into_iter().rev() {
            let given = match &lock {
                Lock::Place(place, workspace) => {
                    let spot = place.spot(workspace);
                    place.place().unlock(&spot, &self.info.id, &self.raw).await.map_err(Error::from)
                }
                Lock::State(connection, state) => connection.unlock(state, self.raw.clone()).await,
            };
            outcome = outcome.and(given);
        }
        outcome
    }
}
