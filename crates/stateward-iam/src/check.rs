//! Whether policies allow what keeping state needs, and which statement is in the way.

mod advice;

use serde::Serialize;

use crate::eval::{Layer, Named, Outcome, PolicySet, speak_for};
use crate::needs::{Keeping, KeepingError, LEADING_LOWER, Need, Purpose};
use crate::policy::condition::{Condition, Test};
use crate::policy::principal::{Principal, is_account};
use crate::policy::{Policy, PolicyKind};
use crate::request::{Context, ContextValue, Request, RequestError};
use crate::scenario::{Answer, AnswerStatement};
use crate::value::arn::Segments;
use crate::value::template::Template;

/// Why nothing can be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The way of keeping state makes no sense.
    #[error(transparent)]
    Keeping(#[from] KeepingError),
    /// The principal makes no sense.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// An action that is needed, and whether it is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckItem {
    /// The action.
    pub action: &'static str,
    /// The resource it was asked about; where neither the keeping nor a policy names a Region or an account, `eu-west-1` and
    /// the principal's stand for any.
    pub resource: String,
    /// The items of the table that it was asked about.
    #[serde(skip)]
    pub items: Vec<String>,
    /// The operations that need it.
    pub needed_for: Vec<&'static str>,
    /// What comes out.
    pub decision: Outcome,
    /// The layer that refuses, or may.
    pub layer: Option<Layer>,
    /// The statements that made the decision.
    pub statements: Vec<AnswerStatement>,
    /// The context keys on which it depends.
    pub depends_on: Vec<String>,
    /// What to add to the backend's settings or to the run, where a statement that refuses demands it.
    pub add: Vec<String>,
    /// What was assumed, and what of the policies was not understood.
    pub notes: Vec<String>,
}

/// Checks what a purpose needs against the policies of the principal and of the resources.
///
/// `policies.resource` is left out of account: `resource_policies` are, each for the resources that it names. A key whose
/// policy is not among them is taken to have the one that AWS gives to new keys. Global context keys that the policies
/// ask for, and that nothing is known about, may have any value.
pub fn check(
    keeping: &Keeping,
    purpose: Purpose,
    principal: &str,
    policies: &PolicySet,
    resource_policies: &[Named],
) -> Result<Vec<CheckItem>, CheckError> {
    keeping.check()?;
    let keeping = &placed(keeping, policies, resource_policies);
    let unknown = unknown_keys(policies, resource_policies);
    let mut items: Vec<CheckItem> = Vec::new();
    for need in keeping.needs(purpose) {
        for request in need.requests(keeping, principal, |need| context(keeping, principal, need, &unknown))? {
            let known = items.iter_mut().find(|item| item.action == need.action && item.resource == request.resource);
            // Items of one table differ in the context alone: those that are refused are told apart.
            let item = item(&need, &request, policies, resource_policies);
            match known {
                Some(known) if known.decision == item.decision && known.statements == item.statements => {
                    if !known.needed_for.contains(&need.operation) {
                        known.needed_for.push(need.operation);
                    }
                    let others = item.items.into_iter().filter(|other| !known.items.contains(other));
                    known.items.extend(others.collect::<Vec<_>>());
                }
                _ => items.push(item),
            }
        }
    }
    Ok(items)
}

/// The policies with the one of the request's resource that is among these, and what was assumed.
pub(crate) fn with_resource_policy(
    request: &Request,
    policies: &PolicySet,
    resource_policies: &[Named],
) -> (PolicySet, Vec<String>) {
    let mut notes = Vec::new();
    let mut resource = resource_policies.iter().find(|named| is_about(&named.policy, request)).cloned();
    if resource.is_none() && request.service() == "kms" {
        resource = default_key_policy(request);
        notes.push("taken that the key has the policy that AWS gives to new keys: pass its own to be sure".to_owned());
    }
    // A service that uses a key for whoever asks does not go through the endpoint.
    let service = request.service();
    let vpc_endpoint = policies.vpc_endpoint.clone().filter(|_| service != "kms");
    if !vpc_endpoint.as_ref().is_none_or(|given| speak_for(given, service)) {
        notes.push(format!("taken that no VPC endpoint leads to `{service}`: if one does, pass its policy as well"));
    }
    (PolicySet { resource, vpc_endpoint, ..policies.clone() }, notes)
}

fn item(need: &Need, request: &Request, policies: &PolicySet, resource_policies: &[Named]) -> CheckItem {
    let (set, notes) = with_resource_policy(request, policies, resource_policies);
    let decision = set.evaluate(request);
    let add = advice::of(&set, &decision);
    let answer = Answer::new(&set, decision, notes);
    CheckItem {
        action: need.action,
        resource: request.resource.clone(),
        items: match request.context.get(LEADING_LOWER) {
            Some(ContextValue::Values { values, .. }) => values.clone(),
            _ => Vec::new(),
        },
        needed_for: vec![need.operation],
        decision: answer.decision,
        layer: answer.layer,
        statements: answer.statements,
        depends_on: answer.depends_on,
        add,
        notes: answer.errors,
    }
}

/// Whether a resource's policy is the one of the request's resource: policies name their resource, or `*`.
fn is_about(policy: &Policy, request: &Request) -> bool {
    let arn = Segments::of(&request.resource);
    let of_service = |statement: &crate::policy::Statement| {
        let is_own = |source: &str| {
            source
                .split(':')
                .next()
                .is_some_and(|service| service == "*" || service.eq_ignore_ascii_case(request.service()))
        };
        statement.actions.negated || statement.actions.patterns.iter().any(|action| is_own(&action.source))
    };
    policy.statements.iter().filter(|statement| of_service(statement)).any(|statement| {
        statement.resources.as_ref().is_none_or(|element| {
            let covers = |pattern: &crate::value::arn::ResourcePattern| {
                pattern.covers(&request.resource, arn.as_ref(), |variable| request.context.fill(variable))
            };
            element.negated
                || element.patterns.iter().any(|(_, pattern)| covers(pattern) != crate::value::arn::Covers::No)
        })
    })
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>
fn default_key_policy(request: &Request) -> Option<Named> {
    let account = request.resource_account.as_deref().filter(|account| is_account(account))?;
    let text = format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{account}"}},"Action":"kms:*","Resource":"*"}}}}"#
    );
    let policy = Policy::parse(&text, PolicyKind::Resource).ok()?;
    Some(Named { name: "the key's default policy".to_owned(), policy })
}

/// In the Region that is told, or else in that of the key, or in one that the policies name for a table of ours.
pub(crate) fn placed(keeping: &Keeping, policies: &PolicySet, resource_policies: &[Named]) -> Keeping {
    if keeping.region != "*" {
        return keeping.clone();
    }
    let statements = policies.all().chain(resource_policies).flat_map(|named| named.policy.statements.iter());
    let patterns = statements.filter_map(|statement| statement.resources.as_ref()).flat_map(|all| &all.patterns);
    let arns = keeping.keys().map(String::as_str).chain(patterns.map(|(_, pattern)| pattern.source.as_str()));
    let ours = |arn: &Segments<'_>| {
        let table = arn.resource().strip_prefix("table/").is_some_and(|name| keeping.has_table(name));
        (keeping.keys().next().is_some() && arn.service() == "kms" || arn.service() == "dynamodb" && table)
            && !arn.region().contains(['*', '?'])
    };
    let named = arns.filter_map(Segments::of).find(ours).filter(|arn| !arn.region().is_empty());
    Keeping { region: named.map_or("*", |arn| arn.region()).to_owned(), ..keeping.clone() }
}

/// What is known about every request of a principal.
pub(crate) fn run_context(principal: &str) -> Context {
    let mut context = Context::default();
    context.value("aws:SecureTransport", "true");
    if let Some(Principal::User { arn }) = Principal::parse(principal)
        && let Some(name) = arn.rsplit('/').next()
    {
        context.value("aws:username", name);
    }
    context
}

/// What is known about the requests of the backends.
fn context(keeping: &Keeping, principal: &str, need: &Need, unknown: &[String]) -> Context {
    let mut context = run_context(principal);
    if let (Some(key), "s3:PutObject") = (&keeping.kms_key, need.action) {
        context.value("s3:x-amz-server-side-encryption", "aws:kms");
        context.value("s3:x-amz-server-side-encryption-aws-kms-key-id", key.as_str());
    }
    let to_s3 = need.action.starts_with("s3:");
    if to_s3 {
        // The backends sign in the header, as all that AWS's SDKs send is signed.
        context.value("s3:authType", "REST-HEADER");
        context.value("s3:signatureversion", "AWS4-HMAC-SHA256");
    }
    for key in unknown.iter().filter(|key| to_s3 || !key.starts_with("s3:")) {
        context.unknown(key);
    }
    context
}

/// The keys that the policies ask for and that runs may or may not have, or have with a value that is not known.
fn unknown_keys(policies: &PolicySet, resource_policies: &[Named]) -> Vec<String> {
    let mut keys = asked_keys(policies.all().chain(resource_policies));
    keys.retain(|key| key.starts_with("aws:") || is_of_s3(key));
    keys
}

/// Whether each request to S3 has a key, and nobody knows here with which value; in lower case.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys>
fn is_of_s3(key: &str) -> bool {
    matches!(key, "s3:tlsversion" | "s3:signatureage" | "s3:resourceaccount" | "s3:x-amz-content-sha256")
        || key.starts_with("s3:existingobjecttag/")
}

/// The keys that the policies ask for, less those that a principal or a backend settles.
pub(crate) fn asked_keys<'p>(policies: impl Iterator<Item = &'p Named>) -> Vec<String> {
    let mut keys = Vec::new();
    for named in policies {
        for statement in named.policy.statements.iter() {
            let resources = statement.resources.iter().flat_map(|element| &element.patterns);
            keys.extend(resources.flat_map(|(_, pattern)| pattern.variables()).map(|variable| variable.key.clone()));
            for condition in &statement.conditions {
                keys.push(condition.key.clone());
                keys.extend(templates(condition).flat_map(Template::variables).map(|variable| variable.key.clone()));
            }
        }
    }
    // Of the principal itself, and tags, which the backends do not send.
    let settled = |key: &str| {
        matches!(key, "aws:principalarn" | "aws:principalaccount" | "aws:principaltype" | "aws:tagkeys")
            || key.starts_with("aws:requesttag/")
    };
    keys.retain(|key| !settled(key));
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn templates(condition: &Condition) -> impl Iterator<Item = &Template> {
    condition.tests.iter().filter_map(|test| match test {
        Test::Text(template) | Test::TextIgnoreCase(template) | Test::Bool(template) | Test::Arn(template) => {
            Some(template)
        }
        _ => None,
    })
}
