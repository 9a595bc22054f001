//! Where stores of these tests are: each in tables of its own, on a server that all share.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use stateward_store::Store;
use stateward_store::conformance;
use stateward_store_dynamodb::{Blobs, DynamoStore, Now, Objects, Options, Place};
use stateward_testkit::{AwsEnv, fresh_name};
use tempfile::NamedTempFile;

/// The second in which all of these tests take place.
pub(crate) const NOW: u64 = 1_790_000_000;

/// Credentials that any stand-in takes: an SDK that is given none would look for the user's.
static CREDENTIALS: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let mut file = NamedTempFile::new().unwrap();
    let (key, secret) = (AwsEnv::ACCESS_KEY, AwsEnv::SECRET_KEY);
    writeln!(file, "[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}").unwrap();
    file
});

pub(crate) fn now() -> Now {
    Arc::new(|| NOW)
}

/// A seed that no other store in any process has.
pub(crate) fn seed() -> [u8; 32] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{} {count} {:p}", std::process::id(), &raw const COUNT);
    *blake3::hash(name.as_bytes()).as_bytes()
}

/// Options for a new table on a server.
pub(crate) fn options(endpoint: &str) -> Options {
    let mut options = Options::new(fresh_name("states"));
    options.create_tables = true;
    options.access.region = Some(AwsEnv::REGION.into());
    options.access.endpoint = Some(endpoint.to_owned());
    options.access.shared_credentials_files = vec![CREDENTIALS.path().to_owned()];
    options.access.skip_metadata_api_check = true;
    options
}

/// Options for a new table, with the bytes in a new place in a bucket of another server.
pub(crate) fn options_with_blobs(endpoint: &str, s3: &str, bucket: &str) -> Options {
    let place = Place { bucket: bucket.to_owned(), prefix: fresh_name("blobs") };
    let objects = Objects { path_style: true, ..Objects::default() };
    let blobs = Blobs { place, region: None, endpoint: Some(s3.to_owned()), objects };
    Options { blobs: Some(blobs), ..options(endpoint) }
}

pub(crate) async fn open(options: &Options) -> Arc<DynamoStore> {
    Arc::new(DynamoStore::open(options, now(), seed()).await.unwrap())
}

/// A table of its own.
pub(crate) struct InTable {
    options: Options,
}

impl InTable {
    pub(crate) fn on(endpoint: &str) -> Self {
        Self { options: options(endpoint) }
    }

    /// With the bytes in a bucket.
    pub(crate) fn with_blobs(options: Options) -> Self {
        Self { options }
    }
}

/// A client of the service itself, as anybody else may have one.
pub(crate) fn client(options: &Options) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(options.access.region.clone().unwrap()))
        .endpoint_url(options.access.endpoint.clone().unwrap())
        .credentials_provider(Credentials::new(AwsEnv::ACCESS_KEY, AwsEnv::SECRET_KEY, None, None, "tests"));
    Client::from_conf(config.build())
}

#[async_trait]
impl conformance::Place for InTable {
    async fn open(&self) -> Arc<dyn Store> {
        open(&self.options).await
    }
}
