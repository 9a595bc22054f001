//! Items: their attributes, and what is done to them.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use stateward_store::StoreError;

use crate::places::At;

/// The attributes of an item, by their names.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The partition key of the state table.
pub(crate) const PARTITION: &str = "StateID";
/// Its range key.
pub(crate) const RANGE: &str = "VersionID";
/// When an item may go by itself, in seconds since 1970. Nothing that is still needed has one.
pub(crate) const TTL: &str = "TTL";
/// A record's key, or what a name or mark stands for.
pub(crate) const KEY: &str = "K";
/// A record's value.
pub(crate) const VALUE: &str = "V";
/// Which write it was: unique among all writes ever.
pub(crate) const WRITE: &str = "W";

/// Something that is done to one item.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) at: At,
    pub(crate) what: What,
    pub(crate) condition: Option<Condition>,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Put(Item),
    Update(Change),
    Delete,
    /// Only the condition counts.
    Check,
}

/// Attributes that are set and removed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) set: Vec<(&'static str, AttributeValue)>,
    pub(crate) remove: Vec<&'static str>,
}

/// What has to hold of an item.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    pub(crate) text: String,
    pub(crate) values: Item,
}

impl Action {
    pub(crate) fn put(at: At, item: Item) -> Self {
        Self { at, what: What::Put(item), condition: None }
    }

    pub(crate) fn update(at: At, change: Change) -> Self {
        Self { at, what: What::Update(change), condition: None }
    }

    pub(crate) fn delete(at: At) -> Self {
        Self { at, what: What::Delete, condition: None }
    }

    pub(crate) fn check(at: At, condition: Condition) -> Self {
        Self { at, what: What::Check, condition: Some(condition) }
    }

    #[must_use]
    pub(crate) fn when(self, condition: Condition) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// Whether what was found there is what this very action puts.
    pub(crate) fn put_this(&self, found: &Item) -> bool {
        let What::Put(item) = &self.what else { return false };
        item.get(WRITE).is_some_and(|id| found.get(WRITE) == Some(id))
    }

    /// About how many bytes it adds to a request.
    pub(crate) fn size(&self) -> usize {
        let attributes = match &self.what {
            What::Put(item) => item.iter().map(|(name, value)| name.len() + size(value)).sum(),
            What::Update(change) => change.set.iter().map(|(name, value)| name.len() + size(value)).sum(),
            What::Delete | What::Check => 0,
        };
        self.at.partition.len() + attributes + 200
    }
}

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        _ => 0,
    }
}

impl Change {
    #[must_use]
    pub(crate) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, value));
        self
    }

    #[must_use]
    pub(crate) fn remove(mut self, name: &'static str) -> Self {
        self.remove.push(name);
        self
    }

    /// The update expression, and the values in it.
    pub(crate) fn expression(&self) -> (String, Item) {
        let mut values = Item::new();
        let mut sets = Vec::new();
        for (name, value) in &self.set {
            sets.push(format!("{name} = :set{name}"));
            values.insert(format!(":set{name}"), value.clone());
        }
        let mut text = String::new();
        if !sets.is_empty() {
            text = format!("SET {} ", sets.join(", "));
        }
        if !self.remove.is_empty() {
            text.push_str("REMOVE ");
            text.push_str(&self.remove.join(", "));
        }
        (text, values)
    }
}

impl Condition {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Item::new() }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    /// Names that may not stand in an expression by themselves.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        self.text.contains("#ttl").then(|| [("#ttl".to_owned(), TTL.to_owned())].into())
    }
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// The key attributes of an item.
pub(crate) fn key_of(at: &At) -> Item {
    [(PARTITION.to_owned(), text(at.partition.clone())), (RANGE.to_owned(), number(at.range))].into()
}

/// Where an item was.
pub(crate) fn at_of(item: &Item) -> Option<At> {
    let partition = item.get(PARTITION)?.as_s().ok()?.clone();
    Some(At { partition, range: number_in(item, RANGE)? })
}

pub(crate) fn text_in<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn number_in<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Takes bytes out of an item, without a copy.
pub(crate) fn take_bytes(item: &mut Item, name: &str) -> Option<Bytes> {
    match item.remove(name)? {
        AttributeValue::B(bytes) => Some(bytes.into_inner().into()),
        _ => None,
    }
}

/// An item that lacks what it must have: somebody else wrote it.
pub(crate) fn foreign(at: &At, lacks: &str) -> StoreError {
    StoreError::Corrupt {
        what: format!("the item {PARTITION} `{}`, {RANGE} {}", at.partition, at.range),
        reason: format!("it has no `{lacks}`, so stateward did not write it so"),
    }
}
