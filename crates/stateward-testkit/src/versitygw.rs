//! versitygw: S3 on a directory, with signatures checked.

use std::fs;
use std::sync::OnceLock;

use crate::service::Service;
use crate::{AwsEnv, TestDir, aws, tools};

const ROOT: &str = "buckets";
const VERSIONS: &str = "versions";

/// The S3 server versitygw. It has nothing in common with moto and refuses what is not signed as it should be.
#[derive(Debug)]
pub struct VersityGw {
    service: Service,
    url: String,
}

impl VersityGw {
    /// A server of its own, empty, which ends when dropped.
    #[track_caller]
    pub fn start() -> Self {
        let arguments = |port: u16, dir: &TestDir| {
            let (root, versions) = (dir.subdir(ROOT), dir.subdir(VERSIONS));
            let (root, versions) = (root.display().to_string(), versions.display().to_string());
            let address = format!("127.0.0.1:{port}");
            let words = ["--port", &address, "--keep-alive", "--quiet", "posix", "--versioning-dir", &versions, &root];
            words.map(str::to_owned).to_vec()
        };
        let credentials = [
            ("ROOT_ACCESS_KEY", AwsEnv::ACCESS_KEY),
            ("ROOT_SECRET_KEY", AwsEnv::SECRET_KEY),
            ("VGW_REGION", AwsEnv::REGION),
        ];
        let service = Service::start(&tools::find("versitygw"), &credentials, arguments, "single account mode");
        let url = service.url();
        Self { service, url }
    }

    /// The one that all tests of this process may share, each with buckets of its own.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<VersityGw> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The environment of its clients; for `DynamoDB` it gives no endpoint.
    pub fn env(&self) -> AwsEnv {
        AwsEnv::new().s3(self.url())
    }

    /// Makes a bucket under a fresh name, which is returned.
    #[track_caller]
    pub fn create_bucket(&self) -> String {
        let name = aws::fresh_name("bucket");
        // A bucket is a directory to it, whoever made it, so this needs no signature.
        fs::create_dir(self.service.dir().join(ROOT).join(&name)).expect("make the bucket's directory");
        name
    }
}
