//! `stateward setup aws --emit`: the set-up as code, done by those whom it is written for.

use serde_json::Value;
use stateward_testkit::{AwsEnv, FaultProxy, Moto, SeenRequest, Terraform, TestDir, fresh_name};

use crate::setup::{actions, document};
use crate::{LIMIT, cli};

/// Everything that can be asked for beside state in a bucket, under fresh names.
fn everything() -> Vec<String> {
    let flags = ["--bucket", "--lock-table", "--access-log", "--trail"];
    let named = flags.into_iter().flat_map(|flag| [flag.to_owned(), fresh_name(flag.trim_start_matches('-'))]);
    let more = ["--kms-key", "create", "--tag", "team=states", "--region", AwsEnv::REGION];
    ["setup", "aws"].into_iter().map(str::to_owned).chain(named).chain(more.map(str::to_owned)).collect()
}

/// A bucket that is copied to another Region.
fn copied() -> Vec<String> {
    let copies = format!("{}@eu-west-1", fresh_name("copies"));
    let named = ["--bucket".to_owned(), fresh_name("copied"), "--replicate-to".to_owned(), copies];
    let flags = ["setup", "aws", "--region", AwsEnv::REGION].map(str::to_owned);
    flags.into_iter().chain(named).collect()
}

/// A bucket that two environments share.
fn shared() -> Vec<String> {
    let named = ["--bucket".to_owned(), fresh_name("shared")];
    let flags = ["setup", "aws", "--kms-key", "create", "--environments", "dev,prod", "--region", AwsEnv::REGION];
    let trust = ["--trust", "arn:aws:iam::123456789012:root", "--trust", "prod=arn:aws:iam::111122223333:role/ci"];
    flags.into_iter().chain(trust).map(str::to_owned).chain(named).collect()
}

fn with<'a>(arguments: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

/// That set-up finds all as it shall be.
#[track_caller]
fn all_is_there(moto: &Moto, dir: &TestDir, arguments: &[String]) {
    let found = document(&cli(dir, &moto.env()).run(&with(arguments, &["--dry-run", "--json"])).expect_success());
    assert!(actions(&found).iter().all(|action| *action == "keep"), "{found:#}");
}

#[test]
fn the_requests_that_are_written_are_those_that_set_up_sends() {
    for arguments in [everything(), copied(), shared()] {
        let (proxy, dir) = (FaultProxy::to(Moto::shared().url()), TestDir::new());
        let env = AwsEnv::new().others(proxy.url());
        let written = document(&cli(&dir, &env).run(&with(&arguments, &["--emit", "json"])).expect_success());
        assert!(proxy.requests().is_empty(), "nothing is asked");
        cli(&dir, &env).run(&with(&arguments, &["--yes"])).expect_success();
        let requests = proxy.requests();
        let sent: Vec<&str> = requests.iter().filter(|request| request.writes()).map(SeenRequest::operation).collect();
        let items = written["items"].as_array().unwrap();
        let written: Vec<&str> = items.iter().map(|item| item["operation"].as_str().unwrap()).collect();
        assert_eq!(written, sent);
    }
}

#[test]
fn a_script_that_sends_the_requests_leaves_nothing_to_do() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let tables = ["setup", "aws", "--engine", "dynamodb", "--region", AwsEnv::REGION, "--kms-key", "create"];
    let tables = tables.map(str::to_owned).into_iter();
    let tables = tables.chain(["--state-table".to_owned(), fresh_name("emitted")]).collect();
    for arguments in [everything(), copied(), shared(), tables] {
        let written = cli(&dir, &AwsEnv::new()).run(&with(&arguments, &["--emit", "json"])).expect_success().stdout;
        moto.send_all(&dir, &written);
        all_is_there(moto, &dir, &arguments);
    }
}

/// The provider waits for rules of a life cycle to read as it wrote them, which on moto they never do: so it makes all but those. It also
/// looks for one trail, and moto tells of all that it has.
#[test]
fn terraform_finds_it_formatted_and_its_provider_makes_it() {
    const RULES: &str = "\nresource \"aws_s3_bucket_lifecycle_configuration\"";
    let (dir, arguments) = (TestDir::new(), everything());
    let written = cli(&dir, &AwsEnv::new()).run(&with(&arguments, &["--emit", "terraform"])).expect_success().stdout;
    let has_provider = Terraform::find_providers(&dir);
    let work = Terraform::find().workdir(&dir, "work").limit(LIMIT);
    work.write("main.tf", &written);
    let others = [("copies", copied()), ("environments", shared())].map(|(place, arguments)| {
        let output = cli(&dir, &AwsEnv::new()).run(&with(&arguments, &["--emit", "terraform"]));
        let other = Terraform::find().workdir(&dir, place).limit(LIMIT);
        other.write("main.tf", output.expect_success().stdout);
        other
    });
    for work in others.iter().chain([&work]) {
        work.run(&["fmt", "-check", "-diff"]).expect_success();
    }
    if has_provider {
        for other in &others {
            other.run(&["init"]).expect_success();
            other.run(&["validate"]).expect_success();
        }
        let moto = Moto::start();
        let work = work.envs(moto.env().pairs());
        work.write("path_override.tf", "provider \"aws\" {\n  s3_use_path_style = true\n}\n");
        work.run(&["init"]).expect_success();
        work.run(&["validate"]).expect_success();
        let mut parts = written.split(RULES);
        let first = parts.next().unwrap();
        let others = parts.map(|part| part.split_once("\n}\n").unwrap().1);
        work.write("main.tf", [first].into_iter().chain(others).collect::<String>());
        work.run(&["apply", "-auto-approve"]).expect_success();
        work.run(&["plan", "-detailed-exitcode"]).expect_success();
        let found = document(&cli(&dir, &moto.env()).run(&with(&arguments, &["--dry-run", "--json"])).expect_success());
        let items = found["items"].as_array().unwrap();
        let left: Vec<&Value> = items.iter().filter(|item| item["action"] != "keep").collect();
        assert!(left.len() == 2 && left.iter().all(|item| item["property"] == "lifecycle"), "{left:#?}");
    }
}

#[test]
fn what_cannot_be_written() {
    let dir = TestDir::new();
    for (arguments, word) in [
        (&["--bucket", "states", "--emit", "json"][..], "--region"),
        (&["--bucket", "states", "--emit", "terraform", "--yes"], "--yes"),
        (&["--bucket", "b", "--emit", "terraform"], "lower-case"),
        (&["--bucket", "states", "--replicate-to", "copies@eu-west-1", "--emit", "cloudformation"], "eu-west-1"),
        (&["--bucket", "states", "--environments", "dev", "--emit", "cloudformation"], "--environments"),
    ] {
        let error = cli(&dir, &AwsEnv::new()).run(&[&["setup", "aws"][..], arguments].concat()).expect_code(2).stderr;
        assert!(error.contains(word), "{word:?} in {error}");
    }
    let key = ["setup", "aws", "--bucket", "states", "--kms-key", "alias/aws/s3", "--emit", "terraform"];
    let error = cli(&dir, &AwsEnv::new()).run(&key).expect_code(1).stderr;
    assert!(error.contains("`key alias/aws/s3`") && error.contains("Leave `--kms-key` out"), "{error}");
}
