//! Counts requests and capacity units: on AWS these are what costs time and money.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

/// What was asked of the services, and what it cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Usage {
    /// The requests that were sent, by operation (`PutObject`, `Query`). Retries count.
    pub requests: BTreeMap<String, u64>,
    /// Read capacity units, of `DynamoDB`.
    pub read_units: f64,
    /// Write capacity units, of `DynamoDB`.
    pub write_units: f64,
}

impl Usage {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// Counts what is used. Clones count together.
#[derive(Clone, Default)]
pub struct Counter {
    usage: Arc<Mutex<Usage>>,
}

/// What an operation's capacity units are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// Those of a read.
    Read,
    /// Those of a write.
    Write,
}

impl Counter {
    /// What was used up to now.
    pub fn usage(&self) -> Usage {
        self.lock().clone()
    }

    /// What was used up to now; counts from zero again.
    pub fn take(&self) -> Usage {
        std::mem::take(&mut *self.lock())
    }

    /// Adds capacity units.
    pub fn spent(&self, units: Units, consumed: impl IntoIterator<Item = f64>) {
        let sum: f64 = consumed.into_iter().sum();
        let mut usage = self.lock();
        match units {
            Units::Read => usage.read_units += sum,
            Units::Write => usage.write_units += sum,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.usage().fmt(f)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "Counter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or("unknown", Metadata::name).to_owned();
        *self.lock().requests.entry(operation).or_default() += 1;
        Ok(())
    }
}
