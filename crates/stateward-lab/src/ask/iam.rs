//! Requests to IAM: those that read, and those that make roles and policies. Users stand in the lab's configuration alone: nobody else
//! has keys.

use super::query::Query;
use super::{Call, Check, Known, NotUnderstood, Service, Then};
use crate::incoming::Incoming;
use crate::world::{account_of, name_of};

/// What changes something and is taken, with the right to give tags that it needs where it comes with some.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html#access_tags_control-resources>
const WRITES: &[(&str, Option<&str>)] = &[
    ("AttachRolePolicy", None),
    ("CreatePolicy", Some("iam:TagPolicy")),
    ("CreatePolicyVersion", None),
    ("CreateRole", Some("iam:TagRole")),
    ("PutRolePolicy", None),
    ("TagPolicy", None),
    ("TagRole", None),
    ("UpdateAssumeRolePolicy", None),
];

pub(super) fn call(request: &Incoming, known: &Known<'_>) -> Result<Call, NotUnderstood> {
    let query = Query::of(request);
    let operation = query.get("Action").unwrap_or_default();
    let action = format!("iam:{operation}");
    let reads = ["Get", "List", "Simulate"].iter().any(|verb| operation.starts_with(verb));
    let write = WRITES.iter().find(|(name, _)| *name == operation);
    if !(reads || write.is_some()) || stateward_iam::data::action(&action).is_none() {
        return Err(NotUnderstood(format!(
            "the lab passes on what reads IAM and what makes roles and policies, and `{operation}` does neither: users stand in its configuration"
        )));
    }
    let resource = resource(operation, &query, known);
    let tags = query.pairs("Tags");
    let policy = query.get("PolicyArn").filter(|_| operation == "AttachRolePolicy");
    let check = Check::new(action, resource).with_tags(&tags).with_some("iam:PolicyARN", policy);
    let tagging = write.and_then(|(_, tagging)| *tagging).filter(|_| !tags.is_empty());
    let tagging = tagging.map(|action| Check { action: action.to_owned(), ..check.clone() });
    let checks = [check].into_iter().chain(tagging).collect();
    let account = known.account.map(str::to_owned);
    Ok(Call { service: Service::Iam, operation: operation.to_owned(), checks, then: Then::Forward, account })
}

/// The ARN of what a request is about, or `*`.
fn resource(operation: &str, query: &Query, known: &Known<'_>) -> String {
    let account = known.own_account();
    let made = |kind: &str, name: &str| {
        let path = query.get("Path").unwrap_or("/");
        format!("arn:aws:iam::{account}:{kind}{path}{}", query.get(name).unwrap_or_default())
    };
    let of = |kind: &str, name: &str| {
        let users = known.world.users.iter().map(|user| &user.arn);
        let mut arns = users.chain(known.world.roles.iter().map(|role| &role.arn));
        let is_own = |arn: &&String| {
            account_of(arn) == Some(account) && arn.contains(&format!(":{kind}/")) && name_of(arn) == name
        };
        arns.find(is_own).cloned().unwrap_or_else(|| format!("arn:aws:iam::{account}:{kind}/{name}"))
    };
    let named = || {
        let all = [("UserName", "user"), ("RoleName", "role"), ("GroupName", "group")];
        all.iter().find_map(|(parameter, kind)| Some(of(kind, query.get(parameter)?)))
    };
    let policy = || ["PolicyArn", "PolicySourceArn"].iter().find_map(|name| query.get(name)).map(str::to_owned);
    let found = match operation {
        "CreateRole" => Some(made("role", "RoleName")),
        "CreatePolicy" => Some(made("policy", "PolicyName")),
        "AttachRolePolicy" => named(),
        "GetUser" => named().or_else(|| Some(known.caller.to_owned())),
        _ => policy().or_else(named),
    };
    found.unwrap_or_else(|| "*".to_owned())
}
