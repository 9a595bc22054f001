//! A working directory of Terraform: which backend it was initialised for, and where the `local` backend keeps its states.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde_json::Value;

mod aside;

pub use aside::{Aside, AsideError, is_rest};

use self::aside::rename;
use crate::mounts::Mounts;
use crate::rights::{can_rename, directory_of, is_link, is_there};

/// Where Terraform keeps what `init` found out, unless `TF_DATA_DIR` says otherwise.
const DATA_DIR: &str = ".terraform";
const STATE_FILE: &str = "terraform.tfstate";
const WORKSPACES_DIR: &str = "terraform.tfstate.d";
const DEFAULT: &str = "default";

/// What stands in a state file that was put aside, for who has it open and waits for its lock: Terraform reads no such version, and stops.
const RETIRED: &[u8] = b"{\"version\":99,\"moved_by\":\"stateward migrate\"}\n";
const BUFFER: usize = 64 << 10;

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

    /// It was being [put aside](Aside): its state has a name of its own already.
    pub fn is_retired(&self) -> bool {
        let mut head = [0; RETIRED.len()];
        self.file.read_exact_at(&mut head, 0).is_ok() && head == RETIRED
    }

    /// Moves the state that a path leads to. Who waits for its lock finds nothing to read where it was, rather than a state that is
    /// elsewhere by now.
    fn move_to(&self, path: &Path, to: &Path) -> io::Result<()> {
        if let Some(directory) = to.parent() {
            fs::create_dir_all(directory)?;
        }
        if self.is_shared(path)? {
            return rename(path, to);
        }
        if !self.is_nothing()? {
            let part = part_of(to);
            if self.is_part(&part)? {
                fs::remove_file(&part)?;
            }
            if !to.exists() {
                self.copy_to(to, &part)?;
            }
            if !self.is_same_as(to)? {
                return Err(io::Error::other("it was written to past the lock"));
            }
        }
        // Once more, now that it is about to be emptied.
        can_rename(path, &Mounts::read())?;
        self.file.write_all_at(RETIRED, 0)?;
        self.file.set_len(RETIRED.len() as u64)?;
        fs::remove_file(path)
    }

    /// By its other names it is somebody else's, too.
    fn is_shared(&self, path: &Path) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 1 || is_link(path))
    }

    /// No state is in it, or none any more.
    fn is_nothing(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0 || self.is_retired())
    }

    /// Whether a file was begun as a copy by a run that was killed: it has the first of the bytes, or all.
    fn is_part(&self, path: &Path) -> io::Result<bool> {
        let size = match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() && found.len() <= self.file.metadata()?.len() => found.len(),
            _ => return Ok(false),
        };
        self.begins_as(path, size)
    }

    /// Copies it to a name that is free: whole, or not at all.
    fn copy_to(&self, path: &Path, part: &Path) -> io::Result<()> {
        let directory = directory_of(path);
        // The next run knows what this one leaves by its name, unless that is taken by something else.
        let random = if is_there(part) { 6 } else { 0 };
        let name = part.file_name().unwrap_or_default();
        let mut copy = tempfile::Builder::new().prefix(name).rand_bytes(random).tempfile_in(directory)?;
        self.each_part(|part| copy.write_all(part).map(|()| true))?;
        let found = self.file.metadata()?;
        // Only the superuser can give it to another, and has to.
        let _is_ours = fchown(copy.as_file(), Some(found.uid()), Some(found.gid()));
        copy.as_file().set_permissions(found.permissions())?;
        copy.as_file().sync_all()?;
        copy.persist_noclobber(path)?;
        File::open(directory)?.sync_all()
    }

    /// Whether another file has the same bytes.
    fn is_same_as(&self, path: &Path) -> io::Result<bool> {
        let found = fs::metadata(path)?;
        Ok(found.is_file() && found.len() == self.file.metadata()?.len() && self.begins_as(path, found.len())?)
    }

    /// Whether so many of its bytes are those of another file.
    fn begins_as(&self, path: &Path, size: u64) -> io::Result<bool> {
        let (mut other, mut there, mut left) = (File::open(path)?, vec![0; BUFFER], size);
        self.each_part(|part| {
            let count = usize::try_from(left).map_or(part.len(), |left| left.min(part.len()));
            let there = there.get_mut(..count).unwrap_or_default();
            left -= count as u64;
            other.read_exact(there).map(|()| part.get(..count) == Some(there))
        })
    }

    /// Reads it without another descriptor, whose end would be that of the lock. `does` says whether to go on; true where it always did.
    fn each_part(&self, mut does: impl FnMut(&[u8]) -> io::Result<bool>) -> io::Result<bool> {
        let (mut buffer, mut at) = (vec![0; BUFFER], 0);
        loop {
            let read = self.file.read_at(&mut buffer, at)?;
            match buffer.get(..read) {
                Some(part) if read > 0 => {
                    if !does(part)? {
                        return Ok(false);
                    }
                }
                _ => return Ok(true),
            }
            at += read as u64;
        }
    }
}

/// What a copy is called until it is whole: ignored where states are (`*.tfstate.*`).
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
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
        let path = directory.join(data_dir.unwrap_or(Path::new(DATA_DIR))).join(STATE_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(WorkdirError::Io { path, error }),
        };
        let malformed = |reason: &str| Err(WorkdirError::Malformed { path: path.clone(), reason: reason.to_owned() });
        let noted = match serde_json::from_slice(&text) {
            Ok(Value::Object(noted)) => noted,
            Ok(_) => return malformed("it is no JSON object"),
            Err(error) => return malformed(&error.to_string()),
        };
        let backend = match noted.get("backend") {
            Some(Value::Object(backend)) => backend,
            None | Some(Value::Null) => return Ok(None),
            Some(_) => return malformed("its `backend` is no JSON object"),
        };
        let Some(kind) = backend.get("type").and_then(Value::as_str) else {
            return malformed("its `backend` has no `type`");
        };
        match backend.get("config").cloned().unwrap_or_default() {
            config @ (Value::Object(_) | Value::Null) => Ok(Some(Self { kind: kind.to_owned(), config })),
            _ => malformed("the `config` of its `backend` is no JSON object"),
        }
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
    let mut add = |workspace: &str, path: PathBuf| {
        let failed = |error| WorkdirError::Io { path: path.clone(), error };
        let Some(found) = found_at(&path).map_err(failed)? else { return Ok(()) };
        if !found.is_file() {
            return Err(failed(io::Error::other("it is where a state is looked for, and is no file")));
        }
        states.push(LocalState { workspace: workspace.to_owned(), path, is_empty: found.len() == 0 });
        Ok(())
    };
    add(DEFAULT, argument("path", STATE_FILE))?;
    let workspaces = argument("workspace_dir", WORKSPACES_DIR);
    for name in directories(&workspaces)? {
        let path = workspaces.join(&name).join(STATE_FILE);
        if name == DEFAULT && path.exists() {
            let what = "it is nobody's state: Terraform does not look here for that of the default workspace";
            return Err(WorkdirError::Io { path, error: io::Error::other(what) });
        }
        add(&name, path)?;
    }
    Ok(states)
}

/// What is there, if anything. A link that leads nowhere is not nothing: what it led to may only be away.
fn found_at(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_link(path) => {
            Err(io::Error::new(error.kind(), "it is a link that leads nowhere"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of the directories in one, sorted; none where it is not there.
fn directories(path: &Path) -> Result<Vec<String>, WorkdirError> {
    let failed = |path: &Path, error| WorkdirError::Io { path: path.to_path_buf(), error };
    if found_at(path).map_err(|error| failed(path, error))?.is_none_or(|found| !found.is_dir()) {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| failed(path, error))? {
        let entry = entry.map_err(|error| failed(path, error))?;
        let at = entry.path();
        if found_at(&at).map_err(|error| failed(&at, error))?.is_some_and(|found| found.is_dir()) {
            let name = entry.file_name().into_string();
            names.push(name.map_err(|_| failed(&at, io::Error::other("its name is no text, so no workspace's")))?);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
