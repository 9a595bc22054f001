//! The shapes in which the backend shows what it holds. API v1 and `--json` speak them; fields are only ever added.

use serde::{Deserialize, Serialize};
pub use stateward_state::Action;
pub use stateward_state::counts::Changes;
pub use stateward_state::diff::{AttributeChange, Change};

use crate::name::{StateName, Workspace};
use crate::ops::Written;
use crate::ports::Timestamp;
pub use crate::version::Imported;
use crate::version::Version;

/// The version of these shapes.
pub const SCHEMA: u32 = 1;

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// The version of the shape.
    pub schema: u32,
    /// The items.
    pub items: Vec<T>,
    /// Pass it as `after` to go on where this list ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A whole list.
    pub fn new(items: Vec<T>) -> Self {
        Self { schema: SCHEMA, items, next: None }
    }
}

/// A state in `state list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateItem {
    /// Its name.
    pub state: StateName,
    /// Its workspace.
    pub workspace: Workspace,
    /// Terraform's serial.
    pub serial: u64,
    /// Terraform's lineage.
    pub lineage: String,
    /// The current version.
    pub version: Version,
    /// Bytes.
    pub size: u64,
    /// Resource instances.
    pub resources: u64,
    /// When it was last written.
    pub updated: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// Held as a whole.
    pub locked: bool,
    /// An OpenTofu-encrypted body.
    pub opaque: bool,
    /// Set where the state is deleted (listed only when asked for).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
}

/// A version in `state history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionItem {
    /// Its number.
    pub version: Version,
    /// Terraform's serial.
    pub serial: u64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Bytes of the body.
    pub size: u64,
    /// Bytes that it added to the store.
    pub stored_size: u64,
    /// SHA-256 of the body, hexadecimal.
    pub sha256: String,
    /// MD5 of the body, hexadecimal.
    pub md5: String,
    /// When it was published.
    pub created: Timestamp,
    /// Who wrote it.
    pub who: String,
    /// Terraform's word for the operation, or ours.
    pub operation: String,
    /// The lock that it was written under.
    pub lock_id: Option<String>,
    /// The transaction that wrote it, where it was one: its lock ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    /// The number of that lock's grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The tool that wrote the body.
    pub tool: String,
    /// The version before.
    pub parent: Option<Version>,
    /// The hash that chains it to the version before.
    pub hash: String,
    /// Resource instances against the head before.
    pub changes: Changes,
    /// Resource instances in it.
    pub resources: u64,
    /// The token that it was written with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// An OpenTofu-encrypted body.
    pub opaque: bool,
    /// It is the current one.
    pub head: bool,
    /// Its bytes are no longer kept.
    pub pruned: bool,
    /// Set where it was written elsewhere and taken in from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// A step in `state timeline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineItem {
    /// The version in which it happened.
    pub version: Version,
    /// Terraform's serial.
    pub serial: u64,
    /// When.
    pub created: Timestamp,
    /// By whom.
    pub who: String,
    /// What happened to the address.
    pub action: Action,
    /// The instance, where the address that was asked for names several.
    pub address: String,
}

/// A lock in `lock list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockItem {
    /// The state.
    pub state: StateName,
    /// Its workspace.
    pub workspace: Workspace,
    /// `plan`, `whole` or `resources`.
    pub mode: String,
    /// Terraform's lock ID.
    pub id: String,
    /// Who holds it, as the client says.
    pub who: String,
    /// Terraform's word for what it is doing.
    pub operation: String,
    /// When it was granted.
    pub created: Timestamp,
    /// Seconds since then.
    pub age_s: u64,
    /// When its holder was last heard of.
    pub last_seen: Timestamp,
    /// The grant's number.
    pub fence: u64,
    /// Clients waiting for it.
    pub queue: u64,
    /// The resources it covers; empty: all of them.
    pub addresses: Vec<String>,
    /// Until when it holds unless its holder renews it; absent where it does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// What to make of it.
    pub advice: String,
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It waits for others.
    Queued,
    /// It holds what it claims.
    Open,
    /// It has ended; what it wrote stays.
    Committed,
    /// It was given up; what it had written by then stays.
    Aborted,
    /// Nothing was heard of it for longer than its lease: whoever wants what it holds gets it. What it had written stays.
    Lapsed,
}

/// A transaction in `tx list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxItem {
    /// Its lock ID.
    pub tx: String,
    /// The state.
    pub state: StateName,
    /// Its workspace.
    pub workspace: Workspace,
    /// How far it is.
    pub phase: Phase,
    /// Whose it is, as the client says.
    pub who: String,
    /// Terraform's word for what it is doing.
    pub operation: String,
    /// What it may write: addresses, and `output.NAME`.
    pub write: Vec<String>,
    /// What it depends on.
    pub read: Vec<String>,
    /// When it first asked.
    pub since: Timestamp,
    /// Until when it keeps others out unless it is renewed; only while it is open or lapsed.
    pub lease_until: Option<Timestamp>,
    /// IDs of the transactions and locks that it waits for.
    pub waits_for: Vec<String>,
    /// The version that its plan was made against; absent where there was no state.
    pub base: Option<Version>,
    /// The last version that it wrote.
    pub last: Option<Version>,
    /// The grant's number; only while it is open or lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Why it ended, where there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// A finding of `state verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The state, version, record or page.
    pub what: String,
    /// What does not hold.
    pub why: String,
}

/// What `state verify` looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verified {
    /// States looked at.
    pub states: u64,
    /// Versions looked at.
    pub versions: u64,
    /// Bytes of bodies read and compared with their hashes.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// The outcome of `state push` or `state restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The version that now is the head.
    pub version: Version,
    /// Its serial.
    pub serial: u64,
    /// False where the head had these very bytes already.
    pub changed: bool,
    /// True where the serial in the file was replaced.
    pub renumbered: bool,
    /// Instances that were brought back, changed or taken out; only for a restore of single addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

impl From<Written> for Stored {
    fn from(Written { version, serial, changed }: Written) -> Self {
        Self { version, serial, changed, renumbered: false, addresses: Vec::new() }
    }
}

/// What `state prune` let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pruned {
    /// Versions whose bytes are no longer kept.
    pub versions: u64,
    /// Chunks removed that nobody referred to. Those of the versions above follow in a later round.
    pub blobs: u64,
    /// Bytes of them.
    pub freed_bytes: u64,
}
