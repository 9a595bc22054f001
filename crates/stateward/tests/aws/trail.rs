//! `stateward trail` on a trail's bucket, and on lookups.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Rule, TestDir};

use crate::cli;

fn event(id: &str, action: &str, time: &str, refused: bool) -> Value {
    let mut event = json!({
        "eventID": id, "eventTime": time, "eventSource": "s3.amazonaws.com", "eventName": action, "sourceIPAddress": "192.0.2.7",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ci", "accountId": "111122223333"},
    });
    if refused {
        event["errorCode"] = json!("AccessDenied");
        event["errorMessage"] = json!(format!(
            "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:{action} on resource: \"arn:aws:s3:::b/k\" \
             because no identity-based policy allows the s3:{action} action"
        ));
    }
    event
}

fn log(events: &[Value]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(json!({ "Records": events }).to_string().as_bytes()).unwrap();
    writer.finish().unwrap()
}

/// 30 logs of 200 records, a tenth of them refused, in two accounts of an organization and two Regions; and a day before.
fn fill(moto: &Moto, bucket: &str) {
    for number in 0..30 {
        let account = if number % 2 == 0 { "111122223333" } else { "444455556666" };
        let region = if number % 3 == 0 { "eu-west-1" } else { "us-east-1" };
        let one =
            |at: usize| event(&format!("{number}-{at}"), "PutObject", "2026-03-01T10:00:00Z", at.is_multiple_of(10));
        let key = format!("audit/AWSLogs/o-abc/{account}/CloudTrail/{region}/2026/03/01/{number}.json.gz");
        moto.put_object(bucket, &key, log(&(0..200).map(one).collect::<Vec<_>>()));
    }
    let before = "audit/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/02/27/x.json.gz";
    moto.put_object(bucket, before, log(&[event("x", "DeleteObject", "2026-02-27T10:00:00Z", true)]));
    // No log: it would be refused if it were read.
    moto.put_object(bucket, "audit/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/d.json.gz", "{");
    moto.put_object(bucket, "audit/AWSLogs/elb/2026/03/01/e.log.gz", "{");
}

#[test]
fn a_trails_bucket_is_read_where_it_can_tell_of_the_time_asked_for() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let bucket = moto.create_bucket();
    fill(moto, &bucket);
    let proxy = FaultProxy::to(moto.url());
    let env = AwsEnv::new().s3(proxy.url());
    let run = |arguments: &[&str]| cli(&dir, &env).run(&[&["trail", "--json"], arguments].concat());
    let day = ["--since", "2026-03-01T00:00:00Z", "--until", "2026-03-01T23:59:59Z"];

    // One answer breaks off on its way, and is asked for again.
    proxy.inject(Rule::new(Fault::LoseAnswer).operation("GetObject").nth(3));
    let output = run(&[&[format!("s3://{bucket}/audit").as_str()], day.as_slice()].concat()).expect_success();
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&answer["records"], &answer["warnings"]), (&json!(6000), &json!([])), "{answer}");
    let items = answer["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["count"], &items[0]["action"]), (1, &json!(600), &json!("s3:PutObject")));
    assert!(proxy.requests().iter().all(|seen| !seen.query.contains("2026%2F02") && !seen.path.contains("2026/02/27")));

    // A part of it.
    let output = run(&[
        format!("s3://{bucket}/audit/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/02").as_str(),
        "--since",
        "2026-02-01T00:00:00Z",
    ]);
    let answer: Value = serde_json::from_str(&output.expect_success().stdout).unwrap();
    assert_eq!(answer["items"][0]["action"], "s3:DeleteObject");

    let output = run(&[&[format!("s3://{bucket}").as_str()], day.as_slice()].concat()).expect_code(1);
    assert!(output.stderr.contains("there is `audit/`"), "{}", output.stderr);

    let denied = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:ListBucket on resource: \
                  \"arn:aws:s3:::b\" because no identity-based policy allows the s3:ListBucket action";
    proxy.inject(Rule::new(Fault::s3(403, "AccessDenied", denied)).operation("ListObjectsV2"));
    let output = run(&[format!("s3://{bucket}/audit").as_str()]).expect_code(4);
    assert!(output.stderr.contains("no identity-based policy allows") && output.stderr.contains("stateward explain"));
}

#[test]
fn a_damaged_log_is_told_and_the_others_count() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let bucket = moto.create_bucket();
    let region = "audit/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/03/01";
    let whole = log(&[event("1", "PutObject", "2026-03-01T10:00:00Z", true)]);
    moto.put_object(&bucket, &format!("{region}/a.json.gz"), &whole[..whole.len() - 12]);
    moto.put_object(
        &bucket,
        &format!("{region}/b.json.gz"),
        log(&[event("2", "GetObject", "2026-03-01T10:00:00Z", true)]),
    );
    let env = AwsEnv::new().s3(moto.url());
    let source = format!("s3://{bucket}/audit");
    let output = cli(&dir, &env).run(&["trail", &source, "--since", "2026-03-01", "--json"]).expect_code(1);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let actions: Vec<&Value> = answer["items"].as_array().unwrap().iter().map(|item| &item["action"]).collect();
    assert!(actions.contains(&&json!("s3:GetObject")), "{answer}");
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.contains("a.json.gz`: it is cut off") && warning.contains("counts"), "{answer}");
}

fn page(events: &[Value], next: Option<&str>) -> Fault {
    let events: Vec<Value> = events
        .iter()
        .map(|event| json!({"EventId": event["eventID"], "EventName": event["eventName"], "CloudTrailEvent": event.to_string()}))
        .collect();
    let body = match next {
        Some(next) => json!({"Events": events, "NextToken": next}),
        None => json!({ "Events": events }),
    };
    Fault::Answer {
        status: 200,
        headers: vec![("Content-Type".to_owned(), "application/x-amz-json-1.1".to_owned())],
        body: body.to_string(),
    }
}

#[test]
fn lookups_are_paged_and_wait_when_they_are_told_to() {
    let dir = TestDir::new();
    let proxy = FaultProxy::to(Moto::shared().url());
    let env = AwsEnv::new().others(proxy.url());
    // After whatever time it is now.
    let now = "2999-01-01T00:00:00Z";
    let asked = |number, fault| Rule::new(fault).operation("LookupEvents").nth(number);
    let first = page(&[event("1", "CreateBucket", now, true), event("2", "ListBuckets", now, false)], Some("t"));
    // In the order in which they are asked: a page, a refusal to answer so fast, the rest.
    proxy.inject(asked(1, first));
    proxy.inject(asked(2, Fault::throttling(Duration::from_secs(0))));
    proxy.inject(asked(3, page(&[event("3", "CreateBucket", now, true)], None)));
    let output = cli(&dir, &env)
        .limit(Duration::from_mins(1))
        .run(&["trail", "--lookup", "--since", "7d", "--json", "--region", "us-east-1"])
        .expect_success();
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&answer["records"], &answer["items"][0]["count"]), (&json!(3), &json!(2)), "{answer}");
    assert_eq!(proxy.count("LookupEvents"), 3);
    assert!(answer["warnings"][0].as_str().unwrap().contains("hold no data events"), "{answer}");
}
