use std::sync::atomic::{AtomicU64, Ordering};

use stateward_core::{Backend, Caller, Clock, Entropy, Settings, Timestamp};
use stateward_store::MemStore;
use tokio::task::JoinHandle;

use super::*;
use crate::Local;

/// The runtime's time, which a test makes pass.
#[derive(Debug)]
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.0.elapsed()
    }
}

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(count.iter().cycle()).for_each(|(byte, count)| *byte = *count);
    }
}

/// A store, and sessions on one state in it.
struct Bench {
    backend: Backend,
    state: StateId,
}

/// A session, and what its user was told.
struct Run {
    session: Arc<Session>,
    told: Arc<Mutex<Vec<String>>>,
}

async fn bench() -> Bench {
    let clock = Arc::new(TestClock(Instant::now()));
    let store = Arc::new(MemStore::new());
    let backend = Backend::open(store, clock, Arc::new(Counting::default()), Settings::default()).await.unwrap();
    Bench { backend, state: "net/prod".parse().unwrap() }
}

impl Bench {
    fn local(&self) -> Local {
        Local::new(self.backend.clone(), Caller::trusted("ana@laptop"))
    }

    fn run(&self, wait_s: u64) -> Run {
        let terms =
            Terms { state: self.state.clone(), wait: Duration::from_secs(wait_s), lease: Duration::from_mins(1) };
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let tell = move |event| hears.lock().unwrap().push(in_short(&event));
        Run { session: Arc::new(Session::new(Box::new(self.local()), terms, tell)), told }
    }

    async fn holders(&self) -> Vec<String> {
        let locks = self.local().locks(Some(&self.state)).await.unwrap();
        locks.items.into_iter().map(|item| item.id).collect()
    }
}

impl Run {
    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn lock_in_background(&self, id: &str) -> JoinHandle<Result<()>> {
        let (session, raw) = (Arc::clone(&self.session), info(id));
        tokio::spawn(async move { session.lock(raw).await })
    }

    fn beats(&self) -> JoinHandle<()> {
        let session = Arc::clone(&self.session);
        tokio::spawn(async move { session.keep_alive().await })
    }

    async fn write(&self, lock: &str, serial: u64) -> Result<Stored> {
        self.session.write(Some(lock.to_owned()), None, BodyStream::of(body(serial))).await
    }
}

fn in_short(event: &Event) -> String {
    match event {
        Event::Waits(holder, _) => format!("waits for {}", holder.who),
        Event::Unanswered(_) => "unanswered".into(),
        Event::Granted => "granted".into(),
        Event::LeaseInDanger(_) => "in danger".into(),
        Event::LeaseSafe => "safe".into(),
        Event::LeaseLost(_) => "lost".into(),
    }
}

fn info(id: &str) -> Bytes {
    format!(r#"{{"ID":"{id}","Operation":"OperationTypeApply","Who":"{id}@host"}}"#).into()
}

fn body(serial: u64) -> String {
    format!(r#"{{"version":4,"lineage":"L","serial":{serial},"outputs":{{}},"resources":[],"check_results":null}}"#)
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn it_waits_in_the_queue_and_says_for_whom() {
    let bench = bench().await;
    let (one, two, three) = (bench.run(600), bench.run(600), bench.run(600));
    one.session.lock(info("one")).await.unwrap();
    let _alive = one.beats();
    let second = two.lock_in_background("two");
    seconds(1).await;
    let third = three.lock_in_background("three");
    seconds(200).await;
    assert_eq!(two.told(), ["waits for one@host"]);
    one.session.unlock(info("one")).await.unwrap();
    second.await.unwrap().unwrap();
    let _alive = two.beats();
    assert_eq!(two.told(), ["waits for one@host", "granted"]);
    seconds(200).await;
    assert!(!third.is_finished());
    two.session.close().await.unwrap();
    third.await.unwrap().unwrap();
    assert_eq!(three.told(), ["waits for one@host", "waits for two@host", "granted"]);
    assert!(three.session.refusal().is_none() && one.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_is_a_refusal() {
    let bench = bench().await;
    let (one, two) = (bench.run(0), bench.run(0));
    one.session.lock(info("one")).await.unwrap();
    let _alive = one.beats();
    let start = Instant::now();
    let error = two.session.lock(info("two")).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (Kind::Locked, Duration::ZERO));
    assert_eq!(error.holder(), Some(&info("one")));
    assert!(two.told().is_empty() && two.session.refusal().is_some());
    let patient = bench.run(50);
    assert_eq!(patient.session.lock(info("patient")).await.unwrap_err().kind(), Kind::Locked);
    assert_eq!(start.elapsed().as_secs(), 50);
    one.session.unlock(info("one")).await.unwrap();
    two.session.lock(info("two")).await.unwrap();
    assert!(two.session.refusal().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lock_lives_as_long_as_its_run() {
    let bench = bench().await;
    let (one, two) = (bench.run(0), bench.run(600));
    one.session.lock(info("one")).await.unwrap();
    let alive = one.beats();
    seconds(1000).await;
    assert_eq!(bench.holders().await, ["one"]);
    let second = two.lock_in_background("two");
    seconds(100).await;
    assert!(!second.is_finished());
    // The run is stopped, as by Ctrl-Z, or its machine is gone.
    alive.abort();
    second.await.unwrap().unwrap();
    let _alive = one.beats();
    seconds(30).await;
    assert_eq!(one.told(), ["lost"]);
    assert_eq!(one.write("one", 1).await.unwrap_err().kind(), Kind::Conflict);
    one.session.close().await.unwrap();
    assert_eq!(bench.holders().await, ["two"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_given_back_is_at_the_end() {
    let bench = bench().await;
    let run = bench.run(0);
    run.session.lock(info("one")).await.unwrap();
    run.session.close().await.unwrap();
    assert!(bench.holders().await.is_empty());
    run.session.lock(info("two")).await.unwrap();
    run.session.unlock(Bytes::new()).await.unwrap();
    assert!(bench.holders().await.is_empty() && run.session.memory().held.is_empty(), "force-unlock");
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_end_waits_no_longer_and_was_not_refused() {
    let bench = bench().await;
    let (one, two) = (bench.run(0), bench.run(600));
    one.session.lock(info("one")).await.unwrap();
    let _alive = one.beats();
    let second = two.lock_in_background("two");
    seconds(30).await;
    two.session.leave();
    assert_eq!(second.await.unwrap().unwrap_err().kind(), Kind::Locked);
    assert!(two.session.refusal().is_none());
    seconds(1).await;
    one.session.unlock(info("one")).await.unwrap();
    bench.run(0).session.lock(info("three")).await.unwrap();
}

#[tokio::test]
async fn a_state_that_is_not_stored_is_kept() {
    let bench = bench().await;
    let run = bench.run(0);
    assert!(!run.session.was_asked() && run.session.read().await.unwrap().is_none() && run.session.was_asked());
    run.session.lock(info("one")).await.unwrap();
    run.write("one", 1).await.unwrap();
    assert!(run.session.unsaved().is_none());
    assert_eq!(run.write("other", 2).await.unwrap_err().kind(), Kind::Conflict);
    let unsaved = run.session.unsaved().unwrap();
    let mut kept = Vec::new();
    unsaved.body.write_to(&mut kept).unwrap();
    assert_eq!((kept, unsaved.error.kind()), (body(2).into_bytes(), Kind::Conflict));
    assert!(run.session.refusal().is_some());
    run.write("one", 2).await.unwrap();
    assert!(run.session.unsaved().is_none() && run.session.refusal().is_none());
    assert_eq!(run.session.read().await.unwrap().unwrap().length, Some(body(2).len() as u64));
}
