//! The policies of an account as `aws iam get-account-authorization-details` prints them.

use crate::eval::{Named, PolicySet};
use crate::json::{self, JsonError, Node, Value};
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

/// Whether a text looks like the details of an account, and not like a policy.
pub fn is_account_details(text: &str) -> bool {
    let lists = ["UserDetailList", "RoleDetailList", "GroupDetailList"];
    json::parse(text).is_ok_and(|node| lists.iter().any(|list| node.get(list).is_some()))
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
        let own = entry.string("Arn").and_then(Principal::parse);
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
        let is_group = |entry: &&Node<'_>| entry.string("GroupName") == Some(name);
        let group = details.list("GroupDetailList")?.iter().find(is_group);
        let group = group.ok_or_else(|| AccountError::NotThere(name.to_string()))?;
        identity.extend(details.of(group, "GroupPolicyList")?);
    }
    let boundary = match entry.get("PermissionsBoundary") {
        Some(boundary) => {
            let arn = boundary.string("PermissionsBoundaryArn");
            let arn = arn.ok_or(AccountError::Shape("PermissionsBoundaryArn"))?;
            Some(vec![details.managed(arn, PolicyKind::Boundary)?])
        }
        None => None,
    };
    Ok(PolicySet { identity, boundary, ..PolicySet::default() })
}

/// The items of a list that may be left out.
fn items<'n, 't>(node: &'n Node<'t>, name: &str) -> &'n [Node<'t>] {
    match node.get(name).map(|node| &node.value) {
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
        match self.node.get(name).map(|node| &node.value) {
            Some(Value::Array(nodes)) => Ok(nodes),
            _ => Err(AccountError::Shape(name)),
        }
    }

    /// The inline policies of a user, role or group, and those attached to it.
    fn of(&self, entry: &Node<'_>, inline: &'static str) -> Result<Vec<Named>> {
        let mut policies = Vec::new();
        for policy in items(entry, inline) {
            let name = policy.string("PolicyName").ok_or(AccountError::Shape("PolicyName"))?;
            let document = policy.get("PolicyDocument").ok_or(AccountError::Shape("PolicyDocument"))?;
            policies.push(self.policy(name, document, PolicyKind::Identity)?);
        }
        for attached in items(entry, "AttachedManagedPolicies") {
            let arn = attached.string("PolicyArn").ok_or(AccountError::Shape("PolicyArn"))?;
            policies.push(self.managed(arn, PolicyKind::Identity)?);
        }
        Ok(policies)
    }

    /// The version of a managed policy that is in force.
    fn managed(&self, arn: &str, kind: PolicyKind) -> Result<Named> {
        let not_there = || AccountError::NotThere(arn.to_owned());
        let is_own = |entry: &&Node<'_>| entry.string("Arn") == Some(arn);
        let policy = self.list("Policies")?.iter().find(is_own).ok_or_else(not_there)?;
        let in_force =
            |version: &&Node<'_>| version.get("IsDefaultVersion").is_some_and(|node| node.value == Value::Bool(true));
        let version = items(policy, "PolicyVersionList").iter().find(in_force).ok_or_else(not_there)?;
        self.policy(arn, version.get("Document").ok_or(AccountError::Shape("Document"))?, kind)
    }

    fn policy(&self, name: &str, document: &Node<'_>, kind: PolicyKind) -> Result<Named> {
        match Policy::from_printed(self.text, document, kind) {
            Ok(policy) => Ok(Named { name: name.to_owned(), policy }),
            Err(error) => Err(AccountError::Policy { name: name.to_owned(), error: Box::new(error) }),
        }
    }
}
