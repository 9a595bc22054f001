//! JSON values as trees, for the few instances that are looked into.

use std::mem;
use std::ops::Range;

use serde_json::{Map, Value};

use super::{Canon, Kind, Lexer, Order, Scalar, Sink, escape, number};
use crate::error::ScanError;

/// Reads a complete JSON value. Numbers come in canonical spelling, so that equal values are equal trees; of members
/// with one key the last counts.
pub(crate) fn parse(raw: &[u8]) -> Result<Value, ScanError> {
    let mut builder = Builder::default();
    let mut lexer = Lexer::new().write();
    lexer.feed(raw, &mut builder)?;
    lexer.finish(&mut builder)?;
    Ok(builder.root)
}

/// An open container, and the key it will have in the one around it.
struct Open {
    value: Value,
    key: String,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    key: String,
    root: Value,
}

impl Builder {
    fn add(&mut self, key: String, value: Value) {
        match self.open.last_mut().map(|open| &mut open.value) {
            Some(Value::Object(members)) => {
                members.insert(key, value);
            }
            Some(Value::Array(elements)) => elements.push(value),
            _ => self.root = value,
        }
    }
}

impl Sink for Builder {
    const WATCH: usize = usize::MAX;

    fn wants(&self, _: usize, _: bool) -> bool {
        true
    }

    fn open(&mut self, _: &mut Canon, kind: Kind, _: usize, _: u64) -> Result<Order, ScanError> {
        let value = match kind {
            Kind::Array => Value::Array(Vec::new()),
            Kind::Object => Value::Object(Map::new()),
        };
        self.open.push(Open { value, key: mem::take(&mut self.key) });
        Ok(Order::Key)
    }

    fn close(&mut self, _: &mut Canon, _: usize, _: u64) -> Result<(), ScanError> {
        if let Some(Open { value, key }) = self.open.pop() {
            self.add(key, value);
        }
        Ok(())
    }

    fn key(&mut self, canon: &mut Canon, _: usize, _: Range<u64>, text: Range<usize>) -> Result<(), ScanError> {
        self.key = escape::unescape(canon.text(text)).into_owned();
        Ok(())
    }

    fn scalar(&mut self, canon: &mut Canon, _: usize, _: Range<u64>, scalar: Scalar<'_>) -> Result<(), ScanError> {
        let value = match scalar {
            Scalar::String(text) => Value::String(escape::unescape(canon.text(text)).into_owned()),
            Scalar::Number(lexeme) => {
                // Canonical text is a number, unless its exponent is one that only the input can spell.
                let text = number::canonical(lexeme).filter(|text| number::is_valid(text.as_bytes()));
                let text = text.unwrap_or_else(|| String::from_utf8_lossy(lexeme).into_owned());
                text.parse().map_or(Value::Null, Value::Number)
            }
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Null => Value::Null,
        };
        let key = mem::take(&mut self.key);
        self.add(key, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_those_of_serde_json_with_canonical_numbers() {
        let text = br#" {"a":[1.50,-0,{"b":"\u003c\n"},[],{}],"c":null,"d":true,"a":[1.5,{"e":1E+400}]} "#;
        let expected: Value = serde_json::from_str(r#"{"a":[1.5,{"e":1e400}],"c":null,"d":true}"#).expect("valid");
        assert_eq!(parse(text).expect("valid"), expected);
        assert_eq!(parse(b"\"x\"").expect("valid"), Value::from("x"));
        assert_eq!(parse(b"1e2").expect("valid").to_string(), "100");
    }

    #[test]
    fn keys_that_mean_something_to_serde_json_are_keys() {
        let value = parse(br#"{"$serde_json::private::Number":"x"}"#).expect("valid");
        assert!(value.is_object());
    }
}
