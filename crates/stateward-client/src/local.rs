//! A store on this machine.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stateward_core::audit::AuditItem;
use stateward_core::view::{
    Change, List, LockItem, Pruned, StateItem, Stored, TimelineItem, TxItem, Verified, VersionItem,
};
use stateward_core::{
    Adoption, Backend, Begin, Begun, BodyStream, Caller, Ending, Error, Grant, Kind, LockRequest, Post, Recover,
    Result, StateId, StatesQuery, Version,
};

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
    fn place(&self) -> String {
        self.backend.store().describe().location
    }

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

    async fn recorded(&self, state: &StateId) -> Result<List<VersionItem>> {
        self.backend.recorded(&self.caller, state, None, None).await
    }

    async fn pull(&self, state: &StateId, version: Option<Version>) -> Result<Pulled> {
        let content = match version {
            Some(version) => self.backend.read_version(&self.caller, state, version).await?,
            None => self.backend.read(&self.caller, state).await?.ok_or_else(|| no_state(state))?,
        };
        Ok(Pulled { size: Some(content.size), bytes: content.bytes })
    }

    async fn store(&self, state: &StateId, body: BodyStream, force: bool) -> Result<Stored> {
        self.backend.push(&self.caller, state, body, force).await.map(Stored::from)
    }

    async fn adopt(&self, state: &StateId, adoption: &Adoption, body: Option<BodyStream>) -> Result<Stored> {
        self.backend.adopt(&self.caller, state, adoption.clone(), body).await.map(Stored::from)
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

    async fn delete(&self, state: &StateId, lock_id: Option<&str>) -> Result<Option<Version>> {
        self.backend.delete(&self.caller, state, lock_id).await
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

    async fn write(
        &self,
        state: &StateId,
        lock_id: Option<&str>,
        md5: Option<[u8; 16]>,
        body: BodyStream,
    ) -> Result<Stored> {
        let post = Post { lock_id: lock_id.map(str::to_owned), md5, body };
        self.backend.write(&self.caller, state, post).await.map(Stored::from)
    }

    async fn lock(&self, state: &StateId, request: LockRequest) -> Result<()> {
        // Who asks is in this process, and has the answer when this returns.
        self.backend.lock(&self.caller, state, request).await.map(Grant::delivered)
    }

    async fn renew(&self, state: &StateId, id: &str, lease: Duration) -> Result<()> {
        self.backend.renew(&self.caller, state, id, lease).await.map(drop)
    }

    async fn unlock(&self, state: &StateId, raw: Bytes) -> Result<()> {
        self.backend.unlock(&self.caller, state, &raw).await.map(drop)
    }

    async fn release(&self, state: &StateId, id: Option<&str>) -> Result<Vec<String>> {
        Ok(self.backend.release(&self.caller, state, id).await?.released)
    }

    async fn transactions(&self, state: Option<&StateId>, ended: bool) -> Result<List<TxItem>> {
        self.backend.transactions(&self.caller, state, ended).await
    }

    async fn begin(&self, state: &StateId, begin: Begin) -> Result<()> {
        self.backend.begin(&self.caller, state, begin).await.map(Begun::delivered)
    }

    async fn pull_in(&self, state: &StateId, tx: &str) -> Result<Option<Pulled>> {
        let content = self.backend.read_in(&self.caller, state, tx).await?;
        Ok(content.map(|content| Pulled { size: Some(content.size), bytes: content.bytes }))
    }

    async fn commit(&self, state: &StateId, tx: &str, md5: Option<[u8; 16]>, body: BodyStream) -> Result<Stored> {
        let post = Post { lock_id: None, md5, body };
        self.backend.commit(&self.caller, state, tx, post).await.map(Stored::from)
    }

    async fn finish(&self, state: &StateId, tx: &str, ending: Ending) -> Result<()> {
        self.backend.end(&self.caller, state, tx, ending).await
    }

    async fn recover(&self, state: &StateId, recover: Recover) -> Result<Stored> {
        self.backend.recover(&self.caller, state, recover).await.map(Stored::from)
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
