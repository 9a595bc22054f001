//! Who the backend says one is: keys, a profile, a token, a role.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_credential_types::Credentials;
use jiff::SignedDuration;
use stateward_store_aws::{Access, Role, Token, WebIdentity};

use super::{Given, TargetError};

const NESTED: &str = "assume_role";
const WEB_IDENTITY: &str = "assume_role_with_web_identity";
/// The objects that say who one is; one that is said anew is another one.
pub(super) const OBJECTS: [&str; 3] = [WEB_IDENTITY, NESTED, "assume_role_tags"];

impl Given {
    pub(super) fn who(&self, access: &mut Access) -> Result<(), TargetError> {
        access.region = self.text("region")?;
        access.keys = self.keys()?;
        access.profile = self.text("profile")?;
        let paths = |texts: Vec<String>| texts.into_iter().map(Into::into).collect::<Vec<_>>();
        access.shared_config_files = paths(self.texts("shared_config_files")?);
        if access.shared_config_files.is_empty() {
            access.shared_config_files = paths(self.variable("AWS_SHARED_CONFIG_FILE").into_iter().collect());
        }
        access.shared_credentials_files = paths(self.texts("shared_credentials_files")?);
        if let (true, Some(file)) = (access.shared_credentials_files.is_empty(), self.text("shared_credentials_file")?)
        {
            access.shared_credentials_files = vec![file.into()];
        }
        access.skip_metadata_api_check = self.flag("skip_metadata_api_check")?;
        if let Some(retries) = self.parsed("max_retries", "whole number")? {
            access.max_retries = retries;
        }
        access.web_identity = self.web_identity()?;
        access.role = self.role()?;
        access.sts_region = self.text("sts_region")?;
        let set = |name: &str| self.variable(name);
        access.metadata_endpoint = self.text("ec2_metadata_service_endpoint")?;
        if access.metadata_endpoint.is_none() && set("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_none() {
            access.metadata_endpoint = set("AWS_METADATA_URL");
        }
        access.metadata_ipv6 = match self.text("ec2_metadata_service_endpoint_mode")? {
            None => None,
            Some(mode) if mode.eq_ignore_ascii_case("ipv6") => Some(true),
            Some(mode) if mode.eq_ignore_ascii_case("ipv4") => Some(false),
            Some(value) => {
                let name = "ec2_metadata_service_endpoint_mode";
                return Err(TargetError::Value { name, value, kind: "`IPv4` or `IPv6`" });
            }
        };
        access.ca_bundle = self.text("custom_ca_bundle")?.map(Into::into);
        access.use_fips = self.flag("use_fips_endpoint")?;
        access.use_dual_stack = self.flag("use_dualstack_endpoint")?;
        Ok(())
    }

    /// Keys that stand in the backend itself; one is no good without the other.
    fn keys(&self) -> Result<Option<Credentials>, TargetError> {
        let token = self.text("token")?;
        Ok(match (self.text("access_key")?, self.text("secret_key")?) {
            (Some(key), Some(secret)) => Some(Credentials::new(key, secret, token, None, "backend")),
            (Some(_), None) => return Err(TargetError::Missing("secret_key")),
            (None, Some(_)) => return Err(TargetError::Missing("access_key")),
            (None, None) if token.is_some() => return Err(TargetError::Missing("access_key")),
            (None, None) => None,
        })
    }

    /// `assume_role`, or the arguments that were in its place before it; both tools take one role.
    fn role(&self) -> Result<Option<Role>, TargetError> {
        if self.has_object(NESTED)? {
            return Ok(Some(Role {
                arn: self.needed("assume_role.role_arn")?,
                session_name: self.text("assume_role.session_name")?,
                external_id: self.text("assume_role.external_id")?,
                policy: self.policy("assume_role.policy")?,
                policy_arns: self.texts("assume_role.policy_arns")?,
                tags: self.map("assume_role.tags")?,
                transitive_tag_keys: self.texts("assume_role.transitive_tag_keys")?,
                source_identity: self.text("assume_role.source_identity")?,
                duration: self.duration("assume_role.duration")?,
            }));
        }
        let Some(arn) = self.text("role_arn")? else { return Ok(None) };
        let seconds = self.parsed("assume_role_duration_seconds", "whole number of seconds")?;
        Ok(Some(Role {
            arn,
            session_name: self.text("session_name")?,
            external_id: self.text("external_id")?,
            policy: self.policy("assume_role_policy")?,
            policy_arns: self.texts("assume_role_policy_arns")?,
            tags: self.map("assume_role_tags")?,
            transitive_tag_keys: self.texts("assume_role_transitive_tag_keys")?,
            source_identity: None,
            duration: seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        }))
    }

    /// What the block leaves out `OpenTofu` has from the environment.
    fn web_identity(&self) -> Result<Option<WebIdentity>, TargetError> {
        const ARN: &str = "assume_role_with_web_identity.role_arn";
        const TOKEN: &str = "assume_role_with_web_identity.web_identity_token";
        const FILE: &str = "assume_role_with_web_identity.web_identity_token_file";
        if !self.has_object(WEB_IDENTITY)? {
            return Ok(None);
        }
        let or = |name: &str, variable: &str| Ok(self.text(name)?.or_else(|| self.variable(variable)));
        let (given, file) = (self.text(TOKEN)?, self.text(FILE)?);
        let token = match (given, file) {
            (Some(_), Some(_)) => return Err(TargetError::Objects(TWO_TOKENS.to_owned())),
            (Some(token), None) => Token::Given(token),
            (None, Some(file)) => Token::File(file.into()),
            (None, None) => {
                let given = self.variable("AWS_WEB_IDENTITY_TOKEN").map(Token::Given);
                let file = || self.variable("AWS_WEB_IDENTITY_TOKEN_FILE").map(|file| Token::File(file.into()));
                given.or_else(file).ok_or(TargetError::Missing(FILE))?
            }
        };
        Ok(Some(WebIdentity {
            arn: or(ARN, "AWS_ROLE_ARN")?.ok_or(TargetError::Missing(ARN))?,
            session_name: or("assume_role_with_web_identity.session_name", "AWS_ROLE_SESSION_NAME")?,
            token,
            policy: self.policy("assume_role_with_web_identity.policy")?,
            policy_arns: self.texts("assume_role_with_web_identity.policy_arns")?,
            duration: self.duration("assume_role_with_web_identity.duration")?,
        }))
    }

    /// Whether there is such an object. A list of them, or one that is not written out, is none that can be read.
    fn has_object(&self, name: &'static str) -> Result<bool, TargetError> {
        match self.arguments.get(name) {
            Some(None) => return Err(TargetError::Computed(name.to_owned())),
            Some(Some(text)) if !text.is_empty() => {
                let kind = "single object of names and values; `--backend-config` takes it from a file";
                return Err(TargetError::Value { name, value: "a text".to_owned(), kind });
            }
            _ => {}
        }
        Ok(self.arguments.keys().any(|known| within(known, name).is_some()))
    }

    fn map(&self, name: &'static str) -> Result<BTreeMap<String, String>, TargetError> {
        self.text(name)?;
        let inner = self.arguments.keys().filter_map(|known| Some((known, within(known, name)?)));
        let pair = |(known, key): (&String, &str)| Ok(Some((key.to_owned(), self.text(known)?.unwrap_or_default())));
        inner.filter_map(|inner| pair(inner).transpose()).collect()
    }

    fn policy(&self, name: &str) -> Result<Option<String>, TargetError> {
        Ok(self.text(name)?.map(|text| text.trim().to_owned()))
    }

    /// As Go writes it.
    fn duration(&self, name: &'static str) -> Result<Option<Duration>, TargetError> {
        let span = self.parsed::<SignedDuration>(name, "length of time such as `1h` or `30m`")?;
        Ok(span.and_then(|span| Duration::try_from(span).ok()).filter(|span| !span.is_zero()))
    }
}

const TWO_TOKENS: &str = "`assume_role_with_web_identity` has both `web_identity_token` and `web_identity_token_file`, of which Terraform takes one alone";

/// What a name is called within an object.
pub(super) fn within<'a>(name: &'a str, object: &str) -> Option<&'a str> {
    name.strip_prefix(object)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::super::tests::given;
    use super::*;

    #[test]
    fn all_of_a_role() {
        let nested = given(&[
            ("role_arn", "ignored"),
            ("assume_role.role_arn", "r"),
            ("assume_role.session_name", "s"),
            ("assume_role.external_id", "e"),
            ("assume_role.policy", " {} "),
            ("assume_role.policy_arns.0", "p"),
            ("assume_role.tags.team.name", "net"),
            ("assume_role.tags.empty", ""),
            ("assume_role.transitive_tag_keys.0", "team.name"),
            ("assume_role.source_identity", "me"),
            ("assume_role.duration", "1h30m"),
        ]);
        let text = |text: &str| Some(text.to_owned());
        let expected = Role {
            arn: "r".to_owned(),
            session_name: text("s"),
            external_id: text("e"),
            policy: text("{}"),
            policy_arns: vec!["p".to_owned()],
            tags: [("team.name", "net"), ("empty", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            transitive_tag_keys: vec!["team.name".to_owned()],
            source_identity: text("me"),
            duration: Some(Duration::from_mins(90)),
        };
        assert_eq!(nested.target(None).unwrap().access.role, Some(expected.clone()));
        let flat = given(&[
            ("role_arn", "r"),
            ("session_name", "s"),
            ("external_id", "e"),
            ("assume_role_policy", "{}"),
            ("assume_role_policy_arns.0", "p"),
            ("assume_role_tags.team.name", "net"),
            ("assume_role_tags.empty", ""),
            ("assume_role_transitive_tag_keys.0", "team.name"),
            ("assume_role_duration_seconds", "5400"),
        ]);
        let flat = flat.target(None).unwrap().access.role;
        assert_eq!(flat, Some(Role { source_identity: None, ..expected }));
    }

    #[test]
    fn an_object_that_is_said_anew_is_another_one() {
        let mut all = given(&[("assume_role.role_arn", "r"), ("assume_role.tags.a", "1")]);
        let new = [("assume_role.role_arn", Some("s")), ("assume_role.external_id", Some("e"))];
        all.add(&new.map(|(name, text)| (name.to_owned(), text.map(str::to_owned))).into());
        let role = all.target(None).unwrap().access.role.unwrap();
        assert_eq!((role.arn.as_str(), role.external_id.as_deref(), role.tags.len()), ("s", Some("e"), 0));
        // What is not written out is as `init` has noted it.
        let computed = [("assume_role.role_arn", None), ("assume_role.policy_arns", None), ("assume_role.tags", None)];
        let mut all = given(&[
            ("assume_role.role_arn", "r"),
            ("assume_role.policy_arns.0", "p"),
            ("assume_role.tags.a", "1"),
            ("assume_role.session_name", "gone"),
        ]);
        all.add(&computed.map(|(name, text): (&str, Option<String>)| (name.to_owned(), text)).into());
        let role = all.target(None).unwrap().access.role.unwrap();
        assert_eq!((role.arn.as_str(), role.session_name), ("r", None));
        assert_eq!((role.policy_arns.len(), role.tags.len()), (1, 1));
    }

    #[test]
    fn a_token() {
        const BLOCK: &str = "assume_role_with_web_identity";
        let name = |name: &str| format!("{BLOCK}.{name}");
        let (arn, file, token) = (name("role_arn"), name("web_identity_token_file"), name("web_identity_token"));
        let all = given(&[(&arn, "r"), (&file, "/t"), (&name("duration"), "20m"), (&name("policy_arns.0"), "p")]);
        let identity = all.target(None).unwrap().access.web_identity.unwrap();
        let expected = WebIdentity {
            arn: "r".to_owned(),
            session_name: None,
            token: Token::File("/t".into()),
            policy: None,
            policy_arns: vec!["p".to_owned()],
            duration: Some(Duration::from_mins(20)),
        };
        assert_eq!(identity, expected);
        let both = given(&[(&arn, "r"), (&file, "/t"), (&token, "s3cret")]).target(None).unwrap_err();
        assert!(both.to_string().contains("one alone") && !both.to_string().contains("s3cret"), "{both}");
        let given_token = given(&[(&arn, "r"), (&token, "s3cret")]).target(None).unwrap().access;
        assert!(!format!("{given_token:?}").contains("s3cret"));
        let mut half = given(&[(&arn, "r")]);
        let missing = "assume_role_with_web_identity.web_identity_token_file";
        assert_eq!(half.target(None).unwrap_err(), TargetError::Missing(missing));
        half.read(|name| (name == "AWS_WEB_IDENTITY_TOKEN_FILE").then(|| "/env".to_owned()));
        assert_eq!(half.target(None).unwrap().access.web_identity.unwrap().token, Token::File("/env".into()));
    }

    #[test]
    fn what_is_no_role() {
        let computed = Err(TargetError::Computed("assume_role".to_owned()));
        let mut list = given(&[]);
        list.add(&[("assume_role".to_owned(), None)].into());
        assert_eq!(list.target(None).map(|_| ()), computed);
        for (pairs, part) in [
            (&[("assume_role.session_name", "s")][..], "no `assume_role.role_arn`"),
            (&[("assume_role", "{ role_arn = \"r\" }")], "from a file"),
            (&[("assume_role.role_arn", "r"), ("assume_role.duration", "soon")], "length of time"),
        ] {
            let error = given(pairs).target(None).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(given(&[("session_name", "s")]).target(None).unwrap().access.role, None);
    }
}
