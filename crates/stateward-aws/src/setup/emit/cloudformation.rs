//! The set-up as a template of `CloudFormation`.

use aws_sdk_s3::types::{LifecycleRule, ReplicationConfiguration, ReplicationRule};
use serde_json::{Map, Value, json};

use super::super::table::ON_DEMAND;
use super::super::trail::{ALL_REGIONS, CHECKED, GLOBAL};
use super::super::{
    Access, Bucket, Encryption, Found, Key, KeySettings, Logging, ManagedPolicy, Role, Settings, Table, Trail,
    TrailSettings, UsedKey, WantedKey, key,
};
use super::paper::Paper;
use super::shape::{members, selector, tags};
use super::unknown::{self, Unknown};

const ABOUT: &str = "What Terraform's state needs on AWS, as stateward setup aws makes it. What it keeps stays when the stack is deleted.";
/// The key that is made, and the parameter that says which one is meant by an alias.
const KEY: &str = "StateKey";
const KEY_ID: &str = "StateKeyId";
const LOGS_POLICY: &str = "LogBucketPolicy";
const REPLICA: &str = "ReplicaBucket";
const REPLICATOR: &str = "ReplicationRole";

pub(super) fn write(paper: &Paper) -> String {
    let mut template = Map::from_iter([
        ("AWSTemplateFormatVersion".to_owned(), json!("2010-09-09")),
        ("Description".to_owned(), json!(ABOUT)),
    ]);
    if let (Some(WantedKey::Given(name)), Some(arn)) = (&paper.wanted.key, paper.found.key_arn())
        && unknown::is_in(arn)
    {
        let about = format!("The id of the key that {name} stands for.");
        template.insert("Parameters".to_owned(), json!({KEY_ID: {"Type": "String", "Description": about}}));
    }
    let resources = resources(paper).into_iter().map(|(name, resource)| (name.to_owned(), resource));
    let resources = resources.chain(environments(paper)).collect();
    template.insert("Resources".to_owned(), substituted(Value::Object(resources), key_reference(paper)));
    if is_made(paper) {
        let about = "What the backend block names as kms_key_id.";
        let arn = json!({"Description": about, "Value": {"Fn::GetAtt": [KEY, "Arn"]}});
        template.insert("Outputs".to_owned(), json!({"KmsKeyId": arn}));
    }
    format!("{:#}\n", Value::Object(template))
}

fn is_made(paper: &Paper) -> bool {
    matches!(paper.wanted.key, Some(WantedKey::Made(_)))
}

fn key_reference(paper: &Paper) -> &'static str {
    if is_made(paper) { KEY } else { KEY_ID }
}

/// The same, with references in strings for what is not known.
fn substituted(value: Value, key: &str) -> Value {
    let reference = |of| match of {
        Unknown::Account => "${AWS::AccountId}".to_owned(),
        Unknown::Partition => "${AWS::Partition}".to_owned(),
        Unknown::Region => "${AWS::Region}".to_owned(),
        Unknown::KeyId => format!("${{{key}}}"),
    };
    match value {
        // What is written so and is meant as it is written.
        Value::String(text) if unknown::is_in(&text) => {
            json!({"Fn::Sub": unknown::told(&text.replace("${", "${!"), reference)})
        }
        Value::Array(all) => all.into_iter().map(|one| substituted(one, key)).collect(),
        Value::Object(all) => all.into_iter().map(|(name, of)| (name, substituted(of, key))).collect(),
        other => other,
    }
}

fn resources(paper: &Paper) -> Vec<(&'static str, Value)> {
    let Found { key, bucket, log_bucket, lock_table, state_table, trail, replica, replicator, access: _ } =
        &paper.found;
    let copy = replica.as_ref().map(|replica| &replica.bucket);
    let copy_name = paper.wanted.replica.as_ref().map(|replica| replica.bucket.clone());
    let mut all = Vec::new();
    if let (Some(WantedKey::Made(alias)), Some(Key::There(settings))) = (&paper.wanted.key, key) {
        all.push((KEY, key_of(paper, alias, settings)));
        let alias = json!({"AliasName": alias, "TargetKeyId": {"Ref": KEY}});
        all.push(("StateKeyAlias", json!({"Type": "AWS::KMS::Alias", "Properties": alias})));
    }
    for (names, name, found) in [
        (["LogBucket", LOGS_POLICY], &paper.wanted.log_bucket, log_bucket),
        ([REPLICA, "ReplicaBucketPolicy"], &copy_name, copy.unwrap_or(&None)),
        (["StateBucket", "StateBucketPolicy"], &paper.wanted.bucket, bucket),
    ] {
        if let (Some(name), Some(Bucket::There(settings))) = (name, found) {
            all.push((names[0], bucket_of(name, settings)));
            let policy = settings.policy.as_ref().and_then(|policy| serde_json::from_str::<Value>(policy).ok());
            all.extend(policy.map(|policy| {
                let properties = json!({"Bucket": {"Ref": names[0]}, "PolicyDocument": policy});
                // As long as the bucket: without it plain HTTP would be taken.
                (names[1], kept("AWS::S3::BucketPolicy", &properties))
            }));
        }
    }
    if let (Some(name), Some(role)) = (paper.wanted.replicator(), replicator) {
        all.push((REPLICATOR, role_of(&name, role, None)));
    }
    for (name, table, found) in
        [("LockTable", &paper.wanted.lock_table, lock_table), ("StateTable", &paper.wanted.state_table, state_table)]
    {
        if let (Some(table), Some(settings)) = (table, found) {
            all.push((name, table_of(table, settings)));
        }
    }
    if let (Some(name), Some(Trail::There(settings))) = (&paper.wanted.trail, trail) {
        all.push(("StateTrail", trail_of(paper, name, settings)));
    }
    all
}

/// What is there when the stack is not.
fn kept(kind: &str, properties: &Value) -> Value {
    json!({"Type": kind, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Properties": properties})
}

fn key_of(paper: &Paper, alias: &str, settings: &KeySettings) -> Value {
    let KeySettings { arn: _, state: _, encrypts: _, maker: _, rotates } = settings;
    let properties = json!({
        "Description": key::description(alias),
        "EnableKeyRotation": rotates,
        "Tags": tags(&key::tags(&paper.wanted, alias)),
    });
    kept("AWS::KMS::Key", &properties)
}

fn bucket_of(name: &str, settings: &Settings) -> Value {
    // The policy is a resource of its own.
    let Settings {
        ownership,
        grants: _,
        versioning,
        encryption,
        blocked,
        policy: _,
        lifecycle: (rules, _),
        tags: all,
        logging,
        replication,
        public: _,
        object_lock: _,
    } = settings;
    let [lists, ignored, policies, buckets] = blocked;
    let ownership = ownership.as_ref().map(|ownership| json!({"Rules": [{"ObjectOwnership": ownership}]}));
    let public = json!({
        "BlockPublicAcls": lists,
        "IgnorePublicAcls": ignored,
        "BlockPublicPolicy": policies,
        "RestrictPublicBuckets": buckets,
    });
    let properties = members([
        ("BucketName", Some(json!(name))),
        ("OwnershipControls", ownership),
        ("VersioningConfiguration", versioning.as_ref().map(|status| json!({"Status": status}))),
        ("BucketEncryption", encryption.as_ref().map(encrypted)),
        ("PublicAccessBlockConfiguration", Some(public)),
        (
            "LifecycleConfiguration",
            (!rules.is_empty()).then(|| json!({"Rules": rules.iter().map(rule).collect::<Value>()})),
        ),
        ("LoggingConfiguration", logging.as_ref().map(logged)),
        ("ReplicationConfiguration", replication.as_ref().map(copied)),
        ("Tags", Some(tags(all))),
    ]);
    let mut resource = kept("AWS::S3::Bucket", &properties);
    if logging.is_some() {
        resource["DependsOn"] = json!(LOGS_POLICY);
    }
    resource
}

fn logged(Logging { bucket: _, prefix }: &Logging) -> Value {
    json!({"DestinationBucketName": {"Ref": "LogBucket"}, "LogFilePrefix": prefix})
}

fn copied(replication: &ReplicationConfiguration) -> Value {
    let rule = |rule: &ReplicationRule| {
        let to = rule.destination.as_ref().and_then(|to| to.encryption_configuration.as_ref());
        let key = to.map(|to| json!({"ReplicaKmsKeyID": to.replica_kms_key_id}));
        let encrypted = key.as_ref().map(|_| json!({"SseKmsEncryptedObjects": {"Status": "Enabled"}}));
        let to = [("Bucket", Some(json!({"Fn::GetAtt": [REPLICA, "Arn"]}))), ("EncryptionConfiguration", key)];
        members([
            ("Id", rule.id().map(Value::from)),
            ("Priority", rule.priority.map(Value::from)),
            ("Status", Some(json!(rule.status.as_str()))),
            ("Filter", Some(json!({"Prefix": ""}))),
            ("DeleteMarkerReplication", Some(json!({"Status": "Enabled"}))),
            ("SourceSelectionCriteria", encrypted),
            ("Destination", Some(members(to))),
        ])
    };
    json!({"Role": {"Fn::GetAtt": [REPLICATOR, "Arn"]}, "Rules": replication.rules.iter().map(rule).collect::<Value>()})
}

/// The policy of each environment, and its role.
fn environments(paper: &Paper) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (place, (bucket, environment)) in paper.wanted.environments().enumerate() {
        let name = environment.access(bucket);
        let Some(Access { policy: Some(policy), role, .. }) = paper.found.access.get(&name) else { continue };
        // Policies have no tags there: set-up knows one by its description.
        let ManagedPolicy { document, versions: _, tags: _, description } = policy;
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let properties = json!({"ManagedPolicyName": name, "Description": description, "PolicyDocument": document});
        let id = id(place, &environment.name);
        let carried = format!("{id}Policy");
        all.extend(role.as_ref().map(|role| (format!("{id}Role"), role_of(&name, role, Some(&carried)))));
        all.push((carried, json!({"Type": "AWS::IAM::ManagedPolicy", "Properties": properties})));
    }
    all
}

/// What an environment goes by in the template, which takes letters and digits alone.
fn id(place: usize, name: &str) -> String {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    // What lacks a letter could be another's name.
    if plain == name { format!("Environment{name}") } else { format!("Number{place}Environment{plain}") }
}

fn role_of(name: &str, role: &Role, carried: Option<&str>) -> Value {
    let Role { trust, carries: _, others, boundary: _, tags: all } = role;
    let document = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let within = others.iter().map(|(name, policy)| json!({"PolicyName": name, "PolicyDocument": document(policy)}));
    let properties = members([
        ("RoleName", Some(json!(name))),
        ("AssumeRolePolicyDocument", Some(document(trust))),
        ("ManagedPolicyArns", carried.map(|policy| json!([{"Ref": policy}]))),
        ("Policies", (!others.is_empty()).then(|| within.collect())),
        ("Tags", Some(tags(all))),
    ]);
    json!({"Type": "AWS::IAM::Role", "Properties": properties})
}

fn encrypted(Encryption { rule, key }: &Encryption) -> Value {
    let default = rule.apply_server_side_encryption_by_default.as_ref().map(|default| {
        let key = key.as_ref().map(|UsedKey { arn, by_aws: _, unusable: _ }| json!(arn));
        members([("SSEAlgorithm", Some(json!(default.sse_algorithm.as_str()))), ("KMSMasterKeyID", key)])
    });
    let bucket_key = rule.bucket_key_enabled.map(Value::from);
    let rule = members([("BucketKeyEnabled", bucket_key), ("ServerSideEncryptionByDefault", default)]);
    json!({"ServerSideEncryptionConfiguration": [rule]})
}

fn rule(of: &LifecycleRule) -> Value {
    let old = of.noncurrent_version_expiration.as_ref().map(|old| {
        members([
            ("NoncurrentDays", old.noncurrent_days.map(Value::from)),
            ("NewerNoncurrentVersions", old.newer_noncurrent_versions.map(Value::from)),
        ])
    });
    let uploads = of.abort_incomplete_multipart_upload.as_ref();
    let uploads =
        uploads.map(|uploads| members([("DaysAfterInitiation", uploads.days_after_initiation.map(Value::from))]));
    members([
        ("Id", of.id().map(Value::from)),
        ("Status", Some(json!(of.status.as_str()))),
        ("NoncurrentVersionExpiration", old),
        ("AbortIncompleteMultipartUpload", uploads),
    ])
}

fn table_of(name: &str, table: &Table) -> Value {
    let Table { key, recovery, protected, on_demand: _, encryption, expiry, tags: all, policy: _, closed: _ } = table;
    let attributes: Value =
        key.iter().map(|(name, of, _)| json!({"AttributeName": name, "AttributeType": of})).collect();
    let parts: Value = key.iter().map(|(name, _, part)| json!({"AttributeName": name, "KeyType": part})).collect();
    let encryption = encryption.as_ref().map(
        |UsedKey { arn, by_aws: _, unusable: _ }| json!({"SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": arn}),
    );
    let expiry = expiry.as_ref().map(|attribute| json!({"AttributeName": attribute, "Enabled": true}));
    let properties = members([
        ("TableName", Some(json!(name))),
        ("AttributeDefinitions", Some(attributes)),
        ("KeySchema", Some(parts)),
        ("BillingMode", Some(json!(ON_DEMAND))),
        ("DeletionProtectionEnabled", Some(json!(protected))),
        ("PointInTimeRecoverySpecification", Some(json!({"PointInTimeRecoveryEnabled": recovery}))),
        ("SSESpecification", encryption),
        ("TimeToLiveSpecification", expiry),
        ("Tags", Some(tags(all))),
    ]);
    kept("AWS::DynamoDB::Table", &properties)
}

fn trail_of(paper: &Paper, name: &str, settings: &TrailSettings) -> Value {
    // The other kind of selectors is only where somebody chose it.
    let TrailSettings { bucket: _, is_ours: _, logging, selectors, advanced: _ } = settings;
    let properties = json!({
        "TrailName": name,
        "S3BucketName": {"Ref": "LogBucket"},
        "IsLogging": logging,
        "EnableLogFileValidation": CHECKED,
        "IncludeGlobalServiceEvents": GLOBAL,
        "IsMultiRegionTrail": ALL_REGIONS,
        "EventSelectors": selectors.iter().map(selector).collect::<Value>(),
        "Tags": tags(&paper.wanted.all_tags()),
    });
    json!({"Type": "AWS::CloudTrail::Trail", "DependsOn": LOGS_POLICY, "Properties": properties})
}
