//! A policy document: what it says, compiled so that it can be asked about many requests.

pub(crate) mod condition;
mod error;
mod parse;
pub(crate) mod principal;

use std::fmt;
use std::sync::Arc;

pub use error::{PolicyError, PolicyErrorKind};

use crate::json;
use crate::value::arn::ResourcePattern;
use crate::value::template::Template;
use condition::Condition;
use principal::PrincipalElement;

/// What a policy is attached to; it decides which elements it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// Of a user, group or role.
    Identity,
    /// The permissions boundary of a user or role.
    Boundary,
    /// Passed when a session was made.
    Session,
    /// Of a resource: a bucket, a table, a key.
    Resource,
    /// Who may assume a role.
    Trust,
    /// A service control policy.
    Scp,
    /// A resource control policy.
    Rcp,
    /// Of a VPC endpoint.
    VpcEndpoint,
}

impl PolicyKind {
    /// What a document is, as far as its elements tell: what names principals is of a resource, or of a role where it
    /// names no resource. All else is taken for an identity policy.
    pub fn of(text: &str) -> Self {
        let Ok(node) = json::parse(text) else { return Self::Identity };
        let statements = match node.get("Statement") {
            Some(json::Node { value: json::Value::Array(nodes), .. }) => nodes.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        let any = |names: [&str; 2]| statements.iter().any(|node| names.iter().any(|name| node.get(name).is_some()));
        match (any(["Principal", "NotPrincipal"]), any(["Resource", "NotResource"])) {
            (false, _) => Self::Identity,
            (true, true) => Self::Resource,
            (true, false) => Self::Trust,
        }
    }

    /// Whether statements name principals.
    pub fn has_principals(self) -> bool {
        matches!(self, Self::Resource | Self::Trust | Self::Rcp | Self::VpcEndpoint)
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "an identity policy",
            Self::Boundary => "a permissions boundary",
            Self::Session => "a session policy",
            Self::Resource => "a resource policy",
            Self::Trust => "a trust policy",
            Self::Scp => "a service control policy",
            Self::Rcp => "a resource control policy",
            Self::VpcEndpoint => "a VPC endpoint policy",
        })
    }
}

/// The version of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// Also where none is named. `${…}` means itself.
    #[default]
    V2008,
    /// With variables.
    V2012,
}

/// What a statement does where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Effect {
    /// It grants.
    Allow,
    /// It refuses, whatever else grants.
    Deny,
}

/// A policy document.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) kind: PolicyKind,
    /// Of an endpoint: the service that it leads to; `None` where that is not told.
    pub(crate) service: Option<Box<str>>,
    pub(crate) version: Version,
    /// Shared by the copies of a policy, of which a proof makes many.
    pub(crate) statements: Arc<[Statement]>,
    /// Its characters less white space outside of strings, as AWS counts them.
    pub(crate) size: usize,
}

impl Policy {
    /// Reads a document that is one policy, as exactly as AWS does.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        let node = json::parse(text).map_err(PolicyError::json)?;
        Self::from_node(text, &node, kind)
    }

    pub(crate) fn from_node(text: &str, node: &json::Node<'_>, kind: PolicyKind) -> Result<Self, PolicyError> {
        parse::policy(text, node, kind)
    }

    /// What it is attached to.
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// Whether it has a say about requests to a service; that of an endpoint has it about one, where it is told which.
    pub fn counts_for(&self, service: &str) -> bool {
        self.service.as_deref().is_none_or(|own| own == service)
    }

    /// The version of the language it is written in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its statements, in order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Its size in characters, white space between its parts not counted.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// A statement of a policy.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Where it starts, in bytes of the document.
    pub(crate) at: usize,
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) principal: Option<PrincipalElement>,
    pub(crate) actions: ActionElement,
    pub(crate) resources: Option<ResourceElement>,
    pub(crate) conditions: Vec<Condition>,
}

impl Statement {
    /// `Sid`.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// `Effect`.
    pub fn effect(&self) -> Effect {
        self.effect
    }
}

/// `Action`, or `NotAction`.
#[derive(Debug, Clone)]
pub(crate) struct ActionElement {
    pub(crate) negated: bool,
    pub(crate) patterns: Vec<ActionPattern>,
}

#[derive(Debug, Clone)]
pub(crate) struct ActionPattern {
    pub(crate) at: usize,
    /// As it is written.
    pub(crate) source: String,
    /// In lower case.
    pub(crate) pattern: Template,
}

impl ActionElement {
    /// Whether it covers an action; its name in lower case.
    pub(crate) fn covers(&self, action: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.pattern.matches_plain(action)) != self.negated
    }
}

/// `Resource`, or `NotResource`.
#[derive(Debug, Clone)]
pub(crate) struct ResourceElement {
    pub(crate) negated: bool,
    pub(crate) patterns: Vec<(usize, ResourcePattern)>,
}
