//! Who may do what.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stateward_core::Right::{self, Admin, Delete, ForceUnlock, Lock, Outputs, Read, Write};
use stateward_server::Auth;
use stateward_testkit::{Body, Response};

use crate::fixture::{APPLY, PLAN, Server, bearer, json, lock_info, secret, state, token, tokens};

fn server() -> Server {
    let rights = [Outputs, Read, Write, Lock, ForceUnlock, Delete, Admin];
    let entries: Vec<_> = rights.iter().map(|right| token(&right.to_string(), &[*right], "**")).collect();
    Server::with(|setup| setup.auth = Auth::Tokens(tokens(&entries)))
}

fn send(server: &Server, who: Right, method: &str, target: &str, body: &[u8]) -> Response {
    server.http.request(method, target, &[("Authorization", &bearer(&who.to_string()))], body)
}

#[test]
fn each_right_allows_what_it_says() {
    let (info, plan) = (lock_info("l", APPLY), lock_info("p", PLAN));
    let locked = br#"{"state":"a"}"#.as_slice();
    let cases: &[(&str, &str, &[u8], &[Right])] = &[
        ("GET", "/state/a", b"", &[Read]),
        ("GET", "/state/a?view=outputs", b"", &[Outputs, Read]),
        ("POST", "/state/a", b"{}", &[Write]),
        ("LOCK", "/state/other", &info, &[Lock]),
        ("UNLOCK", "/state/other", &info, &[Lock]),
        ("UNLOCK", "/state/other", b"", &[ForceUnlock]),
        ("LOCK", "/state/planned", &plan, &[Lock, Read]),
        ("DELETE", "/state/none", b"", &[Delete]),
        ("GET", "/api/v1/content?state=a", b"", &[Read]),
        ("PUT", "/api/v1/content?state=a", b"{}", &[Write]),
        ("GET", "/api/v1/history?state=a", b"", &[Read]),
        ("GET", "/api/v1/diff?state=a", b"", &[Read]),
        ("GET", "/api/v1/timeline?state=a&address=x.y", b"", &[Read]),
        ("POST", "/api/v1/restore", br#"{"state":"a","version":"v9"}"#, &[Write]),
        ("POST", "/api/v1/undelete", locked, &[Delete]),
        ("POST", "/api/v1/locks/release", locked, &[ForceUnlock]),
        ("POST", "/api/v1/locks/renew", br#"{"state":"a","id":"l","lease_s":60}"#, &[Lock, Read]),
        ("POST", "/api/v1/verify", locked, &[Read]),
        ("POST", "/api/v1/verify", b"{}", &[]),
        ("POST", "/api/v1/prune", b"{}", &[]),
        ("GET", "/api/v1/audit", b"", &[]),
    ];
    for (method, target, body, allowed) in cases {
        for right in [Outputs, Read, Write, Lock, ForceUnlock, Delete, Admin] {
            let server = server();
            send(&server, Write, "POST", "/state/a", &state(1)).expect_status(200);
            let status = send(&server, right, method, target, body).status;
            let may = right == Admin || allowed.contains(&right);
            assert_eq!(status != 403, may, "{method} {target} with `{right}`: {status}");
            assert_ne!(status, 401);
        }
    }
}

#[test]
fn lists_show_what_the_caller_may_know_of() {
    let server = Server::with(|setup| {
        setup.auth = Auth::Tokens(tokens(&[token("all", &[Admin], "**"), token("dev", &[Lock], "dev/*")]));
    });
    let (all, dev) = (bearer("all"), bearer("dev"));
    for name in ["dev/a", "prod/a"] {
        server
            .http
            .request("POST", &format!("/state/{name}"), &[("Authorization", &all)], &state(1))
            .expect_status(200);
    }
    let list = |who: &str| {
        let states = json(
            &server.http.request("GET", "/api/v1/states", &[("Authorization", who)], Body::None).expect_status(200),
        );
        states["items"].as_array().unwrap().len()
    };
    assert_eq!((list(&all), list(&dev)), (2, 1));
}

#[test]
fn tokens_come_as_a_password_or_a_bearer() {
    let server = server();
    let basic = format!("Basic {}", STANDARD.encode(format!("anybody:{}", secret("admin"))));
    server.http.request("GET", "/api/v1/states", &[("Authorization", &basic)], Body::None).expect_status(200);
    for bad in ["Bearer wrong", "Basic !", "Digest x", ""] {
        let answer =
            server.http.request("GET", "/api/v1/states", &[("Authorization", bad)], Body::None).expect_status(401);
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="));
        assert_eq!(json(&answer)["kind"], "unauthenticated");
    }
    server.get("/state/a").expect_status(401);
    server.get("/metrics").expect_status(401);
    server.get("/healthz").expect_status(200);
    server.get("/readyz").expect_status(200);
    send(&server, Outputs, "GET", "/metrics", b"").expect_status(200);
}

#[test]
fn a_denial_says_which_right_is_missing_and_is_noted() {
    let server = server();
    let denied = json(&send(&server, Read, "POST", "/state/a", &state(1)).expect_status(403));
    assert_eq!(denied["what"], "token `read` may not do this");
    assert_eq!(denied["why"], "it lacks the right `write` on `a`");
    let audit = json(&send(&server, Admin, "GET", "/api/v1/audit?state=a", b"").expect_status(200));
    assert_eq!((&audit["items"][0]["action"], &audit["items"][0]["token"]), (&"refuse".into(), &"read".into()));
    assert!(audit["items"][0]["source"].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[test]
fn strangers_cannot_fill_the_audit_log() {
    let server = server();
    for _ in 0..30 {
        server.get("/state/a").expect_status(401);
    }
    let audit = json(&send(&server, Admin, "GET", "/api/v1/audit", b"").expect_status(200));
    let noted = audit["items"].as_array().unwrap().len();
    assert!((1..30).contains(&noted), "{noted}");
    assert!(!send(&server, Admin, "GET", "/metrics", b"").text().contains("audit_suppressed_total 0\n"));
}

#[test]
fn new_tokens_count_from_the_next_request_on() {
    let server = server();
    let mut connection = server.connect();
    let old = bearer("admin");
    let mut get =
        |who: &str| connection.request("GET", "/api/v1/states", &[("Authorization", who)], Body::None).unwrap().status;
    assert_eq!(get(&old), 200);
    server.app.set_tokens(tokens(&[token("new", &[Admin], "**")]));
    assert_eq!((get(&old), get(&bearer("new"))), (401, 200));
}

#[test]
fn without_tokens_the_user_name_is_the_author() {
    let server = Server::start();
    let basic = format!("Basic {}", STANDARD.encode("ana@laptop:"));
    server
        .http
        .request("POST", "/state/a", &[("Authorization", &basic), ("User-Agent", "tool/1.0 (é)")], &state(1))
        .expect_status(200);
    server.send("POST", "/state/a", &state(2)).expect_status(200);
    let history = json(&server.get("/api/v1/history?state=a"));
    assert_eq!((&history["items"][0]["who"], &history["items"][1]["who"]), (&"anonymous".into(), &"ana@laptop".into()));
}

/// A page in a browser of this machine reaches loopback as any program does.
#[test]
fn without_tokens_no_web_page_is_served() {
    let server = Server::start();
    let (form, rebound) = ([("Origin", "https://evil.example")], [("Host", "evil.example")]);
    let ask = |headers: &[(&str, &str)], method: &str, target: &str| {
        server.http.request(method, target, headers, &state(1)).status
    };
    for headers in [&form, &rebound] {
        let answer = server.http.request("POST", "/state/a", headers, &state(1)).expect_status(403);
        assert!(json(&answer)["why"].as_str().unwrap().contains("evil.example"), "{}", answer.text());
        for target in ["/state/a", "/api/v1/states", "/metrics"] {
            assert_eq!(ask(headers, "GET", target), 403, "{target}");
        }
    }
    server.get("/state/a").expect_status(404);
    for host in ["localhost", "localhost:1", "127.0.0.1", "[::1]:7017"] {
        server.http.request("POST", "/state/a", &[("Host", host)], &state(1)).expect_status(200);
    }
    let audit = json(&server.get("/api/v1/audit").expect_status(200));
    assert!(audit["items"].as_array().unwrap().iter().any(|item| item["action"] == "refuse"));
}

#[test]
fn where_something_else_keeps_strangers_out_any_host_is_served() {
    let server = Server::with(|setup| setup.auth = Auth::Open);
    let proxied = [("Host", "states.example"), ("Origin", "https://states.example")];
    server.http.request("POST", "/state/a", &proxied, &state(1)).expect_status(200);
}
