//! Requests about buckets.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{BuildError, SdkError};
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::operation::put_bucket_encryption::PutBucketEncryptionError;
use aws_sdk_s3::operation::put_bucket_lifecycle_configuration::PutBucketLifecycleConfigurationError;
use aws_sdk_s3::operation::put_bucket_logging::PutBucketLoggingError;
use aws_sdk_s3::operation::put_bucket_ownership_controls::PutBucketOwnershipControlsError;
use aws_sdk_s3::operation::put_bucket_replication::PutBucketReplicationError;
use aws_sdk_s3::operation::put_bucket_tagging::PutBucketTaggingError;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint, BucketLoggingStatus,
    BucketVersioningStatus, CreateBucketConfiguration, DeleteMarkerReplication, DeleteMarkerReplicationStatus,
    Destination, EncryptionConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter, LoggingEnabled,
    NoncurrentVersionExpiration, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
    PublicAccessBlockConfiguration, ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter,
    ReplicationRuleStatus, ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, SourceSelectionCriteria, SseKmsEncryptedObjects, SseKmsEncryptedObjectsStatus, Tag,
    Tagging, TransitionDefaultMinimumObjectSize, VersioningConfiguration,
};

use super::super::lifecycle::{NEWEST, OLD_DAYS, UPLOAD_DAYS};
use super::super::policy::prefix;
use super::super::replica::REPLICATION_RULE;
use super::super::{Act, Rule, Wanted};
use crate::Failed;

/// The Region that is named by naming none, when a bucket is made.
const UNNAMED: &str = "us-east-1";

/// A client, and the bucket and its owner that each request names.
struct Bucket<'a> {
    s3: &'a Client,
    name: &'a str,
    wanted: &'a Wanted,
}

pub(super) async fn send(s3: &Client, wanted: &Wanted, of: &str, act: &Act) -> Result<(), Failed> {
    let bucket = Bucket { s3, name: of, wanted };
    match act {
        Act::CreateBucket => bucket.create().await.map_err(|error| Failed::new("S3: CreateBucket", &error)),
        Act::OwnerEnforced => bucket.own().await.map_err(|error| Failed::new("S3: PutBucketOwnershipControls", &error)),
        Act::Versioning => {
            let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            let request = s3.put_bucket_versioning().bucket(of).expected_bucket_owner(&wanted.account);
            let answer = request.versioning_configuration(on).send().await;
            answer.map(drop).map_err(|error| Failed::new("S3: PutBucketVersioning", &error))
        }
        Act::Encryption { key, over } => {
            let answer = bucket.encrypt(key.as_deref(), over.as_deref()).await;
            answer.map_err(|error| Failed::new("S3: PutBucketEncryption", &error))
        }
        Act::Policy(policy) => {
            let request = s3.put_bucket_policy().bucket(of).expected_bucket_owner(&wanted.account);
            let answer = request.policy(policy).send().await;
            answer.map(drop).map_err(|error| Failed::new("S3: PutBucketPolicy", &error))
        }
        Act::Lifecycle { kept, smallest, added } => {
            let answer = bucket.expire(kept, smallest.clone(), added).await;
            answer.map_err(|error| Failed::new("S3: PutBucketLifecycleConfiguration", &error))
        }
        Act::TagBucket(all) => bucket.tag(all).await.map_err(|error| Failed::new("S3: PutBucketTagging", &error)),
        Act::Replicate { kept, role, to, key } => {
            let answer = bucket.replicate(kept, role, to, key.as_deref()).await;
            answer.map_err(|error| Failed::new("S3: PutBucketReplication", &error))
        }
        Act::Log { into } => bucket.log(into).await.map_err(|error| Failed::new("S3: PutBucketLogging", &error)),
        _ => {
            let all = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
            let all = all.block_public_policy(true).restrict_public_buckets(true).build();
            let request = s3.put_public_access_block().bucket(of).expected_bucket_owner(&wanted.account);
            let answer = request.public_access_block_configuration(all).send().await;
            answer.map(drop).map_err(|error| Failed::new("S3: PutPublicAccessBlock", &error))
        }
    }
}

fn tags(all: &BTreeMap<String, String>) -> Result<Vec<Tag>, BuildError> {
    all.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// How a bucket's Region is named in the call that makes it.
pub(in super::super) fn location(region: &str) -> Option<&str> {
    (region != UNNAMED).then_some(region)
}

/// What the rule says beside the key stays: whether there are two layers, and which encryption is blocked.
pub(in super::super) fn encryption_rule(
    key: Option<&str>,
    over: Option<&ServerSideEncryptionRule>,
) -> Result<ServerSideEncryptionRule, BuildError> {
    let before = over.and_then(|over| over.apply_server_side_encryption_by_default.as_ref());
    let has_two = before.is_some_and(|before| before.sse_algorithm == ServerSideEncryption::AwsKmsDsse);
    let algorithm = match key {
        None => ServerSideEncryption::Aes256,
        Some(_) if has_two => ServerSideEncryption::AwsKmsDsse,
        Some(_) => ServerSideEncryption::AwsKms,
    };
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm);
    let default = default.set_kms_master_key_id(key.map(str::to_owned)).build()?;
    let mut rule = over.cloned().unwrap_or_else(|| ServerSideEncryptionRule::builder().build());
    rule.apply_server_side_encryption_by_default = Some(default);
    // Two layers know no bucket key.
    if key.is_some() && !has_two {
        rule.bucket_key_enabled = Some(true);
    }
    Ok(rule)
}

/// What is copied already, and the rule for all of it.
pub(in super::super) fn replication(
    kept: &[ReplicationRule],
    role: &str,
    to: &str,
    key: Option<&str>,
) -> Result<ReplicationConfiguration, BuildError> {
    let keys = key.map(|key| EncryptionConfiguration::builder().replica_kms_key_id(key).build());
    // Without it what a key encrypts is passed over.
    let encrypted = SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled).build()?;
    let encrypted = SourceSelectionCriteria::builder().sse_kms_encrypted_objects(encrypted).build();
    let markers = DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Enabled).build();
    let rule = ReplicationRule::builder()
        .id(REPLICATION_RULE)
        .priority(kept.iter().filter_map(|rule| rule.priority).max().unwrap_or(0) + 1)
        .filter(ReplicationRuleFilter::builder().prefix("").build())
        .status(ReplicationRuleStatus::Enabled)
        .delete_marker_replication(markers)
        .set_source_selection_criteria(key.map(|_| encrypted))
        .destination(Destination::builder().bucket(to).set_encryption_configuration(keys).build()?)
        .build()?;
    let rules = kept.iter().cloned().chain([rule]).collect();
    ReplicationConfiguration::builder().role(role).set_rules(Some(rules)).build()
}

impl Rule {
    pub(in super::super) fn build(self) -> Result<LifecycleRule, BuildError> {
        let everything = LifecycleRuleFilter::builder().prefix("").build();
        let rule = LifecycleRule::builder().id(self.id()).status(ExpirationStatus::Enabled).filter(everything);
        match self {
            Self::OldVersions => {
                let old = NoncurrentVersionExpiration::builder().noncurrent_days(OLD_DAYS);
                rule.noncurrent_version_expiration(old.newer_noncurrent_versions(NEWEST).build())
            }
            Self::Uploads => {
                let uploads = AbortIncompleteMultipartUpload::builder().days_after_initiation(UPLOAD_DAYS);
                rule.abort_incomplete_multipart_upload(uploads.build())
            }
        }
        .build()
    }
}

impl Bucket<'_> {
    async fn create(&self) -> Result<(), SdkError<CreateBucketError>> {
        let constraint = location(&self.wanted.region).map(BucketLocationConstraint::from);
        let settings = CreateBucketConfiguration::builder()
            .set_location_constraint(constraint)
            .set_tags(Some(tags(&self.wanted.all_tags()).map_err(SdkError::construction_failure)?))
            .build();
        let request = self.s3.create_bucket().bucket(self.name).object_ownership(ObjectOwnership::BucketOwnerEnforced);
        request.create_bucket_configuration(settings).send().await.map(drop)
    }

    async fn own(&self) -> Result<(), SdkError<PutBucketOwnershipControlsError>> {
        let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced).build();
        let controls = OwnershipControls::builder().rules(rule.map_err(SdkError::construction_failure)?).build();
        let request = self.s3.put_bucket_ownership_controls().bucket(self.name);
        let controls = controls.map_err(SdkError::construction_failure)?;
        request.expected_bucket_owner(&self.wanted.account).ownership_controls(controls).send().await.map(drop)
    }

    async fn encrypt(
        &self,
        key: Option<&str>,
        over: Option<&ServerSideEncryptionRule>,
    ) -> Result<(), SdkError<PutBucketEncryptionError>> {
        let rule = encryption_rule(key, over).map_err(SdkError::construction_failure)?;
        let settings = ServerSideEncryptionConfiguration::builder().rules(rule).build();
        let settings = settings.map_err(SdkError::construction_failure)?;
        let request = self.s3.put_bucket_encryption().bucket(self.name).expected_bucket_owner(&self.wanted.account);
        request.server_side_encryption_configuration(settings).send().await.map(drop)
    }

    async fn expire(
        &self,
        kept: &[LifecycleRule],
        smallest: Option<TransitionDefaultMinimumObjectSize>,
        added: &[Rule],
    ) -> Result<(), SdkError<PutBucketLifecycleConfigurationError>> {
        let added: Result<Vec<_>, _> = added.iter().map(|rule| rule.build()).collect();
        let rules = kept.iter().cloned().chain(added.map_err(SdkError::construction_failure)?).collect();
        let all = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
        let request = self.s3.put_bucket_lifecycle_configuration().bucket(self.name);
        let request = request.expected_bucket_owner(&self.wanted.account);
        let request = request.set_transition_default_minimum_object_size(smallest);
        request.lifecycle_configuration(all.map_err(SdkError::construction_failure)?).send().await.map(drop)
    }

    async fn tag(&self, all: &BTreeMap<String, String>) -> Result<(), SdkError<PutBucketTaggingError>> {
        let tags = tags(all).map_err(SdkError::construction_failure)?;
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().map_err(SdkError::construction_failure)?;
        let request = self.s3.put_bucket_tagging().bucket(self.name).expected_bucket_owner(&self.wanted.account);
        request.tagging(tagging).send().await.map(drop)
    }

    async fn replicate(
        &self,
        kept: &[ReplicationRule],
        role: &str,
        to: &str,
        key: Option<&str>,
    ) -> Result<(), SdkError<PutBucketReplicationError>> {
        let all = replication(kept, role, to, key).map_err(SdkError::construction_failure)?;
        let request = self.s3.put_bucket_replication().bucket(self.name).expected_bucket_owner(&self.wanted.account);
        request.replication_configuration(all).send().await.map(drop)
    }

    async fn log(&self, into: &str) -> Result<(), SdkError<PutBucketLoggingError>> {
        let target = LoggingEnabled::builder().target_bucket(into).target_prefix(prefix(self.name)).build();
        let target = target.map_err(SdkError::construction_failure)?;
        let status = BucketLoggingStatus::builder().logging_enabled(target).build();
        let request = self.s3.put_bucket_logging().bucket(self.name).expected_bucket_owner(&self.wanted.account);
        request.bucket_logging_status(status).send().await.map(drop)
    }
}
