use std::sync::Arc;

use jiff::SignedDuration;
use stateward_core::{Kind, Retention, Settings, StatesQuery, VerifyProgress, Version};
use stateward_store::{Expect, Key, Listing, MemStore, Store, Write};

use crate::bench::{Bench, bench, id, kind, state};

/// Changes a record behind the backend's back.
async fn tamper(store: &dyn Store, prefix: &str, change: impl Fn(String) -> String) {
    let listing = Listing { prefix: prefix.to_owned(), after: None, limit: 1 };
    let entry = store.list(&listing).await.unwrap().remove(0);
    let value = change(String::from_utf8(entry.record.value.to_vec()).unwrap());
    let write = Write { key: entry.key, value: Some(value.into()), expect: Expect::Any };
    store.commit(vec![write]).await.unwrap();
}

async fn findings(bench: &Bench) -> Vec<String> {
    let verified = bench.backend.verify(&bench.caller, None, |_: VerifyProgress| {}).await.unwrap();
    verified.findings.into_iter().map(|finding| format!("{}: {}", finding.what, finding.why)).collect()
}

#[tokio::test]
async fn a_healthy_store_verifies() {
    let bench = bench().await;
    for serial in 1..4 {
        bench.post("a", None, state(serial, &[("x", &serial.to_string())])).await.unwrap();
    }
    let verified = bench.backend.verify(&bench.caller, None, |_| {}).await.unwrap();
    assert_eq!((verified.states, verified.versions, verified.findings.len()), (1, 3, 0));
    assert!(verified.bytes > 0);
}

#[tokio::test]
async fn tampering_breaks_the_chain() {
    let bench = bench().await;
    for serial in 1..4 {
        bench.post("a", None, state(serial, &[("x", "1")])).await.unwrap();
    }
    tamper(&**bench.backend.store(), "version/a@default#", |text| {
        text.replace("\"who\":\"tester\"", "\"who\":\"mallory\"")
    })
    .await;
    let found = findings(&bench).await;
    assert!(found.iter().any(|finding| finding.starts_with("a v3: ") && finding.contains("hash chain")), "{found:?}");
}

#[tokio::test]
async fn missing_and_damaged_records_are_found() {
    let bench = bench().await;
    for serial in 1..4 {
        bench.post("a", None, state(serial, &[("x", "1")])).await.unwrap();
    }
    bench.post("b", None, state(1, &[])).await.unwrap();
    tamper(&**bench.backend.store(), "state/b@", |text| text[..20].to_owned()).await;
    let store = bench.backend.store();
    let listing = Listing { prefix: "version/a@default#".into(), after: None, limit: 3 };
    let oldest = store.list(&listing).await.unwrap().pop().unwrap();
    store.delete(&oldest.key, oldest.record.revision).await.unwrap();
    let found = findings(&bench).await;
    assert!(found.iter().any(|finding| finding.starts_with("the history of a")), "{found:?}");
    assert!(found.iter().any(|finding| finding.starts_with("b: ")), "{found:?}");
}

#[tokio::test]
async fn retention_keeps_what_either_rule_keeps_and_the_chain() {
    let retention = Retention { keep_versions: Some(2), keep_days: Some(10), fold_snapshots: false };
    let bench = Bench::over(Arc::new(MemStore::default()), Settings { retention, ..Settings::default() }).await;
    for serial in 1..=4 {
        bench.post("a", None, state(serial, &[("x", &serial.to_string())])).await.unwrap();
        bench.clock.advance(SignedDuration::from_hours(24 * 6));
    }
    // Now v1 is 24 days old, v2 18, v3 12, v4 6.
    let pruned = bench.backend.prune(&bench.caller).await.unwrap();
    assert_eq!(pruned.versions, 2);
    assert_eq!(kind(bench.get_version("a", 1).await), Kind::NotFound);
    assert!(bench.get_version("a", 3).await.is_ok());
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    assert_eq!(history.iter().map(|item| item.pruned).collect::<Vec<_>>(), [false, false, true, true]);
    assert!(findings(&bench).await.is_empty());
    assert_eq!(bench.backend.prune(&bench.caller).await.unwrap().versions, 0);
    bench.post("a", None, state(9, &[("x", "9")])).await.unwrap();
    assert!(findings(&bench).await.is_empty());
}

#[tokio::test]
async fn snapshots_of_one_run_can_be_folded() {
    let retention = Retention { fold_snapshots: true, ..Retention::default() };
    let bench = Bench::over(Arc::new(MemStore::default()), Settings { retention, ..Settings::default() }).await;
    bench.post("a", None, state(1, &[])).await.unwrap();
    bench.lock("a", "L").await.unwrap();
    for serial in 2..5 {
        bench.post("a", Some("L"), state(serial, &[("x", &serial.to_string())])).await.unwrap();
    }
    bench.unlock("a", "L").await.unwrap();
    bench.post("a", None, state(5, &[])).await.unwrap();
    assert_eq!(bench.backend.prune(&bench.caller).await.unwrap().versions, 2);
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    assert_eq!(history.iter().map(|item| item.pruned).collect::<Vec<_>>(), [false, false, true, true, false]);
}

#[tokio::test]
async fn collection_frees_what_nobody_needs_and_nothing_else() {
    let retention = Retention { keep_versions: Some(1), ..Retention::default() };
    let bench = Bench::over(Arc::new(MemStore::default()), Settings { retention, ..Settings::default() }).await;
    let noise = |seed: u64| {
        let resources: Vec<(String, String)> = (0..400)
            .map(|n| {
                (format!("r{n}"), format!("{:032x}", (n + 1u64).wrapping_mul(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            })
            .collect();
        resources
    };
    for serial in 1..=3 {
        let resources = noise(serial);
        let resources: Vec<(&str, &str)> =
            resources.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        bench.post("a", None, state(serial, &resources)).await.unwrap();
        bench.post("b", None, state(serial, &resources)).await.unwrap();
    }
    let mut freed = 0;
    for _ in 0..3 {
        freed += bench.backend.prune(&bench.caller).await.unwrap().blobs;
    }
    assert!(freed > 0);
    assert!(findings(&bench).await.is_empty());
    assert!(bench.get("a").await.unwrap().len() > 10_000);
}

#[tokio::test]
async fn a_page_of_states() {
    let bench = bench().await;
    for n in 0..25 {
        bench.post(&format!("team/s{n:02}"), None, state(1, &[("x", "1")])).await.unwrap();
    }
    bench.post("other@dev", None, state(3, &[])).await.unwrap();
    let mut query = StatesQuery { prefix: "team/".into(), limit: Some(10), ..StatesQuery::default() };
    let mut names = Vec::new();
    loop {
        let page = bench.backend.states(&bench.caller, &query).await.unwrap();
        names.extend(page.items.iter().map(|item| item.state.to_string()));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert!(names.iter().cloned().eq((0..25).map(|n| format!("team/s{n:02}"))));
    let all = bench.backend.states(&bench.caller, &StatesQuery::default()).await.unwrap();
    assert_eq!((all.items.len(), all.items[0].workspace.as_str()), (26, "dev"));
}

#[tokio::test]
async fn a_store_from_a_newer_version_is_refused() {
    let store = Arc::new(MemStore::default());
    let value = Some(format!("{{\"format\":2,\"key\":\"{}\"}}", "00".repeat(32)).into());
    let write = Write { key: Key::new("meta/store"), value, expect: Expect::Absent };
    store.commit(vec![write]).await.unwrap();
    assert_eq!(Bench::try_over(store, Settings::default(), 1).await.err().unwrap().kind(), Kind::Unsupported);
}

#[tokio::test]
async fn two_backends_on_one_new_store_agree_on_its_key() {
    let store = Arc::new(MemStore::default());
    let one = Bench::try_over(store.clone(), Settings::default(), 1).await.unwrap();
    let two = Bench::try_over(store, Settings::default(), 2).await.unwrap();
    one.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    assert_eq!(two.get("a").await.unwrap(), state(1, &[("x", "1")]));
    assert_eq!(two.get_version("a", Version(1).0).await.unwrap(), state(1, &[("x", "1")]));
}
