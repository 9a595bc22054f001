//! Writing a body.

use bytes::Bytes;

use super::cut::Cutter;
use super::tree::{Node, RefItem, Tree, TreeBuilder};
use super::{Grain, Sealer};
use crate::{BlobId, BlobRef, Locator, NewBlob, Result, Session};

/// Asking the store what it holds pays only for bodies of many chunks.
const SHARE_FROM: usize = 16;
/// Chunks that go to the store together: about 1 MiB in the fine grain.
const BATCH: usize = 64;

/// Cuts, addresses, shares, seals and puts a body while it streams in.
pub struct Writer {
    sealer: Sealer,
    cutter: Cutter,
    chunks: Vec<(BlobId, Bytes)>,
    batch_put: bool,
    tree: TreeBuilder,
}

impl Writer {
    /// Starts a body.
    pub fn new(sealer: &Sealer, grain: Grain) -> Self {
        let cutter = Cutter::new(grain, sealer.cut_seed());
        Self {
            cutter,
            tree: TreeBuilder::new(sealer.clone()),
            sealer: sealer.clone(),
            chunks: Vec::new(),
            batch_put: false,
        }
    }

    /// Takes the next bytes. Costs CPU time: about 1 ms a MiB.
    pub async fn write(&mut self, bytes: &[u8], session: &mut dyn Session) -> Result<()> {
        let (sealer, chunks) = (&self.sealer, &mut self.chunks);
        self.cutter.push(bytes, |chunk| chunks.push((sealer.id(&chunk), chunk)));
        if self.chunks.len() >= BATCH { self.put_chunks(session).await } else { Ok(()) }
    }

    /// Ends the body and gives the list of its chunks.
    pub async fn finish(mut self, session: &mut dyn Session) -> Result<Tree> {
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(Grain::FINE, 0));
        let (sealer, chunks) = (&self.sealer, &mut self.chunks);
        cutter.finish(|chunk| chunks.push((sealer.id(&chunk), chunk)));
        self.put_chunks(session).await?;
        finish_tree(&mut self.tree, session).await
    }

    async fn put_chunks(&mut self, session: &mut dyn Session) -> Result<()> {
        let chunks = std::mem::take(&mut self.chunks);
        let ids: Vec<BlobId> = chunks.iter().map(|(id, _)| *id).collect();
        let mut places =
            if self.batch_put || ids.len() >= SHARE_FROM { session.share(&ids).await? } else { vec![None; ids.len()] };
        self.batch_put = true;
        places.resize(ids.len(), None);

        let missing = chunks.iter().zip(&places).filter(|(_, place)| place.is_none());
        let fresh: Vec<NewBlob> = missing.map(|((id, chunk), _)| self.sealer.seal(*id, chunk)).collect();
        let mut fresh = if fresh.is_empty() { Vec::new() } else { session.put(fresh).await? }.into_iter();
        for ((id, chunk), place) in chunks.iter().zip(places) {
            let locator = place.or_else(|| fresh.next()).unwrap_or_default();
            let node = self.tree.push_ref(&RefItem { blob: BlobRef { id: *id, locator }, span: chunk.len() as u64 });
            place_nodes(&mut self.tree, node, session).await?;
        }
        Ok(())
    }
}

/// Puts a complete node, and every node above that it completes.
pub(super) async fn place_nodes(
    tree: &mut TreeBuilder,
    mut node: Option<Node>,
    session: &mut dyn Session,
) -> Result<()> {
    while let Some(done) = node {
        let locator = session.put(vec![done.blob.clone()]).await?.pop().unwrap_or_else(Locator::default);
        node = tree.place(&done, locator);
    }
    Ok(())
}

pub(super) async fn finish_tree(tree: &mut TreeBuilder, session: &mut dyn Session) -> Result<Tree> {
    loop {
        match tree.finish() {
            Ok(tree) => return Ok(tree),
            Err(node) => place_nodes(tree, Some(node), session).await?,
        }
    }
}

impl TreeBuilder {
    /// Appends an item and puts what it completes.
    pub async fn append(&mut self, item: &[u8], hash: u32, session: &mut dyn Session) -> Result<()> {
        let node = self.push(item, hash, 1).map_err(super::read::damaged)?;
        place_nodes(self, node, session).await
    }

    /// Ends the list and puts what is left.
    pub async fn done(mut self, session: &mut dyn Session) -> Result<Tree> {
        finish_tree(&mut self, session).await
    }
}
