//! Stores on AWS, and the places there that plain Terraform uses too.

use std::sync::Arc;

use stateward_core::{Clock, Entropy, Error, Kind, Outside};
use stateward_store_dynamodb::{self as dynamodb, DynamoStore, LockTable};
use stateward_store_s3::{self as s3, S3Store, TerraformPlace};

use super::Opened;
use crate::failure::{Failure, Result};
use crate::system::{SystemClock, SystemEntropy};

const NOT_OPENED: &str = "the store cannot be opened";

/// Opens a store in a bucket. What plain Terraform keeps there is shared unless the URL says otherwise.
pub(super) async fn open_s3(url: &str) -> Result<Opened> {
    let options = s3::Options::from_url(url).map_err(|error| no_store(&error.to_string()))?;
    let store = S3Store::open(options, seed()).await.map_err(|error| refused_by_s3(&error))?;
    let place = TerraformPlace::of(&store).map(Arc::new);
    let outside = Outside {
        locks: place.clone().filter(|place| place.takes_locks()).map(|place| place as _),
        bytes: place.map(|place| place as _),
    };
    Ok(Opened { store: Arc::new(store), outside })
}

/// Opens a store in a table. The lock table that others read is shared where the URL names one.
pub(super) async fn open_dynamodb(options: &dynamodb::Options) -> Result<Opened> {
    let store = DynamoStore::open(options, now(), seed()).await.map_err(|error| refused_by_dynamodb(&error))?;
    let store = Arc::new(store);
    let locks = LockTable::of(&store).map(|table| Arc::new(table) as _);
    Ok(Opened { store, outside: Outside { locks, bytes: None } })
}

/// The options in a URL, and on the command line.
pub(crate) fn dynamodb_options(url: &str, create_tables: bool) -> Result<dynamodb::Options> {
    let mut options = dynamodb::Options::from_url(url).map_err(|error| no_store(&error.to_string()))?;
    options.create_tables |= create_tables;
    Ok(options)
}

/// The URL of a store in a bucket with all written out that the environment says of where it is.
pub(super) async fn settled_s3(url: &str) -> String {
    match s3::Options::from_url(url) {
        Ok(options) => options.settled().await.url(),
        Err(_) => url.to_owned(),
    }
}

/// The same of a store in a table.
pub(super) async fn settled_dynamodb(url: &str) -> String {
    let Ok(dynamodb::Options { access, .. }) = dynamodb::Options::from_url(url) else { return url.to_owned() };
    let configuration = stateward_store_aws::configuration(&access).await;
    let endpoint = stateward_store_aws::dynamodb_endpoint(&configuration);
    let settled = stateward_store_aws::settled(&access, &configuration, endpoint).await;
    let all = [
        ("region", access.region.is_none(), settled.region),
        ("endpoint", access.endpoint.is_none(), settled.endpoint),
        ("profile", access.profile.is_none(), settled.profile),
    ];
    let added = all.into_iter().filter_map(|(name, is_open, text)| Some((name.to_owned(), text.filter(|_| is_open)?)));
    let query = stateward_store_aws::query(&added.collect::<Vec<_>>());
    let mark = if url.contains('?') { "&" } else { "?" };
    format!("{url}{}", query.replacen('?', mark, 1))
}

/// What this process makes its unique names from.
pub(crate) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    SystemEntropy.fill(&mut seed);
    seed
}

/// The time, for what lapses.
pub(crate) fn now() -> dynamodb::Now {
    Arc::new(|| u64::try_from(SystemClock.now().as_second()).unwrap_or_default())
}

fn no_store(why: &str) -> Failure {
    Failure::usage(NOT_OPENED, why, "put the URL right")
}

pub(crate) fn refused_by_s3(error: &s3::OpenError) -> Error {
    let kind = match error {
        s3::OpenError::Bucket(error) => kind_of_bucket(error),
        s3::OpenError::Unconditional { .. } | s3::OpenError::Newer { .. } => Kind::Unsupported,
        s3::OpenError::Corrupt { .. } => Kind::Corrupt,
        _ => Kind::Invalid,
    };
    Error::new(kind, NOT_OPENED, error.to_string(), error.advice())
}

fn kind_of_bucket(error: &s3::BucketError) -> Kind {
    match error {
        s3::BucketError::NoBucket { .. } => Kind::NoPlace,
        s3::BucketError::Denied { .. } | s3::BucketError::Expired { .. } | s3::BucketError::NoCredentials { .. } => {
            Kind::Denied
        }
        s3::BucketError::Unavailable { .. } => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}

fn refused_by_dynamodb(error: &dynamodb::OpenError) -> Error {
    let kind = match error {
        dynamodb::OpenError::NoTable { .. } => Kind::NoPlace,
        dynamodb::OpenError::Bucket { error, .. } => kind_of_bucket(error),
        dynamodb::OpenError::Denied { .. }
        | dynamodb::OpenError::Expired { .. }
        | dynamodb::OpenError::NoCredentials { .. } => Kind::Denied,
        dynamodb::OpenError::NoTransactions { .. } | dynamodb::OpenError::Newer { .. } => Kind::Unsupported,
        dynamodb::OpenError::NotReady { .. }
        | dynamodb::OpenError::Moving { .. }
        | dynamodb::OpenError::Unavailable { .. } => Kind::Unavailable,
        _ => Kind::Invalid,
    };
    Error::new(kind, NOT_OPENED, error.to_string(), error.advice())
}
