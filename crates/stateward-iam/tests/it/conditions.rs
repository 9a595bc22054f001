//! Conditions.
//!
//! Unless a test names another page, its source is
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use serde_json::{Value, json};

use crate::case::{Case, USER, allow, policy};

fn case(condition: &Value, context: &Value) -> Case {
    Case::new(USER).context(context.clone()).identity(allow(&json!({"Condition": condition})))
}

fn holds(condition: &Value, context: &Value) -> bool {
    case(condition, context).decision() == "allowed"
}

/// One operator on one key with one value each.
fn compare(operator: &str, key: &str, policy: &str, request: &str) -> bool {
    holds(&json!({operator: {key: policy}}), &json!({key: request}))
}

#[test]
fn operators_and_keys_are_all_needed_values_are_alternatives() {
    let condition = json!({
        "StringEquals": {"aws:SourceVpc": ["vpc-1", "vpc-2"], "aws:PrincipalOrgID": "o-1"},
        "Bool": {"aws:SecureTransport": "true"},
    });
    let context = json!({"aws:SourceVpc": "vpc-2", "aws:PrincipalOrgID": "o-1", "aws:SecureTransport": "true"});
    assert!(holds(&condition, &context));
    for (key, value) in [("aws:SourceVpc", "vpc-3"), ("aws:PrincipalOrgID", "o-2"), ("aws:SecureTransport", "false")] {
        let mut other = context.clone();
        other[key] = value.into();
        assert!(!holds(&condition, &other), "{key}");
    }
}

#[test]
fn a_negated_operator_needs_every_value_to_differ() {
    let condition = json!({"StringNotEquals": {"aws:SourceVpc": ["vpc-1", "vpc-2"]}});
    assert!(holds(&condition, &json!({"aws:SourceVpc": "vpc-3"})));
    assert!(!holds(&condition, &json!({"aws:SourceVpc": "vpc-2"})));
}

#[test]
fn keys_do_not_tell_case_and_values_do() {
    assert!(holds(&json!({"StringEquals": {"AWS:SourceVPC": "vpc-1"}}), &json!({"aws:sourcevpc": "vpc-1"})));
    assert!(holds(&json!({"StringEquals": {"aws:PrincipalTag/TEAM": "a"}}), &json!({"aws:PrincipalTag/team": "a"})));
    assert!(!compare("StringEquals", "aws:SourceVpc", "VPC-1", "vpc-1"));
    assert!(compare("StringEqualsIgnoreCase", "aws:PrincipalTag/x", "ÉTÉ", "été"));
    assert!(!compare("StringNotEqualsIgnoreCase", "aws:SourceVpc", "VPC-1", "vpc-1"));
}

#[test]
fn without_the_key() {
    for (operator, value, expected) in [
        ("StringEquals", "x", false),
        ("StringNotEquals", "x", true),
        ("StringLike", "*", false),
        ("StringNotLike", "*", true),
        ("StringEqualsIfExists", "x", true),
        ("StringNotEqualsIfExists", "x", true),
        ("NumericNotEquals", "1", true),
        ("DateLessThan", "2030", false),
        ("Bool", "false", false),
        ("BoolIfExists", "false", true),
        ("IpAddress", "0.0.0.0/0", false),
        ("NotIpAddress", "0.0.0.0/0", true),
        ("ArnNotLike", "arn:aws:s3:::*", true),
        ("Null", "true", true),
        ("Null", "false", false),
        ("ForAllValues:StringEquals", "x", true),
        ("ForAnyValue:StringEquals", "x", false),
        ("ForAnyValue:StringNotEquals", "x", false),
        ("ForAllValues:StringNotEquals", "x", true),
    ] {
        let condition = json!({operator: {"aws:PrincipalTag/absent": value}});
        assert_eq!(holds(&condition, &json!({})), expected, "{operator}");
    }
}

/// AWS's pages have it both ways, and either opens somewhere.
#[test]
fn any_value_if_there_is_one_is_not_known_without_the_key() {
    let statement = |effect: &str| {
        json!({"Effect": effect, "Action": "*", "Resource": "*",
            "Condition": {"ForAnyValue:StringEqualsIfExists": {"aws:PrincipalTag/absent": "x"}}})
    };
    let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    for statements in [vec![statement("Allow")], vec![allow, statement("Deny")]] {
        let case = Case::new(USER).identity(policy(&statements));
        assert_eq!(case.decision(), "depends:identity", "{statements:?}");
    }
}

/// The exception that AWS's page on `IfExists` warns of.
#[test]
fn a_negated_if_exists_denies_without_the_key() {
    let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}});
    let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let case = Case::new(USER).identity(policy(&[allow, deny]));
    assert_eq!(case.decision(), "explicit_deny:identity");
    assert_eq!(case.context(json!({"aws:SourceVpc": "vpc-1"})).decision(), "allowed");
}

#[test]
fn only_like_has_wildcards() {
    for (operator, policy, request, expected) in [
        ("StringEquals", "a*", "abc", false),
        ("StringEquals", "a*", "a*", true),
        ("StringLike", "a*c", "abbc", true),
        ("StringLike", "a?c", "abbc", false),
        ("StringNotLike", "a*", "abc", false),
        ("StringLike", "A*", "abc", false),
    ] {
        assert_eq!(compare(operator, "aws:SourceVpc", policy, request), expected, "{operator} {policy} {request}");
    }
}

#[test]
fn numbers() {
    for (operator, policy, request, expected) in [
        ("NumericEquals", "5", "5.0", true),
        ("NumericNotEquals", "5", "5.0", false),
        ("NumericLessThan", "5.5", "5.4", true),
        ("NumericLessThan", "10", "9", true),
        ("NumericLessThanEquals", "5", "5", true),
        ("NumericGreaterThan", "-1", "0", true),
        ("NumericGreaterThanEquals", "5", "4", false),
        ("NumericEquals", "5", "five", false),
        ("NumericNotEquals", "5", "five", false),
    ] {
        assert_eq!(
            compare(operator, "aws:MultiFactorAuthAge", policy, request),
            expected,
            "{operator} {policy} {request}"
        );
    }
    assert!(holds(
        &json!({"NumericLessThan": {"aws:MultiFactorAuthAge": [1, 9]}}),
        &json!({"aws:MultiFactorAuthAge": 5})
    ));
}

#[test]
fn dates() {
    let now = "2026-11-25T20:00:00Z";
    for (operator, policy, expected) in [
        ("DateEquals", "2026-11-25T21:00:00+01:00", true),
        ("DateEquals", "1795636800", true),
        ("DateNotEquals", "2026-11-25T20:00:00Z", false),
        ("DateGreaterThan", "2026-11-25", true),
        ("DateGreaterThan", "2026", true),
        ("DateLessThan", "2026-12", true),
        ("DateLessThanEquals", "2026-11-25T20:00Z", true),
        ("DateGreaterThanEquals", "2026-11-25T20:00:00.001Z", false),
    ] {
        assert_eq!(compare(operator, "aws:CurrentTime", policy, now), expected, "{operator} {policy}");
    }
    assert!(!compare("DateNotEquals", "aws:CurrentTime", "2026", "some day"));
}

#[test]
fn booleans_addresses_and_bytes() {
    for (policy, request, expected) in
        [("true", "true", true), ("TRUE", "true", true), ("false", "true", false), ("false", "junk", false)]
    {
        assert_eq!(compare("Bool", "aws:SecureTransport", policy, request), expected, "{policy} {request}");
    }
    for (policy, request, expected) in [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.3", true),
        ("2001:db8::/32", "2001:db8::9", true),
        ("::/0", "10.1.2.3", false),
        ("0.0.0.0/0", "junk", false),
    ] {
        assert_eq!(compare("IpAddress", "aws:SourceIp", policy, request), expected, "{policy} {request}");
        let opposite = !expected && request != "junk";
        assert_eq!(compare("NotIpAddress", "aws:SourceIp", policy, request), opposite, "{policy} {request}");
    }
    assert!(compare("BinaryEquals", "lambda:key", "QUJD", "QUJD"));
    assert!(!compare("BinaryEquals", "lambda:key", "QUJD", "QUJE"));
}

#[test]
fn arns_are_compared_segment_by_segment() {
    let bucket = "arn:aws:s3:::states";
    for (policy, expected) in [
        ("arn:aws:s3:::states", true),
        ("arn:aws:s3:::st?tes", true),
        ("arn:aws:*:::*", true),
        ("arn:aws:s3:*:states", false),
        ("*", false),
    ] {
        for operator in ["ArnLike", "ArnEquals"] {
            assert_eq!(compare(operator, "aws:SourceArn", policy, bucket), expected, "{operator} {policy}");
        }
        for operator in ["ArnNotLike", "ArnNotEquals"] {
            assert_eq!(compare(operator, "aws:SourceArn", policy, bucket), !expected, "{operator} {policy}");
        }
    }
    assert!(compare("ArnLike", "aws:SourceArn", "arn:aws:sns:*:*:a*", "arn:aws:sns:eu-west-1:111122223333:a:b"));
    assert!(!compare("ArnNotLike", "aws:SourceArn", "arn:aws:s3:::*", "junk"));
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
#[test]
fn sets() {
    let keys = |values: &[&str]| json!({"dynamodb:LeadingKeys": values});
    let condition = |operator: &str| json!({operator: {"dynamodb:LeadingKeys": ["a", "b"]}});
    for (operator, values, expected) in [
        ("ForAllValues:StringEquals", &["a", "b"][..], true),
        ("ForAllValues:StringEquals", &["a", "c"], false),
        ("ForAllValues:StringEquals", &[], true),
        ("ForAnyValue:StringEquals", &["c", "b"], true),
        ("ForAnyValue:StringEquals", &["c"], false),
        ("ForAnyValue:StringEquals", &[], false),
        ("ForAllValues:StringNotEquals", &["c", "d"], true),
        ("ForAllValues:StringNotEquals", &["c", "a"], false),
        ("ForAnyValue:StringNotEquals", &["c", "a"], true),
        ("ForAnyValue:StringNotEquals", &["a"], false),
        ("ForAllValues:StringLike", &["a"], true),
        // Several values mean nothing to an operator without a set.
        ("StringEquals", &["a"], false),
        ("StringNotEquals", &["c", "d"], false),
    ] {
        assert_eq!(holds(&condition(operator), &keys(values)), expected, "{operator} {values:?}");
    }
    assert!(holds(&condition("ForAllValues:StringEquals"), &json!({"dynamodb:LeadingKeys": "a"})));
}

#[test]
fn null_asks_whether_the_key_is_there() {
    for (value, context, expected) in [
        (json!("true"), json!({}), true),
        (json!(false), json!({"aws:SourceVpc": "x"}), true),
        (json!("false"), json!({}), false),
        (json!(["true", "false"]), json!({}), true),
    ] {
        assert_eq!(holds(&json!({"Null": {"aws:SourceVpc": value}}), &context), expected, "{value} {context}");
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
#[test]
fn variables_in_values() {
    let context = json!({"aws:SourceVpc": "ci", "aws:username": "ci", "aws:PrincipalTag/star": "c*"});
    for (operator, value, expected) in [
        ("StringEquals", "${aws:username}", true),
        ("StringLike", "${aws:username}*", true),
        ("StringLike", "${aws:PrincipalTag/star}", false),
        ("StringEquals", "${aws:PrincipalTag/none, 'ci'}", true),
        ("StringEqualsIgnoreCase", "${aws:PrincipalTag/none, 'CI'}", true),
        // Without a value it equals nothing, is like nothing, and differs from everything.
        ("StringEquals", "${aws:PrincipalTag/none}", false),
        ("StringLike", "${aws:PrincipalTag/none}*", false),
        ("StringNotEquals", "${aws:PrincipalTag/none}", true),
        ("StringNotLike", "${aws:PrincipalTag/none}", true),
    ] {
        assert_eq!(holds(&json!({operator: {"aws:SourceVpc": value}}), &context), expected, "{operator} {value}");
    }
    let arn = json!({"aws:SourceArn": "arn:aws:s3:::states", "aws:PrincipalTag/arn": "arn:aws:s3:::states"});
    assert!(holds(&json!({"ArnEquals": {"aws:SourceArn": "${aws:PrincipalTag/arn}"}}), &arn));
    let age = json!({"aws:MultiFactorAuthAge": "5", "aws:PrincipalTag/age": "5"});
    assert!(!holds(&json!({"NumericEquals": {"aws:MultiFactorAuthAge": "${aws:PrincipalTag/age}"}}), &age));
}

/// What cannot be understood counts against the request, in either direction, and is said.
#[test]
fn what_is_not_understood_fails_closed() {
    for (operator, key, value) in [
        ("StringFoo", "aws:SourceVpc", "x"),
        ("NullIfExists", "aws:SourceVpc", "true"),
        ("ForSomeValues:StringEquals", "aws:SourceVpc", "x"),
        ("StringNotEquals", "aws:NoSuchKey", "x"),
        ("StringEquals", "aws:NoSuchKey", "x"),
        ("StringNotEquals", "nocolon", "x"),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/99"),
        ("NumericNotEquals", "aws:MultiFactorAuthAge", "five"),
    ] {
        let context = json!({"aws:SourceIp": "10.0.0.1", "aws:MultiFactorAuthAge": "5", "aws:NoSuchKey": "x"});
        let condition = json!({operator: {key: value}});
        let allows = case(&condition, &context);
        assert_eq!(allows.decision(), "implicit_deny:identity", "{operator} {key}");
        assert_eq!(allows.answer().errors.len(), 1, "{operator} {key}");
        let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition});
        let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let denies = Case::new(USER).context(context).identity(policy(&[everything, deny]));
        assert_eq!(denies.decision(), "explicit_deny:identity", "{operator} {key}");
        assert_eq!(denies.answer().errors.len(), 1, "{operator} {key}");
    }
    let other_service = json!({"StringEquals": {"lambda:NoSuchKey": "x"}});
    assert!(holds(&other_service, &json!({"lambda:NoSuchKey": "x"})), "keys of other services are the caller's word");
}

#[test]
fn empty_parts() {
    let context = json!({"aws:SourceVpc": "x"});
    assert!(holds(&json!({}), &context) && holds(&json!({"StringEquals": {}}), &context));
    assert!(!holds(&json!({"StringEquals": {"aws:SourceVpc": []}}), &context));
    assert!(holds(&json!({"StringNotEquals": {"aws:SourceVpc": []}}), &context));
}
