//! The target that a `backend "s3"` block names.

use std::str::FromStr;

use stateward_store_aws::{CustomerKey, Encryption, Role};
use stateward_terraform::Arguments;

use super::Target;

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
}

impl TargetError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Missing(name) => format!("set it in the backend block, or pass `--backend-config {name}=…`"),
            Self::Computed(name) => format!(
                "write the value out, or leave the argument out and pass `--backend-config {name}=…` here and to `terraform init`"
            ),
            Self::Value { .. } | Self::Objects(_) => "put it right".to_owned(),
        }
    }
}

impl Given {
    /// Adds arguments that count more than those before; one that is not written out leaves what was known.
    pub fn add(&mut self, arguments: &Arguments) {
        for (name, value) in arguments {
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

    /// The target, in a workspace.
    pub fn target(&self, workspace: Option<&str>) -> Result<Target, TargetError> {
        let mut target = Target::new(self.needed("bucket")?, self.needed("key")?);
        if let Some(workspace) = workspace {
            workspace.clone_into(&mut target.workspace);
        }
        if let Some(prefix) = self.text("workspace_key_prefix")? {
            target.workspace_key_prefix = prefix;
        }
        target.lock_table = self.text("dynamodb_table")?;
        target.use_lockfile = self.flag("use_lockfile")?;
        target.objects.path_style = self.flag("use_path_style")? || self.flag("force_path_style")?;
        target.objects.acl = self.text("acl")?;
        target.objects.skip_checksum = self.flag("skip_s3_checksum")?;
        target.objects.encryption = match (self.text("sse_customer_key")?, self.text("kms_key_id")?) {
            (Some(key), _) => Encryption::Customer(CustomerKey::Given(key)),
            (None, Some(key)) => Encryption::Kms { key },
            (None, None) if self.flag("encrypt")? => Encryption::S3,
            (None, None) => Encryption::Bucket,
        };
        let access = &mut target.access;
        access.region = self.text("region")?;
        access.profile = self.text("profile")?;
        access.shared_credentials_file = self.text("shared_credentials_file")?.map(Into::into);
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
