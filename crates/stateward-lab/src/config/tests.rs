//! Configurations, good and bad.

use std::io;
use std::path::Path;

use serde_json::json;

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

const USER: &str = "arn:aws:iam::123456789012:user/ci";

/// The error of a configuration in JSON.
fn refused(config: &Value) -> String {
    compiled(&config.to_string()).expect_err("it is wrong").to_string()
}

#[test]
fn no_two_are_called_the_same() {
    let arn = |arn: &str| json!({ "arn": arn });
    let (role, table) =
        ("arn:aws:iam::123456789012:role/deploy", "arn:aws:dynamodb:eu-west-1:123456789012:table/locks");
    let key = |end: &str| format!("arn:aws:kms:eu-west-1:123456789012:key/{end}");
    let alias = |end: &str| json!({ "arn": key(end), "aliases": ["alias/other", "alias/states"] });
    let provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
    let session = json!({ "role": role, "name": "run" });
    for (part, list, expected) in [
        (
            "users",
            json!([arn(USER), arn("arn:aws:iam::123456789012:user/b"), arn(USER)]),
            "`users[2].arn`: `arn:aws:iam::123456789012:user/ci` is the same as that of `users[0]`",
        ),
        // Neither paths nor capitals tell names of IAM apart.
        (
            "roles",
            json!([arn(role), arn("arn:aws:iam::123456789012:role/path/Deploy")]),
            "`roles[1].arn`: `arn:aws:iam::123456789012:role/path/Deploy` is the same as that of `roles[0]`",
        ),
        (
            "buckets",
            json!([{ "name": "states" }, { "name": "states" }]),
            "`buckets[1].name`: `states` is the same as that of `buckets[0]`",
        ),
        ("tables", json!([arn(table), arn(table)]), "`tables[1].arn`: "),
        ("keys", json!([arn(&key("a")), arn(&key("a"))]), "`keys[1].arn`: "),
        (
            "keys",
            json!([alias("a"), { "arn": key("b"), "aliases": ["alias/states"] }]),
            "`keys[1].aliases[0]`: `alias/states` stands at `keys[0].aliases[1]` too",
        ),
        ("providers", json!([arn(provider), arn(provider)]), "`providers[1].arn`: "),
        ("sessions", json!([session, session]), "`sessions[1].name`: `run` is the same as that of `sessions[0]`"),
    ] {
        let mut config = json!({ "roles": [arn(role)] });
        config[part] = list;
        let told = refused(&config);
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
    let apart = json!({
        "users": [arn(USER), arn("arn:aws:iam::999988887777:user/ci"), arn("arn:aws:iam::123456789012:root")],
        "roles": [arn("arn:aws:iam::123456789012:role/ci")],
        "keys": [alias("a"), { "arn": "arn:aws:kms:us-east-1:123456789012:key/b", "aliases": ["alias/states"] }],
    });
    compiled(&apart.to_string()).expect("users and roles, accounts and Regions are apart");
}

#[test]
fn nobody_is_named_who_is_not_there() {
    let key = "arn:aws:kms:eu-west-1:123456789012:key/a";
    let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/locks";
    let provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
    let (role, gone) = ("arn:aws:iam::123456789012:role/path/deploy", "arn:aws:iam::123456789012:role/gone");
    let config = |part: &str, principal: &Value| {
        let action = if part == "roles" {
            json!("sts:AssumeRole")
        } else {
            json!(["s3:GetObject", "dynamodb:GetItem", "kms:Decrypt"])
        };
        let mut policy = json!({ "Statement": [
            { "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*" },
            { "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*" },
        ] });
        let mut config = json!({ "users": [{ "arn": USER }], "roles": [{ "arn": role }], "buckets": [{ "name": "states" }], "tables": [{ "arn": table }], "keys": [{ "arn": key }], "providers": [] });
        if part == "roles" {
            for statement in policy["Statement"].as_array_mut().expect("a list") {
                statement.as_object_mut().expect("a statement").remove("Resource");
            }
            config["roles"][0]["trust"] = policy;
        } else {
            config[part][0]["policy"] = policy;
        }
        config
    };
    for (part, place, principal, missing, list) in [
        ("roles", "roles[0].trust", json!({ "AWS": [USER, gone] }), gone, "roles"),
        (
            "buckets",
            "buckets[0].policy",
            json!({ "AWS": "arn:aws:iam::999988887777:user/x" }),
            "arn:aws:iam::999988887777:user/x",
            "users",
        ),
        ("tables", "tables[0].policy", json!({ "AWS": gone }), gone, "roles"),
        (
            "keys",
            "keys[0].policy",
            json!({ "AWS": "arn:aws:sts::123456789012:assumed-role/gone/run" }),
            "arn:aws:sts::123456789012:assumed-role/gone/run",
            "roles",
        ),
        ("roles", "roles[0].trust", json!({ "Federated": provider }), provider, "providers"),
    ] {
        let told = refused(&config(part, &principal));
        let expected = format!(
            "`{place}`: the policy `{place}` names `{missing}`, which is not there, and AWS takes no such policy: describe it under `{list}`"
        );
        assert_eq!(told, expected);
    }
    for principal in [
        json!("*"),
        json!({ "AWS": [USER, role, "arn:aws:sts::123456789012:assumed-role/deploy/run"] }),
        json!({ "AWS": ["*", "999988887777", "arn:aws:iam::999988887777:root"] }),
        json!({ "Service": "logging.s3.amazonaws.com", "Federated": "accounts.google.com" }),
    ] {
        compiled(&config("buckets", &principal).to_string()).expect("all are there");
    }
}

#[test]
fn what_is_not_known_is_named_with_its_place() {
    for (text, expected) in [
        (
            "[[users]]\narn = \"arn:aws:iam::123456789012:user/ci\"\n\n[[roles]]\narn = \"x\"\npolicys = []",
            "line 6: unknown field `policys`, expected one of `arn`, `trust`",
        ),
        ("[upstream]\nurl = \"http://127.0.0.1:1\"\n\n[answers]\ndelay = 5", "line 5: unknown field `delay`"),
        (
            "[[keys]]\narn = \"x\"\nstate = \"gone\"",
            "line 3: unknown variant `gone`, expected one of `enabled`, `disabled`, `pending_deletion`",
        ),
        (
            "{\"buckets\":[\n{\"name\":\"b\",\"acount\":\"1\"}]}",
            "unknown field `acount`, expected one of `name`, `account`, `region`, `policy`, `kms_key` at line 2",
        ),
        (
            "[vpc_endpoint]\nid = \"vpce-1\"\nservices = [\"s3\", \"dynamo\"]",
            "`vpc_endpoint.services[1]`: the lab knows no service `dynamo`, but s3, dynamodb, sts, kms, iam, organizations",
        ),
        (
            "[[providers]]\narn = \"token.actions.githubusercontent.com\"",
            "`providers[0].arn`: `token.actions.githubusercontent.com` must be an ARN like `arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com`",
        ),
    ] {
        let error = compiled(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn servers_on_this_machine() {
    for (url, is_here) in [
        ("http://127.0.0.1:5000", true),
        ("http://127.9.9.9", true),
        ("http://[::1]:5000/", true),
        ("http://localhost:5000", true),
        ("http://localhost.example:5000", false),
        ("http://10.0.0.5:5000", false),
        ("http://127.0.0.1@moto.example", false),
        ("http://s3.amazonaws.com", false),
        ("127.0.0.1:5000", false),
    ] {
        let upstream = Upstream::new(url);
        assert_eq!(upstream.elsewhere(), (!is_here).then_some(url));
        let table = Upstream { dynamodb: Some(url.to_owned()), ..Upstream::new("http://127.0.0.1:1") };
        assert_eq!(table.elsewhere(), (!is_here).then_some(url));
    }
}
