//! `stateward lock`.

mod inspect;

pub(super) use inspect::this_machine;

use serde::Serialize;
use stateward_core::view::LockItem;
use stateward_core::{Error, Kind, StateId};

use super::{Context, confirm};
use crate::cli::LockCommand;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;
use crate::output::human;
use crate::output::table::{self, number, text};

/// The answer of `lock release --json`.
#[derive(Debug, Serialize)]
struct Released {
    released: Vec<String>,
}

pub(super) async fn run(context: &Context, command: &LockCommand) -> Result<Exit> {
    match command {
        LockCommand::List => list(context).await,
        LockCommand::Show { name } => show(context, name).await,
        LockCommand::Inspect(args) => Box::pin(inspect::run(context, args)).await,
        LockCommand::Release { name, id, force } => release(context, name, id.as_deref(), *force).await,
    }
}

async fn list(context: &Context) -> Result<Exit> {
    let locks = context.open().await?.locks(None).await?;
    let columns =
        [text("STATE"), text("MODE"), text("WHO"), text("OPERATION"), number("AGE"), number("QUEUE"), text("ID")];
    context.out.list(&locks, "nothing is locked", &columns, |lock: &LockItem| {
        vec![
            state_of(lock).to_string(),
            lock.mode.clone(),
            lock.who.clone(),
            lock.operation.clone(),
            human::age(lock.age_s),
            lock.queue.to_string(),
            lock.id.clone(),
        ]
    })
}

async fn show(context: &Context, name: &StateId) -> Result<Exit> {
    let locks = context.open().await?.locks(Some(name)).await?;
    context.out.answer(&locks, || {
        if locks.items.is_empty() {
            return format!("{name} is not locked\n");
        }
        locks.items.iter().map(|lock| facts(context, lock)).collect::<Vec<_>>().join("\n")
    })
}

fn facts(context: &Context, lock: &LockItem) -> String {
    let times = context.times();
    table::facts(&[
        ("state", Some(state_of(lock).to_string())),
        ("mode", Some(lock.mode.clone())),
        ("id", Some(lock.id.clone())),
        ("who", Some(lock.who.clone())),
        ("operation", Some(lock.operation.clone())),
        ("created", Some(times.tell(lock.created))),
        ("last seen", Some(times.tell(lock.last_seen))),
        ("waiting", Some(lock.queue.to_string())),
        ("addresses", Some(lock.addresses.join(", ")).filter(|addresses| !addresses.is_empty())),
        (
            "advice",
            Some(
                lock.advice
                    .replace("NAME", &state_of(lock).to_string())
                    .replace("--id ID", &format!("--id {}", lock.id)),
            ),
        ),
    ])
}

async fn release(context: &Context, name: &StateId, id: Option<&str>, force: bool) -> Result<Exit> {
    let connection = context.open().await?;
    let mut id = id.map(str::to_owned);
    if id.is_none() && !force {
        let locks = connection.locks(Some(name)).await?;
        let Some(lock) = locks.items.iter().find(|lock| lock.mode != "plan").or(locks.items.first()) else {
            let next = "`stateward lock list` shows the locks there are";
            return Err(
                Error::new(Kind::NotFound, format!("`{name}` was left as it is"), "it is not locked", next).into()
            );
        };
        let holder = human::one_line(&lock.who);
        let question = format!(
            "Break the lock {} that {holder} has held for {} ({})?",
            lock.id,
            human::age(lock.age_s),
            lock.operation
        );
        if !confirm(&question, &format!("--id {}", lock.id))? {
            output::note("nothing was released\n");
            return Ok(Exit::Failed);
        }
        // What was asked about, and not what may be held by now.
        id = Some(lock.id.clone());
    }
    let released = connection.release(name, id.as_deref()).await?;
    context.out.answer(&Released { released: released.clone() }, || {
        released.iter().map(|id| format!("released {id}\n")).collect::<Vec<_>>().concat()
    })
}

fn state_of(lock: &LockItem) -> StateId {
    StateId { name: lock.state.clone(), workspace: lock.workspace.clone() }
}
