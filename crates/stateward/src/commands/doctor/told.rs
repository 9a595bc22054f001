//! Findings as people read them: a line for each check, and behind them what to do about those that are not as they should be.

use std::fmt::Write;

use serde_json::Value;
use stateward_aws::doctor::{Finding, Status};

use super::super::explain::policy_document;
use crate::output::human::{counted, hanging, one_line};
use crate::output::{BOLD, DIM, GREEN, RED, YELLOW};

pub(super) fn all(found: &[Finding]) -> String {
    let mut text = String::new();
    let width = found.iter().map(|finding| finding.check.chars().count()).max().unwrap_or_default();
    for finding in found {
        let (style, word) = match finding.status {
            Status::Ok => (GREEN, "ok      "),
            Status::Warn => (YELLOW, "warn    "),
            Status::Fail => (RED, "fail    "),
            Status::Untested => (DIM, "untested"),
        };
        let head = format!("{style}{word}{style:#}  {:width$}  ", one_line(&finding.check));
        let says = match finding.status {
            Status::Untested => finding.why.as_deref().unwrap_or_default(),
            _ => finding.title.as_str(),
        };
        text.push_str(&hanging(&head, width + 12, says));
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

/// The policy that the fix speaks of.
fn policy(finding: &Finding) -> Option<&Value> {
    let first = finding.steps.first()?;
    first.policy.as_ref().filter(|_| finding.fix.as_deref().is_some_and(|fix| fix.starts_with(&first.step)))
}

fn more(finding: &Finding) -> Option<String> {
    finding.entry.as_ref().map(|entry| format!("`stateward kb show {entry}`"))
}
