//! Collection: packs that nobody refers to go, in two rounds, each under a condition that whoever uses the pack breaks.
//!
//! The first round that finds a pack with no live blob, and not touched since the round began, marks it as suspect, provided that
//! no later round has begun. A later round, whose set of live blobs was thus made after the mark, deletes it if the mark is still
//! there: publishing or sharing a pack takes the mark away, in the same transaction in which the records that refer to it become visible.
//! What was published before the mark is in the later round's set; what is published after it has taken the mark away.

use std::sync::Arc;

use bytes::Bytes;
use stateward_store::{Horizon, Live, Result, StoreError, SweepPage};
use tracing::warn;

use crate::item::{Action, Change, Condition, Item, RANGE, number, number_in, take_bytes};
use crate::pack::{
    BYTES, Bulk, COUNT, DOOMED, IDS, OUTSIDE, PARTS_MAX, PackId, SIZE, SUSPECT, TOUCHED, ids, next_shard,
};
use crate::places::At;
use crate::rounds;
use crate::shared::Shared;
use crate::table::Unwritten;

/// Headers of one step.
const HEADERS: usize = 64;
/// Items that are deleted together.
const DELETED_TOGETHER: u64 = 1000;

/// What a header says.
struct Header {
    pack: PackId,
    /// Where its first page of bytes is, and all else.
    item: Item,
    touched: u64,
    suspect: Option<u64>,
    doomed: Option<u64>,
    /// Bytes, once published.
    size: Option<u64>,
    bulk: Bulk,
}

impl Shared {
    pub(crate) async fn sweep(&self, horizon: Horizon, after: Option<u64>, live: Arc<Live>) -> Result<SweepPage> {
        let mut done = SweepPage { next: None, deleted: 0, freed_bytes: 0 };
        let Some(first) = after.map_or(Some(0), |after| after.checked_add(1)).map(PackId) else { return Ok(done) };
        let stretch = self.layout().headers_from(first);
        let page = self.table().query(&stretch, Some(HEADERS)).await?;
        let mut headers: Vec<Header> = page.items.into_iter().filter_map(Header::read).collect();
        let last = headers.last().map(|header| header.pack);
        let wanted: Vec<At> = headers
            .iter()
            .filter(|header| header.has_ids_outside())
            .map(|header| self.layout().part(header.pack, 0))
            .collect();
        let mut outside = self.table().get_many(wanted, true).await?;
        for header in &mut headers {
            let outside = outside.remove(&self.layout().part(header.pack, 0));
            let (deleted, freed) = self.judge(horizon.0, header, outside, &live).await?;
            done.deleted += deleted;
            done.freed_bytes += freed;
        }
        done.next = match (page.next, last) {
            (Some(_), Some(last)) => Some(last.0),
            _ => next_shard(first).map(|next| next.0 - 1),
        };
        Ok(done)
    }

    /// What becomes of a pack in this round. Gives the blobs and bytes that were deleted.
    async fn judge(&self, round: u64, header: &mut Header, outside: Option<Item>, live: &Live) -> Result<(u64, u64)> {
        if header.bulk == Bulk::Bucket && self.depot.is_none() {
            warn!(
                pack = format!("{:016x}", header.pack.0),
                "a pack lies in a bucket, which the store's URL does not name; it is kept"
            );
            return Ok((0, 0));
        }
        if let Some(doomed) = header.doomed {
            // Whoever was still sending parts has been told by now.
            if doomed < round && !self.is_former(header).await? {
                self.remove(header, true).await?;
            }
            return Ok((0, 0));
        }
        if header.touched >= round || !header.is_dead(outside, live) {
            return Ok((0, 0));
        }
        match header.suspect {
            Some(suspect) if suspect < round => {
                if header.touched + 1 >= round
                    || self.is_former(header).await?
                    || !self.doom(round, suspect, header).await?
                {
                    return Ok((0, 0));
                }
                // Parts may yet come of what was never published; the header stays for a round, so that these are found.
                self.remove(header, header.size.is_some()).await?;
                Ok((number_in(&header.item, COUNT).unwrap_or(0), header.size.unwrap_or(0)))
            }
            Some(_) => Ok((0, 0)),
            None => self.suspect(round, header).await.map(|()| (0, 0)),
        }
    }

    /// Bytes in the bucket are no longer for this home to delete.
    async fn is_former(&self, header: &Header) -> Result<bool> {
        match &self.depot {
            Some(depot) if header.bulk == Bulk::Bucket => depot.has_been_left().await,
            _ => Ok(false),
        }
    }

    /// Marks a pack, if this is still the latest round.
    async fn suspect(&self, round: u64, header: &Header) -> Result<()> {
        let untouched = Condition::new("R = :r AND attribute_not_exists(S) AND attribute_not_exists(X)");
        let mark = Action::update(self.layout().header(header.pack), Change::default().set(SUSPECT, number(round)))
            .when(untouched.with(":r", number(header.touched)));
        let latest = Condition::new("R = :r").with(":r", number(round));
        let latest = Action::check(rounds::at(self.layout()), latest);
        match self.table().write(&[mark, latest]).await {
            Ok(()) | Err(Unwritten::Conditions(_)) => Ok(()),
            Err(Unwritten::Store(error)) => Err(maybe(error)),
        }
    }

    /// Takes a pack out of use, for good; false where somebody uses it.
    async fn doom(&self, round: u64, suspect: u64, header: &Header) -> Result<bool> {
        let unused = Condition::new("S = :s AND R = :r AND attribute_not_exists(X)");
        let unused = unused.with(":s", number(suspect)).with(":r", number(header.touched));
        let change = Change::default().set(DOOMED, number(round)).remove(BYTES).remove(IDS);
        match self.table().write(&[Action::update(self.layout().header(header.pack), change).when(unused)]).await {
            Ok(()) => Ok(true),
            Err(Unwritten::Conditions(_)) => Ok(false),
            Err(Unwritten::Store(error)) => Err(maybe(error)),
        }
    }

    /// Deletes what a doomed pack is made of.
    async fn remove(&self, header: &Header, whole: bool) -> Result<()> {
        let layout = self.layout();
        self.shelf.forget(header.pack, []);
        self.shelf.uncache([layout.header(header.pack)]);
        let parts = |size| header.bulk.parts(size);
        let count = header.size.map_or_else(|| number_in(&header.item, PARTS_MAX).unwrap_or(0), parts);
        let items = match (header.bulk, &self.depot) {
            (Bulk::Bucket, Some(depot)) => {
                depot.remove(header.pack, count).await?;
                // The list of the blobs is in the table all the same.
                0
            }
            _ => count,
        };
        let mut first = 0;
        while count > 0 && first <= items {
            let last = items.min(first + DELETED_TOGETHER - 1);
            let places: Vec<At> = (first..=last).map(|part| layout.part(header.pack, part)).collect();
            self.shelf.uncache(places.clone());
            self.table().delete_all(places).await?;
            first = last + 1;
        }
        if whole {
            self.table().delete_all(vec![layout.header(header.pack)]).await?;
        }
        Ok(())
    }
}

impl Header {
    fn read(item: Item) -> Option<Self> {
        Some(Self {
            pack: PackId(number_in(&item, RANGE)?),
            touched: number_in(&item, TOUCHED)?,
            suspect: number_in(&item, SUSPECT),
            doomed: number_in(&item, DOOMED),
            size: number_in(&item, SIZE),
            bulk: if item.contains_key(OUTSIDE) { Bulk::Bucket } else { Bulk::Table },
            item,
        })
    }

    fn has_ids_outside(&self) -> bool {
        self.doomed.is_none() && self.size.is_some() && !self.item.contains_key(IDS)
    }

    /// None of its blobs is live. Where it is not known what they are, they are taken for live.
    fn is_dead(&mut self, outside: Option<Item>, live: &Live) -> bool {
        if self.size.is_none() {
            return true;
        }
        let known = take_bytes(&mut self.item, IDS).or_else(|| take_bytes(&mut outside?, IDS));
        let Some(known) = known.filter(|known| number_in(&self.item, COUNT) == Some(count(known))) else {
            warn!(pack = format!("{:016x}", self.pack.0), "the list of a pack's blobs is not there; it is kept");
            return false;
        };
        !ids(&known).any(|id| live.contains(&id))
    }
}

fn count(ids: &Bytes) -> u64 {
    (ids.len() / 32) as u64
}

/// It may have been done or not: the next round finds out.
fn maybe(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown { reason } => StoreError::Unavailable { retry_after: None, reason },
        error => error,
    }
}
