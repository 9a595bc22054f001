//! What is mounted where: a name on which something is mounted can be neither renamed nor removed, and nothing is renamed from one mount
//! to another, even where both show one file system, as bind mounts of containers do.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the kernel of Linux says of the mounts of a process.
const TABLE: &str = "/proc/self/mountinfo";

/// The names on which something is mounted, as this process sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounts {
    /// `None` where the system has no such table.
    points: Option<Vec<PathBuf>>,
}

impl Mounts {
    pub(crate) fn read() -> Self {
        Self { points: fs::read(TABLE).ok().map(|table| parse(&table)) }
    }

    #[cfg(test)]
    pub(crate) fn at(points: &[&Path]) -> Self {
        Self { points: Some(points.iter().map(|point| fs::canonicalize(point).unwrap()).collect()) }
    }

    /// Whether something is mounted on a name: a directory, or a single file.
    pub(crate) fn is_mount(&self, path: &Path) -> bool {
        let Some(name) = real(path) else { return false };
        match &self.points {
            Some(points) => points.contains(&name),
            // Seen at least where it is another file system.
            None => match (fs::symlink_metadata(&name), name.parent().map(fs::metadata)) {
                (Ok(found), Some(Ok(parent))) => found.dev() != parent.dev(),
                _ => false,
            },
        }
    }

    /// Whether a directory, or one between it and `root`, is a mount of its own, so that nothing in it can be renamed into `root`.
    pub(crate) fn is_apart(&self, directory: &Path, root: &Path) -> bool {
        directory.ancestors().take_while(|within| *within != root).any(|within| self.is_mount(within))
    }
}

/// The mount points in such a table.
fn parse(table: &[u8]) -> Vec<PathBuf> {
    let point = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescaped);
    table.split(|byte| *byte == b'\n').filter_map(point).map(|point| PathBuf::from(OsString::from_vec(point))).collect()
}

/// Blanks, ends of lines and backslashes stand there as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), field);
    while let Some((&first, behind)) = rest.split_first() {
        let digits =
            behind.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|digit| (b'0'..b'8').contains(digit)));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    out
}

/// A name without links before its last part, which may be one itself.
fn real(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.file_name() {
        Some(name) => Some(fs::canonicalize(parent).ok()?.join(name)),
        None => fs::canonicalize(path).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_process_is_read() {
        let table = b"63 43 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
            64 63 254:0 /tmp/a /net/my\\040net/terraform.tfstate rw,relatime shared:1 - ext4 /dev/vda rw\n\
            65 63 0:40 / /a\\134b\\012c\\09 rw - tmpfs tmpfs rw\n\n";
        let expected = ["/", "/net/my net/terraform.tfstate", "/a\\b\nc\\09"].map(PathBuf::from);
        assert_eq!(parse(table), expected);
        assert!(Mounts { points: Some(parse(table)) }.is_mount(Path::new("/")));
    }

    #[test]
    fn a_name_is_a_mount_by_whatever_way_it_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("d/dev")).unwrap();
        fs::write(at("d/dev/file"), "").unwrap();
        std::os::unix::fs::symlink("d", at("link")).unwrap();
        std::os::unix::fs::symlink("dev", at("d/other")).unwrap();
        let mounts = Mounts::at(&[&at("d/dev")]);
        for (name, is_mount) in
            [("d/dev", true), ("link/dev", true), ("link", false), ("d/other", false), ("d", false), ("no/such", false)]
        {
            assert_eq!(mounts.is_mount(&at(name)), is_mount, "{name}");
        }
        assert!(mounts.is_apart(&at("d/dev"), dir.path()) && !mounts.is_apart(&at("d"), dir.path()));
        let single = Mounts::at(&[&at("d/dev/file")]);
        assert!(single.is_mount(&at("link/dev/file")) && !single.is_apart(&at("d/dev"), dir.path()));
    }

    #[test]
    fn without_a_table_another_file_system_is_seen() {
        let mounts = Mounts { points: None };
        let dir = tempfile::tempdir().unwrap();
        assert!(!mounts.is_mount(dir.path()));
        let proc = Path::new("/proc");
        assert_eq!(mounts.is_mount(proc), proc.join("self").exists());
    }
}
