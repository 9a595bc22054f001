//! The target that a `backend "s3"` block names.

mod who;

use std::collections::BTreeMap;
use std::str::FromStr;

use stateward_store_aws::{CustomerKey, Encryption};
use stateward_terraform::Arguments;

use super::Target;
use who::{OBJECTS, within};

const TWO_KEYS: &str = "the backend has both `kms_key_id` and `sse_customer_key`, of which Terraform takes one alone";
const TWO_KEYS_SET: &str =
    "the backend has `kms_key_id` and the environment `AWS_SSE_CUSTOMER_KEY`, of which Terraform takes one alone";

/// The arguments of a backend, from what counts least to what counts most.
#[derive(Debug, Clone, Default)]
pub struct Given {
    arguments: Arguments,
    variables: BTreeMap<&'static str, String>,
}

/// Variables of the environment that the backend itself reads, beside those that the SDK does.
const VARIABLES: [&str; 5] = [
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_SSE_CUSTOMER_KEY",
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
            Self::Missing(name) => format!("set it in the backend block, or pass `--backend-config {name}=…`"),
            Self::Computed(name) => format!(
                "write the value out, or leave the argument out and pass `--backend-config {name}=…` here and to `terraform init`"
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

    fn parsed<T: FromStr>(&self, name: &'static str, kind: &'static str) -> Result<Option<T>, TargetError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        value.parse().map(Some).map_err(|_| TargetError::Value { name, value, kind })
    }

    fn flag(&self, name: &'static str) -> Result<bool, TargetError> {
        Ok(self.parsed(name, "`true` or `false`")?.unwrap_or_default())
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
        let endpoints = &mut target.endpoints;
        endpoints.s3 = self.first(&["endpoints.s3", "endpoint"])?;
        endpoints.dynamodb = self.first(&["endpoints.dynamodb", "dynamodb_endpoint"])?;
        endpoints.iam = self.first(&["endpoints.iam", "iam_endpoint"])?;
        endpoints.sts = self.first(&["endpoints.sts", "sts_endpoint"])?;
        target.access.sts_endpoint.clone_from(&endpoints.sts);
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
    fn an_empty_prefix_is_no_missing_one() {
        let prefix = |pairs: &[(&str, &str)]| given(pairs).target(None).unwrap().workspace_key_prefix;
        assert_eq!((prefix(&[]).as_str(), prefix(&[("workspace_key_prefix", "")]).as_str()), ("env:", ""));
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
