//! moto: S3 and `DynamoDB` in one server.

use std::sync::OnceLock;

use crate::service::Service;
use crate::{AwsEnv, Cli, Output, RawHttp, Response, SeenRequest, TestDir, aws, tools};

const LOG: &str = "requests.log";

/// moto's S3 and `DynamoDB`, answering one request at a time. It checks no signatures and keeps all in memory.
#[derive(Debug)]
pub struct Moto {
    service: Service,
    url: String,
}

/// Sends the requests that this document holds with Python's client for AWS, to whom the environment names.
#[track_caller]
pub fn aws_calls(dir: &TestDir, document: &str, env: impl IntoIterator<Item = (&'static str, String)>) {
    try_aws_calls(dir, document, env).expect_success();
}

/// The same where one may be refused, at which it ends.
#[track_caller]
pub fn try_aws_calls(dir: &TestDir, document: &str, env: impl IntoIterator<Item = (&'static str, String)>) -> Output {
    let path = dir.write("calls.json", document).display().to_string();
    Cli::new(tools::find("aws-calls"), dir).envs(env).run(&[path])
}

impl Moto {
    /// A server of its own, empty, which ends when dropped.
    #[track_caller]
    pub fn start() -> Self {
        let arguments = |port: u16, dir: &TestDir| {
            let log = dir.join(LOG).display().to_string();
            ["--port", &port.to_string(), "--log", &log].map(str::to_owned).to_vec()
        };
        let service = Service::start(&tools::find("moto"), &[], arguments, "listening on http://");
        let url = service.url();
        Self { service, url }
    }

    /// The one that all tests of this process may share, each with buckets and tables of its own.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// `http://127.0.0.1:PORT`, for S3 and `DynamoDB` alike.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The environment of its clients.
    pub fn env(&self) -> AwsEnv {
        AwsEnv::new().s3(self.url()).dynamodb(self.url()).others(self.url())
    }

    /// Sends the requests that this document holds (`stateward setup aws --emit json`), with Python's client for AWS.
    #[track_caller]
    pub fn send_all(&self, dir: &TestDir, document: &str) {
        aws_calls(dir, document, self.env().pairs());
    }

    /// Makes a bucket under a fresh name, which is returned.
    #[track_caller]
    pub fn create_bucket(&self) -> String {
        let name = aws::fresh_name("bucket");
        let authorization = aws::unchecked_authorization("s3");
        let headers = [("Authorization", authorization.as_str())];
        RawHttp::new(self.service.address()).request("PUT", &format!("/{name}"), &headers, b"").expect_status(200);
        name
    }

    /// Has the bucket keep the versions of its objects from now on.
    #[track_caller]
    pub fn keep_versions(&self, bucket: &str) {
        let authorization = aws::unchecked_authorization("s3");
        let headers = [("Authorization", authorization.as_str())];
        let wanted = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
        let answer =
            RawHttp::new(self.service.address()).request("PUT", &format!("/{bucket}?versioning"), &headers, wanted);
        answer.expect_status(200);
    }

    /// Puts an object, whatever is there.
    #[track_caller]
    pub fn put_object(&self, bucket: &str, key: &str, body: impl AsRef<[u8]>) {
        self.object("PUT", bucket, key, body.as_ref()).expect_status(200);
    }

    /// Puts an object that is encrypted with a key of KMS, whatever is there.
    #[track_caller]
    pub fn put_encrypted(&self, bucket: &str, key: &str, body: impl AsRef<[u8]>, kms_key: &str) {
        let authorization = aws::unchecked_authorization("s3");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", kms_key),
        ];
        let answer =
            RawHttp::new(self.service.address()).request("PUT", &format!("/{bucket}/{key}"), &headers, body.as_ref());
        answer.expect_status(200);
    }

    /// The bytes of an object.
    #[track_caller]
    pub fn get_object(&self, bucket: &str, key: &str) -> Vec<u8> {
        self.object("GET", bucket, key, b"").expect_status(200).body
    }

    /// Deletes an object.
    #[track_caller]
    pub fn delete_object(&self, bucket: &str, key: &str) {
        self.object("DELETE", bucket, key, b"").expect_status(204);
    }

    /// The keys of a bucket's objects: of the first thousand.
    #[track_caller]
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let answer = self.object("GET", bucket, "?list-type=2", b"").expect_status(200);
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let key = |part: &str| part.split_once("</Key>").map(|(key, _)| key.to_owned());
        body.split("<Key>").skip(1).filter_map(key).collect()
    }

    /// Who may take a role, as IAM sends it: percent-encoded JSON.
    #[track_caller]
    pub fn trust_policy(&self, role: &str) -> String {
        let authorization = aws::unchecked_authorization("iam");
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [("Authorization", authorization.as_str()), form];
        let asked = format!("Action=GetRole&Version=2010-05-08&RoleName={role}");
        let answer = RawHttp::new(self.service.address()).request("POST", "/", &headers, asked.as_str());
        let text = answer.expect_status(200).text();
        let trust = text.split("<AssumeRolePolicyDocument>").nth(1).and_then(|rest| rest.split('<').next());
        trust.unwrap_or_else(|| panic!("no trust policy in {text}")).to_owned()
    }

    /// Access key, secret key and token of somebody in an account, which is another one than where moto does what strangers ask.
    #[track_caller]
    pub fn session(&self, account: &str) -> [String; 3] {
        let authorization = aws::unchecked_authorization("sts");
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [("Authorization", authorization.as_str()), form];
        let role = format!("arn:aws:iam::{account}:role/administrator");
        let asked = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=tests");
        let answer = RawHttp::new(self.service.address()).request("POST", "/", &headers, asked.as_str());
        let text = answer.expect_status(200).text();
        let part = |name: &str| text.split(&format!("<{name}>")).nth(1).and_then(|rest| rest.split('<').next());
        let part = |name: &str| part(name).unwrap_or_else(|| panic!("no {name} in {text}")).to_owned();
        ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(part)
    }

    fn object(&self, method: &str, bucket: &str, key: &str, body: &[u8]) -> Response {
        let authorization = aws::unchecked_authorization("s3");
        let headers = [("Authorization", authorization.as_str())];
        RawHttp::new(self.service.address()).request(method, &format!("/{bucket}/{key}"), &headers, body)
    }

    /// One call of `DynamoDB`'s protocol. Panics on anything but success.
    #[track_caller]
    pub fn dynamodb(&self, operation: &str, body: &str) -> serde_json::Value {
        let answer = aws::call_dynamodb(self.service.address(), operation, body);
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("moto's answer: {error}"))
    }

    /// Makes a table such as Terraform's `s3` backend wants for its locks, under a fresh name, which is returned.
    #[track_caller]
    pub fn create_lock_table(&self) -> String {
        aws::create_lock_table(self.service.address())
    }

    /// All requests answered since it started, in order. On the shared server they are those of other tests too.
    #[track_caller]
    pub fn requests(&self) -> Vec<SeenRequest> {
        let log = self.service.dir().read(LOG);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("moto's log: {error}: {line}"));
        log.lines().map(parse).collect()
    }
}
