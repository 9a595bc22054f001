//! What every entry must be, beyond what the build checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use stateward_knowledge::{Entry, Remedy, Step, Test, count, entries, entry_for, find};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The entries that a text leads to, one for each problem.
fn led_to(text: &str) -> Vec<Option<&'static str>> {
    let problems = stateward_denial::read(text.as_bytes());
    problems.iter().map(|problem| entry_for(problem).map(|entry| entry.id.as_str())).collect()
}

#[test]
fn they_are_there_in_order_and_found_by_their_ids() {
    assert!(entries().len() >= 90, "{}", entries().len());
    assert!(entries().is_sorted_by(|a, b| a.id < b.id));
    for entry in entries() {
        assert_eq!(find(&entry.id), Some(entry));
    }
    assert_eq!(find("policy/none"), None);
}

#[test]
fn each_matches_its_own_texts_and_no_text_of_another() {
    let mut wrong = Vec::new();
    for entry in entries() {
        for (number, text) in entry.signature.iter().enumerate() {
            let found = led_to(text);
            let own = Some(entry.id.as_str());
            // A text may tell of more; what that is, this entry's or nobody's.
            if found.first() != Some(&own) || found.iter().any(|id| id.is_some() && *id != own) {
                wrong.push(format!("{} signature {number}: {found:?}", entry.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_text_that_everybody_copies_leads_to_its_own_entry() {
    let text = "Error: Error acquiring the state lock: AccessDeniedException: User: arn:aws:iam::123456789012:user/ci-bot is not authorized to perform: dynamodb:PutItem on resource: my-terraform-lock-table";
    assert_eq!(led_to(text), [Some("policy/terraform-state-lock-dynamodb-permission-denied")]);
}

#[test]
fn no_match_is_better_than_a_wrong_one() {
    let check = |text: &str| assert!(led_to(text).iter().all(Option::is_none), "{text}: {:?}", led_to(text));
    let user = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform:";
    check(&format!(
        "AccessDenied: {user} sqs:ReceiveMessage on resource: arn:aws:sqs:eu-west-1:111122223333:q because no identity-based policy allows the sqs:ReceiveMessage action"
    ));
    check(&format!(
        "AccessDenied: {user} iam:PassRole on resource: arn:aws:iam::111122223333:role/x with an explicit deny in a permissions boundary"
    ));
    check(&format!("AccessDenied: {user} iam:CreateUser on resource: arn:aws:iam::111122223333:user/x"));
    check("NoSuchKey: The specified key does not exist.");
    check("Terraform has been successfully initialized!");
    check("the state lock and force-unlock are explained in the guide");
}

#[test]
fn the_tests_that_they_rest_on_exist() {
    for entry in entries() {
        for test in &entry.tests {
            let source = fs::read_to_string(root().join(&test.file)).unwrap_or_default();
            let there = source.contains(&format!("#[test]\nfn {}()", test.name));
            assert!(there, "{}: {} in {}", entry.id, test.name, test.file);
        }
    }
}

/// A command that writes is recommended on the strength of a test that runs it.
#[test]
fn what_recovers_is_tested() {
    for (command, words) in [("state repair", r#""state", "repair""#), ("lock inspect", r#""lock", "inspect""#)] {
        let recommends =
            |step: &Step| step.run.as_ref().is_some_and(|run| run.contains(&format!("stateward {command}")));
        let recommending: Vec<_> = entries().iter().filter(|entry| entry.workarounds.iter().any(recommends)).collect();
        assert!(!recommending.is_empty(), "nothing recommends {command}");
        for entry in recommending {
            let runs_it =
                |test: &Test| fs::read_to_string(root().join(&test.file)).is_ok_and(|text| text.contains(words));
            assert!(entry.tests.iter().any(runs_it), "{}: none of its tests runs {command}", entry.id);
        }
    }
}

#[test]
fn no_rates_are_claimed() {
    let all = entries().iter().map(|entry| serde_json::to_string(entry).unwrap());
    for (entry, text) in entries().iter().zip(all) {
        assert!(!text.contains("% "), "{}", entry.id);
    }
}

#[test]
fn what_is_said_to_help_ends_a_cause_and_what_leaves_the_policies_alone_ends_none() {
    let counted: Vec<_> = entries().iter().filter_map(|entry| Some((entry, count(&entry.id)?))).collect();
    assert!(counted.len() >= 45, "{}", counted.len());
    for (entry, count) in counted {
        let ends = |remedy: Remedy| count.ends[&remedy];
        let helps = entry.workarounds.iter().filter_map(|step| step.remedy).map(ends).max();
        assert!(helps.is_none_or(|ends| ends > 0), "{}: no step ends any of {} causes", entry.id, count.causes);
        assert_eq!(ends(Remedy::Nothing), 0, "{}", entry.id);
        assert!(count.ends.values().all(|ends| *ends <= count.causes), "{}", entry.id);
    }
}

#[test]
fn every_entry_is_reached_from_a_text_or_another_entry() {
    let linked: BTreeSet<&str> = entries().iter().flat_map(links).collect();
    for entry in entries() {
        assert!(!entry.signature.is_empty() || linked.contains(entry.id.as_str()), "{}", entry.id);
    }
}

fn links(entry: &Entry) -> impl Iterator<Item = &str> {
    let like = entry.confused_with.iter().map(|other| other.entry.as_str());
    entry.leads_to.iter().map(String::as_str).chain(like)
}
