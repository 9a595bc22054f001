//! Real Terraform before and after its state was brought here, moved, or taken away.

use serde_json::Value;
use stateward_testkit::{Terraform, TestDir, Workdir};

use crate::{LIMIT, cli, serve, store};

const TWO: &str = r#"
resource "terraform_data" "a" { input = "one" }
resource "terraform_data" "b" { input = terraform_data.a.output }
output "o" { value = terraform_data.b.output }
"#;

/// Runs until the file `go` appears.
const SLOW: &str = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo begun; while [ ! -e go ]; do sleep 0.05; done"
  }
}
"#;

/// Runs the binary on a store.
#[track_caller]
fn run(dir: &TestDir, store: &str, arguments: &[&str]) -> String {
    let mut all = arguments.to_vec();
    all.extend(["--store", store]);
    cli(dir).run(&all).expect_success().stdout
}

fn serial_and_lineage(state: &str) -> (u64, String) {
    let state: Value = serde_json::from_str(state).unwrap();
    (state["serial"].as_u64().unwrap(), state["lineage"].as_str().unwrap().to_owned())
}

/// A working directory whose state is in a file, applied twice.
fn local(dir: &TestDir) -> Workdir {
    let work = Terraform::find().workdir(dir, "work");
    work.write("main.tf", TWO.replace("one", "zero"));
    work.run(&["init"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.write("main.tf", TWO);
    work.run(&["apply", "-auto-approve"]).expect_success();
    work
}

#[test]
fn a_local_state_is_brought_here_without_a_change() {
    let dir = TestDir::new();
    let work = local(&dir);
    let before = dir.read("work/terraform.tfstate");
    run(&dir, &store(&dir), &["state", "import", "app", &work.path().display().to_string()]);
    let server = serve(&dir, &[]);
    work.write_http_backend(&server.url("/state/app"));
    work.run(&["init", "-reconfigure"]).expect_success();
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
    let pulled = work.run(&["state", "pull"]).expect_success().stdout;
    assert_eq!(serial_and_lineage(&pulled), serial_and_lineage(&before));
    // And the next write follows it.
    work.write("main.tf", TWO.replace("one", "two"));
    work.run(&["apply", "-auto-approve"]).expect_success();
    let after = serial_and_lineage(&work.run(&["state", "pull"]).expect_success().stdout);
    let (serial, lineage) = serial_and_lineage(&before);
    assert_eq!(after, (serial + 1, lineage));
    run(&dir, &store(&dir), &["state", "verify"]);
}

#[test]
fn local_workspaces_come_along() {
    let dir = TestDir::new();
    let work = local(&dir);
    work.run(&["workspace", "new", "dev"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    run(&dir, &store(&dir), &["state", "import", "app", &work.path().display().to_string()]);
    let server = serve(&dir, &[]);
    for (workspace, file) in
        [("default", "work/terraform.tfstate"), ("dev", "work/terraform.tfstate.d/dev/terraform.tfstate")]
    {
        let here = Terraform::find().workdir(&dir, &format!("here-{workspace}"));
        here.write("main.tf", TWO);
        here.write_http_backend(&server.url(&format!("/state/app?workspace={workspace}")));
        here.run(&["init"]).expect_success();
        here.run(&["plan", "-detailed-exitcode"]).expect_success();
        let pulled = here.run(&["state", "pull"]).expect_success().stdout;
        assert_eq!(serial_and_lineage(&pulled), serial_and_lineage(&dir.read(file)));
    }
}

#[test]
fn a_saved_plan_survives_the_way_from_one_http_backend_to_another() {
    let dir = TestDir::new();
    let (there, here_store) = (serve(&dir, &[]), format!("sqlite:{}", dir.join("here.db").display()));
    let here = cli(&dir).serve(&["--store", &here_store]);
    let work = Terraform::find().workdir(&dir, "work");
    work.write("main.tf", TWO);
    // An address from the environment is not stored: a plan made at one server applies at another.
    work.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    let at = |url: &str| {
        work.clone().env("TF_HTTP_ADDRESS", url).env("TF_HTTP_LOCK_ADDRESS", url).env("TF_HTTP_UNLOCK_ADDRESS", url)
    };
    let (old, new) = (at(&there.url("/state/app")), at(&here.url("/state/team/app")));
    old.run(&["init"]).expect_success();
    old.run(&["apply", "-auto-approve"]).expect_success();
    work.write("main.tf", TWO.replace("one", "two"));
    old.run(&["plan", "-out", "saved"]).expect_success();
    run(&dir, &here_store, &["state", "import", "team/app", &there.url("/state/app")]);
    new.run(&["init", "-reconfigure"]).expect_success();
    new.run(&["apply", "saved"]).expect_success();
    new.run(&["plan", "-detailed-exitcode"]).expect_success();
    let history: Value =
        serde_json::from_str(&run(&dir, &here_store, &["state", "history", "team/app", "--json"])).unwrap();
    let serials: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|item| item["serial"].as_u64().unwrap()).collect();
    assert_eq!(serials, [2, 1]);
}

#[test]
fn a_state_moves_with_its_history_once_nobody_holds_it() {
    let dir = TestDir::new();
    let (there, here_store) = (serve(&dir, &[]), format!("sqlite:{}", dir.join("here.db").display()));
    let here = cli(&dir).serve(&["--store", &here_store]);
    let work = Terraform::find().workdir(&dir, "work");
    work.write("main.tf", TWO);
    work.write_http_backend(&there.url("/state/app"));
    work.run(&["init"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.write("slow.tf", SLOW);
    let mut apply = work.spawn(&["apply", "-auto-approve"]);
    apply.wait_for("(local-exec): begun", LIMIT);
    let (from, to) = (there.url(""), here.url(""));
    let line = ["state", "move", "app", "--from-server", &from, "--to-server", &to];
    let refused = cli(&dir).run(&line).expect_code(3);
    assert!(
        refused.stderr.contains("`app` was not moved") && refused.stderr.contains("OperationTypeApply"),
        "{}",
        refused.report()
    );
    work.write("go", "");
    apply.wait(LIMIT).expect_success();
    cli(&dir).run(&line).expect_success();
    // Where it was there is nothing: a plan would make everything anew, and says so.
    work.run(&["plan", "-detailed-exitcode"]).expect_code(2);
    work.write_http_backend(&here.url("/state/app"));
    work.run(&["init", "-reconfigure"]).expect_success();
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
    cli(&dir).run(&["state", "verify", "--server", &to]).expect_success();
}

#[test]
fn leaving_takes_one_command() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    let work = Terraform::find().workdir(&dir, "work");
    work.write("main.tf", TWO);
    work.write_http_backend(&server.url("/state/app"));
    work.run(&["init"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    let kept = work.run(&["state", "pull"]).expect_success().stdout;
    let file = dir.join("work/terraform.tfstate").display().to_string();
    run(&dir, &store(&dir), &["state", "pull", "app", "-o", &file]);
    work.write("backend.tf", "terraform {\n  backend \"local\" {}\n}\n");
    drop(server);
    work.run(&["init", "-reconfigure"]).expect_success();
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
    assert_eq!(serial_and_lineage(&dir.read("work/terraform.tfstate")), serial_and_lineage(&kept));
}
