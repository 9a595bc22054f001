//! What `state copy`, `move` and `import` have in common: what came of each state, told as it comes or as one document.

use serde::Serialize;
use stateward_client::transfer::{Copied, Progress as Step, Stage};
use stateward_core::view::List;
use stateward_core::{StateId, StateName, Version, Workspace};

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Message, Result};
use crate::output;
use crate::output::human::{self, counted};
use crate::output::progress::Progress;

/// What was done with the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Copy,
    Move,
    Import,
}

impl Doing {
    fn done(self) -> &'static str {
        match self {
            Self::Copy => "copied",
            Self::Move => "moved",
            Self::Import => "imported",
        }
    }

    fn gerund(self) -> &'static str {
        match self {
            Self::Copy => "copying",
            Self::Move => "moving",
            Self::Import => "importing",
        }
    }
}

/// An item of the answers of `state copy --json`, `state move --json` and `state import --json`.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    state: StateName,
    workspace: Workspace,
    /// Where it came from.
    from: String,
    /// `copied`, `moved`, `imported`; `unchanged` where all of it was there already; `failed`.
    outcome: &'static str,
    #[serde(flatten)]
    arrived: Option<Arrived>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Told>,
}

#[derive(Debug, Serialize)]
struct Arrived {
    version: Version,
    serial: u64,
    lineage: String,
    sha256: String,
    versions: u64,
    copied: u64,
    bytes_compared: u64,
    let_go: u64,
}

#[derive(Debug, Serialize)]
struct Told {
    what: String,
    why: String,
    next: String,
}

/// Collects what came of each state; in text each is told at once.
pub(super) struct Report {
    doing: Doing,
    json: bool,
    /// Whether a failure ends everything, as it does where there is only one state.
    alone: bool,
    items: Vec<Item>,
    failed: Option<Exit>,
}

impl Report {
    pub(super) fn new(context: &Context, doing: Doing, states: usize) -> Self {
        Self { doing, json: context.out.json, alone: states == 1, items: Vec::new(), failed: None }
    }

    /// A state has arrived, or not.
    pub(super) fn add(&mut self, from: String, target: &StateId, outcome: Result<Copied>) -> Result<()> {
        let (name, workspace) = (target.name.clone(), target.workspace.clone());
        let item = |outcome, arrived, error| Item { state: name, workspace, from, outcome, arrived, error };
        match outcome {
            Ok(copied) => {
                let unchanged = copied.copied == 0 && self.doing != Doing::Move;
                let outcome = if unchanged { "unchanged" } else { self.doing.done() };
                let item = item(outcome, Some(arrived(&copied)), None);
                if !self.json {
                    output::text(&told(&item, &copied, target))?;
                }
                self.items.push(item);
                Ok(())
            }
            Err(failure) if self.alone => Err(failure),
            Err(failure) => {
                let Some(mut message) = failure.message() else { return Err(failure) };
                if !message.what.contains(&format!("`{target}`")) {
                    message.what = format!("`{target}`: {}", message.what);
                }
                output::error(&message);
                self.failed = self.failed.or(Some(failure.exit()));
                let Message { what, why, next } = message;
                self.items.push(item("failed", None, Some(Told { what, why, next })));
                Ok(())
            }
        }
    }

    pub(super) fn end(self) -> Result<Exit> {
        let exit = self.failed.unwrap_or(Exit::Done);
        if self.json {
            output::json(&List::new(self.items))?;
        } else if !self.alone {
            let count = |outcome: &str| self.items.iter().filter(|item| item.outcome == outcome).count() as u64;
            let done = self.doing.done();
            let told = [(done, count(done)), ("there already", count("unchanged")), ("not", count("failed"))];
            let told: Vec<String> =
                told.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect();
            output::text(&format!("{}: {}\n", counted(self.items.len() as u64, "state"), told.join(", ")))?;
        }
        Ok(exit)
    }
}

fn arrived(copied: &Copied) -> Arrived {
    Arrived {
        version: copied.version,
        serial: copied.serial,
        lineage: copied.lineage.clone(),
        sha256: copied.sha256.clone(),
        versions: copied.versions,
        copied: copied.copied,
        bytes_compared: copied.bytes,
        let_go: copied.let_go,
    }
}

fn told(item: &Item, copied: &Copied, target: &StateId) -> String {
    let Copied { version, serial, versions, bytes, let_go, .. } = copied;
    let done = match item.outcome {
        "unchanged" => format!("{target} is there already"),
        done => format!("{target} is {done} from {}", human::one_line(&item.from)),
    };
    let let_go = match let_go {
        0 => String::new(),
        count => format!("; the retention rule there has let go of {}", counted(*count, "old version")),
    };
    format!(
        "{done}: {}, the current one {version} (serial {serial}); {} compared{let_go}\n",
        counted(*versions, "version"),
        human::size(*bytes)
    )
}

/// Shows how far a state has come.
pub(super) fn follow<'a>(progress: &'a Progress, doing: Doing, name: &'a str) -> impl FnMut(Step) + Send + 'a {
    move |Step { stage, done, of }| {
        let what = match stage {
            Stage::Reading => "looking through",
            Stage::Copying => doing.gerund(),
            Stage::Comparing => "comparing",
        };
        progress.say(format!("{what} {}: {done} of {}", human::one_line(name), counted(of, "version")));
    }
}

/// Several states were asked for, and there are none.
pub(super) fn nothing_there(what: String, why: &str, next: &str) -> Failure {
    stateward_core::Error::new(stateward_core::Kind::NotFound, what, why, next).into()
}
