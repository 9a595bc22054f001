//! Taking locks, waiting for them, and giving them back.

use std::ops::RangeInclusive;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::access::{Caller, Right};
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Beside, Moment, Step};
use crate::control::{Control, Held, Mode};
use crate::error::{Error, Kind, Result};
use crate::lockinfo::{LockInfo, OPERATION_PLAN};
use crate::locks::{self, Answer, Ask, HEARTBEAT, Release, Released, Renewal};
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::settings::{ForceUnlock, PlanLocks};

/// A waiting request looks at the record this often, in case another server changed it.
const LOOK: Duration = Duration::from_secs(1);

/// The leases that a lock may have. A longer one would be no sign of life.
const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// What locks and queue may take of the control record, so that there is always room for the head.
const LOCK_BYTES_MAX: usize = 160 << 10;

/// Terraform's LOCK.
#[derive(Debug, Clone, Default)]
pub struct LockRequest {
    /// The lock information as it was sent.
    pub raw: Bytes,
    /// How long to wait in the queue; `None` for what the settings say.
    pub wait: Option<Duration>,
    /// How long the lock holds unless it is [renewed](Backend::renew), 1 s to 1 h; `None` for a lock that does not end by itself.
    pub lease: Option<Duration>,
}

/// A lock that was granted.
///
/// Until [`Grant::delivered`] is called, dropping it takes the lock back: a client that is gone before it gets the answer would
/// never release it.
#[derive(Debug)]
pub struct Grant {
    /// The grant's number.
    pub fence: u64,
    /// It was held by this lock ID before: a repeated request.
    pub again: bool,
    /// What it allows.
    pub mode: Mode,
    presence: Presence,
}

impl Grant {
    /// The client has got the answer.
    pub fn delivered(mut self) {
        self.presence.stay();
    }
}

/// What an UNLOCK did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlocked {
    /// IDs of the locks that were released; none where there was nothing to release.
    pub released: Vec<String>,
}

/// How far a request got with the lock outside.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    /// There is none, or it does not matter.
    NotNeeded,
    /// It was not asked for: the lock here would not be granted.
    NotYet,
    /// It is ours.
    Taken,
    /// Somebody else holds it; this is their lock information.
    Held(String),
}

/// Stands for a client on its connection: gone when dropped.
#[derive(Debug)]
struct Presence {
    backend: Backend,
    state: StateId,
    id: String,
    attempt: String,
    gone_matters: bool,
    /// The lock information, once the lock outside may have been taken with it.
    reached_outside: Option<String>,
}

impl Presence {
    fn stay(&mut self) {
        self.gone_matters = false;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.gone_matters {
            return;
        }
        let (backend, state) = (self.backend.clone(), self.state.clone());
        let (id, attempt) = (std::mem::take(&mut self.id), std::mem::take(&mut self.attempt));
        let outside = self.reached_outside.take();
        let mut leaving = self.backend.shared.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        while leaving.try_join_next().is_some() {}
        let tidy_up = async move {
            if let Err(error) = backend.abandon(&state, &id, &attempt, outside.as_deref()).await {
                tracing::warn!(%error, "the place of a client that is gone could not be given up; it lapses");
            }
        };
        leaving.spawn_on(tidy_up, &runtime);
    }
}

impl Backend {
    /// Takes a lock, waiting in the queue where asked to. Repeating a LOCK is safe.
    ///
    /// Drop the future, or the [`Grant`], when the client's connection ends: its place or lock is then given up.
    pub async fn lock(&self, caller: &Caller, state: &StateId, request: LockRequest) -> Result<Grant> {
        let ask = self.ask(caller, &request)?;
        let rights: &[Right] = if ask.mode == Mode::Plan { &[Right::Lock, Right::Read] } else { &[Right::Lock] };
        self.audited(caller, state, "LOCK", async { caller.demand(rights, state) }).await?;
        let presence = Presence {
            backend: self.clone(),
            state: state.clone(),
            id: ask.id.clone(),
            attempt: ask.attempt.clone(),
            gone_matters: true,
            reached_outside: None,
        };
        let wait = request.wait.unwrap_or(self.settings().lock_wait).min(self.settings().limits.wait);
        self.wait_for(caller, state, ask, Instant::now() + wait, presence).await
    }

    fn ask(&self, caller: &Caller, request: &LockRequest) -> Result<Ask> {
        let invalid = |why: String| {
            Error::new(Kind::Invalid, "the lock was not taken", why, "send Terraform's lock information, with an `ID`")
        };
        let limit = self.settings().limits.lock_bytes;
        if request.raw.len() > limit {
            return Err(invalid(format!("the lock information is longer than {limit} bytes")));
        }
        if let Some(lease) = request.lease {
            check_lease(lease)?;
        }
        let info = LockInfo::parse(&request.raw).map_err(invalid)?;
        let raw = String::from_utf8(request.raw.to_vec()).map_err(|_| invalid("the body is not UTF-8".to_owned()))?;
        let plan = info.operation == OPERATION_PLAN && self.settings().plan_locks == PlanLocks::Shared;
        Ok(Ask {
            id: info.id,
            raw,
            who: if info.who.is_empty() { caller.name.clone() } else { info.who },
            operation: info.operation,
            tool: info.version,
            token: caller.token.clone(),
            mode: if plan { Mode::Plan } else { Mode::Whole },
            waiting: false,
            attempt: self.new_id(),
            lease: request.lease,
        })
    }

    async fn wait_for(
        &self,
        caller: &Caller,
        state: &StateId,
        mut ask: Ask,
        deadline: Instant,
        mut presence: Presence,
    ) -> Result<Grant> {
        loop {
            ask.waiting = deadline > Instant::now();
            let (answer, outsider) = self.try_lock(caller, state, &ask, &mut presence).await?;
            match answer {
                Answer::Granted { fence, again } => return Ok(Grant { fence, again, mode: ask.mode, presence }),
                Answer::QueueFull => {
                    presence.stay();
                    let why = format!("{} clients wait for it already", self.settings().limits.queue);
                    let error = Error::new(Kind::Unavailable, "the lock was not taken", why, "try again later");
                    return Err(error.retry_after(HEARTBEAT));
                }
                Answer::Held { by, ahead, .. } if !ask.waiting => {
                    presence.stay();
                    return Err(held_by(state, &by, ahead));
                }
                // Nothing here tells when a lock outside is given back.
                Answer::Held { .. } if outsider => {
                    tokio::time::sleep_until(deadline.min(Instant::now() + HEARTBEAT)).await;
                }
                Answer::Held { .. } => self.rest(state, &ask, deadline).await?,
            }
        }
    }

    /// Waits until asking again would help, the place has to be confirmed, or the time is up.
    async fn rest(&self, state: &StateId, ask: &Ask, deadline: Instant) -> Result<()> {
        let latch = self.latch(state);
        let until = deadline.min(Instant::now() + HEARTBEAT);
        // One of those who wait here looks for all of them.
        let mut looker = None;
        while Instant::now() < until {
            looker = looker.or_else(|| latch.looker());
            let bell = latch.bell();
            tokio::pin!(bell);
            bell.as_mut().enable();
            // The bell rings for everybody who waits: look first, so that only who comes next writes.
            let mut control = match looker {
                Some(_) => self.control(state).await?.0,
                None => self.glance(state).await?,
            };
            let limits = &self.settings().limits;
            if let Answer::Granted { .. } = locks::lock(&mut control, ask, limits.queue, limits.plan_locks, self.now())
            {
                return Ok(());
            }
            // Another server's unlock rings no bell here.
            let _rung = timeout_at(until.min(Instant::now() + LOOK), bell).await;
        }
        Ok(())
    }

    /// Asks for the lock here, and for the one outside where it would be granted. True with the answer where somebody holds the one
    /// outside.
    async fn try_lock(
        &self,
        caller: &Caller,
        state: &StateId,
        ask: &Ask,
        presence: &mut Presence,
    ) -> Result<(Answer, bool)> {
        loop {
            let reach = self.reach_outside(state, ask, presence).await?;
            let answer = self.ask_here(caller, state, ask, &reach).await;
            if reach == Reach::Taken && !matches!(answer, Ok(Some(Answer::Granted { .. }))) {
                self.unlock_outside(state, &ask.id, &ask.raw).await?;
                presence.reached_outside = None;
            }
            if let Some(answer) = answer? {
                return Ok((answer, matches!(reach, Reach::Held(_))));
            }
        }
    }

    /// Takes the lock outside, if the one here would be granted as far as this process knows.
    async fn reach_outside(&self, state: &StateId, ask: &Ask, presence: &mut Presence) -> Result<Reach> {
        if self.shared.outside.locks.is_none() || ask.mode == Mode::Plan {
            return Ok(Reach::NotNeeded);
        }
        let limits = &self.settings().limits;
        let mut control = self.glance(state).await?;
        if control.lock.as_ref().is_some_and(|held| held.has_lapsed(self.now())) {
            // Let go here first: what is let go of here may be taken away outside.
            control = self.let_lapsed_go(state).await?;
        }
        let answer = locks::lock(&mut control, ask, limits.queue, limits.plan_locks, self.now());
        if !matches!(answer, Answer::Granted { again: false, .. }) {
            return Ok(Reach::NotYet);
        }
        presence.reached_outside = Some(ask.raw.clone());
        let holder = self.lock_outside(state, &ask.id, &ask.raw).await?;
        Ok(holder.map_or(Reach::Taken, Reach::Held))
    }

    async fn let_lapsed_go(&self, state: &StateId) -> Result<Control> {
        self.update(state, None, |control, moment| {
            let Some(lapsed) = control.lock.take_if(|held| held.has_lapsed(moment.now)) else {
                return Ok(Step::Keep(()));
            };
            control.note_released(&lapsed.id);
            Ok(Step::Publish((), lapse_note(state, &lapsed, moment).into()))
        })
        .await?;
        self.glance(state).await
    }

    /// Decides on the control record. Nothing where the lock would be granted, and the one outside was not asked for yet.
    async fn ask_here(&self, caller: &Caller, state: &StateId, ask: &Ask, reach: &Reach) -> Result<Option<Answer>> {
        let limits = &self.settings().limits;
        self.update(state, None, |control, moment| {
            let before = control.lock_bytes();
            let lapsed = control.lock.clone().filter(|held| held.has_lapsed(moment.now));
            let answer = match reach {
                Reach::Held(outsider) if control.live_lock(moment.now).is_none() => {
                    locks::lock_behind(control, ask, outsider, limits.queue, moment.now)
                }
                _ => locks::lock(control, ask, limits.queue, limits.plan_locks, moment.now),
            };
            if *reach == Reach::NotYet && matches!(answer, Answer::Granted { again: false, .. }) {
                return Ok(Step::Keep(None));
            }
            if control.lock_bytes() > before.max(LOCK_BYTES_MAX) {
                return Ok(Step::Keep(Some(Answer::QueueFull)));
            }
            let note = |deed, detail: String| {
                let audit = AuditItem {
                    who: ask.who.clone(),
                    lock_id: Some(ask.id.clone()),
                    detail,
                    ..AuditItem::by(caller, moment.now, deed, Some(state))
                };
                Beside::from(audit)
            };
            let beside = match &answer {
                Answer::Granted { again: false, .. } => {
                    let mut beside = note(Deed::Lock, ask.operation.clone());
                    let taken_from = lapsed.filter(|lapsed| control.held(&lapsed.id).is_none());
                    beside.notes.extend(taken_from.map(|lapsed| lapse_note(state, &lapsed, moment)));
                    beside
                }
                Answer::Held { by, first_try: true, .. } => {
                    note(Deed::Refuse, format!("LOCK: held by {}", holder_of(by)))
                }
                Answer::QueueFull => return Ok(Step::Keep(Some(answer))),
                _ => Beside::default(),
            };
            Ok(Step::Publish(Some(answer), beside))
        })
        .await
    }

    async fn abandon(&self, state: &StateId, id: &str, attempt: &str, outside: Option<&str>) -> Result<()> {
        let holds = self
            .update(state, None, |control, moment| {
                let was_held = control.held(id).is_some_and(|(_, held)| held.attempt == attempt);
                if !locks::abandon(control, id, attempt) {
                    // Its commit may still be on its way: this write comes in between, so that it loses and is seen.
                    return Ok(Step::Publish(control.held(id).is_some(), Beside::default()));
                }
                let mut beside = Beside::default();
                if was_held {
                    let detail = "the client was gone before it got the lock".to_owned();
                    let audit = AuditItem {
                        lock_id: Some(id.to_owned()),
                        detail,
                        ..AuditItem::new(moment.now, Deed::Unlock, Some(state))
                    };
                    beside.notes.push(audit);
                }
                Ok(Step::Publish(false, beside))
            })
            .await?;
        if let Some(raw) = outside.filter(|_| !holds) {
            self.unlock_outside(state, id, raw).await?;
        }
        self.latch(state).ring();
        Ok(())
    }

    /// Renews the lease of the lock `id`: it holds for `lease` from now on. Gives until when; `None` for a lock without a lease.
    ///
    /// A lease that has lapsed is renewed too, unless somebody else has taken the lock: that is a `Conflict`.
    pub async fn renew(
        &self,
        caller: &Caller,
        state: &StateId,
        id: &str,
        lease: Duration,
    ) -> Result<Option<Timestamp>> {
        self.audited(caller, state, "lock renew", async {
            check_lease(lease)?;
            // What a plan's lock takes is enough: whose lock it is, its token tells.
            caller.demand(&[Right::Lock, Right::Read], state)?;
            self.update(state, None, |control, moment| {
                match locks::renew(control, id, caller.token.as_deref(), lease, moment.now) {
                    Renewal::Until(until) => Ok(Step::Publish(Some(until), Beside::default())),
                    Renewal::NoLease => Ok(Step::Keep(None)),
                    Renewal::Lost { holder } => Err(lost(id, holder.as_deref())),
                }
            })
            .await
        })
        .await
    }

    /// Terraform's UNLOCK. An empty body breaks whatever lock is held, an ID alone that one lock; both are `force-unlock`.
    /// Repeating an UNLOCK is safe.
    pub async fn unlock(&self, caller: &Caller, state: &StateId, raw: &[u8]) -> Result<Unlocked> {
        self.audited(caller, state, "UNLOCK", async {
            if raw.is_empty() {
                if self.settings().force_unlock == ForceUnlock::Refused {
                    return Err(Error::new(
                        Kind::Denied,
                        "the lock was not broken",
                        "Terraform's `force-unlock` does not say which lock it means, and the setting `lock.force_unlock` refuses that",
                        format!("use `stateward lock release {state} --id ID`"),
                    ));
                }
                caller.demand(&[Right::ForceUnlock], state)?;
                return self.break_lock(caller, state, None).await;
            }
            let info = LockInfo::parse(raw)
                .map_err(|why| Error::new(Kind::Invalid, "the lock was not released", why, "send the lock information that LOCK was sent"))?;
            let mut control = self.glance(state).await?;
            if control.held(&info.id).is_none() {
                control = self.control(state).await?.0;
            }
            let held = control.held(&info.id);
            // Who holds a lock shows in every 423, so knowing its ID proves nothing.
            let forced = held.is_some_and(|(_, held)| {
                held.token != caller.token || (info.is_id_only() && held.raw.as_bytes() != raw)
            });
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
        })
        .await
    }

    /// Breaks a lock: the one with this ID, or whatever is held.
    pub async fn release(&self, caller: &Caller, state: &StateId, id: Option<&str>) -> Result<Unlocked> {
        self.audited(caller, state, "lock release", async {
            caller.demand(&[Right::ForceUnlock], state)?;
            let outcome = self.break_lock(caller, state, id).await?;
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
            self.unlock_outside(state, &held.id, &held.raw).await?;
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

fn lapse_note(state: &StateId, lapsed: &Held, moment: &Moment) -> AuditItem {
    AuditItem {
        who: lapsed.who.clone(),
        lock_id: Some(lapsed.id.clone()),
        detail: "its lease had lapsed when somebody else asked for the lock".to_owned(),
        ..AuditItem::new(moment.now, Deed::Unlock, Some(state))
    }
}

fn check_lease(lease: Duration) -> Result<()> {
    if LEASE.contains(&lease) {
        return Ok(());
    }
    let why = format!("a lease lasts from {} s to {} s", LEASE.start().as_secs(), LEASE.end().as_secs());
    Err(Error::new(Kind::Invalid, "the lock was not taken or renewed", why, "ask for a lease such as `60s`"))
}

fn lost(id: &str, holder: Option<&Held>) -> Error {
    let (what, next) =
        ("the lock is lost", "what is written under it from now on is refused: run again on the current state");
    match holder {
        Some(held) => {
            let why =
                format!("lock {id} was broken or lapsed, and {} holds the state now (lock {})", held.who, held.id);
            Error::new(Kind::Conflict, what, why, next).held_by(Bytes::from(held.raw.clone()))
        }
        None => Error::new(Kind::Conflict, what, format!("lock {id} is not held: it was broken or has ended"), next),
    }
}

fn holder_of(raw: &str) -> String {
    LockInfo::parse(raw.as_bytes()).map(|info| info.who).unwrap_or_default()
}

pub(super) fn held_by(state: &StateId, raw: &str, ahead: usize) -> Error {
    let info = LockInfo::parse(raw.as_bytes()).unwrap_or_default();
    let holder = if info.who.is_empty() { "somebody".to_owned() } else { info.who };
    let queue = if ahead > 0 { format!("; {ahead} wait before you") } else { String::new() };
    let why = format!("{holder} holds it or is next ({}, lock {}){queue}", info.operation, info.id);
    let next = "wait for it (`-lock-timeout=10m`, or `?wait=10m` in the lock address), or see `stateward lock list`";
    Error::new(Kind::Locked, format!("`{state}` is locked"), why, next).held_by(Bytes::copy_from_slice(raw.as_bytes()))
}

fn not_the_holder(held: &Held) -> Error {
    let why = format!("it is held under another lock ID, {}, by {}", held.id, held.who);
    let next = "release it under its own ID; if its holder is dead, `stateward lock release NAME --id ID`";
    Error::new(Kind::Conflict, "the lock was not released", why, next).held_by(Bytes::from(held.raw.clone()))
}
