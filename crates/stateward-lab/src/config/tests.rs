//! Configurations, good and bad.

use std::io;
use std::path::Path;

use super::*;

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;

fn read(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("plan.json") => Ok(POLICY.to_owned()),
        Some("broken.json") => Ok("{\"Statement\":[{\"Effect\":\"allow\"}]}".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn compiled(text: &str) -> Result<World, ConfigError> {
    text.parse::<Config>()?.compile(&read)
}

#[test]
fn policies_stand_in_files_or_in_the_text() {
    let world = compiled(
        r#"
        [upstream]
        url = "http://127.0.0.1:5000"

        [[users]]
        arn = "arn:aws:iam::123456789012:user/ci"
        policies = [
            "plan.json",
            '{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}',
            { name = "table", policy = { Statement = [{ Effect = "Allow", Action = "dynamodb:*", Resource = "*" }] } },
            { arn = "arn:aws:iam::aws:policy/Reader", file = "plan.json" },
        ]

        [[keys]]
        arn = "arn:aws:kms:eu-west-1:123456789012:key/0a1b"
        "#,
    )
    .expect("good");
    let names: Vec<&str> = world.users[0].policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["plan.json", "users[0].policies[1]", "table", "Reader"]);
    assert_eq!(world.users[0].credentials.access_key, "AKIALAB0000000000001");
    let key = world.keys.values().next().expect("one");
    assert_eq!(key.policies[0].1, compile::default_key_policy("123456789012"));
}

#[test]
fn the_same_in_json() {
    let user = r#"{"users":[{"arn":"arn:aws:iam::123456789012:user/ci","policies":[POLICY],"tags":{"team":"a"}}]}"#;
    let world = compiled(&user.replace("POLICY", POLICY)).expect("good");
    assert_eq!(world.users[0].tags["team"], "a");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, expected) in [
        ("users = 1", "line 1: invalid type: integer `1`"),
        ("\n# x\nnonsense = 1", "line 3: unknown field `nonsense`"),
        ("users = [", "line 1: "),
        ("[[users]]\narn = \"ci\"", "`users[0].arn`: `ci` is no ARN of a user or a root"),
        (
            "[[users]]\narn = \"arn:aws:iam::123456789012:user/ci\"\npolicies = [\"none.json\"]",
            "`users[0].policies[0]`: the policy `none.json` cannot be read: entity not found",
        ),
        (
            "[[users]]\narn = \"arn:aws:iam::123456789012:user/ci\"\nboundary = \"broken.json\"",
            "`users[0].boundary`: the policy `broken.json` is malformed: ",
        ),
        (
            "[[users]]\narn = \"arn:aws:iam::123456789012:user/ci\"\naccess_key = \"AKIA\"",
            "`users[0]`: give `access_key` and `secret_key`, or neither",
        ),
        (
            "[[users]]\narn = \"arn:aws:iam::123456789012:user/ci\"\npolicies = [{ name = \"x\" }]",
            "`users[0].policies[0]`: give either `policy` (the document) or `file`",
        ),
        (
            "[[sessions]]\nrole = \"arn:aws:iam::123456789012:role/x\"\nname = \"run\"",
            "`sessions[0].role`: there is no role `arn:aws:iam::123456789012:role/x`",
        ),
        ("[accounts.1]", "`accounts.1`: `1` is no account: it must have twelve digits"),
        ("[[tables]]\narn = \"locks\"", "`tables[0].arn`: `locks` must be an ARN like `arn:aws:dynamodb:"),
        ("[[buckets]]\nname = \"b\"\nkms_key = \"alias/x\"", "`buckets[0].kms_key`: `alias/x` must be an ARN like"),
        (
            "[[users]]\narn = \"arn:aws:iam::123456789012:user/a\"\naccess_key = \"K\"\nsecret_key = \"s\"\n[[users]]\narn = \"arn:aws:iam::123456789012:user/b\"\naccess_key = \"K\"\nsecret_key = \"s\"",
            "the access key `K` belongs to arn:aws:iam::123456789012:user/a and to arn:aws:iam::123456789012:user/b",
        ),
    ] {
        let error = compiled(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}
