//! Terraform's digests: what fits is read, what was left behind is renewed, and what is wrong is told with the way out.

use bytes::Bytes;
use stateward_store::StoreError;
use stateward_store::outside::{BytesPlace, Seen};
use stateward_testkit::Moto;

use crate::world::{Stranger, at, md5_of, outgoing, place_of, shared_on_moto, whole};

fn corrupt<T: std::fmt::Debug>(read: Result<T, StoreError>) -> String {
    match read {
        Err(StoreError::Corrupt { what, reason }) => format!("{what}: {reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_state_without_a_digest_is_good_and_one_that_fits_is() {
    let options = shared_on_moto(false, true);
    let (_, place) = place_of(&options).await;
    let stranger = Stranger::at(&options);
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    stranger.put(&key, "theirs").await;
    assert_eq!(whole(place.read(&state, None).await.unwrap()).await.2, "theirs");
    for digest in ["no digest", &md5_of(b"theirs"), &md5_of(b"theirs").to_uppercase()] {
        stranger.put_item(&format!("{}/{key}-md5", options.bucket), "Digest", digest).await;
        assert_eq!(whole(place.read(&state, None).await.unwrap()).await.2, "theirs");
    }
}

#[tokio::test]
async fn a_digest_that_we_left_behind_is_renewed() {
    let options = shared_on_moto(false, true);
    let (_, place) = place_of(&options).await;
    let stranger = Stranger::at(&options);
    let (state, digest) = (at("net", "default"), format!("{}/{}/net-md5", options.bucket, options.prefix));
    let ours = Bytes::from("ours");
    let mark = place.write(&state, None, outgoing("v1 abc", &ours)).await.unwrap();
    stranger.put_item(&digest, "Digest", &md5_of(b"older")).await;
    // Another process: it knows nothing of the write.
    let (_, other) = place_of(&options).await;
    assert_eq!(whole(other.read(&state, None).await.unwrap()).await.2, ours);
    assert_eq!(stranger.item(&digest, "Digest").await, Some(md5_of(&ours)));
    assert!(matches!(other.read(&state, Some(&mark)).await.unwrap(), Seen::Same));
}

#[tokio::test]
async fn a_writer_between_its_two_requests_is_waited_for() {
    let options = shared_on_moto(false, true);
    let (_, place) = place_of(&options).await;
    let stranger = Stranger::at(&options);
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    let digest = format!("{}/{key}-md5", options.bucket);
    stranger.put_item(&digest, "Digest", &md5_of(b"old")).await;
    stranger.put(&key, "new").await;
    let later = async {
        tokio::task::yield_now().await;
        stranger.put_item(&digest, "Digest", &md5_of(b"new")).await;
    };
    let (read, ()) = futures::join!(place.read(&state, None), later);
    assert_eq!(whole(read.unwrap()).await.2, "new");
}

#[tokio::test]
async fn a_digest_that_contradicts_names_what_is_old_and_the_repair() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    let mut options = shared_on_moto(false, true);
    options.bucket = Moto::shared().create_bucket();
    let (_, place) = place_of(&options).await;
    let stranger = Stranger::at(&options);
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let request = stranger.s3.put_bucket_versioning().bucket(&stranger.bucket).versioning_configuration(on);
    request.send().await.unwrap();
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    let item = format!("{}/{key}-md5", options.bucket);

    stranger.put(&key, "old").await;
    stranger.put(&key, "new").await;
    stranger.put_item(&item, "Digest", &md5_of(b"old")).await;
    let told = corrupt(place.read(&state, None).await);
    assert!(told.contains("the digest is old") && told.contains("update-item"), "{told}");
    assert!(told.contains(&item) && told.contains(&md5_of(b"new")), "{told}");

    stranger.put_item(&item, "Digest", &md5_of(b"newer")).await;
    let told = corrupt(place.read(&state, None).await);
    assert!(told.contains("the object is old, or was replaced by hand") && told.contains("delete-item"), "{told}");

    stranger.delete(&key).await;
    let told = corrupt(place.read(&state, None).await);
    assert!(told.contains("there is no such object") && told.contains("delete-item"), "{told}");
    assert_eq!(stranger.item(&item, "Digest").await, Some(md5_of(b"newer")), "nothing was changed");
}
