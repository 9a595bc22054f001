//! The refused right is worth more than it says: what it could be used for, and the safe course.

use stateward_iam::Risk;

use super::super::{Advice, Step, Who};
use super::Case;

/// The warning, and before all else the way to get done what was to be done.
pub(super) fn warn(case: &Case<'_>, risk: Risk, advice: Advice) -> Advice {
    let (who, step, why) = course(&case.what, risk);
    let because = match risk {
        Risk::MoreRights => "Whoever may do this can give itself, or a role of its own, any right.",
        Risk::Exposure => "Whoever may do this can open the resource to other accounts, or to everybody.",
        Risk::Loss => "Whoever may do this can destroy what cannot be brought back, or the record of who did what.",
    };
    let mut advice = advice;
    advice.steps.insert(0, Step::new(who, step, why));
    advice.but_not(format!("Allowing `{}` because one run asked for it", case.what), because)
}

/// Who does it instead, or within which limits.
fn course(action: &str, risk: Risk) -> (Who, &'static str, &'static str) {
    match (action, risk) {
        ("iam:PassRole", _) => (
            Who::AccountAdmin,
            "If the run must pass this role: name this one role in `Resource`, and the service it is for in a condition on `iam:PassedToService`.",
            "Whoever passes a role to a service can act with all that the role may: it must not have more rights than the run.",
        ),
        ("kms:CreateGrant", _) => (
            Who::KeyOwner,
            "If a service of AWS is to use the key for the run: allow it with the condition `\"Bool\": {\"kms:GrantIsForAWSResource\": \"true\"}`.",
            "Without the condition grants can be made for anybody.",
        ),
        (action, Risk::MoreRights) if action.starts_with("iam:") => (
            Who::AccountAdmin,
            "Make the change with a role that is for administering IAM, not with this one. If runs must make roles and policies, limit them by a \
             permissions boundary: a condition on `iam:PermissionsBoundary`, and no right to change the boundary.",
            "With the boundary nobody gets more than was agreed, whatever policies the run writes.",
        ),
        (action, Risk::MoreRights) if action.starts_with("kms:") => (
            Who::KeyOwner,
            "Let the key's owner change its policy.",
            "The key's policy says who may read everything that it encrypts.",
        ),
        (_, Risk::MoreRights) => (
            Who::AccountAdmin,
            "Make the change with a role that is for administration, not with this one.",
            "Rights to administer belong to few, who use them for nothing else.",
        ),
        (_, Risk::Exposure) => (
            Who::ResourceOwner,
            "Let the owner of the resource make this change once. Where Terraform keeps it, do it in a run of its own with a role for it.",
            "Runs that use the resource every day need no right to say who else may.",
        ),
        (_, Risk::Loss) => (
            Who::ResourceOwner,
            "Let the owner of the resource do it once by hand, with a session for that.",
            "Runs that keep state need no right to destroy what it is kept in.",
        ),
    }
}
