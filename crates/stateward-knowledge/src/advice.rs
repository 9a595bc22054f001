//! What to do about a problem, in order, who can do it, and what not to do.
//!
//! A policy that is proposed has been run through the evaluator: in the layer that it is for, and with all other layers open, it
//! allows what was refused. Where that cannot be said, because the text does not name the resource, may end within its name, or
//! somebody denies explicitly, no policy is proposed; nor where the right could be used for more ([`stateward_iam::risk`]).

mod access;
mod asked;
mod authentication;
mod other;
mod predict;
mod proposal;
mod words;

use serde::Serialize;
use serde_json::Value;
use stateward_denial::{Kind, Mask, Problem};

pub use asked::{Asked, action, has_policies, literal};
pub use predict::{Given, MalformedPolicy, Prediction};

/// A problem with all that is to be said about it, in the shape of `stateward explain --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// What the text tells.
    #[serde(flatten)]
    pub problem: Problem,
    /// The entry of the knowledge base, where there is one.
    pub entry: Option<String>,
    /// What to do about it.
    #[serde(flatten)]
    pub advice: Advice,
    /// What each of the policies that were given says to the refused request.
    pub predicted: Vec<Prediction>,
}

/// What to do about a problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// What happened, in a line.
    pub title: String,
    /// Why, and how far that is certain.
    pub why: String,
    /// What to do, in this order.
    #[serde(rename = "do")]
    pub steps: Vec<Step>,
    /// What not to do.
    pub do_not: Vec<Warning>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What to do.
    pub step: String,
    /// Who can do it.
    pub who: Who,
    /// Why it helps.
    pub why: String,
    /// What kind of policy `policy` is.
    pub policy_for: Option<PolicyFor>,
    /// A policy that allows the refused action, valid as it stands.
    pub policy: Option<Value>,
}

/// One thing not to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What not to do.
    pub step: String,
    /// Why not.
    pub why: String,
}

/// Who can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Whoever reads this.
    You,
    /// Who administers IAM in the account of whoever asked.
    AccountAdmin,
    /// Who administers the organization.
    OrganizationAdmin,
    /// Who owns the resource: its bucket, table, role.
    ResourceOwner,
    /// Who administers the KMS key.
    KeyOwner,
    /// Who administers the network.
    NetworkAdmin,
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyFor {
    /// To be attached to a user, group or role.
    Identity,
    /// To be added to a resource's policy.
    Resource,
    /// To be added to a permissions boundary.
    Boundary,
    /// To be added to a session policy.
    Session,
    /// To be added to a service control policy.
    Scp,
    /// To be added to the policy of a VPC endpoint.
    VpcEndpoint,
    /// To be added to a role's trust policy.
    Trust,
    /// To be added to a key's policy.
    Key,
}

/// All that is to be said about a problem; `entry` is that of the knowledge base, `given` the policies that are known. With a mask it
/// is said about the masked problem, while the policies are asked about the real one.
pub fn explain(
    mut problem: Problem,
    entry: Option<&str>,
    given: Option<&Given>,
    mask: Option<&mut Mask>,
) -> Explanation {
    let mut predicted = given.map(|given| given.predict(&problem)).unwrap_or_default();
    if let Some(mask) = mask {
        mask.problem(&mut problem);
        for prediction in &mut predicted {
            let names = prediction.statements.iter_mut().map(|statement| &mut statement.policy);
            for text in names.chain(&mut prediction.notes) {
                *text = mask.text(text);
            }
        }
    }
    let advice = advise(&problem);
    Explanation { problem, entry: entry.map(str::to_owned), advice, predicted }
}

/// What to do about a problem.
pub fn advise(problem: &Problem) -> Advice {
    let advice = match (problem.kind, &problem.denial) {
        (Kind::AccessDenied, Some(denial)) => access::advise(problem, denial),
        (Kind::Authentication, _) => authentication::advise(problem),
        _ => other::advise(problem),
    };
    if problem.unsaved { unsaved(advice) } else { advice }
}

/// The run has changed infrastructure, and nobody but a file beside it knows what.
fn unsaved(mut advice: Advice) -> Advice {
    let keep = Step::new(
        Who::You,
        "Keep `errored.tfstate`, which stands where the run was; of a job, before its machine is gone. Once what is told here is put right, \
         store it: `terraform state push errored.tfstate`.",
        "The run has changed infrastructure, and this file alone tells what.",
    );
    advice.steps.insert(0, keep);
    advice.but_not(
        "`apply` before that file is stored",
        "Terraform does not know then what the run before has made, and makes it once more.",
    )
}

impl Step {
    /// One without a policy.
    fn new(who: Who, step: impl Into<String>, why: impl Into<String>) -> Self {
        Self { step: step.into(), who, why: why.into(), policy_for: None, policy: None }
    }
}

impl Advice {
    fn new(title: impl Into<String>, why: impl Into<String>) -> Self {
        Self { title: title.into(), why: why.into(), steps: Vec::new(), do_not: Vec::new() }
    }

    /// One more thing to do.
    fn then(mut self, who: Who, step: impl Into<String>, why: impl Into<String>) -> Self {
        self.steps.push(Step::new(who, step, why));
        self
    }

    /// One more thing to do, with a policy if there is one.
    fn propose(
        self,
        who: Who,
        step: impl Into<String>,
        why: impl Into<String>,
        policy: Option<(PolicyFor, Value)>,
    ) -> Self {
        let mut advice = self.then(who, step, why);
        if let (Some(last), Some((kind, policy))) = (advice.steps.last_mut(), policy) {
            last.policy_for = Some(kind);
            last.policy = Some(policy);
        }
        advice
    }

    /// One more thing not to do.
    fn but_not(mut self, step: impl Into<String>, why: impl Into<String>) -> Self {
        self.do_not.push(Warning { step: step.into(), why: why.into() });
        self
    }
}
