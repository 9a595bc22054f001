//! The control record: the only thing of a state that is contended. Every lock, unlock and publication is one compare-and-set of it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateward_store::body::Tree;
use stateward_store::{Key, StoreError};

use crate::audit::AuditItem;
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::records::{self, Formed};
use crate::version::{Version, VersionRecord};

/// The version of the record's own form. A reader refuses a higher one.
const FORMAT: u8 = 1;
/// Write ids kept, so that a writer whose answer was lost still finds its own after others wrote.
const WRITE_IDS: usize = 16;
/// Lock IDs kept after their release, so that a repeated UNLOCK is recognised.
const RELEASED: usize = 8;

/// Everything about one state that changes in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    format: u8,
    /// The ids of the latest writes of this record, newest last.
    writes: VecDeque<String>,
    /// The current version; absent before the first write and after a delete.
    pub head: Option<Head>,
    /// The last version ever published: where the hash chain goes on.
    pub tail: Option<Tail>,
    /// Set while the state is deleted.
    pub deleted: Option<Deleted>,
    /// The number of locks ever granted. A grant's number is its fence.
    pub fence: u64,
    /// The whole-state lock.
    pub lock: Option<Held>,
    /// Plan locks, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Held>,
    /// Open transactions, oldest first. What each holds stands in a record of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub txs: Vec<OpenTx>,
    /// The lock outside that the open transactions hold together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Who waits, for the whole state or for parts of it, first come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<Ticket>,
    /// IDs of locks released lately, newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub released: VecDeque<String>,
    /// What the audit log has to say and is not yet in records of its own, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<AuditItem>,
}

/// The current version, with all that lists and reads need of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which version it is.
    pub version: Version,
    /// The key of its record.
    pub record: String,
    /// Terraform's serial.
    pub serial: u64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Bytes of the body.
    pub size: u64,
    /// SHA-256 of the body, hexadecimal.
    pub sha256: String,
    /// MD5 of the body, hexadecimal: what Terraform's own integrity checks speak.
    pub md5: String,
    /// Resource instances.
    pub resources: u64,
    /// An OpenTofu-encrypted body.
    pub opaque: bool,
    /// When it was published.
    pub created: Timestamp,
    /// Who wrote it.
    pub who: String,
    /// Where its bytes are.
    pub body: Tree,
    /// Which bytes of the outside place are this version, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Its instances and outputs; absent where it has no index, and in records of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Tree>,
}

impl Head {
    /// The head that a version becomes; none where its bytes are no longer kept. `mark` says which bytes outside it is.
    pub(crate) fn of(record: &VersionRecord, key: &Key, mark: Option<String>) -> Option<Self> {
        let facts = &record.facts;
        Some(Self {
            version: facts.version,
            record: key.to_string(),
            serial: facts.serial,
            lineage: facts.lineage.clone(),
            size: facts.size,
            sha256: facts.sha256.clone(),
            md5: facts.md5.clone(),
            resources: facts.resources,
            opaque: facts.opaque,
            created: facts.created,
            who: facts.who.clone(),
            body: record.body.clone()?,
            mark,
            index: record.index.clone(),
        })
    }
}

/// The end of the hash chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The last version.
    pub version: Version,
    /// The key of its record.
    pub record: String,
    /// Its hash.
    pub hash: String,
}

/// A deleted state: what `undelete` brings back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// The head at that time.
    pub head: Head,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub who: String,
}

/// What a lock allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Shared; reads a snapshot, never writes.
    Plan,
    /// Exclusive; the whole state.
    Whole,
    /// A transaction: parts of the state, some to read and some to write.
    Resources,
}

impl Mode {
    /// Its name in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Whole => "whole",
            Self::Resources => "resources",
        }
    }
}

/// A lock that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Terraform's lock ID.
    pub id: String,
    /// The lock information exactly as it was sent.
    pub raw: String,
    /// `user@host`, as the client says.
    pub who: String,
    /// Terraform's word for what it is doing.
    pub operation: String,
    /// The tool's version, as the client says.
    pub tool: String,
    /// The token it was taken with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it was granted.
    pub since: Timestamp,
    /// When its holder was last heard of.
    pub last_seen: Timestamp,
    /// The grant's number: a write under an older one is refused.
    pub fence: u64,
    /// The request that took it, so that only that request's end can take it back.
    pub attempt: String,
    /// Until when it holds unless its holder renews it; without it, it holds until it is given back or broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
}

/// A transaction that holds what it claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTx {
    /// Its lock ID.
    pub id: String,
    /// The grant's number.
    pub fence: u64,
    /// The request that began it, so that only that request's end can take it back.
    pub attempt: String,
    /// The token it was begun with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When its holder was last heard of, to the second.
    pub last_seen: Timestamp,
    /// Until when it keeps others out unless its holder renews it.
    pub lease_until: Timestamp,
    /// The version that its plan was made against; absent where there was no state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Version>,
    /// The last version that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Version>,
}

/// The lock outside that is held for all open transactions: the first takes it, the last gives it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its lock ID.
    pub id: String,
    /// Its lock information.
    pub raw: String,
}

/// A place in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The lock ID that is asked for.
    pub id: String,
    /// The lock information exactly as it was sent.
    pub raw: String,
    /// `user@host`, as the client says.
    pub who: String,
    /// Terraform's word for what it is doing.
    pub operation: String,
    /// When it first asked.
    pub since: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// How often it has asked.
    pub polls: u32,
    /// Seconds between its last two tries.
    #[serde(default)]
    pub gap_s: u32,
    /// Its connection is open and waits.
    pub waiting: bool,
    /// The request that waits, so that only that request's end gives the place up.
    pub attempt: String,
    /// It waits for parts of the state, not for the whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resources: bool,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            format: FORMAT,
            writes: VecDeque::new(),
            head: None,
            tail: None,
            deleted: None,
            fence: 0,
            lock: None,
            plans: Vec::new(),
            txs: Vec::new(),
            group: None,
            queue: Vec::new(),
            released: VecDeque::new(),
            notes: Vec::new(),
        }
    }
}

impl Formed for Control {
    const NEWEST: u8 = FORMAT;

    fn format(&self) -> u8 {
        self.format
    }
}

impl Control {
    /// The key of a state's control record.
    pub fn key(state: &StateId) -> Key {
        Key::new(format!("state/{}@{}", state.name, state.workspace))
    }

    /// The prefix of all control records.
    pub const PREFIX: &'static str = "state/";

    /// The state that a control record's key names.
    pub fn state_of(key: &Key) -> Option<StateId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok()
    }

    /// Reads a record.
    pub fn decode(key: &Key, value: &Bytes) -> Result<Self, StoreError> {
        records::decode(key, value)
    }

    /// Encodes the record as the write `write_id`.
    pub fn encode(&mut self, write_id: &str) -> Bytes {
        self.format = FORMAT;
        self.writes.push_back(write_id.to_owned());
        while self.writes.len() > WRITE_IDS {
            self.writes.pop_front();
        }
        // Serialising plain data into memory has no way to fail.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// True where the write `write_id` is one of the latest of this record.
    pub fn has_write(&self, write_id: &str) -> bool {
        self.writes.iter().any(|id| id == write_id)
    }

    /// Bytes that the locks and the queue take in the record.
    pub(crate) fn lock_bytes(&self) -> usize {
        serde_json::to_vec(&(&self.lock, &self.plans, &self.txs, &self.queue, &self.released))
            .map_or(0, |text| text.len())
    }

    /// Remembers that a lock was released.
    pub(crate) fn note_released(&mut self, id: &str) {
        self.released.retain(|known| known != id);
        self.released.push_back(id.to_owned());
        while self.released.len() > RELEASED {
            self.released.pop_front();
        }
    }

    /// Notes that a version was written under this lock or in this transaction.
    pub(crate) fn wrote(&mut self, id: &str, version: Version, now: Timestamp) {
        if let Some(held) = self.lock.as_mut().filter(|held| held.id == id) {
            held.last_seen = now;
        }
        if let Some(tx) = self.txs.iter_mut().find(|tx| tx.id == id) {
            tx.last = Some(version);
            tx.last_seen = to_second(now);
        }
    }

    /// Lets the lock outside go that the open transactions held together, if none is left. Gives it, to be given back there.
    pub(crate) fn disband(&mut self) -> Option<Group> {
        let group = self.group.take_if(|_| self.txs.is_empty())?;
        self.note_released(&group.id);
        Some(group)
    }

    /// The whole-state lock, unless its lease has lapsed.
    pub fn live_lock(&self, now: Timestamp) -> Option<&Held> {
        self.lock.as_ref().filter(|held| !held.has_lapsed(now))
    }

    /// The open transactions whose lease has not lapsed.
    pub fn live_txs(&self, now: Timestamp) -> impl Iterator<Item = &OpenTx> {
        self.txs.iter().filter(move |tx| !tx.has_lapsed(now))
    }

    /// Whether a lock or a transaction that is alive keeps out who comes without one.
    pub fn keeps_out(&self, now: Timestamp) -> bool {
        self.live_lock(now).is_some() || self.has_live_txs(now)
    }

    /// Whether a transaction is open whose lease has not lapsed.
    pub fn has_live_txs(&self, now: Timestamp) -> bool {
        self.live_txs(now).next().is_some()
    }

    /// Whether any lock is held on the state.
    pub fn is_held(&self) -> bool {
        self.lock.is_some() || !self.plans.is_empty() || !self.txs.is_empty()
    }

    /// The open transaction with this ID, lapsed or not.
    pub fn tx(&self, id: &str) -> Option<&OpenTx> {
        self.txs.iter().find(|tx| tx.id == id)
    }

    /// The held lock with this ID, of either mode.
    pub fn held(&self, id: &str) -> Option<(Mode, &Held)> {
        let whole = self.lock.iter().filter(|held| held.id == id).map(|held| (Mode::Whole, held));
        let plans = self.plans.iter().filter(|held| held.id == id).map(|held| (Mode::Plan, held));
        whole.chain(plans).next()
    }
}

impl Held {
    /// Whether it keeps nobody out any more. Its holder has it all the same until somebody else takes it.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.lease_until.is_some_and(|until| until < now)
    }
}

/// A time to the second: there may be a thousand of them in a record.
pub(crate) fn to_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl OpenTx {
    /// It is heard of now, and holds for `lease` more.
    pub(crate) fn renew(&mut self, lease: Option<Duration>, now: Timestamp) {
        self.last_seen = to_second(now);
        let until = lease.and_then(|lease| now.checked_add(lease + Duration::from_secs(1)).ok());
        self.lease_until = until.map_or(Timestamp::MAX, to_second);
    }

    /// Whether it keeps nobody out any more. It holds what it claims all the same until somebody else takes some of it.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.lease_until < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_knows_its_writers() {
        let mut control = Control::default();
        for n in 0..20 {
            control.encode(&format!("w{n}"));
        }
        let key = Control::key(&"a/b@dev".parse().unwrap());
        let value = control.encode("mine");
        let back = Control::decode(&key, &value).unwrap();
        assert_eq!(back, control);
        assert!(back.has_write("mine") && back.has_write("w5") && !back.has_write("w4"));
        assert_eq!(Control::state_of(&key).unwrap().to_string(), "a/b@dev");
    }

    #[test]
    fn a_newer_form_is_refused_and_damage_is_named() {
        let key = Control::key(&"a".parse().unwrap());
        let mut control = Control { format: FORMAT + 1, ..Control::default() };
        let newer = serde_json::to_vec(&control).unwrap();
        assert!(matches!(Control::decode(&key, &newer.into()), Err(StoreError::Unsupported { .. })));
        let cut = control.encode("w").slice(..10);
        assert!(matches!(Control::decode(&key, &cut), Err(StoreError::Corrupt { .. })));
    }
}
