//! What is planted in stateward's own stores, and in settings of the bucket and the tables.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use serde_json::json;
use stateward_aws::doctor::Status;
use stateward_iam::{Layout, Purpose};
use stateward_store_aws::{CustomerKey, Encryption};
use stateward_testkit::{Fault, FaultProxy, Moto, Rule, fresh_name};

use crate::denials;
use crate::place::{Place, status};
use crate::planted::{planted, says};

/// A table for a store, under a fresh name.
pub(crate) fn state_table(recovers: bool) -> String {
    let name = fresh_name("states");
    let table = json!({
        "TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "StateID", "AttributeType": "S"}, {"AttributeName": "VersionID", "AttributeType": "N"},
        ],
        "KeySchema": [
            {"AttributeName": "StateID", "KeyType": "HASH"}, {"AttributeName": "VersionID", "KeyType": "RANGE"},
        ],
    });
    Moto::shared().dynamodb("CreateTable", &table.to_string());
    self::recovers(&name, recovers);
    name
}

fn recovers(table: &str, recovers: bool) {
    let recovery =
        json!({"TableName": table, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovers}});
    Moto::shared().dynamodb("UpdateContinuousBackups", &recovery.to_string());
}

pub(crate) fn in_tables(place: &mut Place) {
    place.target.layout = Layout::StatewardDynamodb;
    let table = state_table(true);
    place.own_table = Some(table.clone());
    place.target.place = table;
    place.target.key = String::new();
    place.target.use_lockfile = false;
}

fn described(status: &str) -> Fault {
    let table = json!({"Table": {
        "TableName": "t", "TableStatus": status,
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
    }});
    let headers = vec![("Content-Type".to_owned(), "application/x-amz-json-1.0".to_owned())];
    Fault::Answer { status: 200, headers, body: table.to_string() }
}

/// Both tables are looked at, each for what it is.
#[tokio::test]
async fn a_store_in_tables() {
    let fail = |check| [(check, Status::Fail)];
    planted("as it should be", &[], in_tables).await;
    planted("without a lock table", &[], |place| {
        in_tables(place);
        place.target.lock_table = None;
    })
    .await;
    planted("its table is missing", &fail("lock-table-exists"), |place| {
        in_tables(place);
        place.target.place = fresh_name("nowhere");
    })
    .await;
    planted("its lock table is missing", &fail("lock-table-exists"), |place| {
        in_tables(place);
        place.target.lock_table = Some(fresh_name("nowhere"));
    })
    .await;
    planted("its table cannot be recovered", &[("lock-table-recovery", Status::Warn)], |place| {
        in_tables(place);
        place.target.place = state_table(false);
    })
    .await;
    planted("a table that is no lock table", &fail("lock-table-schema"), |place| {
        in_tables(place);
        place.target.lock_table = Some(state_table(true));
    })
    .await;
    planted("a table that is no store's", &fail("lock-table-schema"), |place| {
        in_tables(place);
        place.target.place = Moto::shared().create_lock_table();
        recovers(&place.target.place, true);
    })
    .await;
    planted("no table of this name", &fail("lock-table-exists"), |place| {
        in_tables(place);
        place.target.place = "a table".to_owned();
    })
    .await;
    planted("it may not be described", &fail("right:dynamodb:DescribeTable"), |place| {
        in_tables(place);
        let end = "because no identity-based policy allows the dynamodb:DescribeTable action";
        place.proxy.inject(Rule::new(denials::dynamodb("dynamodb:DescribeTable", end)).operation("DescribeTable"));
    })
    .await;
    planted("conditions are not kept", &fail("conditional-write"), |place| {
        in_tables(place);
        let written = Fault::Answer { status: 200, headers: Vec::new(), body: "{}".to_owned() };
        place.proxy.inject(Rule::new(written).operation("PutItem"));
    })
    .await;
}

#[tokio::test]
async fn a_store_in_a_bucket() {
    let fail = |check| [(check, Status::Fail)];
    let in_bucket = |place: &mut Place| {
        place.target.layout = Layout::Stateward;
        place.target.key = "team".to_owned();
    };
    planted("as it should be", &[], in_bucket).await;
    planted("missing", &fail("bucket-exists"), |place| {
        in_bucket(place);
        place.target.place = fresh_name("nowhere");
    })
    .await;
    planted("conditions are not kept", &fail("conditional-write"), |place| {
        in_bucket(place);
        place.proxy.inject(Rule::new(Fault::status(200).header("ETag", "\"0\"")).operation("PutObject"));
    })
    .await;
    planted("a race", &fail("mutual-exclusion"), |place| {
        in_bucket(place);
        place.target.lock_table = None;
        let count = AtomicUsize::new(0);
        let rule = Rule::new(Fault::status(200).header("ETag", "\"0\"")).operation("PutObject");
        place.proxy.inject(rule.when(move |_| count.fetch_add(1, Ordering::Relaxed) >= 3));
    })
    .await;
    planted("writing is refused", &fail("right:s3:PutObject"), |place| {
        in_bucket(place);
        let end = "with an explicit deny in a service control policy";
        place.proxy.inject(Rule::new(denials::s3("s3:PutObject", end)).operation("CreateMultipartUpload"));
    })
    .await;
    let mut place = Place::new();
    in_bucket(&mut place);
    place.read_only = true;
    place.purpose = Purpose::Admin;
    says("read only", &place.examine().await, &[]);
    place.only_reads();
}

/// Whoever may list a whole bucket sees the names of all that is in it.
#[tokio::test]
async fn a_listing_that_is_refused_is_to_be_allowed_for_the_names_that_were_listed() {
    for (refused, layout, prefix) in [
        ("prefix=team", Layout::Stateward, "team/"),
        ("prefix=env", Layout::Stateward, "env:/"),
        ("prefix=", Layout::S3, ""),
    ] {
        let mut place = Place::new();
        place.target.layout = layout;
        if layout == Layout::Stateward {
            (place.target.key, place.target.shares) = ("team".to_owned(), true);
        }
        let end = "because no identity-based policy allows the s3:ListBucket action";
        let rule = Rule::new(denials::s3("s3:ListBucket", end)).operation("ListObjectsV2");
        place.proxy.inject(rule.when(move |request| request.query.contains(refused)));
        let found = place.examine().await;
        let finding = found.iter().find(|finding| finding.check == "right:s3:ListBucket").unwrap();
        let policy = finding.steps.iter().find_map(|step| step.policy.as_ref()).unwrap();
        let prefix = if prefix.is_empty() { place.target.key.as_str() } else { prefix };
        let condition = json!({"StringEquals": {"s3:prefix": prefix}});
        assert_eq!(policy["Statement"][0]["Condition"], condition, "{finding:?}");
    }
}

/// A store that shares the bucket with Terraform lists its workspaces, wherever they are.
#[tokio::test]
async fn a_store_beside_terraform() {
    let fail = [("right:s3:ListBucket", Status::Fail)];
    for (title, shares, workspaces, refused, expected) in [
        ("nothing is refused", true, "env:", None, &[][..]),
        ("workspaces may not be listed", true, "env:", Some("prefix=env"), &fail),
        ("it shares nothing", false, "env:", Some("prefix=env"), &[]),
        ("workspaces of its own", true, "team", Some("prefix=env"), &[]),
    ] {
        planted(title, expected, |place| {
            place.target.layout = Layout::Stateward;
            place.target.key = "team".to_owned();
            place.target.shares = shares;
            place.target.workspace_key_prefix = workspaces.to_owned();
            let end = "because no identity-based policy allows the s3:ListBucket action";
            let rule = Rule::new(denials::s3("s3:ListBucket", end)).operation("ListObjectsV2");
            place.proxy.inject(rule.when(move |request| refused.is_some_and(|prefix| request.query.contains(prefix))));
        })
        .await;
    }
}

#[tokio::test]
async fn read_only_in_tables_and_with_a_key() {
    let mut place = Place::new();
    in_tables(&mut place);
    place.read_only = true;
    place.purpose = Purpose::Admin;
    says("tables", &place.examine().await, &[]);
    place.only_reads();
    let mut place = Place::new();
    place.read_only = true;
    place.purpose = Purpose::Admin;
    place.target.objects.encryption = Encryption::Kms { key: KEY.to_owned() };
    place.proxy.inject(key("Enabled"));
    says("a key", &place.examine().await, &[]);
    place.only_reads();
}

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1a2b3c4d-0000-1111-2222-333344445555";

fn key(state: &str) -> Rule {
    let known =
        json!({"KeyMetadata": {"KeyId": "1a2b3c4d-0000-1111-2222-333344445555", "Arn": KEY, "KeyState": state}});
    let headers = vec![("Content-Type".to_owned(), "application/x-amz-json-1.1".to_owned())];
    Rule::new(Fault::Answer { status: 200, headers, body: known.to_string() }).operation("DescribeKey")
}

#[tokio::test]
async fn settings_of_tables_keys_and_endpoints() {
    let fail = |check| [(check, Status::Fail)];
    for state in ["CREATING", "DELETING", "INACCESSIBLE_ENCRYPTION_CREDENTIALS"] {
        planted(state, &fail("lock-table-exists"), |place| {
            place.proxy.inject(Rule::new(described(state)).operation("DescribeTable"));
        })
        .await;
    }
    for state in ["Disabled", "PendingDeletion"] {
        planted(state, &fail("bucket-encryption"), |place| {
            place.target.objects.encryption = Encryption::Kms { key: KEY.to_owned() };
            place.proxy.inject(key(state));
        })
        .await;
    }
    for algorithm in ["aws:kms", "aws:kms:dsse"] {
        planted("`encrypt` over the bucket's key", &[("bucket-encryption", Status::Warn)], |place| {
            place.target.objects.encryption = Encryption::S3;
            let body = format!(
                "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ApplyServerSideEncryptionByDefault>\
                 <SSEAlgorithm>{algorithm}</SSEAlgorithm><KMSMasterKeyID>{KEY}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
            );
            place.answer("encryption", &body);
        })
        .await;
    }
    for name in ["kms_key_id", "sse_customer_key"] {
        planted(name, &[("bucket-encryption", Status::Warn)], |place| place.target.unused_key = Some(name)).await;
    }
    planted("not encrypted on the way", &[("endpoint", Status::Warn)], |place| {
        // Another name of this machine.
        place.target.endpoints.dynamodb = Some(place.proxy.url().replace("127.0.0.1", "0.0.0.0"));
    })
    .await;
    let mut place = Place::new();
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned();
    place.target.objects.encryption = Encryption::Customer(CustomerKey::Given(key.clone()));
    let found = place.examine().await;
    says("a key of the backend's own", &found, &[]);
    let told = found.iter().find(|finding| finding.check == "bucket-encryption").unwrap();
    assert!(told.title.contains("`sse_customer_key`"), "{told:?}");
    assert!(!format!("{found:?}").contains(&key));
}

/// Whatever a key is called: the rights to use it are those of the key.
#[tokio::test]
async fn a_key_by_its_alias() {
    for name in ["alias/state", "1a2b3c4d-0000-1111-2222-333344445555", KEY] {
        let mut place = Place::new();
        place.put_object("", "{}");
        place.target.lock_table = None;
        place.target.objects.encryption = Encryption::Kms { key: name.to_owned() };
        place.proxy.inject(key("Enabled"));
        let found = place.examine().await;
        assert_eq!(status(&found, "right:kms:GenerateDataKey"), Status::Ok, "{name}");
        // Where nothing needs it, there is no such check.
        assert_eq!(status(&found, "right:kms:Decrypt"), Status::Untested, "{name}");
    }
}

/// Terraform stops in an account that the backend does not allow; moto's is 123456789012.
#[tokio::test]
async fn accounts_and_arguments_of_the_backend() {
    let ours = || vec!["123456789012".to_owned()];
    let fail = [("identity", Status::Fail)];
    planted("allowed", &[], |place| place.target.accounts.allowed = ours()).await;
    planted("another", &fail, |place| place.target.accounts.allowed = vec!["1".to_owned()]).await;
    planted("forbidden", &fail, |place| place.target.accounts.forbidden = ours()).await;
    planted("not known", &fail, |place| {
        place.target.accounts.allowed = ours();
        place.target.accounts.unasked = true;
    })
    .await;
    let warn = [("credentials", Status::Warn)];
    for token in [None, Some("hidden".to_owned())] {
        let mut place = Place::new();
        place.target.access.keys = Some(Credentials::new("AKIA1", "hidden", token, None, "test"));
        let found = place.examine().await;
        says("keys in the block", &found, &warn);
        let told = format!("{found:?}");
        assert!(told.contains("are arguments of the backend") && told.contains("`.terraform/`"), "{told}");
        assert!(!told.contains("hidden") && !told.contains("AKIA1"), "{told}");
    }
    let mut place = Place::new();
    place.target.accounts.unasked = true;
    place.target.unlooked = vec!["insecure", "https_proxy"];
    let broken = Fault::Answer { status: 501, headers: Vec::new(), body: String::new() };
    place.proxy.inject(Rule::new(broken).when(|request| request.action.as_deref() == Some("GetCallerIdentity")));
    let found = place.examine().await;
    says("nobody says who it is", &found, &[]);
    let why = |check: &str| {
        let finding = found.iter().find(|finding| finding.check == check).unwrap();
        assert_eq!(finding.status, Status::Untested);
        finding.why.clone().unwrap_or_default()
    };
    assert!(why("identity").contains("`skip_credentials_validation`"), "{}", why("identity"));
    assert!(why("arguments").contains("`insecure`, `https_proxy` of the backend; a proxy"), "{}", why("arguments"));
}

/// Where the policies say no and AWS says yes, another one has a say, or one was just changed.
#[tokio::test]
async fn allowed_live_and_denied_offline() {
    let mut place = Place::new();
    place.target.objects.encryption = Encryption::Bucket;
    let denies = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [format!("arn:aws:s3:::{}", place.bucket()), format!("arn:aws:s3:::{}/*", place.bucket())],
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Sid": "NoReading", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/*", place.bucket())},
    ]});
    place.proxy.heal();
    place.answer("policy", &denies.to_string());
    place.answer("publicAccessBlock", &crate::place::blocks(true));
    place.proxy.inject(Rule::new(caller()).when(|request| request.action.as_deref() == Some("GetCallerIdentity")));
    let found = place.examine().await;
    says("it works", &found, &[]);
    let finding = found.iter().find(|finding| finding.check == "right:s3:GetObject").unwrap();
    assert_eq!(status(&found, "right:s3:GetObject"), Status::Ok);
    let why = finding.why.as_deref().unwrap_or_default();
    assert!(why.contains("NoReading") && why.contains("unlike what was seen"), "{finding:?}");
}

/// The account's root user, of which no policies are read.
fn caller() -> Fault {
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                <Arn>arn:aws:iam::123456789012:root</Arn><UserId>123456789012</UserId><Account>123456789012</Account>\
                </GetCallerIdentityResult></GetCallerIdentityResponse>";
    Fault::Answer {
        status: 200,
        headers: vec![("Content-Type".to_owned(), "text/xml".to_owned())],
        body: body.to_owned(),
    }
}

/// No request waits for another that it does not need.
#[tokio::test]
async fn checks_run_side_by_side() {
    let place = Place::new();
    let waits = std::time::Duration::from_millis(300);
    let came = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&came);
    place.proxy.inject(Rule::new(Fault::Delay(waits)).when(move |_| {
        noted.lock().unwrap().push(std::time::Instant::now());
        true
    }));
    place.examine().await;
    let came = came.lock().unwrap().clone();
    // A request may have waited for those alone whose answers were there when it came.
    let mut depths: Vec<usize> = Vec::new();
    for (at, time) in came.iter().enumerate() {
        let before = depths[..at].iter().zip(&came).filter(|(_, other)| **other + waits <= *time);
        depths.push(1 + before.map(|(depth, _)| *depth).max().unwrap_or_default());
    }
    let deepest = depths.iter().max().copied().unwrap_or_default();
    assert!(came.len() > 60, "{}", came.len());
    assert!(deepest <= 24, "{deepest} of {} requests came one after the other: {depths:?}", came.len());
}

/// Who one is is asked of the STS that the store's URL names, as whoever assumes its role does.
#[tokio::test]
async fn the_sts_that_a_store_names() {
    let mut place = Place::new();
    let other = FaultProxy::to(Moto::shared().url());
    place.target.access.sts_endpoint = Some(other.url().to_owned());
    let found = place.examine().await;
    says("another STS", &found, &[]);
    assert_eq!((other.count("GetCallerIdentity"), place.proxy.count("GetCallerIdentity")), (1, 0));
}
