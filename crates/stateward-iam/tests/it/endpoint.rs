//! Policies of VPC endpoints, as AWS's command line prints them: each has a say about its own service.

use serde_json::{Value, json};
use stateward_iam::{
    CheckItem, EndpointError, Keeping, Layer, Layout, Named, Outcome, Policy, PolicyKind, PolicySet, Purpose, check,
    endpoint_policies,
};

use crate::case::{USER, everything};

fn open() -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}})
}

fn closed() -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}})
}

fn endpoint(id: &str, service: &str, policy: &Value) -> Value {
    json!({"VpcEndpointId": id, "VpcEndpointType": "Interface", "ServiceName": format!("com.amazonaws.eu-west-1.{service}"),
        "State": "available", "PolicyDocument": policy.to_string()})
}

fn printed(endpoints: &[Value]) -> String {
    json!({ "VpcEndpoints": endpoints }).to_string()
}

fn keeping() -> Keeping {
    Keeping { lock_table: Some("locks".to_owned()), ..Keeping::new(Layout::S3, "states", "prod/network.tfstate") }
}

fn read(text: &str) -> Result<Vec<Named>, EndpointError> {
    endpoint_policies(&[("vpce.json", text)], &keeping().services())
}

/// What an apply is refused, by the policies of endpoints alone.
fn checked(endpoints: Vec<Named>) -> Vec<CheckItem> {
    let policy = Policy::parse(&everything().to_string(), PolicyKind::Identity).expect("valid");
    let identity = vec![Named { name: "all".to_owned(), policy }];
    let policies = PolicySet { identity, vpc_endpoint: Some(endpoints), ..PolicySet::default() };
    check(&keeping(), Purpose::Apply, USER, &policies, &[]).expect("checked")
}

/// The services that are refused something, each with the policies that do it.
fn refusing(text: &str) -> Vec<(String, Vec<String>)> {
    let items = checked(read(text).expect(text));
    let mut refused: Vec<(String, Vec<String>)> = Vec::new();
    for item in items.iter().filter(|item| item.decision != Outcome::Allowed) {
        assert_eq!(item.layer, Some(Layer::VpcEndpoint), "{item:?}");
        let service = item.action.split(':').next().unwrap_or_default().to_owned();
        let by = item.statements.iter().map(|at| at.policy.clone()).collect();
        if !refused.iter().any(|(known, _)| *known == service) {
            refused.push((service, by));
        }
    }
    refused
}

#[test]
fn a_request_is_judged_by_the_endpoint_of_its_service() {
    let one = |service: &str, by: &str| vec![(service.to_owned(), vec![by.to_owned()])];
    let (s3, dynamodb) = (endpoint("vpce-1", "s3", &open()), endpoint("vpce-2", "dynamodb", &closed()));
    let registry = endpoint("vpce-3", "ecr.api", &closed());
    let all = [registry.clone(), s3.clone(), dynamodb.clone()];
    assert_eq!(refusing(&printed(&all)), one("dynamodb", "vpce.json (vpce-2)"));
    assert_eq!(refusing(&printed(&[registry, s3])), []);
    // However much of the answer was printed.
    let of_s3 = endpoint("vpce-1", "s3", &closed());
    for text in [
        printed(std::slice::from_ref(&of_s3)),
        json!([of_s3]).to_string(),
        of_s3.to_string(),
        json!({"VpcEndpoint": of_s3}).to_string(),
        printed(&[endpoint("vpce-1", "s3-fips", &closed())]),
        printed(&[json!({"ServiceName": "cn.com.amazonaws.cn-north-1.s3", "PolicyDocument": closed()})]),
    ] {
        assert_eq!(refusing(&text), one("s3", "vpce.json"), "{text}");
    }
}

/// What is not known to be of one service has a say about all, but for keys, which services use themselves.
#[test]
fn a_policy_alone_counts_for_every_service() {
    let by = || vec!["vpce.json".to_owned()];
    let both = vec![("s3".to_owned(), by()), ("dynamodb".to_owned(), by())];
    let unnamed = json!({"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "PolicyDocument": closed().to_string()}]});
    for text in [closed().to_string(), unnamed.to_string(), json!({"PolicyDocument": closed().to_string()}).to_string()]
    {
        assert_eq!(refusing(&text), both, "{text}");
    }
}

/// Where no endpoint of a service is printed, that there is none is said to be taken.
#[test]
fn a_service_without_an_endpoint_is_told() {
    let items = checked(read(&printed(&[endpoint("vpce-1", "s3", &open())])).expect("one of S3"));
    for item in items {
        let told =
            item.notes.iter().any(|note| note.contains("`dynamodb`") && note.contains("no VPC endpoint leads to"));
        assert_eq!(told, item.action.starts_with("dynamodb:"), "{item:?}");
    }
}

#[test]
fn endpoints_of_one_service_may_not_differ() {
    let alike = [endpoint("vpce-1", "s3", &closed()), endpoint("vpce-2", "s3", &closed())];
    assert_eq!(refusing(&printed(&alike)), [("s3".to_owned(), vec!["vpce.json (vpce-1)".to_owned()])]);
    let differing = [endpoint("vpce-1", "s3", &closed()), endpoint("vpce-2", "s3", &open())];
    let of_others = [endpoint("vpce-1", "ecr.api", &closed()), endpoint("vpce-2", "ecr.api", &open())];
    let unread = json!({"VpcEndpointId": "vpce-3", "ServiceName": "com.amazonaws.eu-west-1.ecr.dkr"});
    let unnamed = json!({"VpcEndpointId": "vpce-3", "PolicyDocument": open()});
    let broken =
        json!({"VpcEndpointId": "vpce-3", "ServiceName": "com.amazonaws.eu-west-1.s3", "PolicyDocument": "{}"});
    let bare = json!({"VpcEndpointId": "vpce-3", "ServiceName": "com.amazonaws.eu-west-1.s3"});
    for (text, expected) in [
        (printed(&differing), "`vpce-1` and `vpce-2` are both endpoints of `s3`, with different policies"),
        (printed(&of_others), "no endpoint of `s3` or `dynamodb` is among them: they are of `ecr.api`"),
        (printed(&[]), "no endpoint of `s3` or `dynamodb` is among them: there are none at all"),
        (printed(&[unnamed, bare.clone()]), "the endpoint `vpce-3` in `vpce.json` has no `ServiceName`"),
        (printed(&[bare]), "the endpoint `vpce-3` in `vpce.json` has no `PolicyDocument`"),
        (printed(&[broken]), "`vpce.json` (vpce-3)"),
        ("{".to_owned(), "`vpce.json`: "),
        (json!({"Vpcs": []}).to_string(), "`Vpcs`: no element of the policy language"),
    ] {
        let error = read(&text).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // What is of other services need not be whole.
    let odd = printed(&[unread, endpoint("vpce-1", "s3", &open())]);
    assert_eq!(read(&odd).expect("one of S3").len(), 1);
    // Each in a file of its own.
    let [one, other] = differing.map(|endpoint| printed(&[endpoint]));
    let apart = endpoint_policies(&[("a.json", &one), ("b.json", &other)], &["s3"]).expect_err("they differ");
    assert!(matches!(apart, EndpointError::Differ { .. }), "{apart}");
}
