//! A request with all policies about it as one JSON document, and the answer to it.

mod read;

use serde::Serialize;

use crate::eval::{Decision, Layer, Outcome, PolicySet, StatementRef};
use crate::json::{self, JsonError};
use crate::policy::{Effect, PolicyError};
use crate::request::{Request, RequestError};

/// A request and the policies that have a say about it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What is asked.
    pub request: Request,
    /// Who has a say.
    pub policies: PolicySet,
    /// What of the document was not understood and left out.
    pub notes: Vec<String>,
}

/// Why a document is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// Not JSON.
    #[error("the scenario is not valid JSON: {0}")]
    Json(#[from] JsonError),
    /// A part has another shape.
    #[error("`{path}` {problem}")]
    Shape {
        /// The part, such as `request.context`.
        path: String,
        /// What is wrong with it, as the rest of a sentence.
        problem: String,
    },
    /// The request makes no sense.
    #[error("the request makes no sense: {0}")]
    Request(#[from] RequestError),
    /// AWS would not take a policy.
    #[error("{path}: the policy `{name}` is malformed: {error}")]
    Policy {
        /// Where it stands in the scenario.
        path: String,
        /// Its name.
        name: String,
        /// What is wrong with it; places are in the scenario.
        error: Box<PolicyError>,
    },
}

impl Scenario {
    /// Reads a scenario: `{"request":{…},"identity":[…],"boundary":[…],…}`.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        read::scenario(text, &json::parse(text)?)
    }

    /// Decides.
    pub fn evaluate(&self) -> Answer {
        Answer::new(&self.policies, self.policies.evaluate(&self.request), self.notes.clone())
    }
}

/// Reads a scenario and decides.
pub fn evaluate_json(text: &str) -> Result<Answer, ScenarioError> {
    Ok(Scenario::parse(text)?.evaluate())
}

/// What a batch answers to a line: the answer, or what is wrong with the scenario.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// Decided.
    Answer(Answer),
    /// Malformed; never a decision.
    Error {
        /// What is wrong.
        error: String,
    },
}

/// Reads a scenario of a batch and decides.
pub fn evaluate_line(text: &str) -> Line {
    match evaluate_json(text) {
        Ok(answer) => Line::Answer(answer),
        Err(error) => Line::Error { error: error.to_string() },
    }
}

/// A decision with its policies by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What comes out.
    pub decision: Outcome,
    /// The layer that refuses, or may; `null` where the request is allowed.
    pub layer: Option<Layer>,
    /// The statements that made the decision.
    pub statements: Vec<AnswerStatement>,
    /// The unknown context keys on which it depends.
    pub depends_on: Vec<String>,
    /// What may come out, where it depends; else empty.
    pub possible: Vec<Outcome>,
    /// What could not be understood and counted against the request, what AWS would not store, what AWS's pages leave
    /// open.
    pub errors: Vec<String>,
}

/// A statement that made a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerStatement {
    /// The layer of its policy.
    pub layer: Layer,
    /// The name of its policy.
    pub policy: String,
    /// Its number in the policy, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
    /// Its effect.
    pub effect: Effect,
}

impl AnswerStatement {
    /// What people call it: its `Sid`, or its number, from 0 as in JSON.
    pub fn name(&self) -> String {
        self.sid.clone().unwrap_or_else(|| format!("statement {}", self.statement))
    }
}

impl Answer {
    /// Names what a decision about these policies refers to.
    pub fn new(policies: &PolicySet, decision: Decision, mut notes: Vec<String>) -> Self {
        notes.extend(decision.notes);
        Self {
            decision: decision.outcome,
            layer: decision.layer,
            statements: decision.statements.iter().map(|at| AnswerStatement::new(policies, at)).collect(),
            depends_on: decision.depends_on,
            possible: decision.possible,
            errors: notes,
        }
    }
}

impl AnswerStatement {
    fn new(policies: &PolicySet, at: &StatementRef) -> Self {
        let named = policies.policy(at);
        let sid = named.and_then(|named| named.policy.statements.get(at.statement)?.sid.clone());
        Self {
            layer: at.layer,
            policy: named.map(|named| named.name.clone()).unwrap_or_default(),
            statement: at.statement,
            sid,
            effect: at.effect,
        }
    }
}
