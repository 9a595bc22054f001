//! Runs side by side over two servers and a failing store, some of which die or stall, beside clients that take the whole state. The
//! checker looks at the history alone: each value in it says who wrote it and what its writer saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stateward_core::testing::{Bug, SeededEntropy};
use stateward_core::view::VersionItem;
use stateward_core::{
    Backend, Begin, BodyStream, Caller, Claim, Clock, Ending, Error, Kind, LockRequest, Post, Settings, Timestamp,
};
use stateward_store::MemStore;
use stateward_store::fault::{FaultPlan, FaultStore};
use tokio::time::{Instant, sleep, timeout};

use crate::bench::{bytes_of, id, lock_info};
use crate::faults::{Dice, insist};
use crate::transactions::{against, world};

const NAMES: [&str; 5] = ["p", "q", "r", "s", "t"];
const LEASE: Duration = Duration::from_secs(5);
/// Longer than any run may wait, by far.
const ENDLESS: Duration = Duration::from_hours(4);

/// The runtime's time.
#[derive(Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.0.elapsed()
    }
}

/// `RUN#POST;NAME=RUN#POST,…`: who wrote a value in which of its posts, and whose values it saw.
fn token(value: &str) -> &str {
    value.split(';').next().unwrap()
}

fn run_of(value: &str) -> &str {
    value.split('#').next().unwrap()
}

fn seen_by(value: &str) -> Vec<(&str, &str)> {
    let (_, seen) = value.split_once(';').unwrap_or_default();
    seen.split(',').filter_map(|pair| pair.split_once('=')).collect()
}

type Values = BTreeMap<String, String>;

fn values(body: &[u8]) -> Values {
    let state: serde_json::Value = serde_json::from_slice(body).unwrap();
    let resources = state["resources"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    resources.map(|resource| (text(&resource["name"]), text(&resource["instances"][0]["attributes"]["id"]))).collect()
}

fn body(serial: u64, values: &Values) -> String {
    world(serial, &values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
}

/// What the simulation knows beside the history: who believes to hold what, and until when.
#[derive(Default)]
struct Ledger {
    held: BTreeMap<String, (Claim, Timestamp)>,
    complaints: Vec<String>,
    committed: usize,
}

struct Room {
    servers: Vec<Backend>,
    caller: Caller,
    ledger: Mutex<Ledger>,
}

impl Room {
    fn server(&self, dice: &mut Dice) -> &Backend {
        &self.servers[usize::try_from(dice.roll(self.servers.len() as u64)).unwrap()]
    }

    async fn look(&self, dice: &mut Dice) -> Option<(u64, Values)> {
        let server = self.server(dice);
        let content = insist(async || server.read(&self.caller, &id("a")).await).await.ok()??;
        let serial = content.serial;
        let bytes = futures::TryStreamExt::try_collect::<Vec<_>>(content.bytes).await.ok()?.concat();
        Some((serial, values(&bytes)))
    }

    fn took(&self, run: &str, claim: &Claim, until: Timestamp, now: Timestamp) {
        let mut ledger = self.ledger.lock().unwrap();
        let others = ledger.held.iter().filter(|(_, (_, until))| *until > now);
        let met: Vec<String> =
            others.filter(|(_, (theirs, _))| theirs.conflict(claim).is_some()).map(|(run, _)| run.clone()).collect();
        if !met.is_empty() {
            ledger.complaints.push(format!("{run} holds what {met:?} hold"));
        }
        ledger.held.insert(run.to_owned(), (claim.clone(), until));
    }

    /// A run in a transaction. It may die, or stall for longer than its lease.
    async fn transaction(&self, run: &str, dice: &mut Dice) {
        let Some((serial, seen)) = self.look(dice).await else { return };
        let pick = |dice: &mut Dice| {
            (0..=dice.roll(2)).map(|_| NAMES[usize::try_from(dice.roll(5)).unwrap()]).collect::<BTreeSet<_>>()
        };
        let (write, read) = (pick(dice), pick(dice));
        let addresses = |names: &BTreeSet<&str>| names.iter().map(|name| format!("x.{name}")).collect::<Vec<_>>();
        let claim = Claim::parse(&addresses(&write), &addresses(&read)).unwrap();
        sleep(Duration::from_millis(dice.roll(1500))).await;
        let server = self.server(dice);
        let begin = Begin {
            raw: lock_info(run, "OperationTypeApply"),
            claim: claim.clone(),
            plan: against(serial),
            wait: Some(Duration::from_secs(30)),
            lease: LEASE,
        };
        let begun = match insist(async || server.begin(&self.caller, &id("a"), begin.clone()).await).await {
            Ok(begun) => begun,
            Err(error) if matches!(error.kind(), Kind::Locked | Kind::Stale | Kind::Unavailable) => return,
            Err(error) => return self.ledger.lock().unwrap().complaints.push(format!("{run}: {error}")),
        };
        self.took(run, &claim, begun.lease_until, server.now());
        begun.delivered();
        for post in 1..=1 + dice.roll(2) {
            if dice.roll(12) == 0 {
                return; // It dies; its lease ends.
            }
            sleep(Duration::from_millis(if dice.roll(8) == 0 { 7000 } else { dice.roll(1500) })).await;
            let server = self.server(dice);
            let saw: Vec<String> = write.union(&read).map(|name| format!("{name}={}", token(&seen[*name]))).collect();
            let mut after = seen.clone();
            write
                .iter()
                .for_each(|name| drop(after.insert((*name).to_owned(), format!("{run}#{post};{}", saw.join(",")))));
            let text = body(serial + post, &after);
            let commit = async || {
                let post = Post { lock_id: None, md5: None, body: BodyStream::of(text.clone()) };
                Box::pin(server.commit(&self.caller, &id("a"), run, post)).await
            };
            match insist(commit).await {
                Ok(_) => self.ledger.lock().unwrap().committed += 1,
                Err(_) => break, // Refused, or not known: nothing is promised.
            }
            insist(async || server.renew(&self.caller, &id("a"), run, LEASE).await).await.ok();
        }
        self.ledger.lock().unwrap().held.remove(run);
        insist(async || server.end(&self.caller, &id("a"), run, Ending::Committed).await).await.ok();
    }

    /// Plain Terraform: the whole state, with a lease as `stateward run --lock whole` has it.
    async fn whole(&self, run: &str, dice: &mut Dice) {
        let server = self.server(dice);
        let request = LockRequest {
            raw: lock_info(run, "OperationTypeApply"),
            wait: Some(Duration::from_secs(30)),
            lease: Some(LEASE),
        };
        let Ok(grant) = insist(async || server.lock(&self.caller, &id("a"), request.clone()).await).await else {
            return;
        };
        let everything = Claim::parse(&["*".to_owned()], &[]).unwrap();
        self.took(run, &everything, server.now() + LEASE, server.now());
        grant.delivered();
        if let Some((serial, mut after)) = self.look(dice).await {
            let name = NAMES[usize::try_from(dice.roll(5)).unwrap()];
            let value = format!("{run}#1;{name}={}", token(&after[name]));
            after.insert(name.to_owned(), value);
            let text = body(serial + 1, &after);
            let write = async || {
                let post = Post { lock_id: Some(run.to_owned()), md5: None, body: BodyStream::of(text.clone()) };
                Box::pin(server.write(&self.caller, &id("a"), post)).await
            };
            insist(write).await.ok();
        }
        self.ledger.lock().unwrap().held.remove(run);
        insist(async || server.unlock(&self.caller, &id("a"), &lock_info(run, "OperationTypeApply")).await).await.ok();
    }
}

async fn client(n: u64, seed: u64, room: Arc<Room>) {
    let mut dice = Dice::new(seed.wrapping_mul(1000) + n);
    for round in 0..6 {
        let run = format!("c{n}-{round}");
        match dice.roll(8) {
            0 => room.whole(&run, &mut dice).await,
            _ => room.transaction(&run, &mut dice).await,
        }
        sleep(Duration::from_millis(dice.roll(500))).await;
    }
}

/// Runs a seed. Gives how many writes were acknowledged, or what is wrong.
async fn simulate(seed: u64, bug: Option<Bug>) -> Result<usize, String> {
    let inner = Arc::new(MemStore::default());
    let clock = Arc::new(RuntimeClock(Instant::now()));
    let open = async |n: u64, store: Arc<dyn stateward_store::Store>| -> Result<Backend, Error> {
        let entropy = Arc::new(SeededEntropy::new(seed * 10 + n));
        Backend::open(store, clock.clone(), entropy, Settings::default()).await
    };
    let caller = Caller::trusted("simulated");
    let sound = open(9, inner.clone()).await.map_err(|error| error.to_string())?;
    let first: Values = NAMES.iter().map(|name| ((*name).to_owned(), "first#0".to_owned())).collect();
    let post = Post { lock_id: None, md5: None, body: BodyStream::of(body(1, &first)) };
    Box::pin(sound.write(&caller, &id("a"), post)).await.map_err(|error| error.to_string())?;
    let mut servers = Vec::new();
    for n in 0..2 {
        let faulty = FaultStore::new(inner.clone(), FaultPlan::random(seed * 10 + n, 40));
        let server =
            insist(async || open(n, Arc::new(faulty.clone())).await).await.map_err(|error| error.to_string())?;
        bug.into_iter().for_each(|bug| server.plant(bug));
        servers.push(server);
    }
    let room = Arc::new(Room { servers, caller: caller.clone(), ledger: Mutex::default() });
    let mut clients = tokio::task::JoinSet::new();
    (0..5).for_each(|n| drop(clients.spawn_local(client(n, seed, room.clone()))));
    let all = async {
        while let Some(end) = clients.join_next().await {
            end.unwrap();
        }
    };
    timeout(ENDLESS, all).await.map_err(|_| "somebody waits for ever".to_owned())?;
    let ledger = std::mem::take(&mut *room.ledger.lock().unwrap());
    match ledger.complaints.first() {
        Some(complaint) => Err(complaint.clone()),
        None => check(&sound, &caller).await.map(|()| ledger.committed),
    }
}

/// Whether the history is one that runs one after the other could have made.
async fn check(backend: &Backend, caller: &Caller) -> Result<(), String> {
    let verified = backend.verify(caller, None, |_| {}).await.map_err(|error| error.to_string())?;
    if !verified.findings.is_empty() {
        return Err(format!("{:?}", verified.findings));
    }
    let mut history = backend.history(caller, &id("a"), None, None).await.map_err(|error| error.to_string())?.items;
    history.reverse();
    let mut before = Values::new();
    for item in &history {
        let content = backend.read_version(caller, &id("a"), item.version).await.map_err(|error| error.to_string())?;
        let after = values(&bytes_of(content).await);
        if !before.is_empty() {
            follows(item, &before, &after)?;
        }
        before = after;
    }
    if history.windows(2).any(|pair| pair[0].serial + 1 != pair[1].serial) {
        return Err("serials do not follow each other".to_owned());
    }
    Ok(())
}

/// Whether a version changes nothing but what its run wrote, on top of nothing but what its run saw.
fn follows(item: &VersionItem, before: &Values, after: &Values) -> Result<(), String> {
    let run = item.lock_id.as_deref().unwrap_or_default();
    if after.keys().ne(before.keys()) {
        return Err(format!("{} ({run}) adds or loses resources", item.version));
    }
    for (name, value) in after.iter().filter(|(name, value)| before[*name] != **value) {
        if run_of(value) != run {
            return Err(format!("{} ({run}) sets {name} to {}, which is another's", item.version, token(value)));
        }
        for (other, saw) in seen_by(value) {
            if token(&before[other]) != saw && run_of(&before[other]) != run {
                let (there, version) = (token(&before[other]), item.version);
                return Err(format!(
                    "{version} ({run}) saw {saw} in {other}, where {there} stood when it wrote {name}"
                ));
            }
        }
    }
    Ok(())
}

/// More than the usual seeds, where somebody asks for them: `cargo xtask simulate --seeds N`.
#[expect(clippy::disallowed_methods, reason = "the developer's command passes it this way")]
fn seeds() -> u64 {
    std::env::var("STATEWARD_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40)
}

async fn in_its_own_time(seed: u64, bug: Option<Bug>) -> Result<usize, String> {
    Box::pin(tokio::task::LocalSet::new().run_until(simulate(seed, bug))).await
}

#[tokio::test(start_paused = true)]
async fn histories_are_those_of_runs_one_after_the_other() {
    let (mut committed, seeds) = (0, seeds());
    for seed in 1..=seeds {
        committed += in_its_own_time(seed, None).await.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    assert!(committed > usize::try_from(seeds).unwrap() * 8, "the simulation did next to nothing: {committed} commits");
}

/// In how many seeds a planted bug shows.
async fn found(bug: Bug) -> usize {
    let mut found = 0;
    for seed in 1..=20 {
        found += usize::from(in_its_own_time(seed, Some(bug)).await.is_err());
    }
    found
}

#[tokio::test(start_paused = true)]
async fn planted_bugs_are_found() {
    for bug in [Bug::NothingIsHeld, Bug::ReadsAreFree, Bug::StalePlansPass, Bug::WritesAreNotMerged] {
        let found = found(bug).await;
        assert!(found > 0, "{bug:?} does not show in 20 seeds");
    }
}
