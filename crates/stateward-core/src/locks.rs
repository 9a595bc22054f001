//! Locks: who may hold a state, in what order, and when a place in the queue lapses. Pure steps on a [`Control`] record.
//!
//! A *whole* lock excludes other whole locks. *Plan* locks are shared, never wait and never keep anybody waiting, because a reader
//! sees the last commit anyway; they cannot write.
//!
//! The queue is first come, first served. A client that holds its connection open keeps its place until the connection ends. One
//! that polls with the same lock ID keeps its place from its first try, and counts from its second: whoever asks only once does not
//! hold up the others after it is gone.
//!
//! A lock may have a *lease*, which its holder renews. Once that has lapsed it keeps nobody out; its holder may still write under it
//! and renew it for as long as nobody else has taken it. A lock without a lease never lapses.

use std::time::Duration;

use jiff::SignedDuration;

use crate::control::{Control, Held, Mode, Ticket};
use crate::ports::Timestamp;

/// A waiting request says so at least this often.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// A waiting request that has not been heard of for so long is gone with its server.
const WAITING_LAPSES: SignedDuration = SignedDuration::from_secs(20);
/// The longest gap between two polls that is waited for.
const RHYTHM_MAX_S: i64 = 60;
/// A place is given up for good after so long a silence.
const GONE_AFTER: SignedDuration = SignedDuration::from_mins(2);

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
        /// How many are before it in the queue.
        ahead: usize,
        /// The first try of this lock ID.
        first_try: bool,
    },
    /// The queue is full: it has no place.
    QueueFull,
}

/// Decides a LOCK request and notes the outcome.
pub fn lock(control: &mut Control, ask: &Ask, queue_max: usize, plans_max: usize, now: Timestamp) -> Answer {
    if let Some(again) = again(control, ask, now) {
        return again;
    }
    if ask.mode == Mode::Plan {
        let fence = next_fence(control);
        control.plans.retain(|held| !held.has_lapsed(now));
        control.plans.push(held(ask, fence, now));
        let surplus = control.plans.len().saturating_sub(plans_max.max(1));
        let evicted: Vec<Held> = control.plans.drain(..surplus).collect();
        evicted.iter().for_each(|held| control.note_released(&held.id));
        return Answer::Granted { fence, again: false };
    }
    control.queue.retain(|ticket| ticket.id == ask.id || !ticket.is_gone(now));
    let place = control.queue.iter().position(|ticket| ticket.id == ask.id);
    let before = &control.queue[..place.unwrap_or(control.queue.len())];
    let first_in_line = before.iter().find(|ticket| ticket.counts(now));
    let in_the_way = control.live_lock(now).map(|held| &held.raw).or(first_in_line.map(|ticket| &ticket.raw)).cloned();
    let ahead = before.iter().filter(|ticket| ticket.counts(now)).count();
    let Some(by) = in_the_way else {
        control.queue.retain(|ticket| ticket.id != ask.id);
        let fence = next_fence(control);
        if let Some(lapsed) = control.lock.replace(held(ask, fence, now)) {
            control.note_released(&lapsed.id);
        }
        return Answer::Granted { fence, again: false };
    };
    queue_up(control, ask, by, ahead, queue_max, now)
}

/// Decides a LOCK request while somebody who does not come through here holds the lock outside: it waits its turn.
pub fn lock_behind(control: &mut Control, ask: &Ask, outsider: &str, queue_max: usize, now: Timestamp) -> Answer {
    let ahead =
        control.queue.iter().take_while(|ticket| ticket.id != ask.id).filter(|ticket| ticket.counts(now)).count();
    queue_up(control, ask, outsider.to_owned(), ahead, queue_max, now)
}

fn queue_up(control: &mut Control, ask: &Ask, by: String, ahead: usize, queue_max: usize, now: Timestamp) -> Answer {
    let place = control.queue.iter().position(|ticket| ticket.id == ask.id);
    match place {
        Some(place) => control.queue[place].ask_again(ask, now),
        None if control.queue.len() < queue_max => control.queue.push(Ticket::new(ask, now)),
        None => return Answer::QueueFull,
    }
    Answer::Held { by, ahead, first_try: place.is_none() }
}

/// A request for a lock that its ID holds already gets it again: clients repeat what they got no answer to.
fn again(control: &mut Control, ask: &Ask, now: Timestamp) -> Option<Answer> {
    let whole = control.lock.iter_mut().map(|held| (Mode::Whole, held));
    let plans = control.plans.iter_mut().map(|held| (Mode::Plan, held));
    let (mode, held) = whole.chain(plans).find(|(_, held)| held.id == ask.id)?;
    if mode != ask.mode || held.token != ask.token {
        return Some(Answer::Held { by: held.raw.clone(), ahead: 0, first_try: false });
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
    let mine = |held: &Held| held.id == id && held.attempt == attempt;
    let before = (control.queue.len(), control.plans.len(), control.lock.is_some());
    control.queue.retain(|ticket| !(ticket.id == id && ticket.attempt == attempt));
    control.plans.retain(|held| !mine(held));
    control.lock.take_if(|held| mine(held));
    before != (control.queue.len(), control.plans.len(), control.lock.is_some())
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
}

/// Whether a write under lock `id` may happen; gives the lock that it happens under.
pub fn may_write<'a>(control: &'a Control, id: Option<&str>, now: Timestamp) -> Result<Option<&'a Held>, WriteRefusal> {
    let Some(id) = id else {
        return match control.live_lock(now) {
            None => Ok(None),
            Some(held) => Err(WriteRefusal::Locked(Box::new(held.clone()))),
        };
    };
    match &control.lock {
        Some(held) if held.id == id => Ok(Some(held)),
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

impl Ticket {
    fn new(ask: &Ask, now: Timestamp) -> Self {
        Self {
            id: ask.id.clone(),
            raw: ask.raw.clone(),
            who: ask.who.clone(),
            operation: ask.operation.clone(),
            since: now,
            last_seen: now,
            polls: 1,
            gap_s: 0,
            waiting: ask.waiting,
            attempt: ask.attempt.clone(),
        }
    }

    fn ask_again(&mut self, ask: &Ask, now: Timestamp) {
        if self.attempt != ask.attempt || (self.waiting && !ask.waiting) {
            self.polls = self.polls.saturating_add(1);
            self.gap_s = u32::try_from(now.duration_since(self.last_seen).as_secs()).unwrap_or(0);
            self.attempt.clone_from(&ask.attempt);
        }
        self.waiting = ask.waiting;
        self.last_seen = now;
    }

    /// Whether others wait for it: it waits on an open connection or has come back at least once, and can be expected to do so
    /// again.
    pub fn counts(&self, now: Timestamp) -> bool {
        (self.waiting || self.polls > 1) && !self.has_lapsed(now)
    }

    /// Whether it is overdue. It no longer holds others up, but keeps its place in case it comes.
    ///
    /// Terraform polls after 1, 2, 4, 8 and then every 16 seconds; others keep a rhythm of their own.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        let rhythm = (i64::from(self.gap_s) * 3 / 2 + 2).min(RHYTHM_MAX_S);
        let patience = match self.waiting {
            true => WAITING_LAPSES,
            false => SignedDuration::from_secs(rhythm.max((1 << self.polls.min(4)) + 3)),
        };
        self.silence(now) > patience
    }

    fn is_gone(&self, now: Timestamp) -> bool {
        self.silence(now) > GONE_AFTER
    }

    /// A clock that was set back counts like one that went on.
    fn silence(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.last_seen).abs()
    }
}

#[cfg(test)]
mod tests;
