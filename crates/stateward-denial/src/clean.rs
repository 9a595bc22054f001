//! Bytes to lines of plain text: UTF-8 or UTF-16, no terminal codes, nothing in front of a line that a box or a log put there.

mod decode;
mod prefix;

use decode::Decoder;
pub use decode::Utf8;

use crate::squeeze::escape::{self, Escape};

/// A line's start is held back until so many bytes of it are there: no prefix is longer.
const HEAD_MAX: usize = 512;
/// A terminal code without an end within so many bytes is none.
const CODE_MAX: usize = 4096;

/// Cleans a text that comes in pieces. Memory does not grow with it.
#[derive(Debug, Default)]
pub(crate) struct Cleaner {
    decoder: Decoder,
    code: Code,
    /// The start of the current line, until its prefix is known.
    head: String,
    /// Whether the start of the current line is out already.
    past_head: bool,
    /// Whether the last character was a carriage return, which a line feed may follow.
    returned: bool,
}

/// Where in a terminal code the text is.
#[derive(Debug, Clone, Copy, Default)]
enum Code {
    #[default]
    None,
    /// Behind an escape.
    Escape,
    /// Behind a character that one more belongs to.
    Charset,
    /// Within a control sequence, which ends by a letter.
    Sequence,
    /// Within a string, which ends by a bell or a string terminator; how long it is already.
    Text(usize),
    /// Behind an escape within a string.
    TextEscape(usize),
}

impl Cleaner {
    /// Takes the next piece, and puts what is clean of it to the end of `out`.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut String) {
        let mut decoder = std::mem::take(&mut self.decoder);
        decoder.push(bytes, |text| self.take(text, out));
        self.decoder = decoder;
    }

    /// The text is complete.
    pub(crate) fn finish(mut self, out: &mut String) {
        // Half a character at the end says nothing.
        self.end_head(out);
    }

    /// The bytes that are held back.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.head.capacity()
    }

    fn take(&mut self, mut text: &str, out: &mut String) {
        while !text.is_empty() {
            if !matches!(self.code, Code::None) {
                text = self.take_code(text);
                continue;
            }
            let end = memchr::memchr3(b'\x1b', b'\n', b'\r', text.as_bytes()).unwrap_or(text.len());
            let (plain, rest) = text.split_at_checked(end).unwrap_or((text, ""));
            self.take_plain(plain, out);
            let mut rest = rest.chars();
            match rest.next() {
                Some('\x1b') => self.code = Code::Escape,
                Some('\n') if self.returned => self.returned = false,
                Some(end @ ('\n' | '\r')) => {
                    self.end_head(out);
                    out.push('\n');
                    self.past_head = false;
                    self.returned = end == '\r';
                }
                _ => {}
            }
            text = rest.as_str();
        }
    }

    fn take_plain(&mut self, mut text: &str, out: &mut String) {
        if text.is_empty() {
            return;
        }
        self.returned = false;
        if !self.past_head {
            let mut room = HEAD_MAX.saturating_sub(self.head.len()).min(text.len());
            while !text.is_char_boundary(room) {
                room -= 1;
            }
            let (head, rest) = text.split_at_checked(room).unwrap_or((text, ""));
            self.head.push_str(head);
            if rest.is_empty() {
                return;
            }
            self.end_head(out);
            text = rest;
        }
        out.push_str(text);
    }

    fn end_head(&mut self, out: &mut String) {
        if !self.past_head {
            out.push_str(prefix::strip(&self.head));
            self.head.clear();
            self.past_head = true;
        }
    }

    /// Skips the terminal code that the text is in, or as much of it as is there.
    fn take_code<'a>(&mut self, text: &'a str) -> &'a str {
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            self.code = match (self.code, character) {
                (Code::Escape, ']' | '_' | 'P' | '^' | 'X') => Code::Text(0),
                (Code::Escape, '(' | ')' | '*' | '+' | '#' | '%') => Code::Charset,
                (Code::Escape, '[') | (Code::Sequence, '\x20'..='\x3f') => Code::Sequence,
                (Code::Text(_), '\x07') | (Code::TextEscape(_), '\\') => Code::None,
                (Code::Text(length), '\x1b') => Code::TextEscape(length + 1),
                (Code::Text(length) | Code::TextEscape(length), '\x20'..) if length < CODE_MAX => {
                    Code::Text(length + 1)
                }
                _ => Code::None,
            };
            if matches!(self.code, Code::None) {
                // What ends a code by not belonging to it is text, if it is the end of a line.
                return if matches!(character, '\n' | '\r') {
                    last_char_onward(text, rest.as_str())
                } else {
                    rest.as_str()
                };
            }
        }
        ""
    }
}

/// A text without entities and without terminal codes that lost their escape, or had it escaped; `None` if it seems to have none.
pub(crate) fn mended(text: &str) -> Option<String> {
    const SIGNS: &[&str] = &["quot;", "#34;", "#x22;", "[0m", "1b[", "1B[", "033["];
    let has = |sign: &str| memchr::memmem::find(text.as_bytes(), sign.as_bytes()).is_some();
    if !SIGNS.iter().any(|sign| has(sign)) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '[', '\\', '^', '\u{fffd}', '\u{241b}']) {
        let (plain, special) = rest.split_at_checked(at)?;
        out.push_str(plain);
        let length = match escape::read(special) {
            // But not the backslash at the end of a line.
            Some((Escape::Nothing, length)) if !special.starts_with("\\\n") => length,
            Some((mended, length)) if special.starts_with('&') => {
                match mended {
                    Escape::Text(text) => out.push_str(text),
                    Escape::Character(character) => out.push(character),
                    Escape::Space => out.push(' '),
                    Escape::Written => out.push('\n'),
                    Escape::Nothing => {}
                }
                length
            }
            _ => {
                let length = special.chars().next().map_or(1, char::len_utf8);
                out.push_str(special.get(..length)?);
                length
            }
        };
        rest = special.get(length..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// The end of `text` that begins one (ASCII) character before `rest`.
fn last_char_onward<'a>(text: &'a str, rest: &str) -> &'a str {
    text.get(text.len() - rest.len() - 1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(pieces: &[&[u8]]) -> String {
        let (mut cleaner, mut out) = (Cleaner::default(), String::new());
        for piece in pieces {
            cleaner.push(piece, &mut out);
        }
        cleaner.finish(&mut out);
        out
    }

    /// Also in pieces of one byte.
    fn check(text: &[u8], expected: &str) {
        assert_eq!(clean(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(clean(&bytes), expected, "byte by byte");
    }

    #[test]
    fn colours_and_other_codes_go() {
        check(b"\x1b[31mError:\x1b[0m \x1b[1;38;5;196mno\x1b[m", "Error: no");
        check(b"\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x07 \x1b(Bplain", "link plain");
        check(b"\x1b_bk;t=1714900000000\x07build\n\x1b[0Ktool", "build\ntool");
        check(b"cut \x1b[3", "cut ");
        check(b"cut \x1b[3\nnext", "cut \nnext");
    }

    #[test]
    fn lines_end_in_three_ways() {
        check(b"a\r\nb\rc\nd", "a\nb\nc\nd");
    }

    #[test]
    fn boxes_and_prefixes_go_at_the_start_of_a_line() {
        check(
            "╷\n│ Error: x │ y\n│   with z,\n╵\n2024-05-05T10:00:00.1234567Z ##[error]│ arn:aws".as_bytes(),
            "\nError: x │ y\n  with z,\n\narn:aws",
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        check(b"a\xff\xfe b\xc3", "a\u{fffd}\u{fffd} b");
        check(b"a\0b", "ab");
    }

    #[test]
    fn utf_16_is_read() {
        let text: Vec<u8> = "\u{feff}│ né 🙂\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&text, "né 🙂\n");
        let text: Vec<u8> = "\u{feff}né".encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&text, "né");
    }

    #[test]
    fn a_long_line_is_not_held_back() {
        let line = "x".repeat(100_000);
        check(format!("│ {line}").as_bytes(), &line);
    }
}
