//! The bucket's policy: a statement is added to it, none is taken away.

use std::iter;

use serde_json::{Map, Value, json};

const SID: &str = "StatewardTlsOnly";

/// The policy with a statement that refuses plain HTTP; `None` where one does already.
///
/// # Errors
///
/// What is there is no policy; the text says what is wrong with it.
pub(super) fn with_tls_only(partition: &str, bucket: &str, found: Option<&str>) -> Result<Option<String>, String> {
    let mut policy: Map<String, Value> = match found {
        None => Map::from_iter([("Version".to_owned(), json!("2012-10-17"))]),
        Some(found) => serde_json::from_str(found).map_err(|problem| problem.to_string())?,
    };
    let mut statements = match policy.remove("Statement") {
        None if found.is_none() => Vec::new(),
        Some(Value::Array(statements)) => statements,
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => return Err("it has no statements".to_owned()),
    };
    if statements.iter().any(|statement| refuses_plain_http(bucket, statement)) {
        return Ok(None);
    }
    let sid = free_sid(&statements);
    statements.push(json!({
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [format!("arn:{partition}:s3:::{bucket}"), format!("arn:{partition}:s3:::{bucket}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }));
    policy.insert("Statement".to_owned(), Value::Array(statements));
    Ok(Some(Value::Object(policy).to_string()))
}

fn free_sid(statements: &[Value]) -> String {
    let taken = |sid: &str| statements.iter().any(|statement| statement["Sid"] == sid);
    // One name more than there are statements: one of them is free.
    let numbered = (2..=statements.len() + 1).map(|number| format!("{SID}{number}"));
    iter::once(SID.to_owned()).chain(numbered).find(|sid| !taken(sid)).unwrap_or_default()
}

/// Whether a statement refuses everybody every action on the whole bucket over plain HTTP. One that does so in other words is not
/// seen: a second statement then says the same again, which changes nothing.
fn refuses_plain_http(bucket: &str, statement: &Value) -> bool {
    let named = |name: &str| statement.get(name).map(listed).unwrap_or_default();
    let everybody = statement["Principal"] == "*" || listed(&statement["Principal"]["AWS"]) == ["*"];
    let every_action = named("Action").iter().any(|action| *action == "*" || action.eq_ignore_ascii_case("s3:*"));
    let whole = |suffix: &str| {
        named("Resource").iter().any(|resource| {
            *resource == "*"
                || resource.strip_prefix("arn:").and_then(|rest| rest.split_once(":s3:::")).is_some_and(|(_, rest)| {
                    rest.strip_prefix(bucket).is_some_and(|rest| rest == suffix || rest == "*")
                })
        })
    };
    statement["Effect"] == "Deny"
        && everybody
        && every_action
        && whole("")
        && whole("/*")
        && only_plain_http(&statement["Condition"])
}

/// Whether the condition is that the request is not encrypted, and no other.
fn only_plain_http(condition: &Value) -> bool {
    let Some((operator, keys)) = condition.as_object().and_then(sole) else { return false };
    let Some((key, value)) = keys.as_object().and_then(sole) else { return false };
    let false_ = *value == Value::Bool(false) || listed(value) == ["false"];
    operator.eq_ignore_ascii_case("Bool") && key.eq_ignore_ascii_case("aws:SecureTransport") && false_
}

fn sole(map: &Map<String, Value>) -> Option<(&String, &Value)> {
    map.iter().next().filter(|_| map.len() == 1)
}

fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(found: &Value) -> Option<Value> {
        let merged = with_tls_only("aws", "states", Some(&found.to_string())).expect("a policy");
        merged.map(|text| serde_json::from_str(&text).expect("JSON"))
    }

    #[test]
    fn statements_of_others_stay_as_they_are() {
        let theirs = json!({"Sid": "StatewardTlsOnly", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/*"});
        for statement in [theirs.clone(), json!([theirs])] {
            let policy = json!({"Version": "2012-10-17", "Id": "theirs", "Statement": statement});
            let merged = merged(&policy).expect("a statement is added");
            assert_eq!(merged["Id"], "theirs");
            assert_eq!(merged["Statement"][0], theirs);
            assert_eq!(merged["Statement"][1]["Sid"], "StatewardTlsOnly2");
            assert_eq!(merged["Statement"][1]["Effect"], "Deny");
        }
    }

    #[test]
    fn a_statement_that_says_it_already_is_enough_whatever_it_is_called() {
        let said = json!({"Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["s3:*"],
            "Resource": ["arn:aws:s3:::states", "arn:aws:s3:::states/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]});
        assert_eq!(merged(&said), None);
    }

    #[test]
    fn a_statement_that_says_less_is_not_enough() {
        let base = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": ["arn:aws:s3:::states", "arn:aws:s3:::states/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        assert_eq!(merged(&json!({"Statement": base})), None, "the base is enough");
        for (name, less) in [
            ("Effect", json!("Allow")),
            ("Principal", json!({"AWS": "arn:aws:iam::123456789012:root"})),
            ("Action", json!("s3:GetObject")),
            ("Resource", json!("arn:aws:s3:::states/*")),
            ("Resource", json!(["arn:aws:s3:::other", "arn:aws:s3:::other/*"])),
            ("Condition", json!({"Bool": {"aws:SecureTransport": "true"}})),
            (
                "Condition",
                json!({"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalTag/team": "a"}}),
            ),
        ] {
            let mut statement = base.clone();
            statement[name] = less.clone();
            assert!(merged(&json!({"Statement": statement})).is_some(), "{name} {less}");
        }
    }

    #[test]
    fn what_is_no_policy_is_not_replaced() {
        for broken in ["", "[]", "{}", r#"{"Statement": "x"}"#] {
            with_tls_only("aws", "states", Some(broken)).expect_err(broken);
        }
    }
}
