//! Bringing in what a transaction could not store any more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::lock::LockRequest;
use super::super::{BodyStream, Written};
use super::commit::{Check, collect};
use super::{no_such, not_open};
use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::claim::{Ending, TxRecord};
use crate::control::Mode;
use crate::error::Result;
use crate::locks::Ask;
use crate::name::StateId;

/// The lease of what is done in one request.
const LEASE: Duration = Duration::from_mins(5);

/// What is to be brought in.
pub struct Recover {
    /// The transaction that could not store it.
    pub tx: String,
    /// Lock information with an ID of its own: it is done in a transaction that holds the same.
    pub raw: Bytes,
    /// How long to wait for others; `None` for what the settings say.
    pub wait: Option<Duration>,
    /// Write over what others have changed since of what the transaction held.
    pub force: bool,
    /// What it was to store.
    pub body: BodyStream,
}

impl Backend {
    /// Brings in what a transaction was to store when it had lapsed or was given up: merged as it would have been then. Where others
    /// have changed since what it held, that is a `Conflict` that names it, unless `force` is set.
    pub async fn recover(&self, caller: &Caller, state: &StateId, recover: Recover) -> Result<Written> {
        Box::pin(self.audited(caller, state, "tx recover", self.try_recover(caller, state, recover))).await
    }

    async fn try_recover(&self, caller: &Caller, state: &StateId, recover: Recover) -> Result<Written> {
        caller.demand(&[Right::Lock], state)?;
        caller.demand(&[Right::Write], state)?;
        let (control, _) = self.control(state).await?;
        let lost = self.tx_record(state, &recover.tx).await?.ok_or_else(|| no_such(state, &recover.tx))?;
        let sent = collect(recover.body, self.settings().limits.body_bytes).await?;
        let request = LockRequest { raw: recover.raw, wait: recover.wait, lease: Some(LEASE) };
        let mut ask = Ask { mode: Mode::Resources, ..self.ask(caller, &request)? };
        let written =
            lost.ended.as_ref().map_or_else(|| control.tx(&lost.id).and_then(|tx| tx.last), |ended| ended.last);
        let record = TxRecord::asking(&ask, lost.base, lost.claim.clone(), self.now()).continuing(written);
        let record = Arc::new(record);
        ask.tx = Some(record.clone());
        let grant = self.queue_up(caller, state, ask, recover.wait).await?;
        let outcome = match self.glance(state).await?.tx(&record.id) {
            Some(tx) => {
                let check = if recover.force { Check::Nothing } else { Check::StillMine };
                self.merge_and_publish(caller, state, tx, &record, &sent, check).await
            }
            None => Err(not_open(&record.id, None)),
        };
        let ending = if outcome.is_ok() { Ending::Committed } else { Ending::Aborted };
        self.end_tx(caller, state, &record, ending, &format!("it brought in what {} was to store", lost.id), false)
            .await?;
        grant.delivered();
        outcome
    }
}
