//! A database that may not grow.

use stateward_store::{BlobRef, Expect, Key, Locator, NewBlob, Revision, Store, StoreError};
use stateward_store_sqlite::{Options, SqliteStore};

use crate::{blob, value, write};

/// Puts blobs until there is no room.
async fn fill(store: &dyn Store) -> Vec<NewBlob> {
    let mut published = Vec::new();
    for n in 0.. {
        let mut session = store.session(&Key::new("blob"));
        let new = blob(n, 100_000);
        session.put(vec![new.clone()]).await.unwrap();
        match session.commit(vec![write(&format!("blob/{n}"), "published", Expect::Absent)]).await {
            Ok(_) => published.push(new),
            Err(StoreError::Full { .. }) => return published,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("it is full at last")
}

async fn assert_all_there(store: &dyn Store, blobs: &[NewBlob]) {
    let refs: Vec<_> = blobs.iter().map(|blob| BlobRef { id: blob.id, locator: Locator::default() }).collect();
    let found = store.get_blobs(&refs).await.unwrap();
    assert!(found.iter().zip(blobs).all(|(found, blob)| *found == blob.sealed));
    for n in 0..blobs.len() {
        assert_eq!(value(store, &format!("blob/{n}")).await.as_deref(), Some("published"));
    }
    assert_eq!(value(store, &format!("blob/{}", blobs.len())).await, None, "what was refused is not there");
}

#[tokio::test]
async fn a_full_store_loses_nothing_reads_on_and_takes_writes_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stateward.db");
    let small = Options { max_bytes: Some(2 * 1024 * 1024), ..Options::new(&path) };
    let store = SqliteStore::open(&small).unwrap();
    let lock = store.commit(vec![write("lock", "held by a", Expect::Absent)]).await.unwrap();
    let published = fill(&store).await;
    assert!(published.len() > 10, "{}", published.len());
    assert_all_there(&store, &published).await;

    // A long session is refused, too.
    let mut session = store.session(&Key::new("long"));
    let put = session.put((0..40).map(|n| blob(1000 + n, 100_000)).collect()).await;
    let long = match put {
        Ok(_) => session.commit(vec![write("long", "published", Expect::Absent)]).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(long, Err(StoreError::Full { .. })), "{long:?}");
    // Records have a reserve that blobs may not take; even when that is used up, what needs no page still goes through.
    let large = "v".repeat(100_000);
    let mut spent = 0;
    while store.commit(vec![write(&format!("spent/{spent}"), &large, Expect::Absent)]).await.is_ok() {
        spent += 1;
    }
    assert!((5..60).contains(&spent), "{spent}");
    let (big, unlocked) = tokio::join!(
        store.commit(vec![write("big", &large, Expect::Absent)]),
        store.commit(vec![write("lock", "free now!", Expect::Revision(lock))]),
    );
    assert!(matches!(big, Err(StoreError::Full { .. })), "{big:?}");
    let lock: Revision = unlocked.unwrap();
    store.delete(&Key::new("lock"), lock).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
    store.close();

    let store = SqliteStore::open(&Options::new(&path)).unwrap();
    assert_all_there(&store, &published).await;
    store.commit(vec![write("big", &large, Expect::Absent)]).await.unwrap();
    let mut session = store.session(&Key::new("long"));
    session.put((0..40).map(|n| blob(1000 + n, 100_000)).collect()).await.unwrap();
    session.commit(vec![write("long", "published", Expect::Absent)]).await.unwrap();
}
