//! Requests about tables.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::tag_resource::TagResourceError;
use aws_sdk_dynamodb::operation::update_continuous_backups::UpdateContinuousBackupsError;
use aws_sdk_dynamodb::operation::update_time_to_live::UpdateTimeToLiveError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, PointInTimeRecoverySpecification, SseSpecification, SseType,
    Tag, TimeToLiveSpecification,
};

use super::super::{Act, Use, Wanted};
use crate::Failed;

pub(super) async fn send(dynamodb: &Client, wanted: &Wanted, of: &str, act: &Act) -> Result<(), Failed> {
    match act {
        Act::CreateTable { of: r#use, key } => {
            let answer = create(dynamodb, wanted, of, *r#use, key.as_deref()).await;
            answer.map_err(|error| Failed::new("DynamoDB: CreateTable", &error))
        }
        Act::PointInTimeRecovery => {
            recover(dynamodb, of).await.map_err(|error| Failed::new("DynamoDB: UpdateContinuousBackups", &error))
        }
        Act::EncryptTable { key } => {
            let answer = dynamodb.update_table().table_name(of).sse_specification(encrypted(key)).send().await;
            answer.map(drop).map_err(|error| Failed::new("DynamoDB: UpdateTable", &error))
        }
        Act::Expire => expire(dynamodb, of).await.map_err(|error| Failed::new("DynamoDB: UpdateTimeToLive", &error)),
        Act::TagTable(all) => {
            let answer = tag(dynamodb, &wanted.table_arn(of), all).await;
            answer.map_err(|error| Failed::new("DynamoDB: TagResource", &error))
        }
        _ => {
            let answer = dynamodb.update_table().table_name(of).deletion_protection_enabled(true).send().await;
            answer.map(drop).map_err(|error| Failed::new("DynamoDB: UpdateTable", &error))
        }
    }
}

async fn create(
    dynamodb: &Client,
    wanted: &Wanted,
    name: &str,
    r#use: Use,
    key: Option<&str>,
) -> Result<(), SdkError<CreateTableError>> {
    let mut request = dynamodb
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .deletion_protection_enabled(true)
        .set_sse_specification(key.map(encrypted))
        .set_tags(Some(tags(&wanted.all_tags()).map_err(SdkError::construction_failure)?));
    for (name, kind, part) in r#use.key() {
        let attribute = AttributeDefinition::builder().attribute_name(*name).attribute_type((*kind).into()).build();
        let element = KeySchemaElement::builder().attribute_name(*name).key_type((*part).into()).build();
        request = request
            .attribute_definitions(attribute.map_err(SdkError::construction_failure)?)
            .key_schema(element.map_err(SdkError::construction_failure)?);
    }
    request.send().await.map(drop)
}

fn encrypted(key: &str) -> SseSpecification {
    SseSpecification::builder().enabled(true).sse_type(SseType::Kms).kms_master_key_id(key).build()
}

fn tags(all: &BTreeMap<String, String>) -> Result<Vec<Tag>, BuildError> {
    all.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

async fn recover(dynamodb: &Client, name: &str) -> Result<(), SdkError<UpdateContinuousBackupsError>> {
    let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
    let request = dynamodb.update_continuous_backups().table_name(name);
    let on = on.map_err(SdkError::construction_failure)?;
    request.point_in_time_recovery_specification(on).send().await.map(drop)
}

async fn expire(dynamodb: &Client, name: &str) -> Result<(), SdkError<UpdateTimeToLiveError>> {
    let attribute = Use::State.expiry().unwrap_or_default();
    let on = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
    let on = on.map_err(SdkError::construction_failure)?;
    dynamodb.update_time_to_live().table_name(name).time_to_live_specification(on).send().await.map(drop)
}

async fn tag(dynamodb: &Client, arn: &str, all: &BTreeMap<String, String>) -> Result<(), SdkError<TagResourceError>> {
    let tags = tags(all).map_err(SdkError::construction_failure)?;
    dynamodb.tag_resource().resource_arn(arn).set_tags(Some(tags)).send().await.map(drop)
}
