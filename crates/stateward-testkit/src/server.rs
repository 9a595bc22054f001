//! A server in a process of its own, that can be killed.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::{Output, RawHttp, Running};

/// The line a server prints on standard error once it accepts connections.
const READY: &str = "listening on http://";
const START_LIMIT: Duration = Duration::from_mins(1);

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    running: Running,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts the command and waits for its `listening on http://ADDR`. Usually called through [`crate::Cli::serve`].
    #[track_caller]
    pub fn start(command: Command) -> Self {
        let running = Running::start(command);
        let address = Deadline::after(START_LIMIT).poll(|| {
            let exited = running.has_exited();
            let address = listening_address(&running.stderr());
            (address.is_some() || exited).then_some(address)
        });
        let Some(address) = address.flatten() else {
            let output = running.kill9();
            panic!("no `{READY}ADDR` on stderr\n{}", output.report());
        };
        Self { running, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path (which begins with `/`).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A client for it.
    pub fn http(&self) -> RawHttp {
        RawHttp::new(self.address)
    }

    /// The process id, for looking at its memory or sending it other signals.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        self.running.stderr()
    }

    /// `kill -9`: whatever was not durable is lost.
    pub fn kill9(self) -> Output {
        self.running.kill9()
    }

    /// Sends SIGTERM and returns at once, to see how it drains.
    pub fn begin_terminate(&self) {
        self.running.terminate();
    }

    /// Sends SIGTERM and waits for the end. Panics when that takes longer than the limit.
    #[track_caller]
    pub fn terminate(self, limit: Duration) -> Output {
        self.running.terminate();
        self.running.wait(limit)
    }
}

/// Only from a whole line: the stream may have been read in the middle of one.
fn listening_address(stderr: &str) -> Option<SocketAddr> {
    let whole_lines = &stderr[..stderr.rfind('\n')?];
    whole_lines.lines().find_map(|line| line.strip_prefix(READY)?.trim_end().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cli, TestDir};

    /// Stands in for the binary: `sh script serve --listen …`.
    fn fake(dir: &TestDir, script: &str) -> ServerProcess {
        let path = dir.write("server.sh", script);
        let cli = Cli::new("sh", dir);
        ServerProcess::start(cli.command(&[path.as_os_str()]))
    }

    #[test]
    fn takes_the_address_from_a_whole_line() {
        assert_eq!(listening_address("listening on http://127.0.0.1:70"), None);
        let address = listening_address("opened x\nlistening on http://127.0.0.1:7017\nterraform {").unwrap();
        assert_eq!(address, "127.0.0.1:7017".parse().unwrap());
        assert!(listening_address("listening on http://[::1]:7017\n").unwrap().is_ipv6());
    }

    #[test]
    fn is_terminated_and_keeps_its_messages() {
        let dir = TestDir::new();
        let server = fake(
            &dir,
            "trap 'echo drained >&2; exit 0' TERM\nprintf 'listening on http://127.0.0.1' >&2\nsleep 0.1\necho :9 >&2\nwhile :; do sleep 0.05; done",
        );
        assert_eq!(server.url("/state/a"), "http://127.0.0.1:9/state/a");
        let output = server.terminate(Duration::from_secs(20)).expect_success();
        assert_eq!(output.stderr, "listening on http://127.0.0.1:9\ndrained\n");
    }

    #[test]
    #[should_panic(expected = "the store is from a newer version")]
    fn a_refusal_to_start_is_shown() {
        fake(&TestDir::new(), "echo the store is from a newer version >&2; exit 5");
    }
}
