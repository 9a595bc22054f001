//! Commits: all records but the last first, then the last, which decides.

use bytes::Bytes;
use futures::FutureExt;
use stateward_store::{Expect, Key, Result, Revision, StoreError, Write};
use stateward_store_aws::together;
use tracing::warn;

use crate::envelope::Upkeep;
use crate::hold::Hold;
use crate::records::{Found, Home, Known, Put, Records, conflict, current};

/// The largest value of a record.
const VALUE_BYTES_MAX: usize = 256 << 10;
/// Lost races after which a write that takes whatever is there gives up.
const RACES_MAX: usize = 64;

/// A record that was written before the last, and how to undo that.
struct Done {
    key: Key,
    before: Option<Found>,
    now: Known,
}

/// Refuses what no engine takes.
pub(crate) fn validate(writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Err(StoreError::Unsupported {
            what: "a commit without writes".into(),
            reason: "its last write is what decides; name at least one".into(),
        });
    }
    let size = writes.iter().map(|write| write.value.as_ref().map_or(0, Bytes::len)).max().unwrap_or_default();
    if size > VALUE_BYTES_MAX {
        return Err(StoreError::TooLarge { size: size as u64, limit: VALUE_BYTES_MAX as u64 });
    }
    Ok(())
}

impl Records {
    /// Writes all records; the last decides, and with it what `hold` names is published.
    pub(crate) async fn commit(&self, mut writes: Vec<Write>, hold: &mut Hold) -> Result<Revision> {
        validate(&writes)?;
        let Some(last) = writes.pop() else {
            return Err(StoreError::Unsupported { what: String::new(), reason: String::new() });
        };
        let (free, bound): (Vec<Write>, Vec<Write>) = writes.into_iter().partition(|write| write.expect == Expect::Any);
        if !bound.is_empty() {
            // Before anything is written: what is bound to lose should leave nothing behind.
            self.check_all(bound.iter().chain([&last])).await?;
        }
        if !hold.is_empty() {
            // A record must not come to name blobs that have been collected.
            self.check_hold(&last.key, hold).await?;
        }
        let free = self.write_free(free).await?;
        let mut done = Vec::new();
        for write in &bound {
            match self.write_bound(write).await {
                Ok(written) => done.push(written),
                Err(error) => return Err(self.undo(free, done, error).await),
            }
        }
        match self.decide(&last, hold).await {
            Ok(known) => Ok(known.revision()),
            Err(error @ StoreError::OutcomeUnknown { .. }) => Err(error),
            Err(error) => Err(self.undo(free, done, error).await),
        }
    }

    async fn check_all<'a>(&self, writes: impl Iterator<Item = &'a Write>) -> Result<()> {
        together::all(writes.map(|write| self.check(write).boxed())).await.map(drop)
    }

    async fn check(&self, write: &Write) -> Result<()> {
        let found = self.read(write.key.as_str()).await?;
        let holds = match &write.expect {
            Expect::Any => true,
            Expect::Absent => current(found.as_ref()).is_none(),
            Expect::Revision(revision) => current(found.as_ref()).as_ref() == Some(revision),
        };
        if holds { Ok(()) } else { Err(conflict(&write.key, found.as_ref())) }
    }

    /// Writes records that nobody else writes. Gives those that were not there before.
    async fn write_free(&self, writes: Vec<Write>) -> Result<Vec<(Key, Known)>> {
        let write = |write: Write| {
            async move {
                let written = self.put_any(&write.key, write.value.as_deref()).await?;
                Ok(written.map(|known| (write.key, known)))
            }
            .boxed()
        };
        match together::all(writes.into_iter().map(write)).await {
            Ok(written) => Ok(written.into_iter().flatten().collect()),
            // The commit has not happened, whatever became of this record.
            Err(StoreError::OutcomeUnknown { reason }) => Err(StoreError::Unavailable { retry_after: None, reason }),
            Err(error) => Err(error),
        }
    }

    /// Writes over whatever is there. Gives the write if it created the record.
    async fn put_any(&self, key: &Key, value: Option<&[u8]>) -> Result<Option<Known>> {
        let mut base = match value {
            // The rule: the key is new.
            Some(_) => None,
            None => match self.read(key.as_str()).await? {
                Some(found) if !found.is_gone() => Some(found.known),
                _ => return Ok(None),
            },
        };
        for _ in 0..RACES_MAX {
            let upkeep = base.as_ref().map(|base| base.header.upkeep.clone()).unwrap_or_default();
            match self.put(key.as_str(), base.as_ref(), value, upkeep).await? {
                Put::Done(known) => return Ok(base.is_none_or(|base| base.header.gone).then_some(known)),
                Put::Other(found) => base = found.map(|found| found.known),
            }
        }
        Err(StoreError::Unavailable { retry_after: None, reason: format!("others write `{key}` all the time") })
    }

    async fn write_bound(&self, write: &Write) -> Result<Done> {
        let before = self.read(write.key.as_str()).await?.filter(|found| !found.is_gone());
        let now = self.decide(write, &mut Hold::default()).await?;
        Ok(Done { key: write.key.clone(), before, now })
    }

    /// Writes a record if what it expects is there.
    pub(crate) async fn decide(&self, write: &Write, hold: &mut Hold) -> Result<Known> {
        let key = write.key.as_str();
        let mut base = self.known(Home::of(key));
        match &write.expect {
            Expect::Revision(revision) => {
                if base.as_ref().is_none_or(|base| base.tag != revision.as_str()) {
                    let found = self.read(key).await?;
                    if current(found.as_ref()).as_ref() != Some(revision) {
                        return Err(conflict(&write.key, found.as_ref()));
                    }
                    base = found.map(|found| found.known);
                }
            }
            // What was there when it was last read may be gone.
            Expect::Absent => base = base.filter(|base| base.header.gone),
            Expect::Any => {}
        }
        if write.value.is_none() && !matches!(write.expect, Expect::Revision(_)) {
            let found = self.read(key).await?;
            match current(found.as_ref()) {
                Some(_) if write.expect == Expect::Absent => return Err(conflict(&write.key, found.as_ref())),
                None if hold.is_empty() => return Ok(found.map_or_else(nothing, |found| found.known)),
                _ => base = found.map(|found| found.known),
            }
        }
        for _ in 0..RACES_MAX {
            if base.is_none() && !hold.is_empty() {
                base = match self.put(key, None, None, Upkeep::default()).await? {
                    Put::Done(known) => Some(known),
                    Put::Other(found) if goes_on(&write.expect, found.as_ref()) => found.map(|found| found.known),
                    Put::Other(found) => return Err(conflict(&write.key, found.as_ref())),
                };
                continue;
            }
            let mut upkeep = base.as_ref().map(|base| base.header.upkeep.clone()).unwrap_or_default();
            hold.check(self, &upkeep, key).await?;
            hold.touch(&mut upkeep);
            let found = match self.put(key, base.as_ref(), write.value.as_deref(), upkeep).await? {
                Put::Done(known) => return Ok(known),
                Put::Other(found) => found,
            };
            if !goes_on(&write.expect, found.as_ref()) {
                return Err(conflict(&write.key, found.as_ref()));
            }
            base = found.map(|found| found.known);
        }
        Err(StoreError::Unavailable { retry_after: None, reason: format!("others write `{key}` all the time") })
    }

    /// Refuses early if something held has been collected.
    async fn check_hold(&self, key: &Key, hold: &mut Hold) -> Result<()> {
        let known = match self.known(Home::of(key.as_str())) {
            Some(known) => Some(known),
            None => self.read(key.as_str()).await?.map(|found| found.known),
        };
        let Some(known) = known else { return Ok(()) };
        hold.check(self, &known.header.upkeep, key.as_str()).await
    }

    /// Takes back what was written before the last write lost. Gives the error to answer with.
    async fn undo(&self, free: Vec<(Key, Known)>, done: Vec<Done>, error: StoreError) -> StoreError {
        let mut answer = error;
        for Done { key, before, now } in done.into_iter().rev() {
            let value = before.as_ref().map(|before| before.value.clone());
            let upkeep = now.header.upkeep.clone();
            match self.put(key.as_str(), Some(&now), value.as_deref(), upkeep).await {
                Ok(Put::Done(_)) => {}
                Ok(Put::Other(_)) => warn!(%key, "a record of a commit that lost was changed by others already"),
                Err(failed) => {
                    answer = StoreError::OutcomeUnknown {
                        reason: format!("`{key}` could not be set back ({failed}) after: {answer}"),
                    };
                }
            }
        }
        // Nothing refers to these, so this is only tidiness.
        let remove = |(key, known): (Key, Known)| {
            async move {
                if let Err(error) = self.discard(key.as_str(), &known).await {
                    warn!(%key, %error, "a record of a commit that lost was left behind");
                }
            }
            .boxed()
        };
        together::each(free.into_iter().map(remove)).await;
        answer
    }
}

/// True where a write that met something else than it was made for may still be done.
fn goes_on(expect: &Expect, found: Option<&Found>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => current(found).is_none(),
        Expect::Revision(_) => false,
    }
}

/// What a removal of nothing answers.
fn nothing() -> Known {
    Known { tag: "nothing".into(), header: crate::envelope::Header::first("", String::new()) }
}
