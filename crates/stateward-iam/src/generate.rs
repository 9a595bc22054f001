//! The smallest policy for what somebody does with state.

use serde::Serialize;

use crate::needs::{Conditions, Target, objects_of_others};
use crate::needs::{Keeping, KeepingError, Need, Purpose};

/// A policy that can be attached as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    version: &'static str,
    statement: Vec<DocumentStatement>,
}

/// A statement of a generated policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DocumentStatement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Conditions::is_empty")]
    condition: Conditions,
}

impl Document {
    /// As JSON of several lines.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// The policy for a purpose.
pub fn generate(keeping: &Keeping, purpose: Purpose) -> Result<Document, KeepingError> {
    keeping.check()?;
    Ok(document(keeping, &keeping.needs(purpose)))
}

/// A policy for each purpose, from the least to the most, for roles of their own.
pub fn generate_split(keeping: &Keeping) -> Result<Vec<(Purpose, Document)>, KeepingError> {
    keeping.check()?;
    let one = |purpose| (purpose, document(keeping, &keeping.needs(purpose)));
    Ok(Purpose::ALL.into_iter().map(one).collect())
}

fn document(keeping: &Keeping, needs: &[Need]) -> Document {
    let mut targets: Vec<Target> = needs.iter().map(|need| need.target).collect();
    targets.sort_unstable();
    targets.dedup_by_key(|target| target.sid());
    let granted_around = |target: Target, action: &str| {
        needs.iter().any(|other| other.action == action && target.lies_within(other.target, keeping))
    };
    let statement = |target: &Target| {
        let own = needs.iter().filter(|need| need.target.sid() == target.sid());
        let mut action: Vec<&str> = own.map(|need| need.action).filter(|name| !granted_around(*target, name)).collect();
        action.sort_unstable();
        action.dedup();
        (!action.is_empty()).then(|| DocumentStatement {
            sid: target.sid(),
            effect: "Allow",
            action,
            resource: target.resources(keeping),
            condition: target.conditions(keeping),
        })
    };
    // No condition tells the name of an object, so that this takes a statement of its own.
    let others = Some(objects_of_others(keeping)).filter(|objects| !objects.is_empty());
    let others = others.map(|resource| DocumentStatement {
        sid: "OtherStates",
        effect: "Deny",
        action: vec!["s3:*"],
        resource,
        condition: Conditions::new(),
    });
    Document { version: "2012-10-17", statement: targets.iter().filter_map(statement).chain(others).collect() }
}
