//! What each part says by itself may be good, and all of them together not.

use std::collections::BTreeMap;

use serde_json::Value;
use stateward_iam::Principal;

use super::compile::wrong;
use super::{Config, ConfigError};
use crate::ask::Service;
use crate::world::{World, account_of, name_of, resource_of};

type Result<T> = std::result::Result<T, ConfigError>;

/// No two are called the same, and nobody is named who is not there.
pub(super) fn all(config: &Config, world: &World) -> Result<()> {
    names(config)?;
    access_keys(world)?;
    principals(config, world)?;
    services(config)
}

/// Finds two of the same name in a list; `name` is what they are told apart by, `said` how it is written.
fn no_two<'a, T>(list: &'a [T], part: &str, field: &str, name: impl Fn(&'a T) -> (String, &'a str)) -> Result<()> {
    let mut known = BTreeMap::new();
    for (index, one) in list.iter().enumerate() {
        let (name, said) = name(one);
        if let Some(other) = known.insert(name, index) {
            let problem = format!("`{said}` is the same as that of `{part}[{other}]`, and only one of them can hold");
            return Err(wrong(format!("{part}[{index}].{field}"), problem));
        }
    }
    Ok(())
}

fn names(config: &Config) -> Result<()> {
    no_two(&config.users, "users", "arn", |user| (apart(&user.arn), &user.arn))?;
    no_two(&config.roles, "roles", "arn", |role| (apart(&role.arn), &role.arn))?;
    no_two(&config.buckets, "buckets", "name", |bucket| (bucket.name.clone(), &bucket.name))?;
    no_two(&config.tables, "tables", "arn", |table| (table.arn.clone(), &table.arn))?;
    no_two(&config.keys, "keys", "arn", |key| (key.arn.clone(), &key.arn))?;
    no_two(&config.providers, "providers", "arn", |provider| (provider.arn.clone(), &provider.arn))?;
    no_two(&config.sessions, "sessions", "name", |session| {
        (format!("{} {}", apart(&session.role), session.name), &session.name)
    })?;
    let mut known = BTreeMap::new();
    for (index, key) in config.keys.iter().enumerate() {
        let place: Vec<&str> = key.arn.split(':').take(5).collect();
        for (at, alias) in key.aliases.iter().enumerate() {
            let part = format!("keys[{index}].aliases[{at}]");
            if let Some(other) = known.insert((place.clone(), alias), part.clone()) {
                return Err(wrong(part, format!("`{alias}` stands at `{other}` too, and an alias is of one key")));
            }
        }
    }
    Ok(())
}

/// What a principal is told apart by: neither its path nor capitals.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
fn apart(arn: &str) -> String {
    let kind = resource_of(arn).split('/').next().unwrap_or_default();
    format!("{} {kind} {}", account_of(arn).unwrap_or_default(), name_of(arn).to_lowercase())
}

/// Two who sign with the same key could not be told apart.
fn access_keys(world: &World) -> Result<()> {
    let mut known = BTreeMap::new();
    for (arn, credentials) in world.credentials() {
        if let Some(other) = known.insert(&credentials.access_key, arn.clone()) {
            let problem = format!("the access key `{}` belongs to {other} and to {arn}", credentials.access_key);
            return Err(wrong("access_key", problem));
        }
    }
    Ok(())
}

/// AWS does not take a policy that names a principal which is not there.
fn principals(config: &Config, world: &World) -> Result<()> {
    let roles = world.roles.iter().enumerate();
    let trusts = roles.filter_map(|(at, role)| Some((format!("roles[{at}].trust"), role.trust.as_ref()?)));
    let buckets = config.buckets.iter().enumerate();
    let of_buckets = buckets.filter_map(|(at, bucket)| {
        Some((format!("buckets[{at}].policy"), world.buckets.get(&bucket.name)?.policy.as_ref()?))
    });
    let tables = config.tables.iter().enumerate();
    let of_tables = tables.filter_map(|(at, table)| {
        Some((format!("tables[{at}].policy"), world.tables.get(&table.arn)?.policy.as_ref()?))
    });
    let keys = config.keys.iter().enumerate();
    let of_keys = keys
        .filter_map(|(at, key)| Some((format!("keys[{at}].policy"), &world.keys.get(&key.arn)?.policies.last()?.1)));
    for (part, policy) in trusts.chain(of_buckets).chain(of_tables).chain(of_keys) {
        if let Some(missing) = missing_principal(&policy.document, world) {
            let list = match Principal::parse(missing) {
                Some(Principal::User { .. }) => "users",
                Some(Principal::Provider(_)) => "providers",
                _ => "roles",
            };
            let problem = format!(
                "the policy `{}` names `{missing}`, which is not there, and AWS takes no such policy: describe it under `{list}`",
                policy.name
            );
            return Err(wrong(part, problem));
        }
    }
    Ok(())
}

/// The first principal that a policy names and that is not there. Accounts and services always are.
pub(crate) fn missing_principal<'p>(policy: &'p Value, world: &World) -> Option<&'p str> {
    let statements = one_or_many(policy.get("Statement"));
    let named = statements.flat_map(|statement| ["Principal", "NotPrincipal"].map(|name| statement.get(name)));
    let of_kind = |kind: &'static str| move |named: &'p Value| one_or_many(named.get(kind));
    let named: Vec<&Value> = named.flatten().collect();
    let own = named.iter().copied().flat_map(of_kind("AWS"));
    let federated = named.iter().copied().flat_map(of_kind("Federated"));
    own.chain(federated).filter_map(Value::as_str).find(|name| !is_there(name, world))
}

fn one_or_many(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let many = value.and_then(Value::as_array);
    let one = value.filter(|_| many.is_none());
    many.into_iter().flatten().chain(one)
}

fn is_there(name: &str, world: &World) -> bool {
    let has_role = |arn: &str| world.roles.iter().any(|role| role.arn == arn);
    match Principal::parse(name) {
        Some(Principal::User { arn }) => world.users.iter().any(|user| user.arn == arn),
        Some(Principal::Role { arn }) => has_role(&arn),
        // A session does not tell its role's path.
        Some(Principal::Session { arn }) => {
            let (account, role) = (account_of(&arn), resource_of(&arn).split('/').nth(1));
            world.roles.iter().any(|own| account_of(&own.arn) == account && Some(name_of(&own.arn)) == role)
        }
        Some(Principal::Provider(name)) if name.contains(":oidc-provider/") => {
            world.providers.iter().any(|provider| provider.arn == name)
        }
        _ => true,
    }
}

fn services(config: &Config) -> Result<()> {
    let Some(endpoint) = &config.vpc_endpoint else { return Ok(()) };
    for (index, service) in endpoint.services.iter().enumerate() {
        if Service::named(service).is_none() {
            let all: Vec<&str> = Service::ALL.iter().map(|service| service.name()).collect();
            let problem = format!("the lab knows no service `{service}`, but {}", all.join(", "));
            return Err(wrong(format!("vpc_endpoint.services[{index}]"), problem));
        }
    }
    Ok(())
}
