//! Who asked: the many ways in which AWS writes a principal.

use serde::{Deserialize, Serialize};

/// Who asked. What the text does not give is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// The ARN, as the text has it.
    pub arn: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: PrincipalType,
    /// The account, 12 digits.
    pub account: Option<String>,
    /// The session's name, of an assumed role; the user's name, of a federated user.
    pub session: Option<String>,
    /// What the text has in place of an ARN.
    pub name: Option<String>,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalType {
    /// An IAM user.
    User,
    /// A session of a role.
    AssumedRole,
    /// A role itself.
    Role,
    /// The root user of an account.
    Root,
    /// A user federated by STS.
    FederatedUser,
    /// A service of AWS.
    Service,
    /// Nobody in particular: the request was not signed.
    Anonymous,
    /// The text does not say.
    #[default]
    Unknown,
}

impl Principal {
    /// Reads what stands behind `User:` in a message.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.starts_with("arn:") {
            return Self::from_arn(text);
        }
        let named = |kind, session: Option<&str>| Self {
            kind,
            name: Some(text.to_owned()),
            session: session.filter(|session| !session.is_empty()).map(str::to_owned),
            ..Self::default()
        };
        if text.is_empty() {
            return Self::default();
        }
        if text.eq_ignore_ascii_case("anonymous") {
            return Self { kind: PrincipalType::Anonymous, ..Self::default() };
        }
        if text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") {
            return named(PrincipalType::Service, None);
        }
        // Unique IDs: of a user, and of a role with a session's name behind it.
        match (text.get(..4), text.split_once(':')) {
            (Some("AROA"), Some((_, session))) => named(PrincipalType::AssumedRole, Some(session)),
            (Some("AROA"), None) => named(PrincipalType::Role, None),
            (Some("AIDA"), _) => named(PrincipalType::User, None),
            _ => named(PrincipalType::Unknown, None),
        }
    }

    /// Reads `arn:PARTITION:iam|sts::ACCOUNT:TYPE/…`; accounts may be masked or missing.
    pub(crate) fn from_arn(arn: &str) -> Self {
        let mut parts = arn.splitn(6, ':').skip(2);
        let service = parts.next().unwrap_or_default();
        let account = parts.nth(1).unwrap_or_default();
        let resource = parts.next().unwrap_or_default();
        let (kind, path) = resource.split_once('/').unwrap_or((resource, ""));
        let (kind, session) = match (service, kind) {
            (_, "root") => (PrincipalType::Root, None),
            // CloudFront's origin access identities stand where users stand, in an account that is none.
            ("iam", "user") if account == "cloudfront" => (PrincipalType::Service, None),
            ("iam" | "sts", "user") => (PrincipalType::User, None),
            ("iam", "role") => (PrincipalType::Role, None),
            ("sts", "assumed-role") => (PrincipalType::AssumedRole, path.split_once('/').map(|(_, session)| session)),
            ("sts", "federated-user") => (PrincipalType::FederatedUser, Some(path)),
            _ => (PrincipalType::Unknown, None),
        };
        Self {
            arn: Some(arn.to_owned()),
            kind,
            account: is_account(account).then(|| account.to_owned()),
            session: session.filter(|session| !session.is_empty()).map(str::to_owned),
            name: None,
        }
    }
}

/// Whether a text is the ID of an account.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, kind: PrincipalType, account: Option<&str>, session: Option<&str>) {
        let principal = Principal::parse(text);
        assert_eq!(
            (principal.kind, principal.account.as_deref(), principal.session.as_deref()),
            (kind, account, session),
            "{text}"
        );
        assert_eq!(principal.arn.is_some(), text.starts_with("arn:"), "{text}");
    }

    #[test]
    fn every_form_of_principal() {
        use PrincipalType::{AssumedRole, FederatedUser, Role, Root, Service, Unknown, User};
        let account = Some("111122223333");
        check("arn:aws:iam::111122223333:user/path/ci", User, account, None);
        check("arn:aws:sts::111122223333:user/MaryMajor", User, account, None);
        check("arn:aws-cn:iam::111122223333:role/HR", Role, account, None);
        check("arn:aws:sts::111122223333:assumed-role/ci/run-7", AssumedRole, account, Some("run-7"));
        check(
            "arn:aws:sts::111122223333:assumed-role/sso/ana=x@example.com",
            AssumedRole,
            account,
            Some("ana=x@example.com"),
        );
        check("arn:aws-us-gov:iam::111122223333:root", Root, account, None);
        check("arn:aws:sts::111122223333:federated-user/bo", FederatedUser, account, Some("bo"));
        check("arn:aws:sts::***:assumed-role/ci/run", AssumedRole, None, Some("run"));
        check("arn:aws:sts:::assumed-role/ci/run", AssumedRole, None, Some("run"));
        check("arn:aws:sts::111122223333:assumed-role/ci", AssumedRole, account, None);
        check("arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE", Service, None, None);
        check("arn:aws:iam::111122223333:oidc-provider/ci.example.com", Unknown, account, None);
        check("arn:aws", Unknown, None, None);
        check("cloudtrail.amazonaws.com", Service, None, None);
        check("AROAEXAMPLEID:run-7", AssumedRole, None, Some("run-7"));
        check("AIDAEXAMPLEID", User, None, None);
        check("<aws-role-arn>", Unknown, None, None);
    }

    #[test]
    fn nobody_has_no_name() {
        let anonymous = Principal { kind: PrincipalType::Anonymous, ..Principal::default() };
        assert_eq!(Principal::parse("anonymous"), anonymous);
        assert_eq!(Principal::parse("Anonymous"), anonymous);
        assert_eq!(Principal::parse(""), Principal::default());
    }
}
