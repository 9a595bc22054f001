//! `stateward setup aws`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Output, Rule, SeenRequest, TestDir};

use crate::cli;

fn document(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

/// Whether a request changes something.
fn writes(request: &SeenRequest) -> bool {
    match request.header("x-amz-target") {
        Some(_) => !request.operation().starts_with("Describe"),
        None => request.method == "PUT" || request.method == "DELETE",
    }
}

fn actions(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect()
}

#[test]
fn a_set_up_is_done_once_and_the_second_run_writes_nothing() {
    let (moto, dir) = (Moto::start(), TestDir::new());
    let env = moto.env();
    let run = |more: &[&str]| {
        let fixed = ["--json", "setup", "aws", "--bucket", "setup-once", "--lock-table", "locks"];
        cli(&dir, &env).run(&[&fixed, more].concat())
    };
    let dry = document(&run(&["--dry-run"]).expect_success());
    assert!(actions(&dry).contains(&"create"), "{dry}");
    run(&["--yes"]).expect_success();
    let before = moto.requests().len();
    let again = document(&run(&["--yes"]).expect_success());
    assert!(actions(&again).iter().all(|action| *action == "keep"), "{again}");
    let after = moto.requests();
    assert!(after[..before].iter().any(writes));
    assert!(!after[before..].iter().any(writes), "{after:?}");
}

#[test]
fn a_table_with_another_key_is_refused_and_nothing_is_made() {
    let (moto, dir) = (Moto::start(), TestDir::new());
    let table = r#"{"TableName":"locks","BillingMode":"PAY_PER_REQUEST",
        "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
        "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;
    moto.dynamodb("CreateTable", table);
    let run = cli(&dir, &moto.env()).run(&["setup", "aws", "--bucket", "setup-key", "--lock-table", "locks", "--yes"]);
    let error = run.expect_code(1).stderr;
    assert!(error.contains("LockID"), "{error}");
    assert!(moto.requests().iter().all(|request| request.operation() != "CreateBucket"));
}

/// From the n-th write on AWS answers nothing but refusals, for every n: the same as an end after each single call.
#[test]
fn a_set_up_that_ends_after_any_call_goes_on_when_it_is_run_again() {
    let (moto, dir) = (Moto::start(), TestDir::new());
    let mut stops = 0;
    loop {
        let (bucket, table) = (format!("setup-stops-{stops}"), format!("locks-{stops}"));
        let arguments = ["--json", "setup", "aws", "--bucket", &bucket, "--lock-table", &table, "--yes"];
        let proxy = FaultProxy::to(moto.url());
        let seen = AtomicUsize::new(0);
        let ended = move |request: &SeenRequest| {
            let so_far =
                if writes(request) { seen.fetch_add(1, Ordering::SeqCst) + 1 } else { seen.load(Ordering::SeqCst) };
            so_far > stops
        };
        proxy.inject(Rule::new(Fault::status(403)).when(ended));
        let first = cli(&dir, &AwsEnv::new().others(proxy.url())).run(&arguments);
        if first.code() == Some(0) {
            break;
        }
        assert_eq!(first.stderr.matches("done: ").count(), stops, "{}", first.report());
        cli(&dir, &moto.env()).run(&arguments).expect_success();
        let answer = document(&cli(&dir, &moto.env()).run(&arguments).expect_success());
        assert!(actions(&answer).iter().all(|action| *action == "keep"), "{answer}");
        stops += 1;
    }
    assert!(stops >= 6, "it takes {stops} writes");
}
