//! Terraform's own `s3` backend, configured for servers that are not AWS.

use std::fmt::Write;

use crate::AwsEnv;

/// A `backend "s3"` block: the state's bucket and key, the servers, and which of its two locks it takes.
///
/// ```
/// # use stateward_testkit::S3Backend;
/// S3Backend::new("http://127.0.0.1:9000", "bucket", "a/b.tfstate")
///     .lockfile()
///     .lock_table("http://127.0.0.1:8000", "locks");
/// ```
#[derive(Debug, Clone)]
pub struct S3Backend {
    s3_url: String,
    bucket: String,
    key: String,
    lockfile: bool,
    lock_table: Option<(String, String)>,
    others: Vec<(String, String)>,
}

impl S3Backend {
    /// The state at this key of the bucket, without any lock.
    pub fn new(s3_url: &str, bucket: &str, key: &str) -> Self {
        let (s3_url, bucket, key) = (s3_url.to_owned(), bucket.to_owned(), key.to_owned());
        Self { s3_url, bucket, key, lockfile: false, lock_table: None, others: Vec::new() }
    }

    /// With the lock in the bucket (`use_lockfile`).
    #[must_use]
    pub fn lockfile(self) -> Self {
        Self { lockfile: true, ..self }
    }

    /// With the lock in this table, and the digest of the state beside it.
    #[must_use]
    pub fn lock_table(self, dynamodb_url: &str, table: &str) -> Self {
        Self { lock_table: Some((dynamodb_url.to_owned(), table.to_owned())), ..self }
    }

    /// With one more argument, its value in HCL: `set("workspace_key_prefix", "\"w\"")`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.others.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn to_hcl(&self) -> String {
        let quoted = |text: &str| format!("\"{text}\"");
        let mut arguments = vec![
            ("bucket", quoted(&self.bucket)),
            ("key", quoted(&self.key)),
            ("region", quoted(AwsEnv::REGION)),
            // Names of buckets in the host name would need a resolver of their own.
            ("use_path_style", "true".to_owned()),
            // What only AWS can answer.
            ("skip_credentials_validation", "true".to_owned()),
            ("skip_metadata_api_check", "true".to_owned()),
            ("skip_region_validation", "true".to_owned()),
            ("skip_requesting_account_id", "true".to_owned()),
        ];
        if self.lockfile {
            arguments.push(("use_lockfile", "true".to_owned()));
        }
        if let Some((_, table)) = &self.lock_table {
            arguments.push(("dynamodb_table", quoted(table)));
        }
        arguments.extend(self.others.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let width = arguments.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let mut hcl = "terraform {\n  backend \"s3\" {\n".to_owned();
        for (name, value) in arguments {
            writeln!(hcl, "    {name:width$} = {value}").expect("writing to a string");
        }
        let mut endpoints = vec![("s3", &self.s3_url)];
        endpoints.extend(self.lock_table.as_ref().map(|(url, _)| ("dynamodb", url)));
        let width = endpoints.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        hcl.push_str("    endpoints = {\n");
        for (name, url) in endpoints {
            writeln!(hcl, "      {name:width$} = \"{url}\"").expect("writing to a string");
        }
        hcl.push_str("    }\n  }\n}\n");
        hcl
    }
}
