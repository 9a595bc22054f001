//! Opening: what is wrong is told, why, and what to do.

use stateward_store::outside::{LockPlace as _, Spot};
use stateward_store::{Key, Store as _, StoreError};
use stateward_store_s3::{BucketError, CustomerKey, Encryption, OpenError, Options, S3Store};
use stateward_testkit::{Fault, FaultProxy, Moto, Rule};

use crate::world::{Stranger, on_moto, on_versitygw, open, place_of, seed, sent, shared_on_moto};

async fn refused(options: Options) -> OpenError {
    S3Store::open(options, seed()).await.unwrap_err()
}

/// What opening says where the service answers so.
async fn answered(fault: Fault) -> (OpenError, String) {
    let proxy = FaultProxy::to(Moto::shared().url());
    proxy.inject(Rule::new(fault));
    let mut options = on_moto();
    options.access.endpoint = Some(proxy.url().to_owned());
    options.access.max_retries = 1;
    let error = refused(options).await;
    let told = format!("{error}; {}", error.advice());
    (error, told)
}

#[tokio::test]
async fn a_store_is_proved_once_and_then_opened_with_one_request() {
    for options in [on_moto(), on_versitygw()] {
        let first = sent(&open(&options).await);
        assert!(first.iter().map(|(_, count)| count).sum::<u64>() > 5, "{first:?}");
        assert_eq!(sent(&open(&options).await), [("GetObject".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist() {
    let error = refused(Options { bucket: "none-such".into(), ..on_moto() }).await;
    assert!(matches!(error, OpenError::Bucket(BucketError::NoBucket { .. })), "{error}");
    assert!(error.to_string().starts_with("there is no bucket `none-such`"), "{error}");
}

#[tokio::test]
async fn a_bucket_or_lock_table_that_goes_while_the_store_is_open_is_no_lack_of_a_record() {
    let proxy = FaultProxy::to(Moto::shared().url());
    let mut options = shared_on_moto(false, true);
    options.access.endpoint = Some(proxy.url().to_owned());
    let (store, place) = place_of(&options).await;
    proxy.inject(Rule::new(Fault::s3(404, "NoSuchBucket", "The specified bucket does not exist")));
    let Err(StoreError::NoPlace { place: what, next, .. }) = store.get(&Key::new("x")).await else {
        panic!("the bucket is not there");
    };
    assert_eq!(what, format!("bucket `{}`", options.bucket));
    assert!(next.contains(&format!("stateward setup aws --bucket {}`", options.bucket)), "{next}");

    let mut options = options;
    let sharing = options.sharing.get_or_insert_default();
    sharing.lock_table = Some("gone".to_owned());
    drop(place);
    proxy.heal();
    let (_, place) = place_of(&options).await;
    let at = Spot { name: "x".to_owned(), workspace: "default".to_owned() };
    let Err(StoreError::NoPlace { place: what, next, .. }) = place.holder(&at).await else {
        panic!("the table is not there");
    };
    assert_eq!(what, "lock table `gone`");
    assert!(next.contains(&format!("--bucket {} --lock-table gone`", options.bucket)), "{next}");
}

#[tokio::test]
async fn a_prefix_with_the_blobs_of_another_store() {
    let options = on_moto();
    Stranger::at(&options).put(&format!("{}/.stateward/blobs/store", options.prefix), "theirs").await;
    let place = format!("`s3://{}/{}` is taken by the blobs of a store in DynamoDB", options.bucket, options.prefix);
    let error = refused(options).await;
    assert!(matches!(error, OpenError::Bucket(BucketError::Taken { .. })), "{error}");
    assert_eq!(error.to_string(), place);
    // What a store in DynamoDB looks for is what a store in S3 leaves.
    let options = on_moto();
    open(&options).await;
    assert!(Stranger::at(&options).get(&format!("{}/.stateward/meta/proof!", options.prefix)).await.is_some());
}

#[tokio::test]
async fn another_region() {
    let moved =
        Fault::s3(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed elsewhere.")
            .header("x-amz-bucket-region", "eu-central-1");
    let malformed = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'";
    for fault in [moved, Fault::s3(400, "AuthorizationHeaderMalformed", malformed)] {
        let (error, told) = answered(fault).await;
        assert!(matches!(error, OpenError::Bucket(BucketError::Region { .. })), "{told}");
        assert!(told.contains("is in the Region `eu-central-1`") && told.contains("`region=eu-central-1`"), "{told}");
    }
}

#[tokio::test]
async fn denied_is_told_in_full() {
    let denial = "User: arn:aws:iam::1:user/ci is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" \
                  because no identity-based policy allows the s3:GetObject action";
    let (error, told) = answered(Fault::s3(403, "AccessDenied", denial)).await;
    assert!(matches!(error, OpenError::Bucket(BucketError::Denied { .. })), "{told}");
    assert!(told.contains(denial) && told.contains("stateward explain"), "{told}");
}

#[tokio::test]
async fn credentials_that_have_expired() {
    let (error, told) = answered(Fault::s3(400, "ExpiredToken", "The provided token has expired.")).await;
    assert!(matches!(error, OpenError::Bucket(BucketError::Expired { .. })), "{told}");
    assert!(told.contains("aws sso login"), "{told}");
}

#[tokio::test]
async fn a_service_that_is_not_there() {
    let mut options = on_moto();
    options.access.endpoint = Some("http://127.0.0.1:1".into());
    options.access.max_retries = 0;
    let error = refused(options).await;
    assert!(matches!(error, OpenError::Bucket(BucketError::Unavailable { .. })), "{error}");
}

#[tokio::test]
async fn a_service_that_ignores_conditions_is_refused() {
    for (condition, header) in [("If-None-Match: *", "if-none-match"), ("If-Match", "if-match")] {
        let proxy = FaultProxy::to(Moto::shared().url());
        let mut options = on_moto();
        options.access.endpoint = Some(proxy.url().to_owned());
        // The second of the writes with this condition is the one that has to fail.
        let takes_all = Fault::status(200).header("ETag", "\"0123\"");
        proxy
            .inject(Rule::new(takes_all).operation("PutObject").when(move |seen| seen.header(header).is_some()).nth(2));
        let error = refused(options).await;
        assert!(matches!(error, OpenError::Unconditional { .. }), "{error}");
        assert!(error.to_string().contains(condition) && error.advice().contains("sqlite:"), "{error}");
    }
}

#[tokio::test]
async fn a_customers_key_that_is_none() {
    let short = CustomerKey::Given("c2hvcnQ=".into());
    let gone = CustomerKey::File("/nowhere/key".into());
    for (key, told) in [(short, "it is not 32 bytes in base64"), (gone, "`/nowhere/key` cannot be read")] {
        let mut options = on_moto();
        options.objects.encryption = Encryption::Customer(key);
        let error = refused(options).await;
        assert!(matches!(error, OpenError::Bucket(BucketError::CustomerKey { .. })), "{error}");
        assert!(error.to_string().contains(told) && !error.to_string().contains("c2hvcnQ"), "{error}");
    }
}
