//! The transactions there are.

use jiff::SignedDuration;

use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::claim::{Claims, Ending, TxRecord, named};
use crate::control::{Control, Ticket};
use crate::error::Result;
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::records::Records;
use crate::view::{List, Phase, TxItem};

/// How long ended transactions are shown and kept.
pub(in crate::ops) const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The rights of which any one lets a caller see the transactions of a state.
const ANY: [Right; 4] = [Right::Read, Right::Write, Right::Lock, Right::ForceUnlock];

impl Backend {
    /// The transactions of one state, or of all states that the caller may know of: those that are open or wait, oldest first, and
    /// with `ended` also those that ended in the last seven days.
    pub async fn transactions(&self, caller: &Caller, state: Option<&StateId>, ended: bool) -> Result<List<TxItem>> {
        let mut items = Vec::new();
        match state {
            Some(state) => {
                caller.demand(&ANY, state)?;
                let (control, _) = self.control(state).await?;
                self.push_transactions(state, &control, ended, &mut items).await?;
            }
            None => {
                let mut states = super::super::prune::States::of(self);
                while let Some((state, control)) = states.next().await? {
                    if ANY.iter().any(|right| caller.may(*right, &state)) {
                        self.push_transactions(&state, &control, ended, &mut items).await?;
                    }
                }
            }
        }
        Ok(List::new(items))
    }

    async fn push_transactions(
        &self,
        state: &StateId,
        control: &Control,
        ended: bool,
        items: &mut Vec<TxItem>,
    ) -> Result<()> {
        let now = self.now();
        if named(control).next().is_some() {
            let claims = self.claims(state, control).await?;
            items.extend(live(state, control, &claims, now));
        }
        if !ended {
            return Ok(());
        }
        let mut over = Vec::new();
        let mut records = Records::under(self.store(), TxRecord::prefix(state));
        while let Some(entry) = records.next().await? {
            let record = TxRecord::decode(&entry.key, &entry.record.value)?;
            if named(control).all(|id| id != record.id) && now.duration_since(record.settled()) <= KEPT {
                over.push(item(state, &record));
            }
        }
        over.sort_by_key(|item| item.since);
        items.extend(over);
        Ok(())
    }
}

/// The transactions that a control record names.
pub(in crate::ops) fn live(state: &StateId, control: &Control, claims: &Claims, now: Timestamp) -> Vec<TxItem> {
    let open = control.txs.iter().filter_map(|tx| {
        let item = item(state, claims.get(&tx.id)?);
        let phase = if tx.has_lapsed(now) { Phase::Lapsed } else { Phase::Open };
        let (lease_until, fence) = (Some(tx.lease_until), Some(tx.fence));
        Some(TxItem { phase, lease_until, fence, last: tx.last, why: String::new(), ended: None, ..item })
    });
    let waiting = control.queue.iter().enumerate().filter(|(_, ticket)| ticket.resources && !ticket.has_lapsed(now));
    let waiting = waiting.filter_map(|(place, ticket)| {
        let record = claims.get(&ticket.id)?;
        let waits_for = waits_for(control, record, &control.queue[..place], claims, now);
        Some(TxItem { phase: Phase::Queued, waits_for, why: String::new(), ended: None, ..item(state, record) })
    });
    open.chain(waiting).collect()
}

fn waits_for(control: &Control, record: &TxRecord, before: &[Ticket], claims: &Claims, now: Timestamp) -> Vec<String> {
    let meets = |id: &str| claims.get(id).is_none_or(|other| record.claim.conflict(&other.claim).is_some());
    let whole = control.live_lock(now).map(|held| held.id.clone());
    let open = control.live_txs(now).filter(|tx| meets(&tx.id)).map(|tx| tx.id.clone());
    let line = before.iter().filter(|ticket| ticket.counts(now) && (!ticket.resources || meets(&ticket.id)));
    whole.into_iter().chain(open).chain(line.map(|ticket| ticket.id.clone())).collect()
}

/// A transaction as its record tells of it. One that never ended and is not open was given up while it waited.
fn item(state: &StateId, record: &TxRecord) -> TxItem {
    let ended = record.ended.as_ref();
    TxItem {
        tx: record.id.clone(),
        state: state.name.clone(),
        workspace: state.workspace.clone(),
        phase: match ended.map(|ended| ended.phase) {
            Some(Ending::Committed) => Phase::Committed,
            Some(Ending::Lapsed) => Phase::Lapsed,
            Some(Ending::Aborted) | None => Phase::Aborted,
        },
        who: record.who.clone(),
        operation: record.operation.clone(),
        write: record.claim.written(),
        read: record.claim.read_only(),
        since: record.since,
        lease_until: None,
        waits_for: Vec::new(),
        base: record.base,
        last: ended.and_then(|ended| ended.last),
        fence: None,
        ended: ended.map(|ended| ended.at),
        why: ended.map_or_else(|| "its client was gone while it waited".to_owned(), |ended| ended.why.clone()),
    }
}
