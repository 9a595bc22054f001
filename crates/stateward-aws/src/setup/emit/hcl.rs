//! Terraform's language, laid out as `terraform fmt` does.

use std::fmt::Write as _;
use std::iter;

use serde_json::Value;

use super::unknown::{self, Unknown};

/// A value.
pub(super) enum Expression {
    Text(String),
    /// A reference, a number, a truth value.
    Plain(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// The value as JSON.
    Json(Box<Self>),
}

/// A block; the file is one without a head.
#[derive(Default)]
pub(super) struct Block {
    head: String,
    attributes: Vec<(String, Expression)>,
    blocks: Vec<Self>,
}

impl Expression {
    #[expect(clippy::needless_pass_by_value, reason = "it is called with literals")]
    pub(super) fn plain(text: impl ToString) -> Self {
        Self::Plain(text.to_string())
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(all) => Self::List(all.iter().map(Self::of).collect()),
            Value::Object(all) => Self::Object(all.iter().map(|(key, of)| (key.clone(), Self::of(of))).collect()),
            other => Self::plain(other),
        }
    }

    /// What JSON says, as a call that writes it as JSON.
    pub(super) fn json(value: &Value) -> Self {
        Self::Json(Box::new(Self::of(value)))
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Plain(text) => out.push_str(text),
            Self::Json(of) => {
                out.push_str("jsonencode(");
                of.write(out, depth);
                out.push(')');
            }
            Self::List(all) if all.len() < 2 && !all.iter().any(Self::is_long) => {
                out.push('[');
                all.iter().for_each(|one| one.write(out, depth));
                out.push(']');
            }
            Self::List(all) => {
                out.push_str("[\n");
                for one in all {
                    indent(out, depth + 1);
                    one.write(out, depth + 1);
                    out.push_str(",\n");
                }
                indent(out, depth);
                out.push(']');
            }
            Self::Object(all) => {
                out.push_str("{\n");
                let keys = all.iter().map(|(key, of)| (if is_name(key) { key.clone() } else { quoted(key) }, of));
                assignments(out, depth + 1, keys, false);
                indent(out, depth);
                out.push('}');
            }
        }
    }

    /// Whether it takes more than a line.
    fn is_long(&self) -> bool {
        match self {
            Self::Text(_) | Self::Plain(_) => false,
            Self::Json(of) => of.is_long(),
            Self::List(all) => all.len() > 1 || all.iter().any(Self::is_long),
            Self::Object(_) => true,
        }
    }
}

impl Block {
    pub(super) fn new(kind: &str, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| format!(" \"{label}\""));
        Self { head: iter::once(kind.to_owned()).chain(labels).collect(), ..Self::default() }
    }

    pub(super) fn text(self, name: &str, value: &str) -> Self {
        self.set(name, Expression::Text(value.to_owned()))
    }

    /// A reference, a number, a truth value.
    pub(super) fn plain(self, name: &str, value: impl ToString) -> Self {
        self.set(name, Expression::plain(value))
    }

    pub(super) fn set(mut self, name: &str, value: Expression) -> Self {
        self.attributes.push((name.to_owned(), value));
        self
    }

    pub(super) fn block(mut self, block: Self) -> Self {
        self.blocks.push(block);
        self
    }

    pub(super) fn blocks(mut self, blocks: impl IntoIterator<Item = Self>) -> Self {
        self.blocks.extend(blocks);
        self
    }

    pub(super) fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        indent(out, depth);
        out.push_str(&self.head);
        if self.attributes.is_empty() && self.blocks.is_empty() {
            out.push_str(" {}\n");
            return;
        }
        out.push_str(" {\n");
        assignments(out, depth + 1, self.attributes.iter().map(|(name, of)| (name.clone(), of)), true);
        for (place, block) in self.blocks.iter().enumerate() {
            if place > 0 || !self.attributes.is_empty() {
                out.push('\n');
            }
            block.write(out, depth + 1);
        }
        indent(out, depth);
        out.push_str("}\n");
    }
}

/// Lines that follow each other have their signs below each other; what is longer than a line stands by itself.
fn assignments<'a>(
    out: &mut String,
    depth: usize,
    all: impl Iterator<Item = (String, &'a Expression)>,
    is_spaced: bool,
) {
    let all: Vec<_> = all.collect();
    let groups = all.chunk_by(|(_, one), (_, other)| !one.is_long() && !other.is_long());
    for (place, group) in groups.enumerate() {
        if is_spaced && place > 0 {
            out.push('\n');
        }
        let width = group.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in group {
            indent(out, depth);
            // A `String` takes all that is written to it.
            let _ = write!(out, "{name:width$} = ");
            value.write(out, depth);
            out.push('\n');
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(iter::repeat_n("  ", depth));
}

fn is_name(key: &str) -> bool {
    // As the first word of an object `for` begins another expression.
    key != "for"
        && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|one| one.is_ascii_alphanumeric() || one == '_' || one == '-')
}

/// A string, in which references stand for what is not known; one by itself is no string.
fn quoted(text: &str) -> String {
    if let Some(of) = Unknown::ALL.into_iter().find(|of| of.is(text)) {
        return reference(of).to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 2);
    for one in text.chars() {
        match one {
            '"' | '\\' => escaped.extend(['\\', one]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            one => escaped.push(one),
        }
    }
    // Doubled, they begin no reference.
    let escaped = escaped.replace("${", "$${").replace("%{", "%%{");
    format!("\"{}\"", unknown::told(&escaped, |of| format!("${{{}}}", reference(of))))
}

fn reference(of: Unknown) -> &'static str {
    match of {
        Unknown::Account => "data.aws_caller_identity.current.account_id",
        Unknown::Partition => "data.aws_partition.current.partition",
        // What it is called in every version of the provider.
        Unknown::Region => "data.aws_region.current.id",
        Unknown::KeyId => "local.key_id",
    }
}
