//! Whether a statement applies to a request.

use super::condition::{self, Outcome};
use super::tri::Tri;
use super::{Cause, Trace};
use crate::policy::principal::{Grant, Listed};
use crate::policy::{Effect, ResourceElement, Statement};
use crate::request::{ContextValue, Request};
use crate::value::arn::{Covers, Segments};

/// A request with what is asked of it again and again.
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request,
    pub(crate) arn: Option<Segments<'a>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(request: &'a Request) -> Self {
        Self { request, arn: Segments::of(&request.resource) }
    }
}

/// Whether a statement applies, and how directly it names the principal. What it depends on is added to the trace,
/// unless it does not apply whatever that is.
pub(crate) fn applies<'a>(statement: &'a Statement, facts: &Facts<'a>, trace: &mut Trace<'a>) -> (Tri, Grant) {
    let none = (Tri::False, Grant::Direct);
    if !statement.actions.covers(&facts.request.action) {
        return none;
    }
    let start = trace.len();
    let covered = match &statement.resources {
        Some(element) => covers(element, facts, trace),
        None => Tri::True,
    };
    if covered == Tri::False {
        trace.truncate(start);
        return none;
    }
    let Some((named, grant)) = names(statement, facts, trace) else {
        trace.truncate(start);
        return none;
    };
    let applies = covered.and(named).and(conditions(statement, facts, trace, start));
    (applies, grant)
}

fn covers<'a>(element: &'a ResourceElement, facts: &Facts<'a>, trace: &mut Trace<'a>) -> Tri {
    let context = &facts.request.context;
    let mut covered = Tri::False;
    let mut unresolved = false;
    for (_, pattern) in &element.patterns {
        let one = pattern.covers(&facts.request.resource, facts.arn.as_ref(), |variable| context.fill(variable));
        match one {
            Covers::Yes => {
                covered = Tri::True;
                break;
            }
            Covers::No => {}
            Covers::Unresolved => unresolved = true,
            Covers::Open => {
                trace.push(Cause::Pattern(&pattern.source));
                covered = Tri::Unknown;
            }
            Covers::Unknown => {
                let unknown = |key: &str| context.get(key) == Some(&ContextValue::Unknown);
                let keys = pattern.variables().filter(|variable| unknown(&variable.key));
                trace.extend(keys.map(|variable| Cause::Unknown(&variable.key)));
                covered = Tri::Unknown;
            }
        }
    }
    match element.negated {
        // A variable without a value makes its statement void:
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
        true if unresolved => Tri::False,
        true => covered.not(),
        false => covered,
    }
}

/// `None` where the statement is about others.
fn names<'a>(statement: &'a Statement, facts: &Facts<'a>, trace: &mut Trace<'a>) -> Option<(Tri, Grant)> {
    let principal = &facts.request.principal;
    let Some(element) = &statement.principal else { return Some((Tri::True, Grant::Direct)) };
    if !element.negated {
        return element.grants(principal).map(|grant| (Tri::True, grant));
    }
    let named = match (element.lists(principal), statement.effect) {
        (Listed::Wholly, _) => return None,
        (Listed::No, _) | (Listed::Around, Effect::Deny) => Tri::True,
        (Listed::Partly, _) | (Listed::Around, Effect::Allow) => {
            trace.push(Cause::NotPrincipal);
            Tri::Unknown
        }
    };
    Some((named, Grant::Direct))
}

fn conditions<'a>(statement: &'a Statement, facts: &Facts<'a>, trace: &mut Trace<'a>, start: usize) -> Tri {
    let (mut unknown, mut broken) = (false, false);
    for condition in &statement.conditions {
        match condition::evaluate(condition, &facts.request.context, trace) {
            Outcome::True => {}
            Outcome::Unknown => unknown = true,
            Outcome::Broken => broken = true,
            Outcome::False => {
                trace.truncate(start);
                return Tri::False;
            }
        }
    }
    // What cannot be understood grants nothing and refuses.
    match (broken, statement.effect) {
        (true, Effect::Allow) => Tri::False,
        _ if unknown => Tri::Unknown,
        _ => Tri::True,
    }
}
