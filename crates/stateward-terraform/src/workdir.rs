//! A working directory of Terraform: which backend it was initialised for, and where the `local` backend keeps its states.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, fchown};
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

    /// It was being [put aside](put_aside): its state has a name of its own already.
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
            if !to.exists() {
                self.copy_to(to)?;
            }
            if !self.is_same_as(to)? {
                return Err(io::Error::other("it was written to past the lock"));
            }
        }
        if is_mounted(path) {
            return Err(io::Error::other("it is mounted by itself, and can be neither renamed nor removed from here"));
        }
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

    /// Copies it to a name that is free: whole, or not at all.
    fn copy_to(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        // A name that is ignored where states are (`*.tfstate.*`): it may stay behind.
        let mut prefix = path.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let mut copy = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory)?;
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
        let (mut other, mut there) = (File::open(path)?, vec![0; BUFFER]);
        let found = other.metadata()?;
        if !found.is_file() || found.len() != self.file.metadata()?.len() {
            return Ok(false);
        }
        self.each_part(|part| {
            let there = there.get_mut(..part.len()).unwrap_or_default();
            other.read_exact(there).map(|()| part == there)
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

/// Gives what the `local` backend keeps at its usual place other names: `init` would ask to copy it to the next backend.
///
/// The files are copied, and those that are held emptied. A renamed file would be written to by whoever has it open and waits for the
/// lock, where nobody looks. It may be cut off anywhere, and called again.
pub fn put_aside(directory: &Path, held: &[HeldState]) -> Result<(), WorkdirError> {
    let workspaces = directory.join(WORKSPACES_DIR);
    let files = local_files(directory, None)?;
    let held = |file: &LocalState| Some((held.iter().find(|held| held.is_at(&file.path))?, file.path.clone()));
    let (mut of_workspaces, of_default): (Vec<_>, Vec<_>) =
        files.iter().filter_map(held).partition(|(_, path)| path.starts_with(&workspaces));
    if is_link(&workspaces) {
        of_workspaces.clear();
        let to = free_name(&workspaces, &[], &[])?;
        rename(&workspaces, &to).map_err(at(&workspaces))?;
    }
    // What a link leads to is somebody else's, too: the link alone gets another name.
    let links = links(&workspaces)?;
    of_workspaces.retain(|(_, path)| links.iter().all(|link| !path.starts_with(link)));
    let to = free_name(&workspaces, &of_workspaces, &links)?;
    for (held, path) in &of_workspaces {
        held.move_to(path, &renamed(path, &workspaces, &to)).map_err(at(path))?;
    }
    take_along(&workspaces, &to).map_err(at(&workspaces))?;
    // The default one comes last: while it is there, it is known that this is not done.
    for (held, path) in &of_default {
        held.move_to(path, &free_name(path, &of_default, &[])?).map_err(at(path))?;
    }
    Ok(())
}

/// The first name under which nothing else stands; what an interrupted try has copied there is the same. What is only renamed, as `links`
/// are, is not there twice.
fn free_name(root: &Path, files: &[(&HeldState, PathBuf)], links: &[PathBuf]) -> Result<PathBuf, WorkdirError> {
    let mut n = 1;
    loop {
        let mut name = root.as_os_str().to_owned();
        name.push(if n == 1 { ".migrated".to_owned() } else { format!(".migrated-{n}") });
        let name = PathBuf::from(name);
        let mut is_free = links.iter().all(|link| !is_there(&renamed(link, root, &name)));
        for (held, from) in files {
            let path = renamed(from, root, &name);
            if is_there(&path) {
                let is_copy = || Ok(!held.is_shared(from)? && (held.is_nothing()? || held.is_same_as(&path)?));
                is_free &= is_copy().map_err(|error| WorkdirError::Io { path, error })?;
            }
        }
        if is_free && (!files.is_empty() || !links.is_empty() || !is_there(&name)) {
            return Ok(name);
        }
        n += 1;
    }
}

/// Where a path leads when what it begins with has another name.
fn renamed(path: &Path, root: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(root) {
        Ok(within) if !within.as_os_str().is_empty() => to.join(within),
        _ => to.to_path_buf(),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> WorkdirError {
    move |error| WorkdirError::Io { path: path.to_path_buf(), error }
}

/// A link that leads nowhere is something, too.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match is_there(to) {
        true => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{}` is there", to.display()))),
        false => fs::rename(from, to),
    }
}

/// Whether a file is a mount of its own, as containers have them: such a one takes no second name.
fn is_mounted(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push(".stateward-link");
    match fs::hard_link(path, &name) {
        Ok(()) => fs::remove_file(&name).is_err(),
        Err(error) => error.kind() == io::ErrorKind::CrossesDevices,
    }
}

/// The links in a directory.
fn links(path: &Path) -> Result<Vec<PathBuf>, WorkdirError> {
    let links = directories(path)?.into_iter().map(|name| path.join(name));
    Ok(links.filter(|path| is_link(path)).collect())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// Takes what else lies in the directories of workspaces along, such as backups. What has a namesake there stays.
fn take_along(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() && there.is_dir() {
            take_along(&entry.path(), &there)?;
        } else if !is_there(&there) {
            match fs::rename(entry.path(), there) {
                // On a volume of its own; no states are left in it.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices && !is_link(&entry.path()) => {}
                renamed => renamed?,
            }
        }
    }
    match fs::remove_dir(from) {
        Err(error) if [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::ResourceBusy].contains(&error.kind()) => Ok(()),
        removed => removed,
    }
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

    fn hold_all(directory: &Path) -> Vec<HeldState> {
        local_files(directory, None).unwrap().iter().map(|file| file.hold().unwrap().unwrap()).collect()
    }

    #[test]
    fn what_was_put_aside_is_still_there_and_no_state_of_the_local_backend() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
        for (n, suffix) in [("1", "migrated"), ("2", "migrated-2"), ("2", "migrated-2")] {
            write(directory.path(), "terraform.tfstate", n);
            write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", n);
            write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate.backup", n);
            write(directory.path(), "terraform.tfstate.d/empty/terraform.tfstate", "");
            put_aside(directory.path(), &hold_all(directory.path())).unwrap();
            assert_eq!(read(&format!("terraform.tfstate.{suffix}")).as_deref(), Some(n));
            assert_eq!(read(&format!("terraform.tfstate.d.{suffix}/dev/terraform.tfstate")).as_deref(), Some(n));
            assert_eq!(read(&format!("terraform.tfstate.d.{suffix}/dev/terraform.tfstate.backup")).as_deref(), Some(n));
            assert!(names(directory.path(), None).is_empty());
        }
        assert!(!directory.path().join("terraform.tfstate.migrated-3").exists());
        put_aside(directory.path(), &[]).unwrap();
    }

    /// It has the file open, and goes on with it as soon as it gets the lock.
    #[test]
    fn who_waits_for_a_state_that_was_put_aside_finds_none() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "terraform.tfstate", "{}");
        let path = directory.path().join("terraform.tfstate");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let found_before = fs::metadata(&path).unwrap();
        // Opened by a descriptor of its own, which stays open: the lock stays, too.
        let waiting = File::options().read(true).write(true).open(&path).unwrap();
        let held = hold_all(directory.path());
        put_aside(directory.path(), &held).unwrap();
        let mut found = vec![0; 100];
        let read = waiting.read_at(&mut found, 0).unwrap();
        assert_eq!(&found[..read], RETIRED);
        assert!(held[0].is_retired() && !path.exists());
        let copy = fs::metadata(directory.path().join("terraform.tfstate.migrated")).unwrap();
        assert_eq!((copy.mode() & 0o777, copy.uid()), (0o600, found_before.uid()), "as it was");
    }

    #[test]
    fn putting_aside_that_was_cut_off_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
        // Copied, and emptied: torn, as a process may be killed in between.
        write(directory.path(), "terraform.tfstate.migrated", "{\"serial\":1}");
        let torn = [RETIRED, b"and the end of the state"].concat();
        write(directory.path(), "terraform.tfstate", std::str::from_utf8(&torn).unwrap());
        // Copied, and as it was.
        write(directory.path(), "terraform.tfstate.d.migrated/dev/terraform.tfstate", "{}");
        write(directory.path(), "terraform.tfstate.d/dev/terraform.tfstate", "{}");
        put_aside(directory.path(), &hold_all(directory.path())).unwrap();
        assert_eq!(read("terraform.tfstate.migrated").as_deref(), Some("{\"serial\":1}"));
        assert_eq!(read("terraform.tfstate.d.migrated/dev/terraform.tfstate").as_deref(), Some("{}"));
        assert!(local_files(directory.path(), None).unwrap().is_empty());
        assert!(!directory.path().join("terraform.tfstate.migrated-2").exists());
    }

    /// Somebody came back by a link to what was put aside, or keeps it by another name: nothing is taken from under them.
    #[test]
    fn what_others_have_by_a_link_is_only_renamed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let read = |name: &str| fs::read_to_string(at(name)).ok();
        write(directory.path(), "terraform.tfstate.migrated", "{}");
        std::os::unix::fs::symlink("terraform.tfstate.migrated", at("terraform.tfstate")).unwrap();
        write(directory.path(), "shared/dev/terraform.tfstate", "{}");
        write(directory.path(), "terraform.tfstate.d/prod/terraform.tfstate", "{}");
        write(directory.path(), "terraform.tfstate.d.migrated/dev/terraform.tfstate", "older");
        std::os::unix::fs::symlink("../shared/dev", at("terraform.tfstate.d/dev")).unwrap();
        put_aside(directory.path(), &hold_all(directory.path())).unwrap();
        assert_eq!(read("terraform.tfstate.migrated").as_deref(), Some("{}"));
        assert!(is_link(&at("terraform.tfstate.migrated-2")) && !is_there(&at("terraform.tfstate")));
        assert_eq!(read("shared/dev/terraform.tfstate").as_deref(), Some("{}"));
        assert_eq!(read("terraform.tfstate.d.migrated/dev/terraform.tfstate").as_deref(), Some("older"));
        assert_eq!(read("terraform.tfstate.d.migrated-2/dev/terraform.tfstate").as_deref(), Some("{}"));
        assert_eq!(read("terraform.tfstate.d.migrated-2/prod/terraform.tfstate").as_deref(), Some("{}"));
        assert!(!is_there(&at("terraform.tfstate.d")));
        // Two workspaces by one file.
        write(directory.path(), "terraform.tfstate.d/prod/terraform.tfstate", "{}");
        std::os::unix::fs::symlink("prod", at("terraform.tfstate.d/test")).unwrap();
        put_aside(directory.path(), &hold_all(directory.path())).unwrap();
        assert_eq!(read("terraform.tfstate.d.migrated/test/terraform.tfstate").as_deref(), Some("{}"));
        // Two names of one file.
        fs::hard_link(at("terraform.tfstate.migrated"), at("terraform.tfstate")).unwrap();
        put_aside(directory.path(), &hold_all(directory.path())).unwrap();
        assert_eq!(read("terraform.tfstate.migrated-3").as_deref(), Some("{}"));
        assert!(!is_there(&at("terraform.tfstate")));
    }

    /// Backups that share the file's bytes, and a link to where others look, too.
    #[test]
    fn a_file_with_other_names_keeps_its_state() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        write(directory.path(), "terraform.tfstate", "1");
        fs::hard_link(at("terraform.tfstate"), at("backup")).unwrap();
        write(directory.path(), "elsewhere/dev/terraform.tfstate", "2");
        std::os::unix::fs::symlink("elsewhere", at("terraform.tfstate.d")).unwrap();
        put_aside(directory.path(), &hold_all(directory.path())).unwrap();
        for (name, text) in [
            ("terraform.tfstate.migrated", "1"),
            ("backup", "1"),
            ("elsewhere/dev/terraform.tfstate", "2"),
            ("terraform.tfstate.d.migrated/dev/terraform.tfstate", "2"),
        ] {
            assert_eq!(fs::read_to_string(at(name)).unwrap(), text, "{name}");
        }
        assert!(names(directory.path(), None).is_empty());
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
