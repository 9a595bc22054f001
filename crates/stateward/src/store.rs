//! Opening the store that a URL names.

use std::path::Path;
use std::sync::Arc;

use stateward_core::{Backend, Error, Kind};
use stateward_store::{MemStore, Store};
use stateward_store_sqlite::{OpenError, Options, SqliteStore};

use crate::config::{Settings, StoreUrl};
use crate::failure::Result;
use crate::system::{SystemClock, SystemEntropy};

/// Whether a store that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Refuse,
}

/// Opens the core over the store in the settings.
pub(crate) async fn open_backend(settings: &Settings, missing: Missing) -> Result<Backend> {
    let store: Arc<dyn Store> = match &settings.store {
        StoreUrl::Memory => Arc::new(MemStore::new()),
        StoreUrl::Sqlite(path) => Arc::new(open_sqlite(path, settings.store_max_bytes, missing)?),
        StoreUrl::Later(scheme) => return Err(later(scheme).into()),
    };
    Ok(Backend::open(store, Arc::new(SystemClock), Arc::new(SystemEntropy), settings.core.clone()).await?)
}

pub(crate) fn open_sqlite(path: &Path, max_bytes: Option<u64>, missing: Missing) -> Result<SqliteStore> {
    let options = Options { create: missing == Missing::Make, max_bytes, ..Options::new(path) };
    Ok(SqliteStore::open(&options).map_err(|error| refused(&error))?)
}

/// The file of a store; an error where it has none.
pub(crate) fn file_of(settings: &Settings) -> Result<&Path> {
    match &settings.store {
        StoreUrl::Sqlite(path) => Ok(path),
        StoreUrl::Later(scheme) => Err(later(scheme).into()),
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
    }
}

fn later(scheme: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("`{scheme}:` stores are not in this version yet"),
        "this version keeps states in a `sqlite:` file or in `memory:`",
        "use `--store sqlite:PATH`",
    )
}

fn refused(error: &OpenError) -> Error {
    let kind = match error {
        OpenError::Missing { path } => {
            let next = "check the path (`stateward config show` says where it comes from); `serve` and `state push` make a new store";
            return Error::new(
                Kind::NotFound,
                format!("there is no store at `sqlite:{}`", path.display()),
                "the file does not exist",
                next,
            );
        }
        OpenError::NotWritable { .. } => Kind::Denied,
        OpenError::Corrupt { .. } => Kind::Corrupt,
        OpenError::NetworkFilesystem { .. } | OpenError::Newer { .. } => Kind::Unsupported,
        OpenError::NotAFile { .. } | OpenError::Foreign { .. } => Kind::Invalid,
        _ => Kind::Unavailable,
    };
    Error::new(kind, "the store cannot be opened", error.to_string(), error.advice())
}
