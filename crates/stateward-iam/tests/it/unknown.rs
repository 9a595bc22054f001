//! Context keys that are not known.

use serde_json::{Value, json};
use stateward_iam::Outcome;

use crate::case::{Case, TABLE, USER, allow, everything, policy};

fn statement(effect: &str, condition: &Value) -> Value {
    json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition})
}

fn decide(statements: &[Value], unknown: &[&str]) -> (String, Vec<String>) {
    let case = Case::new(USER).unknown(unknown).identity(policy(statements));
    (case.decision(), case.answer().depends_on)
}

#[test]
fn a_decision_depends_on_an_unknown_key() {
    let inside = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
    let key = vec!["aws:SourceIp".to_owned()];
    let unknown = ["AWS:sourceip"];
    assert_eq!(decide(&[statement("Allow", &inside)], &unknown), ("depends:identity".into(), key.clone()));
    let allowed = statement("Allow", &json!({}));
    assert_eq!(decide(&[allowed.clone(), statement("Deny", &inside)], &unknown), ("depends:identity".into(), key));
    assert_eq!(decide(&[allowed, statement("Allow", &inside)], &unknown), ("allowed".into(), vec![]));
    let denied = statement("Deny", &json!({}));
    assert_eq!(decide(&[denied, statement("Allow", &inside)], &unknown).0, "explicit_deny:identity");
}

#[test]
fn an_unknown_key_that_decides_nothing_is_not_named() {
    let case = Case::new(USER)
        .unknown(&["aws:SourceIp", "aws:SourceVpc", "aws:PrincipalOrgID"])
        .identity(allow(&json!({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}})))
        .boundary(everything())
        .boundary(allow(&json!({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}})))
        .scps(&[allow(&json!({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}})), everything()]);
    let answer = case.answer();
    assert_eq!((answer.decision, answer.depends_on), (Outcome::Depends, vec!["aws:SourceIp".to_owned()]));
}

/// Both sides of each pair together cover all that a key can be, or nothing.
#[test]
fn statements_that_together_always_apply_decide() {
    for (one, other) in [
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        (json!({"StringEquals": {"aws:SourceVpc": "a"}}), json!({"StringNotEquals": {"aws:SourceVpc": "a"}})),
        (json!({"StringLike": {"aws:SourceVpc": "a*"}}), json!({"StringNotLike": {"aws:SourceVpc": "a*b"}})),
        (json!({"Null": {"aws:SourceVpc": "true"}}), json!({"StringLike": {"aws:SourceVpc": "*"}})),
        (
            json!({"NumericLessThanIfExists": {"aws:MultiFactorAuthAge": "5"}}),
            json!({"NumericGreaterThanEquals": {"aws:MultiFactorAuthAge": "4.9"}}),
        ),
        (
            json!({"DateLessThanIfExists": {"aws:CurrentTime": "2026"}}),
            json!({"DateGreaterThanEquals": {"aws:CurrentTime": "2026"}}),
        ),
        (json!({"BoolIfExists": {"aws:SecureTransport": "true"}}), json!({"Bool": {"aws:SecureTransport": "false"}})),
        (
            json!({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "a"}}),
            json!({"ForAnyValue:StringNotEquals": {"dynamodb:LeadingKeys": "a"}}),
        ),
    ] {
        let unknown = [
            "aws:SourceIp",
            "aws:SourceVpc",
            "aws:MultiFactorAuthAge",
            "aws:CurrentTime",
            "aws:SecureTransport",
            "dynamodb:LeadingKeys",
        ];
        let both = [statement("Allow", &one), statement("Allow", &other)];
        assert_eq!(decide(&both, &unknown), ("allowed".into(), vec![]), "{one} {other}");
        assert_eq!(decide(&both[..1], &unknown).0, "depends:identity", "{one}");
        assert_eq!(decide(&both[1..], &unknown).0, "depends:identity", "{other}");
        // Together they leave nothing where one of them refuses.
        let boundary = Case::new(USER).unknown(&unknown).identity(everything()).boundary(policy(&both));
        assert_eq!(boundary.decision(), "allowed", "{one} {other}");
    }
}

#[test]
fn gaps_between_numbers_are_seen() {
    let below = statement("Allow", &json!({"NumericLessThanIfExists": {"aws:MultiFactorAuthAge": "5"}}));
    let above = statement("Allow", &json!({"NumericGreaterThan": {"aws:MultiFactorAuthAge": "5"}}));
    let depends = |statements: &[Value]| decide(statements, &["aws:MultiFactorAuthAge"]).0;
    assert_eq!(depends(&[below.clone(), above.clone()]), "depends:identity", "exactly 5 is left");
    let negative = statement("Allow", &json!({"NumericGreaterThan": {"aws:MultiFactorAuthAge": "5.01"}}));
    let up_to = statement("Allow", &json!({"NumericLessThanEqualsIfExists": {"aws:MultiFactorAuthAge": "5"}}));
    assert_eq!(depends(&[up_to, negative]), "depends:identity", "between 5 and 5.01 is left");
    let equal = statement("Allow", &json!({"NumericEquals": {"aws:MultiFactorAuthAge": 5}}));
    assert_eq!(depends(&[below, above, equal]), "allowed");
}

#[test]
fn no_statement_that_could_allow_is_no_dependence() {
    let denies = statement("Deny", &json!({"StringEquals": {"aws:SourceVpc": "a"}}));
    let answer = Case::new(USER).unknown(&["aws:SourceVpc"]).identity(policy(&[denies])).answer();
    assert_eq!(answer.decision, Outcome::Depends);
    assert_eq!(answer.possible, [Outcome::ImplicitDeny, Outcome::ExplicitDeny], "refused in any case");
}

#[test]
fn unknown_variables() {
    let resource = json!({"Resource": "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/table}"});
    let case = Case::new(USER).asks("dynamodb:GetItem", TABLE).unknown(&["aws:PrincipalTag/table"]);
    let answer = case.clone().identity(allow(&resource)).answer();
    assert_eq!((answer.decision, answer.depends_on), (Outcome::Depends, vec!["aws:principaltag/table".to_owned()]));
    let value = json!({"Condition": {"StringEquals": {"aws:SourceVpc": "${aws:PrincipalTag/table}"}}});
    let answer = case.context(json!({"aws:SourceVpc": "a"})).identity(allow(&value)).answer();
    assert_eq!((answer.decision, answer.depends_on), (Outcome::Depends, vec!["aws:principaltag/table".to_owned()]));
}

#[test]
fn two_keys_are_told_apart() {
    let both = json!({"StringEquals": {"aws:SourceVpc": "a", "aws:PrincipalOrgID": "o-1"}});
    let (decision, on) = decide(&[statement("Allow", &both)], &["aws:SourceVpc", "aws:PrincipalOrgID"]);
    assert_eq!((decision.as_str(), on.len()), ("depends:identity", 2));
    let settled = [statement("Allow", &both), statement("Allow", &json!({"StringNotEquals": {"aws:SourceVpc": "a"}}))];
    let (_, on) = decide(&settled, &["aws:SourceVpc", "aws:PrincipalOrgID"]);
    assert_eq!(on.len(), 2, "with vpc a the organization decides, with another organization the vpc does");
}
