//! Log files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::records::{self, Content, Unreadable};

/// A file or directory that cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {error}", path.display())]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// The files to read for a path: itself, or all below a directory, in the order of their names. Hidden ones, and links to
/// directories, are left out.
pub fn files_below(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |error| FileError { path, error }
    };
    if !fs::metadata(path).map_err(failed(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(failed(&directory))? {
            let entry = entry.map_err(failed(&directory))?;
            let kind = entry.file_type().map_err(failed(&entry.path()))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                directories.push(entry.path());
            } else if !kind.is_symlink() || entry.path().is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the records of a file.
pub fn read_file(path: &Path, each: &mut dyn FnMut(&Value)) -> (Content, Result<(), Unreadable>) {
    match File::open(path) {
        Ok(file) => records::read(file, each),
        Err(error) => (Content::default(), Err(Unreadable::Io(error))),
    }
}
