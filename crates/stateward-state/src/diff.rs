//! What differs between the instances and outputs of two versions, without their secrets.
//!
//! Values are compared by meaning: numbers exactly, objects without regard to order, arrays element by element. What is
//! secret is known from the marks a state carries: `sensitive_attributes`, `private`, and outputs with `sensitive`. A value
//! is hidden if a mark of either side covers it, and also wherever it turns up again unmarked, alone or (from six
//! characters on) inside a longer text, in anything that is compared in the same call. Booleans, null and the empty string
//! are hidden by marks only.

mod mask;
mod path;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::counts::Action;
use crate::extract::Extracted;
use crate::json::value;
use mask::{Marks, Secrets};
use path::{Leaf, Path, Step};

/// What happened to an instance or output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its address.
    pub address: String,
    /// Whether it was added, changed or removed.
    pub action: Action,
    /// The values that differ, in the order of their paths.
    pub attributes: Vec<AttributeChange>,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributeChange {
    /// Where it stands: `tags.Name`, `ingress[0].cidr`, `tags["a.b"]` within the attributes, `value.x` in an output, and
    /// `(status)`, `(dependencies)[0]` for the fields of the state format around them.
    pub path: String,
    /// The value before: a scalar or an empty container. Null where there was none, or where it is sensitive.
    pub before: Option<Value>,
    /// The value after, likewise.
    pub after: Option<Value>,
    /// Whether the values are hidden.
    pub sensitive: bool,
}

/// Compares two extracts. Addresses that mean the same on both sides are left out, but their secrets are heeded.
pub fn diff(before: &BTreeMap<String, Extracted>, after: &BTreeMap<String, Extracted>) -> Vec<Change> {
    let addresses: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut secrets = Secrets::default();
    let mut differing = Vec::new();
    for address in addresses {
        let (before, after) = (before.get(address), after.get(address));
        // Of what is the same on both sides, which is all that is sensitive in a large state, one side tells the secrets.
        let is_same = before == after;
        let parse = |side: Option<&Extracted>| side.map(Object::parse);
        let pair = Pair { address, before: parse(before), after: parse(after.filter(|_| !is_same)) };
        let marks = Marks::resolve(&pair.sides());
        for object in pair.sides() {
            marks.collect(object, &mut secrets);
        }
        if !is_same {
            differing.push((pair, marks));
        }
    }
    differing.iter().filter_map(|(pair, marks)| pair.change(marks, &secrets)).collect()
}

/// One address on both sides.
struct Pair<'a> {
    address: &'a str,
    before: Option<Object>,
    after: Option<Object>,
}

impl Pair<'_> {
    fn sides(&self) -> impl Iterator<Item = &Object> + Clone {
        self.before.iter().chain(&self.after)
    }

    fn change(&self, marks: &Marks, secrets: &Secrets) -> Option<Change> {
        let leaves =
            |object: &Option<Object>| object.as_ref().map(|object| object.leaves(marks, secrets)).unwrap_or_default();
        let (mut before, mut after) = (leaves(&self.before), leaves(&self.after));
        let paths: BTreeSet<Path> = before.keys().chain(after.keys()).cloned().collect();
        let mut attributes = Vec::new();
        for path in paths {
            let (old, new) = (before.remove(&path), after.remove(&path));
            if old != new {
                attributes.push(attribute_change(&path, old, new));
            }
        }
        let action = match (&self.before, &self.after) {
            (None, _) => Action::Add,
            (_, None) => Action::Remove,
            _ if attributes.is_empty() => return None,
            _ => Action::Change,
        };
        Some(Change { address: self.address.to_owned(), action, attributes })
    }
}

fn attribute_change(path: &[Step], old: Option<Leaf>, new: Option<Leaf>) -> AttributeChange {
    let path = path::render(path);
    match (old.map(Leaf::visible), new.map(Leaf::visible)) {
        (Some(None), _) | (_, Some(None)) => AttributeChange { path, before: None, after: None, sensitive: true },
        (before, after) => AttributeChange { path, before: before.flatten(), after: after.flatten(), sensitive: false },
    }
}

/// An instance or output, parsed.
#[derive(Debug)]
struct Object {
    /// `attributes`, or `attributes_flat`, or the output's `value` under that name.
    attributes: Value,
    /// Whether the keys are those of `attributes_flat`: paths in themselves.
    flat: bool,
    /// The other fields.
    fields: Map<String, Value>,
    output: bool,
}

impl Object {
    fn parse(extracted: &Extracted) -> Self {
        // The extractor has read both texts before; only others can bring any that do not parse.
        let object = |raw: &[u8]| match value::parse(raw) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        let mut members = object(&extracted.raw);
        if extracted.resource.is_empty() {
            let mut attributes = Map::new();
            if let Some(value) = members.shift_remove("value") {
                attributes.insert("value".to_owned(), value);
            }
            return Self { attributes: Value::Object(attributes), flat: false, fields: members, output: true };
        }
        let mut fields = object(&extracted.resource);
        let nested = members.shift_remove("attributes").filter(|value| !value.is_null());
        let flat = nested.is_none();
        let attributes = nested.or_else(|| members.shift_remove("attributes_flat")).unwrap_or(Value::Null);
        // The instance's own provider is the one in force.
        fields.extend(members);
        // These stand in the address, or hold nothing but the instances.
        for name in ["mode", "type", "name", "module", "index_key", "deposed", "instances"] {
            fields.shift_remove(name);
        }
        Self { attributes, flat, fields, output: false }
    }

    fn is_sensitive_output(&self) -> bool {
        self.output
            && self.fields.get("sensitive").is_some_and(|value| *value != Value::Bool(false) && !value.is_null())
    }

    fn leaves(&self, marks: &Marks, secrets: &Secrets) -> BTreeMap<Path, Leaf> {
        let mut leaves = path::Leaves::new(marks, secrets, self.flat);
        match &self.attributes {
            Value::Object(members) => leaves.members(members),
            Value::Null => {}
            other => leaves.value(other),
        }
        for (name, value) in &self.fields {
            leaves.field(name, value);
        }
        leaves.into_map()
    }
}

#[cfg(test)]
mod tests;
