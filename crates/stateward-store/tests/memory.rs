//! The reference engine passes the suite.

use std::sync::Arc;

use async_trait::async_trait;
use stateward_store::conformance::Place;
use stateward_store::fault::{FaultPlan, FaultStore};
use stateward_store::{MemStore, Store};

/// Clones of a [`MemStore`] are handles on the same store, so that it can be opened again.
struct Memory(MemStore);

#[async_trait]
impl Place for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

/// A wrapper without faults has to be an engine like any other.
struct Wrapped(MemStore);

#[async_trait]
impl Place for Wrapped {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(FaultStore::new(Arc::new(self.0.clone()), FaultPlan::none()))
    }
}

mod memory {
    use super::*;
    stateward_store::conformance_suite!(Memory(MemStore::new()));
}

mod wrapped {
    use super::*;
    stateward_store::conformance_suite!(Wrapped(MemStore::new()));
}

#[tokio::test]
async fn the_whole_suite_runs_as_one() {
    stateward_store::conformance::run(|| Memory(MemStore::new())).await;
}
