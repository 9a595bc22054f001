//! The set-up as resources of Terraform's AWS provider.

use std::collections::BTreeMap;

use aws_sdk_cloudtrail::types::EventSelector;
use aws_sdk_s3::types::{LifecycleRule, ReplicationRule};
use serde_json::Value;

use super::super::table::ON_DEMAND;
use super::super::trail::{ALL_REGIONS, CHECKED, GLOBAL};
use super::super::{
    Access, Bucket, Encryption, Found, Key, KeySettings, Logging, ManagedPolicy, Role, Settings, Table, Trail,
    TrailSettings, UsedKey, Wanted, WantedKey, key,
};
use super::hcl::{Block, Expression};
use super::paper::Paper;
use super::unknown;

const HEAD: &str = "\
# What Terraform's state needs on AWS, as `stateward setup aws` makes it.
#
# What is there already is taken over by a block such as
#
#   import {
#     to = RESOURCE
#     id = \"NAME\"
#   }
#
# for each resource; `terraform plan` then shows what would become of it. For each, and not for the bucket alone: a policy, an
# encryption or a life cycle that is there and that is not taken over is replaced by what stands here, and no plan shows what it was.
# `stateward setup aws` itself adds to what is there, and replaces nothing.
";

/// What the lifecycle of a bucket, its policy and its settings go by in the rest of the file.
const STATE: &str = "state";
const LOGS: &str = "logs";
const REPLICA: &str = "replica";
const REPLICATION: &str = "replication";

pub(super) fn write(wanted: &Wanted, paper: &Paper) -> String {
    let resources: Vec<String> = resources(paper).iter().map(Block::written).collect();
    let resources = resources.join("\n");
    let mut blocks = vec![terraform()];
    if !wanted.region.is_empty() {
        blocks.push(Block::new("provider", &["aws"]).text("region", &wanted.region));
    }
    if let Some(region) = elsewhere(paper) {
        blocks.push(Block::new("provider", &["aws"]).text("alias", REPLICA).text("region", region));
    }
    for kind in ["aws_caller_identity", "aws_partition", "aws_region"] {
        if resources.contains(&format!("data.{kind}.current")) {
            blocks.push(Block::new("data", &[kind, "current"]));
        }
    }
    if resources.contains("local.key_id") {
        let id = if is_made(paper) { "aws_kms_key.state.key_id" } else { "data.aws_kms_key.state.id" };
        blocks.push(Block::new("locals", &[]).plain("key_id", id));
    }
    let head: Vec<String> = blocks.iter().map(Block::written).collect();
    [HEAD, &head.join("\n"), &resources].join("\n")
}

fn terraform() -> Block {
    let aws = Expression::Object(vec![
        ("source".to_owned(), Expression::Text("hashicorp/aws".to_owned())),
        ("version".to_owned(), Expression::Text(">= 5.0".to_owned())),
    ]);
    Block::new("terraform", &[]).block(Block::new("required_providers", &[]).set("aws", aws))
}

fn is_made(paper: &Paper) -> bool {
    matches!(paper.wanted.key, Some(WantedKey::Made(_)))
}

/// The Region of the copy, where it is another one.
fn elsewhere(paper: &Paper) -> Option<&str> {
    paper.wanted.replica.as_ref()?.region.as_deref().filter(|region| *region != paper.wanted.region)
}

fn resources(paper: &Paper) -> Vec<Block> {
    let Found { key, bucket, log_bucket, lock_table, state_table, trail, replica, replicator, access } = &paper.found;
    let mut all = Vec::new();
    if let Some(Key::There(settings)) = key {
        all.extend(key_of(paper, settings));
    }
    for (label, name, found) in [(LOGS, &paper.wanted.log_bucket, log_bucket), (STATE, &paper.wanted.bucket, bucket)] {
        if let (Some(name), Some(Bucket::There(settings))) = (name, found) {
            all.extend(bucket_of(paper, label, name, settings));
        }
    }
    if let (Some(wanted), Some(found)) = (&paper.wanted.replica, replica)
        && let Some(Bucket::There(settings)) = &found.bucket
    {
        let blocks = bucket_of(paper, REPLICA, &wanted.bucket, settings);
        let is_elsewhere = elsewhere(paper).is_some();
        let provided =
            |block: Block| if is_elsewhere { block.plain("provider", format!("aws.{REPLICA}")) } else { block };
        all.extend(blocks.into_iter().map(provided));
    }
    if let (Some(name), Some(role)) = (paper.wanted.replicator(), replicator) {
        all.extend(role_of(REPLICATION, &name, role));
    }
    for (label, name, found) in
        [("locks", &paper.wanted.lock_table, lock_table), (STATE, &paper.wanted.state_table, state_table)]
    {
        if let (Some(name), Some(table)) = (name, found) {
            all.push(table_of(paper, label, name, table));
        }
    }
    if let (Some(name), Some(Trail::There(settings))) = (&paper.wanted.trail, trail) {
        all.push(trail_of(paper, name, settings));
    }
    for (place, (bucket, environment)) in paper.wanted.environments().enumerate() {
        let name = environment.access(bucket);
        if let Some(found) = access.get(&name) {
            all.extend(access_of(&label(place, &environment.name), &name, found));
        }
    }
    all
}

/// What an environment's policy and role go by in the rest of the file.
fn label(place: usize, name: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    // What has another letter in its place could be another's name.
    if name.chars().all(plain) {
        format!("env_{name}")
    } else {
        format!("env{place}_{}", name.replace(|char| !plain(char), "_"))
    }
}

fn resource(kind: &str, label: &str) -> Block {
    Block::new("resource", &[kind, label])
}

fn tags(all: &BTreeMap<String, String>) -> Expression {
    Expression::Object(all.iter().map(|(key, value)| (key.clone(), Expression::Text(value.clone()))).collect())
}

/// With what it keeps a resource would be gone for good.
fn kept() -> Block {
    Block::new("lifecycle", &[]).plain("prevent_destroy", true)
}

fn after(resource: &str) -> Expression {
    Expression::List(vec![Expression::plain(resource)])
}

fn key_of(paper: &Paper, settings: &KeySettings) -> Vec<Block> {
    let KeySettings { arn: _, state: _, encrypts: _, maker: _, rotates } = settings;
    match &paper.wanted.key {
        Some(WantedKey::Made(alias)) => vec![
            resource("aws_kms_key", STATE)
                .text("description", &key::description(alias))
                .plain("enable_key_rotation", rotates)
                .set("tags", tags(&key::tags(&paper.wanted, alias)))
                .block(kept()),
            resource("aws_kms_alias", STATE).text("name", alias).plain("target_key_id", "aws_kms_key.state.key_id"),
            Block::new("output", &["kms_key_id"])
                .text("description", "What the backend block names as `kms_key_id`.")
                .plain("value", "aws_kms_key.state.arn"),
        ],
        Some(WantedKey::Given(key)) if unknown::is_in(&settings.arn) => {
            vec![Block::new("data", &["aws_kms_key", STATE]).text("key_id", key)]
        }
        _ => Vec::new(),
    }
}

/// An ARN of a key, by reference where it is not known.
fn key_arn(paper: &Paper, arn: &str) -> Expression {
    match unknown::is_in(arn) {
        true if is_made(paper) => Expression::plain("aws_kms_key.state.arn"),
        true => Expression::plain("data.aws_kms_key.state.arn"),
        false => Expression::Text(arn.to_owned()),
    }
}

fn bucket_of(paper: &Paper, label: &str, name: &str, settings: &Settings) -> Vec<Block> {
    let Settings {
        ownership,
        grants: _,
        versioning,
        encryption,
        blocked,
        policy,
        lifecycle: (rules, _),
        tags: all,
        logging,
        replication,
        public: _,
        object_lock: _,
    } = settings;
    let part = |kind: &str| resource(kind, label).plain("bucket", format!("aws_s3_bucket.{label}.id"));
    let mut blocks = vec![resource("aws_s3_bucket", label).text("bucket", name).set("tags", tags(all)).block(kept())];
    blocks.extend(ownership.as_ref().map(|ownership| {
        part("aws_s3_bucket_ownership_controls").block(Block::new("rule", &[]).text("object_ownership", ownership))
    }));
    blocks.extend(versioning.as_ref().map(|status| {
        part("aws_s3_bucket_versioning").block(Block::new("versioning_configuration", &[]).text("status", status))
    }));
    blocks.extend(encryption.as_ref().map(|encryption| {
        part("aws_s3_bucket_server_side_encryption_configuration").block(encrypted(paper, encryption))
    }));
    let [lists, ignored, policies, buckets] = blocked;
    blocks.push(
        part("aws_s3_bucket_public_access_block")
            .plain("block_public_acls", lists)
            .plain("ignore_public_acls", ignored)
            .plain("block_public_policy", policies)
            .plain("restrict_public_buckets", buckets),
    );
    let policy = policy.as_ref().and_then(|policy| serde_json::from_str::<Value>(policy).ok());
    blocks.extend(policy.map(|policy| {
        let after = after(&format!("aws_s3_bucket_public_access_block.{label}"));
        part("aws_s3_bucket_policy").set("policy", Expression::json(&policy)).set("depends_on", after)
    }));
    if !rules.is_empty() {
        let after = after(&format!("aws_s3_bucket_versioning.{label}"));
        let all = part("aws_s3_bucket_lifecycle_configuration").set("depends_on", after);
        blocks.push(all.blocks(rules.iter().map(rule)));
    }
    blocks.extend(logging.as_ref().map(|Logging { bucket: _, prefix }| {
        part("aws_s3_bucket_logging")
            .plain("target_bucket", format!("aws_s3_bucket.{LOGS}.id"))
            .text("target_prefix", prefix)
            .set("depends_on", after(&format!("aws_s3_bucket_policy.{LOGS}")))
    }));
    blocks.extend(replication.as_ref().map(|all| {
        let needs = [
            format!("aws_s3_bucket_versioning.{label}"),
            format!("aws_s3_bucket_versioning.{REPLICA}"),
            format!("aws_iam_role_policy.{REPLICATION}"),
        ];
        part("aws_s3_bucket_replication_configuration")
            .plain("role", format!("aws_iam_role.{REPLICATION}.arn"))
            .set("depends_on", Expression::List(needs.iter().map(Expression::plain).collect()))
            .blocks(all.rules.iter().map(copied))
    }));
    blocks
}

fn copied(rule: &ReplicationRule) -> Block {
    let status = |kind: &str| Block::new(kind, &[]).text("status", "Enabled");
    let key = rule.destination.as_ref().and_then(|to| to.encryption_configuration.as_ref()?.replica_kms_key_id.clone());
    let encrypted =
        key.as_ref().map(|_| Block::new("source_selection_criteria", &[]).block(status("sse_kms_encrypted_objects")));
    let key = key.map(|key| Block::new("encryption_configuration", &[]).text("replica_kms_key_id", &key));
    let block = Block::new("rule", &[]).text("id", rule.id().unwrap_or_default());
    set(block, "priority", rule.priority)
        .text("status", rule.status.as_str())
        .block(Block::new("filter", &[]))
        .block(status("delete_marker_replication"))
        .blocks(encrypted)
        .block(Block::new("destination", &[]).plain("bucket", format!("aws_s3_bucket.{REPLICA}.arn")).blocks(key))
}

fn access_of(label: &str, name: &str, Access { policy, role, .. }: &Access) -> Vec<Block> {
    let own = policy.as_ref().map(|ManagedPolicy { document, versions: _, tags: all, description }| {
        resource("aws_iam_policy", label)
            .text("name", name)
            .text("description", description)
            .set("policy", Expression::json(&serde_json::from_str(document).unwrap_or_default()))
            .set("tags", tags(all))
    });
    let carried = role.as_ref().filter(|role| role.carries).map(|_| {
        resource("aws_iam_role_policy_attachment", label)
            .plain("role", format!("aws_iam_role.{label}.name"))
            .plain("policy_arn", format!("aws_iam_policy.{label}.arn"))
    });
    let role = role.iter().flat_map(|role| role_of(label, name, role));
    own.into_iter().chain(role).chain(carried).collect()
}

/// A role, and the policies within it.
fn role_of(label: &str, name: &str, role: &Role) -> Vec<Block> {
    let Role { trust, carries: _, others, boundary: _, tags: all } = role;
    let json = |text: &str| Expression::json(&serde_json::from_str(text).unwrap_or_default());
    let own = resource("aws_iam_role", label)
        .text("name", name)
        .set("assume_role_policy", json(trust))
        .set("tags", tags(all));
    let within = others.iter().map(|(policy, document)| {
        resource("aws_iam_role_policy", label)
            .text("name", policy)
            .plain("role", format!("aws_iam_role.{label}.id"))
            .set("policy", json(document))
    });
    [own].into_iter().chain(within).collect()
}

fn encrypted(paper: &Paper, Encryption { rule, key }: &Encryption) -> Block {
    let default = rule.apply_server_side_encryption_by_default.as_ref().map(|default| {
        let block = Block::new("apply_server_side_encryption_by_default", &[])
            .text("sse_algorithm", default.sse_algorithm.as_str());
        match key {
            Some(UsedKey { arn, by_aws: _, unusable: _ }) => block.set("kms_master_key_id", key_arn(paper, arn)),
            None => block,
        }
    });
    let block = Block::new("rule", &[]).blocks(default);
    match rule.bucket_key_enabled {
        Some(enabled) => block.plain("bucket_key_enabled", enabled),
        None => block,
    }
}

fn rule(of: &LifecycleRule) -> Block {
    let old = of.noncurrent_version_expiration.as_ref().map(|old| {
        let block = Block::new("noncurrent_version_expiration", &[]);
        let block = set(block, "noncurrent_days", old.noncurrent_days);
        set(block, "newer_noncurrent_versions", old.newer_noncurrent_versions)
    });
    let uploads = of.abort_incomplete_multipart_upload.as_ref().map(|uploads| {
        set(
            Block::new("abort_incomplete_multipart_upload", &[]),
            "days_after_initiation",
            uploads.days_after_initiation,
        )
    });
    Block::new("rule", &[])
        .text("id", of.id().unwrap_or_default())
        .text("status", of.status.as_str())
        .block(Block::new("filter", &[]))
        .blocks(old)
        .blocks(uploads)
}

fn set(block: Block, name: &str, value: Option<i32>) -> Block {
    match value {
        Some(value) => block.plain(name, value),
        None => block,
    }
}

fn table_of(paper: &Paper, label: &str, name: &str, table: &Table) -> Block {
    let Table { key, recovery, protected, on_demand: _, encryption, expiry, tags: all, policy: _, closed: _ } = table;
    let mut block = resource("aws_dynamodb_table", label).text("name", name).text("billing_mode", ON_DEMAND);
    for (attribute, _, part) in key {
        block = block.text(if part == "HASH" { "hash_key" } else { "range_key" }, attribute);
    }
    block
        .plain("deletion_protection_enabled", protected)
        .set("tags", tags(all))
        .blocks(key.iter().map(|(name, of, _)| Block::new("attribute", &[]).text("name", name).text("type", of)))
        .block(Block::new("point_in_time_recovery", &[]).plain("enabled", recovery))
        .blocks(encryption.as_ref().map(|UsedKey { arn, by_aws: _, unusable: _ }| {
            let block = Block::new("server_side_encryption", &[]).plain("enabled", true);
            block.set("kms_key_arn", key_arn(paper, arn))
        }))
        .blocks(
            expiry
                .as_ref()
                .map(|attribute| Block::new("ttl", &[]).text("attribute_name", attribute).plain("enabled", true)),
        )
        .block(kept())
}

fn trail_of(paper: &Paper, name: &str, settings: &TrailSettings) -> Block {
    // The other kind of selectors is only where somebody chose it.
    let TrailSettings { bucket: _, is_ours: _, logging, selectors, advanced: _ } = settings;
    resource("aws_cloudtrail", STATE)
        .text("name", name)
        .plain("s3_bucket_name", format!("aws_s3_bucket.{LOGS}.id"))
        .plain("enable_logging", logging)
        .plain("enable_log_file_validation", CHECKED)
        .plain("include_global_service_events", GLOBAL)
        .plain("is_multi_region_trail", ALL_REGIONS)
        .set("tags", tags(&paper.wanted.all_tags()))
        .set("depends_on", after(&format!("aws_s3_bucket_policy.{LOGS}")))
        .blocks(selectors.iter().map(selector))
}

fn selector(of: &EventSelector) -> Block {
    let block = Block::new("event_selector", &[]);
    let block = match &of.read_write_type {
        Some(kind) => block.text("read_write_type", kind.as_str()),
        None => block,
    };
    let block = match of.include_management_events {
        Some(included) => block.plain("include_management_events", included),
        None => block,
    };
    block.blocks(of.data_resources().iter().map(|resource| {
        let values = resource.values().iter().map(|value| Expression::Text(value.clone())).collect();
        let block = Block::new("data_resource", &[]).text("type", resource.r#type().unwrap_or_default());
        block.set("values", Expression::List(values))
    }))
}
