//! What there is of policies and roles.

use std::collections::BTreeMap;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{PolicyScopeType, Tag};
use stateward_iam::decode_sent;

use super::super::{Access, ManagedPolicy, Namesake, Role, Wanted};
use super::unless;
use crate::Failed;

const MISSING: &str = "NoSuchEntity";

/// The policy and the role of this name.
pub(super) async fn find(iam: &Client, wanted: &Wanted, name: &str) -> Result<Access, Failed> {
    let arn = wanted.iam_arn("policy", name);
    Ok(Access { policy: policy(iam, &arn).await?, role: role(iam, name, &arn).await?, ..Access::default() })
}

/// Looks whether IAM has something else under the names of those that are missing.
pub(super) async fn namesakes(iam: &Client, wanted: &Wanted, all: &mut BTreeMap<String, Access>) -> Result<(), Failed> {
    if all.values().any(|access| access.policy.is_none()) {
        let policies = iam.list_policies().scope(PolicyScopeType::Local).into_paginator().items().send();
        let policies = policies.try_collect().await.map_err(|error| Failed::new("IAM: ListPolicies", &error));
        let policies = policies.map(|all| all.into_iter().filter_map(|policy| policy.policy_name.zip(policy.arn)));
        let named = seen("iam:ListPolicies", policies.map(Iterator::collect))?;
        for (name, access) in all.iter_mut().filter(|(_, access)| access.policy.is_none()) {
            access.policy_namesake = namesake(&named, name, &wanted.iam_arn("policy", name));
        }
    }
    let has_role = |name: &str| wanted.environments().any(|(bucket, one)| one.has_role() && one.access(bucket) == name);
    let lacks_role = |(name, access): &(&String, &mut Access)| access.role.is_none() && has_role(name);
    if all.iter_mut().any(|one| lacks_role(&one)) {
        let roles = iam.list_roles().into_paginator().items().send();
        let roles = roles.try_collect().await.map_err(|error| Failed::new("IAM: ListRoles", &error));
        let roles = roles.map(|all| all.into_iter().map(|role| (role.role_name, role.arn)));
        let named = seen("iam:ListRoles", roles.map(Iterator::collect))?;
        for (name, access) in all.iter_mut().filter(lacks_role) {
            access.role_namesake = namesake(&named, name, &wanted.iam_arn("role", name));
        }
    }
    Ok(())
}

/// Names with their ARNs, or why they cannot be seen.
type Named = Result<Vec<(String, String)>, String>;

fn seen(action: &str, named: Result<Vec<(String, String)>, Failed>) -> Result<Named, Failed> {
    match named {
        Err(failed) if failed.is_refused() => Ok(Err(format!("`{action}` is refused"))),
        named => named.map(Ok),
    }
}

fn namesake(named: &Named, name: &str, arn: &str) -> Namesake {
    match named {
        Err(obstacle) => Namesake::Unseen(obstacle.clone()),
        Ok(named) => {
            // The one of this very name may be there by now.
            let mut others = named.iter().filter(|(other, at)| other.eq_ignore_ascii_case(name) && at != arn);
            others.next().map_or(Namesake::None, |(_, at)| Namesake::Other(at.clone()))
        }
    }
}

fn tags(all: Option<Vec<Tag>>) -> BTreeMap<String, String> {
    all.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()
}

async fn policy(iam: &Client, arn: &str) -> Result<Option<ManagedPolicy>, Failed> {
    let answer = iam.get_policy().policy_arn(arn).send().await;
    let answer = unless(MISSING, answer.map_err(|error| Failed::new("IAM: GetPolicy", &error)))?;
    let Some(policy) = answer.and_then(|answer| answer.policy) else { return Ok(None) };
    let versions = iam.list_policy_versions().policy_arn(arn).into_paginator().items().send().try_collect().await;
    let mut versions = versions.map_err(|error| Failed::new("IAM: ListPolicyVersions", &error))?;
    versions.retain(|version| !version.is_default_version);
    versions.sort_by_key(|version| version.create_date);
    Ok(Some(ManagedPolicy {
        document: document(iam, arn, policy.default_version_id.as_deref()).await?,
        versions: versions.into_iter().filter_map(|version| version.version_id).collect(),
        tags: tags(policy.tags),
        description: policy.description.unwrap_or_default(),
    }))
}

/// What a version of a policy says.
async fn document(iam: &Client, arn: &str, version: Option<&str>) -> Result<String, Failed> {
    let request = iam.get_policy_version().policy_arn(arn).set_version_id(version.map(str::to_owned));
    let answer = request.send().await.map_err(|error| Failed::new("IAM: GetPolicyVersion", &error))?;
    Ok(sent(answer.policy_version.as_ref().and_then(|version| version.document.as_deref())))
}

/// What a managed policy says.
async fn in_force(iam: &Client, arn: &str) -> Result<String, Failed> {
    let answer = iam.get_policy().policy_arn(arn).send().await;
    let answer = answer.map_err(|error| Failed::new("IAM: GetPolicy", &error))?;
    let version = answer.policy.and_then(|policy| policy.default_version_id);
    document(iam, arn, version.as_deref()).await
}

fn sent(document: Option<&str>) -> String {
    document.map(decode_sent).unwrap_or_default()
}

/// A role, with the policies that it has beside the one of this ARN.
pub(super) async fn role(iam: &Client, name: &str, carried: &str) -> Result<Option<Role>, Failed> {
    let answer = iam.get_role().role_name(name).send().await;
    let answer = unless(MISSING, answer.map_err(|error| Failed::new("IAM: GetRole", &error)))?;
    let Some(role) = answer.and_then(|answer| answer.role) else { return Ok(None) };
    let attached = iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
    let attached =
        attached.try_collect().await.map_err(|error| Failed::new("IAM: ListAttachedRolePolicies", &error))?;
    let mut arns: Vec<String> = attached.into_iter().filter_map(|policy| policy.policy_arn).collect();
    let all = arns.len();
    arns.retain(|arn| arn != carried);
    let carries = arns.len() < all;
    let mut others = Vec::new();
    for arn in arns {
        let document = in_force(iam, &arn).await?;
        others.push((arn, document));
    }
    let within = iam.list_role_policies().role_name(name).into_paginator().items().send().try_collect().await;
    for policy in within.map_err(|error| Failed::new("IAM: ListRolePolicies", &error))? {
        let answer = iam.get_role_policy().role_name(name).policy_name(&policy).send().await;
        let answer = answer.map_err(|error| Failed::new("IAM: GetRolePolicy", &error))?;
        others.push((policy, decode_sent(&answer.policy_document)));
    }
    let boundary = match role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn) {
        Some(arn) => Some((arn.clone(), in_force(iam, &arn).await?)),
        None => None,
    };
    let trust = sent(role.assume_role_policy_document.as_deref());
    Ok(Some(Role { trust, carries, others, boundary, tags: tags(role.tags) }))
}
