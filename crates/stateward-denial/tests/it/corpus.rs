//! Texts in forms met in public, each labelled with everything that is to be found in it.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// A labelled text.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// Its name.
    pub(crate) id: String,
    /// The text.
    pub(crate) body: String,
    /// Every problem in it, in order, in the shape in which it is serialised.
    pub(crate) problems: Vec<Value>,
}

const FILES: &[(&str, &str)] = &[
    ("context", include_str!("../data/context.toml")),
    ("clients", include_str!("../data/clients.toml")),
    ("terraform", include_str!("../data/terraform.toml")),
    ("others", include_str!("../data/others.toml")),
    ("records", include_str!("../data/records.toml")),
    ("tools", include_str!("../data/tools.toml")),
];

/// All labelled texts.
pub(crate) fn texts() -> Vec<Text> {
    let mut texts = Vec::new();
    for (name, file) in FILES {
        let file: Value = toml::from_str(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        for entry in file["text"].as_array().expect("texts") {
            let field =
                |field: &str| entry[field].as_str().unwrap_or_else(|| panic!("{name}: {field} in {entry}")).to_owned();
            assert!(field("form").starts_with("https://"), "{name}: where the form of {} was met", field("id"));
            let labels = entry.get("problem").and_then(Value::as_array).cloned().unwrap_or_default();
            texts.push(Text {
                id: format!("{name}/{}", field("id")),
                body: field("text"),
                problems: labels.iter().map(whole).collect(),
            });
        }
    }
    texts
}

/// What is found in a text, in the shape of the labels.
pub(crate) fn found(text: &[u8]) -> Vec<Value> {
    stateward_denial::read(text).iter().map(|problem| serde_json::to_value(problem).expect("JSON")).collect()
}

/// Problems without what only the end of a text decides: whether its last name may go on.
pub(crate) fn uncut(mut problems: Vec<Value>) -> Vec<Value> {
    for problem in &mut problems {
        if let Some(cut) = problem.pointer_mut("/denial/cut") {
            *cut = Value::Null;
        }
    }
    problems
}

/// A label with all that it leaves out.
fn whole(label: &Value) -> Value {
    let nulls = |names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect::<Map<_, _>>().into()
    };
    let principal = over(nulls(&["arn", "account", "session", "name"]), &json!({"type": "unknown"}));
    let denial = over(
        nulls(&[
            "service",
            "operation",
            "action",
            "resource",
            "prefix",
            "policy_arn",
            "request_id",
            "error_code",
            "setting",
            "cut",
        ]),
        &json!({"principal": principal, "layer": "unknown", "effect": "unknown", "has_authorization_id": false, "has_encoded_message": false}),
    );
    let parts = [
        ("denial", denial),
        ("failure", nulls(&["service", "operation", "code", "request_id", "subject", "region", "reason"])),
        ("lock", nulls(&["id", "path", "operation", "who", "version", "created", "info"])),
        ("digest", nulls(&["bucket", "key", "calculated", "stored", "set_to"])),
        ("event", nulls(&["id", "time", "region", "source_ip", "vpc_endpoint"])),
    ];
    let mut whole =
        over(json!({"count": 1, "certain": true, "also_possible": [], "locking": false, "unsaved": false}), label);
    for (name, defaults) in parts {
        whole[name] = label.get(name).map_or(Value::Null, |part| over(defaults, part));
    }
    whole
}

/// The members of one value, and over them those of another; a member that is none of the first's is a typing error.
fn over(mut defaults: Value, value: &Value) -> Value {
    for (name, member) in value.as_object().expect("an object") {
        let nested = defaults[name].is_object() && member.is_object();
        defaults[name] = if nested { over(defaults[name].take(), member) } else { member.clone() };
    }
    defaults
}

/// The differences of two values, one a line.
pub(crate) fn differences(path: &str, expected: &Value, found: &Value, out: &mut String) {
    if let (Some(left), Some(right)) = (expected.as_object(), found.as_object()) {
        for name in left.keys().chain(right.keys().filter(|name| !left.contains_key(*name))) {
            differences(&format!("{path}.{name}"), &expected[name], &found[name], out);
        }
    } else if let (Some(left), Some(right)) = (expected.as_array(), found.as_array()) {
        for index in 0..left.len().max(right.len()) {
            differences(
                &format!("{path}[{index}]"),
                expected.get(index).unwrap_or(&Value::Null),
                found.get(index).unwrap_or(&Value::Null),
                out,
            );
        }
    } else if expected != found {
        let _ = writeln!(out, "  {path}: expected {expected}, found {found}");
    }
}

#[test]
fn every_field_of_every_label_is_found() {
    let mut wrong = String::new();
    let texts = texts();
    for text in &texts {
        let mut out = String::new();
        differences("", &Value::from(text.problems.clone()), &Value::from(found(text.body.as_bytes())), &mut out);
        if !out.is_empty() {
            let _ = writeln!(wrong, "{}:\n{out}", text.id);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_corpus_is_large_enough_and_its_names_are_unique() {
    let texts = texts();
    let kind = |problem: &Value| problem["kind"] == "access_denied";
    let denials = texts.iter().filter(|text| text.problems.iter().any(kind)).count();
    let others = texts.len() - denials;
    assert!(denials >= 150 && others >= 40, "{denials} denials, {others} others");
    let mut ids: Vec<&str> = texts.iter().map(|text| text.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), texts.len());
    let layers = [
        "identity",
        "resource",
        "boundary",
        "session",
        "scp",
        "rcp",
        "vpc_endpoint",
        "trust",
        "kms",
        "s3_block_public_access",
        "unknown",
    ];
    for layer in layers {
        let some =
            texts.iter().flat_map(|text| &text.problems).filter(|problem| problem["denial"]["layer"] == layer).count();
        assert!(some >= 2, "{some} of {layer}");
    }
}
