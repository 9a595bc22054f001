//! Taking in versions from elsewhere: what they keep, when they are refused, and what faults leave behind.

use std::sync::Arc;

use futures::TryStreamExt;
use jiff::SignedDuration;
use stateward_core::access::{Access, Right, Rule};
use stateward_core::audit::Deed;
use stateward_core::view::VersionItem;
use stateward_core::{
    Adoption, BodyStream, Caller, Error, Kind, Original, Retention, Settings, StatesQuery, Version, Written,
};
use stateward_store::fault::{Fault, FaultPlan, FaultStore};
use stateward_store::{MemStore, Store};

use crate::bench::{Bench, bench, id, kind, state};
use crate::faults::insist;

/// What it takes to take in the versions of a state, oldest first.
pub(crate) async fn adoptions(source: &Bench, name: &str) -> Vec<(Adoption, Option<Vec<u8>>)> {
    let mut history = source.backend.history(&source.caller, &id(name), None, None).await.unwrap().items;
    history.reverse();
    let mut adoptions: Vec<(Adoption, Option<Vec<u8>>)> = Vec::new();
    for item in history {
        let (version, current) = (item.version, item.head);
        let body = match item.pruned {
            true => None,
            false => Some(source.get_version(name, version.0).await.unwrap().to_vec()),
        };
        let after = adoptions.last().map(|(before, _)| before.original.fingerprint());
        adoptions.push((Adoption { from: "there".into(), version, after, current, original: item.into() }, body));
    }
    adoptions
}

pub(crate) async fn adopt(
    bench: &Bench,
    name: &str,
    adoption: &Adoption,
    body: Option<&[u8]>,
) -> Result<Written, Error> {
    let body = body.map(|body| BodyStream::of(body.to_vec()));
    bench.backend.adopt(&bench.caller, &id(name), adoption.clone(), body).await
}

pub(crate) async fn adopt_all(bench: &Bench, name: &str, all: &[(Adoption, Option<Vec<u8>>)]) -> Result<(), Error> {
    for (adoption, body) in all {
        insist(async || adopt(bench, name, adoption, body.as_deref()).await).await?;
    }
    Ok(())
}

async fn history(bench: &Bench, name: &str) -> Vec<VersionItem> {
    bench.backend.history(&bench.caller, &id(name), None, None).await.unwrap().items
}

/// What has to be the same in both places.
fn kept(items: Vec<VersionItem>) -> Vec<VersionItem> {
    let kept = |item| VersionItem { hash: String::new(), stored_size: 0, imported: None, ..item };
    items.into_iter().map(kept).collect()
}

async fn assert_sound(bench: &Bench, what: &str) {
    let verified = bench.backend.verify(&bench.caller, None, |_| {}).await.unwrap();
    assert_eq!(verified.findings, [], "{what}");
}

/// A state with three versions, the last two written under a lock.
async fn source() -> Bench {
    let bench = bench().await;
    bench.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    bench.clock.advance(SignedDuration::from_secs(60));
    bench.lock("a", "L").await.unwrap();
    for serial in 2..=3 {
        bench.post("a", Some("L"), state(serial, &[("x", &serial.to_string()), ("y", "1")])).await.unwrap();
    }
    bench.unlock("a", "L").await.unwrap();
    bench
}

/// An empty place, a day later.
async fn later() -> Bench {
    let bench = bench().await;
    bench.clock.advance(SignedDuration::from_hours(24));
    bench
}

#[tokio::test]
async fn a_history_is_what_it_was_and_says_where_it_came_from() {
    let (here, there) = (source().await, later().await);
    let all = adoptions(&here, "a").await;
    adopt_all(&there, "b@dev", &all).await.unwrap();
    let (original, copy) = (history(&here, "a").await, history(&there, "b@dev").await);
    assert_eq!(kept(copy.clone()), kept(original.clone()));
    assert_eq!((copy[0].lock_id.as_deref(), copy[0].fence), (Some("L"), Some(1)));
    for (was, is) in original.iter().zip(&copy) {
        let imported = is.imported.as_ref().unwrap();
        assert_ne!(is.hash, was.hash);
        assert_eq!((imported.version, imported.hash.as_ref()), (Some(was.version), Some(&was.hash)));
        assert_eq!((imported.from.as_str(), imported.who.as_str()), ("there", "tester"));
        assert!(imported.at > is.created);
    }
    for (adoption, body) in &all {
        assert_eq!(there.get_version("b@dev", adoption.version.0).await.unwrap().to_vec(), *body.as_ref().unwrap());
    }
    assert_sound(&there, "a copy").await;
    let audit = there.backend.audit(&there.caller, Some(&id("b@dev")), None, None).await.unwrap().items;
    assert!(audit.len() == 3 && audit.iter().all(|item| item.action == Deed::Import && item.detail == "from there"));
    // And on it goes.
    there.post("b@dev", None, state(4, &[])).await.unwrap();
    assert_eq!(history(&there, "b@dev").await[0].changes.removed, 2);
    assert_sound(&there, "a copy that was written to").await;
}

#[tokio::test]
async fn nobody_sees_a_state_before_its_current_version_is_there() {
    let (here, there) = (source().await, later().await);
    let all = adoptions(&here, "a").await;
    adopt_all(&there, "a", &all[..2]).await.unwrap();
    assert_eq!(there.get("a").await, None);
    assert!(there.backend.states(&there.caller, &StatesQuery::default()).await.unwrap().items.is_empty());
    assert_sound(&there, "half a copy").await;
    adopt_all(&there, "a", &all[2..]).await.unwrap();
    assert_eq!(there.get("a").await.unwrap(), here.get("a").await.unwrap());
}

#[tokio::test]
async fn repeating_changes_nothing_and_a_longer_history_goes_on() {
    let (here, there) = (source().await, later().await);
    adopt_all(&there, "a", &adoptions(&here, "a").await).await.unwrap();
    here.post("a", None, state(4, &[])).await.unwrap();
    let all = adoptions(&here, "a").await;
    for (n, (adoption, body)) in all.iter().enumerate() {
        let written = adopt(&there, "a", adoption, body.as_deref()).await.unwrap();
        assert_eq!((written.version, written.changed), (Version(n as u64 + 1), n == 3));
    }
    assert_eq!(kept(history(&there, "a").await), kept(history(&here, "a").await));
}

#[tokio::test]
async fn a_history_that_is_another_is_refused() {
    let (here, there) = (source().await, later().await);
    let all = adoptions(&here, "a").await;
    there.post("other", None, state(1, &[("x", "1")])).await.unwrap();
    for (adoption, body) in &all {
        // The first has the same bytes, and was still written at another time by somebody else.
        assert_eq!(kind(adopt(&there, "other", adoption, body.as_deref()).await), Kind::Conflict);
        if adoption.version != Version(1) {
            assert_eq!(kind(adopt(&there, "none", adoption, body.as_deref()).await), Kind::Conflict);
        }
    }
    adopt_all(&there, "a", &all).await.unwrap();
    there.post("a", None, state(4, &[("mine", "1")])).await.unwrap();
    here.post("a", None, state(4, &[("theirs", "1")])).await.unwrap();
    let (fourth, body) = adoptions(&here, "a").await.pop().unwrap();
    assert_eq!(kind(adopt(&there, "a", &fourth, body.as_deref()).await), Kind::Conflict);
    assert_eq!(there.get("a").await.unwrap(), state(4, &[("mine", "1")]));
}

#[tokio::test]
async fn nothing_comes_in_under_somebody_else_s_lock() {
    let (here, there) = (source().await, later().await);
    let all = adoptions(&here, "a").await;
    there.lock("a", "theirs").await.unwrap();
    assert_eq!(kind(adopt_all(&there, "a", &all).await), Kind::Locked);
    there.unlock("a", "theirs").await.unwrap();
    adopt_all(&there, "a", &all).await.unwrap();
}

#[tokio::test]
async fn a_deleted_state_that_was_the_beginning_comes_back() {
    let here = source().await;
    let there = later().await;
    adopt_all(&there, "a", &adoptions(&here, "a").await).await.unwrap();
    there.backend.delete(&there.caller, &id("a"), None).await.unwrap();
    here.post("a", None, state(4, &[])).await.unwrap();
    adopt_all(&there, "a", &adoptions(&here, "a").await).await.unwrap();
    assert_eq!(there.get("a").await.unwrap(), state(4, &[]));
    assert_eq!(kind(there.backend.undelete(&there.caller, &id("a")).await), Kind::Conflict);
    assert_sound(&there, "a state that came back").await;
}

#[tokio::test]
async fn versions_without_bytes_keep_their_place() {
    let retention = Retention { keep_versions: Some(1), ..Retention::default() };
    let here = Bench::over(Arc::new(MemStore::default()), Settings { retention, ..Settings::default() }).await;
    for serial in 1..=3 {
        here.post("a", None, state(serial, &[("x", &serial.to_string())])).await.unwrap();
    }
    assert_eq!(here.backend.prune(&here.caller).await.unwrap().versions, 2);
    let (there, all) = (later().await, adoptions(&here, "a").await);
    assert!(all[0].1.is_none() && all[1].1.is_none());
    assert_eq!(kind(adopt(&there, "a", &all[0].0, Some(b"{}")).await), Kind::Invalid);
    adopt_all(&there, "a", &all).await.unwrap();
    assert_eq!(kept(history(&there, "a").await), kept(history(&here, "a").await));
    assert_eq!(kind(there.get_version("a", 1).await), Kind::NotFound);
    assert_eq!(there.get("a").await.unwrap(), here.get("a").await.unwrap());
    assert_sound(&there, "a history without its oldest bytes").await;
}

#[tokio::test]
async fn what_is_not_known_is_found_out_here() {
    let (here, there) = (source().await, later().await);
    let mut all = adoptions(&here, "a").await;
    for (adoption, _) in &mut all {
        let Original { version, hash, created, changes, .. } = &mut adoption.original;
        (*version, *hash, *created, *changes) = (None, None, None, None);
        if let Some(after) = &mut adoption.after {
            after.created = None;
        }
    }
    adopt_all(&there, "a", &all).await.unwrap();
    let (original, copy) = (history(&here, "a").await, history(&there, "a").await);
    for (was, is) in original.iter().zip(&copy) {
        assert_eq!((is.changes, is.resources), (was.changes, was.resources));
        assert!(is.created == is.imported.as_ref().unwrap().at && is.created > was.created);
    }
}

#[tokio::test]
async fn encrypted_states_go_through_as_they_are() {
    let body = r#"{"serial":5,"lineage":"L","meta":{"key_provider.pbkdf2.k":"e30="},"encrypted_data":"aGk=","encryption_version":"v0"}"#;
    let (here, there) = (bench().await, later().await);
    here.post("a", None, body).await.unwrap();
    adopt_all(&there, "a", &adoptions(&here, "a").await).await.unwrap();
    assert_eq!(there.get("a").await.unwrap(), body);
    assert!(history(&there, "a").await[0].opaque);
}

#[tokio::test]
async fn other_bytes_than_those_named_are_refused() {
    let (here, there) = (source().await, later().await);
    let (adoption, body) = adoptions(&here, "a").await.swap_remove(0);
    let body = String::from_utf8(body.unwrap()).unwrap();
    for wrong in [body.replace("\"id\":\"1\"", "\"id\":\"2\""), "{".into(), String::new()] {
        let refused = adopt(&there, "a", &adoption, Some(wrong.as_bytes())).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
    }
    assert_eq!(kind(adopt(&there, "a", &adoption, None).await), Kind::Invalid);
    assert!(there.backend.history(&there.caller, &id("a"), None, None).await.is_err());
}

#[tokio::test]
async fn it_takes_the_right_to_write() {
    let (here, there) = (source().await, later().await);
    let (adoption, body) = adoptions(&here, "a").await.swap_remove(0);
    let caller = |right| {
        let rule = Rule { allow: vec![right], deny: vec![], states: vec!["a".into()] };
        Caller::bearer("ci", Access::Rules(vec![rule].into()))
    };
    let try_it = async |right| {
        let body = body.clone().map(BodyStream::of);
        there.backend.adopt(&caller(right), &id("a"), adoption.clone(), body).await
    };
    assert_eq!(kind(try_it(Right::Read).await), Kind::Denied);
    try_it(Right::Write).await.unwrap();
    let imported = history(&there, "a").await.remove(0).imported.unwrap();
    assert_eq!((imported.who.as_str(), imported.token.as_deref()), ("ci", Some("ci")));
}

/// Takes a history in over a store that fails; a new process goes on where one before it stopped.
async fn over(store: Arc<dyn Store>, all: &[(Adoption, Option<Vec<u8>>)]) -> Result<(), Error> {
    let bench = insist(async || Bench::try_over(store.clone(), Settings::default(), 7).await).await?;
    adopt_all(&bench, "a", all).await
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_every_single_operation() {
    let here = source().await;
    let all = adoptions(&here, "a").await;
    let counting = FaultStore::new(Arc::new(MemStore::default()), FaultPlan::none());
    over(Arc::new(counting.clone()), &all).await.unwrap();
    let delay = Fault::Delay(std::time::Duration::from_secs(3));
    for operation in 1..=counting.ops() {
        for fault in [Fault::Before, Fault::After, Fault::Duplicate, delay, Fault::CrashBefore, Fault::CrashAfter] {
            let what = format!("{fault:?} at {operation}");
            let inner = Arc::new(MemStore::default());
            let outcome = over(Arc::new(FaultStore::new(inner.clone(), FaultPlan::at(operation, fault))), &all).await;
            let crashed = matches!(fault, Fault::CrashBefore | Fault::CrashAfter);
            assert_eq!(outcome.is_err(), crashed, "{what}");
            // What a crash leaves is sound, and taken up again.
            let there = Bench::over(inner, Settings::default()).await;
            assert_sound(&there, &what).await;
            adopt_all(&there, "a", &all).await.unwrap();
            assert_eq!(kept(history(&there, "a").await), kept(history(&here, "a").await), "{what}");
            assert_sound(&there, &what).await;
            let head = there.backend.read(&there.caller, &id("a")).await.unwrap().unwrap();
            let bytes: Vec<_> = head.bytes.try_collect().await.unwrap();
            assert_eq!(Some(bytes.concat()), all[2].1, "{what}");
        }
    }
}
