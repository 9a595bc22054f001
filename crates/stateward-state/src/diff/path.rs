//! Paths of values, and the values at their ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::mask::{Marks, Secrets, fingerprint};
use crate::address;

/// A step down into a value. Ordered so that attributes come before the fields around them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A member of an object.
    Key(String),
    /// A key of `attributes_flat`, which is a path in itself.
    FlatKey(String),
    /// An element of an array.
    Index(usize),
    /// A field of the state format beside the attributes.
    Field(String),
}

pub(crate) type Path = Vec<Step>;

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A path as people write it.
pub(crate) fn render(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if is_name(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::FlatKey(key)
                if key.split('.').all(|part| {
                    matches!(part, "#" | "%")
                        || (!part.is_empty()
                            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')))
                }) =>
            {
                text.push_str(key);
            }
            Step::Key(key) | Step::FlatKey(key) => {
                text.push('[');
                address::push_quoted(&mut text, key);
                text.push(']');
            }
            // Writing to a string cannot fail.
            Step::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
            Step::Field(name) => {
                let _ = write!(text, "({name})");
            }
        }
    }
    text
}

/// A value at the end of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leaf {
    /// A scalar or an empty container.
    Shown(Value),
    /// Something secret; its fingerprint tells whether it changed.
    Hidden(String),
}

impl Leaf {
    pub(crate) fn visible(self) -> Option<Value> {
        match self {
            Self::Shown(value) => Some(value),
            Self::Hidden(_) => None,
        }
    }
}

/// Takes values apart into leaves.
pub(crate) struct Leaves<'a> {
    marks: &'a Marks,
    secrets: &'a Secrets,
    flat: bool,
    path: Path,
    found: BTreeMap<Path, Leaf>,
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(marks: &'a Marks, secrets: &'a Secrets, flat: bool) -> Self {
        Self { marks, secrets, flat, path: Vec::new(), found: BTreeMap::new() }
    }

    pub(crate) fn into_map(self) -> BTreeMap<Path, Leaf> {
        self.found
    }

    /// The attributes.
    pub(crate) fn members(&mut self, members: &Map<String, Value>) {
        if members.keys().any(|key| self.secrets.reveals(key)) {
            self.hide(&Value::Object(members.clone()));
            return;
        }
        for (key, value) in members {
            let step = if self.flat { Step::FlatKey(key.clone()) } else { Step::Key(key.clone()) };
            self.below(step, |leaves| leaves.value(value));
        }
    }

    /// A field beside the attributes.
    pub(crate) fn field(&mut self, name: &str, value: &Value) {
        // A name that holds a secret is not shown, nor are the marks: they hold keys of sensitive maps.
        let hidden = match name {
            "private" | "sensitive_attributes" => true,
            // Of an output: it names the keys of its value.
            "type" => self.marks.cover_all(),
            _ => self.secrets.reveals(name),
        };
        let shown = if self.secrets.reveals(name) { "hidden" } else { name };
        self.below(
            Step::Field(shown.to_owned()),
            |leaves| if hidden { leaves.hide(value) } else { leaves.value(value) },
        );
    }

    fn below(&mut self, step: Step, visit: impl FnOnce(&mut Self)) {
        self.path.push(step);
        visit(self);
        self.path.pop();
    }

    fn hide(&mut self, value: &Value) {
        self.found.insert(self.path.clone(), Leaf::Hidden(fingerprint(value)));
    }

    pub(crate) fn value(&mut self, value: &Value) {
        if self.marks.cover(&self.path, value) || self.secrets.contain(value) {
            self.hide(value);
            return;
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    self.below(Step::Key(key.clone()), |leaves| leaves.value(value));
                }
            }
            Value::Array(elements) if !elements.is_empty() => {
                for (index, value) in elements.iter().enumerate() {
                    self.below(Step::Index(index), |leaves| leaves.value(value));
                }
            }
            _ => {
                self.found.insert(self.path.clone(), Leaf::Shown(value.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_expressions() {
        let key = |text: &str| Step::Key(text.to_owned());
        for (path, expected) in [
            (vec![key("tags"), key("Name")], "tags.Name"),
            (vec![key("ingress"), Step::Index(0), key("cidr")], "ingress[0].cidr"),
            (vec![key("tags"), key("a.b")], "tags[\"a.b\"]"),
            (vec![key("tags"), key("")], "tags[\"\"]"),
            (vec![Step::Field("dependencies".into()), Step::Index(10)], "(dependencies)[10]"),
            (vec![Step::Field("identity".into()), key("id")], "(identity).id"),
            (vec![Step::FlatKey("tags.%".into())], "tags.%"),
            (vec![Step::FlatKey("tags.a b".into())], "[\"tags.a b\"]"),
        ] {
            assert_eq!(render(&path), expected);
        }
    }

    #[test]
    fn elements_sort_by_number_and_attributes_first() {
        assert!(Step::Index(2) < Step::Index(10));
        assert!(Step::Key("z".into()) < Step::Field("a".into()));
    }
}
