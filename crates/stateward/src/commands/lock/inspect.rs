//! `stateward lock inspect`: the locks of Terraform's own `s3` backend, and whether who took them is gone.

use std::path::Path;

use jiff::Timestamp;
use rustix::system::uname;
use serde::Serialize;
use stateward_aws::doctor::typed;
use stateward_aws::recovery::{Machine, Verdict, Weighed, taken_at, weigh};
use stateward_core::{Clock, Error, Kind};
use stateward_store_s3::{LockKind, StandingLock};

use crate::cli::InspectArgs;
use crate::commands::terraform_state::{TerraformState, refused};
use crate::commands::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;
use crate::output::human::{self, hanging, one_line};
use crate::output::table;
use crate::system::SystemClock;

const NOT_RELEASED: &str = "nothing was released";

/// The answer of `lock inspect --json`.
#[derive(Debug, Serialize)]
struct Answer {
    items: Vec<Item>,
    /// What is known of the holder.
    #[serde(flatten)]
    weighed: Weighed,
}

/// A lock.
#[derive(Debug, Serialize)]
struct Item {
    state: String,
    /// `file` or `item`.
    kind: &'static str,
    id: Option<String>,
    who: String,
    operation: String,
    created: Option<Timestamp>,
    age_s: Option<u64>,
    released: bool,
}

pub(super) async fn run(context: &Context, args: &InspectArgs) -> Result<Exit> {
    let state = TerraformState::open(context, &args.state, "the locks were not looked at").await?;
    let not_read = |error| refused("the locks cannot be read", error);
    let locks = state.place.standing_locks(&state.at).await.map_err(not_read)?;
    let now = SystemClock.now();
    let machine = this_machine();
    let weighed = weigh(&locks, &state.kinds(), state.written().await, &machine, now);
    let items = locks.iter().map(|lock| item(&state, lock, now)).collect();
    let mut answer = Answer { items, weighed };
    if !args.release || locks.is_empty() {
        return context.out.answer(&answer, || told(context, &state, &answer));
    }
    let wanted = wanted(args, &state, &locks, answer.weighed.verdict)?;
    if !args.yes && args.id.is_none() && !args.force {
        output::note(&told(context, &state, &answer));
        if !confirm("Release it?", "--yes")? {
            output::note("nothing was released\n");
            return Ok(Exit::Failed);
        }
    }
    // In Terraform's own order.
    for (lock, item) in locks.iter().zip(&mut answer.items).filter(|(lock, _)| wanted.contains(lock)) {
        item.released = state.place.remove_lock(&state.at, lock).await.map_err(not_read)?;
    }
    let left = state.place.standing_locks(&state.at).await.map_err(not_read)?;
    context.out.answer(&answer, || told_released(&answer))?;
    // What was not looked at has come since, and stays.
    let Some(other) = left.iter().find(|lock| wanted.contains(lock) || !locks.contains(lock)) else {
        return Ok(Exit::Done);
    };
    let holder = other.lock_info().who;
    let why = format!("{} holds it by now: that lock is another than the one that was looked at", one_line(&holder));
    Err(Error::new(Kind::Locked, format!("{} is locked again", state.url()), why, "look at it again").into())
}

/// Where this runs.
pub(in crate::commands) fn this_machine() -> Machine {
    Machine { host: uname().nodename().to_string_lossy().into_owned(), processes: Path::new("/proc").to_owned() }
}

/// The locks that are to go; an error where that needs more to be said.
fn wanted<'a>(
    args: &InspectArgs,
    state: &TerraformState,
    locks: &'a [StandingLock],
    verdict: Verdict,
) -> Result<Vec<&'a StandingLock>> {
    if let Some(id) = &args.id {
        let own: Vec<&StandingLock> = locks.iter().filter(|lock| lock.id.as_ref() == Some(id)).collect();
        if own.is_empty() {
            let why = format!("no lock of {} has the ID {id}", state.url());
            let next = "without `--release` the locks are shown as they are";
            return Err(Error::new(Kind::NotFound, NOT_RELEASED, why, next).into());
        }
        return Ok(own);
    }
    if verdict == Verdict::MayLive && !args.force {
        let id = locks.iter().find_map(|lock| lock.id.clone());
        let flag = id.map_or_else(|| "--force".to_owned(), |id| format!("--id {}", typed(&id)));
        let why = "it is not seen from here that its holder is gone, and a run that goes on without its lock can lose what it does";
        let command = state.command("lock inspect", &format!(" --release {flag}"));
        let next = format!("make sure that the run is over, and then: {command}");
        return Err(Error::new(Kind::Locked, NOT_RELEASED, why, next).into());
    }
    Ok(locks.iter().collect())
}

fn item(state: &TerraformState, lock: &StandingLock, now: Timestamp) -> Item {
    let info = lock.lock_info();
    let created = taken_at(&info).or_else(|| written(lock));
    Item {
        state: state.url(),
        kind: match lock.kind {
            LockKind::File => "file",
            LockKind::Item => "item",
        },
        id: lock.id.clone(),
        who: info.who,
        operation: info.operation,
        created,
        age_s: created.and_then(|created| u64::try_from(now.duration_since(created).as_secs()).ok()),
        released: false,
    }
}

/// What S3 says, where the lock itself does not.
fn written(lock: &StandingLock) -> Option<Timestamp> {
    Timestamp::UNIX_EPOCH.checked_add(jiff::SignedDuration::try_from(lock.written?).ok()?).ok()
}

fn told(context: &Context, state: &TerraformState, answer: &Answer) -> String {
    if answer.items.is_empty() {
        return format!("{} is not locked\n", state.url());
    }
    let each = answer.items.iter().map(|item| {
        table::facts(&[
            ("state", Some(item.state.clone())),
            (
                "lock",
                Some(if item.kind == "file" { "lock file".to_owned() } else { "item in the lock table".to_owned() }),
            ),
            ("id", Some(item.id.clone().unwrap_or_else(|| "cannot be read".to_owned()))),
            ("who", Some(item.who.clone())),
            ("operation", Some(item.operation.clone())),
            ("created", item.created.map(|created| context.times().tell(created))),
            ("age", item.age_s.map(human::age)),
        ])
    });
    let mut text = each.collect::<Vec<_>>().join("\n");
    text.push('\n');
    for evidence in &answer.weighed.evidence {
        text.push_str(&hanging("- ", 2, &evidence.what));
    }
    text.push_str(match answer.weighed.verdict {
        Verdict::Gone => "\nits holder is gone; this removes the lock:\n",
        Verdict::MayLive => {
            "\nits holder may be alive; once it is known that the run is over, this removes the lock:\n"
        }
    });
    text.extend(["  ", &state.command("lock inspect", &release(answer)), "\n"]);
    text
}

/// What removes what was found: without asking for evidence only where there is none, and then no other lock.
fn release(answer: &Answer) -> String {
    match (answer.weighed.verdict, answer.items.iter().find_map(|item| item.id.as_deref())) {
        (Verdict::Gone, _) => " --release".to_owned(),
        (Verdict::MayLive, Some(id)) => format!(" --release --id {}", typed(id)),
        (Verdict::MayLive, None) => " --release --force".to_owned(),
    }
}

fn told_released(answer: &Answer) -> String {
    let line = |item: &Item| {
        let id = one_line(item.id.as_deref().unwrap_or("without an ID")).into_owned();
        match item.released {
            true => format!("released {id} ({})\n", item.kind),
            false => format!("left {id} ({})\n", item.kind),
        }
    };
    answer.items.iter().map(line).collect()
}
