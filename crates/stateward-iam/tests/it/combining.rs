//! How policies of several kinds come to one decision.
//!
//! Unless a test names another page, its source is
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>.

use serde_json::{Value, json};

use crate::case::{
    ACCOUNT, Case, FEDERATED, KEY, OBJECT, OTHER, OTHER_TABLE, ROLE, ROOT, SESSION, TABLE, USER, allow, deny,
    everything, grants, policy, something_else, trusts,
};

fn aws(arn: &str) -> Value {
    json!({"AWS": arn})
}

#[test]
fn nothing_is_allowed_until_a_statement_allows_it() {
    assert_eq!(Case::new(USER).decision(), "implicit_deny:identity");
    assert_eq!(Case::new(USER).identity(something_else()).decision(), "implicit_deny:identity");
    assert_eq!(Case::new(USER).identity(something_else()).identity(everything()).decision(), "allowed");
}

/// Rule 1.
#[test]
fn an_explicit_deny_in_any_layer_refuses() {
    let open = Case::new(SESSION)
        .identity(everything())
        .boundary(everything())
        .session(everything())
        .resource_policy(grants(&json!("*")))
        .scps(&[everything()])
        .vpc_endpoint(grants(&json!("*")));
    assert_eq!(open.decision(), "allowed");
    let denies = deny(&json!({}));
    let denies_all = deny(&json!({"Principal": "*"}));
    for (case, layer) in [
        (open.clone().identity(denies.clone()), "identity"),
        (open.clone().boundary(denies.clone()), "boundary"),
        (open.clone().session(denies.clone()), "session"),
        (open.clone().resource_policy(denies_all.clone()), "resource"),
        (open.clone().scps(&[denies, everything()]), "scp"),
        (open.clone().rcps(std::slice::from_ref(&denies_all)), "rcp"),
        (open.vpc_endpoint(denies_all), "vpc_endpoint"),
    ] {
        assert_eq!(case.decision(), format!("explicit_deny:{layer}"));
    }
}

/// Rule 2: <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html>
#[test]
fn resource_control_policies_only_deny_and_only_in_services_that_have_them() {
    let denies = deny(&json!({"Principal": "*"}));
    let asks = |action, resource| Case::new(USER).asks(action, resource).identity(everything());
    // Each level has `RCPFullAWSAccess`, which nobody can detach.
    assert_eq!(asks("dynamodb:PutItem", TABLE).rcps(&[]).rcps(&[]).decision(), "allowed");
    let elsewhere = deny(&json!({"Principal": "*", "Action": "s3:*"}));
    assert_eq!(asks("dynamodb:PutItem", TABLE).rcps(&[elsewhere]).decision(), "allowed");
    let denied = asks("dynamodb:PutItem", TABLE).rcps(&[]).rcps(std::slice::from_ref(&denies));
    assert_eq!(denied.decision(), "explicit_deny:rcp");
    assert_eq!(asks("ec2:DescribeVpcEndpoints", "*").rcps(std::slice::from_ref(&denies)).decision(), "allowed");
    let linked = Case::new("arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForBackup/x").identity(everything());
    assert_eq!(linked.rcps(&[denies]).decision(), "allowed");
}

/// Rule 3: <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html>
#[test]
fn service_control_policies_must_allow_at_every_level() {
    let user = Case::new(USER).identity(everything());
    assert_eq!(user.clone().part("scps", json!([])).decision(), "allowed");
    assert_eq!(user.clone().scps(&[]).decision(), "implicit_deny:scp");
    assert_eq!(user.clone().scps(&[something_else(), everything()]).decision(), "allowed");
    assert_eq!(user.clone().scps(&[everything()]).scps(&[something_else()]).decision(), "implicit_deny:scp");
    let conditional = allow(&json!({"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}));
    let in_region = |region: &str| user.clone().context(json!({"aws:RequestedRegion": region}));
    assert_eq!(in_region("eu-west-1").scps(std::slice::from_ref(&conditional)).decision(), "allowed");
    assert_eq!(in_region("us-east-1").scps(&[conditional]).decision(), "implicit_deny:scp");
    assert_eq!(Case::new(ROOT).scps(&[something_else()]).decision(), "implicit_deny:scp");
}

/// Rule 3: <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>
#[test]
fn service_control_policies_spare_service_linked_roles_and_services() {
    for principal in [
        "arn:aws:iam::111122223333:role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup",
        "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForBackup/x",
    ] {
        assert_eq!(Case::new(principal).identity(everything()).scps(&[]).decision(), "allowed", "{principal}");
    }
    let service = "cloudtrail.amazonaws.com";
    let case = Case::new(service).resource_policy(grants(&json!({"Service": service})));
    assert_eq!(case.scps(&[]).decision(), "allowed");
}

/// Rule 4.
#[test]
fn within_an_account_the_resources_policy_can_stand_in() {
    for (principal, entry) in [
        (USER, aws(USER)),
        (USER, json!("*")),
        (USER, aws("*")),
        (SESSION, aws(SESSION)),
        (SESSION, aws(ROLE)),
        (ROLE, aws(ROLE)),
        (FEDERATED, aws(FEDERATED)),
    ] {
        assert_eq!(Case::new(principal).resource_policy(grants(&entry)).decision(), "allowed", "{entry}");
    }
}

/// Rule 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
#[test]
fn an_account_only_delegates() {
    for entry in [aws(ACCOUNT), aws(ROOT)] {
        let case = Case::new(USER).resource_policy(grants(&entry));
        assert_eq!(case.decision(), "implicit_deny:identity", "{entry}");
        assert_eq!(case.identity(everything()).decision(), "allowed", "{entry}");
    }
}

/// Rule 4.
#[test]
fn grants_to_a_user_or_session_are_not_limited_by_implicit_denies() {
    let user = Case::new(USER).resource_policy(grants(&aws(USER))).boundary(something_else());
    assert_eq!(user.decision(), "allowed");
    let session = Case::new(SESSION).boundary(something_else()).session(something_else());
    assert_eq!(session.clone().resource_policy(grants(&aws(SESSION))).decision(), "allowed");
    let federated = Case::new(FEDERATED).resource_policy(grants(&aws(FEDERATED))).session(something_else());
    assert_eq!(federated.decision(), "allowed");
    let by_key = allow(&json!({"Principal": "*", "Condition": {"ArnEquals": {"aws:PrincipalArn": ROLE}}}));
    assert_eq!(session.clone().resource_policy(by_key).decision(), "allowed");
    let denied = session.resource_policy(grants(&aws(SESSION))).boundary(deny(&json!({})));
    assert_eq!(denied.decision(), "explicit_deny:boundary");
}

/// Rule 4.
#[test]
fn grants_to_a_role_are_limited_by_boundary_and_session() {
    let session = Case::new(SESSION).resource_policy(grants(&aws(ROLE)));
    assert_eq!(session.clone().boundary(something_else()).decision(), "implicit_deny:boundary");
    assert_eq!(session.clone().session(something_else()).decision(), "implicit_deny:session");
    assert_eq!(session.boundary(everything()).session(everything()).decision(), "allowed");
}

/// Rule 4: <https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html>
#[test]
fn a_kms_key_is_opened_by_its_own_policy_alone() {
    let user = Case::new(USER).asks("kms:Decrypt", KEY);
    assert_eq!(user.clone().identity(everything()).decision(), "implicit_deny:resource");
    let others = grants(&aws("arn:aws:iam::111122223333:user/other"));
    assert_eq!(user.clone().identity(everything()).resource_policy(others).decision(), "implicit_deny:resource");
    assert_eq!(user.clone().resource_policy(grants(&aws(ROOT))).decision(), "implicit_deny:identity");
    assert_eq!(user.clone().resource_policy(grants(&aws(ROOT))).identity(everything()).decision(), "allowed");
    assert_eq!(user.clone().resource_policy(grants(&aws(USER))).decision(), "allowed");
    let listing = user.asks("kms:ListKeys", "*").identity(everything());
    assert_eq!(listing.decision(), "allowed", "no key, no key policy");
    let root = Case::new(ROOT).asks("kms:Decrypt", KEY);
    assert_eq!(root.clone().decision(), "implicit_deny:resource");
    assert_eq!(root.resource_policy(grants(&aws(ROOT))).decision(), "allowed");
}

/// Rule 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html>
#[test]
fn a_role_is_opened_by_its_trust_policy_alone() {
    let user = Case::new(USER).asks("sts:AssumeRole", ROLE);
    assert_eq!(user.clone().identity(everything()).decision(), "implicit_deny:resource");
    assert_eq!(user.clone().resource_policy(trusts(&aws(USER))).decision(), "allowed");
    let delegated = user.clone().resource_policy(trusts(&aws(ACCOUNT)));
    assert_eq!(delegated.decision(), "implicit_deny:identity");
    assert_eq!(delegated.identity(everything()).decision(), "allowed");
    let foreign = user.asks("sts:AssumeRole", "arn:aws:iam::444455556666:role/deploy");
    let trusted = foreign.resource_policy(trusts(&aws(ACCOUNT)));
    assert_eq!(trusted.decision(), "implicit_deny:identity");
    assert_eq!(trusted.identity(everything()).decision(), "allowed");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html>
#[test]
fn an_identity_provider_is_trusted_by_the_trust_policy() {
    let provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    let trust = |subject: &str| {
        json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": provider},
            "Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": subject}},
        }})
    };
    let case = Case::new(provider)
        .asks("sts:AssumeRoleWithWebIdentity", ROLE)
        .context(json!({"token.actions.githubusercontent.com:sub": "repo:acme/infra:ref:refs/heads/main"}));
    assert_eq!(case.clone().resource_policy(trust("repo:acme/infra:*")).decision(), "allowed");
    assert_eq!(case.resource_policy(trust("repo:acme/other:*")).decision(), "implicit_deny:resource");
}

/// Rules 6 and 7.
#[test]
fn boundary_and_session_policy_must_allow_too() {
    let session = Case::new(SESSION).identity(everything());
    assert_eq!(session.clone().boundary(something_else()).decision(), "implicit_deny:boundary");
    assert_eq!(session.clone().session(something_else()).decision(), "implicit_deny:session");
    assert_eq!(session.clone().session(something_else()).session(everything()).decision(), "allowed");
    assert_eq!(session.clone().part("boundary", json!([])).decision(), "implicit_deny:boundary");
    assert_eq!(session.clone().part("session", json!([])).decision(), "implicit_deny:session");
    assert_eq!(session.part("session", Value::Null).decision(), "allowed");
    let granting = Case::new(USER).boundary(everything());
    assert_eq!(granting.decision(), "implicit_deny:identity", "a boundary grants nothing");
}

/// Rule 7: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html>
#[test]
fn a_federated_user_needs_a_session_policy() {
    let federated = Case::new(FEDERATED).identity(everything());
    assert_eq!(federated.decision(), "implicit_deny:session");
    assert_eq!(federated.session(everything()).decision(), "allowed");
}

/// Rule 8: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html>
#[test]
fn across_accounts_both_sides_must_allow() {
    let foreign = Case::new(USER).asks("dynamodb:PutItem", OTHER_TABLE);
    assert_eq!(foreign.clone().identity(everything()).decision(), "implicit_deny:resource");
    for entry in [aws(USER), aws(ACCOUNT), json!("*")] {
        let case = foreign.clone().resource_policy(grants(&entry));
        assert_eq!(case.decision(), "implicit_deny:identity", "{entry}");
        assert_eq!(case.clone().identity(everything()).decision(), "allowed", "{entry}");
        let limited = case.identity(everything()).boundary(something_else());
        assert_eq!(limited.decision(), "implicit_deny:boundary", "{entry}");
    }
    let session = Case::new(SESSION).asks("dynamodb:PutItem", OTHER_TABLE).resource_policy(grants(&aws(SESSION)));
    assert_eq!(session.identity(everything()).session(something_else()).decision(), "implicit_deny:session");
    let bucket = Case::new(USER).asks("s3:GetObject", OBJECT).identity(everything());
    assert_eq!(bucket.clone().decision(), "allowed");
    assert_eq!(bucket.owned_by(OTHER).decision(), "implicit_deny:resource");
}

/// Rule 9: <https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html>
#[test]
fn an_endpoints_policy_must_allow_too() {
    let user = Case::new(USER).identity(everything());
    let elsewhere = allow(&json!({"Principal": "*", "Resource": "arn:aws:dynamodb:*:*:table/other"}));
    assert_eq!(user.clone().vpc_endpoint(elsewhere).decision(), "implicit_deny:vpc_endpoint");
    assert_eq!(user.clone().vpc_endpoint(grants(&json!("*"))).decision(), "allowed");
    assert_eq!(user.part("vpc_endpoint", json!([])).decision(), "implicit_deny:vpc_endpoint");
}

/// Rule 10.
#[test]
fn a_root_user_is_limited_by_the_organization_and_resources_alone() {
    let root = Case::new(ROOT);
    assert_eq!(root.decision(), "allowed");
    assert_eq!(root.clone().identity(deny(&json!({}))).boundary(something_else()).decision(), "allowed");
    assert_eq!(root.clone().resource_policy(deny(&json!({"Principal": "*"}))).decision(), "explicit_deny:resource");
    assert_eq!(
        root.clone().vpc_endpoint(allow(&json!({"Principal": "*", "Action": "s3:*"}))).decision(),
        "implicit_deny:vpc_endpoint"
    );
    assert_eq!(root.asks("dynamodb:PutItem", OTHER_TABLE).decision(), "implicit_deny:resource");
}

/// Rule 10: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>
#[test]
fn the_owners_root_user_can_repair_a_bucket_policy() {
    let bucket = "arn:aws:s3:::states";
    for action in ["PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy", "ListBucket"] {
        let case =
            Case::new(ROOT).asks(&format!("s3:{action}"), bucket).resource_policy(deny(&json!({"Principal": "*"})));
        let expected = if action == "ListBucket" { "explicit_deny:resource" } else { "allowed" };
        assert_eq!(case.decision(), expected, "{action}");
        assert_ne!(case.owned_by(OTHER).decision(), "allowed", "{action}");
    }
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
#[test]
fn nothing_refuses_get_caller_identity() {
    let case = Case::new(USER).asks("sts:GetCallerIdentity", "*").identity(deny(&json!({}))).scps(&[]);
    assert_eq!(case.decision(), "allowed");
}

#[test]
fn who_has_no_policies_of_their_own_needs_the_resources() {
    let service = "cloudtrail.amazonaws.com";
    let asks = |principal| Case::new(principal).asks("s3:GetObject", OBJECT).owned_by(ACCOUNT);
    assert_eq!(asks(service).decision(), "implicit_deny:resource");
    assert_eq!(asks(service).resource_policy(grants(&json!({"Service": service}))).decision(), "allowed");
    assert_eq!(asks(service).resource_policy(grants(&aws(ACCOUNT))).decision(), "implicit_deny:resource");
    for entry in [json!("*"), aws("*")] {
        assert_eq!(asks("*").resource_policy(grants(&entry)).decision(), "allowed", "{entry}");
    }
    assert_eq!(asks("*").resource_policy(grants(&aws(USER))).decision(), "implicit_deny:resource");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>
#[test]
fn not_principal_spares_whom_it_lists_in_all_their_forms() {
    let case = |principal: &str, listed: &[&str]| {
        let policy = deny(&json!({"NotPrincipal": {"AWS": listed}}));
        Case::new(principal).identity(everything()).resource_policy(policy)
    };
    let other_user = "arn:aws:iam::111122223333:user/other";
    for (principal, listed, expected) in [
        (USER, &[USER, ROOT][..], "allowed"),
        (USER, &[USER, ACCOUNT], "allowed"),
        (USER, &[other_user, ROOT], "explicit_deny:resource"),
        (USER, &[OTHER], "explicit_deny:resource"),
        (SESSION, &[SESSION, ROLE, ROOT], "allowed"),
        (SESSION, &[ROLE, ROOT], "explicit_deny:resource"),
        (ROOT, &[ROOT], "allowed"),
        // AWS: without the account it "might deny access to the entire account".
        (USER, &[USER], "depends:resource"),
        (SESSION, &[SESSION, ROOT], "depends:resource"),
    ] {
        assert_eq!(case(principal, listed).decision(), expected, "{principal} {listed:?}");
    }
    let answer = case(USER, &[USER]).answer();
    assert!(answer.errors.len() == 1 && answer.errors[0].contains("NotPrincipal"), "{answer:?}");
    let allows = allow(&json!({"NotPrincipal": {"AWS": [OTHER]}}));
    assert_eq!(Case::new(USER).resource_policy(allows).decision(), "allowed");
}

#[test]
fn an_answer_names_the_statements_that_made_it() {
    let identity = policy(&[
        json!({"Sid": "Locks", "Effect": "Allow", "Action": "dynamodb:*", "Resource": TABLE}),
        json!({"Sid": "NoDelete", "Effect": "Deny", "Action": "dynamodb:DeleteItem", "Resource": "*"}),
    ]);
    let case = Case::new(USER).identity(something_else()).identity(identity).scps(&[everything()]);
    let shown = |case: &Case| serde_json::to_value(case.answer()).expect("JSON");
    let allowed = shown(&case);
    assert_eq!(
        allowed,
        json!({"decision": "allowed", "layer": null, "depends_on": [], "possible": [], "errors": [], "statements": [
            {"layer": "identity", "policy": "identity", "statement": 0, "sid": "Locks", "effect": "Allow"},
            {"layer": "scp", "policy": "scp", "statement": 0, "sid": null, "effect": "Allow"},
        ]})
    );
    let denied = shown(&case.asks("dynamodb:DeleteItem", TABLE));
    assert_eq!(denied["layer"], "identity");
    assert_eq!(
        denied["statements"],
        json!([{"layer": "identity", "policy": "identity", "statement": 1, "sid": "NoDelete", "effect": "Deny"}])
    );
}
