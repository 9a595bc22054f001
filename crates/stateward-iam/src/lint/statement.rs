//! Statements: their actions, and what they grant without naming it.

use std::collections::HashSet;

use super::{Findings, Rule, conditions, resources};
use crate::data;
use crate::policy::{ActionPattern, Effect, PolicyKind, Statement, Version};

pub(super) fn check(statement: &Statement, version: Version, findings: &mut Findings) {
    for pattern in &statement.actions.patterns {
        action(pattern, findings);
    }
    resources::check(statement, version, findings);
    for condition in &statement.conditions {
        conditions::check(condition, statement, version, findings);
    }
    if statement.effect == Effect::Allow {
        allows_the_rest(statement, findings);
    }
}

/// Names of statements: each once, and in IAM of letters and digits alone. Buckets, keys and other resources take others.
/// `before` are those of the statements before it.
pub(super) fn sid<'p>(
    statement: &'p Statement,
    before: &mut HashSet<&'p str>,
    kind: PolicyKind,
    findings: &mut Findings,
) {
    let Some(sid) = statement.sid().filter(|sid| !sid.is_empty()) else { return };
    if !before.insert(sid) {
        let message = format!("another statement has the `Sid` `{sid}`: AWS takes each only once in a policy");
        findings.add(Rule::Sid, statement.at, message);
    }
    let of_iam = matches!(kind, PolicyKind::Identity | PolicyKind::Boundary | PolicyKind::Session | PolicyKind::Trust);
    if of_iam && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = format!("the `Sid` `{sid}` has characters that IAM does not take: letters and digits alone");
        findings.add(Rule::Sid, statement.at, message);
    }
}

fn allows_the_rest(statement: &Statement, findings: &mut Findings) {
    let negated = [
        ("NotAction", statement.actions.negated),
        ("NotResource", statement.resources.as_ref().is_some_and(|element| element.negated)),
        ("NotPrincipal", statement.principal.as_ref().is_some_and(|element| element.negated)),
    ];
    for (element, _) in negated.iter().filter(|(_, negated)| *negated) {
        let message = format!(
            "`Allow` with `{element}` grants everything else, also what AWS adds later: name what is allowed, or write a `Deny`"
        );
        findings.add(Rule::AllowsTheRest, statement.at, message);
    }
}

/// Operations that are no actions, and the actions that they need.
const OPERATIONS: &[(&str, &str)] = &[
    (
        "dynamodb:transactwriteitems",
        "dynamodb:PutItem`, `dynamodb:UpdateItem`, `dynamodb:DeleteItem` and `dynamodb:ConditionCheckItem",
    ),
    ("dynamodb:transactgetitems", "dynamodb:GetItem"),
    ("dynamodb:getobject", "dynamodb:GetItem"),
    ("dynamodb:putobject", "dynamodb:PutItem"),
    ("dynamodb:listtable", "dynamodb:ListTables"),
    ("s3:headobject", "s3:GetObject"),
    ("s3:headbucket", "s3:ListBucket"),
    ("s3:listobjects", "s3:ListBucket"),
    ("s3:listobjectsv2", "s3:ListBucket"),
    ("s3:listobjectversions", "s3:ListBucketVersions"),
    ("s3:listbuckets", "s3:ListAllMyBuckets"),
    ("s3:copyobject", "s3:GetObject` and `s3:PutObject"),
    ("s3:deleteobjects", "s3:DeleteObject"),
    ("s3:createmultipartupload", "s3:PutObject"),
    ("s3:uploadpart", "s3:PutObject"),
    ("s3:completemultipartupload", "s3:PutObject"),
    ("kms:reencrypt", "kms:ReEncryptFrom` and `kms:ReEncryptTo"),
];

fn action(pattern: &ActionPattern, findings: &mut Findings) {
    let source = pattern.source.as_str();
    let lower = source.to_ascii_lowercase();
    let Some((service, name)) = lower.split_once(':').filter(|(service, _)| *service != "*") else { return };
    if !data::is_service(service) {
        findings.add(Rule::UnknownService, pattern.at, format!("AWS has no service `{service}`, of `{source}`"));
        return;
    }
    let exists = if name.contains(['*', '?']) {
        data::actions(service)
            .any(|action| pattern.pattern.matches_plain(&format!("{service}:{}", action.name.to_ascii_lowercase())))
    } else {
        data::action(&lower).is_some()
    };
    if exists || !data::is_whole(service) {
        return;
    }
    let needs = OPERATIONS.iter().find(|(operation, _)| *operation == lower).map(|(_, needs)| needs);
    let message = match needs {
        Some(needs) => format!("there is no action `{source}`: write `{needs}`"),
        None if name.contains(['*', '?']) => format!("no action of {service} matches `{source}`"),
        None => format!("there is no action `{source}`"),
    };
    findings.add(Rule::UnknownAction, pattern.at, message);
}
