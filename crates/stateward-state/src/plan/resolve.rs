//! What the written parts of a plan refer to. References are followed until they reach a managed resource: through locals,
//! variables, outputs of modules, and data sources, whose values are made anew by each plan.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::place::{Call, Place, Places, Step, split_module, steps};
use super::source::{References, Source, Sources};

/// A module of the configuration as `show -json` describes it.
#[derive(Debug, Default)]
struct Module {
    /// `x.y`, `data.x.y`, `output.o` or `module.m`, and what the block refers to.
    blocks: HashMap<String, Described>,
    /// By `module.m` and the name of the variable.
    arguments: HashMap<(String, String), Vec<String>>,
    outputs: Vec<String>,
}

#[derive(Debug, Default)]
struct Described {
    references: Vec<String>,
    depends_on: Vec<String>,
    /// `provider_config_key`.
    provider: Option<String>,
}

#[derive(Debug)]
struct Provider {
    /// Where it is configured.
    module: Vec<Call>,
    references: Vec<String>,
}

/// Something of a module instance that is evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Node {
    /// A block or a local, named as in [`Source::blocks`].
    Block(String),
    Variable(String),
    /// By its key in the description; of the module that configures it.
    Provider(String),
    Outputs,
    /// What decides which instances of a module there are: `module.m`.
    Expansion(String),
    /// What all of a module waits for: `module.m`.
    Waits(String),
    /// Cannot be told: all of the module, and what it is given.
    Everything,
}

type Work = (Vec<Call>, Node);

/// Follows references from what is written.
pub(super) struct Resolver<'a> {
    modules: BTreeMap<String, Module>,
    providers: HashMap<String, Provider>,
    sources: &'a Sources,
    seen: HashSet<Work>,
    todo: Vec<Work>,
    read: Places,
}

/// The key of a module in [`Sources`].
fn path(module: &[Call]) -> String {
    module.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(".")
}

impl<'a> Resolver<'a> {
    pub(super) fn new(configuration: &Value, sources: &'a Sources) -> Self {
        let mut modules = BTreeMap::new();
        describe(configuration.get("root_module").unwrap_or(&Value::Null), &mut Vec::new(), &mut modules);
        let configs = configuration.get("provider_config").and_then(Value::as_object).into_iter().flatten();
        let providers = configs.map(|(key, config)| {
            let address = config.get("module_address").and_then(Value::as_str).unwrap_or_default();
            let steps = steps(address).unwrap_or_default();
            let mut references = Vec::new();
            collect(config, &mut references);
            (key.clone(), Provider { module: split_module(&steps).0, references })
        });
        Self {
            modules,
            providers: providers.collect(),
            sources,
            seen: HashSet::new(),
            todo: Vec::new(),
            read: Places::default(),
        }
    }

    /// An instance is written.
    pub(super) fn written(&mut self, place: &Place) {
        let Some(bare) = place.bare() else { return };
        self.expansions(&place.module);
        self.waits(&place.module);
        self.providers_of(&place.module, bare);
        self.push(&place.module, Node::Block(bare.to_owned()));
    }

    /// A root output is written.
    pub(super) fn output(&mut self, name: &str) {
        self.push(&[], Node::Block(format!("output.{name}")));
    }

    /// What was found, and what conditions that depend on what is written (`targets`) depend on.
    ///
    /// Applying checks all conditions, but those on other things come out as they did when the plan was made.
    pub(super) fn finish(mut self, targets: &Places) -> Places {
        self.run();
        let mut read = std::mem::take(&mut self.read);
        for (module, condition) in self.conditions() {
            self.seen = HashSet::new();
            match condition {
                Some(references) => references.iter().for_each(|reference| self.reference(&module, reference, false)),
                None => self.push(&module, Node::Everything),
            }
            self.run();
            let condition = std::mem::take(&mut self.read);
            if condition.overlap(targets).is_some() {
                read.extend(condition.iter().cloned());
            }
        }
        read
    }

    /// What each condition of the configuration refers to; nothing for a module that may have some that cannot be read.
    fn conditions(&self) -> Vec<(Vec<Call>, Option<&'a References>)> {
        let mut conditions = Vec::new();
        for (key, source) in self.sources.iter() {
            let names = key.split('.').filter(|name| !name.is_empty());
            let module: Vec<Call> = names.map(|name| Call { name: name.to_owned(), key: None }).collect();
            if source.partial {
                conditions.push((module.clone(), None));
            }
            conditions.extend(source.conditions.values().map(|references| (module.clone(), Some(references))));
        }
        conditions
    }

    fn push(&mut self, module: &[Call], node: Node) {
        let work = (module.to_vec(), node);
        if self.seen.insert(work.clone()) {
            self.todo.push(work);
        }
    }

    fn run(&mut self) {
        while let Some((module, node)) = self.todo.pop() {
            match node {
                Node::Block(name) => self.block(&module, &name),
                Node::Variable(name) => self.variable(&module, &name),
                Node::Provider(key) => self.provider(&module, &key),
                Node::Outputs => {
                    let outputs = self.modules.get(&path(&module)).map(|module| module.outputs.clone());
                    outputs.into_iter().flatten().for_each(|name| self.push(&module, Node::Block(name)));
                }
                Node::Expansion(name) => self.described_references_of(&module, &name),
                Node::Waits(name) => self.described_waits_of(&module, &name),
                Node::Everything => self.everything(&module),
            }
        }
    }

    /// The modules around a module instance: how many of each there are.
    fn expansions(&mut self, module: &[Call]) {
        self.calls(module, Node::Expansion);
    }

    /// What the modules around a module instance wait for.
    fn waits(&mut self, module: &[Call]) {
        self.calls(module, Node::Waits);
    }

    fn calls(&mut self, module: &[Call], node: impl Fn(String) -> Node) {
        for depth in 0..module.len() {
            if let Some((call, around)) = module.get(..=depth).and_then(<[Call]>::split_last) {
                self.push(around, node(format!("module.{}", call.name)));
            }
        }
    }

    /// What the provider of a resource is configured with.
    fn providers_of(&mut self, module: &[Call], bare: &str) {
        let key = self.described(module, bare).and_then(|block| block.provider.clone());
        let keys = match key.filter(|key| self.providers.contains_key(key)) {
            Some(key) => vec![key],
            // No longer in the configuration, or given by a module around: any provider may be its own.
            None => self.providers.keys().cloned().collect(),
        };
        for key in keys {
            let module = self.providers.get(&key).map(|provider| provider.module.clone());
            self.push(&module.unwrap_or_default(), Node::Provider(key));
        }
    }

    fn provider(&mut self, module: &[Call], key: &str) {
        let references = self.providers.get(key).map(|provider| provider.references.clone());
        self.described_references(module, &references.unwrap_or_default());
        // `module.m:aws.west`; what all configurations of one provider refer to is kept as one.
        let name = key.rsplit(':').next().and_then(|key| key.split('.').next()).unwrap_or_default();
        self.source_references(module, &format!("provider.{name}"));
    }

    fn block(&mut self, module: &[Call], name: &str) {
        self.described_references_of(module, name);
        self.described_waits_of(module, name);
        self.source_references(module, name);
        // These are read by their providers each time.
        if name.starts_with("data.") || name.starts_with("ephemeral.") {
            self.providers_of(module, name);
        }
        match self.sources.module(&path(module)) {
            Some(source) => self.gaps(module, name, source),
            None if self.modules.contains_key(&path(module)) => self.push(module, Node::Everything),
            // The module is no longer in the configuration.
            None => {}
        }
    }

    /// What a block refers to in the files of its module.
    fn source_references(&mut self, module: &[Call], name: &str) {
        let sources = self.sources;
        let references = sources.module(&path(module)).and_then(|source| source.blocks.get(name));
        references.into_iter().flatten().for_each(|reference| self.reference(module, reference, false));
    }

    /// What a file that was not understood may add to a block.
    fn gaps(&mut self, module: &[Call], name: &str, source: &Source) {
        let declared = self.modules.get(&path(module)).is_some_and(|module| module.blocks.contains_key(name));
        // An instance that is destroyed because its block is gone has nothing to add.
        if source.partial && (declared || name.starts_with("local.") || name.starts_with("ephemeral.")) {
            self.push(module, Node::Everything);
        }
    }

    fn described(&self, module: &[Call], name: &str) -> Option<&Described> {
        self.modules.get(&path(module)).and_then(|module| module.blocks.get(name))
    }

    fn described_references_of(&mut self, module: &[Call], name: &str) {
        let references = self.described(module, name).map(|block| block.references.clone());
        self.described_references(module, &references.unwrap_or_default());
    }

    fn described_waits_of(&mut self, module: &[Call], name: &str) {
        let addresses = self.described(module, name).map(|block| block.depends_on.clone());
        addresses.into_iter().flatten().for_each(|address| self.depends_on(module, &address));
    }

    fn described_references(&mut self, module: &[Call], references: &[String]) {
        for reference in heads(references) {
            self.reference(module, reference, true);
        }
    }

    fn depends_on(&mut self, module: &[Call], address: &str) {
        match Place::parse(address) {
            Ok(place) => {
                let mut inner = module.to_vec();
                inner.extend(place.module.iter().cloned());
                self.read.insert(match place.bare() {
                    Some(bare) => Place::resource(&inner, bare, None),
                    None => Place::module(&inner),
                });
            }
            // A local or variable holds no resource to wait for, but what it is made of does.
            Err(_) => self.reference(module, address, true),
        }
    }

    /// What a module is given for a variable; the root module is given values.
    fn variable(&mut self, module: &[Call], name: &str) {
        self.source_references(module, &format!("variable.{name}"));
        let Some((call, around)) = module.split_last() else { return };
        let key = (format!("module.{}", call.name), name.to_owned());
        let argument = self.modules.get(&path(around)).and_then(|module| module.arguments.get(&key)).cloned();
        self.described_references(around, &argument.unwrap_or_default());
        // `each.value` in an argument is what the call goes over.
        self.push(around, Node::Expansion(key.0));
    }

    fn everything(&mut self, module: &[Call]) {
        self.read.insert(Place::module(module));
        self.expansions(module);
        if let Some((call, around)) = module.split_last() {
            let name = format!("module.{}", call.name);
            let arguments = self.modules.get(&path(around)).into_iter().flat_map(|module| &module.arguments);
            let names: Vec<_> =
                arguments.filter(|((call, _), _)| *call == name).map(|((_, name), _)| name.clone()).collect();
            names.into_iter().for_each(|name| self.push(module, Node::Variable(name)));
        }
    }

    /// Follows one reference. `certain` says that its first name is surely not one that `for` or `dynamic` binds.
    fn reference(&mut self, module: &[Call], text: &str, certain: bool) {
        let Some(steps) = steps(text) else { return self.push(module, Node::Everything) };
        let steps = match steps.as_slice() {
            [Step { name: "resource", .. }, rest @ ..] if rest.len() > 1 => rest,
            steps => steps,
        };
        match steps {
            [Step { name: "each" | "count" | "path" | "terraform" | "self", .. }, ..] => {}
            [Step { name: "var", .. }, name, ..] => self.push(module, Node::Variable(name.name.to_owned())),
            [Step { name: "local", .. }, name, ..] => self.push(module, Node::Block(format!("local.{}", name.name))),
            [Step { name: "module", .. }, call, rest @ ..] => {
                let mut inner = module.to_vec();
                inner.push(Call { name: call.name.to_owned(), key: call.key.map(str::to_owned) });
                self.expansions(&inner);
                match rest.first() {
                    Some(output) if self.is_declared(&inner, &format!("output.{}", output.name)) => {
                        self.push(&inner, Node::Block(format!("output.{}", output.name)));
                    }
                    _ => self.push(&inner, Node::Outputs),
                }
            }
            [Step { name: "data", .. }, kind, name, ..] => {
                let bare = format!("data.{}.{}", kind.name, name.name);
                self.resource(module, &bare, name.key);
                // It is read anew where something it waits for changes.
                self.waits(module);
                self.push(module, Node::Block(bare));
            }
            [Step { name: "ephemeral", .. }, kind, name, ..] => {
                self.push(module, Node::Block(format!("ephemeral.{}.{}", kind.name, name.name)));
            }
            [Step { name: "data" | "ephemeral" | "local" | "var" | "action", .. }, ..] => {
                self.push(module, Node::Everything);
            }
            [kind, name, ..] => {
                let bare = format!("{}.{}", kind.name, name.name);
                if certain || self.is_declared(module, &bare) {
                    self.resource(module, &bare, name.key);
                }
            }
            // Bound by `for`, or by Terraform itself.
            _ => {}
        }
    }

    fn resource(&mut self, module: &[Call], bare: &str, key: Option<&str>) {
        self.read.insert(Place::resource(module, bare, key));
    }

    fn is_declared(&self, module: &[Call], name: &str) -> bool {
        let path = path(module);
        self.modules.get(&path).is_some_and(|module| module.blocks.contains_key(name))
            || self.sources.module(&path).is_some_and(|source| source.blocks.contains_key(name))
    }
}

fn describe(description: &Value, module: &mut Vec<Call>, modules: &mut BTreeMap<String, Module>) {
    let object = |name| description.get(name).and_then(Value::as_object).into_iter().flatten();
    let mut found = Module::default();
    for resource in description.get("resources").and_then(Value::as_array).into_iter().flatten() {
        if let Some(address) = resource.get("address").and_then(Value::as_str) {
            found.blocks.insert(address.to_owned(), described(resource));
        }
    }
    for (name, output) in object("outputs") {
        let name = format!("output.{name}");
        found.blocks.insert(name.clone(), described(output));
        found.outputs.push(name);
    }
    let mut calls = Vec::new();
    for (name, call) in object("module_calls") {
        let block = format!("module.{name}");
        let arguments = call.get("expressions").and_then(Value::as_object).into_iter().flatten();
        for (argument, expression) in arguments {
            let mut references = Vec::new();
            collect(expression, &mut references);
            found.arguments.insert((block.clone(), argument.clone()), references);
        }
        let mut expansion = Described { depends_on: depends_on(call), ..Described::default() };
        for part in ["count_expression", "for_each_expression"] {
            collect(call.get(part).unwrap_or(&Value::Null), &mut expansion.references);
        }
        found.blocks.insert(block, expansion);
        calls.push((name, call));
    }
    modules.insert(path(module), found);
    for (name, call) in calls {
        module.push(Call { name: name.clone(), key: None });
        describe(call.get("module").unwrap_or(&Value::Null), module, modules);
        module.pop();
    }
}

fn described(block: &Value) -> Described {
    let mut references = Vec::new();
    collect(block, &mut references);
    let provider = block.get("provider_config_key").and_then(Value::as_str).map(str::to_owned);
    Described { references, depends_on: depends_on(block), provider }
}

fn depends_on(block: &Value) -> Vec<String> {
    let list = block.get("depends_on").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// All lists of references in a description, each in its order.
fn collect(description: &Value, references: &mut Vec<String>) {
    match description {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("constant_value", _) => {}
                    ("references", Value::Array(list)) if list.iter().all(Value::is_string) => {
                        references.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => collect(member, references),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, references)),
        _ => {}
    }
}

/// Terraform lists a reference and then its beginnings, down to the object and the resource or module it is of. Those
/// would say that more is referred to than is, so they are passed over, each once.
fn heads(references: &[String]) -> Vec<&str> {
    let mut heads = Vec::new();
    let mut rest = references;
    while let [head, after @ ..] = rest {
        heads.push(head.as_str());
        rest = after;
        let mut last = head.as_str();
        while let Some(next) = rest.first().map(String::as_str).filter(|next| follows(last, next)) {
            last = next;
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    heads
}

/// Whether `next` is `last` without its last step or key.
fn follows(last: &str, next: &str) -> bool {
    let Some(cut) = last.strip_prefix(next) else { return false };
    let one_step = match cut.strip_prefix('.') {
        Some(name) => !name.contains(['.', '[']),
        None => cut.starts_with('[') && steps(&format!("x{cut}")).is_some_and(|steps| steps.len() == 1),
    };
    // A module that follows its own instance is referred to as a whole: Terraform ends with the instance.
    one_step && !steps(next).is_some_and(|steps| matches!(steps.as_slice(), [Step { name: "module", .. }, call] if cut.starts_with('[') && !call.keyed))
}

#[cfg(test)]
mod tests;
