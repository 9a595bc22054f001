//! One bucket, plain Terraform on its own `s3` backend, and stateward: each sees what the other writes and locks.

use serde_json::Value;
use stateward_testkit::{DynamoDbLocal, Moto, S3Backend, ServerProcess, Terraform, TestDir, Workdir, lock_info};

use crate::{LIMIT, cli, serve};

const CONFIGURATION: &str = r#"
variable "n" {
  type = number
}
resource "terraform_data" "a" {
  input = var.n
}
output "n" {
  value = terraform_data.a.output
}
"#;

/// A bucket with both kinds of users on the state `net/prod` at `team/net/prod`.
struct Shared {
    dir: TestDir,
    store: String,
    server: ServerProcess,
    plain: Workdir,
    through: Workdir,
}

#[derive(Clone, Copy)]
enum Locks {
    File,
    Table,
    Both,
}

fn shared(locks: Locks) -> Shared {
    shared_with(&Terraform::find(), locks)
}

fn shared_with(terraform: &Terraform, locks: Locks) -> Shared {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let bucket = moto.create_bucket();
    let mut backend = S3Backend::new(moto.url(), &bucket, "team/net/prod");
    let mut store = format!("s3://{bucket}/team?use_path_style=true");
    if matches!(locks, Locks::File | Locks::Both) {
        backend = backend.lockfile();
        store.push_str("&use_lockfile=true");
    }
    if matches!(locks, Locks::Table | Locks::Both) {
        let table = moto.create_lock_table();
        backend = backend.lock_table(moto.url(), &table);
        store = format!("{store}&lock_table={table}");
    }
    let env = moto.env();
    let server = serve(&dir, &env, &store);
    let workdir = |name| {
        let work = terraform.workdir(&dir, name).envs(env.pairs()).limit(LIMIT);
        work.write("main.tf", CONFIGURATION);
        work
    };
    let (plain, through) = (workdir("plain"), workdir("through"));
    plain.write_s3_backend(&backend);
    through.write_http_backend(&server.url("/state/net/prod"));
    for work in [&plain, &through] {
        work.run(&["init"]).expect_success();
    }
    Shared { dir, store, server, plain, through }
}

impl Shared {
    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--store", self.store.as_str(), "--json"];
        all.extend(arguments);
        let output = cli(&self.dir, &Moto::shared().env()).run(&all).expect_success();
        serde_json::from_str(&output.stdout).unwrap()
    }

    fn history(&self) -> Vec<(u64, String)> {
        let history = self.json(&["state", "history", "net/prod"]);
        let item = |item: &Value| (item["serial"].as_u64().unwrap(), item["operation"].as_str().unwrap().to_owned());
        history["items"].as_array().unwrap().iter().map(item).collect()
    }
}

fn apply(work: &Workdir, n: u32) {
    work.run(&["apply", "-auto-approve", "-var", &format!("n={n}")]).expect_success();
}

fn sees(work: &Workdir, n: u32) {
    work.run(&["plan", "-detailed-exitcode", "-var", &format!("n={n}")]).expect_code(0);
    assert_eq!(work.run(&["output", "-raw", "n"]).expect_success().stdout, n.to_string());
}

fn turn_by_turn(locks: Locks) {
    take_turns(&shared(locks));
}

fn take_turns(all: &Shared) {
    let (plain, through) = (&all.plain, &all.through);
    apply(plain, 1);
    sees(through, 1);
    apply(through, 2);
    sees(plain, 2);
    apply(plain, 3);
    apply(through, 4);
    apply(plain, 5);
    sees(through, 5);
    let (theirs, ours) = ("external-write", "OperationTypeApply");
    let expected = [(5, theirs), (4, ours), (3, theirs), (2, ours), (1, theirs)];
    assert_eq!(all.history(), expected.map(|(serial, operation)| (serial, operation.to_owned())));
    all.json(&["state", "verify"]);
    plain.run(&["destroy", "-auto-approve", "-var", "n=5"]).expect_success();
    through.run(&["plan", "-detailed-exitcode", "-var", "n=5"]).expect_code(2);
    assert_eq!(all.json(&["lock", "list"])["items"], Value::Array(Vec::new()));
}

#[test]
fn turn_by_turn_with_the_lock_file() {
    turn_by_turn(Locks::File);
}

#[test]
fn turn_by_turn_with_the_lock_table() {
    turn_by_turn(Locks::Table);
}

#[test]
fn turn_by_turn_with_both_locks() {
    turn_by_turn(Locks::Both);
}

fn each_other_s_locks(locks: Locks) {
    respect(&shared(locks));
}

/// Each sees the other's locks, and can break them.
fn respect(all: &Shared) {
    apply(&all.plain, 1);

    // Ours keeps plain Terraform out, in its own words, and its own `force-unlock` breaks it.
    let http = all.server.http();
    http.request("LOCK", "/state/net/prod", &[], &lock_info("ours-1", "OperationTypeApply")).expect_status(200);
    let refused = all.plain.run(&["apply", "-auto-approve", "-var", "n=2"]).expect_code(1);
    assert!(refused.stderr.contains("Error acquiring the state lock"), "{}", refused.report());
    assert!(refused.stderr.contains("ours-1") && refused.stderr.contains("team/net/prod"), "{}", refused.report());
    all.plain.run(&["force-unlock", "-force", "ours-1"]).expect_success();
    apply(&all.plain, 2);
    http.request("UNLOCK", "/state/net/prod", &[], &lock_info("ours-1", "OperationTypeApply")).expect_status(200);

    // Theirs keeps us out, shows with its holder, and is waited for.
    all.plain.write("slow.tf", "resource \"terraform_data\" \"slow\" {\n  provisioner \"local-exec\" {\n    command = \"echo begun; while [ ! -e go ]; do sleep 0.1; done\"\n  }\n}\n");
    let mut slow = all.plain.spawn(&["apply", "-auto-approve", "-var", "n=3"]);
    slow.wait_for("begun", LIMIT);
    let held = all.json(&["lock", "list"]);
    let held = &held["items"][0];
    assert_eq!((held["state"].as_str(), held["operation"].as_str()), (Some("net/prod"), Some("OperationTypeApply")));
    let refused = http.request("LOCK", "/state/net/prod", &[], &lock_info("ours-2", "OperationTypeApply"));
    let holder: Value = serde_json::from_str(&refused.expect_status(423).text()).unwrap();
    assert_eq!(holder["ID"], held["id"]);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let info = lock_info("ours-3", "OperationTypeApply");
            all.server.http().limit(LIMIT).request("LOCK", "/state/net/prod?wait=2m", &[], &info).status
        });
        all.plain.write("go", "");
        slow.wait(LIMIT).expect_success();
        assert_eq!(waits.join().unwrap(), 200);
    });
    let http = all.server.http();
    http.request("UNLOCK", "/state/net/prod", &[], &lock_info("ours-3", "OperationTypeApply")).expect_status(200);
    assert_eq!(all.json(&["lock", "list"])["items"], Value::Array(Vec::new()));
}

/// `OpenTofu` gives an item of the table back only where it is byte for byte what it put there.
#[test]
fn opentofu_shares_as_terraform_does() {
    let Some(tofu) = Terraform::find_tofu() else { return };
    for locks in [Locks::File, Locks::Table] {
        let all = shared_with(&tofu, locks);
        respect(&all);
    }
    take_turns(&shared_with(&tofu, Locks::Both));
}

#[test]
fn the_lock_file_is_everybody_s() {
    each_other_s_locks(Locks::File);
}

#[test]
fn the_lock_table_is_everybody_s() {
    each_other_s_locks(Locks::Table);
}

#[test]
fn workspaces_stand_where_terraform_keeps_them() {
    let all = shared(Locks::Both);
    apply(&all.plain, 1);
    all.plain.run(&["workspace", "new", "dev"]).expect_success();
    apply(&all.plain, 7);
    let states = all.json(&["state", "list"]);
    let named =
        |item: &Value| (item["state"].as_str().unwrap().to_owned(), item["workspace"].as_str().unwrap().to_owned());
    let found: Vec<_> = states["items"].as_array().unwrap().iter().map(named).collect();
    assert_eq!(found, [("net/prod".into(), "default".into()), ("net/prod".into(), "dev".into())]);
    all.through.write_http_backend(&all.server.url("/state/net/prod?workspace=dev"));
    all.through.run(&["init", "-reconfigure"]).expect_success();
    sees(&all.through, 7);
    apply(&all.through, 8);
    sees(&all.plain, 8);
}

#[test]
fn what_the_bucket_kept_becomes_history_elsewhere() {
    let (moto, all) = (Moto::shared(), shared(Locks::Table));
    let bucket = all.store.trim_start_matches("s3://").split('/').next().unwrap().to_owned();
    moto.keep_versions(&bucket);
    for n in 1..=3 {
        apply(&all.plain, n);
    }
    let env = moto.env();
    let import = |name: &str, source: &str, more: &[&str]| {
        let mut words = vec!["--store", "sqlite:new.db", "state", "import", name, source];
        words.extend(more);
        cli(&all.dir, &env).run(&words).expect_success();
        let history = ["--store", "sqlite:new.db", "--json", "state", "history", name];
        let history: Value = serde_json::from_str(&cli(&all.dir, &env).run(&history).expect_success().stdout).unwrap();
        let serial = |item: &Value| item["serial"].as_u64().unwrap();
        history["items"].as_array().unwrap().iter().map(serial).collect::<Vec<_>>()
    };
    let url = format!("s3://{bucket}/team/net/prod?use_path_style=true");
    assert_eq!(import("whole", &url, &["--with-versions"]), [3, 2, 1]);
    assert_eq!(import("last", &url, &[]), [3]);
    let directory = all.plain.path().display().to_string();
    assert_eq!(import("from-directory", &directory, &["--with-versions"]), [3, 2, 1]);
    let pulled =
        cli(&all.dir, &env).run(&["--store", "sqlite:new.db", "state", "pull", "whole"]).expect_success().stdout;
    let theirs = all.plain.run(&["state", "pull"]).expect_success().stdout;
    assert_eq!(pulled.trim_end(), theirs.trim_end(), "lineage and all");
}

#[test]
fn dynamodb_s_locks_are_in_the_table_that_others_read() {
    let (dynamodb, dir) = (DynamoDbLocal::shared(), TestDir::new());
    let (env, locks) = (dynamodb.env(), dynamodb.create_lock_table());
    let store = format!("dynamodb://{}?lock_table={locks}", stateward_testkit::fresh_name("states"));
    let server = cli(&dir, &env).serve(&["--store", &store, "--create-tables"]);
    let work = Terraform::find().workdir(&dir, "work").envs(env.pairs()).limit(LIMIT);
    work.write("main.tf", CONFIGURATION);
    work.write_http_backend(&server.url("/state/net/prod"));
    work.run(&["init"]).expect_success();
    apply(&work, 1);
    apply(&work, 2);
    sees(&work, 2);
    work.run(&["destroy", "-auto-approve", "-var", "n=2"]).expect_success();
    let history = cli(&dir, &env).run(&["--store", &store, "--json", "state", "history", "net/prod"]).expect_success();
    let history: Value = serde_json::from_str(&history.stdout).unwrap();
    assert_eq!(history["items"].as_array().unwrap().len(), 3);
}
