//! What is read, and in which pieces.

use proptest::prelude::*;
use stateward_state::generate::state;
use stateward_state::{Document, Extractor, MAX_DEPTH, ScanError, Scanner, extract, scan};

use super::{KEY, parse, pieces, specs, summary};

#[derive(Debug, Clone)]
enum Damage {
    Flip(u8),
    Insert(u8),
    Cut,
    Drop,
}

fn damage() -> impl Strategy<Value = Damage> {
    let telling = prop::sample::select(br#"{}[]:,"\/0-9.eEtfn u"#.to_vec());
    prop_oneof![
        any::<u8>().prop_map(Damage::Flip),
        any::<u8>().prop_map(Damage::Insert),
        telling.prop_map(Damage::Insert),
        Just(Damage::Cut),
        Just(Damage::Drop),
    ]
}

fn is_about_json(error: &ScanError) -> bool {
    use ScanError::{ByteOrderMark, Empty, Syntax, Truncated, Utf8};
    matches!(error, Empty | ByteOrderMark | Syntax { .. } | Utf8 { .. } | Truncated { .. })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn only_json_is_read(spec in specs(), damages in prop::collection::vec((damage(), any::<prop::sample::Index>()), 0..3)) {
        let mut body = state(&spec);
        for (damage, place) in damages {
            let at = place.index(body.len().max(1)).min(body.len().saturating_sub(1));
            match damage {
                Damage::Flip(bits) => body[at] ^= bits,
                Damage::Insert(byte) => body.insert(at, byte),
                Damage::Cut => body.truncate(at.max(1)),
                Damage::Drop => drop(body.remove(at)),
            }
        }
        let theirs = serde_json::from_slice::<serde_json::Value>(&body);
        match scan::scan(&body, KEY) {
            Ok(_) => prop_assert!(theirs.is_ok()),
            Err(error) if is_about_json(&error) => prop_assert!(theirs.is_err(), "{error}"),
            // The body is JSON at least up to there.
            Err(_) => {}
        }
        prop_assert_eq!(Document::parse(&body).err(), scan::scan(&body, KEY).err());
        prop_assert_eq!(extract::extract(&body, |_| true).err(), scan::scan(&body, KEY).err());
    }

    #[test]
    fn pieces_do_not_matter(spec in specs(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let body = state(&spec);
        let mut scanner = Scanner::new(KEY);
        let mut extractor = Extractor::new(|address: &str| address.len().is_multiple_of(3));
        for piece in pieces(&body, &cuts) {
            scanner.feed(piece).expect("valid");
            extractor.feed(piece).expect("valid");
        }
        prop_assert_eq!(scanner.finish().expect("valid"), summary(&body));
        let whole = extract::extract(&body, |address| address.len() % 3 == 0).expect("valid");
        prop_assert_eq!(extractor.finish().expect("valid"), whole);
    }

    #[test]
    fn parts_are_where_they_are_said_to_be(spec in specs()) {
        let body = state(&spec);
        let document = Document::parse(&body).expect("valid");
        let value = parse(&body);
        for field in &document.fields {
            prop_assert_eq!(&parse(document.raw(&field.value)), &value[&field.name]);
        }
        for output in &document.outputs {
            prop_assert_eq!(&parse(document.raw(&output.value)), &value["outputs"][&output.name]);
        }
        let resources = value["resources"].as_array().expect("an array");
        prop_assert_eq!(document.resources.len(), resources.len());
        for (resource, value) in document.resources.iter().zip(resources) {
            prop_assert_eq!(&parse(document.raw(&resource.span)), value);
            for field in &resource.fields {
                prop_assert_eq!(&parse(document.raw(&field.value)), &value[&field.name]);
            }
            for (index, instance) in resource.instances.iter().enumerate() {
                prop_assert_eq!(&parse(document.raw(&instance.span)), &value["instances"][index]);
            }
        }
        let found = extract::extract(&body, |_| true).expect("valid");
        for instance in document.instances() {
            prop_assert_eq!(&found[&instance.address].raw, document.raw(&instance.span));
        }
        let spans = summary(&body).spans;
        let text = |span: std::ops::Range<u64>| {
            let (start, end) = (usize::try_from(span.start).expect("small"), usize::try_from(span.end).expect("small"));
            parse(&body[start..end])
        };
        prop_assert_eq!(&text(spans.serial), &value["serial"]);
        prop_assert_eq!(&text(spans.lineage), &value["lineage"]);
        prop_assert_eq!(&text(spans.terraform_version.expect("there")), &value["terraform_version"]);
        prop_assert_eq!(&text(spans.outputs.expect("there")), &value["outputs"]);
    }
}

fn error(body: &str) -> ScanError {
    scan::scan(body.as_bytes(), KEY).expect_err(body)
}

#[test]
fn a_state_needs_its_fields() {
    assert_eq!(error(""), ScanError::Empty);
    assert_eq!(error(" \n"), ScanError::Empty);
    assert_eq!(error("\u{feff}{}"), ScanError::ByteOrderMark);
    for body in ["[]", "5", "\"x\"", "null", " [{}]"] {
        assert_eq!(error(body), ScanError::NotAnObject, "{body}");
    }
    assert_eq!(error("{}"), ScanError::MissingFormat);
    assert_eq!(error(r#"{"version":4,"lineage":"a"}"#), ScanError::MissingSerial);
    assert_eq!(error(r#"{"version":4,"serial":1}"#), ScanError::MissingLineage);
    assert_eq!(error(r#"{"version":4,"serial":1,"lineage":""}"#), ScanError::MissingLineage);
    assert_eq!(error(r#"{"version":3,"serial":1,"lineage":"a"}"#), ScanError::UnsupportedFormat { version: 3 });
    assert_eq!(error(r#"{"version":5,"serial":1,"lineage":"a"}"#), ScanError::UnknownFormat { version: 5 });
    for serial in ["5.0", "5e0", "-1", "-0", "18446744073709551616", "\"5\"", "null", "{}", "[5]", "true"] {
        let body = format!(r#"{{"version":4,"lineage":"a","serial":{serial}}}"#);
        assert_eq!(error(&body), ScanError::InvalidSerial { offset: 36 }, "{serial}");
    }
    let body = r#"{"version":4,"serial":1,"lineage":"a","serial":1}"#;
    assert_eq!(error(body), ScanError::DuplicateField { field: "serial", offset: 38 });
    assert!(error("{\"version\":4}x").to_string().contains("nothing after the state"));
}

#[test]
fn instances_need_addresses_of_their_own() {
    let body = |resources: &str| format!(r#"{{"resources":{resources},"version":4,"serial":1,"lineage":"a"}}"#);
    let resource =
        |instances: &str| body(&format!(r#"[{{"instances":{instances},"mode":"managed","type":"x","name":"y"}}]"#));
    assert!(scan::scan(body("null").as_bytes(), KEY).is_ok());
    assert!(scan::scan(resource("null").as_bytes(), KEY).is_ok());
    assert!(scan::scan(resource("[]").as_bytes(), KEY).is_ok());
    assert_eq!(error(&resource("[{},{}]")), ScanError::DuplicateInstance { address: "x.y".into() });
    let summary =
        summary(resource(r#"[{"index_key":1},{"index_key":0.0},{"deposed":"1234abcd"},{"index_key":"a"}]"#).as_bytes());
    let addresses: Vec<&str> = summary.instances.iter().map(|entry| entry.address.as_str()).collect();
    assert_eq!(addresses, ["x.y (deposed 1234abcd)", "x.y[\"a\"]", "x.y[0]", "x.y[1]"]);
    for shape in [
        body("{}"),
        body("[1]"),
        body("[[]]"),
        body("[{}]"),
        body(r#"[{"mode":1}]"#),
        body(r#"[{"mode":{}}]"#),
        resource("{}"),
        resource("1"),
        resource("[1]"),
        resource("[[]]"),
        resource(r#"[{"index_key":1.5}]"#),
        resource(r#"[{"index_key":{}}]"#),
        resource(r#"[{"deposed":1}]"#),
    ] {
        assert!(matches!(error(&shape), ScanError::Shape { .. }), "{shape}");
    }
}

#[test]
fn an_encrypted_body_is_opaque() {
    let body = br#"{"serial":5,"lineage":"a","meta":{"key_provider.pbkdf2.k":"e30="},"encrypted_data":"AAAA","encryption_version":"v0"}"#;
    let summary = summary(body);
    assert!(summary.opaque);
    assert_eq!((summary.serial, summary.format, summary.instances.len()), (5, None, 0));
    assert!(Document::parse(body).expect("valid").opaque());
    assert_eq!(error(r#"{"serial":5,"lineage":"a","encryption_version":""}"#), ScanError::MissingFormat);
    assert_eq!(error(r#"{"lineage":"a","encryption_version":"v0"}"#), ScanError::MissingSerial);
}

#[test]
fn depth_is_limited_without_recursion() {
    let nested = |depth: usize| {
        format!(r#"{{"version":4,"serial":1,"lineage":"a","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert!(scan::scan(nested(MAX_DEPTH - 1).as_bytes(), KEY).is_ok());
    assert!(matches!(error(&nested(MAX_DEPTH)), ScanError::TooDeep { .. }));
    assert!(matches!(error(&nested(100_000)), ScanError::TooDeep { .. }));
    assert!(matches!(error(&"[".repeat(100_000)), ScanError::NotAnObject));
    assert!(matches!(error(&"{\"a\":".repeat(100_000)), ScanError::TooDeep { .. }));
}
