//! What is known of resources after a request that changed them.

use jiff::Timestamp;
use serde_json::Value;
use stateward_iam::PolicyKind;

use crate::ask::{Call, Query};
use crate::config::compile::{default_key_policy, parsed};
use crate::incoming::Incoming;
use crate::key_state::KeyState;
use crate::world::{Key, Role, Stored, World, account_of, name_of};

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
            world.keys.insert(arn.to_owned(), Key::new(policy, Vec::new(), KeyState::Enabled));
        }
        ("kms", "CreateAlias") => {
            let key = call.checks.get(1).and_then(|check| world.keys.get_mut(&check.resource));
            if let (Some(key), Some(alias)) = (key, text("AliasName")) {
                key.aliases.push(alias.to_owned());
            }
        }
        ("kms", "PutKeyPolicy") => {
            let policy = policy(text("Policy"), format!("the policy of {resource}"));
            if let Some(policy) = policy {
                known_key(world, resource).policies.push((now, policy));
            }
        }
        ("kms", "EnableKey") => known_key(world, resource).states.push((now, KeyState::Enabled)),
        // https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html: what was to be deleted is disabled.
        ("kms", "DisableKey" | "CancelKeyDeletion") => {
            known_key(world, resource).states.push((now, KeyState::Disabled));
        }
        ("kms", "ScheduleKeyDeletion") => known_key(world, resource).states.push((now, KeyState::PendingDeletion)),
        ("iam", operation) => of_iam(world, operation, resource, request),
        _ => {}
    }
}

/// One that nobody described is as AWS makes it.
fn known_key<'w>(world: &'w mut World, arn: &str) -> &'w mut Key {
    let own = || Key::new(default_key_policy(account_of(arn).unwrap_or_default()), Vec::new(), KeyState::Enabled);
    world.keys.entry(arn.to_owned()).or_insert_with(own)
}

/// Roles and what they carry; `resource` is the ARN of the role or the policy.
fn of_iam(world: &mut World, operation: &str, resource: &str, request: &Incoming) {
    let query = Query::of(request);
    let text = |name: &str| query.get(name).unwrap_or_default();
    let document = |name: &str, kind: PolicyKind| parsed(text(name), kind).ok();
    let trust = |name: &str| {
        let document = document(name, PolicyKind::Trust)?;
        Some(Stored { name: format!("the trust policy of {}", name_of(resource)), arn: None, document })
    };
    if operation == "CreateRole" {
        let (trust, tags) = (trust("AssumeRolePolicyDocument"), query.pairs("Tags").into_iter().collect());
        let (policies, boundary) = (Vec::new(), None);
        world.roles.push(Role { arn: resource.to_owned(), trust, policies, boundary, tags, made: true });
        return;
    }
    if let "CreatePolicy" | "CreatePolicyVersion" = operation {
        let is_current = operation == "CreatePolicy" || text("SetAsDefault") == "true";
        let Some(document) = document("PolicyDocument", PolicyKind::Identity).filter(|_| is_current) else { return };
        let carried = world.roles.iter_mut().flat_map(|role| &mut role.policies);
        for own in carried.filter(|own| own.arn.as_deref() == Some(resource)) {
            own.document = document.clone();
        }
        world.managed.insert(resource.to_owned(), document);
        return;
    }
    let managed = world.managed.get(text("PolicyArn")).cloned();
    let Some(role) = world.roles.iter_mut().find(|role| role.arn == resource) else { return };
    match operation {
        "UpdateAssumeRolePolicy" => role.trust = trust("PolicyDocument"),
        "TagRole" => role.tags.extend(query.pairs("Tags")),
        "PutRolePolicy" => {
            let name = text("PolicyName").to_owned();
            role.policies.retain(|own| own.arn.is_some() || own.name != name);
            let document = document("PolicyDocument", PolicyKind::Identity);
            role.policies.extend(document.map(|document| Stored { name, arn: None, document }));
        }
        "AttachRolePolicy" => {
            let arn = text("PolicyArn").to_owned();
            role.policies.retain(|own| own.arn.as_ref() != Some(&arn));
            let stored = |document| Stored { name: name_of(&arn).to_owned(), arn: Some(arn.clone()), document };
            role.policies.extend(managed.map(stored));
        }
        _ => {}
    }
}

fn policy(document: Option<&str>, name: String) -> Option<Stored> {
    let document = parsed(document?, PolicyKind::Resource).ok()?;
    Some(Stored { name, arn: None, document })
}
