//! Decisions and statements in words.

use stateward_iam::{AnswerStatement, Effect, Layer, Outcome};

use crate::output::{BOLD, GREEN, RED, YELLOW, human};

/// What comes out, in a sentence.
pub(super) fn decision(outcome: Outcome, layer: Option<Layer>, depends_on: &[String]) -> String {
    let layer = layer.map_or("a policy", name);
    match outcome {
        Outcome::Allowed => format!("{GREEN}allowed{GREEN:#}"),
        Outcome::ImplicitDeny => format!("{RED}denied{RED:#}: {layer} does not allow it"),
        Outcome::ExplicitDeny => format!("{RED}denied{RED:#}: a statement of {layer} denies it"),
        Outcome::Depends if depends_on.is_empty() => {
            format!("{YELLOW}open{YELLOW:#}: AWS's pages do not say what {layer} means here")
        }
        Outcome::Depends => {
            let keys = depends_on.iter().map(|key| human::one_line(key)).collect::<Vec<_>>().join(", ");
            format!("{YELLOW}depends{YELLOW:#} on {keys}, by {layer}")
        }
    }
}

/// What people call a layer.
fn name(layer: Layer) -> &'static str {
    match layer {
        Layer::Identity => "the principal's own policy",
        Layer::Resource => "the resource's policy",
        Layer::Boundary => "the permissions boundary",
        Layer::Session => "the session policy",
        Layer::Scp => "a service control policy",
        Layer::Rcp => "a resource control policy",
        Layer::VpcEndpoint => "the VPC endpoint's policy",
    }
}

pub(super) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}

/// A statement by its number and its `Sid`.
pub(super) fn statement(statement: &AnswerStatement) -> String {
    match &statement.sid {
        Some(sid) => format!("{} ({sid})", statement.statement),
        None => statement.statement.to_string(),
    }
}

/// A statement that decides, with its policy.
pub(super) fn by(at: &AnswerStatement) -> String {
    format!("{} in `{}`, statement {}", effect(at.effect), at.policy, statement(at))
}

/// Lines below each other, each after what it is.
pub(super) fn list(what: &str, texts: &[String]) -> String {
    let line = |text: &String| human::hanging(&format!("{BOLD}{what}{BOLD:#}: "), what.len() + 2, text);
    texts.iter().map(line).collect()
}
