//! The backend over one store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use stateward_store::body::{Sealer, StoreKey};
use stateward_store::outside::Mark;
use stateward_store::{Expect, Key, Revision, Session, Store, StoreError, Write};
use tokio::task::JoinSet;

use crate::audit::AuditItem;
use crate::bug::Planted;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::latch::{Latch, Latches};
use crate::name::StateId;
use crate::outside::{Look, Outside};
use crate::ports::{Clock, Entropy, Timestamp, random_id};
use crate::settings::Settings;

/// The record that holds the store's own key.
const STORE_RECORD: &str = "meta/store";
/// Lost races after which a request gives up. In one process the latch keeps them rare.
const RACES_MAX: usize = 64;

/// Versions, locks and history over a [`Store`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backend {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sealer: Sealer,
    /// Keys the hashes in the instance indexes.
    pub(crate) meaning_key: [u8; 32],
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Settings,
    pub(crate) outside: Outside,
    /// What was found outside under the name of a state and is none.
    pub(crate) no_states: Mutex<HashMap<StateId, Mark>>,
    pub(crate) latches: Latches,
    /// What is being tidied up behind clients that are gone.
    pub(crate) leaving: Mutex<JoinSet<()>>,
    pub(crate) planted: Planted,
}

/// What a step on a control record decides.
pub(crate) enum Step<T> {
    /// Nothing to write.
    Keep(T),
    /// Publish the changed record, and what goes with it.
    Publish(T, Beside),
}

/// What is written with a control record.
#[derive(Default)]
pub(crate) struct Beside {
    /// Records that have to be there before it.
    pub(crate) records: Vec<Write>,
    /// For the audit log.
    pub(crate) notes: Vec<AuditItem>,
}

impl From<AuditItem> for Beside {
    fn from(note: AuditItem) -> Self {
        Self { records: Vec::new(), notes: vec![note] }
    }
}

/// What a step sees besides the record.
pub(crate) struct Moment {
    /// Now.
    pub(crate) now: Timestamp,
    /// Unique to this try: names the records that the step writes.
    pub(crate) write_id: String,
}

impl Backend {
    /// Opens the backend over a store, and makes a new store ready at the first time.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
    ) -> Result<Self> {
        Self::open_shared(store, clock, entropy, settings, Outside::default()).await
    }

    /// The same, where others have places for these states too.
    pub async fn open_shared(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
        outside: Outside,
    ) -> Result<Self> {
        let key = store_key(&*store, &*entropy).await?;
        let shared = Shared {
            sealer: Sealer::new(&key),
            meaning_key: key.derive("stateward 2026-11 instance meaning"),
            store,
            clock,
            entropy,
            settings,
            outside,
            no_states: Mutex::default(),
            latches: Latches::default(),
            leaving: Mutex::default(),
            planted: Planted::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Now, by the backend's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Waits until the places and locks of all clients that are gone have been given up. A server ends with this.
    pub async fn settled(&self) {
        loop {
            let mut leaving = std::mem::take(&mut *self.shared.leaving.lock().unwrap_or_else(PoisonError::into_inner));
            if leaving.is_empty() {
                return;
            }
            while leaving.join_next().await.is_some() {}
        }
    }

    /// Plants a bug.
    #[cfg(any(test, feature = "testing"))]
    pub fn plant(&self, bug: crate::bug::Bug) {
        self.shared.planted.plant(bug);
    }

    pub(crate) fn new_id(&self) -> String {
        random_id(&*self.shared.entropy)
    }

    pub(crate) fn latch(&self, state: &StateId) -> Arc<Latch> {
        self.shared.latches.of(state)
    }

    /// Reads a state's control record; a fresh one where there is none.
    pub(crate) async fn control(&self, state: &StateId) -> Result<(Control, Option<Revision>)> {
        let key = Control::key(state);
        let seen = match self.shared.store.get(&key).await? {
            Some(record) => (Control::decode(&key, &record.value)?, Some(record.revision)),
            None => (Control::default(), None),
        };
        self.latch(state).remember(Some(seen.clone()));
        Ok(seen)
    }

    /// The control record as this process last saw it: good for what is checked again before anything is published.
    pub(crate) async fn glance(&self, state: &StateId) -> Result<Control> {
        match self.latch(state).recall() {
            Some((control, _)) => Ok(control),
            None => Ok(self.control(state).await?.0),
        }
    }

    /// Runs `step` on the control record and publishes what it decides, again and again until no other writer comes in between.
    pub(crate) async fn update<T>(
        &self,
        state: &StateId,
        session: Option<&mut dyn Session>,
        mut step: impl FnMut(&mut Control, &Moment) -> Result<Step<T>>,
    ) -> Result<T> {
        let latch = self.latch(state);
        let _turn = latch.turn().await;
        self.update_in_turn(state, session, &mut step).await
    }

    async fn update_in_turn<T>(
        &self,
        state: &StateId,
        mut session: Option<&mut dyn Session>,
        step: &mut impl FnMut(&mut Control, &Moment) -> Result<Step<T>>,
    ) -> Result<T> {
        let key = Control::key(state);
        let latch = self.latch(state);
        let mut recalled = latch.recall();
        let mut tried: Vec<(String, T)> = Vec::new();
        for _ in 0..RACES_MAX {
            let fresh = recalled.is_none();
            let (mut control, revision) = match recalled.take() {
                Some(seen) => seen,
                None if tried.is_empty() => self.control(state).await?,
                None => Box::pin(self.control(state)).await.map_err(Error::unconfirmed)?,
            };
            if let Some(mine) = tried.iter().position(|(id, _)| control.has_write(id)) {
                return Ok(tried.swap_remove(mine).1);
            }
            if let (Some(head), Some(Look::Version(version, mark))) = (&mut control.head, latch.looked())
                && head.version == version
            {
                head.mark = Some(mark.as_str().to_owned());
            }
            let moment = Moment { now: self.now(), write_id: self.new_id() };
            let (answer, beside) = match step(&mut control, &moment) {
                // No compare-and-set will tell whether what was recalled is old: decide on what is there.
                Ok(Step::Keep(_)) | Err(_) if !fresh => continue,
                Ok(Step::Keep(answer)) => return Ok(answer),
                Err(error) => return Err(error),
                Ok(Step::Publish(answer, beside)) => (answer, beside),
            };
            let mut writes = beside.records;
            writes.extend(self.note(state, &mut control, beside.notes, &moment));
            let value = Some(control.encode(&moment.write_id));
            writes.push(Write { key: key.clone(), value, expect: revision.map_or(Expect::Absent, Expect::Revision) });
            let outcome = match &mut session {
                Some(session) => session.commit(writes).await,
                None => self.shared.store.commit(writes).await,
            };
            latch.remember(outcome.as_ref().ok().map(|revision| (control, Some(revision.clone()))));
            match outcome {
                Ok(_) => return Ok(answer),
                // Whether this try is the one that got through shows when the record is read again.
                Err(StoreError::Conflict { .. } | StoreError::OutcomeUnknown { .. }) => {
                    tried.push((moment.write_id, answer));
                }
                // What refused it may stand before the storage, and have let it through.
                Err(error) => {
                    let there = Box::pin(self.control(state)).await;
                    let done = there.is_ok_and(|(control, _)| control.has_write(&moment.write_id));
                    return if done { Ok(answer) } else { Err(error.into()) };
                }
            }
        }
        Err(StoreError::Conflict { key: key.to_string(), current: None }.into())
    }

    /// Puts notes where the audit log is read from: into records of their own, or, where each of those is a request, into the
    /// control record until enough have gathered.
    ///
    /// Only notes that were published before leave the control record, always the same number from the oldest on, under a name
    /// made of what they say: so a write that loses its race leaves nothing untrue behind, and nothing twice.
    fn note(&self, state: &StateId, control: &mut Control, notes: Vec<AuditItem>, moment: &Moment) -> Vec<Write> {
        let gather = self.shared.store.gather();
        if gather <= 1 {
            return notes.iter().enumerate().map(|(n, note)| note.write(&moment.write_id, n)).collect();
        }
        let full = control.notes.len() >= gather;
        control.notes.extend(notes);
        let gathered = if full { control.notes.drain(..gather).collect() } else { Vec::new() };
        AuditItem::write_gathered(&gathered, state).into_iter().collect()
    }

    /// Appends audit records that belong to no other write.
    pub(crate) async fn append_audit(&self, item: &AuditItem) -> Result<()> {
        self.shared.store.commit(vec![item.write(&self.new_id(), 0)]).await?;
        Ok(())
    }
}

async fn store_key(store: &dyn Store, entropy: &dyn Entropy) -> Result<StoreKey> {
    let record = Key::new(STORE_RECORD);
    for _ in 0..RACES_MAX {
        if let Some(found) = store.get(&record).await? {
            return decode_store_key(&found.value);
        }
        let mut key = [0; 32];
        entropy.fill(&mut key);
        let value = Bytes::from(format!("{{\"format\":1,\"key\":\"{}\"}}", hex::encode(key)));
        match store.commit(vec![Write { key: record.clone(), value: Some(value), expect: Expect::Absent }]).await {
            Ok(_) => return Ok(StoreKey::new(key)),
            Err(StoreError::Conflict { .. } | StoreError::OutcomeUnknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        "the store could not be made ready",
        "it does not confirm its first record",
        "try again",
    ))
}

fn decode_store_key(value: &[u8]) -> Result<StoreKey> {
    #[derive(serde::Deserialize)]
    struct StoreRecord {
        format: u64,
        key: String,
    }
    let corrupt =
        || StoreError::Corrupt { what: STORE_RECORD.to_owned(), reason: "it is not a store's own record".to_owned() };
    let record: StoreRecord = serde_json::from_slice(value).map_err(|_| corrupt())?;
    if record.format > 1 {
        return Err(StoreError::Unsupported {
            what: format!("a store of format {}", record.format),
            reason: "a newer stateward wrote it; upgrade this one".to_owned(),
        }
        .into());
    }
    let key = hex::decode(record.key).ok().and_then(|key| key.try_into().ok()).ok_or_else(corrupt)?;
    Ok(StoreKey::new(key))
}
