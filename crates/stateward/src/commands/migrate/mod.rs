//! `stateward migrate`: a configuration's state to another backend, or from one lock of Terraform's `s3` backend to the other.
//!
//! Either way goes: look, show, ask, lock, look again, copy what is not there, compare, unlock, and write the block last. So a run that
//! was cut off is run again: what has arrived is found there, and a lock that it left is its own.

mod block;
mod carry;
mod claim;
mod local;
mod locking;
mod locks;
mod ours;
mod setting;
mod source;
mod states;
mod target;
mod told;

use self::setting::Setting;
use super::{Context, confirm};
use crate::cli::{MigrateArgs, MigrateTo};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;

/// What a refusal begins with.
const NOT_MOVED: &str = "nothing was moved";

pub(super) async fn run(context: &Context, args: &MigrateArgs) -> Result<Exit> {
    let changes_locks = matches!(args.to, MigrateTo::LockFile | MigrateTo::LockTable);
    let misplaced = match (changes_locks, &args.to) {
        (false, _) if args.finish => Some("`--finish` goes with `--to lockfile` and `--to dynamodb-lock`"),
        (true, MigrateTo::LockTable) => None,
        _ if args.lock_table.is_some() => {
            Some("`--lock-table` goes with `--to dynamodb-lock`; a URL takes `lock_table=…`")
        }
        _ => None,
    };
    if let Some(why) = misplaced {
        return Err(Failure::usage(NOT_MOVED, why, "see `stateward migrate --help`"));
    }
    let setting = Setting::read(context, args)?;
    match changes_locks {
        true => Box::pin(locks::run(context, args, &setting)).await,
        false => Box::pin(states::run(context, args, &setting)).await,
    }
}

/// Shows the plan, and asks; false where that is all.
fn is_wanted(context: &Context, args: &MigrateArgs, plan: &told::Answer) -> Result<bool> {
    if !context.out.json {
        output::text(&told::plan(plan))?;
    }
    if args.dry_run {
        return Ok(false);
    }
    if !args.yes && !confirm("go on?", "--yes")? {
        output::note("nothing was done\n");
        return Ok(false);
    }
    Ok(true)
}

/// The end of it: what has come of the plan.
fn end(context: &Context, plan: &told::Answer) -> Result<Exit> {
    context.out.answer(plan, || told::end(plan))
}
