//! Making chosen instances and outputs of one state what they are in another of the same lineage.

use std::collections::{BTreeMap, HashMap};

use super::list::Item;
use super::parts::{Value, adopted, insert_sorted, merge_sorted, same, top_list, with_fields, with_instances};
use crate::address::{self, AddressPattern, ResourceName};
use crate::counts::Action;
use crate::document::{Document, Instance, Resource};
use crate::error::ScanError;
use crate::json;

/// A body after an edit.
#[derive(Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new body.
    pub body: Vec<u8>,
    /// What changed against the head, sorted by address.
    pub addresses: Vec<(String, Action)>,
}

impl std::fmt::Debug for Edited {
    /// Leaves the body out, so that no secret reaches a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Edited").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Why an edit was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The current state cannot be read.
    #[error("the current state cannot be edited: {0}")]
    Head(#[source] ScanError),
    /// The state to restore from cannot be read.
    #[error("the state to restore from cannot be read: {0}")]
    Old(#[source] ScanError),
    /// One of the two is encrypted.
    #[error(
        "the state is encrypted by OpenTofu, so single instances cannot be restored: restore the whole version instead"
    )]
    Opaque,
    /// The two states are not versions of one.
    #[error(
        "the two states have different lineages, so their instances are not the same objects: restore the whole version instead"
    )]
    OtherLineage,
    /// A pattern covers nothing in either state.
    #[error(
        "`{pattern}` names nothing in the current state or in the one to restore from: list the addresses with `stateward state show`"
    )]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// What was named is the same in both states.
    #[error("nothing to restore: what was named is the same in both states")]
    NoChange,
}

/// Makes the instances and outputs the patterns cover equal to what they are in `old`, and sets the serial.
///
/// Every other byte of `head` stays. What is missing is added where Terraform would sort it, in the layout of `head`; what
/// `old` lacks is removed, with its resource block if that is left empty. The fields of a resource block beside its
/// instances (such as `provider`) are restored only where the patterns cover all instances of the block in `head`.
/// `check_results` are left alone: Terraform renews them at its next run.
pub fn restore_only(head: &[u8], old: &[u8], patterns: &[AddressPattern], serial: u64) -> Result<Edited, EditError> {
    let head = Document::parse(head).map_err(EditError::Head)?;
    let old = Document::parse(old).map_err(EditError::Old)?;
    if head.opaque() || old.opaque() {
        return Err(EditError::Opaque);
    }
    if head.lineage() != old.lineage() {
        return Err(EditError::OtherLineage);
    }
    check_patterns(&head, &old, patterns)?;
    let mut restore = Restore { head: &head, old: &old, patterns, actions: BTreeMap::new() };
    let outputs = restore.outputs();
    let resources = restore.resources();
    if restore.actions.is_empty() {
        return Err(EditError::NoChange);
    }
    let body = with_fields(&head, serial, vec![("outputs", outputs), ("resources", resources)]).body;
    Ok(Edited { body, addresses: restore.actions.into_iter().collect() })
}

fn check_patterns(head: &Document<'_>, old: &Document<'_>, patterns: &[AddressPattern]) -> Result<(), EditError> {
    let mut found = vec![false; patterns.len()];
    let mut visit = |address: &str| {
        for (pattern, found) in patterns.iter().zip(&mut found) {
            *found = *found || pattern.matches(address);
        }
    };
    for document in [head, old] {
        document.instances().for_each(|instance| visit(&instance.address));
        document.outputs.iter().for_each(|output| visit(&address::output(&output.name)));
    }
    match patterns.iter().zip(found).find(|(_, found)| !found) {
        Some((pattern, _)) => Err(EditError::NoMatch { pattern: pattern.to_string() }),
        None => Ok(()),
    }
}

struct Restore<'a> {
    head: &'a Document<'a>,
    old: &'a Document<'a>,
    patterns: &'a [AddressPattern],
    actions: BTreeMap<String, Action>,
}

/// An instance of `old`, with the block it stands in.
#[derive(Clone, Copy)]
struct Source<'a> {
    block: &'a Resource,
    instance: &'a Instance,
}

impl<'a> Restore<'a> {
    fn covers(&self, address: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(address))
    }

    /// The text of a part of `old` in the layout of `head`.
    fn adopt(&self, raw: &[u8], level: usize) -> Vec<u8> {
        adopted(raw, self.old.style(), self.head.style(), level)
    }

    /// The new value of `outputs`, if it changes.
    fn outputs(&mut self) -> Option<Value<'a>> {
        let (head, old) = (self.head, self.old);
        let mut items: Vec<(&str, Item)> = Vec::new();
        let mut changed = false;
        for (index, output) in head.outputs.iter().enumerate() {
            let address = address::output(&output.name);
            let source = old.outputs.iter().find(|source| source.name == output.name);
            let item = match source {
                _ if !self.covers(&address) => Item::Keep(index),
                None => {
                    self.actions.insert(address, Action::Remove);
                    changed = true;
                    continue;
                }
                Some(source) if same(head.raw(&output.value), old.raw(&source.value)) => Item::Keep(index),
                Some(source) => {
                    self.actions.insert(address, Action::Change);
                    changed = true;
                    Item::Replace(index, self.adopt(old.raw(&(source.key.start..source.value.end)), 2))
                }
            };
            items.push((&output.name, item));
        }
        for source in &old.outputs {
            let address = address::output(&source.name);
            if !self.covers(&address) || head.outputs.iter().any(|output| output.name == source.name) {
                continue;
            }
            self.actions.insert(address, Action::Add);
            changed = true;
            let text = self.adopt(old.raw(&(source.key.start..source.value.end)), 2);
            insert_sorted(&mut items, source.name.as_str(), Item::New(text));
        }
        let elements = head.outputs.iter().map(|output| output.key.start..output.value.end).collect();
        let items: Vec<Item> = items.into_iter().map(|(_, item)| item).collect();
        changed.then(|| Value::List { list: top_list(head, "outputs", elements), items, brackets: *b"{}" })
    }

    /// The new value of `resources`, if it changes.
    fn resources(&mut self) -> Option<Value<'a>> {
        let (head, old) = (self.head, self.old);
        let in_head: HashMap<&str, usize> = head
            .resources
            .iter()
            .enumerate()
            .flat_map(|(index, block)| block.instances.iter().map(move |instance| (instance.address.as_str(), index)))
            .collect();
        let mut first_block: HashMap<&ResourceName, usize> = HashMap::new();
        for (index, block) in head.resources.iter().enumerate() {
            first_block.entry(&block.name).or_insert(index);
        }
        // What `old` has of the covered instances, by the block of `head` it belongs in.
        let mut sources: HashMap<usize, Vec<Source<'_>>> = HashMap::new();
        let mut new_blocks: BTreeMap<&ResourceName, Vec<Source<'_>>> = BTreeMap::new();
        for block in &old.resources {
            for instance in block.instances.iter().filter(|instance| self.covers(&instance.address)) {
                let place = in_head.get(instance.address.as_str()).or_else(|| first_block.get(&block.name));
                match place {
                    Some(index) => sources.entry(*index).or_default().push(Source { block, instance }),
                    None => new_blocks.entry(&block.name).or_default().push(Source { block, instance }),
                }
            }
        }
        let mut items: Vec<(&ResourceName, Item)> = Vec::new();
        let before = self.actions.len();
        for (index, block) in head.resources.iter().enumerate() {
            let sources = sources.remove(&index).unwrap_or_default();
            if let Some(item) = self.block(index, block, &sources) {
                items.push((&block.name, item));
            }
        }
        let mut new: Vec<(&ResourceName, Item)> = Vec::new();
        for (name, sources) in new_blocks {
            self.actions.extend(sources.iter().map(|source| (source.instance.address.clone(), Action::Add)));
            new.push((name, Item::New(self.new_block(&sources))));
        }
        let items = merge_sorted(items, new);
        let elements = head.resources.iter().map(|block| block.span.clone()).collect();
        (self.actions.len() > before).then(|| Value::List {
            list: top_list(head, "resources", elements),
            items,
            brackets: *b"[]",
        })
    }

    /// What becomes of a block of `head`, given what `old` has of its covered instances.
    fn block(&mut self, index: usize, block: &'a Resource, sources: &[Source<'a>]) -> Option<Item> {
        let covered = block.instances.iter().filter(|instance| self.covers(&instance.address)).count();
        if covered == 0 && sources.is_empty() {
            return Some(Item::Keep(index));
        }
        let whole = covered == block.instances.len();
        if whole && sources.is_empty() {
            self.actions.extend(block.instances.iter().map(|instance| (instance.address.clone(), Action::Remove)));
            return None;
        }
        let (head, old) = (self.head, self.old);
        let other_fields = sources.first().is_some_and(|first| header(head, block) != header(old, first.block));
        let mut new: BTreeMap<&str, &Source<'a>> =
            sources.iter().map(|source| (source.instance.address.as_str(), source)).collect();
        let mut items: Vec<(&Instance, Item)> = Vec::new();
        let before = self.actions.len();
        for (index, instance) in block.instances.iter().enumerate() {
            let item = match new.remove(instance.address.as_str()) {
                _ if !self.covers(&instance.address) => Item::Keep(index),
                None => {
                    self.actions.insert(instance.address.clone(), Action::Remove);
                    continue;
                }
                Some(source) => {
                    let raw = old.raw(&source.instance.span);
                    let equal = same(head.raw(&instance.span), raw);
                    if !equal || (whole && other_fields) {
                        self.actions.insert(instance.address.clone(), Action::Change);
                    }
                    if equal { Item::Keep(index) } else { Item::Replace(index, self.adopt(raw, 4)) }
                }
            };
            items.push((instance, item));
        }
        for source in new.into_values() {
            self.actions.insert(source.instance.address.clone(), Action::Add);
            let text = self.adopt(old.raw(&source.instance.span), 4);
            let place = |instance: &Instance| (instance.key.clone(), instance.deposed.clone());
            let at = items.iter().position(|(other, _)| place(other) > place(source.instance)).unwrap_or(items.len());
            items.insert(at, (source.instance, Item::New(text)));
        }
        if self.actions.len() == before {
            return Some(Item::Keep(index));
        }
        if whole && other_fields {
            return Some(Item::Replace(index, self.new_block(sources)));
        }
        let items: Vec<Item> = items.into_iter().map(|(_, item)| item).collect();
        Some(Item::Replace(index, with_instances(head, block, &items)))
    }

    /// A block as in `old`, with some of its instances.
    fn new_block(&self, sources: &[Source<'a>]) -> Vec<u8> {
        let Some(block) = sources.first().map(|source| source.block) else { return Vec::new() };
        let places: HashMap<&str, usize> =
            block.instances.iter().enumerate().map(|(index, instance)| (instance.address.as_str(), index)).collect();
        let items: Vec<Item> = sources
            .iter()
            .map(|source| match places.get(source.instance.address.as_str()) {
                Some(index) => Item::Keep(*index),
                None => Item::New(self.old.raw(&source.instance.span).to_vec()),
            })
            .collect();
        self.adopt(&with_instances(self.old, block, &items), 2)
    }
}

/// The meaning of a block's fields beside `instances`.
fn header(document: &Document<'_>, block: &Resource) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = block
        .fields
        .iter()
        .filter(|field| field.name != "instances")
        .map(|field| {
            let raw = document.raw(&field.value);
            (field.name.clone(), json::canonical(raw).unwrap_or_else(|_| raw.to_vec()))
        })
        .collect();
    fields.sort();
    fields
}
