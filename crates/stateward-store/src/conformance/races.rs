//! Many at once.

use std::sync::Arc;

use super::Place;
use super::help::{commit, create, list, read, value, write};
use crate::{Expect, Store, StoreError};

/// Increments by compare-and-set from many tasks add up.
pub async fn increments_are_not_lost(place: &dyn Place) {
    const TASKS: u32 = 8;
    const EACH: u32 = 50;
    let store = place.open().await;
    create(&*store, "counter", "0").await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..EACH {
                    increment(&*store).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
    assert_eq!(value(&*store, "counter").await, Some((TASKS * EACH).to_string()));
}

async fn increment(store: &dyn Store) {
    loop {
        let (count, revision) = read(store, "counter").await.expect("the counter exists");
        let next = (count.parse::<u32>().expect("a number") + 1).to_string();
        match commit(store, write("counter", &next, Expect::Revision(revision.clone()))).await {
            Ok(_) => return,
            Err(StoreError::Conflict { current, .. }) => {
                assert_ne!(current, Some(revision), "a conflict with what was expected");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Of many who create the same record one wins, and what is there is the winner's.
pub async fn creation_has_one_winner(place: &dyn Place) {
    let store = place.open().await;
    for round in 0..10 {
        let key = format!("lock/{round}");
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (store, key) = (Arc::clone(&store), key.clone());
                tokio::spawn(async move {
                    let beside = write(&format!("{key}/{task}"), "mine", Expect::Absent);
                    store.commit(vec![beside, write(&key, &task.to_string(), Expect::Absent)]).await
                })
            })
            .collect();
        let mut winners = Vec::new();
        for (task, handle) in tasks.into_iter().enumerate() {
            match handle.await.expect("no task panics") {
                Ok(revision) => winners.push((task.to_string(), revision)),
                Err(StoreError::Conflict { current, .. }) => assert!(current.is_some()),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners.len(), 1, "exactly one wins");
        assert_eq!(read(&*store, &key).await, winners.pop());
        assert_eq!(list(&*store, &format!("{key}/"), None, 10).await.len(), 1, "losers leave nothing");
    }
}

/// What starts after a commit was acknowledged sees it: reads, listings and commits.
pub async fn later_reads_see_an_acknowledged_commit(place: &dyn Place) {
    let store = place.open().await;
    let mut last = create(&*store, "a", "0").await;
    for n in 1..=50 {
        let text = n.to_string();
        last = commit(&*store, write("a", &text, Expect::Revision(last))).await.expect("sees the commit before it");
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let listed = list(&*store, "a", None, 1).await.pop().map(|entry| entry.record.revision);
                    (value(&*store, "a").await, listed)
                })
            })
            .collect();
        for reader in readers {
            let (read, listed) = reader.await.expect("no task panics");
            assert_eq!(read.as_ref(), Some(&text));
            assert_eq!(listed.as_ref(), Some(&last));
        }
    }
}
