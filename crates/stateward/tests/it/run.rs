//! `stateward run`, without Terraform: what it refuses, how it ends, and who may speak to its server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use insta::assert_snapshot;
use stateward_testkit::{RawHttp, Running, lock_info};

use crate::world::{State, World, everywhere, words};

const LIMIT: Duration = Duration::from_mins(1);
/// Says where its state is, and ends once it may, with the exit code that the file `go` holds.
const WAITS: &str =
    "echo \"at $TF_HTTP_ADDRESS .\"; while [ ! -e go ] && [ -d home ]; do sleep 0.02; done; exit $(cat go)";

impl World {
    /// With a `terraform` that does nothing.
    fn with_terraform(self) -> Self {
        self.with_tool("terraform")
    }

    /// With a tool that does nothing.
    fn with_tool(self, name: &str) -> Self {
        let tool = self.dir.write(name, "#!/bin/sh\n");
        fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// What commands print in a directory with these files.
    fn told_with(&self, files: &[(&str, &str)], lines: &[&str]) -> String {
        for (name, text) in files {
            self.dir.write(name, text);
        }
        let told = self.told(lines);
        for (name, _) in files {
            fs::remove_file(self.dir.join(name)).unwrap();
        }
        told + "\n"
    }

    /// A run of a script, and a client of its server with the path of the state.
    fn run_script(&self, script: &str) -> (Running, RawHttp, String) {
        let mut running = self.cli().spawn(&["run", "--state", "net/prod", "--", "sh", "-c", script]);
        running.wait_for(" .", LIMIT);
        let told = running.stdout();
        let url = told.split_whitespace().nth(1).unwrap();
        let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        (running, RawHttp::new(address.parse().unwrap()), format!("/{path}"))
    }
}

#[test]
fn what_would_go_past_the_state_is_not_started() {
    let world = World::local().with_terraform();
    let mut told = world.told_with(
        &[("main.tf", "locals {}\n")],
        &["run -- ./terraform apply", "run --state app -- ./terraform apply"],
    );
    told += &world.told_with(
        &[("main.tf", "terraform {\n  backend \"s3\" {\n    key = \"net/pröd\"\n  }\n}\n")],
        &["run -- ./terraform apply", "run --state app -- ./terraform plan"],
    );
    let address = "http://h/state/net/prod?workspace=dev";
    let fixed = format!("terraform {{\n  backend \"http\" {{\n    address = \"{address}\"\n  }}\n}}\n");
    told += &world.told_with(&[("main.tf", &fixed)], &["run -- ./terraform apply"]);
    told += &world.told_with(
        &[("main.tf", "terraform {\n  backend \"http\" {}\n}\nlocals {\n  w = terraform.workspace\n}\n")],
        &["run --state app@dev -- ./terraform apply", "run --state app@dev --workspace prod -- ./terraform apply"],
    );
    assert_snapshot!(told, @r#"
    $ run -- ./terraform apply
    ! error: the command was not started
    !   why: neither `--state` nor the configuration's backend says which state it is about
    !   next: name the state: `--state NAME`
    [exit 2]

    $ run --state app -- ./terraform apply
    ! error: the command was not started
    !   why: its configuration declares no backend, so that its state would stay in a file
    !   next: declare `terraform { backend "http" {} }`, or let `--override` stand in for it during this run
    [exit 2]

    $ run -- ./terraform apply
    ! error: the command was not started
    !   why: the `key` of `backend "s3"` is `net/pröd`: a state's name has a character other than letters, digits, `.`, `_` and `-`
    !   next: name the state with `--state`: use segments of letters, digits, `.`, `_` and `-`, joined by `/`, at most 512 bytes, such as `network/prod`
    [exit 2]

    $ run --state app -- ./terraform plan
    ! error: the command was not started
    !   why: main.tf:2 declares `backend "s3"`, so that its state would stay there
    !   next: declare `terraform { backend "http" {} }`, or let `--override` stand in for it during this run
    [exit 2]

    $ run -- ./terraform apply
    ! the state is `net/prod@dev`
    ! error: the command was not started
    !   why: main.tf:2 fixes the `address` of the backend, so that its state would stay there
    !   next: take the addresses out of the block, or let `--override` stand in for it during this run
    [exit 2]

    $ run --state app@dev -- ./terraform apply
    ! error: the command was not started
    !   why: main.tf:5 uses `terraform.workspace`, which would be `default` and not `dev`: the `http` backend has no workspaces
    !   next: use an input variable in its place
    [exit 2]

    $ run --state app@dev --workspace prod -- ./terraform apply
    ! error: the command was not started
    !   why: `--workspace` is `prod`, and the state's name says `dev`
    !   next: leave one of them out
    [exit 2]
    "#);
}

#[test]
fn where_our_backend_would_not_count_nothing_is_started() {
    let world = World::local().with_terraform();
    let mut told = world.told_with(
        &[("main.tf", "locals {}\n"), ("z_override.tf", "terraform {\n  cloud {}\n}\n")],
        &["run --state app --override -- ./terraform apply", "run --state app --override -- sh -c true"],
    );
    told += &world.told_with(
        &[("main.tf", "locals {}\n"), ("stateward_override.tf", "# mine\n")],
        &["run --state app --override -- ./terraform apply"],
    );
    assert_snapshot!(told, @r#"
    $ run --state app --override -- ./terraform apply
    ! error: the command was not started
    !   why: z_override.tf:2 declares `cloud`, and comes after our override file
    !   next: rename that file, so that its name sorts before `stateward_override.tf`
    [exit 2]

    $ run --state app --override -- sh -c true
    ! error: the command was not started
    !   why: `--override` needs `terraform` or `tofu` itself behind `--`, to know which directory it means
    !   next: call the tool itself, or leave `--override` out
    [exit 2]

    $ run --state app --override -- ./terraform apply
    ! error: the command was not started
    !   why: `[DIR]/stateward_override.tf` is there already, and is not a file of stateward's
    !   next: rename the file: `--override` needs this name
    [exit 1]
    "#);
}

#[test]
fn what_terragrunt_would_ask_of_the_wrong_state_is_said() {
    let world = World::local().with_tool("terragrunt");
    let run = ["run --state app -- ./terragrunt output"];
    let told = world.told_with(&[("terragrunt.hcl", "# alone\n")], &run);
    assert!(!told.contains("dependency") && told.contains("never asked for `app`"), "{told}");
    let told = world.told_with(&[("terragrunt.hcl", "\ndependency \"net\" {\n  config_path = \"../net\"\n}\n")], &run);
    let warning = "warning: terragrunt.hcl:2 declares `dependency`: if the other unit has a `backend \"http\" {}`, it gets the outputs";
    assert!(told.contains(warning) && !told.contains("[exit"), "{told}");
}

#[test]
fn terragrunt_in_many_directories_by_its_environment() {
    let world = World::local();
    let tool = world.dir.write("terragrunt", "#!/bin/sh\necho \"at $TF_HTTP_ADDRESS\"\n");
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |name: &str, value: &str| {
        world.cli().env(name, value).run(&["run", "--state", "app", "--", "./terragrunt", "apply"])
    };
    for name in ["TG_ALL", "TG_GRAPH"] {
        let refused = run(name, "true").expect_code(2);
        assert!(refused.stderr.contains("it would work on many directories"), "{}", refused.report());
        assert!(run(name, "false").expect_success().stdout.starts_with("at http://127.0.0.1:"));
    }
}

#[test]
fn commands_that_cannot_be_run() {
    let told = World::local().told(&[
        "run --state app -- ./no-such-program",
        "run --state app -- terragrunt run --all apply",
        "run --state app --lease 2h -- true",
        "run --state app",
    ]);
    assert_snapshot!(told, @r#"
    $ run --state app -- ./no-such-program
    ! error: `./no-such-program` was not started
    !   why: no such file or directory
    !   next: check the command behind `--`
    [exit 1]

    $ run --state app -- terragrunt run --all apply
    ! error: the command was not started
    !   why: it would work on many directories, each with a state of its own, and a run has one state
    !   next: run it once in each directory
    [exit 2]

    $ run --state app --lease 2h -- true
    ! error: invalid value '2h' for '--lease <TIME>': is not from 1s to 1h
    !
    ! For more information, try '--help'.
    [exit 2]

    $ run --state app
    ! error: the following required arguments were not provided:
    !   <COMMAND>...
    !
    ! Usage: stateward run --state <NAME> -- <COMMAND>...
    !
    ! For more information, try '--help'.
    [exit 2]
    "#);
}

#[test]
fn the_end_of_the_command_is_ours() {
    let told = everywhere(|world| {
        let world = world.with_terraform();
        let mut told = world.told(&[
            "run --state app -- ./terraform version",
            "run --state app -- true",
            "run --state app -- false",
        ]);
        for script in ["exit 42", "kill -KILL $$", "kill -TERM $$"] {
            let output = world.cli().run(&["run", "--state", "app", "--", "sh", "-c", script]);
            told += &world.transcript(script, &output);
        }
        told
    });
    assert_snapshot!(told, @r#"
    $ run --state app -- ./terraform version

    $ run --state app -- true
    ! note: the command never asked for `app`: does its configuration declare `backend "http" {}`?

    $ run --state app -- false
    [exit 1]
    $ exit 42
    [exit 42]
    $ kill -KILL $$
    [exit 137]
    $ kill -TERM $$
    [exit 143]
    "#);
}

#[test]
fn a_command_reads_writes_and_locks_and_nobody_else_does() {
    everywhere(|world| {
        let world = world.with_versions();
        let (running, http, path) = world.run_script(WAITS);
        let lock = path.replace("/state", "/lock");
        assert!(http.request("GET", &path, &[], b"").expect_status(200).text().contains("hunter-two"));
        let secret = path.split('/').nth(1).unwrap();
        assert_eq!(secret.len(), 32);
        let wrong = "0".repeat(32);
        for stranger in [path.replace(secret, &wrong), path.replace(secret, ""), "/state".into(), "/".into()] {
            for method in ["GET", "POST", "LOCK"] {
                let answer = http.request(method, &stranger, &[], b"").expect_status(403);
                assert!(!answer.text().contains("hunter"), "{stranger}");
            }
        }
        http.request("GET", &path.replace("/state", "/empty"), &[], b"").expect_status(404);
        http.request("LOCK", &lock, &[], &lock_info("one", "OperationTypeApply")).expect_status(200);
        assert_eq!(world.json("lock list")["items"][0]["who"], "ana@laptop");
        let held = http.request("LOCK", &lock, &[("x-ignored", "1")], b"{}");
        assert_eq!(held.status, 400);
        let next = State::new(4).instance("a", "four", "hunter-four").text();
        http.request("POST", &format!("{path}?ID=one"), &[], next.as_bytes()).expect_status(200);
        http.request("UNLOCK", &lock, &[], &lock_info("one", "OperationTypeApply")).expect_status(200);
        assert_eq!(world.json("lock list")["items"].as_array().unwrap().len(), 0);
        assert_eq!(world.json("state list")["items"][0]["serial"], 4);
        world.dir.write("go", "5");
        let ended = running.wait(LIMIT).expect_code(5);
        assert_eq!(ended.stderr, "");
        String::new()
    });
}

#[test]
fn what_is_not_given_back_or_not_stored_is_taken_care_of() {
    let told = everywhere(|world| {
        let world = world.with_versions();
        let (running, http, path) = world.run_script(WAITS);
        let lock = path.replace("/state", "/lock");
        http.request("LOCK", &lock, &[], &lock_info("one", "OperationTypeApply")).expect_status(200);
        let next = State::new(4).instance("a", "four", "hunter-four").text();
        http.request("POST", &format!("{path}?ID=other"), &[], next.as_bytes()).expect_status(409);
        world.dir.write("go", "1");
        let ended = running.wait(LIMIT).expect_code(3);
        assert_eq!(world.dir.read("stateward-unsaved.tfstate"), next);
        let mode = fs::metadata(world.dir.join("stateward-unsaved.tfstate")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let told = world.filtered(&ended.stderr);
        told + &world.told(&["lock list", "state push net/prod stateward-unsaved.tfstate"])
    });
    assert_snapshot!(told, @"
    error: the last state of `net/prod` was not stored
      why: the lock that the request names is not the live one: ana@laptop holds it (lock one)
      next: it is kept in `[DIR]/stateward-unsaved.tfstate`; bring it in with `stateward state push net/prod [DIR]/stateward-unsaved.tfstate`, then remove the file, which may hold secrets
    $ lock list
    ! nothing is locked

    $ state push net/prod stateward-unsaved.tfstate
    net/prod is stored, now v4 (serial 4)
    ");
}

#[test]
fn a_command_that_is_killed_while_it_waits_leaves_the_queue() {
    let world = World::served().with_versions();
    world.lock("net/prod", "held");
    let (running, http, path) = world.run_script(WAITS);
    let lock = path.replace("/state", "/lock");
    let mut connection = http.connect().unwrap();
    connection.send_request("LOCK", &lock, &[], &lock_info("waits", "OperationTypeApply")).unwrap();
    let queue = || world.json("lock list")["items"][0]["queue"].as_u64().unwrap();
    while queue() != 1 {
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(connection);
    while queue() != 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    world.dir.write("go", "0");
    let ended = running.wait(LIMIT).expect_success();
    assert_eq!(ended.stderr, "waiting for `net/prod`: tester@testkit holds it (apply)\n");
    assert!(words(&ended.stdout).len() > 2);
}
