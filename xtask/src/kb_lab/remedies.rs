//! What people do about a refusal, done to the policies of a cause.

use serde_json::{Value, json};
use stateward_knowledge::Remedy;

use super::causes::{Cause, OWN, named, own_statement, push, statement, with_principal};

/// The scenario after a remedy; as it was where the remedy finds nothing to change.
pub(super) fn carried_out(remedy: Remedy, cause: &Cause) -> Value {
    let mut scenario = cause.scenario.clone();
    let (action, resource) = (cause.request("action"), cause.request("resource"));
    match remedy {
        Remedy::Nothing => {}
        Remedy::IdentityAllow => {
            push(&mut scenario, "identity", named("added", &[statement("Allow", action, resource)]));
        }
        Remedy::IdentityUndeny => undeny(&mut scenario["identity"]),
        Remedy::Administrator => {
            push(&mut scenario, "identity", named("AdministratorAccess", &[statement("Allow", "*", "*")]));
        }
        Remedy::Resource => resource_policy(&mut scenario, cause),
        Remedy::Boundary => mend(&mut scenario, "boundary", action, false),
        Remedy::Session => mend(&mut scenario, "session", action, false),
        Remedy::VpcEndpoint => mend(&mut scenario, "vpc_endpoint", action, true),
        Remedy::NoBoundary => drop(scenario.as_object_mut().and_then(|scenario| scenario.remove("boundary"))),
        Remedy::NoSession => drop(scenario.as_object_mut().and_then(|scenario| scenario.remove("session"))),
        Remedy::ScpAllow => {
            for level in levels(&mut scenario, "scps") {
                if let Some(level) = level.as_array_mut() {
                    level.push(named("added", &[statement("Allow", action, "*")]));
                }
            }
        }
        Remedy::ScpUndeny => levels(&mut scenario, "scps").for_each(undeny),
        Remedy::Rcp => levels(&mut scenario, "rcps").for_each(undeny),
        Remedy::SignIn => scenario["request"]["context"]["aws:MultiFactorAuthPresent"] = "true".into(),
    }
    scenario
}

fn levels<'a>(scenario: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    scenario.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Takes every Deny out of a list of policies.
fn undeny(policies: &mut Value) {
    let Some(policies) = policies.as_array_mut() else { return };
    for policy in policies.iter_mut() {
        if let Some(statements) = policy["policy"]["Statement"].as_array_mut() {
            statements.retain(|statement| statement["Effect"] != "Deny");
        }
    }
    policies.retain(|policy| policy["policy"]["Statement"].as_array().is_some_and(|statements| !statements.is_empty()));
}

/// Allows the action in a list of policies that is there, and takes every Deny out of it.
fn mend(scenario: &mut Value, field: &str, action: &str, has_principals: bool) {
    if scenario.get(field).is_some() {
        undeny(&mut scenario[field]);
        push(scenario, field, named("added", &[with_principal(statement("Allow", action, "*"), has_principals)]));
    }
}

/// Allows the caller in the resource's own policy, and takes every Deny out of it.
fn resource_policy(scenario: &mut Value, cause: &Cause) {
    let caller = match cause.request("principal").rsplit_once(":user/") {
        Some((_, user)) => format!("arn:aws:iam::{OWN}:user/{user}"),
        None => format!("arn:aws:iam::{OWN}:role/github-actions"),
    };
    let allow = own_statement("Allow", &json!({ "AWS": caller }), cause.target, cause.request("resource"));
    let own = scenario["resource_policy"]["policy"]["Statement"].as_array().cloned().unwrap_or_default();
    let mut statements: Vec<Value> = own.into_iter().filter(|statement| statement["Effect"] != "Deny").collect();
    statements.push(allow);
    scenario["resource_policy"] = named("own", &statements);
}
