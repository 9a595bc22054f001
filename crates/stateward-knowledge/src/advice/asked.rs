//! A refused request as policies see it.

use serde_json::{Value, json};
use stateward_denial::{Denial, Part, PrincipalType, Problem};
use stateward_iam::{Context, data};

/// What was asked for, complete enough to write a policy for it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The refused action first, and then those that are of no use without it.
    pub actions: Vec<String>,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// What the names begin with that were to be listed, where that is known.
    pub prefix: Option<String>,
    /// Who asked, where the text says so in an ARN that a policy can name.
    pub principal: Option<String>,
    /// The account of whoever asked, or else of the resource.
    pub account: String,
    /// `aws`, `aws-cn`, …
    pub partition: String,
}

/// Stands for whoever the text does not name.
const SOME_ACCOUNT: &str = "111122223333";

impl Asked {
    /// `None` where the text does not name the action, or not the resource that it needs, or may end within their names.
    pub fn of(problem: &Problem) -> Option<Self> {
        let denial = problem.denial.as_ref().filter(|denial| cut(denial).is_none())?;
        let action = action(denial)?;
        let known = data::action(&action);
        let principal = denial.principal.arn.clone().filter(|arn| is_whole_arn(arn));
        let partition = [&principal, &denial.resource]
            .into_iter()
            .flatten()
            .find_map(|arn| arn.strip_prefix("arn:")?.split(':').next())
            .unwrap_or("aws")
            .to_owned();
        let owner = denial.principal.account.clone().filter(|account| is_account(account));
        let named = match denial.resource.as_deref() {
            Some(resource) => resource_arn(resource, &action, owner.as_deref(), &partition),
            None => None,
        };
        let resource = match known {
            Some(action) if action.resources.is_empty() => "*".to_owned(),
            _ => named?,
        };
        let account = owner.or_else(|| account_of(&resource)).unwrap_or_else(|| SOME_ACCOUNT.to_owned());
        let actions = with_companions(problem, action, &resource);
        let prefix = denial.prefix.clone().filter(|_| denial.is_listing());
        Some(Self { actions, resource, prefix, principal, account, partition })
    }

    /// The service's prefix.
    pub(super) fn service(&self) -> &str {
        self.actions.first().and_then(|action| action.split(':').next()).unwrap_or_default()
    }

    /// Who asked, or somebody of the account.
    pub fn someone(&self) -> String {
        let unnamed = || format!("arn:{}:iam::{}:role/unnamed", self.partition, self.account);
        self.principal.clone().unwrap_or_else(unnamed)
    }

    /// What is known of the request beside who asks for what.
    pub(super) fn context(&self) -> Context {
        let mut context = Context::default();
        if let Some(prefix) = &self.prefix {
            context.value("s3:prefix", prefix.as_str());
        }
        context
    }

    /// Limits a statement for the request to what was asked for.
    pub(super) fn limit(&self, statement: &mut Value) {
        if let Some(prefix) = &self.prefix {
            statement["Condition"]["StringEquals"] = json!({"s3:prefix": literal(prefix)});
        }
    }

    /// The resource as a policy writes it: what is no wildcard in a key is escaped.
    pub fn pattern(&self) -> String {
        let key = self.resource.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4)?.split_once('/'));
        match key {
            Some((_, key)) if self.service() == "s3" && key.contains(['*', '?', '$']) => {
                let bucket = self.resource.len() - key.len();
                let escape = |c: char| match c {
                    '*' | '?' | '$' => format!("${{{c}}}"),
                    other => other.to_string(),
                };
                let key: String = key.chars().map(escape).collect();
                format!("{}{key}", self.resource.get(..bucket).unwrap_or_default())
            }
            _ => self.resource.clone(),
        }
    }
}

/// A value as a condition that compares it as it is writes it: with a `$` a variable may begin.
pub fn literal(value: &str) -> String {
    value.replace('$', "${$}")
}

/// The refused action as IAM spells it; where only the operation is known, the action that it needs.
pub fn action(denial: &Denial) -> Option<String> {
    let spelled = |name: &str| data::action(name).map(|action| format!("{}:{}", action.service, action.name));
    if let Some(action) = &denial.action {
        return Some(spelled(action).unwrap_or_else(|| action.clone()));
    }
    let (service, operation) = (denial.service.as_deref()?, denial.operation.as_deref()?);
    let name = match (service, operation) {
        ("s3", "HeadObject") => "GetObject",
        ("s3", "HeadBucket" | "ListObjects" | "ListObjectsV2") => "ListBucket",
        ("s3", "ListObjectVersions") => "ListBucketVersions",
        ("s3", "ListBuckets") => "ListAllMyBuckets",
        (
            "s3",
            "CreateMultipartUpload" | "UploadPart" | "UploadPartCopy" | "CompleteMultipartUpload" | "CopyObject",
        ) => "PutObject",
        ("s3", "DeleteObjects") => "DeleteObject",
        ("s3", "GetBucketEncryption") => "GetEncryptionConfiguration",
        ("s3", "PutBucketEncryption") => "PutEncryptionConfiguration",
        ("s3", "GetBucketLifecycleConfiguration") => "GetLifecycleConfiguration",
        ("s3", "PutBucketLifecycleConfiguration") => "PutLifecycleConfiguration",
        ("s3", "GetPublicAccessBlock") => "GetBucketPublicAccessBlock",
        ("s3", "PutPublicAccessBlock") => "PutBucketPublicAccessBlock",
        (_, operation) => operation,
    };
    spelled(&format!("{service}:{name}"))
}

/// The name of what was asked for behind which the text ends, so that there may be more of it.
pub(super) fn cut(denial: &Denial) -> Option<&str> {
    match denial.cut? {
        Part::Action => denial.action.as_deref(),
        Part::Resource => denial.resource.as_deref(),
        Part::Policy => None,
    }
}

/// The resource as an ARN that a policy can name.
fn resource_arn(resource: &str, action: &str, owner: Option<&str>, partition: &str) -> Option<String> {
    if resource == "*" || is_whole_arn(resource) {
        return Some(resource.to_owned());
    }
    // IAM names what it guards by its kind and name.
    let (kind, name) = resource.split_once(' ')?;
    let is_name = !name.is_empty() && !name.contains([' ', '/', '*', '<', ':']);
    let has_arn = action.starts_with("iam:") && matches!(kind, "role" | "user" | "group");
    (has_arn && is_name).then(|| Some(format!("arn:{partition}:iam::{}:{kind}/{name}", owner?))).flatten()
}

/// An ARN of six parts, whose account is not blacked out.
fn is_whole_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, _, service, region, account, resource] = parts.as_slice() else { return false };
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    *prefix == "arn"
        && !service.is_empty()
        && is_plain(region)
        && (account.is_empty() || is_account(account) || *account == "aws")
        && !resource.is_empty()
        && !resource.contains(['<', '>', '\u{fffd}'])
        && !resource.contains("**")
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The account that an ARN names.
pub(super) fn account_of(arn: &str) -> Option<String> {
    arn.split(':').nth(4).filter(|account| is_account(account)).map(str::to_owned)
}

/// Whoever may do the one thing of these and not the others leaves things half done: a lock that nobody can give back.
fn with_companions(problem: &Problem, action: String, resource: &str) -> Vec<String> {
    const SETS: &[&[&str]] = &[
        &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"],
        &["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
    ];
    let is_lock = problem.locking && action.starts_with("dynamodb:") || resource.ends_with(".tflock");
    let set = SETS.iter().find(|set| is_lock && set.contains(&action.as_str()));
    let mut actions = vec![action];
    for companion in set.copied().unwrap_or_default() {
        if actions.iter().all(|action| action != companion) {
            actions.push((*companion).to_owned());
        }
    }
    if actions.first().is_some_and(|action| action == "sts:TagSession") {
        actions.push("sts:AssumeRole".to_owned());
    }
    actions
}

/// Whether whoever asked can be given policies: services, the root user and strangers have none, and AWS alone changes those of
/// service-linked roles.
pub fn has_policies(denial: &Denial) -> bool {
    let kind = denial.principal.kind;
    let of_cloudfront = denial.principal.arn.as_deref().is_some_and(|arn| arn.contains("::cloudfront:"));
    !matches!(kind, PrincipalType::Service | PrincipalType::Anonymous | PrincipalType::Root)
        && !of_cloudfront
        && !is_service_linked(denial)
}

/// Whether a service of AWS made the role for itself.
pub(super) fn is_service_linked(denial: &Denial) -> bool {
    role_name(denial).is_some_and(|name| name.starts_with("AWSServiceRoleFor"))
}

/// The role of a session or of itself: its name. Roles of IAM Identity Center are told apart by theirs.
pub(super) fn role_name(denial: &Denial) -> Option<&str> {
    let resource = denial.principal.arn.as_deref()?.splitn(6, ':').nth(5)?;
    match denial.principal.kind {
        PrincipalType::AssumedRole => resource.split('/').nth(1),
        PrincipalType::Role => resource.rsplit('/').next(),
        _ => None,
    }
}

/// The permission set that IAM Identity Center made a role for.
pub(super) fn permission_set(denial: &Denial) -> Option<&str> {
    let name = role_name(denial)?.strip_prefix("AWSReservedSSO_")?;
    Some(name.rsplit_once('_').map_or(name, |(set, _)| set))
}
