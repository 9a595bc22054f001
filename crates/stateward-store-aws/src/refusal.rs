//! Why a bucket cannot be used, and what to do about it.

use stateward_store::StoreError;

use crate::fault::{Fault, Refused};

/// Why a bucket cannot be used. The text says what and why; [`BucketError::advice`] says what to do next.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// There is no such bucket.
    #[error("there is no bucket `{bucket}`: {reason}")]
    NoBucket {
        /// Its name.
        bucket: String,
        /// What S3 said.
        reason: String,
    },
    /// The bucket is in another Region than the one that was asked.
    #[error("the bucket `{bucket}` is in {}: {reason}", right.as_deref().map_or("another Region".into(), |right| format!("the Region `{right}`")))]
    Region {
        /// Its name.
        bucket: String,
        /// Where it is, if S3 says.
        right: Option<String>,
        /// What S3 said.
        reason: String,
    },
    /// No Region was given and none is configured.
    #[error("no Region is set for the bucket `{bucket}`")]
    NoRegion {
        /// Its name.
        bucket: String,
    },
    /// A right is missing.
    #[error("S3 refused access to the bucket `{bucket}`: {denial}")]
    Denied {
        /// Its name.
        bucket: String,
        /// The refusal in S3's own words.
        denial: String,
    },
    /// The credentials are no longer good.
    #[error("the credentials have expired: {reason}")]
    Expired {
        /// What S3 said.
        reason: String,
    },
    /// There are no credentials.
    #[error("no credentials were found: {reason}")]
    NoCredentials {
        /// Where they were looked for.
        reason: String,
    },
    /// The customer's key cannot be used.
    #[error("the customer's encryption key cannot be used: {reason}")]
    CustomerKey {
        /// Why.
        reason: String,
    },
    /// Something else keeps its objects there.
    #[error("`{place}` is taken by {by}")]
    Taken {
        /// The bucket and the prefix.
        place: String,
        /// What is there.
        by: String,
    },
    /// S3 was not reached, or could not answer.
    #[error("the bucket `{bucket}` cannot be reached: {reason}")]
    Unavailable {
        /// Its name.
        bucket: String,
        /// What went wrong.
        reason: String,
    },
    /// Somebody else than S3 answered.
    #[error("the bucket `{bucket}` cannot be used: {reason}")]
    Foreign {
        /// Its name.
        bucket: String,
        /// What came.
        reason: String,
    },
    /// Anything else that S3 said.
    #[error("the bucket `{bucket}` cannot be used: {reason}")]
    Failed {
        /// Its name.
        bucket: String,
        /// What it said.
        reason: String,
    },
}

impl BucketError {
    /// What a fault of a request to a bucket means.
    pub fn new(bucket: &str, fault: Fault) -> Self {
        let bucket = bucket.to_owned();
        match fault {
            Fault::Refused(refused) => match refused {
                Refused::NoPlace(none) => Self::NoBucket { bucket, reason: none.reason },
                Refused::Region(right, reason) => Self::Region { bucket, right, reason },
                Refused::Denied(denial) => Self::Denied { bucket, denial },
                Refused::Expired(reason) => Self::Expired { reason },
                Refused::NoCredentials(reason) => Self::NoCredentials { reason },
                Refused::Foreign(reason) => Self::Foreign { bucket, reason },
                Refused::OutOfRange => Self::Failed { bucket, reason: "an object is shorter than it was".into() },
                Refused::Full(reason) | Refused::Unsupported(reason) | Refused::Other(reason) => {
                    Self::Failed { bucket, reason }
                }
            },
            fault => Self::Unavailable { bucket, reason: StoreError::from(fault).to_string() },
        }
    }

    /// What to do next. `option` begins the names of the options about the bucket in the store's URL.
    pub fn advice(&self, option: &str) -> String {
        match self {
            Self::NoBucket { bucket, .. } => no_bucket(bucket),
            Self::Region { right: Some(right), .. } => format!("set `{option}region={right}` in the store's URL"),
            Self::Region { right: None, .. } | Self::NoRegion { .. } => {
                format!("set `{option}region=…` in the store's URL, or `AWS_REGION`")
            }
            Self::Denied { .. } => {
                "give the whole message to `stateward explain`: it says which policy refused it and what to do".into()
            }
            Self::Expired { .. } => "renew them: `aws sso login`, or assume the role again".into(),
            Self::NoCredentials { .. } => {
                "set `profile=…` or `role_arn=…` in the store's URL, or `AWS_ACCESS_KEY_ID`".into()
            }
            Self::CustomerKey { .. } => {
                "make one with `openssl rand -base64 32`, and keep it: without it nothing can be read".into()
            }
            Self::Taken { .. } => "choose another prefix: what is there was left as it is".into(),
            Self::Unavailable { .. } => "check the endpoint and the network, then try again".into(),
            Self::Foreign { .. } => {
                format!(
                    "check `{option}endpoint=…` in the store's URL, or `AWS_ENDPOINT_URL`; where the network asks for a sign-in, sign in first"
                )
            }
            Self::Failed { .. } => "put right what the message names, then try again".into(),
        }
    }

    /// The same to whoever uses an open store. `option` is as in [`BucketError::advice`].
    pub fn into_store_error(self, option: &str) -> StoreError {
        let told = format!("{self}; {}", self.advice(option));
        match self {
            Self::NoBucket { bucket, reason } => {
                StoreError::NoPlace { place: format!("bucket `{bucket}`"), reason, next: no_bucket(&bucket) }
            }
            Self::Denied { .. } => StoreError::Denied { denial: told },
            Self::Expired { .. } | Self::NoCredentials { .. } => StoreError::Unauthenticated { reason: told },
            Self::Region { bucket, .. }
            | Self::Foreign { bucket, .. }
            | Self::Failed { bucket, .. }
            | Self::NoRegion { bucket } => {
                StoreError::Unsupported { what: format!("the bucket {bucket}"), reason: told }
            }
            Self::Taken { place, .. } => StoreError::Unsupported { what: place, reason: told },
            Self::CustomerKey { .. } => StoreError::Unsupported { what: "the encryption key".into(), reason: told },
            Self::Unavailable { .. } => StoreError::Unavailable { retry_after: None, reason: told },
        }
    }
}

/// What to do about a bucket that does not exist.
pub(crate) fn no_bucket(bucket: &str) -> String {
    format!("check the name and whose credentials these are; `stateward setup aws --bucket {bucket}` makes a bucket")
}
