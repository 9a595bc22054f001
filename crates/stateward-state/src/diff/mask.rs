//! What is secret: by the marks of a state, and by value.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::Object;
use super::path::{Path, Step};
use crate::json::value;

/// Secrets of at least this many characters are also found inside longer texts.
const INSIDE_FROM: usize = 6;

/// A text for each value: equal for equal values, whatever the order of members.
pub(crate) fn fingerprint(value: &Value) -> String {
    let mut text = String::new();
    push_fingerprint(value, &mut text);
    text
}

fn push_fingerprint(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in members {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                push_fingerprint(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(elements) => {
            text.push('[');
            for value in elements {
                push_fingerprint(value, text);
                text.push(',');
            }
            text.push(']');
        }
        _ => text.push_str(&value.to_string()),
    }
}

/// The values that must not be shown, wherever they stand.
#[derive(Default)]
pub(crate) struct Secrets {
    /// Texts of scalars.
    texts: HashSet<String>,
    /// The longer ones by their first bytes, to find them inside other texts in one pass.
    inside: HashMap<[u8; INSIDE_FROM], Vec<String>>,
    /// Fingerprints of containers: a copy of a secret map is hidden with its keys.
    containers: HashSet<String>,
}

impl Secrets {
    /// Takes in all that a secret value holds.
    pub(crate) fn add(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => self.add_text(&number.to_string()),
            Value::String(text) => self.add_string(text),
            Value::Array(elements) => {
                if !elements.is_empty() {
                    self.containers.insert(fingerprint(value));
                }
                for value in elements {
                    self.add(value);
                }
            }
            Value::Object(members) => {
                if !members.is_empty() {
                    self.containers.insert(fingerprint(value));
                }
                for value in members.values() {
                    self.add(value);
                }
            }
        }
    }

    fn add_string(&mut self, text: &str) {
        self.add_text(text);
        self.add_text(text.trim());
        // As it looks inside JSON that is itself a string: as serde_json and most others write it, and as Terraform does.
        let literal = Value::from(text).to_string();
        let escaped = literal.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
        self.add_text(escaped);
        self.add_text(&escaped.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"));
        // A secret that is JSON holds secrets.
        if text.starts_with(['{', '['])
            && let Ok(inner) = value::parse(text.as_bytes())
        {
            self.add_inner(&inner);
        }
    }

    /// Takes in the longer scalars of JSON that was found in a secret text; short ones are too often words like any other.
    fn add_inner(&mut self, value: &Value) {
        match value {
            Value::Array(elements) => {
                for value in elements {
                    self.add_inner(value);
                }
            }
            Value::Object(members) => {
                for value in members.values() {
                    self.add_inner(value);
                }
            }
            Value::String(text) if text.chars().count() >= INSIDE_FROM => self.add_text(text),
            _ => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        if text.is_empty() || !self.texts.insert(text.to_owned()) || text.chars().count() < INSIDE_FROM {
            return;
        }
        if let Some(start) = text.as_bytes().first_chunk() {
            self.inside.entry(*start).or_default().push(text.to_owned());
        }
    }

    /// Whether a text is a secret or has one inside.
    pub(crate) fn reveals(&self, text: &str) -> bool {
        if self.texts.is_empty() {
            return false;
        }
        let bytes = text.as_bytes();
        self.texts.contains(text)
            || bytes.windows(INSIDE_FROM).enumerate().any(|(at, window)| {
                let Some(start) = window.first_chunk() else { return false };
                let rest = bytes.get(at..).unwrap_or_default();
                self.inside
                    .get(start)
                    .is_some_and(|secrets| secrets.iter().any(|secret| rest.starts_with(secret.as_bytes())))
            })
    }

    /// Whether a value must be hidden as a whole: a scalar for its text, a container for being a copy or for its keys.
    pub(crate) fn contain(&self, value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => self.reveals(&number.to_string()),
            Value::String(text) => self.reveals(text),
            Value::Array(_) => !self.containers.is_empty() && self.containers.contains(&fingerprint(value)),
            Value::Object(members) => {
                members.keys().any(|key| self.reveals(key))
                    || (!self.containers.is_empty() && self.containers.contains(&fingerprint(value)))
            }
        }
    }
}

/// The paths that are marked sensitive at one address, by either side.
#[derive(Default)]
pub(crate) struct Marks {
    paths: BTreeSet<Path>,
    /// Whether everything is secret: an output's value, or attributes with a mark that cannot be read.
    all: bool,
}

/// A step of a mark.
#[derive(Debug)]
enum MarkStep {
    Key(String),
    Index(usize),
}

/// A mark; nothing where it cannot be read.
fn read_mark(mark: &Value) -> Option<Vec<MarkStep>> {
    mark.as_array()?.iter().map(read_step).collect()
}

fn read_step(step: &Value) -> Option<MarkStep> {
    let value = step.get("value")?;
    // Keys of index steps come with their type.
    let value = value.get("value").unwrap_or(value);
    match (step.get("type")?.as_str()?, value) {
        ("get_attr" | "index", Value::String(key)) => Some(MarkStep::Key(key.clone())),
        ("index", Value::Number(index)) => Some(MarkStep::Index(index.to_string().parse().ok()?)),
        _ => None,
    }
}

impl Marks {
    /// The marks of both sides, found in the values of both sides.
    pub(crate) fn resolve<'a>(sides: &(impl Iterator<Item = &'a Object> + Clone)) -> Self {
        let mut marks = Self::default();
        for object in sides.clone() {
            if object.is_sensitive_output() {
                marks.all = true;
            }
            match object.fields.get("sensitive_attributes") {
                _ if object.output => {}
                None | Some(Value::Null) => {}
                Some(Value::Array(list)) => list.iter().for_each(|mark| marks.add(mark, sides.clone())),
                Some(_) => marks.all = true,
            }
        }
        marks
    }

    fn add<'a>(&mut self, mark: &Value, sides: impl Iterator<Item = &'a Object>) {
        let steps = read_mark(mark).unwrap_or_default();
        let Some(MarkStep::Key(top)) = steps.first() else {
            self.all = true;
            return;
        };
        let before = self.paths.len();
        let mut known = false;
        for object in sides {
            let mut found = Vec::new();
            if object.flat {
                find_flat(&object.attributes, &steps, &mut found);
            } else {
                find(&object.attributes, &steps, &mut Vec::new(), &mut found);
            }
            known |= !found.is_empty();
            self.paths.extend(found);
        }
        if !known && self.paths.len() == before {
            // It is somewhere below, but nobody knows where.
            self.paths.insert(vec![Step::Key(top.clone())]);
            self.paths.insert(vec![Step::FlatKey(top.clone())]);
        }
    }

    /// Whether everything is covered.
    pub(crate) fn cover_all(&self) -> bool {
        self.all
    }

    /// Whether a value at a path is covered. Where a mark leads further down than the value reaches, it is covered too.
    pub(crate) fn cover(&self, path: &[Step], value: &Value) -> bool {
        let attribute = !matches!(path.first(), Some(Step::Field(_)));
        if attribute && self.all {
            return true;
        }
        if self.paths.is_empty() || !attribute {
            return false;
        }
        if let [Step::FlatKey(key)] = path {
            return self
                .paths
                .iter()
                .any(|mark| matches!(mark.as_slice(), [Step::FlatKey(mark)] if is_below(key, mark)));
        }
        let scalar = !matches!(value, Value::Null | Value::Array(_) | Value::Object(_));
        self.paths.contains(path) || (scalar && self.paths.iter().any(|mark| mark.starts_with(path)))
    }

    /// Takes the covered values of an object in as secrets.
    pub(crate) fn collect(&self, object: &Object, secrets: &mut Secrets) {
        self.collect_below(&object.attributes, object.flat, &mut Vec::new(), secrets);
    }

    fn collect_below(&self, value: &Value, flat: bool, path: &mut Path, secrets: &mut Secrets) {
        if !path.is_empty() && self.cover(path, value) {
            secrets.add(value);
            return;
        }
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let flat_here = flat && path.is_empty();
                    path.push(if flat_here { Step::FlatKey(key.clone()) } else { Step::Key(key.clone()) });
                    self.collect_below(value, flat, path, secrets);
                    path.pop();
                }
            }
            Value::Array(elements) => {
                for (index, value) in elements.iter().enumerate() {
                    path.push(Step::Index(index));
                    self.collect_below(value, flat, path, secrets);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// Finds where a mark leads. A value of dynamic type stands as `{"value":…,"type":…}`, while marks lead past that: both
/// readings of such an object are followed.
fn find(value: &Value, steps: &[MarkStep], path: &mut Path, found: &mut Vec<Path>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(path.clone());
        return;
    };
    let next = match (step, value) {
        (MarkStep::Key(key), Value::Object(members)) => members.get(key).map(|value| (Step::Key(key.clone()), value)),
        (MarkStep::Index(index), Value::Array(elements)) => {
            elements.get(*index).map(|value| (Step::Index(*index), value))
        }
        _ => None,
    };
    if let Some((step, value)) = next {
        path.push(step);
        find(value, rest, path, found);
        path.pop();
    }
    if let Value::Object(members) = value
        && members.len() == 2
        && members.contains_key("type")
        && let Some(inner) = members.get("value")
    {
        path.push(Step::Key("value".to_owned()));
        find(inner, steps, path, found);
        path.pop();
    }
}

/// Whether a key of `attributes_flat` is at or below another.
fn is_below(key: &str, above: &str) -> bool {
    key.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn find_flat(attributes: &Value, steps: &[MarkStep], found: &mut Vec<Path>) {
    let parts: Vec<String> = steps
        .iter()
        .map(|step| match step {
            MarkStep::Key(key) => key.clone(),
            MarkStep::Index(index) => index.to_string(),
        })
        .collect();
    let mark = parts.join(".");
    if attributes.as_object().is_some_and(|members| members.keys().any(|key| is_below(key, &mark))) {
        found.push(vec![Step::FlatKey(mark)]);
    }
}
