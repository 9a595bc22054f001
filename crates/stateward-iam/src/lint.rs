//! What a policy says that cannot be meant: actions and keys that do not exist, resources that match nothing, elements
//! that grant more or less than they seem to.

mod conditions;
mod overlap;
mod resources;
mod statement;

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use crate::place::Place;
use crate::policy::{Policy, PolicyKind};
use crate::size;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It may be meant.
    Warning,
    /// It cannot be meant, or AWS would not store it.
    Error,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// AWS would not take the document; the only finding about it.
    Malformed,
    /// More characters than AWS stores.
    Size,
    /// No statement, which AWS does not store.
    Empty,
    /// A `Sid` that another statement has, or with characters that IAM does not take.
    Sid,
    /// No service has this prefix.
    UnknownService,
    /// The service has no such action, or none that the pattern covers.
    UnknownAction,
    /// The action works on no resource that can be named, so that only `*` grants it.
    NeedsEverything,
    /// The ARN matches nothing that the service has.
    ArnShape,
    /// No resource of the statement is of a type that the action works on.
    ResourceMismatch,
    /// AWS's pages contradict each other about what the pattern covers.
    OpenPattern,
    /// A variable where AWS fills in none.
    Variable,
    /// `Allow` with `NotAction`, `NotResource` or `NotPrincipal`: it grants what nobody has thought of.
    AllowsTheRest,
    /// No such operator.
    UnknownOperator,
    /// No such condition key.
    UnknownKey,
    /// A value that the operator cannot compare.
    BadValue,
    /// `ForAllValues:` is true where the key is not there, and this statement allows.
    ForAllValuesAllow,
    /// A key of several values without a set operator, or the other way round.
    SetOperator,
}

impl Rule {
    fn severity(self) -> Severity {
        match self {
            Self::OpenPattern | Self::AllowsTheRest | Self::ForAllValuesAllow | Self::SetOperator => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// Something that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// The statement, from 0; `None` for the whole document.
    pub statement: Option<usize>,
    /// What, and what to write in its place.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Reads a policy and looks for what cannot be meant. Findings come in order of their places.
pub fn lint(text: &str, kind: PolicyKind) -> Vec<Finding> {
    let mut findings = Findings::default();
    match Policy::parse(text, kind) {
        Err(error) => findings.add(Rule::Malformed, error.place.offset, error.message()),
        Ok(policy) => {
            if let Some(problem) = size::too_large(&policy) {
                findings.add(Rule::Size, 0, format!("the policy {problem}"));
            }
            if policy.statements.is_empty() {
                findings.add(Rule::Empty, 0, "`Statement` is empty: AWS stores no policy without a statement");
            }
            let mut sids = HashSet::new();
            for (number, statement) in policy.statements.iter().enumerate() {
                findings.statement = Some(number);
                statement::sid(statement, &mut sids, kind, &mut findings);
                statement::check(statement, policy.version, &mut findings);
            }
        }
    }
    findings.placed(text)
}

/// What was found, by byte of the text.
#[derive(Default)]
struct Findings {
    statement: Option<usize>,
    list: Vec<(usize, Rule, Option<usize>, String)>,
}

impl Findings {
    fn add(&mut self, rule: Rule, at: usize, message: impl Into<String>) {
        self.list.push((at, rule, self.statement, message.into()));
    }

    fn placed(mut self, text: &str) -> Vec<Finding> {
        self.list.sort_by_key(|(at, rule, ..)| (*at, *rule));
        let mut place = Place::all(text);
        let finding = |(at, rule, statement, message): (usize, Rule, _, _)| Finding {
            rule,
            severity: rule.severity(),
            place: place(at),
            statement,
            message,
        };
        self.list.into_iter().map(finding).collect()
    }
}
