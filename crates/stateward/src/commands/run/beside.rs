//! An `apply` beside others: it plans, holds what the plan reads and writes, and applies the plan in a transaction.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stateward_core::{Claim, Clock, Ending, Kind, LockInfo, PlanBase};
use stateward_state::plan::{Footprint, Place, PlanFile};
use stateward_terraform::{Apply, Child};
use tempfile::TempDir;

use super::approval::{self, Answer};
use super::{Commands, not_started};
use crate::cli::RunArgs;
use crate::failure::{Failure, Result};
use crate::output;
use crate::output::human::one_line;
use crate::system::{SystemClock, new_id};

/// Plans that may turn stale while they wait before the whole state is taken.
const ROUNDS: u32 = 3;

/// A saved plan, read.
struct Plan {
    file: OsString,
    base: PlanBase,
    version: String,
    /// What it reads and writes; or why that cannot be told.
    claim: Result<Claim, String>,
    /// Whether there is anything to approve.
    applyable: bool,
}

/// What became of a plan.
enum Outcome {
    Ended(u8),
    /// It was stale by the time it could have begun: why.
    Stale(stateward_core::Error),
    /// It needs the whole state: why.
    Whole(String),
}

/// Runs the `apply`. Gives the exit code of the command that ended it.
pub(super) async fn run(
    commands: &mut Commands<'_>,
    args: &RunArgs,
    apply: &Apply,
    directory: &Path,
    who: String,
) -> Result<u8> {
    if let Some(file) = &apply.plan {
        return with_file(commands, apply, file, directory, &who).await;
    }
    if !apply.auto_approve && !apply.input {
        // The tool says itself what it thinks of that.
        return commands.run(&args.command).await;
    }
    let scratch = TempDir::new().map_err(|error| not_started(&args.command, &error))?;
    for _ in 0..ROUNDS {
        let file = scratch.path().join("plan.tfplan");
        let code = commands.run(&apply.plan_command(&file)).await?;
        if code != 0 {
            return Ok(code);
        }
        let plan = Plan::read(commands, apply, file.into_os_string(), directory).await?;
        if plan.claim.is_ok() && !apply.auto_approve && plan.applyable {
            match approval::ask(commands).await? {
                Answer::Yes => {}
                Answer::No => {
                    output::text("Apply cancelled.\n")?;
                    return Ok(1);
                }
                Answer::Ended(code) => return Ok(code),
            }
        }
        match go(commands, apply, plan, &who).await? {
            Outcome::Ended(code) => return Ok(code),
            Outcome::Whole(why) => {
                note_whole(&why);
                return commands.run(&args.command).await;
            }
            Outcome::Stale(error) => {
                output::note(&format!("the plan is stale: {}; planning again\n", one_line(error.why())));
            }
        }
    }
    output::note(&format!("the plan was stale {ROUNDS} times: the whole state is locked this time\n"));
    commands.run(&args.command).await
}

/// With a plan that its user has made.
async fn with_file(
    commands: &mut Commands<'_>,
    apply: &Apply,
    file: &OsStr,
    directory: &Path,
    who: &str,
) -> Result<u8> {
    let plan = Plan::read(commands, apply, file.to_owned(), directory).await?;
    match go(commands, apply, plan, who).await? {
        Outcome::Ended(code) => Ok(code),
        Outcome::Stale(error) => Err(error.into()),
        Outcome::Whole(why) => {
            note_whole(&why);
            commands.run(&apply.apply_command(file)).await
        }
    }
}

/// Begins a transaction for the plan, applies it, and ends the transaction.
async fn go(commands: &mut Commands<'_>, apply: &Apply, plan: Plan, who: &str) -> Result<Outcome> {
    let claim = match plan.claim {
        Ok(claim) => claim,
        Err(why) => return Ok(Outcome::Whole(why)),
    };
    let session = commands.session;
    let mut begun = std::pin::pin!(session.begin(lock_info(&plan.version, who), claim, plan.base));
    let (begun, ended) = tokio::select! {
        begun = &mut begun => (begun, None),
        // The session is left by then, so that it waits no longer.
        code = commands.asked_to_end() => (begun.await, Some(code)),
    };
    match begun {
        Err(error) if error.kind() == Kind::Stale => return Ok(Outcome::Stale(error)),
        Err(error) if error.kind() == Kind::Unsupported => return Ok(Outcome::Whole(error.why().to_owned())),
        Err(_) if ended.is_some() => {}
        begun => begun?,
    }
    let code = match ended {
        Some(code) => Ok(code),
        None => commands.run(&apply.apply_command(&plan.file)).await,
    };
    let ending = if matches!(code, Ok(0)) { Ending::Committed } else { Ending::Aborted };
    if let Err(error) = session.finish(ending).await {
        let why = one_line(error.why());
        output::note(&format!("warning: the transaction was not ended: {why}; it ends with its lease\n"));
    }
    code.map(Outcome::Ended)
}

/// Says that others cannot go on beside this run.
pub(super) fn note_whole(why: &str) {
    output::note(&format!("the whole state is locked: {}\n", one_line(why)));
}

/// Lock information as Terraform would send it.
fn lock_info(version: &str, who: &str) -> LockInfo {
    LockInfo {
        id: new_id(),
        operation: "OperationTypeApply".to_owned(),
        who: who.to_owned(),
        version: version.to_owned(),
        created: SystemClock.now().to_string(),
        ..LockInfo::default()
    }
}

/// The part of a plan in JSON that is looked at here.
#[derive(Deserialize)]
struct Applyable {
    #[serde(default)]
    applyable: Option<bool>,
}

impl Plan {
    async fn read(commands: &Commands<'_>, apply: &Apply, file: OsString, directory: &Path) -> Result<Self> {
        let path = directory.join(PathBuf::from(&file));
        let what = "the plan was not applied";
        let next = "give the file that `terraform plan -out=FILE` wrote";
        let bytes = std::fs::read(&path).map_err(|error| Failure::file(what, &path, &error, next))?;
        let whole = |why: String| Self {
            file: file.clone(),
            base: PlanBase::default(),
            version: String::new(),
            claim: Err(why),
            applyable: true,
        };
        let plan = match PlanFile::read(&bytes) {
            Ok(plan) => plan,
            // What it is worth, the tool says.
            Err(error) => return Ok(whole(error.to_string())),
        };
        let show = apply.show_command(&file);
        // Options for a plan and its apply are not those of `show`.
        let mut changes = commands.changes.clone();
        changes.removed.push("TF_CLI_ARGS".into());
        let shown = Child::output(&show, &changes).await.map_err(|error| not_started(&show, &error))?;
        let (0, shown) = shown else { return Ok(whole("`show -json` cannot read the plan".to_owned())) };
        let claim = Footprint::of(&plan, &shown).map_err(|error| error.to_string()).and_then(claim_of);
        let applyable = serde_json::from_slice::<Applyable>(&shown).ok().and_then(|plan| plan.applyable);
        Ok(Self {
            file,
            base: PlanBase { serial: plan.serial(), lineage: plan.lineage().to_owned() },
            version: plan.terraform_version().unwrap_or_default().to_owned(),
            claim,
            applyable: applyable.unwrap_or(true),
        })
    }
}

fn claim_of(footprint: Footprint) -> Result<Claim, String> {
    if let Some(whole) = footprint.whole {
        return Err(whole.to_string());
    }
    let mut write = footprint.write;
    write.extend(footprint.outputs.iter().map(|name| Place::output(name)));
    Ok(Claim { write, read: footprint.read })
}
