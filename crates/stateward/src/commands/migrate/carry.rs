//! What is done while the locks at both ends are held.

use stateward_core::{Error, Kind, Workspace};

use super::NOT_MOVED;
use super::block::Writing;
use super::locking::{Lock, Locks, until_interrupted};
use super::source::Source;
use super::states::{Looked, Moving, judge, look};
use super::target::{Look, Target};
use super::told::{Check, Item, Status};
use crate::failure::Result;
use crate::output::progress::Progress;

/// States on their way, and the block that follows them.
pub(super) struct Carry<'a> {
    pub(super) source: &'a Source,
    pub(super) target: &'a Target,
    /// The workspaces that were seen before.
    pub(super) todo: &'a [Workspace],
    pub(super) is_declared: bool,
    pub(super) writing: Option<&'a Writing>,
    pub(super) puts_aside: bool,
}

/// What has come of it.
pub(super) struct Carried {
    pub(super) items: Vec<Item>,
    pub(super) checks: Vec<Check>,
    /// The workspaces that are at two places for sure.
    pub(super) apart: Vec<Workspace>,
    /// The workspaces whose place has two names, and is one.
    pub(super) shared: Vec<Workspace>,
}

impl<'a> Carry<'a> {
    /// Locks, looks again, brings what is not there, compares, and writes the block. The locks are given back, however it ends.
    pub(super) async fn run(&self, mut locks: Locks<'a>) -> Result<Carried> {
        let progress = Progress::work("moving");
        let taking = locks.taking();
        let carried = until_interrupted(&taking, self.under_locks(&mut locks, &progress), interrupted).await;
        let given = locks.give_back().await;
        let carried = carried?;
        given?;
        Ok(carried)
    }

    async fn under_locks(&self, locks: &mut Locks<'a>, progress: &Progress) -> Result<Carried> {
        let Self { target, is_declared, .. } = *self;
        let shared = self.lock(locks).await?;
        let before = self.look().await?;
        if let Some(refusal) = judge(&before, &mut Vec::new(), is_declared) {
            return Err(refusal.into());
        }
        let is_shared = |moving: &&Moving<'_>| shared.contains(&moving.workspace);
        if let Some(moving) = before.moving.iter().filter(is_shared).find(|moving| moving.is_new_there()) {
            return Err(share_a_lock(&moving.workspace).into());
        }
        if let Some(own) = locked(self.todo).iter().find(|workspace| !shared.contains(workspace)) {
            target.see_that_it_keeps_out(locks, own).await?;
        }
        for moving in before.moving.iter().filter(|moving| !is_shared(moving)) {
            progress.say(format!("copying the workspace {}", moving.workspace));
            target.bring(moving).await?;
        }
        self.see_that_it_stands(&before).await?;
        let checks = self.digests(&before).await?;
        self.write()?;
        let is_apart = |moving: &&Moving<'_>| moving.is_new_there() || matches!(self.source, Source::Local(_));
        let apart = before.moving.iter().filter(is_apart).map(|moving| moving.workspace.clone()).collect();
        Ok(Carried { items: before.moving.iter().map(Moving::item).collect(), checks, apart, shared })
    }

    /// Refuses where somebody wrote past the locks, or is about to.
    async fn see_that_it_stands(&self, before: &Looked<'_>) -> Result<()> {
        let now = self.source.currents().await?;
        let read = before.moving.iter().filter_map(|moving| Some((&moving.workspace, &moving.versions.last()?.sha256)));
        if !read.eq(now.iter().map(|(workspace, sha256)| (workspace, sha256))) {
            let why = "what is there was written to meanwhile, past the locks";
            let next = "see who writes there, and run the same command again";
            return Err(Error::new(Kind::Conflict, NOT_MOVED, why, next).into());
        }
        self.source.see_that_it_stands(&locked(self.todo)).await
    }

    /// Takes the locks at both ends. The workspaces for which the target shows the lock of the source: there it is one place.
    async fn lock(&self, locks: &mut Locks<'a>) -> Result<Vec<Workspace>> {
        let mut workspaces = locked(self.todo);
        let mut shared = Vec::new();
        for workspace in &workspaces {
            let Some(source) = self.source.lock(workspace) else { continue };
            locks.take(source).await?;
            if let Some(there) = self.target.held_as(workspace)
                && locks.is_ours(&there).await?
            {
                shared.push(workspace.clone());
            }
        }
        workspaces.retain(|workspace| !shared.contains(workspace));
        for lock in workspaces.iter().filter_map(|workspace| self.target.lock(workspace)) {
            locks.take(lock).await?;
        }
        Ok(shared)
    }

    /// Looks at what there is now; refuses where there is more than was seen before.
    async fn look(&self) -> Result<Looked<'a>> {
        let looked = look(self.source, self.target).await?;
        if let Some(new) = looked.moving.iter().find(|moving| !self.todo.contains(&moving.workspace)) {
            let why = format!("the workspace {} was made meanwhile", new.workspace);
            return Err(Error::new(Kind::Conflict, NOT_MOVED, why, "run the same command again").into());
        }
        Ok(looked)
    }

    async fn digests(&self, looked: &Looked<'_>) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        for Moving { workspace, versions, look, .. } in &looked.moving {
            let Some(current) = versions.last().filter(|_| !matches!(look, Look::Later(_))) else { continue };
            if let Some(table) = self.target.lacks_digest(workspace, current).await? {
                let title = format!(
                    "the workspace {workspace}: no digest of it could be written to the table {table}; Terraform takes a state without one, and writes one if it has `dynamodb:PutItem` for it"
                );
                checks.push(Check::new("digest", Status::Warn, title));
            }
        }
        Ok(checks)
    }

    fn write(&self) -> Result<()> {
        if let Some(writing) = self.writing {
            writing.write()?;
        }
        if self.puts_aside { self.source.put_aside() } else { Ok(()) }
    }
}

/// All locks that are going to be taken.
pub(super) fn all_locks<'a>(source: &'a Source, target: &'a Target, todo: &[Workspace]) -> Vec<Lock<'a>> {
    let both = |workspace: Workspace| [source.lock(&workspace), target.lock(&workspace)];
    locked(todo).into_iter().flat_map(both).flatten().collect()
}

/// The workspaces whose locks are held: where there is no state yet its first apply may begin.
fn locked(todo: &[Workspace]) -> Vec<Workspace> {
    let default = Workspace::default();
    let first = if todo.contains(&default) { None } else { Some(default) };
    todo.iter().cloned().chain(first).collect()
}

/// Two stores whose lock tables have one item for both.
fn share_a_lock(workspace: &Workspace) -> Error {
    let why = format!(
        "the workspace {workspace} has one lock at both ends, and is not at the new one: two storages share a lock table, and call their bucket and key the same"
    );
    Error::new(Kind::Conflict, NOT_MOVED, why, "give the new place another lock table, another bucket or another key")
}

fn interrupted() -> Error {
    let why = "it was interrupted; what was copied stays, and the locks are given back";
    Error::new(Kind::Unavailable, "the state was not moved", why, "run the same command again to go on")
}
