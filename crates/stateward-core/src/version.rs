//! Versions: immutable records of what a state was, who made it so, and how it follows from the one before.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateward_state::counts::Changes;
use stateward_store::body::Tree;
use stateward_store::{Key, StoreError};

use crate::name::StateId;
use crate::ports::Timestamp;

const FORMAT: u8 = 1;

/// The number of a version of a state, from 1 on, never used twice; written `v7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix('v').unwrap_or(text).parse().ok().filter(|number| *number > 0);
        number.map(Self).ok_or("a version is a number from 1 on, such as `v7`")
    }
}

impl TryFrom<String> for Version {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

/// What is kept of a version for ever, and what only while its body is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    format: u8,
    /// All that the hash covers.
    pub facts: Facts,
    /// The hash over `facts`, which holds the hash of the version before: a chain.
    pub hash: String,
    /// Bytes that this version added to the store.
    pub stored_size: u64,
    /// Where its bytes are; absent once retention has let them go.
    pub body: Option<Tree>,
    /// Addresses and meanings of its instances and outputs, sorted by address.
    pub index: Option<Tree>,
    /// Where in the body the values stand that other views need.
    pub spans: Spans,
}

/// The facts of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Which state.
    pub state: StateId,
    /// Which version of it.
    pub version: Version,
    /// The version before, and its hash.
    pub parent: Option<Parent>,
    /// Terraform's serial.
    pub serial: u64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Bytes of the body.
    pub size: u64,
    /// SHA-256 of the body, hexadecimal.
    pub sha256: String,
    /// MD5 of the body, hexadecimal.
    pub md5: String,
    /// When it was published.
    pub created: Timestamp,
    /// Who wrote it: the lock's holder, or else the caller.
    pub who: String,
    /// The token that it was written with.
    pub token: Option<String>,
    /// Terraform's word for the operation, or ours: `write`, `push`, `restore`.
    pub operation: String,
    /// The lock that it was written under.
    pub lock_id: Option<String>,
    /// The number of that lock's grant.
    pub fence: Option<u64>,
    /// The tool that wrote the body, as far as it says.
    pub tool: String,
    /// Resource instances.
    pub resources: u64,
    /// An OpenTofu-encrypted body.
    pub opaque: bool,
    /// Against the version that was the head before.
    pub changes: Changes,
    /// A hash over where its bytes and index are, and so, by the hashes in there, over every byte of them.
    pub content: String,
}

/// The link to the version before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Which one.
    pub version: Version,
    /// The key of its record.
    pub record: String,
    /// Its hash.
    pub hash: String,
}

/// Byte ranges in the body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spans {
    /// The serial's digits.
    pub serial: std::ops::Range<u64>,
    /// The value of `outputs`.
    pub outputs: Option<std::ops::Range<u64>>,
    /// The writer's version, as in the body.
    pub terraform_version: Option<String>,
}

impl VersionRecord {
    /// A new version, hashed.
    pub fn new(mut facts: Facts, stored_size: u64, body: Tree, index: Option<Tree>, spans: Spans) -> Self {
        facts.content = content_hash(Some(&body), index.as_ref(), &spans);
        let hash = facts.hash();
        Self { format: FORMAT, facts, hash, stored_size, body: Some(body), index, spans }
    }

    /// Whether its body, index and spans are those it was published with. Says yes of a version whose body was let go.
    pub fn has_its_content(&self) -> bool {
        self.body.is_none() || content_hash(self.body.as_ref(), self.index.as_ref(), &self.spans) == self.facts.content
    }

    /// The prefix of all version records.
    pub const PREFIX: &'static str = "version/";

    /// The prefix of the keys of a state's versions. Newer ones sort first.
    pub fn prefix(state: &StateId) -> String {
        format!("{}{}@{}#", Self::PREFIX, state.name, state.workspace)
    }

    /// The state that a version record's key names.
    pub fn state_of(key: &Key) -> Option<StateId> {
        key.as_str().strip_prefix(Self::PREFIX)?.split_once('#')?.0.parse().ok()
    }

    /// The key of a version written by the write `write_id`.
    pub fn key(state: &StateId, version: Version, write_id: &str) -> Key {
        Key::new(format!("{}{:016x}-{write_id}", Self::prefix(state), u64::MAX - version.0))
    }

    /// Reads a record.
    pub fn decode(key: &Key, value: &Bytes) -> Result<Self, StoreError> {
        let corrupt = |reason: String| StoreError::Corrupt { what: key.to_string(), reason };
        let record: Self = serde_json::from_slice(value).map_err(|error| corrupt(error.to_string()))?;
        if record.format > FORMAT {
            return Err(StoreError::Unsupported {
                what: format!("the form {} of `{key}`", record.format),
                reason: "a newer stateward wrote it; upgrade this one".to_owned(),
            });
        }
        Ok(record)
    }

    /// Encodes the record.
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// The same version without its body: what retention leaves, so that the chain stays whole.
    #[must_use]
    pub fn without_body(&self) -> Self {
        Self { body: None, index: None, ..self.clone() }
    }
}

fn content_hash(body: Option<&Tree>, index: Option<&Tree>, spans: &Spans) -> String {
    // Serialising plain data into memory has no way to fail.
    let text = serde_json::to_vec(&(body, index, spans)).unwrap_or_default();
    let mut hasher = blake3::Hasher::new_derive_key("stateward 2026-11 version content");
    hasher.update(&text).finalize().to_hex().to_string()
}

impl Facts {
    /// The hash that the next version's `parent` names. Every field goes in behind its length, so no two versions hash alike.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("stateward 2026-11 version chain");
        let parent = self.parent.as_ref();
        let fields = [
            self.state.to_string(),
            self.version.to_string(),
            parent.map_or_else(String::new, |parent| format!("{} {}", parent.version, parent.hash)),
            self.serial.to_string(),
            self.lineage.clone(),
            self.size.to_string(),
            self.sha256.clone(),
            self.md5.clone(),
            self.created.to_string(),
            self.who.clone(),
            self.token.clone().unwrap_or_default(),
            self.operation.clone(),
            self.lock_id.clone().unwrap_or_default(),
            self.fence.map_or_else(String::new, |fence| fence.to_string()),
            self.tool.clone(),
            self.resources.to_string(),
            self.opaque.to_string(),
            format!("{} {} {}", self.changes.added, self.changes.changed, self.changes.removed),
            self.content.clone(),
        ];
        for field in &fields {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_with_a_v_and_read_with_or_without() {
        assert_eq!("v7".parse(), Ok(Version(7)));
        assert_eq!("7".parse(), Ok(Version(7)));
        for bad in ["", "v", "0", "v0", "-1", "vv1", "1.5", "99999999999999999999"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn newer_versions_sort_first() {
        let state = "a".parse().unwrap();
        let mut keys: Vec<Key> = [1, 2, 10, 300].map(|n| VersionRecord::key(&state, Version(n), "w")).into();
        keys.sort();
        assert_eq!(keys[0], VersionRecord::key(&state, Version(300), "w"));
    }
}
