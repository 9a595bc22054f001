//! A place shared with others: their writes and locks are seen, ours are seen by them, and nobody's are lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use stateward_core::testing::{ManualClock, SeededEntropy};
use stateward_core::{Adoption, Backend, Caller, Kind, Outside, Settings};
use stateward_store::fault::{Fault, FaultPlan, FaultStore};
use stateward_store::outside::{BytesPlace, Incoming, LockPlace, Mark, Outgoing, Seen, Spot, Taken};
use stateward_store::{MemStore, Result, Store, StoreError};

use crate::adopt::{adopt_all, adoptions};
use crate::bench::{Bench, bench, id, kind, lock_info, state};
use crate::transactions::world;

/// A bucket in memory, with a lock file beside each state.
#[derive(Debug, Clone, Default)]
struct Bucket(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<Spot, Object>,
    locks: BTreeMap<Spot, Bytes>,
    writes: u64,
    log: Vec<&'static str>,
    /// The number of the operation that fails, and whether it is done all the same.
    fault: Option<(usize, bool)>,
    /// The operation of this name that is refused, always.
    refused: Option<(&'static str, StoreError)>,
    /// Whether all locks may be looked through at once.
    is_barred: bool,
}

#[derive(Debug, Clone)]
struct Object {
    mark: u64,
    label: Option<String>,
    bytes: Bytes,
}

fn at(name: &str) -> Spot {
    Spot { name: name.to_owned(), workspace: "default".to_owned() }
}

fn id_of(info: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(info).unwrap()["ID"].as_str().unwrap().to_owned()
}

impl Bucket {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does an operation, or fails before or after it, as planned.
    fn operation<T>(&self, name: &'static str, run: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        let mut inner = self.inner();
        inner.log.push(name);
        if let Some((_, error)) = inner.refused.as_ref().filter(|(refused, _)| *refused == name) {
            return Err(error.clone());
        }
        let fault = inner.fault.filter(|(n, _)| *n == inner.log.len());
        match fault {
            None => run(&mut inner),
            Some((_, done)) => {
                if done {
                    run(&mut inner)?;
                }
                Err(StoreError::OutcomeUnknown { reason: "planned".to_owned() })
            }
        }
    }

    /// What plain Terraform does.
    fn foreign_write(&self, name: &str, body: &str) {
        let mut inner = self.inner();
        inner.writes += 1;
        let object = Object { mark: inner.writes, label: None, bytes: Bytes::copy_from_slice(body.as_bytes()) };
        inner.objects.insert(at(name), object);
    }

    fn foreign_lock(&self, name: &str, lock: &str) {
        let before = self.inner().locks.insert(at(name), lock_info(lock, "OperationTypeApply"));
        assert_eq!(before, None, "plain Terraform got the lock");
    }

    fn bytes(&self, name: &str) -> Option<String> {
        self.inner().objects.get(&at(name)).map(|object| String::from_utf8(object.bytes.to_vec()).unwrap())
    }

    fn holder(&self, name: &str) -> Option<String> {
        self.inner().locks.get(&at(name)).map(|info| id_of(info))
    }

    fn log(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.inner().log)
    }
}

fn conflict<T>() -> Result<T> {
    Err(StoreError::Conflict { key: "outside".to_owned(), current: None })
}

#[async_trait]
impl LockPlace for Bucket {
    async fn lock(&self, at: &Spot, id: &str, info: &[u8]) -> Result<Taken> {
        self.operation("lock", |inner| {
            let held = inner.locks.entry(at.clone()).or_insert_with(|| Bytes::copy_from_slice(info));
            Ok(if id_of(held) == id { Taken::Yes } else { Taken::Held(held.clone()) })
        })
    }

    async fn unlock(&self, at: &Spot, id: &str, _info: &[u8]) -> Result<()> {
        self.operation("unlock", |inner| {
            if inner.locks.get(at).is_some_and(|held| id_of(held) == id) {
                inner.locks.remove(at);
            }
            Ok(())
        })
    }

    async fn break_lock(&self, at: &Spot, id: Option<&str>) -> Result<Option<Bytes>> {
        self.operation("break", |inner| {
            let held = inner.locks.get(at).filter(|held| id.is_none_or(|id| id_of(held) == id)).cloned();
            if held.is_some() {
                inner.locks.remove(at);
            }
            Ok(held)
        })
    }

    async fn holder(&self, at: &Spot) -> Result<Option<Bytes>> {
        self.operation("holder", |inner| Ok(inner.locks.get(at).cloned()))
    }

    async fn holders(&self) -> Result<Vec<(Spot, Bytes)>> {
        self.operation("holders", |inner| match inner.is_barred {
            true => Err(StoreError::Denied { denial: "planned".to_owned() }),
            false => Ok(inner.locks.clone().into_iter().collect()),
        })
    }
}

#[async_trait]
impl BytesPlace for Bucket {
    async fn read(&self, at: &Spot, known: Option<&Mark>) -> Result<Seen> {
        self.operation("read", |inner| {
            let Some(object) = inner.objects.get(at).cloned() else { return Ok(Seen::Absent) };
            let mark = Mark::new(object.mark.to_string());
            if known == Some(&mark) {
                return Ok(Seen::Same);
            }
            let size = object.bytes.len() as u64;
            let bytes = stream::iter([Ok(object.bytes)]).boxed();
            Ok(Seen::Bytes(Incoming { mark, label: object.label, size, bytes }))
        })
    }

    async fn write(&self, at: &Spot, expected: Option<&Mark>, body: Outgoing) -> Result<Mark> {
        let bytes: Bytes = body.bytes.try_collect::<Vec<Bytes>>().await?.concat().into();
        assert_eq!(bytes.len() as u64, body.size);
        self.operation("write", |inner| {
            let there = inner.objects.get(at).map(|object| Mark::new(object.mark.to_string()));
            if there.as_ref() != expected {
                return conflict();
            }
            inner.writes += 1;
            let mark = inner.writes;
            inner.objects.insert(at.clone(), Object { mark, label: Some(body.label), bytes });
            Ok(Mark::new(mark.to_string()))
        })
    }

    async fn delete(&self, at: &Spot, expected: &Mark) -> Result<()> {
        self.operation("delete", |inner| match inner.objects.get(at) {
            Some(object) if Mark::new(object.mark.to_string()) != *expected => conflict(),
            _ => {
                inner.objects.remove(at);
                Ok(())
            }
        })
    }

    async fn list(&self) -> Result<Vec<(Spot, Mark)>> {
        self.operation("list", |inner| {
            let marked = |(at, object): (&Spot, &Object)| (at.clone(), Mark::new(object.mark.to_string()));
            Ok(inner.objects.iter().map(marked).collect())
        })
    }
}

async fn shared(store: Arc<dyn Store>, bucket: &Bucket, seed: u64) -> Bench {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let outside = Outside { locks: Some(Arc::new(bucket.clone())), bytes: Some(Arc::new(bucket.clone())) };
    let entropy = Arc::new(SeededEntropy::new(seed));
    let backend = Backend::open_shared(store, clock.clone(), entropy, Settings::default(), outside).await.unwrap();
    Bench { backend, clock, caller: Caller::trusted("tester") }
}

async fn fresh() -> (Bench, Bucket) {
    let bucket = Bucket::default();
    (shared(Arc::new(MemStore::gathering(32)), &bucket, 1).await, bucket)
}

/// Operation and author of each version, newest first.
async fn history(bench: &Bench) -> Vec<(u64, String, String)> {
    let list = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap();
    list.items.into_iter().map(|item| (item.serial, item.operation, item.who)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_apply_looks_twice_and_writes_once() {
    let (bench, bucket) = fresh().await;
    let body = state(1, &[("x", "1")]);
    assert_eq!(bench.get("a").await, None);
    bench.lock("a", "L").await.unwrap();
    assert_eq!(bucket.holder("a").as_deref(), Some("L"), "others see our lock");
    assert_eq!(bench.get("a").await, None);
    bench.post("a", Some("L"), body.clone()).await.unwrap();
    assert_eq!(bucket.bytes("a").as_ref(), Some(&body), "others see our bytes");
    bench.unlock("a", "L").await.unwrap();
    assert_eq!(bucket.holder("a"), None);
    assert_eq!(bucket.log(), ["read", "lock", "read", "write", "unlock"]);
    assert_eq!(bench.get("a").await.unwrap(), body);
    assert_eq!(bucket.log(), ["read"]);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_write_becomes_a_version() {
    let (bench, bucket) = fresh().await;
    let first = state(7, &[("x", "1")]);
    bucket.foreign_write("a", &first);
    assert_eq!(bench.get("a").await.unwrap(), first, "a state that was there before");
    bench.lock("a", "L").await.unwrap();
    bench.post("a", Some("L"), state(8, &[("x", "2")])).await.unwrap();
    bench.unlock("a", "L").await.unwrap();
    let theirs = state(9, &[("x", "3"), ("y", "1")]);
    bucket.foreign_write("a", &theirs);
    assert_eq!(bench.get("a").await.unwrap(), theirs);
    bucket.foreign_write("a", &theirs);
    assert_eq!(bench.get("a").await.unwrap(), theirs, "the same bytes again are no new version");
    let outsider = |serial| (serial, "external-write".to_owned(), "external writer".to_owned());
    let ours = (8, "OperationTypeApply".to_owned(), "L@host".to_owned());
    assert_eq!(history(&bench).await, [outsider(9), ours, outsider(7)]);
    assert_eq!(bench.get_version("a", 1).await.unwrap(), first);
    let changes = bench.backend.diff(&bench.caller, &id("a"), None, None).await.unwrap().items;
    assert_eq!(changes.len(), 3, "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unlocked_foreign_write_under_our_lock_wins_the_place_and_loses_nothing() {
    let (bench, bucket) = fresh().await;
    bench.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    bench.lock("a", "L").await.unwrap();
    bench.get("a").await.unwrap();
    let theirs = state(2, &[("x", "theirs")]);
    bucket.foreign_write("a", &theirs);
    let ours = state(2, &[("x", "ours")]);
    assert_eq!(kind(bench.post("a", Some("L"), ours.clone()).await), Kind::Conflict);
    assert_eq!(bench.get("a").await.unwrap(), theirs);
    assert_eq!(bucket.bytes("a").as_ref(), Some(&theirs), "not written over");
    assert_eq!(bench.get_version("a", 2).await.unwrap(), ours, "kept in the history");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_lock_makes_us_wait_and_shows() {
    let (bench, bucket) = fresh().await;
    bench.post("a", None, state(1, &[])).await.unwrap();
    bucket.foreign_lock("a", "plain");
    let refused = bench.lock_for("a", "L", "x", Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Locked);
    assert_eq!(refused.holder().unwrap(), &lock_info("plain", "OperationTypeApply"), "the holder's own bytes");
    bench.lock_for("a", "P", "OperationTypePlan", Duration::ZERO).await.unwrap().delivered();
    for (list, is_barred) in [(Some(id("a")), false), (None, false), (None, true)] {
        bucket.inner().is_barred = is_barred;
        let locks = bench.backend.locks(&bench.caller, list.as_ref()).await.unwrap().items;
        assert!(locks.iter().any(|lock| lock.id == "plain" && lock.who == "plain@host"), "{locks:?}");
    }
    for refusal in [
        kind(bench.backend.delete(&bench.caller, &id("a"), None).await),
        kind(bench.backend.push(&bench.caller, &id("a"), stateward_core::BodyStream::of(state(5, &[])), false).await),
    ] {
        assert_eq!(refusal, Kind::Locked);
    }

    let waiting = bench.lock_for("a", "L", "x", Duration::from_mins(1));
    let release = async {
        tokio::time::sleep(Duration::from_secs(12)).await;
        bucket.inner().locks.remove(&at("a"));
    };
    let (granted, ()) = tokio::join!(waiting, release);
    granted.unwrap().delivered();
    assert_eq!(bucket.holder("a").as_deref(), Some("L"));
    bench.unlock("a", "L").await.unwrap();

    bucket.foreign_lock("a", "dead");
    let broken = bench.backend.release(&bench.caller, &id("a"), Some("dead")).await.unwrap();
    assert_eq!((broken.released, bucket.holder("a")), (vec!["dead".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_leaves_no_lock_outside() {
    let (bench, bucket) = fresh().await;
    let grant = bench.lock_for("a", "L", "x", Duration::ZERO).await.unwrap();
    assert_eq!(bucket.holder("a").as_deref(), Some("L"));
    drop(grant);
    bench.backend.settled().await;
    assert_eq!(bucket.holder("a"), None, "the answer was not delivered");

    bench.lock("a", "M").await.unwrap();
    bench.backend.release(&bench.caller, &id("a"), None).await.unwrap();
    assert_eq!(bucket.holder("a"), None, "a broken lock is broken outside too");

    // The lock was released here, and its server died before it came to the lock outside.
    bench.lock("a", "N").await.unwrap();
    let info = bucket.inner().locks[&at("a")].clone();
    bench.unlock("a", "N").await.unwrap();
    bucket.inner().locks.insert(at("a"), info);
    bench.lock("a", "O").await.unwrap();
    assert_eq!(bucket.holder("a").as_deref(), Some("O"));
}

#[tokio::test(start_paused = true)]
async fn deletions_go_both_ways() {
    let (bench, bucket) = fresh().await;
    let body = state(1, &[("x", "1")]);
    bench.post("a", None, body.clone()).await.unwrap();
    bench.lock("a", "L").await.unwrap();
    bench.unlock("a", "L").await.unwrap();
    bucket.inner().objects.clear();
    assert_eq!(bench.get("a").await, None, "somebody deleted it");
    bench.backend.undelete(&bench.caller, &id("a")).await.unwrap();
    assert_eq!(bucket.bytes("a").as_ref(), Some(&body));
    bench.backend.delete(&bench.caller, &id("a"), None).await.unwrap();
    assert_eq!(bucket.bytes("a"), None);
    assert_eq!(bench.get("a").await, None);
    let later = state(1, &[("new", "1")]);
    bucket.foreign_write("a", &later);
    assert_eq!(bench.get("a").await.unwrap(), later);
}

/// As by a copy of an older version of the object: with all that was written with it.
#[tokio::test(start_paused = true)]
async fn an_older_version_that_is_put_back_outside_becomes_the_current_one() {
    let store: Arc<dyn Store> = Arc::new(MemStore::gathering(32));
    let bucket = Bucket::default();
    let bench = shared(Arc::clone(&store), &bucket, 1).await;
    let old = state(1, &[("x", "1")]);
    for (serial, body) in [(1, old.clone()), (2, state(2, &[("x", "2")]))] {
        let body = stateward_core::BodyStream::of(body);
        bench.backend.push(&bench.caller, &id("a"), body, false).await.unwrap();
        if serial == 1 {
            let object = bucket.inner().objects[&at("a")].clone();
            bucket.inner().objects.insert(at("kept"), object);
        }
    }
    let kept = bucket.inner().objects.remove(&at("kept")).unwrap();
    bucket.inner().objects.insert(at("a"), kept);
    // Also to who has not written the head.
    let other = shared(store, &bucket, 2).await;
    assert_eq!(other.get("a").await.unwrap(), old);
    assert_eq!(bench.get("a").await.unwrap(), old);
    assert_eq!(bucket.bytes("a").unwrap(), old, "what was put back stays");
    let operations: Vec<(u64, String)> =
        history(&bench).await.into_iter().map(|(serial, of, _)| (serial, of)).collect();
    assert_eq!(operations, [(1, "external-write".to_owned()), (2, "push".to_owned()), (1, "push".to_owned())]);
}

/// `Unavailable`, too, says of itself that nothing was changed.
#[tokio::test(start_paused = true)]
async fn what_was_done_before_a_failure_outside_is_said() {
    let errors = [
        StoreError::Denied { denial: "planned".to_owned() },
        StoreError::Unavailable { retry_after: None, reason: "planned".to_owned() },
    ];
    for error in errors {
        let (bench, bucket) = fresh().await;
        bench.post("a", None, state(1, &[])).await.unwrap();
        let refuse = |operation| bucket.inner().refused = Some((operation, error.clone()));
        let push = async |serial| {
            let body = stateward_core::BodyStream::of(state(serial, &[]));
            bench.backend.push(&bench.caller, &id("a"), body, false).await
        };

        refuse("write");
        let told = push(2).await.unwrap_err();
        assert!(told.what().contains("stored as v2 here, and not yet where Terraform looks"), "{told:?}");
        assert!(!told.next().contains("nothing was changed"), "{told:?}");
        assert_eq!((told.why().contains("planned"), bucket.holder("a")), (true, None), "{told:?}");

        refuse("unlock");
        let told = push(3).await.unwrap_err();
        let lock = bucket.holder("a").unwrap();
        assert!(told.what().contains("the push of `a` is done") && told.next().contains(&lock), "{told:?}");
        assert!(!told.next().contains("nothing was changed"), "{told:?}");
        bucket.inner().refused = None;
        assert_eq!(bench.backend.release(&bench.caller, &id("a"), Some(&lock)).await.unwrap().released, [lock]);
        assert_eq!(bench.get("a").await.unwrap(), state(3, &[]), "what was said is so");

        refuse("delete");
        let told = bench.backend.delete(&bench.caller, &id("a"), None).await.unwrap_err();
        assert!(told.what().contains("is deleted here, and still stands"), "{told:?}");
    }
}

/// All requests from some moment on fail; what was sent before may have been done.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_at_any_more_is_not_said_to_be_unchanged() {
    let mut seen = (false, false);
    for operation in 1..20 {
        let kept: Arc<dyn Store> = Arc::new(MemStore::gathering(32));
        let bucket = Bucket::default();
        shared(Arc::clone(&kept), &bucket, 1).await.post("a", None, state(1, &[])).await.unwrap();
        let failing = FaultStore::new(Arc::clone(&kept), FaultPlan::at(operation + 1, Fault::CrashAfter));
        let bench = shared(Arc::new(failing), &bucket, 2).await;
        let body = stateward_core::BodyStream::of(state(2, &[]));
        let Err(told) = bench.backend.push(&bench.caller, &id("a"), body, false).await else { break };
        let after = history(&shared(kept, &bucket, 3).await).await;
        let is_done = after.len() == 2;
        seen = (seen.0 || is_done, seen.1 || !is_done);
        assert!(!(is_done && told.next().contains("nothing was changed")), "{operation}: {told:?}");
    }
    assert_eq!(seen, (true, true), "before and after the head moved");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_state_is_left_alone() {
    let (bench, bucket) = fresh().await;
    bench.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    bucket.foreign_write("a", "oops");
    let error = bench.backend.read(&bench.caller, &id("a")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(!error.to_string().contains("oops"), "{error}");
    assert_eq!(bucket.bytes("a").as_deref(), Some("oops"));
    assert_eq!(history(&bench).await.len(), 1, "the history can be looked at");
    assert!(bench.get_version("a", 1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_others_find_is_verified_too() {
    let (bench, bucket) = fresh().await;
    let findings = async || {
        let verified = bench.backend.verify(&bench.caller, None, |_| ()).await.unwrap();
        verified.findings.into_iter().map(|finding| format!("{}: {}", finding.what, finding.why)).collect::<Vec<_>>()
    };
    bench.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    assert_eq!(findings().await, [""; 0]);
    bucket.inner().objects.get_mut(&at("a")).unwrap().bytes = Bytes::from(state(1, &[("x", "2")]));
    assert_eq!(findings().await, ["a, where others look for it: what stands there are not the bytes of its head"]);
    bucket.foreign_write("a", &state(2, &[("x", "3")]));
    assert_eq!(findings().await, [""; 0], "what somebody else wrote is taken in");
    bucket.foreign_write("a", "oops");
    assert_eq!(findings().await.len(), 1);
    assert_eq!(history(&bench).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_list_holds_what_others_wrote() {
    let (bench, bucket) = fresh().await;
    bench.post("a", None, state(1, &[])).await.unwrap();
    bucket.foreign_write("a", &state(2, &[("x", "1")]));
    bucket.foreign_write("net/prod", &state(40, &[]));
    bucket.foreign_write("broken", "{");
    let states = bench.backend.states(&bench.caller, &stateward_core::StatesQuery::default()).await.unwrap().items;
    let found: Vec<(String, u64)> = states.iter().map(|item| (item.state.to_string(), item.serial)).collect();
    assert_eq!(found, [("a".to_owned(), 2), ("net/prod".to_owned(), 40)]);
    bucket.log();
    bench.backend.states(&bench.caller, &stateward_core::StatesQuery::default()).await.unwrap();
    assert_eq!(bucket.log(), ["list"], "what is no state is not read again and again");
    bucket.foreign_write("broken", &state(1, &[]));
    let states = bench.backend.states(&bench.caller, &stateward_core::StatesQuery::default()).await.unwrap().items;
    assert_eq!(states.len(), 3, "unless it changes");
}

/// A state with three versions elsewhere, as it is taken in.
async fn elsewhere() -> Vec<(Adoption, Option<Vec<u8>>)> {
    let there = bench().await;
    for serial in 1..=3 {
        there.post("a", None, state(serial, &[("x", &serial.to_string())])).await.unwrap();
    }
    adoptions(&there, "a").await
}

#[tokio::test(start_paused = true)]
async fn a_history_from_elsewhere_ends_with_what_others_are_to_see() {
    let ((bench, bucket), all) = (fresh().await, elsewhere().await);
    adopt_all(&bench, "a", &all[..2]).await.unwrap();
    assert_eq!(bucket.bytes("a"), None);
    bucket.foreign_lock("a", "plain");
    assert_eq!(kind(adopt_all(&bench, "a", &all).await), Kind::Locked);
    bucket.inner().locks.remove(&at("a"));
    adopt_all(&bench, "a", &all).await.unwrap();
    assert_eq!(bucket.bytes("a"), Some(state(3, &[("x", "3")])));
    assert_eq!((bucket.holder("a"), history(&bench).await.len()), (None, 3));
}

#[tokio::test(start_paused = true)]
async fn what_stood_there_before_may_get_its_old_versions() {
    let ((bench, bucket), all) = (fresh().await, elsewhere().await);
    bucket.foreign_write("a", &state(3, &[("x", "3")]));
    assert!(bench.backend.recorded(&bench.caller, &id("a"), None, None).await.unwrap().items.is_empty());
    adopt_all(&bench, "a", &all).await.unwrap();
    assert!(!bucket.log().contains(&"write"), "the bytes are there already");
    assert_eq!(bench.get("a").await.unwrap(), state(3, &[("x", "3")]));
    let operations: Vec<_> = history(&bench).await.into_iter().map(|(_, operation, _)| operation).collect();
    assert_eq!(operations, ["write"; 3], "and are not taken in a second time");
    bench.post("a", None, state(4, &[])).await.unwrap();
    assert_eq!(bucket.bytes("a"), Some(state(4, &[])));
}

#[tokio::test(start_paused = true)]
async fn nothing_from_elsewhere_takes_the_place_of_what_others_wrote() {
    let ((bench, bucket), all) = (fresh().await, elsewhere().await);
    let theirs = state(3, &[("x", "theirs")]);
    bucket.foreign_write("a", &theirs);
    assert_eq!(kind(adopt_all(&bench, "a", &all).await), Kind::Conflict);
    assert_eq!(bench.get("a").await.unwrap(), theirs);
    assert_eq!(bucket.bytes("a"), Some(theirs));
}

/// Reads, locks, writes twice and unlocks, again and again where the outcome is not known; gives what was acknowledged.
async fn apply(bench: &Bench, lock: &str, serial: u64) -> Option<Vec<String>> {
    let mut written = Vec::new();
    insist(async || bench.backend.read(&bench.caller, &id("a")).await.map(drop)).await?;
    insist(async || bench.lock("a", lock).await).await?;
    for serial in [serial, serial + 1] {
        let body = state(serial, &[("x", lock)]);
        insist(async || bench.post("a", Some(lock), body.clone()).await).await?;
        written.push(body);
    }
    insist(async || bench.unlock("a", lock).await).await?;
    Some(written)
}

async fn insist<T>(mut attempt: impl AsyncFnMut() -> std::result::Result<T, stateward_core::Error>) -> Option<T> {
    for _ in 0..10 {
        match attempt().await {
            Ok(done) => return Some(done),
            Err(error) if error.kind() == Kind::Unavailable => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{error}"),
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_every_step_outside_and_here_is_made_good() {
    let (bench, bucket) = fresh().await;
    apply(&bench, "L", 1).await.unwrap();
    let outside_steps = bucket.log().len();
    for (n, done) in (1..=outside_steps).flat_map(|n| [(n, false), (n, true)]) {
        let (bench, bucket) = fresh().await;
        bucket.inner().fault = Some((n, done));
        let written = apply(&bench, "L", 1).await.unwrap();
        assert_settled(&bench, &bucket, &written, &format!("outside {n} {done}")).await;
    }
    let counting = FaultStore::new(Arc::new(MemStore::gathering(32)), FaultPlan::none());
    apply(&shared(Arc::new(counting.clone()), &Bucket::default(), 1).await, "L", 1).await.unwrap();
    for operation in 3..=counting.ops() {
        for fault in [Fault::Before, Fault::After, Fault::Duplicate] {
            let bucket = Bucket::default();
            let store = FaultStore::new(Arc::new(MemStore::gathering(32)), FaultPlan::at(operation, fault));
            let bench = shared(Arc::new(store), &bucket, 1).await;
            let written = apply(&bench, "L", 1).await.unwrap();
            assert_settled(&bench, &bucket, &written, &format!("here {operation} {fault:?}")).await;
        }
    }
}

async fn assert_settled(bench: &Bench, bucket: &Bucket, written: &[String], what: &str) {
    assert_eq!(bucket.holder("a"), None, "{what}: a lock was left outside");
    assert_eq!(bucket.bytes("a").as_ref(), written.last(), "{what}: the place");
    assert_eq!(history(bench).await.len(), written.len(), "{what}: {:?}", history(bench).await);
    assert_eq!(bench.get("a").await.unwrap(), *written.last().unwrap(), "{what}");
}

#[tokio::test(start_paused = true)]
async fn another_server_goes_on_where_one_crashed() {
    let (first, bucket) = fresh().await;
    apply(&first, "L", 1).await.unwrap();
    let steps = bucket.log().len();
    for (n, done) in (1..=steps).flat_map(|n| [(n, false), (n, true)]) {
        let (store, bucket) = (Arc::new(MemStore::gathering(32)), Bucket::default());
        let crashed = shared(store.clone(), &bucket, 1).await;
        bucket.inner().fault = Some((n, done));
        // Its client does not try again: it is gone with its server.
        let outcome = async {
            crashed.backend.read(&crashed.caller, &id("a")).await?;
            crashed.lock("a", "L").await?;
            crashed.post("a", Some("L"), state(1, &[("x", "L")])).await?;
            crashed.post("a", Some("L"), state(2, &[("x", "L")])).await?;
            crashed.unlock("a", "L").await
        };
        outcome.await.ok();
        let next = shared(store, &bucket, 2).await;
        next.backend.release(&next.caller, &id("a"), None).await.ok();
        let serial = match next.backend.read(&next.caller, &id("a")).await.unwrap() {
            Some(content) => content.serial + 1,
            None => 1,
        };
        let written = apply(&next, "M", serial).await.unwrap();
        let what = format!("{n} {done}");
        assert_eq!(bucket.bytes("a").as_ref(), written.last(), "{what}");
        assert_eq!(bucket.holder("a"), None, "{what}");
        let history = history(&next).await;
        assert!(history.iter().all(|(_, operation, _)| operation != "external-write"), "{what}: {history:?}");
        assert!(history.windows(2).all(|pair| pair[0].0 == pair[1].0 + 1), "{what}: {history:?}");
        assert!(next.get_version("a", 1).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_lease_gives_way_outside_too() {
    let (bench, bucket) = fresh().await;
    bench.lease("a", "dead").await.unwrap();
    assert_eq!(bucket.holder("a").as_deref(), Some("dead"));
    assert_eq!(kind(bench.lock("a", "next").await), Kind::Locked);
    bench.clock.advance(jiff::SignedDuration::from_mins(2));
    bench.lock("a", "next").await.unwrap();
    assert_eq!(bucket.holder("a").as_deref(), Some("next"));
    assert_eq!(kind(bench.post("a", Some("dead"), state(1, &[])).await), Kind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn transactions_hold_one_lock_outside_together() {
    let (bench, bucket) = fresh().await;
    bench.post("a", None, world(1, &[("a", "0"), ("b", "0")])).await.unwrap();
    bucket.log();
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    let group = bucket.holder("a").expect("plain Terraform is kept out");
    bench.begin("B", 1, &["x.b"], &[]).await.unwrap();
    let log = bucket.log();
    assert_eq!(log.iter().filter(|step| **step == "lock").count(), 1, "{log:?}");
    let locks = bench.backend.locks(&bench.caller, None).await.unwrap().items;
    assert_eq!(locks.iter().map(|lock| lock.id.as_str()).collect::<Vec<_>>(), ["A", "B"], "the group's own is theirs");
    bench.commit("B", world(2, &[("a", "0"), ("b", "1")])).await.unwrap();
    bench.finish("B").await.unwrap();
    assert_eq!(bucket.holder("a"), Some(group), "A goes on");
    bench.commit("A", world(2, &[("a", "1"), ("b", "0")])).await.unwrap();
    bench.finish("A").await.unwrap();
    assert_eq!(bucket.holder("a"), None);
    assert_eq!(bucket.bytes("a").unwrap(), world(3, &[("a", "1"), ("b", "1")]));
}

#[tokio::test(start_paused = true)]
async fn transactions_wait_for_a_foreign_lock_and_take_in_what_was_written_under_it() {
    let (bench, bucket) = fresh().await;
    bench.post("a", None, world(1, &[("a", "0"), ("b", "0")])).await.unwrap();
    bucket.foreign_lock("a", "plain");
    let error = bench.begin("A", 1, &["x.a"], &[]).await.unwrap_err();
    assert!(error.kind() == Kind::Locked && error.why().contains("plain@host"), "{}", error.why());
    bucket.foreign_write("a", &world(2, &[("a", "0"), ("b", "theirs")]));
    bucket.inner().locks.clear();
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    assert_eq!(kind(bench.begin("B", 1, &["x.b"], &[]).await), Kind::Stale, "by what stood outside");
    bench.commit("A", world(2, &[("a", "1"), ("b", "0")])).await.unwrap();
    assert_eq!(bucket.bytes("a").unwrap(), world(3, &[("a", "1"), ("b", "theirs")]));
}

#[tokio::test(start_paused = true)]
async fn lapsed_transactions_give_way_outside_too() {
    let (bench, bucket) = fresh().await;
    bench.post("a", None, world(1, &[("a", "0"), ("b", "0")])).await.unwrap();
    bench.begin("dead", 1, &["x.a"], &[]).await.unwrap();
    bench.begin("dead too", 1, &["x.b"], &[]).await.unwrap();
    bench.clock.advance(jiff::SignedDuration::from_mins(2));
    bench.lock("a", "whole").await.unwrap();
    assert_eq!(bucket.holder("a").as_deref(), Some("whole"));
    bench.unlock("a", "whole").await.unwrap();
    assert_eq!(bucket.holder("a"), None);
    bench.begin("next", 1, &["x.a"], &[]).await.unwrap();
    bench.finish("next").await.unwrap();
    assert_eq!(bucket.holder("a"), None);
}

/// Two transactions side by side, again and again where the outcome is not known.
async fn side_by_side(bench: &Bench) -> Option<()> {
    insist(async || bench.begin("A", 1, &["x.a"], &[]).await).await?;
    insist(async || bench.begin("B", 1, &["x.b"], &[]).await).await?;
    insist(async || bench.commit("A", world(2, &[("a", "1"), ("b", "0")])).await).await?;
    insist(async || bench.commit("B", world(2, &[("a", "0"), ("b", "1")])).await).await?;
    insist(async || bench.finish("A").await).await?;
    insist(async || bench.finish("B").await).await
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_every_step_of_transactions_is_made_good() {
    let before = world(1, &[("a", "0"), ("b", "0")]);
    let counting = FaultStore::new(Arc::new(MemStore::gathering(32)), FaultPlan::none());
    let bucket = Bucket::default();
    let bench = shared(Arc::new(counting.clone()), &bucket, 1).await;
    bench.post("a", None, before.clone()).await.unwrap();
    let (first, _) = (counting.ops(), bucket.log());
    side_by_side(&bench).await.unwrap();
    let (last, outside) = (counting.ops(), bucket.log().len());
    let here = (first + 1..=last)
        .flat_map(|n| [Fault::Before, Fault::After, Fault::Duplicate].map(|fault| (FaultPlan::at(n, fault), None)));
    let outside = (1..=outside).flat_map(|n| [false, true].map(|done| (FaultPlan::none(), Some((n, done)))));
    for (n, (plan, fault)) in here.chain(outside).enumerate() {
        let (store, bucket) = (Arc::new(MemStore::gathering(32)), Bucket::default());
        let bench = shared(Arc::new(FaultStore::new(store, plan)), &bucket, 1).await;
        bench.post("a", None, before.clone()).await.unwrap();
        bucket.log();
        bucket.inner().fault = fault;
        side_by_side(&bench).await.unwrap();
        let now = world(3, &[("a", "1"), ("b", "1")]);
        assert_eq!(bench.now().await, now, "{n} {fault:?}");
        assert_eq!(bucket.bytes("a"), Some(now), "{n} {fault:?}");
        assert_eq!(bucket.holder("a"), None, "{n} {fault:?}: a lock was left outside");
        assert_eq!(history(&bench).await.len(), 3, "{n} {fault:?}");
    }
}
