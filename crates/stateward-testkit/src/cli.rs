//! The binary under test, in an environment of its own.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::{Output, Running, ServerProcess, TestDir};

/// Long enough for a machine that builds and tests on every core; a command that needs it hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// Runs one binary in one [`TestDir`]: an empty environment, and home and XDG directories in there.
///
/// ```no_run
/// # use stateward_testkit::{Cli, TestDir};
/// let dir = TestDir::new();
/// let cli = Cli::new("target/debug/stateward", &dir); // in a test: env!("CARGO_BIN_EXE_stateward")
/// let output = cli.run(&["state", "list", "--json"]).expect_success();
/// ```
#[derive(Debug)]
pub struct Cli<'dir> {
    program: PathBuf,
    dir: &'dir TestDir,
    current_dir: PathBuf,
    env: Vec<(OsString, OsString)>,
    limit: Duration,
}

impl<'dir> Cli<'dir> {
    /// The binary (a test gives `env!("CARGO_BIN_EXE_stateward")`), to be run in the directory.
    pub fn new(program: impl Into<PathBuf>, dir: &'dir TestDir) -> Self {
        Self { program: program.into(), dir, current_dir: dir.path().to_owned(), env: Vec::new(), limit: LIMIT }
    }

    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With more variables, such as those of [`crate::AwsEnv::pairs`].
    #[must_use]
    pub fn envs(self, pairs: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>) -> Self {
        pairs.into_iter().fold(self, |cli, (name, value)| cli.env(name, value))
    }

    /// With another working directory.
    #[must_use]
    pub fn current_dir(mut self, path: impl AsRef<Path>) -> Self {
        path.as_ref().clone_into(&mut self.current_dir);
        self
    }

    /// With another time limit on each run.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The command, for what the helpers do not cover.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        self.dir.isolate(&mut command);
        command.args(arguments).current_dir(&self.current_dir);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end. Panics when it takes longer than the limit.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.spawn(arguments).wait(self.limit)
    }

    /// Runs it with these bytes on standard input.
    #[track_caller]
    pub fn run_with_input<S: AsRef<OsStr>>(&self, arguments: &[S], input: impl Into<Vec<u8>>) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        let mut running = Running::start_with_stdin(command);
        let mut stdin = running.child_mut().stdin.take().expect("stdin is piped");
        let input = input.into();
        // On a thread, because a program may print before it has read all; and it may end without reading.
        let writer = thread::spawn(move || {
            let _stopped_reading = stdin.write_all(&input);
        });
        let output = running.wait(self.limit);
        let _never_panics = writer.join();
        output
    }

    /// Starts it and returns at once.
    pub fn spawn<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Starts `serve --listen 127.0.0.1:0` with these arguments after it, and waits until it accepts connections.
    #[track_caller]
    pub fn serve<S: AsRef<OsStr>>(&self, arguments: &[S]) -> ServerProcess {
        let fixed = ["serve", "--listen", "127.0.0.1:0"].map(OsStr::new);
        let all: Vec<&OsStr> = fixed.into_iter().chain(arguments.iter().map(AsRef::as_ref)).collect();
        ServerProcess::start(self.command(&all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_in_the_directory_with_the_given_variables() {
        let dir = TestDir::new();
        dir.subdir("inner");
        let cli = Cli::new("sh", &dir).env("STATEWARD_STORE", "memory:").current_dir(dir.join("inner"));
        let output = cli.run(&["-c", "pwd; echo $STATEWARD_STORE $HOME"]).expect_success();
        let root = dir.path().display();
        assert_eq!(output.stdout, format!("{root}/inner\nmemory: {root}/home\n"));
    }

    #[test]
    fn input_may_be_longer_than_a_pipe_or_left_unread() {
        let dir = TestDir::new();
        let cli = Cli::new("sh", &dir);
        let input = vec![b'x'; 1_000_000];
        let echoed = cli.run_with_input(&["-c", "cat"], input.clone()).expect_success();
        assert!(echoed.stdout_bytes == input);
        cli.run_with_input(&["-c", "exit 4"], input).expect_code(4);
    }
}
