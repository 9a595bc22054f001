//! Clients of the service, made from the options and the standard AWS configuration.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::sts::AssumeRoleProvider;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;

use crate::counter::Counter;
use crate::options::{Access, Role};

/// A request that takes longer than this is given up; the largest are of some MiB.
const ATTEMPT: Duration = Duration::from_secs(30);

/// Clients of the service in one Region.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// Tries again by itself: for what changes nothing.
    pub(crate) reads: Client,
    /// Sends each request once: a write that is repeated unseen could take its own first try for somebody else's.
    pub(crate) writes: Client,
}

/// What the options and the environment, the shared files and the machine say together.
pub(crate) async fn configuration(access: &Access) -> SdkConfig {
    // Pinned, so that a new version of the SDK does not change retries and time limits by itself.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(access.max_retries.saturating_add(1)))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build());
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
    if access.skip_metadata_api_check {
        loader = loader.credentials_provider(credentials_of_files(access));
    }
    let configuration = loader.load().await;
    match &access.role {
        Some(role) => assume(role, access, configuration).await,
        None => configuration,
    }
}

fn files(access: &Access) -> Option<EnvConfigFiles> {
    let file = access.shared_credentials_file.as_ref()?;
    let files = EnvConfigFiles::builder().include_default_config_file(true);
    Some(files.with_file(EnvConfigFileKind::Credentials, file).build())
}

/// The usual places for credentials, less the machine's metadata service.
fn credentials_of_files(access: &Access) -> CredentialsProviderChain {
    let mut profile = ProfileFileCredentialsProvider::builder();
    if let Some(name) = &access.profile {
        profile = profile.profile_name(name);
    }
    if let Some(files) = files(access) {
        profile = profile.profile_files(files);
    }
    CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("Profile", profile.build())
        .or_else("WebIdentityToken", WebIdentityTokenCredentialsProvider::builder().build())
        .or_else("EcsContainer", EcsCredentialsProvider::builder().build())
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
        Some(endpoint) => configuration.clone().into_builder().endpoint_url(endpoint).build(),
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

/// Clients for a Region.
pub(crate) fn clients(access: &Access, configuration: &SdkConfig, region: &str, counter: &Counter) -> Clients {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(configuration)
        .region(Region::new(region.to_owned()))
        .interceptor(counter.clone());
    if let Some(endpoint) = access.endpoint_in(region) {
        builder = builder.endpoint_url(endpoint);
    }
    let once = builder.clone().retry_config(RetryConfig::disabled());
    Clients { reads: Client::from_conf(builder.build()), writes: Client::from_conf(once.build()) }
}
