//! What stands in Terraform's place as it is, and changes to exactly that.

use bytes::Bytes;
use stateward_store::StoreError;
use stateward_store::outside::{LockPlace, Taken};
use stateward_store_s3::{LockKind, Options, TerraformPlace};

use crate::world::{Stranger, at, lock_info, md5_of, on_versitygw, seed, shared_on_moto, whole};

async fn alone(options: &Options) -> TerraformPlace {
    TerraformPlace::open(options.clone(), seed()).await.unwrap()
}

#[tokio::test]
async fn a_state_is_read_whatever_its_digest_says_and_replaced_if_it_still_is_that() {
    let options = shared_on_moto(false, true);
    let place = alone(&options).await;
    let stranger = Stranger::at(&options);
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    assert_eq!(place.object(&state), key);
    let item = format!("{}/{key}-md5", options.bucket);
    stranger.put(&key, "theirs").await;
    stranger.put_item(&item, "Digest", &md5_of(b"other")).await;

    let (mark, _, content) = whole(place.read_unchecked(&state).await.unwrap()).await;
    assert_eq!(content, "theirs");
    let new = Bytes::from("ours");
    let conflict = place.replace_bytes(&state, None, new.clone()).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict { .. }), "{conflict:?}");
    place.replace_bytes(&state, Some(&mark), new.clone()).await.unwrap();
    // Sent again, as by a run that was killed before it knew.
    place.replace_bytes(&state, Some(&mark), new.clone()).await.unwrap();
    let conflict = place.replace_bytes(&state, Some(&mark), "late".into()).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict { .. }), "{conflict:?}");

    let (content, kind, metadata) = stranger.get(&key).await.unwrap();
    assert_eq!((content, kind.as_str()), (new, "application/json"));
    assert!(metadata.is_empty(), "as plain Terraform would have written it: {metadata:?}");
    assert_eq!(stranger.item(&item, "Digest").await, Some(md5_of(b"other")), "the digest was left as it was");
}

#[tokio::test]
async fn a_digest_is_replaced_if_it_still_is_the_old_one() {
    let options = shared_on_moto(false, true);
    let place = alone(&options).await;
    let stranger = Stranger::at(&options);
    let state = at("net", "default");
    let item = format!("{}/{}/net-md5", options.bucket, options.prefix);
    let (a, b, c) = (md5_of(b"a"), md5_of(b"b"), md5_of(b"c"));
    let is_conflict = |replaced| matches!(replaced, Err(StoreError::Conflict { .. }));

    assert_eq!(place.digest(&state).await.unwrap(), None);
    place.replace_digest(&state, None, Some(&a)).await.unwrap();
    place.replace_digest(&state, None, Some(&a)).await.unwrap();
    assert!(is_conflict(place.replace_digest(&state, None, Some(&b)).await));
    assert!(is_conflict(place.replace_digest(&state, Some(&c), Some(&b)).await));
    assert_eq!(stranger.item(&item, "Digest").await, Some(a.clone()));

    stranger.put_item(&item, "Digest", &a.to_uppercase()).await;
    place.replace_digest(&state, Some(&a), Some(&b)).await.unwrap();
    assert!(is_conflict(place.replace_digest(&state, Some(&a), None).await));
    assert_eq!(place.digest(&state).await.unwrap(), Some(b.clone()));
    place.replace_digest(&state, Some(&b), None).await.unwrap();
    place.replace_digest(&state, Some(&b), None).await.unwrap();
    assert_eq!(stranger.item(&item, "Digest").await, None);

    stranger.put_item(&item, "Digest", "none at all").await;
    place.replace_digest(&state, None, Some(&c)).await.unwrap();
    assert_eq!(stranger.item(&item, "Digest").await, Some(c));
}

#[tokio::test]
async fn only_the_lock_that_was_looked_at_is_removed() {
    let options = shared_on_moto(true, true);
    let place = alone(&options).await;
    let stranger = Stranger::at(&options);
    let state = at("net", "default");
    let (file, item) = (format!("{}/net.tflock", options.prefix), format!("{}/{}/net", options.bucket, options.prefix));
    assert_eq!(place.standing_locks(&state).await.unwrap(), []);

    assert_eq!(place.lock(&state, "x", lock_info("x").as_bytes()).await.unwrap(), Taken::Yes);
    let locks = place.standing_locks(&state).await.unwrap();
    let kinds: Vec<_> = locks.iter().map(|lock| (lock.kind, lock.id.as_deref(), lock.written.is_some())).collect();
    assert_eq!(kinds, [(LockKind::File, Some("x"), true), (LockKind::Item, Some("x"), false)]);

    stranger.put(&file, lock_info("y")).await;
    stranger.put_item(&item, "Info", &lock_info("y")).await;
    for lock in &locks {
        assert!(!place.remove_lock(&state, lock).await.unwrap(), "{lock:?}");
    }
    assert!(stranger.get(&file).await.is_some());
    assert_eq!(stranger.item(&item, "Info").await, Some(lock_info("y")));

    for lock in &place.standing_locks(&state).await.unwrap() {
        assert!(place.remove_lock(&state, lock).await.unwrap(), "{lock:?}");
        assert!(!place.remove_lock(&state, lock).await.unwrap(), "{lock:?}");
    }
    assert_eq!(place.standing_locks(&state).await.unwrap(), []);
}

#[tokio::test]
async fn a_lock_file_is_found_and_removed_where_the_options_do_not_name_it() {
    let mut options = on_versitygw();
    options.sharing = None;
    let place = alone(&options).await;
    let stranger = Stranger::at(&options);
    let state = at("net", "default");
    let file = format!("{}/net.tflock", options.prefix);
    stranger.put(&file, "no lock information").await;
    let locks = place.standing_locks(&state).await.unwrap();
    assert_eq!(locks.iter().map(|lock| (lock.kind, lock.id.clone())).collect::<Vec<_>>(), [(LockKind::File, None)]);
    assert!(place.remove_lock(&state, &locks[0]).await.unwrap());
    assert!(stranger.get(&file).await.is_none());
}
