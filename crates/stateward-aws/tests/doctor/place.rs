//! A place on moto at which all is well, until something is planted.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials};
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_smithy_async::time::SystemTimeSource;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stateward_aws::doctor::{Finding, Options, Patient, Status, Surroundings, Target};
use stateward_aws::recovery::Machine;
use stateward_iam::{Named, Purpose};
use stateward_testkit::{Fault, FaultProxy, Moto, RawHttp, Rule, SeenRequest};

pub(crate) const KEY: &str = "net/prod.tfstate";

pub(crate) struct Place {
    /// The bucket and the table that were made for it; the target may be set to others.
    made: (String, String),
    /// The table of a store, where one was made.
    pub(crate) own_table: Option<String>,
    pub(crate) proxy: FaultProxy,
    /// The endpoint of all services, where it is not the proxy's.
    pub(crate) endpoint: Option<String>,
    pub(crate) target: Target,
    pub(crate) read_only: bool,
    pub(crate) surroundings: Surroundings,
    pub(crate) purpose: Purpose,
    pub(crate) vpc_endpoint: Option<Vec<Named>>,
    pub(crate) region: Option<&'static str>,
    pub(crate) credentials: Option<Credentials>,
    /// How far our clock is ahead.
    pub(crate) ahead: SignedDuration,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self::open();
        // moto does not look at conditions in policies, and would refuse everything by this one.
        place.heal();
        place
    }

    /// Takes away what was planted.
    pub(crate) fn heal(&self) {
        self.proxy.heal();
        self.answer("policy", &tls_only(self.bucket()));
        self.answer("publicAccessBlock", &blocks(true));
    }

    /// Its bucket has neither a policy nor blocks of public access.
    pub(crate) fn open() -> Self {
        let moto = Moto::shared();
        let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
        moto.keep_versions(&bucket);
        let recovery =
            json!({"TableName": table, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
        moto.dynamodb("UpdateContinuousBackups", &recovery.to_string());
        let proxy = FaultProxy::to(moto.url());
        let mut target = Target::new(bucket.as_str(), KEY);
        target.lock_table = Some(table.clone());
        target.use_lockfile = true;
        target.objects.path_style = true;
        Self {
            made: (bucket, table),
            own_table: None,
            proxy,
            endpoint: None,
            target,
            read_only: false,
            surroundings: Surroundings::default(),
            purpose: Purpose::Apply,
            vpc_endpoint: None,
            region: Some("us-east-1"),
            credentials: Some(Credentials::for_tests()),
            ahead: SignedDuration::ZERO,
        }
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.made.0
    }

    pub(crate) fn table(&self) -> &str {
        &self.made.1
    }

    /// Has a setting of the bucket read so.
    pub(crate) fn answer(&self, setting: &'static str, body: &str) {
        let fault = Fault::Answer { status: 200, headers: Vec::new(), body: body.to_owned() };
        self.proxy.inject(Self::setting(fault, setting));
    }

    pub(crate) fn setting(fault: Fault, setting: &'static str) -> Rule {
        Rule::new(fault).when(move |request| {
            request.method == "GET" && request.query.split('&').any(|part| part.trim_end_matches('=') == setting)
        })
    }

    pub(crate) async fn patient(&self) -> Patient {
        let configuration = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(self.endpoint.as_deref().unwrap_or(self.proxy.url()))
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1)))
            .region(self.region.map(Region::new))
            .time_source(SystemTimeSource::new())
            .build();
        let is_assuming = self.target.access.role.is_some();
        let nobody = || is_assuming.then(|| SharedCredentialsProvider::new(Nobody));
        let own = self.credentials.clone().map(SharedCredentialsProvider::new).or_else(nobody);
        let own = match (own, &self.target.access.role) {
            (Some(own), Some(role)) => {
                let assuming =
                    AssumeRoleProvider::builder(&role.arn).session_name("stateward").configure(&configuration);
                let assuming = match &role.policy {
                    Some(policy) => assuming.policy(policy),
                    None => assuming,
                };
                Some(SharedCredentialsProvider::new(Box::pin(assuming.build_from_provider(own)).await))
            }
            (own, _) => own,
        };
        let mut configuration = configuration.to_builder();
        configuration.set_credentials_provider(own);
        let ahead = self.ahead;
        let options = Options {
            purpose: self.purpose,
            read_only: self.read_only,
            machine: Machine { host: "elsewhere".to_owned(), processes: "/nonexistent".into() },
            surroundings: self.surroundings.clone(),
            vpc_endpoint: self.vpc_endpoint.clone(),
            now: Arc::new(move || Timestamp::now() + ahead),
            seed: rand_seed(),
        };
        Patient::new(self.target.clone(), &configuration.build(), options).unwrap()
    }

    pub(crate) async fn examine(&self) -> Vec<Finding> {
        let patient = self.patient().await;
        let found = Box::pin(patient.examine()).await;
        patient.clean().await;
        self.keeps_states();
        found
    }

    /// Fails where a request was sent under a name that is not the doctor's own and could change what lies there, were its condition
    /// not kept; the lock's alone may be deleted under one.
    fn keeps_states(&self) {
        for request in self.proxy.requests() {
            let SeenRequest { method, path, query, .. } = &request;
            let is_own = path.contains("stateward-doctor-") || path.contains(".stateward/doctor/");
            let is_upload = match method.as_str() {
                "POST" => query.contains("uploads"),
                "PUT" => query.contains("uploadId") && query.contains("partNumber"),
                "DELETE" => {
                    query.contains("uploadId") || path.ends_with(".tflock") && request.header("if-match").is_some()
                }
                _ => true,
            };
            // Calls of other services have no path.
            assert!(path == "/" || is_own || is_upload, "{method} {path}?{query}");
        }
    }

    /// Fails where a request was sent that writes.
    pub(crate) fn only_reads(&self) {
        let requests = self.proxy.requests();
        assert!(requests.len() > 10, "{}", requests.len());
        let reads = [
            "GetCallerIdentity",
            "GetItem",
            "BatchGetItem",
            "Scan",
            "Query",
            "DescribeTable",
            "DescribeContinuousBackups",
            "DescribeKey",
            "GetKeyPolicy",
            "GetResourcePolicy",
            "DescribeOrganization",
        ];
        for request in &requests {
            let is_read = matches!(request.method.as_str(), "GET" | "HEAD")
                || reads.contains(&request.operation())
                || request.path == "/" && request.header("x-amz-target").is_none();
            assert!(is_read, "{} {} {}", request.method, request.path, request.operation());
        }
    }

    /// What the doctor has left at the place.
    pub(crate) fn left(&self) -> Vec<String> {
        let scan = |table: &str, key: &str| {
            let scan = Moto::shared().dynamodb("Scan", &json!({"TableName": table}).to_string());
            let items = scan["Items"].as_array().unwrap().iter().map(|item| item[key]["S"].to_string());
            items.collect::<Vec<_>>()
        };
        let own = self.own_table.as_ref().map(|table| scan(table, "StateID"));
        let items = scan(self.table(), "LockID").into_iter().chain(own.into_iter().flatten());
        let is_probe = |name: &String| name.contains("stateward-doctor") || name.contains(".stateward/doctor/");
        let items = items.filter(is_probe);
        // Versions, delete markers and uploads; the state's own uploads, too.
        let of_versions = self.keys("versions").into_iter().filter(is_probe);
        let of_uploads = self.keys("uploads").into_iter().map(|name| format!("upload of {name}"));
        items.chain(of_versions).chain(of_uploads).collect()
    }

    /// The keys in a list of what the bucket holds.
    fn keys(&self, what: &str) -> Vec<String> {
        let body = self.request("GET", &format!("?{what}"));
        let key = |part: &str| part.split_once("</Key>").map(|(key, _)| key.to_owned());
        body.split("<Key>").skip(1).filter_map(key).collect()
    }

    /// Begins to write the state in parts, as somebody else.
    pub(crate) fn begin_upload(&self) {
        self.request("POST", &format!("/{}?uploads", self.target.key));
    }

    fn request(&self, method: &str, path: &str) -> String {
        let server = RawHttp::new(Moto::shared().url().trim_start_matches("http://").parse().unwrap());
        let signed = "AWS4-HMAC-SHA256 Credential=AKIATESTKIT/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none";
        let path = format!("/{}{path}", self.bucket());
        let answer = server.request(method, &path, &[("Authorization", signed)], "").expect_status(200);
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    pub(crate) fn put_item(&self, suffix: &str, attribute: &str, value: &str) {
        let id = format!("{}/{KEY}{suffix}", self.bucket());
        let item = json!({"TableName": self.table(), "Item": {"LockID": {"S": id}, attribute: {"S": value}}});
        Moto::shared().dynamodb("PutItem", &item.to_string());
    }

    /// An item of the lock table; `null` where there is none.
    pub(crate) fn item(&self, suffix: &str) -> serde_json::Value {
        let id = format!("{}/{KEY}{suffix}", self.bucket());
        let key = json!({"TableName": self.table(), "Key": {"LockID": {"S": id}}});
        Moto::shared().dynamodb("GetItem", &key.to_string())["Item"].clone()
    }

    /// Puts a state under the prefix of a workspace.
    pub(crate) fn put_state(&self, prefix: &str, body: &str) {
        Moto::shared().put_object(self.bucket(), &format!("{prefix}{KEY}"), body);
    }

    pub(crate) fn state(&self, prefix: &str) -> String {
        String::from_utf8(Moto::shared().get_object(self.bucket(), &format!("{prefix}{KEY}"))).unwrap()
    }

    pub(crate) fn put_object(&self, suffix: &str, body: &str) {
        Moto::shared().put_object(self.bucket(), &format!("{KEY}{suffix}"), body);
    }
}

/// Has no credentials.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        provider::future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("there are none")))
    }
}

pub(crate) fn tls_only(bucket: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }})
    .to_string()
}

pub(crate) fn blocks(all: bool) -> String {
    format!(
        "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><BlockPublicAcls>true</BlockPublicAcls>\
         <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>{all}</BlockPublicPolicy>\
         <RestrictPublicBuckets>{all}</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
    )
}

/// Never the same twice, so that probes of tests that run side by side have names of their own.
fn rand_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let name = stateward_testkit::fresh_name("seed");
    for (to, from) in seed.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    seed
}

pub(crate) fn status(found: &[Finding], check: &str) -> Status {
    finding(found, check).status
}

pub(crate) fn finding<'a>(found: &'a [Finding], check: &str) -> &'a Finding {
    found.iter().find(|finding| finding.check == check).unwrap_or_else(|| panic!("no {check} in {found:#?}"))
}
