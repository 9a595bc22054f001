//! `stateward doctor` on a configuration whose state is in a bucket.

use serde_json::{Value, json};
use stateward_testkit::{
    AwsEnv, Cli, DynamoDbLocal, Fault, FaultProxy, Moto, Output, Rule, S3Backend, SeenRequest, Terraform, TestDir,
};

use crate::{LIMIT, cli, state};

/// Writes a configuration whose block leaves the bucket to `-backend-config`; gives the name of that file.
fn configuration(dir: &TestDir, bucket: &str, table: &str) -> String {
    let block = "terraform {\n  backend \"s3\" {\n    key            = \"net/prod.tfstate\"\n    use_path_style = true\n    \
                 use_lockfile   = true\n  }\n}\n";
    dir.write("main.tf", block);
    let file = dir.write("prod.tfbackend", format!("bucket = \"{bucket}\"\ndynamodb_table = \"{table}\"\n"));
    file.display().to_string()
}

#[test]
fn a_bucket_and_a_table_as_they_were_made() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let config = configuration(&dir, &moto.create_bucket(), &moto.create_lock_table());
    let arguments = ["doctor", "--dir", &dir.path().display().to_string(), "--backend-config", &config];
    let output = cli(&dir, &moto.env()).run(&arguments).expect_code(0);
    for line in [
        "ok        credentials                from environment variables; they do not end",
        "ok        conditional-write          a write that comes second is kept out",
        "ok        mutual-exclusion           20 clients raced for a lock, and one got it",
        "warn      bucket-public-access       public access is not blocked",
        "ok        right:s3:PutObject         allowed",
        "0 failures",
    ] {
        assert!(output.stdout.contains(line), "{line:?} is not in\n{}", output.report());
    }
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 100), "{}", output.report());

    let quiet = [&arguments[..], &["--read-only", "--json"]].concat();
    let answer: Value = serde_json::from_str(&cli(&dir, &moto.env()).run(&quiet).expect_code(0).stdout).unwrap();
    assert_eq!(answer["schema"], 1);
    let race = answer["items"].as_array().unwrap().iter().find(|item| item["check"] == "mutual-exclusion").unwrap();
    assert_eq!(race["status"], "untested");
}

#[test]
fn a_right_that_is_refused() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let proxy = FaultProxy::to(moto.url());
    let denial = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: dynamodb:PutItem on resource: \
                  arn:aws:dynamodb:us-east-1:111122223333:table/locks because no service control policy allows the dynamodb:PutItem action";
    proxy.inject(Rule::new(Fault::dynamodb(400, "AccessDeniedException", denial)).operation("PutItem"));
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    let env = AwsEnv::new().others(proxy.url());
    let arguments = [
        "doctor",
        "--bucket",
        &bucket,
        "--key",
        "k",
        "--lock-table",
        &table,
        "--backend-config",
        "use_path_style=true",
    ];
    let output = cli(&dir, &env).run(&[&arguments[..], &["--json"]].concat()).expect_code(4);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let failed: Vec<_> = answer["items"].as_array().unwrap().iter().filter(|item| item["status"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{}", output.report());
    assert_eq!((&failed[0]["check"], &failed[0]["denial"]["layer"]), (&"right:dynamodb:PutItem".into(), &"scp".into()));
    let told = cli(&dir, &env).run(&arguments).expect_code(4);
    assert!(told.stdout.contains("`stateward kb show policy/lock-table-scp-implicit`"), "{}", told.report());
}

#[test]
fn a_store_is_looked_at_by_its_url() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let store = format!("s3://{}/team?use_path_style=true&use_lockfile=true", moto.create_bucket());
    let output = cli(&dir, &moto.env()).run(&["--store", &store, "doctor"]).expect_code(0);
    assert!(output.stdout.contains("ok        mutual-exclusion"), "{}", output.report());
    let missing = "s3://no-such-bucket-here/team?use_path_style=true";
    let output = cli(&dir, &moto.env()).run(&["--store", missing, "doctor"]).expect_code(1);
    assert!(output.stdout.contains("fail      bucket-exists"), "{}", output.report());
}

#[test]
fn a_role_that_is_refused() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let proxy = FaultProxy::to(moto.url());
    let role = "arn:aws:iam::111122223333:role/deploy";
    let message = format!(
        "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: sts:AssumeRole on resource: {role} with an explicit deny in the role trust policy"
    );
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
         <Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    let headers = vec![("Content-Type".to_owned(), "text/xml".to_owned())];
    let refused = Fault::Answer { status: 403, headers, body };
    proxy.inject(Rule::new(refused).when(|request| request.method == "POST" && request.path == "/"));
    let block = format!(
        "terraform {{\n  backend \"s3\" {{\n    bucket = \"{}\"\n    key = \"k\"\n    use_path_style = true\n    assume_role = {{ role_arn = \"{role}\" }}\n  }}\n}}\n",
        moto.create_bucket()
    );
    dir.write("main.tf", block);
    let arguments = ["doctor", "--dir", &dir.path().display().to_string(), "--json"];
    let output = cli(&dir, &AwsEnv::new().others(proxy.url())).run(&arguments).expect_code(4);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let items = answer["items"].as_array().unwrap();
    let (first, others) = items.split_first().unwrap();
    assert_eq!((&first["check"], &first["status"]), (&"credentials".into(), &"fail".into()), "{}", output.report());
    assert_eq!((&first["denial"]["layer"], &first["denial"]["resource"]), (&"trust".into(), &role.into()));
    assert!(others.iter().all(|item| item["status"] != "fail"), "{}", output.report());
}

/// A block with these lines in it, of a bucket and a lock file.
pub(crate) fn block(dir: &TestDir, bucket: &str, lines: &str) {
    let text = format!(
        "terraform {{\n  backend \"s3\" {{\n    bucket = \"{bucket}\"\n    key = \"k\"\n    use_lockfile = true\n    \
         use_path_style = true\n{lines}\n  }}\n}}\n"
    );
    dir.write("main.tf", text);
}

/// The keys by which requests were signed, and the Regions that they were signed for.
pub(crate) fn signed(proxy: &FaultProxy) -> std::collections::BTreeSet<(String, String)> {
    let of = |header: &str| {
        let scope = header.split("Credential=").nth(1)?.split(',').next()?;
        let mut parts = scope.split('/');
        Some((parts.next()?.to_owned(), parts.nth(1)?.to_owned()))
    };
    proxy.requests().iter().filter_map(|request| of(request.header("authorization")?)).collect()
}

/// Runs the doctor and gives its lines and who it was; nobody else asked for anything.
#[track_caller]
fn who_asks(dir: &TestDir, env: &AwsEnv, proxy: &FaultProxy, more: &[&str]) -> (String, String, String) {
    proxy.forget_requests();
    let path = dir.path().display().to_string();
    let output = cli(dir, env).run(&[&["doctor", "--dir", &path, "--for", "read-only"], more].concat());
    let signed: Vec<_> = signed(proxy).into_iter().collect();
    let [(key, region)] = signed.as_slice() else { panic!("{signed:?}\n{}", output.report()) };
    assert!(!output.stdout.contains("hidden"), "{}", output.report());
    (output.stdout.split_whitespace().collect::<Vec<_>>().join(" "), key.clone(), region.clone())
}

/// What the backend or a flag names counts more than the environment, as for Terraform; what is passed over is told.
#[test]
fn the_doctor_is_who_terraform_would_be() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (proxy, other) = (FaultProxy::to(moto.url()), FaultProxy::to(moto.url()));
    let (bucket, elsewhere) = (moto.create_bucket(), AwsEnv::new().others(other.url()));
    let shared = dir.write(
        "shared",
        "[ci]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = hidden\n[dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = hidden\n",
    );
    let here = format!(
        "    endpoints = {{ s3 = \"{0}\", dynamodb = \"{0}\", sts = \"{0}\", iam = \"{0}\" }}\n    shared_credentials_files = [\"{1}\"]\n",
        proxy.url(),
        shared.display()
    );

    block(&dir, &bucket, &format!("{here}    profile = \"ci\"\n    region = \"eu-west-3\""));
    let (told, key, region) = who_asks(&dir, &elsewhere, &proxy, &[]);
    assert_eq!((key.as_str(), region.as_str()), ("AKIAPROFILE", "eu-west-3"), "{told}");
    for words in [
        "from the profile `ci` (the backend names it); `AWS_ACCESS_KEY_ID` is set, too, and does not count",
        "the backend says so; `AWS_REGION` is `us-east-1`, and does not count",
        "the Region is eu-west-3, and the bucket is in us-east-1",
    ] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    let (told, key, region) = who_asks(&dir, &elsewhere, &proxy, &["--profile", "dev", "--region", "us-east-1"]);
    assert_eq!((key.as_str(), region.as_str()), ("AKIADEV", "us-east-1"), "{told}");
    assert!(told.contains("the profile `dev` (`--profile` names it)"), "{told}");

    block(
        &dir,
        &bucket,
        &format!("{here}    access_key = \"AKIABLOCK\"\n    secret_key = \"hidden\"\n    profile = \"ci\""),
    );
    let (told, key, _) = who_asks(&dir, &elsewhere, &proxy, &[]);
    assert_eq!(key, "AKIABLOCK", "{told}");
    assert!(told.contains("from `access_key` of the backend; `AWS_ACCESS_KEY_ID` is set"), "{told}");

    block(&dir, &bucket, &here);
    let (told, key, _) = who_asks(&dir, &elsewhere, &proxy, &[]);
    assert_eq!(key, AwsEnv::ACCESS_KEY, "{told}");
    assert!(told.contains("from environment variables; they do not end"), "{told}");
    // Of services that the backend has no URL for, the environment's is asked.
    let astray: Vec<_> = other.requests().into_iter().filter(|request| request.path != "/").collect();
    assert!(astray.is_empty(), "{astray:?}");
}

/// A role's token beside a `[default]` that somebody left: the token counts, for Terraform and so for the doctor.
#[test]
fn a_token_counts_more_than_a_profile() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (proxy, bucket) = (FaultProxy::to(moto.url()), moto.create_bucket());
    let of = |name: &str| {
        format!("[{name}]\naws_access_key_id = AKIA{}\naws_secret_access_key = hidden\n", name.to_uppercase())
    };
    let shared = dir.write("shared", of("default") + &of("ci"));
    let token = dir.write("token", "token-of-the-cluster");
    let role = "arn:aws:iam::123456789012:role/cluster";
    let variables = |file: &str| {
        [
            ("AWS_SHARED_CREDENTIALS_FILE", shared.display().to_string()),
            ("AWS_ACCESS_KEY_ID", String::new()),
            ("AWS_SECRET_ACCESS_KEY", String::new()),
            ("AWS_ROLE_ARN", role.to_owned()),
            ("AWS_ROLE_SESSION_NAME", "pod".to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_owned()),
        ]
    };
    let env = AwsEnv::new().others(proxy.url());
    block(&dir, &bucket, "");
    let path = dir.path().display().to_string();
    let arguments = ["doctor", "--dir", &path, "--for", "read-only"];
    let asked = |more: &[(&'static str, String)], file: &str| {
        proxy.forget_requests();
        let output = cli(&dir, &env).envs(variables(file)).envs(more.to_vec()).run(&arguments);
        assert!(!output.stdout.contains("hidden") && !output.stdout.contains("token-of"), "{}", output.report());
        let keys: Vec<String> = signed(&proxy).into_iter().map(|(key, _)| key).collect();
        (output.stdout.split_whitespace().collect::<Vec<_>>().join(" "), keys)
    };

    let token = token.display().to_string();
    let ci = ("AWS_PROFILE", "ci".to_owned());
    for more in [&[][..], std::slice::from_ref(&ci)] {
        let (told, keys) = asked(more, &token);
        assert!(matches!(keys.as_slice(), [key] if key.starts_with("ASIA")), "{keys:?}: {told}");
        assert!(told.contains("from the web identity of `AWS_WEB_IDENTITY_TOKEN_FILE`"), "{told}");
        assert!(told.contains("assumed-role/cluster/pod"), "{told}");
        assert_eq!(told.contains("`AWS_PROFILE` is set, too, and does not count"), !more.is_empty(), "{told}");
    }
    let work = Terraform::find().workdir(&dir, "work").envs(env.pairs()).envs(variables(&token));
    let work = work.env("AWS_ENDPOINT_URL_STS", proxy.url());
    work.write_s3_backend(&S3Backend::new(proxy.url(), &bucket, "k"));
    proxy.forget_requests();
    work.run(&["init"]).expect_success();
    let keys: Vec<String> = signed(&proxy).into_iter().map(|(key, _)| key).collect();
    assert!(matches!(keys.as_slice(), [key] if key.starts_with("ASIA")), "{keys:?}");

    // A token that cannot be read is an end, not a reason to be somebody else.
    let (told, keys) = asked(&[], "/nonexistent/token");
    assert_eq!(keys, Vec::<String>::new(), "{told}");
    assert!(told.contains("`/nonexistent/token` cannot be read"), "{told}");
    work.clone().envs(variables("/nonexistent/token")).run(&["init", "-reconfigure"]).expect_code(1);
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "AKIAKEYS".to_owned()));
    let (told, signers) = asked(&[&keys[..], &[("AWS_PROFILE", "none".to_owned())]].concat(), &token);
    assert_eq!(signers, Vec::<String>::new(), "{told}");
    let missing = "the profile `none`, which `AWS_PROFILE` names, is not there";
    assert!(told.contains(missing), "{told}");
    let (told, signers) = asked(&keys, &token);
    assert_eq!(signers, ["AKIAKEYS"], "{told}");
    assert!(told.contains("`AWS_WEB_IDENTITY_TOKEN_FILE` is set, too, and does not count"), "{told}");
    let older = [("AWS_ACCESS_KEY", "AKIAOLDER".to_owned()), ("AWS_SECRET_KEY", "hidden".to_owned())];
    let (told, signers) = asked(&[&older[..], &[("AWS_DEFAULT_PROFILE", "none".to_owned())]].concat(), &token);
    assert_eq!(signers, ["AKIAOLDER"], "{told}");
    let passed_over = "`AWS_DEFAULT_PROFILE` and `AWS_WEB_IDENTITY_TOKEN_FILE` are set, too, and do not count";
    assert!(told.contains(passed_over), "{told}");

    // A profile that is named has to be there also beside keys of the block, for Terraform and so for the doctor.
    block(&dir, &bucket, "    access_key = \"AKIABLOCK\"\n    secret_key = \"hidden\"");
    let none = ("AWS_PROFILE", "none".to_owned());
    let (told, signers) = asked(std::slice::from_ref(&none), "");
    assert_eq!(signers, Vec::<String>::new(), "{told}");
    assert!(told.contains(missing), "{told}");
    let refused = work.clone().envs([none]).run(&["init", "-reconfigure"]).expect_code(1);
    assert!(refused.stderr.contains("failed to get shared config profile, none"), "{}", refused.report());
}

/// Every command is who a profile says that is named, also where the environment has keys.
#[test]
fn a_named_profile_counts_for_every_command() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (proxy, bucket) = (FaultProxy::to(moto.url()), moto.create_bucket());
    let file = dir.write("shared", "[ci]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = hidden\n");
    let file = [("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string())];
    let (store, trail) = (format!("s3://{bucket}/p?use_path_style=true&profile=ci"), format!("s3://{bucket}/trail"));
    for arguments in [
        &["setup", "aws", "--bucket", &bucket, "--use-lockfile", "--profile", "ci", "--dry-run"][..],
        &["trail", &trail, "--profile", "ci"],
        &["trail", "--lookup", "--profile", "ci"],
        &["--store", &store, "state", "list"],
        &["state", "import", "x", &format!("s3://{bucket}/k?use_path_style=true&profile=ci"), "--store", "memory:"],
    ] {
        proxy.forget_requests();
        let output = cli(&dir, &AwsEnv::new().others(proxy.url())).envs(file.clone()).run(arguments);
        let keys: Vec<String> = signed(&proxy).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["AKIAPROFILE"], "{}", output.report());
    }
}

/// Fails unless the doctor stops at this check, says these words on it, and does so without a dump of what lies within.
#[track_caller]
fn stops(cli: &Cli<'_>, arguments: &[&str], check: &str, words: &[&str]) {
    let output = cli
        .run(&[&["doctor", "--bucket", "states", "--key", "k", "--use-lockfile", "--json"], arguments].concat())
        .expect_code(1);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let failed: Vec<_> = answer["items"].as_array().unwrap().iter().filter(|item| item["status"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{}", output.report());
    assert_eq!(failed[0]["check"], check, "{}", output.report());
    let told = format!("{} {}", failed[0]["why"].as_str().unwrap(), failed[0]["fix"].as_str().unwrap());
    for word in words {
        assert!(told.contains(word), "{word:?} is not in {told}");
    }
    assert!(!told.contains(['{', '\n', '\u{1b}']) && told.len() < 700, "{told}");
}

#[test]
fn credentials_that_are_not_there() {
    let dir = TestDir::new();
    let without = |names: &[&str]| {
        let pairs = AwsEnv::new().others("http://127.0.0.1:1").pairs();
        Cli::new(env!("CARGO_BIN_EXE_stateward"), &dir)
            .envs(pairs.into_iter().filter(|(name, _)| !names.contains(name)))
    };
    let none = without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    stops(&none, &[], "credentials", &["`AWS_ACCESS_KEY_ID`", "the profile `default`", "aws sso login"]);
    let half = without(&["AWS_SECRET_ACCESS_KEY"]);
    stops(&half, &[], "credentials", &["`AWS_ACCESS_KEY_ID` is set and `AWS_SECRET_ACCESS_KEY` is not"]);
    let profile = ["--profile", "nosuch"];
    let words =
        ["the profile `nosuch` (`--profile` names it) gives none", "was not defined", "aws sso login --profile nosuch"];
    let shared = dir.write("config", "[profile other]\nregion = us-east-1\n").display().to_string();
    let mut known = without(&["AWS_CONFIG_FILE"]);
    known = known.env("AWS_CONFIG_FILE", shared);
    stops(&known, &profile, "credentials", &words);
    stops(&without(&[]), &profile, "credentials", &["there is no such profile"]);
}

#[test]
fn an_endpoint_where_nobody_listens() {
    let dir = TestDir::new();
    let env = AwsEnv::new().others("http://127.0.0.1:1");
    let words = ["http://127.0.0.1:1", "connection refused", "`AWS_ENDPOINT_URL` says"];
    stops(&cli(&dir, &env), &["--backend-config", "use_path_style=true"], "endpoint", &words);
    // It does not try as often as a run would.
    let proxy = FaultProxy::to("http://127.0.0.1:1");
    proxy.inject(Rule::new(Fault::LoseRequest));
    let arguments = ["doctor", "--bucket", "states", "--key", "k", "--backend-config", "use_path_style=true"];
    cli(&dir, &AwsEnv::new().others(proxy.url())).run(&arguments).expect_code(1);
    let requests = proxy.requests();
    let of_sts = requests.iter().filter(|request| request.path == "/" && request.header("x-amz-target").is_none());
    assert_eq!(of_sts.count(), 3, "{requests:?}");
}

/// The table that holds all of a store is looked at beside its lock table.
#[test]
fn a_store_in_tables() {
    let (moto, dir, proxy) = (Moto::shared(), TestDir::new(), FaultProxy::to(Moto::shared().url()));
    let (lock, missing) = (moto.create_lock_table(), stateward_testkit::fresh_name("nowhere"));
    let env = AwsEnv::new().others(proxy.url());
    let store = format!("dynamodb://{missing}?lock_table={lock}");
    let output = cli(&dir, &env).run(&["--store", &store, "doctor"]).expect_code(1);
    assert!(output.stdout.contains("fail      lock-table-exists"), "{}", output.report());
    assert!(output.stdout.contains(&missing), "{}", output.report());
    let made = stateward_testkit::fresh_name("states");
    let store = format!("dynamodb://{made}?lock_table={lock}");
    cli(&dir, &env).run(&["--store", &store, "--create-tables", "state", "list"]).expect_code(0);
    proxy.forget_requests();
    let output = cli(&dir, &env).run(&["--store", &store, "doctor", "--read-only", "--for", "admin"]).expect_code(0);
    assert!(output.stdout.contains("ok        lock-table-exists"), "{}", output.report());
    for write in ["PutItem", "DeleteItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem"] {
        assert_eq!(proxy.count(write), 0, "{write}: {}", output.report());
    }
}

/// As on AWS, where moto does not go so far: conditions, transactions and batches of a table that a store has made.
#[test]
fn a_store_in_a_table_of_dynamodb_local() {
    let (local, dir) = (DynamoDbLocal::shared(), TestDir::new());
    let env = AwsEnv::new().others(Moto::shared().url()).dynamodb(local.url());
    let made = stateward_testkit::fresh_name("states");
    let store = format!("dynamodb://{made}");
    cli(&dir, &env).run(&["--store", &store, "--create-tables", "state", "list"]).expect_code(0);
    let before = cli(&dir, &env).run(&["--store", &store, "state", "list", "--json"]).expect_code(0).stdout;
    let output = cli(&dir, &env).run(&["--store", &store, "doctor", "--json"]);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.report()));
    for finding in answer["items"].as_array().expect("items") {
        let check = finding["check"].as_str().unwrap_or_default();
        if check.starts_with("right:")
            || ["lock-table-schema", "conditional-write", "mutual-exclusion"].contains(&check)
        {
            assert_eq!(finding["status"], "ok", "{finding}");
        }
    }
    assert!(!output.stderr.contains("left behind"), "{}", output.report());
    assert_eq!(cli(&dir, &env).run(&["--store", &store, "state", "list", "--json"]).expect_code(0).stdout, before);
    cli(&dir, &env).run(&["--store", &store, "state", "verify"]).expect_code(0);
}

/// What the fix speaks of is there to be copied.
#[test]
fn a_policy_that_is_to_be_attached() {
    let (dir, proxy) = (TestDir::new(), FaultProxy::to(Moto::shared().url()));
    let denial = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: dynamodb:PutItem on resource: \
                  arn:aws:dynamodb:us-east-1:111122223333:table/locks because no identity-based policy allows the dynamodb:PutItem action";
    proxy.inject(Rule::new(Fault::dynamodb(400, "AccessDeniedException", denial)).operation("PutItem"));
    let (bucket, table) = (Moto::shared().create_bucket(), Moto::shared().create_lock_table());
    let arguments = ["doctor", "--bucket", &bucket, "--key", "k", "--lock-table", &table];
    let arguments = [&arguments[..], &["--backend-config", "use_path_style=true"]].concat();
    let output = cli(&dir, &AwsEnv::new().others(proxy.url())).run(&arguments).expect_code(4);
    let policy = output.stdout.split("Attach this policy").nth(1).unwrap_or_default();
    for part in ["\"Version\": \"2012-10-17\"", "\"dynamodb:PutItem\"", "table/locks"] {
        assert!(policy.contains(part), "{part} is not in {}", output.report());
    }
}

#[test]
fn an_interrupt_leaves_nothing() {
    let (moto, dir, proxy) = (Moto::shared(), TestDir::new(), FaultProxy::to(Moto::shared().url()));
    let bucket = moto.create_bucket();
    proxy.inject(Rule::new(Fault::Delay(std::time::Duration::from_mins(1))).operation("DeleteObject"));
    let arguments =
        ["doctor", "--bucket", &bucket, "--key", "k", "--use-lockfile", "--backend-config", "use_path_style=true"];
    let running = cli(&dir, &AwsEnv::new().others(proxy.url())).spawn(&arguments);
    // Each turn is slept through: so many are a minute.
    let turns = (0..3000).take_while(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        proxy.count("DeleteObject") == 0
    });
    assert!(turns.count() < 3000, "nothing was tried");
    assert!(!moto.objects(&bucket).is_empty());
    proxy.heal();
    running.interrupt();
    let output = running.wait(LIMIT).expect_code(1);
    assert!(output.stderr.contains("interrupted"), "{}", output.report());
    assert!(!output.stderr.contains("left behind"), "{}", output.report());
    assert_eq!(moto.objects(&bucket), Vec::<String>::new());
}

/// What the block leaves out, `init` has noted.
#[test]
fn what_init_has_noted() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    dir.write("main.tf", "terraform {\n  backend \"s3\" {\n    key = \"k\"\n  }\n}\n");
    let noted = json!({"version": 3, "backend": {"type": "s3", "hash": 1, "config": {
        "bucket": bucket, "key": "k", "dynamodb_table": table, "use_path_style": true, "profile": null,
    }}});
    dir.write(".terraform/terraform.tfstate", noted.to_string());
    moto.put_object(&bucket, "k", "no state");
    let arguments = ["doctor", "--dir", &dir.path().display().to_string()];
    let output = cli(&dir, &moto.env()).run(&arguments).expect_code(1);
    assert!(output.stdout.contains("fail      digest"), "{}", output.report());
    // The fix can be typed as it is.
    let repair = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let place = dir.path().display().to_string();
    assert!(repair.contains(&format!("`stateward state repair {place} --dry-run`")), "{}", output.report());
    let dry = cli(&dir, &moto.env()).run(&["state", "repair", &place, "--dry-run"]).expect_code(1);
    assert!(dry.stdout.contains("no state"), "{}", dry.report());
    // Secrets are not printed, and it is told that they are wanting.
    let given = ["access_key=AKIATESTKIT", " secret_key = hidden", "max_retries=2"];
    let given = given.iter().flat_map(|argument| ["--backend-config", argument]);
    let output = cli(&dir, &moto.env()).run(&arguments.into_iter().chain(given).collect::<Vec<_>>()).expect_code(1);
    let repair = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        &format!("`stateward state repair {place} --backend-config max_retries=2 --dry-run`"),
        "put `access_key` and `secret_key` into a file and add `--backend-config FILE`",
    ] {
        assert!(repair.contains(words), "{words:?} is not in {}", output.report());
    }
    assert!(!repair.contains("hidden") && !repair.contains("AKIATESTKIT --"), "{}", output.report());
}

/// What the printed commands begin with, as a shell reads it.
fn printed(output: &Output, command: &str) -> String {
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let mut fixes = answer["items"].as_array().unwrap().iter().filter_map(|item| item["fix"].as_str());
    let fix = fixes.find_map(|fix| fix.split(command).nth(1)).unwrap_or_else(|| panic!("{}", output.report()));
    let quoted: Vec<&str> = fix.split('\'').take(2).collect();
    format!("{command}{}'", quoted.join("'"))
}

/// The command is who Terraform is, and writes as Terraform does.
#[test]
fn what_is_printed_can_be_typed() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (proxy, bucket, table) = (FaultProxy::to(moto.url()), moto.create_bucket(), moto.create_lock_table());
    let key = "net/prod.tfstate";
    moto.keep_versions(&bucket);
    // Which of them is right is not plain.
    let versions = [4, 3].map(|serial| state(serial, "x"));
    for version in &versions {
        moto.put_object(&bucket, key, version.as_str());
    }
    let url = format!("s3://{bucket}/{key}?use_path_style=true");
    let seen = cli(&dir, &moto.env()).run(&["state", "repair", &url, "--dry-run", "--json"]);
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    let digest = seen["items"][0]["found"]["older"][0]["md5"].as_str().unwrap();
    let item = json!({"LockID": {"S": format!("{bucket}/{key}-md5")}, "Digest": {"S": digest}});
    moto.dynamodb("PutItem", &json!({"TableName": table, "Item": item}).to_string());
    let config = dir.write("config", "[profile other]\nregion = eu-west-3\n");
    let one = dir.write("one", "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = hidden\n");
    let two = dir.write("two's", "[ci]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = hidden\n");
    let session =
        r#"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}"#;
    let backend = format!(
        "use_path_style = true\nencrypt = true\nkms_key_id = \"alias/states\"\nacl = \"bucket-owner-full-control\"\nprofile = \"ci\"\nmax_retries = 2\n\
         shared_config_files = [\"{}\"]\nshared_credentials_files = [\"{}\", \"{}\"]\n\
         assume_role = {{ role_arn = \"arn:aws:iam::123456789012:role/deploy\", session_name = \"run\", external_id = \"a b\", policy = \"{session}\" }}\n",
        config.display(),
        one.display(),
        two.display()
    );
    let file = dir.write("prod.tfbackend", backend).display().to_string();
    let env = AwsEnv::new().others(proxy.url());
    let arguments =
        ["doctor", "--bucket", &bucket, "--key", key, "--lock-table", &table, "--backend-config", &file, "--json"];
    let output = cli(&dir, &env).run(&arguments);
    let typed = format!("{} --keep digest --yes", printed(&output, "stateward state repair "));
    let assumed = |requests: &[SeenRequest]| {
        let mut asked = requests.iter().filter(|request| request.operation() == "AssumeRole");
        let asked = asked.next().unwrap_or_else(|| panic!("no role was assumed: {requests:?}"));
        let signed = asked.header("authorization").unwrap().split('/').next().unwrap().to_owned();
        // The bodies are of the same length where they say the same.
        (signed, asked.header("content-length").unwrap().to_owned())
    };
    let of_doctor = assumed(&proxy.requests());
    assert!(of_doctor.0.ends_with("=AKIAPROFILE"), "{of_doctor:?}");
    proxy.forget_requests();

    let shell = Cli::new("sh", &dir).envs(env.pairs()).limit(LIMIT);
    let typed = format!("stateward() {{ {} \"$@\"; }}; {typed}", env!("CARGO_BIN_EXE_stateward"));
    let repaired = shell.run(&["-c", &typed]).expect_code(0);
    let requests = proxy.requests();
    assert_eq!(assumed(&requests), of_doctor, "{typed}");
    let written: Vec<_> = requests
        .iter()
        .filter(|request| matches!(request.operation(), "PutObject" | "CopyObject") && request.path.ends_with(key))
        .collect();
    assert!(!written.is_empty(), "{}", repaired.report());
    for request in written {
        for (header, expected) in [
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "alias/states"),
            ("x-amz-acl", "bucket-owner-full-control"),
        ] {
            assert_eq!(request.header(header), Some(expected), "{header}: {typed}");
        }
    }
    assert_eq!(String::from_utf8(moto.get_object(&bucket, key)).unwrap(), versions[0]);
}

/// Terraform uses what `-backend-config` said in place of the block, and wants `init` where the block was changed since: as it cannot be
/// seen which it was, nobody is told of another state than Terraform's.
#[test]
fn a_block_that_is_not_as_init_noted() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    let noted = json!({"version": 3, "backend": {"type": "s3", "hash": 1, "config": {
        "bucket": bucket, "key": "old", "dynamodb_table": table, "use_path_style": true,
    }}});
    dir.write(".terraform/terraform.tfstate", noted.to_string());
    let written = |lines: &str| dir.write("main.tf", format!("terraform {{\n  backend \"s3\" {{\n{lines}\n  }}\n}}\n"));
    let path = dir.path().display().to_string();
    let run = |command: &[&str], config: &[&str]| {
        let config = config.iter().flat_map(|argument| ["--backend-config", argument]);
        cli(&dir, &moto.env()).run(&command.iter().copied().chain(config).collect::<Vec<_>>())
    };
    let doctor = ["doctor", "--dir", &path];
    written(&format!("bucket = \"{bucket}\"\nkey = \"new\"\nuse_lockfile = true\nuse_path_style = \"1\""));
    for command in [&doctor[..], &["lock", "inspect", &path], &["state", "repair", &path]] {
        let output = run(command, &[]).expect_code(2);
        for words in ["`key` and `use_lockfile` are not as `terraform init` noted", "--backend-config key=VALUE"] {
            assert!(output.stderr.contains(words), "{words:?} is not in {}", output.report());
        }
    }
    // What counts is said: as it was noted, which then holds for the rest, or as the block has it.
    let output = run(&doctor, &["key=old", "use_lockfile=true"]).expect_code(0);
    assert_eq!(output.stderr, "", "{}", output.report());
    assert!(output.stdout.contains(&format!("{table} is there")), "{}", output.report());
    let output = run(&doctor, &["key=new", "use_lockfile=true"]).expect_code(0);
    assert!(output.stderr.contains("`key` is not as `terraform init` noted"), "{}", output.report());
    let told = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("no lock table is used here"), "{}", output.report());
    written("key = \"new\"");
    let output = run(&doctor, &["key=old"]).expect_code(0);
    assert_eq!(output.stderr, "", "{}", output.report());
    assert!(output.stdout.contains(&format!("{table} is there")), "{}", output.report());
    let output = run(&doctor, &["key=new"]).expect_code(2);
    assert!(output.stderr.contains("the backend has no `bucket`"), "{}", output.report());

    // A flag names all that counts.
    written("key = \"old\"");
    let other = format!("bucket={}", moto.create_bucket());
    let output = run(&doctor, &[&other, "use_path_style=true"]).expect_code(1);
    assert!(output.stderr.contains("`bucket` is not as `terraform init` noted"), "{}", output.report());
    assert!(output.stdout.contains("nothing locks this state"), "{}", output.report());

    let output = run(&doctor, &[]).expect_code(0);
    assert_eq!(output.stderr, "", "{}", output.report());
    assert!(output.stdout.contains(&format!("{table} is there")), "{}", output.report());

    // A block of another kind was changed for certain.
    dir.write(
        ".terraform/terraform.tfstate",
        json!({"version": 3, "backend": {"type": "http", "config": {"address": "http://127.0.0.1:1/s"}}}).to_string(),
    );
    written(&format!("bucket = \"{bucket}\"\nkey = \"new\"\nuse_lockfile = true\nuse_path_style = true"));
    let output = run(&doctor, &[]).expect_code(0);
    assert!(output.stderr.contains("noted backend \"http\", and its notes do not count here"), "{}", output.report());
}

/// The bucket of the blobs is not passed over without a word, and the command that looks at it works as it is printed.
#[test]
fn the_bucket_of_a_store_in_tables() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    let store = format!("dynamodb://{table}?blobs=s3://{bucket}/b&blobs.use_path_style=true&blobs.kms_key_id=k%26l");
    let output = cli(&dir, &moto.env()).run(&["--store", &store, "doctor", "--json"]);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let items = answer["items"].as_array().unwrap();
    let told = items.iter().find(|item| item["check"] == "bucket-exists").unwrap()["why"].as_str().unwrap();
    let typed = told.split("looked at by: stateward ").nth(1).unwrap_or_else(|| panic!("{}", output.report()));
    let shell = Cli::new("sh", &dir).envs(moto.env().pairs()).limit(LIMIT);
    let output = shell.run(&["-c", &format!("{} {typed}", env!("CARGO_BIN_EXE_stateward"))]);
    assert!(output.stdout.contains(&format!("{bucket} is there")), "{}", output.report());
    assert!(output.stdout.contains("ok        right:s3:PutObject"), "{}", output.report());
}

/// Terraform hands any name to S3; the doctor asks the bucket itself.
#[test]
fn a_bucket_by_the_arn_of_an_access_point() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let point = "arn:aws:s3:us-east-1:123456789012:accesspoint/states";
    let output =
        cli(&dir, &moto.env()).run(&["doctor", "--bucket", point, "--key", "k", "--use-lockfile"]).expect_code(1);
    for words in ["is no bucket's own name", "knows no access points", "name the bucket behind it"] {
        let told = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(words), "{words:?} is not in {}", output.report());
    }
}

/// Real Terraform refuses each of them before it asks anybody; so does the doctor, and says where it stands.
#[test]
fn what_terraform_refuses_of_a_block_is_told_with_its_line() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let bucket = moto.create_bucket();
    for (number, (line, code, words)) in [
        ("regoin = \"eu-west-1\"", 1, "the `s3` backend has no argument `regoin`"),
        ("assume_role {\n    }", 1, "`assume_role` is written as a block"),
        ("assume_role = {}", 1, "`assume_role` has no `role_arn`"),
        ("insecure = \"maybe\"", 1, "`insecure` is not `true` or `false`"),
        ("allowed_account_ids = { a = 1 }", 1, "`allowed_account_ids` is not a list of texts"),
        ("lock_tags = { a = \"b\" }", 0, "Terraform today has no argument `lock_tags`"),
        // Without it nothing can be looked at.
        ("encrypt = \"maybe\"", 2, "`encrypt` is not `true` or `false`"),
    ]
    .into_iter()
    .enumerate()
    {
        let work = Terraform::find().workdir(&dir, &format!("work{number}")).envs(moto.env().pairs()).limit(LIMIT);
        let block = format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket = \"{bucket}\"\n    key = \"k\"\n    use_path_style = true\n    {line}\n  }}\n}}\n"
        );
        work.write("main.tf", &block);
        work.run(&["init"]).expect_code(1);
        let doctor = cli(&dir, &moto.env()).current_dir(work.path()).run(&["doctor", "--read-only"]).expect_code(code);
        let told = format!("{} {}", doctor.stdout, doctor.stderr);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(&format!("main.tf:6: {words}")), "{line}: {}", doctor.report());
    }
    let work = Terraform::find().workdir(&dir, "right").envs(moto.env().pairs()).limit(LIMIT);
    work.write_s3_backend(&S3Backend::new(moto.url(), &bucket, "k").lockfile());
    let doctor = cli(&dir, &moto.env()).current_dir(work.path()).run(&["doctor", "--read-only", "--json"]);
    let items = serde_json::from_str::<Value>(&doctor.stdout).unwrap()["items"].clone();
    let refused = items.as_array().unwrap().iter().any(|item| item["check"] == "arguments" && item["status"] == "fail");
    assert!(!refused, "{}", doctor.report());
    let unknown = ["doctor", "--read-only", "--backend-config", "regoin=eu-west-1"];
    let doctor = cli(&dir, &moto.env()).current_dir(work.path()).run(&unknown);
    assert!(doctor.code() == Some(1) && doctor.stdout.contains("write `region`"), "{}", doctor.report());
}
