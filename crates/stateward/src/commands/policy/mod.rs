//! `stateward policy`: AWS policies for state, without asking AWS.

mod check;
mod evaluate;
pub(in crate::commands) mod files;
mod generate;
mod isolation;
mod lint;
mod words;

use stateward_iam::{Keeping, KeepingError, names};

use super::Context;
use crate::cli::{KeepingArgs, PolicyCommand};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;

pub(super) fn run(context: &Context, command: &PolicyCommand) -> Result<Exit> {
    match command {
        PolicyCommand::Generate(args) => generate::run(args),
        PolicyCommand::Evaluate(args) => evaluate::run(context, args),
        PolicyCommand::Check(args) => match &args.isolation {
            Some(file) => isolation::run(context, file),
            None => check::run(context, args),
        },
        PolicyCommand::Lint(args) => lint::run(context, args),
    }
}

const MISPLACED: &str = "the `s3` backend keeps states in a bucket, and not in a table";
const KEEPING: &str = "nothing can be said about this way of keeping state";

fn keeping(args: &KeepingArgs) -> Result<Keeping> {
    if args.is_misplaced() {
        let next = "give `--bucket`, or say with `--layout` who keeps state in a table";
        return Err(Failure::usage(KEEPING, MISPLACED, next));
    }
    let keeping = args.keeping();
    keeping.names().map_err(|error| no_keeping(&error))?;
    if keeping.services().contains(&"s3")
        && let Err(error) = names::bucket(&keeping.place)
    {
        output::note(&format!(
            "note: {error}; only a bucket that was made before March 2018 may have such a name: check it, unless yours is older\n"
        ));
    }
    Ok(keeping)
}

fn no_keeping(error: &KeepingError) -> Failure {
    let next = "give what the backend block has; `--help` says which flag is which";
    Failure::usage(KEEPING, error.to_string(), error.next().unwrap_or(next))
}
