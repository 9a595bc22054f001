//! Clients of the services, made from the options and the standard AWS configuration.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider};
use aws_types::origin::Origin;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;

use crate::access::{Access, Role};
use crate::bucket::Bucket;
use crate::counter::Counter;
use crate::objects::Objects;
use crate::refusal::BucketError;

/// A request that takes longer than this is given up; the largest are of some MiB.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Objects are larger, and take longer.
const OBJECT_ATTEMPT: Duration = Duration::from_mins(1);
/// So much before its end an answer has to have begun: the error of the connection names the host, that of the whole request does not.
const MARGIN: Duration = Duration::from_secs(2);

/// What the options and the environment, the shared files and the machine say together.
pub async fn configuration(access: &Access) -> SdkConfig {
    // Pinned, so that a new version of the SDK does not change retries and time limits by itself.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(crate::reach::client())
        .retry_config(RetryConfig::standard().with_max_attempts(access.max_retries.saturating_add(1)))
        .timeout_config(limits(ATTEMPT));
    loader = match &access.region {
        Some(region) => loader.region(Region::new(region.clone())),
        None if access.skip_metadata_api_check => loader.region(region_of_files(access)),
        None => loader,
    };
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(files) = files(access) {
        loader = loader.profile_files(files);
    }
    if let Some(credentials) = Box::pin(credentials(access)).await {
        loader = loader.credentials_provider(credentials);
    }
    // Boxed: these futures are large, and everything that opens a store would be, too.
    let configuration = Box::pin(loader.load()).await;
    match &access.role {
        Some(role) => Box::pin(assume(role, access, configuration)).await,
        None => configuration,
    }
}

/// The endpoint of S3, where the configuration names one: for S3 alone (`AWS_ENDPOINT_URL_S3`), or for all services.
pub fn s3_endpoint(configuration: &SdkConfig) -> Option<String> {
    let key =
        ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let of_s3 = configuration.service_config().and_then(|of_services| of_services.load_config(key));
    of_s3.or_else(|| configuration.endpoint_url().map(str::to_owned))
}

fn limits(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(attempt).read_timeout(attempt.saturating_sub(MARGIN)).build()
}

/// The same configuration, with a service at this URL: it counts more than one in the environment or the shared files.
pub fn at_endpoint(configuration: &SdkConfig, url: &str) -> SdkConfig {
    let mut builder = configuration.to_builder().endpoint_url(url);
    builder.insert_origin("endpoint_url", Origin::shared_config());
    builder.build()
}

fn files(access: &Access) -> Option<EnvConfigFiles> {
    let (credentials, configuration) = (&access.shared_credentials_files, &access.shared_config_files);
    if credentials.is_empty() && configuration.is_empty() {
        return None;
    }
    let mut files = EnvConfigFiles::builder()
        .include_default_credentials_file(credentials.is_empty())
        .include_default_config_file(configuration.is_empty());
    for file in configuration {
        files = files.with_file(EnvConfigFileKind::Config, file);
    }
    for file in credentials {
        files = files.with_file(EnvConfigFileKind::Credentials, file);
    }
    Some(files.build())
}

/// Where credentials come from, where that is not the usual chain. What is named counts more than the environment, as it does for
/// Terraform.
async fn credentials(access: &Access) -> Option<SharedCredentialsProvider> {
    if let Some(keys) = &access.keys {
        return Some(SharedCredentialsProvider::new(keys.clone()));
    }
    if access.profile.is_none() && !access.skip_metadata_api_check {
        return None;
    }
    let region = match &access.region {
        Some(region) => Some(Region::new(region.clone())),
        None => region_of_files(access).region().await,
    };
    let settings = ProviderConfig::without_region().with_region(region).with_http_client(crate::reach::client());
    Some(SharedCredentialsProvider::new(match &access.profile {
        Some(profile) => credentials_of_profile(profile, access, &settings).await,
        None => credentials_of_files(access, &settings),
    }))
}

fn profile(access: &Access, settings: &ProviderConfig) -> ProfileFileCredentialsProvider {
    let mut profile = ProfileFileCredentialsProvider::builder().configure(settings);
    if let Some(name) = &access.profile {
        profile = profile.profile_name(name);
    }
    if let Some(files) = files(access) {
        profile = profile.profile_files(files);
    }
    profile.build()
}

/// A profile that is named. The machine's own role stands in only where there is such a profile and it has no credentials.
async fn credentials_of_profile(name: &str, access: &Access, settings: &ProviderConfig) -> CredentialsProviderChain {
    let chain = CredentialsProviderChain::first_try("Profile", profile(access, settings));
    let files = files(access).unwrap_or_default();
    let known = aws_config::profile::load(&Fs::default(), &Env::default(), &files, Some(name.to_owned().into())).await;
    if !known.is_ok_and(|known| known.get_profile(name).is_some()) {
        return chain;
    }
    let chain = chain.or_else("EcsContainer", EcsCredentialsProvider::builder().configure(settings).build());
    if access.skip_metadata_api_check {
        return chain;
    }
    chain.or_else("Ec2InstanceMetadata", ImdsCredentialsProvider::builder().configure(settings).build())
}

/// The usual places for credentials, less the machine's metadata service.
fn credentials_of_files(access: &Access, settings: &ProviderConfig) -> CredentialsProviderChain {
    CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("Profile", profile(access, settings))
        .or_else("WebIdentityToken", WebIdentityTokenCredentialsProvider::builder().configure(settings).build())
        .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(settings).build())
}

/// The usual places for the Region, less the machine's metadata service.
fn region_of_files(access: &Access) -> RegionProviderChain {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &access.profile {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build())
}

async fn assume(role: &Role, access: &Access, configuration: SdkConfig) -> SdkConfig {
    let sts = match &access.sts_endpoint {
        Some(endpoint) => at_endpoint(&configuration, endpoint),
        None => configuration.clone(),
    };
    let mut provider = AssumeRoleProvider::builder(&role.arn)
        .session_name(role.session_name.as_deref().unwrap_or("stateward"))
        .configure(&sts);
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    if let Some(policy) = &role.policy {
        provider = provider.policy(policy);
    }
    let provider = provider.build().await;
    configuration.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

/// Where a bucket is.
#[derive(Debug, Clone, Copy)]
pub struct Location<'a> {
    /// Its name.
    pub bucket: &'a str,
    /// Its Region, where that is not the one of the configuration.
    pub region: Option<&'a str>,
    /// The URL of an S3 service other than AWS's.
    pub endpoint: Option<&'a str>,
}

/// A bucket, ready for requests. None is sent.
pub fn bucket(
    at: Location<'_>,
    objects: &Objects,
    configuration: &SdkConfig,
    counter: &Counter,
) -> Result<Bucket, BucketError> {
    let mut builder = aws_sdk_s3::config::Builder::from(configuration)
        .force_path_style(objects.path_style)
        .timeout_config(limits(OBJECT_ATTEMPT))
        .interceptor(counter.clone());
    if let Some(region) = at.region {
        builder = builder.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = at.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    if objects.skip_checksum {
        builder = builder
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    Ok(Bucket { client: Client::from_conf(builder.build()), name: at.bucket.to_owned(), headers: objects.headers()? })
}
