//! Records: one object each, changed by conditional writes.
//!
//! A conditional write that fails is not believed before the object was read back: the failure may be about a copy of the request
//! whose first copy was done (a proxy, or the network, delivered it twice), or the answer may have been lost. Every write carries an id,
//! and a record remembers the ids of its last writes, so it can be told whether a write was done even after others wrote.
//!
//! A removed record is an object that says so. Not every store deletes conditionally, and with an unconditional delete
//! a slow remover could take away what somebody else has put there in the meantime.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lru::LruCache;
use stateward_store::{Key, Record, Result, Revision, StoreError};
use stateward_store_aws::{Bucket, Condition, Fault, Ids};
use tracing::debug;

use crate::envelope::{self, Header, Upkeep};
use crate::names;

/// The first wait before a request is sent again; the next is twice as long.
const WAIT: Duration = Duration::from_millis(40);
/// The longest wait that is sat out here rather than handed to the caller.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Records whose last write is remembered, so that a compare-and-set needs no read before it.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The objects of records.
pub(crate) struct Records {
    pub(crate) bucket: Bucket,
    pub(crate) ids: Arc<Ids>,
    /// What the names of all objects of this store begin with: ends in a slash.
    pub(crate) root: String,
    /// Where the records are below that: ends in a slash.
    directory: &'static str,
    /// The store honours `If-Match` on a delete.
    pub(crate) deletes_if: bool,
    tries: u32,
    known: Mutex<LruCache<Home, Known>>,
}

/// A record by the hash of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Home(pub(crate) [u8; 16]);

impl Home {
    pub(crate) fn of(key: &str) -> Self {
        let mut home = [0; 16];
        home.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
        Self(home)
    }
}

/// A write that is, or was, the last of a record.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) tag: String,
    pub(crate) header: Header,
}

impl Known {
    pub(crate) fn revision(&self) -> Revision {
        Revision::new(&*self.tag)
    }
}

/// A record as it was read. May be one that is gone.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) known: Known,
    pub(crate) value: Bytes,
}

impl Found {
    pub(crate) fn is_gone(&self) -> bool {
        self.known.header.gone
    }

    pub(crate) fn record(self) -> Option<Record> {
        (!self.is_gone()).then(|| Record { revision: self.known.revision(), value: self.value })
    }
}

/// The revision that a reader would see.
pub(crate) fn current(found: Option<&Found>) -> Option<Revision> {
    found.filter(|found| !found.is_gone()).map(|found| found.known.revision())
}

/// What became of a conditional write.
pub(crate) enum Put {
    /// It was done.
    Done(Known),
    /// It was not done: this is there.
    Other(Option<Found>),
}

impl Records {
    pub(crate) fn new(bucket: Bucket, root: &str, directory: &'static str, ids: Arc<Ids>, max_retries: u32) -> Self {
        let tries = max_retries.saturating_add(1);
        let known = Mutex::new(LruCache::new(REMEMBERED));
        Self { bucket, ids, root: root.to_owned(), directory, deletes_if: false, tries, known }
    }

    /// The directory of all records.
    pub(crate) fn directory(&self) -> String {
        format!("{}{}", self.root, self.directory)
    }

    pub(crate) fn name(&self, key: &str) -> String {
        format!("{}{}{}", self.root, self.directory, names::name_of(key))
    }

    /// What is known of a record without asking; may be old.
    pub(crate) fn known(&self, home: Home) -> Option<Known> {
        self.cache().get(&home).cloned()
    }

    fn remember(&self, key: &str, known: &Known) {
        self.cache().put(Home::of(key), known.clone());
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<Home, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a record, also one that is gone, and remembers it.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Found>> {
        let found = self.read_object(&self.name(key)).await?;
        let Some(found) = found else {
            self.cache().pop(&Home::of(key));
            return Ok(None);
        };
        if found.known.header.key != key {
            return Err(StoreError::Corrupt {
                what: key.to_owned(),
                reason: format!("its object holds the record `{}`: it was copied by hand", found.known.header.key),
            });
        }
        self.remember(key, &found.known);
        Ok(Some(found))
    }

    /// Reads the record in an object, whatever its key.
    pub(crate) async fn read_object(&self, name: &str) -> Result<Option<Found>> {
        let Some(object) = self.bucket.get(name).await? else { return Ok(None) };
        let envelope = envelope::open(name, &object.content)?;
        Ok(Some(Found { known: Known { tag: object.tag, header: envelope.header }, value: envelope.value }))
    }

    /// Writes a record in place of `base` (`None`: of nothing at all), or removes it where there is no value. `upkeep` is what the
    /// record says to collection from now on.
    pub(crate) async fn put(
        &self,
        key: &str,
        base: Option<&Known>,
        value: Option<&[u8]>,
        upkeep: Upkeep,
    ) -> Result<Put> {
        let id = self.ids.next();
        let mut header = base.map_or_else(|| Header::first(key, id.clone()), |base| base.header.next(id.clone()));
        header.gone = value.is_none();
        header.upkeep = upkeep;
        let content = envelope::seal(&header, value.unwrap_or_default());
        let condition = base.map_or(Condition::Absent, |base| Condition::Tag(base.tag.clone()));
        let put = self.send(key, base, &id, &content, &condition).await?;
        Ok(match put {
            Sent::Done(tag) => {
                let known = Known { tag, header };
                self.remember(key, &known);
                Put::Done(known)
            }
            Sent::Other(found) => Put::Other(found),
        })
    }

    /// Sends a write until it is known what became of it.
    async fn send(
        &self,
        key: &str,
        base: Option<&Known>,
        id: &str,
        content: &Bytes,
        condition: &Condition,
    ) -> Result<Sent> {
        let name = self.name(key);
        let mut lost: Option<String> = None;
        let mut last = None;
        for turn in 0..self.tries.max(2) {
            let fault = match self.bucket.put_if(&name, content.clone(), condition).await {
                Ok(tag) => return Ok(Sent::Done(tag)),
                Err(fault) => fault,
            };
            debug!(key, turn, ?fault, "a conditional write was not confirmed");
            match &fault {
                Fault::Lost(reason) => lost = Some(reason.clone()),
                Fault::Refused(_) if lost.is_none() => return self.refused(key, base, id, fault).await,
                _ => {}
            }
            if matches!(fault, Fault::Precondition | Fault::Contended | Fault::Lost(_) | Fault::Refused(_)) {
                let read =
                    self.read(key).await.map_err(|error| unknown(format!("{error}, and before that: {fault:?}")))?;
                if let Some(sent) = told(key, base, id, read, lost.as_deref())? {
                    return Ok(sent);
                }
            }
            let wait = match &fault {
                Fault::Busy(Some(wait), _) if *wait > WAIT_MAX => {
                    last = Some(fault);
                    break;
                }
                Fault::Busy(Some(wait), _) => *wait,
                _ => self.wait(turn),
            };
            last = Some(fault);
            tokio::time::sleep(wait).await;
        }
        match (lost, last) {
            (Some(reason), _) => Err(unknown(reason)),
            (None, Some(fault)) => Err(fault.into()),
            (None, None) => Err(unknown("nothing was sent".into())),
        }
    }

    /// What refused it may stand before the service and have let it through: a refusal is not believed before the record was read back,
    /// for whoever believes it takes away what the record would name.
    async fn refused(&self, key: &str, base: Option<&Known>, id: &str, fault: Fault) -> Result<Sent> {
        match self.read(key).await {
            Ok(read) => match told(key, base, id, read, None)? {
                Some(done @ Sent::Done(_)) => Ok(done),
                _ => Err(fault.into()),
            },
            Err(_) if fault.is_told_by_aws() => Err(fault.into()),
            Err(error) => Err(unknown(format!("{}, and after that: {error}", StoreError::from(fault)))),
        }
    }

    /// Takes back a record that only its writer knows of.
    pub(crate) async fn discard(&self, key: &str, known: &Known) -> Result<()> {
        if self.deletes_if {
            self.cache().pop(&Home::of(key));
            return Ok(self.bucket.delete_if(&self.name(key), &known.tag).await?);
        }
        self.put(key, Some(known), None, Upkeep::default()).await.map(drop)
    }

    /// How long to wait before the next turn.
    pub(crate) fn wait(&self, turn: u32) -> Duration {
        let most = WAIT.saturating_mul(1 << turn.min(6)).min(WAIT_MAX);
        most / 2 + self.ids.part_of(most / 2)
    }
}

enum Sent {
    /// It was done, and the object has this tag.
    Done(String),
    Other(Option<Found>),
}

/// What the record, read back, tells of the write `id`; `None` where it was not done, and may be sent again.
fn told(key: &str, base: Option<&Known>, id: &str, found: Option<Found>, lost: Option<&str>) -> Result<Option<Sent>> {
    let same = base.map(|base| &base.tag) == found.as_ref().map(|found| &found.known.tag);
    if same {
        return Ok(None);
    }
    let Some(found) = found else {
        return match lost {
            Some(reason) => Err(unknown(format!("`{key}` has vanished: {reason}"))),
            None => Ok(Some(Sent::Other(None))),
        };
    };
    let header = &found.known.header;
    if header.write == id {
        return Ok(Some(Sent::Done(found.known.tag)));
    }
    if header.knows(id) {
        return Err(unknown(format!("`{key}` was written, and written over since")));
    }
    // As far as the record remembers it was not done. Does it remember far enough?
    let remembers = base.map_or(!header.forgets(), |base| header.knows(&base.header.write) || !header.forgets());
    match lost {
        Some(reason) if !remembers => Err(unknown(reason.to_owned())),
        _ => Ok(Some(Sent::Other(Some(found)))),
    }
}

fn unknown(reason: String) -> StoreError {
    StoreError::OutcomeUnknown { reason }
}

/// The conflict of a write that expected something else than what is there.
pub(crate) fn conflict(key: &Key, found: Option<&Found>) -> StoreError {
    StoreError::Conflict { key: key.to_string(), current: current(found) }
}
