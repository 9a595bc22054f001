//! Transactions over the wire, as a wrapper of Terraform uses them; every answer is held against its document.

use serde_json::{Value, json};
use stateward_testkit::{Body, Response};

use crate::api::{post, send};
use crate::fixture::{APPLY, Server, lock_info};

const LINEAGE: &str = "11111111-2222-3333-4444-555555555555";

/// Two resources.
fn world(serial: u64, a: &str, b: &str) -> String {
    let resources = [("a", a), ("b", b)].map(|(name, id)| {
        format!(
            r#"{{"mode":"managed","type":"x","name":"{name}","provider":"provider[\"p\"]","instances":[{{"schema_version":0,"attributes":{{"id":"{id}"}}}}]}}"#
        )
    });
    let resources = resources.join(",");
    format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"{LINEAGE}","outputs":{{}},"resources":[{resources}],"check_results":null}}
"#
    )
}

fn begin(tx: &str, serial: u64, write: &[&str]) -> Value {
    json!({
        "state": "a",
        "lock": serde_json::from_slice::<Value>(&lock_info(tx, APPLY)).unwrap(),
        "write": write,
        "read": [],
        "plan": { "serial": serial, "lineage": LINEAGE },
        "wait_s": 0,
        "lease_s": 60,
    })
}

fn started() -> Server {
    let server = Server::start();
    server.send("POST", "/state/a", world(1, "0", "0").as_str()).expect_status(200);
    server
}

fn text(answer: &Response) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

#[test]
fn a_wrapper_s_whole_way() {
    let server = started();
    let begun = post(&server, "tx/begin", &begin("A", 1, &["x.a"]), 200);
    assert_eq!((&begun["again"], &begun["base"]), (&json!(false), &json!("v1")));
    post(&server, "tx/begin", &begin("B", 1, &["x.b"]), 200);
    // What Terraform asks for in it.
    server.send("LOCK", "/state/a?tx=A", &lock_info("terraform-s-own", APPLY)).expect_status(200);
    server.send("POST", "/state/a?tx=B&ID=own", world(2, "0", "1").as_str()).expect_status(200);
    assert_eq!(text(&server.send("GET", "/state/a?tx=A", Body::None).expect_status(200)), world(1, "0", "0"));
    server.send("POST", "/state/a?tx=A&ID=terraform-s-own", world(2, "1", "0").as_str()).expect_status(200);
    server.send("UNLOCK", "/state/a?tx=A", &lock_info("terraform-s-own", APPLY)).expect_status(200);
    assert_eq!(text(&server.send("GET", "/state/a", Body::None)), world(3, "1", "1"));
    // The same without Terraform's protocol.
    let content = send(&server, "GET", "tx/content?state=a&tx=A", Body::None, 200);
    assert_eq!(text(&content), world(3, "1", "1"));
    send(&server, "PUT", "tx/content?state=a&tx=A", world(4, "2", "0").as_str(), 200);
    assert!(post(&server, "tx/heartbeat", &json!({ "state": "a", "tx": "A" }), 200)["lease_until"].is_string());
    let list = crate::fixture::json(&send(&server, "GET", "tx?state=a", Body::None, 200));
    assert_eq!((&list["items"][0]["tx"], &list["items"][1]["write"]), (&json!("A"), &json!(["x.b"])));
    let finished = post(&server, "tx/finish", &json!({ "state": "a", "tx": "A" }), 200);
    assert_eq!(finished["phase"], "committed");
    post(&server, "tx/finish", &json!({ "state": "a", "tx": "B", "abort": true }), 200);
    let list = crate::fixture::json(&send(&server, "GET", "tx?ended=true", Body::None, 200));
    assert_eq!(list["items"][1]["phase"], "aborted");
    assert_eq!(text(&server.send("GET", "/state/a", Body::None)), world(4, "2", "1"));
}

#[test]
fn who_is_in_the_way_and_what_turned_stale() {
    let server = started();
    post(&server, "tx/begin", &begin("A", 1, &["x.a"]), 200);
    let held = post(&server, "tx/begin", &begin("B", 1, &["*"]), 423);
    assert_eq!((&held["holder"]["ID"], &held["address"]), (&json!("A"), &json!("*")));
    server.send("LOCK", "/state/a", &lock_info("whole", APPLY)).expect_status(423);
    server.send("POST", "/state/a", world(2, "1", "1").as_str()).expect_status(423);
    server.send("POST", "/state/a?tx=A", world(2, "1", "0").as_str()).expect_status(200);
    post(&server, "tx/finish", &json!({ "state": "a", "tx": "A" }), 200);
    let stale = post(&server, "tx/begin", &begin("C", 1, &["x.a"]), 409);
    assert!(
        stale["kind"] == "stale" && stale["why"].as_str().unwrap().starts_with("x.a: tester@testkit changed it at "),
        "{stale}"
    );
    let over = post(&server, "tx/heartbeat", &json!({ "state": "a", "tx": "A" }), 409);
    assert_eq!(over["kind"], "conflict");
    let lost = world(3, "2", "0");
    send(&server, "PUT", "tx/content?state=a&tx=A", lost.as_str(), 409);
    server.send("POST", "/state/a?tx=A", lost.as_str()).expect_status(409);
    let lock =
        String::from_utf8(lock_info("new", APPLY)).unwrap().replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
    send(&server, "PUT", &format!("tx/recover?state=a&tx=A&lock={lock}"), lost.as_str(), 200);
    assert_eq!(text(&server.send("GET", "/state/a", Body::None)), lost);
}

#[test]
fn what_is_not_understood() {
    let server = started();
    let with = |change: fn(&mut Value)| {
        let mut request = begin("A", 1, &["x.a"]);
        change(&mut request);
        request
    };
    for (what, request) in [
        ("no lock", with(|request| request["lock"] = json!({}))),
        ("no address", with(|request| request["write"] = json!(["not an address"]))),
        ("no plan", with(|request| drop(request.as_object_mut().unwrap().remove("plan")))),
        ("an endless lease", with(|request| request["lease_s"] = json!(86_400))),
        ("no name", with(|request| request["state"] = json!("../a"))),
    ] {
        let refused = post(&server, "tx/begin", &request, 400);
        assert_eq!(refused["kind"], "invalid", "{what}");
    }
    post(&server, "tx/finish", &json!({ "state": "a", "tx": "none" }), 404);
    send(&server, "GET", "tx/content?state=a&tx=none", Body::None, 409);
    server.send("LOCK", "/state/a?tx=none", &lock_info("x", APPLY)).expect_status(409);
    server.send("DELETE", "/state/a?tx=none", Body::None).expect_status(400);
    assert_eq!(server.send("GET", "/api/v1/locks", Body::None).expect_status(200).body, br#"{"schema":1,"items":[]}"#);
}
