//! Requests as a server or a proxy saw them, for tests that count them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Settings of buckets, with the operations that read and write them.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("encryption", "GetBucketEncryption", "PutBucketEncryption"),
    ("lifecycle", "GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration"),
    ("logging", "GetBucketLogging", "PutBucketLogging"),
    ("replication", "GetBucketReplication", "PutBucketReplication"),
    ("ownershipControls", "GetBucketOwnershipControls", "PutBucketOwnershipControls"),
    ("policy", "GetBucketPolicy", "PutBucketPolicy"),
    ("publicAccessBlock", "GetPublicAccessBlock", "PutPublicAccessBlock"),
    ("tagging", "GetBucketTagging", "PutBucketTagging"),
    ("versioning", "GetBucketVersioning", "PutBucketVersioning"),
];

/// One request and the status of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SeenRequest {
    /// In capitals.
    pub method: String,
    /// As it was sent: percent signs and all.
    pub path: String,
    /// What follows the question mark, without it.
    pub query: String,
    /// By lower-case name. `Moto` keeps those that matter to S3 and `DynamoDB`, `FaultProxy` keeps all.
    pub headers: BTreeMap<String, String>,
    /// What the client was answered; `None` where it got no answer.
    pub status: Option<u16>,
    /// The `Action` of a form, by which IAM and STS know their operations. `FaultProxy` alone looks at bodies.
    #[serde(default)]
    pub action: Option<String>,
}

impl SeenRequest {
    /// A header by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// The operation by AWS's name for it (`PutItem`, `GetObject`); the method where it is none that is known here. S3's
    /// buckets are expected in the path.
    pub fn operation(&self) -> &str {
        if let Some(target) = self.header("x-amz-target") {
            return target.rsplit('.').next().unwrap_or(target);
        }
        if let Some(action) = &self.action {
            return action;
        }
        match self.path.trim_start_matches('/').split_once('/') {
            Some((_, key)) if !key.is_empty() => self.object_operation(),
            _ if self.path == "/" => "ListBuckets",
            _ => self.bucket_operation(),
        }
    }

    /// Whether it changes something.
    pub fn writes(&self) -> bool {
        if self.header("x-amz-target").is_some() || self.action.is_some() {
            return !["Describe", "Get", "List"].iter().any(|reads| self.operation().starts_with(reads));
        }
        ["PUT", "DELETE"].contains(&self.method.as_str())
    }

    fn object_operation(&self) -> &str {
        match self.method.as_str() {
            "HEAD" => "HeadObject",
            "GET" if self.has("uploadId") => "ListParts",
            "GET" => "GetObject",
            "PUT" if self.has("uploadId") => "UploadPart",
            "PUT" if self.header("x-amz-copy-source").is_some() => "CopyObject",
            "PUT" => "PutObject",
            "POST" if self.has("uploads") => "CreateMultipartUpload",
            "POST" if self.has("uploadId") => "CompleteMultipartUpload",
            "DELETE" if self.has("uploadId") => "AbortMultipartUpload",
            "DELETE" => "DeleteObject",
            other => other,
        }
    }

    fn bucket_operation(&self) -> &str {
        let mut settings = SETTINGS.iter().filter(|(setting, ..)| self.has(setting));
        match (settings.next(), self.method.as_str()) {
            (Some((_, get, _)), "GET") => return get,
            (Some((_, _, put)), "PUT") => return put,
            _ => {}
        }
        match self.method.as_str() {
            "HEAD" => "HeadBucket",
            "GET" if self.query.contains("list-type=2") => "ListObjectsV2",
            "GET" if self.has("versions") => "ListObjectVersions",
            "GET" if self.has("uploads") => "ListMultipartUploads",
            "GET" if self.has("location") => "GetBucketLocation",
            "GET" => "ListObjects",
            "PUT" => "CreateBucket",
            "POST" if self.has("delete") => "DeleteObjects",
            "DELETE" => "DeleteBucket",
            other => other,
        }
    }

    /// Whether the query has this parameter, with a value or without.
    fn has(&self, parameter: &str) -> bool {
        self.query.split('&').any(|pair| pair.split('=').next() == Some(parameter))
    }
}

/// The operation, and for S3 what it is about: `PutObject /bucket/key`.
impl fmt::Display for SeenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation())?;
        if self.path == "/" { Ok(()) } else { write!(f, " {}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &str, target: &str, header: Option<(&str, &str)>) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = header.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (path, query) = (path.to_owned(), query.to_owned());
        let method = method.to_owned();
        let request = SeenRequest { method, path, query, headers, status: Some(200), action: None };
        request.operation().to_owned()
    }

    #[test]
    fn operations_have_their_names() {
        assert_eq!(operation("POST", "/", Some(("x-amz-target", "DynamoDB_20120810.PutItem"))), "PutItem");
        assert_eq!(operation("PUT", "/b/k", Some(("x-amz-copy-source", "b/k2"))), "CopyObject");
        for (method, target, wanted) in [
            ("GET", "/", "ListBuckets"),
            ("PUT", "/b", "CreateBucket"),
            ("PUT", "/b/", "CreateBucket"),
            ("GET", "/b?list-type=2&prefix=env%3A%2F", "ListObjectsV2"),
            ("GET", "/b?versions", "ListObjectVersions"),
            ("PUT", "/b?policy", "PutBucketPolicy"),
            ("GET", "/b/?versioning=", "GetBucketVersioning"),
            ("POST", "/b?delete=", "DeleteObjects"),
            ("PUT", "/b/a/k", "PutObject"),
            ("GET", "/b/k?x-id=GetObject", "GetObject"),
            ("HEAD", "/b/k", "HeadObject"),
            ("DELETE", "/b/k?x-id=DeleteObject", "DeleteObject"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
            ("PUT", "/b/k?partNumber=1&uploadId=x", "UploadPart"),
            ("POST", "/b/k?uploadId=x", "CompleteMultipartUpload"),
            ("DELETE", "/b/k?uploadId=x", "AbortMultipartUpload"),
            ("PATCH", "/b/k", "PATCH"),
        ] {
            assert_eq!(operation(method, target, None), wanted, "{method} {target}");
        }
    }
}
