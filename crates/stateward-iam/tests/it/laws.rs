//! Laws that hold for all policies.

use proptest::prelude::*;
use serde_json::{Value, json};
use stateward_iam::{Answer, Outcome, evaluate_json};

use crate::case::{Case, USER};
use crate::random::{Random, scenario};

fn answer(scenario: &Value) -> Answer {
    evaluate_json(&scenario.to_string()).expect("a valid scenario")
}

/// Every list of statements of a scenario.
fn each_policy(scenario: &mut Value, change: &mut dyn FnMut(&mut Vec<Value>)) {
    match scenario {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Array(statements) if name == "Statement" => change(statements),
                    value => each_policy(value, change),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each_policy(value, change)),
        _ => {}
    }
}

/// Turns known keys into unknown ones; gives their names.
fn forget(scenario: &mut Value, random: &mut Random) -> Vec<String> {
    let context = scenario["request"]["context"].as_object_mut().expect("an object");
    let keys: Vec<String> = context.keys().filter(|_| random.below(3) == 0).take(3).cloned().collect();
    context.retain(|key, _| !keys.contains(key));
    scenario["request"]["unknown"] = json!(keys);
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_deny_never_opens(seed in any::<u64>(), extra in any::<u64>()) {
        let before = scenario(&mut Random::new(seed));
        let mut after = before.clone();
        let mut random = Random::new(extra);
        each_policy(&mut after, &mut |statements| {
            if random.below(2) == 0 {
                let mut deny = statements[random.below(statements.len())].clone();
                deny["Effect"] = "Deny".into();
                statements.insert(random.below(statements.len() + 1), deny);
            }
        });
        if answer(&before).decision != Outcome::Allowed {
            prop_assert_ne!(answer(&after).decision, Outcome::Allowed, "{}", after);
        }
        if answer(&before).decision == Outcome::ExplicitDeny {
            prop_assert_eq!(answer(&after).decision, Outcome::ExplicitDeny, "{}", after);
        }
    }

    #[test]
    fn order_never_matters(seed in any::<u64>()) {
        let mut scenario = scenario(&mut Random::new(seed));
        if seed % 2 == 0 {
            forget(&mut scenario, &mut Random::new(seed));
        }
        let before = answer(&scenario);
        each_policy(&mut scenario, &mut |statements| statements.reverse());
        for part in ["identity", "boundary", "scps", "rcps"] {
            if let Some(list) = scenario[part].as_array_mut() {
                list.reverse();
            }
        }
        let after = answer(&scenario);
        prop_assert_eq!((before.decision, before.layer, before.possible), (after.decision, after.layer, after.possible));
        prop_assert_eq!(before.statements.len(), after.statements.len());
    }

    #[test]
    fn a_deny_of_everything_refuses(seed in any::<u64>()) {
        let mut scenario = scenario(&mut Random::new(seed));
        let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
        scenario["identity"][0]["policy"]["Statement"].as_array_mut().expect("a list").push(deny);
        prop_assert_eq!(answer(&scenario).decision, Outcome::ExplicitDeny);
    }

    /// What is said of unknown keys is true of every value that they turn out to have.
    #[test]
    fn unknown_keys_are_spoken_of_truly(seed in any::<u64>()) {
        let known = scenario(&mut Random::new(seed));
        let mut unknown = known.clone();
        let keys = forget(&mut unknown, &mut Random::new(seed));
        let said = answer(&unknown);
        let mut absent = unknown.clone();
        absent["request"]["unknown"] = json!([]);
        // Keys of the principal are added where they are left out, and so never absent.
        if keys.iter().any(|key| key.starts_with("aws:Principal")) {
            absent = known.clone();
        }
        for concrete in [known, absent] {
            let truth = answer(&concrete).decision;
            if said.decision == Outcome::Depends {
                prop_assert!(said.possible.contains(&truth), "{:?}: {}", said.possible, unknown);
                prop_assert!(!said.depends_on.is_empty(), "{}", unknown);
                prop_assert!(said.possible.len() > 1, "{}", unknown);
            } else {
                prop_assert_eq!(said.decision, truth, "{}", unknown);
            }
        }
    }

    /// An answer names the statements that made it: without them it would be another.
    #[test]
    fn an_explicit_deny_is_made_by_its_statements(seed in any::<u64>()) {
        let mut scenario = scenario(&mut Random::new(seed));
        if answer(&scenario).decision == Outcome::ExplicitDeny {
            prop_assert!(!answer(&scenario).statements.is_empty());
            each_policy(&mut scenario, &mut |statements| statements.retain(|statement| statement["Effect"] == "Allow"));
            prop_assert_ne!(answer(&scenario).decision, Outcome::ExplicitDeny);
        }
    }

    #[test]
    fn nothing_panics(text in r#"[\[\]{}:,"*?$a-zA-Z0-9 ./-]{0,60}"#, seed in any::<u64>()) {
        let _ = evaluate_json(&text);
        let whole = scenario(&mut Random::new(seed)).to_string();
        let cut = Random::new(seed ^ 1).below(whole.len());
        let _ = evaluate_json(&whole[..cut]);
        for field in ["Action", "Resource", "Condition", "Principal", "Sid"] {
            let mut statement = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
            statement[field] = text.as_str().into();
            let _ = evaluate_json(&Case::new(USER).identity(json!({"Version": "2012-10-17", "Statement": statement})).json());
        }
    }
}
