//! `DynamoDB` Local: AWS's own `DynamoDB` for tests.

use std::sync::OnceLock;

use crate::service::Service;
use crate::{AwsEnv, TestDir, aws, tools};

/// AWS's own `DynamoDB` for tests, in memory. It has nothing in common with moto, and checks no signatures. Several of them
/// stand in for several Regions.
#[derive(Debug)]
pub struct DynamoDbLocal {
    service: Service,
    url: String,
}

impl DynamoDbLocal {
    /// A server of its own, empty, which ends when dropped. It takes some seconds to start.
    #[track_caller]
    pub fn start() -> Self {
        let arguments = |port: u16, _: &TestDir| ["-port", &port.to_string()].map(str::to_owned).to_vec();
        let ready = "Initializing DynamoDB Local";
        let service = Service::start(&tools::find("dynamodb-local"), &[], arguments, ready);
        let url = service.url();
        Self { service, url }
    }

    /// The one that all tests of this process may share, each with tables of its own.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<DynamoDbLocal> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        self.service.output()
    }

    /// The environment of its clients; for S3 it gives no endpoint.
    pub fn env(&self) -> AwsEnv {
        AwsEnv::new().dynamodb(self.url())
    }

    /// Makes a table such as Terraform's `s3` backend wants for its locks, under a fresh name, which is returned.
    #[track_caller]
    pub fn create_lock_table(&self) -> String {
        aws::create_lock_table(self.service.address())
    }
}
