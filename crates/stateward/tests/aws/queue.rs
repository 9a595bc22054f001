//! Several servers on one store: one queue, first come, first served, whichever server one asks.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use stateward_testkit::{AwsEnv, DynamoDbLocal, Moto, RawHttp, ServerProcess, TestDir, fresh_name, lock_info};

use crate::{LIMIT, cli, serve, state};

const CLIENTS: u64 = 50;
const STATE: &str = "/state/net/prod";

fn info(n: u64) -> Vec<u8> {
    lock_info(&format!("client-{n}"), "OperationTypeApply")
}

/// How many wait.
fn waiting(http: &RawHttp) -> u64 {
    let list: Value =
        serde_json::from_str(&http.request("GET", "/api/v1/locks", &[], b"").expect_status(200).text()).unwrap();
    list["items"][0]["queue"].as_u64().unwrap_or_default()
}

/// Asks again and again, for about a minute.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    const PAUSE: Duration = Duration::from_millis(20);
    let held = (0..3000).any(|_| {
        holds() || {
            std::thread::sleep(PAUSE);
            false
        }
    });
    assert!(held, "{what}: not within a minute");
}

/// Fifty clients of two servers queue up one after the other, then each in its turn writes the next version.
fn in_order(servers: [&ServerProcess; 2]) {
    let [first, second] = servers.map(|server| server.http().limit(LIMIT));
    first.request("LOCK", STATE, &[], &info(0)).expect_status(200);
    first.request("POST", &format!("{STATE}?ID=client-0"), &[], state(1, "0").as_str()).expect_status(200);
    let served = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 1..=CLIENTS {
            let (served, http) = (&served, servers[usize::from(n % 2 == 0)].http().limit(LIMIT));
            scope.spawn(move || {
                http.request("LOCK", &format!("{STATE}?wait=3m"), &[], &info(n)).expect_status(200);
                served.lock().unwrap().push(n);
                let now: Value =
                    serde_json::from_str(&http.request("GET", STATE, &[], b"").expect_status(200).text()).unwrap();
                let serial = now["serial"].as_u64().unwrap();
                let body = state(serial + 1, &n.to_string());
                http.request("POST", &format!("{STATE}?ID=client-{n}"), &[], body.as_str()).expect_status(200);
                http.request("UNLOCK", STATE, &[], &info(n)).expect_status(200);
            });
            until("a place in the queue", || waiting(&second) >= n);
        }
        first.request("UNLOCK", STATE, &[], &info(0)).expect_status(200);
    });
    assert_eq!(served.into_inner().unwrap(), (1..=CLIENTS).collect::<Vec<_>>(), "in the order in which they came");
    let last: Value = serde_json::from_str(&second.request("GET", STATE, &[], b"").expect_status(200).text()).unwrap();
    assert_eq!(last["serial"], CLIENTS + 1, "nobody's version is lost");
}

fn two(dir: &TestDir, env: &AwsEnv, store: &str) {
    let servers = [serve(dir, env, store), serve(dir, env, store)];
    in_order(servers.each_ref());
    let history = cli(dir, env).run(&["--store", store, "--json", "state", "history", "net/prod"]).expect_success();
    let history: Value = serde_json::from_str(&history.stdout).unwrap();
    let fences: Vec<u64> =
        history["items"].as_array().unwrap().iter().map(|item| item["serial"].as_u64().unwrap()).collect();
    assert_eq!(fences, (1..=CLIENTS + 1).rev().collect::<Vec<_>>());
}

#[test]
fn two_servers_on_s3_are_one_queue() {
    let (moto, dir) = (Moto::start(), TestDir::new());
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    two(&dir, &moto.env(), &format!("s3://{bucket}/p?use_path_style=true&use_lockfile=true&lock_table={table}"));
}

#[test]
fn two_servers_on_dynamodb_are_one_queue() {
    let (dynamodb, dir) = (DynamoDbLocal::shared(), TestDir::new());
    two(&dir, &dynamodb.env(), &format!("dynamodb://{}?create_tables=true", fresh_name("states")));
}
