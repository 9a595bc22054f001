//! That the Terraform which tests are given is the real one, behaves as a command, and stays inside its directory.

use std::time::Duration;

use stateward_testkit::{Terraform, TestDir, Workdir};

const LIMIT: Duration = Duration::from_mins(2);

/// Two resources: the first takes as long as the test wishes, the second follows it.
const SLOW: &str = r#"
resource "terraform_data" "slow" {
  input = 1
  provisioner "local-exec" {
    command = "echo begun; sleep 60"
  }
}
resource "terraform_data" "after" {
  input = terraform_data.slow.id
}
"#;

fn initialised(dir: &TestDir, configuration: &str) -> Workdir {
    let work = Terraform::find().workdir(dir, "work");
    work.write("main.tf", configuration);
    work.run(&["init"]).expect_success();
    work
}

#[test]
fn applies_reads_and_destroys() {
    let dir = TestDir::new();
    let work = initialised(
        &dir,
        "resource \"terraform_data\" \"a\" { input = \"<&>\" }\noutput \"o\" { value = terraform_data.a.output }",
    );
    assert!(work.run(&["version"]).expect_success().stdout.starts_with("Terraform v"));
    let plan = work.run(&["plan", "-detailed-exitcode"]).expect_code(2);
    assert!(plan.stdout.contains("terraform_data.a will be created"));
    work.run(&["apply", "-auto-approve"]).expect_success();
    assert_eq!(work.run(&["output", "-raw", "o"]).expect_success().stdout, "<&>");
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
    work.run(&["destroy", "-auto-approve"]).expect_success();
    assert_eq!(work.run(&["state", "list"]).expect_success().stdout, "");
}

#[test]
fn an_interrupt_is_terraforms_own_graceful_stop() {
    let dir = TestDir::new();
    let work = initialised(&dir, SLOW);
    let mut apply = work.spawn(&["apply", "-auto-approve"]);
    apply.wait_for("(local-exec): begun", LIMIT);
    apply.interrupt();
    let output = apply.wait(LIMIT).expect_code(1);
    assert!(output.stdout.contains("Interrupt received."), "{}", output.report());
    // It saved what it had done and begun nothing more.
    let state = dir.read("work/terraform.tfstate");
    assert!(state.contains("\"slow\"") && !state.contains("\"after\""), "{state}");
    assert!(!dir.join("work/.terraform.tfstate.lock.info").exists(), "the lock is still there");
}

#[test]
fn a_kill_leaves_the_lock_behind() {
    let dir = TestDir::new();
    let work = initialised(&dir, SLOW);
    let mut apply = work.spawn(&["apply", "-auto-approve"]);
    apply.wait_for("(local-exec): begun", LIMIT);
    assert_eq!(apply.kill9().code(), None);
    assert!(dir.join("work/.terraform.tfstate.lock.info").exists());
}

#[test]
fn two_at_once_wait_for_each_other() {
    let dir = TestDir::new();
    let work = initialised(
        &dir,
        "resource \"terraform_data\" \"a\" {\n  provisioner \"local-exec\" {\n    command = \"sleep 1\"\n  }\n}",
    );
    let mut first = work.spawn(&["apply", "-auto-approve"]);
    first.wait_for("Provisioning with 'local-exec'", LIMIT);
    let refused = work.run(&["apply", "-auto-approve"]).expect_code(1);
    assert!(refused.stderr.contains("Error acquiring the state lock"), "{}", refused.report());
    let waited = work.run(&["apply", "-auto-approve", "-lock-timeout=60s"]).expect_success();
    assert!(waited.stdout.contains("0 added"), "{}", waited.report());
    assert!(first.wait(LIMIT).expect_success().stdout.contains("1 added"));
}

#[test]
fn other_providers_are_refused_without_a_look_at_the_network() {
    let dir = TestDir::new();
    let work = Terraform::find().workdir(&dir, "work");
    work.write("main.tf", "resource \"null_resource\" \"a\" {}");
    let output = work.run(&["init"]).expect_code(1);
    assert!(output.stderr.contains("was not found\nin any of the search locations"), "{}", output.report());
}

#[test]
fn nothing_is_written_outside_the_working_directory() {
    let dir = TestDir::new();
    let work = initialised(&dir, "resource \"terraform_data\" \"a\" {}");
    work.run(&["apply", "-auto-approve"]).expect_success();
    for directory in ["home", "tmp"] {
        let left = std::fs::read_dir(dir.join(directory)).unwrap().count();
        assert_eq!(left, 0, "files in {directory}");
    }
}

#[test]
fn the_http_backend_block_is_taken() {
    let dir = TestDir::new();
    let work = Terraform::find().workdir(&dir, "work").env("TF_HTTP_RETRY_MAX", "0");
    // Port 9 discards, or more likely refuses: all that matters is that Terraform gets as far as asking.
    work.write_http_backend("http://127.0.0.1:9/state/app");
    work.run(&["fmt", "-check"]).expect_success();
    let refused = work.run(&["init"]).expect_code(1);
    assert!(refused.stderr.contains("http://127.0.0.1:9/state/app"), "{}", refused.report());
}
