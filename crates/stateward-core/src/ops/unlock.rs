//! Giving locks back, and breaking them.

use bytes::Bytes;
use stateward_store::outside::LockInfo;

use crate::access::{Caller, Right};
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Beside, Moment, Step};
use crate::claim::Ending;
use crate::control::{Control, Held, Mode};
use crate::error::{Error, Kind, Result};
use crate::locks::{self, Release, Released};
use crate::name::StateId;
use crate::settings::ForceUnlock;

/// What an UNLOCK did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlocked {
    /// IDs of the locks that were released; none where there was nothing to release.
    pub released: Vec<String>,
}

impl Backend {
    /// Terraform's UNLOCK. An empty body breaks whatever lock is held, an ID alone that one lock; both are `force-unlock`.
    /// Repeating an UNLOCK is safe.
    pub async fn unlock(&self, caller: &Caller, state: &StateId, raw: &[u8]) -> Result<Unlocked> {
        Box::pin(self.audited(caller, state, "UNLOCK", async {
            match raw {
                [] => self.unlock_whatever(caller, state).await,
                raw => self.unlock_one(caller, state, raw).await,
            }
        }))
        .await
    }

    async fn unlock_whatever(&self, caller: &Caller, state: &StateId) -> Result<Unlocked> {
        if self.settings().force_unlock == ForceUnlock::Refused {
            return Err(Error::new(
                Kind::Denied,
                "the lock was not broken",
                "Terraform's `force-unlock` does not say which lock it means, and the setting `lock.force_unlock` refuses that",
                format!("use `stateward lock release {state} --id ID`"),
            ));
        }
        caller.demand(&[Right::ForceUnlock], state)?;
        self.break_lock(caller, state, None).await
    }

    async fn unlock_one(&self, caller: &Caller, state: &StateId, raw: &[u8]) -> Result<Unlocked> {
        let info = LockInfo::parse(raw).map_err(|why| {
            Error::new(Kind::Invalid, "the lock was not released", why, "send the lock information that LOCK was sent")
        })?;
        let mut control = self.glance(state).await?;
        if control.held(&info.id).is_none() {
            control = self.control(state).await?.0;
        }
        if control.tx(&info.id).is_some() {
            // Who has it shows in every 423, so an ID alone proves nothing.
            let forced = info.is_id_only();
            if forced {
                caller.demand(&[Right::ForceUnlock], state)?;
            }
            let ending = if forced { Ending::Aborted } else { Ending::Committed };
            self.try_end(caller, state, &info.id, ending).await?;
            return Ok(Unlocked { released: vec![info.id] });
        }
        let held = control.held(&info.id);
        let forced = held
            .is_some_and(|(_, held)| held.token != caller.token || (info.is_id_only() && held.raw.as_bytes() != raw));
        let rights: &[Right] = match held {
            _ if forced => &[Right::ForceUnlock],
            Some((Mode::Plan, _)) => &[Right::Lock, Right::Read],
            _ => &[Right::Lock],
        };
        caller.demand(rights, state)?;
        let outcome = self.release_lock(caller, state, Release::Id(&info.id), forced).await?;
        if outcome.released.is_empty() {
            // A repeated request: the first may not have got as far as the lock outside.
            self.unlock_outside(state, &info.id, &String::from_utf8_lossy(raw)).await?;
        }
        Ok(outcome)
    }

    /// Breaks a lock: the one with this ID, or whatever is held.
    pub async fn release(&self, caller: &Caller, state: &StateId, id: Option<&str>) -> Result<Unlocked> {
        self.audited(caller, state, "lock release", async {
            caller.demand(&[Right::ForceUnlock], state)?;
            let outcome = Box::pin(self.break_lock(caller, state, id)).await?;
            if outcome.released.is_empty() {
                let why =
                    id.map_or_else(|| "it is not locked".to_owned(), |id| format!("no lock `{id}` is held on it"));
                return Err(Error::new(
                    Kind::NotFound,
                    format!("`{state}` was left as it is"),
                    why,
                    "`stateward lock list` shows the locks there are",
                ));
            }
            Ok(outcome)
        })
        .await
    }

    /// Breaks the lock with this ID, or whatever is held, here or outside.
    async fn break_lock(&self, caller: &Caller, state: &StateId, id: Option<&str>) -> Result<Unlocked> {
        if let Some(id) = self.tx_to_break(state, id).await? {
            self.try_end(caller, state, &id, Ending::Aborted).await?;
            return Ok(Unlocked { released: vec![id] });
        }
        let outcome = self.release_lock(caller, state, id.map_or(Release::Whatever, Release::Id), true).await;
        let nothing_here = match &outcome {
            Ok(unlocked) => unlocked.released.is_empty(),
            Err(_) => false,
        };
        if nothing_here && let Some(info) = self.break_outside(state, id).await? {
            let audit = AuditItem {
                lock_id: Some(info.id.clone()),
                detail: format!("taken from {}, who held it outside", info.who),
                ..AuditItem::by(caller, self.now(), Deed::ForceUnlock, Some(state))
            };
            self.append_audit(&audit).await?;
            return Ok(Unlocked { released: vec![info.id] });
        }
        outcome
    }

    /// The transaction that is meant: by its ID, or because it is all that is held.
    async fn tx_to_break(&self, state: &StateId, id: Option<&str>) -> Result<Option<String>> {
        let (control, _) = self.control(state).await?;
        match (id, &control.lock, &control.txs[..]) {
            (Some(id), _, _) => Ok(control.tx(id).map(|tx| tx.id.clone())),
            (None, None, [tx]) => Ok(Some(tx.id.clone())),
            (None, None, [_, _, ..]) => Err(Error::new(
                Kind::Conflict,
                "the lock was not broken",
                format!("{} transactions are open, and the request does not say which one it means", control.txs.len()),
                format!("`stateward tx list {state}` shows them, `stateward tx abort {state} ID` ends one"),
            )),
            _ => Ok(None),
        }
    }

    async fn release_lock(
        &self,
        caller: &Caller,
        state: &StateId,
        release: Release<'_>,
        forced: bool,
    ) -> Result<Unlocked> {
        let (unlocked, whole) = self
            .update(state, None, |control: &mut Control, moment: &Moment| {
                let before = control.queue.len();
                let whole = control.lock.clone();
                match locks::unlock(control, release) {
                    Released::Other(held) => Err(not_the_holder(&held)),
                    Released::Before if control.queue.len() == before => {
                        Ok(Step::Keep((Unlocked { released: Vec::new() }, None)))
                    }
                    Released::Before => Ok(Step::Publish((Unlocked { released: Vec::new() }, None), Beside::default())),
                    Released::Now(released) => {
                        let notes = released.iter().map(|held| release_note(caller, state, held, forced, moment));
                        let beside = Beside { notes: notes.collect(), ..Beside::default() };
                        let released = released.into_iter().map(|held| held.id).collect();
                        let whole = whole.filter(|_| control.lock.is_none());
                        Ok(Step::Publish((Unlocked { released }, whole), beside))
                    }
                }
            })
            .await?;
        if let Some(held) = whole {
            self.unlock_outside(state, &held.id, &held.raw).await.map_err(|error| {
                let done = format!("the lock on `{state}` is given back here");
                super::outside::left_locked(&done, state, &held.id, &error)
            })?;
        }
        self.latch(state).ring();
        Ok(unlocked)
    }
}

fn release_note(caller: &Caller, state: &StateId, held: &Held, forced: bool, moment: &Moment) -> AuditItem {
    let deed = if forced { Deed::ForceUnlock } else { Deed::Unlock };
    let detail = if forced { format!("taken from {}", held.who) } else { String::new() };
    let who = if forced { caller.name.clone() } else { held.who.clone() };
    AuditItem { who, lock_id: Some(held.id.clone()), detail, ..AuditItem::by(caller, moment.now, deed, Some(state)) }
}

fn not_the_holder(held: &Held) -> Error {
    let why = format!("it is held under another lock ID, {}, by {}", held.id, held.who);
    let next = "release it under its own ID; if its holder is dead, `stateward lock release NAME --id ID`";
    Error::new(Kind::Conflict, "the lock was not released", why, next).held_by(Bytes::from(held.raw.clone()))
}
