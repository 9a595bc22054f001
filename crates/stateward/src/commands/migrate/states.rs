//! States to another backend.

use stateward_client::transfer::Origin;
use stateward_core::{Error, Kind, Original, Workspace};
use stateward_terraform::{Change, Written};

use super::super::Context;
use super::super::terraform_state::noted_target;
use super::block::Writing;
use super::carry::{Carried, Carry, all_locks};
use super::local;
use super::locking::{Lock, Locks};
use super::setting::{LOCKS, Setting};
use super::source::{Coming, From, Source};
use super::target::{Look, Target};
use super::told::{Answer, Check, Item, Outcome, Status};
use super::{NOT_MOVED, end, is_wanted};
use crate::cli::MigrateArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::human::counted;
use crate::output::progress::Progress;

/// What Terraform writes where it cannot store a state.
const UNSAVED: &str = "errored.tfstate";

/// A state on its way.
pub(super) struct Moving<'a> {
    pub(super) workspace: Workspace,
    pub(super) origin: Box<dyn Origin + 'a>,
    pub(super) versions: Vec<Original>,
    left_out: u64,
    unseen: Option<String>,
    pub(super) look: Look,
}

/// What was found at both ends.
pub(super) struct Looked<'a> {
    pub(super) moving: Vec<Moving<'a>>,
    /// The workspaces at the target that are not where the states come from.
    others: Vec<Workspace>,
}

pub(super) async fn run(context: &Context, args: &MigrateArgs, setting: &Setting) -> Result<Exit> {
    let mut target = Target::open(context, args, setting).await?;
    let Some((from, is_declared)) = origin_of(setting, &target)? else {
        return nothing_to_do(context, args, setting, &target).await;
    };
    let source = match Source::open(context, args, setting, from).await {
        // It has been moved already, as the block says, or where the block does not say which store it means.
        Err(Failure::Refused(error))
            if matches!(error.kind(), Kind::NotFound | Kind::NoPlace)
                && (is_declared || setting.whole().is_some_and(|backend| target.may_be_another(backend)))
                && !target.workspaces().await?.is_empty() =>
        {
            return nothing_to_do(context, args, setting, &target).await;
        }
        source => source?,
    };
    one_workspace_only(setting, &target, is_declared)?;
    let written = target.block();
    let change = Change::Replace(written.clone());
    let writing = if is_declared { None } else { Some(writing(args, setting, &change)?) };
    // Where the block is a person's to write, the states stay where it still points.
    let puts_aside = source.is_in_the_way() && !args.print;
    can_be_written(context, setting, &source, &target, puts_aside)?;
    let progress = Progress::work("looking");
    let looked = look(&source, &target).await?;
    let mut checks = target.checks().await?;
    drop(progress);
    let refusal = judge(&looked, &mut checks, is_declared);
    checks.extend(about_source(&source, &target, setting, &looked.moving));
    checks.extend(about_block(setting, &written).filter(|_| !is_declared));
    if is_declared && looked.moving.is_empty() {
        if puts_aside && !args.dry_run {
            source.put_aside()?;
        }
        return nothing_to_do(context, args, setting, &target).await;
    }
    let steps = steps(&looked.moving, writing.as_ref(), &target, puts_aside);
    let items = looked.moving.iter().map(Moving::item).collect();
    let unchanged = Answer::unchanged(source.name(setting), target.name());
    let mut plan = Answer { outcome: Outcome::Planned, checks, steps, items, ..unchanged };
    if let Some(error) = refusal {
        return refuse(context, &plan, error);
    }
    let todo: Vec<Workspace> = looked.moving.iter().map(|moving| moving.workspace.clone()).collect();
    drop(looked);
    let locks = |to: &str| Locks::new(context, setting, to);
    // Whether somebody is at work is known before anything is asked.
    locks(&plan.to).look(&all_locks(&source, &target, &todo)).await?;
    if !is_wanted(context, args, &plan)? {
        plan.block = writing.map(|writing| writing.told(&change));
        return end(context, &plan);
    }
    let mut held = locks(&plan.to);
    let left = begin(context, &mut held, &source, &mut target, &todo).await?;
    let carry =
        Carry { source: &source, target: &target, todo: &todo, is_declared, writing: writing.as_ref(), puts_aside };
    let Carried { items, checks, apart, shared } = carry.run(held).await?;
    plan.items = items;
    plan.after = target.next(setting, !todo.is_empty());
    let checks: Vec<Check> = left.into_iter().chain(checks).collect();
    plan.after.extend(checks.iter().map(|check| check.title.clone()));
    plan.after.extend(afterwards(&source, setting, &target, &apart, &shared, &todo));
    plan.checks.extend(checks);
    plan.block = writing.map(|writing| writing.told(&change));
    plan.outcome = Outcome::Done;
    end(context, &plan)
}

/// Refuses where what is going to be written here could not be: known before anything is copied or locked.
fn can_be_written(
    context: &Context,
    setting: &Setting,
    source: &Source,
    target: &Target,
    puts_aside: bool,
) -> Result<()> {
    if puts_aside {
        source.can_be_put_aside()?;
    }
    Ok(Locks::new(context, setting, &target.name()).can_be_noted()?)
}

/// From now on no other run in this directory is at work. What earlier ones left is given back, and the store is made.
async fn begin(
    context: &Context,
    held: &mut Locks<'_>,
    source: &Source,
    target: &mut Target,
    todo: &[Workspace],
) -> Result<Vec<Check>> {
    let left = held.begin(context, &all_locks(source, target, todo)).await?;
    target.make(context).await?;
    Ok(left)
}

/// How the block gets into the files. One whose place is said elsewhere may serve others, who would get the new place with it.
fn writing(args: &MigrateArgs, setting: &Setting, change: &Change) -> Result<Writing> {
    let writing = Writing::plan(setting, change, args.print)?;
    match setting.elsewhere() {
        elsewhere if !elsewhere.is_empty() && !args.print && !writing.is_done() => {
            let why = format!(
                "{}: whoever uses these files with other values would get the new place, too",
                said_elsewhere(&elsewhere)
            );
            let next = "run it with `--print`: the state is moved, and what the block says is printed, for you to put where those values come from";
            Err(Failure::usage(NOT_MOVED, why, next))
        }
        _ => Ok(writing),
    }
}

fn said_elsewhere(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let verb = if names.len() == 1 { "comes" } else { "come" };
    format!("{} {verb} from `-backend-config` or the environment, and not from the block", names.join(" and "))
}

/// Says why nothing is moved, below what was found.
fn refuse(context: &Context, plan: &Answer, error: Error) -> Result<Exit> {
    if !context.out.json {
        crate::output::text(&super::told::plan(plan))?;
    }
    Err(error.into())
}

/// Whether the files declare the target already.
fn is_target(setting: &Setting, target: &Target) -> Result<bool> {
    let Some(declared) = setting.whole() else { return Ok(false) };
    let place = match declared.kind() {
        Some("s3") => Some(setting.declared_s3()?),
        _ => None,
    };
    Ok(target.is(declared, place.as_ref()))
}

/// Where the state is, and whether the files name the target already: what the files declare; or, where that is the target, what
/// `init` noted before. `None` where the state is at the target.
fn origin_of<'a>(setting: &'a Setting, target: &Target) -> Result<Option<(From<'a>, bool)>> {
    let declared = setting.whole().map_or(From::Local, From::Declared);
    if !is_target(setting, target)? {
        setting.agrees()?;
        return Ok(Some((declared, false)));
    }
    let may_be_another = setting.whole().is_some_and(|backend| target.may_be_another(backend));
    let Some(cached) = &setting.cached else {
        let is_another = may_be_another && !setting.has_local_states();
        return Ok(Some(if is_another { (declared, false) } else { (From::Local, true) }));
    };
    let place = match cached.kind() {
        Some("s3") => Some(noted_target(setting.given.clone(), cached, NOT_MOVED)?),
        _ => None,
    };
    Ok(match target.is(cached, place.as_ref()) || target.may_be_another(cached) {
        false => Some((From::Cached(cached), true)),
        true => may_be_another.then_some((declared, false)),
    })
}

/// The state is at the target. What an earlier run left is cleared away: locks are given back, and what lies beside state files comes to them.
async fn nothing_to_do(context: &Context, args: &MigrateArgs, setting: &Setting, target: &Target) -> Result<Exit> {
    let name = target.name();
    let mut locks = Locks::new(context, setting, &name);
    let mut checks = Vec::new();
    if locks.were_cut_off() && !args.dry_run {
        if !args.print {
            local::put_rest_aside(&setting.directory)?;
        }
        let were_left = locks.were_left();
        let mut workspaces = target.workspaces().await?;
        workspaces.push(Workspace::default());
        let known: Vec<Lock<'_>> = workspaces.iter().filter_map(|workspace| target.held_as(workspace)).collect();
        match locks.begin(context, &known).await {
            Ok(told) => {
                checks = told;
                locks.give_back().await?;
            }
            // A note without locks is in nobody's way.
            Err(_) if !were_left => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut after = target.next(setting, true);
    after.extend(checks.iter().map(|check| check.title.clone()));
    if setting.whole().is_some_and(|backend| backend.kind() == Some("s3")) {
        after.extend(target.other_lock(&setting.declared_s3()?));
    }
    end(context, &Answer { checks, after, ..Answer::unchanged(name.clone(), name) })
}

/// Looks at each state, where it is and where it shall be.
pub(super) async fn look<'a>(source: &'a Source, target: &Target) -> Result<Looked<'a>> {
    let mut moving = Vec::new();
    for Coming { workspace, origin, left_out, unseen } in source.origins(target.is_stateward()).await? {
        let versions: Vec<Original> = origin.versions().await?.into_iter().map(|found| found.original).collect();
        if let Some(current) = versions.last() {
            source.see_that_it_fits(&workspace, current).await?;
        }
        let look = target.look(&workspace, &versions).await?;
        moving.push(Moving { workspace, origin, versions, left_out, unseen, look });
    }
    let mut others = target.workspaces().await?;
    others.retain(|other| moving.iter().all(|moving| moving.workspace != *other));
    Ok(Looked { moving, others })
}

/// What is to be said of each state; the first reason not to move at all.
pub(super) fn judge(looked: &Looked<'_>, checks: &mut Vec<Check>, is_declared: bool) -> Option<Error> {
    const CHOOSE: &str = "choose a place that has nothing yet; what is there is somebody's state";
    let mut refusal = None;
    let mut say = |status, title: String, next: &'static str| {
        if status == Status::Fail && refusal.is_none() {
            refusal = Some(Error::new(Kind::Conflict, NOT_MOVED, title.clone(), next));
        }
        checks.push(Check::new("target-empty", status, title));
    };
    for Moving { workspace, look, .. } in &looked.moving {
        let of = format!("the workspace {workspace}");
        match look {
            Look::Nothing => say(Status::Ok, format!("{of}: nothing is there yet"), CHOOSE),
            Look::Same => say(Status::Ok, format!("{of}: it is there already, the same to the byte"), CHOOSE),
            Look::Current => {
                say(Status::Ok, format!("{of}: it is there already, with a history of its own, which stays"), CHOOSE);
            }
            Look::Part => say(Status::Ok, format!("{of}: a part of its history is there already"), CHOOSE),
            Look::Later(serial) if is_declared => {
                say(Status::Ok, format!("{of}: it is there, and has gone on to serial {serial}"), CHOOSE);
            }
            Look::Later(serial) => {
                let next = "somebody has moved it already, or works there: take their backend block, and `terraform init -reconfigure`";
                say(Status::Fail, format!("{of}: there it has gone on to serial {serial}"), next);
            }
            Look::Other(why) => say(Status::Fail, format!("{of}: {why}"), CHOOSE),
        }
    }
    for other in &looked.others {
        let of = format!("the workspace {other}");
        let (status, what) = match is_declared {
            true => (Status::Ok, "it was made at the new place"),
            false => (Status::Fail, "a state is there that is not where the others come from"),
        };
        say(status, format!("{of}: {what}"), CHOOSE);
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
        Source::Local(_) | Source::Stateward { .. } => false,
    };
    if unlocked {
        let title = "nobody can be kept out where the state is: see that nobody applies meanwhile";
        checks.push(Check::new("source-lock", Status::Warn, title));
    }
    for moving in moving.iter().filter(|moving| moving.left_out > 0) {
        let count = counted(moving.left_out, "old version");
        let title = format!(
            "the workspace {}: {count} in the bucket cannot be read as states, and stay there",
            moving.workspace
        );
        checks.push(Check::new("versions", Status::Warn, title));
    }
    for (workspace, why) in moving.iter().filter_map(|moving| Some((&moving.workspace, moving.unseen.as_ref()?))) {
        let title = format!(
            "the workspace {workspace}: its current version goes alone, and old ones stay in the bucket, which cannot be read ({why})"
        );
        checks.push(Check::new("versions", Status::Warn, title));
    }
    if setting.directory.join(UNSAVED).exists() {
        let title = format!(
            "`{UNSAVED}` lies here: a state that could not be stored; if it is later than the one that is moved, run `terraform state push {UNSAVED}` first"
        );
        checks.push(Check::new("unsaved", Status::Warn, title));
    }
    if let Some(name) = setting.selected_by_variable().filter(|_| target.is_stateward()) {
        let title = format!(
            "`TF_WORKSPACE` is `{name}`: unset it, since Terraform does not start with it on an `http` backend, which has no workspaces"
        );
        checks.push(Check::new("workspace", Status::Warn, title));
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

/// What the old block says, and the new one does not.
fn about_block(setting: &Setting, written: &Written) -> Option<Check> {
    let elsewhere = setting.elsewhere();
    if !elsewhere.is_empty() {
        let title = format!(
            "{}: put the new values there, and take out what the new backend does not know, in pipelines and `TF_CLI_ARGS_init`, too",
            said_elsewhere(&elsewhere)
        );
        return Some(Check::new("block", Status::Warn, title));
    }
    let declared = setting.declared().filter(|declared| declared.kind() == Some(written.kind.as_str()))?;
    let is_kept = |name: &String| {
        let first = name.split('.').next().unwrap_or(name);
        LOCKS.contains(&first) || written.arguments.iter().any(|(kept, _)| kept == first)
    };
    let lost: Vec<String> =
        declared.arguments().keys().filter(|name| !is_kept(name)).map(|name| format!("`{name}`")).collect();
    if lost.is_empty() {
        return None;
    }
    let title = format!(
        "the block has {}, which the new one will not have: what is to stay goes into the URL, as `&NAME=VALUE`",
        lost.join(", ")
    );
    Some(Check::new("block", Status::Warn, title))
}

fn steps(moving: &[Moving<'_>], writing: Option<&Writing>, target: &Target, puts_aside: bool) -> Vec<String> {
    let mut steps = Vec::new();
    if target.is_to_be_made() {
        steps.push(format!("make the store of {}", target.name()));
    }
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
            Look::Same | Look::Current | Look::Later(_) => format!("compare {what}"),
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

impl Moving<'_> {
    /// It is not at the target: so the target is no other name of where it is.
    pub(super) fn is_new_there(&self) -> bool {
        matches!(self.look, Look::Nothing)
    }

    pub(super) fn item(&self) -> Item {
        let there = match self.look {
            Look::Nothing => "nothing",
            Look::Same | Look::Current => "same",
            Look::Part => "part",
            Look::Later(_) => "later",
            Look::Other(_) => "other",
        };
        let current = self.versions.last();
        let of = |text: fn(&Original) -> &String| current.map(text).cloned().unwrap_or_default();
        Item {
            workspace: self.workspace.clone(),
            serial: current.map_or(0, |current| current.serial),
            lineage: of(|current| &current.lineage),
            size: current.map_or(0, |current| current.size),
            sha256: of(|current| &current.sha256),
            versions: self.versions.len() as u64,
            there,
        }
    }
}

/// What people have to do, and may do, when it is done.
fn afterwards(
    source: &Source,
    setting: &Setting,
    target: &Target,
    apart: &[Workspace],
    shared: &[Workspace],
    moved: &[Workspace],
) -> Vec<String> {
    const ONE: &str = "both names mean one place: nothing was copied, and nothing there may be deleted";
    let is_one = |workspace: &Workspace| shared.contains(workspace);
    if !shared.is_empty() && moved.iter().all(is_one) {
        return vec![ONE.to_owned()];
    }
    let mut after = vec![
        "give everybody the new block: whoever applies with the old one writes where the state was".to_owned(),
        "tell the new place to who reads this state by `terraform_remote_state`".to_owned(),
    ];
    if let (Source::Stateward { .. }, false) = (source, target.is_stateward()) {
        after.push(
            "the old versions stay where they are: `stateward state export NAME DIR --all-versions` takes them along"
                .to_owned(),
        );
    }
    if !apart.is_empty() {
        after.push(format!(
            "when `plan` shows no change and nobody has the old block, you may delete {}",
            source.leftovers(setting, apart)
        ));
    }
    for workspace in moved.iter().filter(|workspace| !apart.contains(workspace)) {
        after.push(match is_one(workspace) {
            true => format!("the workspace {workspace}: {ONE}"),
            false => format!("the workspace {workspace} was there before: see that these are two places before you delete anything of it"),
        });
    }
    after
}
