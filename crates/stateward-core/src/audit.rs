//! The audit log: an append-only record of every change, lock, force-unlock and refusal.

use serde::{Deserialize, Serialize};
use stateward_store::{Expect, Key, Write};

use crate::access::Caller;
use crate::name::StateId;
use crate::ports::Timestamp;

/// The prefix of all audit records. Newer ones sort first.
pub(crate) const PREFIX: &str = "audit/";

/// What was done, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A version was published.
    Write,
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

    /// The write that appends it; `id` makes its key unique.
    pub(crate) fn write(&self, id: &str) -> Write {
        let micros = u64::try_from(self.time.as_microsecond()).unwrap_or_default();
        let key = Key::new(format!("{PREFIX}{:016x}-{id}", u64::MAX - micros));
        Write { key, value: Some(serde_json::to_vec(self).unwrap_or_default().into()), expect: Expect::Any }
    }
}
