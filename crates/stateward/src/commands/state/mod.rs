//! `stateward state`, one file a use.

pub(super) mod bucket;
mod copy;
mod delete;
mod diff;
mod export;
mod history;
mod import;
mod list;
mod pull;
mod push;
mod repair;
mod restore;
mod show;
mod timeline;
mod transfer;
mod upkeep;

use std::num::NonZeroUsize;

use stateward_core::StateId;
use stateward_core::view::{StateItem, Stored};

use super::Context;
use crate::cli::StateCommand;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::human;

pub(super) async fn run(context: &Context, command: &StateCommand) -> Result<Exit> {
    match command {
        StateCommand::List { prefix, deleted, limit, after } => {
            list::run(context, prefix, *deleted, limit.map(NonZeroUsize::get), after.as_deref()).await
        }
        StateCommand::Show { name } => show::run(context, name).await,
        StateCommand::Pull { name, version, output } => pull::run(context, name, *version, output.as_deref()).await,
        StateCommand::Push { name, file, force } => push::run(context, name, file, *force).await,
        StateCommand::History { name, limit, before } => {
            history::run(context, name, *before, limit.map(NonZeroUsize::get)).await
        }
        StateCommand::Diff { name, a, b } => diff::run(context, name, *a, *b).await,
        StateCommand::Restore { name, version, only } => restore::run(context, name, *version, only).await,
        StateCommand::Timeline { name, address } => timeline::run(context, name, address).await,
        StateCommand::Copy(args) => copy::copy(context, args).await,
        StateCommand::Move(args) => copy::relocate(context, args).await,
        StateCommand::Import(args) => import::run(context, args).await,
        StateCommand::Export(args) => export::run(context, args).await,
        StateCommand::Delete { name, yes } => delete::delete(context, name, *yes).await,
        StateCommand::Undelete { name } => delete::undelete(context, name).await,
        StateCommand::Verify { name } => upkeep::verify(context, name.as_ref()).await,
        StateCommand::Prune => upkeep::prune(context).await,
        StateCommand::Repair(args) => Box::pin(repair::run(context, args)).await,
    }
}

fn id_of(item: &StateItem) -> StateId {
    StateId { name: item.state.clone(), workspace: item.workspace.clone() }
}

/// What a push or restore came to.
fn told(name: &StateId, stored: &Stored, done: &str) -> String {
    let Stored { version, serial, changed, addresses, .. } = stored;
    if !changed {
        return format!("{name} is at {version} (serial {serial}) already: nothing was changed\n");
    }
    let count = match addresses.len() as u64 {
        0 => String::new(),
        count => format!(", {}", human::counted(count, "instance")),
    };
    format!("{name} is {done}, now {version} (serial {serial}{count})\n")
}
