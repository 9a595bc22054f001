//! Locks: who may hold a state, in what order, and when a place in the queue lapses. Pure steps on a [`Control`] record.
//!
//! A *whole* lock excludes other whole locks and transactions. A *transaction* claims parts of the state, and excludes others that
//! claim the same where one of the two would write. *Plan* locks are shared, never wait and never keep anybody waiting, because a
//! reader sees the last commit anyway; they cannot write.
//!
//! The queue is first come, first served: nobody is overtaken by who is in the way, and a transaction takes all that it claims at
//! once, so that nobody waits for ever and none wait for each other. Who has nothing to do with those before it goes on. A client that holds its connection open keeps its place until the connection ends. One
//! that polls with the same lock ID keeps its place from its first try, and counts from its second: whoever asks only once does not
//! hold up the others after it is gone.
//!
//! A lock may have a *lease*, which its holder renews. Once that has lapsed it keeps nobody out; its holder may still write under it
//! and renew it for as long as nobody else has taken it. A lock without a lease never lapses.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::claim::{Claims, TxRecord};
use crate::control::{Control, Held, Mode, OpenTx, Ticket};
use crate::ports::Timestamp;
use crate::settings::Limits;

/// A waiting request says so at least this often.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// A transaction that lapsed so long ago is over, also where nobody wants what it held.
const LONG_LAPSED: SignedDuration = SignedDuration::from_hours(24);

/// A LOCK request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Terraform's lock ID.
    pub id: String,
    /// The lock information exactly as it was sent.
    pub raw: String,
    /// `user@host`.
    pub who: String,
    /// Terraform's word for what it is doing.
    pub operation: String,
    /// The tool's version.
    pub tool: String,
    /// The caller's token.
    pub token: Option<String>,
    /// What it wants.
    pub mode: Mode,
    /// Its connection stays open and waits.
    pub waiting: bool,
    /// Unique to this request.
    pub attempt: String,
    /// How long it holds unless it is renewed.
    pub lease: Option<Duration>,
    /// What is recorded of it, for a transaction.
    pub tx: Option<Arc<TxRecord>>,
}

/// What became of a LOCK request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It holds the lock.
    Granted {
        /// The grant's number.
        fence: u64,
        /// It held it before: a repeated request.
        again: bool,
    },
    /// Somebody else holds it, or is before it in the queue.
    Held {
        /// Their lock information, as it was sent.
        by: String,
        /// What of the claim they are in the way of; absent where it is the whole state.
        over: Option<String>,
        /// How many are before it in the queue.
        ahead: usize,
        /// The first try of this lock ID.
        first_try: bool,
    },
    /// The queue is full: it has no place.
    QueueFull,
}

/// Decides a LOCK request and notes the outcome. A transaction that is not in `claims` counts as one that claims everything.
pub fn lock(control: &mut Control, ask: &Ask, claims: &Claims, limits: &Limits, now: Timestamp) -> Answer {
    if let Some(again) = again(control, ask, now) {
        return again;
    }
    if ask.mode == Mode::Plan {
        return share(control, ask, limits.plan_locks, now);
    }
    control.queue.retain(|ticket| ticket.id == ask.id || !ticket.is_gone(now));
    let place = control.queue.iter().position(|ticket| ticket.id == ask.id);
    let before = control.queue[..place.unwrap_or(control.queue.len())].iter();
    let mut line = before.filter(|ticket| ticket.counts(now)).filter_map(|ticket| ask.is_behind(ticket, claims));
    let first_in_line = line.next();
    let ahead = line.count() + usize::from(first_in_line.is_some());
    match holder(control, ask, claims, now).or(first_in_line) {
        Some(by) => queue_up(control, ask, by, ahead, limits.queue, now),
        None => grant(control, ask, claims, now),
    }
}

/// Decides a LOCK request while somebody who does not come through here holds the lock outside: it waits its turn.
pub fn lock_behind(
    control: &mut Control,
    ask: &Ask,
    claims: &Claims,
    outsider: &str,
    limits: &Limits,
    now: Timestamp,
) -> Answer {
    let before = control.queue.iter().take_while(|ticket| ticket.id != ask.id).filter(|ticket| ticket.counts(now));
    let ahead = before.filter_map(|ticket| ask.is_behind(ticket, claims)).count();
    let by = Obstacle { by: outsider.to_owned(), over: None };
    queue_up(control, ask, by, ahead, limits.queue, now)
}

/// Who is in the way, and of what.
struct Obstacle {
    by: String,
    over: Option<String>,
}

impl Ask {
    /// Whether it is a transaction that the lock outside is held for already, as for all that are open.
    pub(crate) fn joins(&self, control: &Control) -> bool {
        self.mode == Mode::Resources && control.group.is_some()
    }

    /// What a transaction, open or waiting, is in the way of.
    fn meets(&self, id: &str, claims: &Claims) -> Option<Obstacle> {
        let theirs = claims.get(id);
        let by = theirs.map_or_else(|| format!("{{\"ID\":{id:?}}}"), |theirs| theirs.raw.clone());
        match (&self.tx, theirs) {
            (Some(mine), Some(theirs)) => {
                let over = mine.claim.conflict(&theirs.claim)?;
                Some(Obstacle { by, over: Some(over.to_string()) })
            }
            _ => Some(Obstacle { by, over: None }),
        }
    }

    /// Whether it has to wait for who asked before.
    fn is_behind(&self, ticket: &Ticket, claims: &Claims) -> Option<Obstacle> {
        match ticket.resources {
            true => self.meets(&ticket.id, claims),
            false => Some(Obstacle { by: ticket.raw.clone(), over: None }),
        }
    }
}

/// Who holds what is asked for.
fn holder(control: &Control, ask: &Ask, claims: &Claims, now: Timestamp) -> Option<Obstacle> {
    let whole = control.live_lock(now).map(|held| Obstacle { by: held.raw.clone(), over: None });
    whole.or_else(|| control.live_txs(now).find_map(|tx| ask.meets(&tx.id, claims)))
}

fn share(control: &mut Control, ask: &Ask, plans_max: usize, now: Timestamp) -> Answer {
    let fence = next_fence(control);
    control.plans.retain(|held| !held.has_lapsed(now));
    control.plans.push(held(ask, fence, now));
    let surplus = control.plans.len().saturating_sub(plans_max.max(1));
    let evicted: Vec<Held> = control.plans.drain(..surplus).collect();
    evicted.iter().for_each(|held| control.note_released(&held.id));
    Answer::Granted { fence, again: false }
}

/// Nobody is in the way but those who have lapsed: they are let go.
fn grant(control: &mut Control, ask: &Ask, claims: &Claims, now: Timestamp) -> Answer {
    control.queue.retain(|ticket| ticket.id != ask.id);
    let fence = next_fence(control);
    if let Some(lapsed) = control.lock.take() {
        control.note_released(&lapsed.id);
    }
    let is_over = |tx: &OpenTx| now.duration_since(tx.lease_until) > LONG_LAPSED;
    match ask.mode {
        Mode::Resources => {
            control.txs.retain(|tx| !is_over(tx) && (!tx.has_lapsed(now) || ask.meets(&tx.id, claims).is_none()));
            let mut tx = OpenTx {
                id: ask.id.clone(),
                fence,
                attempt: ask.attempt.clone(),
                token: ask.token.clone(),
                last_seen: now,
                lease_until: now,
                base: ask.tx.as_ref().and_then(|tx| tx.base),
                last: ask.tx.as_ref().and_then(|tx| tx.continues),
            };
            tx.renew(ask.lease, now);
            control.txs.push(tx);
        }
        _ => {
            control.txs.clear();
            control.disband();
            control.lock = Some(held(ask, fence, now));
        }
    }
    Answer::Granted { fence, again: false }
}

fn queue_up(control: &mut Control, ask: &Ask, by: Obstacle, ahead: usize, queue_max: usize, now: Timestamp) -> Answer {
    let place = control.queue.iter().position(|ticket| ticket.id == ask.id);
    match place {
        Some(place) => control.queue[place].ask_again(ask, now),
        None if control.queue.len() < queue_max => control.queue.push(Ticket::new(ask, now)),
        None => return Answer::QueueFull,
    }
    Answer::Held { by: by.by, over: by.over, ahead, first_try: place.is_none() }
}

/// A request for a lock that its ID holds already gets it again: clients repeat what they got no answer to.
fn again(control: &mut Control, ask: &Ask, now: Timestamp) -> Option<Answer> {
    if let Some(tx) = control.txs.iter_mut().find(|tx| tx.id == ask.id) {
        if ask.mode != Mode::Resources || tx.token != ask.token {
            return Some(Answer::Held { by: ask.raw.clone(), over: None, ahead: 0, first_try: false });
        }
        tx.renew(ask.lease, now);
        if tx.attempt != ask.attempt {
            tx.attempt.clear();
        }
        return Some(Answer::Granted { fence: tx.fence, again: true });
    }
    let whole = control.lock.iter_mut().map(|held| (Mode::Whole, held));
    let plans = control.plans.iter_mut().map(|held| (Mode::Plan, held));
    let (mode, held) = whole.chain(plans).find(|(_, held)| held.id == ask.id)?;
    if mode != ask.mode || held.token != ask.token {
        return Some(Answer::Held { by: held.raw.clone(), over: None, ahead: 0, first_try: false });
    }
    held.last_seen = now;
    held.lease_until = lease_until(ask.lease, now);
    if held.attempt != ask.attempt {
        // Answered more than once: the end of no single request may take it back.
        held.attempt.clear();
    }
    Some(Answer::Granted { fence: held.fence, again: true })
}

/// Ends a request whose client is gone: gives up its place, or the lock if this very request took it. True where that changed something.
pub fn abandon(control: &mut Control, id: &str, attempt: &str) -> bool {
    let count =
        |control: &Control| (control.queue.len(), control.plans.len(), control.txs.len(), control.lock.is_some());
    let mine = |held: &Held| held.id == id && held.attempt == attempt;
    let before = count(control);
    control.queue.retain(|ticket| !(ticket.id == id && ticket.attempt == attempt));
    control.plans.retain(|held| !mine(held));
    control.txs.retain(|tx| !(tx.id == id && tx.attempt == attempt));
    control.lock.take_if(|held| mine(held));
    before != count(control)
}

/// Ends a transaction: what it holds is free, and its place in the queue too. Gives it, if it was open.
pub fn end(control: &mut Control, id: &str) -> Option<OpenTx> {
    control.queue.retain(|ticket| ticket.id != id);
    control.txs.extract_if(.., |tx| tx.id == id).next()
}

/// How a lock is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release<'a> {
    /// By whoever knows its ID.
    Id(&'a str),
    /// Whatever is held: Terraform's `force-unlock`, which does not say what it means.
    Whatever,
}

/// What became of an UNLOCK request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// These locks are released.
    Now(Vec<Held>),
    /// There was nothing to release, or it was released before.
    Before,
    /// Another lock is held.
    Other(Box<Held>),
}

/// Decides an UNLOCK request and notes the outcome.
pub fn unlock(control: &mut Control, release: Release<'_>) -> Released {
    let released = match release {
        Release::Whatever => {
            // Also places that are kept for clients who may never come back.
            control.queue.retain(|ticket| ticket.waiting);
            match control.lock.take() {
                Some(held) => vec![held],
                None => std::mem::take(&mut control.plans),
            }
        }
        Release::Id(id) => {
            control.queue.retain(|ticket| ticket.id != id);
            let mut released: Vec<Held> = control.lock.take_if(|held| held.id == id).into_iter().collect();
            released.extend(control.plans.extract_if(.., |held| held.id == id));
            match &control.lock {
                Some(other) if released.is_empty() && !control.released.iter().any(|known| known == id) => {
                    return Released::Other(Box::new(other.clone()));
                }
                _ => released,
            }
        }
    };
    released.iter().for_each(|held| control.note_released(&held.id));
    if released.is_empty() { Released::Before } else { Released::Now(released) }
}

/// What became of a wish to renew a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// It holds until then.
    Until(Timestamp),
    /// The lock has no lease, and needs none.
    NoLease,
    /// The lock is no longer held; `holder` is who has the state, if anybody.
    Lost {
        /// Who holds the state.
        holder: Option<Box<Held>>,
    },
}

/// Renews the lease of the lock `id`, which was taken with `token`, also after it lapsed if nobody else has taken the lock.
pub fn renew(control: &mut Control, id: &str, token: Option<&str>, lease: Duration, now: Timestamp) -> Renewal {
    if let Some(tx) = control.txs.iter_mut().find(|tx| tx.id == id && tx.token.as_deref() == token) {
        tx.renew(Some(lease), now);
        return Renewal::Until(tx.lease_until);
    }
    let mine = |held: &&mut Held| held.id == id && held.token.as_deref() == token;
    let Some(held) = control.lock.iter_mut().chain(&mut control.plans).find(mine) else {
        return Renewal::Lost { holder: control.live_lock(now).cloned().map(Box::new) };
    };
    held.last_seen = now;
    let until = lease_until(Some(lease), now);
    match (&mut held.lease_until, until) {
        (Some(lease), Some(until)) => {
            *lease = until;
            Renewal::Until(until)
        }
        _ => Renewal::NoLease,
    }
}

/// Why a write may not happen, as far as locks go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteRefusal {
    /// Somebody holds the state and the write names no lock.
    Locked(Box<Held>),
    /// The lock that the write names is not the live one; `holder` is who has it, if anybody.
    NotTheLock {
        /// Who holds the state.
        holder: Option<Box<Held>>,
    },
    /// The lock is a plan's.
    PlanLock,
    /// So many transactions are open, and the write would go past them.
    Transactions(usize),
    /// The lock is a transaction's, which commits what it writes.
    Transaction,
}

/// Whether a write under lock `id` may happen; gives the lock that it happens under.
pub fn may_write<'a>(control: &'a Control, id: Option<&str>, now: Timestamp) -> Result<Option<&'a Held>, WriteRefusal> {
    let Some(id) = id else {
        return match (control.live_lock(now), control.live_txs(now).count()) {
            (Some(held), _) => Err(WriteRefusal::Locked(Box::new(held.clone()))),
            (None, 0) => Ok(None),
            (None, open) => Err(WriteRefusal::Transactions(open)),
        };
    };
    match &control.lock {
        Some(held) if held.id == id => Ok(Some(held)),
        _ if control.tx(id).is_some() => Err(WriteRefusal::Transaction),
        _ if control.plans.iter().any(|plan| plan.id == id) => Err(WriteRefusal::PlanLock),
        _ => Err(WriteRefusal::NotTheLock { holder: control.live_lock(now).cloned().map(Box::new) }),
    }
}

/// A lease too long for the calendar never ends.
fn lease_until(lease: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
    lease.map(|lease| now.checked_add(lease).unwrap_or(Timestamp::MAX))
}

fn next_fence(control: &mut Control) -> u64 {
    control.fence += 1;
    control.fence
}

fn held(ask: &Ask, fence: u64, now: Timestamp) -> Held {
    Held {
        id: ask.id.clone(),
        raw: ask.raw.clone(),
        who: ask.who.clone(),
        operation: ask.operation.clone(),
        tool: ask.tool.clone(),
        token: ask.token.clone(),
        since: now,
        last_seen: now,
        fence,
        attempt: ask.attempt.clone(),
        lease_until: lease_until(ask.lease, now),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tx_tests;
