//! Real Terraform, cut off from the network and from its user.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::dir::write_file;
use crate::{Output, Running, S3Backend, TestDir, did_not_run, tools};

/// Long enough for a machine that builds and tests on every core; a run that needs it hangs.
const LIMIT: Duration = Duration::from_mins(2);

/// The `terraform` that tests run. Providers other than the built-in one (`terraform_data`) are not to be had.
#[derive(Debug, Clone)]
pub struct Terraform {
    program: PathBuf,
}

impl Terraform {
    /// `STATEWARD_TERRAFORM`, else the one that `scripts/setup-test-tools` installs. Panics where there is none: a test
    /// that is skipped silently proves nothing.
    #[expect(clippy::disallowed_methods, reason = "where the tools are is the environment's to say")]
    pub fn find() -> Self {
        if let Some(program) = env::var_os("STATEWARD_TERRAFORM") {
            let program = PathBuf::from(program);
            assert!(program.is_file(), "STATEWARD_TERRAFORM names {}, which is no file", program.display());
            return Self { program };
        }
        Self { program: tools::find("terraform") }
    }

    /// `OpenTofu` in its place, if it is there: it takes minutes to build, so a machine need not have it. A test that gets `None` has
    /// told so and ends.
    pub fn find_tofu() -> Option<Self> {
        Some(Self { program: tools::find_optional("tofu")? })
    }

    /// Has working directories of this test find the providers of the mirror that `STATEWARD_TEST_PROVIDERS` names, if it names one: no
    /// package brings them, so a machine need not have them. Where it is false, that was told.
    #[expect(clippy::disallowed_methods, reason = "where the tools are is the environment's to say")]
    pub fn find_providers(dir: &TestDir) -> bool {
        let Some(mirror) = env::var_os("STATEWARD_TEST_PROVIDERS") else {
            did_not_run("no providers; to run it in full, name a mirror of them in STATEWARD_TEST_PROVIDERS");
            return false;
        };
        let link = dir.subdir(".terraform-env").join("providers");
        std::os::unix::fs::symlink(mirror, link).expect("a link");
        true
    }

    /// The directory to put on a shell's `PATH`.
    pub fn directory(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("."))
    }

    /// A working directory of this name in the test's directory.
    pub fn workdir(&self, dir: &TestDir, name: &str) -> Workdir {
        let path = dir.subdir(name);
        let config = dir.write(format!(".terraform-env/{name}/terraform.rc"), cli_config(dir));
        let mut isolated = Command::new(&self.program);
        dir.isolate(&mut isolated);
        let env = isolated.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        let mut workdir = Workdir { program: self.program.clone(), path, env, limit: LIMIT };
        let data = workdir.path.join(".terraform");
        workdir.set("TF_DATA_DIR", data.as_os_str());
        workdir.set("TF_CLI_CONFIG_FILE", config.as_os_str());
        workdir.set("CHECKPOINT_DISABLE", "1");
        workdir.set("TF_IN_AUTOMATION", "1");
        workdir.set("TF_INPUT", "0");
        // Terraform colours its output also where it goes to a pipe.
        workdir.set("TF_CLI_ARGS", "-no-color");
        workdir
    }
}

/// No update check; and an empty directory instead of the registry, so that a wish for a provider fails at once.
fn cli_config(dir: &TestDir) -> String {
    let mirror = dir.subdir(".terraform-env/providers");
    let mirror = mirror.display();
    format!(
        "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = \"{mirror}\"\n  }}\n}}\n"
    )
}

/// A directory with a configuration, and the environment in which Terraform runs there.
///
/// ```no_run
/// # use stateward_testkit::{Terraform, TestDir};
/// let dir = TestDir::new();
/// let work = Terraform::find().workdir(&dir, "work");
/// work.write("main.tf", "resource \"terraform_data\" \"a\" {}");
/// work.run(&["init"]).expect_success();
/// work.run(&["apply", "-auto-approve"]).expect_success();
/// ```
#[derive(Debug, Clone)]
pub struct Workdir {
    program: PathBuf,
    path: PathBuf,
    env: Vec<(OsString, OsString)>,
    limit: Duration,
}

impl Workdir {
    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.set(name, value);
        self
    }

    /// With more variables, such as those of [`crate::AwsEnv::pairs`].
    #[must_use]
    pub fn envs(mut self, pairs: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>) -> Self {
        pairs.into_iter().for_each(|(name, value)| self.set(name, value));
        self
    }

    /// With another time limit on each run.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        write_file(&path, text.as_ref());
        path
    }

    /// Removes a file of it.
    #[track_caller]
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path.join(name)).unwrap_or_else(|error| panic!("{name} cannot be removed: {error}"));
    }

    /// Writes `backend.tf`: the http backend with locking, at this URL (such as `http://127.0.0.1:7017/state/app`).
    pub fn write_http_backend(&self, url: &str) -> PathBuf {
        self.write(
            "backend.tf",
            format!(
                "terraform {{\n  backend \"http\" {{\n    address        = \"{url}\"\n    lock_address   = \"{url}\"\n    \
                 unlock_address = \"{url}\"\n  }}\n}}\n"
            ),
        )
    }

    /// Writes `backend.tf`: Terraform's own s3 backend. The credentials come from the environment.
    pub fn write_s3_backend(&self, backend: &S3Backend) -> PathBuf {
        self.write("backend.tf", backend.to_hcl())
    }

    /// The command, for what the helpers do not cover.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(arguments).current_dir(&self.path);
        command
    }

    /// Runs Terraform to its end. Panics when it takes longer than the limit.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.spawn(arguments).wait(self.limit)
    }

    /// Starts it and returns at once, with a handle to interrupt or kill it.
    pub fn spawn<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Running {
        Running::start(self.command(arguments))
    }
}
