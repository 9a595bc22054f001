//! Whether environments that keep their states beside each other are kept apart: whoever works in one of them is tried on
//! what the others have, with every action that AWS knows for it.

mod meet;
mod probes;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::check::{asked_keys, placed, run_context, with_resource_policy};
use crate::eval::{Layer, Named, Outcome, PolicySet};
use crate::needs::{Keeping, KeepingError, Layout};
use crate::policy::principal::{Principal, PrincipalElement};
use crate::policy::{Policy, PolicyKind};
use crate::request::{ContextValue, Request, RequestError};
use crate::scenario::{Answer, AnswerStatement};
use crate::value::arn::Segments;
use probes::{Given, Probe};

/// An environment: where its states are, and who works there.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// The ARN of the user, role or session that works there.
    pub principal: String,
    /// How it keeps its states.
    pub keeping: Keeping,
    /// The policies of the principal.
    pub policies: PolicySet,
    /// The ARNs of the managed policies that the principal has, and of its permissions boundary, as far as they are known.
    pub managed: Vec<String>,
    /// The policies of its bucket, tables and key; each counts for the resources that it names.
    pub resource_policies: Vec<Named>,
    /// The trust policy of its role; unless told, one that lets its whole account in.
    pub trust: Option<Named>,
}

/// Why nothing can be said about environments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsolationError {
    /// Fewer than two.
    #[error("there is nothing to keep apart: name two environments or more")]
    Alone,
    /// Two of one name.
    #[error("two environments are called `{0}`")]
    Name(String),
    /// One user or role works in both: all that it may do in the one it may do from the other.
    #[error("`{one}` and `{other}` have the same principal, `{principal}`: it carries the policies of both")]
    Principal {
        /// One.
        one: String,
        /// The other.
        other: String,
        /// Whoever works in both.
        principal: String,
    },
    /// They keep the same states.
    #[error("`{one}` and `{other}` keep their states under the same names in the same place")]
    Same {
        /// One.
        one: String,
        /// The other.
        other: String,
    },
    /// The way of keeping state makes no sense.
    #[error("`{name}`: {error}")]
    Keeping {
        /// Of this environment.
        name: String,
        /// What is wrong with it.
        error: KeepingError,
    },
    /// Not the ARN of a managed policy.
    #[error("`{name}`: `{arn}` is no ARN of a managed policy")]
    Managed {
        /// Of this environment.
        name: String,
        /// What was given for one.
        arn: String,
    },
    /// The principal makes no sense.
    #[error("`{name}`: {error}")]
    Request {
        /// Of this environment.
        name: String,
        /// What is wrong with it.
        error: RequestError,
    },
}

/// What a decision means for keeping environments apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Allowed: the environments are not kept apart.
    Open,
    /// It depends on what is not known, or AWS's pages leave it open: that they are kept apart is not proven.
    Unproven,
    /// Allowed, and about a bucket, table or key that both use, without telling or changing anything of the other's state.
    Shared,
    /// Refused.
    Refused,
}

/// A request of one environment about what another one has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// Who asks.
    pub from: String,
    /// Whose it is.
    pub to: String,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// The name, item or service that the request was about, where that is told by its context.
    pub about: Option<String>,
    /// What comes out.
    pub decision: Outcome,
    /// What that means.
    pub verdict: Verdict,
    /// The layer that refuses, or may.
    pub layer: Option<Layer>,
    /// The statements that made the decision.
    pub statements: Vec<AnswerStatement>,
    /// The context keys on which it depends.
    pub depends_on: Vec<String>,
    /// What was assumed, and what of the policies was not understood.
    pub notes: Vec<String>,
}

impl Environment {
    /// The account of its tables and its bucket.
    fn account(&self) -> String {
        let own = Principal::parse(&self.principal).and_then(|principal| principal.account().map(str::to_owned));
        match self.keeping.account.as_str() {
            "*" => own.unwrap_or_default(),
            told => told.to_owned(),
        }
    }

    /// The policies that say who else is let in.
    fn theirs(&self) -> impl Iterator<Item = &Named> {
        self.resource_policies.iter().chain(&self.trust)
    }

    /// Whoever works here, also under each name of a session that the other one's policies have: who takes a role chooses that name.
    fn faces(&self, to: &Self) -> Vec<Self> {
        let role = |arn: &str| {
            let principal = Principal::parse(arn)?;
            let (name, account) = principal.role()?;
            Some((name.to_owned(), account.to_owned()))
        };
        let own = role(&self.principal);
        let statements = to.theirs().flat_map(|named| named.policy.statements.iter());
        let sessions = statements.flat_map(|statement| &statement.principal).flat_map(PrincipalElement::sessions);
        let named = sessions.filter(|arn| own.is_some() && role(arn) == own && **arn != self.principal);
        let named: BTreeSet<&str> = named.collect();
        let named = named.into_iter().map(|arn| Self { principal: arn.to_owned(), ..self.clone() });
        [self.clone()].into_iter().chain(named).collect()
    }
}

/// Tries every environment on what every other one has, by all actions on objects, buckets, tables, keys, users, roles and
/// managed policies that AWS had on the day of the [data](crate::data::origin).
///
/// Names are those that states have, and those in which the patterns of the policies meet with the other environment's. Global
/// and service keys that the policies ask for, and that the request does not settle, may have any value.
pub fn isolation(environments: &[Environment]) -> Result<Vec<Tried>, IsolationError> {
    sensible(environments)?;
    let mut all = Vec::new();
    for from in environments {
        for to in environments.iter().filter(|to| to.name != from.name) {
            let keeping = placed(&to.keeping, &from.policies, &to.resource_policies);
            let to = Environment { keeping, ..to.clone() };
            let asked = asked_keys(from.policies.all().chain(to.theirs()));
            for face in from.faces(&to) {
                for probe in probes::of(&face, &to) {
                    let tried = probe.tried(&face, &to, &asked);
                    all.push(tried.map_err(|error| IsolationError::Request { name: from.name.clone(), error })?);
                }
            }
        }
    }
    all.sort_by(|one, other| order(one).cmp(&order(other)));
    all.dedup();
    Ok(all)
}

fn order(tried: &Tried) -> (&str, &str, Verdict, &str, &str, &Option<String>) {
    (&tried.from, &tried.to, tried.verdict, &tried.action, &tried.resource, &tried.about)
}

fn sensible(environments: &[Environment]) -> Result<(), IsolationError> {
    if environments.len() < 2 {
        return Err(IsolationError::Alone);
    }
    for (number, one) in environments.iter().enumerate() {
        let name = one.name.clone();
        one.keeping.check().map_err(|error| IsolationError::Keeping { name: name.clone(), error })?;
        if let Some(arn) = one.managed.iter().find(|arn| !is_managed_policy(arn)) {
            return Err(IsolationError::Managed { name, arn: arn.clone() });
        }
        for other in environments.iter().skip(number + 1) {
            if other.name == one.name {
                return Err(IsolationError::Name(name));
            }
            if probes::owner(&one.principal).is_some_and(|owner| probes::owner(&other.principal) == Some(owner)) {
                let (other, principal) = (other.name.clone(), one.principal.clone());
                return Err(IsolationError::Principal { one: name, other, principal });
            }
            let place = |environment: &Environment| {
                let Keeping { layout, place, key, .. } = &environment.keeping;
                // A store in a table is all of the table.
                let key = if *layout == Layout::StatewardDynamodb { "" } else { key };
                (layout.in_table().then(|| environment.account()), place.clone(), key.to_owned())
            };
            if place(one) == place(other) {
                return Err(IsolationError::Same { one: name, other: other.name.clone() });
            }
        }
    }
    Ok(())
}

/// Whether it is the ARN of a managed policy, of the account's own or of AWS's.
pub fn is_managed_policy(arn: &str) -> bool {
    Segments::of(arn).is_some_and(|of| {
        arn.starts_with("arn:")
            && of.service() == "iam"
            && of.resource().strip_prefix("policy/").is_some_and(|name| !name.is_empty())
    })
}

impl Probe {
    fn tried(self, from: &Environment, to: &Environment, asked: &[String]) -> Result<Tried, RequestError> {
        let service = self.action.split(':').next().unwrap_or_default();
        let mut context = run_context(&from.principal);
        // Keys of another service are in no request.
        let may_be_there =
            asked.iter().filter(|key| key.split(':').next().is_some_and(|of| of == "aws" || of == service));
        for key in may_be_there {
            context.unknown(key);
        }
        let mut about = None;
        for (key, given) in self.context {
            let value = match given {
                Given::One(value) => Some((value.clone(), ContextValue::one(value))),
                Given::Several(values) => Some((values.join(", "), ContextValue::several(values))),
                Given::Nothing => None,
            };
            about = value.as_ref().map(|(text, _)| text.clone()).or(about);
            context.replace(key, value.map(|(_, value)| value));
        }
        let account = to.account();
        let account = Some(account.as_str()).filter(|account| !account.is_empty());
        let request = Request::new(&from.principal, &self.action, &self.resource, account, context)?;
        let (set, notes) = if request.assumes_role() {
            let trust = to.trust.clone().or_else(|| trusting(&to.principal));
            (PolicySet { resource: trust, ..from.policies.clone() }, Vec::new())
        } else {
            with_resource_policy(&request, &from.policies, &to.resource_policies)
        };
        let decision = set.lets_through(&request);
        let may_pass = decision.possible.contains(&Outcome::Allowed);
        let answer = Answer::new(&set, decision, notes);
        let verdict = match answer.decision {
            Outcome::ImplicitDeny | Outcome::ExplicitDeny => Verdict::Refused,
            // By which of two refusals is all that depends.
            Outcome::Depends if !may_pass => Verdict::Refused,
            _ if self.harmless => Verdict::Shared,
            Outcome::Allowed => Verdict::Open,
            Outcome::Depends => Verdict::Unproven,
        };
        Ok(Tried {
            from: from.name.clone(),
            to: to.name.clone(),
            action: self.action,
            resource: self.resource,
            about,
            decision: answer.decision,
            verdict,
            layer: answer.layer,
            statements: answer.statements,
            depends_on: answer.depends_on,
            notes: answer.errors,
        })
    }
}

/// The trust policy that leaves it to the role's account: then policies of whoever asks decide.
fn trusting(principal: &str) -> Option<Named> {
    let who = Principal::parse(principal)?;
    let account = who.account()?;
    let partition = principal.split(':').nth(1)?;
    let text = format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"arn:{partition}:iam::{account}:root"}},"Action":"sts:AssumeRole"}}}}"#
    );
    let policy = Policy::parse(&text, PolicyKind::Trust).ok()?;
    Some(Named { name: "a trust policy that lets its account in (none is given)".to_owned(), policy })
}
