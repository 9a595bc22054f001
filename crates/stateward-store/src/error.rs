//! What can go wrong in a store. The variants are the contract: callers decide by them, never by text.

use std::time::Duration;

use crate::Revision;

/// The result of every store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store did not do what it was asked.
///
/// After every variant but [`StoreError::OutcomeUnknown`] nothing of the failed operation is or becomes visible.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A record or blob that has to exist does not.
    #[error("`{what}` is not in the store")]
    NotFound {
        /// The key or blob that was asked for.
        what: String,
    },
    /// What the store is kept in does not exist: a bucket, a table. Nothing is known of what was asked for.
    #[error("there is no {place}: {reason}")]
    NoPlace {
        /// What is not there, with its name.
        place: String,
        /// What the storage said.
        reason: String,
        /// What to do: how it is made.
        next: String,
    },
    /// A compare-and-set lost: the record is not at the revision that was expected.
    #[error("`{key}` was changed by somebody else")]
    Conflict {
        /// The contended key.
        key: String,
        /// The revision it is at now; `None` when it is absent.
        current: Option<Revision>,
    },
    /// The storage refused the request for lack of a right.
    #[error("the storage refused access: {denial}")]
    Denied {
        /// The refusal in the storage's own words.
        denial: String,
    },
    /// The storage does not know who asks: there are no credentials, or they have expired.
    #[error("the storage cannot be asked: {reason}")]
    Unauthenticated {
        /// What is missing, and what to do.
        reason: String,
    },
    /// Not now: busy, throttled, or out of reach. Nothing was done.
    #[error("the storage cannot answer now: {reason}")]
    Unavailable {
        /// When to try again, where the storage said so.
        retry_after: Option<Duration>,
        /// What the storage said.
        reason: String,
    },
    /// No room left. Nothing was done; reads go on.
    #[error("the storage is full: {reason}")]
    Full {
        /// What the storage said.
        reason: String,
    },
    /// The value is larger than the engine can hold.
    #[error("{size} bytes are more than the storage takes ({limit})")]
    TooLarge {
        /// Bytes asked for.
        size: u64,
        /// Bytes at the most.
        limit: u64,
    },
    /// What is stored is not what was written.
    #[error("`{what}` is damaged: {reason}")]
    Corrupt {
        /// The key, blob or file.
        what: String,
        /// What does not hold.
        reason: String,
    },
    /// The engine, or the storage behind it, cannot do this at all.
    #[error("{what} is not supported: {reason}")]
    Unsupported {
        /// The operation or the storage.
        what: String,
        /// Why, and what would do.
        reason: String,
    },
    /// The request was sent and its answer never came: it may or may not have been done. Read back to find out.
    #[error("it is not known whether the storage did it: {reason}")]
    OutcomeUnknown {
        /// What was lost.
        reason: String,
    },
}

impl StoreError {
    /// True where trying the same again later may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }
}
