//! Opening the store that a URL names.

mod aws;

use std::path::Path;
use std::sync::Arc;

use stateward_core::{Backend, Error, Kind, Outside};
use stateward_store::{MemStore, Store};
use stateward_store_sqlite::{OpenError, Options, SqliteStore};

pub(crate) use aws::{dynamodb_options, now, refused_by_s3, seed};

use crate::config::{Settings, StoreUrl};
use crate::failure::{Failure, Result};
use crate::system::{SystemClock, SystemEntropy};

/// Whether a store that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Refuse,
}

/// A store, and the places beside it that others use too.
struct Opened {
    store: Arc<dyn Store>,
    outside: Outside,
}

impl Opened {
    fn alone(store: Arc<dyn Store>) -> Self {
        Self { store, outside: Outside::default() }
    }
}

/// Opens the core over the store in the settings.
pub(crate) async fn open_backend(settings: &Settings, missing: Missing) -> Result<Backend> {
    let mut core = settings.core.clone();
    let Opened { store, outside } = match &settings.store {
        StoreUrl::Nowhere => return Err(nowhere()),
        StoreUrl::Memory => Opened::alone(Arc::new(MemStore::new())),
        StoreUrl::Sqlite(path) => Opened::alone(Arc::new(open_sqlite(path, settings.store_max_bytes, missing)?)),
        StoreUrl::S3(url) => aws::open_s3(url).await?,
        StoreUrl::DynamoDb(url) => {
            let options = dynamodb_options(url, settings.create_tables)?;
            if let Some(days) = options.keep_days {
                core.retention.keep_days = Some(days).filter(|days| *days > 0);
            }
            aws::open_dynamodb(&options).await?
        }
    };
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    Ok(Backend::open_shared(store, clock, entropy, core, outside).await?)
}

pub(crate) fn open_sqlite(path: &Path, max_bytes: Option<u64>, missing: Missing) -> Result<SqliteStore> {
    let options = Options { create: missing == Missing::Make, max_bytes, ..Options::new(path) };
    Ok(SqliteStore::open(&options).map_err(|error| refused(&error))?)
}

/// The URL of a store as another process, in another directory and another environment, finds the same one by it.
pub(crate) async fn settled(store: &StoreUrl) -> StoreUrl {
    match store {
        StoreUrl::Sqlite(path) => {
            let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.clone());
            StoreUrl::Sqlite(path.canonicalize().unwrap_or_else(|_| absolute()))
        }
        StoreUrl::S3(url) => StoreUrl::S3(aws::settled_s3(url).await),
        StoreUrl::DynamoDb(url) => StoreUrl::DynamoDb(aws::settled_dynamodb(url).await),
        StoreUrl::Memory | StoreUrl::Nowhere => store.clone(),
    }
}

/// The file of a store; an error where it has none.
pub(crate) fn file_of(settings: &Settings) -> Result<&Path> {
    match &settings.store {
        StoreUrl::Sqlite(path) => Ok(path),
        StoreUrl::Nowhere => Err(nowhere()),
        StoreUrl::Memory => {
            let why = "such a store ends with its process";
            Err(Error::new(
                Kind::Unsupported,
                "`memory:` has no file to copy",
                why,
                "name a `sqlite:` store with `--store`",
            )
            .into())
        }
        StoreUrl::S3(_) | StoreUrl::DynamoDb(_) => {
            let why = "it is kept by a service, which has backups of its own";
            let next = "turn on the bucket's versioning, or the table's point-in-time recovery; `stateward state export --all-versions` \
                        writes one state with all its versions to files";
            Err(Error::new(Kind::Unsupported, format!("`{}` has no file to copy", settings.store), why, next).into())
        }
    }
}

/// A store in the working directory would be another one in each.
fn nowhere() -> Failure {
    Failure::usage(
        "no store is named",
        "neither `XDG_DATA_HOME` nor `HOME` names a directory for it, as in a service without a user",
        "name one, such as `sqlite:/var/lib/stateward/stateward.db`, with `--store`, `STATEWARD_STORE` or in `stateward.toml`",
    )
}

fn refused(error: &OpenError) -> Error {
    let kind = match error {
        OpenError::Missing { path } | OpenError::Blank { path } => {
            let why = match error {
                OpenError::Blank { .. } => "the file is empty",
                _ => "the file does not exist",
            };
            let next = "check the path (`stateward config show` says where it comes from); `serve` and `state push` make a new store";
            return Error::new(Kind::NotFound, format!("there is no store at `sqlite:{}`", path.display()), why, next);
        }
        OpenError::NotWritable { .. } => Kind::Denied,
        OpenError::Corrupt { .. } => Kind::Corrupt,
        OpenError::NetworkFilesystem { .. } | OpenError::Newer { .. } => Kind::Unsupported,
        OpenError::NotAFile { .. } | OpenError::Foreign { .. } => Kind::Invalid,
        _ => Kind::Unavailable,
    };
    Error::new(kind, "the store cannot be opened", error.to_string(), error.advice())
}
