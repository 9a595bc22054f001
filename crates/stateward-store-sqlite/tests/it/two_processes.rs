//! Two engines on one file, as two processes would have it.

use std::sync::Arc;

use stateward_store::{Expect, Key, Live, Store, StoreError};

use crate::{blob, open_in, value, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_through_two_engines_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let stores = [Arc::new(open_in(directory.path())), Arc::new(open_in(directory.path()))];
    stores[0].commit(vec![write("counter", "0", Expect::Absent)]).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&stores[task % 2]);
            tokio::spawn(async move {
                for _ in 0..20 {
                    increment(&*store).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for store in &stores {
        assert_eq!(value(&**store, "counter").await.as_deref(), Some("160"));
    }
}

async fn increment(store: &dyn Store) {
    loop {
        let record = store.get(&Key::new("counter")).await.unwrap().unwrap();
        let count: u32 = std::str::from_utf8(&record.value).unwrap().parse().unwrap();
        let next = write("counter", &(count + 1).to_string(), Expect::Revision(record.revision));
        match store.commit(vec![next]).await {
            Ok(_) => return,
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn revisions_of_two_engines_differ() {
    let directory = tempfile::tempdir().unwrap();
    let stores = [open_in(directory.path()), open_in(directory.path())];
    let mut seen = std::collections::HashSet::new();
    for n in 0..3000 {
        let store = &stores[n % 2];
        assert!(seen.insert(store.commit(vec![write("a", "same", Expect::Any)]).await.unwrap()));
    }
}

#[tokio::test]
async fn one_engine_does_not_collect_what_the_other_holds() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, collector) = (open_in(directory.path()), open_in(directory.path()));
    let mut session = writer.session(&Key::new("a"));
    // Enough for some of it to be written ahead.
    session.put((0..40).map(|n| blob(n, 100_000)).collect()).await.unwrap();
    let nothing = Arc::new(Live::default());
    for _ in 0..2 {
        let horizon = collector.begin_sweep().await.unwrap();
        collector.sweep(horizon, None, Arc::clone(&nothing)).await.unwrap();
    }
    // The second round may have taken what was written ahead. Whatever is answered is true.
    match session.commit(vec![write("a", "published", Expect::Absent)]).await {
        Ok(_) => {
            let ids: Vec<_> = (0..40).map(|n| blob(n, 0).id).collect();
            let found = collector.session(&Key::new("a")).share(&ids).await.unwrap();
            assert!(found.iter().all(Option::is_some));
        }
        Err(StoreError::Unavailable { .. }) => assert_eq!(value(&collector, "a").await, None),
        Err(error) => panic!("{error}"),
    }
}
