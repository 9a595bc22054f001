//! Requests to IAM that read. The lab's principals stand in its configuration, and nothing else makes any.

use super::query::Query;
use super::{Call, Check, Known, NotUnderstood, Service, Then};
use crate::incoming::Incoming;
use crate::world::{account_of, name_of};

pub(super) fn call(request: &Incoming, known: &Known<'_>) -> Result<Call, NotUnderstood> {
    let query = Query::of(request);
    let operation = query.get("Action").unwrap_or_default();
    let action = format!("iam:{operation}");
    let reads = ["Get", "List", "Simulate"].iter().any(|verb| operation.starts_with(verb));
    if !reads || stateward_iam::data::action(&action).is_none() {
        return Err(NotUnderstood(format!(
            "the lab passes on only what reads IAM, and `{operation}` does not: principals and their policies stand in its configuration"
        )));
    }
    let account = known.own_account();
    let of = |kind: &str, name: &str| {
        let users = known.world.users.iter().map(|user| &user.arn);
        let mut arns = users.chain(known.world.roles.iter().map(|role| &role.arn));
        let is_own = |arn: &&String| {
            account_of(arn) == Some(account) && arn.contains(&format!(":{kind}/")) && name_of(arn) == name
        };
        arns.find(is_own).cloned().unwrap_or_else(|| format!("arn:aws:iam::{account}:{kind}/{name}"))
    };
    let named = [("UserName", "user"), ("RoleName", "role"), ("GroupName", "group")];
    let named = named.iter().find_map(|(parameter, kind)| Some(of(kind, query.get(parameter)?)));
    let resource = ["PolicyArn", "PolicySourceArn"].iter().find_map(|name| query.get(name)).map(str::to_owned);
    let own = (operation == "GetUser").then(|| known.caller.to_owned());
    let resource = resource.or(named).or(own).unwrap_or_else(|| "*".to_owned());
    let checks = vec![Check::new(action, resource)];
    let account = known.account.map(str::to_owned);
    Ok(Call { service: Service::Iam, operation: operation.to_owned(), checks, then: Then::Forward, account })
}
