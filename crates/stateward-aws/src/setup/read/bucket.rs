//! What there is of buckets.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    LifecycleRule, PublicAccessBlockConfiguration, ReplicationConfiguration, TransitionDefaultMinimumObjectSize,
};
use futures::try_join;

use super::super::bucket::ENFORCED;
use super::super::{Bucket, Encryption, Grant, Logging, ObjectLock, Settings, Wanted};
use super::{key, unless};
use crate::{Failed, Services};

/// A client, and the bucket and its owner that each request names.
struct Asked<'a> {
    s3: &'a Client,
    name: &'a str,
    owner: &'a str,
}

pub(super) async fn find(services: &Services, wanted: &Wanted, name: &str) -> Result<Bucket, Failed> {
    let head = services.s3.head_bucket().bucket(name).expected_bucket_owner(&wanted.account).send().await;
    let region = match &head {
        Ok(head) => head.bucket_region(),
        Err(error) => error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region")),
    };
    let elsewhere = region.filter(|region| *region != wanted.region).map(str::to_owned);
    // The answer to HEAD has no body, and so no code.
    match head.as_ref().map_err(|error| Failed::new("S3: HeadBucket", error)) {
        Err(failed) if failed.status == Some(404) => Ok(Bucket::Missing),
        Err(failed) if failed.status == Some(403) => Ok(Bucket::Foreign),
        // A signature for another Region than the bucket's is a bad request to some of S3's hosts, and some redirect for good or for now.
        Err(failed) if ![301, 307, 400].map(Some).contains(&failed.status) => Err(failed),
        Err(failed) => elsewhere.map(Bucket::Elsewhere).ok_or(failed),
        Ok(_) => match elsewhere {
            Some(region) => Ok(Bucket::Elsewhere(region)),
            None => Ok(Bucket::There(Box::new(Box::pin(settings(services, wanted, name)).await?))),
        },
    }
}

async fn settings(services: &Services, wanted: &Wanted, name: &str) -> Result<Settings, Failed> {
    let asked = Asked { s3: &services.s3, name, owner: &wanted.account };
    let logging = async {
        // The bucket that is told is not asked whom it tells.
        if wanted.log_bucket.is_some() && wanted.bucket.as_deref() == Some(name) {
            asked.logging().await
        } else {
            Ok(None)
        }
    };
    let replication = async {
        if wanted.replica.is_some() && wanted.bucket.as_deref() == Some(name) {
            asked.replication().await
        } else {
            Ok(None)
        }
    };
    let owned = async {
        let ownership = asked.ownership().await?;
        // Without access lists there is nobody on them.
        let grants = if ownership.as_deref() == Some(ENFORCED) { Vec::new() } else { asked.grants().await? };
        Ok((ownership, grants))
    };
    let guarded = async {
        let (blocked, policy) = try_join!(asked.blocked(), asked.policy())?;
        // One that lets everybody in cannot be put again behind a block, whether it counts for anything or not.
        let public = if policy.is_some() { asked.public().await? } else { None };
        Ok((blocked, policy, public))
    };
    let (
        (ownership, grants),
        versioning,
        encryption,
        (blocked, policy, public),
        lifecycle,
        tags,
        logging,
        replication,
        object_lock,
    ) = try_join!(
        owned,
        asked.versioning(),
        encryption(services, wanted, &asked),
        guarded,
        asked.lifecycle(),
        asked.tags(),
        logging,
        replication,
        asked.object_lock(),
    )?;
    Ok(Settings {
        ownership,
        grants,
        versioning,
        encryption,
        blocked,
        policy,
        public,
        lifecycle,
        tags,
        logging,
        replication,
        object_lock,
    })
}

async fn encryption(services: &Services, wanted: &Wanted, asked: &Asked<'_>) -> Result<Option<Encryption>, Failed> {
    let answer = asked.s3.get_bucket_encryption().bucket(asked.name).expected_bucket_owner(asked.owner).send().await;
    let answer = answer.map_err(|error| Failed::new("S3: GetBucketEncryption", &error));
    let rules = unless("ServerSideEncryptionConfigurationNotFoundError", answer)?
        .and_then(|answer| answer.server_side_encryption_configuration);
    let Some(rule) = rules.and_then(|all| all.rules.into_iter().next()) else { return Ok(None) };
    let default = rule.apply_server_side_encryption_by_default.as_ref();
    let key = match default.and_then(|default| default.kms_master_key_id.as_deref()) {
        Some(name) => Some(key::used(&services.kms, wanted, name).await),
        None => None,
    };
    Ok(Some(Encryption { rule, key }))
}

impl Asked<'_> {
    async fn ownership(&self) -> Result<Option<String>, Failed> {
        let request = self.s3.get_bucket_ownership_controls().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketOwnershipControls", &error));
        let controls = unless("OwnershipControlsNotFoundError", answer)?.and_then(|answer| answer.ownership_controls);
        let rule = controls.and_then(|controls| controls.rules.into_iter().next());
        Ok(rule.map(|rule| rule.object_ownership.as_str().to_owned()))
    }

    /// Whom the access list lets in beside the owner.
    async fn grants(&self) -> Result<Vec<Grant>, Failed> {
        let request = self.s3.get_bucket_acl().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketAcl", &error))?;
        let owner = answer.owner.and_then(|owner| owner.id);
        let grants = answer.grants.unwrap_or_default().into_iter().filter_map(|grant| {
            let to = grant.grantee?;
            let to = to.uri.or(to.id).or(to.email_address)?;
            let permission = grant.permission.map(|of| of.as_str().to_owned()).unwrap_or_default();
            (Some(&to) != owner.as_ref()).then_some(Grant { to, permission })
        });
        Ok(grants.collect())
    }

    async fn versioning(&self) -> Result<Option<String>, Failed> {
        let request = self.s3.get_bucket_versioning().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketVersioning", &error))?;
        Ok(answer.status.map(|status| status.as_str().to_owned()))
    }

    async fn blocked(&self) -> Result<[bool; 4], Failed> {
        let request = self.s3.get_public_access_block().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetPublicAccessBlock", &error));
        let blocks = unless("NoSuchPublicAccessBlockConfiguration", answer)?
            .and_then(|answer| answer.public_access_block_configuration);
        Ok(blocks.as_ref().map(four).unwrap_or_default())
    }

    async fn policy(&self) -> Result<Option<String>, Failed> {
        let request = self.s3.get_bucket_policy().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketPolicy", &error));
        Ok(unless("NoSuchBucketPolicy", answer)?.and_then(|answer| answer.policy))
    }

    /// It is told of alone: who may not read it loses a sentence.
    async fn public(&self) -> Result<Option<bool>, Failed> {
        let request = self.s3.get_bucket_policy_status().bucket(self.name).expected_bucket_owner(self.owner);
        match request.send().await.map_err(|error| Failed::new("S3: GetBucketPolicyStatus", &error)) {
            Ok(answer) => Ok(answer.policy_status.and_then(|status| status.is_public)),
            Err(failed) if failed.status.is_some() => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    async fn lifecycle(&self) -> Result<(Vec<LifecycleRule>, Option<TransitionDefaultMinimumObjectSize>), Failed> {
        let request = self.s3.get_bucket_lifecycle_configuration().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketLifecycleConfiguration", &error));
        let found = unless("NoSuchLifecycleConfiguration", answer)?;
        Ok(found
            .map(|found| (found.rules.unwrap_or_default(), found.transition_default_minimum_object_size))
            .unwrap_or_default())
    }

    async fn tags(&self) -> Result<BTreeMap<String, String>, Failed> {
        let request = self.s3.get_bucket_tagging().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketTagging", &error));
        let tags = unless("NoSuchTagSet", answer)?.map(|answer| answer.tag_set).unwrap_or_default();
        Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    async fn logging(&self) -> Result<Option<Logging>, Failed> {
        let request = self.s3.get_bucket_logging().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketLogging", &error))?;
        Ok(answer.logging_enabled.map(|on| Logging { bucket: on.target_bucket, prefix: on.target_prefix }))
    }

    /// It is told of and never changed: who may not read it loses a line.
    async fn object_lock(&self) -> Result<Option<ObjectLock>, Failed> {
        let request = self.s3.get_object_lock_configuration().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetObjectLockConfiguration", &error));
        let found = match unless("ObjectLockConfigurationNotFoundError", answer) {
            Err(failed) if failed.is_refused() => None,
            found => found?.and_then(|answer| answer.object_lock_configuration),
        };
        Ok(found.map(|found| {
            let default = found.rule.and_then(|rule| rule.default_retention);
            default.map_or_else(ObjectLock::default, |default| ObjectLock {
                mode: default.mode.map(|mode| mode.as_str().to_owned()),
                days: default.days.filter(|days| *days > 0),
                years: default.years.filter(|years| *years > 0),
            })
        }))
    }

    async fn replication(&self) -> Result<Option<ReplicationConfiguration>, Failed> {
        let request = self.s3.get_bucket_replication().bucket(self.name).expected_bucket_owner(self.owner);
        let answer = request.send().await.map_err(|error| Failed::new("S3: GetBucketReplication", &error));
        let found = unless("ReplicationConfigurationNotFoundError", answer)?;
        Ok(found.and_then(|answer| answer.replication_configuration))
    }
}

fn four(blocks: &PublicAccessBlockConfiguration) -> [bool; 4] {
    [blocks.block_public_acls, blocks.ignore_public_acls, blocks.block_public_policy, blocks.restrict_public_buckets]
        .map(Option::unwrap_or_default)
}
