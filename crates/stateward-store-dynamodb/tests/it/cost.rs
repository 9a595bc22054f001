//! What a state's everyday life costs, with the whole core on top: requests and capacity units.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use stateward_core::testing::{ManualClock, SeededEntropy};
use stateward_core::{Backend, BodyStream, Caller, LockRequest, Post, Settings, StateId};
use stateward_state::generate::{Spec, state};
use stateward_store_dynamodb::{DynamoStore, Options, Usage};
use stateward_testkit::DynamoDbLocal;

use crate::place::{open, options};

/// A backend on a store, and what it uses.
struct Bench {
    store: Arc<DynamoStore>,
    backend: Backend,
    caller: Caller,
    id: StateId,
}

impl Bench {
    async fn on(options: &Options) -> Self {
        let store = open(options).await;
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let settings = Settings::default();
        let backend = Backend::open(store.clone(), clock, Arc::new(SeededEntropy::new(1)), settings).await.unwrap();
        Self { store, backend, caller: Caller::trusted("tester"), id: "net/prod".parse().unwrap() }
    }

    fn info() -> Bytes {
        r#"{"ID":"L","Operation":"OperationTypeApply","Info":"","Who":"ci@vm","Version":"1.15.5","Created":"2026-11-21T10:00:00.5Z","Path":""}"#.into()
    }

    async fn lock(&self) -> Usage {
        self.store.counter().take();
        let request = LockRequest { raw: Self::info(), wait: Some(Duration::ZERO), lease: None };
        Box::pin(self.backend.lock(&self.caller, &self.id, request)).await.unwrap().delivered();
        self.store.counter().take()
    }

    async fn unlock(&self) -> Usage {
        self.store.counter().take();
        Box::pin(self.backend.unlock(&self.caller, &self.id, &Self::info())).await.unwrap();
        self.store.counter().take()
    }

    async fn read(&self) -> (usize, Usage) {
        self.store.counter().take();
        let content = Box::pin(self.backend.read(&self.caller, &self.id)).await.unwrap().unwrap();
        let bytes: Vec<Bytes> = content.bytes.try_collect().await.unwrap();
        (bytes.concat().len(), self.store.counter().take())
    }

    async fn write(&self, body: Vec<u8>) -> Usage {
        self.store.counter().take();
        let post = Post { lock_id: Some("L".into()), md5: None, body: BodyStream::of(body) };
        Box::pin(self.backend.write(&self.caller, &self.id, post)).await.unwrap();
        self.store.counter().take()
    }
}

/// A state of about 20 KB, changed in one resource for each serial.
fn body(serial: u64) -> Vec<u8> {
    state(&(1..serial).fold(Spec::of_size(20_000), |spec, _| spec.touch(3)))
}

/// The figures of `docs/reference/dynamodb.md`: none may grow unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_costs_no_more_than_the_docs_say() {
    let limits =
        [("lock", (2, 0.0, 21.0)), ("read", (2, 1.5, 0.0)), ("write", (2, 0.5, 36.0)), ("unlock", (2, 0.0, 21.0))];
    holds(&options(DynamoDbLocal::shared().url()), limits, (60, 480.0)).await;
}

/// The same, with the bytes in a bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_with_its_bytes_in_a_bucket_costs_no_more_than_the_docs_say() {
    let limits =
        [("lock", (2, 0.0, 21.0)), ("read", (2, 1.0, 0.0)), ("write", (4, 0.5, 25.0)), ("unlock", (2, 0.0, 21.0))];
    holds(&crate::blobs::here(), limits, (80, 370.0)).await;
}

/// What each step may cost at most: requests, read units and write units; and what ten applies may: requests and write units.
#[expect(clippy::print_stdout, reason = "where the figures of the docs come from")]
async fn holds(options: &Options, limits: [(&str, (u64, f64, f64)); 4], sum: (u64, f64)) {
    let bench = Bench::on(options).await;
    bench.lock().await;
    bench.write(body(1)).await;
    bench.unlock().await;
    let mut most: BTreeMap<&str, (u64, f64, f64)> = BTreeMap::new();
    let (mut requests, mut units) = (0, 0.0);
    for serial in 2..12 {
        let lock = bench.lock().await;
        let (size, read) = bench.read().await;
        let write = bench.write(body(serial)).await;
        let unlock = bench.unlock().await;
        assert!((18_000..30_000).contains(&size), "{size} bytes");
        for (name, usage) in [("lock", lock), ("read", read), ("write", write), ("unlock", unlock)] {
            println!("{name}: {usage:?}");
            let most = most.entry(name).or_default();
            most.0 = most.0.max(usage.total());
            most.1 = most.1.max(usage.read_units);
            most.2 = most.2.max(usage.write_units);
            requests += usage.total();
            units += usage.write_units;
        }
    }
    println!("at most {most:?}; ten applies: {requests} requests, {units} write units");
    for (name, (total, reads, writes)) in limits {
        let found = most[name];
        assert!(found.0 <= total && found.1 <= reads && found.2 <= writes, "{name}: {found:?}");
    }
    assert!(requests <= sum.0 && units <= sum.1, "ten applies: {requests} requests, {units} write units");
}
