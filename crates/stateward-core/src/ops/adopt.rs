//! Taking in a version from elsewhere: its bytes, serial, lineage, time and author stay what they were there.
//!
//! A history comes version by version, oldest first, and each names the one before it. So what is here is at any time the beginning
//! of what is there, a copy that was cut off goes on where it stopped, and two histories never mix. Only the one that is current
//! there becomes current here, in one step: until then nobody sees a state that is on its way.

use stateward_store::body::Tree;
use stateward_store::{Expect, Session, Write};

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
use crate::version::{Facts, Imported, Parent, Spans, VersionRecord};
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
        self.audited(caller, state, "import", async {
            caller.demand(&[Right::Write], state)?;
            adoption.check()?;
            let run = Box::pin(self.try_adopt(caller, state, &adoption, body));
            self.alone_outside(caller, state, "import", run).await
        })
        .await
    }

    async fn try_adopt(
        &self,
        caller: &Caller,
        state: &StateId,
        adoption: &Adoption,
        body: Option<BodyStream>,
    ) -> Result<Written> {
        // Looked at before the bytes come, and again when they are here.
        if let (Place::There, _) = self.place_of(state, adoption).await? {
            return Ok(written(adoption, false));
        }
        let (taken, mut session) = match body {
            Some(body) if !adoption.original.pruned => {
                let Ingested { body, session, .. } = self.ingest(state, body).await?;
                agrees(&body, &adoption.original)?;
                (Some(body), Some(session))
            }
            None if adoption.original.pruned => (None, None),
            _ => {
                let why = "its bytes have to come with it, unless they are no longer kept where it comes from";
                return Err(Error::new(Kind::Invalid, NOT_TAKEN_IN, why, "send them both, or say that it is `pruned`"));
            }
        };
        let before = if adoption.current { self.place_before(state).await? } else { None };
        loop {
            let (place, last) = self.place_of(state, adoption).await?;
            if place == Place::There {
                return Ok(written(adoption, false));
            }
            let changes = self.changes_since(last.as_ref(), taken.as_ref(), &adoption.original).await?;
            let arrival = Arrival { caller, state, adoption, taken: taken.as_ref(), changes };
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
                if adoption.current {
                    self.follow_outside(state, before).await?;
                }
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
        let same_number = match &last {
            Some(last) if last.facts.version == adoption.version => Some(last.clone()),
            Some(last) if last.facts.version > adoption.version => {
                Some(self.find_version(state, adoption.version).await?)
            }
            _ => None,
        };
        let [last_facts, same_facts] = [&last, &same_number].map(|record| record.as_ref().map(|record| &record.facts));
        let place = adoption.place(state, last_facts, same_facts)?;
        Ok((place, last))
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
}

impl Arrival<'_> {
    /// Puts it behind the last version in `control`; gives the records that have to be written before.
    fn append(&self, control: &mut Control, moment: &Moment) -> Beside {
        let facts = self.facts(control, moment);
        let (version, serial) = (facts.version, facts.serial);
        let key = VersionRecord::key(self.state, version, &moment.write_id);
        let record = match self.taken {
            Some(taken) => {
                let spans = Spans {
                    serial: taken.summary.spans.serial.clone(),
                    outputs: taken.summary.spans.outputs.clone(),
                    terraform_version: taken.summary.terraform_version.clone(),
                };
                VersionRecord::new(facts, taken.stored_size, taken.tree.clone(), taken.index.clone(), spans)
            }
            None => VersionRecord::new_without_body(facts),
        };
        control.tail = Some(Tail { version, record: key.to_string(), hash: record.hash.clone() });
        if let Some(body) = record.body.as_ref().filter(|_| self.adoption.current) {
            control.head = Some(head(&record, key.to_string(), body.clone()));
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

fn head(version: &VersionRecord, record: String, body: Tree) -> Head {
    let facts = &version.facts;
    Head {
        version: facts.version,
        record,
        serial: facts.serial,
        lineage: facts.lineage.clone(),
        size: facts.size,
        sha256: facts.sha256.clone(),
        md5: facts.md5.clone(),
        resources: facts.resources,
        opaque: facts.opaque,
        created: facts.created,
        who: facts.who.clone(),
        body,
        mark: None,
        index: version.index.clone(),
    }
}
