//! The policies of a principal out of an account's details.

use serde_json::{Value, json};
use stateward_iam::{PolicySet, account_policies, is_account_details};

use crate::case::{FEDERATED, OTHER, SESSION, USER, allow, everything, something_else};

const MANAGED: &str = "arn:aws:iam::111122223333:policy/states";
const LIMIT: &str = "arn:aws:iam::aws:policy/PowerUserAccess";

/// A user in a group, a role with a path and a boundary, two managed policies.
fn details() -> Value {
    let managed = |arn: &str, policy: Value| {
        json!({"Arn": arn, "DefaultVersionId": "v2", "PolicyVersionList": [
            {"VersionId": "v1", "IsDefaultVersion": false, "Document": {"Statement": []}},
            {"VersionId": "v2", "IsDefaultVersion": true, "Document": policy},
        ]})
    };
    let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";
    json!({
        "UserDetailList": [{
            "UserName": "ci", "Arn": USER, "GroupList": ["ops"],
            "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": something_else()}],
            "AttachedManagedPolicies": [{"PolicyName": "states", "PolicyArn": MANAGED}],
        }],
        "GroupDetailList": [{
            "GroupName": "ops", "GroupPolicyList": [{"PolicyName": "group", "PolicyDocument": encoded}],
            "AttachedManagedPolicies": [],
        }],
        "RoleDetailList": [{
            "RoleName": "deploy", "Arn": "arn:aws:iam::111122223333:role/teams/deploy",
            "RolePolicyList": [{"PolicyName": "inline", "PolicyDocument": everything()}],
            "AttachedManagedPolicies": [],
            "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": LIMIT},
        }],
        "Policies": [managed(MANAGED, allow(&json!({"Action": "dynamodb:*"}))), managed(LIMIT, everything())],
    })
}

fn names(policies: &PolicySet) -> Vec<&str> {
    policies.identity.iter().map(|named| named.name.as_str()).collect()
}

#[test]
fn a_user_has_its_own_policies_and_those_of_its_groups() {
    let policies = account_policies(&details().to_string(), USER).expect("found");
    assert_eq!(names(&policies), ["own", MANAGED, "group"]);
    assert!(policies.identity.iter().all(|named| named.policy.statements().len() == 1), "the versions in force");
    assert!(policies.boundary.is_none());
}

#[test]
fn a_session_has_those_of_its_role_and_the_boundary() {
    let text = details().to_string();
    let policies = account_policies(&text, SESSION).expect("found");
    assert_eq!(names(&policies), ["inline"]);
    assert_eq!(policies.boundary.expect("a boundary")[0].name, LIMIT);
    assert!(account_policies(&text, "arn:aws:iam::111122223333:role/teams/deploy").is_ok());
    assert!(account_policies(&text, "arn:aws:iam::111122223333:role/deploy").is_err(), "a path is part of the ARN");
}

#[test]
fn what_is_not_there_is_never_taken_for_nothing() {
    let error = |details: &Value, principal: &str| {
        account_policies(&details.to_string(), principal).expect_err(principal).to_string()
    };
    let whole = details();
    let stranger = USER.replace("111122223333", OTHER);
    assert!(error(&whole, &stranger).contains("is no user or role of these details"));
    assert!(error(&whole, FEDERATED).contains("is no user or role of these details"));
    let mut less = details();
    less["Policies"] = json!([]);
    assert!(error(&less, USER).starts_with(&format!("`{MANAGED}` is attached and not in the details")));
    let mut less = details();
    less["GroupDetailList"] = json!([]);
    assert!(error(&less, USER).starts_with("`ops` is attached and not in the details"));
    assert_eq!(error(&json!({}), USER), "the account's details have no `UserDetailList` where AWS prints it");
    let mut wrong = details();
    wrong["UserDetailList"][0]["UserPolicyList"][0]["PolicyDocument"] = json!({"Statement": [{"Effect": "allow"}]});
    assert!(error(&wrong, USER).starts_with("the policy `own` is malformed: `Statement[0].Effect`: must be `Allow`"));
    assert!(account_policies("{", USER).is_err());
}

#[test]
fn details_are_told_from_policies() {
    assert!(is_account_details(&details().to_string()));
    assert!(!is_account_details(&everything().to_string()) && !is_account_details("{"));
}
