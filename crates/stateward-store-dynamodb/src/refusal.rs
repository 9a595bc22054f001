//! Why a table was not opened, and what to do about it.

use stateward_store::StoreError;
use stateward_store_aws::{BucketError, Fault, Refused};

/// Why a store was not opened. The text says what and why; [`OpenError::advice`] says what to do next.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such table.
    #[error("there is no table `{table}` in the Region {region}")]
    NoTable {
        /// Its name.
        table: String,
        /// Where it was looked for.
        region: String,
        /// The command that makes it.
        create: String,
    },
    /// The table has other keys.
    #[error("the table `{table}` has the key {found}, and {needed} is needed")]
    Schema {
        /// Its name.
        table: String,
        /// Its key.
        found: String,
        /// The key as it has to be.
        needed: String,
    },
    /// The table is being made or deleted.
    #[error("the table `{table}` is not ready: it is {status}")]
    NotReady {
        /// Its name.
        table: String,
        /// What `DynamoDB` calls its condition.
        status: String,
    },
    /// The table is replicated in a way in which transactions do not exist.
    #[error("the table `{table}` is a global table with multi-Region strong consistency, which has no transactions")]
    NoTransactions {
        /// Its name.
        table: String,
    },
    /// The endpoint and the Region do not fit.
    #[error("the table `{table}` was not found: the endpoint is not that of the Region {region}: {reason}")]
    Region {
        /// Its name.
        table: String,
        /// The Region that was asked for.
        region: String,
        /// What `DynamoDB` said.
        reason: String,
    },
    /// No Region was given and none is configured.
    #[error("no Region is set for the table `{table}`")]
    NoRegion {
        /// Its name.
        table: String,
    },
    /// A store can only be begun in a table that has been looked at.
    #[error("there is no store in the table `{table}` yet")]
    NoStore {
        /// Its name.
        table: String,
    },
    /// The bucket for the bytes of states cannot be used.
    #[error("the blobs of the store in the table `{table}` cannot be used: {error}")]
    Bucket {
        /// The table's name.
        table: String,
        /// Why.
        error: BucketError,
    },
    /// The store keeps its blobs in a bucket, and the URL names none, or one that has none of them.
    #[error("the store in the table `{table}` keeps its blobs in `{place}`, and {}", named.as_deref().map_or("no bucket was named".into(), |named| format!("there are none of them in `{named}`")))]
    Blobs {
        /// The table's name.
        table: String,
        /// Where they were put first.
        place: String,
        /// The bucket that was named.
        named: Option<String>,
    },
    /// A right is missing.
    #[error("DynamoDB refused access to the table `{table}`: {denial}")]
    Denied {
        /// Its name.
        table: String,
        /// The refusal in `DynamoDB`'s own words.
        denial: String,
    },
    /// The credentials are no longer good.
    #[error("the credentials have expired: {reason}")]
    Expired {
        /// What `DynamoDB` said.
        reason: String,
    },
    /// There are no credentials.
    #[error("no credentials were found: {reason}")]
    NoCredentials {
        /// Where they were looked for.
        reason: String,
    },
    /// A later version wrote the store.
    #[error(
        "the store in the table `{table}` was written by a newer stateward (format {found}, this one knows {known})"
    )]
    Newer {
        /// Its name.
        table: String,
        /// The store's format.
        found: u64,
        /// The newest format that is understood here.
        known: u64,
    },
    /// The home is on its way to another Region.
    #[error("the home of the store in the table `{table}` is being moved to the Region {region}")]
    Moving {
        /// Its name.
        table: String,
        /// The next home.
        region: String,
    },
    /// `DynamoDB` was not reached, or could not answer.
    #[error("the table `{table}` cannot be reached: {reason}")]
    Unavailable {
        /// Its name.
        table: String,
        /// What went wrong.
        reason: String,
    },
    /// Somebody else than `DynamoDB` answered.
    #[error("the table `{table}` cannot be used: {reason}")]
    Foreign {
        /// Its name.
        table: String,
        /// What came.
        reason: String,
    },
    /// Anything else that `DynamoDB` said.
    #[error("the table `{table}` cannot be used: {reason}")]
    Failed {
        /// Its name.
        table: String,
        /// What it said.
        reason: String,
    },
}

impl OpenError {
    /// What a fault of a request about a table means. `create` is the command that makes the table.
    pub(crate) fn new(table: &str, region: &str, create: &str, fault: Fault) -> Self {
        let (table, region) = (table.to_owned(), region.to_owned());
        match fault {
            Fault::Refused(Refused::NoPlace(_)) => Self::NoTable { table, region, create: create.to_owned() },
            Fault::Refused(Refused::Region(_, reason)) => Self::Region { table, region, reason },
            Fault::Refused(Refused::Denied(denial)) => Self::Denied { table, denial },
            Fault::Refused(Refused::Expired(reason)) => Self::Expired { reason },
            Fault::Refused(Refused::NoCredentials(reason)) => Self::NoCredentials { reason },
            Fault::Refused(Refused::Foreign(reason)) => Self::Foreign { table, reason },
            Fault::Refused(Refused::Full(reason) | Refused::Unsupported(reason) | Refused::Other(reason)) => {
                Self::Failed { table, reason }
            }
            Fault::Busy(_, reason) | Fault::NotSent(reason) | Fault::Lost(reason) => {
                Self::Unavailable { table, reason }
            }
            fault => Self::Unavailable { table, reason: StoreError::from(fault).to_string() },
        }
    }

    /// What an error of the store means while it is opened.
    pub(crate) fn of_store(table: &str, error: StoreError) -> Self {
        let table = table.to_owned();
        match error {
            StoreError::Denied { denial } => Self::Denied { table, denial },
            StoreError::Unavailable { reason, .. } | StoreError::OutcomeUnknown { reason } => {
                Self::Unavailable { table, reason }
            }
            other => Self::Failed { table, reason: other.to_string() },
        }
    }

    /// What to do next.
    pub fn advice(&self) -> String {
        match self {
            Self::NoTable { create, .. } => {
                format!("check the name and the Region; to make the table, add `--create-tables`, or `create_tables=true` to the store's URL, or run: {create}")
            }
            Self::Schema { .. } => "name another table; the key of a table cannot be changed, and this one was left as it is".into(),
            Self::NotReady { .. } => "wait until it is ACTIVE, then try again".into(),
            Self::NoTransactions { .. } => {
                "use a table without replicas, or a global table with eventual consistency (MREC): writes go to its home Region either way".into()
            }
            Self::NoStore { .. } => {
                "open it once without `skip_table_check`, with the right to `dynamodb:DescribeTable`: a store is begun only where it is known in which Regions the table is".into()
            }
            Self::Bucket { error, .. } => error.advice("blobs."),
            Self::Blobs { place, named: None, .. } => format!("add `blobs={place}` to the store's URL"),
            Self::Blobs { .. } => "name the bucket and the prefix where they are, or where a whole copy of them is".into(),
            Self::Region { .. } | Self::NoRegion { .. } => {
                "set `region=…` in the store's URL, or `AWS_REGION`".into()
            }
            Self::Denied { .. } => {
                "give the whole message to `stateward explain`: it says which policy refused it and what to do; if only `dynamodb:DescribeTable` is missing, `skip_table_check=true` does without it".into()
            }
            Self::Expired { .. } => "renew them: `aws sso login`, or assume the role again".into(),
            Self::NoCredentials { .. } => {
                "set `profile=…` or `role_arn=…` in the store's URL, or `AWS_ACCESS_KEY_ID`".into()
            }
            Self::Newer { .. } => "upgrade stateward; the store was left as it is".into(),
            Self::Moving { region, .. } => {
                format!("try again; if it does not end, repeat the move: `stateward failover --to {region}`")
            }
            Self::Unavailable { .. } => {
                "check the endpoint and the network, then try again; if a whole Region is out of reach, `stateward failover` moves the home".into()
            }
            Self::Foreign { .. } => {
                "check `endpoint=…` in the store's URL, or `AWS_ENDPOINT_URL`; where the network asks for a sign-in, sign in first".into()
            }
            Self::Failed { .. } => "put right what the message names, then try again".into(),
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        let (next, reason) = (error.advice(), format!("{error}; {}", error.advice()));
        match error {
            OpenError::NoTable { table, region, .. } => Self::NoPlace {
                place: format!("table `{table}` in the Region {region}"),
                reason: "DynamoDB knows none of this name there".into(),
                next,
            },
            OpenError::Denied { .. } | OpenError::Expired { .. } | OpenError::NoCredentials { .. } => {
                Self::Denied { denial: reason }
            }
            OpenError::NotReady { .. } | OpenError::Moving { .. } | OpenError::Unavailable { .. } => {
                Self::Unavailable { retry_after: None, reason }
            }
            OpenError::Bucket { error, .. } => error.into_store_error("blobs."),
            OpenError::Schema { table, .. }
            | OpenError::Blobs { table, .. }
            | OpenError::NoTransactions { table }
            | OpenError::Region { table, .. }
            | OpenError::NoRegion { table }
            | OpenError::NoStore { table }
            | OpenError::Newer { table, .. }
            | OpenError::Foreign { table, .. }
            | OpenError::Failed { table, .. } => Self::Unsupported { what: format!("the table {table}"), reason },
        }
    }
}
