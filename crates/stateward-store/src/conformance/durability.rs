//! What is there after the store was closed and opened again, and what a store says about itself.

use super::Place;
use super::help::{assert_there, commit, create, hold, live, publish, read, round, sized_blob, value, write};
use crate::{Expect, Key, NewBlob, StoreError};

/// Records, blobs, revisions and rounds are what they were when the store is opened again.
pub async fn acknowledged_writes_survive_reopening(place: &dyn Place) {
    let store = place.open().await;
    let kept = create(&*store, "kept", "one").await;
    let gone = create(&*store, "gone", "one").await;
    store.delete(&Key::new("gone"), gone.clone()).await.expect("deletes");
    let blobs: Vec<NewBlob> = (0..30).map(|n| sized_blob(&format!("blob {n}"), 100_000)).collect();
    let (refs, published) = publish(&*store, "published", &blobs).await;
    let horizon = store.begin_sweep().await.expect("begins a round");
    drop(store);

    let store = place.open().await;
    assert_eq!(read(&*store, "kept").await, Some(("one".into(), kept.clone())));
    assert_eq!(value(&*store, "gone").await, None);
    assert_eq!(read(&*store, "published").await, Some(("published".into(), published)));
    assert_there(&*store, &refs, &blobs).await;
    let replaced = commit(&*store, write("kept", "two", Expect::Revision(kept.clone()))).await.expect("replaces");
    assert!(replaced != kept && replaced != gone, "a revision from before was used again");
    let next = store.begin_sweep().await.expect("begins a round");
    assert!(next > horizon, "rounds go on from where they were");
    round(&*store, &live(blobs.iter().map(|blob| &blob.id))).await;
    assert_there(&*store, &refs, &blobs).await;
}

/// A new store is ready, and finds nothing wrong with itself; also when it has been used.
pub async fn store_is_ready_and_finds_nothing_wrong(place: &dyn Place) {
    let store = place.open().await;
    store.ready().await.expect("is ready");
    assert_eq!(store.verify().await.expect("checks itself"), []);
    let (_, revision) = publish(&*store, "a", &[sized_blob("blob", 500_000)]).await;
    store.delete(&Key::new("a"), revision).await.expect("deletes");
    for _ in 0..3 {
        round(&*store, &live([])).await;
    }
    assert_eq!(store.verify().await.expect("checks itself"), []);
    store.ready().await.expect("is ready");
    let description = store.describe();
    assert!(!description.engine.is_empty() && description.location.contains(':'));
}

/// A backup is made, once, or the engine says that it makes none; it never writes over anything.
pub async fn backup_is_made_or_refused(place: &dyn Place) {
    let store = place.open().await;
    let mut session = store.session(&Key::new("a"));
    hold(session.as_mut(), &sized_blob("blob", 500_000)).await.expect("holds");
    session.commit(vec![write("a", "published", Expect::Absent)]).await.expect("publishes");

    let name = format!("stateward-conformance-{}-{:p}.backup", std::process::id(), &*store);
    let to = std::env::temp_dir().join(name);
    match store.backup(&to).await {
        Err(StoreError::Unsupported { .. }) => assert!(!to.exists(), "a refusal leaves nothing behind"),
        made => {
            made.expect("makes a backup");
            let before = std::fs::read(&to).expect("the backup is a file");
            assert!(store.backup(&to).await.is_err(), "a backup writes over nothing");
            assert!(std::fs::read(&to).expect("it is still there") == before, "the first backup was changed");
            std::fs::remove_file(&to).expect("it can be removed");
        }
    }
}
