//! The target that a `backend "s3"` block names.

mod who;

use std::collections::BTreeMap;
use std::str::FromStr;

use stateward_store_aws::{CustomerKey, Encryption};
use stateward_terraform::{Arguments, flag};

use super::{Accounts, Endpoints, Target};
use who::{OBJECTS, within};

const TWO_KEYS: &str = "the backend has both `kms_key_id` and `sse_customer_key`, of which Terraform takes one alone";
const TWO_LISTS: &str =
    "the backend has both `allowed_account_ids` and `forbidden_account_ids`, of which Terraform takes one alone";
const TWO_KEYS_SET: &str =
    "the backend has `kms_key_id` and the environment `AWS_SSE_CUSTOMER_KEY`, of which Terraform takes one alone";

/// The arguments of a backend, from what counts least to what counts most.
#[derive(Debug, Clone, Default)]
pub struct Given {
    arguments: Arguments,
    variables: BTreeMap<&'static str, String>,
}

/// Arguments that Terraform acts on and the doctor does not.
const UNLOOKED: [&str; 6] = ["insecure", "http_proxy", "https_proxy", "no_proxy", "retry_mode", "endpoints.sso"];

/// Variables of the environment that the backend itself reads, beside those that the SDK does.
const VARIABLES: [&str; 16] = [
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_SSE_CUSTOMER_KEY",
    "AWS_SHARED_CONFIG_FILE",
    "AWS_METADATA_URL",
    "AWS_S3_ENDPOINT",
    "AWS_DYNAMODB_ENDPOINT",
    "AWS_IAM_ENDPOINT",
    "AWS_STS_ENDPOINT",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_STS",
];

/// Why a backend names no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A needed argument is not there.
    #[error("the backend has no `{0}`")]
    Missing(&'static str),
    /// It is a variable or a function, and `init` has not noted what it came to.
    #[error("`{0}` is not written out: a backend block takes no variables, functions or references")]
    Computed(String),
    /// It is of another kind.
    #[error("`{name}` is `{value}`, which is no {kind}")]
    Value {
        /// The argument.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        kind: &'static str,
    },
    /// How objects are written cannot be used.
    #[error("{0}")]
    Objects(String),
}

impl TargetError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Missing(name) => format!("set it in the backend block, or pass `--backend-config {name}=VALUE`"),
            Self::Computed(name) => format!(
                "write the value out, or leave the argument out and pass `--backend-config {name}=VALUE` here and to `terraform init`"
            ),
            Self::Value { name: "key", .. } => "take the `/` away".to_owned(),
            Self::Value { name, kind, .. } => format!("set `{name}` to a {kind}"),
            Self::Objects(_) => "put it right".to_owned(),
        }
    }
}

impl Given {
    /// Adds arguments that count more than those before; one that is not written out leaves what was known.
    pub fn add(&mut self, arguments: &Arguments) {
        for object in OBJECTS {
            // An object that is said anew is another one; of what is not written out in it, `init` has noted what it came to.
            let is_open = |known: &str| {
                let mut open = arguments.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str());
                open.any(|name| known == name || within(known, name).is_some())
            };
            if arguments.keys().any(|name| within(name, object).is_some()) {
                self.arguments.retain(|known, _| within(known, object).is_none() || is_open(known));
            }
        }
        for (name, value) in arguments {
            // A list that is said anew is another list, however long the one before was.
            if let Some(list) = name.strip_suffix("0").filter(|list| list.ends_with('.')) {
                self.arguments.retain(|known, _| !known.strip_prefix(list).is_some_and(is_index));
            }
            match value {
                Some(_) => drop(self.arguments.insert(name.clone(), value.clone())),
                None if self.arguments.keys().any(|known| within(known, name).is_some()) => {}
                None => drop(self.arguments.entry(name.clone()).or_default()),
            }
        }
    }

    /// Takes from the environment what the backend itself takes from there.
    pub fn read(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let set = VARIABLES.iter().filter_map(|name| Some((*name, variable(name)?)));
        self.variables.extend(set.filter(|(_, value)| !value.is_empty()));
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn text(&self, name: &str) -> Result<Option<String>, TargetError> {
        match self.arguments.get(name) {
            None => Ok(None),
            Some(None) => Err(TargetError::Computed(name.to_owned())),
            Some(Some(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        }
    }

    /// A list of texts.
    fn texts(&self, name: &str) -> Result<Vec<String>, TargetError> {
        // A list that is no list of texts, or not written out.
        self.text(name)?;
        let indices = (0..).map(|at| format!("{name}.{at}")).take_while(|name| self.arguments.contains_key(name));
        indices.filter_map(|name| self.text(&name).transpose()).collect()
    }

    /// The first that is there of an argument's names.
    fn first(&self, names: &[&str]) -> Result<Option<String>, TargetError> {
        for name in names {
            if let Some(text) = self.text(name)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// The URL of a service. `AWS_S3_ENDPOINT` and its like are old, and count less than `AWS_ENDPOINT_URL_S3`, which the SDK reads.
    fn endpoint(&self, names: &[&str], service: &str) -> Result<Option<String>, TargetError> {
        let old = || match self.variable(&format!("AWS_ENDPOINT_URL_{service}")) {
            None => self.variable(&format!("AWS_{service}_ENDPOINT")),
            Some(_) => None,
        };
        Ok(self.first(names)?.or_else(old))
    }

    fn parsed<T: FromStr>(&self, name: &'static str, kind: &'static str) -> Result<Option<T>, TargetError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        value.parse().map(Some).map_err(|_| TargetError::Value { name, value, kind })
    }

    fn flag(&self, name: &'static str) -> Result<bool, TargetError> {
        let Some(value) = self.text(name)? else { return Ok(false) };
        flag(&value).ok_or(TargetError::Value { name, value, kind: "`true` or `false`" })
    }

    fn needed(&self, name: &'static str) -> Result<String, TargetError> {
        self.text(name)?.ok_or(TargetError::Missing(name))
    }

    /// How objects are written: Terraform sends nothing about it without `encrypt`, whatever key is named.
    fn encrypt(&self, target: &mut Target) -> Result<(), TargetError> {
        let keys = (self.text("sse_customer_key")?, self.text("kms_key_id")?);
        let keys = match (keys, self.variable("AWS_SSE_CUSTOMER_KEY")) {
            ((_, Some(_)), Some(_)) => return Err(TargetError::Objects(TWO_KEYS_SET.to_owned())),
            ((None, None), Some(key)) if self.flag("encrypt")? => (Some(key), None),
            (keys, _) => keys,
        };
        target.unused_key = None;
        target.objects.encryption = match (self.flag("encrypt")?, keys) {
            (_, (Some(_), Some(_))) => return Err(TargetError::Objects(TWO_KEYS.to_owned())),
            (true, (Some(key), None)) => Encryption::Customer(CustomerKey::Given(key)),
            (true, (None, Some(key))) => Encryption::Kms { key },
            (true, (None, None)) => Encryption::S3,
            (false, keys) => {
                target.unused_key = match keys {
                    (Some(_), _) => Some("sse_customer_key"),
                    (None, Some(_)) => Some("kms_key_id"),
                    (None, None) => None,
                };
                Encryption::Bucket
            }
        };
        Ok(())
    }

    /// The accounts that Terraform goes on in.
    fn accounts(&self, target: &mut Target) -> Result<(), TargetError> {
        target.accounts = Accounts {
            allowed: self.texts("allowed_account_ids")?,
            forbidden: self.texts("forbidden_account_ids")?,
            unasked: self.flag("skip_credentials_validation")? && self.flag("skip_requesting_account_id")?,
        };
        match target.accounts.allowed.is_empty() || target.accounts.forbidden.is_empty() {
            true => Ok(()),
            false => Err(TargetError::Objects(TWO_LISTS.to_owned())),
        }
    }

    /// What is said and has no part in what is looked at. What is switched off is as good as not said.
    fn unlooked(&self) -> Vec<&'static str> {
        let is_said = |name: &&str| {
            let value = self.arguments.get(*name);
            value.is_some_and(|value| value.as_deref().is_none_or(|text| !text.is_empty() && text != "false"))
        };
        UNLOOKED.into_iter().filter(is_said).collect()
    }

    /// The target, in a workspace.
    pub fn target(&self, workspace: Option<&str>) -> Result<Target, TargetError> {
        let mut target = Target::new(self.needed("bucket")?, self.needed("key")?);
        if target.key.starts_with('/') || target.key.ends_with('/') {
            let kind = "key that Terraform takes: it has a `/` at an end";
            return Err(TargetError::Value { name: "key", value: target.key, kind });
        }
        if let Some(workspace) = workspace {
            workspace.clone_into(&mut target.workspace);
        }
        // An empty one is one: workspaces lie below their names then.
        if self.arguments.contains_key("workspace_key_prefix") {
            target.workspace_key_prefix = self.text("workspace_key_prefix")?.unwrap_or_default();
        }
        target.lock_table = self.text("dynamodb_table")?;
        target.use_lockfile = self.flag("use_lockfile")?;
        target.objects.path_style = self.flag("use_path_style")? || self.flag("force_path_style")?;
        target.objects.acl = self.text("acl")?;
        target.objects.skip_checksum = self.flag("skip_s3_checksum")?;
        self.encrypt(&mut target)?;
        self.who(&mut target.access)?;
        self.accounts(&mut target)?;
        target.unlooked = self.unlooked();
        target.endpoints = Endpoints {
            s3: self.endpoint(&["endpoints.s3", "endpoint"], "S3")?,
            dynamodb: self.endpoint(&["endpoints.dynamodb", "dynamodb_endpoint"], "DYNAMODB")?,
            iam: self.endpoint(&["endpoints.iam", "iam_endpoint"], "IAM")?,
            kms: None,
        };
        target.access.sts_endpoint = self.endpoint(&["endpoints.sts", "sts_endpoint"], "STS")?;
        Ok(target)
    }
}

fn is_index(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn given(pairs: &[(&str, &str)]) -> Given {
        let mut given = Given::default();
        given.add(&[("bucket", "b"), ("key", "k")].map(|(name, text)| (name.to_owned(), Some(text.to_owned()))).into());
        given.add(&pairs.iter().map(|(name, text)| ((*name).to_owned(), Some((*text).to_owned()))).collect());
        given
    }

    #[test]
    fn who_the_backend_says_one_is() {
        let mut all = given(&[
            ("access_key", "AKIA1"),
            ("secret_key", "hidden"),
            ("token", "hidden, too"),
            ("shared_config_files.0", "/a"),
            ("shared_config_files.1", "/b"),
            ("shared_credentials_file", "/old"),
        ]);
        let access = all.target(None).unwrap().access;
        let keys = access.keys.clone().unwrap();
        assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("AKIA1", "hidden"));
        assert_eq!(keys.session_token(), Some("hidden, too"));
        assert!(!format!("{access:?}").contains("hidden"), "{access:?}");
        assert_eq!(access.shared_config_files, ["/a", "/b"].map(std::path::PathBuf::from));
        assert_eq!(access.shared_credentials_files, [std::path::PathBuf::from("/old")]);
        all.add(&Arguments::from([("shared_config_files.0".to_owned(), Some("/c".to_owned()))]));
        assert_eq!(all.target(None).unwrap().access.shared_config_files, [std::path::PathBuf::from("/c")]);
    }

    #[test]
    fn a_key_is_used_with_encrypt_alone() {
        let of = |pairs: &[(&str, &str)]| {
            let target = given(pairs).target(None).unwrap();
            (target.objects.encryption, target.unused_key)
        };
        let kms = || Encryption::Kms { key: "alias/k".to_owned() };
        let own = || Encryption::Customer(CustomerKey::Given("c2VjcmV0".to_owned()));
        for (pairs, expected) in [
            (&[][..], (Encryption::Bucket, None)),
            (&[("encrypt", "true")], (Encryption::S3, None)),
            (&[("encrypt", "true"), ("kms_key_id", "alias/k")], (kms(), None)),
            (&[("encrypt", "true"), ("sse_customer_key", "c2VjcmV0")], (own(), None)),
            (&[("kms_key_id", "alias/k")], (Encryption::Bucket, Some("kms_key_id"))),
            (&[("encrypt", "false"), ("kms_key_id", "alias/k")], (Encryption::Bucket, Some("kms_key_id"))),
            (&[("sse_customer_key", "c2VjcmV0")], (Encryption::Bucket, Some("sse_customer_key"))),
        ] {
            assert_eq!(of(pairs), expected, "{pairs:?}");
        }
        let both = given(&[("encrypt", "true"), ("kms_key_id", "alias/k"), ("sse_customer_key", "c2VjcmV0")]);
        let error = both.target(None).unwrap_err().to_string();
        assert!(error.contains("one alone") && !error.contains("c2VjcmV0"), "{error}");
        let set = |pairs: &[(&str, &str)]| {
            let mut given = given(pairs);
            given.read(|name| (name == "AWS_SSE_CUSTOMER_KEY").then(|| "c2VjcmV0".to_owned()));
            given.target(None).map(|target| target.objects.encryption)
        };
        assert_eq!(set(&[("encrypt", "true")]), Ok(own()));
        assert_eq!(set(&[]), Ok(Encryption::Bucket));
        let error = set(&[("encrypt", "true"), ("kms_key_id", "alias/k")]).unwrap_err().to_string();
        assert!(error.contains("one alone") && !error.contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn flags_as_terraform_takes_them() {
        let flag = |text: &str| given(&[("use_lockfile", text)]).target(None).map(|target| target.use_lockfile);
        for (text, expected) in [("true", true), ("1", true), ("false", false), ("0", false), ("", false)] {
            assert_eq!(flag(text), Ok(expected), "{text:?}");
        }
        for text in ["True", "yes", "2"] {
            assert!(flag(text).unwrap_err().to_string().contains("`true` or `false`"), "{text}");
        }
    }

    #[test]
    fn an_empty_prefix_is_no_missing_one() {
        let prefix = |pairs: &[(&str, &str)]| given(pairs).target(None).unwrap().workspace_key_prefix;
        assert_eq!((prefix(&[]).as_str(), prefix(&[("workspace_key_prefix", "")]).as_str()), ("env:", ""));
    }

    #[test]
    fn accounts_and_what_is_not_looked_at() {
        let all = given(&[
            ("allowed_account_ids.0", "111122223333"),
            ("skip_credentials_validation", "true"),
            ("skip_requesting_account_id", "true"),
            ("insecure", "true"),
            ("https_proxy", "http://proxy"),
            ("http_proxy", ""),
            ("endpoints.sso", "http://sso"),
        ]);
        let target = all.target(None).unwrap();
        let (allowed, forbidden) = (vec!["111122223333".to_owned()], Vec::new());
        assert_eq!(target.accounts, Accounts { allowed, forbidden, unasked: true });
        assert_eq!(target.unlooked, ["insecure", "https_proxy", "endpoints.sso"]);
        let none = given(&[("insecure", "false"), ("skip_credentials_validation", "true")]).target(None).unwrap();
        assert_eq!((none.accounts, none.unlooked), (Accounts::default(), Vec::new()));
        let both = given(&[("allowed_account_ids.0", "1"), ("forbidden_account_ids.0", "2")]).target(None).unwrap_err();
        assert!(both.to_string().contains("one alone"), "{both}");
    }

    #[test]
    fn endpoints_of_the_environment() {
        let at = |pairs: &[(&str, &str)], set: &[(&str, &str)]| {
            let mut given = given(pairs);
            given.read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()));
            given.target(None).unwrap().endpoints.s3
        };
        let old = ("AWS_S3_ENDPOINT", "http://old");
        let url = |url: &str| Some(url.to_owned());
        assert_eq!(at(&[], &[]), None);
        assert_eq!(at(&[], &[old]), url("http://old"));
        assert_eq!(at(&[("endpoint", "http://block")], &[old]), url("http://block"));
        // The SDK knows the new one by itself.
        assert_eq!(at(&[], &[old, ("AWS_ENDPOINT_URL_S3", "http://new")]), None);
        let mut all = given(&[]);
        all.read(|name| name.ends_with("_ENDPOINT").then(|| name.to_owned()));
        let target = all.target(None).unwrap();
        let expected = ["S3", "DYNAMODB", "IAM", "STS"].map(|service| Some(format!("AWS_{service}_ENDPOINT")));
        let Endpoints { s3, dynamodb, iam, kms: _ } = target.endpoints;
        assert_eq!([s3, dynamodb, iam, target.access.sts_endpoint], expected);
    }

    #[test]
    fn who_cannot_be_made_out() {
        for (pairs, expected) in [
            (&[("access_key", "AKIA1")][..], TargetError::Missing("secret_key")),
            (&[("secret_key", "s3cret")], TargetError::Missing("access_key")),
            (
                &[("key", "/k")],
                TargetError::Value {
                    name: "key",
                    value: "/k".to_owned(),
                    kind: "key that Terraform takes: it has a `/` at an end",
                },
            ),
            (&[("token", "t")], TargetError::Missing("access_key")),
        ] {
            let error = given(pairs).target(None).unwrap_err();
            assert!(!error.to_string().contains("s3cret"));
            assert_eq!(error, expected);
            assert!(!error.advice().is_empty());
        }
    }
}
