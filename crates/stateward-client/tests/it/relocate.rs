use std::future;
use std::sync::Arc;
use std::time::Duration;

use stateward_client::Connection;
use stateward_client::transfer::{Moved, Relocation, relocate};
use stateward_core::{Error, Kind, LockRequest, StateId, Timestamp};
use stateward_store::fault::{Fault, FaultPlan, FaultStore};
use stateward_store::{MemStore, Store};

use crate::world::{World, body, id, kept, kind};

async fn move_state(from: &World, source: &str, to: &World, target: &str) -> Result<Moved, Error> {
    let (source, target) = (id(source), id(target));
    relocate(relocation(from, &source, to, &target), future::pending(), &mut |_| {}).await
}

fn relocation<'a>(from: &'a World, source: &'a StateId, to: &'a World, target: &'a StateId) -> Relocation<'a> {
    Relocation {
        from: &from.local,
        source,
        to: &to.local,
        target,
        who: "ana@laptop",
        tool: "0.1.0",
        now: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_state_moves_with_its_history_and_can_be_brought_back() {
    let (from, to) = (World::new(1).await.having("a", 3).await, World::new(2).await);
    let moved = move_state(&from, "a", &to, "team/a").await.unwrap();
    assert_eq!((moved.copied.copied, moved.deleted.map(|version| version.0)), (3, Some(3)));
    assert_eq!((to.get("team/a").await, from.get("a").await), (Some(body(3)), None));
    assert!(!from.is_locked("a").await && !to.is_locked("team/a").await);
    assert_eq!(kept(to.history("team/a").await).len(), from.history("a").await.len());
    from.local.undelete(&id("a")).await.unwrap();
    assert_eq!(from.get("a").await, Some(body(3)));
    from.assert_sound("the source").await;
    to.assert_sound("the target").await;
}

#[tokio::test]
async fn a_state_is_renamed_and_moves_back() {
    let world = World::new(1).await.having("a", 2).await;
    move_state(&world, "a", &world, "b").await.unwrap();
    assert_eq!((world.get("a").await, world.get("b").await), (None, Some(body(2))));
    world.push("b", 3).await;
    let moved = move_state(&world, "b", &world, "a").await.unwrap();
    assert_eq!(moved.copied.copied, 1, "its first versions are there still");
    assert_eq!((world.get("a").await, world.get("b").await), (Some(body(3)), None));
    world.assert_sound("there and back").await;
}

#[tokio::test]
async fn nothing_moves_while_somebody_else_holds_it() {
    let (from, to) = (World::new(1).await.having("a", 1).await, World::new(2).await);
    let theirs = || {
        let info = r#"{"ID":"theirs","Operation":"OperationTypeApply","Who":"bo@desk"}"#;
        LockRequest { raw: info.into(), wait: Some(Duration::ZERO), lease: None }
    };
    from.local.lock(&id("a"), theirs()).await.unwrap();
    let error = move_state(&from, "a", &to, "a").await.unwrap_err();
    assert_eq!((error.kind(), error.what()), (Kind::Locked, "`a` was not moved"));
    assert!(error.why().contains("bo@desk") && error.next().contains("lock release a --id theirs"), "{error:?}");
    assert!(from.get("a").await.is_some() && to.history("a").await.is_empty());
    from.local.unlock(&id("a"), theirs().raw).await.unwrap();
    to.local.lock(&id("a"), theirs()).await.unwrap();
    assert_eq!(kind(move_state(&from, "a", &to, "a").await), Kind::Locked);
    assert!(from.get("a").await.is_some() && !from.is_locked("a").await);
}

#[tokio::test]
async fn what_is_the_same_state_by_another_way_is_not_deleted() {
    let store: Arc<dyn Store> = Arc::new(MemStore::default());
    let from = World::over(store.clone(), 1).await.unwrap().having("a", 2).await;
    let to = World::over(store, 2).await.unwrap();
    assert_eq!(kind(move_state(&from, "a", &to, "a").await), Kind::Invalid);
    assert_eq!(kind(move_state(&from, "a", &from, "a").await), Kind::Invalid);
    assert!(from.get("a").await.is_some() && !from.is_locked("a").await);
}

#[tokio::test]
async fn only_what_is_there_moves_to_where_nothing_is() {
    let (from, to) = (World::new(1).await.having("a", 1).await, World::new(2).await);
    assert_eq!(kind(move_state(&from, "never", &to, "x").await), Kind::NotFound);
    to.local.store(&id("a"), stateward_core::BodyStream::of(body(9)), false).await.unwrap();
    assert_eq!(kind(move_state(&from, "a", &to, "a").await), Kind::Conflict);
    assert_eq!((from.get("a").await, to.get("a").await), (Some(body(1)), Some(body(9))));
    from.local.delete(&id("a"), None).await.unwrap();
    assert_eq!(kind(move_state(&from, "a", &to, "b").await), Kind::NotFound);
    assert!(!from.is_locked("a").await && to.history("b").await.is_empty());
}

#[tokio::test]
async fn old_versions_that_the_target_has_let_go_are_not_deleted() {
    let (from, to) = (World::new(1).await.having("a", 3).await, World::keeping(1, 2).await);
    crate::world::copy_state(&from, &to, "a").await.unwrap();
    to.local.prune().await.unwrap();
    assert_eq!(kind(move_state(&from, "a", &to, "a").await), Kind::Conflict);
    assert!(from.get("a").await.is_some());
}

#[tokio::test]
async fn an_interrupted_move_gives_its_lock_back() {
    let (from, to) = (World::new(1).await.having("a", 2).await, World::new(2).await);
    let name = id("a");
    let outcome = relocate(relocation(&from, &name, &to, &name), future::ready(()), &mut |_| {}).await;
    // In memory the move may be done before anybody looks at the interruption.
    if let Err(error) = outcome {
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(from.get("a").await.is_some());
    }
    assert!(!from.is_locked("a").await);
}

/// A crash of either store at each operation; the same command again ends the move.
#[tokio::test(start_paused = true)]
async fn a_move_that_was_killed_anywhere_loses_nothing_and_goes_on() {
    for faulty_source in [true, false] {
        let mut operation = 1;
        loop {
            let mut fired = false;
            for fault in [Fault::CrashBefore, Fault::CrashAfter] {
                let what = format!("{fault:?} at {operation}, source: {faulty_source}");
                let (source, target) = (Arc::new(MemStore::default()), Arc::new(MemStore::default()));
                World::over(source.clone(), 1).await.unwrap().having("a", 2).await;
                let failing = |inner: &Arc<MemStore>, fails: bool| -> Arc<dyn Store> {
                    let plan = if fails { FaultPlan::at(operation, fault) } else { FaultPlan::none() };
                    Arc::new(FaultStore::new(inner.clone(), plan))
                };
                let from = World::over(failing(&source, faulty_source), 3).await;
                let to = World::over(failing(&target, !faulty_source), 4).await;
                let died = match (&from, &to) {
                    (Ok(from), Ok(to)) => move_state(from, "a", to, "a").await.is_err(),
                    _ => true,
                };
                fired |= died;
                let (from, to) = (World::over(source, 5).await.unwrap(), World::over(target, 6).await.unwrap());
                let is = (from.get("a").await, to.get("a").await);
                assert!(is.0 == Some(body(2)) || is.1 == Some(body(2)), "{what}: lost");
                if died {
                    move_state(&from, "a", &to, "a").await.unwrap_or_else(|error| panic!("{what}: {error}"));
                }
                assert_eq!((from.get("a").await, to.get("a").await), (None, Some(body(2))), "{what}");
                assert_eq!(to.history("a").await.len(), 2, "{what}");
                assert!(!from.is_locked("a").await, "{what}: a lock stays");
                from.assert_sound(&what).await;
                to.assert_sound(&what).await;
            }
            if !fired {
                break;
            }
            operation += 1;
        }
        assert!(operation > 15, "the move did next to nothing: {operation}");
    }
}
