//! What happens when the store fails: at every single operation of a scripted run, and at random under several clients and servers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stateward_core::{Error, Kind, Settings, Version};
use stateward_store::fault::{Fault, FaultPlan, FaultStore};
use stateward_store::{MemStore, Store};

use crate::bench::{Bench, id, state};

/// Does it as a client does: again, while the answer is that nothing is known or nothing was done.
pub(crate) async fn insist<T>(mut attempt: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..20 {
        match attempt().await {
            Err(error) if error.kind() == Kind::Unavailable => tokio::time::sleep(Duration::from_millis(50)).await,
            outcome => return outcome,
        }
    }
    attempt().await
}

/// One run through every use case that writes. Gives what was acknowledged, version by version.
async fn script(store: Arc<dyn Store>, acknowledged: &mut Vec<String>) -> Result<(), Error> {
    let bench = loop {
        match Bench::try_over(store.clone(), Settings::default(), 7).await {
            Ok(bench) => break bench,
            Err(error) if error.kind() == Kind::Unavailable && acknowledged.is_empty() => {
                acknowledged.push(String::new());
            }
            Err(error) => return Err(error),
        }
    };
    acknowledged.clear();
    insist(async || bench.lock("a", "L").await).await?;
    for serial in 1..=3 {
        let body = state(serial, &[("x", &serial.to_string()), ("y", "1")]);
        let written = insist(async || bench.post("a", Some("L"), body.clone()).await).await?;
        assert!(written.changed, "the answer is that of the try that got through");
        acknowledged.push(body);
    }
    assert_eq!(insist(async || bench.unlock("a", "L").await).await?, ["L"]);
    insist(async || bench.lock("a", "M").await).await?;
    insist(async || bench.unlock("a", "M").await).await?;
    let restored = insist(async || bench.backend.restore(&bench.caller, &id("a"), Version(1), &[]).await).await;
    // A restore whose answer was lost has happened: repeating it finds the old version under a new serial, or is one more.
    acknowledged.push(acknowledged[0].replace("\"serial\":1,", &format!("\"serial\":{},", restored?.serial)));
    insist(async || bench.backend.delete(&bench.caller, &id("a"), None).await).await?;
    insist(async || bench.backend.undelete(&bench.caller, &id("a")).await).await?;
    Ok(())
}

/// Everything acknowledged is in the history, and the store is sound.
async fn check(inner: Arc<MemStore>, acknowledged: &[String], what: &str) {
    let bench = Bench::over(inner, Settings::default()).await;
    let verified = bench.backend.verify(&bench.caller, None, |_| {}).await.unwrap();
    assert_eq!(verified.findings, [], "{what}");
    if acknowledged.is_empty() {
        return;
    }
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    for body in acknowledged {
        let mut found = false;
        for item in &history {
            found |= bench.get_version("a", item.version.0).await.unwrap() == *body;
        }
        assert!(found, "{what}: an acknowledged version is not in the history");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_every_single_operation() {
    let counting = FaultStore::new(Arc::new(MemStore::default()), FaultPlan::none());
    script(Arc::new(counting.clone()), &mut Vec::new()).await.unwrap();
    let operations = counting.ops();
    assert!(operations > 20, "{operations}");
    for operation in 1..=operations {
        for fault in [Fault::Before, Fault::After, Fault::Duplicate, Fault::Delay(Duration::from_secs(3))] {
            let inner = Arc::new(MemStore::gathering(usize::from(operation % 2 == 0) * 2));
            let faulty = FaultStore::new(inner.clone(), FaultPlan::at(operation, fault));
            let mut acknowledged = Vec::new();
            let what = format!("{fault:?} at {operation}");
            script(Arc::new(faulty), &mut acknowledged).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(acknowledged.len(), 4, "{what}");
            check(inner.clone(), &acknowledged, &what).await;
            // A write whose answer was lost is found by reading back, and not done twice.
            let bench = Bench::over(inner, Settings::default()).await;
            let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap();
            assert_eq!(history.items.len(), 4, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_single_operation_loses_nothing_acknowledged() {
    let counting = FaultStore::new(Arc::new(MemStore::default()), FaultPlan::none());
    script(Arc::new(counting.clone()), &mut Vec::new()).await.unwrap();
    for operation in 1..=counting.ops() {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let inner = Arc::new(MemStore::default());
            let faulty = FaultStore::new(inner.clone(), FaultPlan::at(operation, fault));
            let mut acknowledged = Vec::new();
            let crashed = script(Arc::new(faulty), &mut acknowledged).await;
            assert!(crashed.is_err());
            acknowledged.retain(|body| !body.is_empty());
            check(inner, &acknowledged, &format!("{fault:?} at {operation}")).await;
        }
    }
}

/// What the checker of a simulation knows: who believes to hold the lock, and which writes were acknowledged.
#[derive(Default)]
struct Ledger {
    holder: Option<(String, u64)>,
    acknowledged: Vec<(String, String)>,
    grants: usize,
}

pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)) % sides
    }
}

/// A client that locks, reads, writes and unlocks over one of the servers, and sometimes just dies.
async fn client(n: u64, seed: u64, servers: Arc<Vec<Bench>>, ledger: Arc<Mutex<Ledger>>) -> Option<String> {
    let mut dice = Dice(seed.wrapping_mul(1000) + n);
    for round in 0..5 {
        let lock = format!("c{n}-{round}");
        let server = &servers[usize::try_from(dice.roll(servers.len() as u64)).unwrap()];
        let wait = if dice.roll(2) == 0 { Duration::from_secs(20) } else { Duration::ZERO };
        let granted = loop {
            match insist(async || server.lock_for("a", &lock, "x", wait).await).await {
                Ok(grant) => break grant,
                Err(error) if matches!(error.kind(), Kind::Locked | Kind::Unavailable) => {
                    tokio::time::sleep(Duration::from_millis(300 + dice.roll(700))).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        {
            let mut ledger = ledger.lock().unwrap();
            assert!(ledger.holder.is_none(), "seed {seed}: two holders, {:?} and {lock}", ledger.holder);
            ledger.holder = Some((lock.clone(), granted.fence));
            ledger.grants += 1;
        }
        granted.delivered();
        for _ in 0..dice.roll(3) {
            if dice.roll(12) == 0 {
                return Some(lock); // It dies, and its lock stays.
            }
            let Ok(content) = insist(async || server.backend.read(&server.caller, &id("a")).await).await else {
                continue;
            };
            let serial = content.map_or(0, |content| content.serial) + 1;
            let body = state(serial, &[("x", &format!("{lock} {serial}"))]);
            // A write whose answer never came may be repeated, as Terraform's client does.
            if insist(async || server.post("a", Some(&lock), body.clone()).await).await.is_ok() {
                ledger.lock().unwrap().acknowledged.push((lock.clone(), body));
            }
            tokio::time::sleep(Duration::from_millis(dice.roll(2000))).await;
        }
        ledger.lock().unwrap().holder = None;
        insist(async || server.unlock("a", &lock).await).await.ok();
    }
    None
}

async fn simulate(seed: u64) -> usize {
    let inner = Arc::new(MemStore::default());
    let mut servers = Vec::new();
    for n in 0..2 {
        let faulty = FaultStore::new(inner.clone(), FaultPlan::random(seed * 10 + n, 60));
        let server = loop {
            if let Ok(server) = Bench::try_over(Arc::new(faulty.clone()), Settings::default(), seed * 10 + n).await {
                break server;
            }
        };
        servers.push(server);
    }
    let (servers, ledger) = (Arc::new(servers), Arc::new(Mutex::new(Ledger::default())));
    let mut clients = tokio::task::JoinSet::new();
    (0..4).for_each(|n| drop(clients.spawn_local(client(n, seed, servers.clone(), ledger.clone()))));
    while let Some(end) = clients.join_next().await {
        if let Some(lock) = end.unwrap() {
            // The operator breaks the dead client's lock; a late write under it has to be refused.
            let late = state(1_000_000, &[]);
            ledger.lock().unwrap().holder = None;
            insist(async || servers[0].backend.release(&servers[0].caller, &id("a"), Some(&lock)).await).await.ok();
            let refused = insist(async || servers[1].post("a", Some(&lock), late.clone()).await).await;
            assert!(refused.is_err(), "seed {seed}: a stale writer got in");
        }
    }
    let ledger = std::mem::take(&mut *ledger.lock().unwrap());
    audit_simulation(seed, inner, &ledger).await;
    ledger.grants
}

async fn audit_simulation(seed: u64, inner: Arc<MemStore>, ledger: &Ledger) {
    let bench = Bench::over(inner, Settings::default()).await;
    let verified = bench.backend.verify(&bench.caller, None, |_| {}).await.unwrap();
    assert_eq!(verified.findings, [], "seed {seed}");
    if ledger.acknowledged.is_empty() {
        return;
    }
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    assert!(
        history.iter().rev().map(|item| item.version.0).eq(1..=history.len() as u64),
        "seed {seed}: versions have gaps"
    );
    assert!(
        history.windows(2).all(|pair| pair[0].serial == pair[1].serial + 1),
        "seed {seed}: serials are out of order"
    );
    let mut kept: HashMap<String, String> = HashMap::new();
    for item in &history {
        let body = bench.get_version("a", item.version.0).await.unwrap();
        kept.insert(String::from_utf8(body.to_vec()).unwrap(), item.lock_id.clone().unwrap());
    }
    for (lock, body) in &ledger.acknowledged {
        assert_eq!(kept.get(body), Some(lock), "seed {seed}: an acknowledged write is lost");
    }
}

#[tokio::test(start_paused = true)]
async fn several_clients_two_servers_and_a_faulty_store() {
    let mut grants = 0;
    for seed in 1..=60 {
        grants += Box::pin(tokio::task::LocalSet::new().run_until(simulate(seed))).await;
    }
    assert!(grants > 300, "the simulation did next to nothing: {grants} grants");
}
