//! `stateward state repair`: a state of Terraform's own `s3` backend and its digest, put right.

use serde::Serialize;
use stateward_aws::recovery::{
    Decision, DigestStep, Done, Facts, Plan, Repair, RepairError, StateCopy, Wish, decide, look,
};
use stateward_core::{Clock, Error, Kind, LockInfo};

use crate::cli::RepairArgs;
use crate::commands::terraform_state::{TerraformState, refused};
use crate::commands::{Context, TOOL, confirm};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output;
use crate::output::human::{self, hanging, one_line, word};
use crate::output::table::{self, number, text};
use crate::system::SystemClock;

const NOT_REPAIRED: &str = "nothing was changed";
const NOT_DONE: &str = "the repair did not come to its end";

/// The answer of `state repair --json`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    items: [Item<'a>; 1],
}

#[derive(Debug, Serialize)]
struct Item<'a> {
    state: String,
    #[serde(flatten)]
    decision: &'a Decision,
    found: &'a Facts,
    /// What stands there now; null where nothing was done.
    done: Option<Done>,
}

pub(super) async fn run(context: &Context, args: &RepairArgs) -> Result<Exit> {
    let state = TerraformState::open(context, &args.state, NOT_REPAIRED).await?;
    let wish = Wish { keep: args.keep.map(Into::into), version: args.object_version.as_deref() };
    let facts = look(&state.place, &state.at, wish.version).await.map_err(|error| refused(NOT_REPAIRED, error))?;
    let decision = decide(&facts, wish);
    let who = context.who();
    let repair = Repair { place: &state.place, at: &state.at, wish, who: &who, tool: TOOL, now: SystemClock.now() };
    let answer = |done| Answer { items: [Item { state: state.url(), decision: &decision, found: &facts, done }] };
    let plan = match &decision {
        Decision::Repair(plan) if !args.dry_run => plan,
        Decision::Refused { why, next } => {
            return Err(Error::new(Kind::Invalid, NOT_REPAIRED, why, next).into());
        }
        decided => {
            let fits = matches!(decided, Decision::Fits { .. });
            if fits && !args.dry_run && repair.give_back().await.map_err(|error| failure(&state, error))? {
                output::note("the lock of an earlier repair, which was cut off, is given back\n");
            }
            context.out.answer(&answer(None), || told(context, &state, &facts, &decision))?;
            return Ok(if matches!(decided, Decision::Choose { .. }) { Exit::Failed } else { Exit::Done });
        }
    };
    if !args.yes {
        output::note(&told(context, &state, &facts, &decision));
        if !confirm("Do this?", "--yes")? {
            output::note("nothing was changed\n");
            return Ok(Exit::Failed);
        }
    }
    let done = repair.carry_out(&facts, plan).await.map_err(|error| failure(&state, error))?;
    context.out.answer(&answer(Some(done.clone())), || told_done(&state, &done))
}

fn failure(state: &TerraformState, error: RepairError) -> Failure {
    let url = state.url();
    let refuse = |kind, what: &str, why: String, next: String| Failure::from(Error::new(kind, what, why, next));
    match error {
        RepairError::Locked(holder) => {
            let info: LockInfo = serde_json::from_slice(&holder).unwrap_or_default();
            let (who, operation, created, id) =
                (one_line(&info.who), one_line(&info.operation), one_line(&info.created), one_line(&info.id));
            let why = format!("{who} has held the lock of {url} since {created} ({operation}, lock {id})");
            let inspect = state.command("lock inspect", "");
            let next = format!("wait for that run; whether it is gone, this says as far as it can be known: {inspect}");
            refuse(Kind::Locked, NOT_REPAIRED, why, next)
        }
        RepairError::Changed => {
            let why = format!("{url} or its digest has changed since it was looked at");
            refuse(Kind::Conflict, NOT_REPAIRED, why, "run the same command again".to_owned())
        }
        RepairError::LockLeft(error) => {
            let why = format!("the lock of {url} could not be given back: {error}");
            let next = "run the same command again: it gives the lock back".to_owned();
            refuse(Kind::Unavailable, "the repair is done, and its lock still stands", why, next)
        }
        RepairError::Store(error) => refused(NOT_DONE, error),
        error => refuse(Kind::Corrupt, NOT_DONE, error.to_string(), "run the same command again".to_owned()),
    }
}

fn told(context: &Context, state: &TerraformState, facts: &Facts, decision: &Decision) -> String {
    let mut words =
        table::facts(&[("state", Some(state.url())), ("digest", facts.digest.clone()), ("table", facts.table.clone())]);
    let row = |now: &str, copy: &StateCopy| {
        let serial = copy.serial();
        vec![
            now.to_owned(),
            copy.version.clone().unwrap_or_default(),
            serial.map_or_else(|| "no state".to_owned(), |(serial, _)| serial.to_string()),
            serial.map(|(_, lineage)| human::cut(lineage, 13).into_owned()).unwrap_or_default(),
            copy.written.map(|written| context.times().tell(written)).unwrap_or_default(),
            if facts.digest.as_ref() == Some(&copy.md5) { format!("{} = digest", copy.md5) } else { copy.md5.clone() },
        ]
    };
    let rows: Vec<_> = (facts.current.iter().map(|copy| row("now", copy)))
        .chain(facts.older.iter().map(|copy| row("", copy)))
        .collect();
    if !rows.is_empty() {
        let columns = [text(""), text("VERSION"), number("SERIAL"), text("LINEAGE"), text("WRITTEN"), text("MD5")];
        words.push('\n');
        words.push_str(&table::draw(&columns, rows));
        if facts.older_unread > 0 {
            let unread = human::counted(facts.older_unread as u64, "older version");
            words.extend(["     and ", &unread, " that were not read\n"]);
        }
    }
    words.push('\n');
    match decision {
        Decision::Fits { why } => words.push_str(&hanging("nothing to do: ", 15, why)),
        Decision::Repair(plan) => {
            words.push_str(&hanging("why:  ", 6, &plan.why));
            words.push_str(&hanging("plan: ", 6, &steps(plan)));
        }
        Decision::Choose { why, choices } => {
            words.push_str(&hanging("why:  ", 6, why));
            words.push_str("The evidence does not decide it. Choose:\n");
            for choice in choices {
                let does = choice.plan.as_ref().map(steps);
                let not = choice.not.as_ref().map(|not| format!("cannot be done: {not}"));
                let says = does.or(not).unwrap_or_default();
                words.push_str(&hanging(&format!("  --keep {:6}  ", word(choice.keep)), 17, &says));
            }
            words.push_str("  --object-version ID  make any other version of the list the current one\n");
        }
        Decision::Refused { why, next } => words.extend([why.as_str(), "\n", next.as_str(), "\n"]),
    }
    words
}

/// What a plan does, in words.
fn steps(plan: &Plan) -> String {
    let write = plan.write.as_ref().map(|write| {
        let what = write.version.as_ref().map_or_else(
            || "the object is written again".to_owned(),
            |version| format!("the version {version} is written to the object"),
        );
        write.serial.map_or_else(
            || format!("{what} as it is, and "),
            |serial| format!("{what} with serial {serial}, higher than any before, and "),
        )
    });
    let digest = match plan.digest {
        DigestStep::OfObject => "the digest is made that of the object",
        DigestStep::Remove => "the digest is removed",
    };
    format!("{}{digest}", write.unwrap_or_default())
}

fn told_done(state: &TerraformState, done: &Done) -> String {
    match (&done.serial, &done.md5) {
        (Some(serial), Some(md5)) => {
            format!("{} is right: serial {serial}, and {md5} is its MD5 and its digest\n", state.url())
        }
        _ => format!("{} is right: there is no state and no digest\n", state.url()),
    }
}
