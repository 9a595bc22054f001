//! A second opinion about policies.

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
