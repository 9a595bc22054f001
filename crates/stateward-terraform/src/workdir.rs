//! A working directory of Terraform: which backend it was initialised for, and where the `local` backend keeps its states.

use std::fs::{self, File};
use std::io;
use std::iter;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::Value;

/// Where Terraform keeps what `init` found out, unless `TF_DATA_DIR` says otherwise.
const DATA_DIR: &str = ".terraform";
const STATE_FILE: &str = "terraform.tfstate";
const WORKSPACES_DIR: &str = "terraform.tfstate.d";
const DEFAULT: &str = "default";

/// The backend that a directory was initialised for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// `local`, `s3`, `http`, …
    pub kind: String,
    /// Its arguments as `init` got them; what came from the environment is not among them.
    pub config: Value,
}

/// The state of one workspace in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalState {
    /// Which workspace.
    pub workspace: String,
    /// Its file.
    pub path: PathBuf,
    /// Nothing is in it: no state. A first apply that is under way holds such a file, and Terraform leaves one behind when it takes
    /// a state to another backend.
    pub is_empty: bool,
}

/// A state file that this process holds as Terraform's `local` backend does. Dropping it lets go.
#[derive(Debug)]
pub struct HeldState {
    path: PathBuf,
    file: Arc<File>,
}

impl LocalState {
    /// Takes Terraform's own lock on the file; nothing where somebody else holds it.
    ///
    /// The system takes the lock away as soon as this process closes the file, opened in whatever way: read it through [`HeldState`].
    pub fn hold(&self) -> Result<Option<HeldState>, WorkdirError> {
        let failed = |error: io::Error| WorkdirError::Io { path: self.path.clone(), error };
        let file = File::options().read(true).write(true).open(&self.path).map_err(failed)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(HeldState { path: self.path.clone(), file: Arc::new(file) })),
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// What Terraform says of who holds the file, where anybody does: its lock information.
    pub fn holder(&self) -> Option<String> {
        let name = self.path.file_name()?.to_str()?;
        fs::read_to_string(self.path.with_file_name(format!(".{name}.lock.info"))).ok()
    }
}

impl HeldState {
    /// The file, to be read at offsets.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True where another file has come in its place, or none is there any more: nobody is kept out then.
    pub fn is_replaced(&self) -> bool {
        !self.is_at(&self.path)
    }

    /// Whether a path leads to it.
    pub fn is_at(&self, path: &Path) -> bool {
        is_at(&self.file, path)
    }
}

/// Whether a path leads to an open file.
pub fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (at, open) = (fs::metadata(path).map(identity).ok(), file.metadata().map(identity).ok());
    at.is_some() && at == open
}

/// Why a directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkdirError {
    /// The system refused.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The record of the initialisation is not what Terraform writes.
    #[error("`{}` is not what `terraform init` writes: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Backend {
    /// What the directory was initialised for; nothing where it was not, or needs no backend. `data_dir` is the value of `TF_DATA_DIR`.
    pub fn of(directory: &Path, data_dir: Option<&Path>) -> Result<Option<Self>, WorkdirError> {
        #[derive(Deserialize)]
        struct Initialised {
            #[serde(default)]
            backend: Option<Recorded>,
        }
        #[derive(Deserialize)]
        struct Recorded {
            #[serde(rename = "type")]
            kind: String,
            #[serde(default)]
            config: Value,
        }
        let path = directory.join(data_dir.unwrap_or(Path::new(DATA_DIR))).join(STATE_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(WorkdirError::Io { path, error }),
        };
        let initialised: Initialised = serde_json::from_slice(&text)
            .map_err(|error| WorkdirError::Malformed { path, reason: error.to_string() })?;
        Ok(initialised.backend.map(|Recorded { kind, config }| Self { kind, config }))
    }

    /// An argument that is a text, and not empty.
    pub fn text(&self, argument: &str) -> Option<&str> {
        self.config.get(argument)?.as_str().filter(|text| !text.is_empty())
    }
}

/// The states that the `local` backend keeps for a directory, the default workspace first. Files that are empty are none.
pub fn local_states(directory: &Path, backend: Option<&Backend>) -> Result<Vec<LocalState>, WorkdirError> {
    let mut files = local_files(directory, backend)?;
    files.retain(|file| !file.is_empty);
    Ok(files)
}

/// The files of the `local` backend for a directory, empty ones too, the default workspace first.
pub fn local_files(directory: &Path, backend: Option<&Backend>) -> Result<Vec<LocalState>, WorkdirError> {
    let argument = |name, default| directory.join(backend.and_then(|backend| backend.text(name)).unwrap_or(default));
    let mut states = Vec::new();
    let mut add = |workspace: &str, path: PathBuf| match fs::metadata(&path) {
        Ok(found) => {
            if found.is_file() {
                states.push(LocalState { workspace: workspace.to_owned(), path, is_empty: found.len() == 0 });
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(WorkdirError::Io { path, error }),
    };
    add(DEFAULT, argument("path", STATE_FILE))?;
    let workspaces = argument("workspace_dir", WORKSPACES_DIR);
    for name in directories(&workspaces)? {
        add(&name, workspaces.join(&name).join(STATE_FILE))?;
    }
    Ok(states)
}

/// Gives what the `local` backend keeps at its usual place other names, which are returned: `init` would ask to copy it to the next backend.
pub fn put_aside(directory: &Path) -> Result<Vec<PathBuf>, WorkdirError> {
    let mut put = Vec::new();
    // The state comes last: while it is there, it is known that this is not done.
    for name in [WORKSPACES_DIR, STATE_FILE] {
        let path = directory.join(name);
        let is_empty_file = |found: fs::Metadata| found.is_file() && found.len() == 0;
        if !path.exists() || fs::metadata(&path).is_ok_and(is_empty_file) {
            continue;
        }
        let names = iter::once(format!("{name}.migrated")).chain((2..).map(|n| format!("{name}.migrated-{n}")));
        if let Some(free) = names.map(|name| directory.join(name)).find(|path| !path.exists()) {
            fs::rename(&path, &free).map_err(|error| WorkdirError::Io { path, error })?;
            put.push(free);
        }
    }
    Ok(put)
}

/// The names of the directories in one, sorted; none where it is not there.
fn directories(path: &Path) -> Result<Vec<String>, WorkdirError> {
    let failed = |error| WorkdirError::Io { path: path.to_path_buf(), error };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, path: &str, text: &str) {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(directory: &Path, backend: Option<&Backend>) -> Vec<(String, String)> {
        let relative = |path: &Path| path.strip_prefix(directory).unwrap().display().to_string();
        let states = local_states(directory, backend).unwrap();
        states.into_iter().map(|state| (state.workspace, relative(&state.path))).collect()
    }

    #[test]
    fn workspaces_lie_where_the_local_backend_keeps_them() {
        let directory = tempfile::tempdir().unwrap();
        assert!(names(directory.path(), None).is_empty());
        write(directory.path(), "terraform.tfstate", "{}");
        write(directory.path(), "terraform.tfstate.d/prod/terraform.tfstate", "{}");
        write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", "{}");
        write(directory.path(), "terraform.tfstate.d/empty/terraform.tfstate", "");
        write(directory.path(), "terraform.tfstate.d/none/x", "");
        let pair = |workspace: &str, path: &str| (workspace.to_owned(), path.to_owned());
        let (dev, prod) = ("terraform.tfstate.d/dev/terraform.tfstate", "terraform.tfstate.d/prod/terraform.tfstate");
        assert_eq!(
            names(directory.path(), None),
            [pair("default", "terraform.tfstate"), pair("dev", dev), pair("prod", prod)]
        );
        write(directory.path(), "state/main.json", "{}");
        write(directory.path(), "spaces/dev/terraform.tfstate", "{}");
        let config = serde_json::json!({ "path": "state/main.json", "workspace_dir": "spaces" });
        let backend = Backend { kind: "local".into(), config };
        assert_eq!(
            names(directory.path(), Some(&backend)),
            [pair("default", "state/main.json"), pair("dev", "spaces/dev/terraform.tfstate")]
        );
    }

    #[test]
    fn a_file_that_is_empty_may_be_held_and_is_no_state() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "terraform.tfstate", "");
        assert!(names(directory.path(), None).is_empty());
        let files = local_files(directory.path(), None).unwrap();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let held = file.hold().unwrap().unwrap();
        assert!(file.is_empty && !held.is_replaced());
        write(directory.path(), "other", "{}");
        fs::rename(directory.path().join("other"), &file.path).unwrap();
        assert!(held.is_replaced());
        fs::remove_file(&file.path).unwrap();
        assert!(held.is_replaced());
    }

    #[test]
    fn what_was_put_aside_is_still_there_and_no_state_of_the_local_backend() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
        for (n, suffix) in [("1", "migrated"), ("2", "migrated-2")] {
            write(directory.path(), "terraform.tfstate", n);
            write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", n);
            assert_eq!(put_aside(directory.path()).unwrap().len(), 2);
            assert_eq!(read(&format!("terraform.tfstate.{suffix}")).as_deref(), Some(n));
            assert_eq!(read(&format!("terraform.tfstate.d.{suffix}/dev/terraform.tfstate")).as_deref(), Some(n));
            assert!(names(directory.path(), None).is_empty());
        }
        assert_eq!(put_aside(directory.path()).unwrap(), Vec::<PathBuf>::new(), "there is nothing left");
    }

    #[test]
    fn the_backend_is_what_init_recorded() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Backend::of(directory.path(), None).unwrap(), None);
        let recorded = r#"{"version":3,"serial":1,"lineage":"x","backend":{"type":"http","config":{"address":"http://h/s","lock_address":null},"hash":1}}"#;
        write(directory.path(), ".terraform/terraform.tfstate", recorded);
        let backend = Backend::of(directory.path(), None).unwrap().unwrap();
        assert_eq!((backend.kind.as_str(), backend.text("address")), ("http", Some("http://h/s")));
        assert_eq!((backend.text("lock_address"), backend.text("username")), (None, None));
        write(directory.path(), "elsewhere/terraform.tfstate", r#"{"version":3}"#);
        assert_eq!(Backend::of(directory.path(), Some(Path::new("elsewhere"))).unwrap(), None);
        write(directory.path(), ".terraform/terraform.tfstate", "{");
        assert!(matches!(Backend::of(directory.path(), None), Err(WorkdirError::Malformed { .. })));
    }
}
