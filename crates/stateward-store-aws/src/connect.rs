//! Clients of the services, made from the options and the standard AWS configuration.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::imds::client::EndpointMode;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::origin::Origin;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;

use crate::access::{Access, Role, Token, WebIdentity};
use crate::assume::{Assumed, WithToken, assuming};
use crate::bucket::Bucket;
use crate::counter::Counter;
use crate::explained::Explaining;
use crate::objects::Objects;
use crate::refusal::BucketError;
use crate::who::{Source, Who};

/// A request that takes longer than this is given up; the largest are of some MiB.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Objects are larger, and take longer.
const OBJECT_ATTEMPT: Duration = Duration::from_mins(1);
/// So much before its end an answer has to have begun: the error of the connection names the host, that of the whole request does not.
const MARGIN: Duration = Duration::from_secs(2);

/// What the options and the environment, the shared files and the machine say together.
pub async fn configuration(access: &Access) -> SdkConfig {
    let who = Who::of(access, of_environment);
    // Pinned, so that a new version of the SDK does not change retries and time limits by itself.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http(access))
        .retry_config(RetryConfig::standard().with_max_attempts(access.max_retries.saturating_add(1)))
        .timeout_config(limits(ATTEMPT));
    loader = match &access.region {
        Some(region) => loader.region(Region::new(region.clone())),
        None if access.skip_metadata_api_check => loader.region(region_of_files(&who)),
        None => loader,
    };
    if let Some(profile) = &who.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(files) = files(access) {
        loader = loader.profile_files(files);
    }
    // What is not asked for may still be in the environment, or in the shared files.
    if access.use_fips {
        loader = loader.use_fips(true);
    }
    if access.use_dual_stack {
        loader = loader.use_dual_stack(true);
    }
    // Boxed: these futures are large, and everything that opens a store would be, too. The SDK's own chain is another one than Go's.
    let nobody = Box::pin(loader.no_credentials().load()).await;
    let own = Box::pin(credentials(access, who, &nobody)).await;
    let configuration = nobody.into_builder().credentials_provider(own).build();
    match &access.role {
        Some(role) => assume(role, access, configuration),
        None => configuration,
    }
}

/// The endpoint of S3, where the configuration names one: for S3 alone (`AWS_ENDPOINT_URL_S3`), or for all services.
pub fn s3_endpoint(configuration: &SdkConfig) -> Option<String> {
    endpoint_of("S3", configuration)
}

/// The endpoint of `DynamoDB`, likewise.
pub fn dynamodb_endpoint(configuration: &SdkConfig) -> Option<String> {
    endpoint_of("DynamoDB", configuration)
}

fn endpoint_of(service: &str, configuration: &SdkConfig) -> Option<String> {
    let key =
        ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let of_service = configuration.service_config().and_then(|of_services| of_services.load_config(key));
    of_service.or_else(|| configuration.endpoint_url().map(str::to_owned))
}

/// The same, with all written out that the configuration says of where the service is and who one is. The profile is the one that the
/// environment names, or the default one: where its keys are those that are used.
pub async fn settled(access: &Access, configuration: &SdkConfig, endpoint: Option<String>) -> Access {
    let who = Who::of(access, of_environment);
    let usual = who.profile.as_deref().unwrap_or("default");
    let is_used = who.source == Source::Usual && is_known(usual, access).await;
    Access {
        region: access.region.clone().or_else(|| configuration.region().map(ToString::to_string)),
        endpoint: access.endpoint.clone().or(endpoint),
        profile: if is_used { Some(usual.to_owned()) } else { access.profile.clone() },
        ..access.clone()
    }
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

/// Where credentials come from, in the order of Go's SDK, as Terraform uses it. What is named counts more than the environment. `nobody` is
/// the configuration without them.
async fn credentials(access: &Access, who: Who<'_>, nobody: &SdkConfig) -> SharedCredentialsProvider {
    let region = nobody.region().cloned();
    let settings = ProviderConfig::without_region()
        .with_region(region)
        .with_http_client(http(access))
        .with_use_fips(nobody.use_fips())
        .with_use_dual_stack(nobody.use_dual_stack());
    // Go's SDK refuses a profile that is not there before it looks at anything else.
    if let Some(named) = who.profile.as_deref().filter(|_| who.is_profile_required)
        && !is_known(named, access).await
    {
        let inner = SharedCredentialsProvider::new(profile(Some(named), access, &settings));
        return SharedCredentialsProvider::new(Explaining { inner, why: no_profile(named, access) });
    }
    let with_token = |identity| SharedCredentialsProvider::new(WithToken { sts: assuming(access, nobody), identity });
    match who.source {
        Source::Keys(keys) => SharedCredentialsProvider::new(keys.clone()),
        Source::WebIdentity(identity) => with_token(identity.clone()),
        Source::Environment(key, secret) => {
            let token = of_environment("AWS_SESSION_TOKEN");
            let mut keys = Credentials::new(key.value, secret.value, token, None, "Environment");
            keys.set_property(vec![AwsCredentialFeature::CredentialsEnvVars]);
            SharedCredentialsProvider::new(keys)
        }
        Source::TokenFile(file) => with_token(WebIdentity {
            arn: of_environment("AWS_ROLE_ARN").unwrap_or_default(),
            session_name: of_environment("AWS_ROLE_SESSION_NAME"),
            token: Token::File(file.value.into()),
            policy: None,
            policy_arns: Vec::new(),
            duration: None,
        }),
        Source::Profile(_) | Source::Usual => {
            let named = who.profile.as_deref();
            let inner = SharedCredentialsProvider::new(credentials_of_profile(named, access, &settings));
            match nothing(&who, access).await {
                Some(why) => SharedCredentialsProvider::new(Explaining { inner, why }),
                None => inner,
            }
        }
    }
}

/// Why nobody is to be found, unless the container or the machine gives credentials; nothing where there is a profile, which may say more.
async fn nothing(who: &Who<'_>, access: &Access) -> Option<String> {
    let profile = who.profile.as_deref().unwrap_or("default");
    if is_known(profile, access).await {
        return None;
    }
    Some(match (who.half, &who.profile) {
        (Some((set, missing)), None) => {
            format!("`{set}` is set and `{missing}` is not, so neither counts, and nothing else gives any")
        }
        (_, Some(named)) => no_profile(named, access),
        (None, None) => {
            "neither the environment (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`), nor the profile `default`, nor a web identity, a container or \
             the machine gives any"
                .to_owned()
        }
    })
}

fn no_profile(named: &str, access: &Access) -> String {
    let files = access.shared_config_files.iter().chain(&access.shared_credentials_files);
    let files: Vec<String> = files.map(|file| format!("`{}`", file.display())).collect();
    let files =
        if files.is_empty() { "`~/.aws/config` or `~/.aws/credentials`".to_owned() } else { files.join(" or ") };
    format!("there is no profile `{named}` in {files}; `aws configure list-profiles` shows those there are")
}

/// A variable of the environment; one that is empty counts as unset.
fn of_environment(name: &str) -> Option<String> {
    let set = Env::real().get(name).ok()?;
    Some(set.trim().to_owned()).filter(|set| !set.is_empty())
}

fn profile(name: Option<&str>, access: &Access, settings: &ProviderConfig) -> ProfileFileCredentialsProvider {
    let mut profile = ProfileFileCredentialsProvider::builder().configure(settings);
    if let Some(name) = name {
        profile = profile.profile_name(name);
    }
    if let Some(files) = files(access) {
        profile = profile.profile_files(files);
    }
    profile.build()
}

async fn is_known(profile: &str, access: &Access) -> bool {
    let files = files(access).unwrap_or_default();
    let known =
        aws_config::profile::load(&Fs::default(), &Env::default(), &files, Some(profile.to_owned().into())).await;
    known.is_ok_and(|known| known.get_profile(profile).is_some())
}

/// A profile, or `default`; where it has no credentials, the container's own role, or the machine's.
fn credentials_of_profile(name: Option<&str>, access: &Access, settings: &ProviderConfig) -> CredentialsProviderChain {
    let chain = CredentialsProviderChain::first_try("Profile", profile(name, access, settings));
    let chain = chain.or_else("EcsContainer", EcsCredentialsProvider::builder().configure(settings).build());
    if access.skip_metadata_api_check {
        return chain;
    }
    let mut machine = ImdsCredentialsProvider::builder().configure(settings);
    if let Some(client) = metadata(access, settings) {
        machine = machine.imds_client(client);
    }
    chain.or_else("Ec2InstanceMetadata", machine.build())
}

/// The client of the machine's metadata service, where that is elsewhere.
fn metadata(access: &Access, settings: &ProviderConfig) -> Option<imds::Client> {
    if access.metadata_endpoint.is_none() && access.metadata_ipv6.is_none() {
        return None;
    }
    let mut client = imds::Client::builder().configure(settings);
    if let Some(ipv6) = access.metadata_ipv6 {
        client = client.endpoint_mode(if ipv6 { EndpointMode::IpV6 } else { EndpointMode::IpV4 });
    }
    match &access.metadata_endpoint {
        Some(url) => client.endpoint(url).ok().map(imds::client::Builder::build),
        None => Some(client.build()),
    }
}

fn http(access: &Access) -> SharedHttpClient {
    let bundle = || of_environment("AWS_CA_BUNDLE").map(Into::into);
    crate::reach::client(access.ca_bundle.clone().or_else(bundle))
}

/// The usual places for the Region, less the machine's metadata service.
fn region_of_files(who: &Who<'_>) -> RegionProviderChain {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &who.profile {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build())
}

fn assume(role: &Role, access: &Access, configuration: SdkConfig) -> SdkConfig {
    let provider = Assumed { sts: assuming(access, &configuration), role: role.clone() };
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
