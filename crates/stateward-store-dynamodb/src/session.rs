//! A session gathers blobs in packs and publishes them with the records that refer to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt, TryStreamExt};
use stateward_store::{BlobId, Locator, NewBlob, Result, Revision, Session, StoreError, Write};
use tokio::task::JoinSet;

use crate::item::{Action, Change, Condition, Item, WRITE, bytes, number, text};
use crate::pack::{
    BLOB_BYTES_MAX, BYTES, Bulk, COUNT, HEAD_IDS, IDS, IDS_MAX, OUTSIDE, PARTS_MAX, PackId, SIZE, SUSPECT, Spot,
    TOUCHED,
};
use crate::places::At;
use crate::shared::{Shared, Unpublished, start_over};
use crate::table::Unwritten;

/// Packs that a session puts, and that it shares. Each is an item of the publishing transaction, which takes a hundred.
const PUT_MAX: usize = 40;
const SHARED_MAX: usize = 40;
/// Packs that are touched side by side.
const ABREAST: usize = 8;
/// What has to hold of a pack that is used.
const THERE: &str = "attribute_exists(W) AND attribute_not_exists(X)";

/// Blobs on their way.
pub(crate) struct DynamoSession {
    shared: Arc<Shared>,
    /// Tells packs of this session from others that might by chance have the same id.
    owner: String,
    /// Where the bytes of new packs go.
    bulk: Bulk,
    /// Full packs, and those that a commit has closed.
    packs: Vec<Pack>,
    open: Option<Pack>,
    /// Where this session's own blobs are.
    own: HashMap<BlobId, Spot>,
    /// Packs of others, or of an earlier commit of this session.
    borrowed: BTreeSet<PackId>,
    uploads: JoinSet<Result<()>>,
    /// Why an upload failed.
    broken: Option<StoreError>,
}

/// A pack that is being filled.
struct Pack {
    bulk: Bulk,
    id: PackId,
    bytes_max: u64,
    size: u64,
    count: usize,
    ids: Vec<u8>,
    /// Its first bytes.
    head: Vec<u8>,
    /// Those behind that have not been sent.
    tail: Vec<u8>,
    sent: u64,
    /// The header is in the table, so that a sweep finds the parts.
    stored: bool,
}

impl DynamoSession {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let owner = shared.table().ids.next();
        let bulk = if shared.depot.is_some() { Bulk::Bucket } else { Bulk::Table };
        Self {
            shared,
            owner,
            bulk,
            packs: Vec::new(),
            open: None,
            own: HashMap::new(),
            borrowed: BTreeSet::new(),
            uploads: JoinSet::new(),
            broken: None,
        }
    }

    async fn round(&self) -> Result<u64> {
        self.shared.rounds.current(self.shared.table(), self.shared.layout()).await
    }

    async fn put_one(&mut self, blob: &NewBlob) -> Result<Locator> {
        if let Some(spot) = self.own.get(&blob.id) {
            return Ok(spot.locator());
        }
        let mut pack = match self.open.take() {
            Some(pack) => pack,
            None => self.new_pack()?,
        };
        let spot = pack.append(blob);
        self.own.insert(blob.id, spot);
        let sent = self.send(&mut pack, self.bulk.parts_together()).await;
        if pack.size >= pack.bytes_max || pack.count >= IDS_MAX {
            let closed = match sent {
                Ok(()) => self.send(&mut pack, 0).await,
                error => error,
            };
            self.packs.push(pack);
            closed?;
        } else {
            self.open = Some(pack);
            sent?;
        }
        Ok(spot.locator())
    }

    fn new_pack(&self) -> Result<Pack> {
        if self.packs.len() >= PUT_MAX || self.packs.len() + self.borrowed.len() >= PUT_MAX + SHARED_MAX {
            let limit = (0..PUT_MAX).map(|packs| self.bulk.bytes_max(packs)).sum();
            return Err(StoreError::TooLarge { size: self.packs.iter().map(|pack| pack.size).sum(), limit });
        }
        Ok(Pack {
            bulk: self.bulk,
            id: PackId(self.shared.table().ids.number()),
            bytes_max: self.bulk.bytes_max(self.packs.len()),
            size: 0,
            count: 0,
            ids: Vec::new(),
            head: Vec::new(),
            tail: Vec::new(),
            sent: 0,
            stored: false,
        })
    }

    /// Sends parts in the background, if there are so many; with 0, also the last and shorter one.
    async fn send(&mut self, pack: &mut Pack, together: usize) -> Result<()> {
        let part_bytes = usize::try_from(self.bulk.part_bytes()).unwrap_or(usize::MAX);
        while pack.tail.len() >= together.max(1) * part_bytes || together == 0 && !pack.tail.is_empty() {
            self.store(pack).await?;
            let size = pack.tail.len().min(self.bulk.parts_together() * part_bytes);
            let room = u32::try_from(size.div_ceil(1 << 20)).unwrap_or(u32::MAX);
            let Ok(room) = Arc::clone(&self.shared.uploads).acquire_many_owned(room).await else {
                return Err(self.ended());
            };
            // From here on nothing waits: a call that is dropped half way must not lose bytes whose locators are out.
            let (first, batch) = pack.take(size, part_bytes);
            let (shared, id, bulk) = (Arc::clone(&self.shared), pack.id, self.bulk);
            self.uploads.spawn(async move {
                let _room = room;
                shared.put_parts(bulk, id, first, batch, part_bytes).await
            });
        }
        Ok(())
    }

    /// Puts the header, before the first part: a sweep has to find parts that nobody comes to publish.
    async fn store(&mut self, pack: &mut Pack) -> Result<()> {
        if pack.stored {
            return Ok(());
        }
        let mut header = self.header(pack, self.round().await?);
        // The last blob may go beyond the limit.
        header.insert(PARTS_MAX.to_owned(), number(self.bulk.parts(pack.bytes_max + BLOB_BYTES_MAX as u64)));
        let header = Action::put(self.shared.layout().header(pack.id), header);
        match self.shared.table().write(&[header.when(self.mine())]).await {
            Ok(()) => {
                pack.stored = true;
                Ok(())
            }
            Err(Unwritten::Conditions(_)) => Err(start_over(pack.id)),
            Err(Unwritten::Store(StoreError::OutcomeUnknown { reason })) => {
                Err(StoreError::Unavailable { retry_after: None, reason })
            }
            Err(Unwritten::Store(error)) => Err(error),
        }
    }

    fn header(&self, pack: &Pack, round: u64) -> Item {
        let bulk = match pack.bulk {
            Bulk::Table => (BYTES, bytes(&pack.head)),
            Bulk::Bucket => (OUTSIDE, number(1)),
        };
        let all = [(WRITE, text(&self.owner)), (TOUCHED, number(round)), bulk];
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// No pack of another session has this id.
    fn mine(&self) -> Condition {
        Condition::new("attribute_not_exists(W) OR W = :owner").with(":owner", text(&self.owner))
    }

    /// Brings all that is outside of the publishing transaction into the table.
    async fn settle(&mut self) -> Result<()> {
        if let Some(mut pack) = self.open.take() {
            let sent = if pack.tail.is_empty() { Ok(()) } else { self.send(&mut pack, 0).await };
            self.packs.push(pack);
            sent?;
        }
        let outside = self.packs.iter().filter(|pack| pack.stored && pack.count > HEAD_IDS);
        let outside: Vec<(At, Item)> = outside
            .map(|pack| (self.shared.layout().part(pack.id, 0), [(IDS.to_owned(), bytes(&pack.ids))].into()))
            .collect();
        self.shared.table().put_all(outside).await?;
        while let Some(uploaded) = self.uploads.join_next().await {
            let uploaded = uploaded.unwrap_or_else(|_| Err(self.ended()));
            if let Err(error) = uploaded {
                self.broken.get_or_insert(error);
            }
        }
        match &self.broken {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn ended(&self) -> StoreError {
        StoreError::Unavailable { retry_after: None, reason: format!("the session {} was ended", self.owner) }
    }

    /// What the publishing transaction does to packs: one action for each, in order of [`Self::used`].
    fn publishing(&self, round: u64) -> Vec<Action> {
        let layout = self.shared.layout();
        let there = || Condition::new(THERE);
        let own = self.packs.iter().map(|pack| {
            let (size, count) = (number(pack.size), number(pack.count));
            if !pack.stored {
                let mut header = self.header(pack, round);
                header.extend([(SIZE.to_owned(), size), (COUNT.to_owned(), count), (IDS.to_owned(), bytes(&pack.ids))]);
                return Action::put(layout.header(pack.id), header).when(self.mine());
            }
            let mut change = Change::default().set(TOUCHED, number(round)).set(SIZE, size).set(COUNT, count);
            if pack.count <= HEAD_IDS {
                change = change.set(IDS, bytes(&pack.ids));
            }
            Action::update(layout.header(pack.id), change.remove(SUSPECT)).when(there())
        });
        let borrowed = self.borrowed.iter().map(|pack| {
            let change = Change::default().set(TOUCHED, number(round)).remove(SUSPECT);
            Action::update(layout.header(*pack), change).when(there())
        });
        own.chain(borrowed).collect()
    }

    fn used(&self) -> Vec<PackId> {
        self.packs.iter().map(|pack| pack.id).chain(self.borrowed.iter().copied()).collect()
    }
}

impl Pack {
    fn append(&mut self, blob: &NewBlob) -> Spot {
        let size = u32::try_from(blob.sealed.len()).unwrap_or(u32::MAX);
        let spot = Spot { bulk: self.bulk, pack: self.id, offset: self.size, size };
        let head_bytes = usize::try_from(self.bulk.head_bytes()).unwrap_or(usize::MAX);
        let to_head = head_bytes.saturating_sub(self.head.len()).min(blob.sealed.len());
        self.head.extend_from_slice(&blob.sealed[..to_head]);
        self.tail.extend_from_slice(&blob.sealed[to_head..]);
        self.size += u64::from(size);
        self.count += 1;
        self.ids.extend_from_slice(&blob.id.0);
        spot
    }

    /// Takes the next bytes to be sent, and the number of the first part that they are.
    fn take(&mut self, size: usize, part_bytes: usize) -> (u64, Bytes) {
        let rest = self.tail.split_off(size);
        let batch = std::mem::replace(&mut self.tail, rest);
        let first = self.sent + 1;
        self.sent += batch.len().div_ceil(part_bytes) as u64;
        (first, batch.into())
    }
}

#[async_trait]
impl Session for DynamoSession {
    async fn share(&mut self, ids: &[BlobId]) -> Result<Vec<Option<Locator>>> {
        let mut found: Vec<Option<Locator>> = Vec::with_capacity(ids.len());
        let mut elsewhere: BTreeMap<PackId, Vec<(usize, Spot)>> = BTreeMap::new();
        for (n, id) in ids.iter().enumerate() {
            found.push(self.own.get(id).map(Spot::locator));
            if found[n].is_none()
                && let Some(spot) = self.shared.shelf.spot(id)
            {
                elsewhere.entry(spot.pack).or_default().push((n, spot));
            }
        }
        if elsewhere.is_empty() {
            return Ok(found);
        }
        // Where there are too many packs, those that hold little are not worth their place: what is in them is put again.
        let mut packs: Vec<PackId> = elsewhere.keys().filter(|pack| !self.borrowed.contains(pack)).copied().collect();
        packs.sort_by_key(|pack| std::cmp::Reverse(elsewhere[pack].len()));
        packs.truncate(SHARED_MAX.saturating_sub(self.borrowed.len()));
        let round = self.round().await?;
        let held = packs.into_iter().map(|pack| {
            let shared = Arc::clone(&self.shared);
            async move { shared.hold(pack, round).await.map(|held| (pack, held)) }.boxed()
        });
        let held: Vec<BoxFuture<'_, Result<(PackId, bool)>>> = held.collect();
        let held: Vec<(PackId, bool)> = stream::iter(held).buffer_unordered(ABREAST).try_collect().await?;
        self.borrowed.extend(held.iter().filter(|(_, held)| *held).map(|(pack, _)| *pack));
        for (pack, blobs) in elsewhere {
            if self.borrowed.contains(&pack) {
                blobs.into_iter().for_each(|(n, spot)| found[n] = Some(spot.locator()));
            } else if held.iter().any(|(other, held)| *other == pack && !held) {
                self.shared.shelf.forget(pack, blobs.into_iter().map(|(n, _)| ids[n]));
            }
        }
        Ok(found)
    }

    async fn put(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Locator>> {
        for blob in &blobs {
            if blob.sealed.len() > BLOB_BYTES_MAX {
                let size = blob.sealed.len() as u64;
                return Err(StoreError::TooLarge { size, limit: BLOB_BYTES_MAX as u64 });
            }
        }
        let mut locators = Vec::with_capacity(blobs.len());
        for blob in &blobs {
            locators.push(self.put_one(blob).await?);
        }
        Ok(locators)
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Revision> {
        self.settle().await?;
        let used = self.used();
        if used.is_empty() {
            return self.shared.publish(&writes, &[]).await.map_err(|error| match error {
                Unpublished::Store(error) => error,
                Unpublished::Pack(_) => self.ended(),
            });
        }
        let round = self.round().await?;
        match self.shared.publish(&writes, &self.publishing(round)).await {
            Ok(revision) => {
                self.shared.shelf.learn(self.own.iter().map(|(id, spot)| (*id, *spot)));
                self.shared.shelf.touch(used, round);
                self.borrowed.extend(self.packs.drain(..).map(|pack| pack.id));
                Ok(revision)
            }
            Err(Unpublished::Pack(index)) => {
                let lost = used.get(index).copied().unwrap_or(PackId(0));
                self.shared.shelf.forget(lost, []);
                Err(start_over(lost))
            }
            Err(Unpublished::Store(error)) => Err(error),
        }
    }
}

impl Shared {
    /// Puts bytes of a pack, the first of which begin the part with this number.
    async fn put_parts(&self, bulk: Bulk, pack: PackId, first: u64, batch: Bytes, part_bytes: usize) -> Result<()> {
        if let (Bulk::Bucket, Some(depot)) = (bulk, &self.depot) {
            return depot.put(pack, first, batch).await;
        }
        let part = |(part, n)| (self.layout().part(pack, n), [(BYTES.to_owned(), bytes(part))].into());
        Ok(self.table().put_all(batch.chunks(part_bytes).zip(first..).map(part).collect()).await?)
    }

    /// Sees to it that a pack stays for a while; false where it is gone.
    async fn hold(&self, pack: PackId, round: u64) -> Result<bool> {
        if self.shelf.touched(pack).is_some_and(|touched| touched >= round) {
            return Ok(true);
        }
        let change = Change::default().set(TOUCHED, number(round)).remove(SUSPECT);
        let touch = Action::update(self.layout().header(pack), change).when(Condition::new(THERE));
        match self.table().write(&[touch]).await {
            Ok(()) => {
                self.shelf.touch([pack], round);
                Ok(true)
            }
            // Not published yet, or gone.
            Err(Unwritten::Conditions(_) | Unwritten::Store(StoreError::OutcomeUnknown { .. })) => Ok(false),
            Err(Unwritten::Store(error)) => Err(error),
        }
    }
}
