//! What went wrong elsewhere must not here. The numbers are those of the list of peers' defects.

use std::thread;

use stateward_testkit::Body;

use crate::fixture::{APPLY, Server, json, lock_info, logged, state, state_of, until};

#[test]
fn peer_1_lynx_a_post_without_the_lock_is_refused_and_unlock_minds_the_id() {
    let server = Server::start();
    server.lock("a", "one").expect_status(200);
    server.send("POST", "/state/a", &state(1)).expect_status(423);
    server.send("POST", "/state/a?ID=two", &state(1)).expect_status(409);
    server.unlock("a", "two").expect_status(409);
    assert_eq!(server.queue("a"), (true, 0));
}

#[test]
fn peer_1_lynx_bytes_are_kept() {
    let server = Server::start();
    let odd = b"{\"lineage\":\"x\",\n\t\"serial\" : 1, \"version\":4,\"outputs\":{},\"n\":1E+400,\"z\":-0.0,\"e\":\"\\u003c\",\"resources\":[]}\n\n";
    server.send("POST", "/state/a", odd).expect_status(200);
    assert_eq!(server.get("/state/a").body, odd);
}

#[test]
fn peer_2_statesman_of_many_who_ask_at_once_one_gets_the_lock() {
    let server = Server::start();
    for round in 0..5 {
        let name = format!("state-{round}");
        let granted: Vec<u16> = thread::scope(|scope| {
            let asking: Vec<_> = (0..16)
                .map(|n| {
                    scope.spawn({
                        let (server, name) = (&server, &name);
                        move || server.lock(name, &format!("id-{n}")).status
                    })
                })
                .collect();
            asking.into_iter().map(|asking| asking.join().unwrap()).collect()
        });
        assert_eq!(granted.iter().filter(|status| **status == 200).count(), 1);
        assert_eq!(
            granted.iter().filter(|status| **status == 423).count(),
            15,
            "a lost race is a held lock, not a failure"
        );
    }
}

#[test]
fn peer_2_statesman_a_state_needs_no_preparation() {
    let server = Server::start();
    server.lock("brand/new", "one").expect_status(200);
    server.send("POST", "/state/brand/new?ID=one", &state(1)).expect_status(200);
}

#[test]
fn peer_3_nimbolus_delete_minds_the_lock_and_states_can_be_listed() {
    let server = Server::start();
    server.store("a", 1);
    server.lock("a", "one").expect_status(200);
    server.send("DELETE", "/state/a", Body::None).expect_status(423);
    server.get("/state/a").expect_status(200);
    assert_eq!(json(&server.get("/api/v1/states"))["items"][0]["state"], "a");
}

#[test]
fn peer_4_tfstated_no_id_is_no_way_around_the_lock() {
    let server = Server::start();
    server.lock("a", "one").expect_status(200);
    for target in ["/state/a", "/state/a?ID="] {
        assert!([409, 423].contains(&server.send("POST", target, &state(1)).status), "{target}");
    }
    server.get("/state/a").expect_status(404);
}

#[test]
fn peer_5_terrakube_no_contents_and_no_secrets_in_logs() {
    let server = Server::start();
    let body = state_of(1, "x", "hunter2-contents");
    let headers = [("Authorization", "Bearer hunter2-token"), ("X-Request-Id", "peer-5")];
    server.http.request("LOCK", "/state/a", &headers, &lock_info("hunter2-lock", APPLY)).expect_status(200);
    server.http.request("POST", "/state/a?ID=hunter2-lock", &headers, &body).expect_status(200);
    server.http.request("POST", "/state/a?ID=hunter2-lock", &headers, "hunter2-no-json").expect_status(400);
    server.http.request("GET", "/state/a", &headers, Body::None).expect_status(200);
    until("all is logged", || logged().matches("peer-5").count() == 4);
    assert!(!logged().contains("hunter2"));
}

#[test]
fn peer_6_terrapod_a_stranded_lock_can_be_released_by_its_id() {
    let server = Server::start();
    server.lock("a", "stranded").expect_status(200);
    server.send("POST", "/api/v1/locks/release", r#"{"state":"a","id":"other"}"#).expect_status(409);
    server.send("POST", "/api/v1/locks/release", r#"{"state":"a","id":"stranded"}"#).expect_status(200);
    server.lock("a", "next").expect_status(200);
    assert!(server.get("/metrics").text().contains("stateward_locks_granted_total 2"));
}

#[test]
fn peer_7_gitlab_writers_at_once_are_told_apart_without_a_failure() {
    let server = Server::start();
    server.store("a", 1);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let post = |n: u64| {
            let server = &server;
            move || {
                server
                    .send("POST", "/state/a", &state_of(2, "11111111-2222-3333-4444-555555555555", &n.to_string()))
                    .status
            }
        };
        let writers: Vec<_> = (0..8).map(|n| scope.spawn(post(n))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
}

#[test]
fn peer_8_terraform_force_unlock_sends_nothing_and_works() {
    let server = Server::start();
    server.lock("a", "stranded").expect_status(200);
    // As Terraform 1.15.5 sends it.
    let headers = [("Content-Type", "application/json"), ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
    let answer = server.http.request("UNLOCK", "/state/a", &headers, Body::Chunked(&[])).expect_status(200);
    assert_eq!(json(&answer)["released"][0], "stranded");
    server.send("UNLOCK", "/state/a", Body::None).expect_status(200);
    let audit = json(&server.get("/api/v1/audit?state=a"));
    assert!(audit["items"].as_array().unwrap().iter().any(|item| item["action"] == "force_unlock"));
}
