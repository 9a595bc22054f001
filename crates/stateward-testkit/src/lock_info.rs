//! What Terraform says of itself when it takes a lock.

use std::fmt::Write;

/// Terraform's `LockInfo`, written as Go writes it: this order, no spaces, `<>&` escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// Formatted as a UUID, though its bits are plain random.
    pub id: String,
    /// `OperationTypePlan`, `OperationTypeApply`, `OperationTypeRefresh`, `init`, `state-push`, …
    pub operation: String,
    /// Always empty today.
    pub info: String,
    /// `user@host`.
    pub who: String,
    /// Terraform's version.
    pub version: String,
    /// RFC 3339 in UTC, with nanoseconds less their trailing zeros.
    pub created: String,
    /// Filled by some backends; the http backend leaves it empty.
    pub path: String,
}

impl LockInfo {
    /// As Terraform would fill it, with a fixed user, version and time.
    pub fn new(id: &str, operation: &str) -> Self {
        Self {
            id: id.to_owned(),
            operation: operation.to_owned(),
            info: String::new(),
            who: "tester@testkit".to_owned(),
            version: "1.15.5".to_owned(),
            created: "2026-11-20T15:34:51.102410368Z".to_owned(),
            path: String::new(),
        }
    }

    /// The bytes that Terraform sends.
    pub fn to_bytes(&self) -> Vec<u8> {
        let fields = [
            ("ID", &self.id),
            ("Operation", &self.operation),
            ("Info", &self.info),
            ("Who", &self.who),
            ("Version", &self.version),
            ("Created", &self.created),
            ("Path", &self.path),
        ];
        let fields = fields.map(|(name, value)| format!("\"{name}\":{}", go_json_string(value)));
        format!("{{{}}}", fields.join(",")).into_bytes()
    }
}

/// The bytes with which Terraform asks for a lock, as [`LockInfo::new`] fills them.
pub fn lock_info(id: &str, operation: &str) -> Vec<u8> {
    LockInfo::new(id, operation).to_bytes()
}

/// Go's `encoding/json` with its default of escaping what HTML or JavaScript might take for markup.
fn go_json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write!(out, "\\u{:04x}", u32::from(character)).expect("writing to a string");
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_terraform_was_seen_to_send() {
        let seen = r#"{"ID":"f108b30f-8c7b-b79e-433f-91f4236138ae","Operation":"OperationTypeApply","Info":"","Who":"root@vm","Version":"1.11.4","Created":"2026-11-20T15:34:51.102410368Z","Path":""}"#;
        let mut info = LockInfo::new("f108b30f-8c7b-b79e-433f-91f4236138ae", "OperationTypeApply");
        info.who = "root@vm".to_owned();
        info.version = "1.11.4".to_owned();
        assert_eq!(String::from_utf8(info.to_bytes()).unwrap(), seen);
    }

    #[test]
    fn escapes_as_go_does() {
        assert_eq!(
            go_json_string("<a> & \"b\\c\"\n\t\u{1}é\u{2028}\u{7f}"),
            "\"\\u003ca\\u003e \\u0026 \\\"b\\\\c\\\"\\n\\t\\u0001é\\u2028\u{7f}\""
        );
    }
}
