//! Older versions of a state's object, where the bucket keeps them.

use std::time::Duration;

use aws_sdk_s3::types::BucketVersioningStatus;
use stateward_store::outside::{Incoming, Mark, Spot};
use stateward_store::{Result, StoreError};

use super::TerraformPlace;

/// A version of a state's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// What S3 calls it; `null` for what was written before the bucket kept versions.
    pub id: String,
    /// When it was written, since 1970.
    pub at: Duration,
    /// How many bytes.
    pub size: u64,
    /// Which bytes.
    pub mark: Mark,
    /// It is the one that stands there now.
    pub current: bool,
}

impl TerraformPlace {
    /// Whether the bucket keeps the versions of its objects.
    pub async fn keeps_versions(&self) -> Result<bool> {
        let bucket = &self.inner.bucket;
        let answer = bucket.client.get_bucket_versioning().bucket(&bucket.name).send().await;
        let answer = answer.map_err(|error| bucket.fault("S3: GetBucketVersioning", &error))?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }

    /// What stands under one name, in any workspace. Asks for no other names.
    pub async fn named(&self, name: &str) -> Result<Vec<(Spot, Mark)>> {
        self.inner.states_named(name).await
    }

    /// The versions of a state's object, latest first, at most `limit`. A bucket that keeps none has the present one alone.
    pub async fn versions(&self, at: &Spot, limit: usize) -> Result<Vec<ObjectVersion>> {
        let inner = &*self.inner;
        let key = inner.spots.object(at);
        let mut versions = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = inner.bucket.client.list_object_versions().bucket(&inner.bucket.name).prefix(&key);
            let answer = request.set_key_marker(key_marker).set_version_id_marker(id_marker).send().await;
            let answer = answer.map_err(|error| inner.bucket.fault("S3: ListObjectVersions", &error))?;
            let all = answer.versions.unwrap_or_default();
            // Other objects begin with the same name; they sort behind.
            let beyond = all.iter().any(|version| version.key.as_deref() != Some(&key));
            let own = all.into_iter().filter(|version| version.key.as_deref() == Some(&key));
            versions.extend(own.map(|version| {
                ObjectVersion {
                    id: version.version_id.unwrap_or_else(|| "null".into()),
                    at: version
                        .last_modified
                        .and_then(|at| u64::try_from(at.secs()).ok())
                        .map(Duration::from_secs)
                        .unwrap_or_default(),
                    size: version.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                    mark: Mark::new(version.e_tag.unwrap_or_default()),
                    current: version.is_latest.unwrap_or_default(),
                }
            }));
            if versions.len() >= limit || beyond || !answer.is_truncated.unwrap_or_default() {
                versions.truncate(limit);
                return Ok(versions);
            }
            (key_marker, id_marker) = (answer.next_key_marker, answer.next_version_id_marker);
        }
    }

    /// Reads a version. `NotFound` where there is none of this id.
    pub async fn read_version(&self, at: &Spot, id: &str) -> Result<Incoming> {
        let object = self.inner.spots.object(at);
        let found = self.inner.stream(&object, None, Some(id)).await?;
        found.into_incoming().ok_or_else(|| StoreError::NotFound { what: format!("the version {id} of `{object}`") })
    }
}
