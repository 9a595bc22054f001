//! A key's policy has a say wherever S3 or `DynamoDB` uses the key; of its changes they learn late.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stateward_aws::{Failed, Services};
use stateward_denial::Layer;
use stateward_testkit::{Moto, fresh_name};

use crate::lab::{KEY, Lab, USER, block_on, policy, world};

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
