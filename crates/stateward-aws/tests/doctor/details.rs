//! What AWS noted of a refusal is fetched where the refusal names the note.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use stateward_aws::doctor::{Finding, Status};
use stateward_testkit::{Fault, Rule, SeenRequest};

use crate::denials;
use crate::place::Place;

const ID: &str = "0a1b2c3d4e5f";

fn answer(status: u16, body: &Value) -> Fault {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Fault::Answer { status, headers, body: body.to_string() }
}

fn refused(status: u16, code: &str, message: &str) -> Fault {
    answer(status, &json!({ "__type": code, "message": message }))
}

fn is_asked(request: &SeenRequest) -> bool {
    request.method == "GET" && request.path == format!("/authorization-details/{ID}")
}

/// A place that refuses to write the lock, and what is found of that.
async fn told(place: &Place) -> Finding {
    let end = format!(
        "with an explicit deny in a service control policy. Go to https://us-east-1.console.aws.amazon.com/iam/home?region=us-east-1#/authorization-details/{ID} \
         for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: {ID}"
    );
    place.proxy.inject(Rule::new(denials::dynamodb("dynamodb:PutItem", &end)).operation("PutItem"));
    let mut found = place.examine().await;
    found.retain(|finding| finding.status == Status::Fail);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(finding.check, "right:dynamodb:PutItem");
    // It opens the details to anybody who may ask.
    assert!(!serde_json::to_string(finding).unwrap().contains(ID));
    finding.clone()
}

fn note() -> Value {
    let arn = "arn:aws:organizations::999988887777:policy/o-a/service_control_policy/p-b";
    json!({
        "requestContext": {},
        "evaluations": [{
            "action": "dynamodb:PutItem",
            "resource": "arn:aws:dynamodb:us-east-1:123456789012:table/locks",
            "evaluatedEffect": "EXPLICIT_DENY",
            "matchedPolicies": [
                { "uri": "arn:aws:iam::aws:policy/Everything", "matchedStatements": [{ "sid": "All", "evaluatedEffect": "ALLOW" }] },
                { "uri": arn, "matchedStatements": [{ "sid": "GuardRail", "evaluatedEffect": "DENY" }] },
            ],
        }],
        "policies": [{ "type": "SERVICE_CONTROL_POLICY", "inline": false, "uri": arn, "attachedTo": [] }],
    })
}

#[tokio::test]
async fn the_statement_that_denies() {
    let place = Place::new();
    place.proxy.inject(Rule::new(answer(200, &note())).when(is_asked));
    let why = told(&place).await.why.unwrap();
    let said = "AWS noted: `dynamodb:PutItem` is denied by `GuardRail` of arn:aws:organizations::999988887777:policy/o-a/service_control_policy/p-b (service control policy)";
    assert!(why.ends_with(said), "{why}");
}

/// It is there some time after the refusal.
#[tokio::test]
async fn a_note_that_is_not_there_yet() {
    let place = Place::new();
    let asked = AtomicUsize::new(0);
    let late = refused(404, "ResourceNotFoundException", "not found");
    let first = move |request: &SeenRequest| is_asked(request) && asked.fetch_add(1, Ordering::Relaxed) == 0;
    place.proxy.inject(Rule::new(late).when(first));
    let mut implicit = note();
    implicit["evaluations"][0]["evaluatedEffect"] = json!("IMPLICIT_DENY");
    implicit["evaluations"][0]["matchedPolicies"] = json!([]);
    place.proxy.inject(Rule::new(answer(200, &implicit)).when(is_asked));
    let why = told(&place).await.why.unwrap();
    let said = "AWS noted: nothing allows `dynamodb:PutItem` in what was looked at (service control policy)";
    assert!(why.ends_with(said), "{why}");
}

#[tokio::test]
async fn a_note_that_may_not_be_read() {
    let place = Place::new();
    let action = "iam:GetRequestAuthorizationDetails";
    let message = denials::words(
        action,
        "*",
        "because no identity-based policy allows the iam:GetRequestAuthorizationDetails action",
    );
    place.proxy.inject(Rule::new(refused(403, "AccessDeniedException", &message)).when(is_asked));
    let why = told(&place).await.why.unwrap();
    let said = "what AWS noted of it could not be read: `iam:GetRequestAuthorizationDetails` is refused";
    assert!(why.ends_with(said), "{why}");
}

/// Since November 2026 the statements stand in `checks`, one for each kind of policy.
#[tokio::test]
async fn what_each_kind_of_policy_did() {
    let scp = "arn:aws:organizations::999988887777:policy/o-a/service_control_policy/p-b";
    let target = "arn:aws:organizations::999988887777:ou/o-a/ou-c";
    let denied = json!([
        { "checkType": "PRINCIPAL", "evaluatedEffect": "ALLOW", "matchedPolicies": [{ "uri": "arn:aws:iam::aws:policy/All", "matchedStatements": [{ "sid": "All" }] }] },
        { "checkType": "SERVICE_CONTROL_POLICY", "evaluatedEffect": "EXPLICIT_DENY", "targetArn": target,
          "matchedPolicies": [{ "uri": scp, "matchedStatements": [{ "sid": "GuardRail" }] }] },
        { "checkType": "SESSION", "evaluatedEffect": "NO_IMPACT" },
    ]);
    let unnamed = json!([{ "checkType": "VPC_ENDPOINT", "evaluatedEffect": "EXPLICIT_DENY" }]);
    let lacking = json!([
        { "checkType": "PRINCIPAL", "evaluatedEffect": "ALLOW" },
        { "checkType": "PERMISSIONS_BOUNDARY", "evaluatedEffect": "IMPLICIT_DENY" },
    ]);
    let named = format!("`dynamodb:PutItem` is denied by `GuardRail` of {scp} (service control policy of {target})");
    for (effect, checks, said) in [
        ("EXPLICIT_DENY", denied, named.as_str()),
        ("EXPLICIT_DENY", unnamed, "`dynamodb:PutItem` is denied by a vpc endpoint"),
        ("EXPLICIT_DENY", json!([]), "a policy denies `dynamodb:PutItem`, and it does not say which"),
        (
            "IMPLICIT_DENY",
            lacking,
            "nothing allows `dynamodb:PutItem` in the policies of these kinds: permissions boundary",
        ),
        ("SOMETHING_NEW", json!([]), "`dynamodb:PutItem` is refused, and it does not say how"),
    ] {
        let place = Place::new();
        let mut note = note();
        note["evaluations"][0]["evaluatedEffect"] = json!(effect);
        note["evaluations"][0]["matchedPolicies"] = json!([]);
        note["evaluations"][0]["checks"] = checks;
        place.proxy.inject(Rule::new(answer(200, &note)).when(is_asked));
        let why = told(&place).await.why.unwrap();
        assert!(why.ends_with(&format!("AWS noted: {said}")), "{why}");
    }
}
