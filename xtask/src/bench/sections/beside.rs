//! Applies side by side on one state, and what a transaction costs beside many others.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use stateward_testkit::{Running, Terraform, Workdir, lock_info};

use super::super::report::{Line, Quantity};
use super::super::stats::Samples;
use super::super::target::Target;
use super::super::wire::Client;
use super::super::{Bench, Result, clock};

const APPLIES: usize = 8;
const LIMIT: Duration = Duration::from_mins(5);
/// Seconds that a resource takes, and how much faster side by side has to be at least.
const TIMES: [(u32, f64); 2] = [(3, 5.0), (12, 7.0)];
const OPEN: usize = 1_000;
const ROUNDS: usize = 20;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    for (seconds, goal) in TIMES {
        applies(bench, seconds, goal);
    }
    crowd(bench)
}

/// Eight directories of one configuration, each of which changes another of its resources.
fn applies(bench: &mut Bench, seconds: u32, goal: f64) {
    let works: Vec<Workdir> = (0..APPLIES).map(|n| workdir(bench, seconds, n)).collect();
    run_in(bench, &works[0], seconds, &["init"]).wait(LIMIT).expect_success();
    run_in(bench, &works[0], seconds, &["apply", "-auto-approve", "-var", "first=true"]).wait(LIMIT).expect_success();
    for work in &works[1..] {
        run_in(bench, work, seconds, &["init"]).wait(LIMIT).expect_success();
    }
    let change = |work: &Workdir, n: usize, to: &str| {
        work.write("terraform.tfvars", format!("changed = {{ \"{n}\" = \"{to}\" }}\n"));
    };
    let (in_a_row, ()) = clock::timed(|| {
        for (n, work) in works.iter().enumerate() {
            change(work, n, "row");
            run_in(bench, work, seconds, &["apply", "-auto-approve", &target(n)]).wait(LIMIT).expect_success();
        }
    });
    let (together, ()) = clock::timed(|| {
        let running: Vec<Running> = works
            .iter()
            .enumerate()
            .map(|(n, work)| {
                change(work, n, "together");
                run_in(bench, work, seconds, &["apply", "-auto-approve", &target(n)])
            })
            .collect();
        running.into_iter().for_each(|running| drop(running.wait(LIMIT).expect_success()));
    });
    let name = format!("{APPLIES} applies of {seconds} s one after the other");
    let line = Line::new(name, Quantity::Millis(in_a_row.as_secs_f64() * 1e3), 1);
    bench.report(&line.against("side by side", Quantity::Millis(together.as_secs_f64() * 1e3)).at_least(goal));
}

fn target(n: usize) -> String {
    format!("-target=terraform_data.r{n}")
}

fn workdir(bench: &Bench, seconds: u32, n: usize) -> Workdir {
    let work = Terraform::find().workdir(&bench.dir, &format!("beside-{seconds}-{n}"));
    let mut text = "terraform {\n  backend \"http\" {}\n}\nvariable \"first\" { default = false }\nvariable \"changed\" { default = {} }\n".to_owned();
    for n in 0..APPLIES {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "resource \"terraform_data\" \"r{n}\" {{\n  triggers_replace = lookup(var.changed, \"{n}\", \"\")\n  provisioner \"local-exec\" {{ command = var.first ? \"true\" : \"sleep {seconds}\" }}\n}}\n"
        );
    }
    work.write("main.tf", text);
    work
}

fn run_in(bench: &Bench, work: &Workdir, seconds: u32, arguments: &[&str]) -> Running {
    let terraform = work.command::<&str>(&[]);
    let program = PathBuf::from(terraform.get_program());
    let mut command = Command::new(&bench.binary);
    let envs = terraform.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(envs).env("PATH", "/usr/bin:/bin");
    let store = format!("sqlite:{}", bench.dir.join(format!("beside-{seconds}.db")).display());
    command.args(["--store", &store, "run", "--state", "app", "--"]).arg(program).args(arguments);
    command.current_dir(work.path());
    Running::start(command)
}

/// Begin, commit and finish while one other transaction is open, and while a thousand are.
fn crowd(bench: &mut Bench) -> Result<()> {
    let served = bench.serve("crowd");
    let mut client = Client::connect(&served.state("crowd"))?;
    post(&mut client, &served.state("crowd"), "", &world(1, 0))?;
    let begin = served.target("/api/v1/tx/begin");
    let finish = served.target("/api/v1/tx/finish");
    let mut serial = 1;
    let mut costs = Vec::new();
    let mut open = 0;
    for crowd in [1, OPEN] {
        while open < crowd {
            post(&mut client, &begin, "", &request(&format!("open-{open}"), 1, &format!("x.open{open}")))?;
            open += 1;
        }
        let mut samples = Samples::default();
        for round in 0..ROUNDS {
            let id = format!("run-{crowd}-{round}");
            let (state, tx) = (served.state("crowd"), format!("?tx={id}"));
            let (time, done) = clock::timed(|| -> Result<()> {
                post(&mut client, &begin, "", &request(&id, serial, "x.a"))?;
                post(&mut client, &state, &tx, &world(serial + 1, serial + 1))?;
                post(&mut client, &finish, "", &format!("{{\"state\":\"crowd\",\"tx\":\"{id}\"}}"))
            });
            done?;
            serial += 1;
            samples.push_time(time);
        }
        costs.push(samples);
    }
    let [one, many] = &costs[..] else { return Ok(()) };
    let name = format!("begin, commit, finish beside {OPEN} transactions");
    let line = Line::new(name, Quantity::Millis(many.median()), many.len());
    bench.report(&line.against("beside 1", Quantity::Millis(one.median())).at_most(10.0));
    Ok(())
}

fn post(client: &mut Client, target: &Target, query: &str, body: &str) -> Result<()> {
    client.exchange(&target.request("POST", query, body.as_bytes()))
}

fn request(id: &str, serial: u64, address: &str) -> String {
    let lock = String::from_utf8_lossy(&lock_info(id, "OperationTypeApply")).into_owned();
    format!(
        "{{\"state\":\"crowd\",\"lock\":{lock},\"write\":[\"{address}\"],\"read\":[\"x.shared\"],\"plan\":{{\"serial\":{serial},\"lineage\":\"L\"}},\"wait_s\":0,\"lease_s\":3600}}"
    )
}

fn world(serial: u64, value: u64) -> String {
    format!(
        "{{\"version\":4,\"terraform_version\":\"1.15.5\",\"serial\":{serial},\"lineage\":\"L\",\"outputs\":{{}},\"resources\":[{{\"mode\":\"managed\",\"type\":\"x\",\"name\":\"a\",\"provider\":\"provider[\\\"p\\\"]\",\"instances\":[{{\"schema_version\":0,\"attributes\":{{\"id\":\"{value}\"}}}}]}}],\"check_results\":null}}"
    )
}
