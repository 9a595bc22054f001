//! What the lab is told: who there is, what they may do, and where what is allowed is done.

pub(crate) mod check;
pub(crate) mod compile;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;
use stateward_iam::PolicyError;

use crate::key_state::KeyState;
use crate::world::World;

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither TOML nor JSON of the right shape.
    #[error("{0}")]
    Shape(String),
    /// A part makes no sense.
    #[error("`{part}`: {problem}")]
    Part {
        /// The part, such as `users[0].arn`.
        part: String,
        /// What is wrong with it, as a sentence.
        problem: String,
    },
    /// A policy's file cannot be read.
    #[error("`{part}`: the policy `{file}` cannot be read: {error}")]
    File {
        /// The part that names it.
        part: String,
        /// The file, as it is written there.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// AWS would not take a policy.
    #[error("`{part}`: the policy `{name}` is malformed: {error}")]
    Policy {
        /// The part that it belongs to.
        part: String,
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: Box<PolicyError>,
    },
}

/// The configuration as it is written, in TOML or JSON.
///
/// A policy stands there as the name of a file, as its own text, or as a table with `policy` (the document) or `file`, and
/// with `name` and `arn` where it has them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where what is allowed is done.
    pub upstream: Option<Upstream>,
    /// How requests come in, and how they are answered.
    #[serde(default)]
    pub(crate) network: Network,
    /// How refusals read.
    #[serde(default)]
    pub(crate) answers: Answers,
    /// Accounts, where there is more to say than their number.
    #[serde(default)]
    accounts: BTreeMap<String, AccountConfig>,
    #[serde(default)]
    users: Vec<UserConfig>,
    #[serde(default)]
    roles: Vec<RoleConfig>,
    #[serde(default)]
    sessions: Vec<SessionConfig>,
    #[serde(default)]
    buckets: Vec<BucketConfig>,
    #[serde(default)]
    tables: Vec<TableConfig>,
    #[serde(default)]
    keys: Vec<KeyConfig>,
    #[serde(default)]
    providers: Vec<ProviderConfig>,
    vpc_endpoint: Option<VpcEndpointConfig>,
}

/// A server that does what is allowed, such as moto.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `http://HOST:PORT`.
    pub url: String,
    /// The one for `DynamoDB`, where it is another.
    pub dynamodb: Option<String>,
    /// What requests to it are signed with.
    #[serde(default = "access_key")]
    pub(crate) access_key: String,
    #[serde(default = "secret_key")]
    pub(crate) secret_key: String,
}

impl Upstream {
    /// The first of its addresses that is not on this machine.
    pub fn elsewhere(&self) -> Option<&str> {
        let addresses = [Some(&self.url), self.dynamodb.as_ref()].into_iter().flatten();
        addresses.map(String::as_str).find(|address| !is_on_this_machine(address))
    }

    /// A server that does not look at signatures.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), dynamodb: None, access_key: access_key(), secret_key: secret_key() }
    }
}

/// Names are taken for those of others, but for the one that stands for loopback everywhere.
fn is_on_this_machine(address: &str) -> bool {
    let url = url::Url::parse(address).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn access_key() -> String {
    "AKIALABUPSTREAM".to_owned()
}

fn secret_key() -> String {
    "lab-upstream-secret".to_owned()
}

/// What of the network policies can ask about.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Network {
    /// `aws:SecureTransport`. The lab itself speaks plain HTTP; AWS's endpoints are asked by HTTPS.
    pub(crate) secure_transport: bool,
    /// `aws:SourceIp`; the client's address unless told.
    pub(crate) source_ip: Option<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self { secure_transport: true, source_ip: None }
    }
}

/// How refusals read.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answers {
    /// Whether an explicit deny names its policy's ARN, as AWS does since 2026 in ever more services.
    pub(crate) policy_arns: bool,
    /// How long a service that uses a key for others goes by the key's policy before, in seconds.
    pub(crate) key_delay_s: u64,
}

impl Default for Answers {
    fn default() -> Self {
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html: about five minutes.
        Self { policy_arns: true, key_delay_s: 300 }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountConfig {
    organization: Option<String>,
    /// Policies of organizations do not apply to it.
    #[serde(default)]
    management: bool,
    /// By level, from the root to the account.
    scps: Option<Vec<Vec<Value>>>,
    rcps: Option<Vec<Vec<Value>>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserConfig {
    arn: String,
    access_key: Option<String>,
    secret_key: Option<String>,
    #[serde(default)]
    policies: Vec<Value>,
    boundary: Option<Value>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleConfig {
    arn: String,
    trust: Option<Value>,
    #[serde(default)]
    policies: Vec<Value>,
    boundary: Option<Value>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A session that is there from the start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionConfig {
    /// The role's ARN.
    role: String,
    name: String,
    access_key: Option<String>,
    secret_key: Option<String>,
    token: Option<String>,
    /// Session policies.
    policies: Option<Vec<Value>>,
    /// RFC 3339; never unless told.
    expires: Option<jiff::Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketConfig {
    name: String,
    account: Option<String>,
    /// Any, unless told.
    region: Option<String>,
    policy: Option<Value>,
    /// The ARN of the key that encrypts what is put without a word about it.
    kms_key: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableConfig {
    arn: String,
    policy: Option<Value>,
    /// The ARN of the key that encrypts it; AWS's own unless told.
    kms_key: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyConfig {
    arn: String,
    /// What AWS gives to new keys, unless told.
    policy: Option<Value>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    state: KeyState,
}

/// A provider of `OpenID` Connect whose tokens an account takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderConfig {
    /// `arn:aws:iam::ACCOUNT:oidc-provider/HOST`.
    arn: String,
    /// For whom its tokens are.
    #[serde(default = "audiences")]
    audiences: Vec<String>,
}

fn audiences() -> Vec<String> {
    vec!["sts.amazonaws.com".to_owned()]
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct VpcEndpointConfig {
    id: String,
    vpc: Option<String>,
    policy: Option<Value>,
    /// The services that are reached through it.
    #[serde(default = "gateway_services")]
    services: Vec<String>,
}

fn gateway_services() -> Vec<String> {
    ["s3", "dynamodb"].map(str::to_owned).to_vec()
}

impl FromStr for Config {
    type Err = ConfigError;

    /// Reads JSON where the text begins with a brace, else TOML.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| ConfigError::Shape(error.to_string()));
        }
        // TOML's own words draw a picture of several lines, which an error message has no room for.
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::Shape(format!("line {line}: {}", error.message()))
        })
    }
}

impl Config {
    /// Makes a world of it. `read` gives the text of a policy's file.
    pub fn compile(&self, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<World, ConfigError> {
        compile::world(self, read)
    }
}

#[cfg(test)]
mod tests;
