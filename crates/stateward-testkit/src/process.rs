//! A process group that is watched, limited in time, and never outlives its test.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::deadline::Deadline;

/// How a process ended, and all it printed.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Exit status or signal.
    pub status: ExitStatus,
    /// Standard output as bytes: states must come out as they went in.
    pub stdout_bytes: Vec<u8>,
    /// Standard output as text; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Standard error as text; what is not UTF-8 is replaced.
    pub stderr: String,
}

impl Output {
    /// The exit code; `None` where a signal ended the process.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The output, if the exit code is the expected one; else a panic that shows everything.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code() == Some(code), "expected exit code {code}\n{}", self.report());
        self
    }

    /// The output, if the exit code is 0; else a panic that shows everything.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        self.expect_code(0)
    }

    /// Everything, for a message.
    pub fn report(&self) -> String {
        report(&self.command, &self.status.to_string(), &self.stdout, &self.stderr)
    }
}

fn report(command: &str, state: &str, stdout: &str, stderr: &str) -> String {
    format!("$ {command}\n{state}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
}

/// One stream of a process, collected as it comes, so that a full pipe never stops the process.
#[derive(Debug)]
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Capture {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match stream.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                    }
                }
            }
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.so_far()).into_owned()
    }
}

/// A process under way, leader of a group of its own.
///
/// Dropping it kills the whole group; if the test is failing then, what the process printed is shown.
#[derive(Debug)]
pub struct Running {
    description: String,
    child: Child,
    stdout: Capture,
    stderr: Capture,
    ended: bool,
}

impl Running {
    /// Starts the command in a new process group, with its output captured and nothing to read on standard input.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::start_with_stdin(command)
    }

    /// The same, with the standard input the command was given.
    pub(crate) fn start_with_stdin(mut command: Command) -> Self {
        let description = describe(&command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start `{description}`: {error}"));
        let stdout = Capture::start(child.stdout.take().expect("stdout is piped"));
        let stderr = Capture::start(child.stderr.take().expect("stderr is piped"));
        Self { description, child, stdout, stderr, ended: false }
    }

    pub(crate) fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The process id, which is the group's too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// SIGINT to the whole group, as Ctrl-C in a terminal does.
    pub fn interrupt(&self) {
        self.signal_group(Signal::INT);
    }

    /// SIGTERM to the process alone, as service managers do first.
    pub fn terminate(&self) {
        if !self.ended {
            let _already_gone = kill_process(self.pid(), Signal::TERM);
        }
    }

    /// SIGKILL to the whole group: nothing in it gets to clean up.
    pub fn kill9(mut self) -> Output {
        self.signal_group(Signal::KILL);
        self.finish(Duration::from_secs(30))
    }

    /// Waits until either stream contains the text. Panics when the process ends before, or the limit passes.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str, limit: Duration) {
        let seen = Deadline::after(limit).poll(|| {
            let ended = self.has_exited();
            // Looked at after the exit was: what a dying process prints last still counts.
            let found = [&self.stdout, &self.stderr].iter().any(|stream| stream.text().contains(text));
            (found || ended).then_some(found)
        });
        assert!(seen == Some(true), "no {text:?} within {limit:?}\n{}", self.report_so_far());
    }

    /// Waits for the end. Panics, with the group killed, when the limit passes.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Output {
        self.finish(limit)
    }

    #[track_caller]
    fn finish(&mut self, limit: Duration) -> Output {
        let exited = Deadline::after(limit).poll(|| self.has_exited().then_some(())).is_some();
        let status = self.reap();
        // The readers end now that nothing in the group holds the pipes, unless something left the group.
        let drain = Deadline::after(Duration::from_secs(5));
        drain.poll(|| (self.stdout.reader.is_finished() && self.stderr.reader.is_finished()).then_some(()));
        assert!(exited, "still running after {limit:?}, so killed\n{}", self.report_so_far());
        Output {
            command: self.description.clone(),
            status,
            stdout_bytes: self.stdout.so_far(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Whether the leader has ended. It is left unreaped, so that its id, the group's name, cannot be given anew.
    pub(crate) fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.ended || !matches!(waitid(WaitId::Pid(self.pid()), options), Ok(None))
    }

    /// Ends what is left of the group, then takes the leader's status.
    fn reap(&mut self) -> ExitStatus {
        self.signal_group(Signal::KILL);
        self.ended = true;
        self.child.wait().expect("wait for the process")
    }

    fn report_so_far(&self) -> String {
        report(&self.description, "output so far", &self.stdout(), &self.stderr())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn signal_group(&self, signal: Signal) {
        if !self.ended {
            let _already_gone = kill_process_group(self.pid(), signal);
        }
    }
}

impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "the test's runner shows it with the failure")]
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.reap();
        if thread::panicking() {
            eprintln!("{}", self.report_so_far());
        }
    }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::TestDir;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start(command)
    }

    #[test]
    fn gives_status_and_both_streams() {
        let output = shell("echo out; echo err >&2; exit 3").wait(LIMIT).expect_code(3);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn more_output_than_a_pipe_holds_does_not_block() {
        let output = shell("head -c 1000000 /dev/zero").wait(LIMIT).expect_success();
        assert_eq!(output.stdout_bytes.len(), 1_000_000);
    }

    #[test]
    fn an_interrupt_reaches_the_whole_group() {
        // Who starts tests in the background has them ignore interrupts, and a shell cannot trap what was ignored when it began.
        let heed = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp('sh', ['sh', '-c', sys.argv[1]])";
        let mut command = Command::new("python3");
        command.args(["-c", heed, "trap 'echo interrupted; exit 7' INT; echo ready; sleep 60 & wait"]);
        let mut running = Running::start(command);
        running.wait_for("ready", LIMIT);
        running.interrupt();
        let output = running.wait(LIMIT).expect_code(7);
        assert!(output.stdout.contains("interrupted"));
    }

    #[test]
    fn a_limit_kills_the_group_and_shows_the_output() {
        let dir = TestDir::new();
        let running = with_busy_child(&dir);
        let panic = catch_unwind(AssertUnwindSafe(|| running.wait(Duration::from_millis(100)))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("still running after 100ms") && message.contains("begun"), "{message}");
        assert_child_is_gone(&dir);
    }

    #[test]
    fn kill9_ends_the_whole_group() {
        let dir = TestDir::new();
        assert_eq!(with_busy_child(&dir).kill9().code(), None);
        assert_child_is_gone(&dir);
    }

    #[test]
    fn drop_ends_the_whole_group() {
        let dir = TestDir::new();
        drop(with_busy_child(&dir));
        assert_child_is_gone(&dir);
    }

    #[test]
    #[should_panic(expected = "no \"never\"")]
    fn waiting_for_text_ends_with_the_process() {
        shell("echo something else").wait_for("never", LIMIT);
    }

    /// A process with a child that keeps writing to a file.
    fn with_busy_child(dir: &TestDir) -> Running {
        let file = dir.join("alive");
        let mut running =
            shell(&format!("while :; do echo x >>'{}'; sleep 0.01; done & echo begun; wait", file.display()));
        running.wait_for("begun", LIMIT);
        assert!(Deadline::after(LIMIT).poll(|| file.exists().then_some(())).is_some());
        running
    }

    fn assert_child_is_gone(dir: &TestDir) {
        let before = dir.read("alive").len();
        thread::sleep(Duration::from_millis(200));
        assert_eq!(dir.read("alive").len(), before, "the child still writes");
    }
}
