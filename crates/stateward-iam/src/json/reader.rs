//! The reader: recursive descent with a limit on its depth.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{JsonErrorKind, MAX_DEPTH, Member, Node, Value, strings};

pub(super) type Result<T> = std::result::Result<T, (usize, JsonErrorKind)>;

/// Above this, keys are compared by hash instead of one by one.
const FEW_KEYS: usize = 16;

pub(super) fn parse(text: &str) -> Result<Node<'_>> {
    if text.starts_with('\u{feff}') {
        return Err((0, JsonErrorKind::ByteOrderMark));
    }
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0 };
    reader.skip_space()?;
    if reader.peek().is_none() {
        return Err((reader.at, JsonErrorKind::Empty));
    }
    let node = reader.value(0)?;
    reader.skip_space()?;
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err((reader.at, JsonErrorKind::Trailing)),
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expected<T>(&self, what: &'static str) -> Result<T> {
        let kind = if self.at < self.bytes.len() { JsonErrorKind::Expected(what) } else { JsonErrorKind::Truncated };
        Err((self.at, kind))
    }

    fn skip_space(&mut self) -> Result<()> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
        match (self.peek(), self.bytes.get(self.at + 1)) {
            (Some(b'/'), Some(b'/' | b'*')) => Err((self.at, JsonErrorKind::Comment)),
            _ => Ok(()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>> {
        let at = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { at, end: self.at, value })
    }

    fn word(&mut self) -> Result<Value<'a>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        for (word, value) in [(&b"true"[..], Value::Bool(true)), (b"false", Value::Bool(false)), (b"null", Value::Null)]
        {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
            if word.starts_with(rest) {
                self.at = self.bytes.len();
                return self.expected("a value");
            }
        }
        self.expected("a value")
    }

    fn string(&mut self) -> Result<Cow<'a, str>> {
        let (string, end) = strings::read(self.text, self.at + 1)?;
        self.at = end;
        Ok(string)
    }

    fn number(&mut self) -> Result<Value<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number(self.text.get(start..self.at).unwrap_or_default()))
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.expected("a digit") } else { Ok(()) }
    }

    /// Steps into a container.
    fn enter(&mut self, depth: usize) -> Result<()> {
        if depth >= MAX_DEPTH {
            return Err((self.at, JsonErrorKind::TooDeep));
        }
        self.at += 1;
        self.skip_space()
    }

    /// After a member: whether another one follows. Leaves the reader there, or after the end.
    fn another(&mut self, close: u8, expected: &'static str) -> Result<bool> {
        self.skip_space()?;
        match self.peek() {
            Some(b',') => {
                let comma = self.at;
                self.at += 1;
                self.skip_space()?;
                if self.peek() == Some(close) {
                    return Err((comma, JsonErrorKind::TrailingComma(char::from(close))));
                }
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => self.expected(expected),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>> {
        self.enter(depth)?;
        let mut nodes = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(nodes));
        }
        loop {
            nodes.push(self.value(depth + 1)?);
            if !self.another(b']', "`,` or `]`")? {
                return Ok(Value::Array(nodes));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>> {
        self.enter(depth)?;
        let mut members: Vec<Member<'a>> = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        let mut seen = HashSet::new();
        loop {
            let at = self.at;
            if self.peek() != Some(b'"') {
                return self.expected("a key in double quotes");
            }
            let key = self.string()?;
            let twice = if members.len() < FEW_KEYS {
                members.iter().any(|member| member.key == key)
            } else {
                seen.extend(members.iter().skip(seen.len()).map(|member| member.key.clone()));
                seen.contains(&key)
            };
            if twice {
                return Err((at, JsonErrorKind::DuplicateKey(key.into_owned())));
            }
            self.skip_space()?;
            if self.peek() != Some(b':') {
                return self.expected("`:`");
            }
            self.at += 1;
            self.skip_space()?;
            let node = self.value(depth + 1)?;
            members.push(Member { at, key, node });
            if !self.another(b'}', "`,` or `}`")? {
                return Ok(Value::Object(members));
            }
        }
    }
}
