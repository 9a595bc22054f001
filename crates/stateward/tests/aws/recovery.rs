//! States of Terraform's own `s3` backend that contradict their digest, and locks whose holder is gone, put right.

use serde_json::{Value, json};
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Output, S3Backend, Terraform, TestDir, Workdir};

use crate::{LIMIT, cli, cut_off, state};

const KEY: &str = "net/prod.tfstate";
const CONFIGURATION: &str = r#"
variable "n" { default = "1" }
resource "terraform_data" "x" { input = var.n }
"#;
/// Ends when the file `go` is there.
const SLOW: &str = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "echo begun; while [ ! -e go ] && [ -e main.tf ]; do sleep 0.05; done" }
}
"#;

/// A bucket that keeps versions, with a lock table.
struct Place {
    bucket: String,
    table: String,
}

impl Place {
    fn new() -> Self {
        let moto = Moto::shared();
        let place = Self { bucket: moto.create_bucket(), table: moto.create_lock_table() };
        moto.keep_versions(&place.bucket);
        place
    }

    fn url(&self) -> String {
        let Self { bucket, table } = self;
        format!("s3://{bucket}/{KEY}?use_path_style=true&max_retries=0&use_lockfile=true&lock_table={table}")
    }

    fn work(&self, dir: &TestDir, configuration: &str) -> Workdir {
        let moto = Moto::shared();
        let work = Terraform::find().workdir(dir, "work").envs(moto.env().pairs()).limit(LIMIT);
        work.write("main.tf", configuration);
        work.write_s3_backend(
            &S3Backend::new(moto.url(), &self.bucket, KEY).lockfile().lock_table(moto.url(), &self.table),
        );
        work.run(&["init"]).expect_success();
        work
    }

    fn digest_item(&self) -> String {
        format!("{}/{KEY}-md5", self.bucket)
    }

    fn set_digest(&self, digest: &str) {
        let item = json!({"LockID": {"S": self.digest_item()}, "Digest": {"S": digest}});
        Moto::shared().dynamodb("PutItem", &json!({"TableName": self.table, "Item": item}).to_string());
    }

    /// What stands in the table: the digest, and whether there is anything else.
    fn digest(&self) -> (Option<String>, usize) {
        let items = Moto::shared().dynamodb("Scan", &json!({"TableName": self.table}).to_string())["Items"].clone();
        let items = items.as_array().unwrap();
        let own = items.iter().find(|item| item["LockID"]["S"] == self.digest_item());
        let digest = own.map(|item| item["Digest"]["S"].as_str().unwrap().to_owned());
        (digest, items.len() - usize::from(own.is_some()))
    }

    fn object(&self) -> Value {
        serde_json::from_slice(&Moto::shared().get_object(&self.bucket, KEY)).unwrap()
    }

    fn repair(&self, env: &AwsEnv, arguments: &[&str]) -> Output {
        let dir = TestDir::new();
        cli(&dir, env).run(&[&["state", "repair", &self.url(), "--json"], arguments].concat())
    }
}

/// Runs a command as it was printed. Its words have no blanks in them.
fn as_typed(dir: &TestDir, env: &AwsEnv, command: &str) -> Output {
    let words = command.strip_prefix("stateward ").unwrap().split_whitespace();
    cli(dir, env).run(&words.map(|word| word.trim_matches('\'')).collect::<Vec<_>>())
}

fn item(output: &Output) -> Value {
    serde_json::from_str::<Value>(&output.stdout).unwrap()["items"][0].clone()
}

fn applied(work: &Workdir, n: &str) {
    work.run(&["apply", "-auto-approve", &format!("-var=n={n}")]).expect_success();
}

#[test]
fn terraform_goes_on_after_each_repair() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = place.work(&dir, CONFIGURATION);
    let source = work.path().to_str().unwrap().to_owned();
    let repair =
        |arguments: &[&str]| cli(&dir, &moto.env()).run(&[&["state", "repair", &source, "--json"], arguments].concat());
    let fits = |n: &str| work.run(&["plan", "-detailed-exitcode", &format!("-var=n={n}")]).expect_success();
    applied(&work, "1");
    let (old, first) = (moto.get_object(&place.bucket, KEY), place.digest().0.unwrap());
    applied(&work, "2");
    assert_eq!(item(&repair(&[]).expect_success())["decision"], "fits");

    // The newest write did not get to its digest.
    place.set_digest(&first);
    let refused = work.run(&["plan"]).expect_code(1);
    assert!(refused.stderr.contains("does not have the expected content"), "{}", refused.report());
    let planned = item(&repair(&["--dry-run"]).expect_success());
    assert_eq!((planned["decision"].as_str(), &planned["write"]), (Some("repair"), &Value::Null), "{planned}");
    assert_eq!(place.digest().0, Some(first), "nothing was changed");
    repair(&["--yes"]).expect_success();
    fits("2");

    // Somebody put an old version back by hand: that is for people to decide.
    moto.put_object(&place.bucket, KEY, &old);
    let asked = item(&repair(&["--yes"]).expect_code(1));
    assert_eq!(asked["decision"], "choose", "{asked}");
    let done = item(&repair(&["--yes", "--keep", "object"]).expect_success());
    assert_eq!(done["done"]["serial"], place.object()["serial"], "{done}");
    fits("1");
    applied(&work, "3");

    // Back to the state before, by its version.
    let found = item(&repair(&["--dry-run"]).expect_success());
    let before = found["found"]["older"][0]["version"].as_str().unwrap().to_owned();
    let back = ["--yes", "--object-version", &before];
    repair(&back).expect_success();
    let serial = place.object()["serial"].clone();
    fits("1");
    assert_eq!(item(&repair(&back).expect_success())["decision"], "fits", "a second time there is nothing to do");
    assert_eq!(place.object()["serial"], serial);

    // The object was deleted, and the digest was not.
    moto.delete_object(&place.bucket, KEY);
    assert_eq!(item(&repair(&["--yes"]).expect_code(1))["decision"], "choose");
    repair(&["--yes", "--keep", "digest"]).expect_success();
    fits("1");
    assert_eq!((place.digest().1, moto.objects(&place.bucket)), (0, vec![KEY.to_owned()]), "no lock is left");
}

#[test]
fn a_repair_that_was_cut_off_at_any_write_is_finished_by_the_next() {
    // Lock file, lock item, object, digest; then lock file and lock item again.
    const WRITES: usize = 6;
    let moto = Moto::shared();
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        for n in 1..=WRITES {
            let place = Place::new();
            for (serial, id) in [(3, "old"), (4, "new"), (3, "old")] {
                moto.put_object(&place.bucket, KEY, state(serial, id));
            }
            let found = item(&place.repair(&moto.env(), &[]).expect_success());
            place.set_digest(found["found"]["older"][0]["md5"].as_str().unwrap_or_default());
            let proxy = FaultProxy::to(moto.url());
            cut_off(&proxy, fault.clone(), n);
            let env = AwsEnv::new().s3(proxy.url()).dynamodb(proxy.url());
            let arguments = ["--yes", "--keep", "object"];
            let cut = place.repair(&env, &arguments);
            assert_ne!(cut.code(), Some(0), "{fault:?} at {n}: {}", cut.report());
            assert!(proxy.injected() > 0);
            // The lock of the one that was cut off stands, and is its own.
            place.repair(&moto.env(), &arguments).expect_success();
            let object = place.object();
            assert_eq!(
                (&object["serial"], &object["resources"][0]["instances"][0]["attributes"]["id"]),
                (&json!(5), &json!("old"))
            );
            let after = item(&place.repair(&moto.env(), &[]).expect_success());
            assert_eq!(after["decision"], "fits", "{fault:?} at {n}: {after}");
            let locks = (place.digest().1, moto.objects(&place.bucket));
            assert_eq!(locks, (0, vec![KEY.to_owned()]), "{fault:?} at {n}: no lock is left");
        }
    }
}

/// What a version with an ID holds does not change: the look under the lock reads it from the first look.
#[test]
fn a_repair_reads_each_older_version_once() {
    let (moto, place) = (Moto::shared(), Place::new());
    for (serial, id) in [(3, "old"), (4, "new"), (5, "newest")] {
        moto.put_object(&place.bucket, KEY, state(serial, id));
    }
    let found = item(&place.repair(&moto.env(), &[]).expect_success());
    place.set_digest(found["found"]["older"][0]["md5"].as_str().unwrap());
    let proxy = FaultProxy::to(moto.url());
    let env = AwsEnv::new().s3(proxy.url()).dynamodb(proxy.url());
    place.repair(&env, &["--yes"]).expect_success();
    let requests = proxy.requests();
    let read = requests.iter().filter(|seen| seen.operation() == "GetObject" && seen.query.contains("versionId="));
    assert_eq!(read.count(), 2, "{requests:?}");
    assert_eq!(item(&place.repair(&moto.env(), &[]).expect_success())["decision"], "fits");
}

/// Behind all those that are read by themselves.
#[test]
fn a_version_that_is_very_old_is_found_where_it_is_named() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let repair = |arguments: &[&str]| {
        let url = place.url();
        cli(&dir, &moto.env()).run(&[&["state", "repair", &url, "--json"], arguments].concat())
    };
    place.set_digest(&"0".repeat(32));
    moto.put_object(&place.bucket, KEY, state(1, "first"));
    let first = item(&repair(&["--dry-run"]).expect_code(1))["found"]["current"].clone();
    for n in 2..58 {
        moto.put_object(&place.bucket, KEY, state(n, "x"));
    }
    let found = item(&repair(&["--dry-run"]).expect_code(1));
    assert_eq!(found["found"]["older_unread"], 7, "{found}");
    assert!(found["choices"][1]["not"].as_str().unwrap().ends_with("was found"), "{found}");
    let wanted = ["--object-version", first["version"].as_str().unwrap(), "--dry-run"];
    assert_eq!(item(&repair(&wanted).expect_success())["write"]["serial"], 58);
    place.set_digest(first["md5"].as_str().unwrap());
    let found = item(&repair(&["--yes"]).expect_success());
    assert_eq!(found["decision"], "repair", "the object is newer: {found}");
    let older = found["found"]["older"].as_array().unwrap();
    assert_eq!((older.len(), &older[49]["md5"], &found["done"]["serial"]), (50, &first["md5"], &json!(57)), "{found}");
}

#[test]
fn a_state_that_is_locked_is_left_alone() {
    let (moto, place) = (Moto::shared(), Place::new());
    for (serial, id) in [(3, "old"), (4, "new")] {
        moto.put_object(&place.bucket, KEY, state(serial, id));
    }
    let found = item(&place.repair(&moto.env(), &[]).expect_success());
    let digest = found["found"]["older"][0]["md5"].as_str().unwrap().to_owned();
    place.set_digest(&digest);
    moto.put_object(&place.bucket, &format!("{KEY}.tflock"), stateward_testkit::lock_info("x", "OperationTypeApply"));
    let refused = place.repair(&moto.env(), &["--yes"]).expect_code(3);
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, inspect) = words.split_once("as far as it can be known: ").unwrap();
    let inspected = as_typed(&TestDir::new(), &moto.env(), inspect).expect_success();
    assert!(inspected.stdout.contains("lock file"), "{}", inspected.report());
    assert_eq!(place.digest(), (Some(digest), 0));
}

#[test]
fn the_lock_of_a_run_that_was_killed_is_released_and_no_other() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = place.work(&dir, SLOW);
    let url = place.url();
    let inspect =
        |arguments: &[&str]| cli(&dir, &moto.env()).run(&[&["lock", "inspect", &url, "--json"], arguments].concat());
    let items = |output: &Output| serde_json::from_str::<Value>(&output.stdout).unwrap()["items"].clone();
    assert_eq!(items(&inspect(&[]).expect_success()), json!([]));

    let mut apply = work.spawn(&["apply", "-auto-approve"]);
    apply.wait_for("begun", LIMIT);
    let held = inspect(&[]).expect_success();
    let kinds: Vec<String> = items(&held).as_array().unwrap().iter().map(|item| item["kind"].to_string()).collect();
    assert_eq!(kinds, ["\"file\"", "\"item\""], "{}", held.report());
    assert_eq!(serde_json::from_str::<Value>(&held.stdout).unwrap()["verdict"], "may-live", "{}", held.report());
    let refused = inspect(&["--release", "--yes"]).expect_code(3);
    let id = items(&held)[0]["id"].as_str().unwrap().to_owned();
    let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, removes) = words.split_once("the run is over, and then: ").unwrap();
    assert!(removes.ends_with(&format!("--release --id {id}")), "{}", refused.report());
    let shown = cli(&dir, &moto.env()).run(&["lock", "inspect", &url]).expect_success();
    assert!(shown.stdout.contains(removes), "the same command stands under what was found: {}", shown.report());
    inspect(&["--release", "--id", "another"]).expect_code(1);
    assert_eq!(items(&inspect(&[]).expect_success()).as_array().unwrap().len(), 2, "nothing was released");

    apply.kill9();
    work.run(&["plan"]).expect_code(1);
    let released = as_typed(&dir, &moto.env(), &format!("{removes} --json")).expect_success();
    assert!(items(&released).as_array().unwrap().iter().all(|item| item["released"] == true), "{}", released.report());
    assert_eq!(
        items(&inspect(&["--release", "--force"]).expect_success()),
        json!([]),
        "a second time there is nothing"
    );
    work.write("go", "");
    work.run(&["apply", "-auto-approve"]).expect_success();
}
