//! A run's way to its state: what Terraform asks for, with a patience, a sign of life and a memory that Terraform does not have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use stateward_core::view::Stored;
use stateward_core::{Begin, BodyStream, Claim, Ending, Error, Kind, LockInfo, LockRequest, PlanBase, Result, StateId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::Connection;
use crate::file_body::FileBody;

/// A wait is made of such pieces: each comes with news of who holds the state, and none is too long for a proxy.
const PIECE: Duration = Duration::from_secs(20);
/// How long a server, or the storage, may be away while the lock is waited for.
const AWAY_MAX: Duration = Duration::from_mins(1);
/// Signs of life in the time of a lease.
const BEATS: u32 = 6;

/// How a run wants its state.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Which.
    pub state: StateId,
    /// How long to wait for its lock.
    pub wait: Duration,
    /// How long the lock holds after the last sign of life; 1 s to 1 h.
    pub lease: Duration,
}

/// What a run's user should know while it goes on.
#[derive(Debug, Clone)]
pub enum Event {
    /// It waits, for this holder, and for this address where it does not want the whole state.
    Waits(LockInfo, Option<String>),
    /// It waits because there is no answer.
    Unanswered(Error),
    /// It has waited, and has the lock.
    Granted,
    /// The lock cannot be kept alive at present.
    LeaseInDanger(Error),
    /// It can again.
    LeaseSafe,
    /// The lock is lost.
    LeaseLost(Error),
}

/// A state that was sent here and could not be stored.
#[derive(Debug, Clone)]
pub struct Unsaved {
    /// Its bytes.
    pub body: FileBody,
    /// The transaction that it was written in.
    pub tx: Option<String>,
    /// Why.
    pub error: Error,
}

/// What a session has seen.
#[derive(Debug, Default)]
struct Memory {
    /// Locks that are held, with the lock information that they were taken with.
    held: BTreeMap<String, Bytes>,
    /// The transaction that all of it happens in.
    tx: Option<String>,
    /// The lock that is just being given back.
    returning: Option<String>,
    asked: bool,
    refusal: Option<Error>,
    unsaved: Option<Unsaved>,
}

/// Serves one run. Locks that it takes are kept alive by [`keep_alive`](Self::keep_alive), and given back at the latest by
/// [`close`](Self::close).
pub struct Session {
    connection: Box<dyn Connection>,
    terms: Terms,
    tell: Box<dyn Fn(Event) + Send + Sync>,
    leaving: watch::Sender<bool>,
    writing: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl Session {
    /// A session over a connection; `tell` hears what its user should know.
    pub fn new(connection: Box<dyn Connection>, terms: Terms, tell: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self {
            connection,
            terms,
            tell: Box::new(tell),
            leaving: watch::Sender::new(false),
            writing: tokio::sync::Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// The state's bytes; `None` where there is no state yet.
    pub async fn read(&self) -> Result<Option<BodyStream>> {
        let tx = {
            let mut memory = self.memory();
            memory.asked = true;
            memory.tx.clone()
        };
        if let Some(tx) = tx {
            let pulled = self.connection.pull_in(&self.terms.state, &tx).await?;
            return Ok(pulled.map(|pulled| BodyStream { length: pulled.size, bytes: pulled.bytes }));
        }
        match self.connection.pull(&self.terms.state, None).await {
            Ok(pulled) => Ok(Some(BodyStream { length: pulled.size, bytes: pulled.bytes })),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => {
                self.memory().note_refusal(&error);
                Err(error)
            }
        }
    }

    /// Stores a state. Once its last byte is here, it is stored even if whoever sent it is gone; if that fails, it is kept in
    /// [`unsaved`](Self::unsaved).
    pub async fn write(
        self: &Arc<Self>,
        lock_id: Option<String>,
        md5: Option<[u8; 16]>,
        body: BodyStream,
    ) -> Result<Stored> {
        self.memory().asked = true;
        let body = FileBody::take(body).await?;
        let session = Arc::clone(self);
        let write = tokio::spawn(async move {
            let _turn = session.writing.lock().await;
            let (connection, state, tx) = (&session.connection, &session.terms.state, session.tx());
            let stored = match &tx {
                Some(tx) => connection.commit(state, tx, md5, body.read()).await,
                None => connection.write(state, lock_id.as_deref(), md5, body.read()).await,
            };
            let mut memory = session.memory();
            match &stored {
                Ok(_) => (memory.unsaved, memory.refusal) = (None, None),
                Err(error) => {
                    memory.note_refusal(error);
                    memory.unsaved = Some(Unsaved { body, tx, error: error.clone() });
                }
            }
            stored
        });
        write.await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Bug, "the state was not stored", "the write broke off", "please report it"))
        })
    }

    /// Takes a lock, and waits for it where it is held.
    pub async fn lock(&self, raw: Bytes) -> Result<()> {
        let info = LockInfo::parse(&raw).map_err(|why| {
            Error::new(Kind::Invalid, "the lock was not taken", why, "send Terraform's lock information, with an `ID`")
        })?;
        {
            let mut memory = self.memory();
            memory.asked = true;
            if memory.tx.is_some() {
                // The transaction holds all that the command may write.
                return Ok(());
            }
        }
        let outcome = self
            .wait_for(|wait| {
                let request = LockRequest { raw: raw.clone(), wait: Some(wait), lease: Some(self.terms.lease) };
                self.connection.lock(&self.terms.state, request)
            })
            .await;
        self.note(outcome, info.id, raw)
    }

    /// Begins the transaction that everything from now on happens in, and waits for it where others are in the way.
    pub async fn begin(&self, info: LockInfo, claim: Claim, plan: PlanBase) -> Result<()> {
        let raw = Bytes::from(info.to_json());
        let outcome = self
            .wait_for(|wait| {
                let (raw, claim, plan) = (raw.clone(), claim.clone(), plan.clone());
                let begin = Begin { raw, claim, plan, wait: Some(wait), lease: self.terms.lease };
                self.connection.begin(&self.terms.state, begin)
            })
            .await;
        self.note(outcome, info.id.clone(), raw.clone())?;
        self.memory().tx = Some(info.id);
        Ok(())
    }

    /// Ends the transaction, once what is being stored in it is finished.
    pub async fn finish(&self, ending: Ending) -> Result<()> {
        let _written = self.writing.lock().await;
        let Some(tx) = self.memory().tx.take() else { return Ok(()) };
        self.memory().returning = Some(tx.clone());
        self.connection.finish(&self.terms.state, &tx, ending).await?;
        self.memory().held.remove(&tx);
        Ok(())
    }

    fn tx(&self) -> Option<String> {
        self.memory().tx.clone()
    }

    fn note(&self, outcome: Result<()>, id: String, raw: Bytes) -> Result<()> {
        let mut memory = self.memory();
        match &outcome {
            Ok(()) => {
                memory.held.insert(id, raw);
                memory.refusal = None;
            }
            // Who was asked to end was not refused.
            Err(error) if !*self.leaving.borrow() => memory.note_refusal(error),
            Err(_) => {}
        }
        outcome
    }

    /// Asks again and again, `ask` being told how long it may wait.
    async fn wait_for<F: Future<Output = Result<()>>>(&self, ask: impl Fn(Duration) -> F) -> Result<()> {
        let deadline = Instant::now() + self.terms.wait;
        let (mut wait, mut holder, mut away_since) = (Duration::ZERO, None, None);
        loop {
            let error = tokio::select! {
                biased;
                outcome = ask(wait) => match outcome {
                    Ok(()) => {
                        if holder.is_some() {
                            (self.tell)(Event::Granted);
                        }
                        return Ok(());
                    }
                    Err(error) => error,
                },
                () = self.left(), if !wait.is_zero() => {
                    return Err(Error::new(Kind::Locked, "the lock was not taken", "the run was asked to end", "run it again"));
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            match error.kind() {
                _ if left.is_zero() || *self.leaving.borrow() => return Err(error),
                Kind::Locked => {
                    (away_since, wait) = (None, left.min(PIECE));
                    let by = error.holder().and_then(|raw| LockInfo::parse(raw).ok()).unwrap_or_default();
                    let waits = (by, error.address().map(str::to_owned));
                    if holder.as_ref() != Some(&waits) {
                        (self.tell)(Event::Waits(waits.0.clone(), waits.1.clone()));
                        holder = Some(waits);
                    }
                }
                Kind::Unavailable => {
                    let since = *away_since.get_or_insert_with(|| {
                        (self.tell)(Event::Unanswered(error.clone()));
                        Instant::now()
                    });
                    if since.elapsed() > AWAY_MAX {
                        return Err(error);
                    }
                    let rest = error.retry_after_hint().unwrap_or(Duration::from_secs(1));
                    let _left = timeout(rest.min(left), self.left()).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// Gives a lock back, or breaks one: see [`Connection::unlock`].
    pub async fn unlock(&self, raw: Bytes) -> Result<()> {
        let id = LockInfo::parse(&raw).map(|info| info.id).ok();
        {
            let mut memory = self.memory();
            (memory.asked, memory.returning) = (true, id.clone());
            if memory.tx.is_some() {
                return Ok(());
            }
        }
        self.connection.unlock(&self.terms.state, raw).await?;
        // Without an ID, whatever was held is broken.
        self.memory().held.retain(|held, _| id.as_ref().is_some_and(|id| id != held));
        Ok(())
    }

    /// Keeps the locks that are held alive, for as long as the future is polled.
    pub async fn keep_alive(&self) {
        let every = self.terms.lease / BEATS;
        let mut in_danger = false;
        loop {
            sleep(every).await;
            let ids: Vec<String> = self.memory().held.keys().cloned().collect();
            for id in ids {
                let renewed = timeout(every, self.connection.renew(&self.terms.state, &id, self.terms.lease)).await;
                match renewed.unwrap_or_else(|_| Err(no_answer())) {
                    Ok(()) if in_danger => {
                        in_danger = false;
                        (self.tell)(Event::LeaseSafe);
                    }
                    Err(error) if error.kind() == Kind::Conflict => self.lost(&id, error),
                    Err(error) if !in_danger => {
                        in_danger = true;
                        (self.tell)(Event::LeaseInDanger(error));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }

    fn lost(&self, id: &str, error: Error) {
        let mut memory = self.memory();
        // It may have been given back while its renewal was under way.
        if memory.returning.as_deref() != Some(id) && memory.held.remove(id).is_some() {
            drop(memory);
            (self.tell)(Event::LeaseLost(error));
        }
    }

    /// The run was asked to end: nothing is waited for any more.
    pub fn leave(&self) {
        self.leaving.send_replace(true);
    }

    async fn left(&self) {
        let mut leaving = self.leaving.subscribe();
        // The sender lives as long as `self`, so that this cannot fail.
        let _seen = leaving.wait_for(|leaving| *leaving).await;
    }

    /// Ends the session: what is being stored is finished, and locks that were not given back are.
    pub async fn close(&self) -> Result<()> {
        self.leave();
        let _written = self.writing.lock().await;
        let held = std::mem::take(&mut self.memory().held);
        let mut outcome = Ok(());
        for (_, raw) in held {
            outcome = outcome.and(self.connection.unlock(&self.terms.state, raw).await);
        }
        outcome
    }

    /// Whether anything was asked for at all.
    pub fn was_asked(&self) -> bool {
        self.memory().asked
    }

    /// Why the run did not get the state or its lock, or its state was not taken: because of somebody else, or for lack of a right, which
    /// the command itself only knows as a number.
    pub fn refusal(&self) -> Option<Error> {
        self.memory().refusal.clone()
    }

    /// The last state that was sent here, if it could not be stored.
    pub fn unsaved(&self) -> Option<Unsaved> {
        self.memory().unsaved.clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn note_refusal(&mut self, error: &Error) {
        let by_others = matches!(error.kind(), Kind::Locked | Kind::Conflict | Kind::Stale);
        if by_others || matches!(error.kind(), Kind::Denied | Kind::Unauthenticated | Kind::NoPlace) {
            self.refusal = Some(error.clone());
        }
    }
}

fn no_answer() -> Error {
    Error::new(
        Kind::Unavailable,
        "the lock could not be kept alive",
        "there was no answer in time",
        "it is tried again",
    )
}

#[cfg(test)]
mod tests;
