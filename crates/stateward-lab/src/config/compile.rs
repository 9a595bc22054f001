//! From what is written to a world.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_iam::{Policy, PolicyKind, Principal};

use super::{Config, ConfigError, check};
use crate::ask::Context;
use crate::world::{
    Account, Bucket, Credentials, Key, Provider, Role, Session, Stored, Table, User, VpcEndpoint, World, account_of,
};

type Result<T> = std::result::Result<T, ConfigError>;

/// The account of what is not told to belong to one.
const ACCOUNT: &str = "123456789012";

struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> io::Result<String>,
}

pub(super) fn world(config: &Config, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<World> {
    let reader = Reader { read };
    let mut world = World {
        upstream: config.upstream.clone(),
        network: config.network.clone(),
        answers: config.answers.clone(),
        accounts: BTreeMap::new(),
        users: reader.users(config)?,
        roles: reader.roles(config)?,
        sessions: Vec::new(),
        buckets: BTreeMap::new(),
        tables: BTreeMap::new(),
        keys: reader.keys(config)?,
        providers: providers(config)?,
        managed: BTreeMap::new(),
        vpc_endpoint: None,
    };
    for (number, account) in &config.accounts {
        check_account(&format!("accounts.{number}"), number)?;
        world.accounts.insert(number.clone(), reader.account(number, account)?);
    }
    world.sessions = reader.sessions(config, &world.roles)?;
    for (index, bucket) in config.buckets.iter().enumerate() {
        let part = format!("buckets[{index}]");
        let account = bucket.account.clone().unwrap_or_else(|| ACCOUNT.to_owned());
        check_account(&format!("{part}.account"), &account)?;
        let policy = reader.optional(&format!("{part}.policy"), bucket.policy.as_ref(), PolicyKind::Resource)?;
        check_key(&part, bucket.kms_key.as_deref())?;
        let (region, kms_key) = (bucket.region.clone(), bucket.kms_key.clone());
        let bucket_of = Bucket { account: Some(account), region, policy, kms_key };
        world.buckets.insert(bucket.name.clone(), bucket_of);
    }
    for (index, table) in config.tables.iter().enumerate() {
        let part = format!("tables[{index}]");
        check_arn(&format!("{part}.arn"), &table.arn, "dynamodb", "table/")?;
        check_key(&part, table.kms_key.as_deref())?;
        let policy = reader.optional(&format!("{part}.policy"), table.policy.as_ref(), PolicyKind::Resource)?;
        world.tables.insert(table.arn.clone(), Table { policy, kms_key: table.kms_key.clone() });
    }
    if let Some(endpoint) = &config.vpc_endpoint {
        world.vpc_endpoint = Some(VpcEndpoint {
            id: endpoint.id.clone(),
            vpc: endpoint.vpc.clone(),
            policy: reader.optional("vpc_endpoint.policy", endpoint.policy.as_ref(), PolicyKind::VpcEndpoint)?,
            services: endpoint.services.clone(),
        });
    }
    check::all(config, &world)?;
    Ok(world)
}

pub(super) fn wrong(part: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::Part { part: part.into(), problem: problem.into() }
}

fn check_account(part: &str, account: &str) -> Result<()> {
    let good = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if good { Ok(()) } else { Err(wrong(part, format!("`{account}` is no account: it must have twelve digits"))) }
}

fn check_arn(part: &str, arn: &str, service: &str, kind: &str) -> Result<()> {
    let mut segments = arn.splitn(6, ':');
    let good = segments.next() == Some("arn")
        && segments.nth(1) == Some(service)
        && account_of(arn).is_some_and(|account| check_account(part, account).is_ok())
        && crate::world::resource_of(arn).strip_prefix(kind).is_some_and(|name| !name.is_empty());
    if good {
        return Ok(());
    }
    Err(wrong(part, format!("`{arn}` must be an ARN like `arn:aws:{service}:eu-west-1:{ACCOUNT}:{kind}NAME`")))
}

fn check_key(part: &str, key: Option<&str>) -> Result<()> {
    key.map_or(Ok(()), |arn| check_arn(&format!("{part}.kms_key"), arn, "kms", "key/"))
}

fn providers(config: &Config) -> Result<Vec<Provider>> {
    let provider = |(index, provider): (usize, &super::ProviderConfig)| {
        let is_one = matches!(Principal::parse(&provider.arn), Some(Principal::Provider(_)))
            && provider.arn.contains(":oidc-provider/");
        if is_one {
            return Ok(Provider { arn: provider.arn.clone(), audiences: provider.audiences.clone() });
        }
        let like = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com");
        Err(wrong(format!("providers[{index}].arn"), format!("`{}` must be an ARN like `{like}`", provider.arn)))
    };
    config.providers.iter().enumerate().map(provider).collect()
}

/// Given ones, or some by which the owner is recognised.
fn credentials(
    part: &str,
    prefix: &str,
    number: usize,
    access_key: Option<&String>,
    secret_key: Option<&String>,
) -> Result<Credentials> {
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) if !access_key.contains(['/', ',', ' ']) && !access_key.is_empty() => {
            Ok(Credentials { access_key: access_key.clone(), secret_key: secret_key.clone(), token: None })
        }
        (Some(access_key), Some(_)) => {
            Err(wrong(format!("{part}.access_key"), format!("`{access_key}` cannot stand in a signed request")))
        }
        (None, None) => Ok(Credentials {
            access_key: format!("{prefix}{}{number:013}", Credentials::MADE_UP),
            secret_key: format!("lab-secret-{number}"),
            token: None,
        }),
        _ => Err(wrong(part, "give `access_key` and `secret_key`, or neither")),
    }
}

impl Reader<'_> {
    fn account(&self, number: &str, account: &super::AccountConfig) -> Result<Account> {
        let levels = |name: &str, levels: &Option<Vec<Vec<Value>>>, kind| {
            let part = |level: usize| format!("accounts.{number}.{name}[{level}]");
            let level = |(index, level): (usize, &Vec<Value>)| self.list(&part(index), level, kind);
            levels.as_ref().map(|levels| levels.iter().enumerate().map(level).collect()).transpose()
        };
        Ok(Account {
            organization: account.organization.clone(),
            management: account.management,
            scps: levels("scps", &account.scps, PolicyKind::Scp)?,
            rcps: levels("rcps", &account.rcps, PolicyKind::Rcp)?,
        })
    }

    fn users(&self, config: &Config) -> Result<Vec<User>> {
        let user = |(index, user): (usize, &super::UserConfig)| {
            let part = format!("users[{index}]");
            match Principal::parse(&user.arn) {
                Some(Principal::User { .. } | Principal::Root { .. }) => {}
                _ => return Err(wrong(format!("{part}.arn"), format!("`{}` is no ARN of a user or a root", user.arn))),
            }
            let keys = (user.access_key.as_ref(), user.secret_key.as_ref());
            Ok(User {
                arn: user.arn.clone(),
                credentials: credentials(&part, "AKIA", index + 1, keys.0, keys.1)?,
                policies: self.list(&format!("{part}.policies"), &user.policies, PolicyKind::Identity)?,
                boundary: self.optional(&format!("{part}.boundary"), user.boundary.as_ref(), PolicyKind::Boundary)?,
                tags: user.tags.clone(),
            })
        };
        config.users.iter().enumerate().map(user).collect()
    }

    fn roles(&self, config: &Config) -> Result<Vec<Role>> {
        let role = |(index, role): (usize, &super::RoleConfig)| {
            let part = format!("roles[{index}]");
            if !matches!(Principal::parse(&role.arn), Some(Principal::Role { .. })) {
                return Err(wrong(format!("{part}.arn"), format!("`{}` is no ARN of a role", role.arn)));
            }
            Ok(Role {
                arn: role.arn.clone(),
                trust: self.optional(&format!("{part}.trust"), role.trust.as_ref(), PolicyKind::Trust)?,
                policies: self.list(&format!("{part}.policies"), &role.policies, PolicyKind::Identity)?,
                boundary: self.optional(&format!("{part}.boundary"), role.boundary.as_ref(), PolicyKind::Boundary)?,
                tags: role.tags.clone(),
                made: false,
            })
        };
        config.roles.iter().enumerate().map(role).collect()
    }

    fn sessions(&self, config: &Config, roles: &[Role]) -> Result<Vec<Session>> {
        let session = |(index, session): (usize, &super::SessionConfig)| {
            let part = format!("sessions[{index}]");
            let Some(role) = roles.iter().find(|role| role.arn == session.role) else {
                return Err(wrong(format!("{part}.role"), format!("there is no role `{}`", session.role)));
            };
            let keys = (session.access_key.as_ref(), session.secret_key.as_ref());
            let credentials = credentials(&part, "ASIA", index + 1, keys.0, keys.1)?;
            let token = session.token.clone().unwrap_or_else(|| format!("lab-token-{}", index + 1));
            let policies = session.policies.as_ref();
            let policies = policies.map(|own| self.list(&format!("{part}.policies"), own, PolicyKind::Session));
            Ok(Session {
                role: session.role.clone(),
                name: session.name.clone(),
                credentials: Credentials { token: Some(token), ..credentials },
                policies: policies.transpose()?,
                tags: role.tags.clone(),
                identity: Context::new(),
                issued: Timestamp::UNIX_EPOCH,
                expires: session.expires.unwrap_or(Timestamp::MAX),
            })
        };
        config.sessions.iter().enumerate().map(session).collect()
    }

    fn keys(&self, config: &Config) -> Result<BTreeMap<String, Key>> {
        let key = |(index, key): (usize, &super::KeyConfig)| {
            let part = format!("keys[{index}]");
            check_arn(&format!("{part}.arn"), &key.arn, "kms", "key/")?;
            let policy = self.optional(&format!("{part}.policy"), key.policy.as_ref(), PolicyKind::Resource)?;
            let policy = policy.unwrap_or_else(|| default_key_policy(account_of(&key.arn).unwrap_or_default()));
            let own = Key::new(policy, key.aliases.clone(), key.state);
            Ok((key.arn.clone(), own))
        };
        config.keys.iter().enumerate().map(key).collect()
    }

    fn list(&self, part: &str, policies: &[Value], kind: PolicyKind) -> Result<Vec<Stored>> {
        let one = |(index, policy)| self.policy(&format!("{part}[{index}]"), policy, kind);
        policies.iter().enumerate().map(one).collect()
    }

    fn optional(&self, part: &str, policy: Option<&Value>, kind: PolicyKind) -> Result<Option<Stored>> {
        policy.map(|policy| self.policy(part, policy, kind)).transpose()
    }

    fn policy(&self, part: &str, policy: &Value, kind: PolicyKind) -> Result<Stored> {
        let text = |name: &str| policy.get(name).and_then(Value::as_str).map(str::to_owned);
        let (name, source) = match policy {
            Value::String(source) => (None, source.clone()),
            Value::Object(_) if policy.get("Statement").is_some() => (None, policy.to_string()),
            Value::Object(members) => {
                let unknown = members.keys().find(|key| !["name", "arn", "policy", "file"].contains(&key.as_str()));
                if let Some(unknown) = unknown {
                    return Err(wrong(
                        part,
                        format!("a policy has no `{unknown}`: give `policy` or `file`, `name`, `arn`"),
                    ));
                }
                match (policy.get("policy"), text("file")) {
                    (Some(Value::String(source)), None) => (text("name"), source.clone()),
                    (Some(document), None) => (text("name"), document.to_string()),
                    (None, Some(file)) => (text("name"), file),
                    _ => return Err(wrong(part, "give either `policy` (the document) or `file`")),
                }
            }
            _ => return Err(wrong(part, "a policy is a file's name, a document, or a table with either")),
        };
        let inline = source.trim_start().starts_with('{');
        let document = if inline {
            source.clone()
        } else {
            let unreadable = |error| ConfigError::File { part: part.to_owned(), file: source.clone(), error };
            (self.read)(Path::new(&source)).map_err(unreadable)?
        };
        let arn = text("arn");
        let named = name.or_else(|| arn.as_deref().map(|arn| crate::world::name_of(arn).to_owned()));
        let name = named.unwrap_or_else(|| if inline { part.to_owned() } else { source });
        stored(part, name, arn, &document, kind)
    }
}

fn stored(part: &str, name: String, arn: Option<String>, document: &str, kind: PolicyKind) -> Result<Stored> {
    match parsed(document, kind) {
        Ok(document) => Ok(Stored { name, arn, document }),
        Err(error) => Err(ConfigError::Policy { part: part.to_owned(), name, error: Box::new(error) }),
    }
}

/// The document as JSON, where AWS would take it.
pub(crate) fn parsed(document: &str, kind: PolicyKind) -> std::result::Result<Value, stateward_iam::PolicyError> {
    Policy::parse(document, kind)?;
    // What the language's own parser takes is JSON.
    Ok(serde_json::from_str(document).unwrap_or_default())
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>
pub(crate) fn default_key_policy(account: &str) -> Stored {
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
            "Action": "kms:*",
            "Resource": "*",
        }],
    });
    Stored { name: "the key's default policy".to_owned(), arn: None, document }
}
