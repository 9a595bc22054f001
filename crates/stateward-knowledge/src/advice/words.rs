//! How things are called in sentences.

use std::borrow::Cow;

use stateward_denial::{Denial, Layer, Part, PrincipalType};

use super::asked::{action, permission_set, role_name};

/// Who asked.
pub(super) fn principal(denial: &Denial) -> String {
    let who = &denial.principal;
    let last = || who.arn.as_deref().and_then(|arn| arn.rsplit(['/', ':']).next());
    let named = |kind: &str, name: Option<&str>| match name {
        Some(name) => format!("the {kind} `{name}`"),
        None => format!("a {kind}"),
    };
    if let Some(set) = permission_set(denial) {
        return format!("the permission set `{set}`");
    }
    match who.kind {
        PrincipalType::User => named("user", last()),
        PrincipalType::AssumedRole | PrincipalType::Role => named("role", role_name(denial)),
        PrincipalType::Root => "the root user".to_owned(),
        PrincipalType::FederatedUser => named("federated user", last()),
        PrincipalType::Service => named("service", who.name.as_deref()),
        PrincipalType::Anonymous => "a request without a signature".to_owned(),
        PrincipalType::Unknown => match &who.name {
            Some(name) => format!("`{name}`"),
            None => "whoever asked".to_owned(),
        },
    }
}

/// What was to be done.
pub(super) fn asked(denial: &Denial) -> String {
    if let (Some(Part::Action), Some(action)) = (denial.cut, &denial.action) {
        return format!("{action}…");
    }
    action(denial)
        .or_else(|| denial.action.clone())
        .or_else(|| denial.operation.clone())
        .or_else(|| denial.service.as_ref().map(|service| format!("a request to {service}")))
        .unwrap_or_else(|| "a request".to_owned())
}

/// What it was to be done to: with the word before it, or nothing.
pub(super) fn on(denial: &Denial) -> String {
    match denial.resource.as_deref() {
        None | Some("*") => String::new(),
        Some(resource) if denial.cut == Some(Part::Resource) => format!(" on `{}…`", short(resource)),
        Some(resource) => format!(" on `{}`", short(resource)),
    }
}

/// An ARN less what is the same for all of an account.
pub(super) fn short(resource: &str) -> &str {
    match resource.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4)) {
        Some(own) if !own.is_empty() => own,
        _ => resource,
    }
}

/// A layer's policies.
pub(super) fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Identity => "the policies of the user or role",
        Layer::Resource => "the resource's own policy",
        Layer::Boundary => "the permissions boundary",
        Layer::Session => "the session policy",
        Layer::Scp => "a service control policy of the organization",
        Layer::Rcp => "a resource control policy of the organization",
        Layer::VpcEndpoint => "the policy of the VPC endpoint",
        Layer::Trust => "the role's trust policy",
        Layer::Kms => "the KMS key",
        Layer::S3BlockPublicAccess => "S3 Block Public Access",
        Layer::Unknown => "a layer that AWS does not name",
    }
}

/// Several, in a sentence.
pub(super) fn list(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// A word as a shell takes it whole.
pub(super) fn in_shell(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")).into(),
    }
}
