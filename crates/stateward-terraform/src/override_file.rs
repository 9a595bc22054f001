//! The override file: for the time of a run it puts `backend "http" {}` in the place of whatever backend a configuration declares.
//!
//! Each run that needs the file holds a shared lock on it, which the system ends with the run, however that ends. So a file that
//! nobody has locked is left over from a run that could not clean up, and two runs in one directory share one file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The file's name in the configuration's directory.
pub(crate) const NAME: &str = "stateward_override.tf";

/// All of the file. What is another text is not ours, and is never touched.
pub(crate) const TEXT: &str = "\
# Made by `stateward run --override` for the time of a run, and removed by it. If no run is under way here, remove it.
terraform {
  backend \"http\" {}
}
";

/// Times that a file is looked at which others are just making or removing.
const TRIES: u32 = 50;
const REST: Duration = Duration::from_millis(20);

/// Whether a text is that of our file.
pub(crate) fn is_ours(text: &str) -> bool {
    text == TEXT
}

/// The override file of a run. Dropping it removes the file, unless another run still needs it.
#[derive(Debug)]
pub struct OverrideFile {
    path: PathBuf,
    file: File,
}

/// Why there is no override file.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// A file of that name is there, and it is not ours.
    #[error("`{}` is there already, and is not a file of stateward's", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OverrideFile {
    /// Its name in the configuration's directory.
    pub const NAME: &str = NAME;

    /// Puts the file into a directory, or takes over one that is ours.
    pub fn put(directory: &Path) -> Result<Self, OverrideError> {
        let path = directory.join(NAME);
        let failed = |source| OverrideError::Io { path: path.clone(), source };
        for _ in 0..TRIES {
            if let Some(file) = make(directory, &path).map_err(failed)? {
                return Ok(Self { path, file });
            }
            match open_ours(&path).map_err(failed)? {
                Found::Nothing => {}
                Found::Foreign => return Err(OverrideError::Foreign { path }),
                // Whoever locks it alone is about to remove it.
                Found::Ours(file) => {
                    if file.try_lock_shared().is_ok() && is_at(&file, &path).map_err(failed)? {
                        return Ok(Self { path, file });
                    }
                }
            }
            thread::sleep(REST);
        }
        Err(failed(io::ErrorKind::WouldBlock.into()))
    }

    /// Removes a file of ours that no run needs any more: its run was killed. True where there was one.
    pub fn sweep(directory: &Path) -> io::Result<bool> {
        let path = directory.join(NAME);
        match open_ours(&path)? {
            Found::Ours(file) => remove_unless_needed(&file, &path),
            Found::Foreign | Found::Nothing => Ok(false),
        }
    }
}

impl Drop for OverrideFile {
    fn drop(&mut self) {
        if let Err(error) = remove_unless_needed(&self.file, &self.path) {
            tracing::warn!(file = %self.path.display(), %error, "the override file could not be removed: remove it by hand");
        }
    }
}

/// Makes the file whole, with its lock on it, or not at all; `None` where there is one.
fn make(directory: &Path, path: &Path) -> io::Result<Option<File>> {
    // The tools do not read files whose names begin with a dot.
    let mut made = tempfile::Builder::new().prefix(".stateward_override.").tempfile_in(directory)?;
    made.write_all(TEXT.as_bytes())?;
    let file = made.as_file().try_clone()?;
    file.lock_shared()?;
    match made.persist_noclobber(path) {
        Ok(_) => Ok(Some(file)),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error.error),
    }
}

enum Found {
    Nothing,
    Foreign,
    Ours(File),
}

fn open_ours(path: &Path) -> io::Result<Found> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    // A longer file is another's, and a link leads to another's.
    let mut text = Vec::new();
    (&mut file).take(TEXT.len() as u64 + 1).read_to_end(&mut text)?;
    file.rewind()?;
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    Ok(if text == TEXT.as_bytes() && !is_link { Found::Ours(file) } else { Found::Foreign })
}

fn remove_unless_needed(file: &File, path: &Path) -> io::Result<bool> {
    if file.try_lock().is_err() || !is_at(file, path)? {
        return Ok(false);
    }
    fs::remove_file(path)?;
    Ok(true)
}

/// Whether the open file is still the one of that name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.ino(), there.dev()) == (ours.ino(), ours.dev())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use stateward_testkit::TestDir;

    use super::*;

    fn names(dir: &TestDir) -> Vec<String> {
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_is_there_for_as_long_as_a_run_needs_it() {
        let dir = TestDir::new();
        let first = OverrideFile::put(dir.path()).unwrap();
        let second = OverrideFile::put(dir.path()).unwrap();
        assert_eq!(dir.read(NAME), TEXT);
        assert!(!OverrideFile::sweep(dir.path()).unwrap(), "it is needed");
        drop(first);
        assert_eq!(names(&dir), [NAME], "the second run needs it");
        drop(second);
        assert!(names(&dir).is_empty());
    }

    #[test]
    fn what_a_killed_run_leaves_is_taken_over_or_removed() {
        let dir = TestDir::new();
        dir.write(NAME, TEXT);
        drop(OverrideFile::put(dir.path()).unwrap());
        assert!(names(&dir).is_empty());
        dir.write(NAME, TEXT);
        assert!(OverrideFile::sweep(dir.path()).unwrap());
        assert!(names(&dir).is_empty());
        assert!(!OverrideFile::sweep(dir.path()).unwrap());
    }

    #[test]
    fn somebody_else_s_file_is_left_alone() {
        let dir = TestDir::new();
        for text in ["", "terraform {}\n", &format!("{TEXT}\n# mine"), &TEXT[..40]] {
            dir.write(NAME, text);
            assert!(matches!(OverrideFile::put(dir.path()), Err(OverrideError::Foreign { .. })), "{text}");
            assert!(!OverrideFile::sweep(dir.path()).unwrap());
            assert_eq!(dir.read(NAME), text);
        }
        fs::remove_file(dir.join(NAME)).unwrap();
        std::os::unix::fs::symlink(dir.write("elsewhere.tf", TEXT), dir.join(NAME)).unwrap();
        assert!(!OverrideFile::sweep(dir.path()).unwrap());
        assert!(matches!(OverrideFile::put(dir.path()), Err(OverrideError::Foreign { .. })));
        let none = OverrideFile::put(&dir.join("no/such")).unwrap_err();
        assert!(none.to_string().contains("no/such"), "{none}");
    }

    #[test]
    fn many_runs_at_once_all_see_it() {
        let dir = TestDir::new();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..50 {
                        let held = OverrideFile::put(dir.path()).unwrap();
                        assert_eq!(fs::read_to_string(dir.join(NAME)).unwrap(), TEXT);
                        drop(held);
                    }
                });
            }
        });
        assert!(names(&dir).is_empty(), "{:?}", names(&dir));
    }
}
