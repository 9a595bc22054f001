//! Taking locks, waiting for them, and giving them back.

use std::ops::RangeInclusive;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use stateward_store::outside::{LockInfo, OPERATION_PLAN};
use tokio::time::{Instant, timeout_at};

use crate::access::{Caller, Right};
use crate::audit::{AuditItem, Deed};
use crate::backend::{Backend, Beside, Moment, Step};
use crate::claim::{Claims, Ending};
use crate::control::{Control, Group, Held, Mode, OpenTx};
use crate::error::{Error, Kind, Result};
use crate::locks::{self, Answer, Ask, HEARTBEAT, Renewal};
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::settings::PlanLocks;

/// A waiting request looks at the record this often, in case another server changed it.
const LOOK: Duration = Duration::from_secs(1);

/// The leases that a lock may have. A longer one would be no sign of life.
const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// What locks and queue may take of the control record, so that there is always room for the head.
const LOCK_BYTES_MAX: usize = 216 << 10;
/// What is noted of a lock that ended by its lease.
const LAPSED: &str = "its lease had lapsed when somebody else asked for the lock";

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

/// How far a request got with the lock outside.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    /// There is none, or it does not matter.
    NotNeeded,
    /// It was not asked for: the lock here would not be granted, or those who hold it here are joined.
    NotYet,
    /// It is ours, as this.
    Taken(Group),
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
    /// The lock outside, once it may have been taken.
    reached_outside: Option<Group>,
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
            if let Err(error) = backend.abandon(&state, &id, &attempt, outside).await {
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
        self.queue_up(caller, state, ask, request.wait).await
    }

    /// Takes what is asked for, waiting for it where asked to.
    pub(super) async fn queue_up(
        &self,
        caller: &Caller,
        state: &StateId,
        ask: Ask,
        wait: Option<Duration>,
    ) -> Result<Grant> {
        let presence = Presence {
            backend: self.clone(),
            state: state.clone(),
            id: ask.id.clone(),
            attempt: ask.attempt.clone(),
            gone_matters: true,
            reached_outside: None,
        };
        let wait = wait.unwrap_or(self.settings().lock_wait).min(self.settings().limits.wait);
        self.wait_for(caller, state, ask, Instant::now() + wait, presence).await
    }

    pub(super) fn ask(&self, caller: &Caller, request: &LockRequest) -> Result<Ask> {
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
            tx: None,
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
                Answer::Held { by, over, ahead, .. } if !ask.waiting => {
                    presence.stay();
                    return Err(held_by(state, &by, over.as_deref(), ahead));
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
            let claims = self.claims(state, &control).await?;
            let limits = &self.settings().limits;
            if let Answer::Granted { .. } = locks::lock(&mut control, ask, &claims, limits, self.now()) {
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
            if let (Reach::Taken(outside), false) = (&reach, matches!(answer, Ok(Some(Answer::Granted { .. })))) {
                self.unlock_outside(state, &outside.id, &outside.raw).await?;
                presence.reached_outside = None;
            }
            if let Some(answer) = answer? {
                return Ok((answer, matches!(reach, Reach::Held(_))));
            }
        }
    }

    /// Takes the lock outside, if the one here would be granted as far as this process knows, and is not held for a group already.
    async fn reach_outside(&self, state: &StateId, ask: &Ask, presence: &mut Presence) -> Result<Reach> {
        if self.shared.outside.locks.is_none() || ask.mode == Mode::Plan {
            return Ok(Reach::NotNeeded);
        }
        let mut control = self.glance(state).await?;
        let all_lapsed = !control.txs.is_empty() && !control.has_live_txs(self.now());
        if control.lock.as_ref().is_some_and(|held| held.has_lapsed(self.now()))
            || (ask.mode == Mode::Whole && all_lapsed)
        {
            // Let go here first: what is let go of here may be taken away outside.
            control = self.let_lapsed_go(state).await?;
        }
        let claims = self.claims(state, &control).await?;
        let answer = locks::lock(&mut control, ask, &claims, &self.settings().limits, self.now());
        if !matches!(answer, Answer::Granted { again: false, .. }) || ask.joins(&control) {
            return Ok(Reach::NotYet);
        }
        let outside = match ask.mode {
            Mode::Resources => self.group(ask),
            _ => Group { id: ask.id.clone(), raw: ask.raw.clone() },
        };
        presence.reached_outside = Some(outside.clone());
        let holder = self.lock_outside(state, &outside.id, &outside.raw).await?;
        Ok(holder.map_or(Reach::Taken(outside), Reach::Held))
    }

    /// The lock outside that is to be held for all transactions that are open at the same time.
    fn group(&self, ask: &Ask) -> Group {
        let info = LockInfo {
            id: self.new_id(),
            operation: ask.operation.clone(),
            info: "open transactions of stateward: `stateward tx list` shows them".to_owned(),
            who: ask.who.clone(),
            version: ask.tool.clone(),
            created: self.now().to_string(),
            ..LockInfo::default()
        };
        Group { id: info.id.clone(), raw: info.to_json() }
    }

    async fn let_lapsed_go(&self, state: &StateId) -> Result<Control> {
        let claims = self.claims(state, &self.glance(state).await?).await?;
        self.update(state, None, |control, moment| {
            let lapsed: Vec<OpenTx> = match control.has_live_txs(moment.now) {
                false => control.txs.drain(..).collect(),
                true => Vec::new(),
            };
            let lock = control.lock.take_if(|held| held.has_lapsed(moment.now));
            if lapsed.is_empty() && lock.is_none() {
                return Ok(Step::Keep(()));
            }
            control.disband();
            let mut beside = lapse_all(state, &lapsed, &claims, moment);
            if let Some(lapsed) = lock {
                control.note_released(&lapsed.id);
                beside.notes.push(lapse_note(state, &lapsed.who, &lapsed.id, moment));
            }
            Ok(Step::Publish((), beside))
        })
        .await?;
        self.glance(state).await
    }

    /// Decides on the control record. Nothing where the lock would be granted, and the one outside was not asked for yet; or where
    /// transactions have come that have to be known first.
    async fn ask_here(&self, caller: &Caller, state: &StateId, ask: &Ask, reach: &Reach) -> Result<Option<Answer>> {
        let limits = &self.settings().limits;
        let claims = self.claims(state, &self.glance(state).await?).await?;
        let asking = Asking { caller, state, ask, claims: &claims };
        self.update(state, None, |control, moment| {
            if !claims.know_all(control) {
                return Ok(Step::Keep(None));
            }
            let before = Before::of(control, ask, moment.now);
            let answer = match reach {
                Reach::Held(outsider) if !control.keeps_out(moment.now) => {
                    locks::lock_behind(control, ask, &claims, outsider, limits, moment.now)
                }
                _ => locks::lock(control, ask, &claims, limits, moment.now),
            };
            if matches!(answer, Answer::Granted { again: false, .. }) {
                match reach {
                    Reach::NotYet if !ask.joins(control) => return Ok(Step::Keep(None)),
                    Reach::Taken(outside) if ask.mode == Mode::Resources => control.group = Some(outside.clone()),
                    _ => {}
                }
            }
            if control.lock_bytes() > before.lock_bytes.max(LOCK_BYTES_MAX) {
                return Ok(Step::Keep(Some(Answer::QueueFull)));
            }
            Ok(match asking.beside(&answer, &before, control, moment) {
                Some(beside) => Step::Publish(Some(answer), beside),
                None => Step::Keep(Some(answer)),
            })
        })
        .await
    }

    async fn abandon(&self, state: &StateId, id: &str, attempt: &str, outside: Option<Group>) -> Result<()> {
        let claims = self.claims(state, &self.glance(state).await?).await?;
        let returned = self
            .update(state, None, |control, moment| {
                let tx = control.tx(id).filter(|tx| tx.attempt == attempt).cloned();
                let was_held = tx.is_some() || control.held(id).is_some_and(|(_, held)| held.attempt == attempt);
                // Where nothing is to be given up, its commit may still be on its way: this write comes in between, so that it loses
                // and is seen.
                locks::abandon(control, id, attempt);
                let disbanded = control.disband();
                let keeps_outside = control.held(id).is_some() || (control.group.is_some() && control.group == outside);
                let returned = disbanded.or_else(|| outside.clone().filter(|_| !keeps_outside));
                let mut beside = Beside::default();
                if was_held {
                    let detail = "the client was gone before it got the lock".to_owned();
                    let audit = AuditItem {
                        lock_id: Some(id.to_owned()),
                        detail: detail.clone(),
                        ..AuditItem::new(moment.now, Deed::Unlock, Some(state))
                    };
                    beside.notes.push(audit);
                    let ended =
                        claims.get(id).map(|record| record.ended(Ending::Aborted, &detail, tx.as_ref(), moment.now));
                    beside.records.extend(ended.map(|record| record.write(state)));
                }
                Ok(Step::Publish(returned, beside))
            })
            .await?;
        if let Some(outside) = returned {
            self.unlock_outside(state, &outside.id, &outside.raw).await?;
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
}

fn lapse_note(state: &StateId, who: &str, id: &str, moment: &Moment) -> AuditItem {
    AuditItem {
        who: who.to_owned(),
        lock_id: Some(id.to_owned()),
        detail: LAPSED.to_owned(),
        ..AuditItem::new(moment.now, Deed::Unlock, Some(state))
    }
}

/// What is noted and recorded of transactions that lapsed.
fn lapse_all<'a>(
    state: &StateId,
    lapsed: impl IntoIterator<Item = &'a OpenTx>,
    claims: &Claims,
    moment: &Moment,
) -> Beside {
    let mut beside = Beside::default();
    for tx in lapsed {
        let record = claims.get(&tx.id);
        let who = record.map_or("", |record| &record.who);
        beside.notes.push(lapse_note(state, who, &tx.id, moment));
        let ended = record.map(|record| record.ended(Ending::Lapsed, LAPSED, Some(tx), moment.now));
        beside.records.extend(ended.map(|record| record.write(state)));
    }
    beside
}

/// What an answer changes, as it was.
struct Before {
    lock_bytes: usize,
    /// Who asks has a place in the queue already.
    is_known: bool,
    lapsed_lock: Option<Held>,
    lapsed_txs: Vec<OpenTx>,
}

impl Before {
    fn of(control: &Control, ask: &Ask, now: Timestamp) -> Self {
        Self {
            lock_bytes: control.lock_bytes(),
            is_known: control.queue.iter().any(|ticket| ticket.id == ask.id),
            lapsed_lock: control.lock.as_ref().filter(|held| held.has_lapsed(now)).cloned(),
            lapsed_txs: control.txs.iter().filter(|tx| tx.has_lapsed(now)).cloned().collect(),
        }
    }
}

/// A request that is being decided.
struct Asking<'a> {
    caller: &'a Caller,
    state: &'a StateId,
    ask: &'a Ask,
    claims: &'a Claims,
}

impl Asking<'_> {
    /// What is written with an answer; nothing where there is nothing to publish.
    fn beside(&self, answer: &Answer, before: &Before, after: &Control, moment: &Moment) -> Option<Beside> {
        let Self { caller, state, ask, claims } = *self;
        let note = |deed, detail: String| AuditItem {
            who: ask.who.clone(),
            lock_id: Some(ask.id.clone()),
            detail,
            ..AuditItem::by(caller, moment.now, deed, Some(state))
        };
        let mut beside = match answer {
            Answer::Granted { again: false, .. } => {
                let lapsed = before.lapsed_txs.iter().filter(|tx| after.tx(&tx.id).is_none());
                let mut beside = lapse_all(state, lapsed, claims, moment);
                let lapsed = before.lapsed_lock.as_ref().filter(|held| after.held(&held.id).is_none());
                beside.notes.extend(lapsed.map(|lapsed| lapse_note(state, &lapsed.who, &lapsed.id, moment)));
                beside.notes.insert(0, note(Deed::Lock, ask.operation.clone()));
                beside
            }
            Answer::Held { by, over, first_try: true, .. } => {
                let over = over.as_ref().map_or_else(String::new, |over| format!(" ({over})"));
                note(Deed::Refuse, format!("LOCK: held by {}{over}", holder_of(by))).into()
            }
            Answer::QueueFull => return None,
            _ => return Some(Beside::default()),
        };
        beside.records.extend(ask.tx.iter().filter(|_| !before.is_known).map(|record| record.write(state)));
        Some(beside)
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

pub(super) fn held_by(state: &StateId, raw: &str, over: Option<&str>, ahead: usize) -> Error {
    let info = LockInfo::parse(raw.as_bytes()).unwrap_or_default();
    let holder = if info.who.is_empty() { "somebody".to_owned() } else { info.who };
    let queue = if ahead > 0 { format!("; {ahead} wait before you") } else { String::new() };
    let what = over.unwrap_or("it");
    let why = match info.id.as_str() {
        "" => format!("{holder} holds {what} or did a moment ago; whose lock that is cannot be read{queue}"),
        id => format!("{holder} holds {what} or is next ({}, lock {id}){queue}", info.operation),
    };
    let next = "wait for it (`-lock-timeout=10m`, or `?wait=10m` in the lock address), or see `stateward lock list`";
    let error = Error::new(Kind::Locked, format!("`{state}` is locked"), why, next);
    error.held_by(Bytes::copy_from_slice(raw.as_bytes())).over(over.map(str::to_owned))
}
