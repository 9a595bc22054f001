//! Storing a new version.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use stateward_store::{Expect, Write};

use super::BodyStream;
use crate::access::{Caller, Right};
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Beside, Moment, Step};
use crate::claim::TxRecord;
use crate::control::{Control, Head, Held, Tail};
use crate::error::{Error, Kind, Result};
use crate::index::OUTPUT_PREFIX;
use crate::ingest::{Ingested, Taken};
use crate::locks::{self, WriteRefusal};
use crate::name::StateId;
use crate::publish::{self, Fit, Incoming};
use crate::version::{Facts, Parent, Spans, Version, VersionRecord};
use crate::view::Changes;

/// Terraform's POST.
pub struct Post {
    /// The lock ID in `?ID=`.
    pub lock_id: Option<String>,
    /// The MD5 of the body in `Content-MD5`.
    pub md5: Option<[u8; 16]>,
    /// The state.
    pub body: BodyStream,
}

/// The outcome of a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The version that now is the head.
    pub version: Version,
    /// Its serial.
    pub serial: u64,
    /// False where the head had these very bytes already.
    pub changed: bool,
}

/// The outcome of a push or restore.
pub type PushOutcome = Written;

/// On what terms a body is stored.
pub(super) struct Terms {
    pub(super) under: Under,
    /// Serial and lineage may go anywhere.
    pub(super) force: bool,
    /// What `operation` says without a lock.
    pub(super) operation: &'static str,
    pub(super) deed: Deed,
    pub(super) detail: String,
    /// The head that it was made from, which has to be there still.
    pub(super) onto: Onto,
    /// Where it stands outside already.
    pub(super) mark: Option<String>,
}

/// What gives the right to store it now.
pub(super) enum Under {
    /// This lock. Without one, nobody may hold the state.
    Lock(Option<String>),
    /// An open transaction.
    Tx { fence: u64, record: Arc<TxRecord> },
    /// Nothing: somebody else wrote it, and asked nobody.
    Nothing,
}

/// What has to be the head still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onto {
    Whatever,
    /// This version; none for a state that is not there.
    Exactly(Option<Version>),
}

impl Under {
    /// Who writes, as far as the control record has it; an error where that is not allowed.
    fn holder(&self, control: &Control, moment: &Moment) -> Result<Option<Holder>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Lock(id) => {
                Ok(locks::may_write(control, id.as_deref(), moment.now).map_err(refused)?.map(Holder::from))
            }
            Self::Tx { fence, record } => match control.tx(&record.id) {
                Some(tx) if tx.fence == *fence => Ok(Some(Holder::of(record, *fence))),
                _ => Err(super::tx::not_open(&record.id, None)),
            },
        }
    }
}

/// Whom a version is by.
struct Holder {
    id: String,
    who: String,
    operation: String,
    fence: u64,
    is_tx: bool,
}

impl From<&Held> for Holder {
    fn from(held: &Held) -> Self {
        let Held { id, who, operation, fence, .. } = held.clone();
        Self { id, who, operation, fence, is_tx: false }
    }
}

impl Holder {
    fn of(record: &TxRecord, fence: u64) -> Self {
        let TxRecord { id, who, operation, .. } = record.clone();
        Self { id, who, operation, fence, is_tx: true }
    }
}

impl Terms {
    /// Without a lock, by the rules.
    pub(super) fn new(operation: &'static str, deed: Deed) -> Self {
        Self {
            under: Under::Lock(None),
            force: false,
            operation,
            deed,
            detail: String::new(),
            onto: Onto::Whatever,
            mark: None,
        }
    }
}

impl Backend {
    /// Stores what Terraform posts. Repeating a POST is safe.
    pub async fn write(&self, caller: &Caller, state: &StateId, post: Post) -> Result<Written> {
        self.audited(caller, state, "POST", Box::pin(self.try_write(caller, state, post))).await
    }

    async fn try_write(&self, caller: &Caller, state: &StateId, post: Post) -> Result<Written> {
        let early = match caller.demand(&[Right::Write], state) {
            Ok(()) => {
                let fence = |control: &Control| {
                    locks::may_write(control, post.lock_id.as_deref(), self.now())
                        .map(|held| held.map(|held| held.fence))
                };
                match fence(&self.glance(state).await?) {
                    Ok(fence) => Ok(fence),
                    // What was seen last may be old.
                    Err(_) => fence(&self.control(state).await?.0).map_err(refused),
                }
            }
            Err(error) => Err(error),
        };
        let fence = match early {
            Ok(fence) => fence,
            Err(error) => {
                drain(post.body, self.settings().limits.body_bytes).await;
                return Err(error);
            }
        };
        let ingested = self.ingest(state, post.body).await?;
        if post.md5.is_some_and(|md5| md5 != ingested.body.md5) {
            return Err(damaged_on_the_way());
        }
        let force = self.settings().allow_force_push;
        let terms = Terms { under: Under::Lock(post.lock_id), force, ..Terms::new("write", Deed::Write) };
        self.publish_and_place(caller, state, ingested, &terms, fence).await
    }

    /// Stores a whole file without a lock of its own; refused while somebody else holds the state.
    ///
    /// With `force` the lineage may change; the serial has to be higher than the head's all the same, so renumber the file first.
    pub async fn push(&self, caller: &Caller, state: &StateId, body: BodyStream, force: bool) -> Result<PushOutcome> {
        self.audited(caller, state, "push", async {
            caller.demand(&[Right::Write], state)?;
            self.alone_outside(caller, state, "push", Box::pin(self.try_push(caller, state, body, force))).await
        })
        .await
    }

    async fn try_push(&self, caller: &Caller, state: &StateId, body: BodyStream, force: bool) -> Result<PushOutcome> {
        let ingested = self.ingest(state, body).await?;
        let control = self.present(state).await?.control;
        let higher = control.head.as_ref().is_none_or(|head| ingested.body.summary.serial > head.serial);
        let detail = if force { "forced".to_owned() } else { String::new() };
        let onto = match force {
            true => Onto::Exactly(control.head.map(|head| head.version)),
            false => Onto::Whatever,
        };
        let terms = Terms { force: force && higher, detail, onto, ..Terms::new("push", Deed::Write) };
        self.publish_and_place(caller, state, ingested, &terms, None).await
    }

    /// Makes an ingested body the head, here and outside.
    pub(super) async fn publish_and_place(
        &self,
        caller: &Caller,
        state: &StateId,
        ingested: Ingested,
        terms: &Terms,
        fence: Option<u64>,
    ) -> Result<Written> {
        let before = self.place_before(state).await?;
        let written = self.publish(caller, state, ingested, terms, fence).await?.ok_or_else(moved)?;
        self.follow_outside(state, before).await?;
        Ok(written)
    }

    /// Makes an ingested body the head, if the rules and locks allow it at the moment of the compare-and-set. Nothing where the head
    /// is not the one it was made from any more.
    pub(super) async fn publish(
        &self,
        caller: &Caller,
        state: &StateId,
        ingested: Ingested,
        terms: &Terms,
        fence: Option<u64>,
    ) -> Result<Option<Written>> {
        let Ingested { body, mut base, mut session } = ingested;
        loop {
            let step = |control: &mut Control, moment: &Moment| {
                let holder = terms.under.holder(control, moment)?;
                if fence.is_some() && holder.as_ref().map(|holder| holder.fence) != fence {
                    return Err(stale_fence());
                }
                let present = control.head.as_ref().map(|head| head.version);
                if matches!(terms.onto, Onto::Exactly(onto) if onto != present) {
                    return Ok(Step::Keep(Outcome::Moved));
                }
                let incoming =
                    Incoming { serial: body.summary.serial, lineage: &body.summary.lineage, sha256: &body.sha256 };
                if let (Fit::Same, Some(head)) = (publish::fits(control, incoming, terms.force)?, &control.head) {
                    let written = Written { version: head.version, serial: head.serial, changed: false };
                    return Ok(Step::Keep(Outcome::Written(written)));
                }
                if present != base.version {
                    return Ok(Step::Keep(Outcome::Uncounted));
                }
                let author = Author { caller, holder: holder.as_ref(), terms };
                let (version, beside) = author.new_head(state, control, &body, &base.changes, moment);
                let written = Written { version, serial: body.summary.serial, changed: true };
                Ok(Step::Publish(Outcome::Written(written), beside))
            };
            match self.update(state, Some(&mut session), step).await? {
                Outcome::Written(written) => return Ok(Some(written)),
                Outcome::Moved => return Ok(None),
                Outcome::Uncounted => base = self.base(state, &body.entries, body.summary.opaque).await?,
            }
        }
    }
}

/// What became of a try to publish.
enum Outcome {
    Written(Written),
    /// The head is not the one that the body was made from.
    Moved,
    /// The changes were counted against a head that is no longer there.
    Uncounted,
}

/// Counts instances.
pub(super) fn resources(body: &Taken) -> u64 {
    body.entries.iter().filter(|entry| !entry.address.starts_with(OUTPUT_PREFIX)).count() as u64
}

/// The record of a version that was taken in.
pub(super) fn record(facts: Facts, body: &Taken) -> VersionRecord {
    let spans = Spans {
        serial: body.summary.spans.serial.clone(),
        outputs: body.summary.spans.outputs.clone(),
        terraform_version: body.summary.terraform_version.clone(),
    };
    VersionRecord::new(facts, body.stored_size, body.tree.clone(), body.index.clone(), spans)
}

/// Who a version is by, and why.
struct Author<'a> {
    caller: &'a Caller,
    holder: Option<&'a Holder>,
    terms: &'a Terms,
}

impl Author<'_> {
    /// Makes the body the head in `control`; gives the records that have to be written before.
    fn new_head(
        &self,
        state: &StateId,
        control: &mut Control,
        body: &Taken,
        changes: &Changes,
        moment: &Moment,
    ) -> (Version, Beside) {
        let version = Version(control.tail.as_ref().map_or(0, |tail| tail.version.0) + 1);
        let facts = self.facts(state, version, control, body, changes, moment);
        let key = VersionRecord::key(state, version, &moment.write_id);
        let audit = AuditItem {
            who: facts.who.clone(),
            lock_id: facts.lock_id.clone(),
            version: Some(version.to_string()),
            serial: Some(facts.serial),
            detail: self.terms.detail.clone(),
            ..AuditItem::by(self.caller, moment.now, self.terms.deed, Some(state))
        };
        let record = record(facts, body);
        control.tail = Some(Tail { version, record: key.to_string(), hash: record.hash.clone() });
        control.head = Head::of(&record, &key, self.terms.mark.clone());
        control.deleted = None;
        if let Some(holder) = self.holder {
            control.wrote(&holder.id, version, moment.now);
        }
        let records = vec![Write { key, value: Some(record.encode()), expect: Expect::Any }];
        (version, Beside { records, notes: vec![audit] })
    }

    fn facts(
        &self,
        state: &StateId,
        version: Version,
        control: &Control,
        body: &Taken,
        changes: &Changes,
        moment: &Moment,
    ) -> Facts {
        let parent = control.tail.as_ref();
        Facts {
            state: state.clone(),
            version,
            parent: parent.map(|tail| Parent {
                version: tail.version,
                record: tail.record.clone(),
                hash: tail.hash.clone(),
            }),
            serial: body.summary.serial,
            lineage: body.summary.lineage.clone(),
            size: body.summary.size,
            sha256: body.sha256.clone(),
            md5: hex::encode(body.md5),
            created: moment.now,
            who: self
                .holder
                .map(|holder| holder.who.clone())
                .filter(|who| !who.is_empty())
                .unwrap_or_else(|| self.caller.name.clone()),
            token: self.caller.token.clone(),
            operation: self
                .holder
                .map(|holder| holder.operation.clone())
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| self.terms.operation.to_owned()),
            lock_id: self.holder.map(|holder| holder.id.clone()),
            fence: self.holder.map(|holder| holder.fence),
            transaction: self.holder.is_some_and(|holder| holder.is_tx),
            tool: tool(self.caller, body.summary.terraform_version.as_deref()),
            resources: resources(body),
            opaque: body.summary.opaque,
            changes: *changes,
            content: String::new(),
            imported: None,
        }
    }
}

/// The tool as its `User-Agent` names it, where that says more than the HTTP library's own name; else the version in the body.
fn tool(caller: &Caller, written_by: Option<&str>) -> String {
    let agent = caller
        .tool
        .as_deref()
        .and_then(|agent| agent.split_whitespace().next())
        .filter(|agent| !agent.starts_with("Go-http-client"));
    let written_by = written_by.map(|version| format!("terraform_version {version}"));
    agent.map(str::to_owned).or(written_by).unwrap_or_default()
}

pub(super) fn damaged_on_the_way() -> Error {
    Error::new(
        Kind::Invalid,
        "the state was not stored",
        "its bytes do not have the MD5 that `Content-MD5` gives: they were damaged on the way",
        "send it again",
    )
}

/// Reads a refused body to its end, so that the client gets to read the answer.
pub(super) async fn drain(mut body: BodyStream, limit: u64) {
    let mut size = 0u64;
    while let Some(Ok(piece)) = body.bytes.next().await {
        size += piece.len() as u64;
        if size > limit {
            return;
        }
    }
}

pub(super) fn refused(refusal: WriteRefusal) -> Error {
    let what = "the state was not changed";
    match refusal {
        WriteRefusal::Locked(held) => {
            let why = format!("it is locked by {} (lock {}), and the request names no lock", who(&held), held.id);
            let error =
                Error::new(Kind::Locked, what, why, "wait until the lock is released, or take it with LOCK first");
            error.held_by(Bytes::from(held.raw))
        }
        WriteRefusal::NotTheLock { holder: Some(held) } => {
            let why = format!(
                "the lock that the request names is not the live one: {} holds it (lock {})",
                who(&held),
                held.id
            );
            let next = "your lock was broken or has ended: keep `errored.tfstate`, and run again on the current state";
            Error::new(Kind::Conflict, what, why, next).held_by(Bytes::from(held.raw))
        }
        WriteRefusal::NotTheLock { holder: None } => Error::new(
            Kind::Conflict,
            what,
            "the request names a lock, and the state is not locked: that lock was broken or has ended",
            "keep `errored.tfstate`, and run again on the current state",
        ),
        WriteRefusal::Transactions(open) => Error::new(
            Kind::Locked,
            what,
            format!("transactions are open on it ({open}), and the request would go past them"),
            "wait until they have ended: `stateward tx list` shows them",
        ),
        WriteRefusal::Transaction => Error::new(
            Kind::Conflict,
            what,
            "the lock that the request names is a transaction's",
            "commit in it: send the state with `?tx=ID` in place of `?ID=ID`",
        ),
        WriteRefusal::PlanLock => Error::new(
            Kind::Conflict,
            what,
            "the lock that the request names was taken for a plan, and a plan cannot write",
            "take a lock for the operation that writes",
        ),
    }
}

fn moved() -> Error {
    Error::new(
        Kind::Conflict,
        "the state was not changed",
        "somebody else changed it in between",
        "look at the current version, and try again",
    )
}

fn stale_fence() -> Error {
    Error::new(
        Kind::Conflict,
        "the state was not changed",
        "its lock was broken and taken anew while the state was being sent",
        "keep `errored.tfstate`, and run again on the current state",
    )
}

fn who(held: &Held) -> &str {
    if held.who.is_empty() { "somebody" } else { &held.who }
}
