//! A store on this machine.

use async_trait::async_trait;
use stateward_core::audit::AuditItem;
use stateward_core::view::{Change, List, LockItem, Pruned, StateItem, Stored, TimelineItem, Verified, VersionItem};
use stateward_core::{Backend, BodyStream, Caller, Error, Kind, Result, StateId, StatesQuery, Version};

use crate::connection::{Connection, OnVerify, Pulled};

/// The core over a store that this process has open.
#[derive(Debug)]
pub struct Local {
    backend: Backend,
    caller: Caller,
}

impl Local {
    /// Everything that is asked is asked in the name of `caller`.
    pub fn new(backend: Backend, caller: Caller) -> Self {
        Self { backend, caller }
    }
}

#[async_trait]
impl Connection for Local {
    async fn states(&self, query: &StatesQuery) -> Result<List<StateItem>> {
        self.backend.states(&self.caller, query).await
    }

    async fn history(
        &self,
        state: &StateId,
        before: Option<Version>,
        limit: Option<usize>,
    ) -> Result<List<VersionItem>> {
        self.backend.history(&self.caller, state, before, limit).await
    }

    async fn pull(&self, state: &StateId, version: Option<Version>) -> Result<Pulled> {
        let content = match version {
            Some(version) => self.backend.read_version(&self.caller, state, version).await?,
            None => self.backend.read(&self.caller, state).await?.ok_or_else(|| no_state(state))?,
        };
        Ok(Pulled { size: Some(content.size), bytes: content.bytes })
    }

    async fn store(&self, state: &StateId, body: BodyStream, force: bool) -> Result<Stored> {
        let written = self.backend.push(&self.caller, state, body, force).await?;
        Ok(Stored {
            version: written.version,
            serial: written.serial,
            changed: written.changed,
            renumbered: false,
            addresses: Vec::new(),
        })
    }

    async fn restore(&self, state: &StateId, version: Version, only: &[String]) -> Result<Stored> {
        self.backend.restore(&self.caller, state, version, only).await
    }

    async fn diff(&self, state: &StateId, from: Option<Version>, to: Option<Version>) -> Result<List<Change>> {
        self.backend.diff(&self.caller, state, from, to).await
    }

    async fn timeline(&self, state: &StateId, address: &str) -> Result<List<TimelineItem>> {
        self.backend.timeline(&self.caller, state, address).await
    }

    async fn delete(&self, state: &StateId) -> Result<Option<Version>> {
        self.backend.delete(&self.caller, state, None).await
    }

    async fn undelete(&self, state: &StateId) -> Result<Version> {
        self.backend.undelete(&self.caller, state).await
    }

    async fn verify(&self, state: Option<&StateId>, progress: OnVerify<'_>) -> Result<Verified> {
        self.backend.verify(&self.caller, state, progress).await
    }

    async fn locks(&self, state: Option<&StateId>) -> Result<List<LockItem>> {
        self.backend.locks(&self.caller, state).await
    }

    async fn release(&self, state: &StateId, id: Option<&str>) -> Result<Vec<String>> {
        Ok(self.backend.release(&self.caller, state, id).await?.released)
    }

    async fn audit(&self, state: Option<&StateId>, limit: Option<usize>) -> Result<List<AuditItem>> {
        self.backend.audit(&self.caller, state, None, limit).await
    }

    async fn prune(&self) -> Result<Pruned> {
        self.backend.prune(&self.caller).await
    }
}

fn no_state(state: &StateId) -> Error {
    Error::new(
        Kind::NotFound,
        format!("there is no state `{state}`"),
        "nothing is stored under this name now",
        "`stateward state list` shows the states there are, with `--deleted` also those that were",
    )
}
