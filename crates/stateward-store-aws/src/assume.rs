//! Sessions of roles, asked for as Terraform does: the SDK's own providers know neither transitive tags nor a source identity, and take a
//! web identity's token from a file alone.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Builder, IdentityCache, Region};
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};

use crate::access::{Access, Role, Token, WebIdentity};
use crate::connect::at_endpoint;

/// What a session is called, unless told.
const SESSION: &str = "stateward";
/// As long as Go's SDK asks for, unless told.
const LASTS: Duration = Duration::from_mins(15);

/// The STS service that the options name.
pub fn sts(access: &Access, configuration: &SdkConfig) -> Builder {
    let at = access.sts_endpoint.as_deref().map(|url| at_endpoint(configuration, url));
    let builder = Builder::from(at.as_ref().unwrap_or(configuration));
    match &access.sts_region {
        Some(region) => builder.region(Region::new(region.clone())),
        None => builder,
    }
}

/// The same for who assumes a role: what signs that request is kept by its own provider, and the cache is for what signs those to the
/// services.
pub(crate) fn assuming(access: &Access, configuration: &SdkConfig) -> Client {
    Client::from_conf(sts(access, configuration).identity_cache(IdentityCache::no_cache()).build())
}

/// Sessions of a role.
#[derive(Debug)]
pub(crate) struct Assumed {
    pub(crate) sts: Client,
    pub(crate) role: Role,
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(Box::pin(self.session()))
    }
}

impl Assumed {
    async fn session(&self) -> provider::Result {
        let role = &self.role;
        let tags = role.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags = tags.collect::<Result<Vec<_>, _>>().map_err(CredentialsError::invalid_configuration)?;
        let asked = self
            .sts
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(role.session_name.as_deref().unwrap_or(SESSION))
            .duration_seconds(seconds(role.duration))
            .set_external_id(role.external_id.clone())
            .set_policy(role.policy.clone())
            .set_policy_arns(descriptors(&role.policy_arns))
            .set_tags(some(tags))
            .set_transitive_tag_keys(some(role.transitive_tag_keys.clone()))
            .set_source_identity(role.source_identity.clone());
        let answer = asked.send().await.map_err(CredentialsError::provider_error)?;
        taken(answer.credentials, AwsCredentialFeature::CredentialsStsAssumeRole)
    }
}

/// Sessions of a role that a token is good for. Nobody signs the requests: the token is what counts.
#[derive(Debug)]
pub(crate) struct WithToken {
    pub(crate) sts: Client,
    pub(crate) identity: WebIdentity,
}

impl ProvideCredentials for WithToken {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(Box::pin(self.session()))
    }
}

impl WithToken {
    async fn session(&self) -> provider::Result {
        let identity = &self.identity;
        if identity.arn.is_empty() {
            let what = "`AWS_WEB_IDENTITY_TOKEN_FILE` is set and `AWS_ROLE_ARN` is not";
            return Err(CredentialsError::invalid_configuration(what));
        }
        let token = match &identity.token {
            Token::Given(token) => token.clone(),
            Token::File(path) => tokio::fs::read_to_string(path).await.map_err(|error| {
                let what = format!("the web identity's token `{}` cannot be read: {error}", path.display());
                CredentialsError::invalid_configuration(what)
            })?,
        };
        let asked = self
            .sts
            .assume_role_with_web_identity()
            .role_arn(&identity.arn)
            .role_session_name(identity.session_name.as_deref().unwrap_or(SESSION))
            .web_identity_token(token)
            .set_duration_seconds(identity.duration.map(|lasts| seconds(Some(lasts))))
            .set_policy(identity.policy.clone())
            .set_policy_arns(descriptors(&identity.policy_arns));
        let answer = asked.send().await.map_err(CredentialsError::provider_error)?;
        taken(answer.credentials, AwsCredentialFeature::CredentialsStsAssumeRoleWebId)
    }
}

fn seconds(lasts: Option<Duration>) -> i32 {
    i32::try_from(lasts.unwrap_or(LASTS).as_secs()).unwrap_or(i32::MAX)
}

fn descriptors(arns: &[String]) -> Option<Vec<PolicyDescriptorType>> {
    some(arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build()).collect())
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn taken(given: Option<aws_sdk_sts::types::Credentials>, by: AwsCredentialFeature) -> provider::Result {
    let given = given.ok_or_else(|| CredentialsError::unhandled("STS answered without credentials"))?;
    let end = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
    let token = Some(given.session_token);
    let mut taken = Credentials::new(given.access_key_id, given.secret_access_key, token, Some(end), "AssumeRole");
    taken.set_property(vec![by]);
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::connect::configuration;

    /// Answers so many requests to STS, and gives what they said.
    fn sts_server(requests: usize) -> (String, thread::JoinHandle<Vec<BTreeMap<String, String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = thread::spawn(move || (0..requests).map(|_| serve(&listener)).collect());
        (url, served)
    }

    fn serve(listener: &TcpListener) -> BTreeMap<String, String> {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut said = BTreeMap::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            let Some((name, value)) = line.trim().split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "authorization" => drop(said.insert("signed".to_owned(), value.trim().to_owned())),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        said.extend(url::form_urlencoded::parse(&body).into_owned());
        let action = said["Action"].clone();
        let answer = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>ASIA{action}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>"
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        reader.get_mut().write_all((head + &answer).as_bytes()).unwrap();
        said
    }

    async fn key_of(access: &Access) -> String {
        let provider = configuration(access).await.credentials_provider().unwrap();
        provider.provide_credentials().await.unwrap().access_key_id().to_owned()
    }

    fn access(url: &str) -> Access {
        Access {
            region: Some("eu-west-1".into()),
            sts_endpoint: Some(url.to_owned()),
            keys: Some(Credentials::for_tests()),
            ..Access::default()
        }
    }

    fn lacks(said: &BTreeMap<String, String>, part: &str) {
        assert!(!said.keys().any(|name| name.contains(part)), "{said:?}");
    }

    #[tokio::test]
    async fn sts_gets_all_of_a_role() {
        let (url, served) = sts_server(2);
        let role = Role { arn: "arn:aws:iam::123456789012:role/x".into(), ..Role::default() };
        let mut access = Access { role: Some(role.clone()), sts_region: Some("us-east-1".into()), ..access(&url) };
        assert_eq!(key_of(&access).await, "ASIAAssumeRole");
        access.role = Some(Role {
            session_name: Some("s".into()),
            external_id: Some("e".into()),
            policy: Some("{}".into()),
            policy_arns: vec!["arn:p".into(), "arn:q".into()],
            tags: [("team".into(), "net".into())].into(),
            transitive_tag_keys: vec!["team".into()],
            source_identity: Some("me".into()),
            duration: Some(Duration::from_hours(1)),
            ..role
        });
        key_of(&access).await;
        let [least, all] = served.join().unwrap().try_into().unwrap();
        assert_eq!((least["RoleSessionName"].as_str(), least["DurationSeconds"].as_str()), ("stateward", "900"));
        assert!(least["signed"].contains("/us-east-1/sts/"), "{least:?}");
        ["Policy", "Tag", "Source", "External"].iter().for_each(|part| lacks(&least, part));
        for (name, value) in [
            ("RoleArn", "arn:aws:iam::123456789012:role/x"),
            ("RoleSessionName", "s"),
            ("ExternalId", "e"),
            ("Policy", "{}"),
            ("PolicyArns.member.1.arn", "arn:p"),
            ("PolicyArns.member.2.arn", "arn:q"),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", "net"),
            ("TransitiveTagKeys.member.1", "team"),
            ("SourceIdentity", "me"),
            ("DurationSeconds", "3600"),
        ] {
            assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}: {all:?}");
        }
    }

    /// The token counts more than a profile; keys count more than the token; the role comes behind either.
    #[tokio::test]
    async fn a_token_and_then_a_role() {
        let (url, served) = sts_server(2);
        let identity = WebIdentity {
            arn: "arn:w".into(),
            session_name: None,
            token: Token::Given("the-token".into()),
            policy: Some("{}".into()),
            policy_arns: vec!["arn:p".into()],
            duration: None,
        };
        let role = Role { arn: "arn:aws:iam::123456789012:role/x".into(), ..Role::default() };
        let own = Access {
            web_identity: Some(identity),
            profile: Some("ci".into()),
            shared_credentials_files: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/credentials").into()],
            ..access(&url)
        };
        assert_eq!(key_of(&own).await, Credentials::for_tests().access_key_id());
        let both = Access { keys: None, role: Some(role), ..own.clone() };
        assert_eq!(key_of(&both).await, "ASIAAssumeRole");
        // It does not count, and has to be there all the same: Terraform says "failed to get shared config profile, none".
        for missing in [own, both] {
            let missing = Access { profile: Some("none".into()), ..missing };
            let provider = configuration(&missing).await.credentials_provider().unwrap();
            assert!(provider.provide_credentials().await.is_err());
        }
        let [token, role] = served.join().unwrap().try_into().unwrap();
        assert_eq!((token["RoleArn"].as_str(), token["WebIdentityToken"].as_str()), ("arn:w", "the-token"));
        assert_eq!((token["Policy"].as_str(), token["PolicyArns.member.1.arn"].as_str()), ("{}", "arn:p"));
        lacks(&token, "signed");
        lacks(&token, "Duration");
        assert!(role["signed"].contains("Credential=ASIAAssumeRoleWithWebIdentity/"), "{role:?}");
    }

    #[tokio::test]
    async fn a_token_that_is_not_there() {
        let token = Token::File("/nonexistent/token".into());
        let identity = WebIdentity {
            arn: "arn:w".into(),
            session_name: None,
            token,
            policy: None,
            policy_arns: Vec::new(),
            duration: None,
        };
        let access = Access { keys: None, web_identity: Some(identity), ..access("http://127.0.0.1:1") };
        let provider = configuration(&access).await.credentials_provider().unwrap();
        let error = provider.provide_credentials().await.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("`/nonexistent/token` cannot be read"), "{why}");
    }
}
