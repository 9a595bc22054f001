//! Requests about keys.

use std::collections::BTreeMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::Builder;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::operation::create_key::CreateKeyError;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, Tag};

use super::super::read::ALIAS;
use super::super::{Act, Wanted};
use crate::Failed;

pub(super) async fn send(kms: &Client, wanted: &Wanted, of: &str, act: &Act) -> Result<(), Failed> {
    match act {
        Act::CreateKey { alias } => {
            create(kms, wanted, alias).await.map_err(|error| Failed::new("KMS: CreateKey", &error))
        }
        Act::CreateAlias { alias } => {
            let answer = kms.create_alias().alias_name(alias).target_key_id(of).send().await;
            answer.map(drop).map_err(|error| Failed::new("KMS: CreateAlias", &error))
        }
        _ => {
            let answer = kms.enable_key_rotation().key_id(of).send().await;
            answer.map(drop).map_err(|error| Failed::new("KMS: EnableKeyRotation", &error))
        }
    }
}

/// By its tags the key is found again where the answer is lost. Sent once: each request that arrives makes another key.
async fn create(kms: &Client, wanted: &Wanted, alias: &str) -> Result<(), SdkError<CreateKeyError>> {
    let named = BTreeMap::from([(ALIAS.to_owned(), alias.to_owned())]);
    let tags = wanted.all_tags().into_iter().chain(named);
    let tags: Result<Vec<Tag>, _> =
        tags.map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build()).collect();
    let request = kms
        .create_key()
        .key_usage(KeyUsageType::EncryptDecrypt)
        .key_spec(KeySpec::SymmetricDefault)
        .description(format!("Encrypts Terraform state, as {alias}"))
        .set_tags(Some(tags.map_err(SdkError::construction_failure)?));
    let once = Builder::new().retry_config(RetryConfig::disabled());
    request.customize().config_override(once).send().await.map(drop)
}
