//! Where something stands in a text.

use std::fmt;

/// A position in a text. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Place {
    /// In bytes from the start of the text.
    pub offset: usize,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of a byte of the text; one past the end where the offset lies beyond.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = text.get(..offset).unwrap_or_default();
        Self { offset: 0, line: 1, column: 1 }.after(before)
    }

    /// The place of the end of a text that begins here.
    fn after(self, text: &str) -> Self {
        let (lines, last) = match text.rfind('\n') {
            None => (0, text),
            Some(at) => (text.matches('\n').count(), text.get(at + 1..).unwrap_or_default()),
        };
        let start = if lines == 0 { self.column } else { 1 };
        Self { offset: self.offset + text.len(), line: self.line + lines, column: start + last.chars().count() }
    }

    /// The places of offsets that do not go back, with the text read once for all of them.
    pub(crate) fn all(text: &str) -> impl FnMut(usize) -> Self {
        let mut last = Self::of(text, 0);
        move |offset| {
            match text.get(last.offset..offset) {
                Some(between) => last = last.after(between),
                None => last = Self::of(text, offset),
            }
            last
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "é{\n \"ü\": x\n";
        for (offset, line, column) in [(0, 1, 1), (2, 1, 2), (4, 2, 1), (6, 2, 3), (9, 2, 5), (99, 3, 1)] {
            let place = Place::of(text, offset);
            assert_eq!((place.line, place.column), (line, column), "offset {offset}");
        }
        assert_eq!(Place::of(text, 1).offset, 0, "never inside a character");
        let mut place = Place::all(text);
        for offset in [0, 0, 1, 2, 3, 6, 6, 9, 99, 4] {
            assert_eq!(place(offset), Place::of(text, offset), "offset {offset}");
        }
    }
}
