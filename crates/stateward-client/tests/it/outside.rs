//! Taking a state to where other programs keep theirs, and looking at what stands there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use stateward_client::Connection;
use stateward_client::transfer::{Found, Held, Origin, There, bring_outside, look_outside};
use stateward_core::{BodyStream, Error, Kind, Original};
use stateward_store::fault::{Fault, FaultPlan, FaultStore};
use stateward_store::outside::{BytesPlace, Incoming, Mark, Outgoing, Seen, Spot};
use stateward_store::{MemStore, Result, StoreError};

use crate::world::{World, body, id, kind};

/// A place with room for one state.
#[derive(Debug, Clone, Default)]
struct Bucket(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    object: Option<Object>,
    operations: u64,
    /// The number of the operation that fails, whether it is done all the same, and how it fails.
    fault: Option<(u64, bool, StoreError)>,
    /// What somebody else puts there right after a write of ours; an empty one is nothing.
    overtakes: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Object {
    label: Option<String>,
    bytes: String,
}

fn at() -> Spot {
    Spot { name: "net/prod".to_owned(), workspace: "default".to_owned() }
}

impl Bucket {
    /// With bytes that somebody else wrote.
    fn having(bytes: &str) -> Self {
        let bucket = Self::default();
        bucket.inner().object = Some(Object { label: None, bytes: bytes.to_owned() });
        bucket
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self) -> Option<Object> {
        self.inner().object.clone()
    }

    fn bytes(&self) -> Option<String> {
        self.object().map(|object| object.bytes)
    }

    fn fails(self, operation: u64, is_done: bool, error: StoreError) -> Self {
        self.inner().fault = Some((operation, is_done, error));
        self
    }

    fn operation<T>(&self, run: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        let mut inner = self.inner();
        inner.operations += 1;
        let operation = inner.operations;
        match inner.fault.take_if(|(at, ..)| *at == operation) {
            None => run(&mut inner),
            Some((_, is_done, error)) => {
                if is_done {
                    run(&mut inner)?;
                }
                Err(error)
            }
        }
    }
}

#[async_trait]
impl BytesPlace for Bucket {
    async fn read(&self, spot: &Spot, _known: Option<&Mark>) -> Result<Seen> {
        assert_eq!(*spot, at());
        self.operation(|inner| {
            let Some(Object { label, bytes }) = inner.object.clone() else { return Ok(Seen::Absent) };
            let (mark, size) = (Mark::new(bytes.as_str()), bytes.len() as u64);
            // In two pieces, as bodies come.
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            let pieces = [first, rest].map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes())));
            Ok(Seen::Bytes(Incoming { mark, label, size, bytes: stream::iter(pieces).boxed() }))
        })
    }

    async fn write(&self, spot: &Spot, expected: Option<&Mark>, body: Outgoing) -> Result<Mark> {
        assert_eq!((spot, expected), (&at(), None), "it is never written over anything");
        let bytes = body.bytes.try_collect::<Vec<Bytes>>().await?.concat();
        assert_eq!(bytes.len() as u64, body.size);
        assert_eq!(hex::encode(Md5::digest(&bytes)), body.md5);
        let bytes = String::from_utf8(bytes).unwrap();
        self.operation(|inner| {
            if inner.object.is_some() {
                return Err(StoreError::Conflict { key: "net/prod".to_owned(), current: None });
            }
            let mark = Mark::new(bytes.as_str());
            let other = inner.overtakes.take().map(|bytes| Object { label: None, bytes });
            inner.object = match other {
                None => Some(Object { label: Some(body.label), bytes }),
                Some(other) => Some(other).filter(|other| !other.bytes.is_empty()),
            };
            Ok(mark)
        })
    }

    async fn delete(&self, _: &Spot, _: &Mark) -> Result<()> {
        panic!("nothing is deleted")
    }

    async fn list(&self) -> Result<Vec<(Spot, Mark)>> {
        panic!("one spot is all that is asked about")
    }
}

async fn bring(from: &World, bucket: &Bucket) -> std::result::Result<(), Error> {
    bring_outside(&Held::new(&from.local, &id("a")), bucket, &at()).await
}

async fn current(from: &World) -> Original {
    let found = Held::new(&from.local, &id("a")).versions().await.unwrap();
    found.into_iter().find(|found| found.current).unwrap().original
}

/// A state of another lineage.
fn another(serial: u64) -> String {
    body(serial).replace("11111111-", "99999999-")
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { retry_after: None, reason: "planned".to_owned() }
}

fn unknown() -> StoreError {
    StoreError::OutcomeUnknown { reason: "planned".to_owned() }
}

#[tokio::test]
async fn what_stands_there_is_known_for_what_it_is() {
    let from = World::new(1).await.having("a", 3).await;
    let original = current(&from).await;
    let look = async |there: &Bucket| look_outside(&original, there, &at()).await.unwrap();
    assert_eq!(look(&Bucket::default()).await, There::Nothing);
    assert_eq!(look(&Bucket::having(&body(3))).await, There::Same);
    assert_eq!(look(&Bucket::having(&body(8))).await, There::Later { serial: 8 });
    let same_serial = body(3).replace("hunter", "winner");
    for (there, reason) in [
        (body(2), "with serial 2 and other content, and here with 3"),
        (same_serial, "with serial 3 and other content, and here with 3"),
        (another(3), "its lineage is 99999999-2222-3333-4444-555555555555"),
        (another(8), "another state stands there"),
        ("<html>no state</html>".to_owned(), "no state"),
        (body(3)[..100].to_owned(), "no state"),
        (String::new(), "no state"),
    ] {
        let There::Other { why } = look(&Bucket::having(&there)).await else { panic!("{there} is something else") };
        assert!(why.contains(reason), "{reason}: {why}");
        assert!(!why.contains("hunter") && !why.contains("winner"), "nothing out of a state is told: {why}");
    }
}

#[tokio::test]
async fn who_cannot_look_does_not_say_that_nothing_is_there() {
    let original = current(&World::new(1).await.having("a", 3).await).await;
    for (error, kind) in [
        (StoreError::Denied { denial: "planned".to_owned() }, Kind::Denied),
        (StoreError::Corrupt { what: "net/prod".to_owned(), reason: "planned".to_owned() }, Kind::Corrupt),
        (unavailable(), Kind::Unavailable),
    ] {
        let bucket = Bucket::having(&body(3)).fails(1, false, error);
        assert_eq!(look_outside(&original, &bucket, &at()).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn the_current_version_arrives_as_it_is() {
    let (from, bucket) = (World::new(1).await.having("a", 3).await, Bucket::default());
    bring(&from, &bucket).await.unwrap();
    let arrived = Object { label: Some("migrated".to_owned()), bytes: body(3) };
    assert_eq!(bucket.object(), Some(arrived.clone()));
    assert_eq!(bucket.inner().operations, 2, "it is written once, and read back");
    bring(&from, &bucket).await.unwrap();
    assert_eq!(bucket.object(), Some(arrived), "what is there already is compared");
    assert_eq!((from.get("a").await, from.history("a").await.len()), (Some(body(3)), 3), "and stays where it was");
}

#[tokio::test]
async fn an_older_version_that_was_restored_is_the_one_that_goes() {
    let (from, bucket) = (World::new(1).await.having("a", 3).await, Bucket::default());
    let restored = body(1).replace("\"serial\":1", "\"serial\":4");
    from.local.store(&id("a"), BodyStream::of(restored.clone()), false).await.unwrap();
    bring(&from, &bucket).await.unwrap();
    assert_eq!(bucket.bytes(), Some(restored));
}

#[tokio::test]
async fn a_state_that_is_deleted_or_never_was_is_not_brought() {
    let (from, bucket) = (World::new(1).await.having("a", 1).await, Bucket::default());
    from.local.delete(&id("a"), None).await.unwrap();
    let error = bring(&from, &bucket).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.next().contains("stateward state undelete"), "{error}");
    assert_eq!(kind(bring(&World::new(2).await, &bucket).await), Kind::NotFound);
    assert_eq!((bucket.object(), bucket.inner().operations), (None, 0));
}

#[tokio::test]
async fn what_others_have_there_is_never_written_over() {
    let from = World::new(1).await.having("a", 3).await;
    for (there, reason) in
        [(body(2), "with serial 2"), (body(8), "serial 8"), (another(3), "another state"), ("x".to_owned(), "no state")]
    {
        let bucket = Bucket::having(&there);
        let error = bring(&from, &bucket).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        assert!(error.what().contains("`net/prod` in the workspace `default` did not arrive"), "{error}");
        assert!(error.why().contains(reason) && error.next().contains("nothing was taken away"), "{error}");
        assert_eq!(bucket.bytes(), Some(there));
        assert_eq!(from.get("a").await, Some(body(3)));
    }
}

#[tokio::test]
async fn somebody_who_writes_right_after_is_noticed() {
    let from = World::new(1).await.having("a", 3).await;
    for (other, expected) in
        [(body(4), Kind::Conflict), (another(1), Kind::Conflict), (String::new(), Kind::Unavailable)]
    {
        let bucket = Bucket::default();
        bucket.inner().overtakes = Some(other.clone());
        assert_eq!(kind(bring(&from, &bucket).await), expected, "{other}");
        assert_eq!(bucket.bytes().unwrap_or_default(), other, "what they wrote stays");
    }
}

/// Each of the two requests fails, before it is done or after it, in each way; the next run ends it.
#[tokio::test]
async fn a_request_that_fails_loses_nothing() {
    let from = World::new(1).await.having("a", 3).await;
    let denied = || StoreError::Denied { denial: "planned".to_owned() };
    for (operation, is_done, error, arrives) in [
        (1, false, unavailable(), Err(Kind::Unavailable)),
        (1, false, denied(), Err(Kind::Denied)),
        // Whether it was written is seen by looking.
        (1, false, unknown(), Err(Kind::Unavailable)),
        (1, true, unknown(), Ok(())),
        (2, false, unavailable(), Err(Kind::Unavailable)),
        (2, false, denied(), Err(Kind::Denied)),
    ] {
        let what = format!("{error:?} at {operation}, done: {is_done}");
        let bucket = Bucket::default().fails(operation, is_done, error);
        assert_eq!(bring(&from, &bucket).await.map_err(|error| error.kind()), arrives, "{what}");
        let is_there = is_done || operation == 2;
        assert_eq!(bucket.bytes(), is_there.then(|| body(3)), "{what}: all of it or nothing");
        bring(&from, &bucket).await.unwrap();
        assert_eq!(bucket.bytes(), Some(body(3)), "{what}: the next run ends it");
        assert_eq!(from.get("a").await, Some(body(3)), "{what}");
    }
}

/// The store that the state comes from goes away at each of its operations.
#[tokio::test(start_paused = true)]
async fn a_source_that_fails_anywhere_leaves_all_or_nothing() {
    let store = Arc::new(MemStore::default());
    World::over(store.clone(), 1).await.unwrap().having("a", 2).await;
    let counting = FaultStore::new(store.clone(), FaultPlan::none());
    bring(&World::over(Arc::new(counting.clone()), 2).await.unwrap(), &Bucket::default()).await.unwrap();
    let mut cut_off = 0;
    for operation in 1..=counting.ops() {
        let faulty = FaultStore::new(store.clone(), FaultPlan::at(operation, Fault::CrashBefore));
        let (bucket, what) = (Bucket::default(), format!("at {operation}"));
        if let Ok(from) = World::over(Arc::new(faulty), 2).await {
            bring(&from, &bucket).await.unwrap_err();
            assert_eq!(bucket.object(), None, "{what}: nothing was half written");
            cut_off += 1;
        }
        let from = World::over(store.clone(), 3).await.unwrap();
        bring(&from, &bucket).await.unwrap();
        assert_eq!(bucket.bytes(), Some(body(2)), "{what}");
        from.assert_sound(&what).await;
    }
    assert!(cut_off > 2, "{cut_off}");
}

/// Bytes that break off, or are others than was said.
struct Broken {
    found: Found,
    pieces: Vec<std::result::Result<Bytes, Error>>,
}

#[async_trait]
impl Origin for Broken {
    fn name(&self) -> String {
        "a broken place".to_owned()
    }

    async fn versions(&self) -> std::result::Result<Vec<Found>, Error> {
        Ok(vec![self.found.clone()])
    }

    async fn open(&self, _: usize) -> std::result::Result<BodyStream, Error> {
        Ok(BodyStream { length: None, bytes: stream::iter(self.pieces.clone()).boxed() })
    }
}

#[tokio::test]
async fn bytes_that_break_off_are_not_written() {
    let original = current(&World::new(1).await.having("a", 3).await).await;
    let half = Bytes::from(body(3)[..50].to_owned());
    let gone = Error::new(Kind::Unavailable, "the state was not read", "the connection went away", "try again");
    let origin = Broken { found: Found { original, current: true }, pieces: vec![Ok(half), Err(gone)] };
    let bucket = Bucket::default();
    let error = bring_outside(&origin, &bucket, &at()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("the connection went away"), "{error}");
    assert_eq!(bucket.object(), None);
}
