//! What is wrong gets a 400 that says what, why and what to do, and moves nothing.

use std::time::Duration;

use stateward_testkit::{Body, Response};

use crate::fixture::{APPLY, Server, json, lock_info, md5_of, state, until};

/// Refused with reasons, and the head is where it was.
#[track_caller]
fn refused(server: &Server, answer: Response, status: u16) {
    let answer = answer.expect_status(status);
    let told = json(&answer);
    for field in ["what", "why", "next"] {
        assert!(!told[field].as_str().unwrap().is_empty(), "{told}");
    }
    assert_eq!(server.get("/state/a").body, state(1), "the head has moved");
}

fn server() -> Server {
    let server = Server::start();
    server.store("a", 1);
    server
}

#[test]
fn damaged_bodies() {
    let server = server();
    let body = state(2);
    refused(&server, server.http.request("POST", "/state/a", &[("Content-MD5", &md5_of(b"other"))], &body), 400);
    refused(&server, server.http.request("POST", "/state/a", &[("Content-MD5", "no base64!")], &body), 400);
    refused(&server, server.http.request("POST", "/state/a", &[("Content-MD5", "c2hvcnQ=")], &body), 400);
    refused(
        &server,
        server.http.request("PUT", "/api/v1/content?state=a", &[("Content-MD5", &md5_of(b"other"))], &body),
        400,
    );
    server.http.request("PUT", "/api/v1/content?state=a", &[("Content-MD5", &md5_of(&body))], &body).expect_status(200);
}

#[test]
fn bodies_cut_short() {
    let server = server();
    let body = state(2);
    let mut sized = server.connect();
    sized.send_head("POST", "/state/a", &[("Content-Length", &body.len().to_string())]).unwrap();
    sized.send(&body[..body.len() - 10]).unwrap();
    sized.finish_sending().unwrap();
    refused(&server, sized.read_response().unwrap(), 400);

    let mut chunked = server.connect();
    chunked.send_head("POST", "/state/a", &[("Transfer-Encoding", "chunked")]).unwrap();
    chunked.send_chunk(&body).unwrap();
    chunked.finish_sending().unwrap();
    refused(&server, chunked.read_response().unwrap(), 400);
}

#[test]
fn what_is_no_state() {
    let server = server();
    let deep =
        format!(r#"{{"version":4,"serial":2,"lineage":"x","outputs":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for bad in [
        "",
        "no JSON",
        "[]",
        "{}",
        r#"{"version":4,"lineage":"x"}"#,
        r#"{"version":4,"serial":2}"#,
        r#"{"version":4,"serial":2,"lineage":"x""#,
        r#"{"version":4,"serial":-1,"lineage":"x"}"#,
        &deep,
    ] {
        refused(&server, server.send("POST", "/state/a", bad), 400);
    }
}

#[test]
fn names() {
    let server = server();
    let long = "x".repeat(513);
    for path in [
        "/..",
        "/a/../b",
        "/./a",
        "/a%2Fb",
        "/a%2fb",
        "/a%00",
        "",
        "/",
        "//a",
        "/a/",
        "/a%",
        "/a%zz",
        "/a@dev",
        "/a%40dev",
        &format!("/{long}"),
    ] {
        for prefix in ["/state", "/lock"] {
            let method = if prefix == "/state" { "GET" } else { "POST" };
            refused(&server, server.send(method, &format!("{prefix}{path}"), Body::None), 400);
        }
    }
    assert!(json(&server.get("/state/a@dev"))["next"].as_str().unwrap().contains("?workspace="));
    for state in ["a/../b", "a%2F..%2Fb", "a%00", "a@", &long] {
        refused(&server, server.get(&format!("/api/v1/history?state={state}")), 400);
    }
}

#[test]
fn queries() {
    let server = server();
    for query in [
        "wait=soon",
        "wait=-1s",
        "wait=",
        "worksapce=dev",
        "workspace=",
        "workspace=a/b",
        "id=x",
        "ID=1&ID=2",
        "ID=%zz",
        "view=all",
    ] {
        refused(&server, server.send("LOCK", &format!("/state/a?{query}"), &lock_info("x", APPLY)), 400);
    }
    for path in [
        "states?x=1",
        "states?limit=0",
        "states?limit=all",
        "states?deleted=yes",
        "history",
        "history?state=a&limit=-1",
        "content?state=a&version=x",
    ] {
        refused(&server, server.get(&format!("/api/v1/{path}")), 400);
    }
}

#[test]
fn json_bodies() {
    let server = server();
    for body in [
        "",
        "{",
        "[]",
        r#"{"state":"a"}"#,
        r#"{"state":"a","version":"v1","extra":1}"#,
        r#"{"state":"..","version":"v1"}"#,
    ] {
        refused(&server, server.send("POST", "/api/v1/restore", body), 400);
    }
    let large = format!(r#"{{"state":"{}"}}"#, "a".repeat(2 << 20));
    refused(&server, server.send("POST", "/api/v1/delete", large.as_str()), 413);
}

#[test]
fn too_large() {
    let server = Server::with(|setup| setup.settings.limits.body_bytes = 4096);
    server.store("a", 1);
    let large = vec![b' '; 100_000];
    // The length alone tells: the answer comes before the body.
    let mut told = server.connect();
    told.send_head("POST", "/state/a", &[("Content-Length", "100000")]).unwrap();
    refused(&server, told.read_response().unwrap(), 413);
    refused(&server, server.send("POST", "/state/a", &large), 413);
    refused(&server, server.send("POST", "/state/a", Body::Chunked(&[&large[..50_000], &large[50_000..]])), 413);
}

#[test]
fn a_client_that_waits_to_be_told_to_continue_is() {
    let server = server();
    let (body, mut connection) = (state(2), server.connect());
    let length = body.len().to_string();
    connection.send_head("POST", "/state/a", &[("Content-Length", &length), ("Expect", "100-continue")]).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 100);
    connection.send(&body).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);
    connection.send_head("POST", "/state/a@b", &[("Content-Length", &length), ("Expect", "100-continue")]).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 400);
}

#[test]
fn a_refused_body_of_any_size_is_read_so_that_the_answer_arrives() {
    let server = server();
    let mut connection = server.connect();
    let large = vec![b' '; 8 << 20];
    connection.send_request("POST", "/state/a@dev", &[], &large).unwrap();
    refused(&server, connection.read_response().unwrap(), 400);
    // The connection is still good.
    assert_eq!(connection.request("GET", "/healthz", &[], Body::None).unwrap().status, 200);
}

#[test]
fn silent_clients_are_cut_off() {
    let server = Server::with(|setup| {
        setup.options.silence = Duration::from_millis(200);
        setup.options.idle = Duration::from_millis(300);
    });
    server.store("a", 1);
    let mut mid_body = server.connect();
    mid_body.send_head("POST", "/state/a", &[("Content-Length", "5000")]).unwrap();
    mid_body.send("{").unwrap();
    refused(&server, mid_body.read_response().unwrap(), 400);
    let mut mid_head = server.connect();
    mid_head.send("GET /state/a HTTP/1.1\r\nHost: ").unwrap();
    let mut idle = server.connect();
    assert!(mid_head.is_closed().unwrap() || mid_head.read_response().is_ok());
    assert!(idle.is_closed().unwrap());
}

#[test]
fn slow_clients_are_not() {
    let server = Server::with(|setup| setup.options.silence = Duration::from_millis(300));
    let (body, mut connection) = (state(1), server.connect());
    connection.send_head("POST", "/state/slow", &[("Content-Length", &body.len().to_string())]).unwrap();
    for piece in body.chunks(body.len() / 6) {
        std::thread::sleep(Duration::from_millis(100));
        connection.send(piece).unwrap();
    }
    assert_eq!(connection.read_response().unwrap().status, 200);
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let server = Server::with(|setup| setup.options.silence = Duration::from_millis(200));
    let big = crate::fixture::state_of(1, "x", &"y".repeat(16 << 20));
    server.send("POST", "/state/big", &big).expect_status(200);
    let mut stalled = server.connect();
    stalled.send_request("GET", "/state/big", &[], Body::None).unwrap();
    until("the server gives it up", || {
        let metrics = server.get("/metrics").text();
        metrics.contains(r#"http_requests_total{method="GET",route="/state",status="2xx"} 1"#)
    });
    assert!(stalled.read_response().is_err());
}
