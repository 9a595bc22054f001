//! What edits of whole bodies have in common.

use std::ops::Range;

use super::list::{Item, List};
use super::style::restyle;
use crate::document::{Document, Resource, Style};
use crate::json;

/// Replaces ranges, which are sorted and apart.
pub(super) fn apply(body: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    for (span, text) in edits {
        out.extend_from_slice(body.get(at..span.start).unwrap_or_default());
        out.extend_from_slice(text);
        at = span.end;
    }
    out.extend_from_slice(body.get(at..).unwrap_or_default());
    out
}

/// Gives top-level fields other values, and the serial another number. Fields that are missing come behind the serial.
pub(super) fn with_fields(head: &Document<'_>, serial: u64, values: Vec<(&str, Option<Vec<u8>>)>) -> Vec<u8> {
    let mut edits = Vec::new();
    let mut behind_serial = serial.to_string().into_bytes();
    for (name, value) in values {
        let Some(value) = value else { continue };
        match head.field(name) {
            Some(field) => edits.push((field.value.clone(), value)),
            None => behind_serial.extend(new_field(head.style(), name, &value)),
        }
    }
    if let Some(field) = head.field("serial") {
        edits.push((field.value.clone(), behind_serial));
    }
    edits.sort_by_key(|(span, _)| span.start);
    apply(head.body(), &edits)
}

/// A top-level field to put behind another one.
fn new_field(style: Style, name: &str, value: &[u8]) -> Vec<u8> {
    let start = match style {
        Style::Compact => format!(",\"{name}\":"),
        Style::Indented => format!(",\n  \"{name}\": "),
    };
    [start.as_bytes(), value].concat()
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

/// Whether two values that were read before mean the same.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left == right || matches!((json::canonical(left), json::canonical(right)), (Ok(left), Ok(right)) if left == right)
}
