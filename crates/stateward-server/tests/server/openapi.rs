//! The document of API v1, and holding answers against it.

use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");

fn rendered() -> String {
    format!("{}\n", serde_json::to_string_pretty(&stateward_server::openapi()).unwrap())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a developer asks for the document to be written anew")]
fn the_committed_document_is_current() {
    if std::env::var_os("STATEWARD_UPDATE_DOCS").is_some() {
        std::fs::write(FILE, rendered()).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        committed == rendered(),
        "docs/reference/openapi.json is not current: `STATEWARD_UPDATE_DOCS=1 cargo test -p stateward-server openapi`"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, seen: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| match value.as_str().filter(|_| name == "$ref") {
                    Some(target) => seen.push(target.to_owned()),
                    None => walk(value, seen),
                });
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, seen)),
            _ => {}
        }
    }
    let (document, mut seen) = (stateward_server::openapi(), Vec::new());
    walk(&document, &mut seen);
    for target in &seen {
        assert!(document.pointer(&target[1..]).is_some(), "{target}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(seen.contains(&format!("#/components/schemas/{name}")), "nothing uses {name}");
    }
}

/// Panics unless the document has this operation with this status, and the body is as it says there.
#[track_caller]
pub(crate) fn check(method: &str, path: &str, status: u16, body: &[u8]) {
    let document = stateward_server::openapi();
    let operation = &document["paths"][path][method.to_ascii_lowercase()];
    assert!(operation.is_object(), "{method} {path} is not documented");
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {path} does not document {status}");
    let schema = &response["content"]["application/json"]["schema"];
    if let Err(fault) = fits(&document, schema, &serde_json::from_slice(body).unwrap(), "answer") {
        panic!("{method} {path} {status}: {fault}\n{}", String::from_utf8_lossy(body));
    }
}

/// As much of JSON Schema as the document uses; a field that is not documented is a fault, too.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(target) = schema["$ref"].as_str() {
        return fits(document, &document.pointer(&target[1..]).unwrap().clone(), value, at);
    }
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let kind_fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    if !kind_fits {
        return Err(format!("{at} is {value}, not {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return Err(format!("{at} is {value}, not one of {}", schema["enum"]));
    }
    if schema["format"] == "date-time"
        && value.as_str().is_some_and(|text| text.parse::<stateward_core::Timestamp>().is_err())
    {
        return Err(format!("{at} is no time: {value}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item, &format!("{at}[]"))?;
    }
    let (Some(fields), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return Err(format!("{at} lacks {name}"));
        }
    }
    for (name, field) in fields {
        let schema = properties.get(name).ok_or_else(|| format!("{at}.{name} is not documented"))?;
        fits(document, schema, field, &format!("{at}.{name}"))?;
    }
    Ok(())
}
