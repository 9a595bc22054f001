//! Real Terraform over `stateward serve`.

use stateward_testkit::{ServerProcess, Terraform, TestDir, Workdir};

use crate::{LIMIT, cli, serve, store};

const TWO: &str = r#"
resource "terraform_data" "a" { input = "one" }
resource "terraform_data" "b" { input = terraform_data.a.output }
output "o" { value = terraform_data.b.output }
output "secret" {
  value     = "hunter2hunter2"
  sensitive = true
}
"#;

/// Runs until the file `go` appears.
const SLOW: &str = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo begun; while [ ! -e go ]; do sleep 0.05; done"
  }
}
"#;

fn workdir(dir: &TestDir, server: &ServerProcess, name: &str, configuration: &str) -> Workdir {
    let work = Terraform::find().workdir(dir, name);
    work.write("main.tf", configuration);
    work.write_http_backend(&server.url("/state/app"));
    work.run(&["init"]).expect_success();
    work
}

/// A JSON answer of the command line, on the store itself.
fn ask(dir: &TestDir, arguments: &[&str]) -> serde_json::Value {
    let store = store(dir);
    let mut all = arguments.to_vec();
    all.extend(["--json", "--store", &store]);
    serde_json::from_str(&cli(dir).run(&all).expect_success().stdout).expect("one JSON document")
}

#[test]
fn init_plan_apply_output_move_and_destroy() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = workdir(&dir, &server, "work", TWO);
    work.run(&["plan", "-detailed-exitcode"]).expect_code(2);
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
    assert_eq!(work.run(&["output", "-raw", "o"]).expect_success().stdout, "one");
    work.run(&["state", "mv", "terraform_data.b", "terraform_data.c"]).expect_success();
    work.run(&["state", "mv", "terraform_data.c", "terraform_data.b"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.run(&["destroy", "-auto-approve"]).expect_success();
    assert_eq!(work.run(&["state", "list"]).expect_success().stdout, "");

    let history = ask(&dir, &["state", "history", "app"]);
    let told: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["operation"].as_str().unwrap(), item["serial"].as_u64().unwrap()))
        .collect();
    assert_eq!(told.last(), Some(&("OperationTypeApply", 1)), "{history}");
    assert!(told.len() >= 4 && told.windows(2).all(|pair| pair[0].1 > pair[1].1), "{told:?}");
    let timeline = ask(&dir, &["state", "timeline", "app", "terraform_data.c"]);
    assert_eq!(timeline["items"].as_array().unwrap().len(), 2, "moved there and away: {timeline}");
    assert!(ask(&dir, &["lock", "list"])["items"].as_array().unwrap().is_empty());
    cli(&dir).run(&["state", "verify", "--store", &store(&dir)]).expect_success();
}

#[test]
fn nothing_secret_in_differences_or_logs() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = workdir(&dir, &server, "work", TWO);
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.write("main.tf", TWO.replace("hunter2hunter2", "correct horse battery"));
    work.run(&["apply", "-auto-approve"]).expect_success();
    let diff = cli(&dir).run(&["state", "diff", "app", "--store", &store(&dir)]).expect_success();
    assert!(diff.stdout.contains("output.secret"), "{}", diff.report());
    let output = server.terminate(LIMIT);
    for text in [&diff.stdout, &diff.stderr, &output.stderr] {
        assert!(!text.contains("hunter2") && !text.contains("battery"), "{text}");
    }
}

#[test]
fn two_at_once_with_a_lock_timeout() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let one = workdir(&dir, &server, "one", SLOW);
    let two = workdir(&dir, &server, "two", SLOW);
    let mut first = one.spawn(&["apply", "-auto-approve"]);
    first.wait_for("(local-exec): begun", LIMIT);
    let refused = two.run(&["apply", "-auto-approve"]).expect_code(1);
    assert!(refused.stderr.contains("Error acquiring the state lock"), "{}", refused.report());
    // A plan takes a shared lock and does not wait.
    two.run(&["plan", "-detailed-exitcode"]).expect_code(2);
    let waiting = two.spawn(&["apply", "-auto-approve", "-lock-timeout=60s"]);
    one.write("go", "");
    first.wait(LIMIT).expect_success();
    let second = waiting.wait(LIMIT).expect_success();
    assert!(second.stdout.contains("0 added"), "{}", second.report());
}

#[test]
fn a_server_side_queue_needs_no_lock_timeout() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let one = workdir(&dir, &server, "one", SLOW);
    let two = Terraform::find().workdir(&dir, "two");
    two.write("main.tf", SLOW);
    let url = server.url("/state/app");
    two.write(
        "backend.tf",
        format!("terraform {{\n  backend \"http\" {{\n    address        = \"{url}\"\n    lock_address   = \"{url}?wait=2m\"\n    unlock_address = \"{url}\"\n  }}\n}}\n"),
    );
    two.run(&["init"]).expect_success();
    let mut first = one.spawn(&["apply", "-auto-approve"]);
    first.wait_for("(local-exec): begun", LIMIT);
    let waiting = two.spawn(&["apply", "-auto-approve"]);
    while ask(&dir, &["lock", "list"])["items"][0]["queue"] != 1 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    one.write("go", "");
    first.wait(LIMIT).expect_success();
    waiting.wait(LIMIT).expect_success();
}

#[test]
fn force_unlock_after_a_kill() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = workdir(&dir, &server, "work", SLOW);
    let mut apply = work.spawn(&["apply", "-auto-approve"]);
    apply.wait_for("(local-exec): begun", LIMIT);
    apply.kill9();
    let lock = ask(&dir, &["lock", "list"])["items"][0].clone();
    let id = lock["id"].as_str().unwrap();
    assert_eq!((lock["mode"].as_str(), lock["operation"].as_str()), (Some("whole"), Some("OperationTypeApply")));
    work.run(&["apply", "-auto-approve"]).expect_code(1);
    work.run(&["force-unlock", "-force", id]).expect_success();
    work.write("go", "");
    work.run(&["apply", "-auto-approve"]).expect_success();
    let audit = ask(&dir, &["audit"]);
    assert!(audit["items"].as_array().unwrap().iter().any(|item| item["action"] == "force_unlock"), "{audit}");
}

#[test]
fn the_write_of_a_run_whose_lock_was_broken_is_refused_and_its_state_kept() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = workdir(&dir, &server, "work", SLOW);
    let mut apply = work.spawn(&["apply", "-auto-approve"]);
    apply.wait_for("(local-exec): begun", LIMIT);
    cli(&dir).run(&["lock", "release", "app", "--force", "--store", &store(&dir)]).expect_success();
    work.write("go", "");
    let failed = apply.wait(LIMIT).expect_code(1);
    assert!(failed.stderr.contains("HTTP error: 409"), "{}", failed.report());
    assert!(dir.join("work/errored.tfstate").exists());
    work.run(&["state", "push", "errored.tfstate"]).expect_success();
    assert!(work.run(&["state", "list"]).expect_success().stdout.contains("terraform_data.slow"));
}

#[test]
fn an_interrupt_saves_the_state_and_gives_the_lock_back() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = workdir(&dir, &server, "work", SLOW);
    let mut apply = work.spawn(&["apply", "-auto-approve"]);
    apply.wait_for("(local-exec): begun", LIMIT);
    apply.interrupt();
    let stopped = apply.wait(LIMIT).expect_code(1);
    assert!(ask(&dir, &["lock", "list"])["items"].as_array().unwrap().is_empty());
    let listed = work.run(&["state", "list"]).expect_success();
    assert!(listed.stdout.contains("terraform_data.slow"), "{}\n{}", stopped.report(), listed.report());
}

#[test]
fn an_interrupt_while_waiting_leaves_no_lock() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let one = workdir(&dir, &server, "one", SLOW);
    let two = Terraform::find().workdir(&dir, "two").env("TF_HTTP_LOCK_ADDRESS", server.url("/state/app?wait=5m"));
    two.write("main.tf", SLOW);
    two.write("backend.tf", format!("terraform {{\n  backend \"http\" {{\n    address        = \"{0}\"\n    unlock_address = \"{0}\"\n  }}\n}}\n", server.url("/state/app")));
    two.run(&["init"]).expect_success();
    let mut first = one.spawn(&["apply", "-auto-approve"]);
    first.wait_for("(local-exec): begun", LIMIT);
    let mut waiting = two.spawn(&["apply", "-auto-approve"]);
    while ask(&dir, &["lock", "list"])["items"][0]["queue"] != 1 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    waiting.interrupt();
    waiting.wait_for("Interrupt received", LIMIT);
    waiting.interrupt();
    waiting.wait(LIMIT);
    one.write("go", "");
    first.wait(LIMIT).expect_success();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(
        ask(&dir, &["lock", "list"])["items"].as_array().unwrap().is_empty(),
        "the lock went to a client that is gone"
    );
}

#[test]
fn push_rules() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = workdir(&dir, &server, "work", TWO);
    work.run(&["apply", "-auto-approve"]).expect_success();
    let old = work.run(&["state", "pull"]).expect_success().stdout;
    work.write("old.tfstate", &old);
    work.write("main.tf", TWO.replace("one", "two"));
    work.run(&["apply", "-auto-approve"]).expect_success();
    let refused = work.run(&["state", "push", "old.tfstate"]).expect_code(1);
    assert!(refused.stderr.contains("cannot import state with serial"), "{}", refused.report());
    // Terraform's own -force says nothing of itself on the wire: the server refuses the lower serial.
    work.run(&["state", "push", "-force", "old.tfstate"]).expect_code(1);
    let file = dir.join("work/old.tfstate").display().to_string();
    cli(&dir).run(&["state", "push", "app", &file, "--store", &store(&dir)]).expect_code(3);
    cli(&dir).run(&["state", "push", "app", &file, "--force", "--store", &store(&dir)]).expect_success();
    work.run(&["plan", "-detailed-exitcode"]).expect_code(2);
}

#[test]
fn a_restored_version_is_what_the_next_plan_sees() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = workdir(&dir, &server, "work", TWO);
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.write("main.tf", TWO.replace("one", "two"));
    work.run(&["plan", "-out", "saved"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
    cli(&dir).run(&["state", "restore", "app", "v1", "--store", &store(&dir)]).expect_success();
    let plan = work.run(&["plan", "-detailed-exitcode"]).expect_code(2);
    assert!(plan.stdout.contains("0 to add, 2 to change, 0 to destroy"), "{}", plan.report());
    let stale = work.run(&["apply", "saved"]).expect_code(1);
    assert!(stale.stderr.contains("Saved plan is stale"), "{}", stale.report());
    work.run(&["apply", "-auto-approve"]).expect_success();
    cli(&dir)
        .run(&["state", "restore", "app", "v1", "--only", "terraform_data.b", "--store", &store(&dir)])
        .expect_success();
    let plan = work.run(&["plan", "-detailed-exitcode"]).expect_code(2);
    assert!(
        plan.stdout.contains("terraform_data.b will be updated") && plan.stdout.contains("1 to change"),
        "{}",
        plan.report()
    );
}

#[test]
fn tokens_as_passwords_and_outputs_without_the_rest() {
    let dir = TestDir::new();
    let made = cli(&dir).run(&[
        "token",
        "new",
        "ci",
        "--allow",
        "read,write,lock",
        "--states",
        "app",
        "--file",
        &dir.join("tokens.toml").display().to_string(),
    ]);
    let secret = made.expect_success().stdout.trim().to_owned();
    let reader = cli(&dir).run(&[
        "token",
        "new",
        "reader",
        "--allow",
        "outputs",
        "--states",
        "app",
        "--file",
        &dir.join("tokens.toml").display().to_string(),
    ]);
    let reader = reader.expect_success().stdout.trim().to_owned();
    let server = serve(&dir, &["--tokens", &dir.join("tokens.toml").display().to_string()]);
    let work =
        Terraform::find().workdir(&dir, "work").env("TF_HTTP_USERNAME", "anyone").env("TF_HTTP_PASSWORD", &secret);
    work.write("main.tf", TWO);
    work.write_http_backend(&server.url("/state/app"));
    work.run(&["init"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();

    let other =
        Terraform::find().workdir(&dir, "other").env("TF_HTTP_USERNAME", "anyone").env("TF_HTTP_PASSWORD", &reader);
    other.write(
        "main.tf",
        format!(
            "data \"terraform_remote_state\" \"app\" {{\n  backend = \"http\"\n  config = {{ address = \"{}\", username = \"x\", password = \"{reader}\" }}\n}}\noutput \"seen\" {{ value = data.terraform_remote_state.app.outputs.o }}\n",
            server.url("/state/app?view=outputs")
        ),
    );
    other.run(&["init"]).expect_success();
    other.run(&["apply", "-auto-approve"]).expect_success();
    assert_eq!(other.run(&["output", "-raw", "seen"]).expect_success().stdout, "one");
    let refused = server.http().request(
        "GET",
        "/state/app",
        &[("Authorization", &format!("Bearer {reader}"))],
        stateward_testkit::Body::None,
    );
    assert_eq!(refused.status, 403);
}
