//! What a diff shows, and what it must not.

use serde_json::json;

use super::*;
use crate::extract::extract;

/// A state with one resource per name and JSON text of its instance, and outputs.
fn state(resources: &[(&str, &str)], outputs: &str) -> String {
    let resources: Vec<String> = resources
        .iter()
        .map(|(name, instance)| {
            format!(r#"{{"mode":"managed","type":"x","name":"{name}","provider":"p","instances":[{instance}]}}"#)
        })
        .collect();
    format!(r#"{{"version":4,"serial":1,"lineage":"a","outputs":{outputs},"resources":[{}]}}"#, resources.join(","))
}

fn changes(before: &str, after: &str) -> Vec<Change> {
    let extracted = |body: &str| extract(body.as_bytes(), |_| true).expect(body);
    diff(&extracted(before), &extracted(after))
}

/// The changes between two instances with these attributes and marks.
fn attributes(before: &str, after: &str, marks: &str) -> Vec<AttributeChange> {
    let body = |attributes: &str| {
        state(&[("y", &format!(r#"{{"attributes":{attributes},"sensitive_attributes":{marks}}}"#))], "{}")
    };
    changes(&body(before), &body(after)).into_iter().flat_map(|change| change.attributes).collect()
}

fn shown(path: &str, before: Option<Value>, after: Option<Value>) -> AttributeChange {
    AttributeChange { path: path.into(), before, after, sensitive: false }
}

fn hidden(path: &str) -> AttributeChange {
    AttributeChange { path: path.into(), before: None, after: None, sensitive: true }
}

#[test]
fn values_that_differ_are_shown_with_their_paths() {
    let before = r#"{"a":1.0,"b":null,"list":[1,{"c":"x"}],"tags":{"Name":"n","a.b":"v"},"e":{}}"#;
    let after = r#"{"tags":{"a.b":"w","Name":"\u006e"},"list":[10e-1,{"c":"y"},true],"a":1,"e":{"f":null}}"#;
    assert_eq!(
        attributes(before, after, "[]"),
        [
            shown("b", Some(Value::Null), None),
            shown("e", Some(json!({})), None),
            shown("e.f", None, Some(Value::Null)),
            shown("list[1].c", Some(json!("x")), Some(json!("y"))),
            shown("list[2]", None, Some(json!(true))),
            shown("tags[\"a.b\"]", Some(json!("v")), Some(json!("w"))),
        ]
    );
    assert_eq!(attributes(r#"{"n":1E+400}"#, r#"{"n":10e399}"#, "[]"), []);
}

#[test]
fn instances_and_outputs_come_and_go() {
    let before =
        state(&[("a", r#"{"attributes":{"id":"1"}}"#), ("b", r#"{"status":"tainted","attributes":{}}"#)], "{}");
    let after = state(
        &[("b", r#"{"attributes":{}}"#)],
        r#"{"o":{"value":{"k":[1]},"type":["object",{"k":["list","number"]}]}}"#,
    );
    let changes = changes(&before, &after);
    let summary: Vec<_> = changes.iter().map(|change| (change.address.as_str(), change.action)).collect();
    assert_eq!(summary, [("output.o", Action::Add), ("x.a", Action::Remove), ("x.b", Action::Change)]);
    assert_eq!(changes[0].attributes[0], shown("value.k[0]", None, Some(json!(1))));
    assert_eq!(
        changes[1].attributes,
        [shown("id", Some(json!("1")), None), shown("(provider)", Some(json!("p")), None)]
    );
    assert_eq!(changes[2].attributes, [shown("(status)", Some(json!("tainted")), None)]);
}

#[test]
fn changes_round_trip_through_json() {
    let changes = changes(
        &state(&[("y", r#"{"attributes":{"n":12345678901234567890.123,"z":"s"}}"#)], "{}"),
        &state(&[("y", r#"{"attributes":{"n":1e400,"z":"t"},"private":"x"}"#)], "{}"),
    );
    let text = serde_json::to_string(&changes).expect("serializable");
    assert_eq!(serde_json::from_str::<Vec<Change>>(&text).expect("valid"), changes);
    assert!(text.contains(r#"{"path":"(private)","before":null,"after":null,"sensitive":true}"#), "{text}");
}

#[test]
fn marked_paths_are_hidden_on_both_sides() {
    let mark = r#"[[{"type":"get_attr","value":"password"}],[{"type":"get_attr","value":"list"},{"type":"index","value":{"value":1,"type":"number"}},{"type":"get_attr","value":"token"}],[{"type":"get_attr","value":"map"},{"type":"index","value":{"value":"k","type":"string"}}]]"#;
    let before = r#"{"password":"old-secret","list":[1,{"token":"old-token","x":1}],"map":{"k":"old-value","l":"m"}}"#;
    let after = r#"{"password":"new-secret","list":[2,{"token":"new-token","x":2}],"map":{"k":"new-value","l":"n"}}"#;
    let expected = [
        shown("list[0]", Some(json!(1)), Some(json!(2))),
        hidden("list[1].token"),
        shown("list[1].x", Some(json!(1)), Some(json!(2))),
        hidden("map.k"),
        shown("map.l", Some(json!("m")), Some(json!("n"))),
        hidden("password"),
    ];
    assert_eq!(attributes(before, after, mark), expected);
    // A mark of one side only.
    let marked = |attributes: &str| {
        state(&[("y", &format!(r#"{{"attributes":{attributes},"sensitive_attributes":{mark}}}"#))], "{}")
    };
    let bare = |attributes: &str| state(&[("y", &format!(r#"{{"attributes":{attributes}}}"#))], "{}");
    for changes in [changes(&marked(before), &bare(after)), changes(&bare(before), &marked(after))] {
        let attributes = &changes[0].attributes;
        assert_eq!(attributes[..6], expected);
        assert_eq!(attributes[6], hidden("(sensitive_attributes)"));
    }
}

#[test]
fn marks_reach_into_values_of_dynamic_type() {
    let mark = r#"[[{"type":"get_attr","value":"input"},{"type":"get_attr","value":"pw"}]]"#;
    let value = |pw: &str| {
        format!(
            r#"{{"input":{{"value":{{"pw":"{pw}","user":"u-{}"}},"type":["object",{{}}]}},"output":{{"value":{{"pw":"{pw}"}},"type":"x"}},"text":"--{pw}--"}}"#,
            pw.len()
        )
    };
    let changes = attributes(&value("hunter2!"), &value("hunter345!"), mark);
    assert_eq!(
        changes,
        [
            hidden("input.value.pw"),
            shown("input.value.user", Some(json!("u-8")), Some(json!("u-10"))),
            hidden("output.value.pw"),
            hidden("text"),
        ]
    );
    let mark = r#"[[{"type":"get_attr","value":"input"},{"type":"get_attr","value":"type"}]]"#;
    let value = |secret: &str| {
        format!(r#"{{"input":{{"value":{{"type":"{secret}"}},"type":["object",{{"type":"string"}}]}}}}"#)
    };
    assert_eq!(attributes(&value("secret-1"), &value("secret-2"), mark), [hidden("input.value.type")]);
}

#[test]
fn a_mark_that_leads_nowhere_hides_the_attribute() {
    let mark = r#"[[{"type":"get_attr","value":"a"},{"type":"get_attr","value":"b"},{"type":"get_attr","value":"c"}]]"#;
    assert_eq!(attributes(r#"{"a":{"x":1},"z":1}"#, r#"{"a":{"x":2},"z":2}"#, mark)[0], hidden("a"));
    for unreadable in ["[[]]", "[5]", r#"[[{"type":"new"}]]"#, "true"] {
        let changes = attributes(r#"{"a":"secret-1"}"#, r#"{"a":"secret-2"}"#, unreadable);
        assert_eq!(changes, [hidden("a")], "{unreadable}");
    }
}

#[test]
fn a_secret_is_hidden_wherever_it_turns_up() {
    let outputs = |value: &str| format!(r#"{{"o":{{"value":{value},"type":"x","sensitive":true}}}}"#);
    let instance = |text: &str| format!(r#"{{"attributes":{text},"dependencies":[]}}"#);
    let secret = r#"{"a":"a\"<b>&c\n","pin":123456,"short":"abc","ok":true,"no":""}"#;
    let copies = r#"{"alone":"a\"<b>&c\n","json":"{\"k\":\"a\\\"<b>&c\\n\"}","go":"{\"k\":\"a\\\"\\u003cb\\u003e\\u0026c\\n\"}","number":123456,"text":"123456","within":"x123456y","short":"abc","longer":"abcd","bool":true,"empty":"","trimmed":"a\"<b>&c","keyed":{"123456":1}}"#;
    let changes = changes(&state(&[], &outputs(secret)), &state(&[("y", &instance(copies))], &outputs(secret)));
    let shown: Vec<&str> =
        changes[0].attributes.iter().filter(|change| !change.sensitive).map(|change| change.path.as_str()).collect();
    assert_eq!(shown, ["bool", "empty", "longer", "(dependencies)", "(provider)"]);
    assert_eq!(changes[0].attributes.len(), 14);
    assert!(changes[0].attributes.contains(&hidden("keyed")));
}

#[test]
fn a_copy_of_a_secret_map_is_hidden_with_its_keys() {
    let mark = r#"[[{"type":"get_attr","value":"m"}]]"#;
    let value =
        |n: u8| format!(r#"{{"m":{{"planted-key":{n},"b":[true]}},"n":{{"deep":{{"b":[true],"planted-key":{n}}}}}}}"#);
    let changes = attributes(&value(1), &value(2), mark);
    assert_eq!(changes, [hidden("m"), hidden("n.deep")]);
}

#[test]
fn scalars_inside_secret_json_are_secrets_too() {
    let mark = r#"[[{"type":"get_attr","value":"secret_string"}]]"#;
    let value = |pw: &str| {
        format!(r#"{{"secret_string":"{{\"user\":\"admin\",\"password\":\"{pw}\"}}","url":"db://admin:{pw}@host"}}"#)
    };
    assert_eq!(
        attributes(&value("hunter2hunter2"), &value("correct-horse"), mark),
        [hidden("secret_string"), hidden("url")]
    );
}

#[test]
fn sensitive_outputs_hide_value_and_type() {
    let output = |value: &str| {
        format!(
            r#"{{"o":{{"value":{{"planted-key":"{value}"}},"type":["object",{{"planted-{value}":"string"}}],"sensitive":true}}}}"#
        )
    };
    let changes = changes(&state(&[], &output("old-one")), &state(&[], &output("new-one")));
    assert!(!serde_json::to_string(&changes).expect("serializable").contains("planted"));
    assert!(changes[0].attributes.iter().all(|change| change.sensitive));
}

#[test]
fn legacy_flat_attributes_are_masked_by_prefix() {
    let body = |n: u8| {
        state(
            &[(
                "y",
                &format!(
                    r#"{{"attributes_flat":{{"list.#":"{n}","list.0.pw":"planted-{n}","list.1":"{n}","weird key":"{n}"}},"sensitive_attributes":[[{{"type":"get_attr","value":"list"}},{{"type":"index","value":{{"value":0,"type":"number"}}}}]]}}"#
                ),
            )],
            "{}",
        )
    };
    let changes = changes(&body(1), &body(2));
    assert_eq!(
        changes[0].attributes,
        [
            shown("list.#", Some(json!("1")), Some(json!("2"))),
            hidden("list.0.pw"),
            shown("list.1", Some(json!("1")), Some(json!("2"))),
            shown("[\"weird key\"]", Some(json!("1")), Some(json!("2"))),
        ]
    );
}

#[cfg(feature = "generate")]
mod laws {
    use proptest::prelude::*;

    use super::*;

    /// A value with a secret planted at one place, the marks that lead there, and what else there is.
    fn planted(secret: String) -> impl Strategy<Value = (Value, Vec<Value>)> {
        let key = || prop::sample::select(vec!["a", "b", "value", "type", "a.b", "ü"]);
        let other = prop_oneof![
            Just(json!(null)),
            Just(json!(true)),
            any::<u32>().prop_map(|number| json!(number)),
            Just(json!("plain"))
        ];
        let leaf = Just((Value::from(secret), Vec::<Value>::new()));
        leaf.prop_recursive(4, 8, 2, move |inner| {
            let other = other.clone();
            prop_oneof![
                (inner.clone(), key(), other.clone()).prop_map(|((value, mut marks), key, other)| {
                    marks.insert(0, json!({"type": "get_attr", "value": key}));
                    (json!({ "other": other, key: value }), marks)
                }),
                (inner.clone(), key()).prop_map(|((value, mut marks), key)| {
                    marks.insert(0, json!({"type": "index", "value": {"value": key, "type": "string"}}));
                    (json!({ key: value }), marks)
                }),
                (inner.clone(), other).prop_map(|((value, mut marks), other)| {
                    marks.insert(0, json!({"type": "index", "value": {"value": 1, "type": "number"}}));
                    (json!([other, value]), marks)
                }),
                // Of dynamic type: no mark leads through it.
                inner.prop_map(|(value, marks)| (json!({"value": value, "type": "string"}), marks)),
            ]
        })
    }

    fn instance(value: &Value, marks: &[Value], copy: &Value, length: Option<usize>) -> String {
        let mut list = Vec::new();
        if let Some(length) = length {
            let below = marks.iter().take(length).cloned();
            list.push(std::iter::once(json!({"type": "get_attr", "value": "top"})).chain(below).collect());
        }
        let marks = Value::Array(list);
        json!({"attributes": {"top": value, "copy": copy}, "sensitive_attributes": marks, "private": copy}).to_string()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_planted_secret_never_shows(
            (value, marks) in planted("PLANTED\"<\u{1}ü".to_owned()),
            cut in 0_usize..5,
            marked_before in any::<bool>(),
            wrap in 0_usize..4,
            removed in any::<bool>(),
        ) {
            let secret = "PLANTED\"<\u{1}ü";
            let copy = match wrap {
                0 => json!(secret),
                1 => json!({"nested": [format!("around {secret} it"), 1]}),
                2 => json!({ format!("key {secret}"): 1 }),
                _ => json!(json!({ "in": [secret] }).to_string()),
            };
            let with = |marked: bool| instance(&value, &marks, &copy, marked.then_some(cut));
            let before = state(&[("y", &with(marked_before))], "{}");
            let after = if removed && marked_before {
                state(&[("z", r#"{"attributes":{}}"#)], "{}")
            } else {
                let other = json!({"o": {"value": copy, "type": "string"}}).to_string();
                state(&[("y", &with(!marked_before)), ("z", &instance(&copy, &[], &value, None))], &other)
            };
            let empty = state(&[], "{}");
            for (before, after) in [(&before, &after), (&after, &before)] {
                let text = format!("{:?}{}", changes(before, after), serde_json::to_string(&changes(before, after)).expect("serializable"));
                prop_assert!(!text.contains("PLANTED"), "{}", text);
            }
            let marked = if marked_before { &before } else { &after };
            let text = serde_json::to_string(&changes(&empty, marked)).expect("serializable");
            prop_assert!(!text.contains("PLANTED"), "{}", text);
        }

        #[test]
        fn a_state_does_not_differ_from_itself_and_adding_mirrors_removing(seed in any::<u64>(), resources in 0_usize..30) {
            let body = crate::generate::state(&crate::generate::Spec { resources, seed, ..Default::default() });
            let found = extract(&body, |_| true).expect("valid");
            prop_assert_eq!(diff(&found, &found), []);
            let (added, removed) = (diff(&BTreeMap::new(), &found), diff(&found, &BTreeMap::new()));
            prop_assert_eq!(added.len(), found.len());
            for (added, removed) in added.iter().zip(&removed) {
                prop_assert_eq!(added.attributes.len(), removed.attributes.len());
            }
        }
    }
}

#[test]
fn a_copy_of_a_secret_is_hidden_though_what_is_marked_did_not_change() {
    let marked =
        r#"{"attributes":{"result":"hunter2hunter2"},"sensitive_attributes":[[{"type":"get_attr","value":"result"}]]}"#;
    let copy =
        |n: u8| format!(r#"{{"attributes":{{"n":{n},"url":"db://hunter2hunter2@h/{n}"}},"sensitive_attributes":[]}}"#);
    let extracted = |n: u8| {
        let body = state(
            &[("password", marked), ("url", &copy(n))],
            r#"{"o":{"value":"x","type":"string","sensitive":true}}"#,
        );
        let mut extractor = crate::Extractor::with_sensitive(|address: &str| address == "x.url");
        extractor.feed(body.as_bytes()).expect("a state");
        extractor.finish().expect("a state")
    };
    assert_eq!(extracted(1).len(), 3);
    let changes = diff(&extracted(1), &extracted(2));
    let attributes: Vec<_> = changes.into_iter().flat_map(|change| change.attributes).collect();
    assert_eq!(attributes, [shown("n", Some(json!(1)), Some(json!(2))), hidden("url")]);
}
