//! Whether files may be written and replaced, asked without writing: known before work that ends with it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::geteuid;

use crate::mounts::Mounts;

/// In such a directory only its owner, and that of a file, may rename and remove the file.
const STICKY: u32 = 0o1000;

/// Refuses where no file could be made in a directory, or the directory could not be made.
pub fn can_make_in(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => may(directory, Access::WRITE_OK | Access::EXEC_OK),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no directory")),
        Err(_) if is_link(directory) => Err(io::Error::new(io::ErrorKind::NotFound, "it is a link that leads nowhere")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            can_make_in(directory.parent().unwrap_or(Path::new(".")))
        }
        Err(error) => Err(error),
    }
}

/// Refuses where a file could not be written to; one that is not there, where it could not be made.
pub fn can_write(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(_) => may(path, Access::READ_OK | Access::WRITE_OK),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link(path) => can_make_in(directory_of(path)),
        Err(error) => Err(error),
    }
}

/// Refuses where another file could not be put in the place of one, or one that its owner has made read-only.
pub fn can_replace(path: &Path) -> io::Result<()> {
    if is_there(path) && !is_link(path) {
        may(path, Access::WRITE_OK)?;
    }
    can_rename(path, &Mounts::read())
}

/// Refuses where a name could not be taken away.
pub(crate) fn can_rename(path: &Path, mounts: &Mounts) -> io::Result<()> {
    if mounts.is_mount(path) {
        let what = "it is a mount of its own, and can be neither renamed nor removed from here";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, what));
    }
    let directory = directory_of(path);
    can_make_in(directory)?;
    let (Ok(parent), Ok(found)) = (fs::metadata(directory), fs::symlink_metadata(path)) else { return Ok(()) };
    let own = geteuid();
    let is_own = own.is_root() || [parent.uid(), found.uid()].contains(&own.as_raw());
    if parent.mode() & STICKY != 0 && !is_own {
        let what = "it is somebody else's in a directory in which everybody keeps their own";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(())
}

/// By the rights that count when it is done.
fn may(path: &Path, what: Access) -> io::Result<()> {
    Ok(accessat(CWD, path, what, AtFlags::EACCESS)?)
}

pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A link that leads nowhere is something, too.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

pub(crate) fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What the administrator may not either.
    #[test]
    fn what_cannot_be_made_is_known_before() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("nowhere", at("link")).unwrap();
        for (directory, kind) in [
            ("", None),
            ("new/within", None),
            ("file", Some(io::ErrorKind::NotADirectory)),
            ("file/within", Some(io::ErrorKind::NotADirectory)),
            ("link", Some(io::ErrorKind::NotFound)),
            ("link/within", Some(io::ErrorKind::NotFound)),
        ] {
            assert_eq!(can_make_in(&at(directory)).err().map(|error| error.kind()), kind, "{directory}");
        }
        assert!(can_write(&at("file")).is_ok() && can_write(&at("new/file")).is_ok());
        assert!(can_write(&at("link")).is_err() && can_replace(&at("file")).is_ok());
        let mounted = can_rename(&at("file"), &Mounts::at(&[&at("file")])).unwrap_err();
        assert_eq!(mounted.kind(), io::ErrorKind::ResourceBusy, "{mounted}");
    }
}
