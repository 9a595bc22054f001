//! The requests that do the items.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::update_continuous_backups::UpdateContinuousBackupsError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification, ScalarAttributeType,
};
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::operation::put_bucket_encryption::PutBucketEncryptionError;
use aws_sdk_s3::operation::put_bucket_ownership_controls::PutBucketOwnershipControlsError;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};

use super::{Call, TAG, Wanted};
use crate::{Failed, Services};

/// The Region that is named by naming none, when a bucket is made.
const UNNAMED: &str = "us-east-1";

/// Sends the one request.
pub(super) async fn send(services: &Services, wanted: &Wanted, call: &Call) -> Result<(), Failed> {
    let (s3, dynamodb) = (&services.s3, &services.dynamodb);
    let table = wanted.lock_table.as_deref().unwrap_or_default();
    match call {
        Call::CreateBucket => create_bucket(s3, wanted).await.map_err(|error| Failed::new("S3: CreateBucket", &error)),
        Call::OwnerEnforced => {
            own(s3, wanted).await.map_err(|error| Failed::new("S3: PutBucketOwnershipControls", &error))
        }
        Call::Versioning => {
            let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            let request = s3.put_bucket_versioning().bucket(&wanted.bucket).expected_bucket_owner(&wanted.account);
            let answer = request.versioning_configuration(on).send().await;
            answer.map(drop).map_err(|error| Failed::new("S3: PutBucketVersioning", &error))
        }
        Call::Encryption => encrypt(s3, wanted).await.map_err(|error| Failed::new("S3: PutBucketEncryption", &error)),
        Call::BlockPublicAccess => {
            let all = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
            let all = all.block_public_policy(true).restrict_public_buckets(true).build();
            let request = s3.put_public_access_block().bucket(&wanted.bucket).expected_bucket_owner(&wanted.account);
            let answer = request.public_access_block_configuration(all).send().await;
            answer.map(drop).map_err(|error| Failed::new("S3: PutPublicAccessBlock", &error))
        }
        Call::Policy(policy) => {
            let request = s3.put_bucket_policy().bucket(&wanted.bucket).expected_bucket_owner(&wanted.account);
            let answer = request.policy(policy).send().await;
            answer.map(drop).map_err(|error| Failed::new("S3: PutBucketPolicy", &error))
        }
        Call::CreateTable => {
            create_table(dynamodb, table).await.map_err(|error| Failed::new("DynamoDB: CreateTable", &error))
        }
        Call::PointInTimeRecovery => {
            recover(dynamodb, table).await.map_err(|error| Failed::new("DynamoDB: UpdateContinuousBackups", &error))
        }
        Call::DeletionProtection => {
            let answer = dynamodb.update_table().table_name(table).deletion_protection_enabled(true).send().await;
            answer.map(drop).map_err(|error| Failed::new("DynamoDB: UpdateTable", &error))
        }
    }
}

async fn create_bucket(s3: &aws_sdk_s3::Client, wanted: &Wanted) -> Result<(), SdkError<CreateBucketError>> {
    let tag = aws_sdk_s3::types::Tag::builder().key(TAG.0).value(TAG.1).build();
    let region = (wanted.region != UNNAMED).then(|| BucketLocationConstraint::from(wanted.region.as_str()));
    let settings = CreateBucketConfiguration::builder()
        .set_location_constraint(region)
        .tags(tag.map_err(SdkError::construction_failure)?)
        .build();
    let request = s3.create_bucket().bucket(&wanted.bucket).object_ownership(ObjectOwnership::BucketOwnerEnforced);
    request.create_bucket_configuration(settings).send().await.map(drop)
}

async fn own(s3: &aws_sdk_s3::Client, wanted: &Wanted) -> Result<(), SdkError<PutBucketOwnershipControlsError>> {
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced).build();
    let controls = OwnershipControls::builder().rules(rule.map_err(SdkError::construction_failure)?).build();
    let request = s3.put_bucket_ownership_controls().bucket(&wanted.bucket).expected_bucket_owner(&wanted.account);
    let controls = controls.map_err(SdkError::construction_failure)?;
    request.ownership_controls(controls).send().await.map(drop)
}

async fn encrypt(s3: &aws_sdk_s3::Client, wanted: &Wanted) -> Result<(), SdkError<PutBucketEncryptionError>> {
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256).build();
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default.map_err(SdkError::construction_failure)?)
        .build();
    let settings = ServerSideEncryptionConfiguration::builder().rules(rule).build();
    let request = s3.put_bucket_encryption().bucket(&wanted.bucket).expected_bucket_owner(&wanted.account);
    let settings = settings.map_err(SdkError::construction_failure)?;
    request.server_side_encryption_configuration(settings).send().await.map(drop)
}

async fn create_table(dynamodb: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), SdkError<CreateTableError>> {
    let attribute =
        AttributeDefinition::builder().attribute_name("LockID").attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name("LockID").key_type(KeyType::Hash).build();
    let tag = aws_sdk_dynamodb::types::Tag::builder().key(TAG.0).value(TAG.1).build();
    let request = dynamodb
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .deletion_protection_enabled(true)
        .attribute_definitions(attribute.map_err(SdkError::construction_failure)?)
        .key_schema(key.map_err(SdkError::construction_failure)?)
        .tags(tag.map_err(SdkError::construction_failure)?);
    request.send().await.map(drop)
}

async fn recover(
    dynamodb: &aws_sdk_dynamodb::Client,
    name: &str,
) -> Result<(), SdkError<UpdateContinuousBackupsError>> {
    let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
    let request = dynamodb.update_continuous_backups().table_name(name);
    let on = on.map_err(SdkError::construction_failure)?;
    request.point_in_time_recovery_specification(on).send().await.map(drop)
}
