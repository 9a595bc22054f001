//! Sharing a place with others: what stands there is taken in or put right, and their lock is held while ours is.
//!
//! Our own control record decides what the head is. A version is published there first and then put outside, in place of exactly
//! what it follows. Between the two a crash leaves the place one version behind; whoever looks next puts that right. Bytes outside
//! that we did not write are somebody else's: they become a version by "external writer", and are never written over unseen.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use stateward_store::StoreError;
use stateward_store::outside::{BytesPlace, Incoming, LockInfo, Mark, Outgoing, Seen, Spot, Taken};

use super::BodyStream;
use super::write::{Terms, Under};
use crate::access::Caller;
use crate::adoption::Original;
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Beside, Step};
use crate::control::{Control, Deleted, Head};
use crate::error::{Error, Kind, Result};
use crate::name::StateId;
use crate::outside::{Look, Standing, label, spot, standing, state_at};

/// Times that a look is repeated because the state changed meanwhile.
const LOOKS_MAX: usize = 16;
/// Bodies up to this size are served from here when they are known to stand outside too; larger ones from outside, in one request.
const OWN_BYTES: u64 = 1 << 20;
/// States that are taken in side by side.
const TOGETHER: usize = 8;
/// Objects that are no states and are remembered as such.
const NO_STATES_MAX: usize = 100_000;
/// Who a version is by that somebody else wrote.
const OUTSIDER: &str = "external writer";
const OUTSIDE_WRITE: &str = "external-write";

/// The present state of things: the control record, and the bytes where they came with the look.
pub(crate) struct Present {
    pub(crate) control: Control,
    pub(crate) bytes: Option<Incoming>,
}

impl Backend {
    /// The present control record. Where the bytes are shared, after what stands outside was looked at, and taken in or put right.
    pub(crate) async fn present(&self, state: &StateId) -> Result<Present> {
        let Some(place) = self.shared.outside.bytes.clone() else {
            return Ok(Present { control: self.control(state).await?.0, bytes: None });
        };
        // Boxed, so that who shares nothing does not carry its size around.
        Box::pin(self.look_until_settled(place, state)).await
    }

    async fn look_until_settled(&self, place: Arc<dyn BytesPlace>, state: &StateId) -> Result<Present> {
        let mut recalled = self.latch(state).recall().map(|(control, _)| control);
        for _ in 0..LOOKS_MAX {
            let from_memory = recalled.is_some();
            let (control, seen) = self.look(&*place, state, recalled.take()).await?;
            let deleted = control.deleted.as_ref().map(|deleted| &deleted.head);
            let mark = control.head.as_ref().and_then(|head| self.mark_of(state, head));
            match standing(control.head.as_ref(), mark.as_ref(), deleted, &seen) {
                Standing::Current => return Ok(self.noted(state, control, seen)),
                // Decided on what is there, by the next look.
                Standing::Ahead => {}
                _ if from_memory => {}
                Standing::Behind => self.put_right(&*place, state, &control, seen).await?,
                Standing::Foreign => {
                    let Seen::Bytes(incoming) = seen else { continue };
                    self.take_in(state, incoming).await?;
                }
                Standing::Gone => self.note_gone(state, control.head.as_ref()).await?,
            }
        }
        Err(busy(state))
    }

    /// Reads the control record, unless it was seen before, and what stands outside, side by side.
    async fn look(
        &self,
        place: &dyn BytesPlace,
        state: &StateId,
        recalled: Option<Control>,
    ) -> Result<(Control, Seen)> {
        let at = spot(state);
        let Some(control) = recalled else {
            let (control, seen) = futures::join!(self.control(state), place.read(&at, None));
            return Ok((control?.0, seen.map_err(|error| outside_failed(state, error))?));
        };
        let head = control.head.as_ref().filter(|head| head.size <= OWN_BYTES);
        let known = head.and_then(|head| self.mark_of(state, head));
        let seen = place.read(&at, known.as_ref()).await.map_err(|error| outside_failed(state, error))?;
        Ok((control, seen))
    }

    /// Which bytes outside are this head, as far as this process or the record knows.
    fn mark_of(&self, state: &StateId, head: &Head) -> Option<Mark> {
        match self.latch(state).looked() {
            Some(Look::Version(version, mark)) if version == head.version => Some(mark),
            _ => head.mark.as_deref().map(Mark::new),
        }
    }

    fn noted(&self, state: &StateId, control: Control, seen: Seen) -> Present {
        let latch = self.latch(state);
        let bytes = match seen {
            Seen::Absent => {
                latch.note_look(Some(Look::Absent));
                None
            }
            Seen::Same => None,
            Seen::Bytes(incoming) => {
                let version = control.head.as_ref().map(|head| head.version);
                latch.note_look(version.map(|version| Look::Version(version, incoming.mark.clone())));
                Some(incoming)
            }
        };
        Present { control, bytes }
    }

    /// Puts the head outside, or takes away what was deleted here: its writer did not get that far.
    async fn put_right(&self, place: &dyn BytesPlace, state: &StateId, control: &Control, seen: Seen) -> Result<()> {
        let there = match seen {
            Seen::Bytes(incoming) => Some(incoming.mark),
            Seen::Absent | Seen::Same => None,
        };
        let outcome = match (&control.head, &there) {
            (Some(head), there) => self.put_outside(place, state, head, there.as_ref()).await,
            (None, Some(mark)) => place.delete(&spot(state), mark).await,
            (None, None) => Ok(()),
        };
        match outcome {
            // Whoever was faster did the same, or wrote something new: the next look tells.
            Ok(()) | Err(StoreError::Conflict { .. } | StoreError::OutcomeUnknown { .. }) => Ok(()),
            Err(error) => Err(outside_failed(state, error)),
        }
    }

    async fn put_outside(
        &self,
        place: &dyn BytesPlace,
        state: &StateId,
        head: &Head,
        expected: Option<&Mark>,
    ) -> Result<(), StoreError> {
        let unread = |error: Error| StoreError::Unavailable { retry_after: None, reason: error.to_string() };
        let bytes = self.stream(&head.body).map_err(unread).boxed();
        let body = Outgoing { label: label(head), size: head.size, md5: head.md5.clone(), bytes };
        let mark = place.write(&spot(state), expected, body).await?;
        self.latch(state).note_look(Some(Look::Version(head.version, mark)));
        Ok(())
    }

    /// Makes what somebody else wrote a version, and the head.
    async fn take_in(&self, state: &StateId, incoming: Incoming) -> Result<()> {
        let mark = incoming.mark.clone();
        let body = BodyStream { length: Some(incoming.size), bytes: incoming.bytes.map_err(Error::from).boxed() };
        let ingested = self.ingest(state, body).await.map_err(|error| no_state_there(state, &error))?;
        let terms = Terms {
            force: true,
            under: Under::Nothing,
            mark: Some(mark.as_str().to_owned()),
            ..Terms::new(OUTSIDE_WRITE, Deed::Write)
        };
        let written = self.publish(&Caller::trusted(OUTSIDER), state, ingested, &terms, None).await?;
        let Some(written) = written else { return Ok(()) };
        tracing::info!(%state, version = %written.version, "somebody else wrote this state outside; it was taken in");
        self.latch(state).note_look(Some(Look::Version(written.version, mark)));
        Ok(())
    }

    /// Somebody else deleted the state.
    async fn note_gone(&self, state: &StateId, head: Option<&Head>) -> Result<()> {
        let expected = head.map(|head| head.version);
        self.update(state, None, |control, moment| {
            if control.head.as_ref().map(|head| head.version) != expected {
                return Ok(Step::Keep(()));
            }
            let Some(head) = control.head.take() else { return Ok(Step::Keep(())) };
            let audit = AuditItem {
                version: Some(head.version.to_string()),
                serial: Some(head.serial),
                detail: "its bytes outside were deleted".to_owned(),
                ..AuditItem::by(&Caller::trusted(OUTSIDER), moment.now, Deed::Delete, Some(state))
            };
            control.deleted = Some(Deleted { head, at: moment.now, who: OUTSIDER.to_owned() });
            Ok(Step::Publish((), audit.into()))
        })
        .await
    }

    /// After a publication: puts the head outside, in place of what it follows.
    pub(crate) async fn follow_outside(&self, state: &StateId, before: Option<Mark>) -> Result<()> {
        let Some(place) = self.shared.outside.bytes.clone() else { return Ok(()) };
        let control = self.glance(state).await?;
        let Some(head) = &control.head else {
            let Some(before) = before else { return Ok(()) };
            return match place.delete(&spot(state), &before).await {
                Ok(()) => {
                    self.latch(state).note_look(Some(Look::Absent));
                    Ok(())
                }
                Err(error) => Err(not_followed(
                    format!("`{state}` is deleted here, and still stands where Terraform looks for it"),
                    &outside_failed(state, error),
                )),
            };
        };
        if let Some(Look::Version(version, _)) = self.latch(state).looked()
            && version == head.version
        {
            return Ok(());
        }
        let version = head.version;
        let stored = || format!("`{state}` is stored as {version} here, and not yet where Terraform looks for it");
        match Box::pin(self.put_outside(&*place, state, head, before.as_ref())).await {
            Ok(()) => Ok(()),
            Err(StoreError::Conflict { .. } | StoreError::OutcomeUnknown { .. }) => {
                let now =
                    Box::pin(self.present(state)).await.map_err(|error| not_followed(stored(), &error))?.control.head;
                let is_there = now.is_some_and(|now| now.version == version);
                if is_there { Ok(()) } else { Err(written_over(state, version)) }
            }
            Err(error) => Err(not_followed(stored(), &outside_failed(state, error))),
        }
    }

    /// What the head's bytes outside are called, so that the next version can take exactly their place.
    pub(crate) async fn place_before(&self, state: &StateId) -> Result<Option<Mark>> {
        if self.shared.outside.bytes.is_none() {
            return Ok(None);
        }
        let control = self.glance(state).await?;
        let known = match (&control.head, self.latch(state).looked()) {
            (None, Some(Look::Absent)) => return Ok(None),
            (Some(head), _) => self.mark_of(state, head),
            (None, _) => None,
        };
        if known.is_some() {
            return Ok(known);
        }
        let control = self.present(state).await?.control;
        Ok(control.head.and_then(|head| self.mark_of(state, &head)))
    }

    /// Which bytes outside are exactly these of somebody else's, if they are.
    pub(crate) async fn stands_outside(&self, state: &StateId, original: &Original) -> Result<Option<Mark>> {
        let Some(place) = &self.shared.outside.bytes else { return Ok(None) };
        let seen = place.read(&spot(state), None).await.map_err(|error| outside_failed(state, error))?;
        let Seen::Bytes(mut incoming) = seen else { return Ok(None) };
        if incoming.label.is_some() || incoming.size != original.size {
            return Ok(None);
        }
        let mut hasher = Sha256::new();
        while let Some(piece) = incoming.bytes.try_next().await? {
            hasher.update(&piece);
        }
        Ok((hex::encode(hasher.finalize()) == original.sha256).then_some(incoming.mark))
    }

    /// Looks at everything that stands outside, and takes in what is new or changed.
    pub(crate) async fn catch_up_all(&self) -> Result<()> {
        let Some(place) = self.shared.outside.bytes.clone() else { return Ok(()) };
        let named = |(at, mark): (Spot, Mark)| Some((state_at(&at)?, mark));
        let mut there: HashMap<StateId, Mark> = place.list().await?.into_iter().filter_map(named).collect();
        let mut states = super::prune::States::of(self);
        let mut stale = Vec::new();
        while let Some((state, control)) = states.next().await? {
            let stands = there.remove(&state);
            let known = control.head.as_ref().and_then(|head| self.mark_of(&state, head));
            if (control.head.is_some() || stands.is_some()) && stands != known {
                stale.push((state, None));
            }
        }
        self.leave_out_no_states(&mut there);
        stale.extend(there.into_iter().map(|(state, mark)| (state, Some(mark))));
        futures::stream::iter(stale)
            .for_each_concurrent(TOGETHER, |(state, new)| async move {
                let Err(error) = self.present(&state).await else { return };
                tracing::warn!(%state, %error, "what stands outside could not be taken in");
                if let Some(mark) = new.filter(|_| error.kind() == Kind::Corrupt) {
                    self.note_no_state(state, mark);
                }
            })
            .await;
        Ok(())
    }

    /// Leaves out what was read before and is no state.
    fn leave_out_no_states(&self, there: &mut HashMap<StateId, Mark>) {
        let no_states = self.shared.no_states.lock().unwrap_or_else(PoisonError::into_inner);
        there.retain(|state, mark| no_states.get(state) != Some(mark));
    }

    /// Buckets hold many things that are no states: each is read once.
    fn note_no_state(&self, state: StateId, mark: Mark) {
        let mut no_states = self.shared.no_states.lock().unwrap_or_else(PoisonError::into_inner);
        if no_states.len() >= NO_STATES_MAX {
            no_states.clear();
        }
        no_states.insert(state, mark);
    }

    /// Takes the lock outside. Gives the information of whoever else holds it.
    pub(crate) async fn lock_outside(&self, state: &StateId, id: &str, raw: &str) -> Result<Option<String>> {
        let Some(place) = &self.shared.outside.locks else { return Ok(None) };
        let at = spot(state);
        for _ in 0..LOOKS_MAX {
            let Taken::Held(holder) = place.lock(&at, id, raw.as_bytes()).await? else { return Ok(None) };
            let holder = String::from_utf8_lossy(&holder).into_owned();
            let holder_id = LockInfo::parse(holder.as_bytes()).map(|info| info.id).unwrap_or_default();
            let control = self.control(state).await?.0;
            if !control.released.iter().any(|released| *released == holder_id) {
                return Ok(Some(holder));
            }
            // It was released here, and whoever released it did not get as far as this.
            place.unlock(&at, &holder_id, holder.as_bytes()).await?;
        }
        Err(busy(state))
    }

    /// Gives the lock outside back.
    pub(crate) async fn unlock_outside(&self, state: &StateId, id: &str, raw: &str) -> Result<()> {
        match &self.shared.outside.locks {
            Some(place) => Ok(place.unlock(&spot(state), id, raw.as_bytes()).await?),
            None => Ok(()),
        }
    }

    /// Gives the lock outside back if it was released here, and whoever released it did not get as far as that.
    pub(crate) async fn unlock_released_outside(&self, state: &StateId, control: &Control) -> Result<()> {
        let Some(place) = &self.shared.outside.locks else { return Ok(()) };
        let Some(holder) = place.holder(&spot(state)).await? else { return Ok(()) };
        let id = LockInfo::parse(&holder).map(|info| info.id).unwrap_or_default();
        match control.released.contains(&id) {
            true => Ok(place.unlock(&spot(state), &id, &holder).await?),
            false => Ok(()),
        }
    }

    /// Breaks the lock outside that nobody here holds.
    pub(crate) async fn break_outside(&self, state: &StateId, id: Option<&str>) -> Result<Option<LockInfo>> {
        let Some(place) = &self.shared.outside.locks else { return Ok(None) };
        let broken = place.break_lock(&spot(state), id).await?;
        Ok(broken.map(|info| LockInfo::parse(&info).unwrap_or_default()))
    }

    /// Does something to a state that needs nobody else at it, with the lock outside in hand.
    pub(crate) async fn alone_outside<T>(
        &self,
        caller: &Caller,
        state: &StateId,
        operation: &str,
        run: BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        let run = Box::pin(async {
            let outcome = run.await?;
            self.note_mark(state).await;
            Ok(outcome)
        });
        if self.shared.outside.locks.is_none() {
            return run.await;
        }
        let info = LockInfo {
            id: self.new_id(),
            operation: operation.to_owned(),
            who: caller.name.clone(),
            version: caller.tool.clone().unwrap_or_default(),
            created: self.now().to_string(),
            ..LockInfo::default()
        };
        let raw = info.to_json();
        let held_here = |control: &Control| control.keeps_out(self.now());
        if held_here(&self.glance(state).await?) && held_here(&self.control(state).await?.0) {
            // Refused by the use case itself, in its own words.
            return run.await;
        }
        match self.lock_outside(state, &info.id, &raw).await {
            Ok(None) => {}
            Ok(Some(holder)) => return Err(super::lock::held_by(state, &holder, None, 0)),
            // It may have been taken all the same, and then nobody would give it back.
            Err(error) if error.kind() == Kind::Unavailable => {
                let given_back = Box::pin(self.unlock_outside(state, &info.id, &raw)).await.is_ok();
                return Err(if given_back { error } else { error.and_next(&may_be_left(state, &info.id)) });
            }
            Err(error) => return Err(error),
        }
        let outcome = run.await;
        match (outcome, self.unlock_outside(state, &info.id, &raw).await) {
            (outcome, Ok(())) => outcome,
            (Ok(_), Err(error)) => {
                Err(left_locked(&format!("the {operation} of `{state}` is done"), state, &info.id, &error))
            }
            (Err(failed), Err(_)) => Err(failed.and_next(&may_be_left(state, &info.id))),
        }
    }

    /// Records which bytes outside are the head, so that every process knows them again. The end of a lock does so by itself.
    async fn note_mark(&self, state: &StateId) {
        let Some(Look::Version(stands, mark)) = self.latch(state).looked() else { return };
        let is_new = |head: &Head| head.version == stands && head.mark.as_deref() != Some(mark.as_str());
        match self.glance(state).await {
            Ok(control) if control.head.as_ref().is_some_and(is_new) => {}
            _ => return,
        }
        // Every write of the record brings the mark with it.
        let noted = self.update(state, None, |control, _| {
            let stands_there = control.head.as_ref().is_some_and(|head| head.version == stands);
            Ok(if stands_there { Step::Publish((), Beside::default()) } else { Step::Keep(()) })
        });
        if let Err(error) = noted.await {
            tracing::debug!(%state, %error, "which bytes outside are the head was not recorded");
        }
    }
}

/// The lock outside was not given back, and all else was done.
pub(super) fn left_locked(done: &str, state: &StateId, id: &str, error: &Error) -> Error {
    let release =
        format!("`stateward lock release {state} --id {id}`, or `terraform force-unlock {id}`, gives it back");
    let next = match error.kind() {
        Kind::Denied | Kind::NoPlace => format!("{}; then {release}", error.next()),
        _ => release,
    };
    Error::new(error.kind(), format!("{done}, and Terraform's lock on it was not given back"), error.why(), next)
}

fn may_be_left(state: &StateId, id: &str) -> String {
    format!(
        "Terraform's lock on it may still be held under {id}: `stateward lock release {state} --id {id}` gives it back"
    )
}

/// The record was changed, and what stands outside was not.
fn not_followed(what: String, error: &Error) -> Error {
    let first = match error.kind() {
        Kind::Denied | Kind::NoPlace => error.next(),
        _ => "try again in a moment",
    };
    let next = format!("{first}; nothing is lost, and whoever looks at the state next does the rest");
    let told = Error::new(error.kind(), what, error.why(), next);
    match error.retry_after_hint() {
        Some(after) => told.retry_after(after),
        None => told,
    }
}

fn busy(state: &StateId) -> Error {
    let what = format!("`{state}` could not be looked at");
    Error::new(Kind::Unavailable, what, "it changes all the time, here and outside", "try again in a moment")
}

fn outside_failed(state: &StateId, error: StoreError) -> Error {
    match error {
        StoreError::Conflict { .. } => Error::new(
            Kind::Unavailable,
            format!("`{state}` was changed outside at the same time"),
            "somebody else wrote to the place that is shared with Terraform",
            "try again: what they wrote is taken in first",
        ),
        error => error.into(),
    }
}

fn no_state_there(state: &StateId, error: &Error) -> Error {
    Error::new(
        Kind::Corrupt,
        format!("what stands at the place of `{state}` that is shared with Terraform is no state"),
        error.why().to_owned(),
        "nothing was changed: put the right bytes back there (its bucket may keep old versions), or delete that object",
    )
}

fn written_over(state: &StateId, version: crate::version::Version) -> Error {
    Error::new(
        Kind::Conflict,
        format!("`{state}` was written outside at the same time, without the lock"),
        format!("what stands there now was taken in and is the current version; what you sent is kept as {version}"),
        format!("compare them with `stateward state diff {state} {version}`, then run again on the current state"),
    )
}
