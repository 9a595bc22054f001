//! What every stand-in for AWS has in common: the credentials it takes, the environment of its clients, and names.

use std::net::SocketAddr;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{RawHttp, Response};

/// How a client reaches the stand-ins, and nothing of this machine's user: for a process, or for an SDK in the test.
///
/// ```no_run
/// # use stateward_testkit::{AwsEnv, DynamoDbLocal, FaultProxy, Terraform, TestDir, VersityGw};
/// # let dir = TestDir::new();
/// let env = AwsEnv::new().s3(VersityGw::shared().url()).dynamodb(DynamoDbLocal::shared().url());
/// let work = Terraform::find().workdir(&dir, "work").envs(env.pairs());
/// ```
#[derive(Debug, Clone, Default)]
pub struct AwsEnv {
    endpoints: Vec<(&'static str, String)>,
}

impl AwsEnv {
    /// The access key that all stand-ins know.
    pub const ACCESS_KEY: &'static str = "AKIATESTKIT";
    /// The secret that goes with it.
    pub const SECRET_KEY: &'static str = "testkit-secret";
    /// The region they say they are in.
    pub const REGION: &'static str = "us-east-1";

    /// With no endpoint: a client that is told none would look for AWS itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this URL for S3.
    #[must_use]
    pub fn s3(self, url: impl Into<String>) -> Self {
        self.endpoint("AWS_ENDPOINT_URL_S3", url)
    }

    /// With this URL for `DynamoDB`.
    #[must_use]
    pub fn dynamodb(self, url: impl Into<String>) -> Self {
        self.endpoint("AWS_ENDPOINT_URL_DYNAMODB", url)
    }

    /// With this URL for every service that has none of its own.
    #[must_use]
    pub fn others(self, url: impl Into<String>) -> Self {
        self.endpoint("AWS_ENDPOINT_URL", url)
    }

    fn endpoint(mut self, name: &'static str, url: impl Into<String>) -> Self {
        self.endpoints.retain(|(known, _)| *known != name);
        self.endpoints.push((name, url.into()));
        self
    }

    /// The variables, by name.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let fixed = [
            ("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET_KEY),
            ("AWS_REGION", Self::REGION),
            ("AWS_DEFAULT_REGION", Self::REGION),
            // Neither the profiles of whoever runs the tests nor a machine's own role.
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
        fixed.chain(self.endpoints.iter().cloned()).collect()
    }
}

/// A name that nothing else on the server has: good for a bucket, a table, or a part of a key.
pub fn fresh_name(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The header by which servers that check no signature still tell services and regions apart.
pub(crate) fn unchecked_authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={}/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=none",
        AwsEnv::ACCESS_KEY,
        AwsEnv::REGION,
    )
}

/// One call of `DynamoDB`'s protocol to a server that checks no signature. Panics on anything but success.
#[track_caller]
pub(crate) fn call_dynamodb(address: SocketAddr, operation: &str, body: &str) -> Response {
    let authorization = unchecked_authorization("dynamodb");
    let target = format!("DynamoDB_20120810.{operation}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/x-amz-json-1.0"),
        ("X-Amz-Target", target.as_str()),
    ];
    RawHttp::new(address).request("POST", "/", &headers, body).expect_status(200)
}

/// Makes a table such as Terraform's `s3` backend wants for its locks, under a fresh name, which is returned.
#[track_caller]
pub(crate) fn create_lock_table(address: SocketAddr) -> String {
    let name = fresh_name("locks");
    call_dynamodb(
        address,
        "CreateTable",
        &format!(
            r#"{{"TableName":"{name}","BillingMode":"PAY_PER_REQUEST",
                "AttributeDefinitions":[{{"AttributeName":"LockID","AttributeType":"S"}}],
                "KeySchema":[{{"AttributeName":"LockID","KeyType":"HASH"}}]}}"#
        ),
    );
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_given_once() {
        let pairs = AwsEnv::new().s3("http://a").dynamodb("http://b").s3("http://c").pairs();
        let of = |wanted: &str| {
            pairs.iter().filter(|(name, _)| *name == wanted).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("AWS_ENDPOINT_URL_S3"), ["http://c"]);
        assert_eq!(of("AWS_ENDPOINT_URL_DYNAMODB"), ["http://b"]);
        assert!(of("AWS_ENDPOINT_URL").is_empty());
        assert_eq!(of("AWS_EC2_METADATA_DISABLED"), ["true"]);
    }

    #[test]
    fn names_are_fresh_and_fit_for_buckets() {
        let (a, b) = (fresh_name("bucket"), fresh_name("bucket"));
        assert_ne!(a, b);
        assert!(
            a.len() <= 63 && a.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        );
    }
}
