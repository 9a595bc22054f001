//! Evaluation: whether a request is allowed, by all policies that have a say.

mod combine;
mod complete;
mod condition;
mod statement;
mod tri;

use std::fmt;

use crate::policy::condition::Condition;
use crate::policy::{Effect, Policy};
use crate::request::Request;

/// Which kind of policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Policies of the user, group or role.
    Identity,
    /// The policy of the resource; a role's trust policy and a key's policy too.
    Resource,
    /// The permissions boundary.
    Boundary,
    /// The session policy.
    Session,
    /// Service control policies.
    Scp,
    /// Resource control policies.
    Rcp,
    /// The policy of the VPC endpoint that the request goes through.
    VpcEndpoint,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Resource => "resource",
            Self::Boundary => "boundary",
            Self::Session => "session",
            Self::Scp => "scp",
            Self::Rcp => "rcp",
            Self::VpcEndpoint => "vpc_endpoint",
        })
    }
}

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The request goes through.
    Allowed,
    /// No statement allows it where one must.
    ImplicitDeny,
    /// A statement denies it.
    ExplicitDeny,
    /// One of several, depending on what is not known.
    Depends,
}

/// A policy with its name.
#[derive(Debug, Clone)]
pub struct Named {
    /// As people know it.
    pub name: String,
    /// What it says.
    pub policy: Policy,
}

/// Whether policies of endpoints have a say about a service: none at all allow nothing, and those of others say nothing.
pub(crate) fn speak_for(endpoints: &[Named], service: &str) -> bool {
    endpoints.is_empty() || endpoints.iter().any(|named| named.policy.counts_for(service))
}

/// All policies that have a say about requests of one principal to one resource.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    /// Of the user or role, and of the user's groups.
    pub identity: Vec<Named>,
    /// `None` where there is no boundary; an empty one allows nothing.
    pub boundary: Option<Vec<Named>>,
    /// `None` where no session policy was passed; an empty one allows nothing.
    pub session: Option<Vec<Named>>,
    /// `None` where the resource has no policy.
    pub resource: Option<Named>,
    /// By level, from the root to the account; `None` where none apply.
    pub scps: Option<Vec<Vec<Named>>>,
    /// By level, from the root to the account; `None` where none apply. `RCPFullAWSAccess`, which AWS attaches to each
    /// level and nobody can detach, need not be among them.
    pub rcps: Option<Vec<Vec<Named>>>,
    /// `None` where the request goes through no endpoint with a policy. Of those that are known to be of one service, those of
    /// the request's count.
    pub vpc_endpoint: Option<Vec<Named>>,
}

/// A statement of a policy of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatementRef {
    /// The layer.
    pub layer: Layer,
    /// The level among service or resource control policies, from the root; else 0.
    pub level: usize,
    /// The policy in its list.
    pub policy: usize,
    /// The statement in the policy.
    pub statement: usize,
    /// Its effect.
    pub effect: Effect,
}

/// A decision and what made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What comes out.
    pub outcome: Outcome,
    /// The layer that refuses, or may; `None` where the request is allowed. Where several refuse by themselves it is
    /// one of them, an explicit deny before an implicit one.
    pub layer: Option<Layer>,
    /// The statements that made it: those that deny, or those that allow, or those of which it depends whether they
    /// apply. None where it is refused because no statement allows it.
    pub statements: Vec<StatementRef>,
    /// What may come out, where it depends.
    pub possible: Vec<Outcome>,
    /// The unknown context keys on which it depends.
    pub depends_on: Vec<String>,
    /// What could not be understood and counted against the request, and what AWS's pages leave open.
    pub notes: Vec<String>,
}

/// What a statement's application depends on, or why it could not be understood.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// A context key whose value is unknown.
    Unknown(&'a str),
    /// A resource pattern that AWS's pages leave open.
    Pattern(&'a str),
    /// A `NotPrincipal` that lists a principal without its account or role.
    NotPrincipal,
    /// An operator that AWS does not have.
    Operator(&'a str),
    /// A condition key that AWS does not have.
    Key(&'a str),
    /// A condition with a value that is not of the operator's type.
    Value(&'a Condition),
}

pub(crate) type Trace<'a> = Vec<Cause<'a>>;

impl Cause<'_> {
    /// Whether a statement may or may not apply because of it.
    fn is_open(self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Pattern(_) | Self::NotPrincipal)
    }

    /// For people; `None` where `depends_on` says it.
    fn note(self) -> Option<String> {
        Some(match self {
            Self::Unknown(_) => return None,
            Self::Pattern(source) => format!(
                "AWS's pages leave open whether `{source}` covers the resource: a `*` would have to cross a colon; write all six parts of the ARN"
            ),
            Self::NotPrincipal => "AWS's pages leave open whether this `NotPrincipal` covers the principal: list its account, and the role of a session, beside it".to_owned(),
            Self::Operator(name) => {
                format!("AWS has no condition operator `{name}`: the condition counts against the request")
            }
            Self::Key(name) => {
                format!("AWS has no condition key `{name}`: the condition counts against the request")
            }
            Self::Value(condition) => format!(
                "a value of `{}` on `{}` is not what the operator compares: the condition counts against the request",
                condition.operator_name, condition.key_name
            ),
        })
    }
}

impl PolicySet {
    /// Decides about a request.
    pub fn evaluate(&self, request: &Request) -> Decision {
        let decision = combine::decide(self, request);
        if decision.outcome == Outcome::Depends && request.context.has_unknown() {
            return complete::refine(self, request, decision);
        }
        decision
    }

    /// The same where it matters alone whether a request is let through: by which of several refusals it is not may stay open.
    pub(crate) fn lets_through(&self, request: &Request) -> Decision {
        let decision = combine::decide(self, request);
        let is_open = decision.possible.contains(&Outcome::Allowed) && request.context.has_unknown();
        if is_open { complete::refine(self, request, decision) } else { decision }
    }

    /// The policy of a statement.
    pub fn policy(&self, at: &StatementRef) -> Option<&Named> {
        let level = |levels: &'_ Option<Vec<Vec<Named>>>| -> Option<usize> {
            levels.as_ref().filter(|levels| at.level < levels.len()).map(|_| at.level)
        };
        match at.layer {
            Layer::Identity => self.identity.get(at.policy),
            Layer::Resource => self.resource.as_ref(),
            Layer::Boundary => self.boundary.as_ref()?.get(at.policy),
            Layer::Session => self.session.as_ref()?.get(at.policy),
            Layer::VpcEndpoint => self.vpc_endpoint.as_ref()?.get(at.policy),
            Layer::Scp => self.scps.as_ref()?.get(level(&self.scps)?)?.get(at.policy),
            Layer::Rcp => self.rcps.as_ref()?.get(level(&self.rcps)?)?.get(at.policy),
        }
    }

    /// All policies, in no particular order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Named> {
        let lists = [&self.boundary, &self.session, &self.vpc_endpoint].into_iter().flatten().flatten();
        let levels = [&self.scps, &self.rcps].into_iter().flatten().flatten().flatten();
        self.identity.iter().chain(&self.resource).chain(lists).chain(levels)
    }
}
