//! What there is of tables.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    BillingMode, KeySchemaElement, PointInTimeRecoveryStatus, TableDescription, TableStatus, TimeToLiveStatus,
};
use futures::try_join;

use super::super::{Table, Use, Wanted};
use super::{key, unless};
use crate::{Failed, Services};

pub(super) async fn find(services: &Services, wanted: &Wanted, name: &str, of: Use) -> Result<Option<Table>, Failed> {
    let dynamodb = &services.dynamodb;
    let described = dynamodb.describe_table().table_name(name).send().await;
    let described = described.map_err(|error| Failed::new("DynamoDB: DescribeTable", &error));
    let Some(table) = unless("ResourceNotFoundException", described)?.and_then(|answer| answer.table) else {
        return Ok(None);
    };
    let closed = closed(&table);
    if closed.is_some() {
        // What else is asked about it may be refused by then.
        return Ok(Some(Table { key: key_of(&table), closed, ..Table::default() }));
    }
    let (recovery, expiry, tags, policy) = try_join!(
        recovery(dynamodb, name),
        expiry(dynamodb, name, of),
        tags(dynamodb, wanted, name),
        policy(dynamodb, wanted, name),
    )?;
    let used = table.sse_description().and_then(|encryption| encryption.kms_master_key_arn());
    let encryption = match used {
        Some(used) => Some(key::used(&services.kms, wanted, used).await),
        None => None,
    };
    Ok(Some(Table {
        key: key_of(&table),
        recovery,
        protected: table.deletion_protection_enabled() == Some(true),
        on_demand: table.billing_mode_summary().and_then(|billing| billing.billing_mode())
            == Some(&BillingMode::PayPerRequest),
        encryption,
        expiry,
        tags,
        policy,
        closed,
    }))
}

/// One that is being made or changed takes requests before long.
fn closed(table: &TableDescription) -> Option<String> {
    let status = table.table_status()?;
    let is_open = matches!(status, TableStatus::Active | TableStatus::Creating | TableStatus::Updating);
    (!is_open).then(|| status.as_str().to_owned())
}

/// The key: each attribute's name, type and part.
pub(crate) fn key_of(table: &TableDescription) -> Vec<(String, String, String)> {
    let kind = |attribute: &str| {
        let same = table.attribute_definitions().iter().find(|known| known.attribute_name == attribute);
        same.map(|known| known.attribute_type.as_str().to_owned()).unwrap_or_default()
    };
    let part = |part: &KeySchemaElement| {
        (part.attribute_name.clone(), kind(&part.attribute_name), part.key_type.as_str().to_owned())
    };
    table.key_schema().iter().map(part).collect()
}

async fn recovery(dynamodb: &Client, name: &str) -> Result<bool, Failed> {
    let backups = dynamodb.describe_continuous_backups().table_name(name).send().await;
    let backups = backups.map_err(|error| Failed::new("DynamoDB: DescribeContinuousBackups", &error));
    // A table that was made just now is not known there yet.
    let status = unless("TableNotFoundException", backups)?
        .and_then(|answer| answer.continuous_backups_description)
        .and_then(|backups| backups.point_in_time_recovery_description)
        .and_then(|recovery| recovery.point_in_time_recovery_status);
    Ok(status == Some(PointInTimeRecoveryStatus::Enabled))
}

async fn expiry(dynamodb: &Client, name: &str, of: Use) -> Result<Option<String>, Failed> {
    if of.expiry().is_none() {
        return Ok(None);
    }
    let answer = dynamodb.describe_time_to_live().table_name(name).send().await;
    let answer = answer.map_err(|error| Failed::new("DynamoDB: DescribeTimeToLive", &error))?;
    let on = |status: &TimeToLiveStatus| matches!(status, TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling);
    let found = answer.time_to_live_description.filter(|found| found.time_to_live_status.as_ref().is_some_and(on));
    Ok(found.and_then(|found| found.attribute_name))
}

/// It may let somebody of one environment at what is another's.
async fn policy(dynamodb: &Client, wanted: &Wanted, name: &str) -> Result<Option<String>, Failed> {
    if wanted.environments.is_empty() {
        return Ok(None);
    }
    let answer = dynamodb.get_resource_policy().resource_arn(wanted.table_arn(name)).send().await;
    let answer = answer.map_err(|error| Failed::new("DynamoDB: GetResourcePolicy", &error));
    Ok(unless("PolicyNotFoundException", answer)?.and_then(|answer| answer.policy))
}

async fn tags(dynamodb: &Client, wanted: &Wanted, name: &str) -> Result<BTreeMap<String, String>, Failed> {
    if wanted.tags.is_empty() {
        return Ok(BTreeMap::new());
    }
    let arn = wanted.table_arn(name);
    let (mut all, mut next) = (BTreeMap::new(), None);
    loop {
        let request = dynamodb.list_tags_of_resource().resource_arn(&arn).set_next_token(next.take());
        let page = request.send().await.map_err(|error| Failed::new("DynamoDB: ListTagsOfResource", &error))?;
        all.extend(page.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)));
        next = page.next_token;
        if next.is_none() {
            return Ok(all);
        }
    }
}
