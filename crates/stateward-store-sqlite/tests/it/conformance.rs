//! The engine passes the suite.

use std::sync::Arc;

use async_trait::async_trait;
use stateward_store::Store;
use stateward_store::conformance::Place;
use stateward_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

struct InDirectory(TempDir);

impl InDirectory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Place for InDirectory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&Options::new(self.0.path().join("stateward.db"))).unwrap())
    }
}

stateward_store::conformance_suite!(InDirectory::new());
