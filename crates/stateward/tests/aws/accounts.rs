//! An account for each environment: set up in each, used from a third.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_lab::{Config, Running, Surroundings, World};
use stateward_testkit::{AwsEnv, Cli, Moto, Output, SecondOpinion, Seconded, Terraform, TestDir, Workdir, fresh_name};

use crate::{LIMIT, cli};

const MAIN: &str = "resource \"terraform_data\" \"a\" {\n  input = \"a\"\n}\n";
const APPLY: &[&str] = &["apply", "-auto-approve", "-replace=terraform_data.a"];
/// The account of the pipelines.
const PIPELINES: &str = "999988887777";
/// The environments with their accounts.
const ACCOUNTS: [(&str, &str); 2] = [("dev", "222233334444"), ("prod", "333344445555")];

/// The accounts of the environments and that of the pipelines, in a lab.
struct Accounts {
    lab: Seconded<Running>,
    dir: TestDir,
    /// Who administers each of the environments' accounts: access key, secret key and token.
    administrators: [[String; 3]; 2],
    /// The bucket of each environment, and what its set-up said.
    buckets: [String; 2],
    told: Vec<String>,
}

fn everything() -> Value {
    json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } })
}

fn pipeline(environment: &str) -> String {
    format!("arn:aws:iam::{PIPELINES}:role/ci-{environment}")
}

/// The administrators, the pipelines with these policies, and the roles of the environments.
fn world(administrators: &[[String; 3]; 2], pipelines: &[Value], roles: &[Value]) -> World {
    let administrator = |(_, account): &(&str, &str)| {
        let arn = format!("arn:aws:iam::{account}:role/administrator");
        json!({ "arn": arn, "policies": [everything()] })
    };
    let session = |((_, account), [key, secret, token]): (&(&str, &str), &[String; 3])| json!({ "role": format!("arn:aws:iam::{account}:role/administrator"), "name": "setup", "access_key": key, "secret_key": secret, "token": token });
    let pipelines: Vec<Value> = ACCOUNTS
        .iter()
        .zip(pipelines)
        .map(|((name, _), policy)| json!({ "arn": pipeline(name), "policies": [policy] }))
        .collect();
    let runs = pipelines.iter().zip(ACCOUNTS).map(|(role, (name, _))| json!({ "role": role["arn"], "name": "run", "access_key": format!("AKIALAB{name}"), "secret_key": name, "token": name }));
    let sessions: Vec<Value> = ACCOUNTS.iter().zip(administrators).map(session).chain(runs).collect();
    let roles: Vec<Value> =
        ACCOUNTS.iter().map(administrator).chain(pipelines.iter().cloned()).chain(roles.iter().cloned()).collect();
    let config = json!({ "upstream": { "url": Moto::shared().url() }, "roles": roles, "sessions": sessions });
    let config: Config = config.to_string().parse().unwrap();
    config.compile(&|path| panic!("no file is named, not {}", path.display())).unwrap()
}

fn with_keys<'a>(cli: Cli<'a>, keys: [&str; 3]) -> Cli<'a> {
    cli.envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].into_iter().zip(keys))
}

impl Accounts {
    /// Sets each account up, as its administrator; then there are the roles as they were made, and a pipeline for each with the policy that
    /// was printed for it.
    fn set_up(more: &[&str]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "Terraform signs with the real time")]
        let now = Arc::new(Timestamp::now);
        let opinion = SecondOpinion::new();
        let surroundings = Surroundings { now, seed: [5; 32], on_decision: opinion.hears() };
        let administrators = ACCOUNTS.map(|(_, account)| Moto::shared().session(account));
        let lab = opinion.of(Running::start(world(&administrators, &[], &[]), surroundings).unwrap());
        let buckets = ACCOUNTS.map(|(name, _)| fresh_name(&format!("acme-{name}")));
        let mut accounts = Self { lab, dir: TestDir::new(), administrators, buckets, told: Vec::new() };
        for at in 0..ACCOUNTS.len() {
            let told = accounts.setup(at, more).expect_success().stdout;
            accounts.told.push(told);
        }
        let pipelines: Vec<Value> = accounts.told.iter().map(|told| printed_policy(told)).collect();
        let roles: Vec<Value> = (0..ACCOUNTS.len()).map(|at| accounts.role(at)).collect();
        accounts.lab.lab().change(world(&accounts.administrators, &pipelines, &roles));
        accounts
    }

    /// The set-up of one account. What it asks of IAM, which the lab only reads, moto does.
    fn setup(&self, at: usize, more: &[&str]) -> Output {
        let trust = pipeline(ACCOUNTS[at].0);
        let words = ["setup", "aws", "--yes", "--bucket", &self.buckets[at], "--use-lockfile", "--kms-key", "create"];
        let own = ["--environments", ACCOUNTS[at].0, "--trust", &trust, "--write-policies", "isolation"];
        let [key, secret, token] = &self.administrators[at];
        let cli = cli(&self.dir, &AwsEnv::new().others(self.lab.url()));
        let cli = with_keys(cli, [key, secret, token]).envs([("AWS_ENDPOINT_URL_IAM", Moto::shared().url())]);
        cli.run(&[&words[..], &own, more].concat())
    }

    fn written(&self, file: &str) -> Value {
        serde_json::from_str(&self.dir.read(format!("isolation/{file}"))).unwrap()
    }

    fn role_arn(&self, at: usize) -> String {
        let (name, account) = ACCOUNTS[at];
        format!("arn:aws:iam::{account}:role/stateward-{}-{name}", self.buckets[at])
    }

    /// The role as it was made, by what was written of it.
    fn role(&self, at: usize) -> Value {
        let file = |what: &str| self.written(&format!("{}.{what}.json", ACCOUNTS[at].0));
        json!({ "arn": self.role_arn(at), "trust": file("trust"), "policies": [file("policy")] })
    }

    fn block(&self, at: usize) -> &str {
        let told = &self.told[at];
        let start = told.find("terraform {").unwrap();
        &told[start..start + told[start..].find("\n}\n").unwrap() + 3]
    }

    fn work(&self, name: &str, block: &str) -> Workdir {
        let work = Terraform::find().workdir(&self.dir, name).limit(LIMIT);
        work.write("main.tf", format!("{block}\n{MAIN}"));
        work
    }

    /// Runs Terraform as the pipeline of an environment.
    fn run(&self, work: &Workdir, at: usize, arguments: &[&str]) -> Output {
        let name = ACCOUNTS[at].0;
        let key = format!("AKIALAB{name}");
        let keys = [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", name), ("AWS_SESSION_TOKEN", name)];
        work.clone().envs(AwsEnv::new().others(self.lab.url()).pairs()).envs(keys).run(arguments)
    }

    /// What `policy check --isolation` says of the files, which are put together as the guide does.
    fn checked(&self) -> Output {
        let all: String = ACCOUNTS.map(|(name, _)| self.dir.read(format!("isolation/{name}.toml"))).concat();
        self.dir.write("isolation/environments.toml", all);
        cli(&self.dir, &AwsEnv::new()).run(&["policy", "check", "--isolation", "isolation/environments.toml"])
    }
}

/// The policy for those who take the role.
fn printed_policy(told: &str) -> Value {
    let line =
        told.lines().find(|line| line.contains("sts:AssumeRole")).unwrap_or_else(|| panic!("no policy in {told}"));
    serde_json::from_str(line).unwrap()
}

const INIT: &[&str] = &["init", "-backend-config=use_path_style=true"];

/// With the printed blocks, the printed policies for the pipelines and the roles as they are there: each pipeline works in the account of
/// its environment, and does nothing in the other, whether by the role there or by its own.
#[test]
fn each_environment_has_an_account_and_is_worked_in_from_another() {
    let accounts = Accounts::set_up(&[]);
    for (at, (name, account)) in ACCOUNTS.into_iter().enumerate() {
        let place =
            format!("account {account} in us-east-1, as arn:aws:sts::{account}:assumed-role/administrator/setup\n");
        assert!(accounts.told[at].starts_with(&place), "{}", accounts.told[at]);
        let work = accounts.work(name, accounts.block(at));
        accounts.run(&work, at, INIT).expect_success();
        for command in [&["plan"][..], APPLY, &["workspace", "new", "feature"], APPLY] {
            accounts.run(&work, at, command).expect_success();
        }
        let decisions = accounts.lab.lab().decisions();
        let by_role = decisions
            .iter()
            .filter(|decision| decision.principal.contains(&format!("{account}:assumed-role/stateward-")));
        assert!(by_role.count() > 4, "{name} is worked in by its role: {decisions:?}");
    }
    accounts.lab.lab().forget_decisions();
    // By the role of the other environment, which does not trust one.
    let output = accounts.run(&accounts.work("its-role", accounts.block(1)), 0, INIT);
    assert!(output.code() != Some(0) && output.stderr.contains("sts:AssumeRole"), "{}", output.report());
    // By one's own, in the other's bucket.
    let block = accounts.block(1).replace(&accounts.role_arn(1), &accounts.role_arn(0));
    let output = accounts.run(&accounts.work("own-role", &block), 0, INIT);
    assert!(output.code() != Some(0) && output.stderr.contains("AccessDenied"), "{}", output.report());
    let decisions = accounts.lab.lab().decisions();
    let through: Vec<_> =
        decisions.iter().filter(|one| one.is_allowed() && one.resource.contains(&accounts.buckets[1])).collect();
    assert!(through.is_empty() && decisions.len() > 1, "{through:?} of {}", decisions.len());
}

/// What was written is what is there: it is tried as it is, and what lets somebody over is found.
#[test]
fn accounts_are_tried_on_each_other_by_what_set_up_writes() {
    let accounts = Accounts::set_up(&[]);
    let told = accounts.checked().expect_success().stdout;
    assert!(told.contains("dev -> prod kept apart") && told.contains("prod -> dev kept apart"), "{told}");
    let own: Value = accounts.written("dev.policy.json");
    assert!(own.to_string().contains(&accounts.buckets[0]), "{own}");
    let key = accounts.written("dev.key-1.json");
    assert!(key.to_string().contains("arn:aws:iam::222233334444:root"), "{key}");
    let keeping = "prefix = \"dev\"\nworkspaces = true\nworkspace_key_prefix = \"dev\"\n";
    let written = accounts.dir.read("isolation/dev.toml");
    assert!(written.contains(keeping), "{written}");
    // Of the other account somebody is let in by the bucket's policy, which alone says nothing yet: their own account has to let them, too.
    let mut bucket = accounts.written("prod.bucket.json");
    let states = format!("arn:aws:s3:::{}/prod/*", accounts.buckets[1]);
    let statements = bucket["Statement"].as_array_mut().unwrap();
    statements.push(json!({"Sid": "Over", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222233334444:root"}, "Action": "s3:GetObject", "Resource": states}));
    accounts.dir.write("isolation/prod.bucket.json", bucket.to_string());
    accounts.checked().expect_success();
    let all = json!({"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}});
    accounts.dir.write("isolation/dev.policy.json", all.to_string());
    let told = accounts.checked().expect_code(4).stdout;
    assert!(told.contains("dev -> prod not kept apart") && told.contains("s3:GetObject"), "{told}");
    // Another run writes what is there.
    accounts.setup(0, &[]).expect_success();
    assert_eq!(accounts.written("dev.policy.json"), own);
}

/// One bucket in one account, and whoever works in an environment is of another: the role is there, and so is what it may do.
#[test]
fn one_bucket_is_worked_in_from_the_accounts_of_its_environments() {
    let (dir, bucket) = (TestDir::new(), fresh_name("shared"));
    let trust = ACCOUNTS.map(|(name, account)| format!("{name}=arn:aws:iam::{account}:root"));
    let words = [
        "setup",
        "aws",
        "--yes",
        "--bucket",
        &bucket,
        "--environments",
        "dev,prod",
        "--trust",
        &trust[0],
        "--trust",
        &trust[1],
    ];
    let told = cli(&dir, &Moto::shared().env()).run(&words).expect_success().stdout;
    for (name, account) in ACCOUNTS {
        let role = format!("arn:aws:iam::123456789012:role/stateward-{bucket}-{name}");
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}]});
        let words = format!(
            "Whoever takes its role as arn:aws:iam::{account}:root needs this in a policy of their own, too:\n\n  {policy}\n"
        );
        assert!(told.contains(&words), "{words} in {told}");
    }
}
