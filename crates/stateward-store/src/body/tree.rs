//! Lists too long for a record, kept as trees of blobs whose nodes end where the content says so.
//!
//! Two lists that differ in one item differ in one node a level, so versions share the lists of their chunks and the indexes of
//! their instances just as they share chunks.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Grain, Sealer};
use crate::{BlobId, BlobRef, Locator, NewBlob};

/// A node that is no longer than this stays in the record itself.
const INLINE_BYTES: usize = 256;
/// References in a node, on average; a power of two.
const REFS: u32 = 16;
const NODE_ITEMS_MIN: usize = 4;
/// Bounds a node whatever the hashes are.
const NODE_BYTES_MAX: usize = 64 << 10;
const ITEM_BYTES_MAX: usize = 32 << 10;
const ID_BYTES: usize = 32;

/// The root of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tree {
    /// Levels of nodes below the root; 0 when the items stand in `root`.
    pub levels: u8,
    /// Items (at level 0) or [`RefItem`]s of nodes, each behind its length.
    #[serde(with = "root_text")]
    pub root: Bytes,
}

/// A reference to a chunk or node, and how much lies behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefItem {
    /// The chunk or node.
    pub blob: BlobRef,
    /// Bytes of the chunk; in a node above chunks their sum; in a node above other items their number.
    pub span: u64,
}

/// A list that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list is damaged: {0}")]
pub struct TreeError(pub(super) &'static str);

impl RefItem {
    fn encode(&self) -> Vec<u8> {
        let mut item = Vec::with_capacity(ID_BYTES + 10 + self.blob.locator.0.len());
        item.extend_from_slice(&self.blob.id.0);
        push_varint(&mut item, self.span);
        item.extend_from_slice(&self.blob.locator.0);
        item
    }

    /// Reads a reference back from an item.
    pub fn decode(item: &[u8]) -> Result<Self, TreeError> {
        let (id, mut rest) = item.split_at_checked(ID_BYTES).ok_or(TreeError("a reference is too short"))?;
        let span = take_varint(&mut rest)?;
        let id = BlobId(id.try_into().map_err(|_| TreeError("a reference is too short"))?);
        Ok(Self { blob: BlobRef { id, locator: Locator(Bytes::copy_from_slice(rest)) }, span })
    }
}

impl Tree {
    /// Splits a node (or the root) into its items.
    pub fn split(node: &Bytes) -> Result<Vec<Bytes>, TreeError> {
        let (mut items, mut rest) = (Vec::new(), &node[..]);
        while !rest.is_empty() {
            let length = usize::try_from(take_varint(&mut rest)?).map_err(|_| TreeError("an item is too long"))?;
            let (item, after) = rest.split_at_checked(length).ok_or(TreeError("an item is cut short"))?;
            items.push(node.slice_ref(item));
            rest = after;
        }
        Ok(items)
    }
}

/// Builds a [`Tree`] from its items in order.
///
/// Nodes come out of `push` and `finish`; the caller puts them. Their locators are asked for through `place`, because an
/// engine may choose a blob's place only when it takes it.
pub(super) struct TreeBuilder {
    sealer: Sealer,
    levels: Vec<Level>,
    /// What the list itself consists of.
    leaves: Leaves,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Chunks,
    /// So many stand together, on average.
    Items(u32),
}

#[derive(Default)]
struct Level {
    bytes: Vec<u8>,
    items: usize,
    span: u64,
    closed_nodes: usize,
}

/// A node that is complete, and what the level above has to note once it is placed.
pub(super) struct Node {
    pub(super) id: BlobId,
    plain: Vec<u8>,
    level: usize,
    span: u64,
    has_refs: bool,
}

impl Node {
    pub(super) fn seal(&self, sealer: &Sealer) -> NewBlob {
        if self.has_refs { Sealer::seal_hashes(self.id, &self.plain) } else { sealer.seal(self.id, &self.plain) }
    }
}

impl TreeBuilder {
    /// An empty list of chunks.
    pub(super) fn of_chunks(sealer: Sealer) -> Self {
        Self { sealer, levels: vec![Level::default()], leaves: Leaves::Chunks }
    }

    /// An empty list of items.
    pub(super) fn of_items(sealer: Sealer, grain: Grain) -> Self {
        Self { sealer, levels: vec![Level::default()], leaves: Leaves::Items(grain.items()) }
    }

    /// Appends an item of the list. `hash` decides where nodes end: derive it from what is stable about the item.
    /// Returns a node when one is complete; place them with [`TreeBuilder::place`] in the order in which they come.
    pub(super) fn push(&mut self, item: &[u8], hash: u32, span: u64) -> Result<Option<Node>, TreeError> {
        if item.len() > ITEM_BYTES_MAX {
            return Err(TreeError("an item is longer than 32 KiB"));
        }
        Ok(self.push_at(0, item, hash, span))
    }

    /// Appends a reference to a chunk.
    pub(super) fn push_ref(&mut self, item: &RefItem) -> Option<Node> {
        self.push_at(0, &item.encode(), hash_of(&item.blob.id), item.span)
    }

    /// Notes where a complete node went; returns a node of the level above when that is complete too.
    pub(super) fn place(&mut self, node: &Node, locator: Locator) -> Option<Node> {
        let item = RefItem { blob: BlobRef { id: node.id, locator }, span: node.span };
        self.push_at(node.level + 1, &item.encode(), hash_of(&item.blob.id), item.span)
    }

    /// Closes the lowest open level that has to become a node, or gives the finished tree. Call until it is the tree, and place
    /// all nodes before each call.
    pub(super) fn finish(&mut self) -> Result<Tree, Node> {
        let top = self.levels.len() - 1;
        for level in 0..top {
            if self.levels[level].items > 0 {
                return Err(self.close(level));
            }
        }
        let root = &self.levels[top];
        if root.closed_nodes == 0 && (root.bytes.len() <= INLINE_BYTES || (top > 0 && root.items == 1)) {
            let levels = u8::try_from(top).unwrap_or(u8::MAX);
            return Ok(Tree { levels, root: Bytes::from(std::mem::take(&mut self.levels[top].bytes)) });
        }
        Err(self.close(top))
    }

    fn push_at(&mut self, level: usize, item: &[u8], hash: u32, span: u64) -> Option<Node> {
        if level == self.levels.len() {
            self.levels.push(Level::default());
        }
        let open = &mut self.levels[level];
        push_varint(&mut open.bytes, item.len() as u64);
        open.bytes.extend_from_slice(item);
        open.items += 1;
        open.span += span;
        let together = match self.leaves {
            Leaves::Items(together) if level == 0 => together,
            _ => REFS,
        };
        let boundary = hash & (together - 1) == 0 && open.items >= NODE_ITEMS_MIN;
        (boundary || open.bytes.len() >= NODE_BYTES_MAX - ITEM_BYTES_MAX).then(|| self.close(level))
    }

    fn close(&mut self, level: usize) -> Node {
        let closed_nodes = self.levels[level].closed_nodes + 1;
        let open = std::mem::replace(&mut self.levels[level], Level { closed_nodes, ..Level::default() });
        if level + 1 == self.levels.len() {
            self.levels.push(Level::default());
        }
        let has_refs = level > 0 || self.leaves == Leaves::Chunks;
        Node { id: self.sealer.id(&open.bytes), plain: open.bytes, level, span: open.span, has_refs }
    }
}

fn hash_of(id: &BlobId) -> u32 {
    u32::from_le_bytes([id.0[0], id.0[1], id.0[2], id.0[3]])
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, TreeError> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(TreeError("a number is cut short"))?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(TreeError("a number is too long"))
}

/// Records are JSON, so the root goes in as base64 text.
mod root_text {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD_NO_PAD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(root: &Bytes, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&BASE64_STANDARD_NO_PAD.encode(root))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        BASE64_STANDARD_NO_PAD.decode(text.as_bytes()).map(Bytes::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::StoreKey;
    use super::*;

    /// Builds in memory; gives the tree and its nodes.
    fn build(items: &[Vec<u8>]) -> (Tree, HashMap<BlobId, Bytes>) {
        let sealer = Sealer::new(&StoreKey::new([1; 32]));
        let (mut builder, mut blobs) = (TreeBuilder::of_items(sealer.clone(), Grain::FINE), HashMap::new());
        let place = |builder: &mut TreeBuilder, mut node: Option<Node>, blobs: &mut HashMap<BlobId, Bytes>| {
            while let Some(done) = node {
                blobs.insert(done.id, sealer.open(&done.id, &done.seal(&sealer).sealed).unwrap());
                node = builder.place(&done, Locator::default());
            }
        };
        for item in items {
            let hash = blake3::hash(item);
            let node = builder.push(item, hash_of(&BlobId(*hash.as_bytes())), 1).unwrap();
            place(&mut builder, node, &mut blobs);
        }
        loop {
            match builder.finish() {
                Ok(tree) => return (tree, blobs),
                Err(node) => place(&mut builder, Some(node), &mut blobs),
            }
        }
    }

    fn read(tree: &Tree, blobs: &HashMap<BlobId, Bytes>) -> Vec<Vec<u8>> {
        let mut items = Tree::split(&tree.root).unwrap();
        for _ in 0..tree.levels {
            let nodes = items.iter().map(|item| &blobs[&RefItem::decode(item).unwrap().blob.id]);
            items = nodes.flat_map(|node| Tree::split(node).unwrap()).collect();
        }
        items.iter().map(|item| item.to_vec()).collect()
    }

    fn numbered(count: u32) -> Vec<Vec<u8>> {
        (0..count).map(|n| format!("item number {n:08}").into_bytes()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_list_comes_back(items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..3000)) {
            let (tree, blobs) = build(&items);
            prop_assert!(tree.root.len() <= INLINE_BYTES.max(100));
            prop_assert_eq!(read(&tree, &blobs), items);
        }

        #[test]
        fn damage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(items) = Tree::split(&bytes.into()) {
                items.iter().for_each(|item| drop(RefItem::decode(item)));
            }
        }
    }

    #[test]
    fn one_changed_item_changes_one_node_a_level() {
        let mut items = numbered(10_000);
        let (before, known) = build(&items);
        items[5_000] = b"changed".to_vec();
        let (after, blobs) = build(&items);
        let fresh = blobs.keys().filter(|id| !known.contains_key(*id)).count();
        assert!(before.levels >= 1 && fresh <= 2 * usize::from(after.levels), "{fresh} new nodes");
    }

    #[test]
    fn a_short_list_needs_no_blob() {
        let (tree, blobs) = build(&numbered(3));
        assert_eq!((tree.levels, blobs.len()), (0, 0));
        let text = serde_json::to_string(&tree).unwrap();
        assert_eq!(serde_json::from_str::<Tree>(&text).unwrap(), tree);
    }
}
