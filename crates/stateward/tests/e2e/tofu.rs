//! Real `OpenTofu`, where it is installed: over `stateward serve`, under `stateward run`, and with its state encrypted.

use serde_json::Value;
use stateward_testkit::{ServerProcess, Terraform, Workdir};

use crate::run::Bench;
use crate::{LIMIT, cli, serve, store};

const APPLY: [&str; 4] = ["--", "tofu", "apply", "-auto-approve"];
const HTTP: &str = "terraform {\n  backend \"http\" {}\n}\n";
/// Two that have nothing to do with each other. Each is replaced when its variable changes, and then takes for as long as the file
/// `hold` is there.
const TWO: &str = r#"
variable "a" { default = "0" }
variable "b" { default = "0" }
locals { slow = "echo begun; while [ -e hold ] && [ -e main.tf ]; do sleep 0.05; done" }
resource "terraform_data" "a" {
  triggers_replace = var.a
  provisioner "local-exec" { command = local.slow }
}
resource "terraform_data" "b" {
  triggers_replace = var.b
  provisioner "local-exec" { command = local.slow }
}
output "a" { value = terraform_data.a.triggers_replace }
"#;
const ENCRYPTION: &str = r#"
key_provider "pbkdf2" "k" { passphrase = "correct horse battery staple" }
method "aes_gcm" "m" { keys = key_provider.pbkdf2.k }
state {
  method   = method.aes_gcm.m
  enforced = true
}
"#;

fn over(bench: &Bench, server: &ServerProcess, name: &str) -> Workdir {
    let work = bench.work(name, TWO);
    work.write_http_backend(&server.url("/state/app"));
    work
}

fn release(work: &Workdir) {
    work.remove("hold");
}

#[test]
fn over_a_server_it_waits_for_the_lock_and_breaks_it() {
    let Some(tofu) = Terraform::find_tofu() else { return };
    let bench = Bench::with(tofu);
    let server = serve(&bench.dir, &[]);
    let (one, two) = (over(&bench, &server, "one"), over(&bench, &server, "two"));
    for work in [&one, &two] {
        work.run(&["init"]).expect_success();
    }
    one.run(&["plan", "-detailed-exitcode"]).expect_code(2);
    one.run(&["apply", "-auto-approve"]).expect_success();
    two.run(&["plan", "-detailed-exitcode"]).expect_success();
    assert_eq!(two.run(&["output", "-raw", "a"]).expect_success().stdout, "0");

    one.write("hold", "");
    let mut first = one.spawn(&["apply", "-auto-approve", "-var", "a=1"]);
    first.wait_for("(local-exec): begun", LIMIT);
    let id = bench.ask(&["lock", "list"])["items"][0]["id"].as_str().unwrap().to_owned();
    let refused = two.run(&["apply", "-auto-approve", "-var", "b=1"]).expect_code(1);
    assert!(refused.stderr.contains("Error acquiring the state lock"), "{}", refused.report());
    assert!(refused.stderr.contains(&id) && refused.stderr.contains("OperationTypeApply"), "{}", refused.report());
    let waiting = two.spawn(&["apply", "-auto-approve", "-var", "a=1", "-var", "b=1", "-lock-timeout=60s"]);
    release(&one);
    first.wait(LIMIT).expect_success();
    waiting.wait(LIMIT).expect_success();

    one.write("hold", "");
    let mut killed = one.spawn(&["apply", "-auto-approve", "-var", "a=2"]);
    killed.wait_for("(local-exec): begun", LIMIT);
    killed.kill9();
    let id = bench.ask(&["lock", "list"])["items"][0]["id"].as_str().unwrap().to_owned();
    // Of an answer that is not 200 it shows no more than the number.
    let other = two.run(&["force-unlock", "-force", "11111111-2222-3333-4444-555555555555"]).expect_code(1);
    assert!(other.stderr.contains("409"), "{}", other.report());
    assert_eq!(bench.locks(), 1);
    two.run(&["force-unlock", "-force", &id]).expect_success();
    release(&one);
    one.run(&["apply", "-auto-approve", "-var", "a=2"]).expect_success();
    one.run(&["destroy", "-auto-approve"]).expect_success();
    assert_eq!(bench.locks(), 0);
}

#[test]
fn disjoint_applies_go_side_by_side() {
    let Some(tofu) = Terraform::find_tofu() else { return };
    let bench = Bench::with(tofu);
    let ready = |name: &str| {
        let work = bench.work(name, &format!("{HTTP}{TWO}"));
        bench.run(&work, &["--state", "app", "--", "tofu", "init"]).expect_success();
        work
    };
    let apply = |work: &Workdir| bench.spawn(work, &[&["--state", "app"], &APPLY[..]].concat());
    let (one, two) = (ready("one"), ready("two"));
    apply(&one).wait(LIMIT).expect_success();
    let held = |work: &Workdir, variables: &str| {
        work.write("terraform.tfvars", variables);
        work.write("hold", "");
        let mut running = apply(work);
        running.wait_for("begun", LIMIT);
        running
    };
    let (first, second) = (held(&one, "a = \"1\"\n"), held(&two, "b = \"1\"\n"));
    let open = bench.ask(&["tx", "list", "app"]);
    let writes: Vec<&Value> = open["items"].as_array().unwrap().iter().map(|tx| &tx["write"]).collect();
    assert_eq!(
        writes,
        [&serde_json::json!(["output.a", "terraform_data.a"]), &serde_json::json!(["terraform_data.b"])]
    );
    release(&two);
    second.wait(LIMIT).expect_success();
    release(&one);
    first.wait(LIMIT).expect_success();
    one.write("terraform.tfvars", "a = \"1\"\nb = \"1\"\n");
    bench.run(&one, &["--state", "app", "--", "tofu", "plan", "-detailed-exitcode"]).expect_success();
    assert_eq!(bench.locks(), 0);
}

#[test]
fn what_it_encrypts_is_kept_as_it_is_and_held_as_a_whole() {
    const WHY: &str = "the whole state is locked: main.tf:5 declares `encryption`";
    let Some(tofu) = Terraform::find_tofu() else { return };
    let bench = Bench::with(tofu);
    let work = bench.work("work", &format!("{HTTP}terraform {{\n  encryption {{{ENCRYPTION}}}\n}}\n{TWO}"));
    let run = |words: &[&str]| bench.run(&work, &[&["--state", "app", "--", "tofu"], words].concat());
    run(&["init"]).expect_success();
    // Known before there is a state that shows it: what this writes could not be merged either.
    let first = run(&["apply", "-auto-approve"]).expect_success();
    assert!(first.stderr.contains(WHY), "{}", first.report());
    run(&["plan", "-detailed-exitcode"]).expect_success();
    let store = store(&bench.dir);
    let pull = ["state", "pull", "app", "--store", &store];
    let body = cli(&bench.dir).run(&pull).expect_success().stdout;
    assert!(body.contains("\"encrypted_data\"") && !body.contains("terraform_data"), "it is in clear");
    assert_eq!(run(&["output", "-raw", "a"]).expect_success().stdout, "0");

    // The plan is in clear and the state is not: what it writes could not be merged, so it holds all.
    work.write("hold", "");
    let mut held = bench.spawn(&work, &[&["--state", "app"], &APPLY[..], &["-var", "a=1"]].concat());
    held.wait_for("begun", LIMIT);
    assert_eq!(bench.ask(&["lock", "list"])["items"][0]["mode"], "whole");
    release(&work);
    let held = held.wait(LIMIT).expect_success();
    assert!(held.stderr.contains(WHY), "{}", held.report());
    assert_ne!(cli(&bench.dir).run(&pull).expect_success().stdout, body);
    assert_eq!(run(&["output", "-raw", "a"]).expect_success().stdout, "1");
    assert_eq!(bench.ask(&["state", "history", "app"])["items"].as_array().unwrap().len(), 2);
    assert_eq!(bench.ask(&["tx", "list", "app", "--all"])["items"], Value::Array(Vec::new()));
    assert_eq!(bench.locks(), 0);
}

#[test]
fn encryption_by_the_environment_is_known_before_there_is_a_state() {
    let Some(tofu) = Terraform::find_tofu() else { return };
    let bench = Bench::with(tofu);
    let work = bench.work("work", &format!("{HTTP}{TWO}")).env("TF_ENCRYPTION", ENCRYPTION);
    bench.run(&work, &["--state", "app", "--", "tofu", "init"]).expect_success();
    let applied = bench.run(&work, &[&["--state", "app"], &APPLY[..]].concat()).expect_success();
    assert!(applied.stderr.contains("the whole state is locked: `TF_ENCRYPTION` is set"), "{}", applied.report());
    assert_eq!(bench.ask(&["tx", "list", "app", "--all"])["items"], Value::Array(Vec::new()));
}
