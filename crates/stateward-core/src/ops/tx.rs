//! Transactions: runs that hold parts of a state, side by side with others.
//!
//! One begins by taking, or waiting for, all that it claims, and by showing that nothing of it has changed since its plan was made.
//! Each of its writes is merged into what others have written meanwhile. It ends, and what it held is free.

mod begin;
mod commit;
mod list;
mod recover;

use std::sync::Arc;

use crate::access::{Caller, Right};
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Beside, Step};
use crate::claim::{Claims, Ended, Ending, TxRecord, named};
use crate::control::{Control, Group, OpenTx};
use crate::error::{Error, Kind, Result};
use crate::locks;
use crate::name::StateId;
use crate::records::Records;

pub use begin::{Begin, Begun, PlanBase};
pub(super) use list::{KEPT, live};
pub use recover::Recover;

/// So many records are read side by side; of more, all of the state are listed.
const FEW: usize = 16;

impl Backend {
    /// The records of all transactions that the control record names.
    pub(crate) async fn claims(&self, state: &StateId, control: &Control) -> Result<Arc<Claims>> {
        let latch = self.latch(state);
        let known = latch.claims();
        if known.know_all(control) {
            return Ok(known);
        }
        let mut claims = Claims::default();
        named(control).filter_map(|id| known.get(id)).for_each(|record| claims.insert(record.clone()));
        let missing: Vec<&str> = named(control).filter(|id| claims.get(id).is_none()).collect();
        if missing.len() > FEW {
            let mut records = Records::under(self.store(), TxRecord::prefix(state));
            while let Some(entry) = records.next().await? {
                let record = TxRecord::decode(&entry.key, &entry.record.value)?;
                if missing.contains(&record.id.as_str()) {
                    claims.insert(record.into());
                }
            }
        } else {
            let reads = missing.iter().map(|id| self.tx_record(state, id)).collect::<Vec<_>>();
            for record in futures::future::try_join_all(reads).await? {
                record.into_iter().for_each(|record| claims.insert(record));
            }
        }
        for id in missing {
            if claims.get(id).is_none() {
                tracing::error!(%state, id, "the record of an open transaction is missing: it counts as one that claims everything");
                claims.insert(TxRecord::lost(id, self.now()).into());
            }
        }
        let claims = Arc::new(claims);
        latch.note_claims(claims.clone());
        Ok(claims)
    }

    /// What is recorded of a transaction, open or ended.
    async fn tx_record(&self, state: &StateId, id: &str) -> Result<Option<Arc<TxRecord>>> {
        let key = TxRecord::key(state, id);
        let Some(found) = self.store().get(&key).await? else { return Ok(None) };
        Ok(Some(TxRecord::decode(&key, &found.value)?.into()))
    }

    /// An open transaction of the caller's own.
    async fn open_tx(&self, caller: &Caller, state: &StateId, id: &str) -> Result<(OpenTx, Arc<TxRecord>)> {
        let mut control = self.glance(state).await?;
        if control.tx(id).is_none() {
            control = self.control(state).await?.0;
        }
        let Some(tx) = control.tx(id).cloned() else {
            return Err(not_open(id, self.tx_record(state, id).await?.as_deref()));
        };
        if tx.token != caller.token {
            let next = "use the token that it was begun with";
            return Err(Error::new(Kind::Denied, "the transaction was left alone", "it is another token's", next));
        }
        let claims = self.claims(state, &control).await?;
        let record = claims.get(id).cloned().unwrap_or_else(|| TxRecord::lost(id, self.now()).into());
        Ok((tx, record))
    }

    /// Refused unless the transaction is open and the caller's own.
    pub async fn demand_open(&self, caller: &Caller, state: &StateId, id: &str) -> Result<()> {
        caller.demand(&[Right::Lock, Right::Write], state)?;
        self.open_tx(caller, state, id).await.map(drop)
    }

    /// Ends a transaction: what it held is free, what it wrote stays. Ending one that has ended is no error.
    ///
    /// Who ends another token's breaks it, and needs the right to.
    pub async fn end(&self, caller: &Caller, state: &StateId, id: &str, ending: Ending) -> Result<()> {
        self.audited(caller, state, "tx end", self.try_end(caller, state, id, ending)).await
    }

    pub(super) async fn try_end(&self, caller: &Caller, state: &StateId, id: &str, ending: Ending) -> Result<()> {
        let (control, _) = self.control(state).await?;
        let claims = self.claims(state, &control).await?;
        let open = named(&control).any(|named| named == id);
        let Some(record) = claims.get(id).filter(|_| open).cloned() else {
            caller.demand(&[Right::Lock, Right::ForceUnlock], state)?;
            return match self.tx_record(state, id).await? {
                // A repeated request: the first may not have got as far as the lock outside.
                Some(_) => self.unlock_released_outside(state, &control).await,
                None => Err(no_such(state, id)),
            };
        };
        let forced = record.token != caller.token;
        caller.demand(&[if forced { Right::ForceUnlock } else { Right::Lock }], state)?;
        let why = if forced { format!("by {}", caller.name) } else { String::new() };
        self.end_tx(caller, state, &record, ending, &why, forced).await
    }

    async fn end_tx(
        &self,
        caller: &Caller,
        state: &StateId,
        record: &TxRecord,
        ending: Ending,
        why: &str,
        forced: bool,
    ) -> Result<()> {
        let disbanded: Option<Group> = self
            .update(state, None, |control, moment| {
                let waited = control.queue.iter().any(|ticket| ticket.id == record.id);
                let tx = locks::end(control, &record.id);
                if tx.is_none() && !waited {
                    return Ok(Step::Keep(None));
                }
                let note = AuditItem {
                    who: if forced { caller.name.clone() } else { record.who.clone() },
                    lock_id: Some(record.id.clone()),
                    detail: if forced { format!("taken from {}", record.who) } else { why.to_owned() },
                    ..AuditItem::by(
                        caller,
                        moment.now,
                        if forced { Deed::ForceUnlock } else { Deed::Unlock },
                        Some(state),
                    )
                };
                let ended = record.ended(ending, why, tx.as_ref(), moment.now);
                let beside = Beside { records: vec![ended.write(state)], notes: vec![note] };
                Ok(Step::Publish(control.disband(), beside))
            })
            .await?;
        if let Some(group) = disbanded {
            self.unlock_outside(state, &group.id, &group.raw).await?;
        }
        self.latch(state).ring();
        Ok(())
    }
}

fn no_such(state: &StateId, id: &str) -> Error {
    let next = format!("`stateward tx list {state} --all` shows those of the last days");
    Error::new(Kind::NotFound, "there is no such transaction", format!("`{state}` has none with the ID `{id}`"), next)
}

/// Why nothing can be written in a transaction.
pub(super) fn not_open(id: &str, record: Option<&TxRecord>) -> Error {
    let ended = record.and_then(|record| record.ended.as_ref());
    let why = match ended {
        Some(Ended { phase: Ending::Lapsed, at, .. }) => {
            format!("the lease of transaction {id} lapsed, and somebody else took what it held at {at:.0}")
        }
        Some(Ended { phase: Ending::Aborted, at, why, .. }) if why.is_empty() => {
            format!("transaction {id} was given up at {at:.0}")
        }
        Some(Ended { phase: Ending::Aborted, at, why, .. }) => {
            format!("transaction {id} was given up at {at:.0} {why}")
        }
        Some(Ended { phase: Ending::Committed, at, .. }) => format!("transaction {id} was finished at {at:.0}"),
        None => format!("transaction {id} is not open"),
    };
    Error::new(Kind::Conflict, "the state was not changed", why, RECOVER)
}

const RECOVER: &str = "keep what was to be stored; `stateward tx recover` brings it in";
