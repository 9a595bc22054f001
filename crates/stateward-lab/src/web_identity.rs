//! Who comes to STS with a token of an identity provider in place of a signature.
//!
//! The lab has no keys of providers: it takes a token for what it says, and checks all but who signed it.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

use crate::answer::Refused;
use crate::ask::{Context, Query};
use crate::caller::Caller;
use crate::incoming::Incoming;
use crate::world::{Provider, World, account_of};

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The provider, without `https://`: what its condition keys begin with.
    issuer: String,
    audiences: Vec<String>,
    subject: String,
    expires: Option<Timestamp>,
}

impl Claims {
    /// The ones of the token in a request; `None` where it is none.
    pub(crate) fn of(query: &Query) -> Option<Self> {
        let token = query.get("WebIdentityToken")?;
        let [_, payload, _] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
        let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let text = |name: &str| payload.get(name).and_then(Value::as_str);
        let audiences = match payload.get("aud")? {
            Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            one => vec![one.as_str()?.to_owned()],
        };
        let issuer = text("iss")?;
        let expires = payload.get("exp").and_then(Value::as_i64);
        Some(Self {
            issuer: issuer.strip_prefix("https://").unwrap_or(issuer).trim_end_matches('/').to_owned(),
            audiences,
            subject: text("sub")?.to_owned(),
            expires: expires.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        })
    }

    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The one of its audiences that counts.
    pub(crate) fn audience(&self) -> &str {
        self.audiences.first().map_or("", String::as_str)
    }

    /// The provider's ARN in the account of a role.
    pub(crate) fn provider(&self, role: &str) -> String {
        let partition = role.split(':').nth(1).unwrap_or("aws");
        format!("arn:{partition}:iam::{}:oidc-provider/{}", account_of(role).unwrap_or_default(), self.issuer)
    }

    /// What conditions of the trust policy, and later of all policies, can ask about.
    pub(crate) fn context(&self, role: &str) -> Context {
        let mut context = Context::new();
        context.insert(format!("{}:aud", self.issuer), self.audience().into());
        context.insert(format!("{}:sub", self.issuer), self.subject.as_str().into());
        context.insert("aws:FederatedProvider".to_owned(), self.provider(role).into());
        context
    }

    /// The provider whose token it is, where its account takes the token.
    fn vouched_for<'w>(&self, role: &str, world: &'w World, now: Timestamp) -> Result<&'w Provider, Refused> {
        let arn = self.provider(role);
        let provider = world.providers.iter().find(|provider| provider.arn == arn).ok_or_else(|| {
            invalid(format!("No OpenIDConnect provider found in your account for https://{}", self.issuer))
        })?;
        if !provider.audiences.iter().any(|audience| audience == self.audience()) {
            return Err(invalid("Incorrect token audience"));
        }
        if self.expires.is_none_or(|expires| expires <= now) {
            let message = "Token expired: current date/time must be before the expiration date/time";
            return Err(Refused::new(400, "ExpiredTokenException", message));
        }
        Ok(provider)
    }
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(400, "InvalidIdentityToken", message)
}

/// Whoever a request's token is about; `None` where the request is not one that comes with a token.
pub(crate) fn caller(request: &Incoming, world: &World, now: Timestamp) -> Option<Result<Caller, Refused>> {
    let query = Query::of(request);
    if query.get("Action") != Some("AssumeRoleWithWebIdentity") {
        return None;
    }
    let Some(claims) = Claims::of(&query) else {
        let message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
        return Some(Err(invalid(message)));
    };
    let role = query.get("RoleArn").unwrap_or_default();
    let provider = claims.vouched_for(role, world, now);
    Some(provider.map(|provider| Caller::vouched_for(provider, claims.context(role))))
}
