//! What the lint finds, and what it leaves alone.

use proptest::prelude::*;
use serde_json::{Value, json};
use stateward_iam::{PolicyKind, Rule, Severity, lint};

/// The rules that find something in a policy of one statement: these elements, where it says nothing else an `Allow`.
fn rules(elements: Value) -> Vec<String> {
    let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    for (element, value) in elements.as_object().expect("an object") {
        if let Some(other) = element.strip_prefix("Not") {
            statement.as_object_mut().expect("an object").remove(other);
        }
        statement[element] = value.clone();
    }
    found(&json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
}

fn found(text: &str) -> Vec<String> {
    let findings = lint(text, PolicyKind::Identity);
    findings
        .iter()
        .map(|finding| serde_json::to_value(finding.rule).expect("JSON").as_str().expect("a name").to_owned())
        .collect()
}

fn condition(operator: &str, key: &str, value: Value) -> Value {
    json!({"Condition": {operator: {key: value}}})
}

#[test]
fn sids_are_told_apart_and_there_is_a_statement() {
    let named = |sids: &[&str], kind| {
        let statements: Vec<Value> = sids
            .iter()
            .map(|sid| {
                let mut statement =
                    json!({"Sid": sid, "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
                if kind == PolicyKind::Resource {
                    statement["Principal"] = json!({"AWS": "111122223333"});
                }
                statement
            })
            .collect();
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        lint(&text, kind).iter().map(|finding| (finding.statement, finding.rule)).collect::<Vec<_>>()
    };
    assert_eq!(named(&["One", "Two", "", ""], PolicyKind::Identity), []);
    assert_eq!(named(&["One", "Two", "One"], PolicyKind::Identity), [(Some(2), Rule::Sid)]);
    assert_eq!(named(&["a b!"], PolicyKind::Identity), [(Some(0), Rule::Sid)]);
    assert_eq!(named(&["Enable IAM User Permissions"], PolicyKind::Resource), []);
    assert_eq!(named(&["a", "a"], PolicyKind::Resource), [(Some(1), Rule::Sid)]);
    assert_eq!(found(r#"{"Version":"2012-10-17","Statement":[]}"#), ["empty"]);
}

#[test]
fn actions_have_to_exist() {
    for (action, expected) in [
        ("s3:GetObject", &[][..]),
        ("s3:get*", &[]),
        ("*", &[]),
        ("lambda:AnythingAtAll", &[]),
        ("ec2:RunInstances", &[]),
        ("dynamodb:TransactWriteItems", &["unknown-action"]),
        ("s3:HeadObject", &["unknown-action"]),
        ("kms:ReEncrypt", &["unknown-action"]),
        ("kms:ReEncrypt*", &[]),
        ("s3:Fetch*", &["unknown-action"]),
        ("dynamo:GetItem", &["unknown-service"]),
    ] {
        assert_eq!(rules(json!({"Action": action})), expected, "{action}");
    }
}

#[test]
fn an_operation_that_is_no_action_is_told_its_actions() {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":[
 "dynamodb:TransactWriteItems"],"Resource":"*"}}"#;
    let findings = lint(text, PolicyKind::Identity);
    let [finding] = findings.as_slice() else { panic!("one finding: {findings:?}") };
    assert_eq!(
        finding.to_string(),
        "line 2, column 2: there is no action `dynamodb:TransactWriteItems`: write `dynamodb:PutItem`, \
         `dynamodb:UpdateItem`, `dynamodb:DeleteItem` and `dynamodb:ConditionCheckItem`"
    );
    assert_eq!((finding.severity, finding.statement), (Severity::Error, Some(0)));
}

#[test]
fn resources_have_to_match_something_that_the_action_works_on() {
    let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks";
    for (action, resource, expected) in [
        ("dynamodb:GetItem", table, &[][..]),
        ("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}", &[]),
        ("dynamodb:GetItem", "arn:aws:dynamodb:*", &[]),
        ("dynamodb:GetItem", "arn:aws:dynamodb:::table/locks", &["resource-mismatch", "arn-shape"]),
        ("dynamodb:GetItem", "arn:aws:DynamoDB:::t/key", &["resource-mismatch", "arn-shape"]),
        ("dynamodb:GetItem", "arn:aws:dynamodb:eu-west-1:111122223333", &["arn-shape"]),
        ("dynamodb:GetItem", "arn:aws:dynamodb:*:table/locks", &["open-pattern"]),
        (
            "dynamodb:GetItem",
            "arn:aws:dynamodb:${aws:RequestedRegion}:*:table/locks",
            &["resource-mismatch", "variable"],
        ),
        ("dynamodb:ListTables", table, &["needs-everything"]),
        ("dynamodb:ListTables", "*", &[]),
        ("s3:ListBucket", "arn:aws:s3:::states", &[]),
        ("s3:ListBucket", "arn:aws:s3:::states/*", &["resource-mismatch"]),
        ("s3:GetObject", "arn:aws:s3:::states", &["resource-mismatch"]),
        ("s3:GetObject", "arn:aws:s3:::states/a/b.tfstate", &[]),
        ("kms:Decrypt", "arn:aws:kms:eu-west-1:111122223333:alias/states", &["resource-mismatch"]),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/deploy", &[]),
    ] {
        assert_eq!(rules(json!({"Action": action, "Resource": resource})), expected, "{action} {resource}");
    }
}

#[test]
fn conditions_have_to_make_sense() {
    let with_null = json!({"Condition": {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "a"}, "Null": {"dynamodb:LeadingKeys": "false"}}});
    for (elements, expected) in [
        (condition("Bool", "aws:SecureTransport", json!("true")), &[][..]),
        (condition("Bool", "aws:SecureTransport", json!("yes")), &["bad-value"]),
        (condition("StringIs", "aws:SourceVpc", json!("a")), &["unknown-operator"]),
        (condition("StringEquals", "aws:NoSuchKey", json!("a")), &["unknown-key"]),
        (condition("StringEquals", "dynamodb:LeadingKeys", json!("a")), &["set-operator"]),
        (condition("ForAnyValue:StringEquals", "dynamodb:LeadingKeys", json!("a")), &[]),
        (condition("ForAnyValue:StringEquals", "aws:SourceVpc", json!("a")), &["set-operator"]),
        (condition("ForAllValues:StringEquals", "dynamodb:LeadingKeys", json!("a")), &["for-all-values-allow"]),
        (with_null, &[]),
    ] {
        assert_eq!(rules(elements.clone()), expected, "{elements}");
    }
    let mut denies = condition("ForAllValues:StringEquals", "dynamodb:LeadingKeys", json!("a"));
    denies["Effect"] = "Deny".into();
    assert_eq!(rules(denies), [""; 0]);
}

#[test]
fn what_is_left_out_is_not_granted_by_accident() {
    assert_eq!(rules(json!({"NotAction": "iam:*"})), ["allows-the-rest"]);
    assert_eq!(rules(json!({"NotResource": "arn:aws:s3:::states/*"})), ["allows-the-rest"]);
    assert_eq!(rules(json!({"NotAction": "iam:*", "Effect": "Deny"})), [""; 0]);
}

#[test]
fn variables_need_the_newer_version() {
    let text = r#"{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}",
"Condition":{"StringEquals":{"aws:PrincipalTag/team":"${aws:username}"}}}}"#;
    assert_eq!(found(text), ["variable", "variable"]);
}

#[test]
fn documents_that_aws_would_not_take_have_one_finding() {
    let text =
        "{\"Version\":\"2012-10-17\",\n\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},]}";
    let findings = lint(text, PolicyKind::Identity);
    let [finding] = findings.as_slice() else { panic!("one finding: {findings:?}") };
    assert_eq!(finding.to_string(), "line 2, column 60: a comma before `]`, which JSON does not allow: remove it");
}

#[test]
fn policies_have_a_size() {
    let resources: Vec<String> =
        (0..400).map(|number| format!("arn:aws:s3:::a-long-name-of-a-bucket-{number}/*")).collect();
    assert_eq!(rules(json!({"Action": "s3:GetObject", "Resource": resources})), ["size"]);
}

#[test]
fn long_policies_and_wildcards_are_no_trap() {
    let actions = vec!["s3:GetObject"; 5_000];
    let mut resources = vec!["arn:aws:s3:::no-object".to_owned(); 5_000];
    resources.push(format!("arn:aws:s3:::{}", "*?".repeat(10_000)));
    let found = rules(json!({"Action": actions, "Resource": resources}));
    assert_eq!(found, ["size"], "the last resource covers objects");
    assert_eq!(rules(json!({"Action": format!("s3:{}x", "*?".repeat(10_000))})), ["size", "unknown-action"]);
}

proptest! {
    #[test]
    fn any_strings_of_a_policy_are_judged_without_a_panic(
        action in r"[a-z0-9:*?\-]{0,12}",
        resource in r"(arn:)?[a-z*?:/${}é,']{0,30}",
        key in r"[a-zA-Z:/]{0,12}",
        value in any::<String>(),
    ) {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource,
            "Condition": {"StringLike": {key: value}}});
        for finding in lint(&json!({"Version": "2012-10-17", "Statement": statement}).to_string(), PolicyKind::Identity) {
            prop_assert!(!finding.message.is_empty() && finding.place.line == 1);
        }
    }
}
