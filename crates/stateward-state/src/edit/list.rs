//! Rebuilding an array or object with elements kept, replaced, added and left out.

use std::ops::Range;

use super::style::new_line;
use crate::document::Style;

/// An element of the new list.
#[derive(Debug)]
pub(crate) enum Item {
    /// The element that stood at this index, as it was.
    Keep(usize),
    /// Another one in the place of the element at this index.
    Replace(usize, Vec<u8>),
    /// One that was not there.
    New(Vec<u8>),
}

impl Item {
    fn index(&self) -> Option<usize> {
        match self {
            Self::Keep(index) | Self::Replace(index, _) => Some(*index),
            Self::New(_) => None,
        }
    }

    /// How many bytes it has that were not there.
    pub(super) fn new_bytes(&self) -> usize {
        match self {
            Self::Keep(_) => 0,
            Self::Replace(_, bytes) | Self::New(bytes) => bytes.len(),
        }
    }
}

/// An array or object in a body.
#[derive(Debug)]
pub(crate) struct List<'a> {
    pub(crate) body: &'a [u8],
    /// With its brackets.
    pub(crate) span: Range<usize>,
    /// Its elements, or its members from key to value.
    pub(crate) elements: Vec<Range<usize>>,
    pub(crate) style: Style,
    /// The indentation level of its elements.
    pub(crate) level: usize,
}

impl List<'_> {
    fn raw(&self, span: Range<usize>) -> &[u8] {
        self.body.get(span).unwrap_or_default()
    }

    /// What stands between two neighbours, or by custom where `index` is not followed by its old neighbour.
    fn gap(&self, before: Option<usize>, after: Option<usize>, out: &mut Vec<u8>) {
        let between = |index: usize| {
            let (left, right) = (self.elements.get(index)?, self.elements.get(index + 1)?);
            Some(self.raw(left.end..right.start))
        };
        let neighbours = before.zip(after).filter(|(before, after)| before + 1 == *after);
        if let Some(gap) = neighbours.map_or(Some(0), |(before, _)| Some(before)).and_then(between) {
            out.extend_from_slice(gap);
        } else {
            out.push(b',');
            if self.style == Style::Indented {
                new_line(self.level, out);
            }
        }
    }

    /// The bytes of the list with these elements; where old neighbours stay neighbours, so does what is between them.
    pub(crate) fn rebuild(&self, items: &[Item], brackets: [u8; 2]) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(items, brackets, &mut out);
        out
    }

    /// As [`List::rebuild`], at the end of other bytes.
    pub(crate) fn write(&self, items: &[Item], brackets: [u8; 2], out: &mut Vec<u8>) {
        let [open, close] = brackets;
        if items.is_empty() {
            out.extend_from_slice(&brackets);
            return;
        }
        if let Some(first) = self.elements.first() {
            out.extend_from_slice(self.raw(self.span.start..first.start));
        } else {
            out.push(open);
            if self.style == Style::Indented {
                new_line(self.level, out);
            }
        }
        let mut before: Option<&Item> = None;
        for item in items {
            if let Some(before) = before {
                self.gap(before.index(), item.index(), out);
            }
            match item {
                Item::Keep(index) => {
                    out.extend_from_slice(self.elements.get(*index).map_or(&[], |span| self.raw(span.clone())));
                }
                Item::Replace(_, bytes) | Item::New(bytes) => out.extend_from_slice(bytes),
            }
            before = Some(item);
        }
        if let Some(last) = self.elements.last() {
            out.extend_from_slice(self.raw(last.end..self.span.end));
        } else {
            if self.style == Style::Indented {
                new_line(self.level.saturating_sub(1), out);
            }
            out.push(close);
        }
    }
}
