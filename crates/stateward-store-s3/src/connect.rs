//! Clients of the services, made from the options and the standard AWS configuration.

use aws_config::SdkConfig;
use stateward_store_aws::{Bucket, BucketError, Counter, Location};

use crate::options::Options;

/// The bucket that the options name.
pub(crate) fn bucket(options: &Options, configuration: &SdkConfig, counter: &Counter) -> Result<Bucket, BucketError> {
    let at = Location { bucket: &options.bucket, region: None, endpoint: options.access.endpoint.as_deref() };
    stateward_store_aws::bucket(at, &options.objects, configuration, counter)
}

/// A client of the lock table's service. It tries again by itself.
pub(crate) fn dynamodb(options: &Options, configuration: &SdkConfig, counter: &Counter) -> aws_sdk_dynamodb::Client {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(configuration).interceptor(counter.clone());
    if let Some(endpoint) = &options.dynamodb_endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_dynamodb::Client::from_conf(builder.build())
}
