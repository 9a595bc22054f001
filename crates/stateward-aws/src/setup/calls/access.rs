//! Requests about policies and roles.

use std::collections::BTreeMap;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::Builder;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::error::{BuildError, SdkError};
use aws_sdk_iam::operation::create_policy::CreatePolicyError;
use aws_sdk_iam::operation::create_policy_version::CreatePolicyVersionError;
use aws_sdk_iam::operation::create_role::CreateRoleError;
use aws_sdk_iam::operation::tag_policy::TagPolicyError;
use aws_sdk_iam::operation::tag_role::TagRoleError;
use aws_sdk_iam::types::Tag;

use super::super::{Act, Wanted};
use crate::Failed;

pub(super) async fn send(iam: &Client, wanted: &Wanted, of: &str, act: &Act) -> Result<(), Failed> {
    let policy = wanted.iam_arn("policy", of);
    match act {
        Act::CreatePolicy { document, tags, description } => {
            let answer = create_policy(iam, of, document, tags, description).await;
            answer.map_err(|error| Failed::new("IAM: CreatePolicy", &error))
        }
        Act::PolicyVersion(document) => {
            let answer = put_version(iam, &policy, document).await;
            answer.map_err(|error| Failed::new("IAM: CreatePolicyVersion", &error))
        }
        Act::TagPolicy(all) => {
            tag_policy(iam, &policy, all).await.map_err(|error| Failed::new("IAM: TagPolicy", &error))
        }
        Act::CreateRole { trust, tags, description } => {
            let answer = create_role(iam, of, trust, tags, description).await;
            answer.map_err(|error| Failed::new("IAM: CreateRole", &error))
        }
        Act::Trust(trust) => {
            let answer = iam.update_assume_role_policy().role_name(of).policy_document(trust).send().await;
            answer.map(drop).map_err(|error| Failed::new("IAM: UpdateAssumeRolePolicy", &error))
        }
        Act::RolePolicy { name, document } => {
            let answer = iam.put_role_policy().role_name(of).policy_name(*name).policy_document(document).send().await;
            answer.map(drop).map_err(|error| Failed::new("IAM: PutRolePolicy", &error))
        }
        Act::TagRole(all) => tag_role(iam, of, all).await.map_err(|error| Failed::new("IAM: TagRole", &error)),
        _ => {
            let answer = iam.attach_role_policy().role_name(of).policy_arn(policy).send().await;
            answer.map(drop).map_err(|error| Failed::new("IAM: AttachRolePolicy", &error))
        }
    }
}

fn tags(all: &BTreeMap<String, String>) -> Result<Vec<Tag>, BuildError> {
    all.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

async fn create_policy(
    iam: &Client,
    name: &str,
    document: &str,
    all: &BTreeMap<String, String>,
    description: &str,
) -> Result<(), SdkError<CreatePolicyError>> {
    let tags = tags(all).map_err(SdkError::construction_failure)?;
    let request = iam.create_policy().policy_name(name).policy_document(document).set_tags(Some(tags));
    request.description(description).send().await.map(drop)
}

/// Sent once: each request that arrives makes another version, and IAM keeps five.
async fn put_version(iam: &Client, arn: &str, document: &str) -> Result<(), SdkError<CreatePolicyVersionError>> {
    let request = iam.create_policy_version().policy_arn(arn).policy_document(document).set_as_default(true);
    let once = Builder::new().retry_config(RetryConfig::disabled());
    request.customize().config_override(once).send().await.map(drop)
}

async fn tag_policy(iam: &Client, arn: &str, all: &BTreeMap<String, String>) -> Result<(), SdkError<TagPolicyError>> {
    let tags = tags(all).map_err(SdkError::construction_failure)?;
    iam.tag_policy().policy_arn(arn).set_tags(Some(tags)).send().await.map(drop)
}

async fn create_role(
    iam: &Client,
    name: &str,
    trust: &str,
    all: &BTreeMap<String, String>,
    description: &str,
) -> Result<(), SdkError<CreateRoleError>> {
    let tags = tags(all).map_err(SdkError::construction_failure)?;
    let request = iam.create_role().role_name(name).assume_role_policy_document(trust).set_tags(Some(tags));
    request.description(description).send().await.map(drop)
}

async fn tag_role(iam: &Client, name: &str, all: &BTreeMap<String, String>) -> Result<(), SdkError<TagRoleError>> {
    let tags = tags(all).map_err(SdkError::construction_failure)?;
    iam.tag_role().role_name(name).set_tags(Some(tags)).send().await.map(drop)
}
