//! The files of Terraform's `local` backend.

use std::path::{Path, PathBuf};

use stateward_client::transfer::Files;
use stateward_core::{Error, Kind, LockInfo, NameError, Workspace};
use stateward_terraform::Backend;
use stateward_terraform::workdir::{
    self, Aside, AsideError, HeldState, LocalState, WorkdirError, local_files, local_states,
};

use super::NOT_MOVED;
use super::locking::held;
use crate::failure::{Failure, Result};
use crate::input::Input;

/// The states in a directory, held by Terraform's own lock as long as this is there.
pub(super) struct Local {
    pub(super) files: Files,
    pub(super) workspaces: Vec<Workspace>,
    /// Their files, in the same order.
    paths: Vec<PathBuf>,
    /// Some lie where Terraform looks for them whatever the backend is.
    pub(super) is_usual: bool,
    /// The files of states that lie elsewhere.
    pub(super) elsewhere: Vec<PathBuf>,
    directory: PathBuf,
    backend: Option<workdir::Backend>,
    /// Empty files too: a first apply holds one.
    held: Vec<HeldState>,
}

impl Local {
    pub(super) fn hold(directory: &Path, backend: Option<&Backend>) -> Result<Self> {
        let backend = backend.map(as_noted);
        let usual = local_states(directory, None).map_err(|error| failed(&error))?;
        let mut files = Files::new(directory.display().to_string());
        let (mut workspaces, mut paths, mut elsewhere, mut all_held) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for state in local_files(directory, backend.as_ref()).map_err(|error| failed(&error))? {
            let held = hold(&state)?;
            // What an interrupted run has put aside is no state any more.
            if !state.is_empty && !held.is_retired() {
                let workspace: Workspace = state.workspace.parse().map_err(|error: NameError| {
                    Failure::usage(
                        NOT_MOVED,
                        format!("the workspace `{}`: {error}", state.workspace),
                        "rename it first",
                    )
                })?;
                let input = Input::of(held.file())
                    .map_err(|error| Failure::file(NOT_MOVED, &state.path, &error, "check the file"))?;
                files = files.with(workspace.clone(), None, Box::new(input));
                workspaces.push(workspace);
                paths.push(state.path.clone());
                if usual.iter().all(|usual| !held.is_at(&usual.path)) {
                    elsewhere.push(state.path);
                }
            }
            all_held.push(held);
        }
        let is_held = |state: &&LocalState| all_held.iter().any(|held| held.is_at(&state.path));
        if let Some(other) = usual.iter().find(|state| !is_held(state)) {
            return Err(is_in_the_way(&other.path));
        }
        let directory = directory.to_path_buf();
        Ok(Self {
            files,
            workspaces,
            paths,
            is_usual: !usual.is_empty(),
            elsewhere,
            directory,
            backend,
            held: all_held,
        })
    }

    /// The file of a workspace, in messages.
    pub(super) fn title(&self, workspace: &Workspace) -> String {
        let of_it = self.workspaces.iter().zip(&self.paths).find(|(of, _)| *of == workspace);
        of_it.map_or_else(|| workspace.to_string(), |(_, path)| format!("`{}`", path.display()))
    }

    /// Refuses where the files that lie where Terraform looks for them could not get other names.
    pub(super) fn can_be_put_aside(&self) -> Result<()> {
        let checked = Aside::plan(&self.directory, &self.held).and_then(|aside| aside.check());
        checked.map_err(|error| {
            let WorkdirError::Io { path, error } = &error else { return failed(&error) };
            let next = "put that right; or with `--print` the state is moved, its files stay as they are, and the block is yours to write";
            Failure::file(NOT_MOVED, path, error, next)
        })
    }

    /// Gives the files that lie where Terraform looks for them other names.
    pub(super) fn put_aside(&self) -> Result<()> {
        let aside = Aside::plan(&self.directory, &self.held).map_err(|error| failed(&error))?;
        aside.run().map_err(|error| not_all_put_aside(&error))
    }

    /// Refuses where other files have come since they were held.
    pub(super) fn see_that_it_stands(&self) -> Result<()> {
        let changed = |path: &Path, what: &str| {
            let why = format!("`{}` {what} meanwhile", path.display());
            Err(Error::new(Kind::Conflict, NOT_MOVED, why, "run the same command again").into())
        };
        if let Some(held) = self.held.iter().find(|held| held.is_replaced()) {
            return changed(held.path(), "was replaced");
        }
        let mut others = local_files(&self.directory, self.backend.as_ref()).map_err(|error| failed(&error))?;
        others.retain(|file| self.held.iter().all(|held| held.path() != file.path));
        for other in others {
            // An empty file that nobody holds is nothing.
            hold(&other)?;
            if !other.is_empty {
                return changed(&other.path, "was made");
            }
        }
        Ok(())
    }
}

/// Gives what lies beside the states of workspaces a name, too, where a run was killed between the two.
pub(super) fn put_rest_aside(directory: &Path) -> Result<()> {
    match workdir::is_rest(directory).map_err(|error| failed(&error))? {
        true => Aside::plan(directory, &[])
            .map_err(|error| failed(&error))?
            .run()
            .map_err(|error| not_all_put_aside(&error)),
        false => Ok(()),
    }
}

/// The block is written by now, and the state is at the new place.
fn not_all_put_aside(failed: &AsideError) -> Failure {
    let what = match failed.done.is_empty() && failed.emptied.is_none() {
        true => "the state is at the new place, and its files were not put aside",
        false => "the state is at the new place, and not all of its files were put aside",
    };
    let next =
        "put that right, and run the same command again, so that `terraform init` does not ask to copy what is left";
    Failure::usage(what, failed.to_string(), next)
}

/// A state that is not the backend's, where Terraform looks for one.
fn is_in_the_way(path: &Path) -> Failure {
    let why = format!(
        "`{}` is a state too, and not where the backend keeps its own: `init` would ask to copy it over the one that is moved",
        path.display()
    );
    let next = "see which of them is the state; give old files another name, and run the same command again";
    Failure::usage(NOT_MOVED, why, next)
}

fn as_noted(backend: &Backend) -> workdir::Backend {
    let texts = backend.arguments().iter().filter_map(|(name, text)| Some((name.clone(), text.clone()?.into())));
    workdir::Backend { kind: "local".to_owned(), config: serde_json::Value::Object(texts.collect()) }
}

fn hold(state: &LocalState) -> Result<HeldState> {
    if let Some(held) = state.hold().map_err(|error| failed(&error))? {
        return Ok(held);
    }
    let holder = state.holder().and_then(|raw| LockInfo::parse(raw.as_bytes()).ok()).unwrap_or_default();
    Err(held(&state.path.display().to_string(), &holder, None).into())
}

fn failed(error: &WorkdirError) -> Failure {
    Failure::usage(NOT_MOVED, error.to_string(), "check the directory, and that you may read and write its states")
}
