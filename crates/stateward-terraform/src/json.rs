//! The same as [`hcl`](crate::hcl) for files in JSON syntax. Pure.

use serde_json::{Map, Value};

use crate::backend::{Arguments, Backend, Ephemeral};
use crate::hcl::{Found, Said};
use crate::s3_arguments::{Entry, Written, complaints};

/// Reads a file.
pub(crate) fn read(text: &str) -> Result<Said, String> {
    let root: Value = serde_json::from_str(text).map_err(|error| format!("line {}: it is not JSON", error.line()))?;
    let mut said = Said::default();
    for settings in each(root.get("terraform")) {
        for (kind, bodies) in each(settings.get("backend")).filter_map(Value::as_object).flatten() {
            let found = |body| {
                let backend = Backend::Block { kind: kind.clone(), arguments: arguments(body) };
                let complaints = if kind == "s3" { complaints(&entries(body)) } else { Vec::new() };
                Found { backend, line: 1, complaints }
            };
            said.backends.extend(each(Some(bodies)).map(found));
        }
        let cloud =
            |body| Found { backend: Backend::Cloud { arguments: arguments(body) }, line: 1, complaints: Vec::new() };
        said.backends.extend(each(settings.get("cloud")).map(cloud));
        said.encryption = said.encryption.or(settings.get("encryption").map(|_| 1));
    }
    for (name, bodies) in each(root.get("variable")).filter_map(Value::as_object).flatten() {
        let ephemeral = each(Some(bodies)).filter(|body| body.get("ephemeral") == Some(&Value::Bool(true)));
        said.ephemeral
            .extend(ephemeral.map(|body| Ephemeral { name: name.clone(), has_default: body.get("default").is_some() }));
    }
    said.workspace = text.lines().position(|line| line.contains("terraform.workspace")).map(|line| line + 1);
    Ok(said)
}

/// What stands in a block. JSON has no lines that are worth telling.
fn entries(body: &Value) -> Vec<Entry> {
    let members = body.as_object().into_iter().flatten();
    members.map(|(name, value)| Entry { name: name.clone(), line: 1, value: written(value) }).collect()
}

fn written(value: &Value) -> Written {
    match value {
        Value::Null => Written::Null,
        Value::String(text) if text.contains("${") => Written::Open,
        Value::String(text) => Written::Text(text.clone()),
        Value::Bool(_) => Written::Flag,
        Value::Number(_) => Written::Number,
        Value::Array(items) => Written::List(items.iter().map(written).collect()),
        Value::Object(_) => Written::Object(entries(value)),
    }
}

/// The names that a file of values gives some to.
pub(crate) fn names(text: &str) -> Result<Vec<String>, String> {
    let values: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(values.into_iter().map(|(name, _)| name).collect())
}

/// A block may be an object, or a list of objects.
fn each(block: Option<&Value>) -> impl Iterator<Item = &Value> {
    let bodies = block.map(|block| block.as_array().map_or(std::slice::from_ref(block), Vec::as_slice));
    bodies.unwrap_or_default().iter()
}

/// A list of texts alone.
fn texts(value: &Value) -> Option<&Vec<Value>> {
    value.as_array().filter(|items| !items.is_empty() && items.iter().all(Value::is_string))
}

/// Arguments by their names, those of blocks within as `block.name`, texts in a list as `name.0` and so on.
pub(crate) fn arguments(body: &Value) -> Arguments {
    let named = body.as_object().into_iter().flatten();
    named.flat_map(|(name, value)| values(name, value)).collect()
}

/// A block may be a list of one; of several, none is the one.
fn values(name: &str, value: &Value) -> Vec<(String, Option<String>)> {
    if let Some(texts) = texts(value) {
        return texts.iter().enumerate().map(|(at, text)| (format!("{name}.{at}"), literal(text))).collect();
    }
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) if items.is_empty() => Vec::new(),
        Value::Array(items) if items.len() == 1 && items[0].is_object() => values(name, &items[0]),
        Value::Object(inner) => inner.iter().flat_map(|(key, value)| values(&format!("{name}.{key}"), value)).collect(),
        value => vec![(name.to_owned(), literal(value))],
    }
}

fn literal(value: &Value) -> Option<String> {
    match value {
        // What has an interpolation in it is computed.
        Value::String(text) => Some(text.clone()).filter(|text| !text.contains("${")),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_init_notes_as_null_was_not_set() {
        let noted =
            serde_json::json!({"region": null, "endpoints": {"s3": "http://s3", "iam": null}, "assume_role": null});
        let noted = arguments(&noted);
        assert_eq!(noted, Arguments::from([("endpoints.s3".to_owned(), Some("http://s3".to_owned()))]));
    }

    #[test]
    fn texts_in_a_list() {
        let listed = serde_json::json!({"shared_config_files": ["a", "b"], "assume_role": [{"role_arn": "r"}]});
        let pairs = [("assume_role.role_arn", "r"), ("shared_config_files.0", "a"), ("shared_config_files.1", "b")];
        let expected = pairs.map(|(name, text)| (name.to_owned(), Some(text.to_owned())));
        assert_eq!(arguments(&listed), Arguments::from(expected));
    }

    #[test]
    fn what_is_within_a_block() {
        let role =
            serde_json::json!({"assume_role": {"policy_arns": ["p"], "tags": {"team": "net"}, "duration": null}});
        let pairs = [("assume_role.policy_arns.0", "p"), ("assume_role.tags.team", "net")];
        let expected = pairs.map(|(name, text)| (name.to_owned(), Some(text.to_owned())));
        assert_eq!(arguments(&role), Arguments::from(expected));
        let two = serde_json::json!({"assume_role": [{"role_arn": "r"}, {"role_arn": "s"}]});
        assert_eq!(arguments(&two), Arguments::from([("assume_role".to_owned(), None)]));
    }
}
