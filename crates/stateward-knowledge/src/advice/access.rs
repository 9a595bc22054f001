//! What to do about a refusal, layer by layer.

mod explicit;
mod implicit;
mod risky;
mod unnamed;

use serde_json::Value;
use stateward_denial::{Denial, Effect, Layer, Problem};
use stateward_iam::{Risk, risk};

use super::asked::{self, Asked};
use super::{Advice, PolicyFor, Step, Who, proposal, words};

/// A refusal, and what is known for a policy about it.
struct Case<'a> {
    problem: &'a Problem,
    denial: &'a Denial,
    request: Option<Asked>,
    /// Who asked, what for, and on what, in words.
    who: String,
    what: String,
    on: String,
}

impl Case<'_> {
    /// The policy of a kind, if there is one that is safe to give.
    fn policy(&self, kind: PolicyFor) -> Option<(PolicyFor, Value)> {
        let request = self.request.as_ref().filter(|_| self.risk().is_none())?;
        proposal::propose(kind, request, self.denial)
    }

    /// What the refused action could be used for beyond what it says.
    fn risk(&self) -> Option<Risk> {
        asked::action(self.denial).as_deref().and_then(risk)
    }

    /// Why there is no policy.
    fn why_none(&self) -> &'static str {
        if self.risk().is_some() {
            return "No policy is proposed for it: that is to be decided, not pasted.";
        }
        match asked::cut(self.denial) {
            None if asked::is_service_linked(self.denial) => {
                "A service-linked role is the service's own: IAM attaches nothing to it."
            }
            Some(_) => "No policy is written for a name that may go on: it would allow something else.",
            None => {
                "The text does not name the resource, so that no policy can be written that is not too wide: `Resource` must name it."
            }
        }
    }

    /// `X on Y`.
    fn target(&self) -> String {
        match self.denial.action.as_ref().or(self.denial.operation.as_ref()) {
            Some(_) => format!("`{}`{}", self.what, self.on),
            None => format!("{}{}", self.what, self.on),
        }
    }

    fn service(&self) -> &str {
        let action = self.what.split_once(':').map(|(service, _)| service);
        action.or(self.denial.service.as_deref()).unwrap_or_default()
    }

    /// Whether the resource is known to belong to another account than whoever asked.
    fn crosses_accounts(&self) -> bool {
        let owner = self.denial.resource.as_deref().and_then(asked::account_of);
        matches!((&self.denial.principal.account, owner), (Some(own), Some(owner)) if *own != owner)
    }

    /// Whether it is a role that was to be assumed.
    fn assumes_role(&self) -> bool {
        self.what.starts_with("sts:AssumeRole") || self.what == "sts:TagSession"
    }
}

pub(super) fn advise(problem: &Problem, denial: &Denial) -> Advice {
    let case = Case {
        problem,
        denial,
        request: Asked::of(problem),
        who: words::principal(denial),
        what: words::asked(denial),
        on: words::on(denial),
    };
    let advice = match (denial.layer, denial.effect) {
        (Layer::Unknown, _) if denial.setting.is_some() => explicit::setting(&case),
        (Layer::Unknown, _) => unnamed::advise(&case),
        (Layer::Kms, _) => unnamed::key(&case),
        (Layer::S3BlockPublicAccess, _) => explicit::public_access(&case),
        (_, Effect::Explicit) => explicit::advise(&case),
        _ => implicit::advise(&case),
    };
    finish(&case, advice)
}

/// What is to be said of every refusal.
fn finish(case: &Case<'_>, mut advice: Advice) -> Advice {
    if let Some(risk) = case.risk() {
        advice = risky::warn(case, risk, advice);
    }
    if let Some(name) = asked::cut(case.denial) {
        let whole = Step::new(
            Who::You,
            format!(
                "Give the whole text: it ends behind `{}`, and the name may go on. `TF_LOG=debug` shows all that AWS answered.",
                words::short(name)
            ),
            "No policy is written for half a name: it would allow something else. If that is the whole name, say so with `stateward explain --whole`.",
        );
        advice.steps.insert(0, whole);
    }
    if !matches!(case.denial.layer, Layer::Unknown | Layer::Kms) {
        let again = if case.problem.unsaved {
            "Then store that file, and read the new text if it is refused again."
        } else {
            "Try again, and read the new text if it is refused again."
        };
        advice = advice.then(
            Who::You,
            again,
            "AWS names one layer even where several refuse: another one may be next. `stateward explain` with `--policy`, \
             `--boundary`, `--scp`, `--resource-policy` or `--vpc-endpoint` and the real policies tells before you try.",
        );
    }
    if case.problem.locking {
        advice = advice
            .but_not(
                "`terraform force-unlock`",
                "Nobody holds the lock: AWS refused the request that takes it, or looks at it. There is nothing to unlock.",
            )
            .but_not(
                "`-lock=false`",
                "Two runs at once can overwrite each other's state. It needs the same rights on the state itself anyway.",
            );
    }
    advice
}
