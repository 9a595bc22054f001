//! Running a command as if it had been started without us: same terminal, same signals, same end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{self, SignalKind};

/// The signals that ask a run to end. From [`Signals::listen`] on they no longer end this process.
#[derive(Debug)]
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
    quit: unix::Signal,
}

impl Signals {
    /// Starts to receive them.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hangup: unix::signal(SignalKind::hangup())?,
            quit: unix::signal(SignalKind::quit())?,
        })
    }

    /// The number of the next one.
    pub async fn next(&mut self) -> i32 {
        // The streams end with the process.
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT.as_raw(),
            _ = self.terminate.recv() => Signal::TERM.as_raw(),
            _ = self.hangup.recv() => Signal::HUP.as_raw(),
            _ = self.quit.recv() => Signal::QUIT.as_raw(),
        }
    }
}

/// Changes to the environment that a command inherits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Variables that are set.
    pub set: Vec<(OsString, OsString)>,
    /// Variables that are taken out.
    pub removed: Vec<OsString>,
}

/// Who hands the signals of the terminal to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// The terminal: the command is in our process group, and gets them at the same time as we do.
    Ours,
    /// There is none: the command has a process group of its own, and we hand on every signal.
    None,
}

impl Terminal {
    /// Whether this process has a controlling terminal.
    pub fn find() -> Self {
        if File::open("/dev/tty").is_ok() { Self::Ours } else { Self::None }
    }
}

/// A command under way.
#[derive(Debug)]
pub struct Child {
    child: tokio::process::Child,
    terminal: Terminal,
}

impl Child {
    /// Starts a command, the program first, with our own standard streams and in our own directory.
    pub fn start(command: &[OsString], changes: &Changes, terminal: Terminal) -> io::Result<Self> {
        let mut command = prepared(command, changes)?;
        if terminal == Terminal::None {
            command.process_group(0);
        }
        Ok(Self { child: command.spawn()?, terminal })
    }

    /// Runs a command to its end and keeps what it prints on standard output. Gives its exit code, too. Dropping the future ends it.
    pub async fn output(command: &[OsString], changes: &Changes) -> io::Result<(u8, Vec<u8>)> {
        let mut command = prepared(command, changes)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let output = command.spawn()?.wait_with_output().await?;
        Ok((code_of(output.status), output.stdout))
    }

    /// Waits for its end, and hands on what `signals` brings; `on_signal` hears of each. Gives the exit code, by a signal 128 + its
    /// number, as shells do.
    pub async fn wait(mut self, signals: &mut Signals, mut on_signal: impl FnMut(i32)) -> io::Result<u8> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status.map(code_of),
                signal = signals.next() => {
                    on_signal(signal);
                    self.hand_on(signal);
                }
            }
        }
    }

    /// A terminal sends SIGINT, SIGQUIT and SIGHUP to the command by itself. To hand them on, too, would be to press Ctrl-C twice, which
    /// makes Terraform stop without saving.
    fn hand_on(&self, signal: i32) {
        let Some(signal) = Signal::from_named_raw(signal) else { return };
        if self.terminal == Terminal::Ours && signal != Signal::TERM {
            return;
        }
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(Err(error)) = id.map(|id| kill_process(id, signal)) {
            tracing::debug!(%error, "the command is gone already");
        }
    }
}

fn prepared(command: &[OsString], changes: &Changes) -> io::Result<Command> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(changes.set.iter().map(|(name, value)| (name, value)));
    for name in &changes.removed {
        command.env_remove(name);
    }
    Ok(command)
}

fn code_of(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map(|signal| 128 + signal);
    let code = status.code().or_else(by_signal).unwrap_or(1);
    u8::try_from(code & 0xff).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stateward_testkit::TestDir;

    use super::*;

    fn shell(script: &str) -> Vec<OsString> {
        ["sh", "-c", script].map(OsString::from).to_vec()
    }

    async fn code(script: &str, changes: &Changes) -> u8 {
        let child = Child::start(&shell(script), changes, Terminal::None).unwrap();
        child.wait(&mut Signals::listen().unwrap(), |_| {}).await.unwrap()
    }

    #[tokio::test]
    async fn the_end_is_passed_through() {
        let none = Changes::default();
        for (script, expected) in
            [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -TERM $$", 143)]
        {
            assert_eq!(code(script, &none).await, expected, "{script}");
        }
    }

    #[tokio::test]
    async fn the_environment_is_ours_with_the_changes() {
        let changes = Changes { set: vec![("STATEWARD_A".into(), "1".into())], removed: vec!["HOME".into()] };
        assert_eq!(code("test \"$STATEWARD_A\" = 1 && test -z \"$HOME\" && test -n \"$PATH\"", &changes).await, 0);
    }

    #[test]
    fn what_cannot_be_started() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let start =
            |program: &str| Child::start(&[program.into()], &Changes::default(), Terminal::None).unwrap_err().kind();
        assert_eq!(start("no-such-program-of-stateward"), io::ErrorKind::NotFound);
        assert_eq!(start("/"), io::ErrorKind::PermissionDenied);
        assert_eq!(
            Child::start(&[], &Changes::default(), Terminal::None).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    /// Has the shell heed all signals, whatever this process was told to ignore: who starts tests in the background, or under
    /// `nohup`, passes that on, and a shell cannot trap what was ignored when it began.
    const HEED: &str = "import os, signal, sys\nfor n in (1, 2, 3, 15): signal.signal(n, signal.SIG_DFL)\n\
                        os.execvp('sh', ['sh', '-c', sys.argv[1]])";

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let held = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_mins(1), held).await.is_ok(), "not within a minute: {what}");
    }

    /// A command that notes the signals it gets until the file `done` is there; each of `handed_on` is waited for if it is in `noted`.
    async fn noted(terminal: Terminal, handed_on: &[i32], noted: &[i32]) -> String {
        let dir = TestDir::new();
        let trap = "for n in 1 2 3 15; do trap \"echo $n >>got\" $n; done";
        let loops = "while [ ! -e done ]; do sleep 0.02; done";
        let script = format!("cd {}; {trap}; : >got; : >ready; {loops}", dir.path().display());
        let command = ["python3", "-c", HEED, &script].map(Into::into);
        let child = Child::start(&command, &Changes::default(), terminal).unwrap();
        until("the command is ready", || dir.join("ready").exists()).await;
        let mut lines = 0;
        for signal in handed_on {
            child.hand_on(*signal);
            lines += usize::from(noted.contains(signal));
            until("the signal is noted", || dir.read("got").lines().count() >= lines).await;
        }
        dir.write("done", "");
        assert_eq!(child.wait(&mut Signals::listen().unwrap(), |_| {}).await.unwrap(), 0);
        dir.read("got").lines().collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn signals_reach_the_command_once() {
        let all = [2, 15, 1, 3];
        assert_eq!(noted(Terminal::None, &all, &all).await, "2 15 1 3");
        assert_eq!(noted(Terminal::Ours, &all, &[15]).await, "15", "the terminal sends the others");
    }
}
