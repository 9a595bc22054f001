//! What a request asks for: its operation, and the actions that must be allowed for it, each with its resource and what
//! conditions can ask about.

mod dynamodb;
mod iam;
mod kms;
mod organizations;
mod query;
mod s3;
mod sts;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::incoming::Incoming;
use crate::world::World;

pub(crate) use query::Query;
pub(crate) use sts::{Assume, SESSION_MAX_S, SESSION_MIN_S};

/// The services whose requests are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    S3,
    Dynamodb,
    Sts,
    Kms,
    Iam,
    Organizations,
}

impl Service {
    pub(crate) const ALL: [Self; 6] = [Self::S3, Self::Dynamodb, Self::Sts, Self::Kms, Self::Iam, Self::Organizations];

    /// By its name in a signature, and its prefix in policies.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Dynamodb => "dynamodb",
            Self::Sts => "sts",
            Self::Kms => "kms",
            Self::Iam => "iam",
            Self::Organizations => "organizations",
        }
    }

    /// What a request without a signature is for; S3, where nothing else is said.
    pub(crate) fn of_unsigned(request: &Incoming) -> Self {
        match request.header("x-amz-target").and_then(|target| target.split('.').next()) {
            Some(target) if target.starts_with("DynamoDB") => Self::Dynamodb,
            Some("TrentService") => Self::Kms,
            Some(target) if target.starts_with("AWSOrganizations") => Self::Organizations,
            _ if request.header("content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded")) => Self::Sts,
            _ => Self::S3,
        }
    }
}

/// Values by the names of condition keys.
pub(crate) type Context = Map<String, Value>;

/// An action that must be allowed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Check {
    pub(crate) action: String,
    /// An ARN, or `*`.
    pub(crate) resource: String,
    /// The account that owns it, where its ARN does not tell.
    pub(crate) account: Option<String>,
    pub(crate) context: Context,
    /// Whether a service uses a key for whoever asks; it goes by the key's policy of some minutes ago.
    pub(crate) via_service: bool,
}

impl Check {
    pub(crate) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), ..Self::default() }
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// With the tags that a request gives to what it makes or is about.
    pub(crate) fn with_tags(self, tags: &[(String, String)]) -> Self {
        if tags.is_empty() {
            return self;
        }
        let keys: Vec<Value> = tags.iter().map(|(key, _)| Value::from(key.as_str())).collect();
        let check = self.with("aws:TagKeys", keys);
        tags.iter().fold(check, |check, (key, value)| check.with(&format!("aws:RequestTag/{key}"), value.as_str()))
    }

    /// A service uses a key in a Region for whoever asks, to protect what the pairs say.
    fn of_key(action: &str, key: &str, service: Service, region: &str, pairs: &[(&str, String)]) -> Self {
        let names: Vec<Value> = pairs.iter().map(|(name, _)| Value::from(*name)).collect();
        let check = Self::new(action, key)
            .with("kms:ViaService", format!("{}.{region}.amazonaws.com", service.name()))
            .with("kms:EncryptionContextKeys", names);
        let pairs = pairs.iter();
        let check = pairs
            .fold(check, |check, (name, value)| check.with(&format!("kms:EncryptionContext:{name}"), value.as_str()));
        Self { via_service: true, ..check }
    }
}

/// A request, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) service: Service,
    /// AWS's name for it.
    pub(crate) operation: String,
    /// All must be allowed.
    pub(crate) checks: Vec<Check>,
    pub(crate) then: Then,
    /// The account in which it is done upstream.
    pub(crate) account: Option<String>,
}

/// What is done about a request that is allowed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Then {
    /// It is passed on.
    Forward,
    /// It is passed on, and concerns an object.
    Object {
        bucket: String,
        key: String,
        effect: Effect,
        /// Asked where the object is not there: who may not list must not learn that.
        listing: Check,
    },
    /// The bucket's policy is kept here: what stands in for S3 reads policies in its own way.
    BucketPolicy {
        bucket: String,
        method: String,
    },
    CallerIdentity,
    AssumeRole(Assume),
    /// It is answered from the world.
    Tell(Told),
}

/// What is told of the world itself: policies that stand in no server that does what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    TablePolicy { arn: String },
    KeyPolicy { arn: String },
    Organization,
    Parents { child: String },
    Attached { target: String, kind: String },
    OrganizationPolicy { id: String },
}

/// What a request does with the key of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// The object is encrypted with this key from now on; by S3 itself, where there is none.
    Sealed(Option<String>),
    Deleted,
}

/// Why a request cannot be decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotUnderstood(pub(crate) String);

/// What is known beside the request itself.
pub(crate) struct Known<'a> {
    pub(crate) world: &'a World,
    /// The Region in the signature.
    pub(crate) region: &'a str,
    /// The caller's account.
    pub(crate) account: Option<&'a str>,
    /// The caller's ARN.
    pub(crate) caller: &'a str,
    /// The key that an object was encrypted with, by bucket and key.
    pub(crate) sealed: &'a dyn Fn(&str, &str) -> Option<String>,
    /// The name of a table's partition key.
    pub(crate) partition_key: &'a dyn Fn(&str) -> Option<String>,
}

impl Known<'_> {
    fn own_account(&self) -> &str {
        self.account.unwrap_or_default()
    }
}

/// What a request to a service asks for.
pub(crate) fn call(service: Service, request: &Incoming, known: &Known<'_>) -> Result<Call, NotUnderstood> {
    match service {
        Service::S3 => s3::call(request, known),
        Service::Dynamodb => dynamodb::call(request, known),
        Service::Sts => sts::call(request),
        Service::Kms => kms::call(request, known),
        Service::Iam => iam::call(request, known),
        Service::Organizations => organizations::call(request, known),
    }
}

/// The tags of a request in JSON, under what the service calls their parts.
fn tags(list: Option<&Value>, key: &str, value: &str) -> Vec<(String, String)> {
    let text = |tag: &Value, part: &str| tag.get(part).and_then(Value::as_str).map(str::to_owned);
    let pair = |tag: &Value| Some((text(tag, key)?, text(tag, value)?));
    list.and_then(Value::as_array).into_iter().flatten().filter_map(pair).collect()
}

/// The tables of a `DynamoDB` request, as it names them.
pub(crate) fn tables(request: &Incoming) -> Vec<String> {
    dynamodb::tables(request)
}
