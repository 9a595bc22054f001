//! The stand-ins for AWS, the proxy before them, and Terraform's own `s3` backend on them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use stateward_testkit::{
    AwsEnv, DynamoDbLocal, Fault, FaultProxy, Moto, RawHttp, Response, Rule, S3Backend, SeenRequest, Terraform,
    TestDir, VersityGw, Workdir,
};

const CONFIGURATION: &str = "resource \"terraform_data\" \"a\" { input = 1 }\n";

fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// A request to a server that tells services apart by the signature and does not check it.
fn ask(url: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Response> {
    let signed = "AWS4-HMAC-SHA256 Credential=AKIATESTKIT/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none";
    let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Authorization", signed)]).collect();
    RawHttp::new(address(url)).try_request(method, path, &headers, body)
}

fn initialised(dir: &TestDir, env: &AwsEnv, backend: &S3Backend) -> Workdir {
    let work = Terraform::find().workdir(dir, "work").envs(env.pairs());
    work.write_s3_backend(backend);
    work.write("main.tf", CONFIGURATION);
    work.run(&["init"]).expect_success();
    work
}

fn names(requests: &[SeenRequest]) -> Vec<String> {
    requests.iter().map(|request| request.to_string().replace("/locks", "")).collect()
}

#[test]
fn terraform_keeps_and_locks_its_state_on_moto() {
    let (moto, dir) = (Moto::start(), TestDir::new());
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    let backend = S3Backend::new(moto.url(), &bucket, "k").lockfile().lock_table(moto.url(), &table);
    let work = initialised(&dir, &moto.env(), &backend);
    work.run(&["apply", "-auto-approve"]).expect_success();
    let before = moto.requests().len();
    work.run(&["apply", "-auto-approve", "-replace=terraform_data.a"]).expect_success();
    let requests = names(&moto.requests()[before..]);
    let (state, lock) = (format!("/{bucket}/k"), format!("/{bucket}/k.tflock"));
    let expected = [
        format!("ListObjectsV2 /{bucket}"),
        format!("PutObject {lock}"),
        "PutItem".to_owned(),
        format!("HeadObject {state}"),
        format!("GetObject {state}"),
        "GetItem".to_owned(),
        format!("PutObject {state}"),
        "PutItem".to_owned(),
        format!("GetObject {lock}"),
        format!("DeleteObject {lock}"),
        "GetItem".to_owned(),
        "DeleteItem".to_owned(),
    ];
    assert_eq!(requests, expected);
    work.run(&["destroy", "-auto-approve"]).expect_success();
}

#[test]
fn terraform_s_lock_in_a_table_keeps_it_out_on_servers_that_check() {
    let (s3, dynamodb, dir) = (VersityGw::shared(), DynamoDbLocal::shared(), TestDir::new());
    let table = dynamodb.create_lock_table();
    let backend = S3Backend::new(s3.url(), &s3.create_bucket(), "a/b").lock_table(dynamodb.url(), &table);
    let work = initialised(&dir, &s3.env().dynamodb(dynamodb.url()), &backend);
    work.run(&["apply", "-auto-approve"]).expect_success();
    work.run(&["plan", "-detailed-exitcode"]).expect_success();
    let wrong = AwsEnv::new().s3(s3.url()).dynamodb(dynamodb.url());
    let pairs: Vec<(&str, String)> = wrong
        .pairs()
        .into_iter()
        .map(|(name, value)| (name, if name == "AWS_SECRET_ACCESS_KEY" { "wrong".to_owned() } else { value }))
        .collect();
    let refused = Terraform::find().workdir(&dir, "work").envs(pairs).run(&["plan"]).expect_code(1);
    assert!(refused.stderr.contains("SignatureDoesNotMatch"), "{}", refused.report());
}

#[test]
fn requests_go_wrong_as_they_are_told_to() {
    let moto = Moto::shared();
    let (bucket, proxy) = (moto.create_bucket(), FaultProxy::to(moto.url()));
    let path = |key: &str| format!("/{bucket}/{key}");
    let put = |key: &str, headers: &[(&str, &str)]| ask(proxy.url(), "PUT", &path(key), headers, "x");
    let there = |key: &str| ask(moto.url(), "HEAD", &path(key), &[], "").unwrap().status == 200;
    let once = [("If-None-Match", "*")];

    proxy.inject(Rule::new(Fault::LoseRequest).operation("PutObject").path("/lost-before"));
    assert!(put("lost-before", &[]).is_err() && !there("lost-before"));
    proxy.inject(Rule::new(Fault::LoseAnswer).operation("PutObject").path("/lost-after"));
    assert!(put("lost-after", &once).is_err() && there("lost-after"));
    proxy.inject(Rule::new(Fault::DuplicateAnsweredSecond).path("/twice"));
    assert_eq!(put("twice", &once).unwrap().status, 412, "the second copy meets the first");
    assert!(there("twice"));
    proxy.inject(Rule::new(Fault::DuplicateAnsweredFirst).path("/again"));
    assert_eq!(put("again", &once).unwrap().status, 200);
    proxy.inject(Rule::new(Fault::slow_down().header("Retry-After", "3")).path("/slow").nth(2));
    assert_eq!(put("slow", &[]).unwrap().status, 200);
    let slow = put("slow", &[]).unwrap();
    assert_eq!((slow.status, slow.header("retry-after")), (503, Some("3")));
    assert!(slow.text().contains("<Code>SlowDown</Code>"));
    assert_eq!((proxy.count("PutObject"), proxy.injected()), (6, 5));
    assert_eq!(proxy.requests()[0].status, None);
    proxy.heal();
    proxy.forget_requests();
    assert_eq!(put("lost-before", &[]).unwrap().status, 200);
    assert_eq!(names(&proxy.requests()), [format!("PutObject {}", path("lost-before"))]);
}

/// A call of `DynamoDB`'s protocol: the status and the answer.
fn call(url: &str, operation: &str, body: &Value) -> (u16, Value) {
    let target = format!("DynamoDB_20120810.{operation}");
    let signed = "AWS4-HMAC-SHA256 Credential=AKIATESTKIT/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=none";
    let headers =
        [("Authorization", signed), ("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", target.as_str())];
    let answer = RawHttp::new(address(url)).request("POST", "/", &headers, body.to_string().as_str());
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

/// On moto what a cancelled transaction has written is put back by what we add to it; so both servers are asked.
#[test]
fn a_transaction_writes_all_or_nothing() {
    for (url, table) in [
        (Moto::shared().url(), Moto::shared().create_lock_table()),
        (DynamoDbLocal::shared().url(), DynamoDbLocal::shared().create_lock_table()),
    ] {
        let key = |id: &str| json!({ "LockID": { "S": id } });
        let item = |id: &str, n: u32| json!({ "LockID": { "S": id }, "n": { "N": n.to_string() } });
        let put = |id: &str, n: u32| json!({ "Put": { "TableName": table, "Item": item(id, n) } });
        let delete = |id: &str| json!({ "Delete": { "TableName": table, "Key": key(id) } });
        let add = |id: &str| {
            json!({ "Update": {
                "TableName": table,
                "Key": key(id),
                "UpdateExpression": "SET n = n + :one",
                "ExpressionAttributeValues": { ":one": { "N": "1" } },
            }})
        };
        let check = |id: &str| {
            let condition = "attribute_exists(LockID)";
            json!({ "ConditionCheck": { "TableName": table, "Key": key(id), "ConditionExpression": condition } })
        };
        let transact = |items: &[Value]| call(url, "TransactWriteItems", &json!({ "TransactItems": items }));
        let there = || {
            let mut items = call(url, "Scan", &json!({ "TableName": table })).1["Items"].as_array().unwrap().clone();
            items.sort_by_key(ToString::to_string);
            items
        };
        assert_eq!(transact(&[put("a", 1), put("b", 1), put("c", 1)]).0, 200, "{url}");
        let before = [item("a", 1), item("b", 1), item("c", 1)];
        assert_eq!(there(), before, "{url}");

        let writes = [put("a", 5), add("b"), delete("c"), put("d", 1)];
        let (status, cancelled) = transact(&[&writes[..], &[check("e")]].concat());
        assert_eq!(status, 400, "{url}: {cancelled}");
        let reasons: Vec<&str> = cancelled["CancellationReasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["Code"].as_str().unwrap())
            .collect();
        assert_eq!(reasons, ["None", "None", "None", "None", "ConditionalCheckFailed"], "{url}");
        assert_eq!(there(), before, "{url}: nothing of it is there");

        let (status, refused) = transact(&[&writes[..], &[delete("a")]].concat());
        assert!(
            status == 400 && refused["__type"].as_str().unwrap().contains("ValidationException"),
            "{url}: {refused}"
        );
        assert_eq!(there(), before, "{url}: nor of what writes an item twice");

        let no_table = json!({ "Delete": { "TableName": "no-such-table", "Key": key("a") } });
        assert_eq!(transact(&[&writes[..], &[no_table]].concat()).0, 400, "{url}");
        assert_eq!(there(), before, "{url}: nor of what names no table");

        assert_eq!(transact(&writes).0, 200, "{url}");
        assert_eq!(there(), [item("a", 5), item("b", 2), item("d", 1)], "{url}: all of it");
    }
}
