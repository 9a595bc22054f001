//! `stateward state show`.

use serde::Serialize;
use stateward_client::find_state;
use stateward_core::view::{LockItem, StateItem, VersionItem};
use stateward_core::{Error, Kind, StateId};

use crate::commands::Context;
use crate::config::Target;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::human;
use crate::output::table;

/// The answer of `state show --json`.
#[derive(Debug, Serialize)]
struct Shown {
    /// As in `state list`.
    summary: StateItem,
    /// The newest version, as in `state history`.
    newest: VersionItem,
    /// How many there ever were.
    versions: u64,
    /// As in `lock list`.
    locks: Vec<LockItem>,
    /// What to write into the backend block; only where a server was asked.
    address: Option<String>,
}

pub(super) async fn run(context: &Context, name: &StateId) -> Result<Exit> {
    let connection = context.open().await?;
    // History knows best why a state is not there.
    let newest = connection.history(name, None, Some(1)).await?.items.into_iter().next();
    let summary = find_state(&*connection, name).await?;
    let (Some(newest), Some(summary)) = (newest, summary) else {
        let next = "`stateward state list` shows the states there are";
        return Err(Error::new(
            Kind::NotFound,
            format!("there is no state `{name}`"),
            "nothing has been stored under this name",
            next,
        )
        .into());
    };
    let locks = connection.locks(Some(name)).await?.items;
    let shown = Shown { versions: newest.version.0, address: address(context, name), summary, newest, locks };
    context.out.answer(&shown, || facts(context, name, &shown))
}

fn address(context: &Context, name: &StateId) -> Option<String> {
    let Target::Server(server) = &context.config.target else { return None };
    let workspace = if name.workspace.is_default() { String::new() } else { format!("?workspace={}", name.workspace) };
    Some(format!("{server}/state/{}{workspace}", name.name))
}

fn facts(context: &Context, name: &StateId, shown: &Shown) -> String {
    let (times, Shown { summary, newest, versions, locks, address }) = (context.times(), shown);
    let lock = match locks.iter().find(|lock| lock.mode != "plan") {
        Some(lock) => format!("{}, for {} ({}, lock {})", lock.who, human::age(lock.age_s), lock.operation, lock.id),
        None => "nobody".to_owned(),
    };
    let resources =
        if summary.opaque { "unknown: encrypted by OpenTofu".to_owned() } else { summary.resources.to_string() };
    table::facts(&[
        ("state", Some(name.to_string())),
        (
            "deleted",
            summary.deleted.map(|at| format!("{}; `stateward state undelete {name}` brings it back", times.tell(at))),
        ),
        ("version", Some(format!("{} of {versions}", summary.version))),
        ("serial", Some(summary.serial.to_string())),
        ("lineage", Some(summary.lineage.clone())),
        ("size", Some(human::size(summary.size))),
        ("resources", Some(resources)),
        ("updated", Some(format!("{} by {}", times.tell(summary.updated), summary.updated_by))),
        ("operation", Some(newest.operation.clone())),
        ("tool", Some(newest.tool.clone()).filter(|tool| !tool.is_empty())),
        ("sha256", Some(newest.sha256.clone())),
        ("locked by", Some(lock)),
        ("address", address.clone()),
    ])
}
