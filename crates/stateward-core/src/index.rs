//! The instance index of a version: a list of addresses and meanings, sorted by address, shared between versions node by node.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
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
pub(crate) fn encode(entry: &Entry) -> (Vec<u8>, u32) {
    let mut item = Vec::with_capacity(entry.address.len() + MEANING_BYTES);
    item.extend_from_slice(entry.address.as_bytes());
    let hash = item.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    item.extend_from_slice(&entry.meaning);
    // The low bits of FNV-1a mix poorly.
    (item, hash ^ (hash >> 15))
}

fn decode(item: &Bytes) -> Result<Entry, StoreError> {
    let corrupt =
        || StoreError::Corrupt { what: "an instance index".to_owned(), reason: "an entry is malformed".to_owned() };
    let split = item.len().checked_sub(MEANING_BYTES).ok_or_else(corrupt)?;
    let (address, meaning) = item.split_at(split);
    let address = std::str::from_utf8(address).map_err(|_| corrupt())?.to_owned();
    Ok(Entry { address, meaning: meaning.try_into().map_err(|_| corrupt())? })
}

/// Reads a whole index.
pub(crate) async fn load(store: Arc<dyn Store>, sealer: Sealer, tree: &Tree) -> Result<Vec<Entry>, StoreError> {
    entries(store, sealer, tree).try_collect().await
}

/// Streams an index, sorted by address.
pub(crate) fn entries(
    store: Arc<dyn Store>,
    sealer: Sealer,
    tree: &Tree,
) -> impl Stream<Item = Result<Entry, StoreError>> + Send + use<> {
    body::items(store, sealer, tree).and_then(|item| std::future::ready(decode(&item)))
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
                        let sealed = self.store.get_blobs(std::slice::from_ref(&child)).await?;
                        let sealed = sealed
                            .first()
                            .ok_or_else(|| StoreError::NotFound { what: format!("blob {}", child.id) })?;
                        let matches = self.below(level - 1, self.sealer.open(&child.id, sealed)?).await?;
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
