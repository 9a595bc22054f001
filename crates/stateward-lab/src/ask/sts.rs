//! Requests to STS.

use super::query::Query;
use super::{Call, Check, NotUnderstood, Service, Then};
use crate::incoming::Incoming;
use crate::web_identity::Claims;

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
    /// What a provider's token says, where it came in place of a signature.
    pub(crate) token: Option<Claims>,
}

pub(super) fn call(request: &Incoming) -> Result<Call, NotUnderstood> {
    let query = Query::of(request);
    let operation = query.get("Action").unwrap_or_default();
    let (checks, then) = match operation {
        "GetCallerIdentity" => (vec![Check::new("sts:GetCallerIdentity", "*")], Then::CallerIdentity),
        "AssumeRole" => {
            let assume = Assume { tags: query.pairs("Tags"), ..assume(&query) };
            (checks(&assume, query.get("ExternalId")), Then::AssumeRole(assume))
        }
        "AssumeRoleWithWebIdentity" => {
            let assume = Assume { token: Claims::of(&query), ..assume(&query) };
            let check = Check::new("sts:AssumeRoleWithWebIdentity", &assume.role);
            (vec![check.with("sts:RoleSessionName", assume.name.as_str())], Then::AssumeRole(assume))
        }
        other => return Err(NotUnderstood(format!("the lab does not know the operation `{other}` of STS"))),
    };
    Ok(Call { service: Service::Sts, operation: operation.to_owned(), checks, then, account: None })
}

fn assume(query: &Query) -> Assume {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    Assume {
        role: text("RoleArn"),
        name: text("RoleSessionName"),
        policy: query.get("Policy").map(str::to_owned),
        tags: Vec::new(),
        duration_s: query.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600),
        token: None,
    }
}

fn checks(assume: &Assume, external_id: Option<&str>) -> Vec<Check> {
    let check = |action: &str| {
        Check::new(action, &assume.role)
            .with("sts:RoleSessionName", assume.name.as_str())
            .with_some("sts:ExternalId", external_id)
            .with_tags(&assume.tags)
    };
    // Who passes tags needs leave for that too.
    let tagging = (!assume.tags.is_empty()).then(|| check("sts:TagSession"));
    [check("sts:AssumeRole")].into_iter().chain(tagging).collect()
}
