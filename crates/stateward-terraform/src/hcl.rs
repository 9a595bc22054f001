//! Reading the parts of a configuration file in HCL's own syntax that say where its state is kept, and what an apply of it needs. Pure:
//! nothing is evaluated.

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey, Traversal, TraversalOperator};
use hcl_edit::structure::{Block, Body};
use hcl_edit::template::Element;
use hcl_edit::visit::{self, Visit};

use crate::backend::{Arguments, Backend, Ephemeral};
use crate::s3_arguments::{Complaint, Entry, Written, complaints};

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Said {
    /// Its backend and cloud blocks.
    pub(crate) backends: Vec<Found>,
    /// The line of the first mention of `terraform.workspace`.
    pub(crate) workspace: Option<usize>,
    /// The line of its block that encrypts what `OpenTofu` stores.
    pub(crate) encryption: Option<usize>,
    /// Its ephemeral variables.
    pub(crate) ephemeral: Vec<Ephemeral>,
}

/// A backend or cloud block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) backend: Backend,
    pub(crate) line: usize,
    /// For which Terraform refuses it.
    pub(crate) complaints: Vec<Complaint>,
}

/// Reads a file.
pub(crate) fn read(text: &str) -> Result<Said, String> {
    let body = parse(text)?;
    let line = |span: Option<std::ops::Range<usize>>| span.map_or(1, |span| line_of(text, span.start));
    let settings = || body.get_blocks("terraform").flat_map(|block| block.body.blocks());
    let found = |block: &Block| {
        let backend = backend(block)?;
        let entries = if backend.kind() == Some("s3") { entries(text, &block.body) } else { Vec::new() };
        Some(Found { backend, line: line(block.ident.span()), complaints: complaints(&entries) })
    };
    let backends = settings().filter_map(found).collect();
    let encryption =
        settings().find(|block| block.ident.as_str() == "encryption").map(|block| line(block.ident.span()));
    let ephemeral = body.get_blocks("variable").filter_map(ephemeral).collect();
    let mut mentions = Mentions::default();
    mentions.visit_body(&body);
    Ok(Said { backends, workspace: mentions.first.map(|at| line_of(text, at)), encryption, ephemeral })
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// What stands in a block, with its lines.
fn entries(text: &str, body: &Body) -> Vec<Entry> {
    let line = |span: Option<std::ops::Range<usize>>| span.map_or(1, |span| line_of(text, span.start));
    let attributes = body.attributes().map(|attribute| Entry {
        name: attribute.key.as_str().to_owned(),
        line: line(attribute.key.span()),
        value: written(text, &attribute.value),
    });
    let blocks = body.blocks().map(|block| Entry {
        name: block.ident.as_str().to_owned(),
        line: line(block.ident.span()),
        value: Written::Block,
    });
    let mut all: Vec<Entry> = attributes.chain(blocks).collect();
    all.sort_by_key(|entry| entry.line);
    all
}

fn written(text: &str, value: &Expression) -> Written {
    match value {
        Expression::Null(_) => Written::Null,
        Expression::String(_) | Expression::HeredocTemplate(_) if let Some(text) = literal(value) => {
            Written::Text(text)
        }
        Expression::Parenthesis(inner) => written(text, inner.inner()),
        Expression::Bool(_) => Written::Flag,
        Expression::Number(_) => Written::Number,
        Expression::Array(items) => Written::List(items.iter().map(|item| written(text, item)).collect()),
        Expression::Object(object) => {
            let entry = |(key, value): (&ObjectKey, &hcl_edit::expr::ObjectValue)| {
                let (name, span) = match key {
                    ObjectKey::Ident(key) => (Some(key.as_str().to_owned()), key.span()),
                    ObjectKey::Expression(key) => (literal(key), key.span()),
                };
                let line = span.map_or(1, |span| line_of(text, span.start));
                Some(Entry { name: name?, line, value: written(text, value.expr()) })
            };
            Written::Object(object.iter().filter_map(entry).collect())
        }
        _ => Written::Open,
    }
}

fn backend(block: &Block) -> Option<Backend> {
    let label = block.labels.first().map(|label| label.as_str().to_owned());
    match (block.ident.as_str(), label) {
        ("backend", Some(kind)) => Some(Backend::Block { kind, arguments: arguments(&block.body) }),
        ("cloud", None) => Some(Backend::Cloud { arguments: arguments(&block.body) }),
        _ => None,
    }
}

fn ephemeral(block: &Block) -> Option<Ephemeral> {
    let is_ephemeral = block.body.get_attribute("ephemeral").and_then(|attribute| literal(&attribute.value))?;
    let name = block.labels.first()?.as_str().to_owned();
    (is_ephemeral == "true").then(|| Ephemeral { name, has_default: block.body.has_attribute("default") })
}

/// Reads a file of arguments alone, as `-backend-config` takes it.
pub(crate) fn settings(text: &str) -> Result<Arguments, String> {
    Ok(arguments(&parse(text)?))
}

/// The line of the first block of a name.
pub(crate) fn block(text: &str, name: &str) -> Option<usize> {
    let body = parse(text).ok()?;
    let found = body.get_blocks(name).next()?;
    Some(found.ident.span().map_or(1, |span| line_of(text, span.start)))
}

/// The names that a file of values gives some to, as `-var-file` takes it.
pub(crate) fn names(text: &str) -> Result<Vec<String>, String> {
    Ok(parse(text)?.attributes().map(|attribute| attribute.key.as_str().to_owned()).collect())
}

/// Terraform passes over a byte order mark; here blanks stand for it, so that what stands where stays true.
pub(crate) fn parse(text: &str) -> Result<Body, String> {
    let blank = text.strip_prefix('\u{feff}').map(|rest| format!("   {rest}"));
    hcl_edit::parser::parse_body(blank.as_deref().unwrap_or(text)).map_err(|error| {
        match open_string(text, error.location().line()) {
            // The parser finds that only where the next line does not fit.
            Some(line) => format!("line {line}: a string is not closed"),
            None => format!("line {}: {}", error.location().line(), error.message()),
        }
    })
}

/// The first line, up to this one, whose end lies within a string. What an interpolation holds is passed over.
fn open_string(text: &str, last: usize) -> Option<usize> {
    let mut until: Option<&str> = None;
    for (at, line) in text.lines().take(last).enumerate() {
        if let Some(end) = until {
            until = Some(end).filter(|end| line.trim() != *end);
            continue;
        }
        let (mut is_open, mut depth, mut before) = (false, 0_u32, ' ');
        for sign in line.chars() {
            match (is_open, sign) {
                (false, '#') => break,
                (false, '/') if before == '/' => break,
                (true, '{') if matches!(before, '$' | '%') => depth += 1,
                (true, '}') if depth > 0 => depth -= 1,
                (_, '"') if depth == 0 && before != '\\' => is_open = !is_open,
                _ => {}
            }
            before = if (before, sign) == ('\\', '\\') { ' ' } else { sign };
        }
        if is_open && depth == 0 {
            return Some(at + 1);
        }
        let here = line
            .split_once("<<")
            .filter(|(head, _)| !head.contains('"'))
            .map(|(_, end)| end.trim_start_matches('-').trim());
        until = here.filter(|end| !end.is_empty());
    }
    None
}

/// Attributes by their names, those of blocks and objects within as `block.name`. `null` is as good as not there.
fn arguments(body: &Body) -> Arguments {
    let named = |prefix: &str, body: &Body| -> Vec<(String, Option<String>)> {
        body.attributes()
            .flat_map(|attribute| values(&format!("{prefix}{}", attribute.key.as_str()), &attribute.value))
            .collect()
    };
    let inner = body.blocks().flat_map(|block| named(&format!("{}.", block.ident.as_str()), &block.body));
    named("", body).into_iter().chain(inner).collect()
}

/// An attribute; those of an object each by itself, texts in a list as `name.0` and so on.
fn values(name: &str, value: &Expression) -> Vec<(String, Option<String>)> {
    match value {
        Expression::Null(_) => Vec::new(),
        Expression::Object(object) => {
            let inner = object.iter().filter_map(|(key, value)| {
                let key = match key {
                    ObjectKey::Ident(key) => Some(key.as_str().to_owned()),
                    ObjectKey::Expression(key) => literal(key),
                };
                Some((format!("{name}.{}", key?), value.expr()))
            });
            inner.flat_map(|(name, value)| values(&name, value)).collect()
        }
        Expression::Array(items) if items.iter().all(|item| matches!(item, Expression::String(_))) => {
            items.iter().enumerate().map(|(at, item)| (format!("{name}.{at}"), literal(item))).collect()
        }
        value => vec![(name.to_owned(), literal(value))],
    }
}

fn literal(value: &Expression) -> Option<String> {
    match value {
        Expression::String(text) => Some(text.value().clone()),
        Expression::Parenthesis(inner) => literal(inner.inner()),
        Expression::HeredocTemplate(heredoc) => {
            let literals = heredoc.template.iter().map(|element| match element {
                Element::Literal(text) => Some(text.as_str()),
                // Computed.
                _ => None,
            });
            literals.collect()
        }
        Expression::Bool(flag) => Some(flag.value().to_string()),
        Expression::Number(number) => Some(number.value().to_string()),
        _ => None,
    }
}

/// Finds `terraform.workspace`.
#[derive(Default)]
struct Mentions {
    first: Option<usize>,
}

impl Visit for Mentions {
    fn visit_traversal(&mut self, traversal: &Traversal) {
        let of_terraform = matches!(&traversal.expr, Expression::Variable(name) if name.as_str() == "terraform");
        let workspace = traversal.operators.first().is_some_and(
            |operator| matches!(operator.value(), TraversalOperator::GetAttr(name) if name.as_str() == "workspace"),
        );
        if of_terraform && workspace && self.first.is_none() {
            self.first = traversal.span().map(|span| span.start).or(Some(0));
        }
        visit::visit_traversal(self, traversal);
    }
}
