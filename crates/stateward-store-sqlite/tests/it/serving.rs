//! Grouping, the log, backups, damage and closing.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;

use stateward_store::{BlobRef, Expect, Key, Locator, Store, StoreError};

use crate::{blob, open_in, value, write};

#[tokio::test]
async fn commits_that_wait_share_a_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open_in(directory.path()));
    let tasks: Vec<_> = (0..400)
        .map(|n| {
            let store = Arc::clone(&store);
            // Every fourth wants to create what another has created.
            let key = format!("key/{}", if n % 4 == 3 { n - 1 } else { n });
            tokio::spawn(async move { store.commit(vec![write(&key, "value", Expect::Absent)]).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(StoreError::Conflict { current, .. }) => assert!(current.is_some()),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 300);
    let stats = store.stats();
    assert_eq!(stats.commits, 300);
    assert!(stats.transactions < 150, "{stats:?}");
}

#[tokio::test]
async fn a_small_session_is_one_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_in(directory.path());
    let mut session = store.session(&Key::new("a"));
    session.share(&[blob(1, 0).id]).await.unwrap();
    session.put((0..50).map(|n| blob(n, 4000)).collect()).await.unwrap();
    session.commit(vec![write("a", "published", Expect::Absent)]).await.unwrap();
    let stats = store.stats();
    assert_eq!((stats.transactions, stats.commits, stats.blobs, stats.blob_bytes), (1, 1, 50, 200_000));
}

#[tokio::test]
async fn the_log_does_not_grow_with_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_in(directory.path());
    let mut session = store.session(&Key::new("a"));
    for n in 0..1200 {
        session.put(vec![blob(n, 100_000)]).await.unwrap();
    }
    session.commit(vec![write("a", "published", Expect::Absent)]).await.unwrap();
    let log = fs::metadata(directory.path().join("stateward.db-wal")).unwrap().len();
    assert!(log < 40_000_000, "the log has {log} bytes after 120 MB");
    assert!(store.stats().checkpoints > 0, "{:?}", store.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_though_commits_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open_in(directory.path()));
    let mut session = store.session(&Key::new("before"));
    session.put((0..100).map(|n| blob(n, 100_000)).collect()).await.unwrap();
    session.commit(vec![write("before", "published", Expect::Absent)]).await.unwrap();

    let busy = Arc::clone(&store);
    let commits = tokio::spawn(async move {
        for n in 0..300 {
            let writes = vec![write("left", &n.to_string(), Expect::Any), write("right", &n.to_string(), Expect::Any)];
            busy.commit(writes).await.unwrap();
        }
    });
    let to = directory.path().join("copy.db");
    store.backup(&to).await.unwrap();
    commits.await.unwrap();
    let again = store.backup(&to).await;
    assert!(matches!(again, Err(StoreError::Unsupported { .. })), "{again:?}");
    let nowhere = store.backup(&directory.path().join("no/such/copy.db")).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound { .. })), "{nowhere:?}");
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    drop(store);
    let mut files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["copy.db", "stateward.db"], "no partial copy is left");

    let other = tempfile::tempdir().unwrap();
    fs::rename(&to, other.path().join("stateward.db")).unwrap();
    let copy = open_in(other.path());
    assert_eq!(copy.verify().await.unwrap(), []);
    assert_eq!(value(&copy, "before").await.as_deref(), Some("published"));
    assert_eq!(value(&copy, "left").await, value(&copy, "right").await, "as of one moment");
    let refs: Vec<_> = (0..100).map(|n| BlobRef { id: blob(n, 0).id, locator: Locator::default() }).collect();
    let found = copy.get_blobs(&refs).await.unwrap();
    assert!((0..100).zip(found).all(|(n, found)| found == blob(n, 100_000).sealed));
}

#[tokio::test]
async fn damage_is_told_by_reads_and_by_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stateward.db");
    let store = open_in(directory.path());
    let mut session = store.session(&Key::new("a"));
    session.put((0..720).map(|n| blob(n, 100_000)).collect()).await.unwrap();
    session.commit(vec![write("a", "published", Expect::Absent)]).await.unwrap();
    store.close();
    // Too large to be checked when it is opened.
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0; 1_000_000], 30_000_000 / 8192 * 8192).unwrap();

    let store = open_in(directory.path());
    let refs: Vec<_> = (0..720).map(|n| BlobRef { id: blob(n, 0).id, locator: Locator::default() }).collect();
    let read = store.get_blobs(&refs).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{:?}", read.map(|found| found.len()));
    assert!(!store.verify().await.unwrap().is_empty());
    assert_eq!(value(&store, "a").await.as_deref(), Some("published"), "what is whole can still be read");
}

#[tokio::test]
async fn closing_finishes_what_was_asked_and_refuses_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_in(directory.path());
    let mut session = store.session(&Key::new("late"));
    session.put((0..30).map(|n| blob(n, 100_000)).collect()).await.unwrap();
    let mut started: Vec<_> =
        (0..20).map(|n| store.commit(vec![write(&format!("key/{n}"), "value", Expect::Absent)])).collect();
    for commit in &mut started {
        // Asked for, not waited for.
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context))).await.is_pending()
        );
    }
    drop(started);
    store.close();
    assert!(matches!(session.share(&[blob(99, 0).id]).await, Err(StoreError::Unavailable { .. })));
    let refused = session.commit(vec![write("late", "value", Expect::Absent)]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");

    let store = open_in(directory.path());
    for n in 0..20 {
        assert!(store.get(&Key::new(format!("key/{n}"))).await.unwrap().is_some(), "commit {n} was asked for");
    }
    assert_eq!(value(&store, "late").await, None);
}
