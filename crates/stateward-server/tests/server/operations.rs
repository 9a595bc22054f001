//! Probes, metrics, logs, and going down.

use std::time::Duration;

use stateward_testkit::Body;

use crate::fixture::{APPLY, Server, json, lock_info, logged, state, until};

#[test]
fn alive_and_ready() {
    let server = Server::start();
    assert_eq!(json(&server.get("/healthz").expect_status(200))["status"], "alive");
    assert_eq!(json(&server.get("/readyz").expect_status(200))["status"], "ready");
}

#[test]
fn metrics_have_labels_from_fixed_sets() {
    let server = Server::start();
    for n in 0..50 {
        server.store(&format!("team-{n}/very-secret-name"), 1);
        server.send(&format!("METHOD{n}"), &format!("/path-{n}"), Body::None);
    }
    server.lock("team-1/very-secret-name", "one").expect_status(200);
    server.lock("team-1/very-secret-name", "two").expect_status(423);
    let metrics = server.get("/metrics").expect_status(200);
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = metrics.text();
    for line in [
        r#"stateward_http_requests_total{method="POST",route="/state",status="2xx"} 50"#,
        r#"stateward_http_requests_total{method="other",route="other",status="4xx"} 50"#,
        r#"stateward_http_request_seconds_count{route="/state"} 52"#,
        r#"stateward_refusals_total{kind="locked"} 1"#,
        "stateward_locks_granted_total 1",
        "stateward_locks_refused_total 1",
        "stateward_locks_waiting 0",
        r#"stateward_locks_held{mode="whole"} 1"#,
        "stateward_versions_written_total 50",
        "stateward_audit_suppressed_total 0",
        "stateward_http_received_bytes_total ",
        "stateward_http_sent_bytes_total ",
        r#"stateward_build_info{version="0.1.0"} 1"#,
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
    }
    assert!(!text.contains("secret-name") && !text.contains("path-") && !text.contains("METHOD"));
    assert!(text.lines().count() < 150, "{text}");
}

#[test]
fn who_waits_is_counted() {
    let server = Server::start();
    server.lock("a", "one").expect_status(200);
    let waits = server.wait_for_lock("a", "two");
    assert!(server.get("/metrics").text().contains("stateward_locks_waiting 1\n"));
    drop(waits);
    until("it is not counted any more", || server.get("/metrics").text().contains("stateward_locks_waiting 0\n"));
    until("its request is", || {
        server.get("/metrics").text().contains(r#"{method="LOCK",route="/state",status="gone"} 1"#)
    });
}

#[test]
fn one_line_a_request() {
    let server = Server::start();
    let headers = [("X-Request-Id", "log-test-1"), ("Authorization", "Bearer log-test-token")];
    server.http.request("POST", "/state/log/test?workspace=dev", &headers, &state(1)).expect_status(200);
    let lines = || logged().lines().filter(|line| line.contains("log-test-1")).map(str::to_owned).collect::<Vec<_>>();
    until("it is logged", || !lines().is_empty());
    let [line] = &lines()[..] else { panic!("{:?}", lines()) };
    let fields = &serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"];
    assert_eq!(
        (&fields["method"], &fields["route"], &fields["state"]),
        (&"POST".into(), &"/state".into(), &"log/test@dev".into())
    );
    assert_eq!((&fields["status"], &fields["bytes_in"]), (&200.into(), &state(1).len().into()));
}

#[test]
fn going_down_finishes_what_is_under_way_and_sends_away_who_waits() {
    let mut server = Server::with(|setup| setup.options.grace = Duration::from_secs(10));
    server.lock("a", "one").expect_status(200);
    let mut waits = server.wait_for_lock("a", "two");
    let (body, mut posting) = (state(1), server.connect());
    posting.send_head("POST", "/state/b", &[("Content-Length", &body.len().to_string())]).unwrap();
    posting.send(&body[..50]).unwrap();
    let mut idle = server.connect();
    assert_eq!(idle.request("GET", "/healthz", &[], Body::None).unwrap().status, 200);
    let mut fresh = server.connect();
    // The last connection that is accepted before the server stops accepting.
    server.get("/healthz").expect_status(200);

    server.stop();
    let sent_away = waits.read_response().unwrap();
    assert_eq!((sent_away.status, json(&sent_away)["kind"].as_str()), (503, Some("unavailable")));
    assert!(sent_away.header("retry-after").is_some());
    assert!(idle.is_closed().unwrap() && fresh.is_closed().unwrap() && waits.is_closed().unwrap());
    posting.send(&body[50..]).unwrap();
    assert_eq!(posting.read_response().unwrap().status, 200);
    server.down();
    assert!(server.http.connect().is_err());
}

#[test]
fn going_down_does_not_wait_for_the_silent() {
    let mut server = Server::with(|setup| setup.options.grace = Duration::from_millis(300));
    let mut mid_body = server.connect();
    mid_body.send_head("POST", "/state/a", &[("Content-Length", "5000")]).unwrap();
    mid_body.send("{").unwrap();
    let mut mid_head = server.connect();
    mid_head.send("GET /state/a HTTP/1.1\r\n").unwrap();
    server.get("/healthz").expect_status(200);
    server.stop();
    server.down();
    assert!(mid_body.is_closed().unwrap() && mid_head.is_closed().unwrap());
}

#[test]
fn before_it_goes_down_it_says_so() {
    let mut server = Server::with(|setup| setup.options.notice = Duration::from_millis(800));
    server.lock("a", "one").expect_status(200);
    server.stop();
    until("it is not ready", || server.get("/readyz").status == 503);
    server.get("/healthz").expect_status(200);
    server.send("LOCK", "/state/a?wait=60s", &lock_info("two", APPLY)).expect_status(503);
    server.unlock("a", "one").expect_status(200);
    server.down();
}

#[test]
fn connections_are_bounded() {
    let server = Server::with(|setup| {
        setup.options.connections = 2;
        setup.options.idle = Duration::from_millis(300);
    });
    let _idle = [server.connect(), server.connect()];
    // There is room again once the idle ones are closed.
    server.get("/healthz").expect_status(200);
}
