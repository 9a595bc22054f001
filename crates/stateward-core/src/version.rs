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
use crate::records::{self, Formed};

/// The newest form that is read.
const FORMAT: u8 = 3;
/// The form of a record whose version was written here. A reader that does not know where others came from would take their hashes
/// for wrong, so that those have the next form; the same goes for transactions and the form after it.
const FORMAT_WRITTEN_HERE: u8 = 1;
const FORMAT_IMPORTED: u8 = 2;
const FORMAT_TRANSACTION: u8 = 3;

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
    /// That lock was a transaction's: what was written was merged into what others had written meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transaction: bool,
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
    /// Set where it was not written here, but taken in from elsewhere: then the facts above are what they were there, as far as they
    /// were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// How a version came here that was written elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The store, server or file that it came from, without secrets.
    pub from: String,
    /// Its number there, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Its hash in the chain there, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// When it was taken in.
    pub at: Timestamp,
    /// Who took it in.
    pub who: String,
    /// The token with which it was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
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

impl Formed for VersionRecord {
    const NEWEST: u8 = FORMAT;

    fn format(&self) -> u8 {
        self.format
    }
}

impl VersionRecord {
    /// A new version, hashed.
    pub fn new(mut facts: Facts, stored_size: u64, body: Tree, index: Option<Tree>, spans: Spans) -> Self {
        facts.content = content_hash(Some(&body), index.as_ref(), &spans);
        Self { body: Some(body), index, spans, stored_size, ..Self::of(facts) }
    }

    /// A version whose body was let go before it came here.
    pub fn new_without_body(mut facts: Facts) -> Self {
        facts.content = content_hash(None, None, &Spans::default());
        Self::of(facts)
    }

    fn of(facts: Facts) -> Self {
        let format = match (facts.transaction, &facts.imported) {
            (true, _) => FORMAT_TRANSACTION,
            (false, Some(_)) => FORMAT_IMPORTED,
            (false, None) => FORMAT_WRITTEN_HERE,
        };
        let hash = facts.hash();
        Self { format, facts, hash, stored_size: 0, body: None, index: None, spans: Spans::default() }
    }

    /// Whether its body, index and spans are those it was published with. Says yes of a version whose body was let go.
    pub fn has_its_content(&self) -> bool {
        self.body.is_none() || content_hash(self.body.as_ref(), self.index.as_ref(), &self.spans) == self.facts.content
    }

    /// The prefix of all version records.
    pub const PREFIX: &'static str = "version/";

    /// The prefix of the keys of a state's versions. Newer ones sort first.
    pub fn prefix(state: &StateId) -> String {
        records::prefix_of(Self::PREFIX, state)
    }

    /// The state that a version record's key names.
    pub fn state_of(key: &Key) -> Option<StateId> {
        records::state_of(Self::PREFIX, key)
    }

    /// The key of a version written by the write `write_id`.
    pub fn key(state: &StateId, version: Version, write_id: &str) -> Key {
        Key::new(format!("{}{:016x}-{write_id}", Self::prefix(state), u64::MAX - version.0))
    }

    /// Reads a record.
    pub fn decode(key: &Key, value: &Bytes) -> Result<Self, StoreError> {
        records::decode(key, value)
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
        let mut fields = vec![
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
        if let Some(imported) = &self.imported {
            let Imported { from, version, hash, at, who, token } = imported;
            let version = version.map_or_else(String::new, |version| version.to_string());
            let [hash, token] = [hash, token].map(|text| text.clone().unwrap_or_default());
            fields.extend([from.clone(), version, hash, at.to_string(), who.clone(), token]);
        }
        if self.transaction {
            fields.push("transaction".to_owned());
        }
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

    /// As a store has kept it since before versions could be taken in from elsewhere.
    const STORED: &str = r#"{"format":1,"facts":{"state":"a","version":"v2","parent":{"version":"v1","record":"version/a@default#fffffffffffffffe-75236d55773c29321e7302b6311814ee","hash":"84e70662da0e67335fa2c32dab810922d218988a2ac0d317c9192b7860969fb1"},"serial":2,"lineage":"11111111-2222-3333-4444-555555555555","size":382,"sha256":"cb416ad02e5d53c83c3a40596a70e62d5724acdb45f3b70b5c507e9cebc240a7","md5":"c466cb74dea9e18eec307ccb443ae4d9","created":"2027-01-15T08:00:00Z","who":"L@host","token":null,"operation":"OperationTypeApply","lock_id":"L","fence":1,"tool":"terraform_version 1.15.5","resources":1,"opaque":false,"changes":{"added":0,"changed":1,"removed":0},"content":"4bf588f74fb9e62abceb490f14aa322125a32c4387e85e5ae4aa594ecdb88ef5"},"hash":"3ba7c4a456fb0e7fe992829ae4329fec9dd1e6c502bbc64d0f9d30c73dfe0809","stored_size":259,"body":{"levels":0,"root":"Ivga7hqdwYFTnGukRKuxwpvHxB+Xobb2H/XNCUaoZXGI/gI"},"index":{"levels":0,"root":"G291dHB1dC5zaXplvtf8P4OQaLqFKtMe6gzKHiB0ZXJyYWZvcm1fZGF0YS54Dj08jWDGNqEUOES3clKyow"},"spans":{"serial":{"start":51,"end":52},"outputs":{"start":112,"end":148},"terraform_version":"1.15.5"}}"#;

    fn stored() -> VersionRecord {
        VersionRecord::decode(&Key::new("version/a@default#1"), &Bytes::from_static(STORED.as_bytes())).unwrap()
    }

    #[test]
    fn what_is_stored_since_before_hashes_as_it_did_and_is_written_as_it_was() {
        let record = stored();
        assert_eq!((record.facts.hash(), record.has_its_content()), (record.hash.clone(), true));
        assert_eq!(record.encode(), STORED.as_bytes());
    }

    #[test]
    fn the_hash_covers_where_a_version_came_from() {
        let imported = Imported {
            from: "sqlite:a.db".into(),
            version: Some(Version(2)),
            hash: Some("h".into()),
            at: Timestamp::UNIX_EPOCH,
            who: "ana".into(),
            token: None,
        };
        let others = [
            None,
            Some(Imported { from: "sqlite:b.db".into(), ..imported.clone() }),
            Some(Imported { version: None, ..imported.clone() }),
            Some(Imported { hash: None, ..imported.clone() }),
            Some(Imported { at: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1), ..imported.clone() }),
            Some(Imported { who: "bo".into(), ..imported.clone() }),
            Some(Imported { token: Some("ci".into()), ..imported.clone() }),
        ];
        let hash = |imported| Facts { imported, ..stored().facts }.hash();
        let mine = hash(Some(imported));
        assert!(others.into_iter().all(|other| hash(other) != mine));
    }

    #[test]
    fn an_older_reader_refuses_a_version_from_elsewhere_and_no_other() {
        let facts = stored().facts;
        let imported = Imported {
            from: String::new(),
            version: None,
            hash: None,
            at: Timestamp::UNIX_EPOCH,
            who: String::new(),
            token: None,
        };
        assert_eq!(VersionRecord::new_without_body(facts.clone()).format, 1);
        assert_eq!(VersionRecord::new_without_body(Facts { imported: Some(imported), ..facts }).format, 2);
    }

    #[test]
    fn newer_versions_sort_first() {
        let state = "a".parse().unwrap();
        let mut keys: Vec<Key> = [1, 2, 10, 300].map(|n| VersionRecord::key(&state, Version(n), "w")).into();
        keys.sort();
        assert_eq!(keys[0], VersionRecord::key(&state, Version(300), "w"));
    }
}
