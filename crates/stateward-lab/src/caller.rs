//! Whoever makes a request, with the policies that come along.

use jiff::Timestamp;
use serde_json::Value;

use crate::ask::Context;
use crate::world::{Provider, Session, Stored, User, World, account_of, name_of, resource_of};

/// Whoever makes a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// `*` for whoever does not sign.
    pub(crate) arn: String,
    pub(crate) account: Option<String>,
    pub(crate) identity: Vec<Stored>,
    pub(crate) boundary: Option<Stored>,
    pub(crate) session: Option<Vec<Stored>>,
    /// What conditions can ask about it.
    pub(crate) context: Context,
    /// `UserId` of `GetCallerIdentity`.
    pub(crate) id: String,
}

impl Caller {
    pub(crate) fn anonymous() -> Self {
        Self {
            arn: "*".to_owned(),
            account: None,
            identity: Vec::new(),
            boundary: None,
            session: None,
            context: Context::new(),
            id: String::new(),
        }
    }

    pub(crate) fn user(user: &User) -> Self {
        let is_root = resource_of(&user.arn) == "root";
        let account = account_of(&user.arn).unwrap_or_default();
        let id = if is_root { account.to_owned() } else { unique_id("AIDA", &user.arn) };
        let mut context = tags(&user.tags);
        context.insert("aws:userid".to_owned(), id.as_str().into());
        if !is_root {
            context.insert("aws:username".to_owned(), name_of(&user.arn).into());
        }
        Self {
            arn: user.arn.clone(),
            account: Some(account.to_owned()),
            identity: user.policies.clone(),
            boundary: user.boundary.clone(),
            session: None,
            context,
            id,
        }
    }

    /// Whoever a provider vouches for, before there is a session.
    pub(crate) fn vouched_for(provider: &Provider, context: Context) -> Self {
        Self { arn: provider.arn.clone(), context, ..Self::anonymous() }
    }

    /// `None` where its role is gone.
    pub(crate) fn session(session: &Session, world: &World) -> Option<Self> {
        let role = world.role(&session.role)?;
        let id = format!("{}:{}", unique_id("AROA", &role.arn), session.name);
        let mut context = tags(&role.tags);
        context.append(&mut tags(&session.tags));
        context.append(&mut session.identity.clone());
        context.insert("aws:userid".to_owned(), id.as_str().into());
        // With the role's path, which the session's ARN does not tell.
        context.insert("aws:PrincipalArn".to_owned(), role.arn.as_str().into());
        context.insert("aws:TokenIssueTime".to_owned(), second(session.issued).into());
        context.insert("aws:MultiFactorAuthPresent".to_owned(), "false".into());
        Some(Self {
            arn: session.arn(),
            account: account_of(&role.arn).map(str::to_owned),
            identity: role.policies.clone(),
            boundary: role.boundary.clone(),
            session: session.policies.clone(),
            context,
            id,
        })
    }
}

fn tags(tags: &std::collections::BTreeMap<String, String>) -> Context {
    tags.iter().map(|(key, value)| (format!("aws:PrincipalTag/{key}"), Value::from(value.as_str()))).collect()
}

/// To the second, as AWS writes times.
pub(crate) fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An ID of the form that AWS gives, the same for an ARN each time.
fn unique_id(prefix: &str, arn: &str) -> String {
    use sha2::{Digest, Sha256};
    let digits = hex::encode_upper(Sha256::digest(arn.as_bytes()));
    format!("{prefix}{}", digits.get(..17).unwrap_or_default())
}
