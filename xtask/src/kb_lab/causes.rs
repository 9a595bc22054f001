//! Requests of Terraform that one policy refuses in one way, and all others allow.

use serde_json::{Value, json};
use stateward_iam::{Layer, Outcome};

pub(super) const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/github-actions/run-42";
const USER: &str = "arn:aws:iam::111122223333:user/ci";
pub(super) const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";

/// What Terraform does.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) action: &'static str,
    /// The resource in the caller's own account.
    resource: &'static str,
}

pub(super) const TARGETS: &[Target] = &[
    target("lock-table-take", "dynamodb:PutItem", TABLE),
    target("lock-table-look", "dynamodb:GetItem", TABLE),
    target("lock-table-release", "dynamodb:DeleteItem", TABLE),
    target("state-read", "s3:GetObject", "arn:aws:s3:::tf-state/net/prod.tfstate"),
    target("state-write", "s3:PutObject", "arn:aws:s3:::tf-state/net/prod.tfstate"),
    target("state-list", "s3:ListBucket", "arn:aws:s3:::tf-state"),
    target("workspace-read", "s3:GetObject", "arn:aws:s3:::tf-state/env:/dev/net/prod.tfstate"),
    target("lock-file-take", "s3:PutObject", "arn:aws:s3:::tf-state/net/prod.tfstate.tflock"),
    target("lock-file-release", "s3:DeleteObject", "arn:aws:s3:::tf-state/net/prod.tfstate.tflock"),
    target("key-read", "kms:Decrypt", KEY),
    target("key-write", "kms:GenerateDataKey", KEY),
    target("role", "sts:AssumeRole", "arn:aws:iam::111122223333:role/terraform"),
];

const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/terraform-locks";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d";

const fn target(name: &'static str, action: &'static str, resource: &'static str) -> Target {
    Target { name, action, resource }
}

impl Target {
    pub(super) fn service(&self) -> &str {
        self.action.split(':').next().unwrap_or_default()
    }

    /// Whether the resource's own policy must allow, also within an account.
    fn needs_own_policy(&self) -> bool {
        matches!(self.service(), "kms" | "sts")
    }
}

/// A request that is refused.
#[derive(Debug)]
pub(super) struct Cause {
    pub(super) target: &'static Target,
    name: &'static str,
    pub(super) layer: Layer,
    pub(super) outcome: Outcome,
    pub(super) scenario: Value,
}

impl Cause {
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.target.name, self.name)
    }

    pub(super) fn request(&self, field: &str) -> &str {
        self.scenario["request"][field].as_str().unwrap_or_default()
    }

    pub(super) fn other_account(&self) -> bool {
        self.request("resource_account") != OWN
    }
}

/// All of them.
pub(super) fn all() -> Vec<Cause> {
    TARGETS.iter().flat_map(of).collect()
}

pub(super) fn statement(effect: &str, action: &str, resource: &str) -> Value {
    json!({ "Effect": effect, "Action": action, "Resource": resource })
}

pub(super) fn policy(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

pub(super) fn named(name: &str, statements: &[Value]) -> Value {
    json!({ "name": name, "policy": policy(statements) })
}

/// A statement of a policy of the resource. A trust policy has no `Resource`.
pub(super) fn own_statement(effect: &str, principal: &Value, target: &Target, resource: &str) -> Value {
    let mut statement = json!({ "Effect": effect, "Principal": principal, "Action": target.action });
    match target.service() {
        "sts" => {}
        "kms" => statement["Resource"] = "*".into(),
        _ => statement["Resource"] = resource.into(),
    }
    statement
}

/// The request with all that it needs.
pub(super) fn allowed(target: &Target) -> Value {
    let resource = target.resource;
    let mut scenario = json!({
        "request": {
            "principal": SESSION, "action": target.action, "resource": resource, "resource_account": OWN,
            "context": { "aws:SecureTransport": "true", "aws:RequestedRegion": "eu-west-1" },
        },
        "identity": [named("terraform", &[statement("Allow", target.action, resource)])],
    });
    if target.needs_own_policy() {
        let root = json!({ "AWS": format!("arn:aws:iam::{OWN}:root") });
        scenario["resource_policy"] = named("own", &[own_statement("Allow", &root, target, resource)]);
    }
    scenario
}

fn of(target: &'static Target) -> Vec<Cause> {
    let mut causes = identity(target);
    causes.extend(resource(target));
    causes.extend(limits(target));
    causes.extend(organization(target));
    causes
}

fn cause(
    target: &'static Target,
    name: &'static str,
    layer: Layer,
    outcome: Outcome,
    change: impl FnOnce(&mut Value),
) -> Cause {
    let mut scenario = allowed(target);
    change(&mut scenario);
    Cause { target, name, layer, outcome, scenario }
}

fn identity(target: &'static Target) -> Vec<Cause> {
    use Outcome::{ExplicitDeny, ImplicitDeny};
    let one = |name, outcome, change: &dyn Fn(&mut Value)| cause(target, name, Layer::Identity, outcome, change);
    let deny = statement("Deny", target.action, "*");
    let without_code = json!({
        "Effect": "Deny", "NotAction": ["iam:ListMFADevices", "sts:GetSessionToken"], "Resource": "*",
        "Condition": { "BoolIfExists": { "aws:MultiFactorAuthPresent": "false" } },
    });
    vec![
        one("identity-nothing", ImplicitDeny, &|scenario| scenario["identity"] = json!([])),
        one("identity-elsewhere", ImplicitDeny, &|scenario| {
            let elsewhere = statement("Allow", "ec2:*", "*");
            scenario["identity"] = json!([named("other", &[elsewhere])]);
        }),
        one("identity-deny", ExplicitDeny, &|scenario| {
            push(scenario, "identity", named("guard", std::slice::from_ref(&deny)));
        }),
        one("identity-deny-without-code", ExplicitDeny, &|scenario| {
            scenario["request"]["principal"] = USER.into();
            push(scenario, "identity", named("mfa", std::slice::from_ref(&without_code)));
        }),
    ]
}

fn resource(target: &'static Target) -> Vec<Cause> {
    use Outcome::{ExplicitDeny, ImplicitDeny};
    let one = |name, outcome, change: &dyn Fn(&mut Value)| cause(target, name, Layer::Resource, outcome, change);
    let owned = |scenario: &mut Value, statements: &[Value]| scenario["resource_policy"] = named("own", statements);
    let everybody = json!({ "AWS": "*" });
    let somebody = json!({ "AWS": format!("arn:aws:iam::{OWN}:role/somebody") });
    let mut causes = vec![
        one("resource-deny", ExplicitDeny, &|scenario| {
            let mut statements = vec![own_statement("Deny", &everybody, target, target.resource)];
            let own = scenario["resource_policy"]["policy"]["Statement"].as_array().cloned();
            statements.extend(own.into_iter().flatten());
            owned(scenario, &statements);
        }),
        one("resource-other-account", ImplicitDeny, &|scenario| {
            let resource = target.resource.replace(OWN, OTHER);
            scenario["request"]["resource"] = resource.as_str().into();
            scenario["request"]["resource_account"] = OTHER.into();
            scenario["identity"] = json!([named("terraform", &[statement("Allow", target.action, &resource)])]);
            let root = json!({ "AWS": format!("arn:aws:iam::{OTHER}:root") });
            owned(scenario, &[own_statement("Allow", &root, target, &resource)]);
        }),
    ];
    if target.needs_own_policy() {
        causes.push(one("resource-somebody-else", ImplicitDeny, &|scenario| {
            owned(scenario, &[own_statement("Allow", &somebody, target, target.resource)]);
        }));
    }
    causes
}

/// Boundary, session policy and endpoint: what does not grant, but limits.
fn limits(target: &'static Target) -> Vec<Cause> {
    const LIMITS: [(&str, Layer, &str, &str); 3] = [
        ("boundary", Layer::Boundary, "boundary-nothing", "boundary-deny"),
        ("session", Layer::Session, "session-nothing", "session-deny"),
        ("vpc_endpoint", Layer::VpcEndpoint, "endpoint-nothing", "endpoint-deny"),
    ];
    let one = |(field, layer, nothing, deny): (&'static str, Layer, &'static str, &'static str)| {
        let principal = |statement: Value| with_principal(statement, field == "vpc_endpoint");
        let elsewhere = principal(statement("Allow", "ec2:*", "*"));
        let (all, denied) = (principal(statement("Allow", "*", "*")), principal(statement("Deny", target.action, "*")));
        [
            cause(target, nothing, layer, Outcome::ImplicitDeny, |scenario| {
                scenario[field] = json!([named("limits", &[elsewhere])]);
            }),
            cause(target, deny, layer, Outcome::ExplicitDeny, |scenario| {
                scenario[field] = json!([named("limits", &[all, denied])]);
            }),
        ]
    };
    LIMITS.into_iter().flat_map(one).collect()
}

fn organization(target: &'static Target) -> Vec<Cause> {
    let full = || named("FullAWSAccess", &[statement("Allow", "*", "*")]);
    let listed = named("services in use", &[statement("Allow", "ec2:*", "*")]);
    let denied = named("guardrail", &[statement("Deny", target.action, "*")]);
    let refused = named("perimeter", &[with_principal(statement("Deny", target.action, "*"), true)]);
    vec![
        cause(target, "scp-nothing", Layer::Scp, Outcome::ImplicitDeny, |scenario| {
            scenario["scps"] = json!([[full()], [listed]]);
        }),
        cause(target, "scp-deny", Layer::Scp, Outcome::ExplicitDeny, |scenario| {
            scenario["scps"] = json!([[full()], [full(), denied]]);
        }),
        cause(target, "rcp-deny", Layer::Rcp, Outcome::ExplicitDeny, |scenario| {
            scenario["rcps"] = json!([[refused]]);
        }),
    ]
}

/// Policies on the side of the resource name who they are for.
pub(super) fn with_principal(mut statement: Value, wanted: bool) -> Value {
    if wanted {
        statement["Principal"] = "*".into();
    }
    statement
}

pub(super) fn push(scenario: &mut Value, field: &str, value: Value) {
    if let Some(list) = scenario[field].as_array_mut() {
        list.push(value);
    }
}
