//! A store that fails.

use std::sync::Arc;

use stateward_store::fault::{Fault, FaultPlan, FaultStore};
use stateward_store::{MemStore, Store};
use stateward_testkit::Body;

use crate::fixture::{APPLY, Server, json, lock_info, state, until};

/// A server whose store fails at the `n`th operation after a state was stored.
fn failing(n: u64, fault: Fault) -> Server {
    let count = FaultStore::new(Arc::new(MemStore::new()), FaultPlan::none());
    let counted: Arc<dyn Store> = Arc::new(count.clone());
    Server::with(|setup| setup.store = counted).store("a", 1);
    let faulty = FaultStore::new(Arc::new(MemStore::new()), FaultPlan::at(count.ops() + n, fault));
    let server = Server::with(|setup| setup.store = Arc::new(faulty));
    server.store("a", 1);
    server
}

/// The fault may still be ahead: lets requests that change nothing run into it.
fn past_the_fault(server: &Server) {
    for _ in 0..12 {
        server.get("/state/a");
    }
}

#[test]
fn a_store_that_is_gone_is_503_with_a_time_to_come_back() {
    let server = failing(1, Fault::CrashBefore);
    let info = lock_info("one", APPLY);
    for (method, target, body) in [
        ("GET", "/state/a", Body::None),
        ("POST", "/state/a", Body::Sized(&state(2))),
        ("LOCK", "/state/a", Body::Sized(&info)),
        ("GET", "/api/v1/states", Body::None),
        ("GET", "/readyz", Body::None),
    ] {
        let answer = server.send(method, target, body).expect_status(503);
        assert_eq!(json(&answer)["kind"], "unavailable");
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    }
    server.get("/healthz").expect_status(200);
    until("it is counted", || {
        server.get("/metrics").text().contains(r#"stateward_refusals_total{kind="unavailable"} 5"#)
    });
}

#[test]
fn what_was_committed_is_never_answered_with_a_failure() {
    // Wherever the answer of one operation is lost, the POST either failed with nothing stored or has succeeded.
    for n in 1..12 {
        let server = failing(n, Fault::After);
        let status = server.send("POST", "/state/a", &state(2)).status;
        past_the_fault(&server);
        let versions =
            json(&server.get("/api/v1/history?state=a").expect_status(200))["items"].as_array().unwrap().len();
        match status {
            200 => assert_eq!(versions, 2, "operation {n}"),
            503 => assert_eq!(versions, 1, "operation {n}"),
            other => panic!("operation {n}: {other}"),
        }
    }
}

#[test]
fn a_lock_that_was_granted_is_never_answered_with_a_failure() {
    for n in 1..6 {
        let server = failing(n, Fault::After);
        let status = server.lock("a", "one").status;
        assert!([200, 503].contains(&status));
        past_the_fault(&server);
        until("it is held only where it was told so", || server.queue("a").0 == (status == 200));
        server.lock("a", "one").expect_status(200);
    }
}
