//! Networks and services that fail: what became of a request is found out, or said to be unknown.

use std::time::Duration;

use bytes::Bytes;
use stateward_store::outside::{BytesPlace, LockPlace, Taken};
use stateward_store::{Expect, Key, Locator, NewBlob, Store, StoreError, Write};
use stateward_store_s3::{Options, S3Store, TerraformPlace};
use stateward_testkit::{Fault, FaultProxy, Moto, Rule};

use crate::world::{Stranger, at, lock_info, md5_of, on_moto, open, outgoing, shared_on_moto, whole};

/// A store whose requests go through a proxy; it is open already.
async fn through_a_proxy(mut options: Options) -> (FaultProxy, Options, S3Store) {
    let proxy = FaultProxy::to(Moto::shared().url());
    options.access.endpoint = Some(proxy.url().to_owned());
    options.access.max_retries = 2;
    if options.dynamodb_endpoint.is_some() {
        options.dynamodb_endpoint = Some(proxy.url().to_owned());
    }
    let store = open(&options).await;
    (proxy, options, store)
}

fn write(key: &str, value: &str, expect: Expect) -> Write {
    Write { key: Key::new(key), value: Some(Bytes::copy_from_slice(value.as_bytes())), expect }
}

/// All that can happen to one request of this operation and be put right.
fn passing(operation: &str) -> Vec<(&'static str, Fault)> {
    let mut faults = vec![
        ("the request is lost", Fault::LoseRequest),
        ("the answer is lost", Fault::LoseAnswer),
        ("it arrives twice", Fault::DuplicateAnsweredFirst),
        ("it arrives twice, and the second is answered", Fault::DuplicateAnsweredSecond),
        ("too many", Fault::slow_down()),
        ("an error of the service", Fault::s3(500, "InternalError", "We encountered an internal error.")),
        ("an error of a proxy", Fault::status(503)),
        ("it is slow", Fault::Delay(Duration::from_millis(200))),
    ];
    if ["PutObject", "DeleteObject"].contains(&operation) {
        faults.push(("another is under way", Fault::conditional_request_conflict()));
    }
    faults
}

#[tokio::test]
async fn a_commit_comes_to_its_end_whatever_befalls_a_request() {
    let (proxy, _, store) = through_a_proxy(on_moto()).await;
    let mut expect = Expect::Absent;
    for operation in ["PutObject", "GetObject"] {
        for (n, (name, fault)) in passing(operation).into_iter().enumerate() {
            let before = proxy.injected();
            proxy.inject(Rule::new(fault.clone()).operation(operation).nth(1));
            let value = format!("{n} {operation}");
            let revision = store.commit(vec![write("head", &value, expect)]).await;
            let revision = revision.unwrap_or_else(|error| panic!("{name}: {operation}: {error}"));
            let read = store.get(&Key::new("head")).await.unwrap().unwrap();
            assert_eq!((read.value, &read.revision), (Bytes::from(value), &revision), "{name}");
            assert_eq!(proxy.injected(), before + 1, "{name}: {operation}");
            proxy.heal();
            expect = Expect::Revision(revision);
        }
    }
}

/// No condition of a policy limits a scan to the items of some states.
#[tokio::test]
async fn where_a_scan_is_refused_the_locks_of_the_states_are_found_all_the_same() {
    let (proxy, options, store) = through_a_proxy(shared_on_moto(false, true)).await;
    let place = TerraformPlace::of(&store).unwrap();
    let stranger = Stranger::at(&options);
    for name in ["free", "held"] {
        place.write(&at(name, "default"), None, outgoing("v1 abc", &Bytes::from("{}"))).await.unwrap();
    }
    let theirs = r#"{"ID":"theirs","Who":"them"}"#;
    for name in ["held", "not-there-yet"] {
        stranger.put_item(&format!("{}/{}/{name}", options.bucket, options.prefix), "Info", theirs).await;
    }
    assert_eq!(place.holders().await.unwrap().len(), 2);
    proxy.inject(Rule::new(Fault::dynamodb(400, "AccessDeniedException", "not authorized")).operation("Scan"));
    assert_eq!(place.holders().await.unwrap(), [(at("held", "default"), Bytes::from(theirs))]);
    assert_eq!(proxy.injected(), 1);
}

#[tokio::test]
async fn a_conflict_is_with_somebody_else() {
    let (proxy, options, store) = through_a_proxy(on_moto()).await;
    let mut direct = options.clone();
    direct.access.endpoint = Some(Moto::shared().url().to_owned());
    let other = open(&direct).await;
    store.commit(vec![write("head", "first", Expect::Absent)]).await.unwrap();
    for (name, fault) in passing("PutObject") {
        let seen = store.get(&Key::new("head")).await.unwrap().unwrap().revision;
        other.commit(vec![write("head", name, Expect::Revision(seen.clone()))]).await.unwrap();
        let before = proxy.injected();
        proxy.inject(Rule::new(fault).operation("PutObject").nth(1));
        let lost = store.commit(vec![write("head", "ours", Expect::Revision(seen))]).await;
        assert!(matches!(lost, Err(StoreError::Conflict { .. })), "{name}: {lost:?}");
        assert_eq!(proxy.injected(), before + 1, "{name}");
        proxy.heal();
        assert_eq!(store.get(&Key::new("head")).await.unwrap().unwrap().value, name);
    }
}

#[tokio::test]
async fn what_cannot_be_found_out_is_unknown_and_what_was_refused_was_not_done() {
    let (proxy, _, store) = through_a_proxy(on_moto()).await;
    let revision = store.commit(vec![write("head", "1", Expect::Absent)]).await.unwrap();
    let next = || vec![write("head", "2", Expect::Revision(revision.clone()))];

    let slow = Fault::slow_down().header("Retry-After", "30");
    proxy.inject(Rule::new(slow).operation("PutObject"));
    let busy = store.commit(next()).await;
    let wait = Some(Duration::from_secs(30));
    assert!(matches!(&busy, Err(StoreError::Unavailable { retry_after, .. }) if *retry_after == wait), "{busy:?}");
    proxy.heal();

    let denial =
        "User: arn:aws:iam::1:user/a is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/c\"";
    proxy.inject(Rule::new(Fault::s3(403, "AccessDenied", denial)).operation("PutObject"));
    let denied = store.commit(next()).await.unwrap_err();
    assert!(
        matches!(&denied, StoreError::Denied { denial: told } if told.contains("s3:PutObject on resource")),
        "{denied}"
    );
    assert!(denied.to_string().contains("stateward explain"), "{denied}");
    proxy.heal();
    assert_eq!(store.get(&Key::new("head")).await.unwrap().unwrap().value, "1");

    proxy.inject(Rule::new(Fault::LoseAnswer).operation("PutObject"));
    proxy.inject(Rule::new(Fault::LoseRequest).operation("GetObject"));
    let unknown = store.commit(next()).await;
    assert!(matches!(unknown, Err(StoreError::OutcomeUnknown { .. })), "{unknown:?}");
    proxy.heal();
    assert_eq!(store.get(&Key::new("head")).await.unwrap().unwrap().value, "2", "it was done");
}

/// What may be answered to a request that was done, by what stands before the service, or by itself.
fn refusals_of_what_was_done() -> Vec<(&'static str, Fault)> {
    vec![
        ("a page", Fault::page(200).though_done()),
        ("a page that refuses", Fault::page(403).though_done()),
        ("a refusal without a reason", Fault::status(403).though_done()),
        ("an error behind the status of a success", Fault::s3(200, "InternalError", "no").though_done()),
        ("a timeout", Fault::s3(400, "RequestTimeout", "no").though_done()),
    ]
}

/// Whoever believed it would take back the records that the one which decided names.
#[tokio::test]
async fn a_refusal_of_what_was_done_is_not_believed() {
    let (proxy, _, store) = through_a_proxy(on_moto()).await;
    let mut expect = Expect::Absent;
    for (n, (name, fault)) in refusals_of_what_was_done().into_iter().enumerate() {
        let before = proxy.injected();
        proxy.inject(Rule::new(fault).operation("PutObject").path("/head").nth(1));
        let (key, value) = (format!("version-{n}"), format!("{n}"));
        let writes = vec![write(&key, "it", Expect::Any), write("head", &value, expect)];
        let revision = store.commit(writes).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(proxy.injected(), before + 1, "{name}");
        proxy.heal();
        assert_eq!(store.get(&Key::new("head")).await.unwrap().unwrap().value, value, "{name}");
        assert!(store.get(&Key::new(key)).await.unwrap().is_some(), "{name}: what the head names was taken back");
        expect = Expect::Revision(revision);
    }
}

#[tokio::test]
async fn a_refusal_without_a_reason_that_cannot_be_looked_into_is_unknown() {
    let (proxy, _, store) = through_a_proxy(on_moto()).await;
    let revision = store.commit(vec![write("head", "1", Expect::Absent)]).await.unwrap();
    for (put, get, is_unknown) in [
        (Fault::page(403).though_done(), Fault::page(403), true),
        (Fault::s3(403, "AccessDenied", "no"), Fault::s3(403, "AccessDenied", "no"), false),
    ] {
        proxy.inject(Rule::new(put).operation("PutObject"));
        proxy.inject(Rule::new(get).operation("GetObject"));
        let told = store.commit(vec![write("head", "2", Expect::Revision(revision.clone()))]).await.unwrap_err();
        assert_eq!(matches!(told, StoreError::OutcomeUnknown { .. }), is_unknown, "{told}");
        assert_eq!(matches!(told, StoreError::Denied { .. }), !is_unknown, "{told}");
        proxy.heal();
    }
}

#[tokio::test]
async fn no_lock_is_left_and_no_bytes_are_disowned_by_a_refusal_of_what_was_done() {
    let (proxy, options, store) = through_a_proxy(shared_on_moto(true, true)).await;
    let place = TerraformPlace::of(&store).unwrap();
    let stranger = Stranger::at(&options);
    let large = Bytes::from(vec![b' '; 6 << 20]);
    for (n, (name, fault)) in refusals_of_what_was_done().into_iter().enumerate() {
        let (state, id) = (at(&format!("net{n}"), "default"), format!("lock-{n}"));
        let (key, info) = (format!("{}/{}", options.prefix, state.name), lock_info(&id));
        for operation in ["PutObject", "PutItem", "DeleteObject", "DeleteItem"] {
            let before = proxy.injected();
            proxy.inject(Rule::new(fault.clone()).operation(operation).nth(1));
            let taken = place.lock(&state, &id, info.as_bytes()).await;
            assert_eq!(taken.unwrap_or_else(|error| panic!("{name}: {operation}: {error}")), Taken::Yes, "{name}");
            let given = place.unlock(&state, &id, info.as_bytes()).await;
            given.unwrap_or_else(|error| panic!("{name}: {operation}: {error}"));
            assert!(stranger.get(&format!("{key}.tflock")).await.is_none(), "{name}: {operation}");
            assert_eq!(stranger.item(&format!("{}/{key}", options.bucket), "Info").await, None, "{name}: {operation}");
            assert_eq!(proxy.injected(), before + 1, "{name}: {operation}");
            proxy.heal();
        }
        let mut mark = None;
        for (operation, content) in [("PutObject", &Bytes::from("{}")), ("CompleteMultipartUpload", &large)] {
            let before = proxy.injected();
            proxy.inject(Rule::new(fault.clone()).operation(operation).nth(1));
            let written = place.write(&state, mark.as_ref(), outgoing(&format!("v1 {operation}"), content)).await;
            mark = Some(written.unwrap_or_else(|error| panic!("{name}: {operation}: {error}")));
            assert_eq!(stranger.get(&key).await.unwrap().0.len(), content.len(), "{name}");
            assert_eq!(proxy.injected(), before + 1, "{name}: {operation}");
            proxy.heal();
        }
    }
}

/// The lock of `net-md5` and the digest of `net` are one item to Terraform.
#[tokio::test]
async fn a_digest_is_never_taken_for_a_lock() {
    let options = shared_on_moto(true, true);
    let store = open(&options).await;
    let place = TerraformPlace::of(&store).unwrap();
    let stranger = Stranger::at(&options);
    place.write(&at("net", "default"), None, outgoing("v1 abc", &Bytes::from("{}"))).await.unwrap();
    let state = at("net-md5", "default");
    let digest = || async { stranger.item(&format!("{}/{}/net-md5", options.bucket, options.prefix), "Digest").await };
    let refused = place.lock(&state, "L", lock_info("L").as_bytes()).await;
    let told = refused.unwrap_err();
    assert!(matches!(&told, StoreError::Unsupported { .. }), "{told}");
    assert!(told.to_string().contains("is the digest of `net` to Terraform"), "{told}");
    assert!(stranger.get(&format!("{}/net-md5.tflock", options.prefix)).await.is_none(), "no half of a lock is left");
    assert_eq!(place.holder(&state).await.unwrap(), None);
    assert_eq!(place.break_lock(&state, None).await.unwrap(), None);
    place.unlock(&state, "L", lock_info("L").as_bytes()).await.unwrap();
    assert_eq!(digest().await, Some(md5_of(b"{}")), "the digest of the other state");
}

#[tokio::test]
async fn a_pack_that_is_not_there_is_never_referred_to() {
    let (proxy, _, store) = through_a_proxy(on_moto()).await;
    let sealed = Bytes::from(vec![7; Locator::KEPT_BYTES_MAX + 1]);
    let blob = NewBlob { id: stateward_store::BlobId([7; 32]), sealed };
    proxy.inject(Rule::new(Fault::s3(500, "InternalError", "no")).operation("PutObject").path("/packs/"));
    let mut session = store.session(&Key::new("head"));
    session.put(vec![blob.clone()]).await.unwrap();
    assert!(session.commit(vec![write("head", "1", Expect::Absent)]).await.is_err());
    assert_eq!(store.get(&Key::new("head")).await.unwrap(), None);
    proxy.heal();
    let mut again = store.session(&Key::new("head"));
    again.put(vec![blob]).await.unwrap();
    again.commit(vec![write("head", "1", Expect::Absent)]).await.unwrap();
}

#[tokio::test]
async fn a_lock_is_taken_once_whatever_befalls_a_request() {
    let (proxy, options, store) = through_a_proxy(shared_on_moto(true, true)).await;
    let place = TerraformPlace::of(&store).unwrap();
    let stranger = Stranger::at(&options);
    for operation in ["PutObject", "PutItem", "DeleteObject", "DeleteItem"] {
        for (n, (name, fault)) in passing(operation).into_iter().enumerate() {
            let state = at(&format!("net{n}/{operation}"), "default");
            let key = format!("{}/{}", options.prefix, state.name);
            let (before, id) = (proxy.injected(), format!("lock-{n}"));
            proxy.inject(Rule::new(fault.clone()).operation(operation).nth(1));
            let taken = place.lock(&state, &id, lock_info(&id).as_bytes()).await;
            assert_eq!(taken.unwrap_or_else(|error| panic!("{name}: {operation}: {error}")), Taken::Yes, "{name}");
            assert!(stranger.get(&format!("{key}.tflock")).await.is_some(), "{name}");
            let given = place.unlock(&state, &id, lock_info(&id).as_bytes()).await;
            given.unwrap_or_else(|error| panic!("{name}: {operation}: {error}"));
            assert_eq!(place.holder(&state).await.unwrap(), None, "{name}: {operation}");
            assert_eq!(stranger.item(&format!("{}/{key}", options.bucket), "Info").await, None, "{name}");
            assert_eq!(proxy.injected(), before + 1, "{name}: {operation}");
            proxy.heal();
        }
    }
}

/// Those who look at the table alone, as before lock files, are not kept out by a file that may not be deleted.
#[tokio::test]
async fn an_item_is_given_back_where_the_lock_file_may_not_be() {
    let (proxy, options, store) = through_a_proxy(shared_on_moto(true, true)).await;
    let place = TerraformPlace::of(&store).unwrap();
    let stranger = Stranger::at(&options);
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    let lock_id = format!("{}/{key}", options.bucket);
    assert_eq!(place.lock(&state, "ours", lock_info("ours").as_bytes()).await.unwrap(), Taken::Yes);
    proxy.inject(Rule::new(Fault::s3(403, "AccessDenied", "Access Denied")).operation("DeleteObject"));
    let refused = place.unlock(&state, "ours", lock_info("ours").as_bytes()).await;
    assert!(matches!(refused, Err(StoreError::Denied { .. })), "{refused:?}");
    assert_eq!(stranger.item(&lock_id, "Info").await, None);
    let refused = place.may_give_file(&state).await;
    assert!(matches!(refused, Err(StoreError::Denied { .. })), "{refused:?}");
    proxy.heal();
    // No lock file goes by being asked about.
    place.may_give_file(&state).await.unwrap();
    assert!(stranger.get(&format!("{key}.tflock")).await.is_some());
    place.unlock(&state, "ours", lock_info("ours").as_bytes()).await.unwrap();
    assert_eq!(stranger.get(&format!("{key}.tflock")).await, None);
    place.may_give_file(&state).await.unwrap();
}

#[tokio::test]
async fn bytes_are_written_once_whatever_befalls_a_request() {
    let (proxy, options, store) = through_a_proxy(shared_on_moto(false, true)).await;
    let place = TerraformPlace::of(&store).unwrap();
    let stranger = Stranger::at(&options);
    let (state, key) = (at("net", "default"), format!("{}/net", options.prefix));
    let mut mark = None;
    for operation in ["PutObject", "PutItem"] {
        for (n, (name, fault)) in passing(operation).into_iter().enumerate() {
            proxy.inject(Rule::new(fault.clone()).operation(operation).nth(1));
            let content = Bytes::from(format!("{n} {operation}"));
            let label = format!("v{n} {operation}");
            let written = place.write(&state, mark.as_ref(), outgoing(&label, &content)).await;
            mark = Some(written.unwrap_or_else(|error| panic!("{name}: {operation}: {error}")));
            proxy.heal();
            assert_eq!(stranger.get(&key).await.unwrap().0, content);
            let digest = stranger.item(&format!("{}/{key}-md5", options.bucket), "Digest").await;
            assert_eq!(digest, Some(md5_of(&content)), "{name}: {operation}");
        }
    }
}

#[tokio::test]
async fn a_digest_that_could_not_be_written_is_put_right_by_the_next_reader() {
    let (proxy, options, store) = through_a_proxy(shared_on_moto(false, true)).await;
    let place = TerraformPlace::of(&store).unwrap();
    let stranger = Stranger::at(&options);
    let (state, digest) = (at("net", "default"), format!("{}/{}/net-md5", options.bucket, options.prefix));
    let first = place.write(&state, None, outgoing("v1 abc", &Bytes::from("one"))).await.unwrap();
    proxy.inject(Rule::new(Fault::dynamodb(500, "InternalServerError", "no")).operation("PutItem"));
    let half = place.write(&state, Some(&first), outgoing("v2 def", &Bytes::from("two"))).await;
    assert!(matches!(half, Err(StoreError::OutcomeUnknown { .. })), "{half:?}");
    proxy.heal();
    assert_eq!(stranger.item(&digest, "Digest").await, Some(md5_of(b"one")));
    assert_eq!(whole(place.read(&state, Some(&first)).await.unwrap()).await.2, "two");
    assert_eq!(stranger.item(&digest, "Digest").await, Some(md5_of(b"two")));
}
