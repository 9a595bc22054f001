//! Taking in a version from elsewhere: its bytes, serial, lineage, time and author stay what they were there.
//!
//! A history comes version by version, oldest first, and each names the one before it. So what is here is at any time the beginning
//! of what is there, a copy that was cut off goes on where it stopped, and two histories never mix. Only the one that is current
//! there becomes current here, in one step: until then nobody sees a state that is on its way.

use std::cmp::Ordering;

use stateward_store::{Expect, Session, Write};

use super::history::Chain;
use super::write::refused;
use super::{BodyStream, Written};
use crate::access::{Caller, Right};
use crate::adoption::{Adoption, NOT_TAKEN_IN, Original, Place};
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Beside, Moment, Step};
use crate::control::{Control, Head, Tail};
use crate::error::{Error, Kind, Result};
use crate::ingest::{Ingested, Taken};
use crate::locks;
use crate::name::StateId;
use crate::outside::Look;
use crate::version::{Facts, Imported, Parent, Version, VersionRecord};
use crate::view::Changes;

impl Backend {
    /// Takes in a version from elsewhere, with its bytes unless they are no longer kept there. Refused while somebody holds the state,
    /// and where the history here is not the beginning of the one there. Repeating it is safe.
    pub async fn adopt(
        &self,
        caller: &Caller,
        state: &StateId,
        adoption: Adoption,
        body: Option<BodyStream>,
    ) -> Result<Written> {
        self.audited(caller, state, "import", self.try_adopt(caller, state, &adoption, body)).await
    }

    async fn try_adopt(
        &self,
        caller: &Caller,
        state: &StateId,
        adoption: &Adoption,
        body: Option<BodyStream>,
    ) -> Result<Written> {
        caller.demand(&[Right::Write], state)?;
        adoption.check()?;
        // Looked at before the bytes come, and again when they are here.
        if let (Place::There, _) = self.place_of(state, adoption).await? {
            return Ok(written(adoption, false));
        }
        match body {
            Some(body) if !adoption.original.pruned => {
                let ingested = self.ingest(state, body).await?;
                agrees(&ingested.body, &adoption.original)?;
                match adoption.current {
                    false => self.append(caller, state, adoption, Some(ingested), None).await,
                    true => {
                        let become_current = Box::pin(self.become_current(caller, state, adoption, ingested));
                        self.alone_outside(caller, state, "import", become_current).await
                    }
                }
            }
            None if adoption.original.pruned => self.append(caller, state, adoption, None, None).await,
            _ => {
                let why = "its bytes have to come with it, unless they are no longer kept where it comes from";
                Err(Error::new(Kind::Invalid, NOT_TAKEN_IN, why, "send them both, or say that it is `pruned`"))
            }
        }
    }

    /// Where others have a place for the state, the version comes to stand there too; it may be there already.
    async fn become_current(
        &self,
        caller: &Caller,
        state: &StateId,
        adoption: &Adoption,
        ingested: Ingested,
    ) -> Result<Written> {
        if let Some(mark) = self.stands_outside(state, &adoption.original).await? {
            let written = self.append(caller, state, adoption, Some(ingested), Some(mark.as_str().to_owned())).await?;
            self.latch(state).note_look(Some(Look::Version(written.version, mark)));
            return Ok(written);
        }
        let before = self.place_before(state).await?;
        let written = self.append(caller, state, adoption, Some(ingested), None).await?;
        self.follow_outside(state, before).await?;
        Ok(written)
    }

    async fn append(
        &self,
        caller: &Caller,
        state: &StateId,
        adoption: &Adoption,
        ingested: Option<Ingested>,
        mark: Option<String>,
    ) -> Result<Written> {
        let (taken, mut session) = ingested.map(|Ingested { body, session, .. }| (body, session)).unzip();
        loop {
            let (place, last) = self.place_of(state, adoption).await?;
            if place == Place::There {
                return Ok(written(adoption, false));
            }
            let changes = self.changes_since(last.as_ref(), taken.as_ref(), &adoption.original).await?;
            let arrival = Arrival { caller, state, adoption, taken: taken.as_ref(), changes, mark: mark.as_ref() };
            let last = last.map(|record| record.hash);
            let step = |control: &mut Control, moment: &Moment| {
                locks::may_write(control, None, moment.now).map_err(refused)?;
                if control.tail.as_ref().map(|tail| &tail.hash) != last.as_ref() {
                    return Ok(Step::Keep(false));
                }
                Ok(Step::Publish(true, arrival.append(control, moment)))
            };
            let session = session.as_mut().map(|session| session as &mut dyn Session);
            if self.update(state, session, step).await? {
                return Ok(written(adoption, true));
            }
        }
    }

    /// Where the version goes, and the last one here.
    async fn place_of(&self, state: &StateId, adoption: &Adoption) -> Result<(Place, Option<VersionRecord>)> {
        let (control, _) = self.control(state).await?;
        locks::may_write(&control, None, self.now()).map_err(refused)?;
        let last = match &control.tail {
            Some(tail) => Some(self.record(&tail.record).await?),
            None => None,
        };
        let newest = last.as_ref().map(|last| last.facts.version);
        let same_number = match newest.cmp(&Some(adoption.version)) {
            Ordering::Less => None,
            Ordering::Equal => last.clone(),
            Ordering::Greater => self.recorded_version(state, &control, adoption.version).await?,
        };
        let [last_facts, same_facts] = [&last, &same_number].map(|record| record.as_ref().map(|record| &record.facts));
        let place = adoption.place(state, last_facts, same_facts)?;
        Ok((place, last))
    }

    async fn recorded_version(
        &self,
        state: &StateId,
        control: &Control,
        version: Version,
    ) -> Result<Option<VersionRecord>> {
        let mut chain = Chain::new(self, state, control);
        while let Some((_, record)) = chain.next().await? {
            if record.facts.version <= version {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    async fn changes_since(
        &self,
        last: Option<&VersionRecord>,
        taken: Option<&Taken>,
        original: &Original,
    ) -> Result<Changes> {
        match (original.changes, taken, last) {
            (Some(changes), _, _) => Ok(changes),
            (None, Some(taken), None) => Ok(super::base::all_added(&taken.entries)),
            (None, Some(taken), Some(VersionRecord { index: Some(index), .. })) if !taken.summary.opaque => {
                self.count_since(index, &taken.entries).await
            }
            _ => Ok(Changes::default()),
        }
    }
}

fn written(adoption: &Adoption, changed: bool) -> Written {
    Written { version: adoption.version, serial: adoption.original.serial, changed }
}

/// Refuses bytes that are not those of the version.
fn agrees(taken: &Taken, original: &Original) -> Result<()> {
    let came = (taken.summary.serial, &taken.summary.lineage, taken.summary.size, &taken.sha256);
    if came == (original.serial, &original.lineage, original.size, &original.sha256) {
        return Ok(());
    }
    let why = "its bytes do not have the SHA-256, size, serial and lineage that they should have: they were changed meanwhile, or damaged on the way";
    Err(Error::new(Kind::Invalid, NOT_TAKEN_IN, why, "try again: what came before it stays, and is not sent twice"))
}

/// A version, and all that is needed to put it behind the last one.
struct Arrival<'a> {
    caller: &'a Caller,
    state: &'a StateId,
    adoption: &'a Adoption,
    /// Its body, unless that is no longer kept.
    taken: Option<&'a Taken>,
    changes: Changes,
    /// Which bytes outside it is, where it stands there already.
    mark: Option<&'a String>,
}

impl Arrival<'_> {
    /// Puts it behind the last version in `control`; gives what has to be written with that.
    fn append(&self, control: &mut Control, moment: &Moment) -> Beside {
        let facts = self.facts(control, moment);
        let (version, serial) = (facts.version, facts.serial);
        let key = VersionRecord::key(self.state, version, &moment.write_id);
        let record = match self.taken {
            Some(taken) => super::write::record(facts, taken),
            None => VersionRecord::new_without_body(facts),
        };
        control.tail = Some(Tail { version, record: key.to_string(), hash: record.hash.clone() });
        if self.adoption.current {
            control.head = Head::of(&record, &key, self.mark.cloned());
            control.deleted = None;
        }
        let audit = AuditItem {
            version: Some(version.to_string()),
            serial: Some(serial),
            detail: format!("from {}", self.adoption.from),
            ..AuditItem::by(self.caller, moment.now, Deed::Import, Some(self.state))
        };
        let records = vec![Write { key, value: Some(record.encode()), expect: Expect::Any }];
        Beside { records, notes: vec![audit] }
    }

    fn facts(&self, control: &Control, moment: &Moment) -> Facts {
        let (original, caller) = (&self.adoption.original, self.caller);
        let parent = control.tail.as_ref().map(|tail| Parent {
            version: tail.version,
            record: tail.record.clone(),
            hash: tail.hash.clone(),
        });
        let imported = Imported {
            from: self.adoption.from.clone(),
            version: original.version,
            hash: original.hash.clone(),
            at: moment.now,
            who: caller.name.clone(),
            token: caller.token.clone(),
        };
        Facts {
            state: self.state.clone(),
            version: self.adoption.version,
            parent,
            serial: original.serial,
            lineage: original.lineage.clone(),
            size: original.size,
            sha256: original.sha256.clone(),
            md5: self.taken.map_or_else(|| original.md5.clone(), |taken| hex::encode(taken.md5)),
            created: original.created.unwrap_or(moment.now),
            who: original.who.clone(),
            token: original.token.clone(),
            operation: original.operation.clone(),
            lock_id: original.lock_id.clone(),
            transaction: original.transaction,
            fence: original.fence,
            tool: original.tool.clone(),
            resources: self.taken.map_or(original.resources, super::write::resources),
            opaque: self.taken.map_or(original.opaque, |taken| taken.summary.opaque),
            changes: self.changes,
            content: String::new(),
            imported: Some(imported),
        }
    }
}
