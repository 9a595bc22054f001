//! What a run can add so that a statement no longer refuses.

use crate::eval::{Decision, Outcome, PolicySet};
use crate::policy::Effect;
use crate::policy::condition::{Base, Compare, Condition};

pub(super) fn of(set: &PolicySet, decision: &Decision) -> Vec<String> {
    let mut advice = Vec::new();
    if decision.outcome == Outcome::Allowed {
        return advice;
    }
    for at in decision.statements.iter().filter(|at| at.effect == Effect::Deny) {
        let statement = set.policy(at).and_then(|named| named.policy.statements.get(at.statement));
        for condition in statement.map_or(&[][..], |statement| &statement.conditions) {
            if let Some(text) = about(condition).filter(|text| !advice.contains(text)) {
                advice.push(text);
            }
        }
    }
    advice
}

/// Whether a statement refuses what does not have what its condition names; else it refuses what has it.
fn demands(condition: &Condition) -> bool {
    let Some(operator) = condition.operator else { return false };
    let is = |text: &str| condition.values.iter().all(|value| value.eq_ignore_ascii_case(text));
    match operator.base {
        Base::Bool => is("false"),
        Base::Null => is("true"),
        // An age that is too great, of MFA or a signature.
        Base::Numeric(Compare::Greater | Compare::GreaterOrEqual) => true,
        _ => operator.negated,
    }
}

fn about(condition: &Condition) -> Option<String> {
    let key = condition.key.as_str();
    if !demands(condition) {
        return instead(condition);
    }
    let values = || condition.values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
    if let Some((_, tag)) = condition.key_name.split_once('/')
        && (key.starts_with("aws:requesttag/") || key.starts_with("s3:requestobjecttag/"))
    {
        return Some(format!(
            "the tag `{tag}` on what is written: `state_tags` and `lock_tags` in OpenTofu's backend block; Terraform's sends no tags, so there the statement has to spare this bucket"
        ));
    }
    Some(match key {
        "s3:x-amz-server-side-encryption" => {
            format!(
                "`encrypt = true` in the backend block, and `kms_key_id` where that is `aws:kms` (demanded: {})",
                values()
            )
        }
        "s3:x-amz-server-side-encryption-aws-kms-key-id" => {
            format!("`encrypt = true` and `kms_key_id` in the backend block ({})", values())
        }
        "aws:securetransport" => "an `https` endpoint".to_owned(),
        "aws:multifactorauthpresent" | "aws:multifactorauthage" => {
            "a session that was opened with MFA; keys of a user have none".to_owned()
        }
        "aws:sourcevpce" | "aws:sourcevpc" | "aws:sourceip" | "aws:vpcsourceip" => {
            format!("a run from the network that the statement names ({})", values())
        }
        "aws:requestedregion" => format!("a Region that the statement permits ({})", values()),
        _ => return None,
    })
}

/// What to do where the statement refuses what its condition names.
fn instead(condition: &Condition) -> Option<String> {
    let values = condition.values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" and ");
    let positive = condition.operator.is_some_and(|operator| !operator.negated && operator.base != Base::Bool);
    match condition.key.as_str() {
        _ if !positive || condition.values.is_empty() => None,
        "aws:sourcevpce" | "aws:sourcevpc" | "aws:sourceip" | "aws:vpcsourceip" => {
            Some(format!("a run from another network than the statement names ({values})"))
        }
        "aws:requestedregion" => Some(format!("a Region that the statement does not name (it refuses {values})")),
        _ => None,
    }
}
