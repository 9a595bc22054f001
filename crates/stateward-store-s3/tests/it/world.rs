//! S3 services on this machine, and places in them.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use md5::Digest;
use stateward_store::Store;
use stateward_store::conformance::Place;
use stateward_store::outside::{Mark, Outgoing, Seen, Spot};
use stateward_store_s3::{Access, Options, S3Store, Sharing, TerraformPlace};
use stateward_testkit::{AwsEnv, Moto, VersityGw, fresh_name};
use tempfile::NamedTempFile;

/// Credentials that any stand-in takes: an SDK that is given none would look for the user's.
static CREDENTIALS: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let mut file = NamedTempFile::new().unwrap();
    let (id, secret) = (AwsEnv::ACCESS_KEY, AwsEnv::SECRET_KEY);
    writeln!(file, "[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}").unwrap();
    file
});

static MOTO_BUCKET: LazyLock<String> = LazyLock::new(|| Moto::shared().create_bucket());
static VERSITYGW_BUCKET: LazyLock<String> = LazyLock::new(|| VersityGw::shared().create_bucket());

/// 32 bytes that no other store in any process has.
pub(crate) fn seed() -> [u8; 32] {
    *blake3::hash(fresh_name("seed").as_bytes()).as_bytes()
}

/// A new place in a bucket of a service.
pub(crate) fn options(endpoint: &str, bucket: &str) -> Options {
    let mut options = Options::new(bucket, fresh_name("place"));
    options.access = Access {
        endpoint: Some(endpoint.to_owned()),
        region: Some(AwsEnv::REGION.into()),
        shared_credentials_files: vec![CREDENTIALS.path().to_owned()],
        ..Access::default()
    };
    options.objects.path_style = true;
    options
}

/// A new place on the moto that all tests share.
pub(crate) fn on_moto() -> Options {
    options(Moto::shared().url(), &MOTO_BUCKET)
}

/// A new place on the versitygw that all tests share.
pub(crate) fn on_versitygw() -> Options {
    options(VersityGw::shared().url(), &VERSITYGW_BUCKET)
}

pub(crate) async fn open(options: &Options) -> S3Store {
    S3Store::open(options.clone(), seed()).await.unwrap()
}

/// A place for the conformance suite.
pub(crate) struct Somewhere(Options);

impl Somewhere {
    /// With small blobs kept in records, as usual.
    pub(crate) fn usual(options: Options) -> Self {
        Self(options)
    }

    /// With all blobs in packs.
    pub(crate) fn packed(options: Options) -> Self {
        Self(Options { keep_bytes: 0, ..options })
    }
}

#[async_trait]
impl Place for Somewhere {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(open(&self.0).await)
    }
}

/// Options that share a place with Terraform, on moto, with a new lock table.
pub(crate) fn shared_on_moto(use_lockfile: bool, table: bool) -> Options {
    let mut options = on_moto();
    options.dynamodb_endpoint = Some(Moto::shared().url().to_owned());
    let lock_table = table.then(|| Moto::shared().create_lock_table());
    options.sharing = Some(Sharing { lock_table, use_lockfile, ..Sharing::default() });
    options
}

/// Opens the place that a store shares.
pub(crate) async fn place_of(options: &Options) -> (S3Store, TerraformPlace) {
    let store = open(options).await;
    let place = TerraformPlace::of(&store).unwrap();
    // What opening costs is another matter.
    store.requests().take();
    (store, place)
}

/// What the store has sent since it was asked last.
pub(crate) fn sent(store: &S3Store) -> Vec<(String, u64)> {
    store.requests().take().requests.into_iter().collect()
}

/// Somebody else, at the same services.
#[derive(Clone)]
pub(crate) struct Stranger {
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) bucket: String,
    table: Option<String>,
}

impl Stranger {
    pub(crate) fn at(options: &Options) -> Self {
        let keys =
            || aws_credential_types::Credentials::new(AwsEnv::ACCESS_KEY, AwsEnv::SECRET_KEY, None, None, "test");
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_s3::config::Region::new(AwsEnv::REGION))
            .credentials_provider(keys())
            .force_path_style(true)
            .endpoint_url(options.access.endpoint.clone().unwrap());
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_dynamodb::config::Region::new(AwsEnv::REGION))
            .credentials_provider(keys())
            .endpoint_url(options.dynamodb_endpoint.clone().unwrap_or_default());
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            bucket: options.bucket.clone(),
            table: options.sharing.as_ref().and_then(|sharing| sharing.lock_table.clone()),
        }
    }

    /// Content, content type, and metadata of an object.
    pub(crate) async fn get(&self, key: &str) -> Option<(Bytes, String, HashMap<String, String>)> {
        let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await.ok()?;
        let (content_type, metadata) = (object.content_type.unwrap_or_default(), object.metadata.unwrap_or_default());
        Some((object.body.collect().await.unwrap().into_bytes(), content_type, metadata))
    }

    pub(crate) async fn put(&self, key: &str, content: impl Into<Bytes>) {
        let body = content.into().into();
        self.s3.put_object().bucket(&self.bucket).key(key).body(body).send().await.unwrap();
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.s3.delete_object().bucket(&self.bucket).key(key).send().await.unwrap();
    }

    /// An attribute of an item in the lock table.
    pub(crate) async fn item(&self, lock_id: &str, attribute: &str) -> Option<String> {
        let key = AttributeValue::S(lock_id.to_owned());
        let request = self.dynamodb.get_item().table_name(self.table.clone().unwrap()).key("LockID", key);
        let item = request.send().await.unwrap().item?;
        Some(item[attribute].as_s().unwrap().clone())
    }

    pub(crate) async fn put_item(&self, lock_id: &str, attribute: &str, value: &str) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let request = self.dynamodb.put_item().table_name(self.table.clone().unwrap());
        request.item("LockID", text(lock_id)).item(attribute, text(value)).send().await.unwrap();
    }
}

pub(crate) fn at(name: &str, workspace: &str) -> Spot {
    Spot { name: name.into(), workspace: workspace.into() }
}

/// Bytes on their way out.
pub(crate) fn outgoing(label: &str, content: &Bytes) -> Outgoing {
    let parts: Vec<_> = content.chunks(1 << 20).map(|part| Ok(content.slice_ref(part))).collect();
    Outgoing {
        label: label.to_owned(),
        size: content.len() as u64,
        md5: md5_of(content),
        bytes: stream::iter(parts).boxed(),
    }
}

pub(crate) fn md5_of(content: &[u8]) -> String {
    format!("{:032x}", u128::from_be_bytes(md5::Md5::digest(content).into()))
}

/// What was read, whole.
pub(crate) async fn whole(seen: Seen) -> (Mark, Option<String>, Bytes) {
    let Seen::Bytes(incoming) = seen else { panic!("{seen:?}") };
    let parts: Vec<Bytes> = incoming.bytes.try_collect().await.unwrap();
    let content = Bytes::from(parts.concat());
    assert_eq!(content.len() as u64, incoming.size);
    (incoming.mark, incoming.label, content)
}

pub(crate) fn lock_info(id: &str) -> String {
    format!(
        r#"{{"ID":"{id}","Operation":"OperationTypeApply","Info":"","Who":"a<b>@vm","Version":"1.15.5","Created":"2026-11-20T15:41:12.86672139Z","Path":""}}"#
    )
}
