//! What edits of whole bodies have in common.

use std::ops::Range;

use super::list::{Item, List};
use super::style::restyle;
use crate::document::{Document, Resource, Style};
use crate::json;

/// The new value of a top-level field.
pub(super) enum Value<'a> {
    Text(Vec<u8>),
    /// A list that is rebuilt as it is written: the one of the resources is most of a state.
    List {
        list: List<'a>,
        items: Vec<Item>,
        brackets: [u8; 2],
    },
}

impl Value<'_> {
    /// At most about how many bytes it adds to what was there.
    fn growth(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List { items, .. } => items.iter().map(|item| item.new_bytes() + GAP).sum(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            Self::List { list, items, brackets } => list.write(items, *brackets, out),
        }
    }
}

/// As much as stands between two elements of a list at the top level, with room to spare.
const GAP: usize = 8;

/// A body with other values of top-level fields.
pub(super) struct Refilled {
    pub(super) body: Vec<u8>,
    /// Whether anything but the serial differs.
    pub(super) changed: bool,
}

/// Gives top-level fields other values, and the serial another number. Fields that are missing come behind the serial.
pub(super) fn with_fields(head: &Document<'_>, serial: u64, values: Vec<(&str, Option<Value<'_>>)>) -> Refilled {
    let mut missing = Vec::new();
    let mut places: Vec<(Range<usize>, Option<Value<'_>>)> = Vec::new();
    let mut growth = serial.to_string().len();
    for (name, value) in values {
        let Some(value) = value else { continue };
        growth += value.growth() + name.len() + GAP;
        match head.field(name) {
            Some(field) => places.push((field.value.clone(), Some(value))),
            None => missing.push((name, value)),
        }
    }
    places.extend(head.field("serial").map(|field| (field.value.clone(), None)));
    places.sort_by_key(|(span, _)| span.start);
    let mut changed = !missing.is_empty();
    // Room for all of it at once: a vector that grows would hold a large body twice.
    let mut body = Vec::with_capacity(head.body().len() + growth);
    let mut at = 0;
    for (span, value) in places {
        body.extend_from_slice(head.raw(&(at..span.start)));
        let start = body.len();
        if let Some(value) = value {
            value.write(&mut body);
            changed |= body.get(start..) != Some(head.raw(&span));
        } else {
            body.extend_from_slice(serial.to_string().as_bytes());
            for (name, value) in &missing {
                new_field(head.style(), name, &mut body);
                value.write(&mut body);
            }
        }
        at = span.end;
    }
    body.extend_from_slice(head.body().get(at..).unwrap_or_default());
    Refilled { body, changed }
}

/// Starts a top-level field behind another one.
fn new_field(style: Style, name: &str, out: &mut Vec<u8>) {
    let start = match style {
        Style::Compact => format!(",\"{name}\":"),
        Style::Indented => format!(",\n  \"{name}\": "),
    };
    out.extend_from_slice(start.as_bytes());
}

/// A top-level list of a body, to be rebuilt.
pub(super) fn top_list<'a>(head: &Document<'a>, field: &str, elements: Vec<Range<usize>>) -> List<'a> {
    let span = head.field(field).map_or(0..0, |field| field.value.clone());
    List { body: head.body(), span, elements, style: head.style(), level: 2 }
}

/// The text of a part of one body in the layout of another.
pub(super) fn adopted(raw: &[u8], from: Style, to: Style, level: usize) -> Vec<u8> {
    if from == to { raw.to_vec() } else { restyle(raw, to, level) }
}

/// The bytes of a block with other elements of `instances`.
pub(super) fn with_instances(document: &Document<'_>, block: &Resource, items: &[Item]) -> Vec<u8> {
    let Some(field) = block.field("instances") else { return document.raw(&block.span).to_vec() };
    let list = List {
        body: document.body(),
        span: field.value.clone(),
        elements: block.instances.iter().map(|instance| instance.span.clone()).collect(),
        style: document.style(),
        level: 4,
    };
    let before = document.raw(&(block.span.start..field.value.start));
    let after = document.raw(&(field.value.end..block.span.end));
    [before, &list.rebuild(items, *b"[]"), after].concat()
}

/// Puts an item before the first one that sorts after it.
pub(super) fn insert_sorted<K: Ord>(items: &mut Vec<(K, Item)>, key: K, item: Item) {
    let at = items.iter().position(|(other, _)| *other > key).unwrap_or(items.len());
    items.insert(at, (key, item));
}

/// Puts items, sorted by their keys, each before the first one that sorts after it.
pub(super) fn merge_sorted<K: Ord>(items: Vec<(K, Item)>, new: Vec<(K, Item)>) -> Vec<Item> {
    let mut merged = Vec::with_capacity(items.len() + new.len());
    let mut new = new.into_iter().peekable();
    for (key, item) in items {
        while let Some((_, before)) = new.next_if(|(other, _)| key > *other) {
            merged.push(before);
        }
        merged.push(item);
    }
    merged.extend(new.map(|(_, item)| item));
    merged
}

/// Whether two values that were read before mean the same.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left == right || matches!((json::canonical(left), json::canonical(right)), (Ok(left), Ok(right)) if left == right)
}
