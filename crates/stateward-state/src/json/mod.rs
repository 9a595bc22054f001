//! The one JSON reader of this crate: a push lexer, a writer of canonical text that follows it, and the sinks' contract.

pub(crate) mod canon;
mod children;
pub(crate) mod escape;
mod lexer;
pub(crate) mod number;
mod skip;
mod utf8;
pub(crate) mod value;

use std::ops::Range;

pub(crate) use canon::{Canon, Order};
pub(crate) use children::{Child, children};
pub(crate) use lexer::Lexer;

use crate::error::ScanError;

/// The deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 512;

/// What a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Array,
    Object,
}

/// A value that is not a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    /// Marks in the canonical text: the literal without its quotes. Empty where the sink did not want it.
    String(Range<usize>),
    /// The number as it is spelled in the input.
    Number(&'a [u8]),
    Bool(bool),
    Null,
}

/// Receives what the lexer reads. Depths count the containers open around an event; offsets are in bytes of the body.
pub(crate) trait Sink {
    /// Events at greater depths are not reported.
    const WATCH: usize;

    /// Whether the text of a string at this depth is wanted while nothing is written to the canonical text.
    fn wants(&self, depth: usize, key: bool) -> bool;
    /// How many bytes from `at` on are a container that was read before, and so can be passed over.
    fn known(&mut self, _depth: usize, _at: u64) -> u64 {
        0
    }
    /// A container starts at `at`. Gives the order of its members in the canonical text.
    fn open(&mut self, canon: &mut Canon, kind: Kind, depth: usize, at: u64) -> Result<Order, ScanError>;
    /// A container ended before `end`.
    fn close(&mut self, canon: &mut Canon, depth: usize, end: u64) -> Result<(), ScanError>;
    /// A key stands at `span`, and as `text` in the canonical text.
    fn key(&mut self, canon: &mut Canon, depth: usize, span: Range<u64>, text: Range<usize>) -> Result<(), ScanError>;
    /// A scalar stands at `span`.
    fn scalar(
        &mut self,
        canon: &mut Canon,
        depth: usize,
        span: Range<u64>,
        scalar: Scalar<'_>,
    ) -> Result<(), ScanError>;
}

/// Listens to nothing: for those who want the canonical text only.
struct Whole;
impl Sink for Whole {
    const WATCH: usize = 0;
    fn wants(&self, _: usize, _: bool) -> bool {
        false
    }
    fn open(&mut self, _: &mut Canon, _: Kind, _: usize, _: u64) -> Result<Order, ScanError> {
        Ok(Order::Key)
    }
    fn close(&mut self, _: &mut Canon, _: usize, _: u64) -> Result<(), ScanError> {
        Ok(())
    }
    fn key(&mut self, _: &mut Canon, _: usize, _: Range<u64>, _: Range<usize>) -> Result<(), ScanError> {
        Ok(())
    }
    fn scalar(&mut self, _: &mut Canon, _: usize, _: Range<u64>, _: Scalar<'_>) -> Result<(), ScanError> {
        Ok(())
    }
}

/// The canonical text of a complete JSON value, which must be valid.
pub(crate) fn canonical(raw: &[u8]) -> Result<Vec<u8>, ScanError> {
    let mut lexer = Lexer::new().write();
    lexer.feed(raw, &mut Whole)?;
    Ok(lexer.finish(&mut Whole)?.take())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fragments() -> impl Strategy<Value = String> {
        let fragment = prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", " ", "\n", "\"a\"", "\"", "\\", "\\u00e9", "\\ud83d", "\\ude00", "\\n", "é",
            "\t", "\u{7f}", "0", "-", "1", "12", ".5", "e", "E+3", "e-2", "true", "false", "null", "nul", "\"k\":",
            "{\"k\":", "[1,", "\"x\"}", "]}",
        ]);
        prop::collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
    }

    /// JSON values, in one of the spellings of `serde_json`.
    fn values() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::{Value, json};
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!("\u{1f}\\\"/"))
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_json_is_what_serde_json_says(text in fragments(), cut in any::<prop::sample::Index>()) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let ours = value::parse(text.as_bytes());
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}: {:?} {:?}", text, ours, theirs);
            let (first, second) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let mut lexer = Lexer::new().write();
            let mut sink = Whole;
            let cut = lexer.feed(first, &mut sink).and_then(|()| lexer.feed(second, &mut sink)).and_then(|()| lexer.finish(&mut sink));
            prop_assert_eq!(cut.map(Canon::take).ok(), canonical(text.as_bytes()).ok());
        }

        #[test]
        fn values_are_read_as_serde_json_reads_them(value in values()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("serializable")] {
                prop_assert_eq!(&value::parse(text.as_bytes()).expect("valid"), &value);
                let canonical = canonical(text.as_bytes()).expect("valid");
                prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&canonical).expect("valid"), value.clone());
                prop_assert_eq!(super::canonical(&canonical).expect("valid"), canonical);
            }
        }
    }
}
