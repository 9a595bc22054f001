//! Environments that keep their states beside each other in one bucket, and who works in each.

use std::collections::BTreeMap;

use stateward_iam::Principal;

use super::wanted::TAG;
use super::{ManagedPolicy, Wanted};

/// The tag of a policy or role that says whose it is: `BUCKET/ENVIRONMENT`. Names alone do not: those of `states-a` and `b` are those of
/// `states` and `a-b`.
const OF: &str = "stateward:environment";
/// As many characters as IAM lets a role's name have. Policies may have twice as many, which no name here reaches.
const LONGEST_ROLE: usize = 64;
/// Then the name of a policy is no longer than IAM lets it be, whatever the bucket is called.
const LONGEST: usize = 54;

/// An environment: all states below the prefix that is its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Who may take its role; it has none where nobody may.
    pub trusted: Vec<Trusted>,
}

/// Who may take a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trusted {
    /// An account, a user or a role, by its ARN.
    Principal(String),
    /// What an OIDC provider vouches for.
    Subject {
        /// The provider's ARN.
        provider: String,
        /// The subject of the token, in which `*` stands for anything.
        subject: String,
    },
}

/// Why names of environments, or of those who work there, are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// It would be no prefix, or mean something else in a policy.
    #[error(
        "`{0}` is no name of an environment: it has up to {LONGEST} letters, digits, `-`, `_` and `.`, and begins with a letter or a digit"
    )]
    Name(String),
    /// IAM does not tell capitals from small letters.
    #[error("two environments are called `{0}`, and IAM does not tell capital letters from small ones")]
    Twice(String),
    /// IAM takes no such name.
    #[error("the role of `{environment}` would be called `{role}`, and IAM takes {LONGEST_ROLE} characters")]
    TooLong {
        /// The environment.
        environment: String,
        /// The role.
        role: String,
    },
    /// Not somebody who can be trusted.
    #[error(
        "`{0}` is neither the ARN of an account (`…:root`), a user or a role, nor that of an OIDC provider with a subject"
    )]
    Principal(String),
    /// Everybody who has an account at the provider would be let in.
    #[error("without a subject `{0}` would vouch for whoever has an account there")]
    NoSubject(String),
    /// It stands for nobody, or for whom nobody can tell.
    #[error(
        "`{subject}` is no subject of {provider}: it begins or ends with a blank, or has a `$` or a control character"
    )]
    Subject {
        /// The provider.
        provider: String,
        /// What was given.
        subject: String,
    },
    /// Others than its owner could have such a subject.
    #[error("`{subject}` stands for subjects of others too, at {provider}")]
    AnyOwner {
        /// The provider.
        provider: String,
        /// What was given.
        subject: String,
    },
    /// Trust in an environment that there is none of.
    #[error("there is no environment `{0}`")]
    Unknown(String),
}

impl Environment {
    /// Environments in a bucket, by their names. Who is trusted is told as `[ENVIRONMENT=]ARN[#SUBJECT]`: in all of them where none is
    /// named.
    ///
    /// # Errors
    ///
    /// A name that makes no sense.
    pub fn all(bucket: &str, names: &[String], trusted: &[String]) -> Result<Vec<Self>, EnvironmentError> {
        let mut all: Vec<Self> = Vec::new();
        for name in names {
            if !is_name(name) {
                return Err(EnvironmentError::Name(name.clone()));
            }
            if all.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
                return Err(EnvironmentError::Twice(name.clone()));
            }
            all.push(Self { name: name.clone(), trusted: Vec::new() });
        }
        for told in trusted {
            let (of, who) = match told.split_once('=') {
                Some((of, who)) if !of.contains(':') => (Some(of), who),
                _ => (None, told.as_str()),
            };
            let who = Trusted::parse(who)?;
            let mut meant = all.iter_mut().filter(|one| of.is_none_or(|of| of == one.name)).peekable();
            if let (None, Some(of)) = (meant.peek(), of) {
                return Err(EnvironmentError::Unknown(of.to_owned()));
            }
            meant.filter(|one| !one.trusted.contains(&who)).for_each(|one| one.trusted.push(who.clone()));
        }
        for one in all.iter().filter(|one| one.has_role()) {
            let role = one.access(bucket);
            if role.len() > LONGEST_ROLE {
                return Err(EnvironmentError::TooLong { environment: one.name.clone(), role });
            }
        }
        Ok(all)
    }

    /// Whether there is a role for whoever works there.
    pub fn has_role(&self) -> bool {
        !self.trusted.is_empty()
    }

    /// Whether somebody takes the role with credentials of AWS, and not with a provider's token alone.
    pub fn is_assumed(&self) -> bool {
        self.trusted.iter().any(|trusted| matches!(trusted, Trusted::Principal(_)))
    }

    /// What its policy and its role are called.
    pub(super) fn access(&self, bucket: &str) -> String {
        format!("stateward-{bucket}-{}", self.name)
    }

    /// The tags of its policy and its role.
    pub(super) fn tags(&self, wanted: &Wanted, bucket: &str) -> BTreeMap<String, String> {
        let mut tags = wanted.all_tags();
        tags.insert(OF.to_owned(), self.tag(bucket));
        tags
    }

    /// Whether a set-up of this environment made what has these tags.
    pub(super) fn is_maker(&self, bucket: &str, tags: &BTreeMap<String, String>) -> bool {
        let is = |key: &str, value: &str| tags.get(key).is_some_and(|found| found == value);
        is(TAG.0, TAG.1) && is(OF, &self.tag(bucket))
    }

    /// Whether its set-up, or a stack that it wrote, made this policy. Where tags say whose it is they decide.
    pub(super) fn is_maker_of(&self, bucket: &str, ManagedPolicy { tags, description, .. }: &ManagedPolicy) -> bool {
        let says_nothing = [TAG.0, OF].iter().all(|key| !tags.contains_key(*key));
        self.is_maker(bucket, tags) || says_nothing && *description == self.description(bucket)
    }

    /// What its policy says it is for, and whose it is: `CloudFormation` gives policies no tags, and nobody can change a description.
    pub(super) fn description(&self, bucket: &str) -> String {
        format!("Plan, apply and open locks of Terraform state, in one environment. {OF}={}", self.tag(bucket))
    }

    fn tag(&self, bucket: &str) -> String {
        format!("{bucket}/{}", self.name)
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= LONGEST && name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(allowed)
}

/// Whether what stands before any wildcard is somebody's: `repo:OWNER/`, `organization:NAME:`. At GitHub an organization chooses how the
/// subjects of its own begin.
fn names_an_owner(provider: &str, subject: &str) -> bool {
    let fixed = subject.split(['*', '?']).next().unwrap_or_default();
    match provider.ends_with("/token.actions.githubusercontent.com") {
        _ if fixed.len() == subject.len() => true,
        true => fixed.starts_with("repo:") && fixed.contains('/'),
        false => fixed.contains('/') || fixed.matches(':').count() > 1,
    }
}

/// Blanks are in names of environments and projects: `project:Default Project`. With a `$` begins what IAM puts something else in place of.
fn is_subject(subject: &str) -> bool {
    subject.trim() == subject && !subject.contains('$') && !subject.chars().any(char::is_control)
}

impl Trusted {
    fn parse(text: &str) -> Result<Self, EnvironmentError> {
        let (arn, subject) = text.split_once('#').map_or((text, None), |(arn, subject)| (arn, Some(subject)));
        match (Principal::parse(arn), subject) {
            (Some(Principal::Root { arn } | Principal::User { arn } | Principal::Role { arn }), None)
                if !arn.contains(['$', ' ']) =>
            {
                Ok(Self::Principal(arn))
            }
            (Some(Principal::Provider(provider)), subject) if provider.contains(":oidc-provider/") => {
                let subject = subject.unwrap_or_default().to_owned();
                if subject.trim().is_empty() {
                    Err(EnvironmentError::NoSubject(provider))
                } else if !is_subject(&subject) {
                    Err(EnvironmentError::Subject { provider, subject })
                } else if !names_an_owner(&provider, &subject) {
                    Err(EnvironmentError::AnyOwner { provider, subject })
                } else {
                    Ok(Self::Subject { provider, subject })
                }
            }
            _ => Err(EnvironmentError::Principal(text.to_owned())),
        }
    }

    /// The partition of the account that it is of: `aws`, `aws-cn`.
    pub(super) fn partition(&self) -> &str {
        let (Self::Principal(arn) | Self::Subject { provider: arn, .. }) = self;
        arn.split(':').nth(1).unwrap_or_default()
    }

    /// As it is told, and as it is told of.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Principal(arn) => arn.clone(),
            Self::Subject { provider, subject } => format!("{provider}#{subject}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "arn:aws:iam::111122223333:root";
    const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

    fn all(names: &[&str], trusted: &[&str]) -> Result<Vec<Environment>, EnvironmentError> {
        let [names, trusted] = [names, trusted].map(|all| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        Environment::all("acme-states", &names, &trusted)
    }

    #[test]
    fn names_are_prefixes_and_names_of_iam() {
        for name in ["dev", "Dev-2", "eu.prod_1", "1"] {
            assert!(all(&[name], &[]).is_ok(), "{name}");
        }
        let long = "e".repeat(LONGEST + 1);
        for name in ["", "-dev", ".stateward", "env:", "a/b", "dev*", "d v", "dév", "${x}", long.as_str()] {
            assert_eq!(all(&[name], &[]), Err(EnvironmentError::Name(name.to_owned())));
        }
        assert_eq!(all(&["dev", "DEV"], &[]), Err(EnvironmentError::Twice("DEV".to_owned())));
    }

    #[test]
    fn a_role_has_a_name_that_iam_takes() {
        // `stateward-acme-states-` and so many more.
        let (fits, long) = ("e".repeat(42), "e".repeat(43));
        assert!(all(&[&fits], &[ROOT]).is_ok());
        assert!(matches!(all(&[&long], &[ROOT]), Err(EnvironmentError::TooLong { role, .. }) if role.len() == 65));
        assert!(all(&[&long], &[]).is_ok(), "a policy may have a longer name than a role");
    }

    #[test]
    fn who_is_trusted_where() {
        let environments = all(&["dev", "prod"], &[ROOT, "prod=arn:aws:iam::444455556666:role/ci", ROOT]).expect("two");
        let names: Vec<Vec<String>> =
            environments.iter().map(|one| one.trusted.iter().map(Trusted::name).collect()).collect();
        assert_eq!(names, [vec![ROOT], vec![ROOT, "arn:aws:iam::444455556666:role/ci"]]);
        assert_eq!(all(&["dev"], &[&format!("test={ROOT}")]), Err(EnvironmentError::Unknown("test".to_owned())));
    }

    #[test]
    fn a_provider_vouches_for_a_subject() {
        let subject = format!("dev={GITHUB}#repo:acme/infra:environment:dev");
        let environments = all(&["dev", "prod"], &[&subject]).expect("two");
        let trusted =
            Trusted::Subject { provider: GITHUB.to_owned(), subject: "repo:acme/infra:environment:dev".to_owned() };
        assert_eq!(environments[0].trusted, [trusted]);
        assert_eq!((environments[0].has_role(), environments[0].is_assumed()), (true, false));
        assert!(!environments[1].has_role());
        for subject in ["", "#", "# "] {
            let told = format!("{GITHUB}{subject}");
            assert_eq!(all(&["dev"], &[&told]), Err(EnvironmentError::NoSubject(GITHUB.to_owned())), "{told}");
        }
        for subject in ["*", "*:ref:main", "repo:*", "r?*", "repo:acme*", "environment:prod:*", "ref:refs/heads/main:*"]
        {
            let told = format!("{GITHUB}#{subject}");
            let refused = EnvironmentError::AnyOwner { provider: GITHUB.to_owned(), subject: subject.to_owned() };
            assert_eq!(all(&["dev"], &[&told]), Err(refused), "{told}");
        }
        for subject in ["${x}*", "repo:acme/${x}", "repo:acme/infra ", " repo:acme/infra", "repo:acme/a\tb"] {
            let told = format!("{GITHUB}#{subject}");
            let refused = EnvironmentError::Subject { provider: GITHUB.to_owned(), subject: subject.to_owned() };
            assert_eq!(all(&["dev"], &[&told]), Err(refused), "{told}");
        }
        let other = "arn:aws:iam::111122223333:oidc-provider/app.terraform.io";
        for (provider, subject) in [
            (GITHUB, "repo:acme/*"),
            (GITHUB, "repo:acme/infra:ref:refs/heads/main"),
            (GITHUB, "repo:acme/infra:environment:East and West"),
            (other, "organization:acme:*"),
            (other, "organization:acme:project:Default Project:workspace:net:run_phase:*"),
            (other, "1234"),
        ] {
            assert!(all(&["dev"], &[&format!("{provider}#{subject}")]).is_ok(), "{subject}");
        }
    }

    #[test]
    fn nobody_else_is_trusted() {
        for who in [
            "*",
            "111122223333",
            "ec2.amazonaws.com",
            "arn:aws:sts::111122223333:assumed-role/ci/run",
            "arn:aws:iam::111122223333:saml-provider/okta",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam::111122223333:role/x${aws:username}",
            "arn:aws:iam::111122223333:root#x",
        ] {
            assert_eq!(all(&["dev"], &[who]), Err(EnvironmentError::Principal(who.to_owned())));
        }
    }
}
