//! The instance index of a version: a list of addresses and meanings, sorted by address, shared between versions node by node.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use stateward_state::Entry;
use stateward_store::body::{self, RefItem, Sealer, Tree};
use stateward_store::{BlobId, Store, StoreError};

const MEANING_BYTES: usize = 16;
/// A state with a longer address than this is kept without an index.
pub(crate) const ADDRESS_BYTES_MAX: usize = 16 << 10;
/// What the address of an output starts with. No resource type has this name.
pub(crate) const OUTPUT_PREFIX: &str = "output.";

/// An index item, and the hash that decides where nodes of the index end. It depends on the address alone, so a resource that
/// changes does not move the nodes around it.
///
/// The item takes the place of what `item` held.
pub(crate) fn encode(entry: &Entry, item: &mut Vec<u8>) -> u32 {
    item.clear();
    item.extend_from_slice(entry.address.as_bytes());
    let hash = item.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    item.extend_from_slice(&entry.meaning);
    // The low bits of FNV-1a mix poorly.
    hash ^ (hash >> 15)
}

/// The address and meaning in an index item.
pub(crate) fn parse(item: &[u8]) -> Result<(&str, [u8; MEANING_BYTES]), StoreError> {
    let corrupt =
        || StoreError::Corrupt { what: "an instance index".to_owned(), reason: "an entry is malformed".to_owned() };
    let (address, meaning) = item.split_last_chunk().ok_or_else(corrupt)?;
    Ok((std::str::from_utf8(address).map_err(|_| corrupt())?, *meaning))
}

fn decode(item: &[u8]) -> Result<Entry, StoreError> {
    let (address, meaning) = parse(item)?;
    Ok(Entry { address: address.to_owned(), meaning })
}

/// Reads a whole index, sorted by address.
pub(crate) async fn load(store: Arc<dyn Store>, sealer: Sealer, tree: &Tree) -> Result<Vec<Entry>, StoreError> {
    body::items(store, sealer, tree).and_then(|item| std::future::ready(decode(&item))).try_collect().await
}

/// Reads parts of many indexes that share most of their nodes: each node is read and searched once.
pub(crate) struct Search<'a> {
    store: &'a dyn Store,
    sealer: &'a Sealer,
    wanted: Box<dyn Fn(&str) -> bool + Send + Sync + 'a>,
    seen: HashMap<BlobId, Arc<Vec<Entry>>>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        store: &'a dyn Store,
        sealer: &'a Sealer,
        wanted: impl Fn(&str) -> bool + Send + Sync + 'a,
    ) -> Self {
        Self { store, sealer, wanted: Box::new(wanted), seen: HashMap::new() }
    }

    /// The entries of one index that are wanted, sorted by address.
    pub(crate) async fn matches(&mut self, tree: &Tree) -> Result<Vec<Entry>, StoreError> {
        let found = self.below(tree.levels, tree.root.clone()).await?;
        Ok(Arc::unwrap_or_clone(found))
    }

    fn below(&mut self, level: u8, node: Bytes) -> futures::future::BoxFuture<'_, Result<Arc<Vec<Entry>>, StoreError>> {
        Box::pin(async move {
            let items = Tree::split(&node).map_err(|error| damaged(&error))?;
            let mut found = Vec::new();
            for item in &items {
                if level == 0 {
                    let entry = decode(item)?;
                    if (self.wanted)(&entry.address) {
                        found.push(entry);
                    }
                    continue;
                }
                let child = RefItem::decode(item).map_err(|error| damaged(&error))?.blob;
                let known = self.seen.get(&child.id).cloned();
                let matches = match known {
                    Some(matches) => matches,
                    None => {
                        let node = body::open_one(self.store, self.sealer, &child).await?;
                        let matches = self.below(level - 1, node).await?;
                        self.seen.insert(child.id, matches.clone());
                        matches
                    }
                };
                found.extend(matches.iter().cloned());
            }
            Ok(Arc::new(found))
        })
    }
}

fn damaged(error: &body::TreeError) -> StoreError {
    StoreError::Corrupt { what: "an instance index".to_owned(), reason: error.to_string() }
}
