//! What there is of keys.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyManagerType, KeyMetadata, KeySpec, KeyUsageType};

use super::super::key::{ENABLED, is_aws_alias};
use super::super::{Key, KeySettings, Maker, TAG, UsedKey, Wanted, WantedKey};
use super::unless;
use crate::Failed;

/// The tag of a key that says which alias it is to have.
pub(in super::super) const ALIAS: &str = "stateward:alias";
const MISSING: &str = "NotFoundException";

pub(super) async fn find(kms: &Client, wanted: &Wanted, key: &WantedKey) -> Result<Key, Failed> {
    match key {
        WantedKey::Given(name) => {
            let region = name.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
            if let Some(region) = region.filter(|region| *region != wanted.region) {
                return Ok(Key::Elsewhere(region.to_owned()));
            }
            Ok(describe(kms, name).await?.map_or(Key::Missing, |key| Key::There(settings(&key))))
        }
        WantedKey::Made(alias) => match describe(kms, alias).await? {
            Some(key) => Ok(Key::There(with_tags(kms, settings(&key)).await?)),
            None => unnamed(kms, alias).await,
        },
    }
}

async fn describe(kms: &Client, key: &str) -> Result<Option<KeyMetadata>, Failed> {
    let answer = kms.describe_key().key_id(key).send().await;
    let answer = answer.map_err(|error| Failed::new("KMS: DescribeKey", &error));
    Ok(unless(MISSING, answer)?.and_then(|answer| answer.key_metadata))
}

fn settings(key: &KeyMetadata) -> KeySettings {
    KeySettings {
        arn: key.arn.clone().unwrap_or_default(),
        state: key.key_state.as_ref().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        encrypts: key.key_usage == Some(KeyUsageType::EncryptDecrypt)
            && key.key_spec == Some(KeySpec::SymmetricDefault),
        maker: if key.key_manager == Some(KeyManagerType::Aws) { Maker::Aws } else { Maker::Owner },
        ..KeySettings::default()
    }
}

async fn with_tags(kms: &Client, key: KeySettings) -> Result<KeySettings, Failed> {
    let is_ours = tags(kms, &key.arn).await?.get(TAG.0).is_some_and(|value| value == TAG.1);
    // Of another kind KMS does not say whether it rotates.
    if !key.encrypts {
        return Ok(key);
    }
    let answer = kms.get_key_rotation_status().key_id(&key.arn).send().await;
    let answer = answer.map_err(|error| Failed::new("KMS: GetKeyRotationStatus", &error))?;
    let maker = if is_ours { Maker::Setup } else { key.maker };
    Ok(KeySettings { maker, rotates: answer.key_rotation_enabled, ..key })
}

async fn tags(kms: &Client, key: &str) -> Result<BTreeMap<String, String>, Failed> {
    let pages = kms.list_resource_tags().key_id(key).into_paginator().items().send();
    let all = pages.try_collect().await.map_err(|error| Failed::new("KMS: ListResourceTags", &error))?;
    Ok(all.into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect())
}

/// A key that was made for this alias, which it did not get: the set-up that made it was broken off there.
async fn unnamed(kms: &Client, alias: &str) -> Result<Key, Failed> {
    let keys = match keys_without_names(kms).await {
        Err(failed) if failed.is_refused() => {
            return Ok(Key::Unseen("`kms:ListAliases` or `kms:ListKeys` is refused".to_owned()));
        }
        keys => keys?,
    };
    let mut unseen = 0;
    for key in keys {
        let tags = match tags(kms, &key).await {
            Err(failed) if failed.is_refused() => {
                unseen += 1;
                continue;
            }
            // It may be gone since it was listed.
            tags => unless(MISSING, tags)?.unwrap_or_default(),
        };
        if tags.get(ALIAS).map(String::as_str) != Some(alias) {
            continue;
        }
        if let Some(found) = describe(kms, &key).await?.map(|key| settings(&key)).filter(|key| key.state == ENABLED) {
            return Ok(Key::Unnamed(with_tags(kms, found).await?));
        }
    }
    Ok(match unseen {
        0 => Key::Missing,
        count => Key::Unseen(format!("`kms:ListResourceTags` is refused for {count} of those without an alias")),
    })
}

async fn keys_without_names(kms: &Client) -> Result<Vec<String>, Failed> {
    let aliases = kms.list_aliases().into_paginator().items().send().try_collect().await;
    let aliases = aliases.map_err(|error| Failed::new("KMS: ListAliases", &error))?;
    let named: BTreeSet<String> = aliases.into_iter().filter_map(|alias| alias.target_key_id).collect();
    let keys = kms.list_keys().into_paginator().items().send().try_collect().await;
    let keys = keys.map_err(|error| Failed::new("KMS: ListKeys", &error))?;
    Ok(keys.into_iter().filter_map(|key| key.key_id).filter(|key| !named.contains(key)).collect())
}

/// Who may use a key; `None` where that may not be read, as it never may of another account's.
pub(super) async fn policy(kms: &Client, arn: &str) -> Result<Option<String>, Failed> {
    let answer = kms.get_key_policy().key_id(arn).send().await;
    match answer.map_err(|error| Failed::new("KMS: GetKeyPolicy", &error)) {
        Ok(answer) => Ok(answer.policy),
        Err(failed) if failed.is_refused() => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Which key something is encrypted with, where it names one.
pub(super) async fn used(kms: &Client, wanted: &Wanted, name: &str) -> UsedKey {
    let plain = UsedKey { arn: name.to_owned(), by_aws: is_aws_alias(name), unusable: None };
    // Its ARN makes a difference only where another key is wanted.
    if plain.by_aws && wanted.key.is_none() {
        return plain;
    }
    match describe(kms, name).await {
        Ok(Some(key)) => {
            let found = settings(&key);
            let unusable = Some(found.state).filter(|state| !state.is_empty() && state != ENABLED);
            UsedKey { arn: found.arn, by_aws: found.maker == Maker::Aws, unusable }
        }
        // It may be another account's: whatever it is, it stays.
        _ => plain,
    }
}
