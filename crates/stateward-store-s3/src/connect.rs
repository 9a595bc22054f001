//! Clients of the services, made from the options and the standard AWS configuration.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectCannedAcl, ServerSideEncryption};

use crate::bucket::{Bucket, CustomerHeaders, Headers};
use crate::counter::Counter;
use crate::options::{Access, CustomerKey, Encryption, Options};
use crate::refusal::OpenError;

/// A request that takes longer than this is given up; the largest are of some MiB.
const ATTEMPT: Duration = Duration::from_mins(1);

/// What the options and the environment, the shared files and the machine say together.
pub(crate) async fn configuration(access: &Access) -> SdkConfig {
    // Pinned, so that a new version of the SDK does not change retries and time limits by itself.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(access.max_retries.saturating_add(1)))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build());
    if let Some(region) = &access.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(file) = &access.shared_credentials_file {
        let files = EnvConfigFiles::builder().include_default_config_file(true);
        loader = loader.profile_files(files.with_file(EnvConfigFileKind::Credentials, file).build());
    }
    let configuration = loader.load().await;
    let Some(role) = &access.role else { return configuration };
    let mut provider = AssumeRoleProvider::builder(&role.arn)
        .session_name(role.session_name.as_deref().unwrap_or("stateward"))
        .configure(&configuration);
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    let provider = provider.build().await;
    configuration
        .into_builder()
        .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(provider))
        .build()
}

/// The bucket that the options name.
pub(crate) fn bucket(options: &Options, configuration: &SdkConfig, counter: &Counter) -> Result<Bucket, OpenError> {
    let mut builder = aws_sdk_s3::config::Builder::from(configuration)
        .force_path_style(options.access.path_style)
        .interceptor(counter.clone());
    if let Some(endpoint) = &options.access.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    if options.skip_checksum {
        builder = builder
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    Ok(Bucket { client: Client::from_conf(builder.build()), name: options.bucket.clone(), headers: headers(options)? })
}

/// A client of the lock table's service. It tries again by itself.
pub(crate) fn dynamodb(access: &Access, configuration: &SdkConfig, counter: &Counter) -> aws_sdk_dynamodb::Client {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(configuration).interceptor(counter.clone());
    if let Some(endpoint) = &access.dynamodb_endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_dynamodb::Client::from_conf(builder.build())
}

fn headers(options: &Options) -> Result<Headers, OpenError> {
    let mut headers = Headers {
        acl: options.acl.as_deref().map(ObjectCannedAcl::from),
        tagging: (!options.tags.is_empty()).then(|| tagging(&options.tags)),
        checksum: (!options.skip_checksum).then_some(ChecksumAlgorithm::Sha256),
        ..Headers::default()
    };
    match &options.encryption {
        Encryption::Bucket => {}
        Encryption::S3 => headers.encryption = Some(ServerSideEncryption::Aes256),
        Encryption::Kms { key } => {
            headers.encryption = Some(ServerSideEncryption::AwsKms);
            headers.kms_key = Some(key.clone());
        }
        Encryption::Customer(key) => headers.customer = Some(customer(key)?),
    }
    Ok(headers)
}

fn customer(key: &CustomerKey) -> Result<CustomerHeaders, OpenError> {
    let refused = |reason: String| OpenError::CustomerKey { reason };
    let text = match key {
        CustomerKey::Given(text) => text.clone(),
        CustomerKey::File(path) => std::fs::read_to_string(path)
            .map_err(|error| refused(format!("`{}` cannot be read: {error}", path.display())))?,
    };
    CustomerHeaders::new(text.trim()).ok_or_else(|| refused("it is not 32 bytes in base64 (44 characters)".into()))
}

fn tagging(tags: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(tags).finish()
}
