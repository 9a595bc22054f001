//! What there is: states and locks.

use bytes::Bytes;
use futures::future;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use stateward_store::outside::{LockInfo, LockPlace};
use stateward_store::{Key, StoreError};

use super::tx;
use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::control::{Control, Head, Held, Mode, OpenTx};
use crate::error::{Error, Result};
use crate::name::StateId;
use crate::outside::{spot, state_at};
use crate::ports::Timestamp;
use crate::records::{PAGE, Records};
use crate::view::{List, LockItem, Phase, StateItem, TxItem};

/// The rights of which any one lets a caller see that a state is there.
const ANY: [Right; 6] = [Right::Read, Right::Outputs, Right::Write, Right::Lock, Right::ForceUnlock, Right::Delete];

/// Locks of others that are asked for at once.
const TOGETHER: usize = 16;

/// Which states to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatesQuery {
    /// Only names that start with this.
    pub prefix: String,
    /// Only after this place: what `next` of the list before said.
    pub after: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Deleted ones too.
    pub deleted: bool,
}

impl Backend {
    /// The states that the caller may know of, in order of their names.
    pub async fn states(&self, caller: &Caller, query: &StatesQuery) -> Result<List<StateItem>> {
        if query.after.is_none() {
            self.catch_up_all().await?;
        }
        let (limit, now) = (query.limit.unwrap_or(usize::MAX).max(1), self.now());
        let item = |state: StateId, control: Control| -> Option<StateItem> {
            let locked = control.keeps_out(now);
            let deleted = control.deleted.filter(|_| query.deleted);
            let at = deleted.as_ref().map(|deleted| deleted.at);
            let head = control.head.or(deleted.map(|deleted| deleted.head))?;
            Some(state_item(state, head, locked, at))
        };
        self.scan(caller, &query.prefix, query.after.as_deref(), limit, |state, control| {
            item(state, control).into_iter().collect()
        })
        .await
    }

    /// The locks of one state, or of all states that the caller may know of.
    pub async fn locks(&self, caller: &Caller, state: Option<&StateId>) -> Result<List<LockItem>> {
        let now = self.now();
        if let Some(state) = state {
            caller.demand(&ANY, state)?;
            let (control, _) = self.control(state).await?;
            let mut items = self.lock_items(state, &control).await?;
            if let Some(place) = self.shared.outside.locks.as_ref().filter(|_| control.live_lock(now).is_none()) {
                let holder = place.holder(&spot(state)).await?;
                let outsider = holder.map(|info| outsider_item(state, &info, now));
                items.extend(outsider.filter(|item| control.group.as_ref().is_none_or(|group| group.id != item.id)));
            }
            return Ok(List::new(items));
        }
        let held = self.scan(caller, "", None, usize::MAX, |state, control| match control.is_held() {
            true => vec![(state, control)],
            false => Vec::new(),
        });
        let (mut list, mut groups) = (List::new(Vec::new()), Vec::new());
        for (state, control) in held.await?.items {
            list.items.extend(self.lock_items(&state, &control).await?);
            groups.extend(control.group.map(|group| group.id));
        }
        if let Some(place) = &self.shared.outside.locks {
            let outsiders = self.outsiders(caller, place.as_ref()).await?.into_iter();
            let seen = outsiders.filter(|(state, _)| ANY.iter().any(|right| caller.may(*right, state)));
            let items: Vec<LockItem> = seen.map(|(state, info)| outsider_item(&state, &info, now)).collect();
            let ours: Vec<String> = list.items.iter().map(|item| item.id.clone()).chain(groups).collect();
            list.items.extend(items.into_iter().filter(|item| !ours.contains(&item.id)));
        }
        Ok(list)
    }

    /// Who holds the locks of others. They may be barred from all eyes at once, which policies cannot limit to some: then the lock of
    /// each state here is asked for by itself.
    async fn outsiders(&self, caller: &Caller, place: &dyn LockPlace) -> Result<Vec<(StateId, Bytes)>> {
        match place.holders().await {
            Ok(all) => Ok(all.into_iter().filter_map(|(at, info)| Some((state_at(&at)?, info))).collect()),
            Err(StoreError::Denied { .. }) => {
                let states = self.scan(caller, "", None, usize::MAX, |state, _| vec![state]).await?.items;
                let read = |state: StateId| async move {
                    let holder = place.holder(&spot(&state)).await?;
                    Ok::<_, Error>(holder.map(|info| (state, info)))
                };
                let held = stream::iter(states.into_iter().map(read)).buffered(TOGETHER);
                held.try_filter_map(|found| future::ready(Ok(found))).try_collect().await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn lock_items(&self, state: &StateId, control: &Control) -> Result<Vec<LockItem>> {
        let now = self.now();
        let waiting = control.queue.iter().filter(|ticket| ticket.counts(now)).count() as u64;
        let whole = control.lock.iter().map(|held| lock_item(state, held, Mode::Whole, waiting, now));
        let plans = control.plans.iter().filter(|held| !held.has_lapsed(now));
        let plans = plans.map(|held| lock_item(state, held, Mode::Plan, 0, now));
        let mut items: Vec<LockItem> = whole.chain(plans).collect();
        if !control.txs.is_empty() {
            let claims = self.claims(state, control).await?;
            let txs = tx::live(state, control, &claims, now);
            let whole = control.queue.iter().filter(|ticket| !ticket.resources && ticket.counts(now)).count() as u64;
            let waits_for = |id: &String| whole + txs.iter().filter(|tx| tx.waits_for.contains(id)).count() as u64;
            items.extend(control.txs.iter().zip(&txs).map(|(open, tx)| tx_item(open, tx, waits_for(&open.id), now)));
        }
        Ok(items)
    }

    /// Goes through the control records in order, and collects what `pick` makes of them.
    async fn scan<T>(
        &self,
        caller: &Caller,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        pick: impl Fn(StateId, Control) -> Vec<T>,
    ) -> Result<List<T>> {
        let prefix = format!("{}{prefix}", Control::PREFIX);
        let mut after = after.map(|after| Key::new(format!("{}{after}", Control::PREFIX)));
        let page = PAGE.min(limit.saturating_add(1));
        let mut records = Records::under(self.store(), prefix).after(after.clone()).by(page);
        let mut list = List::new(Vec::new());
        while let Some(entry) = records.next().await? {
            if list.items.len() >= limit {
                list.next = after.map(|key| key.as_str()[Control::PREFIX.len()..].to_owned());
                break;
            }
            let state = Control::state_of(&entry.key);
            if let Some(state) = state.filter(|state| ANY.iter().any(|right| caller.may(*right, state))) {
                // One damaged record must not hide all the others; `state verify` tells of it.
                match Control::decode(&entry.key, &entry.record.value) {
                    Ok(control) => list.items.extend(pick(state, control)),
                    Err(error) => tracing::error!(%state, %error, "left out of the list: its record is damaged"),
                }
            }
            after = Some(entry.key);
        }
        Ok(list)
    }
}

fn state_item(state: StateId, head: Head, locked: bool, deleted: Option<Timestamp>) -> StateItem {
    StateItem {
        state: state.name,
        workspace: state.workspace,
        serial: head.serial,
        lineage: head.lineage,
        version: head.version,
        size: head.size,
        resources: head.resources,
        updated: head.created,
        updated_by: head.who,
        locked,
        opaque: head.opaque,
        deleted,
    }
}

fn lock_item(state: &StateId, held: &Held, mode: Mode, queue: u64, now: Timestamp) -> LockItem {
    let seconds = |since: Timestamp| u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
    LockItem {
        state: state.name.clone(),
        workspace: state.workspace.clone(),
        mode: mode.name().to_owned(),
        id: held.id.clone(),
        who: held.who.clone(),
        operation: held.operation.clone(),
        created: held.since,
        age_s: seconds(held.since),
        last_seen: held.last_seen,
        fence: held.fence,
        queue,
        addresses: Vec::new(),
        lease_until: held.lease_until,
        advice: advice(mode, held, now).to_owned(),
    }
}

/// The lock of an open transaction.
fn tx_item(open: &OpenTx, tx: &TxItem, queue: u64, now: Timestamp) -> LockItem {
    LockItem {
        state: tx.state.clone(),
        workspace: tx.workspace.clone(),
        mode: Mode::Resources.name().to_owned(),
        id: tx.tx.clone(),
        who: tx.who.clone(),
        operation: tx.operation.clone(),
        created: tx.since,
        age_s: u64::try_from(now.duration_since(tx.since).as_secs()).unwrap_or(0),
        last_seen: open.last_seen,
        fence: open.fence,
        queue,
        addresses: tx.write.clone(),
        lease_until: tx.lease_until,
        advice: match tx.phase {
            Phase::Lapsed => "its run is gone or stopped: whoever wants what it holds gets it",
            _ => "in use, beside others: wait for it; it ends by itself when its run does",
        }
        .to_owned(),
    }
}

const OUTSIDER_ADVICE: &str = "held outside, by Terraform itself: wait for it, or ask its holder; if that run is dead, \
                               `stateward lock release NAME --id ID`";

/// A lock that was taken outside, by a program that does not come through here.
fn outsider_item(state: &StateId, info: &[u8], now: Timestamp) -> LockItem {
    let info = LockInfo::parse(info).unwrap_or_default();
    let created = info.created.parse().unwrap_or(now);
    LockItem {
        state: state.name.clone(),
        workspace: state.workspace.clone(),
        mode: "whole".to_owned(),
        id: info.id,
        who: info.who,
        operation: info.operation,
        created,
        age_s: u64::try_from(now.duration_since(created).as_secs()).unwrap_or(0),
        last_seen: created,
        fence: 0,
        lease_until: None,
        queue: 0,
        addresses: Vec::new(),
        advice: OUTSIDER_ADVICE.to_owned(),
    }
}

/// What an operator can make of a lock's silence. Plain Terraform is silent while it works, so silence alone proves nothing; who
/// renews a lease is heard of for as long as it lives.
fn advice(mode: Mode, held: &Held, now: Timestamp) -> &'static str {
    const LONG: SignedDuration = SignedDuration::from_hours(1);
    match mode {
        Mode::Plan => "keeps nobody waiting; ends by itself when the plan does",
        _ if held.has_lapsed(now) => "its holder is gone or stopped: whoever asks next gets the lock",
        _ if held.lease_until.is_some() => "in use: wait for it; it ends by itself when its holder does",
        _ if now.duration_since(held.last_seen) < LONG => "in use: wait for it, or ask its holder",
        _ => {
            "nothing heard for over an hour: ask its holder; if that run is dead, `stateward lock release NAME --id ID`"
        }
    }
}
