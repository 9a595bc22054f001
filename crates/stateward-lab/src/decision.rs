//! What was decided about requests.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use stateward_iam::{AnswerStatement, Effect, Layer, Outcome};

/// What was decided about an action that a request needs.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// Counted from 1.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// The service's prefix in policies.
    pub service: &'static str,
    /// AWS's name for what was asked; empty where it was not understood.
    pub operation: String,
    /// Who asked: an ARN, or `*` where nobody signed. Empty where that is not known.
    pub principal: String,
    /// The action.
    pub action: String,
    /// Its resource.
    pub resource: String,
    /// What comes out; `null` where it did not come to a decision.
    pub decision: Option<Outcome>,
    /// The layer that refuses.
    pub layer: Option<Layer>,
    /// The statements that made the decision.
    pub statements: Vec<AnswerStatement>,
    /// The code that was answered, where the request was refused.
    pub error: Option<String>,
    /// The request with all policies about it, as `stateward policy evaluate` takes it; `null` where it did not come to a
    /// decision.
    pub scenario: Value,
}

impl Decision {
    /// Whether it was allowed.
    pub fn is_allowed(&self) -> bool {
        self.decision == Some(Outcome::Allowed)
    }
}

/// One line.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self.decision {
            Some(Outcome::Allowed) => "allowed",
            Some(_) => "denied ",
            None => "refused",
        };
        let who = match self.principal.as_str() {
            "" => "somebody",
            "*" => "anonymous",
            arn => arn,
        };
        write!(f, "{said} {who}")?;
        match self.action.split_once(':') {
            Some((_, name)) if name == self.operation => write!(f, " {} on {}", self.action, self.resource)?,
            Some(_) => write!(f, " {} on {} (for {})", self.action, self.resource, self.operation)?,
            None => write!(f, " {}", self.service)?,
        }
        if let Some(layer) = self.layer {
            write!(f, ", by {layer}")?;
        }
        for statement in &self.statements {
            let effect = if statement.effect == Effect::Deny { "denies" } else { "allows" };
            let name = statement.sid.clone().unwrap_or_else(|| format!("statement {}", statement.statement));
            write!(f, "; `{}` of `{}` {effect}", name, statement.policy)?;
        }
        match &self.error {
            Some(code) if self.decision.is_none() => write!(f, ": {code}"),
            _ => Ok(()),
        }
    }
}
