//! Wildcards as a policy has them, against a matcher that tries everything in the plainest way.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use stateward_iam::{Outcome, evaluate_json};

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    pattern: &'a str,
    text: &'a str,
}

/// `row[j]`: whether the pattern so far matches the first `j` characters.
fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut row: Vec<bool> = (0..=text.len()).map(|length| length == 0).collect();
    for step in pattern.chars() {
        let before = row.clone();
        for length in 0..=text.len() {
            row[length] = match step {
                '*' => before[..=length].contains(&true),
                '?' => length > 0 && before[length - 1],
                exact => length > 0 && before[length - 1] && text[length - 1] == exact,
            };
        }
    }
    row[text.len()]
}

fuzz_target!(|case: Case<'_>| {
    if case.pattern.len() * case.text.len() > 1 << 16 {
        return;
    }
    // Of this version variables mean themselves.
    let policy = json!({"Version": "2008-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
        "Condition": {"StringLike": {"aws:PrincipalTag/name": case.pattern}}}});
    let scenario = json!({"request": {"principal": "arn:aws:iam::111122223333:user/ci", "action": "s3:GetObject",
        "resource": "arn:aws:s3:::states/a", "context": {"aws:PrincipalTag/name": case.text}},
        "identity": [{"name": "ci", "policy": policy}]});
    let answer = evaluate_json(&scenario.to_string()).expect("a scenario");
    assert_eq!(answer.decision == Outcome::Allowed, matches(case.pattern, case.text), "{case:?}");
});
