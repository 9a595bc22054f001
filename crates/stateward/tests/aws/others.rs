//! Buckets and tables as other tools leave them: what they set stays, what is missing is added, and the printed block works there.
//!
//! Read in the sources of Terragrunt 1.1.3 (`internal/remotestate/backend/s3/client.go`) and of Cloud Posse's module
//! `terraform-aws-tfstate-backend` (`main.tf`).

use std::slice;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_lab::{Config, Running, Surroundings, World};
use stateward_testkit::{
    AwsEnv, Moto, Output, SecondOpinion, Seconded, Terraform, TestDir, Workdir, aws_calls, fresh_name,
};

use crate::setup::{actions, document};
use crate::{LIMIT, cli, state};

const MAIN: &str = "resource \"terraform_data\" \"a\" {\n  input = \"a\"\n}\n";
const APPLY: &[&str] = &["apply", "-auto-approve", "-replace=terraform_data.a"];
const ALGORITHM: &str = "s3:x-amz-server-side-encryption";

/// A lab with an administrator, and whoever works with state.
struct Place {
    lab: Seconded<Running>,
    dir: TestDir,
    bucket: String,
    table: String,
}

const KEYS: [(&str, &str); 2] = [("administrator", "AKIALABADMIN"), ("worker", "AKIALABWORKER")];

fn world(worker: &[Value]) -> World {
    let everything = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    let user = |(name, key): (&str, &str), policies: &[Value]| json!({ "arn": format!("arn:aws:iam::123456789012:user/{name}"), "policies": policies, "access_key": key, "secret_key": name });
    let [administrator, works] = KEYS;
    let users = [user(administrator, &[everything]), user(works, worker)];
    let config = json!({ "upstream": { "url": Moto::shared().url() }, "users": users });
    let config: Config = config.to_string().parse().unwrap();
    config.compile(&|path| panic!("no file is named, not {}", path.display())).unwrap()
}

fn call(service: &str, operation: &str, parameters: &Value) -> Value {
    json!({ "service": service, "operation": operation, "parameters": parameters })
}

impl Place {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "Terraform signs with the real time")]
        let now = Arc::new(Timestamp::now);
        let opinion = SecondOpinion::new();
        let surroundings = Surroundings { now, seed: [7; 32], on_decision: opinion.hears() };
        let lab = opinion.of(Running::start(world(&[]), surroundings).unwrap());
        Self { lab, dir: TestDir::new(), bucket: fresh_name("theirs"), table: fresh_name("their-locks") }
    }

    fn env(&self, (name, key): (&str, &str)) -> Vec<(&'static str, String)> {
        let own = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", name)].map(|(of, is)| (of, is.to_owned()));
        AwsEnv::new().others(self.lab.url()).pairs().into_iter().chain(own).collect()
    }

    /// What another tool asks for.
    fn made_by(&self, calls: &[Value]) {
        aws_calls(&self.dir, &json!({ "items": calls }).to_string(), self.env(KEYS[0]));
    }

    fn setup(&self, more: &[&str]) -> Output {
        let words = [&["setup", "aws", "--bucket", self.bucket.as_str()][..], more].concat();
        cli(&self.dir, &AwsEnv::new()).envs(self.env(KEYS[0])).run(&words)
    }

    fn in_bucket(&self, operation: &str, mut parameters: Value) -> Value {
        parameters["Bucket"] = json!(self.bucket);
        call("s3", operation, &parameters)
    }

    fn policy(&self, statements: &[Value]) -> Value {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        self.in_bucket("PutBucketPolicy", json!({ "Policy": policy.to_string() }))
    }

    fn arns(&self) -> [String; 2] {
        ["", "/*"].map(|suffix| format!("arn:aws:s3:::{}{suffix}", self.bucket))
    }

    /// As `terragrunt backend bootstrap` leaves them, with a bucket for access logs.
    fn terragrunt(&self, logs: &str) {
        let root = json!({"Sid": "RootAccess", "Effect": "Allow", "Action": "s3:*", "Resource": self.arns(), "Principal": {"AWS": ["arn:aws:iam::123456789012:root"]}});
        let tls = |arns: &[String]| json!({"Sid": "EnforcedTLS", "Effect": "Deny", "Action": "s3:*", "Resource": arns, "Principal": {"*": ["*"]}, "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        let blocked = json!({"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true});
        let rule = |algorithm: &str| json!({"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}, "BucketKeyEnabled": true}]});
        let group = "uri=http://acs.amazonaws.com/groups/s3/LogDelivery";
        let log = |operation: &str, mut parameters: Value| {
            parameters["Bucket"] = json!(logs);
            call("s3", operation, &parameters)
        };
        self.made_by(&[
            self.in_bucket("CreateBucket", json!({ "ObjectOwnership": "ObjectWriter" })),
            self.policy(slice::from_ref(&root)),
            self.policy(&[tls(&self.arns()), root]),
            self.in_bucket("PutPublicAccessBlock", json!({ "PublicAccessBlockConfiguration": blocked })),
            self.in_bucket("PutBucketVersioning", json!({ "VersioningConfiguration": { "Status": "Enabled" } })),
            self.in_bucket("PutBucketEncryption", json!({ "ServerSideEncryptionConfiguration": rule("aws:kms") })),
            log("CreateBucket", json!({ "ObjectOwnership": "ObjectWriter" })),
            log("PutPublicAccessBlock", json!({ "PublicAccessBlockConfiguration": blocked })),
            log("PutBucketAcl", json!({ "GrantWrite": group, "GrantReadACP": group })),
            self.in_bucket("PutBucketLogging", json!({ "BucketLoggingStatus": { "LoggingEnabled": { "TargetBucket": logs, "TargetPrefix": "TFStateLogs/" } } })),
            log("PutBucketEncryption", json!({ "ServerSideEncryptionConfiguration": rule("AES256") })),
            log("PutBucketVersioning", json!({ "VersioningConfiguration": { "Status": "Enabled" } })),
            call("dynamodb", "CreateTable", &json!({"TableName": self.table, "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}]})),
        ]);
    }

    /// As Cloud Posse's module leaves them: locks are files with `s3_state_lock_enabled`, which locks objects for seven days.
    fn cloudposse(&self, algorithms: &[&str]) {
        let deny = |sid: &str, condition: &Value| json!({"Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:PutObject", "Resource": self.arns()[1], "Condition": condition});
        let wrong = deny("DenyIncorrectEncryptionHeader", &json!({"StringNotEquals": {ALGORITHM: algorithms}}));
        let none = deny("DenyUnEncryptedObjectUploads", &json!({"Null": {ALGORITHM: "true"}}));
        let tls = json!({"Sid": "EnforceTlsRequestsOnly", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": self.arns(), "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        let blocked = json!({"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true});
        let rule = json!({"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]});
        let lock =
            json!({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}}});
        self.made_by(&[
            self.in_bucket("CreateBucket", json!({ "ObjectLockEnabledForBucket": true })),
            self.in_bucket("PutPublicAccessBlock", json!({ "PublicAccessBlockConfiguration": blocked })),
            self.policy(&[wrong, none, tls]),
            self.in_bucket("PutBucketVersioning", json!({ "VersioningConfiguration": { "Status": "Enabled" } })),
            self.in_bucket("PutBucketEncryption", json!({ "ServerSideEncryptionConfiguration": rule })),
            self.in_bucket("PutBucketOwnershipControls", json!({ "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] } })),
            self.in_bucket("PutObjectLockConfiguration", json!({ "ObjectLockConfiguration": lock })),
            call("dynamodb", "CreateTable", &json!({"TableName": self.table, "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}], "SSESpecification": { "Enabled": true }})),
            call("dynamodb", "UpdateContinuousBackups", &json!({ "TableName": self.table, "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true } })),
        ]);
    }

    /// Terraform with the printed block, and stateward with the printed store, each with the rights of the printed command alone.
    fn works(&self, told: &str) {
        let generated = |flag: &str| -> Value {
            let is_it = |line: &&str| line.trim().starts_with("stateward policy generate") && line.contains(flag);
            let words: Vec<&str> = told.lines().find(is_it).unwrap().split_whitespace().skip(1).collect();
            let printed = cli(&self.dir, &AwsEnv::new()).run(&words).expect_success().stdout;
            serde_json::from_str(&printed).unwrap()
        };
        self.lab.lab().change(world(&[generated("--key "), generated("--layout stateward")]));
        let start = told.find("terraform {").unwrap();
        let block = &told[start..start + told[start..].find("\n}\n").unwrap() + 3];
        let work = self.work(block);
        let run = |words: &[&str]| work.clone().envs(self.env(KEYS[1])).run(words).expect_success();
        run(&["init", "-backend-config=use_path_style=true"]);
        run(&["plan"]);
        run(APPLY);
        // Once more: over a state and a lock that was given back.
        run(APPLY);
        run(&["workspace", "new", "feature"]);
        let store = told.split("--store '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        let store = format!("{store}&use_path_style=true");
        self.dir.write("state.tfstate", state(3, "a"));
        let run = |words: &[&str]| {
            let words = [&["--store", store.as_str()], words].concat();
            cli(&self.dir, &AwsEnv::new()).envs(self.env(KEYS[1])).run(&words).expect_success().stdout
        };
        run(&["state", "import", "network", "state.tfstate"]);
        assert_eq!(run(&["state", "pull", "network"]), state(3, "a"));
    }

    fn work(&self, block: &str) -> Workdir {
        let work = Terraform::find().workdir(&self.dir, "work").limit(LIMIT);
        work.write("main.tf", format!("{block}\n{MAIN}"));
        work
    }
}

fn item<'a>(answer: &'a Value, property: &str) -> &'a Value {
    let mut items = answer["items"].as_array().unwrap().iter();
    items.find(|item| item["property"] == property).unwrap_or_else(|| panic!("no {property} in {answer:#}"))
}

fn acting(answer: &Value) -> Vec<(&str, &str)> {
    let items = answer["items"].as_array().unwrap().iter();
    items
        .filter(|item| item["action"] != "keep")
        .map(|item| (item["property"].as_str().unwrap(), item["action"].as_str().unwrap()))
        .collect()
}

#[test]
fn what_terragrunt_made_is_brought_up_to_it() {
    let (place, logs) = (Place::new(), fresh_name("their-logs"));
    place.terragrunt(&logs);
    let table = ["--lock-table", place.table.as_str()];
    let planned = document(&place.setup(&[&table[..], &["--dry-run", "--json"]].concat()).expect_success());
    let changed = [("ownership", "change"), ("deletion-protection", "change"), ("recovery", "change")];
    assert_eq!(acting(&planned), changed, "{planned:#}");
    // Its statement that refuses plain HTTP says it; KMS by AWS's key is stricter than S3's own.
    assert_eq!(
        (&item(&planned, "tls-only")["action"], &item(&planned, "encryption")["current"]),
        (&json!("keep"), &json!("aws:kms"))
    );
    let told = place.setup(&[&table[..], &["--yes"]].concat()).expect_success().stdout;
    assert!(!told.contains("    encrypt "), "Terraform would ask for S3's own key: {told}");
    assert!(told.contains("`encrypt` is left out"), "{told}");
    let again = document(&place.setup(&[&table[..], &["--yes", "--json"]].concat()).expect_success());
    assert!(actions(&again).iter().all(|action| *action == "keep"), "{again:#}");
    place.works(&told);
    // Its log bucket is the bucket's own still; whom its access list lets in is told.
    let into = ["--access-log", logs.as_str(), "--yes"];
    let refused = place.setup(&[&table[..], &into].concat()).expect_code(1);
    assert!(refused.stderr.contains("LogDelivery") && refused.stderr.contains("--acl private"), "{}", refused.report());
}

#[test]
fn what_cloudposse_made_is_brought_up_to_it() {
    for locks_are_files in [true, false] {
        let place = Place::new();
        place.cloudposse(&["AES256", "aws:kms"]);
        let table = ["--lock-table", place.table.as_str()];
        let locks = if locks_are_files { &["--use-lockfile"][..] } else { &table };
        let planned = document(&place.setup(&[locks, &["--dry-run", "--json"]].concat()).expect_success());
        let changed: &[_] = if locks_are_files { &[] } else { &[("deletion-protection", "change")] };
        assert_eq!(acting(&planned), changed, "{planned:#}");
        let lock = item(&planned, "object-lock");
        assert_eq!(lock["current"], json!({"mode": "GOVERNANCE", "days": 7}));
        let said = item(&planned, "write-headers");
        assert!(said["why"].as_str().unwrap().contains("DenyUnEncryptedObjectUploads"), "{said}");
        let told = place.setup(&[locks, &["--yes"]].concat()).expect_success().stdout;
        assert!(told.contains("    encrypt ") && told.contains("&encrypt=true'"), "{told}");
        place.works(&told);
    }
}

/// With a key of one's own nothing could be written where the policy wants S3's own: that is told, and nothing is made.
#[test]
fn a_key_that_a_policy_refuses_is_not_set() {
    let place = Place::new();
    place.cloudposse(&["AES256"]);
    place.lab.lab().forget_decisions();
    let refused = place.setup(&["--kms-key", "create", "--yes"]).expect_code(1);
    for word in ["DenyIncorrectEncryptionHeader", "--kms-key"] {
        assert!(refused.stderr.contains(word), "{word} in {}", refused.report());
    }
    let decisions = place.lab.lab().decisions();
    assert!(!decisions.iter().any(|one| one.operation == "CreateKey"), "{decisions:?}");
}

/// A key of the owner's that both the bucket and its policy are about.
#[test]
fn a_policy_that_wants_the_key_named_gets_it() {
    let place = Place::new();
    place.cloudposse(&["AES256", "aws:kms"]);
    let told = place.setup(&["--kms-key", "create", "--yes"]).expect_success().stdout;
    assert!(told.contains("kms_key_id") && told.contains("&kms_key_id=arn:aws:kms:"), "{told}");
    place.works(&told);
}
