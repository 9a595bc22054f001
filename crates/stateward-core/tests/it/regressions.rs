//! What a review broke, and what therefore has to hold.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use stateward_core::access::{Access, Right, Rule};
use stateward_core::{Caller, Kind, LockRequest, Retention, Settings, Version};
use stateward_store::{
    BlobRef, Description, Entry, Expect, Horizon, Key, Listing, Live, MemStore, Problem, Record, Result, Revision,
    Session, Store, SweepPage, Write,
};

use crate::bench::{Bench, bench, id, kind, lock_info, state};

fn reader() -> Caller {
    let rule = Rule { allow: vec![Right::Read], deny: vec![], states: vec!["**".into()] };
    Caller::bearer("reader", Access::Rules(vec![rule].into()))
}

/// a caller with `read` alone takes a live holder's lock away.
#[tokio::test]
async fn a_reader_who_repeats_a_lock_id_does_not_break_the_lock() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let raw = lock_info("L", "OperationTypePlan");
    drop(bench.backend.lock(&reader(), &id("a"), LockRequest { raw, ..LockRequest::default() }).await); // the connection resets
    bench.backend.settled().await;
    let second = bench.lock("a", "M").await;
    assert!(second.is_err(), "L was acknowledged and never released, yet M holds");
}

/// no other caller needed: a repetition whose answer is lost gives up what the first answer granted.
#[tokio::test]
async fn a_repeated_lock_whose_answer_is_lost_keeps_the_lock() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let again = bench.lock_for("a", "L", "OperationTypeApply", Duration::ZERO).await.unwrap();
    drop(again);
    bench.backend.settled().await;
    assert!(bench.lock("a", "M").await.is_err(), "lock lost");
}

/// plan lock answered as whole.
#[tokio::test]
async fn a_plan_lock_is_not_answered_as_a_whole_one() {
    let bench = bench().await;
    bench.lock_for("a", "P", "OperationTypePlan", Duration::ZERO).await.unwrap().delivered();
    let first = bench.lock("a", "P").await;
    let second = bench.lock("a", "M").await;
    assert!(first.is_err() || second.is_err(), "both were told that they hold the whole state");
}

/// So many days that they cannot be subtracted from now.
#[tokio::test]
async fn keeping_for_ever_keeps_everything() {
    for days in [999_999u64, 9_999_999, u64::MAX] {
        let retention = Retention { keep_days: Some(days), ..Retention::default() };
        let bench = Bench::over(Arc::new(MemStore::default()), Settings { retention, ..Settings::default() }).await;
        for serial in 1..=3 {
            bench.post("a", None, state(serial, &[("x", &serial.to_string())])).await.unwrap();
        }
        let pruned = bench.backend.prune(&bench.caller).await.unwrap();
        assert_eq!(pruned.versions, 0);
    }
}

/// Each run has a fence of its own, whatever ID it uses.
#[tokio::test]
async fn runs_with_the_same_lock_id_are_not_folded_into_one() {
    let retention = Retention { keep_versions: Some(10), fold_snapshots: true, ..Retention::default() };
    let bench = Bench::over(Arc::new(MemStore::default()), Settings { retention, ..Settings::default() }).await;
    for serial in 1..=3 {
        bench.lock("a", "ci").await.unwrap();
        bench.post("a", Some("ci"), state(serial, &[("x", &serial.to_string())])).await.unwrap();
        bench.unlock("a", "ci").await.unwrap();
    }
    assert_eq!(bench.backend.prune(&bench.caller).await.unwrap().versions, 0, "three runs, three fences");
}

type Hook = Box<dyn FnOnce() -> futures::future::BoxFuture<'static, ()> + Send>;

/// A store in memory with one thing about it that other engines have.
#[derive(Default)]
struct Odd {
    inner: MemStore,
    /// A commit takes this long, and goes on when its caller goes away, as in an engine with a writer thread.
    commit_takes: Option<Duration>,
    /// Runs once, just before blobs are read.
    hook: tokio::sync::Mutex<Option<Hook>>,
}

impl std::fmt::Debug for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Odd")
    }
}

#[async_trait]
impl Store for Odd {
    fn describe(&self) -> Description {
        self.inner.describe()
    }
    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.inner.get(key).await
    }
    async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        self.inner.list(listing).await
    }
    async fn commit(&self, writes: Vec<Write>) -> Result<Revision> {
        let Some(takes) = self.commit_takes else { return self.inner.commit(writes).await };
        let store = self.inner.clone();
        let commit = async move {
            tokio::time::sleep(takes).await;
            store.commit(writes).await
        };
        tokio::spawn(commit).await.unwrap()
    }
    async fn delete(&self, key: &Key, expect: Revision) -> Result<()> {
        self.inner.delete(key, expect).await
    }
    fn session(&self, home: &Key) -> Box<dyn Session> {
        self.inner.session(home)
    }
    async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        let hook = self.hook.lock().await.take();
        if let Some(hook) = hook {
            hook().await;
        }
        self.inner.get_blobs(refs).await
    }
    async fn begin_sweep(&self) -> Result<Horizon> {
        self.inner.begin_sweep().await
    }
    async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage> {
        self.inner.sweep(horizon, after, live).await
    }
    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }
    async fn verify(&self) -> Result<Vec<Problem>> {
        self.inner.verify().await
    }
    async fn backup(&self, to: &std::path::Path) -> Result<()> {
        self.inner.backup(to).await
    }
}

/// the client goes while its lock is being committed.
#[tokio::test]
async fn a_client_that_goes_while_its_lock_is_committed_leaves_none() {
    let slow = Odd { commit_takes: Some(Duration::from_millis(50)), ..Odd::default() };
    let bench = Bench::over(Arc::new(slow), Settings::default()).await;
    let gone =
        tokio::time::timeout(Duration::from_millis(10), bench.lock_for("a", "L", "OperationTypeApply", Duration::ZERO))
            .await;
    assert!(gone.is_err());
    bench.backend.settled().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let locks = bench.backend.locks(&bench.caller, Some(&id("a"))).await.unwrap().items;
    assert!(locks.is_empty(), "held by nobody, for ever");
}

/// others fill the control record, so the holder cannot write.
#[tokio::test]
async fn locks_never_fill_the_record_that_the_holder_has_to_write() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let big = |n: usize, size: usize| {
        Bytes::from(format!(
            r#"{{"ID":"q{n}","Operation":"OperationTypePlan","Who":"w","Info":"{}"}}"#,
            "x".repeat(size)
        ))
    };
    let mut n = 0;
    let mut size = 60_000;
    while size >= 16 {
        n += 1;
        match bench.backend.lock(&reader(), &id("a"), LockRequest { raw: big(n, size), ..LockRequest::default() }).await
        {
            Ok(g) => g.delivered(),
            Err(_) => size /= 2,
        }
        if n > 60 {
            break;
        }
    }
    let post = bench.post("a", Some("L"), state(1, &[("x", "1")])).await;
    assert!(post.is_ok());
}

/// a reader of the head loses its blobs to the very next prune.
#[tokio::test]
async fn a_read_of_the_former_head_outlives_the_next_prune() {
    let retention = Retention { keep_versions: Some(1), ..Retention::default() };
    let bench = Bench::over(Arc::new(MemStore::default()), Settings { retention, ..Settings::default() }).await;
    let body = |serial: u64| {
        let r: Vec<(String, String)> = (0..4000u128)
            .map(|n| {
                (format!("r{n}_{serial}"), format!("{:032x}", (n + 7) * 0x9e37_79b9_7f4a_7c15u128 * u128::from(serial)))
            })
            .collect();
        let r: Vec<(&str, &str)> = r.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        state(serial, &r)
    };
    bench.post("a", None, body(1)).await.unwrap();
    for _ in 0..3 {
        bench.backend.prune(&bench.caller).await.unwrap();
    }
    let content = bench.backend.read(&bench.caller, &id("a")).await.unwrap().unwrap();
    bench.post("a", None, body(2)).await.unwrap();
    bench.backend.prune(&bench.caller).await.unwrap();
    let read = content.bytes.try_collect::<Vec<Bytes>>().await;
    assert!(read.is_ok());
}

/// verify does not notice that an old version's list of chunks is another's.
#[tokio::test]
async fn exchanged_bodies_and_head_facts_are_found() {
    let bench = bench().await;
    for serial in 1..=3 {
        bench.post("a", None, state(serial, &[("x", &serial.to_string())])).await.unwrap();
    }
    let store = bench.backend.store();
    let l = store.list(&Listing { prefix: "version/a@default#".into(), after: None, limit: 9 }).await.unwrap();
    let (v2, v1) = (&l[1], &l[2]);
    let mut one: serde_json::Value = serde_json::from_slice(&v1.record.value).unwrap();
    let two: serde_json::Value = serde_json::from_slice(&v2.record.value).unwrap();
    one["body"] = two["body"].clone();
    one["spans"]["serial"]["start"] = 0.into();
    store
        .commit(vec![Write {
            key: v1.key.clone(),
            value: Some(serde_json::to_vec(&one).unwrap().into()),
            expect: Expect::Any,
        }])
        .await
        .unwrap();
    // and the head's own facts
    let key = Key::new("state/a@default");
    let c = store.get(&key).await.unwrap().unwrap();
    let mut control: serde_json::Value = serde_json::from_slice(&c.value).unwrap();
    control["head"]["serial"] = 99.into();
    control["head"]["md5"] = "00000000000000000000000000000000".into();
    store
        .commit(vec![Write { key, value: Some(serde_json::to_vec(&control).unwrap().into()), expect: Expect::Any }])
        .await
        .unwrap();
    let v = bench.backend.verify(&bench.caller, None, |_| {}).await.unwrap();
    assert!(!v.findings.is_empty());
}

#[tokio::test]
async fn no_serial_after_the_last_one() {
    let bench = bench().await;
    bench.post("a", None, state(1, &[])).await.unwrap();
    bench.post("a", None, state(u64::MAX, &[])).await.unwrap();
    assert_eq!(kind(bench.backend.restore(&bench.caller, &id("a"), Version(1), &[]).await), Kind::Invalid);
}

#[tokio::test]
async fn another_token_needs_force_unlock_to_release_a_lock() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let rule = Rule { allow: vec![Right::Lock], deny: vec![], states: vec!["**".into()] };
    let other = Caller::bearer("other", Access::Rules(vec![rule].into()));
    let raw = br#"{"ID":"L","Operation":"x","Who":"mallory"}"#;
    let r = bench.backend.unlock(&other, &id("a"), raw).await;
    assert_eq!(kind(r), Kind::Denied);
}

/// a DELETE (or a rewrite at a lower serial) between what restore reads and what it publishes.
#[tokio::test]
async fn a_restore_is_not_published_over_a_head_it_was_not_made_from() {
    let mem = MemStore::default();
    let hooked = Arc::new(Odd { inner: mem.clone(), ..Odd::default() });
    let bench = Bench::over(hooked.clone(), Settings::default()).await;
    bench.post("a", None, state(10, &[("x", "1")])).await.unwrap();
    bench.post("a", None, state(11, &[("x", "2"), ("y", "2")])).await.unwrap();
    let other = Arc::new(Bench::try_over(Arc::new(mem), Settings::default(), 7).await.unwrap());
    let o = other.clone();
    let hook: Hook = Box::new(move || {
        Box::pin(async move {
            o.backend.delete(&o.caller, &id("a"), None).await.unwrap();
            o.post("a", None, state(1, &[("new", "acknowledged")])).await.unwrap();
        })
    });
    *hooked.hook.lock().await = Some(hook);
    let r = bench.backend.restore(&bench.caller, &id("a"), Version(1), &["terraform_data.x".into()]).await;
    assert!(r.is_err(), "the restore was computed from a head that is gone, and took the new one away");
}

#[tokio::test]
async fn a_very_long_address_is_no_damage() {
    let bench = bench().await;
    let name = "x".repeat(40_000);
    let r = bench.post("a", None, state(1, &[(&name, "1")])).await;
    assert!(!matches!(r.map_err(|e| e.kind()), Err(Kind::Corrupt)));
}

#[tokio::test]
async fn the_unlock_of_a_plan_that_was_crowded_out_is_fine() {
    // evicted plan's unlock
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    for n in 0..65 {
        bench.lock_for("a", &format!("p{n}"), "OperationTypePlan", Duration::ZERO).await.unwrap().delivered();
    }
    let r = bench.unlock("a", "p0").await;
    assert!(r.is_ok());
}

#[tokio::test]
async fn a_huge_lineage_is_refused() {
    let bench = bench().await;
    let body = state(1, &[]).replace("11111111", &"l".repeat(5_000));
    assert_eq!(kind(bench.post("a", None, body).await), Kind::Invalid);
}

/// push --force decides on one head and publishes over another.
#[tokio::test]
async fn a_forced_push_does_not_lower_a_serial_that_rose_meanwhile() {
    let mem = MemStore::default();
    let one = Bench::over(Arc::new(mem.clone()), Settings::default()).await;
    one.post("a", None, state(9, &[("x", "1")])).await.unwrap();
    let slow = Arc::new(Odd { inner: mem.clone(), ..Odd::default() });
    let bench = Bench::try_over(slow.clone(), Settings::default(), 5).await.unwrap();
    let o = Arc::new(one);
    let o2 = o.clone();
    // `base()` reads the index of the head: many instances make it a tree of blobs.
    let many: Vec<(String, String)> = (0..3000).map(|n| (format!("r{n}"), n.to_string())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    o.post("a", None, state(10, &many)).await.unwrap();
    let hook: Hook = Box::new(move || {
        Box::pin(async move {
            o2.post("a", None, state(20, &[("new", "1")])).await.unwrap();
        })
    });
    *slow.hook.lock().await = Some(hook);
    let r = bench
        .backend
        .push(&bench.caller, &id("a"), stateward_core::BodyStream::of(state(11, &[("x", "9")])), true)
        .await;
    assert!(r.is_err(), "serial 11 stands over serial 20");
}
