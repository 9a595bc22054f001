//! Read what is there. Nothing is written.

use aws_sdk_dynamodb::types::{BillingMode, PointInTimeRecoveryStatus};
use aws_sdk_s3::types::PublicAccessBlockConfiguration;

use super::{Bucket, Found, Settings, Table, Wanted};
use crate::{Failed, Services};

/// Whose credentials these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// Its partition: `aws`, `aws-cn`.
    pub partition: String,
}

/// Asks AWS whose credentials these are.
///
/// # Errors
///
/// A request that was refused or not answered.
pub async fn caller(services: &Services) -> Result<Caller, Failed> {
    let answer = services.sts.get_caller_identity().send().await;
    let answer = answer.map_err(|error| Failed::new("STS: GetCallerIdentity", &error))?;
    let partition = answer.arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws").to_owned();
    Ok(Caller { account: answer.account.unwrap_or_default(), partition })
}

/// Reads what is there of what is wanted.
///
/// # Errors
///
/// A request that was refused or not answered.
pub async fn read(services: &Services, wanted: &Wanted) -> Result<Found, Failed> {
    let table = match &wanted.lock_table {
        Some(name) => table(&services.dynamodb, name).await?,
        None => None,
    };
    Ok(Found { bucket: bucket(&services.s3, wanted).await?, table })
}

/// `None` where AWS answers that there is none.
fn unless<T>(missing: &str, answer: Result<T, Failed>) -> Result<Option<T>, Failed> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failed) if failed.is(missing) => Ok(None),
        Err(failed) => Err(failed),
    }
}

async fn bucket(s3: &aws_sdk_s3::Client, wanted: &Wanted) -> Result<Bucket, Failed> {
    let head = s3.head_bucket().bucket(&wanted.bucket).expected_bucket_owner(&wanted.account).send().await;
    let region = match &head {
        Ok(head) => head.bucket_region(),
        Err(error) => error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region")),
    };
    let elsewhere = region.filter(|region| *region != wanted.region).map(str::to_owned);
    // The answer to HEAD has no body, and so no code.
    match head.as_ref().map_err(|error| Failed::new("S3: HeadBucket", error)) {
        Err(failed) if failed.status == Some(404) => Ok(Bucket::Missing),
        Err(failed) if failed.status == Some(403) => Ok(Bucket::Foreign),
        Err(failed) if failed.status != Some(301) => Err(failed),
        Err(failed) => elsewhere.map(Bucket::Elsewhere).ok_or(failed),
        Ok(_) => match elsewhere {
            Some(region) => Ok(Bucket::Elsewhere(region)),
            None => Ok(Bucket::There(settings(s3, wanted).await?)),
        },
    }
}

async fn settings(s3: &aws_sdk_s3::Client, wanted: &Wanted) -> Result<Settings, Failed> {
    let (bucket, owner) = (&wanted.bucket, &wanted.account);
    let versioning = s3.get_bucket_versioning().bucket(bucket).expected_bucket_owner(owner).send().await;
    let versioning = versioning.map_err(|error| Failed::new("S3: GetBucketVersioning", &error))?;
    let ownership = s3.get_bucket_ownership_controls().bucket(bucket).expected_bucket_owner(owner).send().await;
    let ownership = ownership.map_err(|error| Failed::new("S3: GetBucketOwnershipControls", &error));
    let ownership = unless("OwnershipControlsNotFoundError", ownership)?.and_then(|answer| answer.ownership_controls);
    let encryption = s3.get_bucket_encryption().bucket(bucket).expected_bucket_owner(owner).send().await;
    let encryption = encryption.map_err(|error| Failed::new("S3: GetBucketEncryption", &error));
    let encryption = unless("ServerSideEncryptionConfigurationNotFoundError", encryption)?
        .and_then(|answer| answer.server_side_encryption_configuration)
        .and_then(|all| all.rules.into_iter().find_map(|rule| rule.apply_server_side_encryption_by_default));
    let blocked = s3.get_public_access_block().bucket(bucket).expected_bucket_owner(owner).send().await;
    let blocked = blocked.map_err(|error| Failed::new("S3: GetPublicAccessBlock", &error));
    let blocked = unless("NoSuchPublicAccessBlockConfiguration", blocked)?
        .and_then(|answer| answer.public_access_block_configuration);
    let policy = s3.get_bucket_policy().bucket(bucket).expected_bucket_owner(owner).send().await;
    let policy = policy.map_err(|error| Failed::new("S3: GetBucketPolicy", &error));
    Ok(Settings {
        ownership: ownership
            .and_then(|controls| controls.rules.into_iter().next())
            .map(|rule| rule.object_ownership.as_str().to_owned()),
        versioning: versioning.status.map(|status| status.as_str().to_owned()),
        encryption: encryption.map(|default| default.sse_algorithm.as_str().to_owned()),
        blocked: blocked.as_ref().map(four).unwrap_or_default(),
        policy: unless("NoSuchBucketPolicy", policy)?.and_then(|answer| answer.policy),
    })
}

fn four(blocks: &PublicAccessBlockConfiguration) -> [bool; 4] {
    [blocks.block_public_acls, blocks.ignore_public_acls, blocks.block_public_policy, blocks.restrict_public_buckets]
        .map(Option::unwrap_or_default)
}

async fn table(dynamodb: &aws_sdk_dynamodb::Client, name: &str) -> Result<Option<Table>, Failed> {
    let described = dynamodb.describe_table().table_name(name).send().await;
    let described = described.map_err(|error| Failed::new("DynamoDB: DescribeTable", &error));
    let Some(table) = unless("ResourceNotFoundException", described)?.and_then(|answer| answer.table) else {
        return Ok(None);
    };
    let backups = dynamodb.describe_continuous_backups().table_name(name).send().await;
    let backups = backups.map_err(|error| Failed::new("DynamoDB: DescribeContinuousBackups", &error));
    // A table that was made just now is not known there yet.
    let recovery = unless("TableNotFoundException", backups)?
        .and_then(|answer| answer.continuous_backups_description)
        .and_then(|backups| backups.point_in_time_recovery_description)
        .and_then(|recovery| recovery.point_in_time_recovery_status);
    let kind = |attribute: &str| {
        let same = table.attribute_definitions().iter().find(|known| known.attribute_name == attribute);
        same.map(|known| known.attribute_type.as_str().to_owned()).unwrap_or_default()
    };
    let part = |part: &aws_sdk_dynamodb::types::KeySchemaElement| {
        (part.attribute_name.clone(), kind(&part.attribute_name), part.key_type.as_str().to_owned())
    };
    Ok(Some(Table {
        key: table.key_schema().iter().map(part).collect(),
        recovery: recovery == Some(PointInTimeRecoveryStatus::Enabled),
        protected: table.deletion_protection_enabled() == Some(true),
        on_demand: table.billing_mode_summary().and_then(|billing| billing.billing_mode())
            == Some(&BillingMode::PayPerRequest),
    }))
}
