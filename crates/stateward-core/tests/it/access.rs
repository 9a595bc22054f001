use stateward_core::access::{Rule, TokenEntry, token_digest};
use stateward_core::audit::Deed;
use stateward_core::{Caller, Kind, Right, Tokens};

use crate::bench::{Bench, bench, id, kind, lock_info, state};

fn bearer(rights: &[Right]) -> Caller {
    let rule = Rule { allow: rights.to_vec(), deny: Vec::new(), states: vec!["a/**".into()] };
    let entry = TokenEntry { name: "ci".into(), sha256: token_digest("secret"), rules: vec![rule] };
    Tokens::new(vec![entry]).unwrap().bearer("secret").unwrap()
}

/// Tries everything, and tells what was not denied.
async fn allowed(bench: &Bench, caller: &Caller) -> Vec<&'static str> {
    let state_id = id("a/b");
    let backend = &bench.backend;
    let post = stateward_core::Post {
        lock_id: None,
        md5: None,
        body: stateward_core::BodyStream::of(state(1, &[("x", "1")])),
    };
    let request = |operation| stateward_core::LockRequest {
        raw: lock_info("L", operation),
        wait: Some(std::time::Duration::ZERO),
        lease: None,
    };
    let mut tried: Vec<(&'static str, Option<Kind>)> = Vec::new();
    let mut note = |what, outcome: Option<Kind>| tried.push((what, outcome));
    note("read", backend.read(caller, &state_id).await.err().map(|e| e.kind()));
    note("outputs", backend.read_outputs(caller, &state_id).await.err().map(|e| e.kind()));
    note("history", backend.history(caller, &state_id, None, None).await.err().map(|e| e.kind()));
    note("write", backend.write(caller, &state_id, post).await.err().map(|e| e.kind()));
    note("plan", backend.lock(caller, &state_id, request("OperationTypePlan")).await.err().map(|e| e.kind()));
    note("lock", backend.lock(caller, &state_id, request("OperationTypeApply")).await.err().map(|e| e.kind()));
    note("force", backend.unlock(caller, &state_id, b"").await.err().map(|e| e.kind()));
    note("delete", backend.delete(caller, &state_id, None).await.err().map(|e| e.kind()));
    note("audit", backend.audit(caller, None, None, None).await.err().map(|e| e.kind()));
    note("prune", backend.prune(caller).await.err().map(|e| e.kind()));
    tried.into_iter().filter(|(_, kind)| *kind != Some(Kind::Denied)).map(|(what, _)| what).collect()
}

#[tokio::test]
async fn each_right_allows_its_own_and_nothing_else() {
    for (rights, expected) in [
        (&[][..], &[][..]),
        (&[Right::Outputs], &["outputs"]),
        (&[Right::Read], &["read", "outputs", "history", "plan"]),
        (&[Right::Write], &["write"]),
        (&[Right::Lock], &["plan", "lock"]),
        (&[Right::ForceUnlock], &["force"]),
        (&[Right::Delete], &["delete"]),
        (&[Right::Admin], &["read", "outputs", "history", "write", "plan", "lock", "force", "delete"]),
    ] {
        let bench = bench().await;
        bench.post("a/b", None, state(1, &[("x", "1")])).await.unwrap();
        assert_eq!(allowed(&bench, &bearer(rights)).await, expected, "{rights:?}");
    }
}

#[tokio::test]
async fn lists_show_only_what_the_caller_may_know_of() {
    let bench = bench().await;
    for name in ["a/1", "a/2", "b/1"] {
        bench.post(name, None, state(1, &[])).await.unwrap();
        bench.lock(name, "L").await.unwrap();
    }
    let caller = bearer(&[Right::Outputs]);
    let states = bench.backend.states(&caller, &stateward_core::StatesQuery::default()).await.unwrap();
    assert_eq!(states.items.iter().map(|item| item.state.as_str()).collect::<Vec<_>>(), ["a/1", "a/2"]);
    assert_eq!(bench.backend.locks(&caller, None).await.unwrap().items.len(), 2);
    assert_eq!(kind(bench.backend.locks(&caller, Some(&id("b/1"))).await), Kind::Denied);
}

#[tokio::test]
async fn changes_and_refusals_are_on_record() {
    let bench = bench().await;
    bench.lock("a/b", "L").await.unwrap();
    bench.post("a/b", Some("L"), state(1, &[])).await.unwrap();
    bench.lock("a/b", "M").await.unwrap_err();
    bench.unlock("a/b", "L").await.unwrap();
    let stranger = bearer(&[]).from(Some("10.0.0.9".into()), None);
    bench.backend.read(&stranger, &id("a/b")).await.err().unwrap();
    bench.backend.note_stranger(Some("10.0.0.10".into()), "GET").await;
    bench.backend.delete(&bench.caller, &id("a/b"), None).await.unwrap();
    bench.backend.undelete(&bench.caller, &id("a/b")).await.unwrap();
    let audit = bench.backend.audit(&bench.caller, None, None, None).await.unwrap().items;
    let mut told: Vec<Deed> = audit.iter().map(|item| item.action).collect();
    told.sort_by_key(|deed| format!("{deed:?}"));
    let expected =
        [Deed::Delete, Deed::Lock, Deed::Refuse, Deed::Refuse, Deed::Refuse, Deed::Undelete, Deed::Unlock, Deed::Write];
    assert_eq!(told, expected);
    let refused = audit.iter().find(|item| item.token.as_deref() == Some("ci")).unwrap();
    assert_eq!(refused.source.as_deref(), Some("10.0.0.9"));
    assert!(refused.detail.contains("lacks the right `read`"));
    let of_state = bench.backend.audit(&bench.caller, Some(&id("a/b")), None, Some(3)).await.unwrap();
    assert_eq!((of_state.items.len(), of_state.next.is_some()), (3, true));
}
