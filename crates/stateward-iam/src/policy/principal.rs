//! `Principal` and `NotPrincipal`, and who makes a request.

use crate::value::arn::Segments;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// An account's root user.
    Root {
        /// Its ARN.
        arn: String,
    },
    /// An IAM user.
    User {
        /// Its ARN.
        arn: String,
    },
    /// A role, where the session is not named.
    Role {
        /// Its ARN.
        arn: String,
    },
    /// A session of a role.
    Session {
        /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
        arn: String,
    },
    /// A session of `GetFederationToken`.
    FederatedUser {
        /// `arn:aws:sts::ACCOUNT:federated-user/NAME`.
        arn: String,
    },
    /// Whoever an identity provider vouches for, before a role is assumed: a provider's ARN or name.
    Provider(String),
    /// An AWS service, such as `cloudtrail.amazonaws.com`.
    Service(String),
    /// Nobody in particular: the request is not signed.
    Anonymous,
}

impl Principal {
    /// Reads an ARN, the name of a service or provider, or `*` for an unsigned request.
    pub fn parse(text: &str) -> Option<Self> {
        let arn = || text.to_owned();
        if text == "*" {
            return Some(Self::Anonymous);
        }
        let Some(segments) = Segments::of(text).filter(|_| text.starts_with("arn:")) else {
            return host(text).then(|| {
                let service = text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn");
                if service { Self::Service(arn()) } else { Self::Provider(arn()) }
            });
        };
        if !is_account(segments.account()) || text.contains(['*', '?']) {
            return None;
        }
        let (kind, name) = segments.resource().split_once('/').unwrap_or((segments.resource(), ""));
        match (segments.service(), kind) {
            ("iam", "root") if name.is_empty() => Some(Self::Root { arn: arn() }),
            _ if name.is_empty() || name.ends_with('/') => None,
            ("iam", "user") => Some(Self::User { arn: arn() }),
            ("iam", "role") => Some(Self::Role { arn: arn() }),
            ("iam", "saml-provider" | "oidc-provider") => Some(Self::Provider(arn())),
            ("sts", "assumed-role") if name.contains('/') => Some(Self::Session { arn: arn() }),
            ("sts", "federated-user") => Some(Self::FederatedUser { arn: arn() }),
            _ => None,
        }
    }

    /// Its ARN, or the name of a service or provider; `*` for nobody.
    pub fn name(&self) -> &str {
        match self {
            Self::Root { arn }
            | Self::User { arn }
            | Self::Role { arn }
            | Self::Session { arn }
            | Self::FederatedUser { arn } => arn,
            Self::Provider(name) | Self::Service(name) => name,
            Self::Anonymous => "*",
        }
    }

    /// The account it belongs to; `None` for services, providers and nobody.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Provider(_) | Self::Service(_) | Self::Anonymous => None,
            other => Segments::of(other.name()).map(|segments| segments.account()),
        }
    }

    /// The role and its account, for a role and its sessions.
    pub(crate) fn role(&self) -> Option<(&str, &str)> {
        let segments = Segments::of(self.name())?;
        let name = match self {
            Self::Role { .. } => role_name(segments.resource())?,
            Self::Session { .. } => segments.resource().split('/').nth(1)?,
            _ => return None,
        };
        Some((name, segments.account()))
    }

    /// Whether an AWS service owns the role: organizations' policies do not apply to it.
    pub(crate) fn is_service_linked(&self) -> bool {
        match self {
            Self::Role { arn } => arn.contains(":role/aws-service-role/"),
            Self::Session { .. } => self.role().is_some_and(|(name, _)| name.starts_with("AWSServiceRoleFor")),
            _ => false,
        }
    }

    /// `aws:PrincipalType`.
    pub(crate) fn type_name(&self) -> Option<&'static str> {
        match self {
            Self::Root { .. } => Some("Account"),
            Self::User { .. } => Some("User"),
            Self::Role { .. } | Self::Session { .. } => Some("AssumedRole"),
            Self::FederatedUser { .. } => Some("FederatedUser"),
            Self::Anonymous => Some("Anonymous"),
            Self::Provider(_) | Self::Service(_) => None,
        }
    }

    /// `aws:PrincipalArn`: for a session its role, less the role's path, which a session does not tell.
    pub(crate) fn principal_arn(&self) -> Option<String> {
        match self {
            Self::Provider(_) | Self::Service(_) | Self::Anonymous => None,
            Self::Session { arn } => {
                let (name, account) = self.role()?;
                let partition = arn.split(':').nth(1)?;
                Some(format!("arn:{partition}:iam::{account}:role/{name}"))
            }
            other => Some(other.name().to_owned()),
        }
    }
}

fn host(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let name = text.split('/').next().unwrap_or_default();
    name.contains('.') && name.split('.').all(is_word) && !text.contains([' ', '*', '?'])
}

/// Twelve digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of `role/PATH/NAME`.
fn role_name(resource: &str) -> Option<&str> {
    resource.strip_prefix("role/")?.rsplit('/').next()
}

/// A value of a `Principal` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Everyone,
    Account(String),
    /// A user, session or federated user by its ARN.
    Exact(String),
    Role {
        name: String,
        account: String,
    },
    /// A service or an identity provider.
    Named(String),
    /// An ID that stands for a principal of AWS: no ARN matches it.
    Opaque(String),
}

/// How directly a policy of a resource grants; what else limits a request depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grant {
    /// To an account, which must grant it further.
    Account,
    /// To a role.
    Role,
    /// To whoever makes the request.
    Direct,
}

impl Entry {
    /// Reads a value of `AWS`.
    pub(crate) fn aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everyone);
        }
        if is_account(text) {
            return Some(Self::Account(text.to_owned()));
        }
        match Principal::parse(text) {
            Some(Principal::Root { .. }) => Some(Self::Account(Segments::of(text)?.account().to_owned())),
            Some(principal @ Principal::Role { .. }) => {
                let (name, account) = principal.role()?;
                Some(Self::Role { name: name.to_owned(), account: account.to_owned() })
            }
            Some(Principal::User { arn } | Principal::Session { arn } | Principal::FederatedUser { arn }) => {
                Some(Self::Exact(arn))
            }
            // What is left of a deleted user or role.
            None if text.len() > 4
                && text.starts_with('A')
                && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) =>
            {
                Some(Self::Opaque(text.to_owned()))
            }
            _ => None,
        }
    }

    fn grants(&self, principal: &Principal) -> Option<Grant> {
        match self {
            Self::Everyone => Some(Grant::Direct),
            Self::Account(account) => {
                let own = principal.account() == Some(account);
                let grant = if matches!(principal, Principal::Root { .. }) { Grant::Direct } else { Grant::Account };
                own.then_some(grant)
            }
            Self::Exact(arn) => (principal.name() == arn && principal.account().is_some()).then_some(Grant::Direct),
            Self::Role { name, account } => (principal.role() == Some((name, account))).then_some(Grant::Role),
            Self::Named(name) => {
                let named = matches!(principal, Principal::Service(own) | Principal::Provider(own) if own == name);
                named.then_some(Grant::Direct)
            }
            Self::Opaque(_) => None,
        }
    }
}

/// `Principal`, or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrincipalElement {
    pub(crate) negated: bool,
    /// Where it starts.
    pub(crate) at: usize,
    pub(crate) entries: Vec<Entry>,
}

impl PrincipalElement {
    /// The sessions of roles that it names.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Exact(arn) if arn.contains(":assumed-role/") => Some(arn.as_str()),
            _ => None,
        })
    }
}

/// Whether a principal is on the list of `NotPrincipal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// In all its forms: itself, its role, its account.
    Wholly,
    /// Itself, but not its role or its account: AWS says that this may not suffice.
    Partly,
    /// Its role or its account alone.
    Around,
    No,
}

impl PrincipalElement {
    /// The most direct grant; for `Principal`.
    pub(crate) fn grants(&self, principal: &Principal) -> Option<Grant> {
        self.entries.iter().filter_map(|entry| entry.grants(principal)).max()
    }

    /// For `NotPrincipal`.
    pub(crate) fn lists(&self, principal: &Principal) -> Listed {
        let has = |grant: Grant| self.entries.iter().any(|entry| entry.grants(principal) == Some(grant));
        let own = match principal {
            Principal::Role { .. } => has(Grant::Role) || has(Grant::Direct),
            _ => has(Grant::Direct),
        };
        let everyone = self.entries.contains(&Entry::Everyone);
        let needs_account = principal.account().is_some() && !matches!(principal, Principal::Root { .. });
        let account = !needs_account || has(Grant::Account);
        let role = !matches!(principal, Principal::Session { .. }) || has(Grant::Role);
        match own {
            true if everyone || account && role => Listed::Wholly,
            true => Listed::Partly,
            false if has(Grant::Account) || has(Grant::Role) => Listed::Around,
            false => Listed::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/ci/run";

    fn grant(entry: &str, principal: &str) -> Option<Grant> {
        Entry::aws(entry).expect(entry).grants(&Principal::parse(principal).expect(principal))
    }

    #[test]
    fn principals_are_told_apart() {
        for (text, expected) in [
            ("*", Some(None)),
            ("arn:aws:iam::111122223333:root", Some(Some("Account"))),
            ("arn:aws:iam::111122223333:user/a/b/ci", Some(Some("User"))),
            ("arn:aws:iam::111122223333:role/ci", Some(Some("AssumedRole"))),
            (SESSION, Some(Some("AssumedRole"))),
            ("arn:aws-cn:sts::111122223333:federated-user/bob", Some(Some("FederatedUser"))),
            ("cloudtrail.amazonaws.com", Some(None)),
            ("arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com", Some(None)),
            ("accounts.google.com", Some(None)),
            ("arn:aws:iam::111122223333:user/*", None),
            ("arn:aws:iam::1111:user/ci", None),
            ("arn:aws:iam::111122223333:user/", None),
            ("arn:aws:iam::111122223333:group/ci", None),
            ("arn:aws:sts::111122223333:assumed-role/ci", None),
            ("ci", None),
            ("", None),
        ] {
            let read = Principal::parse(text);
            assert_eq!(read.is_some(), expected.is_some(), "{text}");
            if let (Some(principal), Some(Some(kind))) = (read, expected) {
                assert_eq!(principal.type_name(), Some(kind), "{text}");
            }
        }
    }

    #[test]
    fn grants_are_as_direct_as_the_entry() {
        let role = "arn:aws:iam::111122223333:role/path/ci";
        for (entry, principal, expected) in [
            ("*", SESSION, Some(Grant::Direct)),
            ("111122223333", SESSION, Some(Grant::Account)),
            ("arn:aws:iam::111122223333:root", SESSION, Some(Grant::Account)),
            ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", Some(Grant::Direct)),
            (SESSION, SESSION, Some(Grant::Direct)),
            (role, SESSION, Some(Grant::Role)),
            (role, role, Some(Grant::Role)),
            (role, "arn:aws:sts::999922223333:assumed-role/ci/run", None),
            (SESSION, "arn:aws:sts::111122223333:assumed-role/ci/other", None),
            ("AROAEXAMPLEID", SESSION, None),
            ("111122223333", "cloudtrail.amazonaws.com", None),
        ] {
            assert_eq!(grant(entry, principal), expected, "{entry} {principal}");
        }
    }

    #[test]
    fn a_session_names_its_role_without_a_path() {
        let arn = |text: &str| Principal::parse(text).expect(text).principal_arn();
        assert_eq!(arn(SESSION).as_deref(), Some("arn:aws:iam::111122223333:role/ci"));
        assert_eq!(arn("cloudtrail.amazonaws.com"), None);
    }
}
