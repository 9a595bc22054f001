//! A JSON lexer that takes its input in pieces: strict by RFC 8259, without recursion, in one pass.

use std::mem;
use std::ops::Range;

use super::escape::{self, Escape};
use super::utf8::Utf8;
use super::{Canon, Kind, MAX_DEPTH, Order, Scalar, Sink, number, skip};
use crate::error::ScanError;

/// Pieces are worked on in blocks that stay in the processor's cache.
const BLOCK: usize = 1 << 16;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value or the end of the array.
    FirstValue,
    Key,
    /// A key or the end of the object.
    FirstKey,
    Colon,
    /// A comma or the end of the container.
    CommaOrEnd,
    /// White space.
    End,
}

/// What the last block was cut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nowhere,
    String,
    Escape,
    Number,
    /// A literal of which this is left.
    Word(&'static [u8], Word),
    /// A value that is passed over, of which so many bytes are left.
    Known(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    True,
    False,
    Null,
}

/// Where the current string or number started.
#[derive(Debug, Clone, Copy, Default)]
struct Lexeme {
    key: bool,
    /// Offset in the body.
    at: u64,
    /// Mark in the canonical text.
    mark: usize,
    /// Whether the canonical text is on only for this string.
    alone: bool,
}

/// The state between two pieces of input.
#[derive(Debug)]
pub(crate) struct Lexer {
    /// Offset of the current block in the body.
    base: u64,
    expect: Expect,
    cut: Cut,
    lexeme: Lexeme,
    /// The start of an escape or number that was cut.
    partial: Vec<u8>,
    kinds: Vec<Kind>,
    canon: Canon,
    utf8: Utf8,
}

impl Lexer {
    pub(crate) fn new() -> Self {
        Self {
            base: 0,
            expect: Expect::Value,
            cut: Cut::Nowhere,
            lexeme: Lexeme::default(),
            partial: Vec::new(),
            kinds: Vec::new(),
            canon: Canon::default(),
            utf8: Utf8::default(),
        }
    }

    /// Starts writing the canonical text at the first value.
    pub(crate) fn write(mut self) -> Self {
        self.canon.start();
        self
    }

    /// How many bytes were read.
    pub(crate) fn offset(&self) -> u64 {
        self.base
    }

    /// Reads the next piece.
    pub(crate) fn feed<S: Sink>(&mut self, piece: &[u8], sink: &mut S) -> Result<(), ScanError> {
        for block in piece.chunks(BLOCK) {
            self.utf8.feed(block, self.base)?;
            let mut at = self.resume(block, sink)?;
            while at < block.len() {
                at = self.step(block, at, sink)?;
            }
            self.canon.next_block(block);
            self.base += block.len() as u64;
        }
        Ok(())
    }

    /// The input is complete. Gives back the canonical text.
    pub(crate) fn finish<S: Sink>(mut self, sink: &mut S) -> Result<Canon, ScanError> {
        if self.cut == Cut::Number {
            // Only a number at the top level can end with the input.
            self.cut = Cut::Nowhere;
            let lexeme = mem::take(&mut self.partial);
            self.end_number(&[], 0, &lexeme, sink)?;
        }
        if self.cut != Cut::Nowhere || self.utf8.is_cut() {
            return Err(ScanError::Truncated { offset: self.base });
        }
        match self.expect {
            Expect::End => Ok(self.canon),
            Expect::Value if self.kinds.is_empty() => Err(ScanError::Empty),
            _ => Err(ScanError::Truncated { offset: self.base }),
        }
    }

    fn offset_of(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    fn syntax(&self, at: usize, expected: &'static str) -> ScanError {
        ScanError::Syntax { offset: self.offset_of(at), expected }
    }

    /// Reads the next token, if the block holds one.
    #[inline]
    fn step<S: Sink>(&mut self, block: &[u8], from: usize, sink: &mut S) -> Result<usize, ScanError> {
        let at = skip::white_space(block, from);
        if at > from {
            self.canon.skip(block, from, at);
        }
        let Some(&byte) = block.get(at) else { return Ok(at) };
        match (self.expect, byte) {
            (Expect::CommaOrEnd, b',') => {
                self.expect = match self.kinds.last() {
                    Some(Kind::Object) => Expect::Key,
                    _ => Expect::Value,
                };
                Ok(at + 1)
            }
            (Expect::Key | Expect::FirstKey, b'"') => self.start_string(block, at, true, sink),
            (Expect::Colon, b':') => {
                self.expect = Expect::Value;
                Ok(at + 1)
            }
            (Expect::Value | Expect::FirstValue, b'"') => self.start_string(block, at, false, sink),
            (Expect::Value | Expect::FirstValue, b'{') => self.open(block, at, Kind::Object, sink),
            (Expect::Value | Expect::FirstValue, b'[') => self.open(block, at, Kind::Array, sink),
            (Expect::Value | Expect::FirstValue, b'-' | b'0'..=b'9') => self.start_number(block, at, sink),
            (Expect::Value | Expect::FirstValue, b't') => self.word(block, at, b"true", Word::True, sink),
            (Expect::Value | Expect::FirstValue, b'f') => self.word(block, at, b"false", Word::False, sink),
            (Expect::Value | Expect::FirstValue, b'n') => self.word(block, at, b"null", Word::Null, sink),
            (Expect::CommaOrEnd | Expect::FirstKey, b'}') if self.kinds.last() == Some(&Kind::Object) => {
                self.close(block, at, sink)
            }
            (Expect::CommaOrEnd | Expect::FirstValue, b']') if self.kinds.last() == Some(&Kind::Array) => {
                self.close(block, at, sink)
            }
            (_, 0xef) if self.offset_of(at) == 0 => Err(ScanError::ByteOrderMark),
            (expect, _) => Err(self.syntax(at, expected(expect, self.kinds.last().copied()))),
        }
    }

    /// A value ended before `end`: takes the comma with it if it follows at once, as it does in most states.
    #[inline]
    fn after_value(&mut self, block: &[u8], end: usize) -> usize {
        let comma = block.get(end) == Some(&b',');
        self.expect = match self.kinds.last() {
            None => Expect::End,
            Some(Kind::Object) if comma => Expect::Key,
            Some(Kind::Array) if comma => Expect::Value,
            Some(_) => Expect::CommaOrEnd,
        };
        end + usize::from(comma && self.expect != Expect::End)
    }

    fn open<S: Sink>(&mut self, block: &[u8], at: usize, kind: Kind, sink: &mut S) -> Result<usize, ScanError> {
        let depth = self.kinds.len();
        if depth == MAX_DEPTH {
            return Err(ScanError::TooDeep { offset: self.offset_of(at), limit: MAX_DEPTH });
        }
        let mut order = Order::Key;
        if depth <= S::WATCH {
            let known = sink.known(depth, self.offset_of(at));
            if known > 0 {
                return Ok(self.pass(block, at, known));
            }
            self.canon.sync(block, at);
            order = sink.open(&mut self.canon, kind, depth, self.base + at as u64)?;
        }
        self.canon.open(order);
        self.kinds.push(kind);
        self.expect = match kind {
            Kind::Array => Expect::FirstValue,
            Kind::Object => Expect::FirstKey,
        };
        Ok(at + 1)
    }

    /// Passes over the rest of a value.
    fn pass(&mut self, block: &[u8], at: usize, length: u64) -> usize {
        let here = block.len() - at;
        match usize::try_from(length) {
            Ok(length) if length <= here => self.after_value(block, at + length),
            _ => {
                self.cut = Cut::Known(length - here as u64);
                block.len()
            }
        }
    }

    fn close<S: Sink>(&mut self, block: &[u8], at: usize, sink: &mut S) -> Result<usize, ScanError> {
        self.canon.close(block, at);
        self.kinds.pop();
        if self.kinds.len() <= S::WATCH {
            self.canon.sync(block, at + 1);
            sink.close(&mut self.canon, self.kinds.len(), self.base + at as u64 + 1)?;
        }
        Ok(self.after_value(block, at + 1))
    }

    #[inline]
    fn start_string<S: Sink>(&mut self, block: &[u8], at: usize, key: bool, sink: &mut S) -> Result<usize, ScanError> {
        let mut alone = false;
        if !self.canon.is_on() && self.kinds.len() <= S::WATCH && sink.wants(self.kinds.len(), key) {
            self.canon.sync(block, at);
            self.canon.start();
            alone = true;
        }
        self.lexeme = Lexeme { key, at: self.offset_of(at), mark: self.canon.place(at), alone };
        self.string(block, at + 1, sink)
    }

    /// Reads on inside a string.
    #[inline]
    fn string<S: Sink>(&mut self, block: &[u8], mut at: usize, sink: &mut S) -> Result<usize, ScanError> {
        loop {
            at = skip::text(block, at);
            match block.get(at) {
                Some(b'"') => return self.end_string(block, at + 1, sink),
                Some(b'\\') => at = self.escape(block, at)?,
                Some(_) => return Err(self.syntax(at, "no unescaped control character in a string")),
                None => {
                    if self.cut == Cut::Nowhere {
                        self.cut = Cut::String;
                    }
                    return Ok(at);
                }
            }
        }
    }

    fn escape(&mut self, block: &[u8], at: usize) -> Result<usize, ScanError> {
        if let Some(b'"' | b'\\' | b'n' | b't' | b'r' | b'b' | b'f') = block.get(at + 1) {
            return Ok(at + 2);
        }
        let text = block.get(at..).unwrap_or_default();
        match escape::decode(text) {
            Escape::Char(decoded, length) => {
                self.canon.skip(block, at, at + length);
                self.canon.push_char(decoded);
                Ok(at + length)
            }
            Escape::Incomplete => {
                self.canon.skip(block, at, block.len());
                self.partial.clear();
                self.partial.extend_from_slice(text);
                self.cut = Cut::Escape;
                Ok(block.len())
            }
            Escape::Invalid => Err(self.syntax(at, "a valid escape in a string, with surrogates only in pairs")),
        }
    }

    #[inline]
    fn end_string<S: Sink>(&mut self, block: &[u8], end: usize, sink: &mut S) -> Result<usize, ScanError> {
        let Lexeme { key, at, mark, alone } = self.lexeme;
        let depth = self.kinds.len();
        if key {
            self.canon.member(block, mark, end);
        }
        if depth <= S::WATCH {
            self.canon.sync(block, end);
            let text = mark + 1..self.canon.mark().saturating_sub(1).max(mark + 1);
            let span = at..self.base + end as u64;
            if key {
                sink.key(&mut self.canon, depth, span, text)?;
            } else {
                sink.scalar(&mut self.canon, depth, span, Scalar::String(text))?;
            }
            if alone {
                self.canon.stop();
            }
        }
        if !key {
            return Ok(self.after_value(block, end));
        }
        let colon = block.get(end) == Some(&b':');
        self.expect = if colon { Expect::Value } else { Expect::Colon };
        Ok(end + usize::from(colon))
    }

    fn start_number<S: Sink>(&mut self, block: &[u8], at: usize, sink: &mut S) -> Result<usize, ScanError> {
        self.lexeme = Lexeme { key: false, at: self.offset_of(at), mark: self.canon.place(at), alone: false };
        let text = block.get(at..).unwrap_or_default();
        let length = number_length(text);
        if length < text.len() {
            return self.end_number(block, at + length, text.get(..length).unwrap_or_default(), sink);
        }
        self.partial.clear();
        self.rest_of_number(block, at, sink)
    }

    fn rest_of_number<S: Sink>(&mut self, block: &[u8], at: usize, sink: &mut S) -> Result<usize, ScanError> {
        let text = block.get(at..).unwrap_or_default();
        let length = number_length(text);
        self.partial.extend_from_slice(text.get(..length).unwrap_or_default());
        if length == text.len() {
            self.cut = Cut::Number;
            return Ok(block.len());
        }
        let lexeme = mem::take(&mut self.partial);
        self.end_number(block, at + length, &lexeme, sink)
    }

    fn end_number<S: Sink>(
        &mut self,
        block: &[u8],
        end: usize,
        lexeme: &[u8],
        sink: &mut S,
    ) -> Result<usize, ScanError> {
        if !number::is_plain(lexeme) {
            let Some(canonical) = number::canonical(lexeme) else {
                return Err(ScanError::Syntax { offset: self.lexeme.at, expected: "a number as JSON spells it" });
            };
            if self.canon.is_on() {
                self.canon.sync(block, end);
                self.canon.truncate(self.lexeme.mark);
                self.canon.push(canonical.as_bytes());
            }
        }
        self.scalar(block, end, self.lexeme.at, Scalar::Number(lexeme), sink)?;
        Ok(self.after_value(block, end))
    }

    fn scalar<S: Sink>(
        &mut self,
        block: &[u8],
        end: usize,
        from: u64,
        scalar: Scalar<'_>,
        sink: &mut S,
    ) -> Result<(), ScanError> {
        if self.kinds.len() <= S::WATCH {
            self.canon.sync(block, end);
            let span: Range<u64> = from..self.base + end as u64;
            sink.scalar(&mut self.canon, self.kinds.len(), span, scalar)?;
        }
        Ok(())
    }

    fn word<S: Sink>(
        &mut self,
        block: &[u8],
        at: usize,
        text: &'static [u8],
        word: Word,
        sink: &mut S,
    ) -> Result<usize, ScanError> {
        self.lexeme.at = self.offset_of(at);
        self.rest_of_word(block, at, text, word, sink)
    }

    fn rest_of_word<S: Sink>(
        &mut self,
        block: &[u8],
        at: usize,
        text: &'static [u8],
        word: Word,
        sink: &mut S,
    ) -> Result<usize, ScanError> {
        let input = block.get(at..).unwrap_or_default();
        let length = text.len().min(input.len());
        let (now, later) = text.split_at(length);
        if !input.starts_with(now) {
            return Err(self.syntax(at, "`true`, `false` or `null`"));
        }
        if !later.is_empty() {
            self.cut = Cut::Word(later, word);
            return Ok(block.len());
        }
        self.cut = Cut::Nowhere;
        let scalar = match word {
            Word::True => Scalar::Bool(true),
            Word::False => Scalar::Bool(false),
            Word::Null => Scalar::Null,
        };
        self.scalar(block, at + length, self.lexeme.at, scalar, sink)?;
        Ok(self.after_value(block, at + length))
    }

    /// Goes on with what the last block was cut in.
    fn resume<S: Sink>(&mut self, block: &[u8], sink: &mut S) -> Result<usize, ScanError> {
        match mem::replace(&mut self.cut, Cut::Nowhere) {
            Cut::Nowhere => Ok(0),
            Cut::String => self.string(block, 0, sink),
            Cut::Number => self.rest_of_number(block, 0, sink),
            Cut::Word(text, word) => self.rest_of_word(block, 0, text, word, sink),
            Cut::Known(length) => Ok(self.pass(block, 0, length)),
            Cut::Escape => {
                let mut at = 0;
                while let Some(byte) = block.get(at) {
                    self.partial.push(*byte);
                    at += 1;
                    match escape::decode(&self.partial) {
                        Escape::Incomplete => {}
                        Escape::Invalid => {
                            return Err(self.syntax(at, "a valid escape in a string, with surrogates only in pairs"));
                        }
                        Escape::Char(decoded, _) => {
                            self.canon.skip(block, 0, at);
                            self.canon.push_char(decoded);
                            return self.string(block, at, sink);
                        }
                    }
                }
                self.canon.skip(block, 0, at);
                self.cut = Cut::Escape;
                Ok(at)
            }
        }
    }
}

/// How many bytes at the start of a text can belong to a number.
fn number_length(text: &[u8]) -> usize {
    let stop = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    stop.unwrap_or(text.len())
}

fn expected(expect: Expect, kind: Option<Kind>) -> &'static str {
    match (expect, kind) {
        (Expect::Value, _) => "a value",
        (Expect::FirstValue, _) => "a value or `]`",
        (Expect::Key, _) => "a key in quotes",
        (Expect::FirstKey, _) => "a key in quotes or `}`",
        (Expect::Colon, _) => "`:`",
        (Expect::CommaOrEnd, Some(Kind::Object)) => "`,` or `}`",
        (Expect::CommaOrEnd, _) => "`,` or `]`",
        (Expect::End, _) => "nothing after the state",
    }
}
