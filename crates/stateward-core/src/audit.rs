//! The audit log: an append-only record of every change, lock, force-unlock and refusal.

use serde::{Deserialize, Serialize};
use stateward_store::{Expect, Key, Write};

use crate::access::Caller;
use crate::name::StateId;
use crate::ports::Timestamp;

/// The prefix of all audit records. Newer ones sort first.
pub(crate) const PREFIX: &str = "audit/";

/// Where an item stands in the log: newer ones sort first.
pub(crate) fn place(time: Timestamp) -> String {
    let micros = u64::try_from(time.as_microsecond()).unwrap_or_default();
    format!("{:016x}", u64::MAX - micros)
}

/// What was done, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A version was published.
    Write,
    /// A version from elsewhere was taken in.
    Import,
    /// An old version, or parts of it, became the head again.
    Restore,
    /// The state was deleted.
    Delete,
    /// A deleted state came back.
    Undelete,
    /// A lock was granted.
    Lock,
    /// A lock was given back.
    Unlock,
    /// A lock was broken.
    ForceUnlock,
    /// A request was refused.
    Refuse,
    /// Old versions were let go.
    Prune,
}

/// One audit record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditItem {
    /// When.
    pub time: Timestamp,
    /// What was done or refused.
    pub action: Deed,
    /// The state and workspace, `name@workspace`; absent where none was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateId>,
    /// Who, as the client says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// The token that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The lock it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_id: Option<String>,
    /// The version that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The serial of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// What was asked for, where it was refused; else details.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl AuditItem {
    /// A record of what a caller did.
    pub(crate) fn by(caller: &Caller, time: Timestamp, action: Deed, state: Option<&StateId>) -> Self {
        let item = Self::new(time, action, state);
        Self { who: caller.name.clone(), token: caller.token.clone(), source: caller.source.clone(), ..item }
    }

    /// A record of a deed.
    pub(crate) fn new(time: Timestamp, action: Deed, state: Option<&StateId>) -> Self {
        Self {
            time,
            action,
            state: state.cloned(),
            who: String::new(),
            token: None,
            source: None,
            lock_id: None,
            version: None,
            serial: None,
            detail: String::new(),
        }
    }

    /// The write that appends it; `id` and its number among those of one write make its key unique.
    pub(crate) fn write(&self, id: &str, n: usize) -> Write {
        let key = if n == 0 { self.key(id) } else { self.key(&format!("{id}-{n}")) };
        Write { key, value: Some(serde_json::to_vec(self).unwrap_or_default().into()), expect: Expect::Any }
    }

    /// The write that appends several of one state, oldest first, as one record; none where there are none.
    pub(crate) fn write_gathered(items: &[Self], state: &StateId) -> Option<Write> {
        let newest = items.last()?;
        let value = serde_json::to_vec(items).unwrap_or_default();
        let mut hasher = blake3::Hasher::new_derive_key("stateward 2026-11 gathered audit records");
        hasher.update(state.to_string().as_bytes()).update(&[0]).update(&value);
        let id = hasher.finalize().to_hex();
        Some(Write { key: newest.key(&id[..32]), value: Some(value.into()), expect: Expect::Any })
    }

    /// Reads what one record of the log holds, oldest first.
    pub(crate) fn read(value: &[u8]) -> Result<Vec<Self>, serde_json::Error> {
        if value.first() == Some(&b'[') {
            serde_json::from_slice(value)
        } else {
            Ok(vec![serde_json::from_slice(value)?])
        }
    }

    fn key(&self, id: &str) -> Key {
        Key::new(format!("{PREFIX}{}-{id}", place(self.time)))
    }
}
