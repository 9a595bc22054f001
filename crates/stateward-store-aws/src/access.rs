//! Who one is, and where the service is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::Credentials;

use crate::query::{endpoint, parse};

/// How often a request is tried again, unless told otherwise: as often as Terraform does.
const RETRIES: u32 = 5;

/// Who one is, and where the service is. What is `None` comes from the standard AWS configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The Region.
    pub region: Option<String>,
    /// The URL of a service other than AWS's.
    pub endpoint: Option<String>,
    /// The URL of an STS service other than AWS's.
    pub sts_endpoint: Option<String>,
    /// The Region of the STS service, where that is another one.
    pub sts_region: Option<String>,
    /// Keys that are written out; they count more than a profile. Whoever prints them sees no secret.
    pub keys: Option<Credentials>,
    /// The profile in the shared configuration; it counts more than keys in the environment.
    pub profile: Option<String>,
    /// Files of credentials instead of `~/.aws/credentials`.
    pub shared_credentials_files: Vec<PathBuf>,
    /// Files of configuration instead of `~/.aws/config`.
    pub shared_config_files: Vec<PathBuf>,
    /// A role that a token of another identity provider is good for; it counts more than a profile, and less than keys.
    pub web_identity: Option<WebIdentity>,
    /// A role to assume.
    pub role: Option<Role>,
    /// Do not ask the machine's metadata service for credentials.
    pub skip_metadata_api_check: bool,
    /// The URL of the machine's metadata service.
    pub metadata_endpoint: Option<String>,
    /// Whether that service is asked by IPv6.
    pub metadata_ipv6: Option<bool>,
    /// A file of the certificates (PEM) that are trusted, in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Ask the services where they have FIPS.
    pub use_fips: bool,
    /// Ask the services where they have IPv6 as well.
    pub use_dual_stack: bool,
    /// How often a request is tried again.
    pub max_retries: u32,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What the session is called; `stateward` unless told.
    pub session_name: Option<String>,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
    /// A policy (JSON) that further limits the session.
    pub policy: Option<String>,
    /// The ARNs of policies that do so, too.
    pub policy_arns: Vec<String>,
    /// Tags of the session.
    pub tags: BTreeMap<String, String>,
    /// Those of the tags that sessions opened from this one keep.
    pub transitive_tag_keys: Vec<String>,
    /// Who is behind it, for the trail.
    pub source_identity: Option<String>,
    /// How long a session lasts.
    pub duration: Option<Duration>,
}

/// A role to assume with a token of another identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// Its ARN.
    pub arn: String,
    /// What the session is called; `stateward` unless told.
    pub session_name: Option<String>,
    /// The token.
    pub token: Token,
    /// A policy (JSON) that further limits the session.
    pub policy: Option<String>,
    /// The ARNs of policies that do so, too.
    pub policy_arns: Vec<String>,
    /// How long a session lasts.
    pub duration: Option<Duration>,
}

/// Where a token is.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// In this file, which is read for each session anew.
    File(PathBuf),
    /// This is it.
    Given(String),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given(..)"),
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            sts_endpoint: None,
            sts_region: None,
            keys: None,
            profile: None,
            shared_credentials_files: Vec::new(),
            shared_config_files: Vec::new(),
            web_identity: None,
            role: None,
            skip_metadata_api_check: false,
            metadata_endpoint: None,
            metadata_ipv6: None,
            ca_bundle: None,
            use_fips: false,
            use_dual_stack: false,
            max_retries: RETRIES,
        }
    }
}

/// Options about a role, which only together make sense.
#[derive(Debug, Default)]
pub struct RoleQuery {
    arn: Option<String>,
    session_name: Option<String>,
    external_id: Option<String>,
    policy: Option<String>,
}

impl Access {
    /// The options that [`Access::set`] knows, as messages name them.
    pub const KNOWN: &'static str = "`region`, `endpoint`, `sts_endpoint`, `profile`, `shared_credentials_file`, `shared_config_file`, \
                                     `role_arn`, `session_name`, `external_id`, `assume_role_policy`, `skip_metadata_api_check`, `max_retries`";

    /// Takes an option of a URL; false where it is none of these.
    pub fn set(&mut self, role: &mut RoleQuery, name: &str, value: &str) -> Result<bool, String> {
        let text = || Some(value.to_owned());
        match name {
            "region" => self.region = text(),
            "endpoint" => self.endpoint = Some(endpoint(name, value)?),
            "sts_endpoint" => self.sts_endpoint = Some(endpoint(name, value)?),
            "profile" => self.profile = text(),
            // Each that is named adds one.
            "shared_credentials_file" => self.shared_credentials_files.push(value.into()),
            "shared_config_file" => self.shared_config_files.push(value.into()),
            "role_arn" => role.arn = text(),
            "session_name" => role.session_name = text(),
            "external_id" => role.external_id = text(),
            "assume_role_policy" => role.policy = text(),
            "skip_metadata_api_check" => self.skip_metadata_api_check = parse(name, value)?,
            "max_retries" => self.max_retries = parse(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What [`Access::set`] takes to come to this. Of keys that are written out nothing: they are a secret.
    pub fn options(&self) -> Vec<(String, String)> {
        let role = self.role.as_ref();
        let of_role = |text: fn(&Role) -> Option<String>| role.and_then(text);
        let files = |name: &'static str, files: &[PathBuf]| {
            files.iter().map(|file| (name, Some(file.display().to_string()))).collect::<Vec<_>>()
        };
        // Keys count more than a profile, and whoever has no place for keys is given them by the environment.
        let profile = self.profile.clone().filter(|_| self.keys.is_none());
        let retries = Some(self.max_retries).filter(|retries| *retries != RETRIES);
        let mut pairs = vec![("region", self.region.clone()), ("profile", profile)];
        pairs.extend(files("shared_credentials_file", &self.shared_credentials_files));
        pairs.extend(files("shared_config_file", &self.shared_config_files));
        pairs.extend([
            ("role_arn", of_role(|role| Some(role.arn.clone()))),
            ("session_name", of_role(|role| role.session_name.clone())),
            ("external_id", of_role(|role| role.external_id.clone())),
            ("assume_role_policy", of_role(|role| role.policy.clone())),
            ("endpoint", self.endpoint.clone()),
            ("sts_endpoint", self.sts_endpoint.clone()),
            ("skip_metadata_api_check", self.skip_metadata_api_check.then(|| "true".to_owned())),
            ("max_retries", retries.map(|retries| retries.to_string())),
        ]);
        named(pairs)
    }
}

/// Those that have a value.
pub(crate) fn named(pairs: Vec<(&str, Option<String>)>) -> Vec<(String, String)> {
    pairs.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect()
}

impl RoleQuery {
    /// The role that the options name.
    pub fn finish(self) -> Result<Option<Role>, String> {
        let Self { arn, session_name, external_id, policy } = self;
        match arn {
            Some(arn) => Ok(Some(Role { arn, session_name, external_id, policy, ..Role::default() })),
            None if session_name.is_some() || external_id.is_some() || policy.is_some() => {
                Err("has `session_name`, `external_id` or `assume_role_policy` without `role_arn`".into())
            }
            None => Ok(None),
        }
    }
}
