//! Whether the environments are kept apart, by what their policies will say and by what is there beside them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stateward_iam::{
    self as iam, AnswerStatement, Named, Policy, PolicyError, PolicyKind, PolicySet, Tried, Verdict, isolation,
};

use super::super::{Bucket, Environment, Found, Item, Resource};
use super::Side;

const APART: &str = "Whoever works in one was tried, by the evaluator, on what each other one has, with every action that AWS knows for it.";
/// So many leaks are told in full.
const TOLD: usize = 3;

/// That they are kept apart, or what reaches over: then nothing is done. One alone is tried on what another one would have.
pub(super) fn plan(sides: &[Side<'_>], found: &Found) -> Option<Item> {
    let names: Vec<&str> = sides.iter().map(|side| side.environment.name.as_str()).collect();
    let of = &Resource { kind: "environments", name: &names.join(", ") };
    let apart = (Value::Null, json!("kept apart"));
    let stand_in = match sides {
        [] => return None,
        [one] => Some(stand_in(one.environment)),
        _ => None,
    };
    let tried = match tried(sides, stand_in.as_ref(), found) {
        Ok(tried) => tried,
        Err(problem) => {
            let why = format!("It cannot be told whether they are kept apart: {problem}.");
            return Some(of.refuse("isolation", apart, why));
        }
    };
    let crossing: Vec<&Tried> =
        tried.iter().filter(|tried| matches!(tried.verdict, Verdict::Open | Verdict::Unproven)).collect();
    if crossing.is_empty() {
        let pairs = tried.iter().map(|tried| (&tried.from, &tried.to)).collect::<BTreeSet<_>>().len();
        let why = match &stand_in {
            None => APART.to_owned(),
            Some(Environment { name, .. }) => format!(
                "It is the only one here. So it was tried, by the evaluator, on what another one in the bucket would have ({name}), and that one on \
                 it, with every action that AWS knows for it."
            ),
        };
        return Some(of.keep("isolation", json!({"pairs": pairs, "requests": tried.len()}), why));
    }
    let told: Vec<String> = crossing.iter().take(TOLD).map(|tried| words(tried)).collect();
    let more = match crossing.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(", and {more} requests more"),
    };
    let first = match &stand_in {
        None => "They would not be kept apart".to_owned(),
        Some(Environment { name, .. }) => format!("It would not be kept apart from others, such as {name}"),
    };
    let why = format!("{first}: {}{more}. Take out what lets them through, and run it again.", told.join("; "));
    Some(of.refuse("isolation", (json!("not kept apart"), json!("kept apart")), why))
}

/// Another one than the one that is there. Its name begins and ends as that one's: what reaches over by a beginning, or by an end, reaches it.
fn stand_in(of: &Environment) -> Environment {
    Environment { name: format!("{0}-{0}", of.name), trusted: Vec::new() }
}

fn tried(sides: &[Side<'_>], stand_in: Option<&Environment>, found: &Found) -> Result<Vec<Tried>, String> {
    let other = match (sides.first(), stand_in) {
        (Some(side), Some(other)) => Some(Side::new(side.wanted, side.bucket, other, found)),
        _ => None,
    };
    let other = other.transpose().map_err(|error| error.to_string())?;
    let all = sides.iter().chain(&other).map(|side| environment(side, found)).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|Unreadable { name, error }| format!("{name} cannot be read: {error}"))?;
    isolation(&all).map_err(|error| error.to_string())
}

fn words(tried: &Tried) -> String {
    let Tried { from, to, action, resource, verdict, .. } = tried;
    let may = if *verdict == Verdict::Open { "reaches" } else { "may reach" };
    let by = |at: &AnswerStatement| format!("statement {} of {}", at.statement, at.policy);
    let by: Vec<String> = tried.statements.iter().map(by).collect();
    format!("{from} {may} what is of {to} with {action} on {resource} by {}", by.join(" and "))
}

/// A policy that nothing can be said about.
struct Unreadable {
    name: String,
    error: PolicyError,
}

fn named(name: String, text: &str, kind: PolicyKind) -> Result<Named, Unreadable> {
    match Policy::parse(text, kind) {
        Ok(policy) => Ok(Named { name, policy }),
        Err(error) => Err(Unreadable { name, error }),
    }
}

fn environment(side: &Side<'_>, found: &Found) -> Result<iam::Environment, Unreadable> {
    let role = side.own_role();
    let own = named(format!("the policy {}", side.name), &side.document.to_string(), PolicyKind::Identity)?;
    let others = role.into_iter().flat_map(|role| &role.others);
    let others = others.map(|(name, text)| named(format!("the policy {name} of its role"), text, PolicyKind::Identity));
    let identity = [Ok(own)].into_iter().chain(others).collect::<Result<_, _>>()?;
    let boundary = role.and_then(|role| role.boundary.as_ref());
    let boundary =
        boundary.map(|(name, text)| named(format!("the boundary {name} of its role"), text, PolicyKind::Identity));
    let boundary = boundary.transpose()?.map(|boundary| vec![boundary]);
    let of_bucket = match &found.bucket {
        Some(Bucket::There(settings)) => settings.policy.as_deref(),
        _ => None,
    };
    let of_bucket = of_bucket.map(|text| named("the bucket's policy".to_owned(), text, PolicyKind::Resource));
    let of_table = found.lock_table.as_ref().and_then(|table| table.policy.as_deref());
    let of_table = of_table.map(|text| named("the lock table's policy".to_owned(), text, PolicyKind::Resource));
    let trust = (side.environment.has_role() || role.is_some()).then(|| side.trust()).flatten();
    let trust = trust.map(|text| named(format!("the trust policy of {}", side.name), &text, PolicyKind::Trust));
    Ok(iam::Environment {
        name: side.environment.name.clone(),
        // Where set-up makes no role the policy is somebody's all the same: of a role that is called as it is.
        principal: side.wanted.iam_arn("role", &side.name),
        keeping: side.keeping.clone(),
        policies: PolicySet { identity, boundary, ..PolicySet::default() },
        resource_policies: of_bucket.into_iter().chain(of_table).collect::<Result<_, _>>()?,
        trust: trust.transpose()?,
        managed: managed(side),
    })
}

/// The policy that is made, and those beside it that its role carries.
pub(super) fn managed(side: &Side<'_>) -> Vec<String> {
    let others = side.own_role().into_iter().flat_map(|role| &role.others).map(|(name, _)| name);
    let others = others.filter(|name| iam::is_managed_policy(name)).cloned();
    [side.wanted.iam_arn("policy", &side.name)].into_iter().chain(others).collect()
}
