//! What another evaluator makes of all that a lab decided.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io, thread};

use serde::Serialize;
use serde_json::Value;

use crate::iam_oracle::iam_oracle;

/// Collects the decisions of a lab.
#[derive(Debug, Clone, Default)]
pub struct SecondOpinion {
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Scenarios less the time, which makes each of them another one.
    known: BTreeSet<String>,
    /// Each scenario with the decision about it.
    decided: Vec<(Value, Value)>,
}

/// A lab whose decisions are asked about when it goes down.
#[derive(Debug)]
pub struct Seconded<L> {
    lab: Option<L>,
    opinion: SecondOpinion,
}

/// How the other evaluator sees it.
#[derive(Debug, Default)]
struct Compared {
    agreed: usize,
    /// By the reason why it cannot be asked.
    not_asked: BTreeMap<String, usize>,
    differing: Vec<String>,
}

impl SecondOpinion {
    /// Nothing is decided yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// To be called with each decision: with whatever has a `scenario` as `stateward policy evaluate` takes it, and the `decision` about it.
    /// What came to no decision is left out.
    pub fn hears<D: Serialize>(&self) -> Arc<dyn Fn(&D) + Send + Sync> {
        let heard = Arc::clone(&self.heard);
        Arc::new(move |decision| {
            let decision = serde_json::to_value(decision).expect("a decision can be written");
            let (scenario, outcome) = (&decision["scenario"], &decision["decision"]);
            if !outcome.is_null() {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                if heard.known.insert(without_time(scenario).to_string()) {
                    heard.decided.push((scenario.clone(), outcome.clone()));
                }
            }
        })
    }

    /// The lab whose decisions these are.
    pub fn of<L>(self, lab: L) -> Seconded<L> {
        Seconded { lab: Some(lab), opinion: self }
    }

    /// Asks about all that was decided.
    fn compare(&self) -> Compared {
        let decided = std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner).decided);
        let mut compared = Compared::default();
        let (mut asked, mut scenarios) = (Vec::new(), Vec::new());
        for (scenario, own) in decided {
            match expressible(&scenario) {
                Ok(expressed) => {
                    scenarios.push(expressed);
                    asked.push((scenario, own));
                }
                Err(why) => compared.cannot_be_asked(why.to_owned()),
            }
        }
        let answers = if scenarios.is_empty() { Vec::new() } else { iam_oracle(&scenarios) };
        for ((scenario, own), theirs) in asked.into_iter().zip(answers) {
            match &theirs["decision"] {
                Value::Null => compared.cannot_be_asked(theirs["error"].to_string()),
                decision if *decision == own => compared.agreed += 1,
                decision => compared.differing.push(format!("{own}, theirs {decision}: {scenario}")),
            }
        }
        compared
    }
}

impl Compared {
    fn cannot_be_asked(&mut self, why: String) {
        *self.not_asked.entry(why).or_default() += 1;
    }
}

/// One line.
impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not_asked: usize = self.not_asked.values().sum();
        let all = self.agreed + self.differing.len() + not_asked;
        write!(f, "{all} decisions, {} agreed, {} differ", self.agreed, self.differing.len())?;
        write!(f, ", {not_asked} cannot be asked about")?;
        for (at, (why, count)) in self.not_asked.iter().enumerate() {
            write!(f, "{} {count} for {why}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl<L> Deref for Seconded<L> {
    type Target = L;

    fn deref(&self) -> &L {
        self.lab.as_ref().expect("it is there until it is dropped")
    }
}

impl<L> Drop for Seconded<L> {
    fn drop(&mut self) {
        // First: what it still decides about counts.
        drop(self.lab.take());
        if thread::panicking() {
            return;
        }
        let compared = self.opinion.compare();
        let current = thread::current();
        // Past the test harness, which keeps what a test prints that passes. Where nobody listens there is nobody to tell.
        let _ = writeln!(io::stderr(), "second opinion, {}: {compared}", current.name().unwrap_or("a lab"));
        assert!(
            compared.differing.is_empty(),
            "another evaluator differs: {compared}\n{}",
            compared.differing.join("\n")
        );
    }
}

/// The scenario in the words that the other evaluator knows, or why there are none.
fn expressible(scenario: &Value) -> Result<Value, &'static str> {
    let mut scenario = scenario.clone();
    let Some(context) = scenario["request"]["context"].as_object_mut() else { return Ok(scenario) };
    // It refuses to hear of pairs whose names have colons.
    let pairs = context.len();
    context.retain(|key, _| !key.starts_with("kms:EncryptionContext:"));
    let is_less = context.len() < pairs;
    if is_less && scenario.to_string().contains("kms:EncryptionContext:") {
        return Err("conditions on pairs of an encryption context");
    }
    Ok(scenario)
}

fn without_time(scenario: &Value) -> Value {
    let mut scenario = scenario.clone();
    if let Some(context) = scenario["request"]["context"].as_object_mut() {
        context.remove("aws:CurrentTime");
        context.remove("aws:EpochTime");
    }
    scenario
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use serde_json::json;

    use super::*;

    fn scenario(action: &str, time: &str) -> Value {
        json!({
            "request": {
                "principal": "arn:aws:iam::123456789012:user/ci", "action": action, "resource": "arn:aws:s3:::b/k",
                "resource_account": "123456789012",
                "context": { "aws:CurrentTime": time },
            },
            "identity": [{ "name": "ci", "policy": { "Version": "2012-10-17", "Statement": [
                { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" },
            ] } }],
        })
    }

    fn decided(decisions: &[Value]) -> SecondOpinion {
        let opinion = SecondOpinion::new();
        let hears = opinion.hears();
        decisions.iter().for_each(|decision| hears(decision));
        opinion
    }

    fn decision(action: &str, time: &str, outcome: &str) -> Value {
        json!({ "scenario": scenario(action, time), "decision": outcome })
    }

    const NOON: &str = "2026-11-28T12:00:00Z";

    #[test]
    fn each_scenario_is_asked_about_once() {
        let compared = decided(&[
            decision("s3:GetObject", NOON, "allowed"),
            decision("s3:GetObject", "2026-11-28T12:00:01Z", "allowed"),
            decision("s3:PutObject", NOON, "implicit_deny"),
            json!({ "scenario": null, "decision": null, "error": "InvalidAccessKeyId" }),
        ])
        .compare();
        assert_eq!(compared.to_string(), "2 decisions, 2 agreed, 0 differ, 0 cannot be asked about");
    }

    #[test]
    fn what_cannot_be_asked_about_is_counted_with_its_reason() {
        let mut odd = decision("s3:GetObject", NOON, "allowed");
        odd["scenario"]["request"]["context"]["no:SuchKey"] = "x".into();
        let mut pairs = decision("kms:Decrypt", NOON, "implicit_deny");
        pairs["scenario"]["request"]["context"]["kms:EncryptionContext:aws:s3:arn"] = "x".into();
        let mut asked = pairs.clone();
        asked["scenario"]["request"]["resource"] = "arn:aws:kms:us-east-1:123456789012:key/k".into();
        pairs["scenario"]["identity"][0]["policy"]["Statement"][0]["Condition"] =
            json!({ "StringLike": { "kms:EncryptionContext:aws:s3:arn": "*" } });
        let compared = decided(&[odd, pairs, asked]).compare();
        let told = compared.to_string();
        assert!(told.starts_with("3 decisions, 1 agreed, 0 differ, 2 cannot be asked about: "), "{told}");
        for words in ["no:SuchKey", "1 for conditions on pairs of an encryption context"] {
            assert!(told.contains(words), "{words} is not in {told}");
        }
    }

    #[test]
    fn a_lab_that_decided_otherwise_fails_its_test_with_the_scenario() {
        let lab = decided(&[decision("s3:PutObject", NOON, "allowed")]).of("a lab");
        assert_eq!(lab.len(), 5);
        let panic = catch_unwind(AssertUnwindSafe(|| drop(lab))).expect_err("it differs");
        let told = panic.downcast_ref::<String>().expect("words");
        assert!(told.contains("\"allowed\", theirs \"implicit_deny\"") && told.contains("s3:PutObject"), "{told}");
    }

    #[test]
    fn what_a_test_failed_of_is_not_hidden() {
        let lab = decided(&[decision("s3:PutObject", NOON, "allowed")]).of("a lab");
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _lab = lab;
            resume_unwind(Box::new("the test's own"));
        }));
        assert_eq!(panic.expect_err("it failed").downcast_ref::<&str>(), Some(&"the test's own"));
    }
}
