//! Whatever is done, the engine answers as the reference engine does.
//!
//! Sessions run from beginning to end here: what can be seen of unpublished blobs is each engine's own business.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use stateward_store::{
    BlobRef, Expect, Horizon, Key, Listing, Live, Locator, MemStore, Result, Revision, Store, StoreError, SweepPage,
    Write,
};

use crate::{blob, open_in};

const KEYS: [&str; 4] = ["a", "a/b", "a/c", "b"];

#[derive(Debug, Clone)]
enum Act {
    Commit(Vec<(usize, Option<u8>, Guess)>),
    Delete(usize, usize),
    List { prefix: usize, after: Option<usize>, limit: usize },
    Publish { key: usize, shared: Vec<u64>, put: Vec<u64> },
    Read(u64),
    BeginSweep,
    Sweep(Vec<u64>),
}

/// What a write expects; revisions by the number of the commit that made them.
#[derive(Debug, Clone)]
enum Guess {
    Absent,
    Any,
    Made(usize),
    Current,
}

fn act() -> impl Strategy<Value = Act> {
    let guess = prop_oneof![
        3 => Just(Guess::Current), 2 => Just(Guess::Absent), 1 => Just(Guess::Any), 1 => (0_usize..20).prop_map(Guess::Made)
    ];
    let write = (0..KEYS.len(), proptest::option::of(any::<u8>()), guess);
    prop_oneof![
        4 => prop::collection::vec(write, 1..4).prop_map(Act::Commit),
        1 => (0..KEYS.len(), 0_usize..20).prop_map(|(key, made)| Act::Delete(key, made)),
        2 => (0..KEYS.len(), proptest::option::of(0..KEYS.len()), 1_usize..5)
            .prop_map(|(prefix, after, limit)| Act::List { prefix, after, limit }),
        4 => (0..KEYS.len(), prop::collection::vec(0_u64..6, 0..3), prop::collection::vec(0_u64..6, 0..4))
            .prop_map(|(key, shared, put)| Act::Publish { key, shared, put }),
        2 => (0_u64..6).prop_map(Act::Read),
        1 => Just(Act::BeginSweep),
        2 => prop::collection::vec(0_u64..6, 0..3).prop_map(Act::Sweep),
    ]
}

/// One of the two engines, with what it answered so far.
struct Side<'a> {
    store: &'a dyn Store,
    made: Vec<Revision>,
    horizon: Horizon,
}

/// An answer without what may differ: revisions are named by the commit that made them.
#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Records(Vec<(String, Bytes, Named)>),
    There(Vec<bool>),
    Swept(SweepPage),
    Conflict(String, Named),
    NotFound,
    Unavailable,
}

/// A revision in the words of both sides.
#[derive(Debug, PartialEq)]
enum Named {
    Absent,
    /// The answer to the commit of this number.
    Made(usize),
    /// Of a write that was not its commit's last.
    Unanswered,
}

impl Side<'_> {
    async fn act(&mut self, act: &Act) -> Answer {
        match self.try_act(act).await {
            Ok(answer) => answer,
            Err(StoreError::Conflict { key, current }) => Answer::Conflict(key, self.name(current.as_ref())),
            Err(StoreError::NotFound { .. }) => Answer::NotFound,
            Err(StoreError::Unavailable { .. }) => Answer::Unavailable,
            Err(error) => panic!("{error}"),
        }
    }

    async fn try_act(&mut self, act: &Act) -> Result<Answer> {
        match act {
            Act::Commit(writes) => {
                let writes = self.writes(writes).await;
                self.made.push(self.store.commit(writes).await?);
            }
            Act::Delete(key, made) => self.store.delete(&Key::new(KEYS[*key]), self.revision(*made)).await?,
            Act::List { prefix, after, limit } => {
                let after = after.map(|after| Key::new(KEYS[after]));
                let listing = Listing { prefix: KEYS[*prefix].into(), after, limit: *limit };
                let found = self.store.list(&listing).await?.into_iter();
                let named = found.map(|entry| {
                    let revision = self.name(Some(&entry.record.revision));
                    (entry.key.to_string(), entry.record.value, revision)
                });
                return Ok(Answer::Records(named.collect()));
            }
            Act::Publish { key, shared, put } => {
                let mut session = self.store.session(&Key::new("a"));
                let shared: Vec<_> = shared.iter().map(|n| blob(*n, 0).id).collect();
                let found = session.share(&shared).await?;
                // Large enough that some batches are written ahead of their commit.
                session.put(put.iter().map(|n| blob(*n, 400_000)).collect()).await?;
                let write = Write { key: Key::new(KEYS[*key]), value: Some(Bytes::new()), expect: Expect::Any };
                self.made.push(session.commit(vec![write]).await?);
                return Ok(Answer::There(found.iter().map(Option::is_some).collect()));
            }
            Act::Read(n) => {
                let blob = blob(*n, 400_000);
                let found = self.store.get_blobs(&[BlobRef { id: blob.id, locator: Locator::default() }]).await?;
                assert!(found == [blob.sealed]);
            }
            Act::BeginSweep => self.horizon = self.store.begin_sweep().await?,
            Act::Sweep(live) => {
                let mut set = Live::default();
                for n in live {
                    set.insert(&blob(*n, 0).id);
                }
                let page = self.store.sweep(self.horizon, None, Arc::new(set)).await?;
                return Ok(Answer::Swept(page));
            }
        }
        Ok(Answer::Done)
    }

    async fn writes(&self, writes: &[(usize, Option<u8>, Guess)]) -> Vec<Write> {
        let mut made: Vec<Write> = Vec::new();
        for (key, value, guess) in writes {
            let key = Key::new(KEYS[*key]);
            if made.iter().any(|write| write.key == key) {
                continue;
            }
            let expect = match guess {
                Guess::Absent => Expect::Absent,
                Guess::Any => Expect::Any,
                Guess::Made(n) => Expect::Revision(self.revision(*n)),
                Guess::Current => {
                    let current = self.store.get(&key).await.unwrap();
                    current.map_or(Expect::Absent, |record| Expect::Revision(record.revision))
                }
            };
            made.push(Write { key, value: value.map(|byte| Bytes::from(vec![byte])), expect });
        }
        made
    }

    fn revision(&self, n: usize) -> Revision {
        self.made.get(n).cloned().unwrap_or_else(|| Revision::new("none"))
    }

    fn name(&self, revision: Option<&Revision>) -> Named {
        let Some(revision) = revision else { return Named::Absent };
        self.made.iter().position(|made| made == revision).map_or(Named::Unanswered, Named::Made)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_answers_as_the_reference(acts in prop::collection::vec(act(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let (sqlite, memory) = (open_in(directory.path()), MemStore::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let side = |store| -> Side<'_> {
                let store: &dyn Store = store;
                Side { store, made: Vec::new(), horizon: Horizon(0) }
            };
            let (mut engine, mut reference) = (side(&sqlite), side(&memory));
            for (at, act) in acts.iter().enumerate() {
                let (given, expected) = (engine.act(act).await, reference.act(act).await);
                assert_eq!(given, expected, "step {at}: {act:?}");
            }
        });
    }
}
