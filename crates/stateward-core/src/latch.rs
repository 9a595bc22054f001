//! One writer at a time per state within this process, and a bell for who waits. Compare-and-set makes writes safe; this keeps
//! them from losing to each other needlessly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use stateward_store::Revision;
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::claim::Claims;
use crate::control::Control;
use crate::name::StateId;
use crate::outside::Look;

#[derive(Debug, Default)]
pub(crate) struct Latches(Mutex<HashMap<StateId, Arc<Latch>>>);

#[derive(Debug, Default)]
pub(crate) struct Latch {
    turn: Arc<tokio::sync::Mutex<()>>,
    bell: Notify,
    /// The control record as this process last saw it. It may be old: only a compare-and-set on it proves that it is not.
    seen: Mutex<Option<Seen>>,
    /// What was last seen outside.
    look: Mutex<Option<Look>>,
    /// The records of transactions, which do not change while these are open.
    claims: Mutex<Arc<Claims>>,
    /// One commit of a transaction at a time: its merge would only be lost to another one.
    merging: Arc<tokio::sync::Mutex<()>>,
    /// Held by the one request that looks at the store for all that wait here.
    looker: Arc<tokio::sync::Mutex<()>>,
}

/// A control record and its revision; none where there was no record.
pub(crate) type Seen = (Control, Option<Revision>);

impl Latches {
    /// The latch of a state; it lives for as long as somebody holds it.
    pub(crate) fn of(&self, state: &StateId) -> Arc<Latch> {
        let mut latches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latches.len() >= 1024 {
            latches.retain(|_, latch| Arc::strong_count(latch) > 1);
        }
        latches.entry(state.clone()).or_default().clone()
    }
}

impl Latch {
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// The control record as it was last seen here.
    pub(crate) fn recall(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn remember(&self, seen: Option<Seen>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// The right to look at the store for all that wait here, unless somebody has it.
    pub(crate) fn looker(&self) -> Option<OwnedMutexGuard<()>> {
        self.looker.clone().try_lock_owned().ok()
    }

    /// What was last seen outside.
    pub(crate) fn looked(&self) -> Option<Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_look(&self, look: Option<Look>) {
        *self.look.lock().unwrap_or_else(PoisonError::into_inner) = look;
    }

    /// The records of transactions as far as they were read here.
    pub(crate) fn claims(&self) -> Arc<Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_claims(&self, claims: Arc<Claims>) {
        *self.claims.lock().unwrap_or_else(PoisonError::into_inner) = claims;
    }

    pub(crate) async fn merging(&self) -> OwnedMutexGuard<()> {
        self.merging.clone().lock_owned().await
    }

    /// Wakes everybody who waits for this state.
    pub(crate) fn ring(&self) {
        self.bell.notify_waiters();
    }

    /// Register before looking, await after: a ring in between is not missed.
    pub(crate) fn bell(&self) -> tokio::sync::futures::Notified<'_> {
        self.bell.notified()
    }
}
