//! A key's policy has a say wherever S3 or `DynamoDB` uses the key; of its changes they learn late.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stateward_aws::{Failed, Services};
use stateward_denial::{Layer, Reason};
use stateward_testkit::{AwsEnv, Moto, fresh_name};

use crate::lab::{KEY, Lab, USER, block_on, everything, policy, world};

fn via(service: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        {
            "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:root" }, "Action": "kms:*", "Resource": "*",
            "Condition": { "StringEquals": { "kms:ViaService": format!("{service}.eu-west-1.amazonaws.com") } },
        },
    ] })
}

fn config(bucket: &str, key_policy: &Value) -> Value {
    json!({
        "upstream": { "url": Moto::shared().url() },
        "users": [{ "arn": USER, "policies": [policy("Allow", "s3:*", "*"), policy("Allow", "kms:*", "*")] }],
        "buckets": [{ "name": bucket, "kms_key": KEY }],
        "keys": [{ "arn": KEY, "policy": key_policy, "aliases": ["alias/states"] }],
    })
}

async fn put(services: &Services, bucket: &str) -> Result<(), Failed> {
    let put = services.s3.put_object().bucket(bucket).key("a/b").body(b"state".to_vec().into());
    put.send().await.map(drop).map_err(|error| Failed::new("S3: PutObject", &error))
}

async fn get(services: &Services, bucket: &str) -> Result<(), Failed> {
    let get = services.s3.get_object().bucket(bucket).key("a/b").send().await;
    get.map(drop).map_err(|error| Failed::new("S3: GetObject", &error))
}

#[test]
fn an_encrypted_object_needs_the_key() {
    let bucket = Moto::shared().create_bucket();
    let lab = Lab::new(&config(&bucket, &via("s3")));
    let services = lab.services(USER);
    block_on(async {
        put(&services, &bucket).await.expect("allowed");
        get(&services, &bucket).await.expect("allowed");
        services.s3.head_object().bucket(&bucket).key("a/b").send().await.expect("allowed");
    });
    let expected = ["+ s3:PutObject", "+ kms:GenerateDataKey", "+ s3:GetObject", "+ kms:Decrypt", "+ s3:GetObject"];
    assert_eq!(lab.decided(), expected);
    let context = &lab.running.lab().decisions()[1].scenario["request"]["context"];
    assert_eq!(context["kms:EncryptionContext:aws:s3:arn"], format!("arn:aws:s3:::{bucket}/a/b"));
    assert_eq!(context["kms:CallerAccount"], "123456789012");
}

#[test]
fn an_object_goes_by_its_own_key_and_not_the_buckets() {
    let bucket = Moto::shared().create_bucket();
    let lab = Lab::new(&config(&bucket, &via("dynamodb")));
    let services = lab.services(USER);
    block_on(async {
        let plain = services.s3.put_object().bucket(&bucket).key("a/b").body(b"state".to_vec().into());
        let plain = plain.server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::Aes256);
        plain.send().await.expect("S3's own key asks nobody");
        get(&services, &bucket).await.expect("no key is needed");
        let failed = put(&services, &bucket).await.expect_err("the key is not for S3");
        let denial = failed.problem().and_then(|problem| problem.denial).expect("a denial");
        assert_eq!(denial.action.as_deref(), Some("kms:GenerateDataKey"));
        assert_eq!((denial.layer, denial.error_code.as_deref()), (Layer::Resource, Some("AccessDenied")));
        get(&services, &bucket).await.expect("the object is as it was");
    });
}

#[test]
fn services_learn_late_of_a_changed_policy() {
    let bucket = Moto::shared().create_bucket();
    let lab = Lab::new(&config(&bucket, &via("s3")));
    let services = lab.services(USER);
    #[expect(clippy::disallowed_methods, reason = "the SDK signs with the real time")]
    let now = Timestamp::now();
    block_on(async {
        put(&services, &bucket).await.expect("allowed");
        lab.set_clock(now + SignedDuration::from_secs(1));
        lab.running.lab().change(world(&config(&bucket, &via("dynamodb"))));
        lab.set_clock(now + SignedDuration::from_secs(200));
        put(&services, &bucket).await.expect("not yet noticed");
        // S3 takes signatures of up to 15 minutes ago.
        lab.set_clock(now + SignedDuration::from_secs(400));
        let failed = put(&services, &bucket).await.expect_err("noticed");
        assert!(failed.words().contains("kms:GenerateDataKey"), "{failed}");
    });
}

#[test]
fn a_key_is_asked_for_under_its_alias() {
    let lab = Lab::new(&config(&fresh_name("none"), &via("s3")));
    let answer = block_on(lab.services(USER).kms.describe_key().key_id("alias/states").send());
    let failed = Failed::new("KMS: DescribeKey", &answer.expect_err("the key is for S3 alone"));
    let denial = failed.problem().and_then(|problem| problem.denial).expect("a denial");
    assert_eq!(denial.resource.as_deref(), Some(KEY));
    assert_eq!((failed.status, failed.code.as_deref()), (Some(400), Some("AccessDeniedException")));
}

async fn get_item(services: &Services, table: &str) -> Result<(), Failed> {
    let id = aws_sdk_dynamodb::types::AttributeValue::S("states/a".to_owned());
    // Moto keeps a Region's tables apart, and makes those of the tests in its own.
    let region = aws_config::Region::new(AwsEnv::REGION);
    let there = services.dynamodb.config().to_builder().region(region).build();
    let get = aws_sdk_dynamodb::Client::from_conf(there).get_item().table_name(table).key("LockID", id);
    get.send().await.map(drop).map_err(|error| Failed::new("DynamoDB: GetItem", &error))
}

/// A bucket and a table under one key.
fn under_key(bucket: &str, table: &str, key: &Value) -> Value {
    let arn = format!("arn:aws:dynamodb:{}:123456789012:table/{table}", AwsEnv::REGION);
    json!({
        "upstream": { "url": Moto::shared().url() },
        "answers": { "key_delay_s": 200 },
        "users": [{ "arn": USER, "policies": [everything()] }],
        "buckets": [{ "name": bucket, "kms_key": KEY }],
        "tables": [{ "arn": arn, "kms_key": KEY }],
        "keys": [key],
    })
}

/// `DynamoDB` keeps a table's key for some minutes: it learns as late of a policy as of a state, and tells it in KMS's words within its own.
#[test]
fn a_table_learns_late_of_what_became_of_its_key() {
    let bucket = Moto::shared().create_bucket();
    let table = Moto::shared().create_lock_table();
    let of_all = json!({ "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:root" }, "Action": "kms:*", "Resource": "*" },
    ] });
    for (changed, code, said) in [
        (
            json!({ "arn": KEY, "policy": via("s3") }),
            "AccessDeniedException",
            "is not authorized to perform: kms:Decrypt on resource: ",
        ),
        (
            json!({ "arn": KEY, "policy": of_all, "state": "disabled" }),
            "ValidationException",
            "KMS key disabled error: com.amazonaws.services.kms.model.DisabledException: ",
        ),
        (
            json!({ "arn": KEY, "policy": of_all, "state": "pending_deletion" }),
            "ValidationException",
            "is pending deletion. (Service: AWSKMS; Status Code: 400; Error Code: KMSInvalidStateException; Request ID: ",
        ),
    ] {
        let lab = Lab::new(&under_key(&bucket, &table, &json!({ "arn": KEY, "policy": of_all })));
        let services = lab.services(USER);
        #[expect(clippy::disallowed_methods, reason = "the SDK signs with the real time")]
        let now = Timestamp::now();
        block_on(async {
            get_item(&services, &table).await.expect("allowed");
            lab.set_clock(now + SignedDuration::from_secs(1));
            lab.running.lab().change(world(&under_key(&bucket, &table, &changed)));
            lab.set_clock(now + SignedDuration::from_secs(190));
            get_item(&services, &table).await.expect("not yet noticed");
            // DynamoDB takes signatures of up to five minutes ago.
            lab.set_clock(now + SignedDuration::from_secs(210));
            let failed = get_item(&services, &table).await.expect_err("noticed");
            assert_eq!((failed.status, failed.code.as_deref()), (Some(400), Some(code)), "{failed}");
            assert!(failed.words().contains(said), "{failed}");
            assert!(failed.problem().is_some(), "unknown: {failed}");
        });
    }
}

/// What requests do to a key S3 is told of at once where there is no delay.
#[test]
fn a_key_that_was_disabled_and_is_to_be_deleted() {
    let bucket = Moto::shared().create_bucket();
    let mut config = config(&bucket, &via("s3"));
    config["answers"] = json!({ "key_delay_s": 0 });
    config["keys"] = json!([]);
    config["buckets"] = json!([]);
    let lab = Lab::new(&config);
    let services = lab.services(USER);
    block_on(async {
        let kms = &services.kms;
        let key = kms.create_key().send().await.expect("allowed").key_metadata.expect("one").arn.expect("one");
        // Moto changes keys by their IDs alone.
        let id = key.rsplit('/').next().expect("an ID");
        let sealed = |key: &str| {
            let put = services.s3.put_object().bucket(&bucket).key("a/b").body(b"state".to_vec().into());
            let kms = aws_sdk_s3::types::ServerSideEncryption::AwsKms;
            put.server_side_encryption(kms).ssekms_key_id(key).send()
        };
        sealed(&key).await.expect("enabled");
        kms.disable_key().key_id(id).send().await.expect("allowed");
        let says = |failed: Failed, code: &str, end: &str| {
            assert_eq!((failed.status, failed.code.as_deref()), (Some(400), Some(code)), "{failed}");
            assert!(failed.words().ends_with(end), "{failed}");
        };
        let put = Failed::new("S3: PutObject", &sealed(&key).await.expect_err("disabled"));
        let reason = put.problem().and_then(|problem| problem.failure).and_then(|failure| failure.reason);
        assert_eq!(reason, Some(Reason::KeyState), "{put}");
        says(put, "KMS.DisabledException", &format!("{key} is disabled."));
        says(
            get(&services, &bucket).await.expect_err("disabled"),
            "KMS.DisabledException",
            &format!("{key} is disabled."),
        );
        let asked = kms.generate_data_key().key_id(&key).number_of_bytes(32).send().await.expect_err("disabled");
        says(Failed::new("KMS: GenerateDataKey", &asked), "DisabledException", &format!("{key} is disabled."));
        kms.schedule_key_deletion().key_id(id).send().await.expect("allowed");
        let gone = format!("{key} is pending deletion.");
        says(get(&services, &bucket).await.expect_err("pending"), "KMS.KMSInvalidStateException", &gone);
        let asked = kms.enable_key().key_id(id).send().await.expect_err("pending");
        says(Failed::new("KMS: EnableKey", &asked), "KMSInvalidStateException", &gone);
        kms.cancel_key_deletion().key_id(id).send().await.expect("allowed");
        says(
            get(&services, &bucket).await.expect_err("disabled"),
            "KMS.DisabledException",
            &format!("{key} is disabled."),
        );
        kms.enable_key().key_id(id).send().await.expect("allowed");
        get(&services, &bucket).await.expect("enabled");
    });
    let refused = lab.running.lab().decisions().into_iter().filter(|decision| decision.decision.is_none());
    let refused: Vec<_> = refused.map(|decision| (decision.action, decision.error.unwrap_or_default())).collect();
    assert_eq!(refused.len(), 6, "{refused:?}");
    assert_eq!(refused[0], ("kms:GenerateDataKey".to_owned(), "KMS.DisabledException".to_owned()));
}
