//! A strict JSON reader that keeps what serde loses: where each value stands, and keys that stand twice.
//!
//! Two readers of a policy must never disagree about it, so what RFC 8259 leaves to the reader is an error here:
//! duplicate keys, unpaired surrogates, more nesting than any policy has.

mod reader;
mod strings;

use std::borrow::Cow;

use crate::place::Place;

/// Deeper than any policy, and shallow enough for any stack.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value and where it starts, in bytes of the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node<'a> {
    pub(crate) at: usize,
    /// Where it ends.
    pub(crate) end: usize,
    pub(crate) value: Value<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// As it is spelled.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

/// A key with its value, and where the key starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member<'a> {
    pub(crate) at: usize,
    pub(crate) key: Cow<'a, str>,
    pub(crate) node: Node<'a>,
}

impl<'a> Node<'a> {
    /// The value of a member that is there and is not `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        let Value::Object(members) = &self.value else { return None };
        let member = members.iter().find(|member| member.key == name)?;
        Some(&member.node).filter(|node| node.value != Value::Null)
    }

    /// The text of a member that is one.
    pub(crate) fn string(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Value<'_> {
    /// What it is, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Why a text is not JSON that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {place}")]
pub struct JsonError {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: JsonErrorKind,
}

/// What is wrong with the JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Nothing but white space.
    #[error("nothing is there")]
    Empty,
    /// Something else stands where JSON asks for this.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A comma with nothing after it.
    #[error("a comma before `{0}`, which JSON does not allow: remove it")]
    TrailingComma(char),
    /// `//` or `/*`.
    #[error("a comment, which JSON does not allow: remove it")]
    Comment,
    /// A UTF-8 byte order mark.
    #[error("a byte order mark, which JSON does not allow: save the file without it")]
    ByteOrderMark,
    /// The text ends inside a value.
    #[error("the text ends before its JSON is complete: it was cut off")]
    Truncated,
    /// Something after the value.
    #[error("more text after the JSON has ended")]
    Trailing,
    /// The same key twice in one object.
    #[error("the key `{0}` stands twice in one object: readers would disagree which one counts; remove one")]
    DuplicateKey(String),
    /// More than 64 levels.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A control character or a line break in a string.
    #[error("a control character inside a string: write it as an escape")]
    ControlCharacter,
    /// A backslash with something after it that JSON does not know, or half a surrogate pair.
    #[error("an escape that JSON does not know")]
    Escape,
}

/// Reads a text that is one JSON value.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, JsonError> {
    reader::parse(text).map_err(|(offset, kind)| JsonError { place: Place::of(text, offset), kind })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn errors_say_what_and_where() {
        for (text, expected) in [
            ("", "nothing is there at line 1, column 1"),
            (" \n ", "nothing is there at line 2, column 2"),
            (
                "\u{feff}{}",
                "a byte order mark, which JSON does not allow: save the file without it at line 1, column 1",
            ),
            ("{\"a\":1,}", "a comma before `}`, which JSON does not allow: remove it at line 1, column 7"),
            ("[1,\n2,\n]", "a comma before `]`, which JSON does not allow: remove it at line 2, column 2"),
            ("{\n  // x\n}", "a comment, which JSON does not allow: remove it at line 2, column 3"),
            ("[1 /* x */]", "a comment, which JSON does not allow: remove it at line 1, column 4"),
            ("{\"a\":1", "the text ends before its JSON is complete: it was cut off at line 1, column 7"),
            ("\"abc", "the text ends before its JSON is complete: it was cut off at line 1, column 5"),
            ("{} {}", "more text after the JSON has ended at line 1, column 4"),
            ("{'a':1}", "expected a key in double quotes at line 1, column 2"),
            ("{\"a\" 1}", "expected `:` at line 1, column 6"),
            ("{\"a\":1 \"b\":2}", "expected `,` or `}` at line 1, column 8"),
            ("[1 2]", "expected `,` or `]` at line 1, column 4"),
            ("[01]", "expected `,` or `]` at line 1, column 3"),
            ("[-]", "expected a digit at line 1, column 3"),
            ("[tru]", "expected a value at line 1, column 2"),
            ("\"a\nb\"", "a control character inside a string: write it as an escape at line 1, column 3"),
            (r#""\x""#, "an escape that JSON does not know at line 1, column 2"),
            (r#""\ud800x""#, "an escape that JSON does not know at line 1, column 2"),
        ] {
            assert_eq!(error(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_found_however_it_is_spelled() {
        assert!(error(r#"{"Effect":1,"\u0045ffect":2}"#).contains("`Effect` stands twice"));
        let many = (0..100).map(|n| format!("\"k{n}\":0,")).collect::<Vec<_>>().concat();
        assert!(error(&format!("{{{many}\"k7\":1}}")).contains("`k7` stands twice"));
        parse(&format!("{{{many}\"k100\":1}}")).expect("no key stands twice");
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        parse(&nested(MAX_DEPTH)).expect("as deep as it may be");
        assert!(error(&nested(MAX_DEPTH + 1)).contains("nested more than 64 levels"));
        assert!(error(&"[".repeat(1_000_000)).contains("nested more than 64 levels"));
    }

    /// What serde reads of the same text, as a peer.
    fn same(node: &Node<'_>, peer: &serde_json::Value) -> bool {
        match (&node.value, peer) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
            (Value::Number(a), serde_json::Value::Number(b)) => {
                a.parse::<f64>().ok() == b.to_string().parse::<f64>().ok()
            }
            (Value::String(a), serde_json::Value::String(b)) => a.as_ref() == b.as_str(),
            (Value::Array(a), serde_json::Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Object(a), serde_json::Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|m| b.get(m.key.as_ref()).is_some_and(|b| same(&m.node, b)))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_as_serde_does(text in r#"[\[\]{}:,"\\ \n0-9eE.+\-a-fu/tr]{0,24}"#) {
            let peer = serde_json::from_str::<serde_json::Value>(&text);
            match (parse(&text), peer) {
                (Ok(node), Ok(peer)) => prop_assert!(same(&node, &peer)),
                (Err(_), Err(_)) | (Err(JsonError { kind: JsonErrorKind::DuplicateKey(_), .. }), Ok(_)) => {}
                (ours, peer) => prop_assert!(false, "{text:?}: {ours:?}, serde {peer:?}"),
            }
        }

        #[test]
        fn strings_are_read_as_serde_does(value in any::<String>()) {
            let text = serde_json::to_string(&value).expect("a string");
            let Value::String(read) = parse(&text).expect("valid").value else { panic!("a string") };
            prop_assert_eq!(read.as_ref(), &value);
        }
    }
}
