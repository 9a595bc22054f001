//! Real Terraform side by side on one state, each in a transaction.

use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::Value;
use stateward_testkit::{Output, Running, Workdir};

use crate::run::{APPLY, Bench, HTTP, terraform_of};
use crate::{LIMIT, cli, serve, store};

/// Three resources, of which one reads another. Each is replaced when its variable changes, and then takes for as long as the file
/// `hold` is there.
const WORLD: &str = r#"
variable "a" { default = "0" }
variable "b" { default = "0" }
variable "c" { default = "0" }
locals { slow = "echo begun; while [ -e hold ] && [ -e main.tf ]; do sleep 0.05; done" }
resource "terraform_data" "a" {
  triggers_replace = var.a
  input            = var.a
  provisioner "local-exec" { command = local.slow }
}
resource "terraform_data" "b" {
  triggers_replace = var.b
  provisioner "local-exec" { command = local.slow }
}
resource "terraform_data" "c" {
  triggers_replace = [var.c, terraform_data.a.output]
}
module "many" {
  source = "./many"
  of     = toset(["x", "y"])
}
output "a" { value = terraform_data.a.output }
"#;
const MANY: &str = r#"
variable "of" { type = set(string) }
variable "m" { default = "0" }
resource "terraform_data" "each" {
  for_each = var.of
  input    = each.key
}
"#;
const STATE: [&str; 2] = ["--state", "app"];

/// A store with the world applied, and directories of its configuration.
struct World(Bench);

impl World {
    fn new() -> Self {
        let bench = Bench::new();
        let world = Self(bench);
        let first = world.dir("first");
        world.0.apply(&first, &[]).expect_success();
        world
    }

    fn dir(&self, name: &str) -> Workdir {
        let work = self.0.work(name, &format!("{HTTP}{WORLD}"));
        work.write("many/main.tf", MANY);
        self.0.run(&work, &[&STATE[..], &["--", "terraform", "init"]].concat()).expect_success();
        work
    }

    /// A directory in which a variable has another value than the state knows.
    fn changed(&self, name: &str, variable: &str, value: &str) -> Workdir {
        let work = self.dir(name);
        work.write("terraform.tfvars", format!("{variable} = \"{value}\"\n"));
        work
    }

    fn spawn(&self, work: &Workdir, arguments: &[&str]) -> Running {
        self.0.spawn(work, &[&STATE[..], arguments].concat())
    }

    /// An apply that is in the middle of it until the file `hold` goes.
    fn held(&self, work: &Workdir, arguments: &[&str]) -> Running {
        work.write("hold", "");
        let mut running = self.spawn(work, &[arguments, &APPLY].concat());
        running.wait_for("begun", LIMIT);
        running
    }

    fn plan(&self, work: &Workdir, arguments: &[&str]) -> Output {
        self.0.run(work, &[&STATE[..], &["--", "terraform", "plan", "-out=plan"], arguments].concat()).expect_success()
    }

    fn apply_plan(&self, work: &Workdir, arguments: &[&str]) -> Output {
        self.0.run(work, &[&STATE[..], arguments, &["--", "terraform", "apply", "plan"]].concat())
    }

    /// What the state says of the triggers of `a`, `b` and `c`.
    fn triggers(&self) -> [Value; 3] {
        let store = store(&self.0.dir);
        let body = cli(&self.0.dir).run(&["state", "pull", "app", "--store", &store]).expect_success().stdout;
        let state: Value = serde_json::from_str(&body).unwrap();
        let resources = state["resources"].as_array().unwrap();
        ["a", "b", "c"].map(|name| {
            let resource = resources.iter().find(|resource| resource["name"] == name).unwrap();
            resource["instances"][0]["attributes"]["triggers_replace"]["value"].clone()
        })
    }

    fn phases(&self) -> Vec<String> {
        let list = self.0.ask(&["tx", "list", "app", "--all"]);
        list["items"].as_array().unwrap().iter().map(|tx| tx["phase"].as_str().unwrap().to_owned()).collect()
    }

    /// Nothing is held, nothing is left to do, and the history is whole.
    fn assert_settled(&self, work: &Workdir) {
        assert_eq!(self.0.locks(), 0);
        let plan = [&STATE[..], &["--", "terraform", "plan", "-detailed-exitcode"]].concat();
        self.0.run(work, &plan).expect_success();
        let store = store(&self.0.dir);
        cli(&self.0.dir).run(&["state", "verify", "--store", &store]).expect_success();
    }
}

fn release(work: &Workdir) {
    std::fs::remove_file(work.path().join("hold")).unwrap();
}

fn text(value: &str) -> Value {
    Value::from(value)
}

#[test]
fn disjoint_applies_are_in_the_middle_of_it_at_the_same_time() {
    let world = World::new();
    let (one, two) = (world.changed("one", "a", "1"), world.changed("two", "b", "1"));
    let (first, second) = (world.held(&one, &[]), world.held(&two, &[]));
    let open = world.0.ask(&["tx", "list", "app"]);
    let writes: Vec<&Value> = open["items"].as_array().unwrap().iter().map(|tx| &tx["write"]).collect();
    assert_eq!(
        *writes[0],
        serde_json::json!(["output.a", "terraform_data.a", "terraform_data.c"]),
        "c is replaced with what it reads"
    );
    assert_eq!(*writes[1], serde_json::json!(["terraform_data.b"]));
    release(&two);
    second.wait(LIMIT).expect_success();
    release(&one);
    let first = first.wait(LIMIT).expect_success();
    assert!(first.stdout.contains("Apply complete! Resources: 2 added, 0 changed, 2 destroyed."), "{}", first.report());
    assert_eq!(world.triggers()[..2], [text("1"), text("1")]);
    assert_eq!(world.phases(), ["committed", "committed", "committed"]);
    let history = world.0.ask(&["state", "history", "app"]);
    let newest = &history["items"][0];
    assert_eq!((&newest["tx"], &newest["who"]), (&open["items"][0]["tx"], &text("ana@laptop")));
    one.write("terraform.tfvars", "a = \"1\"\nb = \"1\"\n");
    world.assert_settled(&one);
}

#[test]
fn who_wants_the_same_waits_and_plans_again_on_what_came_of_it() {
    let world = World::new();
    let (one, two) = (world.changed("one", "a", "1"), world.changed("two", "c", "2"));
    let first = world.held(&one, &[]);
    let refused = world.0.run(&two, &[&STATE[..], &["--wait", "0s"], &APPLY].concat()).expect_code(3);
    assert!(refused.stderr.contains("ana@laptop holds terraform_data."), "{}", refused.report());
    let mut second = world.spawn(&two, &APPLY);
    second.wait_for("waiting for terraform_data.", LIMIT);
    second.wait_for(", held by ana@laptop (apply, ", LIMIT);
    release(&one);
    first.wait(LIMIT).expect_success();
    let second = second.wait(LIMIT).expect_success();
    assert!(second.stderr.contains("the plan is stale: "), "{}", second.report());
    assert!(second.stderr.contains("ana@laptop changed it at"), "{}", second.report());
    // Its own configuration says that `a` is as it was.
    assert_eq!(world.triggers()[0], text("0"));
    two.write("terraform.tfvars", "c = \"2\"\n");
    world.assert_settled(&two);
}

#[test]
fn saved_plans_stay_good_while_nothing_they_depend_on_has_changed() {
    let world = World::new();
    let (one, two) = (world.changed("one", "a", "1"), world.changed("two", "b", "1"));
    let three = world.changed("three", "c", "1");
    for work in [&one, &two, &three] {
        world.plan(work, &[]);
    }
    world.apply_plan(&one, &[]).expect_success();
    world.apply_plan(&two, &[]).expect_success();
    assert_eq!(world.triggers()[..2], [text("1"), text("1")]);
    let stale = world.apply_plan(&three, &[]).expect_code(3);
    assert!(
        stale.stderr.contains("the plan is stale") && stale.stderr.contains("terraform_data.a"),
        "{}",
        stale.report()
    );
    let once_more = world.apply_plan(&two, &[]).expect_code(3);
    assert!(once_more.stderr.contains("terraform_data.b"), "{}", once_more.report());
    // Taken as a whole it is Terraform that refuses.
    let whole = world.apply_plan(&two, &["--lock", "whole"]);
    assert!(whole.code() != Some(0) && whole.stderr.contains("Saved plan is stale"), "{}", whole.report());
    assert_eq!(world.0.locks(), 0);
}

#[test]
fn first_applies_on_a_state_that_is_not_there_yet() {
    let bench = Bench::new();
    let slow = |name: &str| {
        format!(
            "resource \"terraform_data\" \"{name}\" {{\n  provisioner \"local-exec\" {{ command = \"echo begun; while [ -e hold ] && [ -e main.tf ]; do sleep 0.05; done\" }}\n}}\noutput \"{name}\" {{ value = \"{name}\" }}\n"
        )
    };
    let (one, two) = (bench.ready("one", &slow("one")), bench.ready("two", &slow("two")));
    let world = World(bench);
    let (first, second) = (world.held(&one, &[]), world.held(&two, &[]));
    release(&one);
    first.wait(LIMIT).expect_success();
    release(&two);
    second.wait(LIMIT).expect_success();
    assert_eq!((world.0.resources("app"), world.0.locks()), (2, 0));
    let store = store(&world.0.dir);
    let body = cli(&world.0.dir).run(&["state", "pull", "app", "--store", &store]).expect_success().stdout;
    let state: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&state["outputs"]["one"]["value"], &state["outputs"]["two"]["value"]), (&text("one"), &text("two")));
}

#[test]
fn a_run_that_is_killed_leaves_what_it_has_committed_and_holds_nothing_for_long() {
    let world = World::new();
    // Its Terraform is not to try for a minute to reach a server that is gone.
    let one = world.changed("one", "a", "1").env("TF_HTTP_RETRY_MAX", "0");
    let two = world.changed("two", "b", "1");
    let killed = world.held(&one, &["--lease", "2s"]);
    let second = world.held(&two, &[]);
    let terraform = terraform_of(&killed);
    killed.kill9();
    release(&two);
    second.wait(LIMIT).expect_success();
    let three = world.changed("three", "a", "3");
    let third = world.spawn(&three, &APPLY);
    third.wait(LIMIT).expect_success();
    assert_eq!(world.triggers()[..2], [text("3"), text("0")], "each has the other's variable at its default");
    release(&one);
    while std::path::Path::new(&format!("/proc/{terraform}/exe")).exists() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(world.phases().contains(&"lapsed".to_owned()), "{:?}", world.phases());
    world.assert_settled(&three);
}

#[test]
fn what_is_refused_is_kept_and_can_be_brought_in() {
    let world = World::new();
    let (one, two) = (world.changed("one", "a", "1"), world.changed("two", "b", "1"));
    let first = world.held(&one, &[]);
    let tx = world.0.ask(&["tx", "list", "app"])["items"][0]["tx"].as_str().unwrap().to_owned();
    let store = store(&world.0.dir);
    let run = |arguments: &[&str]| cli(&world.0.dir).run(&[arguments, &["--store", &store]].concat());
    run(&["tx", "abort", "app", &tx[..8], "--yes"]).expect_success();
    world.0.apply(&two, &[]).expect_success();
    release(&one);
    let ended = first.wait(LIMIT).expect_code(3);
    let kept = one.path().join("errored.tfstate");
    let recover = format!("stateward tx recover app {} --tx {tx}", kept.display());
    assert!(ended.stderr.contains(&recover), "{}", ended.report());
    run(&["tx", "recover", "app", kept.to_str().unwrap(), "--tx", &tx]).expect_success();
    assert_eq!(world.triggers()[..2], [text("1"), text("1")]);
    let again = run(&["tx", "recover", "app", kept.to_str().unwrap(), "--tx", &tx]).expect_code(3);
    assert!(again.stderr.contains("terraform_data.a"), "{}", again.report());
    one.write("terraform.tfvars", "a = \"1\"\nb = \"1\"\n");
    world.assert_settled(&one);
}

#[test]
fn it_asks_as_terraform_does() {
    let world = World::new();
    let one = world.changed("one", "b", "1");
    let answered = |answer: &str| {
        let input = world.0.dir.write("answer", answer);
        let mut command = world.0.command(&one, &[&STATE[..], &["--", "terraform", "apply"]].concat());
        command.stdin(Stdio::from(File::open(input).unwrap()));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = answered("no\n");
    assert!(
        code == Some(1) && said.contains("Only 'yes' will be accepted") && said.contains("Apply cancelled"),
        "{said}"
    );
    assert_eq!(world.triggers()[1], text("0"));
    let (code, said) = answered("yes\n");
    assert!(code == Some(0) && said.contains("Apply complete!"), "{said}");
    let (code, said) = answered("");
    assert!(code == Some(0) && !said.contains("Enter a value"), "there is nothing to approve: {said}");
    world.assert_settled(&one);
}

#[test]
fn all_sorts_of_applies() {
    let world = World::new();
    let work = world.dir("one");
    let run = |arguments: &[&str]| world.0.run(&work, &[&STATE[..], &["--", "terraform"], arguments].concat());
    run(&["apply", "-auto-approve", "-replace=terraform_data.b"]).expect_success();
    run(&["apply", "-auto-approve", "-refresh-only"]).expect_success();
    run(&["apply", "-auto-approve", "-var", "b=2", "-target", "terraform_data.b"]).expect_success();
    assert_eq!(world.triggers()[1], text("2"));
    work.write(
        "main.tf",
        format!(
            "{HTTP}{}",
            WORLD.replace("\"terraform_data\" \"b\"", "\"terraform_data\" \"moved\"")
                + "moved {\n  from = terraform_data.b\n  to   = terraform_data.moved\n}\n"
        ),
    );
    run(&["apply", "-auto-approve"]).expect_success();
    run(&["destroy", "-auto-approve", "-target", "module.many"]).expect_success();
    assert_eq!(world.0.resources("app"), 3);
    run(&["apply", "-auto-approve"]).expect_success();
    run(&["destroy", "-auto-approve"]).expect_success();
    assert_eq!((world.0.resources("app"), world.0.locks()), (0, 0));
    assert!(world.phases().iter().all(|phase| phase == "committed"), "{:?}", world.phases());
}

#[test]
fn what_is_no_plan_and_what_cannot_be_told() {
    let world = World::new();
    let one = world.changed("one", "b", "1");
    let apply = |file: &str| world.0.run(&one, &[&STATE[..], &["--", "terraform", "apply", file]].concat());
    let missing = apply("nowhere");
    assert!(missing.code() == Some(1) && missing.stderr.contains("nowhere"), "{}", missing.report());
    one.write("garbage", "no plan");
    let garbage = apply("garbage");
    assert!(garbage.code() == Some(1) && garbage.stderr.contains("not a plan file"), "{}", garbage.report());
    world.plan(&one, &[]);
    let bytes = std::fs::read(one.path().join("plan")).unwrap();
    one.write("cut", &bytes[..bytes.len() / 2]);
    assert_ne!(apply("cut").code(), Some(0));
    let unknown = world.0.run(&one, &[&STATE[..], &APPLY, &["-no-such-option"]].concat());
    assert!(
        unknown.stderr.contains("the whole state is locked: its option `-no-such-option` is not known"),
        "{}",
        unknown.report()
    );
    let mut command = world.0.command(&one, &[&STATE[..], &APPLY].concat());
    command.env("TF_CLI_ARGS_apply", "-no-color");
    let output = Running::start(command).wait(LIMIT).expect_success();
    assert!(output.stderr.contains("`TF_CLI_ARGS_apply` is set"), "{}", output.report());
    let mut command = world.0.command(&one, &[&STATE[..], &APPLY].concat());
    command.env("TF_CLI_ARGS_plan", "-destroy");
    let output = Running::start(command).wait(LIMIT).expect_success();
    assert!(output.stdout.contains("0 destroyed"), "{}", output.report());
    assert_eq!(world.triggers()[1], text("1"));
}

#[test]
fn plain_clients_and_transactions_wait_for_each_other() {
    let world = World::new();
    let server = serve(&world.0.dir, &[]);
    let plain = world.0.work("plain", WORLD);
    plain.write("many/main.tf", MANY);
    plain.write_http_backend(&server.url("/state/app?wait=2m"));
    plain.run(&["init"]).expect_success();
    plain.write("terraform.tfvars", "b = \"9\"\n");
    let one = world.changed("one", "a", "1");
    let by_server = |work: &Workdir| -> Command {
        let mut command = world.0.command(work, &[&STATE[..], &APPLY].concat());
        command.env("STATEWARD_SERVER", server.url("")).env_remove("STATEWARD_STORE");
        command
    };
    one.write("hold", "");
    let mut first = Running::start(by_server(&one));
    first.wait_for("begun", LIMIT);
    let second = plain.spawn(&["apply", "-auto-approve"]);
    let waits = || world.0.ask(&["lock", "list"])["items"][0]["queue"] != 0;
    let waited = (0..2400).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        waits()
    });
    assert!(waited, "it does not wait");
    release(&one);
    first.wait(LIMIT).expect_success();
    second.wait(LIMIT).expect_success();
    assert_eq!(world.triggers()[..2], [text("0"), text("9")]);
    assert_eq!(world.0.locks(), 0);
}
