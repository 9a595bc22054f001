//! Clients of the service in a Region.

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use stateward_store_aws::Counter;

use crate::options::Options;

/// Clients of the service in one Region.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// Tries again by itself: for what changes nothing.
    pub(crate) reads: Client,
    /// Sends each request once: a write that is repeated unseen could take its own first try for somebody else's.
    pub(crate) writes: Client,
}

/// Clients for a Region.
pub(crate) fn clients(options: &Options, configuration: &SdkConfig, region: &str, counter: &Counter) -> Clients {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(configuration)
        .region(Region::new(region.to_owned()))
        .interceptor(counter.clone());
    if let Some(endpoint) = options.endpoint_in(region) {
        builder = builder.endpoint_url(endpoint);
    }
    let once = builder.clone().retry_config(RetryConfig::disabled());
    Clients { reads: Client::from_conf(builder.build()), writes: Client::from_conf(once.build()) }
}
