//! States to another backend.

use std::path::Path;

use stateward_client::transfer::Origin;
use stateward_core::{Error, Kind, Original, Workspace};
use stateward_terraform::Change;
use stateward_terraform::workdir::put_aside;

use super::super::Context;
use super::block::Writing;
use super::locking::{Lock, Locks};
use super::setting::{Setting, noted_s3};
use super::source::{From, Source};
use super::target::{Look, Target};
use super::told::{Answer, Check, Item, Outcome, Status};
use super::{NOT_MOVED, end, is_wanted};
use crate::cli::MigrateArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::human::counted;
use crate::output::progress::Progress;

/// A state on its way.
struct Moving<'a> {
    workspace: Workspace,
    origin: Box<dyn Origin + 'a>,
    versions: Vec<Original>,
    look: Look,
}

pub(super) async fn run(context: &Context, args: &MigrateArgs, setting: &Setting) -> Result<Exit> {
    let mut target = Target::open(context, args, setting).await?;
    let Some(from) = origin_of(setting, &target)? else { return nothing_to_do(context, setting, &target) };
    let source = Source::open(context, args, setting, from).await?;
    // The files say so already: then what stands there may have gone on since.
    let is_declared = !matches!(from, From::Declared(_)) && is_target(setting, &target)?;
    one_workspace_only(setting, &target, is_declared)?;
    let change = Change::Replace(target.block());
    let writing = match is_declared {
        true => None,
        false => Some(Writing::plan(setting, &change, args.print)?),
    };
    let progress = Progress::work("looking");
    let moving = look(&source, &target).await?;
    let mut checks = target.checks().await?;
    drop(progress);
    let refusal = judge(&moving, &mut checks, is_declared);
    checks.extend(about_source(&source, &target, setting, &moving));
    if is_declared && moving.is_empty() {
        return nothing_to_do(context, setting, &target);
    }
    // Where the block is a person's to write, the states stay where it still points.
    let puts_aside = source.is_in_the_way() && !args.print;
    let steps = steps(&moving, writing.as_ref(), &target, puts_aside);
    let items = moving.iter().map(item).collect();
    let unchanged = Answer::unchanged(source.name(setting), target.name());
    let mut plan = Answer { outcome: Outcome::Planned, checks, steps, items, ..unchanged };
    if let Some(error) = refusal {
        if !context.out.json {
            crate::output::text(&super::told::plan(&plan))?;
        }
        return Err(error.into());
    }
    // Whether somebody is at work is known before anything is asked.
    let locks = Locks::new(context, &plan.from, &plan.to);
    let of = |moving: &Moving<'_>| locks_of(&source, &target, &moving.workspace);
    let first = first_apply(&source, moving.iter().map(|moving| &moving.workspace));
    locks.look(&moving.iter().flat_map(of).chain(first).collect::<Vec<_>>()).await?;
    if !is_wanted(context, args, &plan)? {
        plan.block = writing.map(|writing| writing.told(&change));
        return end(context, &plan);
    }
    let todo: Vec<Workspace> = moving.iter().map(|moving| moving.workspace.clone()).collect();
    // Where all of it is there already, both may be one place.
    let copies = moving.iter().any(|moving| !matches!(moving.look, Look::Same));
    drop(moving);
    target.make(context).await?;
    bring_all(&source, &target, &todo, locks, is_declared).await?;
    if let Some(writing) = &writing {
        writing.write()?;
    }
    if puts_aside {
        leave(&setting.directory)?;
    }
    plan.after = target.next(setting);
    plan.after.extend(afterwards(&source, setting, &target, copies));
    plan.block = writing.map(|writing| writing.told(&change));
    plan.outcome = Outcome::Done;
    end(context, &plan)
}

fn leave(directory: &Path) -> Result<()> {
    let put = put_aside(directory).map_err(|error| {
        let next = "give them other names, so that `terraform init` does not ask to copy them";
        Failure::usage("the state files are still where they were", error.to_string(), next)
    });
    put.map(drop)
}

/// Whether the files declare the target already.
fn is_target(setting: &Setting, target: &Target) -> Result<bool> {
    let Some(declared) = setting.declared() else { return Ok(false) };
    let place = match declared.kind() {
        Some("s3") => Some(setting.declared_s3()?),
        _ => None,
    };
    Ok(target.is(declared, place.as_ref()))
}

/// Where the state is: what the files declare; or, where that is the target already, what `init` noted before. `None` where the
/// state is at the target.
fn origin_of<'a>(setting: &'a Setting, target: &Target) -> Result<Option<From<'a>>> {
    if !is_target(setting, target)? {
        return Ok(Some(setting.declared().map_or(From::Local, From::Declared)));
    }
    let Some(cached) = &setting.cached else { return Ok(Some(From::Local)) };
    let place = match cached.kind() {
        Some("s3") => Some(noted_s3(cached)?),
        _ => None,
    };
    Ok((!target.is(cached, place.as_ref())).then_some(From::Cached(cached)))
}

fn nothing_to_do(context: &Context, setting: &Setting, target: &Target) -> Result<Exit> {
    let name = target.name();
    end(context, &Answer { after: target.next(setting), ..Answer::unchanged(name.clone(), name) })
}

/// Looks at each state, where it is and where it shall be.
async fn look<'a>(source: &'a Source, target: &Target) -> Result<Vec<Moving<'a>>> {
    let mut all = Vec::new();
    for (workspace, origin) in source.origins(target.is_stateward()).await? {
        let versions: Vec<Original> = origin.versions().await?.into_iter().map(|found| found.original).collect();
        let look = target.look(&workspace, &versions).await?;
        all.push(Moving { workspace, origin, versions, look });
    }
    Ok(all)
}

/// What is to be said of each state; the first reason not to move at all.
fn judge(moving: &[Moving<'_>], checks: &mut Vec<Check>, is_declared: bool) -> Option<Error> {
    let mut refusal = None;
    for Moving { workspace, look, .. } in moving {
        let of = format!("the workspace {workspace}");
        let (status, title) = match look {
            Look::Nothing => (Status::Ok, format!("{of}: nothing is there yet")),
            Look::Same => (Status::Ok, format!("{of}: it is there already, the same to the byte")),
            Look::Part => (Status::Ok, format!("{of}: a part of its history is there already")),
            Look::Later(serial) if is_declared => {
                (Status::Ok, format!("{of}: it is there, and has gone on to serial {serial}"))
            }
            Look::Later(serial) => (Status::Fail, format!("{of}: there it has gone on to serial {serial}")),
            Look::Other(why) => (Status::Fail, format!("{of}: {why}")),
        };
        if status == Status::Fail && refusal.is_none() {
            let next = match look {
                Look::Later(_) => {
                    "somebody has moved it already, or works there: take their backend block, and `terraform init -reconfigure`"
                }
                _ => "choose a place that has nothing yet; what is there is somebody's state",
            };
            refusal = Some(Error::new(Kind::Conflict, NOT_MOVED, title.clone(), next));
        }
        checks.push(Check::new("target-empty", status, title));
    }
    refusal
}

/// Terraform does not start on an `http` backend while another workspace than the default one is selected.
fn one_workspace_only(setting: &Setting, target: &Target, is_declared: bool) -> Result<()> {
    let Some(selected) = setting.selected().filter(|_| target.is_stateward()) else { return Ok(()) };
    let why = format!(
        "the workspace {selected} is selected, and an `http` backend has none: each state there has a name of its own"
    );
    let next = match is_declared {
        true => format!("delete `{}`, and run the same command again", setting.data_dir.join("environment").display()),
        false => "run `terraform workspace select default`, and then the same command again".to_owned(),
    };
    Err(Failure::usage(NOT_MOVED, why, next))
}

fn about_source(source: &Source, target: &Target, setting: &Setting, moving: &[Moving<'_>]) -> Vec<Check> {
    let mut checks = Vec::new();
    let unlocked = match source {
        Source::Bucket(bucket) => !bucket.place().takes_locks(),
        Source::Http(_) => true,
        Source::Local { .. } | Source::Stateward { .. } => false,
    };
    if unlocked {
        let title = "nobody can be kept out where the state is: see that nobody applies meanwhile";
        checks.push(Check::new("source-lock", Status::Warn, title));
    }
    let has_others = moving.iter().any(|moving| !moving.workspace.is_default());
    if moving.is_empty() {
        checks.push(Check::new("source", Status::Warn, "there is no state yet: the block alone changes"));
    }
    if let Some(place) = setting.configuration.workspace.as_ref().filter(|_| target.is_stateward() && has_others) {
        let title = format!(
            "{place} uses `terraform.workspace`, which would be `default` everywhere: the `http` backend has no workspaces; use an input variable in its place"
        );
        checks.push(Check::new("workspace", Status::Warn, title));
    }
    checks
}

fn steps(moving: &[Moving<'_>], writing: Option<&Writing>, target: &Target, puts_aside: bool) -> Vec<String> {
    let mut steps = Vec::new();
    if !moving.is_empty() {
        steps.push("lock each state at both ends".to_owned());
    }
    for Moving { workspace, versions, look, .. } in moving {
        let Some(current) = versions.last() else { continue };
        let count = match versions.len() as u64 {
            1 => String::new(),
            count => format!(", {}", counted(count, "version")),
        };
        let what = format!("the workspace {workspace} (serial {}{count})", current.serial);
        steps.push(match look {
            Look::Same | Look::Later(_) => format!("compare {what}"),
            Look::Nothing | Look::Part | Look::Other(_) => format!("copy {what}, read it back and compare it"),
        });
    }
    if let Some(writing) = writing.filter(|writing| !writing.is_done()) {
        let kind = if target.is_stateward() { "http" } else { "s3" };
        steps.push(writing.step(&format!("`backend \"{kind}\"`")));
    }
    if puts_aside {
        steps.push(
            "give the state files names that end in `.migrated`: `init` would ask to copy them once more".to_owned(),
        );
    }
    steps
}

fn item(moving: &Moving<'_>) -> Item {
    let there = match moving.look {
        Look::Nothing => "nothing",
        Look::Same => "same",
        Look::Part => "part",
        Look::Later(_) => "later",
        Look::Other(_) => "other",
    };
    let current = moving.versions.last();
    let of = |text: fn(&Original) -> &String| current.map(text).cloned().unwrap_or_default();
    Item {
        workspace: moving.workspace.clone(),
        serial: current.map_or(0, |current| current.serial),
        lineage: of(|current| &current.lineage),
        size: current.map_or(0, |current| current.size),
        sha256: of(|current| &current.sha256),
        versions: moving.versions.len() as u64,
        there,
    }
}

/// The lock of a state that is not there yet: its first apply may be under way.
fn first_apply<'a, 'w>(source: &'a Source, mut there: impl Iterator<Item = &'w Workspace>) -> Option<Lock<'a>> {
    if there.any(Workspace::is_default) { None } else { source.lock(&Workspace::default()) }
}

fn locks_of<'a>(source: &'a Source, target: &'a Target, workspace: &Workspace) -> Vec<Lock<'a>> {
    [source.lock(workspace), target.lock(workspace)].into_iter().flatten().collect()
}

/// Under the locks: looks again, brings what is not there, and looks once more. The locks are given back, however it ends.
async fn bring_all<'a>(
    source: &'a Source,
    target: &'a Target,
    todo: &[Workspace],
    mut locks: Locks<'a>,
    is_declared: bool,
) -> Result<()> {
    let progress = Progress::work("moving");
    let moved = tokio::select! {
        moved = bring(source, target, todo, &mut locks, is_declared, &progress) => moved,
        _ = tokio::signal::ctrl_c() => Err(interrupted().into()),
    };
    let given = locks.give_back().await;
    moved?;
    Ok(given?)
}

async fn bring<'a>(
    source: &'a Source,
    target: &'a Target,
    todo: &[Workspace],
    locks: &mut Locks<'a>,
    is_declared: bool,
    progress: &Progress,
) -> Result<()> {
    for workspace in todo {
        for lock in locks_of(source, target, workspace) {
            locks.take(lock).await?;
        }
    }
    if let Some(lock) = first_apply(source, todo.iter()) {
        locks.take(lock).await?;
    }
    let moving = look(source, target).await?;
    if let Some(refusal) = judge(&moving, &mut Vec::new(), is_declared) {
        return Err(refusal.into());
    }
    if let Some(new) = moving.iter().find(|moving| !todo.contains(&moving.workspace)) {
        let why = format!("the workspace {} was made meanwhile", new.workspace);
        return Err(Error::new(Kind::Conflict, NOT_MOVED, why, "run the same command again").into());
    }
    for Moving { workspace, origin, look, .. } in &moving {
        progress.say(format!("copying the workspace {workspace}"));
        if !matches!(look, Look::Later(_)) {
            target.bring(workspace, &**origin).await?;
        }
    }
    Ok(())
}

fn interrupted() -> Error {
    let why = "it was interrupted; what was copied stays, and the locks are given back";
    Error::new(Kind::Unavailable, "the state was not moved", why, "run the same command again to go on")
}

/// What people have to do, and may do, when it is done.
fn afterwards(source: &Source, setting: &Setting, target: &Target, copies: bool) -> Vec<String> {
    let mut after =
        vec!["give everybody the new block: whoever applies with the old one writes where the state was".to_owned()];
    if let (Source::Stateward { .. }, false) = (source, target.is_stateward()) {
        after.push(
            "the old versions stay where they are: `stateward state export NAME DIR --all-versions` takes them along"
                .to_owned(),
        );
    }
    if copies {
        after.push(format!(
            "when `plan` shows no change and nobody has the old block, you may delete {}",
            source.leftovers(setting)
        ));
    }
    after
}
