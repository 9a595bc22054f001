//! Records and compare-and-set.

use std::collections::HashSet;

use bytes::Bytes;

use super::Place;
use super::help::{assert_conflict, commit, create, keys, list, read, removal, value, write};
use crate::{Expect, Key, Revision, StoreError, Write};

/// A record that was never written is `None`, not an error.
pub async fn absent_record_is_none(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(read(&*store, "nothing").await, None);
    assert!(list(&*store, "", None, 10).await.is_empty());
}

/// `Expect::Absent` creates a record, once.
pub async fn expect_absent_creates_once(place: &dyn Place) {
    let store = place.open().await;
    let first = create(&*store, "a", "one").await;
    assert_conflict(commit(&*store, write("a", "two", Expect::Absent)).await, "a", Some(&first));
    assert_eq!(read(&*store, "a").await, Some(("one".into(), first)));
}

/// `Expect::Revision` replaces a record at that revision, and at no other.
pub async fn expect_revision_replaces_only_that_revision(place: &dyn Place) {
    let store = place.open().await;
    let first = create(&*store, "a", "one").await;
    let second = commit(&*store, write("a", "two", Expect::Revision(first.clone()))).await.expect("replaces");
    assert_ne!(first, second);
    assert_eq!(read(&*store, "a").await, Some(("two".into(), second.clone())));

    assert_conflict(commit(&*store, write("a", "three", Expect::Revision(first))).await, "a", Some(&second));
    let foreign = Expect::Revision(Revision::new("no such revision"));
    assert_conflict(commit(&*store, write("a", "three", foreign)).await, "a", Some(&second));
    assert_eq!(value(&*store, "a").await.as_deref(), Some("two"));

    // A write of the same bytes is a write.
    let third = commit(&*store, write("a", "two", Expect::Revision(second.clone()))).await.expect("replaces");
    assert_ne!(second, third);
}

/// `Expect::Any` writes over what is there, or creates.
pub async fn expect_any_takes_whatever_is_there(place: &dyn Place) {
    let store = place.open().await;
    commit(&*store, write("a", "one", Expect::Any)).await.expect("creates");
    let second = commit(&*store, write("a", "two", Expect::Any)).await.expect("writes over");
    assert_eq!(read(&*store, "a").await, Some(("two".into(), second)));
    commit(&*store, removal("a", Expect::Any)).await.expect("removes");
    commit(&*store, removal("a", Expect::Any)).await.expect("removing nothing is fine");
}

/// A conflict names the key, and the revision that is there or that there is none.
pub async fn conflict_reports_what_is_there(place: &dyn Place) {
    let store = place.open().await;
    let first = create(&*store, "a", "one").await;
    assert_conflict(commit(&*store, write("b", "x", Expect::Revision(first.clone()))).await, "b", None);

    let writes = vec![write("c", "x", Expect::Absent), write("a", "x", Expect::Absent)];
    assert_conflict(store.commit(writes).await, "a", Some(&first));
    assert_eq!(value(&*store, "b").await, None);
}

/// Of a commit whose last write loses, no compare-and-set record has changed.
pub async fn losing_commit_changes_nothing_it_names(place: &dyn Place) {
    let store = place.open().await;
    let kept = create(&*store, "kept", "one").await;
    let gone = create(&*store, "gone", "one").await;
    store.delete(&Key::new("gone"), gone.clone()).await.expect("deletes");

    for loser in [write("gone", "two", Expect::Revision(gone)), write("kept", "two", Expect::Absent)] {
        let writes =
            vec![write("kept", "two", Expect::Revision(kept.clone())), write("new", "two", Expect::Absent), loser];
        assert!(matches!(store.commit(writes).await, Err(StoreError::Conflict { .. })));
        assert_eq!(read(&*store, "kept").await, Some(("one".into(), kept.clone())));
        assert_eq!(value(&*store, "new").await, None);
        assert_eq!(value(&*store, "gone").await, None);
    }

    // The same where it is not the last write that loses.
    let writes = vec![write("gone", "two", Expect::Absent), write("kept", "two", Expect::Absent)];
    assert_conflict(store.commit(writes.into_iter().rev().collect()).await, "kept", Some(&kept));
    assert_eq!(value(&*store, "gone").await, None);
}

/// All writes of a commit appear, and its answer is the revision of the last.
pub async fn commit_writes_all_and_answers_the_last(place: &dyn Place) {
    let store = place.open().await;
    let old = create(&*store, "head", "0").await;
    let mut writes: Vec<Write> = (0..20).map(|n| write(&format!("v/{n:02}"), "version", Expect::Any)).collect();
    writes.push(write("head", "1", Expect::Revision(old)));
    let last = store.commit(writes).await.expect("commits");
    assert_eq!(read(&*store, "head").await, Some(("1".into(), last.clone())));
    let entries = list(&*store, "v/", None, 100).await;
    assert_eq!(entries.len(), 20);
    assert!(entries.iter().all(|entry| entry.record.value == "version"));
    commit(&*store, write("head", "2", Expect::Revision(last))).await.expect("the answer is the head's revision");
}

/// A write without a value removes the record if the expectation holds.
pub async fn commit_without_value_removes(place: &dyn Place) {
    let store = place.open().await;
    let first = create(&*store, "a", "one").await;
    assert_conflict(commit(&*store, removal("a", Expect::Absent)).await, "a", Some(&first));
    let writes = vec![removal("a", Expect::Revision(first.clone())), write("b", "instead", Expect::Absent)];
    store.commit(writes).await.expect("removes and writes");
    assert_eq!(value(&*store, "a").await, None);
    assert_eq!(keys(&list(&*store, "", None, 10).await), ["b"]);
    assert_conflict(commit(&*store, removal("a", Expect::Revision(first))).await, "a", None);
    create(&*store, "a", "again").await;
}

/// There is nothing that could decide a commit without writes.
pub async fn commit_without_writes_is_refused(place: &dyn Place) {
    let store = place.open().await;
    assert!(matches!(store.commit(Vec::new()).await, Err(StoreError::Unsupported { .. })));
    assert!(matches!(store.session(&Key::new("a")).commit(Vec::new()).await, Err(StoreError::Unsupported { .. })));
}

/// `delete` removes a record at the expected revision, and at no other.
pub async fn delete_removes_only_the_expected(place: &dyn Place) {
    let store = place.open().await;
    let first = create(&*store, "a", "one").await;
    let second = commit(&*store, write("a", "two", Expect::Revision(first.clone()))).await.expect("replaces");
    let key = Key::new("a");
    assert_conflict(store.delete(&key, first).await, "a", Some(&second));
    assert_eq!(value(&*store, "a").await.as_deref(), Some("two"));
    store.delete(&key, second.clone()).await.expect("deletes");
    assert_eq!(value(&*store, "a").await, None);
    assert_conflict(store.delete(&key, second).await, "a", None);
}

/// A revision stands for one write: also after the record was removed and made again, with the same bytes.
pub async fn revisions_are_never_used_again(place: &dyn Place) {
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let store = place.open().await;
        for _ in 0..10 {
            let created = create(&*store, "a", "same").await;
            let replaced = commit(&*store, write("a", "same", Expect::Revision(created.clone()))).await;
            let replaced = replaced.expect("replaces");
            store.delete(&Key::new("a"), replaced.clone()).await.expect("deletes");
            assert!(seen.insert(created.clone()), "{created:?} was used twice");
            assert!(seen.insert(replaced.clone()), "{replaced:?} was used twice");
            let stale = commit(&*store, write("a", "x", Expect::Revision(created))).await;
            assert_conflict(stale, "a", None);
        }
    }
}

/// A listing holds the keys under its prefix, after its start, in byte order, at most as many as asked for.
pub async fn list_is_ordered_and_bounded(place: &dyn Place) {
    let store = place.open().await;
    for key in ["b/2", "a", "b/10", "b", "b/1", "c/1", "b0", "b/1/x", "B/1"] {
        create(&*store, key, key).await;
    }
    assert_eq!(keys(&list(&*store, "b/", None, 10).await), ["b/1", "b/1/x", "b/10", "b/2"]);
    assert_eq!(keys(&list(&*store, "b/", None, 2).await), ["b/1", "b/1/x"]);
    assert_eq!(keys(&list(&*store, "b/", Some("b/1/x"), 1).await), ["b/10"]);
    assert_eq!(keys(&list(&*store, "b/", Some("b/1/y"), 10).await), ["b/10", "b/2"], "the start need not exist");
    assert_eq!(keys(&list(&*store, "b/", Some("a"), 1).await), ["b/1"], "a start before the prefix");
    assert!(list(&*store, "b/", Some("b/2"), 10).await.is_empty());
    assert!(list(&*store, "b/", Some("c"), 10).await.is_empty(), "a start behind the prefix");
    assert!(list(&*store, "d", None, 10).await.is_empty());

    let all = list(&*store, "", None, 100).await;
    assert_eq!(keys(&all), ["B/1", "a", "b", "b/1", "b/1/x", "b/10", "b/2", "b0", "c/1"]);
    for entry in all {
        let found = store.get(&entry.key).await.expect("reads");
        assert_eq!(found, Some(entry.record), "a listing and a read agree");
    }
}

/// Keys are any text; a prefix is only that, and no pattern.
pub async fn list_takes_any_key(place: &dyn Place) {
    let store = place.open().await;
    let mut names = vec![
        "s/team a/net@prod",
        "s/a.b_c-d",
        "s/#1",
        "s/%25",
        "s/a%",
        "s/a_",
        "s/ab",
        "s/[x]*?",
        "s/'quoted'\"",
        "s/back\\slash",
        "s/ä/über",
        "s/日本",
        "s/\u{10FFFF}",
        "s/\u{FFFF}",
        "s//double",
        "s/..",
        "s/ ",
    ];
    for name in &names {
        create(&*store, name, name).await;
    }
    names.sort_unstable();
    assert_eq!(keys(&list(&*store, "s/", None, 100).await), names, "byte order");
    for name in names {
        assert_eq!(value(&*store, name).await.as_deref(), Some(name));
    }
    for (prefix, expected) in [("s/a%", vec!["s/a%"]), ("s/a_", vec!["s/a_"]), ("s/日", vec!["s/日本"])] {
        assert_eq!(keys(&list(&*store, prefix, None, 10).await), expected, "prefix `{prefix}`");
    }

    let long = "k".repeat(1024);
    create(&*store, &long, "the longest key").await;
    assert_eq!(value(&*store, &long).await.as_deref(), Some("the longest key"));
}

/// A value has at most 256 KiB; an empty one is a value.
pub async fn values_are_limited(place: &dyn Place) {
    const LIMIT: usize = 256 * 1024;
    let store = place.open().await;
    let sized = |key: &str, size: usize| Write {
        key: Key::new(key),
        value: Some(Bytes::from(vec![b'v'; size])),
        expect: Expect::Absent,
    };
    commit(&*store, sized("empty", 0)).await.expect("an empty value");
    assert_eq!(value(&*store, "empty").await.as_deref(), Some(""));
    commit(&*store, sized("largest", LIMIT)).await.expect("the largest value");
    assert_eq!(value(&*store, "largest").await.map(|value| value.len()), Some(LIMIT));

    let writes = vec![sized("too large", LIMIT + 1), sized("beside it", 1)];
    match store.commit(writes.clone()).await {
        Err(StoreError::TooLarge { size, limit }) => {
            assert_eq!((size, limit), (LIMIT as u64 + 1, LIMIT as u64));
        }
        other => panic!("expected `TooLarge`, got {other:?}"),
    }
    assert!(matches!(store.session(&Key::new("beside it")).commit(writes).await, Err(StoreError::TooLarge { .. })));
    assert_eq!(keys(&list(&*store, "", None, 10).await), ["empty", "largest"]);
}
