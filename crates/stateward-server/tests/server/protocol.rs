//! Every row of Terraform's http protocol.

use stateward_testkit::Body;

use crate::fixture::{APPLY, PLAN, Server, json, lock_info, md5_of, state, state_of};

#[test]
fn no_state_is_404() {
    let server = Server::start();
    let answer = server.get("/state/network/prod").expect_status(404);
    assert_eq!(json(&answer)["kind"], "not_found");
    server.send("HEAD", "/state/network/prod", Body::None).expect_status(404);
}

#[test]
fn a_state_comes_back_byte_for_byte_with_its_headers() {
    let server = Server::start();
    let body = state(7);
    let posted = server.http.request("POST", "/state/a", &[("Content-MD5", &md5_of(&body))], &body).expect_status(200);
    assert_eq!(json(&posted), serde_json::json!({"schema": 1, "version": "v1", "serial": 7, "changed": true}));
    let got = server.get("/state/a").expect_status(200);
    assert_eq!(got.body, body);
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(got.header("content-md5"), Some(md5_of(&body).as_str()));
    assert_eq!(got.header("x-stateward-version"), Some("v1"));
    assert_eq!(got.header("x-stateward-serial"), Some("7"));
    assert_eq!(got.header("etag").unwrap().len(), 66);
    let head = server.send("HEAD", "/state/a", Body::None).expect_status(200);
    assert_eq!(head.header("content-length"), got.header("content-length"));
    assert!(head.body.is_empty());
}

#[test]
fn bodies_may_be_chunked() {
    let server = Server::start();
    let body = state(1);
    let (first, second) = body.split_at(100);
    server.send("POST", "/state/a", Body::Chunked(&[first, second])).expect_status(200);
    assert_eq!(server.get("/state/a").body, body);
}

#[test]
fn put_stores_as_post_does() {
    let server = Server::start();
    server.send("PUT", "/state/a", &state(1)).expect_status(200);
    assert_eq!(server.get("/state/a").body, state(1));
}

#[test]
fn a_repeated_post_is_fine_and_adds_no_version() {
    let server = Server::start();
    server.store("a", 1);
    let again = server.send("POST", "/state/a", &state(1)).expect_status(200);
    assert_eq!(json(&again)["changed"], false);
    assert_eq!(json(&server.get("/api/v1/history?state=a"))["items"].as_array().unwrap().len(), 1);
}

#[test]
fn the_rules_of_serial_and_lineage() {
    let server = Server::start();
    server.store("a", 5);
    let refused = |body: &[u8]| {
        let answer = server.send("POST", "/state/a", body).expect_status(409);
        assert_eq!(json(&answer)["kind"], "conflict");
        assert_eq!(server.get("/state/a").body, state(5), "the head has moved");
    };
    refused(&state(4));
    refused(&state_of(5, "11111111-2222-3333-4444-555555555555", "two"));
    refused(&state_of(6, "99999999-2222-3333-4444-555555555555", "one"));
    server.send("DELETE", "/state/a", Body::None).expect_status(200);
    server.send("POST", "/state/a", &state_of(1, "99999999-2222-3333-4444-555555555555", "one")).expect_status(200);
}

#[test]
fn force_push_is_a_setting() {
    let server = Server::with(|setup| setup.settings.allow_force_push = true);
    server.store("a", 5);
    server.send("POST", "/state/a", &state_of(1, "99999999-2222-3333-4444-555555555555", "x")).expect_status(200);
}

#[test]
fn delete_leaves_nothing_to_get_and_may_be_repeated() {
    let server = Server::start();
    server.store("a", 1);
    assert_eq!(json(&server.send("DELETE", "/state/a", Body::None).expect_status(200))["version"], "v1");
    server.get("/state/a").expect_status(404);
    assert!(json(&server.send("DELETE", "/state/a", Body::None).expect_status(200))["version"].is_null());
}

#[test]
fn a_run_as_terraform_does_it() {
    let server = Server::start();
    let mut connection = server.connect();
    let info = lock_info("f108b30f-8c7b-b79e-433f-91f4236138ae", APPLY);
    let mut send = |method: &str, target: &str, body: Body<'_>| connection.request(method, target, &[], body).unwrap();
    assert_eq!(send("GET", "/state/a", Body::None).status, 404);
    assert_eq!(send("LOCK", "/state/a", Body::Sized(&info)).status, 200);
    for serial in 1..=3 {
        let target = "/state/a?ID=f108b30f-8c7b-b79e-433f-91f4236138ae";
        assert_eq!(send("POST", target, Body::Sized(&state(serial))).status, 200);
    }
    assert_eq!(send("GET", "/state/a", Body::None).body, state(3));
    let unlocked = send("UNLOCK", "/state/a", Body::Sized(&info));
    assert_eq!(json(&unlocked)["released"][0], "f108b30f-8c7b-b79e-433f-91f4236138ae");
    let history = json(&server.get("/api/v1/history?state=a"));
    assert_eq!(history["items"][0]["who"], "tester@testkit");
    assert_eq!(history["items"][0]["operation"], APPLY);
}

#[test]
fn workspaces_are_states_of_their_own() {
    let server = Server::start();
    server.send("POST", "/state/a?workspace=dev", &state(1)).expect_status(200);
    server.get("/state/a").expect_status(404);
    server.send("LOCK", "/state/a?workspace=dev", &lock_info("l", APPLY)).expect_status(200);
    server.store("a", 9);
    server.send("POST", "/state/a?ID=l&workspace=dev", &state(2)).expect_status(200);
    assert_eq!(server.get("/state/a?workspace=dev").body, state(2));
    assert_eq!(server.get("/state/a?workspace=default").body, state(9));
}

#[test]
fn outputs_alone_are_a_valid_state() {
    let server = Server::start();
    server.get("/state/a?view=outputs").expect_status(404);
    server.store("a", 3);
    let view = json(&server.get("/state/a?view=outputs").expect_status(200));
    assert_eq!(view["outputs"]["greeting"]["value"], "hello 3");
    assert_eq!((&view["version"], &view["serial"]), (&4.into(), &3.into()));
    assert_eq!(view["resources"], serde_json::json!([]));
    server.get("/state/a?view=resources").expect_status(400);
    server.send("POST", "/state/a?view=outputs", &state(4)).expect_status(400);
}

#[test]
fn other_methods_are_refused_with_those_there_are() {
    let server = Server::start();
    for (method, path, allowed) in [
        ("PATCH", "/state/a", "GET, HEAD, POST, PUT, LOCK, UNLOCK, DELETE"),
        ("lock", "/state/a", "GET, HEAD, POST, PUT, LOCK, UNLOCK, DELETE"),
        ("GET", "/lock/a", "POST, PUT, DELETE, LOCK, UNLOCK"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/api/v1/states", "GET, HEAD"),
        ("POST", "/api/v1/content", "GET, HEAD, PUT"),
        ("LOCK", "/api/v1/restore", "POST"),
    ] {
        let answer = server.send(method, path, Body::None).expect_status(405);
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(json(&answer)["schema"], 1);
    }
    assert_eq!(json(&server.get("/nothing").expect_status(404))["kind"], "not_found");
}

#[test]
fn git_lab_s_convention() {
    let server = Server::start();
    let (first, second) = (lock_info("one", APPLY), lock_info("two", APPLY));
    server.send("POST", "/lock/a", &first).expect_status(200);
    assert_eq!(server.send("PUT", "/lock/a", &second).expect_status(423).body, first);
    server.send("POST", "/state/a?ID=one", &state(1)).expect_status(200);
    server.send("DELETE", "/lock/a", &first).expect_status(200);
    server.send("PUT", "/lock/a?workspace=default", &second).expect_status(200);
    server.send("UNLOCK", "/lock/a", &second).expect_status(200);
    assert_eq!(server.queue("a"), (false, 0));
}

#[test]
fn requests_have_names() {
    let server = Server::start();
    let named = server.http.request("GET", "/healthz", &[("X-Request-Id", "mine-7")], Body::None);
    assert_eq!(named.header("x-request-id"), Some("mine-7"));
    let ids = [(); 2].map(|()| server.get("/healthz").header("x-request-id").unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    let long = "x".repeat(1000);
    assert_ne!(
        server.http.request("GET", "/healthz", &[("X-Request-Id", &long)], Body::None).header("x-request-id"),
        Some(long.as_str())
    );
}

#[test]
fn plan_locks_are_shared_and_cannot_write() {
    let server = Server::start();
    server.store("a", 1);
    for id in ["p1", "p2"] {
        server.send("LOCK", "/state/a", &lock_info(id, PLAN)).expect_status(200);
    }
    server.lock("a", "w").expect_status(200);
    server.send("LOCK", "/state/a", &lock_info("p3", PLAN)).expect_status(200);
    server.send("POST", "/state/a?ID=p1", &state(2)).expect_status(409);
    server.send("POST", "/state/a?ID=w", &state(2)).expect_status(200);
    for id in ["p1", "p2", "p3"] {
        server.send("UNLOCK", "/state/a", &lock_info(id, PLAN)).expect_status(200);
    }
    assert_eq!(server.queue("a"), (true, 0));
}
