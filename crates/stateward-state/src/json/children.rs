//! The members of an object, or the elements of an array, as they stand in its bytes.

use std::ops::Range;

use super::{Canon, Kind, Lexer, Order, Scalar, Sink, escape};
use crate::error::ScanError;

/// A member or element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    /// The member's name; empty for an element.
    pub(crate) name: String,
    /// From the key, or from the start of the element, to the end of the value.
    pub(crate) span: Range<usize>,
    /// The value alone.
    pub(crate) value: Range<usize>,
}

/// The children of a container that was read before, in order; none of a value that is no container.
pub(crate) fn children(raw: &[u8]) -> Vec<Child> {
    let mut listener = Children::default();
    let mut lexer = Lexer::new();
    match lexer.feed(raw, &mut listener).and_then(|()| lexer.finish(&mut listener)) {
        Ok(_) => listener.found,
        Err(_) => Vec::new(),
    }
}

#[derive(Default)]
struct Children {
    found: Vec<Child>,
    /// The name and the start of the member whose value comes next.
    key: Option<(String, u64)>,
    /// Where the container began that is a child.
    begun: u64,
}

impl Children {
    fn add(&mut self, from: u64, to: u64) {
        let (name, key) = self.key.take().unwrap_or((String::new(), from));
        let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        self.found.push(Child { name, span: index(key)..index(to), value: index(from)..index(to) });
    }
}

impl Sink for Children {
    const WATCH: usize = 1;

    fn wants(&self, depth: usize, key: bool) -> bool {
        key && depth == 1
    }

    fn open(&mut self, _: &mut Canon, _: Kind, depth: usize, at: u64) -> Result<Order, ScanError> {
        if depth == 1 {
            self.begun = at;
        }
        Ok(Order::Key)
    }

    fn close(&mut self, _: &mut Canon, depth: usize, end: u64) -> Result<(), ScanError> {
        if depth == 1 {
            self.add(self.begun, end);
        }
        Ok(())
    }

    fn key(&mut self, canon: &mut Canon, depth: usize, span: Range<u64>, text: Range<usize>) -> Result<(), ScanError> {
        if depth == 1 {
            self.key = Some((escape::unescape(canon.text(text)).into_owned(), span.start));
        }
        Ok(())
    }

    fn scalar(&mut self, _: &mut Canon, depth: usize, span: Range<u64>, _: Scalar<'_>) -> Result<(), ScanError> {
        if depth == 1 {
            self.add(span.start, span.end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_come_with_their_places() {
        let raw = br#" { "a" : 1.50, "b\"" :{"c":[1, 2]} ,"d":null,"e":[ ]}"#;
        let values: Vec<&[u8]> = children(raw).into_iter().map(|child| &raw[child.value]).collect();
        assert_eq!(values, [&b"1.50"[..], b"{\"c\":[1, 2]}", b"null", b"[ ]"]);
        let found: Vec<(String, String)> = children(raw)
            .into_iter()
            .map(|child| (child.name, String::from_utf8(raw[child.span].to_vec()).expect("UTF-8")))
            .collect();
        let expected =
            [("a", "\"a\" : 1.50"), ("b\"", "\"b\\\"\" :{\"c\":[1, 2]}"), ("d", "\"d\":null"), ("e", "\"e\":[ ]")];
        assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let raw = b"[1,\"x\", {\"a\":[]},[]]";
        let texts: Vec<&[u8]> = children(raw).into_iter().map(|child| &raw[child.span]).collect();
        assert_eq!(texts, [&b"1"[..], b"\"x\"", b"{\"a\":[]}", b"[]"]);
        assert!(children(b"3").is_empty() && children(b"{}").is_empty() && children(b"null").is_empty());
    }
}
