//! A second opinion: the npm package `@cloud-copilot/iam-simulate`, run as a program of its own.
//!
//! `scripts/setup-test-tools` installs it. Where it differs from AWS's documentation this evaluator follows the
//! documentation, and the random scenarios stay clear of it:
//!
//! - It fills in variables in policies of version 2008-10-17, where AWS takes them literally.
//! - It does not let a `*` that ends a segment of a `Resource` cross a colon; AWS's pages contradict each other.
//! - Grants of a resource's policy to a session's ARN or to `*` it limits by the session policy.
//! - Service control policies it applies to service-linked roles and to AWS services.
//! - A federated user it does not ask for a session policy; a root user it asks for an identity policy.
//! - `NotPrincipal` spares everyone of an account whose root is listed.
//! - A role without a trust policy can be assumed with an identity policy alone.
//! - A variable without a value makes negated operators false; a date in seconds is no date.
//! - An IPv6 address it does not hold for outside of a network of IPv4 addresses.
//! - A condition operator that does not exist is false, in a `Deny` too.

use serde_json::Value;
use stateward_iam::evaluate_json;
use stateward_testkit::iam_oracle;

use crate::random::{Random, scenario};

const SCENARIOS: u64 = 10_000;

#[test]
fn random_scenarios_come_out_as_elsewhere() {
    let scenarios: Vec<Value> = (0..SCENARIOS).map(|seed| scenario(&mut Random::new(seed))).collect();
    let answers = iam_oracle(&scenarios);
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    let mut differences = Vec::new();
    for (scenario, theirs) in scenarios.iter().zip(&answers) {
        let ours = evaluate_json(&scenario.to_string()).expect("a valid scenario");
        let ours = serde_json::to_value(ours.decision).expect("JSON");
        *counts.entry(ours.as_str().unwrap_or_default().to_owned()).or_default() += 1;
        if theirs["decision"] != ours {
            differences.push(format!("ours {ours}, theirs {theirs}: {scenario}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences[..differences.len().min(8)].join("\n")
    );
    for decision in ["allowed", "implicit_deny", "explicit_deny"] {
        let share = counts.get(decision).copied().unwrap_or(0);
        assert!(share > scenarios.len() / 10, "only {share} scenarios come out as {decision}: {counts:?}");
    }
}
