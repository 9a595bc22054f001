//! What AWS itself noted of a refused request, where the refusal names the note.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied-authorization-id.html>

use std::time::Duration;

use aws_sdk_iamtoolbox::operation::get_request_authorization_details::GetRequestAuthorizationDetailsOutput as Page;
use aws_sdk_iamtoolbox::types::{EvaluatedEffect, Evaluation, MatchedPolicy, PolicyInfo, StatementEffect};
use futures::future;

use super::finding::refusal;
use super::{Finding, Patient};
use crate::Failed;

/// The note is written some time after the refusal.
const TRIES: usize = 4;
const BETWEEN: Duration = Duration::from_millis(500);

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
            let pages = self.services.toolbox.get_request_authorization_details().authorization_id(id).into_paginator();
            let error = match pages.send().try_collect().await {
                Ok(pages) => return told(&pages),
                Err(error) => error,
            };
            let failed = Failed::new("IAM Toolbox: GetRequestAuthorizationDetails", &error);
            if tries == TRIES || !failed.is("ResourceNotFoundException") {
                let why = refusal(&failed).unwrap_or_else(|| failed.words().to_owned());
                return format!("what AWS noted of it could not be read: {why}");
            }
            tokio::time::sleep(BETWEEN).await;
        }
        String::new()
    }
}

fn told(pages: &[Page]) -> String {
    let refused = pages.iter().flat_map(Page::evaluations).filter(|evaluation| is_refused(evaluation));
    let policies: Vec<&PolicyInfo> = pages.iter().flat_map(Page::policies).collect();
    let told: Vec<String> = refused.map(|evaluation| of_evaluation(evaluation, &policies)).collect();
    match told.as_slice() {
        [] => "AWS noted nothing that refuses it".to_owned(),
        told => format!("AWS noted: {}", told.join("; ")),
    }
}

fn is_refused(evaluation: &Evaluation) -> bool {
    evaluation.evaluated_effect() != Some(&EvaluatedEffect::Allow)
}

fn of_evaluation(evaluation: &Evaluation, policies: &[&PolicyInfo]) -> String {
    let action = evaluation.action();
    let denying: Vec<String> =
        evaluation.matched_policies().iter().filter_map(|matched| denies(matched, policies)).collect();
    if !denying.is_empty() {
        return format!("`{action}` is denied by {}", denying.join(" and "));
    }
    let mut looked_at: Vec<String> = policies.iter().filter_map(|policy| kind(policy)).collect();
    looked_at.dedup();
    match looked_at.as_slice() {
        [] => format!("nothing allows `{action}`"),
        kinds => format!("nothing allows `{action}` in what was looked at ({})", kinds.join(", ")),
    }
}

/// The statements of a policy that deny, and what kind of policy it is.
fn denies(matched: &MatchedPolicy, policies: &[&PolicyInfo]) -> Option<String> {
    let denying = matched.matched_statements().iter();
    let denying = denying.filter(|statement| statement.evaluated_effect() == Some(&StatementEffect::Deny));
    let names: Vec<String> =
        denying.map(|statement| format!("`{}`", statement.sid().unwrap_or("a statement"))).collect();
    if names.is_empty() {
        return None;
    }
    let known = policies.iter().find(|policy| policy.uri() == Some(matched.uri()));
    let kind = known.and_then(|policy| kind(policy)).map(|kind| format!(" ({kind})")).unwrap_or_default();
    Some(format!("{} of {}{kind}", names.join(", "), matched.uri()))
}

/// `identity based policy` of `IDENTITY_BASED_POLICY`.
fn kind(policy: &PolicyInfo) -> Option<String> {
    Some(policy.r#type()?.as_str().replace('_', " ").to_lowercase())
}
