//! `stateward state delete` and `undelete`.

use serde::Serialize;
use stateward_core::{StateId, StateName, Version, Workspace};

use crate::commands::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;

/// The answer of `state delete --json` and `state undelete --json`.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    state: &'a StateName,
    workspace: &'a Workspace,
    /// The version that was, or again is, the current one; null where there was nothing to delete.
    version: Option<Version>,
    deleted: bool,
}

pub(super) async fn delete(context: &Context, name: &StateId, yes: bool) -> Result<Exit> {
    if !yes && !confirm(&format!("Delete the state {name}? Its history stays."), "--yes")? {
        output::note("nothing was deleted\n");
        return Ok(Exit::Failed);
    }
    let version = context.open().await?.delete(name, None).await?;
    let outcome = Outcome { state: &name.name, workspace: &name.workspace, version, deleted: version.is_some() };
    context.out.answer(&outcome, || match version {
        Some(version) => format!(
            "{name} is deleted; its last version was {version}, and `stateward state undelete {name}` brings it back\n"
        ),
        None => format!("there was no state {name}\n"),
    })
}

pub(super) async fn undelete(context: &Context, name: &StateId) -> Result<Exit> {
    let version = context.open().await?.undelete(name).await?;
    let outcome = Outcome { state: &name.name, workspace: &name.workspace, version: Some(version), deleted: false };
    context.out.answer(&outcome, || format!("{name} is back, at {version}\n"))
}
