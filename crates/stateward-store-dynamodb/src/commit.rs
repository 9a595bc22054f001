//! Writing records: all in one transaction, or in one plain write where that is enough.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt, TryStreamExt};
use lru::LruCache;
use stateward_store::{Expect, Key, Result, Revision, StoreError, Write};

use crate::item::{Action, Condition, Item, KEY, VALUE, WRITE, bytes, number, text, text_in};
use crate::places::{At, Mark, Place};
use crate::records::Records;
use crate::table::{Failed, Unwritten};

/// The largest value of a record.
pub(crate) const VALUE_BYTES_MAX: usize = 256 << 10;
/// What one transaction takes, less the fence.
const ACTIONS_MAX: usize = 99;
const BYTES_MAX: usize = 3 << 20;
/// Writes that go ahead of a transaction side by side.
const ABREAST: usize = 8;
/// Marks that are remembered as written.
const MARKS: NonZeroUsize = NonZeroUsize::new(64 << 10).unwrap();

/// Writes records.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) records: Records,
    /// Marks that are there for certain: nobody removes one.
    marks: Mutex<LruCache<At, ()>>,
}

/// Why a commit was not done.
#[derive(Debug)]
pub(crate) enum Uncommitted {
    /// The condition of one of the further actions does not hold.
    Further {
        /// Which of them.
        index: usize,
    },
    /// Anything else.
    Store(StoreError),
}

impl From<StoreError> for Uncommitted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The record of this write.
    Record(usize),
    /// Its name.
    Name(usize),
    /// Something else that belongs to the commit.
    Further(usize),
}

impl Committer {
    pub(crate) fn new(records: Records) -> Self {
        Self { records, marks: Mutex::new(LruCache::new(MARKS)) }
    }

    /// Writes records, and does what else has to be done in the same moment.
    pub(crate) async fn commit(&self, writes: &[Write], further: &[Action]) -> Result<Revision, Uncommitted> {
        check(writes)?;
        let folded = match fold(writes) {
            Ok(folded) => folded,
            Err(key) => {
                let current = self.records.get(&key).await?.map(|record| record.revision);
                return Err(StoreError::Conflict { key: key.to_string(), current }.into());
            }
        };
        let writes = folded.as_deref().unwrap_or(writes);
        let places: Vec<Place> = writes.iter().map(|write| self.records.layout.place(&write.key)).collect();
        self.mark(writes, &places).await?;
        let id = self.records.table.ids.next();
        let mut parts: Vec<Vec<(About, Action)>> = writes
            .iter()
            .zip(&places)
            .enumerate()
            .map(|(n, (write, place))| self.actions(n, write, place, &id))
            .collect();
        let further = further.iter().cloned().enumerate().map(|(n, action)| (About::Further(n), action));
        parts.push(further.collect());

        self.go_ahead(writes, &mut parts).await?;
        let (about, actions): (Vec<About>, Vec<Action>) = parts.into_iter().flatten().unzip();
        match self.records.table.write(&actions).await {
            Ok(()) => Ok(Revision::new(id)),
            Err(Unwritten::Store(error)) => Err(error.into()),
            Err(Unwritten::Conditions(failed)) => self.refusal(writes, &places, &about, failed, &id).await,
        }
    }

    /// Marks the way to records that may be new.
    async fn mark(&self, writes: &[Write], places: &[Place]) -> Result<()> {
        let made = writes.iter().zip(places).filter(|(write, _)| write.value.is_some());
        let made = made.filter(|(write, _)| !matches!(write.expect, Expect::Revision(_)));
        let mut marks: Vec<&Mark> = made.flat_map(|(_, place)| &place.marks).collect();
        marks.sort_unstable();
        marks.dedup();
        let is_known = |mark: &Mark| self.marks.lock().unwrap_or_else(PoisonError::into_inner).get(&mark.at).is_some();
        for mark in marks {
            if is_known(mark) {
                continue;
            }
            let item = [(KEY.to_owned(), text(&mark.stem))].into();
            let same = Condition::new("attribute_not_exists(K) OR K = :k").with(":k", text(&mark.stem));
            match self.records.table.write(&[Action::put(mark.at.clone(), item).when(same)]).await {
                Ok(()) => {}
                Err(Unwritten::Store(error)) => return Err(before(error)),
                Err(Unwritten::Conditions(_)) => return Err(collision(&mark.stem)),
            }
            self.marks.lock().unwrap_or_else(PoisonError::into_inner).put(mark.at.clone(), ());
        }
        Ok(())
    }

    fn actions(&self, n: usize, write: &Write, place: &Place, id: &str) -> Vec<(About, Action)> {
        let key = write.key.as_str();
        let condition = self.condition(write, place);
        let when = |action: Action| match &condition {
            Some(condition) => action.when(condition.clone()),
            None => action,
        };
        let name = place.name.as_ref();
        let record = match (&write.value, &write.expect) {
            (Some(value), _) => when(Action::put(place.at.clone(), item(key, value, id))),
            (None, Expect::Absent) => Action::check(place.at.clone(), condition.clone().unwrap_or_default()),
            (None, _) => when(Action::delete(place.at.clone())),
        };
        let name = match (&write.value, &write.expect) {
            (Some(_), Expect::Absent | Expect::Any) => name.map(|at| {
                let same = Condition::new("attribute_not_exists(K) OR K = :k").with(":k", text(key));
                Action::put(at.clone(), [(KEY.to_owned(), text(key))].into()).when(same)
            }),
            (None, Expect::Any | Expect::Revision(_)) => name.map(|at| Action::delete(at.clone())),
            _ => None,
        };
        let name = name.map(|name| (About::Name(n), name));
        [(About::Record(n), record)].into_iter().chain(name).collect()
    }

    fn condition(&self, write: &Write, place: &Place) -> Option<Condition> {
        match &write.expect {
            Expect::Absent => {
                let absent = Condition::new("attribute_not_exists(K) OR (#ttl > :none AND #ttl < :now)");
                Some(absent.with(":none", number(0)).with(":now", number((self.records.now)())))
            }
            Expect::Revision(revision) => {
                let same = Condition::new(format!("{WRITE} = :w AND K = :k")).with(":w", text(revision.as_str()));
                Some(same.with(":k", text(write.key.as_str())))
            }
            // Others may be ordered alike.
            Expect::Any if place.name.is_none() => {
                let same = Condition::new("attribute_not_exists(K) OR K = :k");
                Some(same.with(":k", text(write.key.as_str())))
            }
            Expect::Any => None,
        }
    }

    /// Where there is more than one transaction takes, what nobody else writes goes first.
    async fn go_ahead(&self, writes: &[Write], parts: &mut [Vec<(About, Action)>]) -> Result<()> {
        let fits = |parts: &[Vec<(About, Action)>]| {
            let actions = parts.iter().flatten();
            actions.clone().count() <= ACTIONS_MAX
                && actions.map(|(_, action)| action.size()).sum::<usize>() <= BYTES_MAX
        };
        if fits(parts) {
            return Ok(());
        }
        let last = writes.len() - 1;
        let mut ahead = Vec::new();
        for (n, write) in writes.iter().enumerate().take(last).filter(|(_, write)| write.expect == Expect::Any) {
            if fits(parts) {
                break;
            }
            ahead.push((write.key.to_string(), std::mem::take(&mut parts[n])));
        }
        if !fits(parts) {
            return Err(StoreError::Unsupported {
                what: format!("a commit of {} records", writes.len()),
                reason: format!("DynamoDB changes at most {ACTIONS_MAX} items and {BYTES_MAX} bytes in one moment"),
            });
        }
        let ahead = ahead.into_iter().map(|(key, part)| self.write_ahead(key, part).boxed());
        let ahead: Vec<BoxFuture<'_, Result<()>>> = ahead.collect();
        stream::iter(ahead).buffer_unordered(ABREAST).try_collect::<Vec<()>>().await.map(drop)
    }

    async fn write_ahead(&self, key: String, part: Vec<(About, Action)>) -> Result<()> {
        let actions: Vec<Action> = part.into_iter().map(|(_, action)| action).collect();
        match self.records.table.write(&actions).await {
            Ok(()) => Ok(()),
            Err(Unwritten::Store(error)) => Err(before(error)),
            Err(Unwritten::Conditions(_)) => Err(collision(&key)),
        }
    }

    /// What it means that a condition does not hold: not always that somebody else was first.
    async fn refusal(
        &self,
        writes: &[Write],
        places: &[Place],
        about: &[About],
        failed: Vec<Failed>,
        id: &str,
    ) -> Result<Revision, Uncommitted> {
        let mut failed: Vec<(About, Option<Item>)> =
            failed.into_iter().filter_map(|failed| Some((*about.get(failed.index)?, failed.found))).collect();
        if let Some(at) = failed.iter().position(|(about, _)| matches!(about, About::Further(_)))
            && let (About::Further(index), _) = failed.swap_remove(at)
        {
            return Err(Uncommitted::Further { index });
        }
        let record = |(about, _): &(About, Option<Item>)| match about {
            About::Record(n) => Some(*n),
            _ => None,
        };
        let Some(first) = failed.iter().filter(|failed| record(failed).is_some()).min_by_key(|failed| record(failed))
        else {
            let names = failed.iter().find_map(|(about, _)| if let About::Name(n) = about { Some(*n) } else { None });
            return Err(collision(names.map_or("", |n| writes[n].key.as_str())).into());
        };
        let (n, found) = (record(first).unwrap_or_default(), first.1.clone());
        // Not every service says what it found.
        let found = match found {
            Some(found) => Some(found),
            None => self.records.table.get(&places[n].at).await.map_err(StoreError::from)?,
        };
        let key = writes[n].key.as_str();
        let current = found.as_ref().filter(|found| !self.records.has_expired(found));
        if current.and_then(|found| text_in(found, WRITE)) == Some(id) {
            return Ok(Revision::new(id));
        }
        match current.and_then(|found| text_in(found, KEY)) {
            Some(other) if other != key && writes[n].value.is_some() => Err(collision(key).into()),
            same => {
                let current = current.filter(|_| same == Some(key)).and_then(|found| text_in(found, WRITE));
                Err(StoreError::Conflict { key: key.to_owned(), current: current.map(Revision::new) }.into())
            }
        }
    }
}

fn item(key: &str, value: &Bytes, id: &str) -> Item {
    [(KEY.to_owned(), text(key)), (VALUE.to_owned(), bytes(value)), (WRITE.to_owned(), text(id))].into()
}

fn check(writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Err(StoreError::Unsupported {
            what: "a commit without writes".into(),
            reason: "its last write is what decides; name at least one".into(),
        });
    }
    for write in writes {
        let size = write.value.as_ref().map_or(0, Bytes::len);
        if size > VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge { size: size as u64, limit: VALUE_BYTES_MAX as u64 });
        }
    }
    Ok(())
}

/// Makes one write of several to the same record, where there are such: an item changes once in a transaction. The error names a
/// record of which a later write expects what an earlier one has just undone.
fn fold(writes: &[Write]) -> Result<Option<Vec<Write>>, Key> {
    let keys: HashSet<&Key> = writes.iter().map(|write| &write.key).collect();
    if keys.len() == writes.len() {
        return Ok(None);
    }
    let mut folded: Vec<Write> = Vec::with_capacity(keys.len());
    for write in writes {
        let Some(before) = folded.iter().position(|before| before.key == write.key) else {
            folded.push(write.clone());
            continue;
        };
        let before = folded.remove(before);
        match &write.expect {
            Expect::Absent if before.value.is_some() => return Err(write.key.clone()),
            Expect::Revision(_) => return Err(write.key.clone()),
            Expect::Absent | Expect::Any => folded.push(Write { expect: before.expect, ..write.clone() }),
        }
    }
    Ok(Some(folded))
}

/// The error of something that goes before the commit and counts for nothing without it.
fn before(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown { reason } => StoreError::Unavailable { retry_after: None, reason },
        error => error,
    }
}

fn collision(key: &str) -> StoreError {
    StoreError::Unsupported {
        what: format!("the key `{key}`"),
        reason: "another key has the same place in the table, by a chance of one in 2^60; use another name".into(),
    }
}
