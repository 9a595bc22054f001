//! The policies of an account as `aws iam get-account-authorization-details` prints them.

use crate::eval::{Named, PolicySet};
use crate::json::{self, JsonError, Member, Node, Value};
use crate::policy::principal::Principal;
use crate::policy::{Policy, PolicyError, PolicyKind};

type Result<T> = std::result::Result<T, AccountError>;

/// Why the details of an account do not tell a principal's policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Not JSON.
    #[error("the account's details are not valid JSON: {0}")]
    Json(#[from] JsonError),
    /// Not what AWS prints.
    #[error("the account's details have no `{0}` where AWS prints it")]
    Shape(&'static str),
    /// No user or role of this ARN.
    #[error("`{0}` is no user or role of these details: is it of another account, or were the details filtered?")]
    NoPrincipal(String),
    /// A policy or group is attached, and is not there.
    #[error("`{0}` is attached and not in the details: print them again without `--filter`")]
    NotThere(String),
    /// A policy cannot be read.
    #[error("the policy `{name}` is malformed: {error}")]
    Policy {
        /// Its name or ARN.
        name: String,
        /// What is wrong; places are in the details, or in the policy where that is one encoded string.
        error: Box<PolicyError>,
    },
}

/// Finds the policies of a user, of a role, or of a session's role: its own, its groups', and its boundary.
pub fn account_policies(text: &str, principal: &str) -> Result<PolicySet> {
    let node = json::parse(text)?;
    let details = Details { text, node: &node };
    let none = || AccountError::NoPrincipal(principal.to_owned());
    let who = Principal::parse(principal).ok_or_else(none)?;
    let (list, policies) = match &who {
        Principal::User { .. } => ("UserDetailList", "UserPolicyList"),
        Principal::Role { .. } | Principal::Session { .. } => ("RoleDetailList", "RolePolicyList"),
        _ => return Err(none()),
    };
    let is_own = |entry: &&Node<'_>| {
        let own = string(entry, "Arn").and_then(Principal::parse);
        // A session's ARN does not tell the path of its role.
        own.is_some_and(|own| match &who {
            Principal::Session { .. } => own.role() == who.role(),
            _ => own == who,
        })
    };
    let entry = details.list(list)?.iter().find(is_own).ok_or_else(none)?;
    let mut identity = details.of(entry, policies)?;
    for group in items(entry, "GroupList") {
        let Value::String(name) = &group.value else { return Err(AccountError::Shape("GroupList")) };
        let is_group = |entry: &&Node<'_>| string(entry, "GroupName") == Some(name);
        let group = details.list("GroupDetailList")?.iter().find(is_group);
        let group = group.ok_or_else(|| AccountError::NotThere(name.to_string()))?;
        identity.extend(details.of(group, "GroupPolicyList")?);
    }
    let boundary = match get(entry, "PermissionsBoundary") {
        Some(boundary) => {
            let arn = string(boundary, "PermissionsBoundaryArn");
            let arn = arn.ok_or(AccountError::Shape("PermissionsBoundaryArn"))?;
            Some(vec![details.managed(arn, PolicyKind::Boundary)?])
        }
        None => None,
    };
    Ok(PolicySet { identity, boundary, ..PolicySet::default() })
}

fn members<'n, 't>(node: &'n Node<'t>) -> &'n [Member<'t>] {
    match &node.value {
        Value::Object(members) => members,
        _ => &[],
    }
}

fn get<'n, 't>(node: &'n Node<'t>, name: &str) -> Option<&'n Node<'t>> {
    let member = members(node).iter().find(|member| member.key == name)?;
    Some(&member.node).filter(|node| node.value != Value::Null)
}

fn string<'n>(node: &'n Node<'_>, name: &str) -> Option<&'n str> {
    match &get(node, name)?.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The items of a list that may be left out.
fn items<'n, 't>(node: &'n Node<'t>, name: &str) -> &'n [Node<'t>] {
    match get(node, name).map(|node| &node.value) {
        Some(Value::Array(nodes)) => nodes,
        _ => &[],
    }
}

struct Details<'n, 't> {
    text: &'t str,
    node: &'n Node<'t>,
}

impl<'n, 't> Details<'n, 't> {
    fn list(&self, name: &'static str) -> Result<&'n [Node<'t>]> {
        match get(self.node, name).map(|node| &node.value) {
            Some(Value::Array(nodes)) => Ok(nodes),
            _ => Err(AccountError::Shape(name)),
        }
    }

    /// The inline policies of a user, role or group, and those attached to it.
    fn of(&self, entry: &Node<'_>, inline: &'static str) -> Result<Vec<Named>> {
        let mut policies = Vec::new();
        for policy in items(entry, inline) {
            let name = string(policy, "PolicyName").ok_or(AccountError::Shape("PolicyName"))?;
            let document = get(policy, "PolicyDocument").ok_or(AccountError::Shape("PolicyDocument"))?;
            policies.push(self.policy(name, document, PolicyKind::Identity)?);
        }
        for attached in items(entry, "AttachedManagedPolicies") {
            let arn = string(attached, "PolicyArn").ok_or(AccountError::Shape("PolicyArn"))?;
            policies.push(self.managed(arn, PolicyKind::Identity)?);
        }
        Ok(policies)
    }

    /// The version of a managed policy that is in force.
    fn managed(&self, arn: &str, kind: PolicyKind) -> Result<Named> {
        let not_there = || AccountError::NotThere(arn.to_owned());
        let is_own = |entry: &&Node<'_>| string(entry, "Arn") == Some(arn);
        let policy = self.list("Policies")?.iter().find(is_own).ok_or_else(not_there)?;
        let in_force =
            |version: &&Node<'_>| get(version, "IsDefaultVersion").is_some_and(|node| node.value == Value::Bool(true));
        let version = items(policy, "PolicyVersionList").iter().find(in_force).ok_or_else(not_there)?;
        self.policy(arn, get(version, "Document").ok_or(AccountError::Shape("Document"))?, kind)
    }

    /// The command line prints documents as JSON; the service sends them percent-encoded.
    fn policy(&self, name: &str, document: &Node<'_>, kind: PolicyKind) -> Result<Named> {
        let policy = match &document.value {
            Value::String(encoded) => Policy::parse(&decode(encoded), kind),
            _ => Policy::from_node(self.text, document, kind),
        };
        match policy {
            Ok(policy) => Ok(Named { name: name.to_owned(), policy }),
            Err(error) => Err(AccountError::Policy { name: name.to_owned(), error: Box::new(error) }),
        }
    }
}

/// Percent-decoded; what is no escape stays, so that the JSON reader complains about it.
fn decode(text: &str) -> String {
    let digit =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
