//! What the entries claim of Terraform, shown with real Terraform: each text it prints leads to the entry that tells of it.

use std::time::Duration;

use stateward_knowledge::entry_for;
use stateward_testkit::{
    AwsEnv, Fault, FaultProxy, Moto, Output, Rule, S3Backend, Terraform, TestDir, Workdir, fresh_name,
};

/// Long enough for a busy machine; nothing here waits for it in vain.
const LIMIT: Duration = Duration::from_mins(3);
const KEY: &str = "net/prod.tfstate";
const CONFIGURATION: &str = r#"
variable "n" {
  type    = number
  default = 1
}
resource "terraform_data" "a" {
  input = var.n
}
"#;
const SLOW: &str = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo begun; while [ ! -e go ]; do sleep 0.1; done"
  }
}
"#;

/// A bucket and a lock table.
struct Place {
    dir: TestDir,
    bucket: String,
    table: String,
}

impl Place {
    fn new() -> Self {
        let moto = Moto::shared();
        Self { dir: TestDir::new(), bucket: moto.create_bucket(), table: moto.create_lock_table() }
    }

    fn with_table(self, table: &str) -> Self {
        Self { table: table.to_owned(), ..self }
    }

    /// A directory that keeps its state there, initialised.
    fn work(&self, name: &str) -> Workdir {
        let work = self.bare(name, Moto::shared().url());
        work.run(&["init"]).expect_success();
        work
    }

    /// The same, not initialised, with the table reached at another address.
    fn bare(&self, name: &str, dynamodb_url: &str) -> Workdir {
        let moto = Moto::shared();
        let backend = S3Backend::new(moto.url(), &self.bucket, KEY).lock_table(dynamodb_url, &self.table);
        let env: AwsEnv = moto.env();
        let work = Terraform::find().workdir(&self.dir, name).envs(env.pairs()).limit(LIMIT);
        work.write("main.tf", CONFIGURATION);
        work.write_s3_backend(&backend);
        work
    }

    /// The attribute of the item in the lock table.
    fn item(&self, suffix: &str, attribute: &str) -> Option<String> {
        let request = format!(
            r#"{{"TableName":"{}","Key":{{"LockID":{{"S":"{}/{KEY}{suffix}"}}}},"ConsistentRead":true}}"#,
            self.table, self.bucket
        );
        let answer = Moto::shared().dynamodb("GetItem", &request);
        answer["Item"][attribute]["S"].as_str().map(str::to_owned)
    }

    fn set_digest(&self, digest: &str) {
        let request = format!(
            r#"{{"TableName":"{}","Item":{{"LockID":{{"S":"{}/{KEY}-md5"}},"Digest":{{"S":"{digest}"}}}}}}"#,
            self.table, self.bucket
        );
        Moto::shared().dynamodb("PutItem", &request);
    }
}

/// The entries that the output leads to, each once.
fn entries(output: &Output) -> Vec<&'static str> {
    let problems = stateward_denial::read(format!("{}{}", output.stdout, output.stderr).as_bytes());
    let mut ids: Vec<_> = problems.iter().filter_map(entry_for).map(|entry| entry.id.as_str()).collect();
    ids.dedup();
    ids
}

#[track_caller]
fn leads_to(output: &Output, entry: &str) {
    assert_eq!(entries(output), [entry], "{}", output.report());
}

fn apply(work: &Workdir, n: u32) -> Output {
    work.run(&["apply", "-auto-approve", "-var", &format!("n={n}")])
}

/// What Terraform says where the lock it was refused was released before it asked who holds it: it then gives up,
/// whatever time it was given.
const GONE_MEANWHILE: &str = "unexpected end of JSON input";

#[test]
fn a_held_lock_fails_at_once_and_a_lock_timeout_waits() {
    let place = Place::new();
    let (one, two) = (place.work("one"), place.work("two"));
    one.write("slow.tf", SLOW);
    for round in 0.. {
        let mut first = one.spawn(&["apply", "-auto-approve", "-replace=terraform_data.slow"]);
        first.wait_for("(local-exec): begun", LIMIT);
        let refused = apply(&two, 2).expect_code(1);
        leads_to(&refused, "lock/state-lock-held");
        let waiting = two.spawn(&["plan", "-lock-timeout=120s"]);
        one.write("go", "");
        first.wait(LIMIT).expect_success();
        let waited = waiting.wait(LIMIT);
        if round == 5 || !waited.stderr.contains(GONE_MEANWHILE) {
            waited.expect_success();
            break;
        }
        one.remove("go");
    }
}

#[test]
fn a_lock_timeout_does_not_help_when_the_lock_goes_while_it_is_asked_for() {
    let place = Place::new();
    let work = place.work("one");
    work.write("slow.tf", SLOW);
    let mut first = work.spawn(&["apply", "-auto-approve"]);
    first.wait_for("(local-exec): begun", LIMIT);

    let proxy = FaultProxy::to(Moto::shared().url());
    let other = place.bare("two", proxy.url());
    other.run(&["init"]).expect_success();
    let nothing = Fault::Answer { status: 200, headers: Vec::new(), body: "{}".to_owned() };
    proxy.inject(Rule::new(nothing).operation("GetItem").nth(1));
    let gave_up = other.run(&["plan", "-lock-timeout=120s"]).expect_code(1);
    assert_eq!((proxy.injected(), proxy.count("PutItem")), (1, 1));
    assert!(gave_up.stderr.contains(GONE_MEANWHILE), "{}", gave_up.report());
    leads_to(&gave_up, "lock/vanished");
    work.write("go", "");
    first.wait(LIMIT).expect_success();
}

#[test]
fn the_digest_stays_when_no_lock_is_held() {
    let place = Place::new();
    apply(&place.work("one"), 1).expect_success();
    assert_eq!(place.item("", "Info"), None);
    assert_eq!(place.item("-md5", "Digest").map(|digest| digest.len()), Some(32));
}

#[test]
fn force_unlock_needs_the_id_of_the_lock() {
    let place = Place::new();
    let work = place.work("one");
    let nothing = work.run(&["force-unlock", "-force", "11111111-2222-3333-4444-555555555555"]).expect_code(1);
    leads_to(&nothing, "lock/force-unlock-nothing");

    work.write("slow.tf", SLOW);
    let mut killed = work.spawn(&["apply", "-auto-approve"]);
    killed.wait_for("(local-exec): begun", LIMIT);
    killed.kill9();
    let other = work.run(&["force-unlock", "-force", "11111111-2222-3333-4444-555555555555"]).expect_code(1);
    // It goes on with who holds it.
    assert_eq!(entries(&other), ["lock/force-unlock-wrong-id", "lock/state-lock-held"], "{}", other.report());
    let info: serde_json::Value = serde_json::from_str(&place.item("", "Info").unwrap()).unwrap();
    work.run(&["force-unlock", "-force", info["ID"].as_str().unwrap()]).expect_success();
    assert_eq!(place.item("", "Info"), None);
    work.write("go", "");
    apply(&work, 1).expect_success();
}

#[test]
fn a_lost_answer_locks_a_run_out_by_its_own_lock() {
    let place = Place::new();
    apply(&place.work("one"), 1).expect_success();
    let proxy = FaultProxy::to(Moto::shared().url());
    let work = place.bare("two", proxy.url());
    work.run(&["init"]).expect_success();
    proxy.inject(Rule::new(Fault::LoseAnswer).operation("PutItem").nth(1));
    let refused = apply(&work, 2).expect_code(1);
    assert_eq!(proxy.injected(), 1);
    leads_to(&refused, "lock/state-lock-held");
    // The one that is named as the holder was refused, and nobody is there to release its lock.
    let info = place.item("", "Info").unwrap();
    let id = serde_json::from_str::<serde_json::Value>(&info).unwrap()["ID"].as_str().unwrap().to_owned();
    assert!(refused.stderr.contains(&id), "{}", refused.report());
    leads_to(&apply(&work, 2).expect_code(1), "lock/state-lock-held");
    work.run(&["force-unlock", "-force", &id]).expect_success();
    apply(&work, 2).expect_success();
}

#[test]
fn a_digest_that_does_not_fit_stops_terraform_until_it_is_set() {
    let place = Place::new();
    let work = place.work("one");
    apply(&work, 1).expect_success();
    let right = place.item("-md5", "Digest").unwrap();
    place.set_digest("00000000000000000000000000000000");
    let refused = work.run(&["plan", "-var", "n=1"]).expect_code(1);
    leads_to(&refused, "state/digest-mismatch");
    assert!(refused.stderr.contains(&right), "{}", refused.report());
    place.set_digest(&right);
    work.run(&["plan", "-detailed-exitcode", "-var", "n=1"]).expect_code(0);
}

#[test]
fn a_digest_without_a_state_stops_terraform() {
    let place = Place::new();
    let work = place.work("one");
    apply(&work, 1).expect_success();
    Moto::shared().delete_object(&place.bucket, KEY);
    leads_to(&work.run(&["plan"]).expect_code(1), "state/digest-without-state");
}

#[test]
fn a_plan_is_stale_once_the_state_has_moved_on() {
    let place = Place::new();
    let work = place.work("one");
    apply(&work, 1).expect_success();
    work.run(&["plan", "-out=planned", "-var", "n=2"]).expect_success();
    apply(&work, 3).expect_success();
    leads_to(&work.run(&["apply", "planned"]).expect_code(1), "state/stale-plan");
}

#[test]
fn a_missing_bucket_and_a_missing_table_are_told_apart() {
    let mut place = Place::new().with_table("no-such-table");
    leads_to(&apply(&place.work("table"), 1).expect_code(1), "storage/lock-table-missing");
    place.bucket = fresh_name("no-such-bucket");
    let work = place.bare("bucket", Moto::shared().url());
    leads_to(&work.run(&["init"]).expect_code(1), "storage/bucket-missing");
}

#[test]
fn a_table_with_another_key_is_told_so() {
    let table = fresh_name("lower");
    let request = format!(
        r#"{{"TableName":"{table}","BillingMode":"PAY_PER_REQUEST",
            "AttributeDefinitions":[{{"AttributeName":"lockid","AttributeType":"S"}}],
            "KeySchema":[{{"AttributeName":"lockid","KeyType":"HASH"}}]}}"#
    );
    Moto::shared().dynamodb("CreateTable", &request);
    let place = Place::new().with_table(&table);
    leads_to(&apply(&place.work("one"), 1).expect_code(1), "storage/lock-table-key-schema");
}
