//! Conditions: operators, keys, and values that cannot be compared.

use super::{Findings, Rule};
use crate::data::Key;
use crate::policy::condition::{Base, Condition, Operator, SetOperator, Test};
use crate::policy::{Effect, Statement, Version};

pub(super) fn check(condition: &Condition, statement: &Statement, version: Version, findings: &mut Findings) {
    let key = &condition.key_name;
    if condition.known == Key::Unknown {
        findings.add(Rule::UnknownKey, condition.at, format!("AWS has no condition key `{key}`"));
    }
    let Some(operator) = condition.operator else {
        let message = format!("AWS has no condition operator `{}`", condition.operator_name);
        findings.add(Rule::UnknownOperator, condition.at, message);
        return;
    };
    values(condition, operator, version, findings);
    set(condition, operator, statement, findings);
}

fn values(condition: &Condition, operator: Operator, version: Version, findings: &mut Findings) {
    let name = &condition.operator_name;
    for (test, value) in condition.tests.iter().zip(&condition.values) {
        if matches!(test, Test::Invalid(_)) {
            let message = format!("`{name}` cannot compare with `{value}`");
            findings.add(Rule::BadValue, condition.at, message);
        } else if value.contains("${") && version == Version::V2008 && operator.takes_variables() {
            let message = format!(
                "`{value}` has a variable, which means itself in this version of the language: write `\"Version\": \"2012-10-17\"`"
            );
            findings.add(Rule::Variable, condition.at, message);
        }
    }
}

fn set(condition: &Condition, operator: Operator, statement: &Statement, findings: &mut Findings) {
    let key = &condition.key_name;
    if operator.set == Some(SetOperator::All) && statement.effect == Effect::Allow && !asks_for(statement, condition) {
        let message = format!(
            "`ForAllValues` is true where a request has no `{key}`, and this statement allows: add `\"Null\": {{\"{key}\": \"false\"}}`"
        );
        findings.add(Rule::ForAllValuesAllow, condition.at, message);
    }
    let Key::Known(_) = condition.known else { return };
    match (condition.is_multivalued(), operator.set) {
        (true, None) if operator.base != Base::Null => {
            let message = format!("a request has several values of `{key}`: write `ForAnyValue:` or `ForAllValues:`");
            findings.add(Rule::SetOperator, condition.at, message);
        }
        (false, Some(_)) => {
            let message = format!("a request has one value of `{key}`: leave out `ForAnyValue:` and `ForAllValues:`");
            findings.add(Rule::SetOperator, condition.at, message);
        }
        _ => {}
    }
}

/// Whether another condition of the statement demands that the key is there.
fn asks_for(statement: &Statement, condition: &Condition) -> bool {
    let demands = |other: &&Condition| other.key == condition.key && other.tests == [Test::Null(false)];
    statement.conditions.iter().find(demands).is_some()
}
