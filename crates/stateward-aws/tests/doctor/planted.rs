//! What is planted, and what the doctor is to say.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use serde_json::json;
use stateward_aws::doctor::{Finding, Status};
use stateward_denial::Layer;
use stateward_store_aws::{Encryption, Role};
use stateward_testkit::{Fault, Moto, Rule, fresh_name};

use crate::denials;
use crate::place::{KEY, Place, blocks, status, tls_only};

const STATE: &str =
    r#"{"version":4,"terraform_version":"1.15.5","serial":3,"lineage":"l","outputs":{},"resources":[]}"#;

/// Fails unless these checks, and no others, are not as they should be.
#[track_caller]
pub(crate) fn says(name: &str, found: &[Finding], expected: &[(&str, Status)]) {
    let told: Vec<(&str, Status)> = found
        .iter()
        .filter(|finding| finding.status >= Status::Warn)
        .map(|finding| (finding.check.as_str(), finding.status))
        .collect();
    assert_eq!(told, expected, "{name}: {found:#?}");
    for finding in found.iter().filter(|finding| finding.status >= Status::Warn) {
        assert!(finding.why.is_some() && finding.fix.is_some(), "{name}: {finding:#?}");
    }
    for finding in found.iter().filter(|finding| finding.status == Status::Untested) {
        assert!(finding.why.as_ref().is_some_and(|why| !why.is_empty()), "{name}: {finding:#?}");
    }
}

/// What keeps a role from being assumed is told as what it is.
#[tokio::test]
async fn a_role_that_cannot_be_assumed() {
    let fail = |check| [(check, Status::Fail)];
    let assume = |place: &mut Place| {
        let arn = "arn:aws:iam::123456789012:role/deploy".to_owned();
        place.target.access.role = Some(Role { arn, ..Role::default() });
    };
    planted("it can", &[], assume).await;
    let mut place = Place::new();
    assume(&mut place);
    place.credentials = None;
    let found = place.examine().await;
    says("nobody asks", &found, &fail("credentials"));
    let entry = |found: &[Finding]| found.iter().find_map(|finding| finding.entry.clone());
    assert_eq!(entry(&found).as_deref(), Some("credentials/none"));
    let mut place = Place::new();
    assume(&mut place);
    let is_sts = |request: &stateward_testkit::SeenRequest| request.method == "POST" && request.path == "/";
    place.proxy.inject(Rule::new(Fault::LoseRequest).when(is_sts));
    says("STS is down", &place.examine().await, &fail("endpoint"));
    place.heal();
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>";
    let ended = Fault::Answer { status: 403, headers: Vec::new(), body: body.to_owned() };
    place.proxy.inject(Rule::new(ended).when(is_sts));
    let found = place.examine().await;
    says("who asks has ended credentials", &found, &fail("credentials"));
    assert_eq!(entry(&found).as_deref(), Some("credentials/expired"));
}

/// Each layer refuses each right in turn.
#[tokio::test]
async fn a_refused_right_by_its_layer() {
    let rights = [
        ("s3:GetObject", "GetObject"),
        ("s3:PutObject", "CreateMultipartUpload"),
        ("s3:DeleteObject", "DeleteObject"),
        ("dynamodb:PutItem", "PutItem"),
        ("dynamodb:DeleteItem", "DeleteItem"),
        ("dynamodb:GetItem", "GetItem"),
    ];
    let place = Place::new();
    for (action, operation) in rights {
        for (layer, end) in denials::layers(action) {
            place.heal();
            let is_s3 = action.starts_with("s3:");
            let fault = if is_s3 { denials::s3(action, &end) } else { denials::dynamodb(action, &end) };
            place.proxy.inject(Rule::new(fault.clone()).operation(operation));
            if operation == "CreateMultipartUpload" {
                place.proxy.inject(Rule::new(fault).operation("UploadPart"));
            }
            let found = place.examine().await;
            let right = format!("right:{action}");
            if action == "s3:DeleteObject" && end.starts_with("because no identity-based") {
                // It was tried with a name of the doctor's own, and the policy may allow the state's names alone.
                says(&end, &found, &[(&right, Status::Warn)]);
                continue;
            }
            says(&end, &found, &[(&right, Status::Fail)]);
            let finding = found.iter().find(|finding| finding.check == right).unwrap();
            let denial = finding.denial.as_ref().unwrap();
            assert_eq!((denial.layer, denial.action.as_deref()), (layer, Some(action)), "{end}");
            assert!(finding.entry.is_some(), "{end}: {finding:#?}");
        }
    }
}

#[tokio::test]
async fn the_key_refuses_within_s3() {
    let place = Place::new();
    let key = "arn:aws:kms:us-east-1:123456789012:key/1a2b3c4d-0000-1111-2222-333344445555";
    let message = denials::words(
        "kms:GenerateDataKey",
        key,
        "because no identity-based policy allows the kms:GenerateDataKey action",
    );
    place.proxy.inject(
        Rule::new(Fault::s3(403, "AccessDenied", &message))
            .when(|request| request.method != "GET" && request.path.contains(KEY)),
    );
    let found = place.examine().await;
    says("a key", &found, &[("right:kms:GenerateDataKey", Status::Fail)]);
}

pub(crate) async fn planted(name: &str, expected: &[(&str, Status)], plant: impl FnOnce(&mut Place)) {
    let mut place = Place::new();
    plant(&mut place);
    let found = place.examine().await;
    says(name, &found, expected);
    assert_eq!(place.left(), Vec::<String>::new(), "{name}");
}

#[tokio::test]
async fn credentials_and_who_one_is() {
    let fail = |check| [(check, Status::Fail)];
    planted("none", &fail("credentials"), |place| place.credentials = None).await;
    let with_end = |seconds: u64| {
        let end = SystemTime::now() + Duration::from_secs(seconds);
        Credentials::new("AKIATESTKIT", "secret", None, Some(end), "test")
    };
    let ended = Credentials::new("AKIATESTKIT", "secret", None, Some(SystemTime::UNIX_EPOCH), "test");
    planted("ended", &fail("credentials"), |place| place.credentials = Some(ended)).await;
    planted("end soon", &[("credentials", Status::Warn)], |place| place.credentials = Some(with_end(300))).await;
    planted("end later", &[], |place| place.credentials = Some(with_end(7200))).await;
    for (code, text) in [
        ("ExpiredToken", "The provided token has expired."),
        ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."),
        ("InvalidToken", "The provided token is malformed or otherwise invalid."),
    ] {
        let is_s3 = |request: &stateward_testkit::SeenRequest| request.path != "/";
        planted(code, &fail("credentials"), |place| {
            place.proxy.heal();
            place.proxy.inject(Rule::new(Fault::s3(403, code, text)).when(is_s3));
        })
        .await;
    }
}

#[tokio::test]
async fn region_clock_and_endpoint() {
    let fail = |check| [(check, Status::Fail)];
    planted("no Region", &fail("region"), |place| place.region = None).await;
    planted("another Region", &fail("region"), |place| {
        let fault = Fault::s3(
            301,
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint.",
        );
        place.proxy.heal();
        place
            .proxy
            .inject(Rule::new(fault.header("x-amz-bucket-region", "eu-west-1")).when(|request| request.path != "/"));
    })
    .await;
    planted("ahead", &fail("clock"), |place| place.ahead = SignedDuration::from_mins(11)).await;
    planted("behind", &fail("clock"), |place| place.ahead = SignedDuration::from_mins(-11)).await;
    planted("a little", &[], |place| place.ahead = SignedDuration::from_secs(20)).await;
    planted("skewed", &fail("clock"), |place| {
        let fault = Fault::s3(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        );
        place.proxy.heal();
        place.proxy.inject(Rule::new(fault).when(|request| request.path != "/"));
    })
    .await;
    planted("down", &fail("endpoint"), |place| {
        place.proxy.heal();
        place.proxy.inject(Rule::new(Fault::LoseRequest));
    })
    .await;
    planted("ill", &fail("endpoint"), |place| {
        place.proxy.heal();
        place.proxy.inject(Rule::new(Fault::status(500)));
    })
    .await;
    planted("throttled", &[("endpoint", Status::Warn)], |place| {
        place.proxy.inject(Rule::new(Fault::throttling(Duration::ZERO)).operation("GetItem"));
    })
    .await;
}

#[tokio::test]
async fn the_bucket() {
    let warn = |check| [(check, Status::Warn)];
    planted("missing", &[("bucket-exists", Status::Fail)], |place| place.target.place = fresh_name("nowhere")).await;
    planted("no name of a bucket", &[("bucket-exists", Status::Fail)], |place| place.target.place = "a b".to_owned())
        .await;
    planted("another's", &warn("bucket-exists"), |place| {
        // S3 refuses whatever names another owner than the bucket has.
        let refused = Rule::new(Fault::status(403));
        place.proxy.inject(refused.when(|request| request.header("x-amz-expected-bucket-owner").is_some()));
    })
    .await;
    planted("no versions", &warn("bucket-versioning"), |place| {
        place.proxy.heal();
        place.answer("policy", &tls_only(place.bucket()));
        place.answer("publicAccessBlock", &blocks(true));
        place.answer("versioning", "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
    })
    .await;
    planted("versions suspended", &warn("bucket-versioning"), |place| {
        place.proxy.heal();
        place.answer("policy", &tls_only(place.bucket()));
        place.answer("publicAccessBlock", &blocks(true));
        place.answer("versioning", "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Suspended</Status></VersioningConfiguration>");
    })
    .await;
    let mut place = Place::open();
    let both = [("bucket-public-access", Status::Warn), ("bucket-tls-only", Status::Warn)];
    says("open", &place.examine().await, &both);
    place = Place::open();
    place.answer("policy", &tls_only("other-bucket"));
    place.answer("publicAccessBlock", &blocks(false));
    says("half", &place.examine().await, &both);
    place = Place::open();
    place.answer("policy", &tls_only(place.bucket()).replace("s3:*", "s3:GetObject"));
    place.answer("publicAccessBlock", &blocks(true));
    says("writes are taken", &place.examine().await, &[("bucket-tls-only", Status::Warn)]);
    place = Place::open();
    place.region = Some("cn-north-1");
    place.answer("policy", &tls_only(place.bucket()).replace("arn:aws:", "arn:aws-cn:"));
    assert_eq!(status(&place.examine().await, "bucket-tls-only"), Status::Ok, "another partition");
    place = Place::open();
    place.answer("policy", &tls_only(place.bucket()));
    let public =
        "<PolicyStatus xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsPublic>true</IsPublic></PolicyStatus>";
    place.answer("policyStatus", public);
    says("public", &place.examine().await, &[("bucket-public-access", Status::Fail)]);
    planted("a key that is gone", &[("bucket-encryption", Status::Fail)], |place| {
        let key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000";
        place.target.objects.encryption = Encryption::Kms { key: key.to_owned() };
    })
    .await;
}

#[tokio::test]
async fn the_lock_table() {
    planted("missing", &[("lock-table-exists", Status::Fail)], |place| {
        place.target.lock_table = Some(fresh_name("nowhere"));
    })
    .await;
    planted("another key", &[("lock-table-schema", Status::Fail)], |place| {
        let name = fresh_name("wrong");
        let table = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        });
        Moto::shared().dynamodb("CreateTable", &table.to_string());
        let recovery =
            json!({"TableName": name, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
        Moto::shared().dynamodb("UpdateContinuousBackups", &recovery.to_string());
        place.target.lock_table = Some(name);
    })
    .await;
    planted("no recovery", &[("lock-table-recovery", Status::Warn)], |place| {
        place.target.lock_table = Some(Moto::shared().create_lock_table());
    })
    .await;
    planted("nothing locks", &[("mutual-exclusion", Status::Fail)], |place| {
        place.target.lock_table = None;
        place.target.use_lockfile = false;
    })
    .await;
}

#[tokio::test]
async fn stores_without_conditions() {
    planted("S3", &[("conditional-write", Status::Fail)], |place| {
        place.proxy.inject(Rule::new(Fault::status(200).header("ETag", "\"0\"")).operation("PutObject"));
    })
    .await;
    planted("DynamoDB", &[("conditional-write", Status::Fail)], |place| {
        let written = Fault::Answer { status: 200, headers: Vec::new(), body: "{}".to_owned() };
        place.proxy.inject(Rule::new(written).operation("PutItem"));
    })
    .await;
    // The conditions hold one after the other: the first five writes are told as they are.
    planted("a race", &[("mutual-exclusion", Status::Fail)], |place| {
        place.target.lock_table = None;
        let lets_all = Fault::status(200).header("ETag", "\"0\"");
        let count = std::sync::atomic::AtomicUsize::new(0);
        place.proxy.inject(
            Rule::new(lets_all)
                .operation("PutObject")
                .path(".tflock")
                .when(move |_| count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 3),
        );
    })
    .await;
    planted("a race in the table", &[("mutual-exclusion", Status::Fail)], |place| {
        place.target.use_lockfile = false;
        let written = Fault::Answer { status: 200, headers: Vec::new(), body: "{}".to_owned() };
        let count = std::sync::atomic::AtomicUsize::new(0);
        place.proxy.inject(
            Rule::new(written)
                .operation("PutItem")
                .when(move |_| count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2),
        );
    })
    .await;
}

/// One winner shows nothing where the others were turned away for other reasons.
#[tokio::test]
async fn a_race_that_was_none() {
    let mut place = Place::new();
    place.target.lock_table = None;
    let count = std::sync::atomic::AtomicUsize::new(0);
    let refused = denials::s3("s3:PutObject", "with an explicit deny in a resource control policy");
    place.proxy.inject(
        Rule::new(refused)
            .operation("PutObject")
            .path(".tflock")
            .when(move |_| count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 4),
    );
    let found = place.examine().await;
    says("no race", &found, &[]);
    let finding = found.iter().find(|finding| finding.check == "mutual-exclusion").unwrap();
    assert_eq!(finding.status, Status::Untested, "{finding:?}");
    assert!(finding.why.as_ref().unwrap().contains("19 of 20 clients were not in the race"), "{finding:?}");
}

fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text))
}

fn lock(hours: i64) -> String {
    let created = Timestamp::now() - SignedDuration::from_hours(hours);
    json!({
        "ID": "1a2b3c4d-0000-1111-2222-333344445555", "Operation": "OperationTypeApply", "Info": "", "Who": "ana@laptop",
        "Version": "1.15.5", "Created": created.to_string(), "Path": "states/net/prod.tfstate",
    })
    .to_string()
}

#[tokio::test]
async fn the_state_and_its_locks() {
    let fail = |check| [(check, Status::Fail)];
    planted("as it should be", &[], |place| {
        place.put_object("", STATE);
        place.put_item("-md5", "Digest", &md5(STATE));
    })
    .await;
    planted("an old digest", &fail("digest"), |place| {
        place.put_object("", STATE);
        place.put_object("", &STATE.replace("\"serial\":3", "\"serial\":4"));
        place.put_item("-md5", "Digest", &md5(STATE));
    })
    .await;
    planted("a digest of nothing known", &fail("digest"), |place| {
        place.put_object("", STATE);
        place.put_item("-md5", "Digest", "00000000000000000000000000000000");
    })
    .await;
    planted("no state", &fail("digest"), |place| place.put_item("-md5", "Digest", &md5(STATE))).await;
    planted("an old lock", &[("orphan-lock", Status::Warn)], |place| {
        place.put_item("", "Info", &lock(30));
        place.put_object(".tflock", &lock(30));
    })
    .await;
    planted("a fresh lock", &[], |place| {
        place.put_item("", "Info", &lock(0));
        place.put_object(".tflock", &lock(0));
    })
    .await;
    planted("an item without its file", &fail("orphan-lock"), |place| place.put_item("", "Info", &lock(5))).await;
    planted("a file without its item", &fail("orphan-lock"), |place| place.put_object(".tflock", &lock(5))).await;
}

/// An old digest is told with the version that it is of.
#[tokio::test]
async fn which_side_of_a_mismatch_is_old() {
    let place = Place::new();
    place.put_object("", STATE);
    place.put_object("", &STATE.replace("\"serial\":3", "\"serial\":4"));
    place.put_item("-md5", "Digest", &md5(STATE));
    let found = place.examine().await;
    assert_eq!(status(&found, "digest"), Status::Fail);
    let why = found.iter().find(|finding| finding.check == "digest").unwrap().why.clone().unwrap();
    assert!(why.contains("serial 4") && why.contains("serial 3") && why.contains("the object is newer"), "{why}");
}

fn with_serial(serial: u64) -> String {
    STATE.replace("\"serial\":3", &format!("\"serial\":{serial}"))
}

/// The one finding of a check; no other is bad.
#[track_caller]
fn only<'a>(found: &'a [Finding], check: &str, status: Status) -> &'a Finding {
    says(check, found, &[(check, status)]);
    found.iter().find(|finding| finding.check == check).unwrap()
}

/// What is not decided by the evidence is not told as if it were, and the fix is the command that looks at all of it.
#[tokio::test]
async fn a_mismatch_as_state_repair_sees_it() {
    let place = Place::new();
    place.put_object("", &with_serial(4));
    place.put_object("", &with_serial(3));
    place.put_item("-md5", "Digest", &md5(&with_serial(4)));
    let found = place.examine().await;
    let finding = only(&found, "digest", Status::Fail);
    let (why, fix) = (finding.why.as_deref().unwrap(), finding.fix.as_deref().unwrap());
    assert!(why.contains("the object is an old copy that was put back by hand, or two wrote at once"), "{why}");
    let repair = format!("stateward state repair 's3://{}/{KEY}?", place.bucket());
    for words in [repair.as_str(), "--dry-run", "does not decide", "--keep object", "--keep digest"] {
        assert!(fix.contains(words), "{words:?} is not in {fix}");
    }

    let place = Place::new();
    place.put_object("", &with_serial(3));
    place.put_object("", &with_serial(4));
    place.put_item("-md5", "Digest", &md5(&with_serial(3)));
    let found = place.examine().await;
    let fix = only(&found, "digest", Status::Fail).fix.clone().unwrap();
    assert!(fix.contains("stateward state repair") && !fix.contains("--keep"), "{fix}");
}

/// Also where the digest fits, or there is none.
#[tokio::test]
async fn what_is_no_state() {
    for (body, title) in
        [("", "the state is empty"), (&STATE[..50], "the state cannot be read"), ("<html>", "the state cannot be read")]
    {
        for digest in [Some(md5(body)), None] {
            let mut place = Place::new();
            place.put_object("", STATE);
            place.put_object("", body);
            match &digest {
                Some(digest) => place.put_item("-md5", "Digest", digest),
                None => place.target.lock_table = None,
            }
            let found = place.examine().await;
            let finding = only(&found, "digest", Status::Fail);
            assert_eq!(finding.title, title, "{body:?} {digest:?}");
            assert!(finding.fix.as_ref().unwrap().contains("stateward state repair"), "{finding:?}");
            assert!(!format!("{finding:?}").contains("<html>"));
        }
    }
}

/// S3 knows the MD5 of what was put in one piece: only the ends of a large state are read.
#[tokio::test]
async fn a_large_state_is_not_read_whole() {
    let large = STATE.replace(
        "\"outputs\":{}",
        &format!("\"outputs\":{{\"x\":{{\"value\":\"{}\",\"type\":\"string\"}}}}", "x".repeat(9 << 20)),
    );
    let place = Place::new();
    place.put_object("", &large);
    place.put_item("-md5", "Digest", &md5(&large));
    let found = place.examine().await;
    says("large", &found, &[]);
    let ends = place
        .proxy
        .requests()
        .iter()
        .filter(|request| request.header("range").is_some_and(|range| range == "bytes=-1024"))
        .count();
    assert_eq!(ends, 1);
    let cut = &large[..large.len() - 30];
    place.put_object("", cut);
    place.put_item("-md5", "Digest", &md5(cut));
    let found = place.examine().await;
    assert_eq!(only(&found, "digest", Status::Fail).title, "the state cannot be read");
}

/// Each fix releases exactly what was found.
#[tokio::test]
async fn locks_that_do_not_belong_together() {
    /// File, item, how it is judged, title, words of the reason, end of the fix.
    type Case<'a> = (&'a str, &'a str, Status, &'a str, &'a [&'a str], &'a str);
    let other = lock(5).replace("1a2b3c4d", "9e8f7a6b").replace("ana@laptop", "bob@ci");
    let cases: [Case<'_>; 5] = [
        (&lock(5), &other, Status::Fail, "of two runs", &["ana@laptop", "bob@ci", "9e8f7a6b"], "--release --force"),
        (
            "",
            &lock(5),
            Status::Fail,
            "only the lock item",
            &["ana@laptop"],
            "--release --id 1a2b3c4d-0000-1111-2222-333344445555",
        ),
        ("{}", "", Status::Fail, "only the lock file", &["nobody can tell whose it is"], "--release --force"),
        ("{}", "{}", Status::Warn, "does not say whose it is", &["is not what Terraform writes"], "--release --force"),
        (
            &lock(5),
            &lock(5),
            Status::Warn,
            "locked for 5 h",
            &["ana@laptop", "`laptop`"],
            "--release --id 1a2b3c4d-0000-1111-2222-333344445555",
        ),
    ];
    for (file, item, status, title, words, release) in cases {
        let mut place = Place::new();
        // What says nothing of its time is as old as its object.
        place.ahead = if file == "{}" { SignedDuration::from_mins(4) } else { SignedDuration::ZERO };
        if !file.is_empty() {
            place.put_object(".tflock", file);
        }
        if !item.is_empty() {
            place.put_item("", "Info", item);
        }
        let found = place.examine().await;
        let finding = only(&found, "orphan-lock", status);
        let (why, fix) = (finding.why.as_deref().unwrap(), finding.fix.as_deref().unwrap());
        assert!(finding.title.contains(title), "{finding:?}");
        assert!(words.iter().all(|words| why.contains(words)), "{why}");
        let inspect = format!("stateward lock inspect 's3://{}/{KEY}?", place.bucket());
        assert!(fix.contains(&inspect) && fix.ends_with(release), "{fix}");
        assert!(!why.contains("  ") && !fix.contains("ask  "), "{why} {fix}");
    }
}

/// Bare refusals name no layer, and none is made up.
#[tokio::test]
async fn a_refusal_without_a_reason() {
    let place = Place::new();
    // Where a part of no upload shows nothing, a name of the doctor's own alone was refused.
    for (operations, status) in
        [(&["CreateMultipartUpload"][..], Status::Warn), (&["CreateMultipartUpload", "UploadPart"], Status::Fail)]
    {
        let refused =
            |operation: &&'static str| Rule::new(Fault::s3(403, "AccessDenied", "Access Denied")).operation(operation);
        place.heal();
        operations.iter().map(refused).for_each(|rule| place.proxy.inject(rule));
        let found = place.examine().await;
        says("bare", &found, &[("right:s3:PutObject", status)]);
        let finding = found.iter().find(|finding| finding.check == "right:s3:PutObject").unwrap();
        assert_eq!(finding.denial.as_ref().map(|denial| denial.layer), Some(Layer::Unknown));
    }
}

/// Whatever a service makes of conditions: what stands under the names of the state, its digest and its locks stays.
#[tokio::test]
async fn where_no_condition_is_kept_nothing_of_others_goes() {
    for operations in [&["PutItem", "DeleteItem", "PutObject", "DeleteObject"][..], &["DeleteItem", "DeleteObject"]] {
        let place = Place::new();
        place.put_object("", STATE);
        place.put_item("-md5", "Digest", &md5(STATE));
        let held = lock(0);
        place.put_item("", "Info", &held);
        place.put_object(".tflock", &held);
        let there = || ["", "-md5"].map(|suffix| place.item(suffix));
        let before = there();
        assert!(before.iter().all(serde_json::Value::is_object), "{before:?}");
        for operation in operations {
            place.proxy.inject(Rule::new(Fault::IgnoreCondition).operation(operation));
        }
        let found = place.examine().await;
        says("no conditions", &found, &[("conditional-write", Status::Fail)]);
        assert_eq!(there(), before, "{operations:?}");
        assert_eq!(place.state(""), STATE);
        assert_eq!(Moto::shared().get_object(place.bucket(), &format!("{KEY}.tflock")), held.as_bytes());
        for right in ["right:dynamodb:PutItem", "right:dynamodb:DeleteItem"] {
            assert_eq!(status(&found, right), Status::Untested, "{found:#?}");
        }
        assert_eq!(place.left(), Vec::<String>::new());
    }
}

/// One that knows no uploads in parts may write an empty object for each.
#[tokio::test]
async fn a_part_that_is_taken_for_a_write_never_has_the_name_of_a_state() {
    let place = Place::new();
    place.put_object("", STATE);
    let refused = Fault::s3(403, "AccessDenied", "Access Denied");
    place.proxy.inject(Rule::new(refused).operation("CreateMultipartUpload"));
    place.proxy.inject(Rule::new(Fault::IgnoreParts).operation("UploadPart"));
    let found = place.examine().await;
    assert_eq!(place.state(""), STATE);
    says("no parts", &found, &[("right:s3:PutObject", Status::Warn)]);
    assert_eq!(place.left(), Vec::<String>::new());
}
