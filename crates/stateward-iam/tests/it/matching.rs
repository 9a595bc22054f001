//! Which requests a statement is about.

use serde_json::json;

use crate::case::{Case, OBJECT, TABLE, USER, allow, everything, policy};

fn matches(elements: &serde_json::Value) -> bool {
    match Case::new(USER).identity(allow(elements)).decision().as_str() {
        "allowed" => true,
        "implicit_deny:identity" => false,
        other => panic!("{other}"),
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>
#[test]
fn actions_do_not_tell_case_and_take_wildcards() {
    for (action, expected) in [
        ("dynamodb:PutItem", true),
        ("DYNAMODB:putitem", true),
        ("dynamodb:Put*", true),
        ("dynamodb:P?tItem", true),
        ("dynamodb:*Item", true),
        ("dynamodb:*", true),
        ("*", true),
        ("*:*", true),
        ("dynamodb:PutItems", false),
        ("dynamodb:PutItem?", false),
        ("s3:PutItem", false),
    ] {
        assert_eq!(matches(&json!({"Action": action})), expected, "{action}");
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notaction.html>
#[test]
fn not_action_is_everything_else() {
    assert!(matches(&json!({"NotAction": ["s3:*", "dynamodb:DeleteItem"]})));
    assert!(!matches(&json!({"NotAction": ["s3:*", "dynamodb:Put*"]})));
    assert!(matches(&json!({"NotAction": []})) && !matches(&json!({"Action": []})));
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
#[test]
fn resources_tell_case_and_are_matched_segment_by_segment() {
    for (resource, expected) in [
        (TABLE, true),
        ("*", true),
        ("arn:aws:dynamodb:*:*:table/*", true),
        ("arn:aws:dynamodb:eu-west-1:111122223333:table/LOCKS", false),
        ("arn:aws:dynamodb:eu-west-1:111122223333:table/lock", false),
        ("arn:aws:dynamodb:::table/locks", false),
        ("arn:aws:dynamodb:*", true),
    ] {
        assert_eq!(matches(&json!({"Resource": resource})), expected, "{resource}");
    }
}

/// The example of AWS's page on `Resource`.
#[test]
fn a_wildcard_spans_slashes() {
    for (key, expected) in [
        ("1/test/", true),
        ("1///test///object.jpg", true),
        ("/test/object.jpg", true),
        ("1-test/object.jpg", false),
        ("test/object.jpg", false),
        ("1/2/test.jpg", false),
    ] {
        let case = Case::new(USER)
            .asks("s3:GetObject", &format!("arn:aws:s3:::states/{key}"))
            .identity(allow(&json!({"Resource": "arn:aws:s3:::states/*/test/*"})));
        assert_eq!(case.decision() == "allowed", expected, "{key}");
    }
}

/// IAM's page says that a `*` which ends a segment can cross colons, S3's page that none can.
#[test]
fn what_the_pages_leave_open_is_not_decided() {
    let open = allow(&json!({"Resource": "arn:aws:dynamodb:*:table/locks"}));
    let answer = Case::new(USER).identity(open.clone()).answer();
    assert_eq!(serde_json::to_value(&answer).expect("JSON")["possible"], json!(["allowed", "implicit_deny"]));
    assert!(answer.errors.len() == 1 && answer.errors[0].contains("arn:aws:dynamodb:*:table/locks"), "{answer:?}");
    assert!(answer.depends_on.is_empty());
    assert_eq!(Case::new(USER).identity(open.clone()).identity(everything()).decision(), "allowed");
    let elsewhere = Case::new(USER).asks("dynamodb:PutItem", &format!("{TABLE}-2")).identity(open);
    assert_eq!(elsewhere.decision(), "implicit_deny:identity");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notresource.html>
#[test]
fn not_resource_is_everything_else() {
    assert!(matches(&json!({"NotResource": "arn:aws:dynamodb:*:*:table/other"})));
    assert!(!matches(&json!({"NotResource": ["arn:aws:s3:::*", TABLE]})));
    assert!(!matches(&json!({"NotResource": "*"})));
}

/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html>
#[test]
fn actions_without_resources_need_everything() {
    let asks = Case::new(USER).asks("dynamodb:ListTables", "arn:aws:dynamodb:eu-west-1:111122223333:table/*");
    let tables = allow(&json!({"Resource": "arn:aws:dynamodb:*:*:table/*"}));
    assert_eq!(asks.clone().identity(tables).decision(), "implicit_deny:identity");
    assert_eq!(asks.identity(everything()).decision(), "allowed");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
#[test]
fn variables_are_filled_in_by_the_request() {
    let decision = |version: &str, resource: &str, context: serde_json::Value| {
        let statement = json!({"Effect": "Allow", "Action": "*", "Resource": resource});
        let policy = json!({"Version": version, "Statement": statement});
        Case::new(USER).asks("s3:GetObject", OBJECT).context(context).identity(policy).decision() == "allowed"
    };
    let tag = |value: &str| json!({"aws:PrincipalTag/Env": value});
    let v2012 = |resource: &str, context| decision("2012-10-17", resource, context);
    assert!(v2012("arn:aws:s3:::states/${aws:PrincipalTag/env}/*", tag("prod")));
    assert!(!v2012("arn:aws:s3:::states/${aws:PrincipalTag/env}/*", tag("dev")));
    assert!(!v2012("arn:aws:s3:::states/${aws:PrincipalTag/env}/*", tag("*")), "a filled in `*` is a star");
    assert!(!v2012("arn:aws:s3:::states/${aws:PrincipalTag/env}/*", json!({})), "unresolved covers nothing");
    assert!(v2012("arn:aws:s3:::states/${aws:PrincipalTag/env, 'prod'}/*", json!({})));
    assert!(!v2012("arn:aws:s3:::states/${aws:TagKeys}/*", json!({"aws:TagKeys": ["prod"]})), "several values");
    assert!(!v2012("arn:aws:s3:::states/${*}/*", json!({})));
    assert!(!decision("2008-10-17", "arn:aws:s3:::states/${aws:PrincipalTag/env}/*", tag("prod")));
}

#[test]
fn a_variable_without_a_value_makes_not_resource_void() {
    let elsewhere = json!({"NotResource": "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/env}"});
    assert!(!matches(&elsewhere));
    let case = Case::new(USER).context(json!({"aws:PrincipalTag/env": "prod"})).identity(allow(&elsewhere));
    assert_eq!(case.decision(), "allowed");
}

#[test]
fn a_policy_without_a_version_has_no_variables() {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::states/${aws:username}/*"});
    let asks = Case::new(USER).asks("s3:GetObject", "arn:aws:s3:::states/${aws:username}/x");
    let literal = asks.context(json!({"aws:username": "ci"})).identity(json!({"Statement": statement}));
    assert_eq!(literal.decision(), "allowed");
}

#[test]
fn any_statement_of_any_policy_suffices() {
    let statements = [
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}),
        json!({"Effect": "Allow", "Action": ["sqs:*", "dynamodb:PutItem"], "Resource": ["arn:aws:s3:::*", TABLE]}),
    ];
    assert_eq!(Case::new(USER).identity(policy(&statements)).decision(), "allowed");
}
