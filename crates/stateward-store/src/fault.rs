//! A store that fails on purpose, at exactly the operation that a test names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    BlobId, BlobRef, Description, Entry, Horizon, Key, Listing, Live, Locator, NewBlob, Problem, Record, Result,
    Revision, Session, Store, StoreError, SweepPage, Write,
};

/// What goes wrong with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the answer is `Unavailable`.
    Before,
    /// It is done, but the answer is lost: `OutcomeUnknown`, or for a read `Unavailable`.
    After,
    /// Nothing is done, and the store is gone: this and every later operation answer `Unavailable`.
    CrashBefore,
    /// It is done, its answer is lost as with [`Fault::After`], and the store is gone.
    CrashAfter,
    /// It is done after a while.
    Delay(Duration),
    /// It is done twice; the second answer is thrown away, as when a network delivers a request twice.
    Duplicate,
}

/// Which operations go wrong. Operations count from 1.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    at: BTreeMap<u64, Fault>,
    random: Option<Random>,
}

#[derive(Debug, Clone)]
struct Random {
    state: u64,
    per_mille: u64,
}

/// A handle on a store whose operations go wrong by plan. Clones share the plan and the count.
#[derive(Debug, Clone)]
pub struct FaultStore {
    inner: Arc<dyn Store>,
    script: Arc<Script>,
}

#[derive(Debug, Default)]
struct Script {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: FaultPlan,
    log: Vec<&'static str>,
    crashed: bool,
}

/// What a fault does to the answer of an operation that changes something, and of one that only reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Change,
    Read,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// One operation goes wrong.
    pub fn at(operation: u64, fault: Fault) -> Self {
        Self::none().and(operation, fault)
    }

    /// One more operation goes wrong.
    #[must_use]
    pub fn and(mut self, operation: u64, fault: Fault) -> Self {
        self.at.insert(operation, fault);
        self
    }

    /// Each operation goes wrong with a probability of so many in a thousand: before, after, late, or twice. The same seed
    /// gives the same faults.
    pub fn random(seed: u64, per_mille: u64) -> Self {
        Self { at: BTreeMap::new(), random: Some(Random { state: seed, per_mille }) }
    }

    fn fault(&mut self, operation: u64) -> Option<Fault> {
        let planned = self.at.get(&operation).copied();
        planned.or_else(|| self.random.as_mut().and_then(Random::fault))
    }
}

impl Random {
    fn fault(&mut self) -> Option<Fault> {
        if self.next() % 1000 >= self.per_mille {
            return None;
        }
        Some(match self.next() % 4 {
            0 => Fault::Before,
            1 => Fault::After,
            2 => Fault::Delay(Duration::from_millis(1)),
            _ => Fault::Duplicate,
        })
    }

    /// `SplitMix64`: small, and the same on every platform.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl FaultStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>, plan: FaultPlan) -> Self {
        let state = State { plan, ..State::default() };
        Self { inner, script: Arc::new(Script { state: Mutex::new(state) }) }
    }

    /// How many operations were asked for so far. Every method call on the store or one of its sessions is one, but for
    /// `describe` and `session`, which do not reach the storage.
    pub fn ops(&self) -> u64 {
        self.script.lock().log.len() as u64
    }

    /// The names of these operations, in their order.
    pub fn log(&self) -> Vec<&'static str> {
        self.script.lock().log.clone()
    }
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and decides what goes wrong with it.
    fn begin(&self, name: &'static str) -> Result<Option<Fault>> {
        let mut state = self.lock();
        state.log.push(name);
        if state.crashed {
            return Err(gone());
        }
        let operation = state.log.len() as u64;
        let fault = state.plan.fault(operation);
        state.crashed = matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter));
        Ok(fault)
    }
}

/// Runs one operation under the script: `$work` is the call, and is evaluated as often as the fault says.
macro_rules! faulty {
    ($script:expr, $name:literal, $kind:expr, $work:expr) => {{
        let fault = $script.begin($name)?;
        match fault {
            Some(Fault::Before) => return Err(refused()),
            Some(Fault::CrashBefore) => return Err(gone()),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let answer = $work.await;
        match fault {
            Some(Fault::After | Fault::CrashAfter) => {
                // An operation that failed by itself says so: its own answer is the truth.
                answer?;
                Err(lost($kind))
            }
            Some(Fault::Duplicate) => {
                drop($work.await);
                answer
            }
            _ => answer,
        }
    }};
}

#[async_trait]
impl Store for FaultStore {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>> {
        faulty!(self.script, "get", Kind::Read, self.inner.get(key))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        faulty!(self.script, "list", Kind::Read, self.inner.list(listing))
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision> {
        faulty!(self.script, "commit", Kind::Change, self.inner.commit(writes.clone()))
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<()> {
        faulty!(self.script, "delete", Kind::Change, self.inner.delete(key, expect.clone()))
    }

    fn session(&self, home: &Key) -> Box<dyn Session> {
        Box::new(FaultSession { inner: self.inner.session(home), script: Arc::clone(&self.script) })
    }

    fn gather(&self) -> usize {
        self.inner.gather()
    }

    async fn get_blobs(&self, refs: &[BlobRef]) -> Result<Vec<Bytes>> {
        faulty!(self.script, "get_blobs", Kind::Read, self.inner.get_blobs(refs))
    }

    async fn begin_sweep(&self) -> Result<Horizon> {
        faulty!(self.script, "begin_sweep", Kind::Change, self.inner.begin_sweep())
    }

    async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage> {
        faulty!(self.script, "sweep", Kind::Change, self.inner.sweep(horizon, after, Arc::clone(&live)))
    }

    async fn ready(&self) -> Result<()> {
        faulty!(self.script, "ready", Kind::Read, self.inner.ready())
    }

    async fn verify(&self) -> Result<Vec<Problem>> {
        faulty!(self.script, "verify", Kind::Read, self.inner.verify())
    }

    async fn backup(&self, to: &Path) -> Result<()> {
        faulty!(self.script, "backup", Kind::Change, self.inner.backup(to))
    }
}

struct FaultSession {
    inner: Box<dyn Session>,
    script: Arc<Script>,
}

#[async_trait]
impl Session for FaultSession {
    async fn share(&mut self, ids: &[BlobId]) -> Result<Vec<Option<Locator>>> {
        faulty!(self.script, "share", Kind::Read, self.inner.share(ids))
    }

    async fn put(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Locator>> {
        faulty!(self.script, "put", Kind::Change, self.inner.put(blobs.clone()))
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Revision> {
        faulty!(self.script, "session commit", Kind::Change, self.inner.commit(writes.clone()))
    }
}

fn refused() -> StoreError {
    StoreError::Unavailable { retry_after: None, reason: "an injected fault: nothing was done".into() }
}

fn gone() -> StoreError {
    StoreError::Unavailable { retry_after: None, reason: "an injected fault: the store is gone".into() }
}

fn lost(kind: Kind) -> StoreError {
    let reason = "an injected fault: the answer was lost".into();
    match kind {
        Kind::Change => StoreError::OutcomeUnknown { reason },
        Kind::Read => StoreError::Unavailable { retry_after: None, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expect, MemStore};

    fn write(key: &str) -> Vec<Write> {
        vec![Write { key: Key::new(key), value: Some(Bytes::from_static(b"v")), expect: Expect::Absent }]
    }

    fn faulty(plan: FaultPlan) -> (MemStore, FaultStore) {
        let inner = MemStore::new();
        (inner.clone(), FaultStore::new(Arc::new(inner), plan))
    }

    async fn exists(store: &MemStore, key: &str) -> bool {
        store.get(&Key::new(key)).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn before_does_nothing() {
        let (inner, store) = faulty(FaultPlan::at(1, Fault::Before));
        assert!(matches!(store.commit(write("a")).await, Err(StoreError::Unavailable { .. })));
        assert!(!exists(&inner, "a").await);
        store.commit(write("a")).await.unwrap();
        assert_eq!(store.log(), ["commit", "commit"]);
    }

    #[tokio::test]
    async fn after_does_it_and_loses_the_answer() {
        let (inner, store) = faulty(FaultPlan::at(1, Fault::After).and(2, Fault::After).and(3, Fault::After));
        assert!(matches!(store.commit(write("a")).await, Err(StoreError::OutcomeUnknown { .. })));
        assert!(exists(&inner, "a").await);
        assert!(matches!(store.get(&Key::new("a")).await, Err(StoreError::Unavailable { .. })));
        assert!(matches!(store.commit(write("a")).await, Err(StoreError::Conflict { .. })), "its own failure is told");
    }

    #[tokio::test]
    async fn a_crash_ends_it_before_or_after_the_effect() {
        for (fault, done) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
            let (inner, store) = faulty(FaultPlan::at(2, fault));
            let mut session = store.session(&Key::new("a"));
            session.share(&[BlobId([0; 32])]).await.unwrap();
            assert!(session.commit(write("a")).await.is_err());
            assert_eq!(exists(&inner, "a").await, done);
            assert!(matches!(store.get(&Key::new("a")).await, Err(StoreError::Unavailable { .. })));
            assert!(matches!(session.share(&[]).await, Err(StoreError::Unavailable { .. })));
            assert_eq!(store.ops(), 4);
        }
    }

    #[tokio::test]
    async fn a_duplicate_answers_the_first_time() {
        let (inner, store) = faulty(FaultPlan::at(1, Fault::Duplicate));
        let revision = store.commit(write("a")).await.unwrap();
        assert_eq!(inner.get(&Key::new("a")).await.unwrap().unwrap().revision, revision);
    }

    #[tokio::test]
    async fn a_seed_gives_the_same_faults_again() {
        let run = async |seed| {
            let (_, store) = faulty(FaultPlan::random(seed, 300));
            let mut outcomes = Vec::new();
            for n in 0..100 {
                outcomes.push(store.commit(write(&n.to_string())).await.is_ok());
            }
            outcomes
        };
        assert_eq!(run(7).await, run(7).await);
        assert_ne!(run(7).await, run(8).await);
        assert!(run(7).await.contains(&false) && run(7).await.contains(&true));
    }
}
