//! What one `terraform apply` costs: read, lock, read, write, unlock, counted request by request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use stateward_core::testing::{ManualClock, SeededEntropy};
use stateward_core::{Backend, BodyStream, Caller, Content, LockRequest, Outside, Post, Settings, StateId};
use stateward_store_s3::{Counter, Options, TerraformPlace};

use crate::world::{Stranger, lock_info, on_moto, open, shared_on_moto};

/// A process of stateward over a store.
struct Process {
    backend: Backend,
    requests: Counter,
}

impl Process {
    async fn start(options: &Options, seed: u64) -> Self {
        let store = open(options).await;
        let requests = store.requests().clone();
        let place = TerraformPlace::of(&store).map(Arc::new);
        let outside = Outside {
            locks: place.clone().filter(|place| place.takes_locks()).map(|place| place as _),
            bytes: place.map(|place| place as _),
        };
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let backend =
            Backend::open_shared(Arc::new(store), clock, entropy, Settings::default(), outside).await.unwrap();
        requests.take();
        Self { backend, requests }
    }

    fn sent(&self) -> String {
        let sent = self.requests.take().requests;
        sent.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    async fn read(&self) -> Option<Bytes> {
        let Content { bytes, .. } = self.backend.read(&caller(), &state()).await.unwrap()?;
        Some(bytes.try_collect::<Vec<Bytes>>().await.unwrap().concat().into())
    }

    /// Gives what each step sent.
    async fn apply(&self, serial: u64) -> (u64, Vec<String>) {
        let (caller, lock) = (caller(), format!("lock-{serial}"));
        let info = Bytes::from(lock_info(&lock));
        let total = || self.requests.usage().total();
        let (mut sum, mut steps) = (0, Vec::new());
        let mut step = |name: &str| {
            sum += total();
            steps.push(format!("{name}: {}", self.sent()));
        };
        self.read().await;
        step("read");
        let request = LockRequest { raw: info.clone(), wait: Some(Duration::ZERO), lease: None };
        Box::pin(self.backend.lock(&caller, &state(), request)).await.unwrap().delivered();
        step("lock");
        self.read().await;
        step("read");
        let body = BodyStream::of(state_of(serial));
        Box::pin(self.backend.write(&caller, &state(), Post { lock_id: Some(lock), md5: None, body })).await.unwrap();
        step("write");
        self.backend.unlock(&caller, &state(), &info).await.unwrap();
        step("unlock");
        (sum, steps)
    }
}

fn caller() -> Caller {
    Caller::trusted("tester")
}

fn state() -> StateId {
    "net/prod".parse().unwrap()
}

/// A state of 20 KB.
fn state_of(serial: u64) -> String {
    let resources: Vec<String> = (0..60_u64)
        .map(|n| {
            let id = blake3::hash(&[n, if n < 3 { serial } else { 0 }].map(u64::to_le_bytes).concat()).to_hex();
            format!(
                r#"{{"mode":"managed","type":"terraform_data","name":"r{n}","provider":"provider[\"terraform.io/builtin/terraform\"]","instances":[{{"schema_version":0,"attributes":{{"id":"{id}","input":null,"output":null,"triggers_replace":null}},"sensitive_attributes":[]}}]}}"#
            )
        })
        .collect();
    let resources = resources.join(",");
    format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"11111111-2222-3333-4444-555555555555","outputs":{{}},"resources":[{resources}],"check_results":null}}
"#
    )
}

async fn holds_the_budget(options: &Options, most: u64) {
    let first = Process::start(options, 1).await;
    first.apply(1).await;
    // The same process goes on, as a server does; and one that knows nothing begins, as a command does.
    let (warm, steps) = first.apply(2).await;
    assert!(warm <= most, "{warm} requests, and {most} are allowed:\n{}", steps.join("\n"));
    let (cold, steps) = Process::start(options, 2).await.apply(3).await;
    assert!(cold <= most, "{cold} requests in a new process, and {most} are allowed:\n{}", steps.join("\n"));
    println!("{warm} in the same process, {cold} in a new one:\n{}", steps.join("\n"));
    assert_eq!(Process::start(options, 3).await.read().await.unwrap(), state_of(3));
}

#[tokio::test]
async fn alone() {
    holds_the_budget(&Options { sharing: None, ..on_moto() }, 7).await;
}

#[tokio::test]
async fn beside_terraform_with_its_lock_file() {
    let options = shared_on_moto(true, false);
    holds_the_budget(&options, 10).await;
    let stands = Stranger::at(&options).get(&format!("{}/net/prod", options.prefix)).await.unwrap();
    assert_eq!(stands.0, state_of(3), "Terraform finds the same");
}

#[tokio::test]
async fn beside_terraform_with_both_locks() {
    holds_the_budget(&shared_on_moto(true, true), 16).await;
}
