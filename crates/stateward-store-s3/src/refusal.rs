//! Why a store was not opened, and what to do about it.

use stateward_store::StoreError;
use stateward_store_aws::{BucketError, Fault};

/// Why a store in S3 was not opened. The text says what and why; [`OpenError::advice`] says what to do next.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The service takes conditional writes and does not heed their conditions: everybody would hold every lock.
    #[error(
        "the storage behind the bucket `{bucket}` ignores `{condition}`, so that two writers at once would both succeed"
    )]
    Unconditional {
        /// Its name.
        bucket: String,
        /// The header that was ignored.
        condition: &'static str,
    },
    /// A later version wrote the store.
    #[error("the store in the bucket `{bucket}` was written by a newer stateward: {reason}")]
    Newer {
        /// Its name.
        bucket: String,
        /// What is newer.
        reason: String,
    },
    /// What the store says of itself is damaged.
    #[error("the store in the bucket `{bucket}` is damaged: {reason}")]
    Corrupt {
        /// Its name.
        bucket: String,
        /// What does not hold.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn new(bucket: &str, fault: Fault) -> Self {
        Self::Bucket(BucketError::new(bucket, fault))
    }

    /// What to do next.
    pub fn advice(&self) -> String {
        match self {
            Self::Bucket(error) => error.advice(""),
            Self::Unconditional { .. } => {
                "use a storage that honours conditional writes (AWS S3, MinIO, versitygw), or a `sqlite:` store on a server".into()
            }
            Self::Newer { .. } => "upgrade stateward; the store was left as it is".into(),
            Self::Corrupt { .. } => "bring back an older version of the object that is named, if the bucket keeps versions".into(),
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        let reason = format!("{error}; {}", error.advice());
        match error {
            OpenError::Bucket(error) => error.into_store_error(""),
            OpenError::Unconditional { bucket, .. } | OpenError::Newer { bucket, .. } => {
                Self::Unsupported { what: format!("the bucket {bucket}"), reason }
            }
            OpenError::Corrupt { bucket, reason } => Self::Corrupt { what: format!("the store in {bucket}"), reason },
        }
    }
}
