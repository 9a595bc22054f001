//! `stateward doctor` on a configuration whose state is in a bucket.

use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Rule, TestDir};

use crate::cli;

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
    let answer: serde_json::Value =
        serde_json::from_str(&cli(&dir, &moto.env()).run(&quiet).expect_code(0).stdout).unwrap();
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
    let answer: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
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
    let answer: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let items = answer["items"].as_array().unwrap();
    let (first, others) = items.split_first().unwrap();
    assert_eq!((&first["check"], &first["status"]), (&"credentials".into(), &"fail".into()), "{}", output.report());
    assert_eq!((&first["denial"]["layer"], &first["denial"]["resource"]), (&"trust".into(), &role.into()));
    assert!(others.iter().all(|item| item["status"] != "fail"), "{}", output.report());
}
