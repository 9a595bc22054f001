//! From one lock of Terraform's `s3` backend to the other.

use futures::{TryStreamExt, future};
use stateward_core::{Error, Kind, Workspace};
use stateward_store::StoreError;
use stateward_store::outside::{BytesPlace, Seen};
use stateward_store_s3::{Options, Sharing};
use stateward_terraform::{Change, LockStep, NoWay, S3Locks, WantedLock, lock_arguments};

use super::super::Context;
use super::super::state::bucket::S3State;
use super::super::terraform_state::refused;
use super::block::Writing;
use super::locking::{Lock, Locks, until_interrupted};
use super::setting::{LOCKS, Setting};
use super::told::{Answer, Check, Outcome, Status};
use super::{NOT_MOVED, end, is_wanted};
use crate::cli::{MigrateArgs, MigrateTo};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::human::counted;
use crate::output::progress::Progress;

pub(super) async fn run(context: &Context, args: &MigrateArgs, setting: &Setting) -> Result<Exit> {
    let wanted = match args.to {
        MigrateTo::LockTable => WantedLock::Table(args.lock_table.clone()),
        _ => WantedLock::File,
    };
    setting.agrees()?;
    let (locks, options) = now(setting)?;
    let step = locks.step(&wanted, args.finish).map_err(|error| no_way(&error, &wanted))?;
    let change = Change::Arguments(lock_arguments(&step, &wanted));
    come_from_elsewhere(setting, &change)?;
    let to = match &wanted {
        WantedLock::File => "the lock file alone",
        WantedLock::Table(_) => "the item in the lock table alone",
    };
    let unchanged = Answer::unchanged(told(&locks), to.to_owned());
    let mut plan = Answer { after: next(&step, &wanted, setting), ..unchanged };
    let (table, finishes) = match &step {
        LockStep::There | LockStep::Wait { .. } => return end(context, &plan),
        LockStep::Both { table, .. } => (table, false),
        LockStep::Finish { table } => (table, true),
    };
    let writing = Writing::plan(setting, &change, args.print)?;
    let places = Places::open(options, Some(table).filter(|table| !table.is_empty()), &locks, &wanted, &step).await?;
    let workspaces = places.workspaces().await?;
    let name = stateward_client::transfer::Place::name(&places.both);
    let states = counted(workspaces.len() as u64, "state");
    plan.checks.push(Check::new("states", Status::Ok, format!("{name}: {states}")));
    if wanted == WantedLock::File {
        plan.checks.push(super::told::needs_lock_files());
    }
    let held = Locks::new(context, setting, &plan.to);
    held.can_be_noted()?;
    held.look(&places.locks(&workspaces)).await.map_err(|error| unusable(error, &wanted))?;
    plan.checks.push(Check::new("lock-free", Status::Ok, "nobody holds any of them, in either way"));
    plan.steps = steps(&wanted, &step, &writing);
    plan.outcome = Outcome::Planned;
    if !is_wanted(context, args, &plan)? {
        plan.block = Some(writing.told(&change));
        return end(context, &plan);
    }
    let trial = Trial::of(&wanted, finishes);
    let mut held = held;
    let left = held.begin(context, &places.locks(&workspaces)).await?;
    plan.after.extend(left.iter().map(|check| check.title.clone()));
    plan.checks.extend(left);
    let forgotten = prove(&places, &workspaces, held, trial).await?;
    if forgotten > 0 {
        let title = format!("{} removed: Terraform writes them anew where it needs them", counted(forgotten, "digest"));
        plan.checks.push(Check::new("digest", Status::Ok, title));
    }
    writing.write()?;
    plan.block = Some(writing.told(&change));
    plan.outcome = Outcome::Done;
    end(context, &plan)
}

/// How the state is locked now, and how it is reached.
fn now(setting: &Setting) -> Result<(S3Locks, Options)> {
    let is_s3 = setting.declared().is_some_and(|backend| backend.kind() == Some("s3"));
    if !is_s3 {
        let title = setting.declared().map_or("no backend block".to_owned(), stateward_terraform::Backend::title);
        let why =
            format!("`{}` has {title}, and these locks are those of `backend \"s3\"`", setting.directory.display());
        return Err(Failure::usage(
            NOT_MOVED,
            why,
            "move the state to S3 first: stateward migrate --to s3://BUCKET/KEY",
        ));
    }
    let options = setting.declared_s3()?.options();
    let sharing = options.sharing.clone().unwrap_or_default();
    Ok((S3Locks { table: sharing.lock_table, file: sharing.use_lockfile }, options))
}

fn no_way(error: &NoWay, wanted: &WantedLock) -> Failure {
    let to = if *wanted == WantedLock::File { "lockfile" } else { "dynamodb-lock" };
    let next = match error {
        NoWay::NoTable => "name it with `--lock-table TABLE`".to_owned(),
        NoWay::OtherTable { .. } => "leave `--lock-table` out, or go by way of the lock file".to_owned(),
        _ => format!("take the first step first: stateward migrate --to {to}"),
    };
    Failure::usage(NOT_MOVED, error.to_string(), next)
}

/// An argument that goes has to stand in the block: what `-backend-config` brings, the block cannot take away.
fn come_from_elsewhere(setting: &Setting, change: &Change) -> Result<()> {
    let Change::Arguments(changes) = change else { return Ok(()) };
    let elsewhere = LOCKS.into_iter().find(|name| {
        let changes = changes.iter().any(|(changed, _)| changed == name);
        changes && !setting.is_in_block(name) && setting.argument(name).is_some()
    });
    let Some(name) = elsewhere else { return Ok(()) };
    let why = format!("`{name}` does not stand in the block: it comes from `--backend-config`");
    let next = "change it there, and run `terraform init -reconfigure` with it";
    Err(Failure::usage(NOT_MOVED, why, next))
}

fn told(locks: &S3Locks) -> String {
    match (&locks.table, locks.file) {
        (Some(table), true) => format!("both: the item in the table {table} and the lock file"),
        (Some(table), false) => format!("the item in the table {table}"),
        (None, true) => "the lock file".to_owned(),
        (None, false) => "no lock at all".to_owned(),
    }
}

/// A table that is new to the block may not be what it has to be.
fn unusable(error: Error, wanted: &WantedLock) -> Error {
    match wanted {
        WantedLock::Table(Some(table)) if error.kind() != Kind::Locked => {
            let next = "see that the table is there, in the bucket's Region, that its key is `LockID`, and that you may use it";
            Error::new(error.kind(), format!("the lock table `{table}` cannot be used"), error.why(), next)
        }
        _ => error,
    }
}

/// What is done while the locks are held.
#[derive(Clone, Copy)]
struct Trial {
    /// Towards the table digests are those of an earlier time; where the table goes nobody would keep them right.
    forgets_digests: bool,
    /// Somebody may have applied without the table when others had it already. And a digest that contradicts its state is not removed:
    /// Terraform would take whatever stands there.
    reads_states: bool,
    tries_file: bool,
}

impl Trial {
    fn of(wanted: &WantedLock, finishes: bool) -> Self {
        let to_file = *wanted == WantedLock::File;
        Self { forgets_digests: finishes == to_file, reads_states: finishes, tries_file: to_file }
    }
}

fn steps(wanted: &WantedLock, step: &LockStep, writing: &Writing) -> Vec<String> {
    let finishes = matches!(step, LockStep::Finish { .. });
    let mut steps =
        vec!["take both locks of each state, see that nobody else gets them, and give them back".to_owned()];
    if let LockStep::Both { is_first: true, .. } = step {
        steps = vec!["take the lock of each state, see that nobody else gets it, and give it back".to_owned()];
    }
    let trial = Trial::of(wanted, finishes);
    if trial.reads_states {
        steps.push("meanwhile read each state, and see that its digest in the table fits".to_owned());
    }
    if trial.forgets_digests {
        steps.push("meanwhile remove digests that are left in the table, since they would no longer fit".to_owned());
    }
    steps.push(writing.step(match (step, finishes) {
        (LockStep::Both { is_first: true, .. }, _) => "the lock",
        (_, false) => "both locks",
        (_, true) => "the new lock alone",
    }));
    steps
}

/// What people have to do next.
fn next(step: &LockStep, wanted: &WantedLock, setting: &Setting) -> Vec<String> {
    let to = if *wanted == WantedLock::File { "lockfile" } else { "dynamodb-lock" };
    let directory = match setting.directory.as_os_str() {
        directory if directory == "." => String::new(),
        directory => format!(" --dir {}", directory.display()),
    };
    let init = "terraform init -reconfigure, then terraform plan, here and in every clone and pipeline".to_owned();
    let finish = format!("when everybody's block names both: stateward migrate{directory} --to {to} --finish");
    match (step, wanted) {
        (LockStep::There, _) => Vec::new(),
        (LockStep::Both { is_first: true, .. }, _) | (LockStep::Finish { .. }, WantedLock::Table(_)) => vec![init],
        (LockStep::Both { .. }, WantedLock::Table(_)) => vec![
            init,
            "until then nobody may apply with the old block: it leaves the digest behind, and the state is refused"
                .to_owned(),
            finish,
        ],
        (LockStep::Both { .. }, WantedLock::File) => vec![init, finish],
        (LockStep::Wait { .. }, _) => vec![finish],
        (LockStep::Finish { .. }, WantedLock::File) => {
            vec![init, "when no other state has its locks in the table, it may be deleted".to_owned()]
        }
    }
}

/// The place with all locks that matter, and with the new one alone.
struct Places {
    both: S3State,
    file: Option<S3State>,
}

impl Places {
    async fn open(
        options: Options,
        table: Option<&String>,
        locks: &S3Locks,
        wanted: &WantedLock,
        step: &LockStep,
    ) -> Result<Self> {
        let with = |lock_table: Option<String>, use_lockfile| {
            let sharing = Sharing { lock_table, use_lockfile, ..options.sharing.clone().unwrap_or_default() };
            Options { sharing: Some(sharing), ..options.clone() }
        };
        let is_first = matches!(step, LockStep::Both { is_first: true, .. });
        let has_file = locks.file || *wanted == WantedLock::File;
        let both = S3State::open(with(table.cloned(), has_file && !(is_first && table.is_some())), NOT_MOVED).await?;
        let file = match has_file {
            true => Some(S3State::open(with(None, true), NOT_MOVED).await?),
            false => None,
        };
        Ok(Self { both, file })
    }

    /// Those with a state, and always the default one.
    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        let mut workspaces = self.both.there().await?;
        if workspaces.iter().all(|workspace| !workspace.is_default()) {
            workspaces.insert(0, Workspace::default());
        }
        Ok(workspaces)
    }

    fn locks(&self, workspaces: &[Workspace]) -> Vec<Lock<'_>> {
        let all = |place| workspaces.iter().map(move |workspace| Lock::Place(place, workspace.clone()));
        all(&self.both).collect()
    }
}

/// Takes all locks, tries them, and gives them back; gives how many digests went.
async fn prove(places: &Places, workspaces: &[Workspace], mut held: Locks<'_>, trial: Trial) -> Result<u64> {
    let progress = Progress::work("locking");
    let taking = held.taking();
    let interrupted = || {
        let why = "it was interrupted; the block is as it was";
        Error::new(Kind::Unavailable, NOT_MOVED, why, "run the same command again to go on")
    };
    let work = prove_each(places, workspaces, &mut held, trial, &progress);
    let outcome = until_interrupted(&taking, work, interrupted).await;
    let given = held.give_back().await;
    let forgotten = outcome?;
    given?;
    Ok(forgotten)
}

async fn prove_each<'a>(
    places: &'a Places,
    workspaces: &[Workspace],
    held: &mut Locks<'a>,
    trial: Trial,
    progress: &Progress,
) -> Result<u64> {
    let mut forgotten = 0;
    for workspace in workspaces {
        progress.say(format!("locking the workspace {workspace}"));
        held.take(Lock::Place(&places.both, workspace.clone())).await?;
        if let (true, Some(file)) = (trial.tries_file, &places.file) {
            held.see_that_it_keeps_out(file, workspace).await?;
        }
        if trial.reads_states {
            see_that_it_fits(&places.both, workspace).await?;
        }
    }
    if trial.forgets_digests {
        for workspace in workspaces {
            forgotten += u64::from(forget_digest(&places.both, workspace).await?);
        }
    }
    Ok(forgotten)
}

/// Removes the digest of a state that we hold; true where there was one. Terraform takes a state without a digest as it is, and writes
/// one with the next state.
async fn forget_digest(state: &S3State, workspace: &Workspace) -> Result<bool> {
    let (place, spot) = (state.place(), state.spot(workspace));
    let failed = |error| refused("the digest was not removed", error);
    let Some(digest) = place.digest(&spot).await.map_err(failed)? else { return Ok(false) };
    place.replace_digest(&spot, Some(&digest), None).await.map_err(failed)?;
    Ok(true)
}

/// Refuses where a state cannot be read with the digest that stands in the table.
async fn see_that_it_fits(state: &S3State, workspace: &Workspace) -> Result<()> {
    let read = match state.place().read(&state.spot(workspace), None).await {
        Ok(Seen::Bytes(incoming)) => incoming.bytes.try_for_each(|_| future::ready(Ok(()))).await,
        Ok(Seen::Absent | Seen::Same) => Ok(()),
        Err(error) => Err(error),
    };
    read.map_err(|error| match error {
        StoreError::Corrupt { .. } => {
            let why = format!(
                "{}: its digest in the table does not fit, so Terraform refuses it: somebody applied without the table, or other bytes were put there",
                state.title(workspace)
            );
            let next = format!(
                "which of the two is right says: stateward state repair {}; then run the same command again",
                state.argument(workspace)
            );
            Error::new(Kind::Conflict, NOT_MOVED, why, next).into()
        }
        error => refused(NOT_MOVED, error),
    })
}
