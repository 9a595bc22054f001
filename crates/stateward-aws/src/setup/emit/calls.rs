//! The requests of a set-up, with the names and parameters of AWS's own interface.

use aws_sdk_cloudtrail::types::AdvancedEventSelector;
use serde_json::{Value, json};

use super::super::calls::location;
use super::super::lifecycle::{NEWEST, OLD_DAYS, UPLOAD_DAYS};
use super::super::policy::prefix;
use super::super::replica::REPLICATION_RULE;
use super::super::table::ON_DEMAND;
use super::super::trail::{ALL_REGIONS, CHECKED, GLOBAL};
use super::super::{Act, Call, Rule, Use, Wanted, key};
use super::paper::Paper;
use super::shape::{members, selector, tags};
use super::unknown::{self, Unknown};

const S3: &str = "s3";
const DYNAMODB: &str = "dynamodb";
const KMS: &str = "kms";
const CLOUDTRAIL: &str = "cloudtrail";
const IAM: &str = "iam";

pub(super) fn write(paper: &Paper) -> String {
    let items: Value = paper.calls.iter().map(|call| item(paper, call)).collect();
    let text = format!("{:#}\n", json!({"schema": 1, "items": items}));
    unknown::told(&text, |of| {
        let name = match of {
            Unknown::Account => "account",
            Unknown::Partition => "partition",
            Unknown::Region => "region",
            Unknown::KeyId => "key_id",
        };
        format!("${{{name}}}")
    })
}

fn item(paper: &Paper, Call { of, act, at_replica }: &Call) -> Value {
    let there = paper.wanted.of_replica().filter(|_| *at_replica);
    let (service, operation, parameters) = request(there.as_ref().unwrap_or(&paper.wanted), of, act);
    let region = there.map(|there| json!(there.region));
    members([
        ("service", Some(json!(service))),
        ("operation", Some(json!(operation))),
        ("region", region),
        ("parameters", Some(parameters)),
    ])
}

/// The service, the operation and its parameters.
fn request(wanted: &Wanted, of: &str, act: &Act) -> (&'static str, &'static str, Value) {
    let bucket = |operation, name: &str, value: Value| {
        let mut parameters = json!({"Bucket": of, "ExpectedBucketOwner": wanted.account});
        parameters[name] = value;
        (S3, operation, parameters)
    };
    let table = |operation, name: &str, value: Value| (DYNAMODB, operation, json!({"TableName": of, name: value}));
    match act {
        Act::CreateKey { alias } => (KMS, "CreateKey", create_key(wanted, alias)),
        Act::CreateAlias { alias } => (KMS, "CreateAlias", json!({"AliasName": alias, "TargetKeyId": of})),
        Act::RotateKey => (KMS, "EnableKeyRotation", json!({"KeyId": of})),
        Act::CreateBucket => (S3, "CreateBucket", create_bucket(wanted, of)),
        Act::OwnerEnforced => {
            let rules = json!({"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]});
            bucket("PutBucketOwnershipControls", "OwnershipControls", rules)
        }
        Act::Versioning => bucket("PutBucketVersioning", "VersioningConfiguration", json!({"Status": "Enabled"})),
        // Nothing is there before, that it or a rule could go with.
        Act::Encryption { key, over: _ } => {
            bucket("PutBucketEncryption", "ServerSideEncryptionConfiguration", encryption(key.as_deref()))
        }
        Act::BlockPublicAccess => bucket("PutPublicAccessBlock", "PublicAccessBlockConfiguration", public_access()),
        Act::Policy(policy) => bucket("PutBucketPolicy", "Policy", json!(policy)),
        Act::Lifecycle { kept: _, smallest: _, added } => {
            let rules = json!({"Rules": added.iter().copied().map(rule).collect::<Value>()});
            bucket("PutBucketLifecycleConfiguration", "LifecycleConfiguration", rules)
        }
        Act::Replicate { kept: _, role, to, key } => {
            bucket("PutBucketReplication", "ReplicationConfiguration", replication(role, to, key.as_deref()))
        }
        Act::TagBucket(all) => bucket("PutBucketTagging", "Tagging", json!({"TagSet": tags(all)})),
        Act::Log { into } => {
            let enabled = json!({"LoggingEnabled": {"TargetBucket": into, "TargetPrefix": prefix(of)}});
            bucket("PutBucketLogging", "BucketLoggingStatus", enabled)
        }
        Act::CreateTable { of: r#use, key } => {
            (DYNAMODB, "CreateTable", create_table(wanted, of, *r#use, key.as_deref()))
        }
        Act::PointInTimeRecovery => {
            let on = json!({"PointInTimeRecoveryEnabled": true});
            table("UpdateContinuousBackups", "PointInTimeRecoverySpecification", on)
        }
        Act::DeletionProtection => table("UpdateTable", "DeletionProtectionEnabled", json!(true)),
        Act::EncryptTable { key } => table("UpdateTable", "SSESpecification", encrypted(key)),
        Act::Expire => {
            let on = json!({"AttributeName": Use::State.expiry(), "Enabled": true});
            table("UpdateTimeToLive", "TimeToLiveSpecification", on)
        }
        Act::TagTable(all) => {
            (DYNAMODB, "TagResource", json!({"ResourceArn": wanted.table_arn(of), "Tags": tags(all)}))
        }
        Act::CreateTrail => (CLOUDTRAIL, "CreateTrail", create_trail(wanted, of)),
        Act::Select(all) => {
            let all: Value = all.iter().map(selector).collect();
            (CLOUDTRAIL, "PutEventSelectors", json!({"TrailName": of, "EventSelectors": all}))
        }
        Act::SelectAdvanced(all) => {
            let all: Value = all.iter().map(advanced).collect();
            (CLOUDTRAIL, "PutEventSelectors", json!({"TrailName": of, "AdvancedEventSelectors": all}))
        }
        Act::StartLogging => (CLOUDTRAIL, "StartLogging", json!({"Name": of})),
        Act::CreatePolicy { .. }
        | Act::PolicyVersion(_)
        | Act::TagPolicy(_)
        | Act::CreateRole { .. }
        | Act::Trust(_)
        | Act::RolePolicy { .. }
        | Act::AttachPolicy
        | Act::TagRole(_) => of_access(wanted, of, act),
    }
}

fn of_access(wanted: &Wanted, of: &str, act: &Act) -> (&'static str, &'static str, Value) {
    let policy = wanted.iam_arn("policy", of);
    let (operation, parameters) = match act {
        Act::CreatePolicy { document, tags: all, description } => (
            "CreatePolicy",
            json!({"PolicyName": of, "Description": description, "PolicyDocument": document, "Tags": tags(all)}),
        ),
        Act::PolicyVersion(document) => {
            let version = json!({"PolicyArn": policy, "PolicyDocument": document, "SetAsDefault": true});
            ("CreatePolicyVersion", version)
        }
        Act::TagPolicy(all) => ("TagPolicy", json!({"PolicyArn": policy, "Tags": tags(all)})),
        Act::CreateRole { trust, tags: all, description } => {
            let role = json!({
                "RoleName": of,
                "Description": description,
                "AssumeRolePolicyDocument": trust,
                "Tags": tags(all),
            });
            ("CreateRole", role)
        }
        Act::Trust(trust) => ("UpdateAssumeRolePolicy", json!({"RoleName": of, "PolicyDocument": trust})),
        Act::RolePolicy { name, document } => {
            ("PutRolePolicy", json!({"RoleName": of, "PolicyName": name, "PolicyDocument": document}))
        }
        Act::TagRole(all) => ("TagRole", json!({"RoleName": of, "Tags": tags(all)})),
        _ => ("AttachRolePolicy", json!({"RoleName": of, "PolicyArn": policy})),
    };
    (IAM, operation, parameters)
}

fn create_key(wanted: &Wanted, alias: &str) -> Value {
    let tags = key::tags(wanted, alias).into_iter();
    json!({
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "Description": key::description(alias),
        "Tags": tags.map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect::<Value>(),
    })
}

fn create_bucket(wanted: &Wanted, name: &str) -> Value {
    let mut settings = json!({"Tags": tags(&wanted.all_tags())});
    if let Some(region) = location(&wanted.region) {
        settings["LocationConstraint"] = json!(region);
    }
    json!({"Bucket": name, "ObjectOwnership": "BucketOwnerEnforced", "CreateBucketConfiguration": settings})
}

fn encryption(key: Option<&str>) -> Value {
    let rule = match key {
        Some(key) => json!({
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
            "BucketKeyEnabled": true,
        }),
        None => json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}),
    };
    json!({"Rules": [rule]})
}

fn public_access() -> Value {
    json!({
        "BlockPublicAcls": true,
        "IgnorePublicAcls": true,
        "BlockPublicPolicy": true,
        "RestrictPublicBuckets": true,
    })
}

fn rule(of: Rule) -> Value {
    let (name, value) = match of {
        Rule::OldVersions => {
            let old = json!({"NoncurrentDays": OLD_DAYS, "NewerNoncurrentVersions": NEWEST});
            ("NoncurrentVersionExpiration", old)
        }
        Rule::Uploads => ("AbortIncompleteMultipartUpload", json!({"DaysAfterInitiation": UPLOAD_DAYS})),
    };
    json!({"ID": of.id(), "Status": "Enabled", "Filter": {"Prefix": ""}, name: value})
}

fn replication(role: &str, to: &str, key: Option<&str>) -> Value {
    let keys = key.map(|key| json!({"ReplicaKmsKeyID": key}));
    let rule = members([
        ("ID", Some(json!(REPLICATION_RULE))),
        ("Priority", Some(json!(1))),
        ("Status", Some(json!("Enabled"))),
        ("Filter", Some(json!({"Prefix": ""}))),
        ("DeleteMarkerReplication", Some(json!({"Status": "Enabled"}))),
        ("SourceSelectionCriteria", key.map(|_| json!({"SseKmsEncryptedObjects": {"Status": "Enabled"}}))),
        ("Destination", Some(members([("Bucket", Some(json!(to))), ("EncryptionConfiguration", keys)]))),
    ]);
    json!({"Role": role, "Rules": [rule]})
}

fn encrypted(key: &str) -> Value {
    json!({"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": key})
}

fn create_table(wanted: &Wanted, name: &str, r#use: Use, key: Option<&str>) -> Value {
    let parts = r#use.key().iter();
    let attributes: Value =
        parts.clone().map(|(name, of, _)| json!({"AttributeName": name, "AttributeType": of})).collect();
    let mut parameters = json!({
        "TableName": name,
        "BillingMode": ON_DEMAND,
        "DeletionProtectionEnabled": true,
        "AttributeDefinitions": attributes,
        "KeySchema": parts.map(|(name, _, part)| json!({"AttributeName": name, "KeyType": part})).collect::<Value>(),
        "Tags": tags(&wanted.all_tags()),
    });
    if let Some(key) = key {
        parameters["SSESpecification"] = encrypted(key);
    }
    parameters
}

fn create_trail(wanted: &Wanted, name: &str) -> Value {
    json!({
        "Name": name,
        "S3BucketName": wanted.log_bucket,
        "EnableLogFileValidation": CHECKED,
        "IncludeGlobalServiceEvents": GLOBAL,
        "IsMultiRegionTrail": ALL_REGIONS,
        "TagsList": tags(&wanted.all_tags()),
    })
}

fn advanced(of: &AdvancedEventSelector) -> Value {
    let fields = of.field_selectors.iter().map(|field| {
        let lists = [
            ("Equals", &field.equals),
            ("StartsWith", &field.starts_with),
            ("EndsWith", &field.ends_with),
            ("NotEquals", &field.not_equals),
            ("NotStartsWith", &field.not_starts_with),
            ("NotEndsWith", &field.not_ends_with),
        ];
        let lists = lists.into_iter().map(|(name, values)| (name, values.as_ref().map(|values| json!(values))));
        members([("Field", Some(json!(field.field)))].into_iter().chain(lists))
    });
    members([("Name", of.name.as_ref().map(|name| json!(name))), ("FieldSelectors", Some(fields.collect()))])
}
