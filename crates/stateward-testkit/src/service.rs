//! A server that stands in for a cloud's, in a process that ends with the test's own, however that ends.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::{Output, Running, TestDir};

/// Long enough for a first start, which compiles Python, on a machine that builds on every core.
const START_LIMIT: Duration = Duration::from_mins(2);
/// Between the choice of a free port and its use, another process may take it.
const TRIES: usize = 3;

/// Kills the server when standard input ends, which it does when the test's process is gone, also by an abort: nothing
/// is left to run and nothing in the temporary directory. The server has the id of the shell it replaces.
const GUARD: &str = r#"directory=$1
shift
exec 3<&0
(cat <&3 >/dev/null; kill -9 $$; if [ -n "$directory" ]; then rm -rf "$directory"; fi) 2>/dev/null &
exec "$@" 3<&-"#;

/// A running server on loopback. Dropping it kills it; one that is kept in a `static` ends with the process.
#[derive(Debug)]
pub(crate) struct Service {
    running: Running,
    address: SocketAddr,
    dir: TestDir,
    /// Closed with the process: what the guard waits for.
    _lifeline: ChildStdin,
}

impl Service {
    /// Starts a program whose arguments are made from a free port and its directory, and waits until it has printed the
    /// text and accepts connections. Panics, with all it printed, when it does not.
    pub(crate) fn start(
        program: &Path,
        env: &[(&str, &str)],
        arguments: impl Fn(u16, &TestDir) -> Vec<String>,
        ready: &str,
    ) -> Self {
        let mut last = None;
        for _ in 0..TRIES {
            let dir = TestDir::new();
            let port = free_port();
            let mut command = guarded(program, &arguments(port, &dir), &dir);
            command.envs(env.iter().copied());
            match Self::try_start(command, dir, SocketAddr::from(([127, 0, 0, 1], port)), ready) {
                Ok(service) => return service,
                Err(output) => last = Some(output),
            }
        }
        panic!("{} ended as it started\n{}", program.display(), last.map(|output| output.report()).unwrap_or_default());
    }

    fn try_start(mut command: Command, dir: TestDir, address: SocketAddr, ready: &str) -> Result<Self, Output> {
        command.stdin(Stdio::piped());
        let mut running = Running::start_with_stdin(command);
        let lifeline = running.child_mut().stdin.take().expect("stdin is piped");
        let started = Deadline::after(START_LIMIT).poll(|| {
            if running.has_exited() {
                return Some(false);
            }
            let said = running.stdout().contains(ready) || running.stderr().contains(ready);
            (said && TcpStream::connect(address).is_ok()).then_some(true)
        });
        match started {
            Some(true) => Ok(Self { running, address, dir, _lifeline: lifeline }),
            Some(false) => Err(running.kill9()),
            None => panic!("no {ready:?} within {START_LIMIT:?}\n{}", running.kill9().report()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn dir(&self) -> &TestDir {
        &self.dir
    }

    /// What it printed so far, on both streams: for whoever wonders why it answers as it does.
    pub(crate) fn output(&self) -> String {
        self.running.stdout() + &self.running.stderr()
    }
}

fn guarded(program: &Path, arguments: &[String], dir: &TestDir) -> Command {
    let mut command = Command::new("sh");
    dir.isolate(&mut command);
    let removed = if TestDir::are_kept() { OsStr::new("") } else { dir.path().as_os_str() };
    command.args(["-c", GUARD, "sh"]).arg(removed).arg(program).args(arguments).current_dir(dir.path());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port on loopback");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::io::Read;
    use std::process;

    use super::*;

    /// Listens with the interpreter that the tools need anyway; `{}` is the port.
    const LISTEN: &str = "import http.server; s = http.server.HTTPServer(('127.0.0.1', {}), http.server.BaseHTTPRequestHandler); \
                          print('ready', flush=True); s.serve_forever()";
    const ROLE: &str = "STATEWARD_TESTKIT_ROLE";

    fn python(script: &str) -> Service {
        let arguments = |port: u16, _: &TestDir| vec!["-c".to_owned(), script.replace("{}", &port.to_string())];
        Service::start(Path::new("python3"), &[("GREETING", "hello")], arguments, "ready")
    }

    #[test]
    fn is_reached_and_gone_when_dropped() {
        let service = python(LISTEN);
        let address = service.address();
        assert!(service.output().contains("ready"));
        assert!(service.dir().path().exists());
        drop(service);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    #[should_panic(expected = "hello from a broken server")]
    fn shows_what_a_broken_one_printed() {
        python("import os, sys; sys.exit(os.environ['GREETING'] + ' from a broken server')");
    }

    /// Runs this test once more as a process of its own that starts a server and then aborts.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "how the second process knows its role")]
    fn ends_with_the_tests_process_even_when_that_aborts() {
        if env::var_os(ROLE).is_some() {
            let service = python(LISTEN);
            println!("started {} {}", service.address(), service.dir().path().display());
            process::abort();
        }
        let name = "service::tests::ends_with_the_tests_process_even_when_that_aborts";
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ROLE, "aborts")
            .env_remove("STATEWARD_TEST_KEEP")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut printed = String::new();
        child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        assert!(!child.wait().unwrap().success());
        let mut started = printed.split("started ").nth(1).expect("the child starts a server").split_whitespace();
        let address: SocketAddr = started.next().unwrap().parse().unwrap();
        let directory = Path::new(started.next().unwrap());
        let gone = || (TcpStream::connect(address).is_err() && !directory.exists()).then_some(());
        assert!(Deadline::after(Duration::from_secs(20)).poll(gone).is_some(), "{address} or {}", directory.display());
    }
}
