//! The configuration in a plan file. `show -json` leaves out locals, conditions, checks and `replace_triggered_by`; they are
//! read from here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::structure::{Block, BlockLabel, Body};
use hcl_edit::visit::{self, Visit};

use crate::address::push_quoted;

/// The references of a block: `x.y["k"].z`, `local.a`, `module.m[0].o`. Names that `for` and `dynamic` bind are among them;
/// `[*]` stands for a key that is not a literal.
pub(super) type References = BTreeSet<String>;

/// All modules by the path of their calls, joined by dots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sources {
    modules: BTreeMap<String, Source>,
}

/// A module as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Whether there is a file that was not understood, such as one in JSON.
    pub(super) partial: bool,
    /// `x.y`, `data.x.y`, `ephemeral.x.y`, `local.a`, `output.o`, `module.m`, `variable.v`, `provider.p` or `check.c`, and what
    /// the block refers to.
    pub(super) blocks: BTreeMap<String, References>,
    /// What the conditions of a block refer to, by its name.
    pub(super) conditions: BTreeMap<String, References>,
}

impl Sources {
    /// A module; nothing where the plan holds no file of it.
    pub(super) fn module(&self, path: &str) -> Option<&Source> {
        self.modules.get(path)
    }

    /// All modules with their paths.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.modules.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// Adds a file of a module.
    pub(super) fn add(&mut self, module: &str, file: &str, text: &str) {
        let source = self.modules.entry(module.to_owned()).or_default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if [".tf", ".tofu"].iter().any(|end| file.ends_with(end)) {
            match text.parse::<Body>() {
                Ok(body) => source.add(&body),
                Err(_) => source.partial = true,
            }
        } else {
            source.partial |= !is_described(text);
        }
    }

    /// Adds a file that is not text.
    pub(super) fn add_unreadable(&mut self, module: &str) {
        self.modules.entry(module.to_owned()).or_default().partial = true;
    }
}

impl Source {
    fn add(&mut self, body: &Body) {
        body.blocks().for_each(|block| self.add_block(block));
    }

    fn add_block(&mut self, block: &Block) {
        let labels: Vec<&str> = block.labels.iter().map(BlockLabel::as_str).collect();
        let name = match (block.ident.as_str(), labels.as_slice()) {
            ("locals", []) => {
                for local in block.body.attributes() {
                    let references = self.blocks.entry(format!("local.{}", local.key.as_str())).or_default();
                    collect(references, |collector| collector.visit_expr(&local.value));
                }
                return;
            }
            ("resource", [kind, name]) => format!("{kind}.{name}"),
            (mode @ ("data" | "ephemeral"), [kind, name]) => format!("{mode}.{kind}.{name}"),
            (kind @ ("output" | "module" | "variable" | "provider" | "check"), [name]) => format!("{kind}.{name}"),
            // The others are done with when the plan is made.
            ("terraform" | "moved" | "import" | "removed" | "action", _) => return,
            // Of a later Terraform: nobody knows what it may refer to.
            _ => {
                self.partial = true;
                return;
            }
        };
        // A data source within a check is one of the module.
        if name.starts_with("check.") {
            block.body.get_blocks("data").for_each(|data| self.add_block(data));
        }
        for condition in conditions(&name, block) {
            collect(self.conditions.entry(name.clone()).or_default(), |collector| {
                collector.visit_body(&condition.body);
            });
        }
        collect(self.blocks.entry(name).or_default(), |collector| collector.visit_body(&block.body));
    }
}

/// Whether all that a file in JSON may refer to is in what `show -json` says.
fn is_described(text: &str) -> bool {
    let file: Result<serde_json::Map<_, _>, _> = serde_json::from_str(text);
    file.is_ok_and(|file| file.keys().all(|block| matches!(block.as_str(), "//" | "terraform" | "provider")))
}

/// The blocks in a block that hold its conditions; a check is one itself.
fn conditions<'a>(name: &str, block: &'a Block) -> Vec<&'a Block> {
    if name.starts_with("check.") {
        return vec![block];
    }
    let lifecycles = block.body.get_blocks("lifecycle").map(|lifecycle| &lifecycle.body);
    let bodies: Vec<&Body> = lifecycles.chain([&block.body]).collect();
    let kinds = ["precondition", "postcondition", "validation"];
    bodies.into_iter().flat_map(|body| kinds.map(|kind| body.get_blocks(kind))).flatten().collect()
}

fn collect(references: &mut References, visit: impl FnOnce(&mut Collector<'_>)) {
    visit(&mut Collector { references });
}

struct Collector<'a> {
    references: &'a mut References,
}

impl Visit for Collector<'_> {
    fn visit_traversal(&mut self, node: &Traversal) {
        if let Expression::Variable(name) = &node.expr {
            let mut text = name.as_str().to_owned();
            node.operators.iter().for_each(|operator| push_operator(&mut text, operator.value()));
            self.references.insert(text);
        }
        visit::visit_traversal(self, node);
    }
}

fn push_operator(text: &mut String, operator: &TraversalOperator) {
    match operator {
        TraversalOperator::GetAttr(name) => {
            text.push('.');
            text.push_str(name.as_str());
        }
        TraversalOperator::Index(Expression::String(key)) => {
            text.push('[');
            push_quoted(text, key.value());
            text.push(']');
        }
        TraversalOperator::Index(Expression::Number(key)) if key.value().is_u64() => {
            // Writing to a string cannot fail.
            let _ = write!(text, "[{}]", key.value());
        }
        TraversalOperator::LegacyIndex(key) => {
            let _ = write!(text, "[{}]", key.value());
        }
        TraversalOperator::Index(_) | TraversalOperator::FullSplat(_) | TraversalOperator::AttrSplat(_) => {
            text.push_str("[*]");
        }
    }
}
