//! API v1; every answer is held against its document.

use serde_json::{Value, json};
use stateward_testkit::{Body, Response};

use crate::fixture::{APPLY, PLAN, Server, lock_info, state, state_of};
use crate::openapi;

/// A request to API v1 whose answer has to be as documented.
#[track_caller]
pub(crate) fn send<'a>(
    server: &Server,
    method: &str,
    target: &str,
    body: impl Into<Body<'a>>,
    status: u16,
) -> Response {
    let answer = server.send(method, &format!("/api/v1/{target}"), body).expect_status(status);
    let path = target.split('?').next().unwrap();
    openapi::check(method, &format!("/api/v1/{path}"), status, &answer.body);
    answer
}

#[track_caller]
fn get(server: &Server, target: &str) -> Value {
    crate::fixture::json(&send(server, "GET", target, Body::None, 200))
}

#[track_caller]
pub(crate) fn post(server: &Server, target: &str, body: &Value, status: u16) -> Value {
    crate::fixture::json(&send(server, "POST", target, body.to_string().as_str(), status))
}

fn three_versions() -> Server {
    let server = Server::start();
    for (serial, value) in [(1, "one"), (2, "two"), (3, "three")] {
        server
            .send("POST", "/state/a", &state_of(serial, "11111111-2222-3333-4444-555555555555", value))
            .expect_status(200);
    }
    server
}

#[test]
fn states_page_by_page() {
    let server = Server::start();
    for name in ["a", "b/x", "b/y", "c"] {
        server.store(name, 1);
    }
    server.send("POST", "/state/a?workspace=dev", &state(1)).expect_status(200);
    server.send("DELETE", "/state/c", Body::None).expect_status(200);
    assert_eq!(get(&server, "states")["items"].as_array().unwrap().len(), 4);
    assert_eq!(get(&server, "states?deleted=true&prefix=c")["items"][0]["state"], "c");
    assert_eq!(get(&server, "states?prefix=b/")["items"].as_array().unwrap().len(), 2);
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(&server, &format!("states?limit=3{after}"));
        names.extend(
            page["items"].as_array().unwrap().iter().map(|item| format!("{}@{}", item["state"], item["workspace"])),
        );
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", next.replace('@', "%40"));
    }
    assert_eq!(names.len(), 4);
    assert!(names.is_sorted());
    send(&server, "GET", "states?limit=x", Body::None, 400);
}

#[test]
fn content_of_any_version() {
    let server = three_versions();
    assert_eq!(send(&server, "GET", "content?state=a", Body::None, 200).header("x-stateward-version"), Some("v3"));
    let old = send(&server, "GET", "content?state=a&version=v1", Body::None, 200);
    assert_eq!(old.body, state_of(1, "11111111-2222-3333-4444-555555555555", "one"));
    send(&server, "GET", "content?state=a&version=v9", Body::None, 404);
    send(&server, "GET", "content?state=none", Body::None, 404);
}

#[test]
fn content_is_stored_by_the_rules() {
    let server = three_versions();
    let stored = crate::fixture::json(&send(&server, "PUT", "content?state=a", &state(4), 200));
    assert_eq!((&stored["version"], &stored["serial"], &stored["changed"]), (&json!("v4"), &json!(4), &json!(true)));
    send(&server, "PUT", "content?state=a", &state(2), 409);
    let other = state_of(9, "99999999-2222-3333-4444-555555555555", "x");
    send(&server, "PUT", "content?state=a", &other, 409);
    send(&server, "PUT", "content?state=a&force=true", &other, 200);
    send(&server, "PUT", "content?state=a", "no JSON", 400);
    server.lock("a", "one").expect_status(200);
    let refused = crate::fixture::json(&send(&server, "PUT", "content?state=a", &state(10), 423));
    assert_eq!(refused["holder"]["ID"], "one");
}

#[test]
fn history_diff_and_timeline() {
    let server = three_versions();
    let history = get(&server, "history?state=a");
    assert_eq!(history["items"].as_array().unwrap().len(), 3);
    assert_eq!((&history["items"][0]["version"], &history["items"][0]["head"]), (&json!("v3"), &json!(true)));
    assert_eq!(history["items"][0]["changes"]["changed"], 1);
    let page = get(&server, "history?state=a&limit=2");
    assert_eq!(page["next"], "v2");
    assert_eq!(get(&server, "history?state=a&before=v2")["items"].as_array().unwrap().len(), 1);
    assert_eq!(get(&server, "history?state=a&recorded=true"), history);
    assert_eq!(get(&server, "history?state=none&recorded=true")["items"], json!([]));
    let diff = get(&server, "diff?state=a&from=v1&to=v3");
    let change =
        diff["items"].as_array().unwrap().iter().find(|change| change["address"] == "terraform_data.a").unwrap();
    assert_eq!(
        (&change["attributes"][0]["before"], &change["attributes"][0]["after"]),
        (&json!("one"), &json!("three"))
    );
    get(&server, "diff?state=a");
    let timeline = get(&server, "timeline?state=a&address=terraform_data.a");
    assert_eq!(timeline["items"].as_array().unwrap().len(), 3);
    send(&server, "GET", "timeline?state=a&address=..", Body::None, 400);
    send(&server, "GET", "timeline?state=a", Body::None, 400);
    for target in ["history?state=none", "diff?state=none", "timeline?state=none&address=a.b", "diff?state=a&from=v8"] {
        send(&server, "GET", target, Body::None, 404);
    }
}

#[test]
fn restoring_whole_and_in_part() {
    let server = three_versions();
    let stored = post(&server, "restore", &json!({"state": "a", "version": "v1"}), 200);
    assert_eq!((&stored["version"], &stored["serial"]), (&json!("v4"), &json!(4)));
    let stored = post(&server, "restore", &json!({"state": "a", "version": "v2", "only": ["terraform_data.a"]}), 200);
    assert_eq!(stored["addresses"], json!(["terraform_data.a"]));
    post(&server, "restore", &json!({"state": "a", "version": "v5"}), 400);
    post(&server, "restore", &json!({"state": "a", "version": "v77"}), 404);
    post(&server, "restore", &json!({"state": "none", "version": "v1"}), 404);
    server.lock("a", "one").expect_status(200);
    post(&server, "restore", &json!({"state": "a", "version": "v1"}), 423);
}

#[test]
fn deleting_and_bringing_back() {
    let server = three_versions();
    assert_eq!(post(&server, "delete", &json!({"state": "a"}), 200)["version"], "v3");
    assert!(post(&server, "delete", &json!({"state": "a"}), 200)["version"].is_null());
    assert_eq!(post(&server, "undelete", &json!({"state": "a"}), 200)["version"], "v3");
    post(&server, "undelete", &json!({"state": "a"}), 409);
    post(&server, "undelete", &json!({"state": "none"}), 404);
    server.lock("a", "one").expect_status(200);
    post(&server, "delete", &json!({"state": "a"}), 423);
}

/// What `importVersion` has to be told of a version of the history of `there`.
fn adoption(there: &Server, version: usize) -> String {
    let history = get(there, "history?state=a");
    let item = |version: usize| {
        let versions = history["items"].as_array().unwrap();
        &versions[versions.len() - version]
    };
    let mut original = item(version).clone();
    for name in ["parent", "head", "stored_size", "imported"] {
        original.as_object_mut().unwrap().remove(name);
    }
    let mut adoption = json!({
        "from": "there", "version": original["version"], "current": item(version)["head"], "original": original,
    });
    if version > 1 {
        let before = item(version - 1);
        adoption["after"] =
            json!({ "serial": before["serial"], "sha256": before["sha256"], "created": before["created"] });
    }
    let encoded: Vec<String> = adoption.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("import?state=a&adoption={}", encoded.concat())
}

#[test]
fn versions_from_elsewhere_are_taken_in() {
    let (there, here) = (three_versions(), Server::start());
    let body = |version| send(&there, "GET", &format!("content?state=a&version=v{version}"), Body::None, 200).body;
    send(&here, "PUT", &adoption(&there, 2), &body(2), 409);
    send(&here, "PUT", &adoption(&there, 1), &body(2), 400);
    send(&here, "PUT", &adoption(&there, 1), Body::None, 400);
    send(&here, "PUT", "import?state=a&adoption=%7B%7D", &body(1), 400);
    for version in 1..=3 {
        let stored = crate::fixture::json(&send(&here, "PUT", &adoption(&there, version), &body(version), 200));
        assert_eq!((&stored["version"], &stored["changed"]), (&json!(format!("v{version}")), &json!(true)));
    }
    let again = crate::fixture::json(&send(&here, "PUT", &adoption(&there, 2), &body(2), 200));
    assert_eq!(again["changed"], false);
    let imported = get(&here, "history?state=a");
    assert_eq!(imported["items"][0]["imported"]["from"], "there");
    assert_eq!(get(&here, "audit?state=a&limit=1")["items"][0]["action"], "import");
    assert_eq!(send(&here, "GET", "content?state=a", Body::None, 200).body, body(3));
    here.lock("a", "one").expect_status(200);
    send(&here, "PUT", &adoption(&there, 3), &body(3), 423);
}

#[test]
fn a_state_is_deleted_under_its_lock() {
    let server = three_versions();
    server.lock("a", "one").expect_status(200);
    post(&server, "delete", &json!({"state": "a", "lock_id": "two"}), 409);
    assert_eq!(post(&server, "delete", &json!({"state": "a", "lock_id": "one"}), 200)["version"], "v3");
}

#[test]
fn locks_and_breaking_them() {
    let server = Server::start();
    server.lock("a", "one").expect_status(200);
    server.send("LOCK", "/state/b", &lock_info("two", PLAN)).expect_status(200);
    server.advance(90);
    let locks = get(&server, "locks");
    assert_eq!(locks["items"].as_array().unwrap().len(), 2);
    assert_eq!((&locks["items"][0]["mode"], &locks["items"][0]["age_s"]), (&json!("whole"), &json!(90)));
    assert_eq!(locks["items"][0]["operation"], APPLY);
    assert_eq!(get(&server, "locks?state=b")["items"][0]["mode"], "plan");
    post(&server, "locks/release", &json!({"state": "a", "id": "two"}), 409);
    assert_eq!(post(&server, "locks/release", &json!({"state": "a", "id": "one"}), 200)["released"], json!(["one"]));
    assert_eq!(post(&server, "locks/release", &json!({"state": "b"}), 200)["released"], json!(["two"]));
    post(&server, "locks/release", &json!({"state": "b"}), 404);
}

#[test]
fn leases_are_taken_renewed_and_lapse() {
    let server = Server::start();
    server.send("LOCK", "/state/a?lease=60s", &lock_info("one", APPLY)).expect_status(200);
    server.send("LOCK", "/state/a?lease=2h", &lock_info("one", APPLY)).expect_status(400);
    let item = get(&server, "locks?state=a")["items"][0].clone();
    assert!(item["lease_until"].is_string() && item["advice"].as_str().unwrap().contains("ends by itself"), "{item}");
    server.advance(50);
    let renewed = post(&server, "locks/renew", &json!({"state": "a", "id": "one", "lease_s": 60}), 200);
    assert!(renewed["lease_until"].as_str().unwrap() > item["lease_until"].as_str().unwrap());
    server.advance(50);
    server.lock("a", "two").expect_status(423);
    server.advance(11);
    server.lock("a", "two").expect_status(200);
    let lost = post(&server, "locks/renew", &json!({"state": "a", "id": "one", "lease_s": 60}), 409);
    assert_eq!(lost["holder"]["ID"], "two");
    let plain = post(&server, "locks/renew", &json!({"state": "a", "id": "two", "lease_s": 60}), 200);
    assert!(plain.get("lease_until").is_none(), "{plain}");
    post(&server, "locks/renew", &json!({"state": "a", "id": "two", "lease_s": 0}), 400);
}

#[test]
fn upkeep() {
    let server = three_versions();
    assert_eq!(post(&server, "verify", &json!({}), 200)["versions"], 3);
    assert_eq!(post(&server, "verify", &json!({"state": "a"}), 200)["findings"], json!([]));
    post(&server, "verify", &json!({"state": "none"}), 404);
    post(&server, "verify", &json!({"what": 1}), 400);
    assert_eq!(post(&server, "prune", &json!({}), 200)["versions"], 0);
    send(&server, "POST", "prune", Body::None, 200);
    assert_eq!(get(&server, "openapi.json"), stateward_server::openapi());
}

#[test]
fn the_audit_log_page_by_page() {
    let server = three_versions();
    server.lock("a", "one").expect_status(200);
    server.lock("a", "two").expect_status(423);
    server.store("b", 1);
    let all = get(&server, "audit");
    assert_eq!(all["items"].as_array().unwrap().len(), 6);
    assert_eq!(get(&server, "audit?state=a")["items"].as_array().unwrap().len(), 5);
    let page = get(&server, "audit?limit=4");
    let rest = get(&server, &format!("audit?after={}", page["next"].as_str().unwrap()));
    assert_eq!((page["items"].as_array().unwrap().len(), rest["items"].as_array().unwrap().len()), (4, 2));
}

#[test]
fn refusals_are_as_documented() {
    let server = Server::with(|setup| setup.auth = stateward_server::Auth::Tokens(crate::fixture::tokens(&[])));
    send(&server, "GET", "states", Body::None, 401);
    send(&server, "PUT", "content?state=a", &state(1), 401);
    let large = format!(r#"{{"state":"{}"}}"#, "a".repeat(2 << 20));
    send(&Server::start(), "POST", "delete", large.as_str(), 413);
}
