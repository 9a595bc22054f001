//! Credentials, Region, clock, endpoint, and who one is.

use std::error::Error;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature as From;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::Timestamp;
use stateward_iam::names;
use stateward_store_aws::{Explained, at_endpoint};

use super::finding::blame;
use super::gate::Gate;
use super::surroundings::passed_over;
use super::watch::Watch;
use super::{Finding, Patient, Status, Target};
use crate::{Failed, Layout, Services};

/// AWS refuses signatures that are further off: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>.
const SKEW_MAX: i64 = 5 * 60;
/// A run may take so long.
const SOON: i64 = 15 * 60;
const CREDENTIALS: &str = "credentials";

/// The clients of the services that are asked.
pub(super) fn services(target: &Target, configuration: &SdkConfig, watch: &Watch, gate: &Gate) -> Services {
    let at = |endpoint: &Option<String>| match endpoint {
        Some(url) => at_endpoint(configuration, url),
        None => configuration.clone(),
    };
    let endpoints = &target.endpoints;
    let s3 = aws_sdk_s3::config::Builder::from(&at(&endpoints.s3))
        .force_path_style(target.objects.path_style)
        .interceptor(watch.clone())
        .interceptor(gate.clone());
    let dynamodb = aws_sdk_dynamodb::config::Builder::from(&at(&endpoints.dynamodb))
        .interceptor(watch.clone())
        .interceptor(gate.clone());
    // Policies are read beside the tries, which are not to wait long where nothing answers.
    let twice = |configuration: SdkConfig| {
        let retries = configuration.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        configuration.to_builder().retry_config(retries.with_max_attempts(2)).build()
    };
    Services {
        sts: aws_sdk_sts::Client::from_conf(stateward_store_aws::sts(&target.access, configuration).build()),
        s3: aws_sdk_s3::Client::from_conf(s3.build()),
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
        kms: aws_sdk_kms::Client::new(&at(&endpoints.kms)),
        iam: aws_sdk_iam::Client::new(&twice(at(&endpoints.iam))),
        organizations: aws_sdk_organizations::Client::new(&twice(configuration.clone())),
        toolbox: aws_sdk_iamtoolbox::Client::new(&twice(configuration.clone())),
        ..Services::new(configuration, Layout::default())
    }
}

/// Who one is.
pub(super) struct Identity {
    pub(super) found: Vec<Finding>,
    pub(super) caller: Option<String>,
}

impl Patient {
    /// What is known before anything is asked of the place.
    pub(super) async fn before_any_request(&self) -> Vec<Finding> {
        let mut found = self.names();
        found.extend(self.credentials().await);
        found.push(self.region());
        found.extend(self.of_arguments());
        found
    }

    /// Names that nothing can have. What only AWS itself does not take is told and tried: other makers of S3 may.
    fn names(&self) -> Vec<Finding> {
        const WHY: &str = "there is nothing of this name, and nothing can be";
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let bucket = self.target.bucket().and_then(|name| {
            let error = names::bucket_there(name).err()?;
            let is_odd = !(3..=255).contains(&name.len()) || !name.bytes().all(is_word);
            if name.starts_with("arn:") {
                let why = "doctor asks the bucket itself, and knows no access points; Terraform takes them";
                let fix = "name the bucket behind it: `--bucket` and `--key`";
                return Some(Finding::fail("bucket-exists", format!("`{name}` is no bucket's own name"), why, fix));
            }
            let (title, next) = (error.to_string(), error.next());
            Some(match is_odd {
                true => Finding::fail("bucket-exists", title, WHY, next),
                false => Finding::warn(
                    "bucket-exists",
                    title,
                    "AWS has no bucket of this name, or keeps it for itself",
                    next,
                ),
            })
        });
        // A table may be named by its ARN.
        let tables = [self.target.lock_table.as_deref(), self.target.state_table()].into_iter().flatten();
        let tables = tables.filter(|name| !name.starts_with("arn:")).filter_map(|name| names::table(name).err());
        let tables = tables.map(|error| Finding::fail("lock-table-exists", error.to_string(), WHY, error.next()));
        bucket.into_iter().chain(tables).collect()
    }

    async fn credentials(&self) -> Vec<Finding> {
        let Some(provider) = self.configuration.credentials_provider() else {
            return vec![self.no_credentials(None)];
        };
        match provider.provide_credentials().await {
            Ok(credentials) => {
                let mut found = vec![self.end_of(&credentials)];
                if let Some(mut warning) = self.written_keys() {
                    warning.add(&found[0].title);
                    found.push(warning);
                }
                found
            }
            Err(error) => match not_assumed(&error) {
                Some(failed) => no_role(&failed),
                None => vec![self.no_credentials(Some(&error))],
            },
        }
    }

    /// What was looked at, and what stopped there.
    fn no_credentials(&self, error: Option<&CredentialsError>) -> Finding {
        let surroundings = &self.options.surroundings;
        let is_set = |name| surroundings.is_set(name);
        let who = self.who();
        let profile = who.profile.as_deref();
        let login =
            profile.map_or_else(|| "aws sso login".to_owned(), |profile| format!("aws sso login --profile {profile}"));
        let (named, cause) = (self.named(&who), error.and_then(cause));
        let is_of_token = cause.as_ref().is_some_and(|cause| cause.contains("web identity"));
        let missing = self.required_beside(&who).filter(|_| !is_of_token);
        let (why, fix) = match (&named, is_set("AWS_ACCESS_KEY_ID"), is_set("AWS_SECRET_ACCESS_KEY")) {
            _ if let Some(missing) = &missing => {
                let why = format!("{missing} is not there, and nothing else counts then, as for Terraform");
                (why, "put its name right, or take it away".to_owned())
            }
            (Some(named), ..) => {
                let unknown = if cause.is_none() { ": there is no such profile, or it has no credentials" } else { "" };
                let fix = match who.is_token() {
                    true => "check the token, and the role it is for".to_owned(),
                    false => format!("put it right; where it is of IAM Identity Center: `{login}`"),
                };
                (format!("{named} gives none{unknown}"), fix)
            }
            (None, true, false) => half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            (None, false, true) => half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
            (None, ..) => {
                let of_profile = profile.map_or_else(|| "`default`".to_owned(), |profile| format!("`{profile}`"));
                (
                    format!(
                        "neither the environment (`AWS_ACCESS_KEY_ID`), nor the profile {of_profile}, nor a web identity, a container or the machine gives any"
                    ),
                    format!("set `AWS_PROFILE` or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or run `{login}`"),
                )
            }
        };
        let mut found = Finding::fail(CREDENTIALS, "there are no credentials", why, fix).entry("credentials/none");
        if let Some(cause) = cause {
            found.add(&cause);
        }
        if let Some(other) = passed_over(&who).filter(|_| missing.is_none()) {
            found.add(&other);
        }
        found
    }

    /// Who gave them, and who is passed over.
    fn source(&self, credentials: &Credentials) -> String {
        let from = credentials.get_property::<Vec<From>>();
        // A process, or a session, of a profile is of a profile, too: that says less.
        let tells = |from: &&From| !matches!(from, From::CredentialsProfile);
        let given = from.and_then(|from| from.iter().rfind(tells).or(from.last())).map(source);
        let who = self.who();
        let from = match (self.named(&who), &self.target.access.role) {
            (Some(named), Some(_)) => format!("from an assumed role, asked for with {named}"),
            (Some(named), None) => format!("from {named}"),
            (None, _) => given.unwrap_or("configured").to_owned(),
        };
        passed_over(&who).map_or_else(|| from.clone(), |other| format!("{from}; {other}"))
    }

    /// When they end, which is soon or not.
    fn end_of(&self, credentials: &Credentials) -> Finding {
        const CHECK: &str = CREDENTIALS;
        let from = self.source(credentials);
        let end = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
        let Some(end) = end else { return Finding::ok(CHECK, format!("{from}; they do not end")) };
        let is_renewed = credentials.get_property::<Vec<From>>().is_some_and(|by| {
            let renewed = [From::CredentialsStsAssumeRole, From::CredentialsStsAssumeRoleWebId];
            by.iter().any(|by| renewed.contains(by))
        });
        let left = end.as_second() - (self.options.now)().as_second();
        let end = Timestamp::from_second(end.as_second()).unwrap_or(end);
        let fix = "renew them: `aws sso login`, or assume the role again";
        if left <= 0 {
            let why = format!("{from}; they ended at {end}");
            Finding::fail(CHECK, "the credentials have ended", why, fix).entry("credentials/expired")
        } else if left < SOON && !is_renewed {
            let why = format!("{from}; they end at {end}, and an apply that is under way then cannot store its state");
            Finding::warn(CHECK, format!("the credentials end in {} min", left / 60), why, fix)
        } else {
            let renewed = if is_renewed { ", and are renewed" } else { "" };
            Finding::ok(CHECK, format!("{from}; they end at {end}{renewed}"))
        }
    }

    fn region(&self) -> Finding {
        match self.configuration.region() {
            // No service has an address with it, and none is asked.
            Some(region) if !region.as_ref().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                let why = "a Region's name has letters, digits and hyphens";
                Finding::fail("region", format!("`{region}` is no Region"), why, "give one such as `eu-west-1`")
            }
            Some(region) => {
                let other = self.other_region().map(|other| format!(" ({other})")).unwrap_or_default();
                Finding::ok("region", format!("{region}{other}"))
            }
            None => Finding::fail(
                "region",
                "no Region is set",
                "neither the backend nor the AWS configuration names one, and requests are signed for one",
                "set `region` in the backend block, or `AWS_REGION`",
            ),
        }
    }

    /// Our clock against that of the services.
    pub(super) fn clock(&self) -> Finding {
        match self.watch.ahead() {
            None => Finding::untested("clock", "no answer had a date"),
            Some(ahead) if ahead.abs() > SKEW_MAX => Finding::fail(
                "clock",
                format!("this machine's clock is {} s {}", ahead.abs(), if ahead > 0 { "ahead" } else { "behind" }),
                "AWS refuses what is signed more than some minutes before or after its own time",
                "set the clock, and have it kept by NTP: `timedatectl set-ntp true`",
            )
            .entry("credentials/clock-skew"),
            Some(ahead) => Finding::ok("clock", format!("differs by {} s", ahead.abs())),
        }
    }

    /// Nothing stood in the way.
    pub(super) fn endpoint(&self) -> Finding {
        let shared = self.configuration.endpoint_url();
        let endpoints = &self.target.endpoints;
        let own = [endpoints.s3.as_deref(), endpoints.dynamodb.as_deref(), shared];
        let loopback = |host: &&str| ["127.", "localhost", "[::1]"].iter().any(|own| host.starts_with(own));
        match own.into_iter().flatten().filter_map(plain_host).find(|host| !loopback(host)) {
            Some(host) => Finding::warn(
                "endpoint",
                format!("http://{host} is not encrypted"),
                "states hold secrets, and everything on the way can read them",
                "use an `https://` endpoint",
            ),
            None => Finding::ok("endpoint", "the services answer"),
        }
    }

    /// `sts:GetCallerIdentity` needs no right and cannot be refused.
    pub(super) async fn identity(&self) -> Identity {
        match self.services.sts.get_caller_identity().send().await {
            Ok(answer) => {
                let caller = answer.arn.unwrap_or_default();
                let account = account_of(&caller).unwrap_or_default();
                let found = self.of_account(account).unwrap_or_else(|| Finding::ok("identity", caller.as_str()));
                Identity { found: vec![found], caller: Some(caller) }
            }
            // Other makers of S3 seldom have it, and Terraform does not ask there.
            Err(error) if self.target.accounts.unasked => {
                let why = Failed::new("STS: GetCallerIdentity", &error);
                let why = format!(
                    "the backend skips it (`skip_credentials_validation`), and STS has no answer: {}",
                    why.words()
                );
                let found = self.of_account("").unwrap_or_else(|| Finding::untested("identity", why));
                Identity { found: vec![found], caller: None }
            }
            Err(error) => {
                let found = blame("identity", &Failed::new("STS: GetCallerIdentity", &error));
                Identity { found, caller: None }
            }
        }
    }
}

/// The host of a URL without TLS, and nothing of who asks there: a password may stand before it.
fn plain_host(url: &str) -> Option<&str> {
    url.strip_prefix("http://")?.split('/').next()?.rsplit('@').next()
}

/// What became of the request to STS, where a role was to be assumed and there were credentials to ask with.
fn not_assumed(error: &(dyn Error + 'static)) -> Option<Failed> {
    let mut asked = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            asked = Some(Failed::new("STS: AssumeRole", error));
        } else if let Some(error) = error.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>() {
            asked = Some(Failed::new("STS: AssumeRoleWithWebIdentity", error));
        } else if error.is::<CredentialsError>() {
            // Within a request it is why nobody could sign it.
            asked = None;
        }
        next = error.source();
    }
    asked
}

/// The role cannot be assumed: by whom and why not, or what else stands in the way.
fn no_role(failed: &Failed) -> Vec<Finding> {
    match failed.problem() {
        Some(problem) if problem.denial.is_some() => {
            vec![Finding::of_problem(CREDENTIALS, Status::Fail, &problem)]
        }
        _ => {
            let mut found = blame(CREDENTIALS, failed);
            if found.iter().all(|finding| finding.status != Status::Fail) {
                let fix = "check the role in the backend block, or that of the environment (`AWS_ROLE_ARN`)";
                found = vec![Finding::fail(CREDENTIALS, "the role cannot be assumed", failed.words(), fix)];
            }
            found
        }
    }
}

/// One of two variables that only together are any good.
fn half(set: &str, missing: &str) -> (String, String) {
    (format!("`{set}` is set and `{missing}` is not, so neither counts"), format!("set `{missing}`, too"))
}

/// Why the link that gave none did not, on one line; nothing where it says no more than that.
fn cause(error: &CredentialsError) -> Option<String> {
    const NOT_ENABLED: &str = "the credential provider was not enabled";
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error as &(dyn Error + 'static));
    while let Some(error) = next {
        next = error.source();
        let words = error.to_string();
        // The chain says of each link on a line of its own why it gave none; the others are simply not there.
        let of_profile = words.lines().find_map(|line| line.split_once("Profile: "));
        let words = of_profile.map_or(words.as_str(), |(_, of_profile)| of_profile);
        let words = words.strip_prefix(NOT_ENABLED).unwrap_or(words).trim_start_matches(':');
        let signs = words.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect::<String>();
        let words = signs.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_new = !said.iter().any(|known| known.contains(&words));
        let is_told = error.is::<CredentialsError>() || error.is::<Explained>();
        if !words.is_empty() && !is_told && is_new && !words.contains(NOT_ENABLED) {
            said.push(words);
        }
    }
    (!said.is_empty()).then(|| said.join(": "))
}

/// The account in an ARN.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

/// The link of the chain that gave credentials.
fn source(from: &From) -> &'static str {
    match from {
        From::CredentialsEnvVars => "from environment variables",
        From::CredentialsEnvVarsStsWebIdToken | From::CredentialsProfileStsWebIdToken => "from a web identity token",
        From::CredentialsStsAssumeRole => "from an assumed role",
        From::CredentialsStsAssumeRoleWebId => "from a role assumed with a web identity",
        From::CredentialsProfile | From::CredentialsProfileSourceProfile | From::CredentialsProfileNamedProvider => {
            "from a profile"
        }
        From::CredentialsProfileSso | From::CredentialsSso => "from IAM Identity Center",
        From::CredentialsProfileProcess | From::CredentialsProcess => "from a process of the profile",
        From::CredentialsHttp => "from the container's metadata service",
        From::CredentialsImds => "from the machine's metadata service",
        _ => "configured",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_endpoint_the_host_is_told_alone() {
        for (url, host) in [
            ("http://s3.example:9000/path", Some("s3.example:9000")),
            ("http://who:pass@s3.example/p@th", Some("s3.example")),
            ("http://[::1]:9000", Some("[::1]:9000")),
            ("https://s3.example", None),
        ] {
            assert_eq!(plain_host(url), host, "{url}");
        }
    }
}
