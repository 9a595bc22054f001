//! A directory of a test's own, and an environment that leads nowhere else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

/// A temporary directory, removed when dropped. `STATEWARD_TEST_KEEP=1` leaves it there to look at.
#[derive(Debug)]
pub struct TestDir {
    /// Without symbolic links (macOS's temporary directory is one), so that it compares equal to what programs print.
    path: PathBuf,
    _removed_on_drop: TempDir,
}

impl TestDir {
    /// A new directory, empty.
    #[expect(clippy::new_without_default, reason = "makes a directory: not a value without effect")]
    #[expect(clippy::print_stderr, reason = "whoever keeps the directory must learn where it is")]
    pub fn new() -> Self {
        let mut dir = tempfile::Builder::new().prefix("stateward-test-").tempdir().expect("make a temporary directory");
        let path = dir.path().canonicalize().expect("resolve the temporary directory");
        if Self::are_kept() {
            dir.disable_cleanup(true);
            eprintln!("kept: {}", path.display());
        }
        Self { path, _removed_on_drop: dir }
    }

    /// Whether directories are left there to look at.
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever debugs a test")]
    pub(crate) fn are_kept() -> bool {
        env::var_os("STATEWARD_TEST_KEEP").is_some()
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in it, whether it exists or not.
    pub fn join(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.path().join(relative)
    }

    /// Makes a directory in it, with its parents.
    pub fn subdir(&self, relative: impl AsRef<Path>) -> PathBuf {
        let path = self.join(relative);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("make {}: {error}", path.display()));
        path
    }

    /// Writes a file, with its parent directories, and gives its path.
    pub fn write(&self, relative: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(relative);
        write_file(&path, contents.as_ref());
        path
    }

    /// A file's text.
    pub fn read(&self, relative: impl AsRef<Path>) -> String {
        String::from_utf8(self.read_bytes(relative)).expect("the file is UTF-8")
    }

    /// A file's bytes.
    pub fn read_bytes(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        let path = self.join(relative);
        fs::read(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
    }

    /// Gives the command an environment in which nothing of this machine's user is found: only `PATH` is kept, and the
    /// home, XDG and temporary directories lie in this one.
    pub fn isolate(&self, command: &mut Command) {
        command.env_clear();
        #[expect(clippy::disallowed_methods, reason = "programs are found where the test's runner finds them")]
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        let home = self.subdir("home");
        command.env("HOME", &home);
        for (name, relative) in [
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_STATE_HOME", ".local/state"),
            ("XDG_CACHE_HOME", ".cache"),
        ] {
            command.env(name, home.join(relative));
        }
        command.env("TMPDIR", self.subdir("tmp"));
        command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    }
}

pub(crate) fn write_file(path: &Path, contents: &[u8]) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).unwrap_or_else(|error| panic!("make {}: {error}", parent.display()));
    }
    fs::write(path, contents).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_read_and_removed() {
        let dir = TestDir::new();
        let path = dir.write("a/b/c.txt", "text");
        assert_eq!(path, dir.join("a/b/c.txt"));
        assert_eq!(dir.read("a/b/c.txt"), "text");
        let root = dir.path().to_owned();
        drop(dir);
        assert_eq!(root.exists(), TestDir::are_kept());
    }

    #[test]
    fn an_isolated_command_sees_only_its_own_environment() {
        let dir = TestDir::new();
        let mut command = Command::new("env");
        command.env("AWS_PROFILE", "mine");
        dir.isolate(&mut command);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let mut names: Vec<&str> =
            output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        let wanted = "HOME LC_ALL PATH TMPDIR TZ XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME";
        assert_eq!(names.join(" "), wanted);
        assert!(output.contains(&format!("HOME={}\n", dir.join("home").display())));
    }
}
