//! Each layer refuses in its own words, and what reads AWS's words reads them right.

use serde_json::{Value, json};
use stateward_aws::Failed;
use stateward_denial::{Effect, Layer};

use crate::lab::{Lab, ROLE, TABLE, USER, block_on, everything, policy};

const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/deploy/run";
const BUCKET: &str = "arn:aws:s3:::states/*";

/// Allows all but what the tests ask for.
fn something_else() -> Value {
    policy("Allow", "sqs:*", "*")
}

fn deny() -> Value {
    json!({ "name": "guard", "arn": "arn:aws:iam::123456789012:policy/guard", "policy": policy("Deny", "*", "*") })
}

fn denies_everyone(resource: &str) -> Value {
    json!({ "Statement": [
        { "Effect": "Deny", "Principal": "*", "Action": ["s3:*", "dynamodb:*"], "Resource": resource },
    ] })
}

fn all_services(statement: &str) -> Value {
    json!({ "Statement": [{ "Effect": statement, "Principal": "*", "Action": "*", "Resource": "*" }] })
}

/// The refusals of S3 and `DynamoDB` to a session: layer, effect, the policy that is named.
fn refusals(parts: &Value) -> Vec<(Layer, Effect, Option<String>)> {
    let mut config = json!({
        "roles": [{ "arn": ROLE, "policies": [everything()] }],
        "sessions": [{ "role": ROLE, "name": "run" }],
    });
    for (part, value) in parts.as_object().expect("parts") {
        match part.split_once('.') {
            Some((list, field)) => config[list][0][field] = value.clone(),
            None => config[part] = value.clone(),
        }
    }
    let lab = Lab::new(&config);
    let services = lab.services(SESSION);
    let (s3, dynamodb) = block_on(async {
        let put = services.s3.put_object().bucket("states").key("a").send().await.expect_err("refused");
        let get = services.dynamodb.describe_table().table_name("locks").send().await.expect_err("refused");
        (Failed::new("S3: PutObject", &put), Failed::new("DynamoDB: DescribeTable", &get))
    });
    let read = [(s3, "s3:PutObject", "arn:aws:s3:::states/a"), (dynamodb, "dynamodb:DescribeTable", TABLE)];
    let told = |(failed, action, resource): (Failed, &str, &str)| {
        let problem = failed.problem().unwrap_or_else(|| panic!("unknown: {failed}"));
        let denial = problem.denial.unwrap_or_else(|| panic!("no denial: {failed}"));
        assert_eq!(denial.action.as_deref(), Some(action), "{failed}");
        assert_eq!(denial.resource.as_deref(), Some(resource), "{failed}");
        assert_eq!(denial.principal.arn.as_deref(), Some(SESSION), "{failed}");
        (denial.layer, denial.effect, denial.policy_arn)
    };
    read.into_iter().map(told).collect()
}

#[track_caller]
fn check(parts: &Value, layer: Layer, effect: Effect, policy: Option<&str>) {
    let expected = (layer, effect, policy.map(str::to_owned));
    assert_eq!(refusals(parts), [expected.clone(), expected]);
}

#[test]
fn identity_policies() {
    check(&json!({ "roles.policies": [something_else()] }), Layer::Identity, Effect::Implicit, None);
    let named = Some("arn:aws:iam::123456789012:policy/guard");
    check(&json!({ "roles.policies": [everything(), deny()] }), Layer::Identity, Effect::Explicit, named);
    let silent = json!({ "roles.policies": [everything(), deny()], "answers": { "policy_arns": false } });
    check(&silent, Layer::Identity, Effect::Explicit, None);
}

#[test]
fn boundaries() {
    check(&json!({ "roles.boundary": something_else() }), Layer::Boundary, Effect::Implicit, None);
    let named = Some("arn:aws:iam::123456789012:policy/guard");
    check(&json!({ "roles.boundary": deny() }), Layer::Boundary, Effect::Explicit, named);
}

#[test]
fn session_policies() {
    check(&json!({ "sessions.policies": [something_else()] }), Layer::Session, Effect::Implicit, None);
    let deny = policy("Deny", "*", "*");
    check(&json!({ "sessions.policies": [everything(), deny] }), Layer::Session, Effect::Explicit, None);
}

#[test]
fn service_control_policies() {
    let of = |levels: Value| json!({ "accounts": { "123456789012": { "scps": levels } } });
    let implicit = of(json!([[everything()], [something_else()]]));
    check(&implicit, Layer::Scp, Effect::Implicit, None);
    let arn = "arn:aws:organizations::999988887777:policy/o-a/service_control_policy/p-b";
    let named = json!({ "name": "p-b", "arn": arn, "policy": policy("Deny", "*", "*") });
    check(&of(json!([[everything(), named]])), Layer::Scp, Effect::Explicit, Some(arn));
}

#[test]
fn resource_control_policies() {
    // The actions of all services are no action here.
    let deny = json!({ "Version": "2012-10-17", "Statement": denies_everyone("*")["Statement"] });
    let levels = json!({ "accounts": { "123456789012": { "rcps": [[deny]] } } });
    check(&levels, Layer::Rcp, Effect::Explicit, None);
}

#[test]
fn resource_policies() {
    let parts = json!({
        "buckets": [{ "name": "states", "policy": denies_everyone(BUCKET) }],
        "tables": [{ "arn": TABLE, "policy": denies_everyone(TABLE) }],
    });
    check(&parts, Layer::Resource, Effect::Explicit, None);
}

#[test]
fn endpoint_policies() {
    let nothing = json!({ "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*" },
    ] });
    check(
        &json!({ "vpc_endpoint": { "id": "vpce-1", "policy": nothing } }),
        Layer::VpcEndpoint,
        Effect::Implicit,
        None,
    );
    let deny = all_services("Deny");
    check(&json!({ "vpc_endpoint": { "id": "vpce-1", "policy": deny } }), Layer::VpcEndpoint, Effect::Explicit, None);
}

/// Who is of another organization learns nothing.
#[test]
fn the_bucket_of_a_stranger() {
    let config = |organization: Value| {
        json!({
            "accounts": {
                "123456789012": { "organization": "o-a" },
                "999988887777": { "organization": organization },
            },
            "users": [{ "arn": USER, "policies": [everything()] }],
            "buckets": [{ "name": "states", "account": "999988887777" }],
        })
    };
    for (organization, expected) in [
        (json!("o-b"), "Access Denied"),
        (json!("o-a"), "because no resource-based policy allows the s3:PutObject action"),
    ] {
        let lab = Lab::new(&config(organization));
        let put = lab.services(USER).s3.put_object().bucket("states").key("a");
        let failed = Failed::new("S3: PutObject", &block_on(put.send()).expect_err("refused"));
        assert!(failed.words().ends_with(expected), "{failed}");
    }
}

#[test]
fn conditions_see_the_network() {
    let tls_only = json!({ "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        {
            "Sid": "TlsOnly", "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        },
        {
            "Sid": "Office", "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": { "NotIpAddress": { "aws:SourceIp": "203.0.113.0/24" } },
        },
    ] });
    for (network, expected) in [
        (json!({ "source_ip": "203.0.113.9" }), None),
        (json!({ "source_ip": "198.51.100.1" }), Some("Office")),
        (json!({ "source_ip": "203.0.113.9", "secure_transport": false }), Some("TlsOnly")),
    ] {
        let lab = Lab::new(&json!({ "network": network, "users": [{ "arn": USER, "policies": [tls_only] }] }));
        let failed =
            block_on(lab.services(USER).s3.put_object().bucket("states").key("a").send()).expect_err("no upstream");
        assert_eq!(
            failed.raw_response().map(|raw| raw.status().as_u16()),
            Some(if expected.is_some() { 403 } else { 503 })
        );
        let decisions = lab.running.lab().decisions();
        let sid = decisions[0].statements[0].sid.as_deref();
        assert_eq!(sid, expected);
    }
}
