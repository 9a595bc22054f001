//! Which causes print the texts of the knowledge base, and which remedies end them: enumerated, evaluated, counted.
//!
//! A cause is a request that all policies allow but one, which refuses in one way. For each the texts that AWS prints are made and
//! given to the matcher, and each remedy is carried out on its policies and the request evaluated again. Nothing is estimated: the
//! counts are of this list, and say nothing of how often a cause is met.

mod causes;
mod remedies;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use stateward_iam::{Answer, Outcome, evaluate_json};
use stateward_knowledge::{Remedy, entry_for};

use causes::Cause;

/// What is counted of an entry.
#[derive(Default, Serialize)]
struct Count {
    /// The causes that print a text of this entry.
    causes: usize,
    /// How many of them a remedy ends.
    ends: BTreeMap<Remedy, usize>,
}

/// A cause with all that was found out of it.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the field's name is that of the file")]
struct Scenario {
    id: String,
    /// What `stateward policy evaluate` takes.
    scenario: Value,
    decision: Outcome,
    texts: Vec<String>,
    entries: BTreeSet<String>,
    ended_by: Vec<Remedy>,
}

/// Prints the data: `cargo xtask tidy --fix` keeps it in `crates/stateward-knowledge/lab.json`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if !arguments.is_empty() {
        return Err("usage: cargo xtask kb-lab".to_owned());
    }
    print!("{}", data()?);
    Ok(())
}

/// One line a scenario, so that a change shows where it is.
fn data() -> Result<String, String> {
    let scenarios = causes::all().into_iter().map(scenario).collect::<Result<Vec<_>, _>>()?;
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for scenario in &scenarios {
        for entry in &scenario.entries {
            let count = counts.entry(entry).or_default();
            count.causes += 1;
            for remedy in Remedy::ALL {
                *count.ends.entry(remedy).or_default() += usize::from(scenario.ended_by.contains(&remedy));
            }
        }
    }
    let entries = counts.iter().map(|(id, count)| Ok(format!("  \"{id}\": {}", line(count)?)));
    let entries = entries.collect::<Result<Vec<_>, String>>()?;
    let lines = scenarios.iter().map(|scenario| Ok(format!("  {}", line(scenario)?)));
    let lines = lines.collect::<Result<Vec<_>, String>>()?;
    Ok(format!(
        "{{\"schema\": 1, \"entries\": {{\n{}\n}}, \"scenarios\": [\n{}\n]}}\n",
        entries.join(",\n"),
        lines.join(",\n")
    ))
}

fn line(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

fn evaluate(scenario: &Value) -> Result<Answer, String> {
    evaluate_json(&scenario.to_string()).map_err(|error| format!("{error} in {scenario}"))
}

fn scenario(cause: Cause) -> Result<Scenario, String> {
    let id = cause.id();
    let answer = evaluate(&cause.scenario)?;
    if answer.decision != cause.outcome || answer.layer != Some(cause.layer) || !answer.errors.is_empty() {
        return Err(format!("{id}: is no such cause: {answer:?}"));
    }
    let texts = texts::of(&cause);
    let mut entries = BTreeSet::new();
    for text in &texts {
        let problems = stateward_denial::read(text.as_bytes());
        let ids: Vec<_> = problems.iter().map(|problem| entry_for(problem).map(|entry| entry.id.clone())).collect();
        match ids.as_slice() {
            [Some(id)] => _ = entries.insert(id.clone()),
            found => return Err(format!("{id}: no entry tells of it, or several: {found:?}: {text}")),
        }
    }
    let mut ended_by = Vec::new();
    for remedy in Remedy::ALL {
        let after = evaluate(&remedies::carried_out(remedy, &cause))?;
        if after.decision == Outcome::Allowed {
            ended_by.push(remedy);
        }
    }
    Ok(Scenario { id, scenario: cause.scenario, decision: answer.decision, texts, entries, ended_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_cause_every_request_is_allowed() {
        for target in causes::TARGETS {
            let answer = evaluate(&causes::allowed(target)).unwrap();
            assert_eq!(answer.decision, Outcome::Allowed, "{}: {answer:?}", target.name);
        }
    }

    #[test]
    fn every_cause_is_ended_by_mending_its_layer_and_by_nothing_that_leaves_the_policies_alone() {
        let data: Value = serde_json::from_str(&data().unwrap()).unwrap();
        let scenarios = data["scenarios"].as_array().unwrap();
        assert!(scenarios.len() >= 100, "{}", scenarios.len());
        for scenario in scenarios {
            let ended_by = scenario["ended_by"].as_array().unwrap();
            assert!(!ended_by.is_empty() && !ended_by.contains(&"nothing".into()), "{}", scenario["id"]);
        }
    }
}
