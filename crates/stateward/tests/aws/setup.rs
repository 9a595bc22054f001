//! `stateward setup aws`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Output, Rule, SeenRequest, TestDir, fresh_name};

use crate::{LIMIT, cli};

pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

pub(crate) fn actions(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect()
}

/// A bucket and a lock table under fresh names.
fn names() -> [String; 2] {
    ["setup", "locks"].map(fresh_name)
}

fn arguments<'a>([bucket, table]: &'a [String; 2], more: &[&'a str]) -> Vec<&'a str> {
    [&["setup", "aws", "--bucket", bucket, "--lock-table", table][..], more].concat()
}

#[test]
fn a_set_up_is_shown_then_done_once_and_the_second_run_writes_nothing() {
    let (proxy, dir, names) = (FaultProxy::to(Moto::shared().url()), TestDir::new(), names());
    let env = AwsEnv::new().others(proxy.url());
    let run = |more: &[&str]| cli(&dir, &env).run(&arguments(&names, &[&["--json"], more].concat()));
    let dry = document(&run(&["--dry-run"]).expect_success());
    assert!(actions(&dry).contains(&"create"), "{dry}");
    let asked = run(&[]).expect_code(2).stderr;
    assert!(asked.contains("--yes"), "{asked}");
    assert!(!proxy.requests().iter().any(SeenRequest::writes), "nothing is done unasked");
    let done = document(&run(&["--yes"]).expect_success());
    assert_eq!(done, dry, "what was shown is what was done");
    assert!(proxy.requests().iter().any(SeenRequest::writes));
    proxy.forget_requests();
    let again = document(&run(&["--yes"]).expect_success());
    assert!(actions(&again).iter().all(|action| *action == "keep"), "{again}");
    assert!(!proxy.requests().iter().any(SeenRequest::writes), "{:?}", proxy.requests());
}

/// What is kept has its reason and the rule behind it too, also where it was somebody's before.
#[test]
fn every_line_of_a_plan_says_why() {
    let (moto, dir, names) = (Moto::shared(), TestDir::new(), names());
    let [bucket, table] = &names;
    let theirs = json!({"TableName": table, "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}]});
    moto.dynamodb("CreateTable", &theirs.to_string());
    let [alias, logs, trail, copies] = ["alias/setup", "logs", "trail", "copies"].map(fresh_name);
    let symmetric = json!({"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT"});
    let key = json!({"schema": 1, "items": [
        {"service": "kms", "operation": "CreateKey", "parameters": symmetric},
        {"service": "kms", "operation": "CreateAlias", "parameters": {"AliasName": alias, "TargetKeyId": "${key_id}"}},
    ]});
    moto.send_all(&dir, &key.to_string());
    let trust = ["--environments", "dev,prod", "--trust", "prod=arn:aws:iam::123456789012:root", "--tag", "team=a"];
    let tables = ["--lock-table", table, "--replicate-to", &copies];
    let keys = ["--kms-key", &alias, "--access-log", &logs, "--trail", &trail];
    let second = fresh_name("keys");
    for (bucket, more, theirs) in [
        (bucket, &tables[..], "how it is paid is its owner's choice"),
        (&second, &keys, "its owner says when it changes"),
    ] {
        let all = [&["setup", "aws", "--bucket", bucket, "--yes"], more, &trust].concat();
        let run = |flags: &[&str]| cli(&dir, &moto.env()).run(&[&all, flags].concat()).expect_success();
        run(&[]);
        let again = document(&run(&["--json"]));
        let items = again["items"].as_array().unwrap();
        let is_bare = |item: &&Value| ["why", "rule"].iter().any(|of| item[of].as_str().is_none_or(str::is_empty));
        let without: Vec<&Value> = items.iter().filter(is_bare).collect();
        assert_eq!((without, items.len() > 25), (Vec::new(), true), "{} items", items.len());
        let told = run(&["--dry-run"]).stdout;
        let lines: Vec<&str> = told.lines().collect();
        let kept: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].starts_with("  keep ")).collect();
        assert_eq!(kept.len(), items.len(), "{told}");
        for at in kept {
            let reason = lines.get(at + 1).and_then(|line| line.strip_prefix("          "));
            assert!(reason.is_some_and(|reason| reason.starts_with(char::is_alphabetic)), "{}: {told}", lines[at]);
        }
        let unwrapped = told.replace("\n          ", " ");
        assert!(unwrapped.contains(theirs) && unwrapped.contains("are refused. [Security Hub S3.5]\n"), "{told}");
        for item in items {
            assert!(unwrapped.contains(&format!(" [{}]\n", item["rule"].as_str().unwrap())), "{item} in {told}");
        }
    }
}

/// The key that an earlier run made is in what is printed and in the rights, also where this run does not ask for one.
#[test]
fn a_key_that_is_there_is_not_forgotten() {
    let (dir, names) = (TestDir::new(), names());
    let environments = ["--environments", "dev,prod", "--yes"];
    let run = |more: &[&str]| cli(&dir, &Moto::shared().env()).run(&arguments(&names, more)).expect_success();
    let made = run(&[&["--kms-key", "create"][..], &environments].concat()).stdout;
    let again = run(&environments).stdout;
    assert!(!again.contains("  change ") && !again.contains("  create "), "{again}");
    let block = |told: &str| told.lines().find(|line| line.trim_start().starts_with("kms_key_id")).map(str::to_owned);
    assert!(block(&made).is_some_and(|line| line.contains("arn:aws:kms")), "{made}");
    assert_eq!(block(&again), block(&made));
}

/// The process dies at each of these requests, without a chance to say or to finish anything; the next one goes on, and the last one ends it.
fn is_killed_at(operations: &[&str], all: &[&str]) {
    let dir = TestDir::new();
    for operation in operations {
        let proxy = FaultProxy::to(Moto::shared().url());
        // Long enough that it is dead by then; the request is done all the same.
        proxy.inject(Rule::new(Fault::Delay(Duration::from_secs(2))).operation(operation).nth(1));
        let running = cli(&dir, &AwsEnv::new().others(proxy.url())).spawn(all);
        let is_asked = (0..20_000).any(|_| {
            thread::sleep(Duration::from_millis(5));
            proxy.count(operation) > 0
        });
        let output = running.kill9();
        assert!(is_asked, "no {operation}\n{}", output.report());
    }
    cli(&dir, &Moto::shared().env()).run(all).expect_success();
    let answer = cli(&dir, &Moto::shared().env()).run(&[all, &["--json"]].concat()).expect_success();
    let answer = document(&answer);
    assert!(actions(&answer).iter().all(|action| *action == "keep"), "{answer}");
}

#[test]
fn a_process_that_is_killed() {
    let names = names();
    let [states, logs, trail] = ["states", "logs", "trail"].map(fresh_name);
    let server = ["--kms-key", "create", "--engine", "dynamodb", "--state-table", &states];
    let all = arguments(&names, &[&server[..], &["--access-log", &logs, "--trail", &trail, "--yes"]].concat());
    let operations = [
        "CreateKey",
        "CreateAlias",
        "CreateBucket",
        "PutBucketPolicy",
        "CreateTable",
        "UpdateTimeToLive",
        "CreateTrail",
        "PutEventSelectors",
    ];
    is_killed_at(&operations, &all);
}

#[test]
fn a_process_that_is_killed_over_environments_and_a_copy() {
    let (names, copies) = (names(), format!("{}@eu-west-1", fresh_name("copies")));
    let environments = ["--environments", "dev,prod", "--trust", "arn:aws:iam::123456789012:root"];
    let all = arguments(&names, &[&environments[..], &["--replicate-to", &copies, "--yes"]].concat());
    let operations = ["CreateRole", "PutRolePolicy", "PutBucketReplication", "CreatePolicy", "AttachRolePolicy"];
    is_killed_at(&operations, &all);
}

/// Where S3 alone has an endpoint of its own, too, that is asked for buckets in the path.
#[test]
fn endpoints_of_single_services() {
    let (moto, dir, names) = (Moto::shared(), TestDir::new(), names());
    let env = AwsEnv::new().others(moto.url()).pairs();
    let single = ["S3", "STS", "DYNAMODB"].map(|name| (format!("AWS_ENDPOINT_URL_{name}"), moto.url().to_owned()));
    let cli = stateward_testkit::Cli::new(env!("CARGO_BIN_EXE_stateward"), &dir).limit(LIMIT);
    let cli = cli.envs(env.into_iter().filter(|(name, _)| !name.contains("ENDPOINT"))).envs(single);
    cli.run(&arguments(&names, &["--yes"])).expect_success();
}

/// All that a set-up makes in a bucket's account, under fresh names.
fn everything() -> (Vec<String>, Vec<String>) {
    let flags = ["--bucket", "--lock-table", "--access-log", "--trail"];
    let names: Vec<String> = flags.iter().map(|flag| fresh_name(flag.trim_start_matches('-'))).collect();
    let named = flags.iter().zip(&names).flat_map(|(flag, name)| [(*flag).to_owned(), name.clone()]);
    let more = ["--kms-key", "create", "--environments", "dev,prod", "--tag", "team=a", "--yes"];
    let trust = ["--trust", "arn:aws:iam::123456789012:root"];
    let words = ["setup", "aws"].into_iter().chain(more).chain(trust).map(str::to_owned).chain(named).collect();
    (words, names)
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

/// What there is in the end, with what differs from run to run taken out.
fn in_the_end(dir: &TestDir, (all, names): &(Vec<String>, Vec<String>)) -> String {
    let found = cli(dir, &Moto::shared().env()).run(&[&words(all)[..], &["--json"]].concat()).expect_success();
    let found = document(&found);
    assert!(actions(&found).iter().all(|action| *action == "keep"), "{found}");
    let mut text = found.to_string();
    for (name, called) in names.iter().zip(["BUCKET", "TABLE", "LOGS", "TRAIL"]) {
        text = text.replace(name, called);
    }
    let key = text.split(":key/").nth(1).and_then(|rest| rest.get(..36)).unwrap_or_default().to_owned();
    text.replace(&key, "KEY")
}

/// Ctrl-C comes while a request is under way, which AWS has done by then or has not: what is told is what is done, and the run after that ends
/// where an undisturbed one does.
#[test]
fn an_interrupt_anywhere_tells_what_is_done_and_the_next_run_goes_on() {
    let (dir, set_up) = (TestDir::new(), everything());
    let all = words(&set_up.0);
    let long = Duration::from_mins(10);
    for (at, operation) in [
        "CreateKey",
        "CreateAlias",
        "CreateBucket",
        "PutBucketPolicy",
        "CreateTable",
        "UpdateContinuousBackups",
        "CreateTrail",
        "CreatePolicy",
        "CreateRole",
        "AttachRolePolicy",
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = FaultProxy::to(Moto::shared().url());
        let fault = if at % 2 == 0 { Fault::Delay(long) } else { Fault::AnswerLate(long) };
        proxy.inject(Rule::new(fault).operation(operation).nth(1));
        let running = cli(&dir, &AwsEnv::new().others(proxy.url())).spawn(&all);
        let is_asked = (0..20_000).any(|_| {
            thread::sleep(Duration::from_millis(5));
            proxy.count(operation) > 0
        });
        running.interrupt();
        let output = running.wait(LIMIT).expect_code(1);
        assert!(is_asked, "no {operation}\n{}", output.report());
        let written = proxy.requests().iter().filter(|request| request.writes()).count();
        let done = output.stderr.lines().filter(|line| line.starts_with("done: ")).count();
        assert_eq!(done + 1, written, "{operation}: {}", output.report());
        for told in [
            format!("what is done stands above ({done})"),
            "may have been done too".to_owned(),
            "run it again".to_owned(),
        ] {
            assert!(output.stderr.contains(&told), "{operation}: {told:?} in {}", output.report());
        }
    }
    cli(&dir, &Moto::shared().env()).run(&all).expect_success();
    let undisturbed = everything();
    cli(&dir, &Moto::shared().env()).run(&words(&undisturbed.0)).expect_success();
    assert_eq!(in_the_end(&dir, &set_up), in_the_end(&dir, &undisturbed));
}

/// At the first look of what does it, and at the last, it says how far it came. Before that nothing catches the signal: what it does then
/// is up to whoever started the command.
#[test]
fn an_interrupt_before_the_first_step_and_after_the_last() {
    let (dir, names) = (TestDir::new(), names());
    let all = arguments(&names, &["--yes"]);
    let last = "UpdateContinuousBackups";
    for (after_last, told) in [(false, "the set-up ended before all was done"), (true, "all is there")] {
        let proxy = FaultProxy::to(Moto::shared().url());
        let [is_over, looks] = [AtomicUsize::new(usize::from(!after_last)), AtomicUsize::new(0)].map(Arc::new);
        let seen = Arc::clone(&looks);
        proxy.inject(Rule::new(Fault::Delay(Duration::from_mins(10))).when(move |request| {
            is_over.fetch_add(usize::from(request.operation() == last), Ordering::SeqCst);
            request.operation() == "HeadBucket"
                && is_over.load(Ordering::SeqCst) > 0
                && seen.fetch_add(1, Ordering::SeqCst) + 1 == 2
        }));
        let running = cli(&dir, &AwsEnv::new().others(proxy.url())).spawn(&all);
        let is_asked = (0..20_000).any(|_| {
            thread::sleep(Duration::from_millis(5));
            looks.load(Ordering::SeqCst) >= 2
        });
        running.interrupt();
        let output = running.wait(LIMIT).expect_code(1);
        let writes = proxy.requests().iter().filter(|request| request.writes()).count();
        assert_eq!((is_asked, writes > 0), (true, after_last), "{}", output.report());
        assert!(output.stderr.contains(told), "{told:?}: {}", output.report());
    }
    cli(&dir, &Moto::shared().env()).run(&all).expect_success();
}

#[test]
fn credentials_that_are_missing_or_no_longer_good() {
    let (proxy, dir, names) = (FaultProxy::to(Moto::shared().url()), TestDir::new(), names());
    let expired = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>ExpiredToken</Code>\
                   <Message>The security token included in the request is expired</Message></Error><RequestId>R</RequestId></ErrorResponse>";
    let fault = Fault::Answer { status: 403, headers: Vec::new(), body: expired.to_owned() };
    proxy.inject(Rule::new(fault));
    let env = AwsEnv::new().others(proxy.url());
    let error = cli(&dir, &env).run(&arguments(&names, &["--yes"])).expect_code(4).stderr;
    assert!(error.contains("ExpiredToken") && error.contains("log in to AWS anew"), "{error}");
    let none = env.pairs().into_iter().filter(|(name, _)| !name.contains("_KEY"));
    let none = stateward_testkit::Cli::new(env!("CARGO_BIN_EXE_stateward"), &dir).envs(none).limit(LIMIT);
    let error = none.run(&arguments(&names, &["--yes"])).expect_code(4).stderr;
    assert!(error.contains("nor the profile `default`") && error.contains("aws sso login"), "{error}");
    let half = none.env("AWS_ACCESS_KEY_ID", "AKIA1");
    let error = half.run(&arguments(&names, &["--yes"])).expect_code(4).stderr;
    let words = error.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("`AWS_ACCESS_KEY_ID` is set and `AWS_SECRET_ACCESS_KEY` is not"), "{error}");
    let error = half.run(&arguments(&names, &["--yes", "--profile", "nosuch"])).expect_code(4).stderr;
    let words = error.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("there is no profile `nosuch` in"), "{error}");
}

/// What stands in the way is told before anything is done, and as an item of the plan.
#[test]
fn names_that_are_taken_and_tables_of_others() {
    let (proxy, dir, names) = (FaultProxy::to(Moto::shared().url()), TestDir::new(), names());
    let env = AwsEnv::new().others(proxy.url());
    let refused = |word: &str| {
        let output = cli(&dir, &env).run(&arguments(&names, &["--yes"])).expect_code(1);
        let told = output.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(word) && told.contains("cannot be used"), "{word:?} in {}", output.report());
        let answer = document(&cli(&dir, &env).run(&arguments(&names, &["--dry-run", "--json"])).expect_code(1));
        let items = answer["items"].as_array().unwrap();
        let obstacles: Vec<_> = items.iter().filter(|item| item["action"] == "refuse").collect();
        assert!(matches!(obstacles.as_slice(), [item] if item["property"] == "existence"), "{answer}");
        assert!(!proxy.requests().iter().any(SeenRequest::writes), "{word}: {:?}", proxy.requests());
    };
    let elsewhere = |status| Fault::status(status).header("x-amz-bucket-region", "ap-south-1");
    for (fault, word) in [
        (Fault::status(403), "another account's"),
        (elsewhere(301), "Say `--region ap-south-1`"),
        (elsewhere(307), "Say `--region ap-south-1`"),
        // As S3 answers to a signature for another Region.
        (elsewhere(400), "Say `--region ap-south-1`"),
    ] {
        proxy.inject(Rule::new(fault).operation("HeadBucket"));
        refused(word);
        proxy.heal();
    }
    let other = json!({"TableName": names[1], "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]});
    Moto::shared().dynamodb("CreateTable", &other.to_string());
    refused("has the one key LockID");
}

#[test]
fn a_service_that_is_down_or_has_too_much_to_do() {
    let (proxy, dir, names) = (FaultProxy::to(Moto::shared().url()), TestDir::new(), names());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = AwsEnv::new().others(format!("http://{nobody}"));
    let error = cli(&dir, &down).run(&arguments(&names, &["--yes"])).expect_code(1).stderr;
    assert!(error.contains("connection refused") && error.contains("`AWS_ENDPOINT_URL`"), "{error}");
    let busy = AwsEnv::new().others(proxy.url());
    for operation in ["HeadBucket", "DescribeTable"] {
        let fault = if operation == "HeadBucket" { Fault::slow_down() } else { Fault::throttling(Duration::ZERO) };
        proxy.inject(Rule::new(fault).operation(operation));
        let error = cli(&dir, &busy).run(&arguments(&names, &["--yes"])).expect_code(1).stderr;
        assert!(error.contains(operation) && error.contains("wait a minute, and run it again"), "{error}");
        proxy.heal();
    }
    assert!(!proxy.requests().iter().any(SeenRequest::writes), "{:?}", proxy.requests());
}

#[test]
fn a_directory_that_cannot_be_written_is_told_before_anything_is_made() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (bucket, file) = (fresh_name("unmade"), dir.write("file", ""));
    let path = file.join("below").display().to_string();
    let arguments = ["setup", "aws", "--bucket", &bucket, "--environments", "dev", "--write-policies", &path, "--yes"];
    let refused = cli(&dir, &moto.env()).run(&arguments).expect_code(1);
    assert!(
        refused.stderr.contains("nothing was done") && refused.stderr.contains("not a directory"),
        "{}",
        refused.report()
    );
    let there = ["lock", "inspect", &format!("s3://{bucket}/k.tfstate?use_path_style=true&use_lockfile=true")];
    let missing = cli(&dir, &moto.env()).run(&there).expect_code(1);
    assert!(missing.stderr.contains(&format!("no bucket `{bucket}`")), "{}", missing.report());
}

#[test]
fn what_cannot_be_meant() {
    let dir = TestDir::new();
    for (arguments, word) in [
        (&["--bucket", "b"][..], "lower-case"),
        (&["--bucket", "states", "--kms-key", "mine"], "alias/NAME"),
        (&["--bucket", "states", "--tag", "team"], "KEY=VALUE"),
        (&["--bucket", "Acme-States"], "lower-case"),
        (&["--bucket", "states", "--lock-table", "a"], "no name of a table"),
        (&["--bucket", "states", "--region", "eu west"], "no Region"),
        (&["--bucket", "states", "--tag", "a=1", "--tag", "a=2"], "two values"),
        (&["--bucket", "states", "--tag", "aws:a=1"], "AWS's own"),
        (&["--bucket", "states", "--tag", "team=a,b"], "AWS takes no `,` in a tag"),
        (&["--bucket", "states", "--tag", "stateward:made-by=me"], "set-up knows what it made"),
        (&["--bucket", "states", "--region", "-"], "no Region"),
        (&["--bucket", "states", "--access-log", "states"], "a name of its own"),
        (&["--bucket", "states", "--replicate-to", "states"], "a name of its own"),
        (&["--bucket", "states", "--replicate-to", "copies@"], "no Region"),
        (&["--bucket", "states", "--replicate-to", "Copies"], "lower-case"),
        (&["--bucket", "states", "--replicate-to", "copies", "--kms-key", "create"], "--replica-kms-key"),
        (&["--bucket", "states", "--replicate-to", "copies", "--replica-kms-key", "alias/a"], "no ARN of a key"),
        (&["--bucket", "states", "--replica-kms-key", "arn:aws:kms:eu-west-1:111122223333:key/1"], "--replicate-to"),
        (
            &[
                "--bucket",
                "states",
                "--replicate-to",
                "copies@eu-north-1",
                "--replica-kms-key",
                "arn:aws:kms:eu-west-1:111122223333:key/1",
            ],
            "the key is of eu-west-1",
        ),
        (&["--engine", "dynamodb", "--bucket", "states"], "--state-table"),
        (&["--engine", "dynamodb"], "--state-table"),
        (
            &["--engine", "dynamodb", "--state-table", "states", "--environments", "dev,prod"],
            "run it once for each, with a `--state-table` of its own",
        ),
        (
            &["--engine", "dynamodb", "--state-table", "states", "--bucket", "states", "--environments", "dev"],
            "`dynamodb:LeadingKeys` tells no states apart",
        ),
        (&["--engine", "s3"], "say `--bucket NAME`"),
        (&["--dry-run"], "--bucket"),
        (&["--state-table", "states"], "--engine dynamodb"),
        (&["--bucket", "states", "--environments", "dev,a/b"], "no name of an environment"),
        (&["--bucket", "states", "--environments", "dev,Dev"], "two environments"),
        (&["--bucket", "states", "--environments", "dev", "--trust", "*"], "ARN"),
        (&["--bucket", "states", "--environments", "dev", "--trust", "prod=arn:aws:iam::111122223333:root"], "`prod`"),
        (
            &[
                "--bucket",
                "states",
                "--environments",
                "dev",
                "--trust",
                "arn:aws:iam::111122223333:oidc-provider/app.terraform.io#organization:acme:project:Default Project ",
            ],
            "begins or ends with a blank",
        ),
        (&["--bucket", "states", "--trust", "arn:aws:iam::111122223333:root"], "--environments"),
    ] {
        let error = cli(&dir, &AwsEnv::new()).run(&[&["setup", "aws"][..], arguments].concat()).expect_code(2).stderr;
        assert!(error.contains(word), "{word:?} in {error}");
    }
}

/// The tables of the server are what the server itself makes with `--create-tables`, and it can open them.
#[test]
fn the_servers_tables_are_as_it_makes_them() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let [ours, our_locks, its, its_locks] = ["setup-states", "setup-locks", "own-states", "own-locks"].map(fresh_name);
    let setup = ["setup", "aws", "--engine", "dynamodb", "--state-table", &ours, "--lock-table", &our_locks, "--yes"];
    let told = cli(&dir, &moto.env()).run(&setup).expect_success().stdout;
    let store = told.split('\'').nth(1).unwrap();
    assert!(store.starts_with(&format!("dynamodb://{ours}?")), "{told}");
    cli(&dir, &moto.env()).run(&["--store", store, "state", "list"]).expect_success();
    let own = format!("dynamodb://{its}?lock_table={its_locks}&create_tables=true");
    cli(&dir, &moto.env()).run(&["--store", &own, "state", "list"]).expect_success();
    let shape = |table: &str| {
        let name = json!({"TableName": table}).to_string();
        let described = moto.dynamodb("DescribeTable", &name)["Table"].clone();
        let mut attributes = described["AttributeDefinitions"].as_array().unwrap().clone();
        attributes.sort_by_key(Value::to_string);
        let expiry = moto.dynamodb("DescribeTimeToLive", &name)["TimeToLiveDescription"].clone();
        (described["KeySchema"].clone(), attributes, described["BillingModeSummary"]["BillingMode"].clone(), expiry)
    };
    assert_eq!(shape(&ours), shape(&its));
    assert_eq!(shape(&our_locks), shape(&its_locks));
}

/// What is there at the end is what is checked, by the other command that can tell.
#[test]
fn environments_are_made_and_are_kept_apart() {
    let (moto, dir, names) = (Moto::shared(), TestDir::new(), names());
    let proxy = FaultProxy::to(moto.url());
    let env = AwsEnv::new().others(proxy.url());
    let more = ["--environments", "dev,prod", "--trust", "prod=arn:aws:iam::123456789012:root", "--yes"];
    let all = arguments(&names, &more);
    let told = cli(&dir, &env).run(&all).expect_success().stdout;
    let [bucket, table] = &names;
    let block = format!(
        "terraform {{\n  backend \"s3\" {{\n    bucket               = \"{bucket}\"\n    key                  = \"prod/terraform.tfstate\"\n    \
         workspace_key_prefix = \"prod\"\n    region               = \"us-east-1\"\n    encrypt              = true\n    \
         dynamodb_table       = \"{table}\"\n\n    assume_role = {{\n      role_arn = \"arn:aws:iam::123456789012:role/stateward-{bucket}-prod\"\n    \
         }}\n  }}\n}}\n"
    );
    assert!(told.contains(&block), "{told}");
    assert!(
        told.contains(&format!("--policy-arn arn:aws:iam::123456789012:policy/stateward-{bucket}-dev\n")),
        "{told}"
    );

    let store = format!(
        "s3://{bucket}/prod?region=us-east-1&lock_table={table}&workspace_key_prefix=prod&role_arn=arn:aws:iam::123456789012:role/stateward-{bucket}-prod"
    );
    assert!(told.contains(&format!("--store '{store}'")), "{told}");

    proxy.forget_requests();
    let again = document(&cli(&dir, &env).run(&[&all[..], &["--json"]].concat()).expect_success());
    assert!(actions(&again).iter().all(|action| *action == "keep"), "{again}");
    assert!(!proxy.requests().iter().any(SeenRequest::writes), "{:?}", proxy.requests());
    let environments = ["dev", "prod"].map(|name| {
        let resource = format!("policy stateward-{bucket}-{name}");
        let mut items = again["items"].as_array().unwrap().iter();
        let rights = items.find(|item| item["resource"] == resource && item["property"] == "rights").unwrap();
        dir.write(format!("{name}.json"), rights["current"].to_string());
        format!(
            "[environments.{name}]\nprefix = \"{name}\"\npolicies = [\"{name}.json\"]\n\
             principal = \"arn:aws:iam::123456789012:role/stateward-{bucket}-{name}\"\n"
        )
    });
    let shared = format!("[all]\nbucket = \"{bucket}\"\nlock_table = \"{table}\"\nworkspaces = true\n");
    let file = dir.write("environments.toml", shared + &environments.concat());
    let checked = cli(&dir, &env).run(&["policy", "check", "--isolation", file.to_str().unwrap()]);
    let checked = checked.expect_success().stdout;
    assert!(checked.contains("dev -> prod kept apart") && checked.contains("prod -> dev kept apart"), "{checked}");
}
