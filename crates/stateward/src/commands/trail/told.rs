//! Refused calls as people read them.

use stateward_aws::trail::Refusal;
use stateward_denial::Layer;

use crate::output::human::{self, Times};
use crate::output::{YELLOW, table};

/// Nothing was refused.
pub(super) fn nothing(records: u64) -> String {
    let records = human::counted(records, "record");
    format!("no call was refused in {records}, as far as it was asked for\n")
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
