//! The queue: in order, for those who are still there.

use std::time::Duration;

use stateward_testkit::Body;

use crate::fixture::{APPLY, Server, json, lock_info, state, until};

#[test]
fn five_clients_get_the_lock_in_the_order_in_which_they_came() {
    let server = Server::start();
    server.lock("a", "holder").expect_status(200);
    let ids = ["w1", "w2", "w3", "w4", "w5"];
    let mut waiting: Vec<_> = ids.iter().map(|id| server.wait_for_lock("a", id)).collect();
    let mut before = "holder";
    for (id, connection) in ids.iter().zip(&mut waiting) {
        assert_eq!(server.lock("a", "late").expect_status(423).body, lock_info(before, APPLY));
        server.unlock("a", before).expect_status(200);
        assert_eq!(connection.read_response().unwrap().status, 200);
        before = id;
    }
}

#[test]
fn a_wait_that_is_over_ends_in_423() {
    let server = Server::start();
    server.lock("a", "one").expect_status(200);
    let answer = server.send("LOCK", "/state/a?wait=1s", &lock_info("two", APPLY)).expect_status(423);
    assert_eq!(answer.body, lock_info("one", APPLY));
}

#[test]
fn waiting_can_be_the_default() {
    let server = Server::with(|setup| setup.settings.lock_wait = Duration::from_mins(1));
    server.lock("a", "one").expect_status(200);
    server.send("LOCK", "/state/a?wait=0s", &lock_info("no", APPLY)).expect_status(423);
    let mut connection = server.connect();
    connection.send_request("LOCK", "/state/a", &[], &lock_info("two", APPLY)).unwrap();
    until("the client waits", || server.queue("a").1 == 1);
    server.unlock("a", "one").expect_status(200);
    assert_eq!(connection.read_response().unwrap().status, 200);
}

#[test]
fn a_client_that_polls_keeps_its_place() {
    let server = Server::start();
    server.lock("a", "holder").expect_status(200);
    server.lock("a", "first").expect_status(423);
    server.lock("a", "first").expect_status(423);
    server.lock("a", "second").expect_status(423);
    server.unlock("a", "holder").expect_status(200);
    assert_eq!(server.lock("a", "second").expect_status(423).body, lock_info("first", APPLY));
    server.lock("a", "first").expect_status(200);
}

#[test]
fn a_poller_that_never_comes_back_lapses() {
    let server = Server::start();
    server.lock("a", "holder").expect_status(200);
    server.lock("a", "first").expect_status(423);
    server.lock("a", "first").expect_status(423);
    server.unlock("a", "holder").expect_status(200);
    server.advance(60);
    server.lock("a", "second").expect_status(200);
}

#[test]
fn who_leaves_the_queue_holds_nobody_up() {
    let server = Server::start();
    server.lock("a", "holder").expect_status(200);
    drop(server.wait_for_lock("a", "gone"));
    until("its place is given up", || server.queue("a").1 == 0);
    let mut half_closed = server.wait_for_lock("a", "half");
    half_closed.finish_sending().unwrap();
    until("its place is given up", || server.queue("a").1 == 0);
    server.unlock("a", "holder").expect_status(200);
    server.lock("a", "next").expect_status(200);
}

#[test]
fn a_lock_is_never_granted_to_a_client_that_has_just_gone() {
    let server = Server::start();
    server.lock("a", "0").expect_status(200);
    for round in 0..20 {
        let gone = server.wait_for_lock("a", &format!("gone-{round}"));
        let next = format!("{}", round + 1);
        let mut stays = server.wait_for_lock("a", &next);
        drop(gone);
        server.unlock("a", &round.to_string()).expect_status(200);
        assert_eq!(stays.read_response().unwrap().status, 200, "round {round}");
        assert_eq!(server.queue("a"), (true, 0));
    }
}

#[test]
fn a_client_that_has_sent_more_and_gone_does_not_get_the_lock() {
    let server = Server::start();
    server.lock("a", "holder").expect_status(200);
    let mut gone = server.wait_for_lock("a", "gone");
    // What it sent ahead keeps its end from being seen while it waits; it is seen when the lock would be its own.
    gone.send("GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    drop(gone);
    server.unlock("a", "holder").expect_status(200);
    until("the lock is free for others", || server.lock("a", "next").status == 200);
}

#[test]
fn a_granted_lock_stays_when_its_client_closes_the_connection() {
    let server = Server::start();
    // Some clients close as soon as they have read the answer: the server must not take that for never having got it.
    for n in 0..200 {
        let (name, mut connection) = (format!("state-{n}"), server.connect());
        connection.send_request("LOCK", &format!("/state/{name}"), &[], &lock_info("one", APPLY)).unwrap();
        assert_eq!(connection.read_response().unwrap().status, 200);
        drop(connection);
    }
    std::thread::sleep(Duration::from_millis(50));
    for n in 0..200 {
        server.send("POST", &format!("/state/state-{n}?ID=one"), &state(1)).expect_status(200);
    }
}

#[test]
fn a_full_queue_sends_away_with_a_time_to_come_back() {
    let server = Server::with(|setup| setup.settings.limits.queue = 1);
    server.lock("a", "one").expect_status(200);
    let _waits = server.wait_for_lock("a", "two");
    let answer = server.send("LOCK", "/state/a?wait=60s", &lock_info("three", APPLY)).expect_status(503);
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(json(&answer)["kind"], "unavailable");
}

#[test]
fn a_broken_lock_goes_to_who_waits() {
    let server = Server::start();
    server.lock("a", "dead").expect_status(200);
    let mut waits = server.wait_for_lock("a", "next");
    server.send("UNLOCK", "/state/a", Body::Chunked(&[])).expect_status(200);
    assert_eq!(waits.read_response().unwrap().status, 200);
}
