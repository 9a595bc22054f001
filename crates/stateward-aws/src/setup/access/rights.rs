//! What policies let and refuse, right by right, so that two of them can be compared.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::policy::{listed, statements};

/// One action on one resource, under conditions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    allows: bool,
    action: String,
    resource: String,
    /// Operator, key and values.
    conditions: BTreeSet<(String, String, BTreeSet<String>)>,
}

/// All that a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rights(BTreeSet<Right>);

impl Rights {
    /// `None` where a policy says something in other words than by actions on resources that are let or refused.
    pub(super) fn of(document: &Value) -> Option<Self> {
        Self::of_all(statements(document)?.iter())
    }

    /// The same, of statements.
    pub(super) fn of_all<'a>(statements: impl Iterator<Item = &'a Value>) -> Option<Self> {
        let rights: Option<Vec<_>> = statements.map(of_statement).collect();
        Some(Self(rights?.into_iter().flatten().collect()))
    }

    /// What this one lets and the other does not, and what the other refuses and this one does not.
    pub(super) fn beyond(&self, other: &Self) -> Vec<String> {
        let (allowed, refused): (Vec<_>, Vec<_>) = other.0.iter().partition(|right| right.allows);
        let let_more =
            self.0.iter().filter(|right| right.allows && !allowed.iter().any(|wider| right.is_within(wider)));
        let refuses = |right: &Right| self.0.iter().any(|own| !own.allows && right.is_within(own));
        let refused_less = refused.into_iter().filter(|right| !refuses(right));
        let let_more = let_more.map(Right::words);
        let_more.chain(refused_less.map(|right| format!("no refusal of {}", right.words()))).collect()
    }

    /// The same for policies that say the same, in whatever order and way.
    pub(super) fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(format!("{:?}", self.0)))
    }
}

fn of_statement(statement: &Value) -> Option<Vec<Right>> {
    let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
    if statement.as_object()?.keys().any(|key| !known.contains(&key.as_str())) {
        return None;
    }
    let mut conditions = BTreeSet::new();
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        for (key, values) in keys.as_object()? {
            let values = match values {
                Value::String(_) | Value::Array(_) => listed(values).into_iter().map(str::to_owned).collect(),
                other => BTreeSet::from([other.to_string()]),
            };
            conditions.insert((operator.to_lowercase(), key.to_lowercase(), values));
        }
    }
    let allows = statement["Effect"] == "Allow";
    let (actions, resources) = (listed(&statement["Action"]), listed(&statement["Resource"]));
    let each = actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource)));
    let right = |(action, resource): (&&str, &&str)| {
        let conditions = conditions.clone();
        Right { allows, action: (*action).to_owned(), resource: (*resource).to_owned(), conditions }
    };
    Some(each.map(right).collect())
}

impl Right {
    /// Whether whatever this one covers the other covers too.
    fn is_within(&self, wider: &Self) -> bool {
        let is_met = |(operator, key, values): &(String, String, BTreeSet<String>)| {
            self.conditions.iter().any(|(own, of, held)| {
                (own, of) == (operator, key) && (held == values || are_fewer(operator, held, values))
            })
        };
        covers(&wider.action.to_lowercase(), &self.action.to_lowercase())
            && covers(&wider.resource, &self.resource)
            && wider.conditions.iter().all(is_met)
    }

    fn words(&self) -> String {
        let conditions = if self.conditions.is_empty() { "" } else { " under conditions" };
        format!("{} on {}{conditions}", self.action, self.resource)
    }
}

/// Whether a condition holds less often with these values than with those; false also where that is not known.
fn are_fewer(operator: &str, held: &BTreeSet<String>, wider: &BTreeSet<String>) -> bool {
    let is_pattern = operator.ends_with("like") && !operator.contains("not");
    let is_in = |value: &String| match is_pattern {
        true => wider.iter().any(|pattern| covers(pattern, value)),
        false => wider.contains(value),
    };
    (is_pattern || operator == "stringequals") && held.iter().all(is_in)
}

/// Whether a pattern covers another one, as far as can be told by a `*` at the end.
fn covers(wider: &str, narrower: &str) -> bool {
    let start = wider.strip_suffix('*').filter(|start| !start.contains(['*', '?']));
    wider == narrower || start.is_some_and(|start| narrower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use serde_json::json;

    use super::*;

    fn one(effect: &str, action: &str, resource: &str) -> Value {
        json!({"Effect": effect, "Action": action, "Resource": resource})
    }

    fn rights(statements: &[Value]) -> Rights {
        Rights::of(&json!({"Statement": statements})).expect("rights")
    }

    #[test]
    fn what_one_policy_lets_beyond_another() {
        let (own, all) = ("arn:aws:s3:::b/dev/*", "arn:aws:s3:::b/*");
        for (is, shall, beyond) in [
            (one("Allow", "s3:GetObject", own), one("Allow", "s3:getobject", own), 0),
            (one("Allow", "s3:GetObject", "arn:aws:s3:::b/dev/net/*"), one("Allow", "s3:get*", own), 0),
            (one("Allow", "s3:GetObject", all), one("Allow", "s3:GetObject", own), 1),
            (one("Allow", "s3:GetObject", "arn:aws:s3:::b/DEV/x"), one("Allow", "s3:GetObject", own), 1),
            (one("Allow", "s3:*", own), one("Allow", "s3:GetObject", own), 1),
            (one("Deny", "s3:GetObject", own), one("Allow", "s3:GetObject", own), 0),
            (one("Allow", "s3:GetObject", own), one("Deny", "s3:GetObject", own), 2),
        ] {
            assert_eq!(rights(from_ref(&is)).beyond(&rights(from_ref(&shall))).len(), beyond, "{is} {shall}");
        }
    }

    #[test]
    fn conditions_that_are_added_or_narrowed_let_less() {
        let with = |condition: Value| {
            let mut statement = one("Allow", "s3:ListBucket", "arn:aws:s3:::b");
            statement["Condition"] = condition;
            rights(&[statement])
        };
        let own = with(json!({"StringLike": {"s3:prefix": ["dev/*"]}}));
        let mfa = with(json!({"StringLike": {"s3:prefix": "dev/*"}, "Bool": {"aws:MultiFactorAuthPresent": "true"}}));
        let below = with(json!({"StringLike": {"s3:prefix": "dev/net/*"}}));
        for (narrow, wide) in [(&mfa, &own), (&below, &own), (&own, &with(json!({})))] {
            assert_eq!(narrow.beyond(wide), Vec::<String>::new());
            assert_eq!(wide.beyond(narrow).len(), 1);
        }
        let not = |values: Value| with(json!({"StringNotLike": {"s3:prefix": values}}));
        assert_eq!(not(json!("prod/a*")).beyond(&not(json!("prod/*"))).len(), 1, "what refuses less lets more");
    }

    #[test]
    fn a_fingerprint_is_of_what_is_said() {
        let (a, b) = (
            one("Allow", "s3:GetObject", "x"),
            json!({"Sid": "B", "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["y"]}),
        );
        let swapped = [one("Allow", "s3:PutObject", "y"), a.clone()];
        assert_eq!(rights(&[a.clone(), b.clone()]).fingerprint(), rights(&swapped).fingerprint());
        assert_ne!(rights(&[a]).fingerprint(), rights(&[b]).fingerprint());
    }

    #[test]
    fn what_cannot_be_compared() {
        let not_action = json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"});
        for document in [json!({"Statement": not_action}), json!({}), Value::Null] {
            assert_eq!(Rights::of(&document), None, "{document}");
        }
    }
}
