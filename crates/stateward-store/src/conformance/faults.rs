//! One story, told again with something going wrong at every single operation of it.

use std::sync::Arc;

use super::Place;
use super::help::{blob, hold, live, removal, write};
use crate::fault::{Fault, FaultPlan, FaultStore};
use crate::{BlobRef, Expect, Key, Listing, Live, NewBlob, Result, Session, Store, StoreError};

/// With a fault before operation N the store is as it was after N - 1; with one after it, as after N. A record that can be
/// read never names a blob that cannot. And telling the story again always comes to the same end.
pub async fn fault_before_has_no_effect_and_after_has_all(place: &dyn Place) {
    let store = place.open().await;
    let steps = stages(&store).await;
    let end = steps.last().cloned();
    for operation in 1..steps.len() {
        for (fault, expected) in [
            (Fault::Before, &steps[operation - 1]),
            (Fault::After, &steps[operation]),
            (Fault::CrashBefore, &steps[operation - 1]),
            (Fault::CrashAfter, &steps[operation]),
        ] {
            let tale = Story { name: format!("{fault:?} {operation}") };
            let faulty = FaultStore::new(Arc::clone(&store), FaultPlan::at(operation as u64, fault));
            let error = tale.tell(&faulty).await.expect_err("a fault is reported");
            assert!(
                matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. }),
                "{}: {error}",
                tale.name
            );
            assert_eq!(tale.seen(&*store).await, *expected, "{} ({:?})", tale.name, faulty.log().last());
            tale.tell(&*store).await.expect("telling it again works");
            assert_eq!(Some(tale.seen(&*store).await), end, "{}", tale.name);
        }
    }
}

/// An operation that is done twice and answered once changes nothing about the tale.
pub async fn duplicates_do_no_harm(place: &dyn Place) {
    let store = place.open().await;
    let steps = stages(&store).await;
    for operation in 1..steps.len() {
        let tale = Story { name: format!("duplicate {operation}") };
        let faulty = FaultStore::new(Arc::clone(&store), FaultPlan::at(operation as u64, Fault::Duplicate));
        tale.tell(&faulty).await.expect("nobody notices");
        assert_eq!(Some(&tale.seen(&*store).await), steps.last(), "{}", tale.name);
    }
}

/// Whatever goes wrong on the way, whoever keeps trying gets there.
pub async fn retries_converge_under_random_faults(place: &dyn Place) {
    let store = place.open().await;
    let end = stages(&store).await.pop();
    for seed in 0..20 {
        let tale = Story { name: format!("seed {seed}") };
        let faulty = FaultStore::new(Arc::clone(&store), FaultPlan::random(seed, 150));
        let mut tries = 0;
        while let Err(error) = tale.tell(&faulty).await {
            assert!(
                matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. }),
                "seed {seed}: {error}"
            );
            tries += 1;
            assert!(tries < 200, "seed {seed} does not come to an end");
        }
        assert_eq!(Some(tale.seen(&*store).await), end, "seed {seed}");
    }
}

/// What can be seen before the first operation of the story, and after each.
async fn stages(store: &Arc<dyn Store>) -> Vec<Seen> {
    let clean = FaultStore::new(Arc::clone(store), FaultPlan::none());
    Story { name: "clean".into() }.tell(&clean).await.expect("nothing goes wrong");
    let mut stages = Vec::new();
    for operation in 1..=clean.ops() + 1 {
        let tale = Story { name: format!("until {operation}") };
        let faulty = FaultStore::new(Arc::clone(store), FaultPlan::at(operation, Fault::CrashBefore));
        assert_eq!(tale.tell(&faulty).await.is_ok(), operation > clean.ops());
        stages.push(tale.seen(&**store).await);
    }
    stages
}

/// Records by their names within the story, with their values.
type Seen = Vec<(String, String)>;

/// A little of what the core does: a lock, two versions that share a blob, an unlock, and a collection. Told again from any
/// point it goes on from there, as callers have to who got no answer.
struct Story {
    name: String,
}

impl Story {
    async fn tell(&self, store: &dyn Store) -> Result<()> {
        if store.get(&self.key("head")).await?.is_none() {
            self.lock(store).await?;
        }
        self.publish(store, 1, &[0, 1]).await?;
        self.publish(store, 2, &[1, 2]).await?;
        if let Some(lock) = store.get(&self.key("lock")).await? {
            store.delete(&self.key("lock"), lock.revision).await?;
        }
        let horizon = store.begin_sweep().await?;
        store.sweep(horizon, None, self.live()).await?;
        store.ready().await
    }

    async fn lock(&self, store: &dyn Store) -> Result<()> {
        if store.get(&self.key("lock")).await?.is_some() {
            return Ok(());
        }
        let lock = write(self.key("lock").as_str(), "held", Expect::Absent);
        let stale = removal(self.key("a stale request").as_str(), Expect::Any);
        store.commit(vec![stale, lock]).await.map(drop)
    }

    /// Publishes a version, unless it is published.
    async fn publish(&self, store: &dyn Store, version: u32, blobs: &[u32]) -> Result<()> {
        let head = store.get(&self.key("head")).await?;
        let expect = match &head {
            None => Expect::Absent,
            Some(head) if number(&head.value) >= version => return Ok(()),
            Some(head) => Expect::Revision(head.revision.clone()),
        };
        let mut session = store.session(&self.key("head"));
        let mut text = String::new();
        for n in blobs {
            let found = self.hold(session.as_mut(), *n).await?;
            text = format!("{text}{n}:{} ", hex::encode(&found.locator.0));
        }
        let writes = vec![
            write(self.key(&format!("version/{version}")).as_str(), &text, Expect::Any),
            write(self.key("head").as_str(), &version.to_string(), expect),
        ];
        session.commit(writes).await.map(drop)
    }

    async fn hold(&self, session: &mut dyn Session, n: u32) -> Result<BlobRef> {
        hold(session, &self.blob(n)).await
    }

    /// What is there, after a check that it is whole: the head's versions exist, and the blobs they name can be read.
    async fn seen(&self, store: &dyn Store) -> Seen {
        let prefix = format!("{}/", self.name);
        let listing = Listing { prefix: prefix.clone(), after: None, limit: 100 };
        let mut seen = Seen::new();
        for entry in store.list(&listing).await.expect("lists") {
            let name = entry.key.as_str().trim_start_matches(&prefix).to_owned();
            let value = String::from_utf8(entry.record.value.to_vec()).expect("the story is text");
            // The versions of a head that has not come count for nothing.
            seen.push((name, value));
        }
        let head = seen.iter().find(|(name, _)| name == "head").map_or(0, |(_, value)| number(value.as_bytes()));
        for version in 1..=head {
            let name = format!("version/{version}");
            let (_, blobs) = seen.iter().find(|(found, _)| *found == name).expect("a published version is there");
            for part in blobs.split_whitespace() {
                let (n, locator) = part.split_once(':').expect("written so");
                let blob = self.blob(n.parse().expect("written so"));
                let locator = crate::Locator(hex::decode(locator).expect("written so").into());
                let found = store.get_blobs(&[BlobRef { id: blob.id, locator }]).await.expect("a published blob");
                assert!(found == [blob.sealed], "{}: blob {n} is not what was put", self.name);
            }
        }
        // Not before the last write of a commit has the commit happened: a version ahead of its head may be there or not.
        // Where blobs lie is the engine's own business.
        seen.retain(|(name, _)| name.strip_prefix("version/").is_none_or(|n| number(n.as_bytes()) <= head));
        for (name, value) in &mut seen {
            if name.starts_with("version/") {
                value.clear();
            }
        }
        seen
    }

    fn live(&self) -> Arc<Live> {
        live(&[self.blob(0).id, self.blob(1).id, self.blob(2).id])
    }

    fn blob(&self, n: u32) -> NewBlob {
        blob(&format!("{} blob {n}", self.name))
    }

    fn key(&self, name: &str) -> Key {
        Key::new(format!("{}/{name}", self.name))
    }
}

fn number(text: &[u8]) -> u32 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a number")
}
