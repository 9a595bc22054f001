//! Terraform's own place: what stands there is what Terraform would have put there, and would understand.

use bytes::Bytes;
use stateward_store::StoreError;
use stateward_store::outside::{BytesPlace, LockPlace, Mark, Seen, Spot, Taken};
use stateward_store_s3::{Options, Sharing};

use crate::world::{Stranger, at, lock_info, md5_of, on_versitygw, outgoing, place_of, sent, shared_on_moto, whole};

fn counts(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// As Terraform writes it where it holds the lock.
fn as_written(id: &str, path: &str) -> String {
    lock_info(id).replace("a<b>", r"a\u003cb\u003e").replace(r#""Path":"""#, &format!(r#""Path":"{path}""#))
}

fn on_versitygw_with_lockfile() -> Options {
    Options { sharing: Some(Sharing { use_lockfile: true, ..Sharing::default() }), ..on_versitygw() }
}

#[tokio::test]
async fn locks_are_what_terraform_would_write() {
    let options = shared_on_moto(true, true);
    let (store, place) = place_of(&options).await;
    let stranger = Stranger::at(&options);
    let state = at("net/prod", "blue");
    let key = format!("env:/blue/{}/net/prod", options.prefix);
    let lock_id = format!("{}/{key}", options.bucket);
    let expected = as_written("x", &lock_id);

    assert_eq!(place.lock(&state, "x", lock_info("x").as_bytes()).await.unwrap(), Taken::Yes);
    assert_eq!(sent(&store), counts(&[("PutItem", 1), ("PutObject", 1)]));
    let (content, content_type, metadata) = stranger.get(&format!("{key}.tflock")).await.unwrap();
    assert_eq!((std::str::from_utf8(&content).unwrap(), &*content_type), (&*expected, "application/json"));
    assert!(metadata.is_empty());
    assert_eq!(stranger.item(&lock_id, "Info").await, Some(expected.clone()));
    assert_eq!(place.holder(&state).await.unwrap(), Some(expected.clone().into()));
    assert_eq!(place.holders().await.unwrap(), [(state.clone(), Bytes::from(expected))]);

    sent(&store);
    place.unlock(&state, "x", lock_info("x").as_bytes()).await.unwrap();
    assert_eq!(sent(&store), counts(&[("DeleteItem", 1), ("DeleteObject", 1)]));
    assert_eq!(stranger.get(&format!("{key}.tflock")).await, None);
    assert_eq!(stranger.item(&lock_id, "Info").await, None);
    assert_eq!(place.holder(&state).await.unwrap(), None);
}

#[tokio::test]
async fn the_lock_of_terraform_is_seen_and_left_alone() {
    for options in [shared_on_moto(true, true), on_versitygw_with_lockfile()] {
        let (_, place) = place_of(&options).await;
        let stranger = Stranger::at(&options);
        let (state, key) = (at("net", "default"), format!("{}/net.tflock", options.prefix));
        let theirs = as_written("theirs", "b/net");
        stranger.put(&key, theirs.clone()).await;
        let held = Taken::Held(theirs.clone().into());
        assert_eq!(place.lock(&state, "ours", lock_info("ours").as_bytes()).await.unwrap(), held);
        // Ours was broken, and they took it: giving ours back is nothing to them.
        place.unlock(&state, "ours", lock_info("ours").as_bytes()).await.unwrap();
        assert_eq!(place.break_lock(&state, Some("ours")).await.unwrap(), None);
        assert_eq!(stranger.get(&key).await.unwrap().0, theirs);
        // The same ID is the same lock.
        assert_eq!(place.lock(&state, "theirs", lock_info("theirs").as_bytes()).await.unwrap(), Taken::Yes);
        assert_eq!(place.break_lock(&state, None).await.unwrap(), Some(theirs.into()));
        assert_eq!(place.break_lock(&state, None).await.unwrap(), None);
        assert_eq!(stranger.get(&key).await, None);
    }
}

#[tokio::test]
async fn a_lock_that_changed_hands_is_not_taken_away() {
    for options in [shared_on_moto(true, true), on_versitygw_with_lockfile()] {
        let (_, place) = place_of(&options).await;
        let stranger = Stranger::at(&options);
        let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
        let lock_id = format!("{}/{key}", options.bucket);
        assert_eq!(place.lock(&state, "ours", lock_info("ours").as_bytes()).await.unwrap(), Taken::Yes);
        let theirs = as_written("theirs", &lock_id);
        stranger.put(&format!("{key}.tflock"), theirs.clone()).await;
        let has_table = options.dynamodb_endpoint.is_some();
        if has_table {
            stranger.put_item(&lock_id, "Info", &theirs).await;
        }
        place.unlock(&state, "ours", lock_info("ours").as_bytes()).await.unwrap();
        assert_eq!(stranger.get(&format!("{key}.tflock")).await.unwrap().0, theirs);
        if has_table {
            assert_eq!(stranger.item(&lock_id, "Info").await, Some(theirs));
        }
    }
}

#[tokio::test]
async fn both_locks_are_taken_or_none() {
    let options = shared_on_moto(true, true);
    let (_, place) = place_of(&options).await;
    let stranger = Stranger::at(&options);
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    let lock_id = format!("{}/{key}", options.bucket);
    // Another spelling than ours, as an old version may have left it.
    let theirs = r#"{"ID": "theirs", "Who": "them"}"#;
    stranger.put_item(&lock_id, "Info", theirs).await;
    let held = Taken::Held(theirs.into());
    assert_eq!(place.lock(&state, "ours", lock_info("ours").as_bytes()).await.unwrap(), held);
    assert_eq!(stranger.get(&format!("{key}.tflock")).await, None, "the lock file is given back");
    assert_eq!(place.holders().await.unwrap(), [(state.clone(), Bytes::from(theirs))]);
    place.unlock(&state, "theirs", b"").await.unwrap();
    assert_eq!(stranger.item(&lock_id, "Info").await, None, "it is known by its ID, whatever the spelling");
}

#[tokio::test]
async fn bytes_stand_where_terraform_looks() {
    for options in [shared_on_moto(true, true), on_versitygw_with_lockfile()] {
        let (store, place) = place_of(&options).await;
        let stranger = Stranger::at(&options);
        let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
        let lock_id = format!("{}/{key}-md5", options.bucket);
        let (v1, v2) = (Bytes::from("{\"serial\":1}\n"), Bytes::from("{\"serial\":2}\n"));
        let has_table = options.dynamodb_endpoint.is_some();

        assert!(matches!(place.read(&state, None).await.unwrap(), Seen::Absent));
        sent(&store);
        let first = place.write(&state, None, outgoing("v1 abc", &v1)).await.unwrap();
        let writes = if has_table { vec![("PutItem", 1), ("PutObject", 1)] } else { vec![("PutObject", 1)] };
        assert_eq!(sent(&store), counts(&writes));
        let (content, content_type, metadata) = stranger.get(&key).await.unwrap();
        assert_eq!((&content, &*content_type), (&v1, "application/json"));
        assert_eq!(metadata["stateward-label"], "v1 abc");
        if has_table {
            assert_eq!(stranger.item(&lock_id, "Digest").await, Some(md5_of(&v1)));
        }

        let taken = place.write(&state, None, outgoing("v2 def", &v2)).await;
        assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{taken:?}");
        let second = place.write(&state, Some(&first), outgoing("v2 def", &v2)).await.unwrap();
        let stale = place.write(&state, Some(&first), outgoing("v3 ghi", &v1)).await;
        assert!(matches!(stale, Err(StoreError::Conflict { .. })), "{stale:?}");

        sent(&store);
        assert_eq!(
            whole(place.read(&state, Some(&first)).await.unwrap()).await,
            (second.clone(), Some("v2 def".into()), v2)
        );
        let reads = if has_table { vec![("GetItem", 1), ("GetObject", 1)] } else { vec![("GetObject", 1)] };
        assert_eq!(sent(&store), counts(&reads));
        assert!(matches!(place.read(&state, Some(&second)).await.unwrap(), Seen::Same));
        assert_eq!(sent(&store), counts(&reads));

        assert!(matches!(place.delete(&state, &first).await, Err(StoreError::Conflict { .. })));
        place.delete(&state, &second).await.unwrap();
        place.delete(&state, &second).await.unwrap();
        assert_eq!(stranger.get(&key).await, None);
        if has_table {
            assert_eq!(stranger.item(&lock_id, "Digest").await, None);
        }
    }
}

#[tokio::test]
async fn large_states_go_in_parts() {
    for options in [shared_on_moto(false, true), on_versitygw_with_lockfile()] {
        let (store, place) = place_of(&options).await;
        let stranger = Stranger::at(&options);
        let (state, key) = (at("large", "default"), format!("{}/large", options.prefix));
        let content: Bytes = (0..20 << 20_u32).map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
        let mark = place.write(&state, None, outgoing("v1 abc", &content)).await.unwrap();
        let parts = sent(&store).into_iter().find(|(name, _)| name == "UploadPart");
        assert_eq!(parts, Some(("UploadPart".to_owned(), 3)));
        let (stands, content_type, metadata) = stranger.get(&key).await.unwrap();
        assert!(stands == content, "the parts are in order");
        assert_eq!((&*content_type, &*metadata["stateward-label"]), ("application/json", "v1 abc"));
        assert!(matches!(place.read(&state, Some(&mark)).await.unwrap(), Seen::Same), "its digest is known");
        // A process that has not written it finds out as it reads.
        let (_, other) = place_of(&options).await;
        assert!(whole(other.read(&state, None).await.unwrap()).await.2 == content);

        stranger.put(&key, "theirs").await;
        let lost = place.write(&state, Some(&mark), outgoing("v2 def", &content)).await;
        assert!(matches!(lost, Err(StoreError::Conflict { .. })), "{lost:?}");
        let uploads = stranger.s3.list_multipart_uploads().bucket(&stranger.bucket).prefix(&key).send().await.unwrap();
        assert!(uploads.uploads().is_empty(), "nothing unfinished is left: {uploads:?}");
    }
}

#[tokio::test]
async fn states_are_listed_and_nothing_else_is() {
    for options in [shared_on_moto(true, false), on_versitygw_with_lockfile()] {
        let (store, place) = place_of(&options).await;
        let stranger = Stranger::at(&options);
        let spots = [at("a", "blue"), at("a", "default"), at("b/c", "default"), at("b/c", "green"), at("d", "blue")];
        for spot in &spots {
            place.write(spot, None, outgoing("v1 abc", &Bytes::from("{}"))).await.unwrap();
        }
        place.lock(&spots[0], "x", lock_info("x").as_bytes()).await.unwrap();
        stranger.put(&format!("{}-other/a", options.prefix), "{}").await;
        stateward_store::Store::begin_sweep(&store).await.unwrap();

        let mut all = place.list().await.unwrap();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(all.iter().map(|(spot, _)| spot.clone()).collect::<Vec<_>>(), spots);
        for (spot, mark) in all {
            assert!(
                matches!(place.read(&spot, Some(&mark)).await.unwrap(), Seen::Same),
                "a listing's mark is the read's"
            );
        }
        assert_eq!(place.holders().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn older_versions_can_be_read_where_the_bucket_keeps_them() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    let options = Options { bucket: stateward_testkit::Moto::shared().create_bucket(), ..shared_on_moto(false, false) };
    let (_, place) = place_of(&options).await;
    let stranger = Stranger::at(&options);
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let request = stranger.s3.put_bucket_versioning().bucket(&stranger.bucket).versioning_configuration(on);
    request.send().await.unwrap();
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    for n in 1..=3 {
        stranger.put(&key, format!("{{\"serial\":{n}}}")).await;
    }
    stranger.put(&format!("{key}work"), "{}").await;
    stranger.delete(&format!("{key}work")).await;

    let versions = place.versions(&state, 100).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.current).collect::<Vec<_>>(), [true, false, false]);
    assert!(versions.iter().all(|version| version.size == 12 && version.at.as_secs() > 1_700_000_000));
    for (version, serial) in versions.iter().zip([3, 2, 1]) {
        let content = whole(Seen::Bytes(place.read_version(&state, &version.id).await.unwrap())).await.2;
        assert_eq!(content, format!("{{\"serial\":{serial}}}"));
    }
    assert_eq!(place.versions(&state, 2).await.unwrap(), versions[..2]);
    assert!(place.versions(&at("none", "default"), 10).await.unwrap().is_empty());
}

/// As `setup aws --environments` prints it: the workspaces of an environment lie below its own prefix, beside its states.
#[tokio::test]
async fn workspaces_among_the_states_are_told_apart_from_them() {
    let mut options = shared_on_moto(false, true);
    let workspace_key_prefix = options.prefix.clone();
    options.sharing = Some(Sharing { workspace_key_prefix, use_lockfile: true, ..Sharing::default() });
    let (store, place) = place_of(&options).await;
    let content = Bytes::from("{\"serial\":1}\n");
    let all = [at("net", "blue"), at("net", "default"), at("net/prod", "default")];
    for state in &all {
        place.write(state, None, outgoing("v1 abc", &content)).await.unwrap();
    }
    let key = format!("{0}/blue/{0}/net", options.prefix);
    assert_eq!(Stranger::at(&options).get(&key).await.unwrap().0, content, "where Terraform looks");
    assert_eq!(place.lock(&all[0], "x", lock_info("x").as_bytes()).await.unwrap(), Taken::Yes);

    let spots = |found: Vec<(Spot, Mark)>| {
        let mut spots: Vec<Spot> = found.into_iter().map(|(spot, _)| spot).collect();
        spots.sort();
        spots
    };
    sent(&store);
    assert_eq!(spots(place.list().await.unwrap()), all);
    assert_eq!(sent(&store), counts(&[("ListObjectsV2", 1)]), "one prefix covers the other");
    assert_eq!(spots(place.named("net").await.unwrap()), all[..2]);
    let held: Vec<Spot> = place.holders().await.unwrap().into_iter().map(|(spot, _)| spot).collect();
    assert_eq!(held, all[..1]);

    // A name by which the object of another state would be written, and its lock be broken.
    let same = at(&format!("blue/{}/net", options.prefix), "default");
    let refused = place.write(&same, None, outgoing("v2 def", &content)).await;
    assert!(
        matches!(&refused, Err(StoreError::Unsupported { reason, .. }) if reason.contains("`net@blue`")),
        "{refused:?}"
    );
    assert!(matches!(place.read(&same, None).await, Err(StoreError::Unsupported { .. })));
    assert!(matches!(place.break_lock(&same, None).await, Err(StoreError::Unsupported { .. })));
    assert!(place.holder(&all[0]).await.unwrap().is_some());
}
