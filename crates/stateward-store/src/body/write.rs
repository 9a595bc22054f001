//! Writing a body, or any other list.

use std::mem;

use bytes::Bytes;

use super::cut::Cutter;
use super::tree::{Node, RefItem, Tree, TreeBuilder};
use super::{Grain, Sealer};
use crate::{BlobId, BlobRef, Locator, NewBlob, Result, Session};

/// Asking the store what it holds pays only for many blobs.
const SHARE_FROM: usize = 16;
/// Blobs that go to the store together: about 1 MiB of chunks in the fine grain.
const BATCH: usize = 64;

/// Cuts, addresses, shares, seals and puts a body while it streams in.
pub struct Writer {
    sealer: Sealer,
    cutter: Cutter,
    chunks: Vec<(BlobId, Bytes)>,
    places: Places,
    list: ListWriter,
}

impl Writer {
    /// Starts a body.
    pub fn new(sealer: &Sealer, grain: Grain) -> Self {
        Self {
            sealer: sealer.clone(),
            cutter: Cutter::new(grain, sealer.cut_seed()),
            chunks: Vec::new(),
            places: Places::default(),
            list: ListWriter::over(sealer, TreeBuilder::of_chunks(sealer.clone())),
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
        let cutter = mem::replace(&mut self.cutter, Cutter::new(Grain::FINE, 0));
        let (sealer, chunks) = (&self.sealer, &mut self.chunks);
        cutter.finish(|chunk| chunks.push((sealer.id(&chunk), chunk)));
        self.put_chunks(session).await?;
        self.list.done(session).await
    }

    async fn put_chunks(&mut self, session: &mut dyn Session) -> Result<()> {
        let chunks = mem::take(&mut self.chunks);
        let ids: Vec<BlobId> = chunks.iter().map(|(id, _)| *id).collect();
        let seal = |n: usize| self.sealer.seal(chunks[n].0, &chunks[n].1);
        let places = self.places.find(&ids, seal, session).await?;
        for ((id, chunk), locator) in chunks.iter().zip(places) {
            let item = RefItem { blob: BlobRef { id: *id, locator }, span: chunk.len() as u64 };
            self.list.append_ref(&item, session).await?;
        }
        Ok(())
    }
}

/// Writes a list of items while they come, in order.
pub struct ListWriter {
    sealer: Sealer,
    tree: TreeBuilder,
    /// Complete nodes that are not put yet, all of the lowest level.
    waiting: Vec<Node>,
    places: Places,
}

impl ListWriter {
    /// Starts a list.
    pub fn new(sealer: &Sealer, grain: Grain) -> Self {
        Self::over(sealer, TreeBuilder::of_items(sealer.clone(), grain))
    }

    fn over(sealer: &Sealer, tree: TreeBuilder) -> Self {
        Self { sealer: sealer.clone(), tree, waiting: Vec::new(), places: Places::default() }
    }

    /// Appends an item. `hash` decides where nodes end: derive it from what is stable about the item.
    pub async fn append(&mut self, item: &[u8], hash: u32, session: &mut dyn Session) -> Result<()> {
        let node = self.tree.push(item, hash, 1).map_err(super::read::damaged)?;
        self.keep(node, session).await
    }

    async fn append_ref(&mut self, item: &RefItem, session: &mut dyn Session) -> Result<()> {
        let node = self.tree.push_ref(item);
        self.keep(node, session).await
    }

    /// Ends the list and puts what is left.
    pub async fn done(mut self, session: &mut dyn Session) -> Result<Tree> {
        loop {
            self.put_waiting(session).await?;
            match self.tree.finish() {
                Ok(tree) => return Ok(tree),
                Err(node) => self.waiting.push(node),
            }
        }
    }

    async fn keep(&mut self, node: Option<Node>, session: &mut dyn Session) -> Result<()> {
        self.waiting.extend(node);
        if self.waiting.len() >= BATCH { self.put_waiting(session).await } else { Ok(()) }
    }

    /// Puts the nodes that wait, and every node above that they complete.
    async fn put_waiting(&mut self, session: &mut dyn Session) -> Result<()> {
        while !self.waiting.is_empty() {
            let nodes = mem::take(&mut self.waiting);
            let ids: Vec<BlobId> = nodes.iter().map(|node| node.id).collect();
            let places = self.places.find(&ids, |n| nodes[n].seal(&self.sealer), session).await?;
            for (node, locator) in nodes.iter().zip(places) {
                self.waiting.extend(self.tree.place(node, locator));
            }
        }
        Ok(())
    }
}

/// Finds places for blobs: shares those that the store holds, and puts the others.
#[derive(Default)]
struct Places {
    /// There are many: asking pays for the last few, too.
    many: bool,
}

impl Places {
    /// `seal` makes the blob with this number among `ids`.
    async fn find(
        &mut self,
        ids: &[BlobId],
        seal: impl Fn(usize) -> NewBlob,
        session: &mut dyn Session,
    ) -> Result<Vec<Locator>> {
        self.many |= ids.len() >= SHARE_FROM;
        let mut shared = if self.many { session.share(ids).await? } else { Vec::new() };
        shared.resize(ids.len(), None);
        let fresh: Vec<NewBlob> = (0..ids.len()).filter(|n| shared[*n].is_none()).map(seal).collect();
        let mut fresh = if fresh.is_empty() { Vec::new() } else { session.put(fresh).await? }.into_iter();
        Ok(shared.into_iter().map(|place| place.or_else(|| fresh.next()).unwrap_or_default()).collect())
    }
}
