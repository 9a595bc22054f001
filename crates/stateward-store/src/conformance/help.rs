//! Short words for what the cases do all the time.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    BlobId, BlobRef, Entry, Expect, Horizon, Key, Listing, Live, Locator, NewBlob, Revision, Session, Store,
    StoreError, Write,
};

pub(super) fn write(key: &str, value: &str, expect: Expect) -> Write {
    Write { key: Key::new(key), value: Some(Bytes::copy_from_slice(value.as_bytes())), expect }
}

pub(super) fn removal(key: &str, expect: Expect) -> Write {
    Write { key: Key::new(key), value: None, expect }
}

pub(super) async fn commit(store: &dyn Store, write: Write) -> Result<Revision, StoreError> {
    store.commit(vec![write]).await
}

/// Creates a record that was not there.
pub(super) async fn create(store: &dyn Store, key: &str, value: &str) -> Revision {
    commit(store, write(key, value, Expect::Absent)).await.expect("creates")
}

/// The value and revision of a record.
pub(super) async fn read(store: &dyn Store, key: &str) -> Option<(String, Revision)> {
    let record = store.get(&Key::new(key)).await.expect("reads")?;
    let value = String::from_utf8(record.value.to_vec()).expect("the suite writes text");
    Some((value, record.revision))
}

pub(super) async fn value(store: &dyn Store, key: &str) -> Option<String> {
    read(store, key).await.map(|(value, _)| value)
}

pub(super) async fn list(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<Entry> {
    let listing = Listing { prefix: prefix.into(), after: after.map(Key::new), limit };
    store.list(&listing).await.expect("lists")
}

pub(super) fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

/// A blob that is different for each name.
pub(super) fn blob(name: &str) -> NewBlob {
    sized_blob(name, 200)
}

/// The same, with so many bytes that do not compress.
pub(super) fn sized_blob(name: &str, size: usize) -> NewBlob {
    let mut content = vec![0; size];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut content);
    NewBlob { id: id(name), sealed: content.into() }
}

pub(super) fn id(name: &str) -> BlobId {
    BlobId(*blake3::hash(name.as_bytes()).as_bytes())
}

/// Shares a blob, or puts it where that is not possible, as every writer does.
pub(super) async fn hold(session: &mut dyn Session, blob: &NewBlob) -> Result<BlobRef, StoreError> {
    let locator = match session.share(&[blob.id]).await?.pop().flatten() {
        Some(locator) => locator,
        None => put(session, blob.clone()).await?,
    };
    Ok(BlobRef { id: blob.id, locator })
}

pub(super) async fn put(session: &mut dyn Session, blob: NewBlob) -> Result<Locator, StoreError> {
    let locators = session.put(vec![blob]).await?;
    assert_eq!(locators.len(), 1, "one locator for each blob");
    Ok(locators.into_iter().next().expect("just counted"))
}

/// Publishes blobs in a session of their own, under a new record.
pub(super) async fn publish(store: &dyn Store, key: &str, blobs: &[NewBlob]) -> (Vec<BlobRef>, Revision) {
    let mut session = store.session(&Key::new(key));
    let mut refs = Vec::new();
    for blob in blobs {
        refs.push(hold(session.as_mut(), blob).await.expect("holds"));
    }
    let revision = session.commit(vec![write(key, "published", Expect::Absent)]).await.expect("publishes");
    (refs, revision)
}

/// Asserts that blobs are there, byte for byte.
pub(super) async fn assert_there(store: &dyn Store, refs: &[BlobRef], blobs: &[NewBlob]) {
    let contents = store.get_blobs(refs).await.expect("the blobs are there");
    let expected: Vec<_> = blobs.iter().map(|blob| blob.sealed.clone()).collect();
    assert!(contents == expected, "the blobs differ from what was put");
}

pub(super) async fn is_there(store: &dyn Store, blob: &BlobRef) -> bool {
    match store.get_blobs(std::slice::from_ref(blob)).await {
        Ok(_) => true,
        Err(StoreError::NotFound { .. }) => false,
        Err(error) => panic!("neither there nor absent: {error}"),
    }
}

/// A set of live blobs.
pub(super) fn live<'a>(ids: impl IntoIterator<Item = &'a BlobId>) -> Arc<Live> {
    let mut live = Live::default();
    for id in ids {
        live.insert(id);
    }
    Arc::new(live)
}

/// Runs a begun round to its end. Returns how many blobs it deleted.
pub(super) async fn sweep(store: &dyn Store, horizon: Horizon, live: &Arc<Live>) -> u64 {
    let (mut deleted, mut after) = (0, None);
    loop {
        let page = store.sweep(horizon, after, Arc::clone(live)).await.expect("sweeps");
        deleted += page.deleted;
        let Some(next) = page.next else { return deleted };
        assert!(after.is_none_or(|after| next > after), "a sweep goes on, from {after:?} to {next}");
        after = Some(next);
    }
}

/// A whole round.
pub(super) async fn round(store: &dyn Store, live: &Arc<Live>) -> u64 {
    let horizon = store.begin_sweep().await.expect("begins a round");
    sweep(store, horizon, live).await
}

/// Asserts a conflict about a key, with what is there now.
#[track_caller]
pub(super) fn assert_conflict<T: std::fmt::Debug>(
    result: Result<T, StoreError>,
    about: &str,
    expected: Option<&Revision>,
) {
    match result {
        Err(StoreError::Conflict { key, current }) => {
            assert_eq!(key, about, "the conflict names the key");
            assert_eq!(current.as_ref(), expected, "the conflict says what is there");
        }
        other => panic!("expected a conflict about `{about}`, got {other:?}"),
    }
}
