//! From JSON to a scenario.

use std::fmt::Display;

use super::{Scenario, ScenarioError};
use crate::eval::{Named, PolicySet};
use crate::json::{Member, Node, Value};
use crate::policy::{Policy, PolicyKind};
use crate::request::{Context, Request};
use crate::size;

type Result<T> = std::result::Result<T, ScenarioError>;

const PARTS: &[&str] =
    &["request", "identity", "boundary", "session", "resource_policy", "scps", "rcps", "vpc_endpoint"];
const REQUEST_PARTS: &[&str] = &["principal", "action", "resource", "resource_account", "context", "unknown"];

pub(super) fn scenario(text: &str, node: &Node<'_>) -> Result<Scenario> {
    let members = object(node, "the scenario")?;
    let mut reader = Reader { text, notes: unknown_parts(members, PARTS, "a scenario")? };
    let asked = member(members, "request").ok_or_else(|| shape("request", "is missing"))?;
    let asked_members = object(asked, "request")?;
    reader.notes.extend(unknown_parts(asked_members, REQUEST_PARTS, "a request")?);
    let request = request(asked_members)?;
    let list = |name| member(members, name).map(|node| (node, name));
    let resource_kind = if request.assumes_role() { PolicyKind::Trust } else { PolicyKind::Resource };
    let policies = PolicySet {
        identity: reader.optional(list("identity"), PolicyKind::Identity)?.unwrap_or_default(),
        boundary: reader.optional(list("boundary"), PolicyKind::Boundary)?,
        session: reader.optional(list("session"), PolicyKind::Session)?,
        resource: match list("resource_policy") {
            Some((node, name)) => Some(reader.named(node, name, resource_kind)?),
            None => None,
        },
        scps: reader.levels(list("scps"), PolicyKind::Scp)?,
        rcps: reader.levels(list("rcps"), PolicyKind::Rcp)?,
        vpc_endpoint: reader.optional(list("vpc_endpoint"), PolicyKind::VpcEndpoint)?,
    };
    Ok(Scenario { request, policies, notes: reader.notes })
}

/// Paths are put into words only for an error.
fn shape(path: impl Display, problem: impl Into<String>) -> ScenarioError {
    ScenarioError::Shape { path: path.to_string(), problem: problem.into() }
}

fn wrong(node: &Node<'_>, path: impl Display, expected: &str) -> ScenarioError {
    shape(path, format!("must be {expected}, and is {}", node.value.kind()))
}

/// The value of a part; `null` is as good as nothing.
fn member<'m, 'a>(members: &'m [Member<'a>], name: &str) -> Option<&'m Node<'a>> {
    let found = members.iter().find(|member| member.key == name).map(|member| &member.node);
    found.filter(|node| node.value != Value::Null)
}

fn object<'m, 'a>(node: &'m Node<'a>, path: impl Display) -> Result<&'m [Member<'a>]> {
    match &node.value {
        Value::Object(members) => Ok(members),
        _ => Err(wrong(node, path, "an object")),
    }
}

fn array<'m, 'a>(node: &'m Node<'a>, path: impl Display) -> Result<&'m [Node<'a>]> {
    match &node.value {
        Value::Array(nodes) => Ok(nodes),
        _ => Err(wrong(node, path, "an array")),
    }
}

fn string<'m>(node: &'m Node<'_>, path: impl Display) -> Result<&'m str> {
    match &node.value {
        Value::String(text) => Ok(text),
        _ => Err(wrong(node, path, "a string")),
    }
}

/// What is said of parts that are none. One that may be meant for a part, or holds policies, must not be left out: what it says
/// could decide otherwise.
fn unknown_parts(members: &[Member<'_>], parts: &[&str], of: &str) -> Result<Vec<String>> {
    let unknown = members.iter().filter(|member| !parts.contains(&member.key.as_ref()));
    let tell = |member: &Member<'_>| {
        let key = member.key.as_ref();
        let meant = parts.iter().find(|part| is_near(key, part));
        match meant {
            Some(part) => Err(shape(key, format!("is no part of {of}: write `{part}`"))),
            None if holds_policies(&member.node) => {
                Err(shape(key, format!("is no part of {of}, which has {}", parts.join(", "))))
            }
            None => Ok(format!("`{key}` is no part of {of} and was left out")),
        }
    };
    unknown.map(tell).collect()
}

fn holds_policies(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Array(nodes) => nodes.iter().any(holds_policies),
        Value::Object(members) => members.iter().any(|member| matches!(member.key.as_ref(), "policy" | "Statement")),
        _ => false,
    }
}

/// Whether a name is another one, but for its case, its hyphens and at most two letters.
fn is_near(name: &str, part: &str) -> bool {
    const LONGEST: usize = 40;
    let plain = |text: &str| -> Vec<u8> {
        let letters = text.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' '));
        letters.map(|byte| byte.to_ascii_lowercase()).collect()
    };
    if name.len() > LONGEST {
        return false;
    }
    let (name, part) = (plain(name), plain(part));
    // How many letters must change, row by row.
    let mut row: Vec<usize> = (0..=part.len()).collect();
    for (number, letter) in name.iter().enumerate() {
        let mut corner = number;
        let mut left = number + 1;
        for (cost, other) in row.iter_mut().zip([None].into_iter().chain(part.iter().map(Some))) {
            let above = *cost;
            *cost = match other {
                None => left,
                Some(other) => (corner + usize::from(letter != other)).min(above + 1).min(left + 1),
            };
            left = *cost;
            corner = above;
        }
    }
    let most = if part.len() > 4 { 2 } else { 1 };
    row.last().is_some_and(|changed| *changed <= most)
}

fn request(members: &[Member<'_>]) -> Result<Request> {
    let required = |name: &str| {
        let node = member(members, name).ok_or_else(|| shape(format_args!("request.{name}"), "is missing"))?;
        string(node, format_args!("request.{name}"))
    };
    let account = match member(members, "resource_account") {
        Some(node) => Some(string(node, "request.resource_account")?),
        None => None,
    };
    let context = context(member(members, "context"), member(members, "unknown"))?;
    Ok(Request::new(required("principal")?, required("action")?, required("resource")?, account, context)?)
}

fn context(known: Option<&Node<'_>>, unknown: Option<&Node<'_>>) -> Result<Context> {
    let mut context = Context::default();
    let twice = |path: &str, key: &str| shape(path, format!("has the key `{key}` twice: keys do not tell case"));
    for member in known.map_or(Ok(&[][..]), |node| object(node, "request.context"))? {
        let path = format_args!("request.context.{}", member.key);
        let added = match &member.node.value {
            Value::Array(nodes) => {
                let values = nodes.iter().map(|node| scalar(node, path)).collect::<Result<_>>()?;
                context.values(&member.key, values)
            }
            _ => context.value(&member.key, scalar(&member.node, path)?),
        };
        if !added {
            return Err(twice("request.context", &member.key));
        }
    }
    for node in unknown.map_or(Ok(&[][..]), |node| array(node, "request.unknown"))? {
        let key = string(node, "request.unknown")?;
        if !context.unknown(key) {
            return Err(twice("request.unknown", key));
        }
    }
    Ok(context)
}

fn scalar(node: &Node<'_>, path: impl Display) -> Result<String> {
    match &node.value {
        Value::String(text) => Ok(text.to_string()),
        Value::Number(text) => Ok((*text).to_owned()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(wrong(node, path, "a string or an array of strings")),
    }
}

struct Reader<'t> {
    text: &'t str,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn optional(&mut self, list: Option<(&Node<'_>, &str)>, kind: PolicyKind) -> Result<Option<Vec<Named>>> {
        let Some((node, path)) = list else { return Ok(None) };
        self.list(node, path, kind).map(Some)
    }

    fn list(&mut self, node: &Node<'_>, path: impl Display, kind: PolicyKind) -> Result<Vec<Named>> {
        let nodes = array(node, &path)?.iter().enumerate();
        nodes.map(|(number, node)| self.named(node, format_args!("{path}[{number}]"), kind)).collect()
    }

    fn levels(&mut self, list: Option<(&Node<'_>, &str)>, kind: PolicyKind) -> Result<Option<Vec<Vec<Named>>>> {
        let Some((node, path)) = list else { return Ok(None) };
        let levels = array(node, path)?.iter().enumerate();
        levels
            .map(|(number, node)| self.list(node, format_args!("{path}[{number}]"), kind))
            .collect::<Result<_>>()
            .map(Some)
    }

    fn named(&mut self, node: &Node<'_>, path: impl Display, kind: PolicyKind) -> Result<Named> {
        let members = object(node, &path)?;
        let name = match member(members, "name") {
            Some(name) => string(name, format_args!("{path}.name"))?.to_owned(),
            None => path.to_string(),
        };
        let document = member(members, "policy").ok_or_else(|| shape(&path, "has no `policy`"))?;
        match Policy::from_node(self.text, document, kind) {
            Ok(policy) => {
                let large = size::too_large(&policy).map(|problem| format!("the policy `{name}` {problem}"));
                self.notes.extend(large);
                if kind == PolicyKind::Trust && policy.statements.iter().any(|statement| statement.resources.is_some())
                {
                    self.notes
                        .push(format!("the trust policy `{name}` has a `Resource`, which AWS does not take there"));
                }
                Ok(Named { name, policy })
            }
            Err(error) => Err(ScenarioError::Policy { path: path.to_string(), name, error: Box::new(error) }),
        }
    }
}
