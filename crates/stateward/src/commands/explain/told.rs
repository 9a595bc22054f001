//! An explanation as people read it, at night, on 80 columns.

use std::fmt::Write;

use serde_json::Value;
use stateward_denial::{Denial, Failure as Failed, Layer, LockInfo, Part, PrincipalType};
use stateward_iam::Outcome;
use stateward_knowledge::advice::{Explanation, Prediction, Step, Who};

use crate::output::human::{counted, hanging, one_line, word};
use crate::output::{BOLD, DIM, GREEN, RED, YELLOW, table};

/// Nothing was recognised.
pub(super) const NOTHING: &str = "\
nothing in this text is an error of AWS or Terraform that is known here
  give the whole output, not only its last line; `TF_LOG=debug` shows what AWS answered
";

/// All problems, each under its number.
pub(super) fn all(problems: &[Explanation], left_out: u64) -> String {
    let mut text = String::new();
    for (index, problem) in problems.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        one(&mut text, index + 1, problem);
    }
    if left_out > 0 {
        let _ = writeln!(text, "\nand {}, of which no more are told", counted(left_out, "further problem"));
    }
    text
}

fn one(text: &mut String, number: usize, explanation: &Explanation) {
    let problem = &explanation.problem;
    let head = format!("{number}. ");
    let title = wrapped(&head, &explanation.advice.title);
    let _ = writeln!(text, "{BOLD}{}{BOLD:#}", title.trim_end());
    if problem.count > 1 {
        let _ = writeln!(text, "   {DIM}told {} times{DIM:#}", problem.count);
    }
    text.push('\n');
    let mut facts = Vec::new();
    if let Some(denial) = &problem.denial {
        facts.extend(of_denial(denial, problem.certain));
    }
    if let Some(failure) = &problem.failure {
        facts.extend(of_failure(failure));
    }
    if let Some(lock) = &problem.lock {
        facts.extend(of_lock(lock));
    }
    if let Some(event) = &problem.event {
        facts.extend([("event", event.id.clone()), ("at", event.time.clone()), ("from", event.source_ip.clone())]);
    }
    facts.push(("entry", explanation.entry.clone()));
    for line in table::facts(&facts).lines() {
        let _ = writeln!(text, "   {line}");
    }
    if facts.iter().any(|(_, value)| value.is_some()) {
        text.push('\n');
    }
    text.push_str(&wrapped("   ", &explanation.advice.why));
    let _ = writeln!(text, "\n   {BOLD}What to do{BOLD:#}");
    for (index, step) in explanation.advice.steps.iter().enumerate() {
        one_step(text, index + 1, step);
    }
    if !explanation.predicted.is_empty() {
        let _ = writeln!(text, "\n   {BOLD}What the policies say that you gave{BOLD:#}");
        for prediction in &explanation.predicted {
            predicted(text, prediction);
        }
    }
    if !explanation.advice.do_not.is_empty() {
        let _ = writeln!(text, "\n   {BOLD}What not to do{BOLD:#}");
        for warning in &explanation.advice.do_not {
            text.push_str(&wrapped("   - ", &format!("{}: {}", warning.step.trim_end_matches('.'), warning.why)));
        }
    }
}

fn one_step(text: &mut String, number: usize, step: &Step) {
    let who = match step.who {
        Who::You => "you",
        Who::AccountAdmin => "the account's admin",
        Who::OrganizationAdmin => "the organization's admin",
        Who::ResourceOwner => "the resource's owner",
        Who::KeyOwner => "the key's owner",
        Who::NetworkAdmin => "the network's admin",
    };
    let head = format!("   {number}. ");
    text.push_str(&wrapped(&head, &format!("[{who}] {}", step.step)));
    text.push_str(&wrapped("      ", &step.why));
    if let Some(policy) = &step.policy {
        text.push_str(&document(policy));
    }
}

/// A policy, to be copied from the terminal: indented, which JSON does not mind.
pub(in crate::commands) fn document(policy: &Value) -> String {
    let json = serde_json::to_string_pretty(policy).unwrap_or_default();
    let lines = json.lines().map(|line| format!("      {GREEN}{}{GREEN:#}\n", one_line(line)));
    format!("\n{}\n", lines.collect::<String>())
}

fn predicted(text: &mut String, prediction: &Prediction) {
    let layer = word(prediction.layer);
    let by: Vec<String> = prediction
        .statements
        .iter()
        .map(|statement| format!("`{}` of {}", statement.name(), statement.policy))
        .collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    let (style, says) = match prediction.decision {
        Outcome::Allowed => (GREEN, format!("allows it{by}")),
        Outcome::ImplicitDeny => (RED, "does not allow it: it refuses as well".to_owned()),
        Outcome::ExplicitDeny => (RED, format!("denies it{by}")),
        Outcome::Depends => (YELLOW, format!("depends on {}{by}", prediction.depends_on.join(", "))),
    };
    let line = wrapped("   - ", &format!("{layer}: {says}"));
    let _ = writeln!(text, "{style}{}{style:#}", line.trim_end());
    for note in &prediction.notes {
        text.push_str(&wrapped("     ", note));
    }
}

fn of_denial(denial: &Denial, certain: bool) -> Vec<(&'static str, Option<String>)> {
    let who = denial.principal.arn.clone().or_else(|| denial.principal.name.clone());
    let anonymous = || (denial.principal.kind == PrincipalType::Anonymous).then(|| "anonymous".to_owned());
    let layer = match (denial.layer, certain) {
        (Layer::Unknown, _) => "not named by AWS".to_owned(),
        (layer, true) => format!("{}, certain", word(layer)),
        (layer, false) => format!("{}, by the text; others are possible", word(layer)),
    };
    let known = denial.action.is_some().then(|| denial.operation.clone()).flatten();
    let code = match (&denial.error_code, known) {
        (Some(code), Some(operation)) => Some(format!("{code}, of {operation}")),
        (code, operation) => code.clone().or(operation),
    };
    let whole = |part, name: &Option<String>| match (name, denial.cut == Some(part)) {
        (Some(name), true) => Some(format!("{name}… (the text ends here: there may be more)")),
        (name, _) => name.clone(),
    };
    vec![
        ("who", who.or_else(anonymous)),
        ("action", whole(Part::Action, &denial.action).or_else(|| denial.operation.clone())),
        ("on", whole(Part::Resource, &denial.resource)),
        ("layer", Some(layer)),
        ("policy", denial.policy_arn.clone()),
        ("code", code),
        ("request", denial.request_id.clone()),
    ]
}

fn of_failure(failure: &Failed) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("service", failure.service.clone()),
        ("operation", failure.operation.clone()),
        ("code", failure.code.clone()),
        ("about", failure.subject.clone()),
        ("request", failure.request_id.clone()),
    ]
}

fn of_lock(lock: &LockInfo) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("lock", lock.id.clone()),
        ("who", lock.who.clone()),
        ("for", lock.operation.clone()),
        ("since", lock.created.clone()),
        ("path", lock.path.clone()),
    ]
}

/// A text behind its head, in lines that fit: each further one begins where the text did.
fn wrapped(head: &str, text: &str) -> String {
    hanging(head, head.chars().count(), text)
}
