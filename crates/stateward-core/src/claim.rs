//! What a transaction claims of a state, and what is recorded of it beside the control record. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateward_state::plan::{NotAPlace, Place, Places};
use stateward_store::{Expect, Key, StoreError, Write};

use crate::control::{Control, OpenTx};
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::records::{self, Formed};
use crate::version::Version;

/// The newest form that is read.
const FORMAT: u8 = 1;

/// The parts of a state that a transaction needs: nobody else may write what it reads, nor read or write what it writes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Addresses", into = "Addresses")]
pub struct Claim {
    /// What it may write.
    pub write: Places,
    /// What it may depend on.
    pub read: Places,
}

/// A claim as it is written down.
#[derive(Serialize, Deserialize)]
struct Addresses {
    write: Vec<String>,
    read: Vec<String>,
}

impl Claim {
    /// Reads addresses as Terraform writes them, and `output.NAME`; `*` is everything.
    pub fn parse(write: &[String], read: &[String]) -> Result<Self, NotAPlace> {
        let places = |texts: &[String]| texts.iter().map(|text| Place::parse(text)).collect::<Result<Places, _>>();
        Ok(Self { write: places(write)?, read: places(read)? })
    }

    /// What of this claim another one is in the way of.
    pub fn conflict<'a>(&'a self, other: &'a Self) -> Option<&'a Place> {
        let written = self.write.overlap(&other.write).or_else(|| self.write.overlap(&other.read));
        let (mine, _) = written.or_else(|| self.read.overlap(&other.write))?;
        Some(mine)
    }

    /// Whether an instance or output is read or written.
    pub fn covers(&self, address: &str) -> bool {
        self.write.covers(address) || self.read.covers(address)
    }

    /// The addresses that are written.
    pub fn written(&self) -> Vec<String> {
        self.write.iter().map(ToString::to_string).collect()
    }

    /// The addresses that are read.
    pub fn read_only(&self) -> Vec<String> {
        self.read.iter().map(ToString::to_string).collect()
    }
}

impl From<Claim> for Addresses {
    fn from(claim: Claim) -> Self {
        Self { write: claim.written(), read: claim.read_only() }
    }
}

impl TryFrom<Addresses> for Claim {
    type Error = NotAPlace;

    fn try_from(addresses: Addresses) -> Result<Self, Self::Error> {
        Self::parse(&addresses.write, &addresses.read)
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Its run said that it is done. What it wrote stays.
    Committed,
    /// It was given up, by its run or by somebody else. What it had written by then stays.
    Aborted,
    /// Its lease lapsed, and somebody else took what it held. What it had written by then stays.
    Lapsed,
}

/// The end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub phase: Ending,
    /// When.
    pub at: Timestamp,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The last version that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Version>,
}

/// What is recorded of a transaction: written when it asks, and again when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxRecord {
    format: u8,
    /// Its lock ID.
    pub id: String,
    /// The lock information exactly as it was sent.
    pub raw: String,
    /// `user@host`, as the client says.
    pub who: String,
    /// Terraform's word for what it is doing.
    pub operation: String,
    /// The tool's version, as the client says.
    pub tool: String,
    /// The token it was begun with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it first asked.
    pub since: Timestamp,
    /// The version that its plan was made against; absent where there was no state.
    pub base: Option<Version>,
    /// What it holds.
    pub claim: Claim,
    /// The last version of a transaction that did not get through, which this one brings to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Version>,
    /// Set once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

impl Formed for TxRecord {
    const NEWEST: u8 = FORMAT;

    fn format(&self) -> u8 {
        self.format
    }
}

impl TxRecord {
    /// The prefix of the records of a state's transactions.
    pub fn prefix(state: &StateId) -> String {
        records::prefix_of(Self::PREFIX, state)
    }

    /// The prefix of all records of transactions.
    pub const PREFIX: &'static str = "tx/";

    /// The state that a record's key names.
    pub fn state_of(key: &Key) -> Option<StateId> {
        records::state_of(Self::PREFIX, key)
    }

    /// The key of a transaction's record. Lock IDs are free text, keys are not.
    pub fn key(state: &StateId, id: &str) -> Key {
        let hash = blake3::Hasher::new_derive_key("stateward 2026-11 transaction").update(id.as_bytes()).finalize();
        Key::new(format!("{}{}", Self::prefix(state), &hash.to_hex()[..32]))
    }

    /// Reads a record.
    pub fn decode(key: &Key, value: &Bytes) -> Result<Self, StoreError> {
        records::decode(key, value)
    }

    /// The write that records it.
    pub(crate) fn write(&self, state: &StateId) -> Write {
        let value = serde_json::to_vec(self).unwrap_or_default();
        Write { key: Self::key(state, &self.id), value: Some(value.into()), expect: Expect::Any }
    }

    /// The same, as what goes on where another one wrote last.
    pub(crate) fn continuing(self, last: Option<Version>) -> Self {
        Self { continues: last, ..self }
    }

    /// What stands for a record that is missing: it claims everything.
    pub(crate) fn lost(id: &str, now: Timestamp) -> Self {
        Self {
            format: FORMAT,
            id: id.to_owned(),
            raw: serde_json::json!({ "ID": id }).to_string(),
            who: String::new(),
            operation: String::new(),
            tool: String::new(),
            token: None,
            since: now,
            base: None,
            claim: Claim { write: std::iter::once(Place::everything()).collect(), read: Places::default() },
            continues: None,
            ended: None,
        }
    }

    /// When it ended, or else when it first asked.
    pub(crate) fn settled(&self) -> Timestamp {
        self.ended.as_ref().map_or(self.since, |ended| ended.at)
    }

    /// The same, ended; `tx` is how it stood open.
    pub(crate) fn ended(&self, phase: Ending, why: &str, tx: Option<&OpenTx>, now: Timestamp) -> Self {
        let ended = Ended { phase, at: now, why: why.to_owned(), last: tx.and_then(|tx| tx.last) };
        Self { ended: Some(ended), ..self.clone() }
    }

    /// A transaction that asks.
    pub(crate) fn asking(ask: &crate::locks::Ask, base: Option<Version>, claim: Claim, now: Timestamp) -> Self {
        Self {
            format: FORMAT,
            id: ask.id.clone(),
            raw: ask.raw.clone(),
            who: ask.who.clone(),
            operation: ask.operation.clone(),
            tool: ask.tool.clone(),
            token: ask.token.clone(),
            since: now,
            base,
            claim,
            continues: None,
            ended: None,
        }
    }
}

/// The records of the transactions that a control record names.
#[derive(Debug, Clone, Default)]
pub struct Claims(HashMap<String, Arc<TxRecord>>);

impl Claims {
    /// The record of a transaction.
    pub fn get(&self, id: &str) -> Option<&Arc<TxRecord>> {
        self.0.get(id)
    }

    /// Adds a record.
    pub fn insert(&mut self, record: Arc<TxRecord>) {
        self.0.insert(record.id.clone(), record);
    }

    /// Whether all transactions of the control record, open or waiting, are in here.
    pub fn know_all(&self, control: &Control) -> bool {
        named(control).all(|id| self.0.contains_key(id))
    }
}

/// The transactions that a control record names, open or waiting.
pub fn named(control: &Control) -> impl Iterator<Item = &str> {
    let waiting = control.queue.iter().filter(|ticket| ticket.resources).map(|ticket| ticket.id.as_str());
    control.txs.iter().map(|tx| tx.id.as_str()).chain(waiting)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn claim(write: &[&str], read: &[&str]) -> Claim {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Claim::parse(&owned(write), &owned(read)).unwrap()
    }

    #[test]
    fn who_reads_goes_together_and_who_writes_does_not() {
        let conflict = |mine: &Claim, theirs: &Claim| mine.conflict(theirs).map(ToString::to_string);
        let (a, b) = (claim(&["x.a"], &["x.shared"]), claim(&["x.b"], &["x.shared"]));
        assert_eq!(conflict(&a, &b), None);
        assert_eq!(conflict(&a, &claim(&["x.a"], &[])).as_deref(), Some("x.a"));
        assert_eq!(conflict(&a, &claim(&[], &["x.a"])).as_deref(), Some("x.a"));
        assert_eq!(conflict(&a, &claim(&["x.shared"], &[])).as_deref(), Some("x.shared"));
        assert_eq!(conflict(&a, &claim(&["module.m"], &[])), None);
        assert_eq!(conflict(&a, &claim(&["*"], &[])).as_deref(), Some("x.a"));
    }

    #[test]
    fn a_record_comes_back() {
        let state = "a@dev".parse().unwrap();
        let record = TxRecord {
            format: FORMAT,
            id: "a/b#c".into(),
            raw: "{}".into(),
            who: "ana".into(),
            operation: "OperationTypeApply".into(),
            tool: "1.15.5".into(),
            token: None,
            since: Timestamp::UNIX_EPOCH,
            base: Some(Version(3)),
            claim: claim(&["module.m[\"k\"].x.a[0]", "output.o"], &["data.x.b"]),
            continues: None,
            ended: None,
        };
        let write = record.write(&state);
        let back = TxRecord::decode(&write.key, write.value.as_ref().unwrap()).unwrap();
        assert_eq!(back, record);
        assert_eq!(TxRecord::state_of(&write.key), Some(state));
        let damaged = Bytes::from_static(br#"{"format":1,"claim":{"write":["no address!"],"read":[]}}"#);
        assert!(matches!(TxRecord::decode(&write.key, &damaged), Err(StoreError::Corrupt { .. })));
    }
}
