//! The locks that are held while states are looked at and moved.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stateward_client::Connection;
use stateward_client::transfer::own_lock;
use stateward_core::{Clock, Error, Kind, LockInfo, LockRequest, Result, StateId, Workspace};
use stateward_store::outside::{LockPlace, Taken};
use stateward_store_s3::Options;
use tokio::sync::Mutex;

use super::super::interruption::Interruption;
use super::super::state::bucket::S3State;
use super::super::{Context, TOOL};
use super::NOT_MOVED;
use super::claim::{At, Claim, Left};
use super::setting::Setting;
use super::told::{Check, Status};
use crate::config::Target as Config;
use crate::failure::{self, Failure};
use crate::store::{self, Missing};
use crate::system::SystemClock;

/// How the lock says what it is for.
const OPERATION: &str = "migrate";

/// A lock to take.
#[derive(Clone)]
pub(super) enum Lock<'a> {
    /// Terraform's own, in a bucket and maybe a table.
    Place(&'a S3State, Workspace),
    /// One of a store or server, which can be reached by this.
    State(&'a dyn Connection, &'a str, StateId),
}

impl Lock<'_> {
    fn name(&self) -> String {
        match self {
            Self::Place(place, workspace) => place.title(workspace),
            Self::State(_, _, state) => state.to_string(),
        }
    }

    /// Who holds it: its information, as far as it can be read.
    async fn holder(&self) -> Result<Option<LockInfo>> {
        match self {
            Self::Place(place, workspace) => {
                let raw = place.place().holder(&place.spot(workspace)).await?;
                Ok(raw.map(|raw| LockInfo::parse(&raw).unwrap_or_default()))
            }
            Self::State(connection, _, state) => {
                let held = connection.locks(Some(state)).await?.items.into_iter().next();
                Ok(held.map(|held| LockInfo {
                    id: held.id,
                    who: held.who,
                    operation: held.operation,
                    created: held.created.to_string(),
                    ..LockInfo::default()
                }))
            }
        }
    }

    async fn at(&self) -> At {
        match self {
            Self::Place(place, workspace) => At::Place { url: place.settled_url().await, workspace: workspace.clone() },
            Self::State(_, at, state) => At::State { at: (*at).to_owned(), state: state.clone() },
        }
    }

    /// How to break it.
    fn release(&self, id: &str) -> String {
        match self {
            Self::Place(..) => format!("terraform force-unlock {id}"),
            Self::State(_, _, state) => format!("stateward lock release {state} --id {id}"),
        }
    }

    fn is_held(&self, holder: &LockInfo) -> Error {
        let gone = match self {
            Self::Place(place, workspace) => {
                format!("whether it is gone says: stateward lock inspect {}", place.argument(workspace))
            }
            Self::State(..) => format!("if it is gone: {}", self.release(&holder.id)),
        };
        held(&self.name(), holder, Some(&gone))
    }
}

/// Refuses because somebody holds a state. `gone`: what to do where the holder is no more.
pub(super) fn held(name: &str, holder: &LockInfo, gone: Option<&str>) -> Error {
    let LockInfo { who, created, operation, id, .. } = holder;
    let why = match who.is_empty() {
        true => format!("somebody holds `{name}`, and does not say who"),
        false => format!("{who} holds `{name}` since {created} ({operation}, lock {id})"),
    };
    let next = ["wait for the end of that run"].into_iter().chain(gone).collect::<Vec<_>>().join("; ");
    Error::new(Kind::Locked, NOT_MOVED, why, next)
}

/// Locks that are held, all under one ID. Each is written down first, for the next run in this directory if this one is killed.
pub(super) struct Locks<'a> {
    claim: Claim,
    info: LockInfo,
    raw: Bytes,
    held: Vec<Lock<'a>>,
    /// Held while a lock is asked for.
    taking: Arc<Mutex<()>>,
}

impl<'a> Locks<'a> {
    /// `to`: what people read.
    pub(super) fn new(context: &Context, setting: &Setting, to: &str) -> Self {
        let claim = Claim::read(&setting.data_dir);
        let tool = TOOL.split_once('/').map_or(TOOL, |(_, version)| version);
        // An ID of its own: two runs of one person on one machine do not take each other's locks for theirs.
        let unique = hex::encode(store::seed());
        let info = own_lock(OPERATION, &[&unique], format!("to {to}"), &context.who(), tool, SystemClock.now());
        let raw = Bytes::from(serde_json::to_vec(&info).unwrap_or_default());
        Self { claim, info, raw, held: Vec::new(), taking: Arc::default() }
    }

    /// There is something to say of locks of earlier runs.
    pub(super) fn were_left(&self) -> bool {
        !self.claim.left().is_empty() || !self.claim.copied().is_empty()
    }

    /// An earlier run was cut off, maybe with no lock any more.
    pub(super) fn were_cut_off(&self) -> bool {
        self.claim.is_there()
    }

    /// Refuses where locks could not be written down.
    pub(super) fn can_be_noted(&self) -> Result<()> {
        self.claim.can_be_held()
    }

    /// Before any is taken: from now on no other run in this directory is, and what earlier ones left is given back. What could not be
    /// given back, and is in nobody's way here, is told.
    pub(super) async fn begin(&mut self, context: &Context, known: &[Lock<'_>]) -> Result<Vec<Check>> {
        self.claim.hold()?;
        let mut told = Vec::new();
        for left in self.claim.left().to_vec() {
            let mut here = None;
            for lock in known {
                if lock.at().await == left.at {
                    here = Some(lock);
                }
            }
            let given = match here {
                Some(lock) => Ok(self.unlock(lock, &left.id).await?),
                None => self.give_back_elsewhere(context, &left).await,
            };
            match given {
                Ok(()) => self.claim.gave(&left)?,
                Err(failure) => {
                    let why = failure.message().map(|message| message.why).unwrap_or_default();
                    told.push(format!("an earlier run may have left a lock, and it cannot be given back ({why})"));
                    let gone = match failure {
                        Failure::Refused(error) if matches!(error.kind(), Kind::NotFound | Kind::NoPlace) => {
                            format!("; if that place is gone for good, delete `{}`", self.claim.path().display())
                        }
                        _ => String::new(),
                    };
                    told.push(format!("see whether it is there, and give it back: {}{gone}", left.command()));
                }
            }
        }
        for left in self.claim.copied() {
            told.push(format!(
                "the data directory is a copy of another; if no `stateward migrate` is at work there, give back what it left: {}",
                left.command()
            ));
        }
        Ok(told.into_iter().map(|title| Check::new("left-lock", Status::Warn, title)).collect())
    }

    /// Gives back a lock at a place that this run has nothing to do with.
    async fn give_back_elsewhere(&self, context: &Context, left: &Left) -> failure::Result<()> {
        let wrong = |why: String| Failure::usage("the lock was not given back", why, "see `stateward lock inspect`");
        match &left.at {
            At::Place { url, workspace } => {
                let options = Options::from_url(url).map_err(|error| wrong(error.to_string()))?;
                let place = S3State::open(options, NOT_MOVED).await?;
                let lock = Lock::Place(&place, workspace.clone());
                self.give_back_left(&lock, left).await.map_err(|failure| match failure {
                    Failure::Refused(error) => place.unread(error).into(),
                    other => other,
                })
            }
            At::State { at, state } => {
                let to = match at.starts_with("http") {
                    true => Config::Server(at.parse().map_err(|error| wrong(format!("{error}")))?),
                    false => Config::Store(at.parse().map_err(wrong)?),
                };
                let settings = context.settings();
                let token = if to == context.config.target { &settings.token } else { &settings.from_token };
                let connection = context.connect_to(&to, token.as_ref(), Missing::Refuse).await?;
                let at = noted(&to).await;
                self.give_back_left(&Lock::State(&*connection, &at, state.clone()), left).await
            }
        }
    }

    /// Gives back what is there under the ID that is noted. Where it is not there, it has to be the very place: what the note leaves out
    /// comes from an environment that may be another one by now.
    async fn give_back_left(&self, lock: &Lock<'_>, left: &Left) -> failure::Result<()> {
        let is_there = lock.holder().await?.is_some_and(|holder| holder.id == left.id);
        self.unlock(lock, &left.id).await?;
        if is_there {
            return Ok(());
        }
        if lock.at().await != left.at {
            let why = "it is not where this environment leads to, which is another one than that of the earlier run";
            return Err(Failure::usage("the lock was not given back", why, "see `stateward lock inspect`"));
        }
        // A table of that name is in each account. A bucket is in one alone, and who may look into it is of that one, or trusted there.
        if let Lock::Place(place, _) = lock {
            place.there().await?;
        }
        Ok(())
    }

    /// Refuses where somebody else holds one of them. What an earlier try left is ours.
    pub(super) async fn look(&self, locks: &[Lock<'a>]) -> Result<()> {
        for lock in locks {
            let is_left = |holder: &LockInfo| self.claim.left().iter().any(|left| left.id == holder.id);
            if let Some(holder) = lock.holder().await?.filter(|holder| !is_left(holder)) {
                return Err(lock.is_held(&holder));
            }
        }
        Ok(())
    }

    /// Gives back a lock if it is held under an ID; whatever else is held stays.
    async fn unlock(&self, lock: &Lock<'_>, id: &str) -> Result<()> {
        let info = LockInfo { id: id.to_owned(), ..self.info.clone() };
        let raw = Bytes::from(serde_json::to_vec(&info).unwrap_or_default());
        match lock {
            Lock::Place(place, workspace) => {
                place.place().unlock(&place.spot(workspace), id, &raw).await.map_err(Error::from)
            }
            Lock::State(connection, _, state) => connection.unlock(state, raw).await,
        }
    }

    /// As it is written down.
    async fn left(&self, lock: &Lock<'_>) -> Left {
        Left { id: self.info.id.clone(), at: lock.at().await }
    }

    /// Whether it is held under our ID.
    pub(super) async fn is_ours(&self, lock: &Lock<'_>) -> Result<bool> {
        Ok(lock.holder().await?.is_some_and(|holder| holder.id == self.info.id))
    }

    /// What is held while a lock is asked for.
    pub(super) fn taking(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.taking)
    }

    /// Takes a lock, unless it could not be given back.
    pub(super) async fn take(&mut self, lock: Lock<'a>) -> Result<()> {
        if let Lock::Place(place, workspace) = &lock
            && place.place().uses_lockfile()
        {
            let may = place.place().may_give_file(&place.spot(workspace)).await;
            may.map_err(|error| {
                let error = Error::from(error);
                let what = format!("no lock is taken on `{}`, since it could not be given back", lock.name());
                Error::new(error.kind(), what, error.why(), error.next())
            })?;
        }
        let taking = self.taking();
        let _taking = taking.lock().await;
        // Noted first: where the answer is lost it has to be given back, too.
        let left = self.left(&lock).await;
        self.claim.takes(left)?;
        self.held.push(lock.clone());
        match &lock {
            Lock::Place(place, workspace) => {
                let taken = place.place().lock(&place.spot(workspace), &self.info.id, &self.raw).await?;
                if let Taken::Held(holder) = taken {
                    self.was_not_taken().await?;
                    return Err(lock.is_held(&LockInfo::parse(&holder).unwrap_or_default()));
                }
                Ok(())
            }
            Lock::State(connection, _, state) => {
                let request = LockRequest { raw: self.raw.clone(), wait: Some(Duration::ZERO), lease: None };
                let taken = connection.lock(state, request).await;
                if let Err(error) = &taken
                    && error.kind() == Kind::Locked
                {
                    self.was_not_taken().await?;
                    let holder = error.holder().and_then(|raw| LockInfo::parse(raw).ok()).unwrap_or_default();
                    return Err(lock.is_held(&holder));
                }
                taken
            }
        }
    }

    /// Somebody else has the last one.
    async fn was_not_taken(&mut self) -> Result<()> {
        let Some(lock) = self.held.pop() else { return Ok(()) };
        let left = self.left(&lock).await;
        self.claim.gave(&left)
    }

    /// Refuses where a place does not keep others out while one of these locks is held.
    pub(super) async fn see_that_it_keeps_out(
        &mut self,
        place: &S3State,
        workspace: &Workspace,
    ) -> failure::Result<()> {
        let taking = self.taking();
        let _taking = taking.lock().await;
        let other =
            own_lock(OPERATION, &["another"], String::new(), &self.info.id, &self.info.version, SystemClock.now());
        let raw = serde_json::to_vec(&other).unwrap_or_default();
        let spot = place.spot(workspace);
        let left = Left { id: other.id.clone(), at: Lock::Place(place, workspace.clone()).at().await };
        self.claim.takes(left.clone())?;
        let taken = place.place().lock(&spot, &other.id, &raw).await.map_err(Error::from)?;
        if taken == Taken::Yes {
            place.place().unlock(&spot, &other.id, &raw).await.map_err(Error::from)?;
        }
        self.claim.gave(&left)?;
        if taken != Taken::Yes {
            return Ok(());
        }
        let why = "the storage gave the lock file to two at once: it does not heed `If-None-Match`";
        let next = "stay with the lock table, or use a storage with conditional writes";
        Err(Error::new(Kind::Unsupported, NOT_MOVED, why, next).into())
    }

    /// Gives all of them back; the first failure is told when all have been tried.
    pub(super) async fn give_back(mut self) -> Result<()> {
        let mut outcome = Ok(());
        for lock in std::mem::take(&mut self.held).iter().rev() {
            let given = self.unlock(lock, &self.info.id).await.map_err(|error| {
                let next = format!("run the same command again; if it does not go: {}", lock.release(&self.info.id));
                Error::new(error.kind(), format!("the lock on `{}` was not given back", lock.name()), error.why(), next)
            });
            if given.is_ok() {
                // What stays written down is looked for by the next run, and not found.
                let left = self.left(lock).await;
                let _stays = self.claim.gave(&left);
            }
            outcome = outcome.and(given);
        }
        self.claim.end();
        outcome
    }
}

/// Does what is done under locks, or until it is interrupted. A lock that is asked for by then is waited for: it could be given after it was
/// looked for to be given back, and nobody would give it back.
pub(super) async fn until_interrupted<T>(
    taking: &Mutex<()>,
    work: impl Future<Output = failure::Result<T>>,
    interrupted: impl FnOnce() -> Error,
) -> failure::Result<T> {
    let (mut work, mut interruption) = (pin!(work), Interruption::new()?);
    tokio::select! {
        done = &mut work => return done,
        () = interruption.comes() => {}
    }
    tokio::select! {
        done = &mut work => done,
        _taken = taking.lock() => Err(interrupted().into()),
    }
}

/// A store or server as it is found from elsewhere, too.
pub(super) async fn noted(at: &Config) -> String {
    match at {
        Config::Store(store) => store::settled(store).await.to_string(),
        Config::Server(server) => server.to_string(),
    }
}
