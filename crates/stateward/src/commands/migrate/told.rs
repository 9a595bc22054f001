//! A migration as it is told.

use std::fmt::Write;

use serde::Serialize;
use stateward_core::Workspace;

use crate::output::human::{self, counted};
use crate::output::{BOLD, GREEN, RED, YELLOW};

/// The answer of `migrate --json`.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) outcome: Outcome,
    pub(super) checks: Vec<Check>,
    /// What is done, in this order.
    pub(super) steps: Vec<String>,
    /// The states.
    pub(super) items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) block: Option<Block>,
    /// What is left to do for people.
    pub(super) after: Vec<String>,
}

impl Answer {
    /// Nothing was found, and there is nothing to do.
    pub(super) fn unchanged(from: String, to: String) -> Self {
        Self {
            from,
            to,
            outcome: Outcome::Unchanged,
            checks: Vec::new(),
            steps: Vec::new(),
            items: Vec::new(),
            block: None,
            after: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Nothing was done yet.
    Planned,
    Done,
    /// There was nothing to do.
    Unchanged,
}

#[derive(Debug, Serialize)]
pub(super) struct Check {
    #[serde(rename = "check")]
    pub(super) name: &'static str,
    pub(super) status: Status,
    pub(super) title: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
}

impl Check {
    pub(super) fn new(name: &'static str, status: Status, title: impl Into<String>) -> Self {
        Self { name, status, title: title.into() }
    }
}

/// Which Terraform takes lock files.
pub(super) fn needs_lock_files() -> Check {
    Check::new(
        "lock-file",
        Status::Ok,
        "lock files need Terraform 1.10 or OpenTofu 1.10 or later, with everybody who applies",
    )
}

/// A state.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    pub(super) workspace: Workspace,
    pub(super) serial: u64,
    pub(super) lineage: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// Versions that are taken along.
    pub(super) versions: u64,
    /// What was found at the new place: `nothing`, `same`, `part`, `later`, `other`.
    pub(super) there: &'static str,
}

/// What the configuration has to say.
#[derive(Debug, Serialize)]
pub(super) struct Block {
    pub(super) file: String,
    /// The file is written; otherwise a person has to.
    pub(super) is_written: bool,
    /// The block, or the arguments that change.
    pub(super) text: String,
}

/// What is about to be done.
pub(super) fn plan(answer: &Answer) -> String {
    let mut told = format!("{BOLD}from{BOLD:#}  {}\n{BOLD}to{BOLD:#}    {}\n", answer.from, answer.to);
    for Check { status, title, .. } in &answer.checks {
        let (style, word) = match status {
            Status::Ok => (GREEN, "ok  "),
            Status::Warn => (YELLOW, "warn"),
            Status::Fail => (RED, "fail"),
        };
        // Into memory: there is no way to fail.
        let _always = writeln!(told, "{style}{word}{style:#}  {}", human::one_line(title));
    }
    for (n, step) in answer.steps.iter().enumerate() {
        let _always = writeln!(told, "{:>4}  {}", n + 1, human::one_line(step));
    }
    told
}

/// What has been done.
pub(super) fn end(answer: &Answer) -> String {
    let mut told = String::new();
    match answer.outcome {
        Outcome::Planned => told.push_str("nothing was done: this is what would be\n"),
        Outcome::Unchanged => told.push_str("there is nothing to do\n"),
        Outcome::Done if answer.items.is_empty() => told.push_str("done\n"),
        Outcome::Done => {
            let bytes = answer.items.iter().map(|item| item.size).sum();
            let states = counted(answer.items.len() as u64, "state");
            let _always = writeln!(told, "done: {states} at the new place, {} compared", human::size(bytes));
        }
    }
    if let Some(Block { is_written: false, text, .. }) = &answer.block {
        let _always = writeln!(told, "\n{text}");
    }
    if answer.outcome != Outcome::Planned && !answer.after.is_empty() {
        told.push_str("next\n");
        for after in &answer.after {
            let _always = writeln!(told, "  {after}");
        }
    }
    told
}
