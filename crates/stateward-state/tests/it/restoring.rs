//! Laws of restoring single instances.

use proptest::prelude::*;
use stateward_state::edit::{EditError, restore_only};
use stateward_state::generate::{Spec, state};
use stateward_state::{Action, AddressPattern, Document, counts};

use super::{specs, summary};

fn patterns(texts: &[&str]) -> Vec<AddressPattern> {
    texts.iter().map(|text| AddressPattern::parse(text).expect(text)).collect()
}

/// A body that failures of properties do not print.
#[derive(Clone)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

/// Two versions of a state that differ in some resources, and in which ones there are.
fn versions() -> impl Strategy<Value = (Body, Body)> {
    let drops = || prop::collection::vec(any::<bool>(), 60);
    (specs(), any::<bool>(), prop::collection::btree_set(0_usize..60, 0..8), drops(), drops()).prop_map(
        |(spec, indented, touched, head_drops, old_drops)| {
            let old = Spec { indented, touched, serial: 7, ..spec.clone() };
            (Body(without(&state(&Spec { serial: 9, ..spec }), &head_drops)), Body(without(&state(&old), &old_drops)))
        },
    )
}

/// The body without the resources that are to be dropped; a few are.
pub(crate) fn without(body: &[u8], drops: &[bool]) -> Vec<u8> {
    let document = Document::parse(body).expect("valid");
    let dropped: Vec<_> = document
        .resources
        .iter()
        .zip(drops)
        .enumerate()
        .filter(|(index, (_, drop))| **drop && index % 3 == 0)
        .map(|(_, (resource, _))| resource)
        .collect();
    let mut out = body.to_vec();
    for resource in dropped.iter().rev() {
        let mut span = resource.span.clone();
        // With the comma and white space that follow, or those before where it is the last.
        let next = document.resources.iter().find(|other| other.span.start > span.start);
        let before =
            document.resources.iter().rev().find(|other| other.span.end < span.start && !dropped.contains(other));
        match (next, before) {
            (Some(next), _) => span.end = next.span.start,
            (None, Some(before)) => span.start = before.span.end,
            (None, None) => continue,
        }
        if span.end <= out.len() {
            out.drain(span);
        }
        if Document::parse(&out).is_err() {
            return body.to_vec();
        }
    }
    out
}

fn all(body: &[u8], other: &[u8]) -> Vec<AddressPattern> {
    let (left, right) = (summary(body), summary(other));
    let entries = [left.instances, left.outputs, right.instances, right.outputs].concat();
    entries
        .iter()
        .map(|entry| AddressPattern::parse(&entry.address).unwrap_or_else(|error| panic!("{}: {error}", entry.address)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn restoring_all_gives_the_old_state((Body(head), Body(old)) in versions()) {
        match restore_only(&head, &old, &all(&head, &old), 10) {
            Ok(edited) => {
                let (result, wanted, before) = (summary(&edited.body), summary(&old), summary(&head));
                prop_assert_eq!(result.serial, 10);
                prop_assert_eq!(&result.instances, &wanted.instances);
                prop_assert_eq!(&result.outputs, &wanted.outputs);
                let mut changes = counts::changed_addresses(&before.instances, &wanted.instances);
                changes.extend(counts::changed_addresses(&before.outputs, &wanted.outputs));
                changes.sort();
                prop_assert_eq!(edited.addresses, changes);
                let again = restore_only(&edited.body, &old, &all(&edited.body, &old), 11);
                prop_assert_eq!(again, Err(EditError::NoChange));
                let order = |body: &[u8]| Document::parse(body).expect("valid").resources.iter().map(|resource| resource.name.clone()).collect::<Vec<_>>();
                prop_assert!(order(&edited.body).is_sorted());
            }
            Err(error) => {
                prop_assert_eq!(error, EditError::NoChange);
                prop_assert_eq!(summary(&head).instances, summary(&old).instances);
            }
        }
    }

    #[test]
    fn what_is_not_named_stays_byte_for_byte((Body(head), Body(old)) in versions(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4)) {
        let candidates = all(&head, &old);
        let named: Vec<AddressPattern> = picks.iter().map(|pick| pick.get(&candidates).clone()).collect();
        let Ok(edited) = restore_only(&head, &old, &named, 10) else { return Ok(()) };
        let (before, after) = (Document::parse(&head).expect("valid"), Document::parse(&edited.body).expect("valid"));
        let covered = |address: &str| named.iter().any(|pattern| pattern.matches(address));
        let texts = |document: &Document<'_>| document.instances().filter(|instance| !covered(&instance.address)).map(|instance| (instance.address.clone(), document.raw(&instance.span).to_vec())).collect::<Vec<_>>();
        prop_assert_eq!(texts(&before), texts(&after));
        prop_assert_eq!(before.style(), after.style());
        for field in before.fields.iter().filter(|field| !["serial", "resources", "outputs"].contains(&field.name.as_str())) {
            prop_assert_eq!(Some(before.raw(&field.value)), after.field(&field.name).map(|field| after.raw(&field.value)));
        }
        let (before, after) = (summary(&head), summary(&edited.body));
        let mut changes = counts::changed_addresses(&before.instances, &after.instances);
        changes.extend(counts::changed_addresses(&before.outputs, &after.outputs));
        changes.sort();
        prop_assert_eq!(changes, edited.addresses);
    }
}

fn body(serial: u64, resources: &str) -> String {
    format!(
        "{{\n  \"version\": 4,\n  \"serial\": {serial},\n  \"lineage\": \"a\",\n  \"unknown\": [1.0,  2],\n  \"resources\": {resources}\n}}\n"
    )
}

fn block(name: &str, instances: &[&str]) -> String {
    let instances: Vec<String> = instances.iter().map(|text| format!("\n        {text}")).collect();
    format!(
        "\n    {{\n      \"mode\": \"managed\",\n      \"type\": \"x\",\n      \"name\": \"{name}\",\n      \"instances\": [{}\n      ]\n    }}",
        instances.join(",")
    )
}

#[test]
fn an_instance_is_put_where_terraform_sorts_it() {
    let a = "{\"index_key\": \"a\", \"attributes\": {\"n\": 1.50}}";
    let b = "{\"index_key\": \"b\",   \"attributes\": {}}";
    let c = "{\"index_key\": \"c\"}";
    let head = body(5, &format!("[{}\n  ]", block("y", &[a, c])));
    let old = body(3, &format!("[{},{}\n  ]", block("w", &[a]), block("y", &[a, b])));
    let edited = restore_only(head.as_bytes(), old.as_bytes(), &patterns(&["x.y[\"b\"]"]), 6).expect("restored");
    assert_eq!(String::from_utf8(edited.body).expect("UTF-8"), body(6, &format!("[{}\n  ]", block("y", &[a, b, c]))));
    assert_eq!(edited.addresses, [("x.y[\"b\"]".to_owned(), Action::Add)]);
    let edited = restore_only(head.as_bytes(), old.as_bytes(), &patterns(&["x.w", "x.y[\"c\"]"]), 6).expect("restored");
    assert_eq!(
        String::from_utf8(edited.body).expect("UTF-8"),
        body(6, &format!("[{},{}\n  ]", block("w", &[a]), block("y", &[a])))
    );
}

#[test]
fn a_block_left_empty_goes_and_an_empty_list_fills() {
    let filled = body(5, &format!("[{}\n  ]", block("y", &["{}"])));
    let empty = body(3, "[]");
    let edited = restore_only(filled.as_bytes(), empty.as_bytes(), &patterns(&["x.y"]), 6).expect("restored");
    assert_eq!(String::from_utf8(edited.body).expect("UTF-8"), body(6, "[]"));
    let edited = restore_only(empty.as_bytes(), filled.as_bytes(), &patterns(&["x.y"]), 6).expect("restored");
    assert_eq!(String::from_utf8(edited.body).expect("UTF-8"), body(6, &format!("[{}\n  ]", block("y", &["{}"]))));
}

#[test]
fn outputs_are_added_where_there_were_none() {
    let head = body(5, "[]");
    let old = br#"{"version":4,"serial":3,"lineage":"a","outputs":{"o":{"value":1.0,"type":"number"}}}"#;
    let edited = restore_only(head.as_bytes(), old, &patterns(&["output.o"]), 6).expect("restored");
    let text = String::from_utf8(edited.body).expect("UTF-8");
    assert!(text.contains("\"serial\": 6,\n  \"outputs\": {\n    \"o\": {\n      \"value\": 1.0,\n"), "{text}");
    assert_eq!(summary(text.as_bytes()).outputs.len(), 1);
}

#[test]
fn what_cannot_be_restored_is_refused() {
    let head = body(5, &format!("[{}\n  ]", block("y", &["{}"])));
    let refused = |old: &str, pattern: &str| {
        restore_only(head.as_bytes(), old.as_bytes(), &patterns(&[pattern]), 6).expect_err(pattern)
    };
    assert_eq!(refused(&head, "x.z"), EditError::NoMatch { pattern: "x.z".into() });
    assert_eq!(refused(&head, "x.y"), EditError::NoChange);
    assert_eq!(refused(&head.replace("\"a\"", "\"b\""), "x.y"), EditError::OtherLineage);
    assert_eq!(refused(r#"{"serial":5,"lineage":"a","encryption_version":"v0"}"#, "x.y"), EditError::Opaque);
    assert!(matches!(refused("{", "x.y"), EditError::Old(_)));
}
