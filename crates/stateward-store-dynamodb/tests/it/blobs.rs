//! Blobs in a bucket: what lies where, which bucket is a store's, and faults at either place.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use stateward_store::{BlobId, BlobRef, Expect, Key, Live, NewBlob, Result, Revision, Store, StoreError, Write};
use stateward_store_dynamodb::{BucketError, DynamoStore, Force, OpenError, Options, failover};
use stateward_testkit::{AwsEnv, DynamoDbLocal, Fault, FaultProxy, Moto, Rule};

use crate::place::{client, now, open, options, options_with_blobs, seed};

static BUCKET: LazyLock<String> = LazyLock::new(|| Moto::shared().create_bucket());

/// Options for a new table and a new place in the bucket that all of these tests share.
pub(crate) fn here() -> Options {
    options_with_blobs(DynamoDbLocal::shared().url(), Moto::shared().url(), &BUCKET)
}

/// The bucket as anybody else sees it.
struct Stranger {
    s3: aws_sdk_s3::Client,
    prefix: String,
}

impl Stranger {
    fn at(options: &Options) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_s3::config::Region::new(AwsEnv::REGION))
            .credentials_provider(Credentials::new(AwsEnv::ACCESS_KEY, AwsEnv::SECRET_KEY, None, None, "tests"))
            .force_path_style(true)
            .endpoint_url(Moto::shared().url());
        let prefix = options.blobs.as_ref().unwrap().place.prefix.clone();
        Self { s3: aws_sdk_s3::Client::from_conf(config.build()), prefix: format!("{prefix}/.stateward/") }
    }

    /// The parts of packs.
    async fn parts(&self) -> Vec<String> {
        let listing = self.s3.list_objects_v2().bucket(&*BUCKET).prefix(&self.prefix).send().await.unwrap();
        let names = listing.contents().iter().map(|object| object.key().unwrap().to_owned());
        names.filter(|name| !name.ends_with("/store")).collect()
    }

    async fn get(&self, key: &str) -> Bytes {
        let object = self.s3.get_object().bucket(&*BUCKET).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().into_bytes()
    }

    async fn put(&self, key: &str, content: Bytes) {
        self.s3.put_object().bucket(&*BUCKET).key(key).body(content.into()).send().await.unwrap();
    }

    async fn delete(&self, key: &str) {
        self.s3.delete_object().bucket(&*BUCKET).key(key).send().await.unwrap();
    }
}

fn blob(byte: u8, size: usize) -> NewBlob {
    NewBlob { id: BlobId([byte; 32]), sealed: vec![byte; size].into() }
}

fn write(key: &str, value: &str, expect: Expect) -> Write {
    Write { key: Key::new(key), value: Some(Bytes::copy_from_slice(value.as_bytes())), expect }
}

/// Publishes blobs with a new record.
async fn publish(store: &dyn Store, key: &str, blobs: Vec<NewBlob>) -> Result<(Vec<BlobRef>, Revision)> {
    let mut session = store.session(&Key::new(key));
    let ids: Vec<BlobId> = blobs.iter().map(|blob| blob.id).collect();
    let locators = session.put(blobs).await?;
    let revision = session.commit(vec![write(key, "published", Expect::Absent)]).await?;
    let refs = ids.into_iter().zip(locators).map(|(id, locator)| BlobRef { id, locator }).collect();
    Ok((refs, revision))
}

/// One round of collection; nothing is live but these.
async fn collect(store: &dyn Store, live: &[BlobId]) -> u64 {
    let horizon = store.begin_sweep().await.unwrap();
    let mut all = Live::default();
    for id in live {
        all.insert(id);
    }
    let (all, mut after, mut deleted) = (Arc::new(all), None, 0);
    loop {
        let page = store.sweep(horizon, after, Arc::clone(&all)).await.unwrap();
        deleted += page.deleted;
        after = page.next;
        if after.is_none() {
            return deleted;
        }
    }
}

async fn refused(options: &Options) -> (OpenError, String) {
    let error = DynamoStore::open(options, now(), seed()).await.map(drop).unwrap_err();
    let told = format!("{error}; {}", error.advice());
    (error, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bytes_go_into_the_bucket_and_none_into_the_table() {
    let options = here();
    let (store, stranger) = (open(&options).await, Stranger::at(&options));
    assert!(store.describe().location.contains(&options.blobs.as_ref().unwrap().place.url()));
    // Blobs of a small write and those of a large one, which is several parts.
    let sizes = [3, 5000, 700_000].into_iter().chain([900_000; 8]);
    let blobs: Vec<NewBlob> = sizes.zip(1..).map(|(size, byte)| blob(byte, size)).collect();
    let total: usize = blobs.iter().map(|blob| blob.sealed.len()).sum();
    let (refs, _) = publish(&*store, "state/a@default", blobs.clone()).await.unwrap();
    let fresh = open(&options).await;
    for store in [&store, &fresh] {
        let read = store.get_blobs(&refs).await.unwrap();
        assert!(read.iter().zip(&blobs).all(|(read, blob)| *read == blob.sealed));
    }
    let parts = stranger.parts().await;
    assert!(parts.len() > 1, "{parts:?}");
    let mut held = 0;
    for part in &parts {
        held += stranger.get(part).await.len();
    }
    assert_eq!(held, total);
    let items = client(&options).scan().table_name(&options.state_table).send().await.unwrap().items.unwrap();
    let bytes = items.iter().filter_map(|item| item.get("B")).filter_map(|bytes| bytes.as_b().ok());
    assert_eq!(bytes.map(|bytes| bytes.as_ref().len()).sum::<usize>(), 0);
    store.ready().await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_the_table_before_stays_readable_and_is_collected() {
    let with = here();
    let without = Options { blobs: None, ..with.clone() };
    let before = open(&without).await;
    let (old, _) = publish(&*before, "old", vec![blob(1, 200_000)]).await.unwrap();
    let store = open(&with).await;
    let (new, _) = publish(&*store, "new", vec![blob(2, 200_000)]).await.unwrap();
    let read = store.get_blobs(&[new[0].clone(), old[0].clone()]).await.unwrap();
    assert_eq!((read[0][0], read[1][0]), (2, 1));

    // A process that knows of no bucket leaves what is there alone, and says why it cannot read it.
    let error = before.get_blobs(&new).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unsupported { .. }) && error.to_string().contains("`blobs=s3://…`"),
        "{error}"
    );
    for _ in 0..3 {
        collect(&*before, &[BlobId([1; 32])]).await;
    }
    assert_eq!(store.get_blobs(&[new[0].clone(), old[0].clone()]).await.unwrap().len(), 2);
    let deleted = collect(&*store, &[]).await + collect(&*store, &[]).await + collect(&*store, &[]).await;
    assert_eq!(deleted, 2);
    assert_eq!(Stranger::at(&with).parts().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_opened_only_with_its_own_bucket() {
    let options = here();
    let place = options.blobs.clone().unwrap().place;
    let (refs, _) = publish(&*open(&options).await, "a", vec![blob(1, 9000)]).await.unwrap();

    let (error, told) = refused(&Options { blobs: None, ..options.clone() }).await;
    assert!(matches!(error, OpenError::Blobs { named: None, .. }), "{told}");
    assert!(told.contains(&format!("add `blobs={}`", place.url())), "{told}");

    let mut elsewhere = options.clone();
    elsewhere.blobs.as_mut().unwrap().place.prefix = "elsewhere".into();
    let (error, told) = refused(&elsewhere).await;
    assert!(matches!(error, OpenError::Blobs { named: Some(_), .. }), "{told}");
    assert!(told.contains(&place.url()) && told.contains("elsewhere"), "{told}");

    // A whole copy is as good.
    let stranger = Stranger::at(&options);
    elsewhere.blobs.as_mut().unwrap().place.prefix = format!("{}-copy", place.prefix);
    let copied = stranger.parts().await.into_iter().chain([format!("{}blobs/store", stranger.prefix)]);
    for name in copied {
        let copy = name.replacen(&place.prefix, &format!("{}-copy", place.prefix), 1);
        stranger.put(&copy, stranger.get(&name).await).await;
    }
    assert_eq!(open(&elsewhere).await.get_blobs(&refs).await.unwrap()[0].len(), 9000);

    let mut other = here();
    other.blobs.clone_from(&options.blobs);
    let (error, told) = refused(&other).await;
    assert!(matches!(error, OpenError::Bucket { error: BucketError::Taken { .. }, .. }), "{told}");
    assert!(told.contains(&options.state_table) && told.contains("another prefix"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_cannot_be_used_is_refused_and_nothing_is_noted() {
    let stranger_store = here();
    let stranger = Stranger::at(&stranger_store);
    stranger.put(&format!("{}meta/proof!", stranger.prefix), "a store in S3".into()).await;
    let (error, told) = refused(&stranger_store).await;
    assert!(matches!(error, OpenError::Bucket { error: BucketError::Taken { .. }, .. }), "{told}");
    assert!(told.contains("taken by a store in S3"), "{told}");

    let mut missing = here();
    missing.blobs.as_mut().unwrap().place.bucket = "none-such".into();
    let (error, told) = refused(&missing).await;
    assert!(matches!(error, OpenError::Bucket { error: BucketError::NoBucket { .. }, .. }), "{told}");
    assert!(told.contains("no bucket `none-such`") && told.contains(&missing.state_table), "{told}");

    let denial =
        "User: arn:aws:iam::1:user/ci is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\"";
    let moved =
        Fault::s3(301, "PermanentRedirect", "must be addressed elsewhere").header("x-amz-bucket-region", "eu-west-3");
    for (fault, words) in [
        (Fault::s3(403, "AccessDenied", denial), [denial, "stateward explain"]),
        (moved, ["is in the Region `eu-west-3`", "`blobs.region=eu-west-3`"]),
    ] {
        let proxy = FaultProxy::to(Moto::shared().url());
        proxy.inject(Rule::new(fault));
        let mut proxied = missing.clone();
        proxied.blobs.as_mut().unwrap().endpoint = Some(proxy.url().to_owned());
        let (_, told) = refused(&proxied).await;
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
    }
    // The table was not bound to any of them.
    missing.blobs = None;
    open(&missing).await.ready().await.unwrap();
}

/// A store whose requests to either place go through a proxy.
async fn behind_proxies() -> (FaultProxy, FaultProxy, Options, Arc<DynamoStore>) {
    let (to_table, to_bucket) = (FaultProxy::to(DynamoDbLocal::shared().url()), FaultProxy::to(Moto::shared().url()));
    let direct = here();
    let mut proxied = direct.clone();
    proxied.access.endpoint = Some(to_table.url().to_owned());
    proxied.access.max_retries = 2;
    proxied.blobs.as_mut().unwrap().endpoint = Some(to_bucket.url().to_owned());
    let store = open(&proxied).await;
    (to_table, to_bucket, direct, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_that_nobody_came_to_publish_are_collected() {
    let (to_table, _to_bucket, options, store) = behind_proxies().await;
    let stranger = Stranger::at(&options);
    to_table.inject(Rule::new(Fault::throttling(Duration::ZERO)).operation("TransactWriteItems"));
    let lost = publish(&*store, "a", vec![blob(1, 100_000)]).await;
    assert!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    to_table.heal();
    assert_eq!(store.get(&Key::new("a")).await.unwrap(), None);
    assert_eq!(stranger.parts().await.len(), 1, "the blob was written");
    for _ in 0..4 {
        collect(&*store, &[]).await;
    }
    assert_eq!(stranger.parts().await, [""; 0]);

    // An answer that is lost after success is no failure.
    let before = to_table.injected();
    to_table.inject(Rule::new(Fault::LoseAnswer).operation("TransactWriteItems").nth(1));
    let (refs, _) = publish(&*store, "b", vec![blob(2, 100_000)]).await.unwrap();
    assert_eq!(to_table.injected(), before + 1);
    assert_eq!(store.get_blobs(&refs).await.unwrap()[0].len(), 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_published_while_the_bucket_is_down() {
    let (_to_table, to_bucket, _, store) = behind_proxies().await;
    let (refs, _) = publish(&*store, "before", vec![blob(1, 2 << 20 >> 2)]).await.unwrap();
    for (n, fault) in
        [Fault::status(503), Fault::s3(500, "InternalError", "no"), Fault::LoseRequest].into_iter().enumerate()
    {
        to_bucket.inject(Rule::new(fault));
        let key = format!("during/{n}");
        let down = publish(&*store, &key, vec![blob(2, 5000)]).await;
        assert!(matches!(down, Err(StoreError::Unavailable { .. })), "{down:?}");
        assert_eq!(store.get(&Key::new(key.as_str())).await.unwrap(), None);
        assert!(store.ready().await.is_err(), "a server that cannot write says so");
        to_bucket.heal();
        store.ready().await.unwrap();
        publish(&*store, &key, vec![blob(2, 5000)]).await.unwrap();
    }
    // What passes by itself is not noticed.
    for (n, fault) in [Fault::LoseAnswer, Fault::slow_down(), Fault::DuplicateAnsweredFirst].into_iter().enumerate() {
        to_bucket.inject(Rule::new(fault).operation("PutObject").nth(1));
        publish(&*store, &format!("passing/{n}"), vec![blob(3, 5000)]).await.unwrap();
        to_bucket.heal();
    }
    assert_eq!(store.get_blobs(&refs).await.unwrap()[0].len(), 1 << 19);
    assert_eq!(store.verify().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_missing_or_cut_short_is_found() {
    let options = here();
    let stranger = Stranger::at(&options);
    let (refs, _) = publish(&*open(&options).await, "a", vec![blob(1, 9000)]).await.unwrap();
    let part = stranger.parts().await.remove(0);
    for damaged in [Some(Bytes::from_static(b"short")), None] {
        match &damaged {
            Some(content) => stranger.put(&part, content.clone()).await,
            None => stranger.delete(&part).await,
        }
        // One that has not read it before.
        let store = open(&options).await;
        let error = store.get_blobs(&refs).await.unwrap_err();
        match damaged {
            Some(_) => assert!(matches!(&error, StoreError::Corrupt { what, .. } if *what == part), "{error:?}"),
            None => assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}"),
        }
        let problems = store.verify().await.unwrap();
        assert!(problems.len() == 1 && problems[0].what.ends_with(&part), "{problems:?}");
    }
}

/// Packs of a former home and of the one that took over without asking it lie in one bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_home_deletes_nothing_that_the_new_one_may_need() {
    let mut europe = here();
    europe.home_lease = Duration::ZERO;
    europe.access.region = Some("eu-west-1".into());
    let url = DynamoDbLocal::shared().url().to_owned();
    europe.endpoints = ["eu-west-1", "us-east-1"].map(|region| (region.to_owned(), url.clone())).into();
    let stranger = Stranger::at(&europe);
    let former = open(&europe).await;
    let (refs, revision) = publish(&*former, "a", vec![blob(1, 9000)]).await.unwrap();
    collect(&*former, &[BlobId([1; 32])]).await;

    // It removes the record and would collect the blob; meanwhile the other Region takes over what it knows.
    former.delete(&Key::new("a"), revision).await.unwrap();
    collect(&*former, &[]).await;
    let mut without = europe.clone();
    without.blobs = None;
    let error = failover(&without, now(), seed(), "us-east-1", Force::Yes).await.unwrap_err();
    assert!(error.to_string().contains("add `blobs=s3://"), "{error}");
    let mark = format!("{}blobs/store", stranger.prefix);
    let before = stranger.get(&mark).await;
    stranger.put(&mark, String::from_utf8(before.to_vec()).unwrap().replacen("\n1\n", "\n3\n", 1).into()).await;
    for _ in 0..3 {
        collect(&*former, &[]).await;
    }
    assert_eq!(stranger.parts().await.len(), 1, "the new home may need it");
    stranger.put(&mark, before).await;
    collect(&*former, &[]).await;
    collect(&*former, &[]).await;
    assert_eq!(stranger.parts().await, [""; 0]);
    assert!(former.get_blobs(&refs).await.is_err());
}

/// The new home begins with what it knows of the old one's packs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_move_takes_the_bucket_along() {
    let mut europe = here();
    europe.home_lease = Duration::ZERO;
    europe.access.region = Some("eu-west-1".into());
    let url = DynamoDbLocal::shared().url().to_owned();
    europe.endpoints = ["eu-west-1", "us-east-1"].map(|region| (region.to_owned(), url.clone())).into();
    let (refs, _) = publish(&*open(&europe).await, "a", vec![blob(1, 9000)]).await.unwrap();
    failover(&europe, now(), seed(), "us-east-1", Force::Yes).await.unwrap();
    let stranger = Stranger::at(&europe);
    let mark = stranger.get(&format!("{}blobs/store", stranger.prefix)).await;
    assert!(String::from_utf8(mark.to_vec()).unwrap().contains("\n3\n"));
    let america = open(&europe).await;
    assert_eq!(america.get_blobs(&refs).await.unwrap()[0].len(), 9000);
    publish(&*america, "b", vec![blob(2, 9000)]).await.unwrap();
    assert_eq!(stranger.parts().await.len(), 2);
    assert_eq!(america.verify().await.unwrap(), []);
}

/// Without a bucket the table holds everything, as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_a_bucket_asks_for_none() {
    let options = options(DynamoDbLocal::shared().url());
    let store = open(&options).await;
    publish(&*store, "a", vec![blob(1, 200_000)]).await.unwrap();
    store.ready().await.unwrap();
    let sent = store.usage().requests;
    assert!(!sent.keys().any(|operation| operation.ends_with("Object")), "{sent:?}");
}
