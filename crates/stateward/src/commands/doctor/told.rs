//! Findings as people read them: a line for each check, and behind them what to do about those that are not as they should be.

use std::fmt::Write;

use serde_json::Value;
use stateward_aws::doctor::{Finding, Status};

use super::super::explain::policy_document;
use crate::output::human::{counted, hanging, one_line};
use crate::output::{BOLD, DIM, GREEN, RED, YELLOW};

/// From so many on checks that one thing stands in the way of are told together.
const MANY: usize = 3;

pub(super) fn all(found: &[Finding]) -> String {
    let mut text = String::new();
    let width = found.iter().map(|finding| finding.check.chars().count()).max().unwrap_or_default();
    for alike in found.chunk_by(is_untested_alike) {
        match alike {
            [first, ..] if alike.len() >= MANY => text.push_str(&together(first, alike)),
            _ => alike.iter().for_each(|finding| text.push_str(&line(finding, width))),
        }
    }
    for finding in found.iter().filter(|finding| matches!(finding.status, Status::Warn | Status::Fail)) {
        let _ = writeln!(text, "\n{BOLD}{}{BOLD:#}", one_line(&finding.check));
        text.push_str(&hanging("  what: ", 8, &finding.title));
        for (head, words) in [("  why:  ", &finding.why), ("  fix:  ", &finding.fix), ("  more: ", &more(finding))] {
            if let Some(words) = words {
                text.push_str(&hanging(head, 8, words));
            }
        }
        if let Some(policy) = policy(finding) {
            text.push_str(&policy_document(policy));
        }
    }
    let count = |status| found.iter().filter(|finding| finding.status == status).count() as u64;
    let _ = writeln!(
        text,
        "\n{} ok, {}, {}, {} untested",
        count(Status::Ok),
        counted(count(Status::Warn), "warning"),
        counted(count(Status::Fail), "failure"),
        count(Status::Untested)
    );
    text
}

/// Whether two checks were not tested, and for one reason.
fn is_untested_alike(one: &Finding, other: &Finding) -> bool {
    [one, other].iter().all(|finding| finding.status == Status::Untested) && one.why == other.why
}

fn line(finding: &Finding, width: usize) -> String {
    let (style, word) = match finding.status {
        Status::Ok => (GREEN, "ok      "),
        Status::Warn => (YELLOW, "warn    "),
        Status::Fail => (RED, "fail    "),
        Status::Untested => (DIM, UNTESTED),
    };
    let head = format!("{style}{word}{style:#}  {:width$}  ", one_line(&finding.check));
    let says = match finding.status {
        Status::Untested => finding.why.as_deref().unwrap_or_default(),
        _ => finding.title.as_str(),
    };
    hanging(&head, width + 12, says)
}

const UNTESTED: &str = "untested";

fn together(first: &Finding, alike: &[Finding]) -> String {
    let names: Vec<&str> = alike.iter().map(|finding| finding.check.as_str()).collect();
    let says = format!("{}: {}", names.join(", "), first.why.as_deref().unwrap_or_default());
    hanging(&format!("{DIM}{UNTESTED}{DIM:#}  "), 10, &says)
}

/// The policy that the fix speaks of.
fn policy(finding: &Finding) -> Option<&Value> {
    let first = finding.steps.first()?;
    first.policy.as_ref().filter(|_| finding.fix.as_deref().is_some_and(|fix| fix.starts_with(&first.step)))
}

fn more(finding: &Finding) -> Option<String> {
    finding.entry.as_ref().map(|entry| format!("`stateward kb show {entry}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &str, status: Status, why: &str) -> Finding {
        let (check, title, why) = (check.to_owned(), "as it is".to_owned(), Some(why.to_owned()));
        Finding { check, status, title, why, fix: None, entry: None, denial: None, steps: Vec::new(), offline: None }
    }

    /// What one thing stands in the way of is one line, in the place of the checks; two of them are not many.
    #[test]
    fn checks_with_one_obstacle_are_told_together() {
        let of = |checks: &[&str], why: &str| -> Vec<Finding> {
            checks.iter().map(|check| finding(check, Status::Untested, why)).collect()
        };
        let ok = vec![finding("identity", Status::Ok, "")];
        let found =
            [of(&["clock", "endpoint", "digest"], "no keys"), ok, of(&["region", "names"], "no table")].concat();
        let told = anstream::adapter::strip_str(&all(&found)).to_string();
        let expected = "untested  clock, endpoint, digest: no keys\nok        identity  as it is\nuntested  region    no table\n\
                        untested  names     no table\n\n1 ok, 0 warnings, 0 failures, 5 untested\n";
        assert_eq!(told, expected);
    }
}
