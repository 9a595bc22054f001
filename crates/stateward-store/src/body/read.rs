//! Reading a body, or any other list, back.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::Sealer;
use super::tree::{RefItem, Tree, TreeError};
use crate::{BlobRef, Result, Store, StoreError};

/// Plain bytes fetched together.
const BATCH_BYTES: u64 = 1 << 20;
/// Batches on their way while one is being consumed.
const AHEAD: usize = 2;
/// Nodes fetched together.
const NODES_TOGETHER: usize = 64;
/// More levels than any real list has.
const LEVELS_MAX: u8 = 12;

/// Streams a body's bytes in order. Holds a few MiB at most.
pub fn read(store: Arc<dyn Store>, sealer: Sealer, tree: &Tree) -> BoxStream<'static, Result<Bytes>> {
    read_range(store, sealer, tree, 0..u64::MAX)
}

/// Streams a part of a body, fetching only the chunks that hold it.
pub fn read_range(
    store: Arc<dyn Store>,
    sealer: Sealer,
    tree: &Tree,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes>> {
    let chunks = leaf_items(store.clone(), sealer.clone(), tree, Some(range.clone()));
    let batches =
        chunks.map(|found| found.and_then(|(start, item)| Ok((start, RefItem::decode(&item).map_err(damaged)?))));
    let batches = batch(batches.boxed());
    let fetched = batches.map(move |batch| {
        let (store, sealer, range) = (store.clone(), sealer.clone(), range.clone());
        async move { Ok(stream::iter(fetch(&store, sealer, batch?, range).await?.into_iter().map(Ok))) }
    });
    fetched.buffered(AHEAD).try_flatten().boxed()
}

/// Streams the items of a list in order.
pub fn items(store: Arc<dyn Store>, sealer: Sealer, tree: &Tree) -> BoxStream<'static, Result<Bytes>> {
    leaf_items(store, sealer, tree, None).map_ok(|(_, item)| item).boxed()
}

/// Calls `see` for every blob that a list refers to: its nodes, and with `chunks` also what its items refer to.
/// `see` answers whether to look below a node (false: it has been seen, so everything below it has been too).
pub async fn refs_of(
    store: &dyn Store,
    sealer: &Sealer,
    tree: &Tree,
    chunks: bool,
    see: &mut (dyn FnMut(&BlobRef) -> bool + Send),
) -> Result<()> {
    let mut open = vec![(tree.levels.min(LEVELS_MAX), tree.root.clone())];
    while let Some((level, node)) = open.pop() {
        if level == 0 && !chunks {
            continue;
        }
        for item in Tree::split(&node).map_err(damaged)? {
            let child = RefItem::decode(&item).map_err(damaged)?.blob;
            if see(&child) && level > 0 && (level > 1 || chunks) {
                open.push((level - 1, open_one(store, sealer, &child).await?));
            }
        }
    }
    Ok(())
}

/// Where the walk through a tree stands: nodes yet to be opened, nearest last.
struct Walk {
    store: Arc<dyn Store>,
    sealer: Sealer,
    /// Level, byte offset of its first chunk, item.
    open: Vec<(u8, u64, Bytes)>,
    range: Option<Range<u64>>,
}

fn leaf_items(
    store: Arc<dyn Store>,
    sealer: Sealer,
    tree: &Tree,
    range: Option<Range<u64>>,
) -> BoxStream<'static, Result<(u64, Bytes)>> {
    let mut walk = Walk { store, sealer, open: Vec::new(), range };
    if let Err(error) = walk.expand(tree.levels.min(LEVELS_MAX), 0, &tree.root) {
        return stream::once(async { Err(error) }).boxed();
    }
    stream::try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|item| (item, walk))) }).boxed()
}

impl Walk {
    async fn next(&mut self) -> Result<Option<(u64, Bytes)>> {
        while let Some((level, start, item)) = self.open.pop() {
            if level == 0 {
                return Ok(Some((start, item)));
            }
            let mut run = vec![(start, RefItem::decode(&item).map_err(damaged)?.blob)];
            while run.len() < NODES_TOGETHER
                && let Some((_, start, item)) = self.open.pop_if(|(other, ..)| *other == level)
            {
                run.push((start, RefItem::decode(&item).map_err(damaged)?.blob));
            }
            self.open_nodes(level, &run).await?;
        }
        Ok(None)
    }

    /// Opens sibling nodes with one request; what is in the first of them comes next.
    async fn open_nodes(&mut self, level: u8, run: &[(u64, BlobRef)]) -> Result<()> {
        let refs: Vec<BlobRef> = run.iter().map(|(_, blob)| blob.clone()).collect();
        let sealed = self.store.get_blobs(&refs).await?;
        for ((start, blob), sealed) in run.iter().zip(&sealed).rev() {
            let node = self.sealer.open(&blob.id, sealed)?;
            self.expand(level - 1, *start, &node)?;
        }
        Ok(())
    }

    /// Opens a node: its items are next, the first of them first; those outside the range are left out.
    fn expand(&mut self, level: u8, mut start: u64, node: &Bytes) -> Result<()> {
        let below = self.open.len();
        for item in Tree::split(node).map_err(damaged)? {
            let span =
                if self.range.is_some() || level > 0 { RefItem::decode(&item).map_err(damaged)?.span } else { 1 };
            let end = start.saturating_add(span);
            if self.range.as_ref().is_none_or(|range| start < range.end && end > range.start) {
                self.open.push((level, start, item));
            }
            start = end;
        }
        self.open[below..].reverse();
        Ok(())
    }
}

fn batch(chunks: BoxStream<'static, Result<(u64, RefItem)>>) -> BoxStream<'static, Result<Vec<(u64, RefItem)>>> {
    stream::try_unfold((chunks, None), |(mut chunks, held)| async move {
        let (mut batch, mut bytes): (Vec<(u64, RefItem)>, u64) = (Vec::new(), 0);
        let mut next = held;
        loop {
            let Some((start, item)) = (match next.take() {
                Some(held) => Some(held),
                None => chunks.try_next().await?,
            }) else {
                return Ok((!batch.is_empty()).then_some((batch, (chunks, None))));
            };
            bytes = bytes.saturating_add(item.span);
            if bytes > BATCH_BYTES && !batch.is_empty() {
                return Ok(Some((batch, (chunks, Some((start, item))))));
            }
            batch.push((start, item));
        }
    })
    .boxed()
}

async fn fetch(
    store: &Arc<dyn Store>,
    sealer: Sealer,
    batch: Vec<(u64, RefItem)>,
    range: Range<u64>,
) -> Result<Vec<Bytes>> {
    let refs: Vec<BlobRef> = batch.iter().map(|(_, item)| item.blob.clone()).collect();
    let sealed = store.get_blobs(&refs).await?;
    let open = move || -> Result<Vec<Bytes>> {
        let mut plain = Vec::with_capacity(batch.len());
        for ((start, item), sealed) in batch.iter().zip(sealed) {
            let chunk = sealer.open(&item.blob.id, &sealed)?;
            let from = usize::try_from(range.start.saturating_sub(*start)).unwrap_or(usize::MAX).min(chunk.len());
            let to = usize::try_from(range.end.saturating_sub(*start)).unwrap_or(usize::MAX).min(chunk.len());
            plain.push(chunk.slice(from..to.max(from)));
        }
        Ok(plain)
    };
    if refs.len() <= 4 {
        return open();
    }
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|_| StoreError::Unavailable { retry_after: None, reason: "the read was cancelled".to_owned() })?
}

/// Reads one blob: the plain content of a chunk or node.
pub async fn open_one(store: &dyn Store, sealer: &Sealer, blob: &BlobRef) -> Result<Bytes> {
    let sealed = store.get_blobs(std::slice::from_ref(blob)).await?;
    let sealed = sealed.first().ok_or_else(|| StoreError::NotFound { what: format!("blob {}", blob.id) })?;
    sealer.open(&blob.id, sealed)
}

pub(super) fn damaged(error: TreeError) -> StoreError {
    StoreError::Corrupt { what: "a list of chunks".to_owned(), reason: error.0.to_owned() }
}
