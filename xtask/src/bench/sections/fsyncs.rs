//! How often a request waits for the disk, which no fast disk hides: a count.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use stateward_testkit::{Cli, ServerProcess};

use super::super::document::Document;
use super::super::report::{Line, Quantity};
use super::super::stats::float;
use super::super::target::{Mark, Request, Target};
use super::super::wire::Client;
use super::super::{Bench, Result};

const TIMES: u64 = 200;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let version = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        bench.note("skipped: there is no strace on this machine");
        return Ok(());
    }
    let trace = bench.dir.join("fsyncs.strace");
    let server = traced(bench, &trace);
    let state = Target::new(server.address(), format!("/state/{}", Mark::Name.text()));
    let document = Document::of_size(21_000);
    let post = state.request("POST", &format!("?ID={}", Mark::LockId.text()), &document.bytes);
    let mut script = [("LOCK", state.lock()), ("POST 20 KB", post), ("UNLOCK", state.unlock())];
    let mut client = Client::connect(&state)?;
    // The first requests of a store do more, and are not counted.
    for (_, request) in &mut script {
        send(&mut client, request, TIMES)?;
    }
    for (name, request) in &mut script {
        let before = fs::read_to_string(&trace)?.len();
        (0..TIMES).try_for_each(|number| send(&mut client, request, number))?;
        let syncs = syncs_in(&fs::read_to_string(&trace)?[before..]);
        let line = Line::new(
            format!("fsyncs for each {name}"),
            Quantity::Count(syncs / float(TIMES)),
            usize::try_from(TIMES)?,
        );
        // A checkpoint may fall into it.
        bench.report(&line.at_most(1.1));
    }
    Ok(())
}

fn traced(bench: &Bench, trace: &Path) -> ServerProcess {
    let cli = Cli::new("strace", &bench.dir);
    let store = format!("sqlite:{}", bench.dir.subdir("fsyncs").join("stateward.db").display());
    let (trace, binary) = (trace.display().to_string(), bench.binary.display().to_string());
    let calls = "trace=fsync,fdatasync,sync_file_range,msync,sync,syncfs";
    let arguments =
        ["-f", "-qq", "-e", calls, "-o", &trace, &binary, "serve", "--listen", "127.0.0.1:0", "--store", &store];
    ServerProcess::start(cli.command(&arguments))
}

fn send(client: &mut Client, request: &mut Request, number: u64) -> Result<()> {
    request.number(Mark::Name, number);
    request.number(Mark::LockId, number);
    client.exchange(request)
}

/// Counts the calls that begin in a trace; one that another thread interrupts has a second line when it ends.
fn syncs_in(trace: &str) -> f64 {
    let begins = |line: &&str| {
        line.split_once(' ').is_some_and(|(_, call)| call.trim_start().contains("sync") && !call.contains("<... "))
    };
    float(trace.lines().filter(begins).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_counts_once() {
        let trace = "101   fdatasync(7 <unfinished ...>\n102 fsync(8) = 0\n101   <... fdatasync resumed>) = 0\n103 +++ exited with 0 +++\n103 --- SIGTERM ---\n";
        assert!((syncs_in(trace) - 2.0).abs() < 1e-9);
    }
}
