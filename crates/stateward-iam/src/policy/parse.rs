//! From JSON to a policy. What AWS would refuse to store is refused here.

use std::fmt;

use memchr::{memchr, memchr2};

use super::condition::Condition;
use super::principal::{Entry, PrincipalElement};
use super::{ActionElement, ActionPattern, Effect, Policy, PolicyError, PolicyErrorKind, PolicyKind, ResourceElement};
use super::{Statement, Version};
use crate::json::{Member, Node, Value};
use crate::place::Place;
use crate::value::arn::ResourcePattern;
use crate::value::template::{Syntax, Template};

type Result<T> = std::result::Result<T, PolicyError>;

const POLICY_ELEMENTS: &[&str] = &["Version", "Id", "Statement"];
const STATEMENT_ELEMENTS: &[&str] =
    &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

pub(super) fn policy(text: &str, node: &Node<'_>, kind: PolicyKind) -> Result<Policy> {
    let reader = Reader { text, kind, version: Version::default() };
    let members = reader.object(node, &DOCUMENT, "a policy, which is an object")?;
    reader.only(members, POLICY_ELEMENTS, &DOCUMENT)?;
    let version = reader.version(member(members, "Version"))?;
    let reader = Reader { version, ..reader };
    if let Some(id) = member(members, "Id") {
        reader.string(&id.node, &Path::Element(&DOCUMENT, "Id"))?;
    }
    let Some(element) = member(members, "Statement") else {
        return Err(reader.error(node.at, &DOCUMENT, PolicyErrorKind::Missing("Statement")));
    };
    let list = Path::Element(&DOCUMENT, "Statement");
    let statements = match &element.node.value {
        Value::Array(nodes) => {
            let one = |(number, node)| reader.statement(node, &Path::Item(&list, number));
            nodes.iter().enumerate().map(one).collect::<Result<_>>()?
        }
        _ => [reader.statement(&element.node, &list)?].into(),
    };
    let size = size(text.get(node.at..node.end).unwrap_or_default());
    Ok(Policy { kind, service: None, version, statements, size })
}

/// Characters less white space outside of strings.
fn size(text: &str) -> usize {
    let mut spaces = 0;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (between, string) = rest.split_at(memchr(b'"', rest).unwrap_or(rest.len()));
        spaces += between.iter().filter(|byte| byte.is_ascii_whitespace()).count();
        rest = string.get(string_length(string)..).unwrap_or_default();
    }
    text.chars().count() - spaces
}

/// The length of the string, with its quotes, that a text starts with; 0 for an empty text.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        match text.get(at) {
            Some(b'"') => return at + 1,
            _ => at += 2,
        }
    }
    text.len()
}

fn member<'m, 'a>(members: &'m [Member<'a>], name: &str) -> Option<&'m Member<'a>> {
    members.iter().find(|member| member.key == name)
}

/// Where the reader is, put into words only for an error.
#[derive(Clone, Copy)]
enum Path<'p> {
    Document,
    Element(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => Ok(()),
            Self::Element(Self::Document, name) => f.write_str(name),
            Self::Element(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, number) => write!(f, "{parent}[{number}]"),
        }
    }
}

const DOCUMENT: Path<'static> = Path::Document;

struct Reader<'t> {
    text: &'t str,
    kind: PolicyKind,
    version: Version,
}

impl Reader<'_> {
    fn error(&self, at: usize, path: &Path<'_>, kind: PolicyErrorKind) -> PolicyError {
        PolicyError { place: Place::of(self.text, at), path: path.to_string(), kind }
    }

    fn wrong<T>(&self, node: &Node<'_>, path: &Path<'_>, expected: &'static str) -> Result<T> {
        let kind = PolicyErrorKind::Type { expected, found: node.value.kind() };
        Err(self.error(node.at, path, kind))
    }

    fn object<'m, 'a>(&self, node: &'m Node<'a>, path: &Path<'_>, expected: &'static str) -> Result<&'m [Member<'a>]> {
        match &node.value {
            Value::Object(members) => Ok(members),
            _ => self.wrong(node, path, expected),
        }
    }

    fn string<'m>(&self, node: &'m Node<'_>, path: &Path<'_>) -> Result<&'m str> {
        match &node.value {
            Value::String(text) => Ok(text),
            _ => self.wrong(node, path, "a string"),
        }
    }

    /// A string, or an array of strings.
    fn strings<'m, 'a>(&self, node: &'m Node<'a>, path: &Path<'_>) -> Result<Vec<(&'m Node<'a>, &'m str)>> {
        match &node.value {
            Value::String(text) => Ok(vec![(node, text)]),
            Value::Array(nodes) => nodes.iter().map(|node| Ok((node, self.string(node, path)?))).collect(),
            _ => self.wrong(node, path, "a string or an array of strings"),
        }
    }

    fn only(&self, members: &[Member<'_>], elements: &'static [&'static str], path: &Path<'_>) -> Result<()> {
        match members.iter().find(|member| !elements.contains(&member.key.as_ref())) {
            None => Ok(()),
            Some(member) => {
                let meant = elements.iter().find(|element| element.eq_ignore_ascii_case(&member.key)).copied();
                let kind = PolicyErrorKind::UnknownElement { meant };
                Err(self.error(member.at, &Path::Element(path, &member.key), kind))
            }
        }
    }

    fn version(&self, element: Option<&Member<'_>>) -> Result<Version> {
        let Some(element) = element else { return Ok(Version::V2008) };
        let path = Path::Element(&DOCUMENT, "Version");
        match self.string(&element.node, &path)? {
            "2012-10-17" => Ok(Version::V2012),
            "2008-10-17" => Ok(Version::V2008),
            _ => Err(self.error(element.node.at, &path, PolicyErrorKind::Version)),
        }
    }

    /// One of two elements that exclude each other, and whether it is the second.
    fn either<'m, 'a>(
        &self,
        members: &'m [Member<'a>],
        (plain, negated): (&'static str, &'static str),
        path: &Path<'_>,
    ) -> Result<Option<(bool, &'m Member<'a>)>> {
        match (member(members, plain), member(members, negated)) {
            (Some(_), Some(second)) => Err(self.error(second.at, path, PolicyErrorKind::Both(plain, negated))),
            (Some(element), None) => Ok(Some((false, element))),
            (None, Some(element)) => Ok(Some((true, element))),
            (None, None) => Ok(None),
        }
    }

    fn statement(&self, node: &Node<'_>, path: &Path<'_>) -> Result<Statement> {
        let members = self.object(node, path, "a statement, which is an object")?;
        self.only(members, STATEMENT_ELEMENTS, path)?;
        let missing = |what| self.error(node.at, path, PolicyErrorKind::Missing(what));
        let sid = match member(members, "Sid") {
            Some(sid) => Some(self.string(&sid.node, &Path::Element(path, "Sid"))?.to_owned()),
            None => None,
        };
        let effect = member(members, "Effect").ok_or_else(|| missing("Effect"))?;
        let effect = match self.string(&effect.node, &Path::Element(path, "Effect"))? {
            "Allow" => Effect::Allow,
            "Deny" => Effect::Deny,
            _ => return Err(self.error(effect.node.at, &Path::Element(path, "Effect"), PolicyErrorKind::Effect)),
        };
        let action = self.either(members, ("Action", "NotAction"), path)?;
        let (negated, element) = action.ok_or_else(|| missing("Action"))?;
        let actions = self.actions(negated, element, path)?;
        let resources = match self.either(members, ("Resource", "NotResource"), path)? {
            Some((negated, element)) => Some(self.resources(negated, element, path)?),
            None if self.kind == PolicyKind::Trust => None,
            None => return Err(missing("Resource")),
        };
        let principal = self.principal(members, node, path)?;
        let conditions = match member(members, "Condition") {
            Some(element) => self.conditions(&element.node, &Path::Element(path, "Condition"))?,
            None => Vec::new(),
        };
        Ok(Statement { at: node.at, sid, effect, principal, actions, resources, conditions })
    }

    fn actions(&self, negated: bool, element: &Member<'_>, path: &Path<'_>) -> Result<ActionElement> {
        let path = Path::Element(path, &element.key);
        let one = |(node, text): (&Node<'_>, &str)| {
            if !is_action(text) {
                return Err(self.error(node.at, &path, PolicyErrorKind::Action(text.to_owned())));
            }
            let syntax = Syntax { wildcards: true, variables: false };
            let pattern = Template::compile(&text.to_ascii_lowercase(), syntax);
            Ok(ActionPattern { at: node.at, source: text.to_owned(), pattern })
        };
        let patterns = self.strings(&element.node, &path)?.into_iter().map(one).collect::<Result<_>>()?;
        Ok(ActionElement { negated, patterns })
    }

    fn resources(&self, negated: bool, element: &Member<'_>, path: &Path<'_>) -> Result<ResourceElement> {
        let path = Path::Element(path, &element.key);
        let one = |(node, text): (&Node<'_>, &str)| {
            let everything = !text.is_empty() && text.bytes().all(|byte| byte == b'*');
            if !everything && !text.starts_with("arn:") {
                return Err(self.error(node.at, &path, PolicyErrorKind::Resource(text.to_owned())));
            }
            Ok((node.at, ResourcePattern::compile(text, self.version == Version::V2012)))
        };
        let patterns = self.strings(&element.node, &path)?.into_iter().map(one).collect::<Result<_>>()?;
        Ok(ResourceElement { negated, patterns })
    }

    fn principal(&self, members: &[Member<'_>], node: &Node<'_>, path: &Path<'_>) -> Result<Option<PrincipalElement>> {
        let found = self.either(members, ("Principal", "NotPrincipal"), path)?;
        let Some((negated, element)) = found else {
            let missing = self.error(node.at, path, PolicyErrorKind::Missing("Principal"));
            return if self.kind.has_principals() { Err(missing) } else { Ok(None) };
        };
        let element_name = if negated { "NotPrincipal" } else { "Principal" };
        if !self.kind.has_principals() || negated && self.kind == PolicyKind::Trust {
            let kind = PolicyErrorKind::NotAllowed { element: element_name, kind: self.kind };
            return Err(self.error(element.at, path, kind));
        }
        let path = Path::Element(path, element_name);
        let entries = match &element.node.value {
            Value::String(text) if text == "*" => vec![Entry::Everyone],
            Value::String(text) => {
                return Err(self.error(element.node.at, &path, PolicyErrorKind::Principal(text.to_string())));
            }
            _ => self.entries(&element.node, &path)?,
        };
        Ok(Some(PrincipalElement { negated, at: element.at, entries }))
    }

    fn entries(&self, node: &Node<'_>, path: &Path<'_>) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for member in self.object(node, path, "`*` or an object")? {
            let path = Path::Element(path, &member.key);
            for (node, text) in self.strings(&member.node, &path)? {
                let entry = match member.key.as_ref() {
                    "AWS" => Entry::aws(text),
                    "Service" | "Federated" => (!text.is_empty()).then(|| Entry::Named(text.to_owned())),
                    // Not in AWS's grammar of policies, and taken all the same: Terragrunt writes it.
                    "*" => (text == "*").then_some(Entry::Everyone),
                    "CanonicalUser" => Some(Entry::Opaque(text.to_owned())),
                    _ => return Err(self.error(member.at, &path, PolicyErrorKind::PrincipalType)),
                };
                let wrong = || self.error(node.at, &path, PolicyErrorKind::Principal(text.to_owned()));
                entries.push(entry.ok_or_else(wrong)?);
            }
        }
        Ok(entries)
    }

    fn conditions(&self, node: &Node<'_>, path: &Path<'_>) -> Result<Vec<Condition>> {
        let mut conditions = Vec::new();
        for operator in self.object(node, path, "an object of operators")? {
            let path = Path::Element(path, &operator.key);
            for key in self.object(&operator.node, &path, "an object of condition keys")? {
                let values = self.values(&key.node, &Path::Element(&path, &key.key))?;
                let variables = self.version == Version::V2012;
                conditions.push(Condition::new(key.at, &operator.key, &key.key, values, variables));
            }
        }
        Ok(conditions)
    }

    fn values(&self, node: &Node<'_>, path: &Path<'_>) -> Result<Vec<String>> {
        match &node.value {
            Value::Array(nodes) => nodes.iter().map(|node| self.scalar(node, path)).collect(),
            _ => Ok(vec![self.scalar(node, path)?]),
        }
    }

    fn scalar(&self, node: &Node<'_>, path: &Path<'_>) -> Result<String> {
        match &node.value {
            Value::String(text) => Ok(text.to_string()),
            Value::Number(text) => Ok((*text).to_owned()),
            Value::Bool(value) => Ok(value.to_string()),
            _ => self.wrong(node, path, "a string, a number or a boolean"),
        }
    }
}

/// `*`, `*:*`, or a service's prefix, a colon and a pattern.
fn is_action(text: &str) -> bool {
    let Some((service, name)) = text.split_once(':') else { return text == "*" };
    let is_word = |word: &str, also: &[u8]| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
    };
    (service == "*" && name == "*") || is_word(service, b"-") && is_word(name, b"*?-_")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::size;

    /// Right at a glance: one byte after the other.
    fn twin(text: &str) -> usize {
        let (mut in_string, mut escaped, mut size) = (false, false, 0);
        for character in text.chars() {
            size += usize::from(in_string || !character.is_ascii_whitespace());
            if !in_string {
                in_string = character == '"';
            } else if !escaped && character == '"' {
                in_string = false;
            }
            escaped = in_string && !escaped && character == '\\';
        }
        size
    }

    proptest! {
        #[test]
        fn sizes_are_those_of_a_naive_twin(text in r#"( |\n|é|\{|:|"( |x|é|\\"|\\\\|\\n)*"){0,12}"#) {
            prop_assert_eq!(size(&text), twin(&text), "{}", text);
        }
    }

    #[test]
    fn white_space_counts_within_strings_only() {
        assert_eq!(size("{ \"a b\" :\n[\"\\\" \\\\\", \"é \"] }"), "{\"a b\":[\"\\\" \\\\\",\"é \"]}".chars().count());
    }
}
