//! Bringing what one run wrote into a state that others have changed meanwhile: a three-way merge of instances and outputs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::list::{Item, List};
use super::parts::{
    Refilled, Value, adopted, insert_sorted, merge_sorted, same, top_list, with_fields, with_instances,
};
use crate::address::{self, ResourceName};
use crate::counts::Action;
use crate::document::{Document, Field, Indexed, Instance, Resource, Sibling};
use crate::error::ScanError;
use crate::json::{Child, children, value};

/// The fields of an instance that Terraform and `OpenTofu` know. A post has lost all others, which is no change.
const INSTANCE_FIELDS: &[&str] = &[
    "index_key",
    "status",
    "deposed",
    "provider",
    "schema_version",
    "attributes",
    "attributes_flat",
    "sensitive_attributes",
    "identity_schema_version",
    "identity",
    "private",
    "dependencies",
    "create_before_destroy",
    "skip_destroy",
];
/// Those that only some versions know: where a post lacks one, its writer may just not have known it.
const FIELDS_OF_SOME: &[&str] = &["identity_schema_version", "identity", "skip_destroy", "deprecated"];
/// The fields of an output.
const OUTPUT_FIELDS: &[&str] = &["value", "type", "sensitive", "deprecated"];
/// The fields of a resource block that a run may change, beside its instances.
const BLOCK_FIELDS: &[&str] = &["provider", "each"];

/// A run's write, and what it is to be merged into.
///
/// `mine` says which addresses the run holds for itself: of those the post is taken as it is. What else the post changed
/// against `base` (by refreshing, mostly) is taken only where `head` still has what `base` had.
#[derive(Clone, Copy)]
pub struct Merge<'a> {
    /// What the run saw last: the state it started from, or its own last write. Nothing where no state existed.
    pub base: Option<&'a [u8]>,
    /// The current state.
    pub head: &'a [u8],
    /// What the run writes.
    pub post: &'a [u8],
    /// Whether the run holds this instance or output (`output.NAME`). Deposed objects are asked for by their instance.
    pub mine: &'a dyn Fn(&str) -> bool,
    /// The serial of the merged state.
    pub serial: u64,
}

/// A merged state.
#[derive(Clone, PartialEq, Eq)]
pub struct Merged {
    /// Its bytes: those of the head wherever nothing of the run was taken.
    pub body: Vec<u8>,
    /// Whether anything but the serial differs from the head.
    pub changed: bool,
    /// What changed against the head, sorted by address.
    pub taken: Vec<(String, Action)>,
    /// What the run refreshed and somebody else has changed since: theirs stays. Sorted.
    pub left: Vec<String>,
}

impl std::fmt::Debug for Merged {
    /// Leaves the body out, so that no secret reaches a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Merged").field("taken", &self.taken).field("left", &self.left).finish_non_exhaustive()
    }
}

/// Why a write cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// One of the three cannot be read.
    #[error("{which} cannot be read: {error}")]
    Unreadable {
        /// `the state the run started from`, `the current state` or `the state that was sent`.
        which: &'static str,
        /// What is wrong with it.
        #[source]
        error: ScanError,
    },
    /// One of the three is encrypted.
    #[error("the state is encrypted by OpenTofu, so single resources cannot be merged")]
    Opaque,
    /// They are not versions of one state.
    #[error("the state that was sent has another lineage: it describes other infrastructure")]
    OtherLineage,
    /// The run added or removed what it does not hold, and somebody else changed the same.
    #[error("the run changed {}, which it does not hold and which somebody else has changed since", .addresses.join(", "))]
    Conflict {
        /// Sorted.
        addresses: Vec<String>,
    },
}

impl Merge<'_> {
    /// Merges. Pure: the same three states always give the same bytes.
    pub fn run(&self) -> Result<Merged, MergeError> {
        let unreadable = |which: &'static str| move |error| MergeError::Unreadable { which, error };
        let head = Document::parse_parts(self.head).map_err(unreadable("the current state"))?;
        let indexed = Indexed::new(&head).map_err(unreadable("the current state"))?;
        let beside = |which, body| Sibling::parse(body, &indexed).map_err(unreadable(which));
        let post = beside("the state that was sent", self.post)?;
        let base = self.base.map(|base| beside("the state the run started from", base)).transpose()?;
        if head.opaque() || post.differing.opaque() || base.as_ref().is_some_and(|base| base.differing.opaque()) {
            return Err(MergeError::Opaque);
        }
        if let Some(Sibling { differing: base, .. }) = &base
            && (base.lineage() != post.differing.lineage() || base.lineage() != head.lineage())
        {
            return Err(MergeError::OtherLineage);
        }
        let decisions = Decisions::make(self, base.as_ref(), &head, &post)?;
        let graft = Graft { base: base.as_ref(), head: &head, sent: &post, take: &decisions.take };
        let values = vec![
            ("terraform_version", graft.terraform_version()),
            ("outputs", graft.outputs()),
            ("resources", graft.resources()),
            ("check_results", graft.check_results()),
        ];
        let Refilled { body, changed } = with_fields(&head, self.serial, values);
        Ok(Merged {
            body,
            changed,
            taken: decisions.take.into_iter().collect(),
            left: decisions.left.into_iter().collect(),
        })
    }
}

/// Where an instance or output stands in a document.
#[derive(Clone, Copy)]
struct Part<'a> {
    raw: &'a [u8],
    /// The fields of its block, for an instance.
    block: Option<(&'a Document<'a>, &'a Resource)>,
}

/// Instances and outputs, by address.
type Parts<'a> = HashMap<Cow<'a, str>, Part<'a>>;

/// The outputs of a document, and the instances of some of its blocks, which are chosen by their numbers.
fn parts<'a>(document: &'a Document<'a>, chosen: impl Fn(usize) -> bool) -> Parts<'a> {
    let outputs = document.outputs.iter().map(|output| {
        (Cow::Owned(address::output(&output.name)), Part { raw: document.raw(&output.value), block: None })
    });
    let blocks = document.resources.iter().enumerate().filter(|(number, _)| chosen(*number));
    let instances = blocks.flat_map(|(_, block)| {
        block.instances.iter().map(move |instance| {
            let part = Part { raw: document.raw(&instance.span), block: Some((document, block)) };
            (Cow::Borrowed(instance.address.as_str()), part)
        })
    });
    outputs.chain(instances).collect()
}

/// Whether two texts of values that were read before are equal values.
fn equal(one: &[u8], other: &[u8]) -> bool {
    one == other || matches!((value::parse(one), value::parse(other)), (Ok(one), Ok(other)) if one == other)
}

impl Part<'_> {
    /// Whether two parts mean the same to the tools: unknown fields aside, and those that the writer of `post` may not know.
    fn means_the_same(&self, post: &Part<'_>) -> bool {
        let blocks = match (self.block, post.block) {
            (Some((one, block)), Some((other, other_block))) => {
                BLOCK_FIELDS.iter().all(|name| match (block.field(name), other_block.field(name)) {
                    (Some(field), Some(other_field)) => same(one.raw(&field.value), other.raw(&other_field.value)),
                    (field, other_field) => field.is_none() && other_field.is_none(),
                })
            }
            _ => true,
        };
        blocks && (self.raw == post.raw || self.has_fields_of(post))
    }

    /// Whether the known fields are equal, less those of only some versions that one of the two has not.
    fn has_fields_of(&self, other: &Part<'_>) -> bool {
        let names = if self.block.is_some() { INSTANCE_FIELDS } else { OUTPUT_FIELDS };
        let (fields, others) = (self.fields(), other.fields());
        names.iter().all(|name| match (fields.get(*name), others.get(*name)) {
            (Some(field), Some(other)) => equal(field, other),
            (None, None) => true,
            _ => FIELDS_OF_SOME.contains(name),
        })
    }

    /// The texts of its fields; of two with one name the last counts.
    fn fields(&self) -> HashMap<String, &[u8]> {
        children(self.raw)
            .into_iter()
            .map(|child| (child.name, self.raw.get(child.value).unwrap_or_default()))
            .collect()
    }
}

/// The instance that an address of a deposed object belongs to.
fn holder(address: &str) -> &str {
    address.split_once(" (deposed ").map_or(address, |(instance, _)| instance)
}

/// What is done about each address.
struct Decisions {
    take: BTreeMap<String, Action>,
    left: BTreeSet<String>,
}

impl Decisions {
    fn make(
        merge: &Merge<'_>,
        base: Option<&Sibling<'_>>,
        head: &Document<'_>,
        post: &Sibling<'_>,
    ) -> Result<Self, MergeError> {
        // What the post has as the head has it was not changed, or not differently: that is most of a state.
        let (in_head, in_post) = (parts(head, |block| !post.has(block)), parts(&post.differing, |_| true));
        let in_base = base.map(|base| {
            let mut in_base = parts(&base.differing, |_| true);
            let instances = parts(head, |block| base.has(block) && !post.has(block)).into_iter();
            in_base.extend(instances.filter(|(_, part)| part.block.is_some()));
            in_base
        });
        let in_base = in_base.unwrap_or_default();
        let mut decisions = Self { take: BTreeMap::new(), left: BTreeSet::new() };
        let mut conflicts = BTreeSet::new();
        let addresses: BTreeSet<&str> = in_head.keys().chain(in_post.keys()).map(AsRef::as_ref).collect();
        for address in addresses {
            let (there, sent) = (in_head.get(address), in_post.get(address));
            let action = match (there, sent) {
                (Some(there), Some(sent)) if there.means_the_same(sent) => continue,
                (Some(_), Some(_)) => Action::Change,
                (Some(_), None) => Action::Remove,
                (None, Some(_)) => Action::Add,
                (None, None) => continue,
            };
            if (merge.mine)(holder(address)) {
                decisions.take.insert(address.to_owned(), action);
                continue;
            }
            let seen = in_base.get(address);
            match (seen, sent) {
                // The run did not touch it.
                (Some(seen), Some(sent)) if seen.means_the_same(sent) => {}
                (None, None) => {}
                _ if unchanged(seen, there) => {
                    decisions.take.insert(address.to_owned(), action);
                }
                (Some(_), Some(_)) if there.is_some() => {
                    decisions.left.insert(address.to_owned());
                }
                _ => {
                    conflicts.insert(address.to_owned());
                }
            }
        }
        match conflicts.is_empty() {
            true => Ok(decisions),
            false => Err(MergeError::Conflict { addresses: conflicts.into_iter().collect() }),
        }
    }
}

/// Whether nobody changed it since the run saw it.
fn unchanged(seen: Option<&Part<'_>>, there: Option<&Part<'_>>) -> bool {
    match (seen, there) {
        (None, None) => true,
        (Some(seen), Some(there)) => there.means_the_same(seen),
        _ => false,
    }
}

/// Takes from a name's sources those that a block of the head is given: what stands in it, and what is new. Two blocks may
/// have one name; what stands in the other is left to it.
fn for_block<'a>(block: &Resource, sources: &mut Vec<Source<'a>>) -> Vec<Source<'a>> {
    let there: HashSet<&str> = block.instances.iter().map(|instance| instance.address.as_str()).collect();
    sources.extract_if(.., |source| source.is_new || there.contains(source.instance.address.as_str())).collect()
}

/// Builds the head with what is taken from the post.
struct Graft<'a> {
    base: Option<&'a Sibling<'a>>,
    head: &'a Document<'a>,
    sent: &'a Sibling<'a>,
    take: &'a BTreeMap<String, Action>,
}

/// An instance of the post, with the block it stands in.
#[derive(Clone, Copy)]
struct Source<'a> {
    block: &'a Resource,
    instance: &'a Instance,
    /// Whether the head has no instance of this address.
    is_new: bool,
}

impl<'a> Graft<'a> {
    /// The post, without what is in the head likewise.
    fn post(&self) -> &'a Document<'a> {
        &self.sent.differing
    }

    fn adopt(&self, raw: &[u8], level: usize) -> Vec<u8> {
        adopted(raw, self.post().style(), self.head.style(), level)
    }

    /// The writer's version, as every write names it.
    fn terraform_version(&self) -> Option<Value<'a>> {
        let field = self.post().field("terraform_version")?;
        Some(Value::Text(self.post().raw(&field.value).to_vec()))
    }

    fn outputs(&self) -> Option<Value<'a>> {
        let (head, post) = (self.head, self.post());
        let member = |output: &Field| self.adopt(post.raw(&(output.key.start..output.value.end)), 2);
        let mut items: Vec<(&str, Item)> = Vec::new();
        let mut changed = false;
        for (index, output) in head.outputs.iter().enumerate() {
            let item = match self.take.get(&address::output(&output.name)) {
                None | Some(Action::Add) => Item::Keep(index),
                Some(Action::Remove) => {
                    changed = true;
                    continue;
                }
                Some(Action::Change) => {
                    changed = true;
                    match post.outputs.iter().find(|source| source.name == output.name) {
                        Some(source) => Item::Replace(index, member(source)),
                        None => continue,
                    }
                }
            };
            items.push((&output.name, item));
        }
        for source in &post.outputs {
            if self.take.get(&address::output(&source.name)) == Some(&Action::Add) {
                changed = true;
                insert_sorted(&mut items, source.name.as_str(), Item::New(member(source)));
            }
        }
        let elements = head.outputs.iter().map(|output| output.key.start..output.value.end).collect();
        let items: Vec<Item> = items.into_iter().map(|(_, item)| item).collect();
        changed.then(|| Value::List { list: top_list(head, "outputs", elements), items, brackets: *b"{}" })
    }

    fn resources(&self) -> Option<Value<'a>> {
        let head = self.head;
        let mut sources = self.sources();
        let mut items: Vec<(&ResourceName, Item)> = Vec::new();
        let mut changed = false;
        for (index, block) in head.resources.iter().enumerate() {
            if self.sent.has(index) {
                items.push((&block.name, Item::Keep(index)));
                continue;
            }
            let sources = sources.get_mut(&block.name).map(|sources| for_block(block, sources)).unwrap_or_default();
            let removes = |instance: &Instance| self.take.get(&instance.address) == Some(&Action::Remove);
            if sources.is_empty() && !block.instances.iter().any(removes) {
                items.push((&block.name, Item::Keep(index)));
                continue;
            }
            changed = true;
            if let Some(text) = self.block(index, block, &sources) {
                items.push((&block.name, Item::Replace(index, text)));
            }
        }
        let mut new: Vec<(&ResourceName, Item)> = Vec::new();
        for (name, sources) in sources.into_iter().filter(|(_, sources)| !sources.is_empty()) {
            changed = true;
            let texts: Vec<Item> =
                sources.iter().map(|source| Item::New(self.post().raw(&source.instance.span).to_vec())).collect();
            let Some(first) = sources.first() else { continue };
            let text = self.adopt(&with_instances(self.post(), first.block, &texts), 2);
            new.push((name, Item::New(text)));
        }
        let items = merge_sorted(items, new);
        let elements = head.resources.iter().map(|block| block.span.clone()).collect();
        changed.then(|| Value::List { list: top_list(head, "resources", elements), items, brackets: *b"[]" })
    }

    /// What is taken out of the post, by the resource it belongs to.
    fn sources(&self) -> BTreeMap<&'a ResourceName, Vec<Source<'a>>> {
        let mut sources: BTreeMap<&ResourceName, Vec<Source<'_>>> = BTreeMap::new();
        for block in &self.post().resources {
            for instance in &block.instances {
                if let Some(action) = self.take.get(&instance.address) {
                    let is_new = *action == Action::Add;
                    sources.entry(&block.name).or_default().push(Source { block, instance, is_new });
                }
            }
        }
        sources
    }

    /// A block of the head with what is taken; nothing where no instance is left.
    fn block(&self, number: usize, block: &'a Resource, sources: &[Source<'a>]) -> Option<Vec<u8>> {
        let head = self.head;
        let mut new: BTreeMap<&str, &Source<'a>> =
            sources.iter().map(|source| (source.instance.address.as_str(), source)).collect();
        let mut items: Vec<(&Instance, Item)> = Vec::new();
        for (index, instance) in block.instances.iter().enumerate() {
            let item = match (new.remove(instance.address.as_str()), self.take.get(&instance.address)) {
                (Some(source), _) => Item::Replace(index, self.instance(instance, source.instance)),
                (None, Some(Action::Remove)) => continue,
                (None, _) => Item::Keep(index),
            };
            items.push((instance, item));
        }
        for source in new.into_values() {
            let text = self.adopt(self.post().raw(&source.instance.span), 4);
            let place = |instance: &Instance| (instance.key.clone(), instance.deposed.clone());
            let at = items.iter().position(|(other, _)| place(other) > place(source.instance)).unwrap_or(items.len());
            items.insert(at, (source.instance, Item::New(text)));
        }
        if items.is_empty() {
            return None;
        }
        let items: Vec<Item> = items.into_iter().map(|(_, item)| item).collect();
        let text = with_instances(head, block, &items);
        Some(match sources.first() {
            Some(source) => self.with_block_fields(number, block, source.block, text),
            None => text,
        })
    }

    /// The fields beside `instances` that the run changed, such as the provider, go into the block's text.
    fn with_block_fields(&self, number: usize, block: &Resource, sent: &Resource, text: Vec<u8>) -> Vec<u8> {
        let base = self.base.and_then(|base| match base.has(number) {
            true => Some((self.head, block)),
            false => Some((&base.differing, base.differing.resources.iter().find(|old| old.name == block.name)?)),
        });
        let mut text = text;
        for name in BLOCK_FIELDS {
            let (Some(there), Some(new)) = (block.field(name), sent.field(name)) else { continue };
            let new = self.post().raw(&new.value);
            let old = base.and_then(|(base, old)| Some(base.raw(&old.field(name)?.value)));
            if old.is_some_and(|old| same(old, new)) || same(self.head.raw(&there.value), new) {
                continue;
            }
            // Fields before `instances` keep their distance to the block's start; `provider` is one in every writer's order.
            let at = there.value.start - block.span.start..there.value.end - block.span.start;
            if block.field("instances").is_some_and(|instances| there.value.end < instances.value.start) {
                text.splice(at, new.iter().copied());
            }
        }
        text
    }

    /// An instance as it was sent, with the fields of the head that no tool knows.
    fn instance(&self, there: &Instance, sent: &Instance) -> Vec<u8> {
        let text = self.adopt(self.post().raw(&sent.span), 4);
        let raw = self.head.raw(&there.span);
        let unknown: Vec<Child> =
            children(raw).into_iter().filter(|child| !INSTANCE_FIELDS.contains(&child.name.as_str())).collect();
        if unknown.is_empty() {
            return text;
        }
        let elements: Vec<Range<usize>> = children(&text).into_iter().map(|child| child.span).collect();
        let kept = (0..elements.len()).map(Item::Keep);
        let added = unknown.into_iter().map(|child| Item::New(raw.get(child.span).unwrap_or_default().to_vec()));
        let items: Vec<Item> = kept.chain(added).collect();
        let list = List { body: &text, span: 0..text.len(), elements, style: self.head.style(), level: 5 };
        list.rebuild(&items, *b"{}")
    }

    /// Check results go by object: those that the run changed are taken.
    fn check_results(&self) -> Option<Value<'a>> {
        let (head, post) = (self.head, self.post());
        let sent = checks(post)?;
        let there = checks(head).unwrap_or_default();
        let seen = self.base.and_then(|base| checks(&base.differing)).unwrap_or_default();
        let changed = |key: &CheckKey| match (seen.get(key), sent.get(key)) {
            (Some(seen), Some(sent)) => !same(seen.raw, sent.raw),
            (seen, sent) => seen.is_some() != sent.is_some(),
        };
        let mut in_order: Vec<(&CheckKey, &Check<'_>)> = there.iter().collect();
        in_order.sort_by_key(|(_, check)| check.index);
        let mut items = Vec::new();
        let mut differs = false;
        for (key, check) in &in_order {
            items.push(match sent.get(*key) {
                _ if !changed(key) => Item::Keep(check.index),
                Some(sent) if same(sent.raw, check.raw) => Item::Keep(check.index),
                Some(sent) => {
                    differs = true;
                    Item::Replace(check.index, self.adopt(sent.raw, 2))
                }
                None => {
                    differs = true;
                    continue;
                }
            });
        }
        let mut new: Vec<&Check<'_>> =
            sent.iter().filter(|(key, _)| !there.contains_key(*key) && changed(key)).map(|(_, check)| check).collect();
        new.sort_by_key(|check| check.index);
        differs |= !new.is_empty();
        items.extend(new.into_iter().map(|check| Item::New(self.adopt(check.raw, 2))));
        if !differs {
            return None;
        }
        let elements: Vec<Range<usize>> = in_order.iter().map(|(_, check)| check.span.clone()).collect();
        if elements.is_empty() {
            // There was no list, or `null`.
            let list = List { body: b"", span: 0..0, elements, style: head.style(), level: 2 };
            return Some(Value::List { list, items, brackets: *b"[]" });
        }
        Some(Value::List { list: top_list(head, "check_results", elements), items, brackets: *b"[]" })
    }
}

/// What a check is of: `object_kind` and `config_addr`.
type CheckKey = (String, String);

/// An element of `check_results`.
struct Check<'a> {
    index: usize,
    /// Where it stands in the body.
    span: Range<usize>,
    raw: &'a [u8],
}

/// The elements of `check_results`; nothing where the document has no such field.
fn checks<'a>(document: &'a Document<'_>) -> Option<BTreeMap<CheckKey, Check<'a>>> {
    let list = document.field("check_results")?.value.clone();
    let found = children(document.raw(&list)).into_iter().enumerate().filter_map(|(index, child)| {
        let span = list.start + child.span.start..list.start + child.span.end;
        let raw = document.raw(&span);
        let object = value::parse(raw).ok()?;
        let text = |name: &str| object.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        Some(((text("object_kind"), text("config_addr")), Check { index, span, raw }))
    });
    Some(found.collect())
}
