//! What `stateward setup aws` makes and prints, under AWS's access control: real Terraform with the printed block, and no rights
//! but those of the printed command.
//!
//! The lab stands for AWS's endpoints, which are asked by HTTPS: `aws:SecureTransport` is true in it unless it is told otherwise.
//! It keeps the bucket's policy and judges by it; what does what is allowed behind it never sees a policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_iam::{Layer, decode_sent};
use stateward_lab::{Config, Credentials, Running, Surroundings, World};
use stateward_testkit::{
    AwsEnv, Cli, LockInfo, Moto, Output, SecondOpinion, Seconded, Terraform, TestDir, Workdir, fresh_name,
    try_aws_calls,
};

use crate::{LIMIT, cli, state};

const ADMINISTRATOR: &str = "administrator";
/// As the printed block has it.
pub(crate) const STATE_KEY: &str = "terraform.tfstate";
const LOCK_ID: &str = "f108b30f-8c7b-b79e-433f-91f4236138ae";
/// 32 bytes, as `sse_customer_key` takes them.
const BROUGHT: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
const MAIN: &str = "resource \"terraform_data\" \"a\" {\n  input = \"a\"\n}\n";

/// What was set up, and who works with it.
pub(crate) struct Bench {
    lab: Seconded<Running>,
    pub(crate) dir: TestDir,
    pub(crate) bucket: String,
    pub(crate) table: Option<String>,
    /// What the set-up printed.
    told: String,
    keys: BTreeMap<String, Credentials>,
}

fn arn(name: &str) -> String {
    format!("arn:aws:iam::123456789012:user/{name}")
}

pub(crate) fn user(name: &str, policies: &[&Value]) -> Value {
    json!({ "arn": arn(name), "policies": policies })
}

/// The administrator and others; `network` as the lab's file says it.
fn world(others: &[Value], network: &Value) -> World {
    world_with(others, &[], network)
}

fn world_with(others: &[Value], roles: &[Value], network: &Value) -> World {
    let everything = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    let users: Vec<Value> = [user(ADMINISTRATOR, &[&everything])].into_iter().chain(others.iter().cloned()).collect();
    let upstream = json!({ "url": Moto::shared().url() });
    let config = json!({ "upstream": upstream, "users": users, "roles": roles, "network": network });
    let config: Config = config.to_string().parse().unwrap();
    config.compile(&|path| panic!("no file is named, not {}", path.display())).unwrap()
}

/// The policy without an action of one of its statements.
pub(crate) fn without(policy: &Value, (sid, action): (&str, &str)) -> Value {
    let mut less = policy.clone();
    let statements = less["Statement"].as_array_mut().unwrap();
    let statement = statements.iter_mut().find(|statement| statement["Sid"] == sid).unwrap();
    let actions = statement["Action"].as_array_mut().unwrap();
    let before = actions.len();
    actions.retain(|own| own != action);
    assert_eq!(actions.len() + 1, before, "{action} is in {sid} of {policy}");
    statements.retain(|statement| statement["Action"] != json!([]));
    less
}

impl Bench {
    /// Sets up a bucket through the lab, as somebody who may do everything.
    pub(crate) fn new(table: bool, key: bool) -> Self {
        let (bucket, table) = (fresh_name("setup"), table.then(|| fresh_name("locks")));
        let mut words = vec!["--bucket", &bucket];
        words.extend(table.iter().flat_map(|table| ["--lock-table", table]));
        words.extend(key.then_some(["--kms-key", "create"]).into_iter().flatten());
        let bench = Self::set_up(&words);
        Self { bucket, table, ..bench }
    }

    fn set_up(words: &[&str]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "Terraform signs with the real time")]
        let now = Arc::new(Timestamp::now);
        let opinion = SecondOpinion::new();
        let surroundings = Surroundings { now, seed: [1; 32], on_decision: opinion.hears() };
        let world = world(&[], &json!({}));
        let keys = keys(&world);
        let lab = opinion.of(Running::start(world, surroundings).unwrap());
        let (dir, bucket, told) = (TestDir::new(), String::new(), String::new());
        let bench = Self { lab, dir, bucket, table: None, told, keys };
        let told = bench.setup(words);
        bench.forget();
        Self { told, ..bench }
    }

    /// What a set-up says. What it asks of IAM, which the lab only reads, moto does.
    fn setup(&self, words: &[&str]) -> String {
        let iam = [("AWS_ENDPOINT_URL_IAM", Moto::shared().url())];
        let all = [&["setup", "aws", "--yes"], words].concat();
        self.cli(ADMINISTRATOR).envs(iam).run(&all).expect_success().stdout
    }

    /// What the printed command makes that has this flag.
    pub(crate) fn generated(&self, flag: &str, purpose: &str) -> Value {
        let is_it = |line: &&str| line.trim().starts_with("stateward policy generate") && line.contains(flag);
        let command = self.told.lines().find(is_it).unwrap();
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let words: Vec<&str> = words.into_iter().map(|word| if word == "apply" { purpose } else { word }).collect();
        let printed = cli(&self.dir, &AwsEnv::new()).run(&words).expect_success().stdout;
        serde_json::from_str(&printed).unwrap()
    }

    pub(crate) fn block(&self) -> &str {
        let start = self.told.find("terraform {").unwrap();
        &self.told[start..start + self.told[start..].find("\n}\n").unwrap() + 3]
    }

    /// The key that the block names, and one that is not.
    fn key_and_another(&self) -> [String; 2] {
        let key = self.block().split("kms_key_id").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap();
        let account = key.split('/').next().unwrap();
        [key.to_owned(), format!("{account}/99999999-2222-4333-8444-555555555555")]
    }

    /// The environment of somebody: its keys, and the lab for AWS.
    fn env(&self, who: &str) -> Vec<(&'static str, String)> {
        let keys = self.keys.get(who).unwrap();
        let own = [("AWS_ACCESS_KEY_ID", &keys.access_key), ("AWS_SECRET_ACCESS_KEY", &keys.secret_key)];
        let own = own.map(|(name, key)| (name, key.clone()));
        AwsEnv::new().others(self.lab.url()).pairs().into_iter().chain(own).collect()
    }

    pub(crate) fn cli(&self, who: &str) -> Cli<'_> {
        cli(&self.dir, &AwsEnv::new()).envs(self.env(who))
    }

    /// From now on there are these others beside the administrator.
    pub(crate) fn let_in(&mut self, others: &[Value], network: &Value) {
        self.go_on(world(others, network));
    }

    fn go_on(&mut self, world: World) {
        self.keys = keys(&world);
        self.lab.lab().change(world);
    }

    /// A directory with a backend block.
    fn work(&self, name: &str, block: &str) -> Workdir {
        let work = Terraform::find().workdir(&self.dir, name).limit(LIMIT);
        work.write("main.tf", format!("{block}\n{MAIN}"));
        work
    }

    /// Runs Terraform as somebody.
    fn run(&self, work: &Workdir, who: &str, arguments: &[&str]) -> Output {
        work.clone().envs(self.env(who)).run(arguments)
    }

    /// `terraform init` as somebody. How a bucket is addressed is not the set-up's to say: under AWS's own names its name leads.
    fn init(&self, work: &Workdir, who: &str) {
        self.run(work, who, &["init", "-backend-config=use_path_style=true"]).expect_success();
    }

    /// What `stateward explain` makes of what was printed.
    fn explained(&self, printed: &Output) -> String {
        let explained = cli(&self.dir, &AwsEnv::new()).run_with_input(&["explain"], printed.stderr.as_str());
        explained.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What was decided, and how, counts no more.
    fn forget(&self) {
        self.lab.lab().forget_decisions();
    }

    /// It was a statement of the bucket's policy that refused an action, and `explain` says so.
    #[track_caller]
    fn is_refused_by(&self, sid: &str, action: &str, output: &Output) {
        assert_ne!(output.code(), Some(0), "{sid} lets it through: {}", output.report());
        let decisions = self.lab.lab().decisions();
        let denied = decisions.iter().find(|decision| decision.action == action && !decision.is_allowed()).unwrap();
        let by: Vec<_> = denied.statements.iter().map(|statement| statement.sid.as_deref()).collect();
        assert_eq!((denied.layer, by), (Some(Layer::Resource), vec![Some(sid)]), "{denied}");
        let explained = self.explained(output);
        for word in [&format!("`{action}`"), "the resource's own policy denies it"] {
            assert!(explained.contains(word), "{sid}: no {word} in {explained}");
        }
    }

    /// A lock that somebody left behind on the state.
    fn put_lock(&self) {
        let path = format!("{}/{STATE_KEY}", self.bucket);
        match &self.table {
            Some(table) => put_lock_item(table, &path),
            None => Moto::shared().put_object(&self.bucket, &format!("{STATE_KEY}.tflock"), lock_info(&path)),
        }
    }
}

fn lock_info(path: &str) -> Vec<u8> {
    LockInfo { path: path.to_owned(), ..LockInfo::new(LOCK_ID, "OperationTypeApply") }.to_bytes()
}

fn put_lock_item(table: &str, path: &str) {
    let info = String::from_utf8(lock_info(path)).unwrap();
    let item = json!({ "LockID": { "S": path }, "Info": { "S": info } });
    Moto::shared().dynamodb("PutItem", &json!({ "TableName": table, "Item": item }).to_string());
}

fn keys(world: &World) -> BTreeMap<String, Credentials> {
    let named =
        |(arn, keys): (String, &Credentials)| (arn.rsplit('/').next().unwrap_or_default().to_owned(), keys.clone());
    world.credentials().map(named).collect()
}

/// A command that goes with the policy for a purpose, and not without one action of one of its statements.
struct Less {
    purpose: &'static str,
    /// The statement, and the action.
    right: (&'static str, &'static str),
    command: &'static [&'static str],
}

impl Less {
    const fn of(
        purpose: &'static str,
        sid: &'static str,
        action: &'static str,
        command: &'static [&'static str],
    ) -> Self {
        Self { purpose, right: (sid, action), command }
    }

    fn who(&self) -> String {
        format!("{}-less-{}-{}", self.purpose, self.right.0, self.right.1.replace(':', "-"))
    }
}

/// Reads the state of the selected workspace, and takes no lock.
const INIT: &[&str] = &["init", "-reconfigure", "-backend-config=use_path_style=true"];
const PLAN: &[&str] = &["plan"];
/// Writes the state also where nothing has changed.
const APPLY: &[&str] = &["apply", "-auto-approve", "-replace=terraform_data.a"];
const DELETE: &[&str] = &["workspace", "delete", "feature"];
const UNLOCK: &[&str] = &["force-unlock", "-force", LOCK_ID];
const NEW: &[&str] = &["workspace", "new", "another"];

/// With the whole policy for it each command goes; with one action less it fails, and `explain` names the action. `before` is tried
/// while there is no state yet. What leaves a lock behind comes last of `after`.
fn goes_with_these_rights_alone(mut bench: Bench, before: &[Less], after: &[Less]) {
    let policies =
        BTreeMap::from(["plan", "apply", "admin"].map(|purpose| (purpose, bench.generated("--key ", purpose))));
    let whole = policies.iter().map(|(purpose, policy)| user(purpose, &[policy]));
    let less = before.iter().chain(after);
    // One right may be lacking for several commands.
    let less = less.map(|case| (case.who(), user(&case.who(), &[&without(&policies[case.purpose], case.right)])));
    let less: BTreeMap<String, Value> = less.collect();
    let all: Vec<Value> = whole.chain(less.into_values()).collect();
    bench.let_in(&all, &json!({}));
    let work = bench.work("work", bench.block());
    let refused = |case: &Less| {
        let output = bench.run(&work, &case.who(), case.command);
        assert_ne!(output.code(), Some(0), "it goes without {:?}: {}", case.right, output.report());
        let explained = bench.explained(&output);
        assert!(explained.contains(&format!("`{}`", case.right.1)), "{:?} is not named in: {explained}", case.right);
    };
    bench.init(&work, "plan");
    before.iter().for_each(refused);
    bench.run(&work, "plan", PLAN).expect_success();
    bench.run(&work, "apply", &["apply", "-auto-approve"]).expect_success();
    bench.run(&work, "apply", &["workspace", "new", "feature"]).expect_success();
    bench.run(&work, "plan", &["workspace", "select", "default"]).expect_success();
    for case in after {
        if case.command == UNLOCK {
            bench.put_lock();
        }
        refused(case);
    }
    bench.run(&work, "admin", DELETE).expect_success();
    bench.put_lock();
    bench.run(&work, "admin", UNLOCK).expect_success();
    bench.run(&work, "apply", APPLY).expect_success();
    assert_eq!(Moto::shared().objects(&bench.bucket), [STATE_KEY]);
}

#[test]
fn a_lock_file_and_the_keys_of_s3() {
    let before = [Less::of("plan", "Names", "s3:ListBucket", INIT), Less::of("plan", "Names", "s3:ListBucket", PLAN)];
    let after = [
        Less::of("plan", "States", "s3:GetObject", INIT),
        Less::of("apply", "States", "s3:PutObject", NEW),
        Less::of("apply", "Lockfiles", "s3:PutObject", NEW),
        Less::of("admin", "States", "s3:GetObject", DELETE),
        Less::of("admin", "Lockfiles", "s3:PutObject", DELETE),
        Less::of("plan", "States", "s3:GetObject", PLAN),
        Less::of("plan", "Lockfiles", "s3:PutObject", PLAN),
        Less::of("apply", "States", "s3:PutObject", APPLY),
        Less::of("admin", "States", "s3:DeleteObject", DELETE),
        Less::of("plan", "Lockfiles", "s3:DeleteObject", PLAN),
        Less::of("admin", "Lockfiles", "s3:GetObject", UNLOCK),
        Less::of("admin", "Lockfiles", "s3:DeleteObject", UNLOCK),
    ];
    goes_with_these_rights_alone(Bench::new(false, false), &before, &after);
}

#[test]
fn a_lock_table_and_a_key_for_both() {
    let after = [
        Less::of("plan", "Key", "kms:Decrypt", INIT),
        Less::of("plan", "Key", "kms:Decrypt", PLAN),
        Less::of("plan", "LockTableKey", "kms:Decrypt", PLAN),
        Less::of("plan", "LockItems", "dynamodb:PutItem", PLAN),
        Less::of("apply", "Key", "kms:GenerateDataKey", APPLY),
        Less::of("plan", "LockItems", "dynamodb:DeleteItem", PLAN),
        Less::of("admin", "LockItems", "dynamodb:GetItem", UNLOCK),
        Less::of("admin", "LockTableKey", "kms:Decrypt", UNLOCK),
        Less::of("admin", "LockItems", "dynamodb:DeleteItem", UNLOCK),
    ];
    goes_with_these_rights_alone(Bench::new(true, true), &[], &after);
}

/// What the bucket's policy says about keys and about plain HTTP, to those whose own policies allow all that is needed.
#[test]
fn the_buckets_policy_refuses_wrong_keys_and_plain_http() {
    let mut bench = Bench::new(false, true);
    let users = [user("apply", &[&bench.generated("--key ", "apply")])];
    bench.let_in(&users, &json!({}));
    let without = |names: &[&str]| {
        let kept = bench.block().lines().filter(|line| !names.iter().any(|name| line.trim().starts_with(name)));
        kept.collect::<Vec<_>>().join("\n")
    };
    let as_printed = bench.block().to_owned();
    let [key, other] = bench.key_and_another();
    let brought = without(&["kms_key_id"]).replace("region", &format!("sse_customer_key = \"{BROUGHT}\"\n    region"));
    for (name, block, refusing) in [
        ("as-printed", as_printed.clone(), None),
        // What asks for nothing gets the bucket's key.
        ("nothing", without(&["encrypt", "kms_key_id"]), None),
        // Terraform's `encrypt` alone asks for S3's own key.
        ("encrypt-alone", without(&["kms_key_id"]), Some("StatewardNoKeyOfS3")),
        ("another-key", as_printed.replace(&key, &other), Some("StatewardNoOtherKey")),
        ("key-brought", brought, Some("StatewardNoKeyBrought")),
    ] {
        let work = bench.work(name, &block);
        bench.init(&work, "apply");
        bench.forget();
        let output = bench.run(&work, "apply", APPLY);
        let Some(sid) = refusing else {
            output.expect_success();
            let used =
                bench.lab.lab().decisions().into_iter().filter(|decision| decision.action == "kms:GenerateDataKey");
            assert_eq!(
                used.map(|decision| decision.resource).collect::<Vec<_>>(),
                [key.clone(), key.clone()],
                "{name}"
            );
            continue;
        };
        bench.is_refused_by(sid, "s3:PutObject", &output);
    }
    bench.let_in(&users, &json!({ "secure_transport": false }));
    let work = bench.work("as-printed", &as_printed);
    bench.forget();
    bench.is_refused_by("StatewardTlsOnly", "s3:PutObject", &bench.run(&work, "apply", APPLY));
}

/// What Terraform cannot say, other clients can: two layers of encryption, which are stricter than one.
#[test]
fn the_buckets_policy_takes_two_layers_with_the_key() {
    let mut bench = Bench::new(false, true);
    bench.let_in(&[user("apply", &[&bench.generated("--key ", "apply")])], &json!({}));
    let [key, other] = bench.key_and_another();
    for (says, refusing) in [
        (json!({}), None),
        (json!({ "ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": key }), None),
        (json!({ "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key }), None),
        (json!({ "ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": other }), Some("StatewardNoOtherKey")),
        (json!({ "ServerSideEncryption": "aws:kms:dsse" }), Some("StatewardNoKeyOfAws")),
        (json!({ "ServerSideEncryption": "aws:kms" }), Some("StatewardNoKeyOfAws")),
        (json!({ "SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k".repeat(32) }), Some("StatewardNoKeyBrought")),
    ] {
        let mut parameters = json!({ "Bucket": bench.bucket, "Key": STATE_KEY, "Body": "{}" });
        parameters.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
        let put = json!({ "items": [{ "service": "s3", "operation": "PutObject", "parameters": parameters }] });
        bench.forget();
        let output = try_aws_calls(&bench.dir, &put.to_string(), bench.env("apply"));
        match refusing {
            None => _ = output.expect_success(),
            Some(sid) => bench.is_refused_by(sid, "s3:PutObject", &output),
        }
    }
}

/// A digest whose write was lost is put right by whoever may do what Terraform may.
#[test]
fn a_digest_is_repaired_with_these_rights_alone() {
    let mut bench = Bench::new(true, false);
    let policy = bench.generated("--key ", "admin");
    bench.let_in(&[user("admin", &[&policy])], &json!({}));
    let work = bench.work("work", bench.block());
    bench.init(&work, "admin");
    bench.run(&work, "admin", &["apply", "-auto-approve"]).expect_success();
    let table = bench.table.as_deref().unwrap();
    let id = json!({ "LockID": { "S": format!("{}/{STATE_KEY}-md5", bench.bucket) } });
    let asked = json!({ "TableName": table, "Key": id }).to_string();
    let before = Moto::shared().dynamodb("GetItem", &asked);
    bench.run(&work, "admin", APPLY).expect_success();
    let lost = json!({ "TableName": table, "Item": before["Item"] }).to_string();
    Moto::shared().dynamodb("PutItem", &lost);
    let repair = ["state", "repair", work.path().to_str().unwrap(), "--yes"];
    bench.cli("admin").run(&repair).expect_success();
    assert_ne!(Moto::shared().dynamodb("GetItem", &asked), before);
    bench.run(&work, "admin", PLAN).expect_success();
}

/// stateward's own store stands in the same bucket, under the same policy, with the rights of the printed command.
#[test]
fn stateward_s_own_store() {
    for (table, key) in [(false, true), (true, true)] {
        let mut bench = Bench::new(table, key);
        let of_store = bench.generated("--layout stateward", "admin");
        bench.let_in(&[user("store", &[&of_store])], &json!({}));
        let store = bench.told.split("--store '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
        bench.dir.write("state.tfstate", state(3, "a"));
        for (name, more) in [("bucket-s-key", ""), ("given-key", "&kms_key_id=KEY")] {
            let key = bench.block().split("kms_key_id").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap();
            let store = format!("{store}&use_path_style=true{}", more.replace("KEY", key));
            let run = |words: &[&str]| bench.cli("store").run(&[&["--store", store.as_str()], words].concat());
            run(&["state", "import", name, "state.tfstate"]).expect_success();
            assert_eq!(run(&["state", "pull", name]).expect_success().stdout, state(3, "a"));
            run(&["state", "history", name]).expect_success();
            run(&["lock", "list"]).expect_success();
            run(&["state", "delete", name, "--yes"]).expect_success();
        }
        for (more, why) in [("&encrypt=true", "S3's own key"), ("&kms_key_id=alias/other", "another key")] {
            let store = format!("{store}&use_path_style=true{more}");
            let words = ["--store", store.as_str(), "state", "import", "wrong", "state.tfstate"];
            let error = bench.cli("store").run(&words).expect_code(4).stderr;
            assert!(error.contains("s3:PutObject"), "{why}: {error}");
        }
    }
}

/// So does one in tables, all of them encrypted with a key of one's own. Locks of others are listed without a right to scan for them.
#[test]
fn stateward_s_own_store_in_tables() {
    let [states, locks] = ["states", "locks"].map(fresh_name);
    let set_up = ["--engine", "dynamodb", "--state-table", &states, "--lock-table", &locks, "--kms-key", "create"];
    let mut bench = Bench::set_up(&set_up);
    let of_store = bench.generated("--layout stateward", "apply");
    assert!(!of_store.to_string().contains("dynamodb:Scan"), "{of_store}");
    bench.let_in(&[user("store", &[&of_store])], &json!({}));
    let store = bench.told.split("--store '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
    bench.dir.write("state.tfstate", state(3, "a"));
    let run = |words: &[&str]| bench.cli("store").run(&[&["--store", store.as_str()], words].concat());
    run(&["state", "import", "net", "state.tfstate"]).expect_success();
    assert_eq!(run(&["state", "pull", "net"]).expect_success().stdout, state(3, "a"));
    run(&["state", "history", "net"]).expect_success();
    put_lock_item(&locks, &format!("{states}/net"));
    let listed = run(&["lock", "list", "--json"]).expect_success().stdout;
    assert!(listed.contains(LOCK_ID), "{listed}");
    let actions: Vec<_> = bench.lab.lab().decisions().into_iter().map(|decision| decision.action).collect();
    assert!(actions.iter().any(|action| action == "kms:Decrypt"), "{actions:?}");
}

impl Bench {
    /// The role of an environment, as a second set-up sees it.
    fn role(&self, is: &Value, environment: &str) -> Value {
        let name = format!("stateward-{}-{environment}", self.bucket);
        let is_it = |item: &&Value| item["resource"] == format!("policy {name}") && item["property"] == "rights";
        let rights = is["items"].as_array().unwrap().iter().find(is_it).unwrap();
        let trust: Value = serde_json::from_str(&decode_sent(&Moto::shared().trust_policy(&name))).unwrap();
        json!({ "arn": role_arn(&name), "trust": trust, "policies": [rights["current"]] })
    }

    /// The block of an environment, and its store.
    fn of(&self, environment: &str) -> (&str, &str) {
        let start = self.told.find(&format!("\n{environment}, with")).unwrap();
        let text = &self.told[start..];
        let block = &text[text.find("terraform {").unwrap()..text.find("\n}\n").unwrap() + 3];
        let store = text.split("--store '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        (block, store)
    }

    /// What Terraform keeps in a workspace the store shows, and what the store puts into one Terraform finds: both have it in one place.
    fn expect_one_state_a_workspace(&self, environment: &str, work: &Workdir, store: &str) {
        let run = |words: &[&str]| self.cli(environment).run(&[&["--store", store], words].concat()).expect_success();
        self.run(work, environment, &["workspace", "select", "feature"]).expect_success();
        let of_terraform = self.run(work, environment, &["state", "pull"]).expect_success().stdout;
        assert_eq!(run(&["state", "pull", "terraform.tfstate@feature"]).stdout.trim_end(), of_terraform.trim_end());
        let shown = run(&["state", "show", "terraform.tfstate@feature"]).stdout;
        assert!(shown.contains("terraform.tfstate@feature"), "{shown}");
        run(&["state", "import", "terraform.tfstate@other", "state.tfstate"]);
        let listed: Value = serde_json::from_str(&run(&["state", "list", "--json"]).stdout).unwrap();
        let names =
            |item: &Value| format!("{}@{}", item["state"].as_str().unwrap(), item["workspace"].as_str().unwrap());
        let listed: Vec<String> = listed["items"].as_array().unwrap().iter().map(names).collect();
        let all =
            ["network@default", "terraform.tfstate@default", "terraform.tfstate@feature", "terraform.tfstate@other"];
        assert_eq!(listed, all);
        run(&["lock", "list"]);

        self.run(work, environment, &["workspace", "select", "other"]).expect_success();
        let of_store: Value =
            serde_json::from_str(&self.run(work, environment, &["state", "pull"]).expect_success().stdout).unwrap();
        let imported: Value = serde_json::from_str(&state(3, "a")).unwrap();
        assert_eq!((&of_store["lineage"], &of_store["serial"]), (&imported["lineage"], &imported["serial"]));
        self.run(work, environment, &["workspace", "select", "default"]).expect_success();
        let strays: Vec<String> = Moto::shared().objects(&self.bucket);
        assert!(strays.iter().all(|object| !object.starts_with("env:")), "{strays:?}");
        let doctor = run(&["doctor", "--json"]).stdout;
        let found: Value = serde_json::from_str(&doctor).unwrap();
        for check in ["right:s3:ListBucket", "lock-table-exists", "lock-table-schema"] {
            let told = found["items"].as_array().unwrap().iter().find(|item| item["check"] == check);
            assert_eq!(told.map(|item| &item["status"]), Some(&json!("ok")), "{check}: {doctor}");
        }
    }
}

fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{name}")
}

/// With the printed blocks, and the roles as they are there: who works in one environment works there, by Terraform and by stateward, and
/// does nothing in the other, whether by its role or by one's own.
#[test]
fn an_environment_s_role_works_there_and_nowhere_else() {
    let trust = ["dev", "prod"].map(|name| format!("{name}={}", arn(name)));
    let [bucket, table] = ["setup", "locks"].map(fresh_name);
    let words = ["--bucket", &bucket, "--lock-table", &table, "--kms-key", "create", "--environments", "dev,prod"];
    let words = [&words[..], &["--trust", &trust[0], "--trust", &trust[1]]].concat();
    let mut bench = Bench { bucket: bucket.clone(), ..Bench::set_up(&words) };
    let is: Value = serde_json::from_str(&bench.setup(&[&words[..], &["--json"]].concat())).unwrap();
    let users = ["dev", "prod"].map(|name| user(name, &[]));
    bench.go_on(world_with(&users, &["dev", "prod"].map(|name| bench.role(&is, name)), &json!({})));
    for name in ["dev", "prod"] {
        let (block, store) = bench.of(name);
        let work = bench.work(name, block);
        bench.init(&work, name);
        for command in [PLAN, APPLY, &["workspace", "new", "feature"], APPLY, &["workspace", "select", "default"]] {
            bench.run(&work, name, command).expect_success();
        }
        let store = format!("{store}&use_path_style=true");
        bench.dir.write("state.tfstate", state(3, "a"));
        let run = |words: &[&str]| bench.cli(name).run(&[&["--store", store.as_str()], words].concat());
        run(&["state", "import", "network", "state.tfstate"]).expect_success();
        assert_eq!(run(&["state", "pull", "network"]).expect_success().stdout, state(3, "a"));
        bench.expect_one_state_a_workspace(name, &work, &store);
    }
    let (block, store) = bench.of("prod");
    let [own, other] = ["dev", "prod"].map(|name| role_arn(&format!("stateward-{}-{name}", bench.bucket)));
    bench.forget();
    let init = ["init", "-backend-config=use_path_style=true"];
    // By the role of the other environment, which does not trust one.
    let output = bench.run(&bench.work("its-role", block), "dev", &init);
    assert!(output.code() != Some(0) && output.stderr.contains("sts:AssumeRole"), "{}", output.report());
    // By one's own.
    let work = bench.work("own-role", &block.replace(&other, &own));
    let output = bench.run(&work, "dev", &init);
    assert!(output.code() != Some(0) && output.stderr.contains("AccessDenied"), "{}", output.report());
    // Further than `init` comes only a directory that is made ready already: Terraform takes the role from what `init` noted.
    let ready = "prod/.terraform/terraform.tfstate";
    bench.dir.write(ready, bench.dir.read(ready).replace(&other, &own));
    let ready = bench.work("prod", block);
    for command in [PLAN, APPLY, UNLOCK, &["workspace", "new", "another"], &["workspace", "list"], &["state", "pull"]] {
        bench.run(&ready, "dev", command).expect_code(1);
    }
    let store = format!("{}&use_path_style=true", store.replace(&other, &own));
    for words in
        [&["state", "list"][..], &["state", "pull", "network"], &["state", "import", "network", "state.tfstate"]]
    {
        bench.cli("dev").run(&[&["--store", store.as_str()], words].concat()).expect_code(4);
    }
    let decisions = bench.lab.lab().decisions();
    let let_through: Vec<_> =
        decisions.iter().filter(|decision| decision.is_allowed() && decision.resource.contains("prod")).collect();
    assert!(let_through.is_empty() && decisions.len() > 10, "{let_through:?} of {}", decisions.len());
}

/// What an environment's role cannot do without, and the command that shows it.
const OF_AN_ENVIRONMENT: &[(&str, &str, &[&str])] = &[
    ("Names", "s3:ListBucket", WORKSPACES),
    ("Store", "s3:GetObject", INIT),
    ("Key", "kms:Decrypt", INIT),
    ("LockTableKey", "kms:Decrypt", PLAN),
    ("LockItems", "dynamodb:PutItem", PLAN),
    ("Store", "s3:PutObject", APPLY),
    ("Key", "kms:GenerateDataKey", APPLY),
    ("LockItems", "dynamodb:GetItem", UNLOCK),
    ("LockItems", "dynamodb:DeleteItem", UNLOCK),
];
const WORKSPACES: &[&str] = &["workspace", "list"];
/// What only stateward's own store does, in the same bucket.
const OF_A_STORE: &[(&str, &str)] = &[("Store", "s3:AbortMultipartUpload"), ("Records", "s3:DeleteObject")];

/// The actions that a policy allows, each with its statement.
fn granted(policy: &Value) -> Vec<(String, String)> {
    let statements = policy["Statement"].as_array().unwrap().iter().filter(|statement| statement["Effect"] == "Allow");
    let of = |statement: &Value| {
        let (sid, actions) = (statement["Sid"].as_str().unwrap().to_owned(), statement["Action"].as_array().unwrap());
        actions.iter().map(|action| (sid.clone(), action.as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    statements.flat_map(of).collect()
}

/// Each right of an environment's role taken away in turn: the printed block fails with one less, and `explain` names the action.
#[test]
fn an_environment_s_role_needs_each_of_its_rights() {
    let [bucket, table] = ["setup", "locks"].map(fresh_name);
    let trust = format!("dev={}", arn("dev"));
    let words = ["--bucket", &bucket, "--lock-table", &table, "--kms-key", "create", "--environments", "dev"];
    let words = [&words[..], &["--trust", &trust]].concat();
    let mut bench = Bench { bucket: bucket.clone(), ..Bench::set_up(&words) };
    let is: Value = serde_json::from_str(&bench.setup(&[&words[..], &["--json"]].concat())).unwrap();
    let whole = bench.role(&is, "dev");
    let policy = &whole["policies"][0];
    let less = |at: usize| format!("{}-less-{at}", whole["arn"].as_str().unwrap());
    let role = |(at, (sid, action, _)): (usize, &(&str, &str, &[&str]))| {
        let policies = [without(policy, (sid, action))];
        json!({ "arn": less(at), "trust": whole["trust"], "policies": policies })
    };
    let roles: Vec<Value> = [whole.clone()].into_iter().chain(OF_AN_ENVIRONMENT.iter().enumerate().map(role)).collect();
    bench.go_on(world_with(&[user("dev", &[])], &roles, &json!({})));
    let block = bench.of("dev").0.to_owned();
    let work = bench.work("whole", &block);
    bench.init(&work, "dev");
    for command in [APPLY, &["workspace", "new", "feature"], &["workspace", "select", "default"]] {
        bench.run(&work, "dev", command).expect_success();
    }
    let path = format!("{bucket}/{}", state_key(&block));
    for (at, (sid, action, command)) in OF_AN_ENVIRONMENT.iter().enumerate() {
        // The same directory, but for the role: what `init` is given stands in the block, and what others are given `init` noted.
        let as_less =
            |text: &str| text.replace(&format!("{}\"", whole["arn"].as_str().unwrap()), &format!("{}\"", less(at)));
        let (file, noted) = ("whole/main.tf", "whole/.terraform/terraform.tfstate");
        let changed = if *command == INIT { file } else { noted };
        let before = [file, noted].map(|path| (path, bench.dir.read(path)));
        bench.dir.write(changed, as_less(&bench.dir.read(changed)));
        if *command == UNLOCK {
            put_lock_item(&table, &path);
        }
        let output = bench.run(&work, "dev", command);
        for (path, text) in before {
            bench.dir.write(path, text);
        }
        assert_ne!(output.code(), Some(0), "it goes without {sid} {action}: {}", output.report());
        let explained = bench.explained(&output);
        assert!(
            explained.contains(&format!("`{action}`")),
            "{sid} {action} is not named in: {explained}\n{}",
            output.report()
        );
    }
    let tried = OF_AN_ENVIRONMENT.iter().map(|(sid, action, _)| (*sid, *action));
    let all: Vec<(&str, &str)> = tried.chain(OF_A_STORE.iter().copied()).collect();
    let rest: Vec<_> =
        granted(policy).into_iter().filter(|(sid, action)| !all.contains(&(sid.as_str(), action.as_str()))).collect();
    assert!(rest.is_empty(), "{rest:?} are not taken away");
}

/// The key that a block names.
fn state_key(block: &str) -> &str {
    let line = block.lines().find(|line| line.trim().starts_with("key ")).unwrap();
    line.split('"').nth(1).unwrap()
}
