//! Terraform's lock information, where a run has something to say in it.

use serde_json::{Map, Value};

/// The same lock information with another `Who`, in the form in which Go writes it: compact, fields in their order, `<>&` escaped.
/// `None` where the text is no lock information.
pub fn with_who(raw: &[u8], who: &str) -> Option<Vec<u8>> {
    let mut fields: Map<String, Value> = serde_json::from_slice(raw).ok()?;
    fields.get("ID")?.as_str()?;
    fields.insert("Who".to_owned(), Value::from(who));
    let text = serde_json::to_string(&fields).ok()?;
    Some(as_go_writes(&text).into_bytes())
}

/// Outside of strings, compact JSON has none of these characters.
fn as_go_writes(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stateward_testkit::LockInfo;

    use super::*;

    #[test]
    fn what_is_no_lock_information() {
        for raw in ["", "{}", "[]", r#"{"ID":7}"#, "{"] {
            assert_eq!(with_who(raw.as_bytes(), "ana"), None, "{raw}");
        }
        assert_eq!(with_who(br#"{"ID":"x"}"#, "ana").unwrap(), br#"{"ID":"x","Who":"ana"}"#);
    }

    proptest! {
        #[test]
        fn it_is_what_terraform_would_have_written(id in "\\PC{1,20}", operation in "\\PC{0,20}", who in "\\PC{0,20}") {
            let info = LockInfo::new(&id, &operation);
            let expected = LockInfo { who: who.clone(), ..info.clone() };
            let changed = with_who(&info.to_bytes(), &who).unwrap();
            prop_assert_eq!(String::from_utf8(changed).unwrap(), String::from_utf8(expected.to_bytes()).unwrap());
        }
    }
}
