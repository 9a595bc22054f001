//! Requests to STS.

use serde_json::Value;

use super::query::Query;
use super::{Call, Check, NotUnderstood, Service, Then};
use crate::incoming::Incoming;

/// How long a session lasts at the least and at the most, in seconds.
pub(crate) const SESSION_MIN_S: i64 = 900;
pub(crate) const SESSION_MAX_S: i64 = 43_200;

/// A role to be assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assume {
    pub(crate) role: String,
    pub(crate) name: String,
    /// The session policy.
    pub(crate) policy: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) duration_s: i64,
}

pub(super) fn call(request: &Incoming) -> Result<Call, NotUnderstood> {
    let query = Query::of(request);
    let operation = query.get("Action").unwrap_or_default();
    let (checks, then) = match operation {
        "GetCallerIdentity" => (vec![Check::new("sts:GetCallerIdentity", "*")], Then::CallerIdentity),
        "AssumeRole" => {
            let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
            let assume = Assume {
                role: text("RoleArn"),
                name: text("RoleSessionName"),
                policy: query.get("Policy").map(str::to_owned),
                tags: query.pairs("Tags"),
                duration_s: query.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600),
            };
            (checks(&assume, query.get("ExternalId")), Then::AssumeRole(assume))
        }
        other => return Err(NotUnderstood(format!("the lab does not know the operation `{other}` of STS"))),
    };
    Ok(Call { service: Service::Sts, operation: operation.to_owned(), checks, then, account: None })
}

fn checks(assume: &Assume, external_id: Option<&str>) -> Vec<Check> {
    let keys: Vec<Value> = assume.tags.iter().map(|(key, _)| Value::from(key.as_str())).collect();
    let check = |action: &str| {
        let check = Check::new(action, &assume.role)
            .with("sts:RoleSessionName", assume.name.as_str())
            .with_some("sts:ExternalId", external_id)
            .with_some("aws:TagKeys", (!keys.is_empty()).then(|| keys.clone()));
        assume
            .tags
            .iter()
            .fold(check, |check, (key, value)| check.with(&format!("aws:RequestTag/{key}"), value.as_str()))
    };
    // Who passes tags needs leave for that too.
    let tagging = (!assume.tags.is_empty()).then(|| check("sts:TagSession"));
    [check("sts:AssumeRole")].into_iter().chain(tagging).collect()
}
