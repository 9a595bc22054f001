//! Collection, and that it takes nothing it must not take.

use std::sync::Arc;

use super::Place;
use super::help::{assert_there, blob, hold, is_there, live, publish, put, round, sized_blob, sweep, value, write};
use crate::{BlobRef, Expect, Horizon, Key, Live, NewBlob, Session, Store, StoreError};

/// However many rounds go by, a live blob stays.
pub async fn sweep_keeps_what_is_live(place: &dyn Place) {
    let store = place.open().await;
    let blobs = [blob("one"), sized_blob("two", 200_000)];
    let (refs, _) = publish(&*store, "a", &blobs).await;
    let live = live(blobs.iter().map(|blob| &blob.id));
    for _ in 0..5 {
        assert_eq!(round(&*store, &live).await, 0);
        assert_there(&*store, &refs, &blobs).await;
    }
}

/// Blobs published while a round runs stay, though the round does not know of them; and also in the next.
pub async fn sweep_keeps_what_is_fresh(place: &dyn Place) {
    let store = place.open().await;
    let fresh = [blob("fresh")];
    let horizon = store.begin_sweep().await.expect("begins a round");
    let (refs, _) = publish(&*store, "a", &fresh).await;
    sweep(&*store, horizon, &live([])).await;
    assert_there(&*store, &refs, &fresh).await;
    round(&*store, &live([])).await;
    assert_there(&*store, &refs, &fresh).await;
}

/// A blob that nobody refers to goes in the second round, at the latest in the third, and says how much room it gave back. One that
/// is kept in its locator lies nowhere else, and is no business of a sweep.
pub async fn sweep_removes_the_dead_in_the_second_round(place: &dyn Place) {
    let store = place.open().await;
    let dead: Vec<NewBlob> = (0..700).map(|n| sized_blob(&format!("dead {n}"), 1000)).collect();
    let (refs, revision) = publish(&*store, "a", &dead).await;
    let kept = [blob("kept")];
    let (kept_refs, _) = publish(&*store, "b", &kept).await;
    let live = live([&kept[0].id]);
    let in_store: Vec<&BlobRef> = refs.iter().filter(|blob| blob.locator.kept().is_none()).collect();
    assert!(in_store.len() > 500, "few blobs are kept in their locators");
    store.delete(&Key::new("a"), revision).await.expect("deletes");

    assert_eq!(round(&*store, &live).await, 0, "the first round takes nothing that young");
    assert_there(&*store, &refs, &dead).await;

    let horizon = store.begin_sweep().await.expect("begins a round");
    let (mut deleted, mut freed_bytes, mut after) = (0, 0, None);
    loop {
        let page = store.sweep(horizon, after, Arc::clone(&live)).await.expect("sweeps");
        deleted += page.deleted;
        freed_bytes += page.freed_bytes;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(deleted, in_store.len() as u64, "the second round takes all");
    assert!(freed_bytes >= deleted * 1000, "{freed_bytes} bytes were freed");
    for blob in in_store {
        assert!(!is_there(&*store, blob).await);
    }
    assert_there(&*store, &kept_refs, &kept).await;
    assert_eq!(round(&*store, &live).await, 0, "nothing is left to take");

    // A repeated or late step of an old round is harmless.
    assert_eq!(sweep(&*store, horizon, &live).await, 0);
    let mut session = store.session(&Key::new("c"));
    put(session.as_mut(), dead[0].clone()).await.expect("a collected blob can be put again");
    session.commit(vec![write("c", "published", Expect::Absent)]).await.expect("publishes");
}

/// How a blob stands before a session takes hold of it.
#[derive(Debug, Clone, Copy)]
enum Before {
    Unknown,
    Live,
    /// Nobody refers to it, and so many rounds have begun since.
    Dead(usize),
}

/// What a collector does, step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Mark,
    Sweep,
}

/// Three rounds, as steps that a session's steps can come between.
const ROUNDS: [Step; 9] =
    [Step::Begin, Step::Mark, Step::Sweep, Step::Begin, Step::Mark, Step::Sweep, Step::Begin, Step::Mark, Step::Sweep];

/// Every way in which the steps of a session (take hold of a blob, commit) can fall between the steps of three rounds, for a
/// blob that is unknown, live, or dead for a while. Whatever was committed is there. A commit is refused only if the blob was
/// collected, which takes two rounds begun after the session took hold of it; starting over then works.
pub async fn sweep_never_takes_what_a_session_holds(place: &dyn Place) {
    let store = place.open().await;
    for before in [Before::Unknown, Before::Live, Before::Dead(0), Before::Dead(1), Before::Dead(2)] {
        for held_at in 0..=ROUNDS.len() {
            for committed_at in held_at..=ROUNDS.len() {
                Interleaving { store: &*store, before, held_at, committed_at }.check().await;
            }
        }
    }
}

struct Interleaving<'a> {
    store: &'a dyn Store,
    before: Before,
    /// The session takes hold before the collector's step of this number,
    held_at: usize,
    /// and commits before that of this number.
    committed_at: usize,
}

struct Collector {
    horizon: Horizon,
    live: Arc<Live>,
}

impl Interleaving<'_> {
    fn name(&self) -> String {
        format!("{:?} {} {}", self.before, self.held_at, self.committed_at)
    }

    async fn check(&self) {
        let name = self.name();
        let blob = blob(&name);
        self.prepare(&blob).await;

        let mut session = self.store.session(&Key::new(name.as_str()));
        let mut held = None;
        let mut outcome = None;
        let mut collector = Collector { horizon: Horizon(0), live: live([]) };
        for (at, step) in ROUNDS.iter().map(Some).chain([None]).enumerate() {
            if at == self.held_at {
                held = Some(hold(session.as_mut(), &blob).await.expect("holds"));
            }
            if at == self.committed_at {
                outcome = Some(self.publish(session.as_mut()).await);
            }
            if let Some(step) = step {
                let published = matches!(outcome, Some(Ok(_)));
                let is_live = published || matches!(self.before, Before::Live);
                self.step(*step, &mut collector, &blob, is_live).await;
            }
        }
        let (held, outcome) = (held.expect("every place was passed"), outcome.expect("every place was passed"));
        let held = match outcome {
            Ok(_) => held,
            Err(error) => self.start_over(&blob, error).await,
        };
        assert_eq!(value(self.store, &name).await.as_deref(), Some("published"), "{name}");
        assert_there(self.store, &[held], &[blob]).await;
    }

    async fn prepare(&self, blob: &NewBlob) {
        let key = format!("before {}", self.name());
        match self.before {
            Before::Unknown => {}
            Before::Live => drop(publish(self.store, &key, std::slice::from_ref(blob)).await),
            Before::Dead(rounds) => {
                let (_, revision) = publish(self.store, &key, std::slice::from_ref(blob)).await;
                self.store.delete(&Key::new(&*key), revision).await.expect("deletes");
                for _ in 0..rounds {
                    self.store.begin_sweep().await.expect("begins a round");
                }
            }
        }
    }

    async fn publish(&self, session: &mut dyn Session) -> Result<crate::Revision, StoreError> {
        session.commit(vec![write(&self.name(), "published", Expect::Absent)]).await
    }

    async fn step(&self, step: Step, collector: &mut Collector, blob: &NewBlob, is_live: bool) {
        match step {
            Step::Begin => collector.horizon = self.store.begin_sweep().await.expect("begins a round"),
            Step::Mark => collector.live = live(is_live.then_some(&blob.id)),
            Step::Sweep => drop(sweep(self.store, collector.horizon, &collector.live).await),
        }
    }

    async fn start_over(&self, blob: &NewBlob, error: StoreError) -> BlobRef {
        let name = self.name();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{name}: {error}");
        let begun = ROUNDS[self.held_at..self.committed_at].iter().filter(|step| **step == Step::Begin).count();
        assert!(begun >= 2, "{name}: refused, though only {begun} rounds began since the session took hold");
        assert!(!matches!(self.before, Before::Live), "{name}: a live blob was collected");
        assert_eq!(value(self.store, &name).await, None, "{name}: refused, yet published");

        let mut session = self.store.session(&Key::new(name.as_str()));
        let held = hold(session.as_mut(), blob).await.expect("holds");
        self.publish(session.as_mut()).await.expect("starting over works");
        held
    }
}
