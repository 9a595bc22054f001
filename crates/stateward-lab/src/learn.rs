//! What is known of resources after a request that changed them.

use jiff::Timestamp;
use serde_json::Value;
use stateward_iam::PolicyKind;

use crate::ask::Call;
use crate::config::compile::{default_key_policy, parsed};
use crate::incoming::Incoming;
use crate::world::{Key, Stored, World, account_of};

/// Takes in what a request did.
pub(crate) fn from(world: &mut World, call: &Call, request: &Incoming, reply: &[u8], now: Timestamp) {
    let Some(resource) = call.checks.first().map(|check| check.resource.as_str()) else { return };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match (call.service.name(), call.operation.as_str()) {
        ("s3", "CreateBucket") => {
            let name = resource.trim_start_matches("arn:aws:s3:::").to_owned();
            world.buckets.entry(name).or_default().account.clone_from(&call.account);
        }
        ("s3", "PutBucketEncryption" | "DeleteBucketEncryption") => {
            let name = resource.trim_start_matches("arn:aws:s3:::").to_owned();
            let document = String::from_utf8_lossy(&request.body);
            let named = document.split_once("<KMSMasterKeyID>").and_then(|(_, rest)| rest.split('<').next());
            let key = named.map(|named| world.key(named).map_or(named, |(arn, _)| arn).to_owned());
            world.buckets.entry(name).or_default().kms_key = key;
        }
        ("dynamodb", "CreateTable" | "UpdateTable") => {
            let named = body.pointer("/SSESpecification/KMSMasterKeyId").and_then(Value::as_str);
            let key = named.map(|named| world.key(named).map_or(named, |(arn, _)| arn).to_owned());
            if let Some(key) = key {
                world.tables.entry(resource.to_owned()).or_default().kms_key = Some(key);
            }
        }
        ("dynamodb", "PutResourcePolicy") => {
            let policy = policy(text("Policy"), format!("the policy of {resource}"));
            world.tables.entry(resource.to_owned()).or_default().policy = policy;
        }
        ("dynamodb", "DeleteResourcePolicy") => {
            world.tables.entry(resource.to_owned()).or_default().policy = None;
        }
        ("dynamodb", "DeleteTable") => {
            world.tables.remove(resource);
        }
        ("kms", "CreateKey") => {
            let reply: Value = serde_json::from_slice(reply).unwrap_or_default();
            let Some(arn) = reply.pointer("/KeyMetadata/Arn").and_then(Value::as_str) else { return };
            let policy = policy(text("Policy"), format!("the policy of {arn}"));
            let policy = policy.unwrap_or_else(|| default_key_policy(account_of(arn).unwrap_or_default()));
            world.keys.insert(arn.to_owned(), Key { aliases: Vec::new(), policies: vec![(Timestamp::MIN, policy)] });
        }
        ("kms", "CreateAlias") => {
            let key = call.checks.get(1).and_then(|check| world.keys.get_mut(&check.resource));
            if let (Some(key), Some(alias)) = (key, text("AliasName")) {
                key.aliases.push(alias.to_owned());
            }
        }
        ("kms", "PutKeyPolicy") => {
            let policy = policy(text("Policy"), format!("the policy of {resource}"));
            let own = || Key { aliases: Vec::new(), policies: Vec::new() };
            if let Some(policy) = policy {
                world.keys.entry(resource.to_owned()).or_insert_with(own).policies.push((now, policy));
            }
        }
        _ => {}
    }
}

fn policy(document: Option<&str>, name: String) -> Option<Stored> {
    let document = parsed(document?, PolicyKind::Resource).ok()?;
    Some(Stored { name, arn: None, document })
}
