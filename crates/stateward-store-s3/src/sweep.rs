//! Collection: which packs may be deleted, and why that takes nothing that is needed.
//!
//! S3 has no transactions, so no commit can check that a pack is there *and* publish what refers to it at one moment. What a commit
//! does have is one compare-and-set, on the record of its home; and all packs of a home are used by commits of that home only. So
//! the home's record is where commits and collection take turns. It carries, besides its value ([`Upkeep`](crate::envelope::Upkeep)):
//!
//! - `round`: the last round of collection that visited the home,
//! - `touched`: the packs that commits have put or shared since that visit,
//! - `dropped`: the packs that have been given up.
//!
//! **A commit** of a session that holds packs goes like this: all packs are written; the home's record is read, and made, as one that
//! is gone, if there is none; a pack that is in `dropped` ends the commit with "start over", and so does one that may have been dropped and
//! deleted since it was known to be there, and is not there any more; then the record is replaced *if it is still the one that was read*,
//! with the packs added to `touched`.
//!
//! **A visit** of round *h* to a home:
//!
//! 1. The home's packs are listed, and of those begun in earlier rounds the index is read. Dead is what holds no blob that mark *h* saw.
//! 2. The home's record is read, and after that the count of rounds: unless it is still *h*, the sweep ends.
//! 3. If the record's `round` is less than *h*, those of the dead are given up that are not in `touched` and were begun in round
//!    *h* - 2 or before.
//! 4. The record is replaced if it is still the one that was read: `round` is *h*, `touched` is empty, and `dropped` is what
//!    was in it and is still listed, and what is given up now. If somebody else was faster, the visit starts again at 2.
//! 5. All packs in `dropped` are deleted.
//!
//! **Nothing that is needed is deleted.** Let visit *h* give up pack *p*, and let commit *c* refer to *p*. All commits and visits of a
//! home are in one order, that of its record's writes.
//!
//! - *c* after the visit's write (4): it read a record in which *p* is in `dropped`, or which followed such a record. An entry leaves
//!   `dropped` only when a listing that began after its pack was given up no longer has it; then *c* finds no such pack. Either way *c* is refused.
//! - *c* between the visit before (of round *s* < *h*) and visit *h*: then *p* is in `touched`, and not given up. Nothing can be
//!   written between (2) and (4), because (4) would fail.
//! - *c* before visit *s*, or before no visit at all, which cannot be, for then it is in `touched`: the record did not change between (2) and
//!   (4) of visit *s*, and in between the round was still *s*. So *c* came before round *s* + 1 began, and before mark *h*,
//!   which began later. If something live referred to *p* because of *c*, mark *h* saw it, and *p* is not dead.
//!
//! **A commit is refused only where the contract allows it.** A pack is put in the round in its name or later, and only given up two rounds after.
//! A shared pack is one that its home referred to when it was read. It is given up if the reference ends, and a round begins, and a visit
//! comes, between the read and the commit; who only starts over then puts the blobs instead.
//!
//! **Everything that is not needed is deleted at last.** A pack that stays dead is in no `touched` after its home's first visit, and
//! old enough two rounds after it was begun. What a crash leaves between (4) and (5) is in `dropped`, is dead in the next mark, and is
//! deleted then. A pack whose home never got a record is found by the listing; the visit makes a record that is gone for it, so that a
//! session that is still under way with it meets it there.
//!
//! A pack goes when all its blobs are dead. One live blob keeps it: rewriting packs would cost more than it gives back, for what
//! versions share is mostly what the oldest of them put.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use stateward_store::{Horizon, Live, Result, StoreError, SweepPage};
use stateward_store_aws::{LISTED_MAX, Names, together};
use tracing::{debug, warn};

use crate::envelope::{PackId, Touched, Upkeep};
use crate::pack::{self, Index, PackName};
use crate::records::{Found, Home, Put};
use crate::store::Shared;

/// Of the end of a pack so much is read first: the index of 1,700 blobs.
const END_BYTES: u64 = 64 << 10;
/// Lost races after which a home is left to the next round.
const RACES_MAX: usize = 8;

/// A pack in a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) name: PackName,
    pub(crate) size: u64,
}

/// A pack without a live blob.
struct Dead {
    listed: Listed,
    blobs: u64,
}

/// What a visit did.
#[derive(Default)]
struct Visit {
    deleted: u64,
    freed_bytes: u64,
    /// A newer round has begun.
    over: bool,
}

/// One step of a sweep: as many homes as one listing shows.
pub(crate) async fn step(shared: &Shared, horizon: Horizon, after: Option<u64>, live: &Arc<Live>) -> Result<SweepPage> {
    let (homes, next) = homes(shared, after).await?;
    let visit = |packs: Vec<Listed>| async move { visit_home(shared, horizon.0, &packs, live).await }.boxed();
    let visits = together::all(homes.into_values().map(visit)).await?;
    let over = visits.iter().any(|visit| visit.over);
    Ok(SweepPage {
        next: next.filter(|_| !over),
        deleted: visits.iter().map(|visit| visit.deleted).sum(),
        freed_bytes: visits.iter().map(|visit| visit.freed_bytes).sum(),
    })
}

/// The next homes that have packs, with all of these, and where the step after this one starts.
async fn homes(shared: &Shared, after: Option<u64>) -> Result<(BTreeMap<Home, Vec<Listed>>, Option<u64>)> {
    let root = &shared.records.root;
    let all = pack::all(root);
    let mut start = after.map(|after| format!("{all}{after:016x}"));
    let mut homes: BTreeMap<Home, Vec<Listed>> = BTreeMap::new();
    loop {
        let names = Names { prefix: all.clone(), after: start.clone(), limit: LISTED_MAX };
        let page = shared.records.bucket.list(&names).await?;
        start = page.objects.last().map(|last| last.name.clone()).or(start);
        for object in page.objects {
            if let Some(name) = PackName::parse(root, &object.name) {
                homes.entry(name.home).or_default().push(Listed { name, size: object.size });
            }
        }
        if !page.more {
            return Ok((homes, None));
        }
        // The last home may go on in the next page.
        let last = homes.keys().next_back().copied().map(position);
        if let Some(last) = last.filter(|last| homes.keys().next().copied().map(position) < Some(*last)) {
            homes.retain(|home, _| position(*home) < last);
            return Ok((homes, Some(last)));
        }
    }
}

/// A home's place in the order of all.
fn position(home: Home) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&home.0[..8]);
    u64::from_be_bytes(bytes)
}

async fn visit_home(shared: &Shared, round: u64, packs: &[Listed], live: &Arc<Live>) -> Result<Visit> {
    let look =
        |listed: Listed| async move { Ok(index_of(shared, &listed).await?.map(|index| (listed, index))) }.boxed();
    let old: Vec<Listed> = packs.iter().filter(|listed| listed.name.round < round).copied().collect();
    let indexes: Vec<(Listed, Index)> = together::all(old.into_iter().map(look)).await?.into_iter().flatten().collect();
    let Some(key) = indexes.first().map(|(_, index)| index.key.clone()) else { return Ok(Visit::default()) };
    let dead: Vec<Dead> = indexes
        .into_iter()
        .filter(|(_, index)| index.blobs.iter().all(|(id, _)| !live.contains(id)))
        .map(|(listed, index)| Dead { listed, blobs: index.blobs.len() as u64 })
        .collect();
    if dead.is_empty() {
        return Ok(Visit::default());
    }
    visit(shared, round, &key, packs, &dead).await
}

/// Steps 2 to 5.
async fn visit(shared: &Shared, round: u64, key: &str, packs: &[Listed], dead: &[Dead]) -> Result<Visit> {
    for _ in 0..RACES_MAX {
        let found = shared.records.read(key).await?;
        if shared.round().await? != round {
            return Ok(Visit { over: true, ..Visit::default() });
        }
        let upkeep = found.as_ref().map(|found| found.known.header.upkeep.clone()).unwrap_or_default();
        let dropped = if upkeep.round < round {
            let upkeep = visited(&upkeep, round, packs, dead);
            let dropped = upkeep.dropped.clone();
            let value = found.as_ref().filter(|found| !found.is_gone()).map(|found| found.value.clone());
            let base = found.as_ref().map(|found: &Found| &found.known);
            match shared.records.put(key, base, value.as_deref(), upkeep).await? {
                Put::Done(_) => dropped,
                Put::Other(_) => continue,
            }
        } else {
            upkeep.dropped
        };
        return delete(shared, dead.iter().filter(|dead| dropped.contains(&dead.listed.name.id()))).await;
    }
    debug!(key, "others write this record all the time; its packs are left to the next round");
    Ok(Visit::default())
}

/// What the home's record says after a visit.
fn visited(before: &Upkeep, round: u64, packs: &[Listed], dead: &[Dead]) -> Upkeep {
    let listed: BTreeSet<PackId> = packs.iter().map(|listed| listed.name.id()).collect();
    let old = |name: &PackName| name.round.saturating_add(2) <= round;
    let mut dropped: Vec<PackId> = before.dropped.iter().filter(|pack| listed.contains(*pack)).cloned().collect();
    for name in dead.iter().map(|dead| dead.listed.name).filter(old) {
        let id = name.id();
        if !before.touched.contains(&id) && !dropped.contains(&id) {
            dropped.push(id);
        }
    }
    Upkeep { round, touched: Touched::default(), dropped }
}

async fn delete(shared: &Shared, packs: impl Iterator<Item = &Dead>) -> Result<Visit> {
    let packs: Vec<&Dead> = packs.collect();
    let remove = |dead: &&Dead| {
        let object = dead.listed.name.object(&shared.records.root);
        async move { Ok(shared.records.bucket.delete(&object).await?) }.boxed()
    };
    together::all(packs.iter().map(remove)).await?;
    shared.packs.forget(&packs.iter().map(|dead| dead.listed.name).collect());
    Ok(Visit {
        deleted: packs.iter().map(|dead| dead.blobs).sum(),
        freed_bytes: packs.iter().map(|dead| dead.listed.size).sum(),
        over: false,
    })
}

/// Reads the index of a pack. A damaged one is told of and counts as live; `None` also where it has been deleted meanwhile.
async fn index_of(shared: &Shared, listed: &Listed) -> Result<Option<Index>> {
    match read_index(shared, listed).await {
        Ok(Some(index)) if Home::of(&index.key) == listed.name.home => Ok(Some(index)),
        Ok(Some(_)) => {
            warn!(pack = %listed.name.id().0, "a pack lies in the directory of another record; it is left alone");
            Ok(None)
        }
        Err(error @ StoreError::Corrupt { .. }) => {
            warn!(%error, "a damaged pack is left alone");
            Ok(None)
        }
        other => other,
    }
}

/// Reads the index at the end of a pack.
pub(crate) async fn read_index(shared: &Shared, listed: &Listed) -> Result<Option<Index>> {
    let object = listed.name.object(&shared.records.root);
    let bucket = &shared.records.bucket;
    let mut from = listed.size.saturating_sub(END_BYTES);
    loop {
        let Some(end) = bucket.get_range(&object, from, listed.size.max(1)).await? else { return Ok(None) };
        let bytes = pack::index_bytes(&end).map_err(|reason| pack::damaged(&object, reason))?;
        if bytes <= end.len() as u64 || from == 0 {
            return pack::read_index(&end, listed.size).map(Some).map_err(|reason| pack::damaged(&object, reason));
        }
        from = listed.size.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(round: u64) -> PackName {
        PackName { home: Home([0; 16]), round, number: round }
    }

    fn listed(round: u64) -> Listed {
        Listed { name: name(round), size: 1 }
    }

    fn dead(round: u64) -> Dead {
        Dead { listed: listed(round), blobs: 1 }
    }

    #[test]
    fn only_old_packs_that_nobody_touched_are_given_up() {
        let packs: Vec<Listed> = (0..6).map(listed).collect();
        let dead: Vec<Dead> = (0..6).map(dead).collect();
        let before = Upkeep { round: 3, touched: Touched::Some(vec![name(1).id()]), dropped: vec![name(9).id()] };
        let after = visited(&before, 5, &packs, &dead);
        assert_eq!(after.dropped, [0, 2, 3].map(|round| name(round).id()));
        assert_eq!((after.round, after.touched), (5, Touched::default()));
    }

    #[test]
    fn what_was_given_up_stays_so_until_it_is_deleted() {
        let before = Upkeep { round: 3, touched: Touched::Any(()), dropped: vec![name(0).id(), name(1).id()] };
        let after = visited(&before, 5, &[listed(1), listed(2)], &[dead(1), dead(2)]);
        assert_eq!(after.dropped, [name(1).id()], "the first is no longer listed, and any may have been touched");
    }
}
