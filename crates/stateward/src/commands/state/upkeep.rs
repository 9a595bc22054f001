//! `stateward state verify` and `prune`.

use serde::Serialize;
use stateward_core::StateId;
use stateward_core::view::{Finding, Verified};

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::progress::Progress;
use crate::output::table::{self, text};
use crate::output::{GREEN, RED, human};

/// The answer of `state verify --json`.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    /// What is wrong.
    items: &'a [Finding],
    states: u64,
    versions: u64,
    bytes: u64,
}

pub(super) async fn verify(context: &Context, name: Option<&StateId>) -> Result<Exit> {
    let connection = context.open().await?;
    let verified = {
        let progress = Progress::work("verifying");
        let mut say = |done: stateward_core::VerifyProgress| {
            let (states, versions) = (human::counted(done.states, "state"), human::counted(done.versions, "version"));
            progress.say(format!("verifying: {states}, {versions}"));
        };
        connection.verify(name, &mut say).await?
    };
    let Verified { states, versions, bytes, findings } = &verified;
    let outcome = Outcome { items: findings, states: *states, versions: *versions, bytes: *bytes };
    context.out.answer(&outcome, || told(&verified))?;
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Corrupt })
}

fn told(verified: &Verified) -> String {
    let Verified { states, versions, bytes, findings } = verified;
    let looked = format!(
        "{}, {}, {} read",
        human::counted(*states, "state"),
        human::counted(*versions, "version"),
        human::size(*bytes)
    );
    if findings.is_empty() {
        return format!("{GREEN}all is well{GREEN:#}: {looked}\n");
    }
    let rows = findings.iter().map(|finding| vec![finding.what.clone(), finding.why.clone()]);
    let table = table::draw(&[text("WHERE"), text("WHAT IS WRONG")], rows);
    format!("{table}{RED}{}{RED:#}: {looked}\n", human::counted(findings.len() as u64, "finding"))
}

pub(super) async fn prune(context: &Context) -> Result<Exit> {
    let connection = context.open().await?;
    let pruned = {
        let _progress = Progress::work("pruning");
        connection.prune().await?
    };
    context.out.answer(&pruned, || {
        let (versions, blobs) = (human::counted(pruned.versions, "version"), human::counted(pruned.blobs, "chunk"));
        format!(
            "let go of {versions}; removed {blobs} that nobody referred to any more, {}\n",
            human::size(pruned.freed_bytes)
        )
    })
}
