//! Blobs and sessions.

use std::sync::Arc;

use super::Place;
use super::help::{
    assert_conflict, assert_there, blob, create, hold, id, is_there, live, publish, put, round, sized_blob, value,
    write,
};
use crate::{BlobRef, Expect, Key, Locator, NewBlob, StoreError};

const BLOB_LIMIT: usize = 1024 * 1024;

/// Blobs of any size come back byte for byte, in the order asked for, as often as asked for.
pub async fn blobs_come_back_as_they_were_put(place: &dyn Place) {
    let store = place.open().await;
    let sizes = [1, 100, 4095, 4096, 65_536, 300_001, BLOB_LIMIT];
    let blobs: Vec<NewBlob> = sizes.iter().map(|size| sized_blob(&format!("size {size}"), *size)).collect();
    let (refs, _) = publish(&*store, "a", &blobs).await;
    assert_there(&*store, &refs, &blobs).await;

    let (backwards, reversed): (Vec<BlobRef>, Vec<NewBlob>) = refs.into_iter().zip(blobs).rev().unzip();
    assert_there(&*store, &backwards, &reversed).await;
    let (refs, blobs) = (&backwards, &reversed);
    let again = [refs[3].clone(), refs[0].clone(), refs[3].clone()];
    assert_there(&*store, &again, &[blobs[3].clone(), blobs[0].clone(), blobs[3].clone()]).await;
    assert!(store.get_blobs(&[]).await.expect("nothing is easy").is_empty());
}

/// A blob that is not there is `NotFound`, even among others that are.
pub async fn missing_blob_is_not_found(place: &dyn Place) {
    let store = place.open().await;
    let missing = BlobRef { id: id("never put"), locator: Locator::default() };
    assert!(!is_there(&*store, &missing).await);
    let (mut refs, _) = publish(&*store, "a", &[blob("there")]).await;
    refs.push(missing);
    match store.get_blobs(&refs).await {
        Err(StoreError::NotFound { what }) => assert_eq!(what, id("never put").to_string()),
        other => panic!("expected `NotFound`, got {other:?}"),
    }
}

/// A sealed blob has at most 1 MiB.
pub async fn blobs_are_limited(place: &dyn Place) {
    let store = place.open().await;
    let mut session = store.session(&Key::new("a"));
    match session.put(vec![sized_blob("too large", BLOB_LIMIT + 1)]).await {
        Err(StoreError::TooLarge { size, limit }) => {
            assert_eq!((size, limit), (BLOB_LIMIT as u64 + 1, BLOB_LIMIT as u64));
        }
        other => panic!("expected `TooLarge`, got {other:?}"),
    }
}

/// Putting an id again, in the same session or another, is fine, and what is there stays.
pub async fn put_of_a_known_blob_is_fine(place: &dyn Place) {
    let store = place.open().await;
    let same = blob("same");
    let mut refs = Vec::new();
    for key in ["a", "b"] {
        let mut session = store.session(&Key::new(key));
        for _ in 0..2 {
            let locators = session.put(vec![same.clone(), same.clone()]).await.expect("puts");
            assert_eq!(locators.len(), 2);
            refs.extend(locators.into_iter().map(|locator| BlobRef { id: same.id, locator }));
        }
        session.commit(vec![write(key, "published", Expect::Absent)]).await.expect("publishes");
    }
    for blob in refs {
        assert_there(&*store, &[blob], std::slice::from_ref(&same)).await;
    }
}

/// `share` answers for each id, in order; only for blobs that are there does it answer `Some`, and then one can read them so.
pub async fn share_finds_only_what_is_there(place: &dyn Place) {
    let store = place.open().await;
    let (old, mine) = (blob("old"), blob("mine"));
    publish(&*store, "a", std::slice::from_ref(&old)).await;

    let mut session = store.session(&Key::new("b"));
    put(session.as_mut(), mine.clone()).await.expect("puts");
    let asked = [id("never put"), old.id, mine.id, id("neither"), old.id];
    let found = session.share(&asked).await.expect("shares");
    assert_eq!(found.len(), asked.len());
    assert_eq!((&found[0], &found[3]), (&None, &None));
    assert!(session.share(&[]).await.expect("nothing is easy").is_empty());

    session.commit(vec![write("b", "published", Expect::Absent)]).await.expect("publishes");
    for (id, locator) in asked.into_iter().zip(found) {
        let Some(locator) = locator else { continue };
        let expected = if id == old.id { &old } else { &mine };
        assert_there(&*store, &[BlobRef { id, locator }], std::slice::from_ref(expected)).await;
    }
}

/// A session that is dropped publishes nothing, and what it put is collected.
pub async fn dropped_session_leaves_nothing(place: &dyn Place) {
    let store = place.open().await;
    let blobs: Vec<NewBlob> = (0..20).map(|n| sized_blob(&format!("dropped {n}"), 100_000)).collect();
    let mut session = store.session(&Key::new("a"));
    let locators = session.put(blobs.clone()).await.expect("puts");
    drop(session);
    for _ in 0..2 {
        round(&*store, &live([])).await;
    }
    // Batches may still have been under way during the first rounds.
    for _ in 0..2 {
        round(&*store, &live([])).await;
    }
    for (blob, locator) in blobs.iter().zip(locators) {
        assert!(!is_there(&*store, &BlobRef { id: blob.id, locator }).await, "it was collected");
    }
}

/// After a conflict the session still holds its blobs, and commits again.
pub async fn session_commits_again_after_a_conflict(place: &dyn Place) {
    let store = place.open().await;
    let head = create(&*store, "head", "0").await;
    let (small, large) = (blob("small"), sized_blob("large", BLOB_LIMIT));
    let mut session = store.session(&Key::new("head"));
    let refs =
        [hold(session.as_mut(), &large).await.expect("holds"), hold(session.as_mut(), &small).await.expect("holds")];

    let lost = vec![write("version", "1", Expect::Any), write("head", "1", Expect::Absent)];
    assert_conflict(session.commit(lost).await, "head", Some(&head));
    let won = vec![write("version", "1", Expect::Any), write("head", "1", Expect::Revision(head))];
    session.commit(won).await.expect("the session is still good");
    assert_eq!(value(&*store, "head").await.as_deref(), Some("1"));
    assert_there(&*store, &refs, &[large, small]).await;
}

/// A session takes thousands of blobs, far more bytes than are held in memory.
pub async fn session_takes_many_blobs(place: &dyn Place) {
    const COUNT: usize = 5000;
    let store = place.open().await;
    let blobs: Vec<NewBlob> = (0..COUNT).map(|n| sized_blob(&format!("many {n}"), 2000)).collect();
    let mut session = store.session(&Key::new("a"));
    let mut refs = Vec::new();
    for some in blobs.chunks(100) {
        let ids: Vec<_> = some.iter().map(|blob| blob.id).collect();
        let found = session.share(&ids).await.expect("shares");
        assert!(found.iter().all(Option::is_none), "none of these is there yet");
        let locators = session.put(some.to_vec()).await.expect("puts");
        refs.extend(ids.into_iter().zip(locators).map(|(id, locator)| BlobRef { id, locator }));
    }
    session.commit(vec![write("a", "published", Expect::Absent)]).await.expect("publishes");
    assert_eq!(refs.len(), COUNT);
    for (refs, blobs) in refs.chunks(500).zip(blobs.chunks(500)) {
        assert_there(&*store, refs, blobs).await;
    }

    // A second session shares or puts them all, after the stamps of the first have grown old.
    let all = live(blobs.iter().map(|blob| &blob.id));
    assert_eq!(round(&*store, &all).await, 0);
    let mut session = store.session(&Key::new("b"));
    for blob in &blobs {
        hold(session.as_mut(), blob).await.expect("holds");
    }
    session.commit(vec![write("b", "published", Expect::Absent)]).await.expect("publishes");
}

/// Sessions side by side publish each its own, whole.
pub async fn sessions_side_by_side_do_not_mix(place: &dyn Place) {
    let store = place.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                // Half of the blobs are the same in all sessions.
                let blobs: Vec<NewBlob> = (0..30)
                    .map(|n| if n % 2 == 0 { format!("common {n}") } else { format!("of {task}: {n}") })
                    .map(|name| sized_blob(&name, 60_000))
                    .collect();
                let (refs, _) = publish(&*store, &format!("task/{task}"), &blobs).await;
                assert_there(&*store, &refs, &blobs).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
}
