//! What is refused, and what is said about it.

use std::fs;

use serde_json::{Value, json};
use stateward_iam::{Line, Policy, PolicyKind, evaluate_json, evaluate_line, lint};

use crate::case::{Case, USER, everything, trusts};

fn error(policy: &Value, kind: PolicyKind) -> String {
    Policy::parse(&policy.to_string(), kind).expect_err("malformed").to_string()
}

fn statement_error(element: &str, value: &Value) -> String {
    let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
    statement[element] = value.clone();
    statement.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    error(&json!({"Version": "2012-10-17", "Statement": [statement]}), PolicyKind::Identity)
}

#[test]
fn elements_are_checked_exactly() {
    for (element, value, expected) in [
        ("Effect", json!("allow"), "`Statement[0].Effect`: must be `Allow` or `Deny`, in this case"),
        ("Effect", Value::Null, "`Effect` is missing"),
        (
            "effect",
            json!("Allow"),
            "`Statement[0].effect`: no element of the policy language: case matters, write `Effect`",
        ),
        ("Actions", json!("*"), "`Statement[0].Actions`: no element of the policy language"),
        ("Action", json!("GetObject"), "`GetObject` is no action"),
        ("Action", json!("s3*:GetObject"), "`s3*:GetObject` is no action"),
        ("Action", json!(["s3:GetObject", ""]), "`` is no action"),
        ("Action", json!(1), "expected a string or an array of strings, and this is a number"),
        ("Action", Value::Null, "`Action` is missing"),
        ("NotAction", json!("*"), "has both `Action` and `NotAction`"),
        ("Resource", json!(""), "`` is no resource"),
        ("Resource", json!("bucket/*"), "`bucket/*` is no resource"),
        ("Resource", Value::Null, "`Resource` is missing"),
        ("NotResource", json!("*"), "has both `Resource` and `NotResource`"),
        ("Principal", json!("*"), "an identity policy has no `Principal`"),
        ("Condition", json!([]), "expected an object of operators, and this is an array"),
        ("Condition", json!({"Bool": "true"}), "`Statement[0].Condition.Bool`: expected an object of condition keys"),
        ("Condition", json!({"Bool": {"aws:SecureTransport": null}}), "expected a string, a number or a boolean"),
        ("Sid", json!(1), "expected a string"),
    ] {
        let message = statement_error(element, &value);
        assert!(message.contains(expected), "{element} {value}: {message}");
    }
}

#[test]
fn documents_are_checked_exactly() {
    for (policy, expected) in [
        (json!([]), "expected a policy, which is an object"),
        (json!({"Version": "2012-10-17"}), "`Statement` is missing"),
        (json!({"Version": "2012-10-18", "Statement": []}), "`Version`: must be `2012-10-17` or `2008-10-17`"),
        (json!({"Version": 2012, "Statement": []}), "expected a string, and this is a number"),
        (json!({"version": "2012-10-17", "Statement": []}), "case matters, write `Version`"),
        (json!({"Statement": [1]}), "`Statement[0]`: expected a statement"),
        (json!({"Statement": "x"}), "`Statement`: expected a statement"),
    ] {
        let message = error(&policy, PolicyKind::Identity);
        assert!(message.contains(expected), "{policy}: {message}");
    }
}

#[test]
fn principals_are_checked_exactly() {
    let with = |principal: &Value| json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": principal}});
    for (principal, expected) in [
        (json!("arn:aws:iam::111122223333:root"), "is no principal"),
        (json!({"AWS": "arn:aws:iam::111122223333:user/*"}), "without wildcards"),
        (json!({"AWS": "12345"}), "`12345` is no principal"),
        (json!({"aws": "*"}), "no kind of principal"),
        (json!(["*"]), "expected `*` or an object"),
        (json!({"*": USER}), "is no principal"),
    ] {
        let message = error(&with(&principal), PolicyKind::Resource);
        assert!(message.contains(expected), "{principal}: {message}");
    }
    // As Terragrunt writes everybody.
    assert!(Policy::parse(&with(&json!({"*": ["*"]})).to_string(), PolicyKind::Resource).is_ok());
    let none = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    for kind in [PolicyKind::Resource, PolicyKind::Trust, PolicyKind::VpcEndpoint, PolicyKind::Rcp] {
        assert!(error(&none, kind).contains("`Principal` is missing"), "{kind}");
    }
    let not = json!({"Statement": {"Effect": "Deny", "Action": "*", "NotPrincipal": {"AWS": USER}}});
    assert!(error(&not, PolicyKind::Trust).contains("a trust policy has no `NotPrincipal`"));
}

#[test]
fn a_message_says_where() {
    let text = "{\n  \"Statement\": [{\n    \"Effect\": \"Allow\",\n    \"Action\": \"s3:GetObject\",\n    \"Effect\": \"Deny\"\n  }]\n}";
    let message = Policy::parse(text, PolicyKind::Identity).expect_err("malformed").to_string();
    assert_eq!(
        message,
        "the key `Effect` stands twice in one object: readers would disagree which one counts; remove one at line 5, column 5"
    );
    let trailing = Policy::parse("{\"Statement\": [],\n}", PolicyKind::Identity).expect_err("malformed").to_string();
    assert_eq!(trailing, "a comma before `}`, which JSON does not allow: remove it at line 1, column 17");
}

#[test]
fn a_malformed_scenario_is_never_decided() {
    let valid = Case::new(USER).identity(everything());
    let broken = |part: &str, value: Value| valid.clone().part(part, value).json();
    for (text, expected) in [
        ("{".to_owned(), "not valid JSON"),
        ("[]".to_owned(), "`the scenario` must be an object"),
        ("{}".to_owned(), "`request` is missing"),
        (broken("request", json!({"principal": USER, "action": "s3:GetObject"})), "`request.resource` is missing"),
        (broken("request", json!({"principal": USER, "action": "s3:*", "resource": "*"})), "`s3:*` is no action"),
        (
            broken(
                "request",
                json!({"principal": USER, "action": "s3:GetObject", "resource": "*", "context": {"a:b": "1", "A:B": "2"}}),
            ),
            "has the key `A:B` twice",
        ),
        (
            broken(
                "request",
                json!({"principal": USER, "action": "s3:GetObject", "resource": "*", "context": {"a:b": {}}}),
            ),
            "`request.context.a:b` must be a string",
        ),
        (
            broken(
                "request",
                json!({"principal": USER, "action": "s3:GetObject", "resource": "*", "context": {"a:b": "1"}, "unknown": ["a:b"]}),
            ),
            "has the key `a:b` twice",
        ),
        (broken("boundry", json!([])), "`boundry` is no part of a scenario: write `boundary`"),
        (broken("scp", json!([])), "`scp` is no part of a scenario: write `scps`"),
        (broken("resourcePolicy", json!({})), "`resourcePolicy` is no part of a scenario: write `resource_policy`"),
        (
            broken("group", json!([{"name": "g", "policy": everything()}])),
            "`group` is no part of a scenario, which has",
        ),
        (broken("identity", json!({})), "`identity` must be an array"),
        (broken("identity", json!([{"name": "p"}])), "`identity[0]` has no `policy`"),
        (broken("scps", json!([{}])), "`scps[0]` must be an array"),
        (
            broken("boundary", json!([{"name": "limits", "policy": {"Statement": {"Effect": "allow"}}}])),
            "boundary[0]: the policy `limits` is malformed: `Statement.Effect`",
        ),
    ] {
        let message = evaluate_json(&text).expect_err("malformed").to_string();
        assert!(message.contains(expected), "{text}: {message}");
        let line = serde_json::to_value(evaluate_line(&text)).expect("JSON");
        assert_eq!(line, json!({"error": message}));
    }
    assert!(matches!(evaluate_line(&valid.json()), Line::Answer(_)));
}

#[test]
fn what_is_left_out_or_too_large_is_said() {
    let errors = |case: Case| case.answer().errors;
    let mut unknown = Case::new(USER).identity(everything()).part("comment", json!("for the record"));
    assert_eq!(errors(unknown.clone()), ["`comment` is no part of a scenario and was left out"]);
    unknown = Case::new(USER).identity(json!({"Id": "x".repeat(11_000), "Statement": []}));
    assert!(errors(unknown)[0].contains("AWS stores at most 10240"));
    let mut trust = trusts(&json!({"AWS": USER}));
    trust["Statement"]["Resource"] = "*".into();
    let assumes =
        Case::new(USER).asks("sts:AssumeRole", "arn:aws:iam::111122223333:role/deploy").resource_policy(trust);
    assert!(errors(assumes)[0].contains("has a `Resource`"));
}

#[test]
fn sizes_are_counted_as_aws_counts_them() {
    let text = "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\": \"a b\\\" c\",\n  \"Statement\": []\n}";
    let policy = Policy::parse(text, PolicyKind::Identity).expect("valid");
    assert_eq!(policy.size(), "{\"Version\":\"2012-10-17\",\"Id\":\"a b\\\" c\",\"Statement\":[]}".len());
}

#[test]
fn traps_are_answered_at_once() {
    let traps = [
        json!({"Effect": "Allow", "Action": format!("dynamodb:{}", "*a".repeat(10_000)), "Resource": "*"}),
        json!({"Effect": "Allow", "Action": "*", "Resource": format!("arn:aws:dynamodb:{}:table/locks", "*?".repeat(1_000))}),
        json!({"Effect": "Allow", "Action": "*", "Resource": format!("arn:aws:dynamodb:eu-west-1:111122223333:{}", "*t".repeat(10_000))}),
        json!({"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"StringLike": {"aws:SourceVpc": "*?".repeat(10_000), "aws:PrincipalOrgID": "*a".repeat(10_000) + "b"}}}),
    ];
    for trap in traps {
        let case = Case::new(USER)
            .context(json!({"aws:SourceVpc": "a".repeat(5_000)}))
            .unknown(&["aws:PrincipalOrgID"])
            .identity(json!({"Version": "2012-10-17", "Statement": [trap]}));
        assert_ne!(case.decision(), "allowed");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(evaluate_json(&deep).expect_err("too deep").to_string().contains("nested more than 64 levels"));
}

#[test]
fn what_fuzzing_has_kept_is_read_or_told_where_it_is_wrong() {
    let kept = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/policy")).expect("a corpus");
    let mut count = 0;
    for entry in kept {
        let path = entry.expect("an entry").path();
        let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
        let findings = lint(&text, PolicyKind::Identity);
        match Policy::parse(&text, PolicyKind::Identity) {
            Ok(policy) => assert!(policy.size() <= text.chars().count(), "{}", path.display()),
            Err(error) => assert!(error.place.offset <= text.len() && findings.len() == 1, "{}", path.display()),
        }
        assert!(findings.iter().all(|finding| finding.place.offset <= text.len()), "{}", path.display());
        count += 1;
    }
    assert!(count >= 100, "{count}");
}
