//! The place of Terraform's own `s3` backend, in the bucket of the store: states, lock files, and items in a lock table.
//!
//! The object of a state is exactly what plain Terraform would have put there, but for a label in its metadata. Locks are taken as
//! Terraform takes them, in its order and to the byte, so that either finds, waits for, and breaks those of the other.

mod bytes;
mod digest;
mod list;
mod locks;
mod requests;
mod spots;
mod table;
mod unchecked;
mod upload;
mod versions;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use lru::LruCache;
use stateward_store::outside::Spot;
use stateward_store_aws::{Bucket, Counter, Fault, Ids, Refused};

use self::locks::Held;
use self::spots::Spots;
use self::table::Table;
use crate::connect;
use crate::options::Options;
use crate::refusal::OpenError;
use crate::store::S3Store;

pub use self::unchecked::{LockKind, StandingLock};
pub use self::versions::ObjectVersion;

/// States of which it is remembered which bytes have which digest.
const DIGESTS_KNOWN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// The first wait before a request is sent again; the next is twice as long.
const WAIT: Duration = Duration::from_millis(50);

/// Terraform's own `s3` backend, in the bucket of a store. Cheap to clone.
#[derive(Clone)]
pub struct TerraformPlace {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Bucket,
    ids: Arc<Ids>,
    spots: Spots,
    use_lockfile: bool,
    table: Option<Table>,
    /// Whether the storage honours `If-Match` on a delete; `None` where that was not tried.
    deletes_if: Option<bool>,
    tries: u32,
    /// The lock files that this process has taken.
    held: Mutex<HashMap<Spot, Held>>,
    /// The MD5 of bytes by their `ETag`, where that is not the MD5 itself.
    digests: Mutex<LruCache<String, String>>,
}

impl TerraformPlace {
    /// The place that the store's options share, if they share one.
    pub fn of(store: &S3Store) -> Option<Self> {
        let shared = &store.shared;
        shared.options.sharing.as_ref()?;
        let ids = Arc::clone(&shared.ids);
        let bucket = shared.records.bucket.clone();
        let place = Inner::new(&shared.options, &shared.configuration, &shared.counter, bucket, ids);
        Some(Self { inner: Arc::new(Inner { deletes_if: Some(shared.records.deletes_if), ..place }) })
    }

    /// The place alone, without a store. Nothing is written by this, and nothing is tried out. `seed` is as in
    /// [`S3Store::open`].
    pub async fn open(options: Options, seed: [u8; 32]) -> Result<Self, OpenError> {
        let configuration = crate::open::configuration(&options).await?;
        let counter = Counter::default();
        let bucket = connect::bucket(&options, &configuration, &counter)?;
        let ids = Arc::new(Ids::new(seed));
        Ok(Self { inner: Arc::new(Inner::new(&options, &configuration, &counter, bucket, ids)) })
    }

    /// True where Terraform's locks are taken too: a lock file, or an item in a table.
    pub fn takes_locks(&self) -> bool {
        self.inner.use_lockfile || self.inner.table.is_some()
    }
}

impl Inner {
    fn new(options: &Options, configuration: &SdkConfig, counter: &Counter, bucket: Bucket, ids: Arc<Ids>) -> Self {
        let sharing = options.sharing.clone().unwrap_or_default();
        let dynamodb = || connect::dynamodb(options, configuration, counter);
        let table = sharing.lock_table.map(|name| Table::new(dynamodb(), name, options.bucket.clone()));
        let spots = Spots {
            bucket: options.bucket.clone(),
            prefix: options.prefix.clone(),
            workspace_key_prefix: sharing.workspace_key_prefix,
        };
        Self {
            bucket,
            ids,
            spots,
            use_lockfile: sharing.use_lockfile,
            table,
            deletes_if: None,
            tries: options.access.max_retries.saturating_add(1).max(2),
            held: Mutex::default(),
            digests: Mutex::new(LruCache::new(DIGESTS_KNOWN)),
        }
    }

    /// True where a delete is known to take exactly what it names, and nothing has to be looked at before.
    fn deletes_exactly(&self) -> bool {
        self.deletes_if == Some(true)
    }

    /// Deletes an object that has just been seen to have this `ETag`: under that condition, unless the storage does not take one.
    async fn delete_seen(&self, name: &str, tag: &str) -> Result<(), Fault> {
        match self.deletes_if {
            Some(true) => self.bucket.delete_if(name, tag).await,
            Some(false) => self.bucket.delete(name).await,
            None => match self.bucket.delete_if(name, tag).await {
                Err(Fault::Refused(Refused::Unsupported(_))) => self.bucket.delete(name).await,
                deleted => deleted,
            },
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Spot, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn digests(&self) -> MutexGuard<'_, LruCache<String, String>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait before the next turn.
    fn wait(&self, turn: u32) -> Duration {
        let most = WAIT.saturating_mul(1 << turn.min(6));
        most / 2 + self.ids.part_of(most / 2)
    }
}

impl fmt::Debug for TerraformPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerraformPlace")
            .field("spots", &self.inner.spots)
            .field("use_lockfile", &self.inner.use_lockfile)
            .field("table", &self.inner.table)
            .finish_non_exhaustive()
    }
}
