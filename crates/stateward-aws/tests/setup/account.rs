//! An account on moto, and what is wanted in it.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_kms::config::Region as KmsRegion;
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use aws_sdk_s3::config::SharedCredentialsProvider;
use stateward_aws::setup::{self, ApplyError, Environment, Item, Replica, Wanted, WantedKey};
use stateward_aws::{Layout, Services};
use stateward_testkit::{FaultProxy, Moto, fresh_name};

/// Where the copy goes.
pub(crate) const ELSEWHERE: &str = "eu-west-1";

pub(crate) struct Account {
    pub(crate) proxy: FaultProxy,
    pub(crate) services: Services,
    pub(crate) wanted: Wanted,
}

impl Account {
    /// A bucket with a lock table is wanted.
    pub(crate) fn new(name: &str) -> Self {
        Self::at(Moto::shared().url(), name)
    }

    /// The same, of what is there at a URL.
    pub(crate) fn at(url: &str, name: &str) -> Self {
        let names = |what: &str| Some(fresh_name(&format!("{name}-{what}")));
        let [region, account, partition] = ["us-east-1", "123456789012", "aws"].map(str::to_owned);
        let wanted = Wanted {
            bucket: names("states"),
            lock_table: names("locks"),
            region,
            account,
            partition,
            ..Wanted::default()
        };
        let proxy = FaultProxy::to(url);
        let settings = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(proxy.url())
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1)))
            .region(Some(Region::new("us-east-1")))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .build();
        Self { proxy, services: Services::new(&settings, Layout::Path), wanted }
    }

    /// All that there is is wanted, and a copy in another Region.
    pub(crate) async fn with_everything(name: &str) -> Self {
        let mut account = Self::new(name);
        let replica = Replica {
            bucket: fresh_name(&format!("{name}-copies")),
            region: Some(ELSEWHERE.to_owned()),
            key: Some(account.key_elsewhere().await),
        };
        account.wanted = Wanted {
            replica: Some(replica),
            state_table: Some(fresh_name(&format!("{name}-states"))),
            key: Some(WantedKey::Made(format!("alias/{}", fresh_name(name)))),
            log_bucket: Some(fresh_name(&format!("{name}-logs"))),
            trail: Some(fresh_name(&format!("{name}-trail"))),
            environments: account.environments(&["dev", "prod"], &["prod=arn:aws:iam::123456789012:root"]),
            tags: [("team".to_owned(), "network".to_owned())].into(),
            ..account.wanted
        };
        account
    }

    /// A key in another Region.
    async fn key_elsewhere(&self) -> String {
        let there = self.services.kms.config().to_builder().region(KmsRegion::new(ELSEWHERE)).build();
        let request = aws_sdk_kms::Client::from_conf(there).create_key();
        let request = request.key_usage(KeyUsageType::EncryptDecrypt).key_spec(KeySpec::SymmetricDefault);
        let made = request.send().await.unwrap();
        made.key_metadata.unwrap().arn.unwrap()
    }

    /// Environments in the bucket, and who is trusted there.
    pub(crate) fn environments(&self, names: &[&str], trusted: &[&str]) -> Vec<Environment> {
        let [names, trusted] = [names, trusted].map(|all| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        Environment::all(self.bucket(), &names, &trusted).unwrap()
    }

    pub(crate) fn bucket(&self) -> &str {
        self.wanted.bucket.as_deref().unwrap()
    }

    pub(crate) fn table(&self) -> &str {
        self.wanted.lock_table.as_deref().unwrap()
    }

    pub(crate) async fn plan(&self) -> Vec<Item> {
        setup::plan(&self.wanted, &setup::read(&self.services, &self.wanted).await.unwrap())
    }

    /// Does what the plan says, as it stands now.
    pub(crate) async fn apply(&self) -> Result<Vec<Item>, ApplyError> {
        let services = &self.services;
        let planned = setup::plan(&self.wanted, &setup::read(services, &self.wanted).await?);
        setup::apply(services, &self.wanted, &planned, &mut |_| {}).await
    }

    /// The operations of requests that change something.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.proxy.requests().iter().filter(|request| request.writes()).map(ToString::to_string).collect()
    }
}
