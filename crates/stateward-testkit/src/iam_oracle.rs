//! A second opinion about policies.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::tools;

/// Asks the npm package `@cloud-copilot/iam-simulate`, run as a program of its own, about scenarios as `stateward policy
/// evaluate` takes them. One answer a scenario, with its `decision`.
#[track_caller]
pub fn iam_oracle(scenarios: &[Value]) -> Vec<Value> {
    let mut command = Command::new(tools::find("iam-oracle"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the oracle starts");
    let mut stdin = child.stdin.take().expect("piped");
    let lines = scenarios.iter().map(|scenario| format!("{scenario}\n")).collect::<Vec<_>>().concat();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("the oracle ran");
    writer.join().expect("no panic").expect("the oracle read everything");
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    let answers = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), scenarios.len(), "an answer for each scenario");
    answers
}

/// Panics where [`iam_oracle`] comes to another decision about any of these scenarios. Each with the decision that was made here; those
/// that differ in nothing but the time are asked once. How many were asked.
#[track_caller]
pub fn expect_oracle_agrees(decided: impl IntoIterator<Item = (Value, Value)>) -> usize {
    let mut seen = BTreeSet::new();
    let decided: Vec<(Value, Value)> =
        decided.into_iter().filter(|(scenario, _)| seen.insert(without_time(scenario))).collect();
    let scenarios: Vec<Value> = decided.iter().map(|(scenario, _)| without_encryption_context(scenario)).collect();
    let differing: Vec<String> = decided
        .iter()
        .zip(iam_oracle(&scenarios))
        .filter(|((_, own), theirs)| theirs["decision"] != *own)
        .map(|((scenario, own), theirs)| format!("{own}, theirs {theirs}: {scenario}"))
        .collect();
    assert!(differing.is_empty(), "{} of {} differ:\n{}", differing.len(), scenarios.len(), differing.join("\n"));
    scenarios.len()
}

/// The oracle refuses to hear of pairs in it whose names have colons, and no policy that it is asked about has a condition on them.
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
