//! A store whose records are requests: the audit log says the same, in fewer of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use stateward_core::audit::AuditItem;
use stateward_core::view::List;
use stateward_core::{Settings, StateId};
use stateward_store::fault::{FaultPlan, FaultStore};
use stateward_store::{Listing, MemStore, Store};

use crate::bench::{Bench, id, kind, state};

/// Two states, locked and written in turn, with a refusal and a forced unlock.
async fn story(store: Arc<dyn Store>) -> Bench {
    let bench = Bench::over(store, Settings::default()).await;
    for round in 1..=4 {
        for name in ["a", "b"] {
            let lock = format!("{name}{round}");
            bench.lock(name, &lock).await.unwrap();
            bench.clock.advance(SignedDuration::from_secs(1));
            assert_eq!(kind(bench.lock_for(name, "other", "x", Duration::ZERO).await), stateward_core::Kind::Locked);
            bench.post(name, Some(&lock), state(round, &[("x", "1")])).await.unwrap();
            bench.clock.advance(SignedDuration::from_secs(1));
            bench.unlock(name, &lock).await.unwrap();
            bench.backend.release(&bench.caller, &id(name), None).await.unwrap_err();
            bench.clock.advance(SignedDuration::from_secs(1));
        }
    }
    bench.backend.delete(&bench.caller, &id("b"), None).await.unwrap();
    bench
}

async fn log(bench: &Bench, state: Option<&StateId>, limit: Option<usize>) -> Vec<AuditItem> {
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let list: List<AuditItem> = bench.backend.audit(&bench.caller, state, after.as_deref(), limit).await.unwrap();
        items.extend(list.items);
        after = list.next;
        if after.is_none() {
            return items;
        }
    }
}

/// Those of one moment may stand in any order.
fn sorted(mut items: Vec<AuditItem>) -> Vec<String> {
    assert!(items.windows(2).all(|pair| pair[0].time >= pair[1].time), "newest first");
    items.sort_by_key(|item| (std::cmp::Reverse(item.time), format!("{item:?}")));
    items.iter().map(|item| format!("{item:?}")).collect()
}

#[tokio::test(start_paused = true)]
async fn the_log_says_the_same_wherever_it_is_kept() {
    let plain = story(Arc::new(MemStore::new())).await;
    let expected = sorted(log(&plain, None, None).await);
    let of_a = sorted(log(&plain, Some(&id("a")), None).await);
    assert!(expected.len() > 25 && of_a.len() > 10);
    for gather in [2, 3, 8, 100] {
        let bench = story(Arc::new(MemStore::gathering(gather))).await;
        assert_eq!(sorted(log(&bench, None, None).await), expected, "gathering {gather}");
        assert_eq!(sorted(log(&bench, Some(&id("a")), None).await), of_a, "gathering {gather}");
        for limit in [1, 4] {
            assert_eq!(sorted(log(&bench, None, Some(limit)).await), expected, "gathering {gather}, {limit} at a time");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_one_write_where_records_are_gathered() {
    let counting = FaultStore::new(Arc::new(MemStore::gathering(32)), FaultPlan::none());
    let bench = Bench::over(Arc::new(counting.clone()), Settings::default()).await;
    bench.lock("a", "L").await.unwrap();
    bench.unlock("a", "L").await.unwrap();
    let before = counting.ops();
    bench.lock("a", "M").await.unwrap();
    bench.post("a", Some("M"), state(1, &[("x", "1")])).await.unwrap();
    bench.unlock("a", "M").await.unwrap();
    // Compare-and-set on what this process saw last needs no read before it; a small body is put and published.
    let log = counting.log();
    assert_eq!(log[usize::try_from(before).unwrap()..], ["commit", "put", "session commit", "commit"]);
}

#[tokio::test(start_paused = true)]
async fn notes_leave_the_control_record_once_and_whole() {
    let store = Arc::new(MemStore::gathering(3));
    let bench = story(store.clone()).await;
    let listing = Listing { prefix: "audit/".into(), after: None, limit: 1000 };
    let records = store.list(&listing).await.unwrap();
    let gathered = records.iter().filter(|entry| entry.record.value.starts_with(b"[")).count();
    assert!(gathered >= 4, "{gathered} records of several notes");
    let control = store.get(&stateward_store::Key::new("state/a@default")).await.unwrap().unwrap();
    assert!(control.value.len() < 8 << 10, "{} bytes", control.value.len());
    drop(bench);
}
