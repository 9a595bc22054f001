//! Policies that allow what was refused, each run through the evaluator before it is proposed.

use serde_json::{Value, json};
use stateward_denial::{Denial, PrincipalType};
use stateward_iam::{Named, Outcome, Policy, PolicyKind, PolicySet, Request};

use super::PolicyFor;
use super::asked::{Asked, account_of, has_policies, permission_set, role_name};

/// The policy of a kind for a request, if there is one and it allows it.
pub(super) fn propose(kind: PolicyFor, asked: &Asked, denial: &Denial) -> Option<(PolicyFor, Value)> {
    let of_principal = matches!(kind, PolicyFor::Identity | PolicyFor::Boundary | PolicyFor::Session | PolicyFor::Scp);
    if of_principal && !has_policies(denial) {
        return None;
    }
    let action = one_or_more(&asked.actions);
    let mut statement = match kind {
        PolicyFor::Identity | PolicyFor::Boundary | PolicyFor::Session | PolicyFor::Scp => {
            json!({"Effect": "Allow", "Action": action, "Resource": asked.pattern()})
        }
        PolicyFor::VpcEndpoint => {
            let mut statement =
                json!({"Effect": "Allow", "Principal": "*", "Action": action, "Resource": asked.pattern()});
            // In the policy of a gateway endpoint, `Principal` is not taken into account but for `*`.
            let who = principal_arns(asked, denial)?;
            statement["Condition"] = json!({"ArnLike": {"aws:PrincipalArn": one_or_more(&who)}});
            statement
        }
        PolicyFor::Trust => {
            with_principal(asked, denial, |who| json!({"Effect": "Allow", "Principal": who, "Action": action}))?
        }
        // A key's policy is about the key that it stands in.
        PolicyFor::Key => with_principal(
            asked,
            denial,
            |who| json!({"Effect": "Allow", "Principal": who, "Action": action, "Resource": "*"}),
        )?,
        PolicyFor::Resource => with_principal(
            asked,
            denial,
            |who| json!({"Effect": "Allow", "Principal": who, "Action": action, "Resource": asked.pattern()}),
        )?,
    };
    asked.limit(&mut statement);
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    allows(kind, &policy, asked).then_some((kind, policy))
}

/// A statement that names who asked, in the way in which such policies name them.
fn with_principal(asked: &Asked, denial: &Denial, statement: impl Fn(Value) -> Value) -> Option<Value> {
    let arns = principal_arns(asked, denial);
    match denial.principal.kind {
        PrincipalType::Service => Some(statement(json!({"Service": denial.principal.name.as_deref()?}))),
        // The roles of permission sets come and go with their assignments, and a policy that names one breaks with it.
        _ if permission_set(denial).is_some() => {
            let root = format!("arn:{}:iam::{}:root", asked.partition, asked.account);
            let mut statement = statement(json!({"AWS": root}));
            statement["Condition"] = json!({"ArnLike": {"aws:PrincipalArn": one_or_more(&arns?)}});
            Some(statement)
        }
        _ => Some(statement(json!({"AWS": arns?.first()?}))),
    }
}

/// `aws:PrincipalArn` of whoever asked; what a session does not tell is the path of its role.
fn principal_arns(asked: &Asked, denial: &Denial) -> Option<Vec<String>> {
    let arn = asked.principal.clone()?;
    let role = || Some(format!("arn:{}:iam::{}:role/", asked.partition, account_of(&arn)?));
    match denial.principal.kind {
        PrincipalType::AssumedRole => {
            let (role, name) = (role()?, role_name(denial)?);
            let mut arns = vec![format!("{role}{name}")];
            if permission_set(denial).is_some() {
                arns.push(format!("{role}aws-reserved/sso.amazonaws.com/*{name}"));
            }
            Some(arns)
        }
        PrincipalType::User | PrincipalType::Role | PrincipalType::Root | PrincipalType::FederatedUser => {
            Some(vec![arn])
        }
        PrincipalType::Service | PrincipalType::Anonymous | PrincipalType::Unknown => None,
    }
}

fn one_or_more(values: &[String]) -> Value {
    match values {
        [one] => Value::from(one.as_str()),
        several => Value::from(several),
    }
}

/// Whether a policy allows all of a request, where every other layer is open.
fn allows(kind: PolicyFor, policy: &Value, asked: &Asked) -> bool {
    let Some(set) = set_with(kind, policy, asked) else { return false };
    asked.actions.iter().all(|action| {
        let request = Request::new(&asked.someone(), action, &asked.resource, None, asked.context());
        request.is_ok_and(|request| set.evaluate(&request).outcome == Outcome::Allowed)
    })
}

/// A policy in its layer, and in every other layer one that allows everything.
fn set_with(kind: PolicyFor, policy: &Value, asked: &Asked) -> Option<PolicySet> {
    let named = |kind, policy: &Value| {
        let policy = Policy::parse(&policy.to_string(), kind).ok()?;
        Some(Named { name: String::new(), policy })
    };
    let everything = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let delegating =
        json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": asked.account}, "Action": "*", "Resource": "*"}});
    let trusting = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": asked.account}, "Action": "*"}});
    let is_role = asked.service() == "sts";
    // Within an account it only delegates, so that it stands in for nothing.
    let resource = if is_role { named(PolicyKind::Trust, &trusting) } else { named(PolicyKind::Resource, &delegating) };
    let mut set =
        PolicySet { identity: vec![named(PolicyKind::Identity, &everything)?], resource, ..PolicySet::default() };
    if asked.principal.as_deref().is_some_and(|arn| arn.contains(":federated-user/")) {
        set.session = Some(vec![named(PolicyKind::Session, &everything)?]);
    }
    match kind {
        PolicyFor::Identity => set.identity = vec![named(PolicyKind::Identity, policy)?],
        PolicyFor::Resource | PolicyFor::Key => set.resource = Some(named(PolicyKind::Resource, policy)?),
        PolicyFor::Trust => set.resource = Some(named(PolicyKind::Trust, policy)?),
        PolicyFor::Boundary => set.boundary = Some(vec![named(PolicyKind::Boundary, policy)?]),
        PolicyFor::Session => set.session = Some(vec![named(PolicyKind::Session, policy)?]),
        PolicyFor::Scp => set.scps = Some(vec![vec![named(PolicyKind::Scp, policy)?]]),
        PolicyFor::VpcEndpoint => set.vpc_endpoint = Some(vec![named(PolicyKind::VpcEndpoint, policy)?]),
    }
    Some(set)
}
