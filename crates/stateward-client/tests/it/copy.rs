use std::sync::Arc;

use stateward_client::Connection;
use stateward_client::transfer::{Held, Progress, Stage, copy};
use stateward_core::Kind;
use stateward_store::MemStore;
use stateward_store::fault::{Fault, FaultPlan, FaultStore};

use crate::world::{World, body, copy_state, id, kept, kind};

#[tokio::test]
async fn a_history_is_copied_compared_and_gone_on_with() {
    let (from, to) = (World::new(1).await.having("a", 3).await, World::new(2).await);
    let copied = copy_state(&from, &to, "a").await.unwrap();
    assert_eq!((copied.versions, copied.copied, copied.let_go), (3, 3, 0));
    assert_eq!(copied.bytes, (1..=3).map(|serial| body(serial).len() as u64).sum::<u64>());
    assert_eq!((copied.version.0, copied.serial), (3, 3));
    assert_eq!(copied.lineage, "11111111-2222-3333-4444-555555555555");
    assert_eq!(kept(to.history("a").await), kept(from.history("a").await));
    assert_eq!(to.history("a").await[0].imported.as_ref().unwrap().from, "a in memory:");
    assert_eq!(copy_state(&from, &to, "a").await.unwrap().copied, 0);
    from.push("a", 4).await;
    assert_eq!(copy_state(&from, &to, "a").await.unwrap().copied, 1);
    assert_eq!(to.get("a").await.unwrap(), body(4));
    to.assert_sound("a copy").await;
}

#[tokio::test]
async fn progress_is_told_version_by_version() {
    let (from, to) = (World::new(1).await.having("a", 2).await, World::new(2).await);
    let mut heard = Vec::new();
    copy(&Held::new(&from.local, &id("a")), &to.local, &id("b@dev"), &mut |progress| heard.push(progress))
        .await
        .unwrap();
    let at = |stage, done| Progress { stage, done, of: 2 };
    let expected = [at(Stage::Copying, 0), at(Stage::Copying, 1), at(Stage::Comparing, 0), at(Stage::Comparing, 1)];
    assert_eq!(heard, [&expected[..], &[at(Stage::Comparing, 2)]].concat());
    assert_eq!(to.get("b@dev").await.unwrap(), body(2));
}

#[tokio::test]
async fn what_is_something_else_stays_as_it_is() {
    let from = World::new(1).await.having("a", 3).await;
    // The same bytes at another time by somebody else are another history; so is one that has gone on.
    let (other, gone_on) = (World::new(2).await, World::new(3).await);
    other.local.store(&id("a"), stateward_core::BodyStream::of(body(7)), false).await.unwrap();
    copy_state(&from, &gone_on, "a").await.unwrap();
    gone_on.push("a", 4).await;
    for to in [other, gone_on] {
        let before = to.history("a").await;
        let error = copy_state(&from, &to, "a").await.unwrap_err();
        assert_eq!((error.kind(), error.what()), (Kind::Conflict, "there is another `a` already"));
        assert_eq!(to.history("a").await, before);
    }
}

#[tokio::test]
async fn there_has_to_be_something_to_copy() {
    let (from, to) = (World::new(1).await.having("a", 1).await, World::new(2).await);
    assert_eq!(kind(copy_state(&from, &to, "never").await), Kind::NotFound);
    from.local.delete(&id("a"), None).await.unwrap();
    assert_eq!(kind(copy_state(&from, &to, "a").await), Kind::NotFound);
    assert!(to.history("a").await.is_empty());
}

#[tokio::test]
async fn a_copy_that_was_deleted_comes_back() {
    let (from, to) = (World::new(1).await.having("a", 2).await, World::new(2).await);
    copy_state(&from, &to, "a").await.unwrap();
    to.local.delete(&id("a"), None).await.unwrap();
    copy_state(&from, &to, "a").await.unwrap();
    assert_eq!(to.get("a").await, from.get("a").await);
}

#[tokio::test]
async fn versions_that_are_no_longer_kept_are_copied_without_their_bytes() {
    let from = World::keeping(2, 1).await.having("a", 4).await;
    from.local.prune().await.unwrap();
    let to = World::keeping(1, 2).await;
    let copied = copy_state(&from, &to, "a").await.unwrap();
    assert_eq!((copied.versions, copied.bytes), (4, (body(3).len() + body(4).len()) as u64));
    assert_eq!(kept(to.history("a").await), kept(from.history("a").await));
    // What the target lets go by its own rule is no reason to refuse what comes later.
    to.local.prune().await.unwrap();
    from.push("a", 5).await;
    let copied = copy_state(&from, &to, "a").await.unwrap();
    assert_eq!((copied.copied, copied.let_go), (1, 1));
    to.assert_sound("a copy of what was pruned").await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_was_cut_off_anywhere_goes_on() {
    let from = World::new(1).await.having("a", 3).await;
    let counting = FaultStore::new(Arc::new(MemStore::default()), FaultPlan::none());
    copy_state(&from, &World::over(Arc::new(counting.clone()), 2).await.unwrap(), "a").await.unwrap();
    let (mut cut_off, mut gone_on) = (0, 0);
    for operation in 1..=counting.ops() {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let inner = Arc::new(MemStore::default());
            let faulty = FaultStore::new(inner.clone(), FaultPlan::at(operation, fault));
            if let Ok(to) = World::over(Arc::new(faulty), 2).await {
                copy_state(&from, &to, "a").await.unwrap_err();
                cut_off += 1;
            }
            let what = format!("{fault:?} at {operation}");
            let to = World::over(inner, 3).await.unwrap();
            let before = to.history("a").await.len() as u64;
            // Either nobody sees it, or it is there with all its versions.
            assert_eq!(to.get("a").await.is_some(), before == 3, "{what}");
            let copied = copy_state(&from, &to, "a").await.unwrap();
            assert_eq!(copied.copied, 3 - before, "{what}");
            gone_on += u64::from(before > 0);
            assert_eq!(kept(to.history("a").await), kept(from.history("a").await), "{what}");
            to.assert_sound(&what).await;
        }
    }
    assert!(cut_off > 20 && gone_on > 20, "{cut_off} {gone_on}");
}
