//! What is advised about every text of the corpus of `stateward-denial`, and that each policy in it does what it is for.
#![expect(clippy::expect_used, reason = "tests fail by panicking, in helpers too")]

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};
use stateward_denial::{Effect, Kind, Layer, Mask, Problem};
use stateward_iam::{Outcome, PolicyKind, Severity};
use stateward_knowledge::advice::{Asked, Given, PolicyFor, Who, advise, explain};

const FILES: &[(&str, &str)] = &[
    ("context", include_str!("../../../stateward-denial/tests/data/context.toml")),
    ("clients", include_str!("../../../stateward-denial/tests/data/clients.toml")),
    ("terraform", include_str!("../../../stateward-denial/tests/data/terraform.toml")),
    ("others", include_str!("../../../stateward-denial/tests/data/others.toml")),
    ("records", include_str!("../../../stateward-denial/tests/data/records.toml")),
    ("tools", include_str!("../../../stateward-denial/tests/data/tools.toml")),
];

/// Every problem of the corpus, with the name of its text.
fn problems() -> Vec<(String, Problem)> {
    let mut problems = Vec::new();
    for (name, file) in FILES {
        let file: Value = toml::from_str(file).expect("the corpus");
        for text in file["text"].as_array().expect("texts") {
            let id = format!("{name}/{}", text["id"].as_str().expect("an ID"));
            let body = text["text"].as_str().expect("a text");
            problems.extend(stateward_denial::read(body.as_bytes()).into_iter().map(|problem| (id.clone(), problem)));
        }
    }
    problems
}

fn read(text: &str) -> Problem {
    let mut problems = stateward_denial::read(text.as_bytes());
    assert_eq!(problems.len(), 1, "{text}");
    problems.remove(0)
}

/// The scenario in which a policy has to allow what was refused: its own layer has it alone, and all others are open.
fn scenario(problem: &Problem, kind: PolicyFor, policy: &Value, action: &str) -> Value {
    let denial = problem.denial.as_ref().expect("a denial");
    let account = denial.principal.account.clone().unwrap_or_else(|| "111122223333".to_owned());
    let role = format!("arn:aws:iam::{account}:role/x");
    let principal = match &denial.principal.arn {
        Some(arn) if !arn.contains(['*', '<']) && !arn.contains("::cloudfront:") => arn.clone(),
        _ => denial.principal.name.clone().filter(|name| name.ends_with(".amazonaws.com")).unwrap_or(role),
    };
    let named = |policy: Value| json!([{"name": "one", "policy": policy}]);
    let everything = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let assumes = action.starts_with("sts:");
    let mut delegating = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "*"}});
    if !assumes {
        delegating["Statement"]["Resource"] = json!("*");
    }
    // What the text says, unless its words are no ARN: then what the policy says.
    let resource = match &denial.resource {
        Some(resource) if resource.starts_with("arn:") => resource.clone(),
        _ => policy["Statement"][0]["Resource"].as_str().unwrap_or("*").to_owned(),
    };
    let context = denial.prefix.as_ref().map_or_else(|| json!({}), |prefix| json!({"s3:prefix": prefix}));
    let mut scenario = json!({
        "request": {"principal": principal, "action": action, "resource": resource, "context": context},
        "identity": named(everything.clone()),
        "resource_policy": {"name": "open", "policy": delegating},
    });
    if denial.principal.arn.as_deref().is_some_and(|arn| arn.contains(":federated-user/")) {
        scenario["session"] = named(everything);
    }
    let (place, value) = match kind {
        PolicyFor::Identity => ("identity", named(policy.clone())),
        PolicyFor::Boundary => ("boundary", named(policy.clone())),
        PolicyFor::Session => ("session", named(policy.clone())),
        PolicyFor::Scp => ("scps", json!([named(policy.clone())])),
        PolicyFor::VpcEndpoint => ("vpc_endpoint", named(policy.clone())),
        PolicyFor::Resource | PolicyFor::Trust | PolicyFor::Key => {
            ("resource_policy", json!({"name": "one", "policy": policy}))
        }
    };
    scenario[place] = value;
    scenario
}

fn kind(kind: PolicyFor) -> PolicyKind {
    match kind {
        PolicyFor::Identity => PolicyKind::Identity,
        PolicyFor::Resource | PolicyFor::Key => PolicyKind::Resource,
        PolicyFor::Boundary => PolicyKind::Boundary,
        PolicyFor::Session => PolicyKind::Session,
        PolicyFor::Scp => PolicyKind::Scp,
        PolicyFor::VpcEndpoint => PolicyKind::VpcEndpoint,
        PolicyFor::Trust => PolicyKind::Trust,
    }
}

fn actions(policy: &Value) -> Vec<&str> {
    match &policy["Statement"][0]["Action"] {
        Value::String(action) => vec![action],
        actions => actions.as_array().expect("actions").iter().filter_map(Value::as_str).collect(),
    }
}

#[test]
fn every_policy_allows_what_was_refused_and_nothing_wider() {
    let (mut policies, mut wrong) = (0, String::new());
    for (id, problem) in problems() {
        for step in advise(&problem).steps {
            let (Some(policy), Some(for_what)) = (&step.policy, step.policy_for) else { continue };
            policies += 1;
            let refused = problem.denial.as_ref().and_then(|denial| denial.action.clone()).unwrap_or_default();
            let named = actions(policy);
            if !refused.is_empty() && !named.iter().any(|action| action.eq_ignore_ascii_case(&refused)) {
                let _ = writeln!(wrong, "{id}: {policy} is not about {refused}");
            }
            for action in named {
                let scenario = scenario(&problem, for_what, policy, action);
                let answer = stateward_iam::evaluate_json(&scenario.to_string());
                if !answer.as_ref().is_ok_and(|answer| answer.decision == Outcome::Allowed) {
                    let _ = writeln!(wrong, "{id}: {scenario}\n  {answer:?}");
                }
            }
            let findings = stateward_iam::lint(&policy.to_string(), kind(for_what));
            for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
                let _ = writeln!(wrong, "{id}: {policy}: {finding:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(policies >= 80, "{policies} policies");
}

#[test]
fn every_problem_has_something_to_do_and_says_why() {
    for (id, problem) in problems() {
        let advice = advise(&problem);
        assert!(!advice.title.is_empty() && advice.title.chars().count() <= 260, "{id}: {}", advice.title);
        assert!(!advice.why.is_empty() && !advice.steps.is_empty(), "{id}");
        let sentences = advice.steps.iter().flat_map(|step| [&step.step, &step.why]);
        for sentence in sentences.chain(advice.do_not.iter().map(|warning| &warning.why)) {
            assert!(sentence.ends_with(['.', '?', ')']), "{id}: {sentence}");
            assert!(!sentence.contains("  ") && !sentence.contains('\n'), "{id}: {sentence}");
        }
    }
}

#[test]
fn whatever_is_no_refusal_gets_no_policy() {
    for (id, problem) in problems().into_iter().filter(|(_, problem)| problem.kind != Kind::AccessDenied) {
        let advice = advise(&problem);
        assert!(advice.steps.iter().all(|step| step.policy.is_none()), "{id}");
    }
}

#[test]
fn an_explicit_deny_gets_no_policy_and_says_that_an_allow_does_not_help() {
    for (id, problem) in problems() {
        let Some(denial) = problem.denial.as_ref().filter(|denial| denial.effect == Effect::Explicit) else { continue };
        let advice = advise(&problem);
        // Of what opens the layer itself; a role's trust policy is looked at in any case.
        let opens = |for_what| !matches!(for_what, PolicyFor::Trust) || denial.layer != Layer::Unknown;
        let policies = advice.steps.iter().filter(|step| step.policy_for.is_some_and(opens)).count();
        assert!(policies == 0 || denial.layer == Layer::Unknown, "{id}: {advice:?}");
    }
}

#[test]
fn a_refused_lock_gets_all_three_rights_and_no_force_unlock() {
    let problem = read(
        "Error: Error acquiring the state lock\n\nError message: operation error DynamoDB: PutItem, https response error StatusCode: \
         400, RequestID: R, api error AccessDeniedException: User: arn:aws:iam::111122223333:user/ci is not authorized to perform: \
         dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/locks because no identity-based policy allows \
         the dynamodb:PutItem action",
    );
    let advice = advise(&problem);
    let first = &advice.steps[0];
    assert_eq!((first.who, first.policy_for), (Who::AccountAdmin, Some(PolicyFor::Identity)));
    assert_eq!(
        first.policy,
        Some(json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:DeleteItem"],
            "Resource": "arn:aws:dynamodb:eu-west-1:111122223333:table/locks"
        }]}))
    );
    assert!(advice.do_not.iter().any(|warning| warning.step.contains("force-unlock")));
    assert!(advice.do_not.iter().any(|warning| warning.step.contains("-lock=false")));
}

#[test]
fn of_a_held_lock_its_evidence_is_looked_at_before_it_is_removed() {
    let held = |path: &str, id: &str| {
        read(&format!(
            "Error: Error acquiring the state lock\n\nError message: operation error S3: PutObject, https response error StatusCode: 412, \
             RequestID: R, HostID: H, api error PreconditionFailed: At least one of the pre-conditions you specified did not hold\n\
             Lock Info:\n  ID:        {id}\n  Path:      {path}\n  Operation: OperationTypeApply\n  Who:       ana@laptop\n  \
             Version:   1.15.5\n  Created:   2026-03-01 10:00:00 +0000 UTC\n  Info:      \n"
        ))
    };
    let steps = |problem: &Problem| advise(problem).steps.into_iter().map(|step| step.step).collect::<Vec<_>>();
    let id = "4c2f4a54-3d1f-4c0a-8d2e-6f2b1a7e9c11";
    let told = steps(&held("acme-state/net/prod.tfstate", id));
    let at =
        |words: &str| told.iter().position(|step| step.contains(words)).unwrap_or_else(|| panic!("{words}: {told:?}"));
    let looked = at("`stateward lock inspect 's3://acme-state/net/prod.tfstate?use_lockfile=true'`");
    let released = at(&format!("`stateward lock inspect . --release --id {id}`"));
    assert!(looked < released && released < at(&format!("`terraform force-unlock {id}`")), "{told:?}");
    assert!(told[looked].contains("`stateward lock inspect .`"), "{told:?}");
    // A name can be anything: it stays one word of the command.
    let told = steps(&held("acme-state/it's.tfstate", id));
    assert!(told.iter().any(|step| step.contains(r"'s3://acme-state/it'\''s.tfstate?use_lockfile=true'")), "{told:?}");
    // A file on a disk is no place in a bucket.
    assert!(!steps(&held("terraform.tfstate", id)).iter().any(|step| step.contains("lock inspect")));
    let do_not = advise(&held("acme-state/k", id)).do_not;
    assert!(do_not.iter().any(|warning| warning.step.contains("`force-unlock` without having seen")), "{do_not:?}");
}

#[test]
fn of_a_digest_that_does_not_fit_both_sides_are_compared_before_one_is_written() {
    let problem = read(
        "Error: Error refreshing state: state data in S3 does not have the expected content.\n\nThe checksum calculated for the state \
         stored in S3 does not match the checksum stored in DynamoDB.\n\nBucket: acme-state\nKey:    net/prod.tfstate\nCalculated \
         checksum: 1a79a4d60de6718e8e5b326e338ae533\nStored checksum:     d41d8cd98f00b204e9800998ecf8427e\n",
    );
    assert_eq!(problem.kind, Kind::DigestMismatch);
    let steps: Vec<String> = advise(&problem).steps.into_iter().map(|step| step.step).collect();
    let at = |words: &str| {
        steps.iter().position(|step| step.contains(words)).unwrap_or_else(|| panic!("{words}: {steps:?}"))
    };
    assert!(at("`stateward state repair . --dry-run`") < at("`acme-state/net/prod.tfstate-md5`"), "{steps:?}");
}

#[test]
fn of_a_bucket_that_is_not_there_the_command_that_makes_it_is_told() {
    let problem = read(
        "Error: Failed to get existing workspaces: S3 bucket \"acme-state\" does not exist.\n\nThe referenced S3 bucket must have been \
         previously created.\n\nError: operation error S3: ListObjectsV2, https response error StatusCode: 404, RequestID: \
         AAAAAAAAAAAAAAA1, HostID: abc=, NoSuchBucket: \n",
    );
    assert_eq!(problem.kind, Kind::NotFound);
    let steps = advise(&problem).steps;
    assert!(steps[0].step.contains("`stateward setup aws --bucket acme-state`"), "{steps:?}");
}

#[test]
fn who_can_do_it_follows_from_the_layer() {
    let refused = |context: &str| {
        format!(
            "User: arn:aws:sts::111122223333:assumed-role/ci/run is not authorized to perform: dynamodb:GetItem on resource: \
             arn:aws:dynamodb:eu-west-1:111122223333:table/locks {context}"
        )
    };
    for (context, who, policy) in [
        ("because no identity-based policy allows the dynamodb:GetItem action", Who::AccountAdmin, true),
        ("because no resource-based policy allows the dynamodb:GetItem action", Who::ResourceOwner, true),
        ("because no permissions boundary allows the dynamodb:GetItem action", Who::AccountAdmin, true),
        ("because no session policy allows the dynamodb:GetItem action", Who::You, true),
        ("because no service control policy allows the dynamodb:GetItem action", Who::OrganizationAdmin, true),
        ("because no VPC endpoint policy allows the dynamodb:GetItem action", Who::NetworkAdmin, true),
        ("with an explicit deny in an identity-based policy", Who::AccountAdmin, false),
        ("with an explicit deny in a resource-based policy", Who::ResourceOwner, false),
        ("with an explicit deny in a permissions boundary", Who::AccountAdmin, false),
        ("with an explicit deny in a session policy", Who::You, false),
        ("with an explicit deny in a resource control policy", Who::OrganizationAdmin, false),
        ("with an explicit deny in a VPC endpoint policy", Who::NetworkAdmin, false),
    ] {
        let advice = advise(&read(&refused(context)));
        assert_eq!((advice.steps[0].who, advice.steps[0].policy.is_some()), (who, policy), "{context}");
    }
    let scp = advise(&read(&refused("with an explicit deny in a service control policy")));
    assert!(scp.steps.iter().any(|step| step.who == Who::OrganizationAdmin && step.policy.is_none()), "{scp:?}");
}

#[test]
fn what_is_blacked_out_or_not_named_gets_no_policy() {
    for text in [
        "User: arn:aws:sts::***:assumed-role/x/y is not authorized to perform: ecs:UpdateService on resource: \
         arn:aws:ecs:us-west-2:***:service/shop/service because no identity-based policy allows the ecs:UpdateService action",
        "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: kms:Decrypt on this resource because no identity-based \
         policy allows the kms:Decrypt action",
        "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
    ] {
        assert!(advise(&read(text)).steps.iter().all(|step| step.policy.is_none()), "{text}");
    }
    let list = advise(&read(
        "An error occurred (AccessDeniedException) when calling the ListTables operation: User: arn:aws:iam::111122223333:user/ci is \
         not authorized to perform: dynamodb:ListTables because no identity-based policy allows the dynamodb:ListTables action",
    ));
    assert_eq!(list.steps[0].policy.as_ref().expect("a policy")["Statement"][0]["Resource"], "*");
}

#[test]
fn a_name_that_may_go_on_gets_no_policy_and_the_whole_text_is_asked_for() {
    let core = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: ";
    for (text, name) in [
        ("dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/tf-lo", "table/tf-lo"),
        ("kms:Decrypt on resource: arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12a\n", "key/1234abcd-12a"),
        ("s3:ListAllMyBuckets", "s3:ListAllMyBuckets"),
        ("s3:Ge", "s3:Ge"),
    ] {
        let advice = advise(&read(&format!("{core}{text}")));
        assert!(advice.steps.iter().all(|step| step.policy.is_none()), "{text}");
        assert!(advice.steps[0].step.contains(&format!("ends behind `{name}`")), "{advice:?}");
        assert!(advice.title.contains(&format!("{name}…`")), "{}", advice.title);
    }
    // In quotes it is whole.
    let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/tf-locks";
    let advice = advise(&read(&format!("{core}dynamodb:PutItem on resource: \"{table}\"")));
    let policies: Vec<&Value> = advice.steps.iter().filter_map(|step| step.policy.as_ref()).collect();
    assert_eq!(policies[0]["Statement"][0]["Resource"], table);
}

#[test]
fn no_text_that_is_cut_gets_a_policy_for_what_the_whole_does_not_name() {
    let mut wrong = String::new();
    for (name, file) in FILES {
        let file: Value = toml::from_str(file).expect("the corpus");
        for text in file["text"].as_array().expect("texts") {
            let body = text["text"].as_str().expect("a text");
            let whole: Vec<Asked> =
                stateward_denial::read_whole(body.as_bytes()).iter().filter_map(Asked::of).collect();
            let is_known = |statement: &Value| {
                let policy = json!({"Statement": [statement]});
                let first = actions(&policy)[0].to_owned();
                // A key's and a role's own policy do not name it; and some actions take no resource.
                let resource = statement["Resource"].as_str().unwrap_or("*").to_owned();
                let is_asked =
                    |asked: &Asked| asked.actions.contains(&first) && (resource == "*" || resource == asked.pattern());
                let takes_none = resource == "*" && body.contains(first.rsplit(':').next().unwrap_or_default());
                takes_none || whole.iter().any(is_asked)
            };
            for end in 0..body.len() {
                let steps = stateward_denial::read(&body.as_bytes()[..end])
                    .into_iter()
                    .flat_map(|problem| advise(&problem).steps);
                let mut statements = steps.filter_map(|step| Some(step.policy?["Statement"][0].clone()));
                if let Some(new) = statements.find(|statement| !is_known(statement)) {
                    let _ = writeln!(wrong, "{name}/{} cut at {end}: {new}, of {whole:?}", text["id"]);
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_right_that_is_worth_more_than_it_says_gets_a_warning_and_the_safe_course() {
    for (action, resource, layer, course) in [
        ("iam:PutUserPolicy", "user a", "identity-based", "iam:PermissionsBoundary"),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/Admin", "identity-based", "iam:PassedToService"),
        ("kms:PutKeyPolicy", "arn:aws:kms:eu-west-1:111122223333:key/1", "resource-based", "owner"),
        ("kms:CreateGrant", "arn:aws:kms:eu-west-1:111122223333:key/1", "identity-based", "kms:GrantIsForAWSResource"),
        ("s3:PutBucketPolicy", "\"arn:aws:s3:::b\"", "permissions boundary", "owner"),
        ("dynamodb:DeleteTable", "arn:aws:dynamodb:eu-west-1:111122223333:table/t", "session", "by hand"),
    ] {
        let kind = if layer.ends_with("boundary") { layer.to_owned() } else { format!("{layer} policy") };
        let text = format!(
            "User: arn:aws:iam::111122223333:user/a is not authorized to perform: {action} on resource: {resource} because no {kind} \
             allows the {action} action"
        );
        let advice = advise(&read(&text));
        assert!(advice.steps.iter().all(|step| step.policy.is_none()), "{action}: {advice:?}");
        assert!(advice.steps[0].step.contains(course), "{action}: {:?}", advice.steps[0]);
        assert!(advice.do_not.iter().any(|warning| warning.step.contains(action)), "{action}: {:?}", advice.do_not);
    }
}

#[test]
fn nothing_is_attached_to_a_role_that_a_service_made_for_itself() {
    let advice = advise(&read(
        "User: arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/x is not authorized to perform: kms:Decrypt on \
         resource: arn:aws:kms:eu-west-1:111122223333:key/1 because no identity-based policy allows the kms:Decrypt action",
    ));
    assert!(advice.steps.iter().all(|step| step.policy.is_none() && !step.step.starts_with("Attach")), "{advice:?}");
    assert!(advice.steps[0].step.contains("AWS alone changes"), "{advice:?}");
}

#[test]
fn characters_that_mean_something_in_policies_are_written_out() {
    let advice = advise(&read(
        "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:GetObject on resource: \
         \"arn:aws:s3:::b/what?/${x}/*\" because no identity-based policy allows the s3:GetObject action",
    ));
    let policy = advice.steps[0].policy.as_ref().expect("a policy");
    assert_eq!(policy["Statement"][0]["Resource"], "arn:aws:s3:::b/what${?}/${$}{x}/${*}");
}

/// A bucket has the states of others, too, and whoever may list all of it sees their names.
#[test]
fn a_listing_is_allowed_for_the_names_that_were_asked_for() {
    let terraform = |words: &str, how: &str| {
        format!(
            "Error: {words}: operation error S3: ListObjectsV2, https response error StatusCode: 403, RequestID: A, HostID: B, \
             api error AccessDenied: User: arn:aws:sts::111122223333:assumed-role/ci/run is not authorized to perform: s3:ListBucket on \
             resource: \"arn:aws:s3:::tf-state\" because no {how} allows the s3:ListBucket action"
        )
    };
    let record = |operation: &str, parameters: &Value| {
        let message = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:ListBucket on resource: \
                       \"arn:aws:s3:::tf-state\" because no identity-based policy allows the s3:ListBucket action";
        json!({"eventSource": "s3.amazonaws.com", "eventName": operation, "errorCode": "AccessDenied", "errorMessage": message,
               "requestParameters": parameters}).to_string()
    };
    let listing = "Unable to list objects in S3 bucket \"tf-state\" with prefix \"env:/\"";
    let object = "Unable to access object \"net/${a}.tfstate\" in S3 bucket \"tf-state\"";
    for (text, prefix) in [
        (terraform(listing, "identity-based policy"), json!("env:/")),
        (terraform(listing, "permissions boundary"), json!("env:/")),
        (terraform(listing, "session policy"), json!("env:/")),
        (terraform(listing, "VPC endpoint policy"), json!("env:/")),
        (terraform(listing, "resource-based policy"), json!("env:/")),
        (terraform(object, "identity-based policy"), json!("net/${$}{a}.tfstate")),
        (terraform("Unable to list objects in S3 bucket \"tf-state\"", "identity-based policy"), Value::Null),
        // Of something else.
        (terraform(&format!("{listing}: whatever. Another one"), "identity-based policy"), Value::Null),
        (record("ListObjects", &json!({"bucketName": "tf-state", "prefix": "env:/"})), json!("env:/")),
        (record("GetObject", &json!({"bucketName": "tf-state", "key": "net/a.tfstate"})), json!("net/a.tfstate")),
        (record("ListObjects", &json!({"bucketName": "tf-state"})), Value::Null),
    ] {
        let problem = read(&text);
        let advice = advise(&problem);
        let step =
            advice.steps.iter().find(|step| step.policy.is_some()).unwrap_or_else(|| panic!("{text} {advice:?}"));
        let policy = step.policy.as_ref().expect("a policy");
        let statement = &policy["Statement"][0];
        assert_eq!(statement["Condition"]["StringEquals"]["s3:prefix"], prefix, "{text}\n{policy}");
        let mut scenario = scenario(&problem, step.policy_for.expect("a kind"), policy, "s3:ListBucket");
        let decided =
            |scenario: &Value| stateward_iam::evaluate_json(&scenario.to_string()).expect("an answer").decision;
        assert_eq!(decided(&scenario), Outcome::Allowed, "{scenario}");
        scenario["request"]["context"] = json!({"s3:prefix": "others/"});
        // Within the account, the policies of whoever asked, which are open here, let it through as well.
        let is_open = prefix.is_null() || step.policy_for == Some(PolicyFor::Resource);
        assert_eq!(decided(&scenario) == Outcome::Allowed, is_open, "{scenario}");
    }
    // What is known of one of two is not known of both.
    let both =
        [record("ListObjects", &json!({"prefix": "a/"})), record("ListObjects", &json!({"prefix": "b/"}))].join("\n");
    let problem = read(&both);
    assert_eq!((problem.count, problem.denial.and_then(|denial| denial.prefix)), (2, None));
}

#[test]
fn the_roles_of_permission_sets_are_not_named_as_principals() {
    let advice = advise(&read(
        "User: arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0123456789abcdef/ana is not authorized to perform: \
         secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:444455556666:secret:x because no resource-based \
         policy allows the secretsmanager:GetSecretValue action",
    ));
    let statement = &advice.steps[0].policy.as_ref().expect("a policy")["Statement"][0];
    assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::111122223333:root");
    assert_eq!(
        statement["Condition"]["ArnLike"]["aws:PrincipalArn"],
        json!([
            "arn:aws:iam::111122223333:role/AWSReservedSSO_Dev_0123456789abcdef",
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Dev_0123456789abcdef"
        ])
    );
    assert!(advice.steps[1].step.contains("IAM Identity Center"), "{advice:?}");
}

#[test]
fn known_policies_tell_what_refuses_next() {
    let problem = read(
        "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::tf/prod\" \
         because no identity-based policy allows the s3:PutObject action",
    );
    let mut given = Given::default();
    let statement = |statement: Value| json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let reads = statement(json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}));
    let all = statement(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
    let regions = statement(json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Sid": "Regions", "Effect": "Deny", "Action": "*", "Resource": "*",
         "Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}}
    ]));
    let tls = statement(
        json!({"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::tf/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
    );
    for (name, text, kind) in [
        ("reads", &reads, PolicyKind::Identity),
        ("wide", &all, PolicyKind::Boundary),
        ("regions", &regions, PolicyKind::Scp),
        ("bucket", &tls, PolicyKind::Resource),
    ] {
        given.add(kind, &[(name, text.as_str())]).expect("a policy");
    }
    let predicted = serde_json::to_value(explain(problem, None, Some(&given), None).predicted).expect("JSON");
    let summary: Vec<(&str, &str)> = predicted
        .as_array()
        .expect("layers")
        .iter()
        .map(|layer| (layer["layer"].as_str().unwrap_or_default(), layer["decision"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        summary,
        [("identity", "implicit_deny"), ("resource", "allowed"), ("boundary", "allowed"), ("scp", "depends")]
    );
    assert_eq!(predicted[3]["depends_on"], json!(["aws:RequestedRegion"]));
    assert_eq!(predicted[3]["statements"][0]["sid"], "Regions");
    assert!(given.add(PolicyKind::Scp, &[("broken", "{")]).is_err());
}

#[test]
fn a_control_policy_that_only_denies_stands_beside_full_access() {
    let text = |context: &str| {
        read(&format!(
            "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::tf/prod\" {context}"
        ))
    };
    let statement = |effect: &str, action: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": action, "Resource": "*"}}).to_string()
    };
    let predicted = |context: &str, kind, policy: &str| {
        let mut given = Given::default();
        given.add(kind, &[("one", policy)]).expect("a policy");
        let mut all = explain(text(context), None, Some(&given), None).predicted;
        assert_eq!(all.len(), 1);
        all.remove(0)
    };
    let implicit = "because no identity-based policy allows the s3:PutObject action";
    let other = predicted(implicit, PolicyKind::Scp, &statement("Deny", "dynamodb:DeleteItem"));
    assert_eq!(other.decision, Outcome::Allowed);
    assert!(other.notes[0].contains("FullAWSAccess"), "{other:?}");
    let same = predicted(implicit, PolicyKind::Scp, &statement("Deny", "s3:Put*"));
    assert_eq!(same.decision, Outcome::ExplicitDeny);
    // What the given policy allows, and the text says that the layer refused, is another policy's doing.
    let unlike = predicted(implicit, PolicyKind::Identity, &statement("Allow", "s3:*"));
    assert!(
        unlike.decision == Outcome::Allowed && unlike.notes[0].contains("another policy is in force"),
        "{unlike:?}"
    );
    let unlike = predicted(
        "with an explicit deny in a service control policy",
        PolicyKind::Scp,
        &statement("Deny", "dynamodb:DeleteItem"),
    );
    assert!(unlike.notes.iter().any(|note| note.contains("another policy is in force")), "{unlike:?}");
}

#[test]
fn an_account_s_details_have_the_policies_of_whoever_asked() {
    let problem = read(
        "User: arn:aws:sts::111122223333:assumed-role/ci/run is not authorized to perform: s3:PutObject on resource: \
         \"arn:aws:s3:::tf/prod\" because no identity-based policy allows the s3:PutObject action",
    );
    let policy = |actions: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
    let details = json!({
        "UserDetailList": [], "GroupDetailList": [],
        "RoleDetailList": [{"Arn": "arn:aws:iam::111122223333:role/ci", "RolePolicyList": [
            {"PolicyName": "own", "PolicyDocument": policy("s3:*")}], "AttachedManagedPolicies": [],
            "PermissionsBoundary": {"PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/limit"}}],
        "Policies": [{"Arn": "arn:aws:iam::111122223333:policy/limit", "PolicyVersionList": [
            {"Document": policy("s3:Get*"), "IsDefaultVersion": true, "VersionId": "v1"}]}]
    });
    let mut given = Given::default();
    assert!(given.add_details(&details.to_string()) && !given.add_details(&policy("*").to_string()));
    let predicted = explain(problem, None, Some(&given), None).predicted;
    let summary: Vec<String> = predicted.iter().map(|one| format!("{} {:?}", one.layer, one.decision)).collect();
    assert_eq!(summary, ["identity Allowed", "boundary ImplicitDeny"]);
}

proptest! {
    #[test]
    fn no_name_of_whoever_asked_is_shared(
        name in "[a-z]{2}[0-9]{3}[a-z.@+=,_-]{0,4}[a-z]{2}",
        role in "[a-z]{2}[0-9]{3}[a-z_-]{0,4}[a-z]{2}",
        resource in prop::sample::select(&[
            "arn:aws:s3:::homes/NAME/x", "user NAME", "role ROLE", "arn:aws:iam::111122223333:role/team/ROLE", "arn:aws:s3:::NAME",
        ][..]),
        who in prop::sample::select(&[
            "arn:aws:iam::111122223333:user/NAME", "arn:aws:iam::111122223333:user/team/NAME", "arn:aws:iam::111122223333:role/NAME",
            "arn:aws:sts::111122223333:assumed-role/ROLE/NAME", "arn:aws:sts::111122223333:federated-user/NAME",
            "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ROLE_0123456789abcdef/NAME", "AROAEXAMPLEEXAMPLE01:NAME",
        ][..]),
        why in prop::sample::select(&[
            "because no identity-based policy allows the ACTION action", "because no resource-based policy allows the ACTION action",
            "because no permissions boundary allows the ACTION action", "because no session policy allows the ACTION action",
            "because no VPC endpoint policy allows the ACTION action", "with an explicit deny in a service control policy", "",
        ][..]),
        action in prop::sample::select(&["s3:GetObject", "iam:GetRole", "sts:AssumeRole", "iam:PassRole", "kms:Decrypt"][..]),
    ) {
        let text = format!("User: {who} is not authorized to perform: ACTION on resource: \"{resource}\" {why}\n\n");
        let text = text.replace("NAME", &name).replace("ROLE", &role).replace("ACTION", action);
        let lock = format!("Lock Info:\n  ID: 6f1c\n  Path: b/{name}/k\n  Who: {name}\n");
        let problems = stateward_denial::read(format!("{lock}\n\n{text}").as_bytes());
        prop_assert_eq!(problems.len(), 2);
        let mut mask = Mask::new();
        problems.iter().for_each(|problem| mask.learn(problem));
        for problem in problems {
            let shared = serde_json::to_string(&explain(problem, None, None, Some(&mut mask))).expect("JSON");
            let has_role = who.contains("ROLE") || resource.starts_with("role ") || resource.contains(":role/");
            prop_assert!(!shared.contains(&name), "{} in {}", name, shared);
            prop_assert!(!has_role || !shared.contains(&role), "{} in {}", role, shared);
        }
    }
}

#[test]
fn an_explanation_has_the_shape_that_scripts_rely_on() {
    let problem = read(
        "An error occurred (AccessDenied) when calling the GetObject operation: User: arn:aws:iam::111122223333:user/ci is not \
         authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::tf/prod\" with an explicit deny in a resource-based policy",
    );
    let value = serde_json::to_value(explain(problem, Some("aws/x"), None, None)).expect("JSON");
    for field in ["kind", "title", "entry", "count", "denial", "why", "certain", "also_possible", "do", "do_not"] {
        assert!(!value[field].is_null(), "{field} in {value}");
    }
    assert_eq!(value["entry"], "aws/x");
    assert_eq!(
        value["do"][0].as_object().expect("a step").keys().collect::<Vec<_>>(),
        ["step", "who", "why", "policy_for", "policy"]
    );
    assert_eq!(value["do"][0]["policy"], Value::Null);
}

/// What a run has made is in a file alone: whoever only tries again has it made twice.
#[test]
fn what_kept_a_state_from_being_stored() {
    for (tool, refusal) in [
        (
            "Terraform",
            "api error AccessDenied: User:\n│ arn:aws:iam::111122223333:user/ci is not authorized to perform: s3:PutObject\n│ on resource: \
             \"arn:aws:s3:::states/net.tfstate\" because no\n│ identity-based policy allows the s3:PutObject action",
        ),
        ("OpenTofu", "api error ExpiredToken: The provided token has expired."),
    ] {
        let text = format!(
            "╷\n│ Error: Failed to save state\n│ \n│ Error saving state: failed to upload state: operation error S3: PutObject, https\n│ response \
             error StatusCode: 403, RequestID: D74E651CBB338F4E, HostID:, {refusal}\n╵\n╷\n│ Error: Failed to persist state to backend\n│ \n│ The \
             error shown above has prevented {tool} from writing the updated state\n│ to the configured backend. To allow for recovery, the state \
             has been written\n│ to the file \"errored.tfstate\" in the current working directory.\n╵\n"
        );
        let problem = read(&text);
        assert!(problem.unsaved, "{text}");
        let advice = advise(&problem);
        assert!(advice.steps[0].step.contains("Keep `errored.tfstate`"), "{:?}", advice.steps);
        assert!(!advice.steps.iter().any(|step| step.step.starts_with("Try again")), "{:?}", advice.steps);
        assert!(advice.do_not.iter().any(|warning| warning.step.starts_with("`apply`")), "{:?}", advice.do_not);
        let saved = text.split("╷\n│ Error: Failed to persist").next().expect("a part");
        assert!(!read(saved).unsaved && !advise(&read(saved)).steps[0].step.contains("errored"), "{saved}");
    }
}
