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
use crate::assume::{Assumed, WithToken, sts};
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
        .http_client(http(access))
        .retry_config(RetryConfig::standard().with_max_attempts(access.max_retries.saturating_add(1)))
        .timeout_config(limits(ATTEMPT));
    loader = match &access.region {
        Some(region) => loader.region(Region::new(region.clone())),
        None if access.skip_metadata_api_check => loader.region(region_of_files(access)),
        None => loader,
    };
    let environment = Environment::read(&Env::real());
    if let Some(profile) = access.profile.as_deref().or(environment.profile()) {
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
    let own = Box::pin(credentials(access, environment, &nobody)).await;
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

/// The same, with the profile written out that the environment names, or the default one: where its keys are those that are used.
pub async fn with_profile(access: &Access) -> Access {
    let environment = Environment::read(&Env::real());
    let others = access.keys.is_some() || access.web_identity.is_some() || environment.gives.is_some();
    let usual = environment.profile().unwrap_or("default");
    if access.profile.is_some() || others || !is_known(usual, access).await {
        return access.clone();
    }
    Access { profile: Some(usual.to_owned()), ..access.clone() }
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
async fn credentials(access: &Access, environment: Environment, nobody: &SdkConfig) -> SharedCredentialsProvider {
    if let Some(keys) = &access.keys {
        return SharedCredentialsProvider::new(keys.clone());
    }
    if let Some(identity) = &access.web_identity {
        return SharedCredentialsProvider::new(WithToken { sts: sts(access, nobody), identity: identity.clone() });
    }
    let region = nobody.region().cloned();
    let settings = ProviderConfig::without_region()
        .with_region(region)
        .with_http_client(http(access))
        .with_use_fips(nobody.use_fips())
        .with_use_dual_stack(nobody.use_dual_stack());
    // Go's SDK refuses a profile that is not there before it looks at anything else, but for one of `AWS_DEFAULT_PROFILE`.
    if let Some(named) = access.profile.as_deref().or(environment.named.as_deref())
        && !is_known(named, access).await
    {
        return SharedCredentialsProvider::new(profile(Some(named), access, &settings));
    }
    if let Some(named) = &access.profile {
        return SharedCredentialsProvider::new(credentials_of_profile(Some(named), access, &settings));
    }
    let usual = environment.profile().map(str::to_owned);
    match environment.gives {
        Some(Given::Keys(keys)) => SharedCredentialsProvider::new(keys),
        Some(Given::Token(identity)) => {
            SharedCredentialsProvider::new(WithToken { sts: sts(access, nobody), identity })
        }
        None => SharedCredentialsProvider::new(credentials_of_profile(usual.as_deref(), access, &settings)),
    }
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
    let of_environment = || Env::real().get("AWS_CA_BUNDLE").ok().filter(|path| !path.is_empty()).map(Into::into);
    crate::reach::client(access.ca_bundle.clone().or_else(of_environment))
}

/// What the environment says of who one is.
#[derive(Debug)]
struct Environment {
    /// The profile of `AWS_PROFILE`, which has to be there.
    named: Option<String>,
    /// The one of `AWS_DEFAULT_PROFILE`, which may be missing.
    by_default: Option<String>,
    gives: Option<Given>,
}

/// What it gives by itself; a profile, also one that it names, counts less.
#[derive(Debug)]
enum Given {
    Keys(Credentials),
    Token(WebIdentity),
}

impl Environment {
    /// The names are those that Go's SDK reads.
    fn read(env: &Env) -> Self {
        let first = |names: &[&str]| {
            let set = names.iter().filter_map(|name| env.get(name).ok());
            set.map(|text| text.trim().to_owned()).find(|text| !text.is_empty())
        };
        let key = first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]);
        let secret = first(&["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]);
        let gives = match (key.zip(secret), first(&["AWS_WEB_IDENTITY_TOKEN_FILE"])) {
            (Some((key, secret)), _) => {
                let mut keys = Credentials::new(key, secret, first(&["AWS_SESSION_TOKEN"]), None, "Environment");
                keys.set_property(vec![AwsCredentialFeature::CredentialsEnvVars]);
                Some(Given::Keys(keys))
            }
            (None, Some(file)) => Some(Given::Token(WebIdentity {
                arn: first(&["AWS_ROLE_ARN"]).unwrap_or_default(),
                session_name: first(&["AWS_ROLE_SESSION_NAME"]),
                token: Token::File(file.into()),
                policy: None,
                policy_arns: Vec::new(),
                duration: None,
            })),
            (None, None) => None,
        };
        Self { named: first(&["AWS_PROFILE"]), by_default: first(&["AWS_DEFAULT_PROFILE"]), gives }
    }

    fn profile(&self) -> Option<&str> {
        self.named.as_deref().or(self.by_default.as_deref())
    }
}

/// The usual places for the Region, less the machine's metadata service.
fn region_of_files(access: &Access) -> RegionProviderChain {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &access.profile {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build())
}

fn assume(role: &Role, access: &Access, configuration: SdkConfig) -> SdkConfig {
    let provider = Assumed { sts: sts(access, &configuration), role: role.clone() };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn who(pairs: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let read = Environment::read(&Env::from_slice(pairs));
        let profile = read.profile().map(str::to_owned);
        let gives = read.gives.map(|gives| match gives {
            Given::Keys(keys) => keys.access_key_id().to_owned(),
            Given::Token(identity) => format!("{} {:?}", identity.arn, identity.token),
        });
        (profile, gives)
    }

    /// <https://github.com/aws/aws-sdk-go-v2/blob/main/config/resolve_credentials.go>
    #[test]
    fn the_environment_in_the_order_of_go() {
        let keys = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "hidden")];
        let token = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "r")];
        let profile = [("AWS_PROFILE", "ci")];
        let (ci, of_token) = (Some("ci".to_owned()), Some("r File(\"/t\")".to_owned()));
        assert_eq!(who(&[]), (None, None));
        assert_eq!(who(&profile), (ci.clone(), None));
        assert_eq!(who(&[&profile[..], &token].concat()), (ci.clone(), of_token.clone()));
        assert_eq!(who(&[&profile[..], &token, &keys].concat()), (ci, Some("AKIA1".to_owned())));
        // Half of them are none.
        assert_eq!(who(&[&keys[..1], &token].concat()), (None, of_token));
        assert_eq!(who(&[("AWS_ACCESS_KEY", "AKIA2"), ("AWS_SECRET_KEY", "s")]), (None, Some("AKIA2".to_owned())));
        assert_eq!(who(&[("AWS_DEFAULT_PROFILE", "old")]), (Some("old".to_owned()), None));
        let both = [("AWS_DEFAULT_PROFILE", "old"), ("AWS_PROFILE", "ci")];
        assert_eq!(Environment::read(&Env::from_slice(&both)).profile(), Some("ci"));
    }
}
