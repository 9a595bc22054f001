//! Requests about keys.

use aws_sdk_kms::Client;
use aws_sdk_kms::config::Builder;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::operation::create_key::CreateKeyError;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, Tag};

use super::super::{Act, Wanted, key};
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

/// Sent once: each request that arrives makes another key.
async fn create(kms: &Client, wanted: &Wanted, alias: &str) -> Result<(), SdkError<CreateKeyError>> {
    let tags = key::tags(wanted, alias).into_iter();
    let tags: Result<Vec<Tag>, _> =
        tags.map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build()).collect();
    let request = kms
        .create_key()
        .key_usage(KeyUsageType::EncryptDecrypt)
        .key_spec(KeySpec::SymmetricDefault)
        .description(key::description(alias))
        .set_tags(Some(tags.map_err(SdkError::construction_failure)?));
    let once = Builder::new().retry_config(RetryConfig::disabled());
    request.customize().config_override(once).send().await.map(drop)
}
