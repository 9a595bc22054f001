//! A backend in memory, and short ways to say what a test does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use stateward_core::testing::{ManualClock, SeededEntropy};
use stateward_core::{
    Backend, BodyStream, Caller, Content, Error, Grant, Kind, LockRequest, Post, Settings, StateId, Version, Written,
};
use stateward_store::{MemStore, Store};

pub(crate) struct Bench {
    pub(crate) backend: Backend,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) caller: Caller,
}

pub(crate) async fn bench() -> Bench {
    Bench::over(Arc::new(MemStore::default()), Settings::default()).await
}

impl Bench {
    pub(crate) async fn over(store: Arc<dyn Store>, settings: Settings) -> Self {
        Self::try_over(store, settings, 1).await.unwrap()
    }

    pub(crate) async fn try_over(store: Arc<dyn Store>, settings: Settings, seed: u64) -> Result<Self, Error> {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let backend = Backend::open(store, clock.clone(), Arc::new(SeededEntropy::new(seed)), settings).await?;
        Ok(Self { backend, clock, caller: Caller::trusted("tester") })
    }

    pub(crate) async fn post(&self, state: &str, lock: Option<&str>, body: impl Into<Bytes>) -> Result<Written, Error> {
        let post = Post { lock_id: lock.map(str::to_owned), md5: None, body: BodyStream::of(body) };
        Box::pin(self.backend.write(&self.caller, &id(state), post)).await
    }

    pub(crate) async fn get(&self, state: &str) -> Option<Bytes> {
        match self.backend.read(&self.caller, &id(state)).await.unwrap() {
            Some(content) => Some(bytes_of(content).await),
            None => None,
        }
    }

    pub(crate) async fn get_version(&self, state: &str, version: u64) -> Result<Bytes, Error> {
        Ok(bytes_of(self.backend.read_version(&self.caller, &id(state), Version(version)).await?).await)
    }

    pub(crate) async fn lock(&self, state: &str, lock: &str) -> Result<u64, Error> {
        let grant = self.lock_for(state, lock, "OperationTypeApply", Duration::ZERO).await?;
        let fence = grant.fence;
        grant.delivered();
        Ok(fence)
    }

    pub(crate) async fn lock_for(
        &self,
        state: &str,
        lock: &str,
        operation: &str,
        wait: Duration,
    ) -> Result<Grant, Error> {
        let request = LockRequest { raw: lock_info(lock, operation), wait: Some(wait), lease: None };
        Box::pin(self.backend.lock(&self.caller, &id(state), request)).await
    }

    /// Takes a lock that lapses after a minute.
    pub(crate) async fn lease(&self, state: &str, lock: &str) -> Result<u64, Error> {
        let lease = Some(Duration::from_mins(1));
        let request = LockRequest { raw: lock_info(lock, "OperationTypeApply"), wait: Some(Duration::ZERO), lease };
        let grant = self.backend.lock(&self.caller, &id(state), request).await?;
        let fence = grant.fence;
        grant.delivered();
        Ok(fence)
    }

    pub(crate) async fn unlock(&self, state: &str, lock: &str) -> Result<Vec<String>, Error> {
        let raw = lock_info(lock, "OperationTypeApply");
        Ok(self.backend.unlock(&self.caller, &id(state), &raw).await?.released)
    }
}

pub(crate) async fn bytes_of(content: Content) -> Bytes {
    content.bytes.try_collect::<Vec<Bytes>>().await.unwrap().concat().into()
}

pub(crate) fn id(state: &str) -> StateId {
    state.parse().unwrap()
}

pub(crate) fn lock_info(lock: &str, operation: &str) -> Bytes {
    format!(
        r#"{{"ID":"{lock}","Operation":"{operation}","Info":"","Who":"{lock}@host","Version":"1.15.5","Created":"2026-11-21T10:00:00.5Z","Path":""}}"#
    )
    .into()
}

/// A state with these resources, each with one attribute.
pub(crate) fn state(serial: u64, resources: &[(&str, &str)]) -> String {
    let resources = resources.iter().map(|(name, value)| {
        format!(
            r#"{{"mode":"managed","type":"terraform_data","name":"{name}","provider":"provider[\"terraform.io/builtin/terraform\"]","instances":[{{"schema_version":0,"attributes":{{"id":"{value}"}},"sensitive_attributes":[]}}]}}"#
        )
    });
    let resources = resources.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"11111111-2222-3333-4444-555555555555","outputs":{{"size":{{"value":{serial},"type":"number"}}}},"resources":[{resources}],"check_results":null}}
"#
    )
}

pub(crate) fn kind<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Kind {
    outcome.unwrap_err().kind()
}
