//! A lab and clients of it.

use std::sync::{Arc, Mutex};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as Signer;
use aws_sdk_s3::config::SharedCredentialsProvider;
use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_aws::{Layout, Services};
use stateward_lab::{Config, Credentials, Running, Surroundings, World};
use stateward_testkit::{SecondOpinion, Seconded};

pub(crate) const USER: &str = "arn:aws:iam::123456789012:user/ci";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/path/deploy";
pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/locks";
pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";

/// A policy of one statement.
pub(crate) fn policy(effect: &str, action: &str, resource: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": effect, "Action": action, "Resource": resource }],
    })
}

pub(crate) fn everything() -> Value {
    policy("Allow", "*", "*")
}

pub(crate) fn world(config: &Value) -> World {
    let config: Config = config.to_string().parse().expect("a configuration");
    config.compile(&|path| panic!("no file is named, not {}", path.display())).expect("a world")
}

/// A lab whose clock is set by hand.
pub(crate) struct Lab {
    pub(crate) running: Seconded<Running>,
    clock: Arc<Mutex<Option<Timestamp>>>,
    keys: Vec<(String, Credentials)>,
}

impl Lab {
    pub(crate) fn new(config: &Value) -> Self {
        let world = world(config);
        let keys = world.credentials().map(|(arn, credentials)| (arn, credentials.clone())).collect();
        let clock = Arc::new(Mutex::new(None));
        let own = Arc::clone(&clock);
        #[expect(clippy::disallowed_methods, reason = "the SDK signs with the real time")]
        let now = move || own.lock().expect("not poisoned").unwrap_or_else(Timestamp::now);
        let opinion = SecondOpinion::new();
        let surroundings = Surroundings { now: Arc::new(now), seed: [7; 32], on_decision: opinion.hears() };
        let running = opinion.of(Running::start(world, surroundings).expect("the lab starts"));
        Self { running, clock, keys }
    }

    /// From now on it is this late.
    pub(crate) fn set_clock(&self, time: Timestamp) {
        *self.clock.lock().expect("not poisoned") = Some(time);
    }

    /// What this one signs with.
    pub(crate) fn keys(&self, arn: &str) -> Credentials {
        self.keys.iter().find(|(own, _)| own == arn).expect("somebody").1.clone()
    }

    /// The clients of this one.
    pub(crate) fn services(&self, arn: &str) -> Services {
        self.services_with(&self.keys(arn))
    }

    pub(crate) fn services_with(&self, keys: &Credentials) -> Services {
        Services::new(&configuration(self.running.url(), keys), Layout::Path)
    }

    /// `action: outcome`, in order.
    pub(crate) fn decided(&self) -> Vec<String> {
        let decisions = self.running.lab().decisions();
        let told = |decision: &stateward_lab::Decision| {
            format!("{} {}", if decision.is_allowed() { "+" } else { "-" }, decision.action)
        };
        decisions.iter().map(told).collect()
    }
}

fn configuration(url: &str, keys: &Credentials) -> SdkConfig {
    let signer = Signer::new(&keys.access_key, &keys.secret_key, keys.token.clone(), None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .credentials_provider(SharedCredentialsProvider::new(signer))
        .build()
}

/// A test's asynchronous part.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
