//! Real Terraform with nothing but a generated policy: what the policy is for goes, and with any one action less it does
//! not, and the text that Terraform prints then is read as the lack of that action.
#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod bench;
mod cases;

use std::collections::BTreeSet;

use serde_json::Value;
use stateward_iam::Purpose;
use stateward_testkit::iam_oracle;

use bench::{Bench, Variant};
use cases::Case;

#[test]
fn a_lock_file_and_an_encrypted_bucket() {
    check(&Bench::new(Variant { lockfile: true, table: false, key: true }));
}

#[test]
fn a_lock_table() {
    check(&Bench::new(Variant { lockfile: false, table: true, key: false }));
}

/// On the way from a lock table to a lock file a backend takes both.
#[test]
fn both_locks_at_once() {
    let bench = Bench::new(Variant { lockfile: true, table: true, key: true });
    bench.together(cases::of_everything());
    agree_with_others(&bench);
}

/// All that the policies are for, and every policy with one action less.
fn check(bench: &Bench) {
    let mut cases = cases::of_everything();
    cases.extend(bench.lessened().into_iter().map(Case::Lessened));
    bench.together(cases);
    every_right_was_used(bench);
    agree_with_others(bench);
}

/// No right is granted that nothing needs, but those to look at versions, which Terraform does not do.
fn every_right_was_used(bench: &Bench) {
    let granted: BTreeSet<String> = bench.granted(Purpose::Admin).into_iter().map(|(_, action)| action).collect();
    let used: BTreeSet<String> = bench.decisions().into_iter().map(|decision| decision.action).collect();
    let unused: Vec<&str> = granted.difference(&used).map(String::as_str).collect();
    assert_eq!(unused, Vec::<&str>::new());
}

/// The lab decides by this project's evaluator: another one comes to the same about each request.
fn agree_with_others(bench: &Bench) {
    let decisions = bench.decisions();
    let mut seen = BTreeSet::new();
    let decisions: Vec<_> = decisions.iter().filter(|decision| seen.insert(without_time(&decision.scenario))).collect();
    let scenarios: Vec<Value> =
        decisions.iter().map(|decision| without_encryption_context(&decision.scenario)).collect();
    let differing: Vec<String> = decisions
        .iter()
        .zip(iam_oracle(&scenarios))
        .filter(|(own, theirs)| theirs["decision"] != serde_json::to_value(own.decision).expect("JSON"))
        .map(|(own, theirs)| format!("{own}, theirs {theirs}: {}", own.scenario))
        .collect();
    assert!(differing.is_empty(), "{} of {} differ:\n{}", differing.len(), scenarios.len(), differing.join("\n"));
    assert!(scenarios.len() > 20, "only {} decisions", scenarios.len());
}

/// The other one refuses to hear of pairs in it whose names have colons, and the policies here do not ask for them.
fn without_encryption_context(scenario: &Value) -> Value {
    let mut scenario = scenario.clone();
    let context = scenario["request"]["context"].as_object_mut().expect("an object");
    context.retain(|key, _| !key.starts_with("kms:EncryptionContext:"));
    scenario
}

fn without_time(scenario: &Value) -> String {
    let mut scenario = scenario.clone();
    for key in ["aws:CurrentTime", "aws:EpochTime"] {
        scenario["request"]["context"][key] = Value::Null;
    }
    scenario.to_string()
}
