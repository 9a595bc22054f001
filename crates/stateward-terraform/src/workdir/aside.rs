//! Putting the files of the `local` backend aside: `init` would ask to copy them to the next backend.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{HeldState, WORKSPACES_DIR, WorkdirError, directories, local_files};
use crate::mounts::Mounts;
use crate::rights::{can_make_in, can_rename, directory_of, is_link, is_there};

/// What an earlier version gave a file as a second name for a moment, to see whether it may have one.
const SECOND_NAME: &str = ".stateward-link";

/// What becomes of the files that the `local` backend keeps at its usual place. Worked out before anything is done.
///
/// The files are copied, and those that are held emptied. A renamed file would be written to by whoever has it open and waits for the
/// lock, where nobody looks. It may be cut off anywhere, and be begun anew.
#[derive(Debug)]
pub struct Aside<'a> {
    moves: Vec<Move<'a>>,
    /// The directory of the workspaces, and the one into which what else lies in it comes.
    rest: Option<(PathBuf, PathBuf)>,
    mounts: Mounts,
}

/// One of them.
#[derive(Debug)]
struct Move<'a> {
    /// `None` for a link to a directory.
    held: Option<&'a HeldState>,
    from: PathBuf,
    to: PathBuf,
}

/// Not all files could be put aside.
#[derive(Debug, thiserror::Error)]
#[error("{}", told(self))]
pub struct AsideError {
    /// Those that were, and their new names.
    pub done: Vec<(PathBuf, PathBuf)>,
    /// One that stays, without its state, which has a name of its own.
    pub emptied: Option<(PathBuf, PathBuf)>,
    /// Those that are as they were.
    pub left: Vec<PathBuf>,
    /// Where it stopped.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

fn told(AsideError { done, emptied, left, path, error }: &AsideError) -> String {
    let pair = |(from, to): &(PathBuf, PathBuf)| format!("`{}` is now `{}`", from.display(), to.display());
    let emptied = emptied.iter().map(|(from, to)| {
        format!("`{}` was emptied and is still there, and its state is now in `{}`", from.display(), to.display())
    });
    let left = left.iter().map(|path| format!("`{}` is as it was", path.display()));
    let parts: Vec<String> = done.iter().map(pair).chain(emptied).chain(left).collect();
    let parts = if parts.is_empty() { String::new() } else { format!("; {}", parts.join("; ")) };
    format!("`{}`: {error}{parts}", path.display())
}

impl<'a> Aside<'a> {
    /// Works out the new names. Files that are not held stay.
    pub fn plan(directory: &Path, held: &'a [HeldState]) -> Result<Self, WorkdirError> {
        Self::with(directory, held, Mounts::read())
    }

    pub(super) fn with(directory: &Path, held: &'a [HeldState], mounts: Mounts) -> Result<Self, WorkdirError> {
        let workspaces = directory.join(WORKSPACES_DIR);
        let files = local_files(directory, None)?;
        let held = |path: PathBuf| Some((held.iter().find(|held| held.is_at(&path))?, path));
        let (of_workspaces, of_default): (Vec<_>, Vec<_>) =
            files.into_iter().filter_map(|file| held(file.path)).partition(|(_, path)| path.starts_with(&workspaces));
        let mut aside = Self { moves: Vec::new(), rest: None, mounts };
        if is_link(&workspaces) {
            let to = free_name(&workspaces, &[], &[])?;
            aside.moves.push(Move { held: None, from: workspaces, to });
        } else {
            aside.add_workspaces(directory, workspaces, of_workspaces)?;
        }
        // The default one comes last: while it is there, it is known that this is not done.
        for (held, from) in of_default {
            aside.add_beside(held, from)?;
        }
        Ok(aside)
    }

    fn add_workspaces(
        &mut self,
        directory: &Path,
        workspaces: PathBuf,
        files: Vec<(&'a HeldState, PathBuf)>,
    ) -> Result<(), WorkdirError> {
        // What a link leads to is somebody else's, too: the link alone gets another name.
        let links = links(&workspaces)?;
        let is_linked = |path: &Path| links.iter().any(|link| path.starts_with(link));
        let files = files.into_iter().filter(|(_, path)| !is_linked(path));
        // What lies on a volume stays there: the directory around it may go with its container.
        let (apart, files): (Vec<_>, Vec<_>) =
            files.partition(|(_, path)| self.mounts.is_apart(directory_of(path), directory));
        for (held, from) in apart {
            self.add_beside(held, from)?;
        }
        let to = match files.is_empty() && links.is_empty() {
            true => name_of_rest(&workspaces)?,
            false => free_name(&workspaces, &files, &links)?,
        };
        let links = links.into_iter().map(|from| (None, from));
        for (held, from) in files.into_iter().map(|(held, from)| (Some(held), from)).chain(links) {
            let to = renamed(&from, &workspaces, &to);
            self.moves.push(Move { held, from, to });
        }
        if !self.mounts.is_mount(&workspaces) {
            self.rest = Some((workspaces, to));
        }
        Ok(())
    }

    /// It gets a name in its own directory.
    fn add_beside(&mut self, held: &'a HeldState, from: PathBuf) -> Result<(), WorkdirError> {
        let to = free_name(&from, &[(held, from.clone())], &[])?;
        self.moves.push(Move { held: Some(held), from, to });
        Ok(())
    }

    /// Refuses what could not be done, as far as that can be known before.
    pub fn check(&self) -> Result<(), WorkdirError> {
        for one in &self.moves {
            one.check(&self.mounts).map_err(|error| WorkdirError::Io { path: one.from.clone(), error })?;
        }
        Ok(())
    }

    /// Does it.
    pub fn run(self) -> Result<(), Box<AsideError>> {
        let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut moves = self.moves.into_iter();
        while let Some(one) = moves.next() {
            if let Err(error) = one.run() {
                let (mut emptied, mut left) = (None, vec![one.from.clone()]);
                if one.is_emptied() {
                    emptied = left.pop().map(|from| (from, one.to.clone()));
                }
                let path = one.from;
                left.extend(moves.map(|one| one.from));
                return Err(Box::new(AsideError { done, emptied, left, path, error }));
            }
            done.push((one.from, one.to));
        }
        let Some((from, to)) = &self.rest else { return Ok(()) };
        take_along(from, to, &self.mounts)
            .map_err(|error| Box::new(AsideError { done, emptied: None, left: Vec::new(), path: from.clone(), error }))
    }
}

impl Move<'_> {
    fn check(&self, mounts: &Mounts) -> io::Result<()> {
        can_rename(&self.from, mounts)?;
        let into = directory_of(&self.to);
        can_make_in(into)?;
        let is_renamed = match self.held {
            Some(held) => held.is_shared(&self.from)?,
            None => true,
        };
        let apart =
            |path: &Path| path.ancestors().skip(1).find(|within| mounts.is_mount(within)).map(Path::to_path_buf);
        if is_renamed && apart(&self.from) != apart(&self.to) {
            let what = format!("it is a link on a mount of its own, and cannot be renamed into `{}`", into.display());
            return Err(io::Error::new(io::ErrorKind::CrossesDevices, what));
        }
        Ok(())
    }

    fn run(&self) -> io::Result<()> {
        match self.held {
            Some(held) => {
                remove_second_name(held, &self.from)?;
                held.move_to(&self.from, &self.to)
            }
            None => {
                fs::create_dir_all(directory_of(&self.to))?;
                rename(&self.from, &self.to)
            }
        }
    }

    /// Its state is in the copy alone.
    fn is_emptied(&self) -> bool {
        self.held.is_some_and(HeldState::is_retired)
    }
}

/// A run that was killed may have left it. With it the file would be taken for somebody else's, too.
fn remove_second_name(held: &HeldState, path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(SECOND_NAME);
    let name = PathBuf::from(name);
    if !is_link(&name) && held.is_at(&name) { fs::remove_file(name) } else { Ok(()) }
}

/// The first name under which nothing else stands; what an interrupted try has copied there is the same. What is only renamed, as `links`
/// are, is not there twice.
fn free_name(root: &Path, files: &[(&HeldState, PathBuf)], links: &[PathBuf]) -> Result<PathBuf, WorkdirError> {
    let mut n = 1;
    loop {
        let name = numbered(root, n);
        let mut is_free = links.iter().all(|link| {
            let path = renamed(link, root, &name);
            !is_there(&path) && is_open(&path, &name)
        });
        for (held, from) in files {
            let path = renamed(from, root, &name);
            is_free &= is_open(&path, &name);
            if is_free && is_there(&path) {
                // What a link leads to is no copy of ours.
                let is_copy = || {
                    Ok(!is_link(&path) && !held.is_shared(from)? && (held.is_nothing()? || held.is_same_as(&path)?))
                };
                is_free = is_copy().map_err(|error| WorkdirError::Io { path, error })?;
            }
        }
        if is_free && (!files.is_empty() || !links.is_empty() || !is_there(&name)) {
            return Ok(name);
        }
        n += 1;
    }
}

/// Whether the directory of the workspaces has no states, and some of it has been put aside.
pub fn is_rest(directory: &Path) -> Result<bool, WorkdirError> {
    let workspaces = directory.join(WORKSPACES_DIR);
    let is_there = workspaces.is_dir() && !is_link(&workspaces) && numbered(&workspaces, 1).is_dir();
    Ok(is_there && local_files(directory, None)?.iter().all(|file| !file.path.starts_with(&workspaces)))
}

/// The name for what lies beside states that are all put aside: the one that they have got, where all of it has room there.
fn name_of_rest(root: &Path) -> Result<PathBuf, WorkdirError> {
    let there = (1..u32::MAX).map(|n| numbered(root, n)).take_while(|name| is_there(name)).last();
    let failed = |error| WorkdirError::Io { path: root.to_path_buf(), error };
    match there {
        Some(name) if root.is_dir() && has_room(root, &name).map_err(failed)? => Ok(name),
        _ => free_name(root, &[], &[]),
    }
}

/// Whether all of a directory could come into another one that is there, beside what that has.
fn has_room(from: &Path, to: &Path) -> io::Result<bool> {
    if is_link(to) || !to.is_dir() {
        return Ok(false);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        let is_free = !is_there(&there) || entry.file_type()?.is_dir() && has_room(&entry.path(), &there)?;
        if !is_free {
            return Ok(false);
        }
    }
    Ok(true)
}

fn numbered(root: &Path, n: u32) -> PathBuf {
    let mut name = root.as_os_str().to_owned();
    name.push(if n == 1 { ".migrated".to_owned() } else { format!(".migrated-{n}") });
    PathBuf::from(name)
}

/// Whether a path below a name leads through no links and no files: whatever comes there lies there.
fn is_open(path: &Path, name: &Path) -> bool {
    let between = path.ancestors().skip(1).take_while(|within| within.starts_with(name));
    between.into_iter().all(|within| fs::symlink_metadata(within).map_or(true, |found| found.is_dir()))
}

/// Where a path leads when what it begins with has another name.
fn renamed(path: &Path, root: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(root) {
        Ok(within) if !within.as_os_str().is_empty() => to.join(within),
        _ => to.to_path_buf(),
    }
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match is_there(to) {
        true => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{}` is there", to.display()))),
        false => fs::rename(from, to),
    }
}

/// The links in a directory.
fn links(path: &Path) -> Result<Vec<PathBuf>, WorkdirError> {
    let links = directories(path)?.into_iter().map(|name| path.join(name));
    Ok(links.filter(|path| is_link(path)).collect())
}

/// Takes what else lies in the directories of workspaces along, such as backups. What has a namesake there stays, and what is, or is on, a
/// volume of its own; no states are left in it.
fn take_along(from: &Path, to: &Path, mounts: &Mounts) -> io::Result<()> {
    const STAYS: [io::ErrorKind; 3] =
        [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::ResourceBusy, io::ErrorKind::CrossesDevices];
    let stays = |done: io::Result<()>| match done {
        Err(error) if STAYS.contains(&error.kind()) => Ok(()),
        done => done,
    };
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if mounts.is_mount(&entry.path()) {
            continue;
        }
        if entry.file_type()?.is_dir() && there.is_dir() {
            take_along(&entry.path(), &there, mounts)?;
        } else if !is_there(&there) {
            stays(fs::rename(entry.path(), there))?;
        }
    }
    stays(fs::remove_dir(from))?;
    // Nothing came into it.
    let _has_some = fs::remove_dir(to);
    Ok(())
}
