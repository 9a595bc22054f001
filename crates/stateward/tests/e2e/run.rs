//! Real Terraform under `stateward run`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stateward_testkit::{Output, Running, Terraform, TestDir, Workdir};

use crate::{LIMIT, cli, serve, store};

pub(crate) const HTTP: &str = "terraform {\n  backend \"http\" {}\n}\n";
const ONE: &str = "resource \"terraform_data\" \"a\" { input = \"one\" }\n";
/// Runs until the file `go` appears, or the directory goes.
const SLOW: &str = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo begun; while [ ! -e go ] && [ -e main.tf ]; do sleep 0.05; done"
  }
}
"#;
const S3: &str = r#"
terraform {
  backend "s3" {
    bucket = "states"
    key    = "net/prod"
    region = "eu-west-1"
  }
}
"#;
pub(crate) const APPLY: [&str; 4] = ["--", "terraform", "apply", "-auto-approve"];

/// What holds the whole state.
const WHOLE: [&str; 2] = ["--lock", "whole"];

/// A store, and directories of configurations.
pub(crate) struct Bench {
    pub(crate) dir: TestDir,
    terraform: Terraform,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Terraform::find())
    }

    pub(crate) fn with(terraform: Terraform) -> Self {
        Self { dir: TestDir::new(), terraform }
    }

    pub(crate) fn work(&self, name: &str, configuration: &str) -> Workdir {
        let work = self.terraform.workdir(&self.dir, name);
        work.write("main.tf", configuration);
        work
    }

    /// One whose backend is ours, ready to be applied.
    pub(crate) fn ready(&self, name: &str, configuration: &str) -> Workdir {
        let work = self.work(name, &format!("{HTTP}{configuration}"));
        self.run(&work, &["--state", "app", "--", "terraform", "init"]).expect_success();
        work
    }

    /// `stateward run` in a directory, with the environment in which Terraform runs there.
    #[expect(clippy::disallowed_methods, reason = "Terraform is found before all else")]
    pub(crate) fn command(&self, work: &Workdir, arguments: &[&str]) -> Command {
        let terraform = work.command::<&str>(&[]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
        let envs = terraform.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(envs).arg("run").args(arguments).current_dir(work.path());
        let mut path = OsString::from(self.terraform.directory());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path).env("STATEWARD_WHO", "ana@laptop").env("STATEWARD_STORE", store(&self.dir));
        command
    }

    pub(crate) fn spawn(&self, work: &Workdir, arguments: &[&str]) -> Running {
        Running::start(self.command(work, arguments))
    }

    pub(crate) fn run(&self, work: &Workdir, arguments: &[&str]) -> Output {
        self.spawn(work, arguments).wait(LIMIT)
    }

    pub(crate) fn apply(&self, work: &Workdir, arguments: &[&str]) -> Output {
        self.run(work, &[&["--state", "app"], arguments, &APPLY].concat())
    }

    /// An apply that has begun and does not end before the file `go` is there.
    fn slow(&self, work: &Workdir, arguments: &[&str]) -> Running {
        let mut running = self.spawn(work, &[&["--state", "app"], arguments, &APPLY].concat());
        running.wait_for("begun", LIMIT);
        running
    }

    /// A JSON answer of the command line, on the store itself.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        let store = store(&self.dir);
        let output = cli(&self.dir).run(&[arguments, &["--json", "--store", &store]].concat()).expect_success();
        serde_json::from_str(&output.stdout).expect("one JSON document")
    }

    pub(crate) fn locks(&self) -> usize {
        self.ask(&["lock", "list"])["items"].as_array().unwrap().len()
    }

    pub(crate) fn resources(&self, state: &str) -> u64 {
        let states = self.ask(&["state", "list"]);
        let mut states = states["items"].as_array().unwrap().iter();
        states.find(|item| item["state"] == state).map_or(0, |item| item["resources"].as_u64().unwrap())
    }
}

/// Every file below a directory, with its bytes.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut places = vec![directory.to_owned()];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => places.push(path),
                false => found.push((path.display().to_string(), fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

/// The Terraform that a run has started.
pub(crate) fn terraform_of(running: &Running) -> u32 {
    let mut all = Vec::new();
    // Any thread of the run may be its parent.
    for task in fs::read_dir(format!("/proc/{}/task", running.id())).unwrap() {
        let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        all.extend(children.split_whitespace().map(|id| id.parse::<u32>().unwrap()));
    }
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

#[test]
fn init_apply_and_plan_with_a_backend_that_says_nothing() {
    let bench = Bench::new();
    let work = bench.ready("work", ONE);
    let plan = ["--state", "app", "--", "terraform", "plan", "-detailed-exitcode"];
    bench.run(&work, &plan).expect_code(2);
    let applied = bench.apply(&work, &[]).expect_success();
    assert_eq!(applied.stderr, "", "there is nothing to say");
    bench.run(&work, &plan).expect_success();
    assert_eq!((bench.resources("app"), bench.locks()), (1, 0));
    let newest = bench.ask(&["state", "history", "app"])["items"][0].clone();
    assert_eq!((&newest["who"], &newest["operation"]), (&"ana@laptop".into(), &"OperationTypeApply".into()));
    for (name, bytes) in files(work.path()) {
        assert!(!String::from_utf8_lossy(&bytes).contains("127.0.0.1"), "{name} holds the run's address");
    }
    let moved = ["--state", "app", "--", "terraform", "state", "mv", "terraform_data.a", "terraform_data.b"];
    bench.run(&work, &moved).expect_success();
    bench.run(&work, &["--state", "app", "--", "terraform", "fmt"]).expect_success();
}

#[test]
fn another_backend_is_overridden_and_everything_stays_as_it_was() {
    let bench = Bench::new();
    let work = bench.work("work", &format!("{S3}module \"m\" {{ source = \"./m\" }}\n"));
    work.write("m/m.tf", ONE);
    let refused = bench.run(&work, &APPLY).expect_code(2);
    assert!(refused.stderr.contains("main.tf:3 declares `backend \"s3\"`"), "{}", refused.report());
    bench.run(&work, &["--override", "--", "terraform", "init"]).expect_success();
    let before = files(work.path());
    let applied = bench.run(&work, &[&["--override"], &APPLY[..]].concat()).expect_success();
    assert_eq!(applied.stderr, "the state is `net/prod`\n");
    bench.run(&work, &["--override", "--", "terraform", "plan", "-detailed-exitcode"]).expect_success();
    assert_eq!((bench.resources("net/prod"), bench.locks()), (1, 0));
    assert!(files(work.path()) == before, "something was left behind or changed");
}

#[test]
fn a_directory_that_was_initialised_for_another_backend_stays_so() {
    let bench = Bench::new();
    let work = bench.work("work", &format!("terraform {{\n  backend \"local\" {{}}\n}}\n{ONE}"));
    work.run(&["init"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    let before = files(work.path());
    bench.apply(&work, &["--override"]).expect_success();
    assert!(files(work.path()) == before);
    assert_eq!(bench.resources("app"), 1, "it began anew: what was in the file is not here");
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
}

#[test]
fn what_a_killed_run_leaves_is_removed_by_the_next() {
    let bench = Bench::new();
    // Its Terraform is not to try for a minute to reach a server that is gone.
    let work = bench.work("work", &format!("{S3}{SLOW}")).env("TF_HTTP_RETRY_MAX", "0");
    let killed = bench.slow(&work, &["--override", "--lease", "2s"]);
    let terraform = terraform_of(&killed);
    assert!(work.path().join("stateward_override.tf").exists());
    killed.kill9();
    assert!(work.path().join("stateward_override.tf").exists());
    work.write("go", "");
    let next = bench.apply(&work, &["--override"]).expect_success();
    assert!(next.stderr.contains("which a run had left that was killed"), "{}", next.report());
    assert!(!work.path().join("stateward_override.tf").exists());
    assert_eq!((bench.resources("app"), bench.locks()), (1, 0));
    // Its own server is gone, so that it ends by itself.
    while Path::new(&format!("/proc/{terraform}/exe")).exists() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn two_runs_at_once() {
    let bench = Bench::new();
    let (one, two) = (bench.ready("one", SLOW), bench.ready("two", ONE));
    let first = bench.slow(&one, &WHOLE);
    let refused = bench.apply(&two, &["--lock", "whole", "--wait", "0s"]).expect_code(3);
    assert!(refused.stderr.contains("error: ") && refused.stderr.contains("ana@laptop"), "{}", refused.report());
    let mut second = bench.spawn(&two, &[&["--state", "app"], &WHOLE[..], &APPLY].concat());
    second.wait_for("waiting for `app`: ana@laptop holds it (apply)", LIMIT);
    one.write("go", "");
    first.wait(LIMIT).expect_success();
    let second = second.wait(LIMIT).expect_success();
    assert!(second.stderr.contains("`app` is ours now"), "{}", second.report());
    assert_eq!((bench.resources("app"), bench.locks()), (1, 0));
}

#[test]
fn a_wait_ends_with_ctrl_c() {
    let bench = Bench::new();
    let (one, two) = (bench.ready("one", SLOW), bench.ready("two", ONE));
    let first = bench.slow(&one, &WHOLE);
    let mut second = bench.spawn(&two, &[&["--state", "app"], &WHOLE[..], &APPLY].concat());
    second.wait_for("waiting for", LIMIT);
    second.interrupt();
    assert_eq!(second.wait(LIMIT).code(), Some(1));
    one.write("go", "");
    first.wait(LIMIT).expect_success();
    assert_eq!((bench.resources("app"), bench.locks()), (1, 0));
}

#[test]
fn ctrl_c_and_sigterm_reach_terraform_once() {
    for by in [Running::interrupt, Running::terminate] {
        let bench = Bench::new();
        let work = bench.ready("work", SLOW);
        let running = bench.slow(&work, &[]);
        by(&running);
        let ended = running.wait(LIMIT).expect_code(1);
        assert_eq!(ended.stdout.matches("Interrupt received").count(), 1, "{}", ended.report());
        assert!(!ended.stdout.contains("Two interrupts"), "{}", ended.report());
        assert_eq!((bench.resources("app"), bench.locks()), (1, 0), "it was saved");
    }
}

#[test]
fn a_terraform_that_is_killed_leaves_no_lock() {
    let bench = Bench::new();
    let work = bench.ready("work", SLOW);
    let running = bench.slow(&work, &[]);
    assert_eq!(bench.locks(), 1);
    let kill = Command::new("kill").args(["-9", &terraform_of(&running).to_string()]).status().unwrap();
    assert!(kill.success());
    running.wait(LIMIT).expect_code(137);
    assert_eq!(bench.locks(), 0);
    work.write("go", "");
    bench.apply(&work, &["--wait", "0s"]).expect_success();
}

#[test]
fn a_state_that_is_refused_is_kept() {
    let bench = Bench::new();
    let work = bench.ready("work", SLOW);
    let running = bench.slow(&work, &["--lease", "1h", "--lock", "whole"]);
    let store = store(&bench.dir);
    cli(&bench.dir).run(&["lock", "release", "app", "--force", "--store", &store]).expect_success();
    work.write("go", "");
    let ended = running.wait(LIMIT).expect_code(3);
    let kept = work.path().join("errored.tfstate");
    assert!(ended.stderr.contains(&format!("it is kept in `{}`", kept.display())), "{}", ended.report());
    cli(&bench.dir).run(&["state", "push", "app", kept.to_str().unwrap(), "--store", &store]).expect_success();
    assert_eq!(bench.resources("app"), 1);
}

#[test]
fn by_a_server_with_tokens() {
    let bench = Bench::new();
    let token = cli(&bench.dir).run(&["token", "new", "ci", "--file", "tokens.toml"]).expect_success().stdout;
    let tokens = bench.dir.join("tokens.toml");
    let server = serve(&bench.dir, &["--tokens", tokens.to_str().unwrap()]);
    let (one, two) = (bench.work("one", &format!("{HTTP}{SLOW}")), bench.work("two", &format!("{S3}{ONE}")));
    let by_server = |work: &Workdir, arguments: &[&str]| {
        let mut command = bench.command(work, arguments);
        command.env("STATEWARD_SERVER", server.url("")).env("STATEWARD_TOKEN", token.trim());
        command.env_remove("STATEWARD_STORE");
        Running::start(command)
    };
    by_server(&one, &["--state", "net/prod", "--", "terraform", "init"]).wait(LIMIT).expect_success();
    let mut first = by_server(&one, &[&["--state", "net/prod", "--lease", "2s"], &WHOLE[..], &APPLY].concat());
    first.wait_for("begun", LIMIT);
    let refused =
        by_server(&two, &[&["--override", "--wait", "0s"], &WHOLE[..], &APPLY].concat()).wait(LIMIT).expect_code(3);
    assert!(refused.stderr.contains("ana@laptop"), "{}", refused.report());
    let mut second = by_server(&two, &[&["--override"], &WHOLE[..], &APPLY].concat());
    second.wait_for("waiting for `net/prod`: ana@laptop holds it (apply)", LIMIT);
    // Longer than the lease: it is renewed.
    std::thread::sleep(std::time::Duration::from_secs(3));
    one.write("go", "");
    first.wait(LIMIT).expect_success();
    second.wait(LIMIT).expect_success();
    assert_eq!((bench.resources("net/prod"), bench.locks()), (1, 0));
    let mut stranger = bench.command(&one, &[&["--state", "net/prod"], &APPLY[..]].concat());
    stranger.env("STATEWARD_SERVER", server.url("")).env("STATEWARD_TOKEN", "sw_wrong").env_remove("STATEWARD_STORE");
    assert_ne!(Running::start(stranger).wait(LIMIT).code(), Some(0));
}
