//! A bucket, a table and a lab with a user for each policy.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use stateward_aws::{Layout as Addresses, Services};
use stateward_iam::{Keeping, Layout, Purpose};
use stateward_lab::{Config, Credentials, Decision, Running, Surroundings, World};
use stateward_testkit::{AwsEnv, LockInfo, Moto, S3Backend, SecondOpinion, Seconded, Terraform, TestDir, Workdir};

use crate::cases::Case;

const ACCOUNT: &str = "123456789012";
const STATE_KEY: &str = "network/terraform.tfstate";
const KMS_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-4333-8444-555555555555";
/// Terraform waits more than it works.
const SIDE_BY_SIDE: usize = 4;

const MAIN: &str = "resource \"terraform_data\" \"a\" {\n  input = \"a\"\n}\n";

/// How state is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) lockfile: bool,
    pub(crate) table: bool,
    pub(crate) key: bool,
}

/// A generated policy less one action.
#[derive(Debug, Clone)]
pub(crate) struct Lessened {
    pub(crate) purpose: Purpose,
    pub(crate) sid: String,
    pub(crate) action: String,
}

pub(crate) struct Bench {
    variant: Variant,
    bucket: String,
    table: String,
    lab: Seconded<Running>,
    keys: BTreeMap<String, Credentials>,
    dir: TestDir,
}

/// Who has the whole policy for a purpose.
pub(crate) fn whole(purpose: Purpose) -> String {
    purpose.name().to_owned()
}

impl Lessened {
    pub(crate) fn user(&self) -> String {
        format!("{}-less-{}-{}", self.purpose.name(), self.sid, self.action.replace(':', "-"))
    }
}

impl Bench {
    pub(crate) fn new(variant: Variant) -> Self {
        let moto = Moto::shared();
        let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
        moto.keep_versions(&bucket);
        let keeping = keeping(variant, &bucket, &table);
        let world = world(&keeping, moto.url());
        let keys = world.credentials().map(|(arn, keys)| (name(&arn), keys.clone())).collect();
        #[expect(clippy::disallowed_methods, reason = "Terraform signs with the real time")]
        let now = Arc::new(Timestamp::now);
        let opinion = SecondOpinion::new();
        let surroundings = Surroundings { now, seed: [1; 32], on_decision: opinion.hears() };
        let lab = opinion.of(Running::start(world, surroundings).expect("the lab starts"));
        let bench = Self { variant, bucket, table, lab, keys, dir: TestDir::new() };
        let template = bench.workdir("template", &whole(Purpose::Plan));
        template.write("main.tf", MAIN);
        template.write_s3_backend(&bench.backend());
        template.run(&["init"]).expect_success();
        bench
    }

    fn keeping(&self) -> Keeping {
        keeping(self.variant, &self.bucket, &self.table)
    }

    fn backend(&self) -> S3Backend {
        let mut backend = S3Backend::new(self.lab.url(), &self.bucket, STATE_KEY);
        if self.variant.lockfile {
            backend = backend.lockfile();
        }
        if self.variant.table {
            backend = backend.lock_table(self.lab.url(), &self.table);
        }
        if self.variant.key {
            backend = backend.set("encrypt", "true").set("kms_key_id", &format!("\"{KMS_KEY}\""));
        }
        backend
    }

    /// The statement and the name of each action that a purpose is granted.
    pub(crate) fn granted(&self, purpose: Purpose) -> Vec<(String, String)> {
        granted(&document(&self.keeping(), purpose))
    }

    /// For each purpose its policy without one of the actions that it adds to the purpose before.
    pub(crate) fn lessened(&self) -> Vec<Lessened> {
        lessened(&self.keeping())
    }

    /// What was decided about the cases' users.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let decisions = self.lab.lab().decisions();
        let (cases, helper): (Vec<_>, Vec<_>) =
            decisions.into_iter().partition(|decision| name(&decision.principal) != "helper");
        assert!(helper.iter().all(Decision::is_allowed), "who sets up may do everything");
        assert!(cases.iter().all(|decision| decision.decision.is_some()), "every request is understood: {cases:?}");
        cases
    }

    /// Runs cases side by side, each with a workspace of its own.
    pub(crate) fn together(&self, cases: Vec<Case>) {
        let queue = Mutex::new(cases.into_iter().enumerate());
        let work = || {
            while let Some((number, case)) = { queue.lock().expect("not poisoned").next() } {
                case.run(self, &format!("case{number}"));
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
    }

    fn workdir(&self, dir: &str, user: &str) -> Workdir {
        let keys = &self.keys[user];
        let own = [("AWS_ACCESS_KEY_ID", &keys.access_key), ("AWS_SECRET_ACCESS_KEY", &keys.secret_key)];
        Terraform::find().workdir(&self.dir, dir).envs(AwsEnv::new().others(self.lab.url()).pairs()).envs(own)
    }

    /// A directory in which everything is ready for a user's commands.
    pub(crate) fn ready(&self, workspace: &str, user: &str) -> Workdir {
        let dir = format!("{workspace}-{user}");
        let workdir = self.workdir(&dir, user);
        copy(&self.dir.join("template"), workdir.path());
        workdir
    }

    /// The same in a workspace that has a state.
    pub(crate) fn in_workspace(&self, workspace: &str, user: &str) -> Workdir {
        self.put_state(workspace);
        self.ready(workspace, user).env("TF_WORKSPACE", workspace)
    }

    pub(crate) fn services(&self, user: &str) -> Services {
        use aws_config::retry::RetryConfig;
        use aws_config::{BehaviorVersion, Region, SdkConfig};
        let keys = &self.keys[user];
        let signer = aws_credential_types::Credentials::new(&keys.access_key, &keys.secret_key, None, None, "test");
        let configuration = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(AwsEnv::REGION))
            .endpoint_url(self.lab.url())
            .retry_config(RetryConfig::disabled())
            .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(signer))
            .build();
        Services::new(&configuration, Addresses::Path)
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(crate) fn state_key(workspace: &str) -> String {
        format!("env:/{workspace}/{STATE_KEY}")
    }

    /// As Terraform would have written it, the digest too.
    fn put_state(&self, workspace: &str) {
        let state = format!(
            "{{\"version\":4,\"terraform_version\":\"1.11.0\",\"serial\":1,\"lineage\":\"{workspace}\",\"outputs\":{{}},\"resources\":[],\"check_results\":null}}"
        );
        self.put(&Self::state_key(workspace), &state);
        if self.variant.table {
            let id = format!("{}/{}-md5", self.bucket, Self::state_key(workspace));
            self.put_item(&json!({ "LockID": { "S": id }, "Digest": { "S": hex::encode(Md5::digest(&state)) } }));
        }
    }

    /// A lock that somebody left behind; its ID.
    pub(crate) fn put_lock(&self, workspace: &str) -> String {
        let id = "f108b30f-8c7b-b79e-433f-91f4236138ae";
        let path = format!("{}/{}", self.bucket, Self::state_key(workspace));
        let info = LockInfo { path: path.clone(), ..LockInfo::new(id, "OperationTypeApply") };
        let info = String::from_utf8(info.to_bytes()).expect("UTF-8");
        if self.variant.lockfile {
            self.put(&format!("{}.tflock", Self::state_key(workspace)), &info);
        }
        if self.variant.table {
            self.put_item(&json!({ "LockID": { "S": path }, "Info": { "S": info } }));
        }
        id.to_owned()
    }

    fn put(&self, key: &str, text: &str) {
        let put = self.services("helper").s3.put_object().bucket(&self.bucket).key(key);
        let mut put = put.body(text.as_bytes().to_vec().into());
        if self.variant.key {
            put = put.server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::AwsKms).ssekms_key_id(KMS_KEY);
        }
        block_on(put.send()).expect("who sets up may do everything");
    }

    fn put_item(&self, item: &Value) {
        Moto::shared().dynamodb("PutItem", &json!({ "TableName": self.table, "Item": item }).to_string());
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn name(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or_default().to_owned()
}

fn keeping(variant: Variant, bucket: &str, table: &str) -> Keeping {
    Keeping {
        workspaces: true,
        lock_table: variant.table.then(|| table.to_owned()),
        use_lockfile: variant.lockfile,
        kms_key: variant.key.then(|| KMS_KEY.to_owned()),
        ..Keeping::new(Layout::S3, bucket, STATE_KEY)
    }
}

fn document(keeping: &Keeping, purpose: Purpose) -> Value {
    let document = stateward_iam::generate(keeping, purpose).expect("a policy");
    serde_json::from_str(&document.to_json()).expect("JSON")
}

fn statements(document: &Value) -> &[Value] {
    document["Statement"].as_array().expect("statements")
}

fn granted(document: &Value) -> Vec<(String, String)> {
    let of = |statement: &Value| {
        let sid = statement["Sid"].as_str().expect("a name").to_owned();
        let actions = statement["Action"].as_array().expect("actions").clone();
        actions.into_iter().map(move |action| (sid.clone(), action.as_str().expect("a name").to_owned()))
    };
    // What a `Deny` takes out is no right.
    statements(document).iter().filter(|statement| statement["Effect"] == "Allow").flat_map(of).collect()
}

fn lessened(keeping: &Keeping) -> Vec<Lessened> {
    let mut before = Vec::new();
    let mut all = Vec::new();
    for purpose in [Purpose::Plan, Purpose::Apply, Purpose::Admin] {
        let own = granted(&document(keeping, purpose));
        let new = own.iter().filter(|pair| !before.contains(*pair));
        all.extend(new.map(|(sid, action)| Lessened { purpose, sid: sid.clone(), action: action.clone() }));
        before = own;
    }
    all
}

fn without(document: &Value, lessened: &Lessened) -> Value {
    let mut document = document.clone();
    let statements = document["Statement"].as_array_mut().expect("statements");
    for statement in statements.iter_mut().filter(|statement| statement["Sid"] == lessened.sid) {
        statement["Action"].as_array_mut().expect("actions").retain(|action| *action != lessened.action);
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    document
}

/// A user for each purpose, and one for each policy that lacks something.
fn world(keeping: &Keeping, upstream: &str) -> World {
    let user = |name: &str, policy: Value| json!({ "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"), "policies": [policy] });
    let everything = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    let mut users = vec![user("helper", everything)];
    for purpose in [Purpose::Plan, Purpose::Apply, Purpose::Admin] {
        users.push(user(&whole(purpose), document(keeping, purpose)));
    }
    for lessened in lessened(keeping) {
        users.push(user(&lessened.user(), without(&document(keeping, lessened.purpose), &lessened)));
    }
    let config = json!({ "upstream": { "url": upstream }, "users": users, "keys": [{ "arn": KMS_KEY }] });
    let config: Config = config.to_string().parse().expect("a configuration");
    config.compile(&|path| panic!("no file is named, not {}", path.display())).expect("a world")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a directory");
    for entry in fs::read_dir(from).expect("read a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}
