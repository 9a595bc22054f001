//! `stateward setup aws --emit`: the set-up as code, done by those whom it is written for.

use serde_json::{Value, json};
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

/// The requests that `CloudFormation` makes of what a template says of policies and roles: a policy gets no tags.
fn as_a_stack_makes_it(template: &str) -> String {
    let known = [("AWS::Partition", "aws"), ("AWS::AccountId", "123456789012"), ("AWS::Region", AwsEnv::REGION)];
    let template = known.iter().fold(template.to_owned(), |text, (name, is)| text.replace(&format!("${{{name}}}"), is));
    let template: Value = serde_json::from_str(&template).unwrap();
    let of = |kind: &str| {
        let all = template["Resources"].as_object().unwrap().values().filter(|one| one["Type"] == kind);
        all.map(|one| one["Properties"].clone()).collect::<Vec<_>>()
    };
    let policies = of("AWS::IAM::ManagedPolicy").into_iter().map(|policy| {
        let document = substituted(&policy["PolicyDocument"]).to_string();
        let policy = json!({ "PolicyName": policy["ManagedPolicyName"], "Description": policy["Description"], "PolicyDocument": document });
        ("CreatePolicy", policy)
    });
    let roles = of("AWS::IAM::Role").into_iter().flat_map(|role| {
        let carried = role["ManagedPolicyArns"][0]["Ref"].as_str().unwrap();
        let name = &template["Resources"][carried]["Properties"]["ManagedPolicyName"];
        let arn = format!("arn:aws:iam::123456789012:policy/{}", name.as_str().unwrap());
        let trust = substituted(&role["AssumeRolePolicyDocument"]).to_string();
        let made = json!({ "RoleName": role["RoleName"], "AssumeRolePolicyDocument": trust, "Tags": role["Tags"] });
        let attached = json!({ "RoleName": role["RoleName"], "PolicyArn": arn });
        [("CreateRole", made), ("AttachRolePolicy", attached)]
    });
    let calls = policies.chain(roles);
    let items = calls
        .map(|(operation, parameters)| json!({ "service": "iam", "operation": operation, "parameters": parameters }));
    json!({ "items": items.collect::<Vec<_>>() }).to_string()
}

/// The same with what `Fn::Sub` gives in the place of it.
fn substituted(value: &Value) -> Value {
    match value {
        Value::Object(all) if all.contains_key("Fn::Sub") => all["Fn::Sub"].clone(),
        Value::Object(all) => all.iter().map(|(name, of)| (name.clone(), substituted(of))).collect(),
        Value::Array(all) => all.iter().map(substituted).collect(),
        other => other.clone(),
    }
}

#[test]
fn policies_and_roles_of_a_stack_are_known() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let bucket = ["setup", "aws", "--region", AwsEnv::REGION, "--bucket"].map(str::to_owned);
    let bucket: Vec<String> = bucket.into_iter().chain([fresh_name("stacked")]).collect();
    let trust = "prod=arn:aws:iam::123456789012:root";
    let arguments = with(&bucket, &["--environments", "dev,prod.eu-1,prod", "--trust", trust]);
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    cli(&dir, &moto.env()).run(&with(&bucket, &["--yes"])).expect_success();
    let template =
        cli(&dir, &AwsEnv::new()).run(&with(&arguments, &["--emit", "cloudformation"])).expect_success().stdout;
    moto.send_all(&dir, &as_a_stack_makes_it(&template));
    all_is_there(moto, &dir, &arguments);
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
    ] {
        let error = cli(&dir, &AwsEnv::new()).run(&[&["setup", "aws"][..], arguments].concat()).expect_code(2).stderr;
        assert!(error.contains(word), "{word:?} in {error}");
    }
    let key = ["setup", "aws", "--bucket", "states", "--kms-key", "alias/aws/s3", "--emit", "terraform"];
    let error = cli(&dir, &AwsEnv::new()).run(&key).expect_code(1).stderr;
    assert!(error.contains("`key alias/aws/s3`") && error.contains("Leave `--kms-key` out"), "{error}");
}
