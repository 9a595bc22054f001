//! Looks whether state can be kept at a place, and says what is in the way.
//!
//! A check is a function that asks for something and gives findings. What one of them fails at may be what another looks for: a denial, a
//! throttled request or a service that is down is told once, by the check that is about it, and the others say that they could not be
//! tested. [`Patient::examine`] runs them, those side by side that do not need each other; [`Patient::clean`] takes away what they wrote.

mod arguments;
mod basics;
mod bucket;
mod details;
mod exclusion;
mod finding;
mod gate;
mod leftovers;
mod lifecycle;
mod locks;
mod policies;
mod probes;
mod rights;
mod state;
mod store_table;
mod surroundings;
mod table;
mod target;
mod terraform;
mod watch;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use futures::future::{self, BoxFuture, FutureExt};
use jiff::Timestamp;
use stateward_iam::{Named, Purpose};
use stateward_store_aws::{Bucket, Counter, Location};
use tokio::sync::OnceCell;

pub use arguments::Refused;
pub use finding::{Finding, Offline, Status};
pub use surroundings::{Place, Surroundings};
pub use target::{Accounts, DEFAULT_WORKSPACE, Endpoints, Target, typed};
pub use terraform::{Given, TargetError};

use crate::recovery::Machine;
use crate::{Failed, Services};
use finding::settle;
use gate::Gate;
use probes::Probes;
use watch::Watch;

/// The time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
/// Whoever looks does not wait as long as whoever works.
const ATTEMPTS: u32 = 3;

/// How to look.
#[derive(Clone)]
pub struct Options {
    /// What whoever calls is to do with the state.
    pub purpose: Purpose,
    /// Write nothing at all.
    pub read_only: bool,
    /// Where this runs: whose locks may be those of runs that can be seen.
    pub machine: Machine,
    /// What is set beside the target.
    pub surroundings: Surroundings,
    /// The policy of the VPC endpoint that requests go through, where it is known.
    pub vpc_endpoint: Option<Vec<Named>>,
    /// The time.
    pub now: Now,
    /// Never used twice.
    pub seed: [u8; 32],
}

/// A place that is looked at.
pub struct Patient {
    target: Target,
    options: Options,
    configuration: SdkConfig,
    services: Services,
    bucket: Option<Bucket>,
    bucket_policy: OnceCell<Result<Option<String>, Failed>>,
    watch: Watch,
    gate: Gate,
    probes: Probes,
    /// Why a condition cannot be relied on in the lock table, where that was seen: nothing is written to names of others there then.
    unkept: OnceLock<String>,
    /// The key of KMS by which something was read that it encrypts.
    decrypted_with: OnceLock<String>,
}

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patient").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Patient {
    /// Makes ready; no request is sent. `configuration` is that of [`stateward_store_aws::configuration`] for the target's access.
    pub fn new(target: Target, configuration: &SdkConfig, options: Options) -> Result<Self, TargetError> {
        let limits = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
        let retries = configuration.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let attempts = retries.max_attempts().min(ATTEMPTS);
        let configuration = configuration.to_builder().timeout_config(limits);
        let configuration = configuration.retry_config(retries.with_max_attempts(attempts)).build();
        let watch = Watch::new(Arc::clone(&options.now));
        let gate = Gate::default();
        let services = basics::services(&target, &configuration, &watch, &gate);
        let bucket = match target.bucket() {
            Some(name) => {
                let at = Location { bucket: name, region: None, endpoint: target.endpoints.s3.as_deref() };
                let bucket = stateward_store_aws::bucket(at, &target.objects, &configuration, &Counter::default());
                let bucket = bucket.map_err(|error| TargetError::Objects(error.to_string()))?;
                Some(Bucket { client: services.s3.clone(), ..bucket })
            }
            None => None,
        };
        let probes = Probes::new(options.seed);
        let bucket_policy = OnceCell::new();
        Ok(Self {
            target,
            options,
            configuration,
            services,
            bucket,
            bucket_policy,
            watch,
            gate,
            probes,
            unkept: OnceLock::new(),
            decrypted_with: OnceLock::new(),
        })
    }

    /// Runs all checks. Who does not wait for the end uses [`Self::examine_until`]: what is dropped half-way may still arrive.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut found = self.before_any_request().await;
        if found.iter().any(|finding| finding.status == Status::Fail) {
            let why = "nothing can be asked of AWS before this is put right";
            found.extend(finding::ORDER.iter().skip(3).map(|check| Finding::untested(check, why)));
            return settle(found);
        }
        let asked =
            future::join4(self.identity(), self.bucket_exists(), self.lock_table_exists(), self.state_table_exists());
        let (identity, bucket, lock, state) = Box::pin(asked).await;
        let places = Places { bucket: bucket.reached, lock: lock.reached, state: state.reached };
        let caller = identity.caller;
        let owner = match &self.bucket {
            Some(place) if bucket.found.is_empty() => {
                let account = caller.as_deref().and_then(basics::account_of);
                self.owner(place, account).boxed()
            }
            _ => future::ready(Vec::new()).boxed(),
        };
        found.extend(identity.found.into_iter().chain(bucket.found).chain(state.found).chain(lock.found));
        let settings = future::join_all(self.settings(places));
        let (told, key, owner) = future::join3(settings, self.bucket_encryption(places.bucket), owner).await;
        found.extend(told.into_iter().flatten().chain(key.found).chain(owner));
        found.push(self.clock());
        if !found.iter().any(|finding| finding.check == "endpoint") {
            found.push(self.endpoint());
        }
        found.extend(Box::pin(self.rights(places, caller.as_deref(), key.arn.as_deref())).await);
        let mut found = settle(found);
        self.with_origins(&mut found);
        self.with_details(&mut found).await;
        found
    }

    /// The checks that need nothing of each other.
    fn settings(&self, places: Places) -> Vec<BoxFuture<'_, Vec<Finding>>> {
        let Places { bucket, lock, state } = places;
        vec![
            self.bucket_versioning(bucket).boxed(),
            self.bucket_lifecycle(bucket).boxed(),
            self.leftovers(bucket).boxed(),
            self.bucket_public_access(bucket).boxed(),
            self.bucket_tls_only(bucket).boxed(),
            self.table_recovery(self.target.lock_table.as_deref(), lock).boxed(),
            self.table_recovery(self.target.state_table(), state).boxed(),
            self.digest(bucket, lock).boxed(),
            self.orphan_lock(bucket, lock).boxed(),
            self.exclusion(places).boxed(),
        ]
    }
}

/// What state is kept in, each as far as it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub(crate) bucket: Reached,
    /// The lock table.
    pub(crate) lock: Reached,
    /// The table that holds all of a store.
    pub(crate) state: Reached,
}

/// Whether there is any use in asking for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It answers.
    Yes,
    /// The target has no such thing.
    None,
    /// It does not, as another check says.
    No(&'static str),
}

impl Reached {
    /// That a check cannot be done; `None` where it can. `lacking` says that there is nothing to check.
    pub(crate) fn hinders(self, check: &str, lacking: &str) -> Option<Vec<Finding>> {
        match self {
            Self::Yes => None,
            Self::None => Some(vec![Finding::untested(check, lacking)]),
            Self::No(culprit) => Some(vec![Finding::untested(check, format!("`{culprit}` stands in the way"))]),
        }
    }

    /// What the findings about reaching it say.
    pub(crate) fn of(found: &[Finding]) -> Self {
        let culprit =
            found.iter().filter(|finding| finding.status >= Status::Warn).max_by_key(|finding| finding.status);
        let check = culprit.and_then(|finding| finding::ORDER.iter().find(|check| **check == finding.check));
        check.map_or(Self::Yes, |check| Self::No(check))
    }
}

/// What looking for a bucket or table gave.
pub(crate) struct Found {
    pub(crate) found: Vec<Finding>,
    pub(crate) reached: Reached,
}

impl Found {
    pub(crate) fn of(found: Vec<Finding>) -> Self {
        Self { reached: Reached::of(&found), found }
    }
}
