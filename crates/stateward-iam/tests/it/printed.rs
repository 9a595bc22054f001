//! Policies as AWS's command line prints them, and what kind a document is.

use serde_json::{Value, json};
use stateward_iam::{Policy, PolicyKind};

use crate::case::{USER, allow, everything};

fn statements(text: &str) -> usize {
    Policy::parse_printed(text, PolicyKind::Identity).expect(text).statements().len()
}

#[test]
fn a_policy_is_found_in_what_is_printed_around_it() {
    let policy = everything();
    let string = Value::from(policy.to_string());
    for printed in [
        policy.clone(),
        json!({"PolicyVersion": {"VersionId": "v1", "IsDefaultVersion": true, "Document": policy}}),
        json!({"RoleName": "deploy", "PolicyName": "states", "PolicyDocument": policy}),
        json!({"PolicyName": "states", "PolicyDocument": "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D"}),
        json!({"Policy": string}),
        json!({"Policy": {"PolicySummary": {"Name": "guard"}, "Content": string}}),
    ] {
        assert_eq!(statements(&printed.to_string()), 1);
    }
}

#[test]
fn what_holds_no_policy_is_none() {
    for (printed, expected) in [
        (json!({"Policy": "{"}), "it was cut off at line 1, column 2"),
        (json!({"Policy": {"PolicySummary": {}}}), "`PolicySummary`: no element of the policy language"),
        (json!({"VpcEndpoints": [{"PolicyDocument": "{}"}]}), "`VpcEndpoints`: no element"),
        (json!({"PolicyDocument": 7}), "expected a policy, which is an object, and this is a number"),
        (json!({"Role": {"RoleName": "deploy"}}), "`Role`: no element of the policy language"),
    ] {
        let error =
            Policy::parse_printed(&printed.to_string(), PolicyKind::Identity).expect_err("no policy").to_string();
        assert!(error.contains(expected), "{printed}: {error}");
    }
}

#[test]
fn the_kind_is_told_by_the_elements() {
    let with = |extra: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole"});
        statement.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        json!({"Statement": statement}).to_string()
    };
    for (text, expected) in [
        (allow(&json!({"Action": "s3:*"})).to_string(), PolicyKind::Identity),
        (with(json!({"Principal": {"AWS": USER}})), PolicyKind::Trust),
        (with(json!({"Principal": "*", "Resource": "*"})), PolicyKind::Resource),
        (with(json!({"NotPrincipal": {"AWS": USER}, "NotResource": "arn:aws:s3:::b"})), PolicyKind::Resource),
        ("{".to_owned(), PolicyKind::Identity),
        ("[]".to_owned(), PolicyKind::Identity),
    ] {
        assert_eq!(PolicyKind::of(&text), expected, "{text}");
    }
}
