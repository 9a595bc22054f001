//! What changes the meaning of an instance, and what does not.

use proptest::prelude::*;
use serde_json::Value;
use stateward_state::counts::changed_addresses;
use stateward_state::generate::state;
use stateward_state::{Action, Document};

use super::{parse, specs, summary};

/// A stream of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }

    fn space(&mut self) -> &'static str {
        ["", "", " ", "\n\t", "\r\n   "][self.below(5)]
    }
}

/// Writes a value in one of its many spellings.
fn respell(value: &Value, choices: &mut Choices, out: &mut String) {
    out.push_str(choices.space());
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for index in (1..members.len()).rev() {
                members.swap(index, choices.below(index + 1));
            }
            out.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(choices.space());
                respell_text(key, choices, out);
                out.push_str(choices.space());
                out.push(':');
                respell(value, choices, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (index, value) in elements.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                respell(value, choices, out);
            }
            out.push(']');
        }
        Value::String(text) => respell_text(text, choices, out),
        Value::Number(number) => {
            let text = number.to_string();
            let whole = text.bytes().all(|byte| byte.is_ascii_digit());
            out.push_str(&text);
            match choices.below(4) {
                0 if whole => out.push_str(".00"),
                1 if whole && text != "0" => out.push_str("0E-1"),
                2 if whole => out.push_str("e+00"),
                _ => {}
            }
        }
        _ => out.push_str(&value.to_string()),
    }
    out.push_str(choices.space());
}

fn respell_text(text: &str, choices: &mut Choices, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let escape = choices.below(4) == 0;
        match character {
            '/' if escape => out.push_str("\\/"),
            '"' | '\\' | '\0'..'\u{20}' => {
                let literal = Value::from(character.to_string()).to_string();
                out.push_str(&literal[1..literal.len() - 1]);
            }
            _ if escape => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let digits = format!("{unit:04x}");
                    out.push_str("\\u");
                    out.push_str(&if choices.below(2) == 0 { digits.to_uppercase() } else { digits });
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// All places of scalars below a value.
fn scalars(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                scalars(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                scalars(value, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn spelling_does_not_matter(spec in specs(), choices in any::<u64>()) {
        let body = state(&spec);
        let mut value = parse(&body);
        // The fields that are read as they are spelled.
        let top = ["version", "serial"].map(|name| value.as_object_mut().expect("an object").shift_remove(name).expect("there"));
        let mut text = String::new();
        respell(&value, &mut Choices(choices), &mut text);
        let text = format!("{{\"version\":{},\"serial\":{},{}", top[0], top[1], text.trim_start().trim_start_matches('{'));
        let (ours, theirs) = (summary(&body), summary(text.as_bytes()));
        prop_assert_eq!(ours.instances, theirs.instances);
        prop_assert_eq!(ours.outputs, theirs.outputs);
    }

    #[test]
    fn any_edit_changes_the_one_entry(spec in specs(), instance in any::<prop::sample::Index>(), place in any::<prop::sample::Index>()) {
        let body = state(&spec);
        let before = summary(&body);
        prop_assume!(!before.instances.is_empty());
        let document = Document::parse(&body).expect("valid");
        let instances: Vec<_> = document.instances().collect();
        let instance = instance.get(&instances);
        let mut value = parse(document.raw(&instance.span));
        let mut places = Vec::new();
        scalars(&value, "", &mut places);
        places.retain(|place| place != "/index_key" && place != "/deposed");
        let place = place.get(&places);
        *value.pointer_mut(place).expect("there") = Value::from("something else");
        let edited = [&body[..instance.span.start], value.to_string().as_bytes(), &body[instance.span.end..]].concat();
        let after = summary(&edited);
        let changed = changed_addresses(&before.instances, &after.instances);
        prop_assert_eq!(changed, [(instance.address.clone(), Action::Change)]);
    }
}

#[test]
fn the_fields_of_a_resource_are_part_of_the_meaning() {
    let body = |fields: &str| {
        let body = format!(r#"{{"version":4,"serial":1,"lineage":"a","resources":[{{{fields}}}]}}"#);
        summary(body.as_bytes()).instances.remove(0)
    };
    let first = body(r#""mode":"managed","type":"x","name":"y","provider":"p","instances":[{"attributes":{"a":1}}]"#);
    let moved = body(r#""instances":[{"attributes":{"a":1.0}}],"provider":"p","name":"y","mode":"managed","type":"x""#);
    let other = body(r#""mode":"managed","type":"x","name":"y","provider":"q","instances":[{"attributes":{"a":1}}]"#);
    let extra =
        body(r#""mode":"managed","type":"x","name":"y","provider":"p","new":[],"instances":[{"attributes":{"a":1}}]"#);
    assert_eq!(first, moved);
    assert_ne!(first.meaning, other.meaning);
    assert_ne!(first.meaning, extra.meaning);
}

#[test]
fn siblings_do_not_matter_to_a_meaning() {
    let body = |instances: &str| {
        let body = format!(
            r#"{{"version":4,"serial":1,"lineage":"a","resources":[{{"mode":"managed","type":"x","name":"y","instances":{instances}}}]}}"#
        );
        summary(body.as_bytes()).instances.remove(0)
    };
    let alone = body(r#"[{"index_key":0,"attributes":{}}]"#);
    assert_eq!(alone, body(r#"[{"index_key":0,"attributes":{}},{"index_key":1}]"#));
    assert_eq!(alone, body(r#"[{"index_key":1},{"attributes":{},"index_key":0},{"index_key":2}]"#));
}
