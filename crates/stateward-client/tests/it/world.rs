//! Stores in memory, and states in them.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use stateward_client::transfer::{Copied, Held, Progress, copy};
use stateward_client::{Connection, Local};
use stateward_core::testing::{ManualClock, SeededEntropy};
use stateward_core::view::VersionItem;
use stateward_core::{Backend, BodyStream, Caller, Error, Kind, Retention, Settings, StateId};
use stateward_store::{MemStore, Store};

/// A store, and the one way to it.
pub(crate) struct World {
    pub(crate) local: Local,
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        Self::over(Arc::new(MemStore::default()), seed).await.unwrap()
    }

    pub(crate) async fn over(store: Arc<dyn Store>, seed: u64) -> Result<Self, Error> {
        Self::with(store, seed, Settings::default()).await
    }

    pub(crate) async fn keeping(versions: u64, seed: u64) -> Self {
        let retention = Retention { keep_versions: Some(versions), ..Retention::default() };
        let settings = Settings { retention, ..Settings::default() };
        Self::with(Arc::new(MemStore::default()), seed, settings).await.unwrap()
    }

    async fn with(store: Arc<dyn Store>, seed: u64, settings: Settings) -> Result<Self, Error> {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let backend = Backend::open(store, clock, Arc::new(SeededEntropy::new(seed)), settings).await?;
        Ok(Self { local: Local::new(backend, Caller::trusted("ana@laptop")) })
    }

    /// With so many versions of a state.
    pub(crate) async fn having(self, state: &str, versions: u64) -> Self {
        for serial in 1..=versions {
            self.push(state, serial).await;
        }
        self
    }

    pub(crate) async fn push(&self, state: &str, serial: u64) {
        self.local.store(&id(state), BodyStream::of(body(serial)), false).await.unwrap();
    }

    pub(crate) async fn history(&self, state: &str) -> Vec<VersionItem> {
        match self.local.history(&id(state), None, None).await {
            Ok(list) => list.items,
            Err(error) if error.kind() == Kind::NotFound => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// The current bytes.
    pub(crate) async fn get(&self, state: &str) -> Option<String> {
        let pulled = self.local.pull(&id(state), None).await.ok()?;
        let bytes: Vec<Bytes> = pulled.bytes.try_collect().await.unwrap();
        Some(String::from_utf8(bytes.concat()).unwrap())
    }

    pub(crate) async fn is_locked(&self, state: &str) -> bool {
        !self.local.locks(Some(&id(state))).await.unwrap().items.is_empty()
    }

    pub(crate) async fn assert_sound(&self, what: &str) {
        let verified = self.local.verify(None, &mut |_| {}).await.unwrap();
        assert_eq!(verified.findings, [], "{what}");
    }
}

/// Copies a state of this name from one store to the other.
pub(crate) async fn copy_state(from: &World, to: &World, state: &str) -> Result<Copied, Error> {
    copy(&Held::new(&from.local, &id(state)), &to.local, &id(state), &mut |_: Progress| {}).await
}

/// What has to be the same in two places.
pub(crate) fn kept(items: Vec<VersionItem>) -> Vec<VersionItem> {
    let kept = |item| VersionItem { hash: String::new(), stored_size: 0, imported: None, ..item };
    items.into_iter().map(kept).collect()
}

pub(crate) fn id(state: &str) -> StateId {
    state.parse().unwrap()
}

pub(crate) fn body(serial: u64) -> String {
    format!(
        "{{\"version\":4,\"terraform_version\":\"1.15.5\",\"serial\":{serial},\"lineage\":\"11111111-2222-3333-4444-555555555555\",\"outputs\":{{\"o\":{{\"value\":\"hunter{serial}\",\"type\":\"string\"}}}},\"resources\":[],\"check_results\":null}}\n"
    )
}

pub(crate) fn kind<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Kind {
    outcome.unwrap_err().kind()
}
