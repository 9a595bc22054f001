//! A data directory for one run with another backend: what the tool has downloaded is shared with the directory's own, what it has
//! noted of its backend is not. So the own one (`.terraform`) is after the run what it was before.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::environment::{self, Addresses};

/// What a tool keeps in its data directory besides what it notes of the backend.
const SHARED: &[&str] = &["modules", "providers", "plugin_path"];
/// What must not have a say when the backend is made known.
const NOT_FOR_INIT: &[&str] = &["TF_CLI_ARGS", "TF_CLI_ARGS_init", "TF_LOG", "TF_LOG_CORE"];

/// A data directory that goes with the run.
#[derive(Debug)]
pub struct RunDir {
    root: TempDir,
}

/// Why the tool could not be told of its backend.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The tool's `init` failed.
    #[error("`init` ended with {status}")]
    Failed {
        /// Its status.
        status: String,
        /// What it printed.
        said: String,
    },
}

impl RunDir {
    /// Makes an empty one, for this user alone.
    pub fn make() -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("stateward-run-").tempdir()?;
        fs::create_dir(root.path().join("data"))?;
        fs::create_dir(root.path().join("backend"))?;
        fs::write(root.path().join("backend/backend.tf"), "terraform {\n  backend \"http\" {}\n}\n")?;
        Ok(Self { root })
    }

    /// What `TF_DATA_DIR` has to be.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Shares what the directory's own data directory holds.
    pub fn share(&self, own: &Path) -> io::Result<()> {
        for name in SHARED {
            let (there, here) = (own.join(name), self.path().join(name));
            if there.exists() && fs::symlink_metadata(&here).is_err() {
                symlink(there.canonicalize()?, here)?;
            }
        }
        Ok(())
    }

    /// Lets the tool itself note the `http` backend, by an `init` of a configuration that has nothing else. It reads an empty state at
    /// `addresses`. Dropping the future ends the tool.
    pub async fn note_backend(&self, program: &OsStr, addresses: &Addresses) -> Result<(), InitError> {
        // The directory stays the user's: wrappers choose the version by it, and a relative program is found.
        let mut chdir = OsString::from("-chdir=");
        chdir.push(self.root.path().join("backend"));
        let mut command = Command::new(program);
        command.arg(chdir).args(["init", "-input=false", "-no-color"]);
        self.run(command, addresses).await
    }

    /// Runs the tool with this data directory and nothing to say to the terminal.
    pub async fn run(&self, mut command: Command, addresses: &Addresses) -> Result<(), InitError> {
        for name in NOT_FOR_INIT.iter().chain(environment::REMOVED) {
            command.env_remove(name);
        }
        command.envs(environment::variables(addresses, |_| false));
        command.env("TF_DATA_DIR", self.path()).env("TF_IN_AUTOMATION", "1").env("TF_INPUT", "0");
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(InitError::Failed { status: output.status.to_string(), said: String::from_utf8_lossy(&said).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use stateward_testkit::TestDir;

    use super::*;

    fn addresses() -> Addresses {
        Addresses { state: "http://127.0.0.1:9/empty".into(), lock: "http://127.0.0.1:9/lock".into() }
    }

    fn script(dir: &TestDir, text: &str) -> PathBuf {
        let path = dir.write("tool", format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn downloads_are_shared_and_notes_are_not() {
        let dir = TestDir::new();
        dir.write("own/providers/p", "provider");
        dir.write("own/terraform.tfstate", "note");
        dir.write("own/environment", "dev");
        let run = RunDir::make().unwrap();
        run.share(&dir.join("own")).unwrap();
        run.share(&dir.join("own")).unwrap();
        let path = run.path();
        assert_eq!(fs::read_to_string(path.join("providers/p")).unwrap(), "provider");
        assert!(!path.join("terraform.tfstate").exists() && !path.join("environment").exists());
        assert!(!path.join("modules").exists());
        drop(run);
        assert!(!path.exists());
        assert_eq!(dir.read("own/providers/p"), "provider", "only the link went");
    }

    #[tokio::test]
    async fn the_tool_notes_its_backend() {
        let dir = TestDir::new();
        let run = RunDir::make().unwrap();
        let tool = script(&dir, r#"shift; echo "$@ $TF_HTTP_ADDRESS $TF_INPUT" >"$TF_DATA_DIR/noted""#);
        run.note_backend(tool.as_os_str(), &addresses()).await.unwrap();
        let noted = fs::read_to_string(run.path().join("noted")).unwrap();
        assert_eq!(noted, "init -input=false -no-color http://127.0.0.1:9/empty 0\n");
    }

    #[tokio::test]
    async fn what_the_tool_says_when_it_fails_is_kept() {
        let dir = TestDir::new();
        let run = RunDir::make().unwrap();
        let tool = script(&dir, "echo no; echo way >&2; exit 3");
        let error = run.note_backend(tool.as_os_str(), &addresses()).await.unwrap_err();
        assert!(matches!(&error, InitError::Failed { said, .. } if said == "no\nway\n"), "{error:?}");
        let missing = run.note_backend(dir.join("none").as_os_str(), &addresses()).await.unwrap_err();
        assert!(matches!(missing, InitError::Io(_)));
    }
}
