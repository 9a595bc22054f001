//! Moving the home to another Region. What has to hold is told in `home`.

use std::collections::BTreeSet;
use std::time::Duration;

use stateward_store::{Result, StoreError};
use stateward_store_aws::Fault;
use tokio::time::Instant;

use crate::home::{Epoch, latest};
use crate::item::{Item, KEY, WRITE, at_of, bytes, take_bytes, text_in};
use crate::open::Opener;
use crate::options::Options;
use crate::pack::BYTES;
use crate::places::{At, KINDS, Stretch};
use crate::refusal::OpenError;
use crate::store::Now;
use crate::table::{Table, Unwritten};

/// How long a planned move waits for the new home to have everything.
const CATCH_UP: Duration = Duration::from_mins(10);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Items that are copied together.
const TOGETHER: usize = 500;
/// Fingerprints of records in one item.
const FINGERPRINTS: usize = 32 << 10;
const FINGERPRINT_BYTES: usize = 8;

/// How the home is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// The old home is asked to stop, and nothing is lost.
    No,
    /// The old home is out of reach. What it acknowledged and had not passed on is not at the new home, and nor is what it goes on to
    /// acknowledge to those who still reach it, until it hears of the move: stop them first.
    Yes,
}

/// A home that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The number of the new epoch.
    pub epoch: u64,
    /// The Region that was home; `None` where it was home already.
    pub from: Option<String>,
    /// The Region that is home now.
    pub to: String,
    /// Items that were compared, or copied where the move was forced.
    pub items: u64,
}

/// Moves the home of a store to another Region. Started again after it was broken off, it goes on.
///
/// # Errors
/// `Unsupported` where the table is not in that Region; `Unavailable` where a Region is out of reach or does not catch up; the
/// text says what was done and what to do next.
pub async fn failover(options: &Options, now: Now, seed: [u8; 32], to: &str, force: Force) -> Result<Moved> {
    let opener = Opener::new(options, now, seed).await?;
    let target = opener.table_in(to);
    match force {
        Force::No => {
            let regions = opener.look().await?;
            check_region(options, &regions, to)?;
            planned(&opener, &regions, &target, to).await
        }
        Force::Yes => forced(&opener, &target, to).await,
    }
}

/// The keys of records that the former home wrote and that did not come along with a forced move: acknowledged there before it heard
/// of the move, or on their way when it began. Empty after a planned move.
///
/// # Errors
/// As reading from the store.
pub async fn left_behind(options: &Options, now: Now, seed: [u8; 32]) -> Result<Vec<String>> {
    let opener = Opener::new(options, now, seed).await?;
    let home = opener.home(&opener.look().await?).await?;
    let Some((known, from)) = came_along(&home.table, &opener.prefix(), home.epoch.number).await? else {
        return Ok(Vec::new());
    };
    let mut left = Vec::new();
    let mut start = None;
    loop {
        let page = home.table.scan(start.take()).await?;
        for item in page.items {
            let Some(rest) = at_of(&item).and_then(|at| at.partition.strip_prefix(&from).map(str::to_owned)) else {
                continue;
            };
            let is_record = rest.starts_with("record/") || rest.starts_with("series/");
            if is_record && fingerprint(&item).is_some_and(|print| !known.contains(&print)) {
                left.extend(text_in(&item, KEY).map(str::to_owned));
            }
        }
        start = page.next;
        if start.is_none() {
            left.sort_unstable();
            return Ok(left);
        }
    }
}

fn check_region(options: &Options, regions: &BTreeSet<String>, to: &str) -> Result<()> {
    if regions.contains(to) {
        return Ok(());
    }
    let known = regions.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(StoreError::Unsupported {
        what: format!("a move of the home to {to}"),
        reason: format!("the table {} is in {known} only; add a replica in that Region first", options.state_table),
    })
}

async fn planned(opener: &Opener, regions: &BTreeSet<String>, target: &Table, to: &str) -> Result<Moved> {
    let home = opener.home(regions).await?.epoch;
    if home.region == to && !home.opening {
        return Ok(Moved { epoch: home.number, from: None, to: to.to_owned(), items: 0 });
    }
    let next = if home.opening { home } else { home.next(to, true) };
    let from = next.from.clone().unwrap_or_default();
    if next.region != to {
        return Err(OpenError::Moving { table: opener.options().state_table.clone(), region: next.region }.into());
    }
    let source = opener.table_in(&from);
    close(opener, &source, &next).await?;
    // Whoever read the old home without asking has asked again by then, and found it closed.
    tokio::time::sleep(opener.options().home_lease).await;
    let items = catch_up(&source, target).await?;
    open(opener, target, &next).await?;
    Ok(Moved { epoch: next.number, from: Some(from), to: to.to_owned(), items })
}

/// From here on nothing is written at the old home.
async fn close(opener: &Opener, source: &Table, next: &Epoch) -> Result<()> {
    match source.write(&[next.put(&opener.prefix(), &opener.next_id())]).await {
        Ok(()) => Ok(()),
        Err(Unwritten::Store(error)) => Err(error),
        Err(Unwritten::Conditions(_)) => match latest(source, &opener.prefix()).await? {
            Some(found) if found == *next => Ok(()),
            _ => Err(StoreError::Unavailable {
                retry_after: None,
                reason: "somebody else moves the home at this moment; look where it is now, then try again".into(),
            }),
        },
    }
}

/// From here on the new home is written. The second time it has no effect.
async fn open(opener: &Opener, target: &Table, next: &Epoch) -> Result<()> {
    match target.write(&[next.open(&opener.prefix())]).await {
        Ok(()) | Err(Unwritten::Conditions(_)) => Ok(()),
        Err(Unwritten::Store(error)) => Err(error),
    }
}

/// Waits until two Regions hold the same. Gives how many items there are.
async fn catch_up(source: &Table, target: &Table) -> Result<u64> {
    let begun = Instant::now();
    let mut items = 0;
    let mut pending = BTreeSet::new();
    for (one, other) in [(source, target), (target, source)] {
        let mut start = None;
        loop {
            let page = one.scan(start.take()).await?;
            let places: Vec<At> = page.items.iter().filter_map(at_of).collect();
            let mut there = other.get_many(places, true).await?;
            items += page.items.len() as u64;
            let differ = page.items.iter().filter_map(|item| Some((at_of(item)?, item)));
            pending.extend(differ.filter(|(at, item)| there.remove(at).as_ref() != Some(*item)).map(|(at, _)| at));
            start = page.next;
            if start.is_none() {
                break;
            }
        }
    }
    while !pending.is_empty() {
        let places: Vec<At> = pending.iter().take(TOGETHER).cloned().collect();
        let here = source.get_many(places.clone(), true).await?;
        let there = target.get_many(places.clone(), true).await?;
        let before = pending.len();
        for at in places.iter().filter(|at| here.get(*at) == there.get(*at)) {
            pending.remove(at);
        }
        if pending.len() < before {
            continue;
        }
        if begun.elapsed() > CATCH_UP {
            return Err(StoreError::Unavailable {
                retry_after: None,
                reason: format!(
                    "the new home lacks {} items after {} minutes; the old home stays closed and nothing is lost: \
                     look at the replication of the table, then repeat the move",
                    pending.len(),
                    CATCH_UP.as_secs() / 60
                ),
            });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(items / 2)
}

async fn forced(opener: &Opener, target: &Table, to: &str) -> Result<Moved> {
    let prefix = opener.prefix();
    let known = latest(target, &prefix).await?.ok_or_else(|| StoreError::Unsupported {
        what: format!("a forced move of the home to {to}"),
        reason: "that Region knows of no store in this table".into(),
    })?;
    if known.region == to && !known.opening {
        return Ok(Moved { epoch: known.number, from: None, to: to.to_owned(), items: 0 });
    }
    let goes_on = known.opening && known.region == to && !known.space.is_empty() && known.old_space.is_some();
    let next = if goes_on { known } else { known.forced(to) };
    opener.take_over_blobs(target, &next).await?;
    if !goes_on {
        // Two numbers further: the one in between stops the old home, also where it was about to be moved elsewhere.
        match target.write(&[next.put(&prefix, &opener.next_id())]).await {
            Ok(()) => {}
            Err(Unwritten::Store(error)) => return Err(error),
            Err(Unwritten::Conditions(_)) => {
                return Err(StoreError::Unavailable {
                    retry_after: None,
                    reason: "somebody else moves the home at this moment; try again".into(),
                });
            }
        }
    }
    match target.write(&[next.before().put(&prefix, &opener.next_id())]).await {
        Ok(()) | Err(Unwritten::Conditions(_)) => {}
        Err(Unwritten::Store(error)) => return Err(error),
    }
    let items = copy(opener, target, &next).await?;
    open(opener, target, &next).await?;
    Ok(Moved { epoch: next.number, from: next.from, to: to.to_owned(), items })
}

/// Copies what the new home has of the old one into its own space, and notes what that was.
async fn copy(opener: &Opener, target: &Table, next: &Epoch) -> Result<u64> {
    let prefix = opener.prefix();
    let (from, to) =
        (format!("{prefix}{}", next.old_space.as_deref().unwrap_or_default()), format!("{prefix}{}", next.space));
    let (mut items, mut prints, mut pages) = (0, Vec::new(), 0);
    let mut start = None;
    loop {
        let page = target.scan(start.take()).await?;
        let mut copies: Vec<(At, Item)> = Vec::new();
        for item in page.items {
            let Some(at) = at_of(&item) else { continue };
            let Some(rest) =
                at.partition.strip_prefix(&from).filter(|rest| KINDS.iter().any(|kind| rest.starts_with(kind)))
            else {
                continue;
            };
            prints.extend(fingerprint(&item).into_iter().flatten());
            copies.push((At { partition: format!("{to}{rest}"), range: at.range }, item));
        }
        items += copies.len() as u64;
        target.put_all(copies).await?;
        start = page.next;
        while prints.len() >= FINGERPRINTS * FINGERPRINT_BYTES || start.is_none() && (pages == 0 || !prints.is_empty())
        {
            let rest = prints.split_off(prints.len().min(FINGERPRINTS * FINGERPRINT_BYTES));
            let item = [(BYTES.to_owned(), bytes(&prints)), (KEY.to_owned(), crate::item::text(&from))].into();
            target.put_all(vec![(split(&prefix, next.number, pages), item)]).await?;
            pages += 1;
            prints = rest;
        }
        if start.is_none() {
            return Ok(items);
        }
    }
}

/// Where it is noted what came along with a forced move.
fn split(prefix: &str, epoch: u64, page: u32) -> At {
    At { partition: format!("{prefix}split"), range: u128::from(epoch) << 32 | u128::from(page) }
}

/// What came along with the forced move that began an epoch, and the prefix of the former home's partitions.
async fn came_along(
    table: &Table,
    prefix: &str,
    epoch: u64,
) -> Result<Option<(BTreeSet<[u8; FINGERPRINT_BYTES]>, String)>, Fault> {
    let (first, last) = (split(prefix, epoch, 0), split(prefix, epoch, u32::MAX));
    let mut stretch = Stretch { partition: first.partition, first: first.range, last: last.range };
    let mut known = BTreeSet::new();
    let mut from = None;
    loop {
        let page = table.query(&stretch, None).await?;
        for mut item in page.items {
            from = text_in(&item, KEY).map(str::to_owned).or(from);
            let prints = take_bytes(&mut item, BYTES).unwrap_or_default();
            known.extend(prints.chunks_exact(FINGERPRINT_BYTES).filter_map(|print| <[u8; 8]>::try_from(print).ok()));
        }
        match page.next {
            Some(next) => stretch.first = next,
            None => return Ok(from.map(|from| (known, from))),
        }
    }
}

/// Tells one write of one record from every other.
fn fingerprint(item: &Item) -> Option<[u8; FINGERPRINT_BYTES]> {
    let (key, id) = (text_in(item, KEY)?, text_in(item, WRITE)?);
    let hash = blake3::Hasher::new().update(key.as_bytes()).update(&[0]).update(id.as_bytes()).finalize();
    hash.as_bytes()[..FINGERPRINT_BYTES].try_into().ok()
}
