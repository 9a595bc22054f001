//! What is wrong with a bucket, a table or the credentials is said so that it can be put right.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use stateward_testkit::{AwsEnv, DynamoDbLocal, Fault, FaultProxy, Moto, Rule, TestDir, VersityGw, fresh_name};

use crate::{cli, state};

fn fails(env: &AwsEnv, store: &str, code: i32, words: &[&str]) {
    let dir = TestDir::new();
    let output = cli(&dir, env).run(&["--store", store, "state", "list"]).expect_code(code);
    for word in words.iter().chain(&["why:", "next:"]) {
        assert!(output.stderr.contains(word), "{word:?} is not in\n{}", output.stderr);
    }
    assert!(!output.stderr.contains(AwsEnv::SECRET_KEY), "{}", output.stderr);
}

#[test]
fn a_bucket_that_is_not_there() {
    let name = fresh_name("nowhere");
    let (what, next) = (format!("no bucket `{name}`"), format!("`stateward setup aws --bucket {name}`"));
    fails(&Moto::shared().env(), &format!("s3://{name}/p?use_path_style=true"), 1, &[&what, &next]);
}

#[test]
fn whoever_asks_for_a_bucket_or_lock_table_that_is_not_there_is_told_which_and_how_it_is_made() {
    let moto = Moto::shared();
    let (nowhere, bucket) = (fresh_name("nowhere"), moto.create_bucket());
    let (dir, env) = (TestDir::new(), moto.env());
    let query = "use_path_style=true&max_retries=0";
    let store = format!("s3://{nowhere}/p?{query}");
    let key = format!("s3://{nowhere}/k.tfstate?{query}&use_lockfile=true");
    let table = format!("s3://{bucket}/k.tfstate?{query}&lock_table={nowhere}");
    dir.write("work/main.tf", "terraform {\n  backend \"local\" {}\n}\n");
    dir.write("work/terraform.tfstate", state(1, "a"));
    let (makes_bucket, makes_table) = (
        format!("`stateward setup aws --bucket {nowhere}`"),
        format!("`stateward setup aws --bucket {bucket} --lock-table {nowhere}`"),
    );
    for (arguments, makes) in [
        (vec!["lock", "inspect", &key], &makes_bucket),
        (vec!["lock", "inspect", &table], &makes_table),
        (vec!["state", "repair", &key], &makes_bucket),
        (vec!["state", "repair", &table], &makes_table),
        (vec!["state", "import", "x", &key], &makes_bucket),
        (vec!["run", "--store", &store, "--state", "x", "--", "terraform", "plan"], &makes_bucket),
        (vec!["migrate", "--to", &key, "--dir", "work"], &makes_bucket),
        (vec!["migrate", "--to", "stateward", "--store", &store, "--state", "x", "--dir", "work"], &makes_bucket),
    ] {
        let output = cli(&dir, &env).run(&arguments).expect_code(1);
        assert!(output.stderr.contains(makes.as_str()), "{arguments:?}: {}", output.report());
        assert!(!output.stderr.contains("try again") && !output.stderr.contains("damaged"), "{}", output.report());
    }
    for (place, makes) in [
        (vec!["--bucket", &nowhere], &makes_bucket),
        (vec!["--bucket", &bucket, "--lock-table", &nowhere], &makes_table),
    ] {
        let arguments = [vec!["doctor", "--key", "k", "--read-only"], place].concat();
        let output = cli(&dir, &env).run(&arguments);
        let words = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(output.code() != Some(0) && words.contains(makes.as_str()), "{}", output.report());
    }
}

#[test]
fn a_table_that_is_not_there() {
    let name = fresh_name("nowhere");
    fails(
        &DynamoDbLocal::shared().env(),
        &format!("dynamodb://{name}"),
        1,
        &[&format!("no table `{name}`"), "--create-tables"],
    );
}

#[test]
fn a_table_with_other_keys() {
    let dynamodb = DynamoDbLocal::shared();
    let table = dynamodb.create_lock_table();
    fails(&dynamodb.env(), &format!("dynamodb://{table}"), 1, &[&table, "LockID", "StateID"]);
}

#[test]
fn a_denial_is_shown_whole() {
    let proxy = FaultProxy::to(Moto::shared().url());
    let denial = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:GetObject on resource: \
                  \"arn:aws:s3:::b/p\" because no identity-based policy allows the s3:GetObject action";
    proxy.inject(Rule::new(Fault::s3(403, "AccessDenied", denial)));
    let bucket = Moto::shared().create_bucket();
    let words = ["because no identity-based policy allows the s3:GetObject action", "stateward explain"];
    fails(&AwsEnv::new().s3(proxy.url()), &format!("s3://{bucket}/p?use_path_style=true"), 4, &words);
}

/// A wrong URL, or a network that asks for a sign-in: a page comes, with success, or a redirect to one.
#[test]
fn what_answers_is_a_web_page() {
    let html = vec![("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned())];
    let page = Fault::Answer { status: 200, headers: html, body: "<!doctype html><title>Sign in</title>".to_owned() };
    let portal = Fault::status(302).header("Location", "https://login.example/?token=hidden");
    for (fault, came) in [(page, "a web page (HTML, status 200)"), (portal, "a redirect to https://login.example ")] {
        let proxy = FaultProxy::to(Moto::shared().url());
        proxy.inject(Rule::new(fault));
        let env = AwsEnv::new().others(proxy.url());
        let words = [came, "what answers there is no service of AWS", "endpoint=…", proxy.url()];
        fails(&env, "s3://bucket/p?use_path_style=true", 1, &words);
        fails(&env, "dynamodb://table", 1, &words);

        let dir = TestDir::new();
        let place = ["--bucket", "bucket-1", "--key", "k", "--use-lockfile", "--lock-table", "locks"];
        let output = cli(&dir, &env).run(&[&["doctor"], &place[..]].concat()).expect_code(1);
        let failed: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with("fail ")).collect();
        assert!(failed.len() == 1 && failed[0].contains("endpoint"), "{}", output.report());
        assert!(output.stdout.contains("what answers is no service of AWS"), "{}", output.report());
        let writes = |request: &stateward_testkit::SeenRequest| {
            !matches!(request.method.as_str(), "GET" | "HEAD") && request.path != "/"
        };
        assert!(!proxy.requests().iter().any(writes), "it writes there: {}", output.report());
        assert!(!output.stdout.contains("hidden"), "{}", output.report());
    }
    // Nothing says of it that it is no S3 but that it gives no tag.
    let proxy = FaultProxy::to(Moto::shared().url());
    proxy.inject(Rule::new(Fault::status(200)).operation("GetObject"));
    let words = ["no `ETag`", "what answers there is no S3"];
    fails(&AwsEnv::new().others(proxy.url()), "s3://bucket/p?use_path_style=true", 1, &words);
}

#[test]
fn credentials_that_have_expired() {
    let proxy = FaultProxy::to(Moto::shared().url());
    proxy.inject(Rule::new(Fault::s3(400, "ExpiredToken", "The provided token has expired.")));
    fails(&AwsEnv::new().s3(proxy.url()), "s3://bucket/p?use_path_style=true", 4, &["expired", "aws sso login"]);
}

#[test]
fn a_storage_that_ignores_conditions() {
    let moto = Moto::shared();
    let (bucket, proxy) = (moto.create_bucket(), FaultProxy::to(moto.url()));
    // As a storage answers that writes whatever the condition says.
    proxy.inject(Rule::new(Fault::status(200).header("ETag", "\"0\"")).operation("PutObject"));
    let store = format!("s3://{bucket}/p?use_path_style=true");
    fails(&AwsEnv::new().s3(proxy.url()), &store, 1, &["If-None-Match", "conditional writes"]);
}

#[test]
fn a_signature_that_is_wrong() {
    let gateway = VersityGw::shared();
    let (bucket, dir) = (gateway.create_bucket(), TestDir::new());
    let cli = cli(&dir, &gateway.env()).env("AWS_SECRET_ACCESS_KEY", "wrong");
    let output = cli.run(&["--store", &format!("s3://{bucket}/p?use_path_style=true"), "state", "list"]).expect_code(4);
    assert!(output.stderr.contains("SignatureDoesNotMatch"), "{}", output.report());
}

#[test]
fn options_that_are_not_known() {
    fails(&AwsEnv::new(), "s3://bucket/p?regoin=x", 2, &["regoin", "region"]);
    fails(&AwsEnv::new(), "dynamodb://table?tabel=x", 2, &["tabel", "lock_table"]);
}

#[test]
fn the_rule_that_a_name_breaks_is_told_in_the_same_words_by_every_command() {
    const RULE: &str = "`Bad_Name` is no name of a bucket: it has the upper-case letter `B`";
    let (dir, env) = (TestDir::new(), Moto::shared().env());
    for (arguments, code) in [
        (&["doctor", "--bucket", "Bad_Name", "--key", "k", "--read-only"][..], 1),
        (&["setup", "aws", "--bucket", "Bad_Name", "--yes"], 2),
        // A bucket that is old enough may be called so.
        (&["policy", "generate", "--for", "plan", "--bucket", "Bad_Name", "--key", "k"], 0),
    ] {
        let output = cli(&dir, &env).run(arguments).expect_code(code);
        let words = format!("{} {}", output.stdout, output.stderr);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(RULE), "{}", output.report());
    }
}

/// A service that takes connections and says nothing, as one behind a firewall does.
#[test]
fn a_service_that_never_answers_is_told_of_within_forty_seconds() {
    const ENOUGH: Duration = Duration::from_secs(40);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _silent = thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let env = AwsEnv::new().s3(&url).dynamodb(&url).others(&url);
    let commands: [&[&str]; 5] = [
        &["state", "list", "--store", "s3://states/p?use_path_style=true"],
        &["state", "list", "--store", "dynamodb://states"],
        &["lock", "inspect", "s3://states/k?use_path_style=true&use_lockfile=true"],
        &["trail", "s3://logs/x?use_path_style=true"],
        &["setup", "aws", "--bucket", "states", "--yes"],
    ];
    thread::scope(|scope| {
        for command in commands {
            let env = &env;
            scope.spawn(move || {
                let dir = TestDir::new();
                let output = cli(&dir, env).limit(ENOUGH).run(command).expect_code(1);
                assert!(output.stderr.contains("no answer came in time"), "{}", output.report());
            });
        }
    });
}

#[test]
fn the_store_of_the_environment_is_what_the_doctor_looks_at() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let bucket = moto.create_bucket();
    let store = format!("s3://{bucket}/p?use_path_style=true");
    let doctor = cli(&dir, &moto.env()).env("STATEWARD_STORE", &store).run(&["doctor", "--read-only"]);
    assert!(doctor.stdout.contains(&bucket) && doctor.stderr.contains("`STATEWARD_STORE`"), "{}", doctor.report());
    // A directory that is named counts more.
    let refused = cli(&dir, &moto.env()).env("STATEWARD_STORE", &store).run(&["doctor", "--dir", "."]).expect_code(2);
    assert!(refused.stderr.contains("has no `backend` block"), "{}", refused.report());
}
