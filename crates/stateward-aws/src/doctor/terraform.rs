//! The target that a `backend "s3"` block names.

use std::str::FromStr;

use aws_credential_types::Credentials;
use stateward_store_aws::{CustomerKey, Encryption, Role};
use stateward_terraform::Arguments;

use super::Target;

const TWO_KEYS: &str = "the backend has both `kms_key_id` and `sse_customer_key`, of which Terraform takes one alone";

/// The arguments of a backend, from what counts least to what counts most.
#[derive(Debug, Clone, Default)]
pub struct Given {
    arguments: Arguments,
}

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
    /// Another principal than Terraform's would be looked at.
    #[error("the backend has `{0}`, which stateward does not do: it would be somebody else than Terraform")]
    Unsupported(&'static str),
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
            Self::Unsupported(_) => "take the block out and set `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE` in its place: both read them".to_owned(),
        }
    }
}

impl Given {
    /// Adds arguments that count more than those before; one that is not written out leaves what was known.
    pub fn add(&mut self, arguments: &Arguments) {
        for (name, value) in arguments {
            // A list that is said anew is another list, however long the one before was.
            if let Some(list) = name.strip_suffix("0").filter(|list| list.ends_with('.')) {
                self.arguments.retain(|known, _| !known.strip_prefix(list).is_some_and(is_index));
            }
            match value {
                Some(_) => drop(self.arguments.insert(name.clone(), value.clone())),
                None => drop(self.arguments.entry(name.clone()).or_default()),
            }
        }
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

    /// Keys that stand in the backend itself; one is no good without the other.
    fn keys(&self) -> Result<Option<Credentials>, TargetError> {
        let token = self.text("token")?;
        Ok(match (self.text("access_key")?, self.text("secret_key")?) {
            (Some(key), Some(secret)) => Some(Credentials::new(key, secret, token, None, "backend")),
            (Some(_), None) => return Err(TargetError::Missing("secret_key")),
            (None, Some(_)) => return Err(TargetError::Missing("access_key")),
            (None, None) if token.is_some() => return Err(TargetError::Missing("access_key")),
            (None, None) => None,
        })
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
        let access = &mut target.access;
        access.region = self.text("region")?;
        access.keys = self.keys()?;
        access.profile = self.text("profile")?;
        let paths = |texts: Vec<String>| texts.into_iter().map(Into::into).collect::<Vec<_>>();
        access.shared_config_files = paths(self.texts("shared_config_files")?);
        access.shared_credentials_files = paths(self.texts("shared_credentials_files")?);
        if let (true, Some(file)) = (access.shared_credentials_files.is_empty(), self.text("shared_credentials_file")?)
        {
            access.shared_credentials_files = vec![file.into()];
        }
        let web_identity = "assume_role_with_web_identity";
        if self.arguments.keys().any(|name| name.starts_with(web_identity)) {
            return Err(TargetError::Unsupported(web_identity));
        }
        access.skip_metadata_api_check = self.flag("skip_metadata_api_check")?;
        if let Some(retries) = self.parsed("max_retries", "whole number")? {
            access.max_retries = retries;
        }
        if let Some(arn) = self.first(&["assume_role.role_arn", "role_arn"])? {
            access.role = Some(Role {
                arn,
                session_name: self.first(&["assume_role.session_name", "session_name"])?,
                external_id: self.first(&["assume_role.external_id", "external_id"])?,
                policy: self.first(&["assume_role.policy", "assume_role_policy"])?,
            });
        }
        let endpoints = &mut target.endpoints;
        endpoints.s3 = self.first(&["endpoints.s3", "endpoint"])?;
        endpoints.dynamodb = self.first(&["endpoints.dynamodb", "dynamodb_endpoint"])?;
        endpoints.iam = self.first(&["endpoints.iam", "iam_endpoint"])?;
        endpoints.sts = self.first(&["endpoints.sts", "sts_endpoint"])?;
        access.sts_endpoint.clone_from(&endpoints.sts);
        Ok(target)
    }
}

fn is_index(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Given {
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
            (
                &[("assume_role_with_web_identity.role_arn", "r")],
                TargetError::Unsupported("assume_role_with_web_identity"),
            ),
        ] {
            let error = given(pairs).target(None).unwrap_err();
            assert!(!error.to_string().contains("s3cret"));
            assert_eq!(error, expected);
            assert!(!error.advice().is_empty());
        }
    }
}
