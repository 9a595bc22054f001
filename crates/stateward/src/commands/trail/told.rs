//! Refused calls as people read them.

use std::fmt::Write;

use stateward_aws::trail::{Fix, Refusal};
use stateward_denial::Layer;

use crate::output::human::{self, Times};
use crate::output::{BOLD, GREEN, YELLOW, table};

/// Nothing was refused.
pub(super) fn nothing(records: u64) -> String {
    let records = human::counted(records, "record");
    format!("no call was refused in {records}, as far as it was asked for\n")
}

/// Where nothing was read, nothing is known of refusals either.
pub(super) fn unread() -> String {
    "no record of CloudTrail was read, so this says nothing of refused calls; `aws cloudtrail describe-trails` shows where a trail's logs are\n".to_owned()
}

pub(super) fn warning(text: &str) -> String {
    human::hanging(&format!("{YELLOW}warning{YELLOW:#}: "), 9, text)
}

pub(super) fn table(refusals: &[Refusal], times: Times) -> String {
    let columns = [
        table::text("LAST"),
        table::number("COUNT"),
        table::text("WHO"),
        table::text("ACTION"),
        table::text("RESOURCE"),
        table::text("LAYER"),
        table::text("FROM"),
        table::text("ENTRY"),
    ];
    table::draw(&columns, refusals.iter().map(|refusal| row(refusal, times)))
}

fn row(refusal: &Refusal, times: Times) -> Vec<String> {
    let unknown = || "-".to_owned();
    let sessions = match refusal.sessions {
        0 | 1 => String::new(),
        several => format!(" ({several} sessions)"),
    };
    let sources = match refusal.source_ips.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    vec![
        refusal.time.map_or_else(unknown, |time| times.tell(time)),
        refusal.count.to_string(),
        short(&refusal.principal).to_owned() + &sessions,
        refusal.action.clone(),
        refusal.resource.as_deref().map_or_else(unknown, |resource| short(resource).to_owned()),
        layer(refusal),
        refusal.source_ip.clone().map_or_else(unknown, |ip| ip + &sources),
        refusal.entry.clone().unwrap_or_else(unknown),
    ]
}

/// What would have allowed it, to be copied from the terminal, and why the rest is left out.
pub(super) fn fix(fix: &Fix) -> String {
    let mut text = String::new();
    for part in &fix.policies {
        let policy = serde_json::to_string_pretty(&part.policy).unwrap_or_default();
        let lines = policy.lines().map(|line| format!("{GREEN}{}{GREEN:#}\n", human::one_line(line)));
        let _ = writeln!(text, "\n{BOLD}allow {}{BOLD:#}", human::one_line(&part.principal));
        text.extend(lines);
    }
    if !fix.left_out.is_empty() {
        let _ = writeln!(text, "\n{BOLD}left out{BOLD:#}");
    }
    for left in &fix.left_out {
        let on = left.resource.as_ref().map(|resource| format!(" on {resource}")).unwrap_or_default();
        text += &human::hanging("- ", 2, &format!("{} to {}{on}: {}", left.action, left.principal, left.why));
    }
    text
}

/// An ARN without what all of them begin with; `--json` has it in full.
fn short(arn: &str) -> &str {
    arn.strip_prefix("arn:aws:iam::").or_else(|| arn.strip_prefix("arn:aws:")).unwrap_or(arn)
}

fn layer(refusal: &Refusal) -> String {
    if refusal.layer == Layer::Unknown {
        return "not named".to_owned();
    }
    let name = human::word(refusal.layer);
    match refusal.effect {
        stateward_denial::Effect::Explicit => format!("{name}, explicit"),
        _ => name,
    }
}
