//! What an organization forbids, as the command tells it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_lab::{Config, Running, Surroundings, World};
use stateward_testkit::{AwsEnv, Moto, Output, SecondOpinion, Seconded, TestDir, fresh_name};

use crate::cli;

const KEY: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIALABADMIN"), ("AWS_SECRET_ACCESS_KEY", "administrator")];

/// An account in an organization whose second level forbids these actions.
fn world(forbidden: &[&str]) -> World {
    world_with(forbidden, &json!({}))
}

/// The same, where a condition is met.
fn world_with(forbidden: &[&str], condition: &Value) -> World {
    let everything = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    let deny = json!({ "Effect": "Deny", "Action": forbidden, "Resource": "*", "Condition": condition });
    let deny = json!({ "Version": "2012-10-17", "Statement": deny });
    let second = if forbidden.is_empty() { json!([everything]) } else { json!([everything, deny]) };
    let [(_, access_key), (_, secret_key)] = KEY;
    let user = json!({ "arn": "arn:aws:iam::123456789012:user/administrator", "policies": [everything], "access_key": access_key, "secret_key": secret_key });
    let accounts = json!({ "123456789012": { "organization": "o-lab", "scps": [[everything], second] } });
    let config = json!({ "upstream": { "url": Moto::shared().url() }, "users": [user], "accounts": accounts });
    let config: Config = config.to_string().parse().unwrap();
    config.compile(&|path| panic!("no file is named, not {}", path.display())).unwrap()
}

/// A lab where nothing is forbidden yet.
fn lab() -> Seconded<Running> {
    #[expect(clippy::disallowed_methods, reason = "the command signs with the real time")]
    let now = Arc::new(Timestamp::now);
    let opinion = SecondOpinion::new();
    let surroundings = Surroundings { now, seed: [9; 32], on_decision: opinion.hears() };
    opinion.of(Running::start(world(&[]), surroundings).unwrap())
}

/// What, why and what next, with the exit code of a refusal; what was done is told, and the rest is done once it may be.
#[test]
fn a_step_that_is_forbidden_is_told_and_the_next_run_goes_on() {
    let lab = lab();
    let dir = TestDir::new();
    let set_up = |all: &[&str]| -> Output {
        cli(&dir, &AwsEnv::new().others(lab.url())).envs(KEY).run(&[&["setup", "aws", "--yes"][..], all].concat())
    };
    for (action, done) in [
        ("kms:CreateKey", 0),
        ("s3:CreateBucket", 3),
        ("s3:PutBucketVersioning", 4),
        ("s3:PutEncryptionConfiguration", 5),
        ("s3:PutBucketPolicy", 7),
        ("dynamodb:CreateTable", 10),
        ("dynamodb:UpdateContinuousBackups", 11),
    ] {
        let [bucket, table] = ["forbidden", "forbidden-locks"].map(fresh_name);
        let all = ["--bucket", &bucket, "--lock-table", &table, "--kms-key", "create"];
        lab.lab().change(world(&[action]));
        let output = set_up(&all).expect_code(4);
        for told in [
            "the set-up ended before all was done",
            action,
            "explicit deny in a service control policy",
            "ask who administers it",
            "run it again",
        ] {
            assert!(output.stderr.contains(told), "{action}: {told:?} in {}", output.report());
        }
        let lines = output.stderr.lines().filter(|line| line.starts_with("done: ")).count();
        assert_eq!(lines, done, "{action}: {}", output.report());
        // `explain` takes the same text, and names the layer.
        let explained = cli(&dir, &AwsEnv::new()).run_with_input(&["explain", "--json"], output.stderr.as_str());
        let explained: Value = serde_json::from_str(&explained.stdout).unwrap();
        let denial = &explained["problems"][0]["denial"];
        assert_eq!((&denial["action"], &denial["layer"]), (&json!(action), &json!("scp")), "{explained:#}");
        lab.lab().change(world(&[]));
        set_up(&all).expect_success();
    }
}

/// An organization may demand a tag of whatever is made: the tags come with the requests that make something, so that with the tag all
/// is made, and without it is told what is forbidden.
#[test]
fn a_tag_that_is_demanded_of_what_is_made() {
    let lab = lab();
    let dir = TestDir::new();
    let creates = ["kms:CreateKey", "s3:CreateBucket", "dynamodb:CreateTable", "iam:CreatePolicy", "iam:CreateRole"];
    let untagged = json!({ "Null": { "aws:RequestTag/team": "true" } });
    let set_up = |name: &str, tags: &[&str]| -> Output {
        let trust = "dev=arn:aws:iam::123456789012:user/administrator";
        let words = ["setup", "aws", "--yes", "--bucket", name, "--lock-table", name, "--kms-key", "create"];
        let all = [&words[..], &["--environments", "dev", "--trust", trust], tags].concat();
        cli(&dir, &AwsEnv::new().others(lab.url())).envs(KEY).run(&all)
    };
    for action in creates {
        let name = fresh_name("demanded");
        lab.lab().change(world_with(&[action], &untagged));
        let output = set_up(&name, &[]).expect_code(4);
        let explained = cli(&dir, &AwsEnv::new()).run_with_input(&["explain", "--json"], output.stderr.as_str());
        let explained: Value = serde_json::from_str(&explained.stdout).unwrap();
        let denial = &explained["problems"][0]["denial"];
        assert_eq!((&denial["action"], &denial["layer"]), (&json!(action), &json!("scp")), "{}", output.report());
        set_up(&name, &["--tag", "team=network"]).expect_success();
    }
    lab.lab().change(world_with(&creates, &untagged));
    lab.lab().forget_decisions();
    set_up(&fresh_name("demanded"), &["--tag", "team=network"]).expect_success();
    let made: Vec<String> = lab.lab().decisions().into_iter().map(|decision| decision.action).collect();
    let not_made: Vec<_> = creates.iter().filter(|action| !made.iter().any(|own| own == *action)).collect();
    assert!(not_made.is_empty(), "{not_made:?} were not asked for");
}
