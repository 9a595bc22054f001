//! LOCK and UNLOCK without waiting.

use stateward_core::ForceUnlock;
use stateward_testkit::Body;

use crate::fixture::{APPLY, Server, json, lock_info, md5_of, state};

#[test]
fn held_is_423_with_the_holder_s_bytes_exactly() {
    let server = Server::start();
    // Odd spacing, order, escapes and unknown fields: all of it comes back.
    let holder = br#"{ "Who":"a\u003cb@c",  "ID":"one","Extra":[1.10], "Operation":"OperationTypeApply" }"#;
    server.send("LOCK", "/state/a", holder).expect_status(200);
    let refused = server.lock("a", "two").expect_status(423);
    assert_eq!(refused.body, holder);
    assert_eq!(refused.header("content-type"), Some("application/json"));
}

#[test]
fn lock_and_unlock_may_be_repeated() {
    let server = Server::start();
    for again in [false, true] {
        assert_eq!(json(&server.lock("a", "one").expect_status(200))["again"], again);
    }
    server.unlock("a", "one").expect_status(200);
    server.lock("a", "two").expect_status(200);
    server.unlock("a", "one").expect_status(200);
    assert_eq!(server.queue("a"), (true, 0), "a repeated UNLOCK has released somebody else's lock");
}

#[test]
fn unlock_under_another_id_is_refused() {
    let server = Server::start();
    server.lock("a", "one").expect_status(200);
    assert_eq!(json(&server.unlock("a", "two").expect_status(409))["holder"]["ID"], "one");
    server.unlock("a", "one").expect_status(200);
}

#[test]
fn an_id_alone_breaks_that_lock() {
    let server = Server::start();
    server.lock("a", "one").expect_status(200);
    let id_only = |id: &str| {
        format!(
            r#"{{"ID":"{id}","Operation":"","Info":"","Who":"","Version":"","Created":"0001-01-01T00:00:00Z","Path":""}}"#
        )
    };
    server.send("UNLOCK", "/state/a", id_only("two").as_str()).expect_status(409);
    server.send("UNLOCK", "/state/a", id_only("one").as_str()).expect_status(200);
    assert_eq!(server.queue("a"), (false, 0));
    let audit = json(&server.get("/api/v1/audit?state=a"));
    assert_eq!(audit["items"].as_array().unwrap().iter().filter(|item| item["action"] == "force_unlock").count(), 1);
}

#[test]
fn a_post_needs_the_live_lock() {
    let server = Server::start();
    server.store("a", 1);
    let holder = lock_info("one", APPLY);
    // A lock that was never taken, on an unlocked state.
    server.send("POST", "/state/a?ID=one", &state(2)).expect_status(409);
    server.send("LOCK", "/state/a", &holder).expect_status(200);
    assert_eq!(server.send("POST", "/state/a", &state(2)).expect_status(423).body, holder);
    assert_eq!(json(&server.send("POST", "/state/a?ID=two", &state(2)).expect_status(409))["kind"], "conflict");
    server.send("POST", "/state/a?ID=", &state(2)).expect_status(409);
    assert_eq!(server.send("DELETE", "/state/a", Body::None).expect_status(423).body, holder);
    server.send("DELETE", "/state/a?ID=two", Body::None).expect_status(409);
    assert_eq!(server.get("/state/a").body, state(1));
    server.send("DELETE", "/state/a?ID=one", Body::None).expect_status(200);
}

#[test]
fn lock_information_is_checked() {
    let server = Server::start();
    for bad in ["", "{}", "[]", "x", r#"{"ID":7}"#] {
        server.send("LOCK", "/state/a", bad).expect_status(400);
    }
    server.send("UNLOCK", "/state/a", "{}").expect_status(400);
    let info = lock_info("one", APPLY);
    server.http.request("LOCK", "/state/a", &[("Content-MD5", &md5_of(b"other"))], &info).expect_status(400);
    server.http.request("LOCK", "/state/a", &[("Content-MD5", &md5_of(&info))], &info).expect_status(200);
    let large = lock_info(&"x".repeat(100_000), APPLY);
    server.send("LOCK", "/state/b", &large).expect_status(413);
}

#[test]
fn force_unlock_is_a_setting() {
    let server = Server::with(|setup| setup.settings.force_unlock = ForceUnlock::Refused);
    server.lock("a", "one").expect_status(200);
    let answer = server.send("UNLOCK", "/state/a", Body::Chunked(&[])).expect_status(403);
    assert_eq!(json(&answer)["kind"], "denied");
    assert_eq!(server.queue("a"), (true, 0));
}
