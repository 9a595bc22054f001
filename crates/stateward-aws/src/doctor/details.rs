//! What AWS itself noted of a refused request, where the refusal names the note.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied-authorization-id.html>
//!
//! The answer is read as it comes: the SDK knows of an evaluation what matched as a whole, and nothing of the `checks` by which AWS has
//! said since November 2026 which kind of policy did what.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_iamtoolbox::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_iamtoolbox::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iamtoolbox::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use futures::future;
use serde::Deserialize;

use super::finding::in_words;
use super::{Finding, Patient};
use crate::Failed;

/// The note is written some time after the refusal.
const TRIES: usize = 4;
const BETWEEN: Duration = Duration::from_millis(500);
/// More than any note has.
const PAGES_MAX: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    evaluations: Vec<Evaluation>,
    policies: Vec<PolicyInfo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Evaluation {
    action: String,
    evaluated_effect: String,
    checks: Vec<Check>,
    matched_policies: Vec<Matched>,
}

/// What one kind of policy did.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Check {
    #[serde(rename = "checkType")]
    of: String,
    evaluated_effect: String,
    /// The part of the organization that it hangs on.
    target_arn: Option<String>,
    matched_policies: Vec<Matched>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Matched {
    uri: String,
    matched_statements: Vec<Statement>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Statement {
    sid: Option<String>,
    evaluated_effect: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PolicyInfo {
    r#type: Option<String>,
    uri: Option<String>,
}

const EXPLICIT: &str = "EXPLICIT_DENY";
const IMPLICIT: &str = "IMPLICIT_DENY";

impl Patient {
    /// Adds to refusals what AWS noted of them.
    pub(super) async fn with_details(&self, found: &mut [Finding]) {
        let told = found.iter_mut().map(async |finding| {
            let id = finding.denial.as_ref().and_then(|denial| denial.authorization_id.clone());
            if let Some(id) = id {
                finding.add(&self.details(&id).await);
            }
        });
        future::join_all(told).await;
    }

    async fn details(&self, id: &str) -> String {
        for tries in 1.. {
            let failed = match self.pages(id).await {
                Ok(pages) => return told(&pages),
                Err(failed) => failed,
            };
            if tries == TRIES || !failed.is("ResourceNotFoundException") {
                let why = in_words(&failed);
                return format!("what AWS noted of it could not be read: {why}");
            }
            tokio::time::sleep(BETWEEN).await;
        }
        String::new()
    }

    async fn pages(&self, id: &str) -> Result<Vec<Page>, Failed> {
        let (mut pages, mut next) = (Vec::new(), None);
        while pages.len() < PAGES_MAX {
            let answer = Answer::default();
            let request = self.services.toolbox.get_request_authorization_details().authorization_id(id);
            let page = request.set_next_token(next).customize().interceptor(answer.clone()).send().await;
            let page = page.map_err(|error| Failed::new("IAM Toolbox: GetRequestAuthorizationDetails", &error))?;
            pages.push(answer.page());
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(pages)
    }
}

/// The last answer, as it came.
#[derive(Debug, Clone, Default)]
struct Answer(Arc<Mutex<Vec<u8>>>);

impl Answer {
    /// What cannot be read says nothing.
    fn page(&self) -> Page {
        serde_json::from_slice(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "Answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body.to_vec();
        Ok(())
    }
}

fn told(pages: &[Page]) -> String {
    let policies: Vec<&PolicyInfo> = pages.iter().flat_map(|page| &page.policies).collect();
    let refused = pages.iter().flat_map(|page| &page.evaluations);
    let refused = refused.filter(|evaluation| evaluation.evaluated_effect != "ALLOW");
    let told: Vec<String> = refused.map(|evaluation| of_evaluation(evaluation, &policies)).collect();
    match told.as_slice() {
        [] => "AWS noted nothing that refuses it".to_owned(),
        told => format!("AWS noted: {}", told.join("; ")),
    }
}

fn of_evaluation(evaluation: &Evaluation, policies: &[&PolicyInfo]) -> String {
    let Evaluation { action, evaluated_effect, checks, matched_policies } = evaluation;
    let by_check = checks.iter().filter(|check| check.evaluated_effect == EXPLICIT);
    let mut denying: Vec<String> = by_check.map(of_check).collect();
    if denying.is_empty() {
        denying = matched_policies.iter().filter_map(|matched| denies(matched, policies)).collect();
    }
    if !denying.is_empty() {
        return format!("`{action}` is denied by {}", denying.join(" and "));
    }
    if evaluated_effect == EXPLICIT {
        return format!("a policy denies `{action}`, and it does not say which");
    }
    if evaluated_effect != IMPLICIT {
        return format!("`{action}` is refused, and it does not say how");
    }
    let lacking = checks.iter().filter(|check| check.evaluated_effect == IMPLICIT);
    let lacking: Vec<String> = lacking.map(|check| format!("{}{}", check.kind(), check.target())).collect();
    if !lacking.is_empty() {
        return format!("nothing allows `{action}` in the policies of these kinds: {}", lacking.join(", "));
    }
    let mut looked_at: Vec<String> = policies.iter().filter_map(|policy| kind(policy)).collect();
    looked_at.dedup();
    match looked_at.as_slice() {
        [] => format!("nothing allows `{action}`"),
        kinds => format!("nothing allows `{action}` in what was looked at ({})", kinds.join(", ")),
    }
}

impl Check {
    fn kind(&self) -> String {
        words(&self.of)
    }

    fn target(&self) -> String {
        self.target_arn.as_ref().map(|arn| format!(" of {arn}")).unwrap_or_default()
    }
}

/// What a check that denies names: statements, or at least the kind of policy.
fn of_check(check: &Check) -> String {
    let kind = format!("{}{}", check.kind(), check.target());
    // A policy that matched by what it allows does not deny.
    let is_denying = |statement: &&Statement| statement.evaluated_effect.as_deref().is_none_or(is_deny);
    let named: Vec<String> = (check.matched_policies.iter())
        .filter_map(|matched| {
            let names: Vec<String> = matched.matched_statements.iter().filter(is_denying).map(name_of).collect();
            (!names.is_empty()).then(|| format!("{} of {}", names.join(", "), matched.uri))
        })
        .collect();
    if named.is_empty() { format!("a {kind}") } else { format!("{} ({kind})", named.join(" and ")) }
}

fn is_deny(effect: &str) -> bool {
    effect == "DENY"
}

fn name_of(statement: &Statement) -> String {
    format!("`{}`", statement.sid.as_deref().unwrap_or("a statement"))
}

/// The statements of a policy that deny, and what kind of policy it is.
fn denies(matched: &Matched, policies: &[&PolicyInfo]) -> Option<String> {
    let denying = matched.matched_statements.iter();
    let denying = denying.filter(|statement| statement.evaluated_effect.as_deref().is_some_and(is_deny));
    let names: Vec<String> = denying.map(name_of).collect();
    if names.is_empty() {
        return None;
    }
    let known = policies.iter().find(|policy| policy.uri.as_ref() == Some(&matched.uri));
    let kind = known.and_then(|policy| kind(policy)).map(|kind| format!(" ({kind})")).unwrap_or_default();
    Some(format!("{} of {}{kind}", names.join(", "), matched.uri))
}

fn kind(policy: &PolicyInfo) -> Option<String> {
    policy.r#type.as_deref().map(words)
}

/// `identity based policy` of `IDENTITY_BASED_POLICY`.
fn words(constant: &str) -> String {
    constant.replace('_', " ").to_lowercase()
}
