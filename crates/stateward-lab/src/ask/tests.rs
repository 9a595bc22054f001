//! Requests in short, and what they need.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::incoming::tests::incoming;
use crate::world::{Bucket, Key, Table};

const ACCOUNT: &str = "123456789012";
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/0a1b";
const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sealed";

fn world() -> World {
    let bucket = |account: &str, kms_key: Option<&str>| Bucket {
        account: Some(account.to_owned()),
        region: None,
        policy: None,
        kms_key: kms_key.map(str::to_owned),
    };
    let config: crate::Config = "{}".parse().expect("nothing to say");
    let mut world = config.compile(&|_| unreachable!("no file is named")).expect("a world");
    world.buckets = BTreeMap::from([
        ("sealed".to_owned(), bucket(ACCOUNT, Some(KEY))),
        ("theirs".to_owned(), bucket("999988887777", None)),
    ]);
    world.tables = BTreeMap::from([(TABLE.to_owned(), Table { policy: None, kms_key: Some(KEY.to_owned()) })]);
    let key = Key { aliases: vec!["alias/states".to_owned()], policies: Vec::new(), states: Vec::new() };
    world.keys = BTreeMap::from([(KEY.to_owned(), key)]);
    world
}

fn understood(service: Service, request: &Incoming) -> Result<Call, NotUnderstood> {
    let known = Known {
        world: &world(),
        region: "eu-west-1",
        account: Some(ACCOUNT),
        caller: "arn:aws:iam::123456789012:user/ci",
        sealed: &|bucket, _| (bucket == "sealed").then(|| KEY.to_owned()),
        partition_key: &|_| Some("LockID".to_owned()),
    };
    call(service, request, &known)
}

/// The operation, then each action with its resource.
fn needs(service: Service, request: &Incoming) -> String {
    let call = understood(service, request).unwrap_or_else(|error| panic!("not understood: {}", error.0));
    let checks = call.checks.iter().map(|check| format!(" | {} {}", check.action, check.resource));
    call.operation + &checks.collect::<String>()
}

fn s3(line: &str, headers: &[(&str, &str)], expected: &str) {
    assert_eq!(needs(Service::S3, &incoming(line, headers, "")), expected, "{line}");
}

#[test]
fn operations_of_s3() {
    for (line, expected) in [
        ("GET /", "ListBuckets | s3:ListAllMyBuckets *"),
        ("GET /b?list-type=2&prefix=a%2F", "ListObjectsV2 | s3:ListBucket arn:aws:s3:::b"),
        ("GET /b/?prefix=a&max-keys=1000", "ListObjects | s3:ListBucket arn:aws:s3:::b"),
        ("GET /b?versions&prefix=a", "ListObjectVersions | s3:ListBucketVersions arn:aws:s3:::b"),
        ("HEAD /b", "HeadBucket | s3:ListBucket arn:aws:s3:::b"),
        ("PUT /b", "CreateBucket | s3:CreateBucket arn:aws:s3:::b"),
        ("DELETE /b?encryption", "DeleteBucketEncryption | s3:PutEncryptionConfiguration arn:aws:s3:::b"),
        ("PUT /b?lifecycle", "PutBucketLifecycleConfiguration | s3:PutLifecycleConfiguration arn:aws:s3:::b"),
        ("HEAD /b/a/k", "HeadObject | s3:GetObject arn:aws:s3:::b/a/k"),
        ("GET /b/k?x-id=GetObject", "GetObject | s3:GetObject arn:aws:s3:::b/k"),
        ("GET /b/k?versionId=v", "GetObject | s3:GetObjectVersion arn:aws:s3:::b/k"),
        ("DELETE /b/k", "DeleteObject | s3:DeleteObject arn:aws:s3:::b/k"),
        ("DELETE /b/k?versionId=v", "DeleteObject | s3:DeleteObjectVersion arn:aws:s3:::b/k"),
        ("DELETE /b/k?uploadId=u", "AbortMultipartUpload | s3:AbortMultipartUpload arn:aws:s3:::b/k"),
        ("PUT /b/k?partNumber=1&uploadId=u", "UploadPart | s3:PutObject arn:aws:s3:::b/k"),
        ("PUT /b/k?tagging", "PutObjectTagging | s3:PutObjectTagging arn:aws:s3:::b/k"),
    ] {
        s3(line, &[], expected);
    }
    for line in ["POST /b?delete", "PUT /b/k?torrent", "PATCH /b/k", "PUT /b?metricsConfiguration", "PUT /"] {
        assert!(understood(Service::S3, &incoming(line, &[], "")).is_err(), "{line}");
    }
}

#[test]
fn encryption_with_a_key_needs_the_key() {
    let by = |algorithm| ("x-amz-server-side-encryption", algorithm);
    let with = |key| ("x-amz-server-side-encryption-aws-kms-key-id", key);
    let plain = "PutObject | s3:PutObject arn:aws:s3:::b/k";
    let sealed = format!("PutObject | s3:PutObject arn:aws:s3:::b/k | kms:GenerateDataKey {KEY}");
    s3("PUT /b/k", &[], plain);
    s3("PUT /b/k", &[by("AES256")], plain);
    for key in [KEY, "0a1b", "alias/states", "arn:aws:kms:eu-west-1:123456789012:alias/states"] {
        s3("PUT /b/k", &[by("aws:kms"), with(key)], &sealed);
    }
    // AWS's own key for S3 asks nobody's leave.
    s3("PUT /b/k", &[by("aws:kms")], plain);
    s3("PUT /sealed/k", &[], &sealed.replace("::b/", "::sealed/"));
    s3("PUT /sealed/k", &[by("AES256")], &plain.replace("::b/", "::sealed/"));
    let read = format!("GetObject | s3:GetObject arn:aws:s3:::sealed/k | kms:Decrypt {KEY}");
    s3("GET /sealed/k", &[], &read);
    s3("HEAD /sealed/k", &[], "HeadObject | s3:GetObject arn:aws:s3:::sealed/k");
    let checksum = [("x-amz-checksum-mode", "ENABLED")];
    s3("HEAD /sealed/k", &checksum, &read.replace("GetObject |", "HeadObject |"));
    s3(
        "PUT /b/k",
        &[("x-amz-copy-source", "/sealed/a%20b")],
        &format!(
            "CopyObject | s3:PutObject arn:aws:s3:::b/k | s3:GetObject arn:aws:s3:::sealed/a b | kms:Decrypt {KEY}"
        ),
    );
}

/// A key that was brought is named when it is read with, too: no condition asks about it there.
#[test]
fn what_is_said_about_encryption_is_asked_of_writes_alone() {
    for name in ["server-side-encryption", "server-side-encryption-customer-algorithm"] {
        let is_asked = |line| {
            let headers = [(format!("x-amz-{name}"), "AES256".to_owned())];
            let headers = headers.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
            let call = understood(Service::S3, &incoming(line, &headers, "")).expect("understood");
            call.checks[0].context.get(&format!("s3:x-amz-{name}")).is_some()
        };
        let asked = ["PUT /b/k", "PUT /b/k?partNumber=1&uploadId=u", "GET /b/k", "HEAD /b/k"].map(is_asked);
        assert_eq!(asked, [true, true, false, false], "{name}");
    }
}

#[test]
fn the_owner_of_a_bucket_is_told() {
    let owner = |line| {
        let call = understood(Service::S3, &incoming(line, &[], "")).expect("understood");
        (call.checks[0].account.clone(), call.account)
    };
    let both = |account: &str| (Some(account.to_owned()), Some(account.to_owned()));
    assert_eq!(owner("GET /theirs/k"), both("999988887777"));
    assert_eq!(owner("GET /unknown/k"), both(ACCOUNT));
}

fn json(service: Service, operation: &str, body: &str) -> Incoming {
    let target = match service {
        Service::Kms => format!("TrentService.{operation}"),
        _ => format!("DynamoDB_20120810.{operation}"),
    };
    incoming("POST /", &[("x-amz-target", &target)], body)
}

fn context_of(service: Service, operation: &str, body: &str, key: &str) -> Value {
    let call = understood(service, &json(service, operation, body)).expect("understood");
    call.checks[0].context.get(key).cloned().unwrap_or_default()
}

#[test]
fn operations_of_dynamodb() {
    let locks = "arn:aws:dynamodb:eu-west-1:123456789012:table/locks";
    for (operation, body, expected) in [
        ("ListTables", "{}", "ListTables | dynamodb:ListTables *".to_owned()),
        ("GetItem", r#"{"TableName":"locks"}"#, format!("GetItem | dynamodb:GetItem {locks}")),
        (
            "Query",
            r#"{"TableName":"locks","IndexName":"by-who"}"#,
            format!("Query | dynamodb:Query {locks}/index/by-who"),
        ),
        (
            "PutItem",
            r#"{"TableName":"arn:aws:dynamodb:eu-west-1:999988887777:table/t"}"#,
            "PutItem | dynamodb:PutItem arn:aws:dynamodb:eu-west-1:999988887777:table/t".to_owned(),
        ),
        ("PutItem", r#"{"TableName":"sealed"}"#, format!("PutItem | dynamodb:PutItem {TABLE} | kms:Decrypt {KEY}")),
        (
            "CreateTable",
            r#"{"TableName":"locks","Tags":[{"Key":"team","Value":"a"}]}"#,
            format!("CreateTable | dynamodb:CreateTable {locks} | dynamodb:TagResource {locks}"),
        ),
        (
            "BatchWriteItem",
            r#"{"RequestItems":{"locks":[{"PutRequest":{"Item":{"LockID":{"S":"a"}}}}]}}"#,
            format!("BatchWriteItem | dynamodb:BatchWriteItem {locks}"),
        ),
        (
            "TransactWriteItems",
            r#"{"TransactItems":[{"Put":{"TableName":"locks","Item":{"LockID":{"S":"a"}}}},
                {"ConditionCheck":{"TableName":"locks","Key":{"LockID":{"S":"b"}}}},
                {"Delete":{"TableName":"sealed","Key":{"LockID":{"S":"b"}}}}]}"#,
            format!(
                "TransactWriteItems | dynamodb:PutItem {locks} | dynamodb:ConditionCheckItem {locks} | dynamodb:DeleteItem {TABLE} | kms:Decrypt {KEY}"
            ),
        ),
    ] {
        assert_eq!(needs(Service::Dynamodb, &json(Service::Dynamodb, operation, body)), expected);
    }
    for (operation, body) in [("GetItem", "{}"), ("Explode", r#"{"TableName":"locks"}"#), ("GetItem", "no JSON")] {
        assert!(understood(Service::Dynamodb, &json(Service::Dynamodb, operation, body)).is_err(), "{operation}");
    }
}

#[test]
fn items_are_named_by_their_leading_keys() {
    for (operation, body, expected) in [
        ("GetItem", r#"{"TableName":"t","Key":{"LockID":{"S":"a"}}}"#, r#"["a"]"#),
        ("PutItem", r#"{"TableName":"t","Item":{"LockID":{"S":"a"},"Info":{"S":"x"}}}"#, r#"["a"]"#),
        (
            "Query",
            r#"{"TableName":"t","KeyConditionExpression":"LockID=:v AND begins_with(sort, :s)",
                "ExpressionAttributeValues":{":v":{"S":"a"},":s":{"S":"b"}}}"#,
            r#"["a"]"#,
        ),
        (
            "Query",
            r##"{"TableName":"t","KeyConditionExpression":":v = #k","ExpressionAttributeNames":{"#k":"LockID"},
                "ExpressionAttributeValues":{":v":{"S":"a"}}}"##,
            r#"["a"]"#,
        ),
        (
            "Query",
            r#"{"TableName":"t","KeyConditions":{"LockID":{"AttributeValueList":[{"S":"a"}],"ComparisonOperator":"EQ"}}}"#,
            r#"["a"]"#,
        ),
        (
            "BatchGetItem",
            r#"{"RequestItems":{"t":{"Keys":[{"LockID":{"S":"b"}},{"LockID":{"S":"a"}},{"LockID":{"S":"a"}}]}}}"#,
            r#"["a","b"]"#,
        ),
        ("Scan", r#"{"TableName":"t"}"#, "null"),
        ("DescribeTable", r#"{"TableName":"t"}"#, "null"),
    ] {
        let keys = context_of(Service::Dynamodb, operation, body, "dynamodb:LeadingKeys");
        assert_eq!(keys.to_string(), expected, "{operation} {body}");
    }
    let body = r##"{"TableName":"t","Key":{"LockID":{"S":"a"}},"ProjectionExpression":"LockID, #i, Info.Who",
        "ExpressionAttributeNames":{"#i":"Digest"}}"##;
    let attributes = context_of(Service::Dynamodb, "GetItem", body, "dynamodb:Attributes");
    assert_eq!(attributes.to_string(), r#"["Digest","Info","LockID"]"#);
    let body = r#"{"TableName":"t","Item":{"LockID":{"S":"a"}},"ConditionExpression":"attribute_not_exists(Held)"}"#;
    let attributes = context_of(Service::Dynamodb, "PutItem", body, "dynamodb:Attributes");
    assert_eq!(attributes.to_string(), r#"["Held","LockID"]"#);
}

#[test]
fn operations_of_kms() {
    // A ciphertext that begins with its key's ID.
    let blob = "MTExMTExMTEtMjIyMi0zMzMzLTQ0NDQtNTU1NTU1NTU1NTU1eA==";
    let named = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";
    for (operation, body, expected) in [
        ("CreateKey", "{}".to_owned(), "CreateKey | kms:CreateKey *".to_owned()),
        (
            "CreateKey",
            r#"{"Tags":[{"TagKey":"team","TagValue":"a"}]}"#.to_owned(),
            "CreateKey | kms:CreateKey * | kms:TagResource arn:aws:kms:eu-west-1:123456789012:key/*".to_owned(),
        ),
        ("DescribeKey", r#"{"KeyId":"alias/states"}"#.to_owned(), format!("DescribeKey | kms:DescribeKey {KEY}")),
        ("Encrypt", format!(r#"{{"KeyId":"{KEY}"}}"#), format!("Encrypt | kms:Encrypt {KEY}")),
        ("Decrypt", format!(r#"{{"CiphertextBlob":"{blob}"}}"#), format!("Decrypt | kms:Decrypt {named}")),
        (
            "CreateAlias",
            r#"{"AliasName":"alias/new","TargetKeyId":"0a1b"}"#.to_owned(),
            format!(
                "CreateAlias | kms:CreateAlias arn:aws:kms:eu-west-1:123456789012:alias/new | kms:CreateAlias {KEY}"
            ),
        ),
        (
            "ReEncrypt",
            format!(r#"{{"SourceKeyId":"0a1b","DestinationKeyId":"{named}"}}"#),
            format!("ReEncrypt | kms:ReEncryptFrom {KEY} | kms:ReEncryptTo {named}"),
        ),
    ] {
        assert_eq!(needs(Service::Kms, &json(Service::Kms, operation, &body)), expected);
    }
    let body = r#"{"KeyId":"0a1b","EncryptionContext":{"env":"prod"}}"#;
    assert_eq!(context_of(Service::Kms, "Encrypt", body, "kms:EncryptionContext:env"), "prod");
    assert!(understood(Service::Kms, &json(Service::Kms, "Explode", "{}")).is_err());
}

#[test]
fn operations_of_sts_and_iam() {
    let query = |body: &str| incoming("POST /", &[("content-type", "application/x-www-form-urlencoded")], body);
    let role = "arn:aws:iam::123456789012:role/deploy";
    let sts = |body| needs(Service::Sts, &query(body));
    assert_eq!(sts("Action=GetCallerIdentity&Version=2011-06-15"), "GetCallerIdentity | sts:GetCallerIdentity *");
    let assume = "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdeploy&RoleSessionName=run";
    assert_eq!(sts(assume), format!("AssumeRole | sts:AssumeRole {role}"));
    let tagged = format!("{assume}&Tags.member.1.Key=team&Tags.member.1.Value=a");
    assert_eq!(sts(&tagged), format!("AssumeRole | sts:AssumeRole {role} | sts:TagSession {role}"));
    let iam = |body: &str| needs(Service::Iam, &query(body));
    assert_eq!(iam("Action=GetUser"), "GetUser | iam:GetUser arn:aws:iam::123456789012:user/ci");
    assert_eq!(iam("Action=GetRole&RoleName=deploy"), format!("GetRole | iam:GetRole {role}"));
    assert_eq!(iam("Action=ListRoles"), "ListRoles | iam:ListRoles *");
    let made = "RoleName=x&Path=%2Fa%2F&Tags.member.1.Key=team&Tags.member.1.Value=b";
    let x = "arn:aws:iam::123456789012:role/a/x";
    assert_eq!(iam(&format!("Action=CreateRole&{made}")), format!("CreateRole | iam:CreateRole {x} | iam:TagRole {x}"));
    let policy = "arn:aws:iam::123456789012:policy/p";
    assert_eq!(iam("Action=CreatePolicy&PolicyName=p"), format!("CreatePolicy | iam:CreatePolicy {policy}"));
    let attach = format!("Action=AttachRolePolicy&RoleName=deploy&PolicyArn={policy}");
    assert_eq!(iam(&attach), format!("AttachRolePolicy | iam:AttachRolePolicy {role}"));
    for (service, body) in [(Service::Iam, "Action=CreateUser&UserName=x"), (Service::Sts, "Action=GetFederationToken")]
    {
        assert!(understood(service, &query(body)).is_err(), "{body}");
    }
}

/// What conditions of an organization ask for when something is made.
#[test]
fn tags_of_what_is_made() {
    let bucket = "<CreateBucketConfiguration><Tags><Tag><Key>team</Key><Value>a &amp; b</Value></Tag><Tag><Value>1</Value><Key>cost</Key></Tag></Tags></CreateBucketConfiguration>";
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let role = "Action=CreateRole&RoleName=x&Tags.member.1.Key=team&Tags.member.1.Value=a+%26+b&Tags.member.2.Key=cost&Tags.member.2.Value=1";
    for (service, request) in [
        (Service::S3, incoming("PUT /b", &[], bucket)),
        (
            Service::Dynamodb,
            json(
                Service::Dynamodb,
                "CreateTable",
                r#"{"TableName":"t","Tags":[{"Key":"team","Value":"a & b"},{"Key":"cost","Value":"1"}]}"#,
            ),
        ),
        (
            Service::Kms,
            json(
                Service::Kms,
                "CreateKey",
                r#"{"Tags":[{"TagKey":"team","TagValue":"a & b"},{"TagKey":"cost","TagValue":"1"}]}"#,
            ),
        ),
        (Service::Iam, incoming("POST /", &form, role)),
    ] {
        let call = understood(service, &request).expect("understood");
        assert_eq!(call.checks.len(), 2, "{}: the right to make it and the one to give tags", call.operation);
        for check in &call.checks {
            assert_eq!(check.context["aws:RequestTag/team"], "a & b", "{}", check.action);
            assert_eq!(check.context["aws:RequestTag/cost"], "1", "{}", check.action);
            assert_eq!(check.context["aws:TagKeys"], serde_json::json!(["team", "cost"]), "{}", check.action);
        }
    }
    let plain = understood(Service::S3, &incoming("PUT /b", &[], "")).expect("understood");
    assert!(plain.checks.len() == 1 && !plain.checks[0].context.contains_key("aws:TagKeys"), "{plain:?}");
}
