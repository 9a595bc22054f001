//! Unknown keys, exactly: where a decision depends on them, all that they can be is tried.
//!
//! Three-valued evaluation takes each condition by itself. It does not see that one of two statements about the same
//! unknown key always applies. So for each key one value is taken of every kind that its conditions can tell apart, and
//! the decision is made for all combinations. Where the kinds cannot be counted, the answer stays as it was.

mod values;

use super::{Decision, Outcome, PolicySet, combine};
use crate::request::{ContextValue, Request};

/// More combinations than this are not tried.
const COMBINATIONS_MAX: usize = 4096;

pub(super) fn refine(set: &PolicySet, request: &Request, decision: Decision) -> Decision {
    exact(set, request, &decision).unwrap_or(decision)
}

fn exact(set: &PolicySet, request: &Request, decision: &Decision) -> Option<Decision> {
    let keys = unknown_keys(set, request)?;
    let kinds: Vec<Vec<Option<ContextValue>>> =
        keys.iter().map(|key| values::kinds(set, key)).collect::<Option<_>>()?;
    let combinations = kinds.iter().try_fold(1_usize, |product, kinds| product.checked_mul(kinds.len()))?;
    if keys.is_empty() || combinations > COMBINATIONS_MAX {
        return None;
    }
    let decisions: Vec<Decision> = (0..combinations)
        .map(|number| {
            let mut concrete = request.clone();
            let mut rest = number;
            for (key, kinds) in keys.iter().zip(&kinds) {
                concrete.context.replace(key, kinds.get(rest % kinds.len()).cloned().flatten());
                rest /= kinds.len();
            }
            combine::decide(set, &concrete)
        })
        .collect();
    let mut possible: Vec<Outcome> = Vec::new();
    for decision in &decisions {
        if !possible.contains(&decision.outcome) {
            possible.push(decision.outcome);
        }
    }
    match (possible.as_slice(), decisions.first()) {
        // What AWS's pages leave open is not a matter of keys.
        _ if possible.contains(&Outcome::Depends) => None,
        ([_], Some(first)) => Some(first.clone()),
        _ => {
            let strides = kinds.iter().scan(1, |stride, kinds| Some(std::mem::replace(stride, *stride * kinds.len())));
            let decisive = keys.iter().zip(kinds.iter().zip(strides)).filter(|(_, (kinds, stride))| {
                (0..combinations).any(|number| {
                    let own = number / stride % kinds.len();
                    let base = number - own * stride;
                    let outcome = |number: usize| decisions.get(number).map(|decision| decision.outcome);
                    outcome(base) != outcome(number)
                })
            });
            let spelled = |key: &str| {
                let named = decision.depends_on.iter().find(|own| own.eq_ignore_ascii_case(key));
                named.cloned().unwrap_or_else(|| key.to_owned())
            };
            let depends_on = decisive.map(|(key, _)| spelled(key)).collect();
            possible.sort_by_key(|outcome| *outcome as u8);
            Some(Decision { possible, depends_on, ..decision.clone() })
        }
    }
}

/// The unknown keys that conditions ask for, in lower case. `None` where one stands in a variable: what it is then
/// compared with has no end.
fn unknown_keys(set: &PolicySet, request: &Request) -> Option<Vec<String>> {
    let is_unknown = |key: &str| request.context.get(key) == Some(&ContextValue::Unknown);
    let mut keys = Vec::new();
    for statement in set.all().flat_map(|named| named.policy.statements.iter()) {
        let patterns = statement.resources.iter().flat_map(|element| &element.patterns);
        let mut variables = patterns.flat_map(|(_, pattern)| pattern.variables());
        if variables.any(|variable| is_unknown(&variable.key)) {
            return None;
        }
        for condition in &statement.conditions {
            let mut variables = condition.tests.iter().flat_map(values::variables);
            if variables.any(|variable| is_unknown(&variable.key)) {
                return None;
            }
            if is_unknown(&condition.key) && !keys.contains(&condition.key) {
                keys.push(condition.key.clone());
            }
        }
    }
    Some(keys)
}
