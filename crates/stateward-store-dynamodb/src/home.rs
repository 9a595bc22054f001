//! Which Region is home: where everything is written, one Region at a time.
//!
//! Replicas of a global table take over each other's writes later, and of two the later one wins. A condition holds only in the
//! Region where it is checked. So all writes go to one Region, and each of them checks there that no later *epoch* has begun. An
//! epoch is an item of the partition `home`, whose range key is its number: it names the home Region, and the *space*, the prefix
//! of all partitions of that epoch.
//!
//! A planned move puts the next epoch's item at the old home: from that moment nothing is written there. Then it waits until the
//! new home has all that the old one has, and opens the epoch there. A forced move cannot ask the old home, which may go on
//! writing until it hears of the move. The new home therefore copies what it has into a space of its own, where nothing that
//! comes from the old home is read or written over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stateward_store::{Result, StoreError};
use stateward_store_aws::Fault;
use tokio::time::Instant;

use crate::item::{Action, Change, Condition, Item, RANGE, WRITE, number, number_in, text, text_in};
use crate::places::{At, Stretch};
use crate::table::Table;

/// The format of the store that this version writes.
pub(crate) const FORMAT: u64 = 1;
/// The format that an epoch is written in.
const FORMAT_IN: &str = "F";
/// The home Region.
const REGION: &str = "G";
/// The prefix of the epoch's partitions.
const SPACE: &str = "P";
/// The home before.
const FROM: &str = "H";
/// The space before.
const OLD_SPACE: &str = "L";
/// Set until the new home has everything.
const OPENING: &str = "O";
/// What holds of an epoch that has not begun.
const NOT_BEGUN: &str = "attribute_not_exists(W)";

/// An epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) number: u64,
    pub(crate) region: String,
    pub(crate) space: String,
    pub(crate) opening: bool,
    pub(crate) format: u64,
    /// The home before.
    pub(crate) from: Option<String>,
    /// The space before, where this one was begun by a forced move.
    pub(crate) old_space: Option<String>,
}

/// What keeps a former home from being written, and from being read for longer than a while.
#[derive(Debug)]
pub(crate) struct Fence {
    /// The item that the next epoch will be.
    next: At,
    region: String,
    lease: Duration,
    /// When it was last seen that there was none.
    seen: Mutex<Instant>,
    moved: AtomicBool,
}

/// Where epochs are.
pub(crate) fn at(prefix: &str, number: u64) -> At {
    At { partition: format!("{prefix}home"), range: number.into() }
}

impl Epoch {
    pub(crate) fn first(region: &str) -> Self {
        Self {
            number: 1,
            region: region.to_owned(),
            space: String::new(),
            opening: false,
            format: FORMAT,
            from: None,
            old_space: None,
        }
    }

    /// The one after, in the same space.
    pub(crate) fn next(&self, region: &str, opening: bool) -> Self {
        let from = Some(self.region.clone());
        Self { number: self.number + 1, region: region.to_owned(), opening, from, old_space: None, ..self.clone() }
    }

    /// One that begins without the old home, in a space of its own.
    pub(crate) fn forced(&self, region: &str) -> Self {
        let number = self.number + 2;
        Self {
            number,
            space: format!("{region}-{number}/"),
            old_space: Some(self.space.clone()),
            ..self.next(region, true)
        }
    }

    /// The number that a forced move leaves out, to stop the old home.
    pub(crate) fn before(&self) -> Self {
        Self { number: self.number - 1, ..self.clone() }
    }

    /// From now on it counts.
    pub(crate) fn open(&self, prefix: &str) -> Action {
        let opening = Condition::new(format!("attribute_exists({OPENING})"));
        Action::update(at(prefix, self.number), Change::default().remove(OPENING)).when(opening)
    }

    pub(crate) fn put(&self, prefix: &str, id: &str) -> Action {
        let mut item: Item = [
            (WRITE.to_owned(), text(id)),
            (FORMAT_IN.to_owned(), number(self.format)),
            (REGION.to_owned(), text(&self.region)),
            (SPACE.to_owned(), text(&self.space)),
        ]
        .into();
        let more = [(FROM, &self.from), (OLD_SPACE, &self.old_space)];
        item.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value.as_ref()?)))));
        if self.opening {
            item.insert(OPENING.to_owned(), number(1));
        }
        Action::put(at(prefix, self.number), item).when(Condition::new(NOT_BEGUN))
    }

    fn of(item: &Item) -> Option<Self> {
        Some(Self {
            number: number_in(item, RANGE)?,
            region: text_in(item, REGION)?.to_owned(),
            space: text_in(item, SPACE)?.to_owned(),
            opening: item.contains_key(OPENING),
            format: number_in(item, FORMAT_IN)?,
            from: text_in(item, FROM).map(str::to_owned),
            old_space: text_in(item, OLD_SPACE).map(str::to_owned),
        })
    }
}

/// The latest epoch that a Region knows of.
pub(crate) async fn latest(table: &Table, prefix: &str) -> Result<Option<Epoch>, Fault> {
    let first = at(prefix, 0);
    let mut stretch = Stretch { partition: first.partition, first: 0, last: u64::MAX.into() };
    let mut latest = None;
    loop {
        let page = table.query(&stretch, None).await?;
        latest = page.items.iter().filter_map(Epoch::of).next_back().or(latest);
        let Some(next) = page.next else { return Ok(latest) };
        stretch.first = next;
    }
}

impl Fence {
    /// Stands before the epoch after this one, which was looked for at that time.
    pub(crate) fn new(epoch: &Epoch, prefix: &str, lease: Duration, seen: Instant) -> Self {
        Self {
            next: at(prefix, epoch.number + 1),
            region: epoch.region.clone(),
            lease,
            seen: Mutex::new(seen),
            moved: AtomicBool::new(false),
        }
    }

    /// What every write checks.
    pub(crate) fn check(&self) -> Action {
        Action::check(self.next.clone(), Condition::new(NOT_BEGUN))
    }

    /// The home has moved. Remembers it.
    pub(crate) fn moved(&self) -> StoreError {
        self.moved.store(true, Ordering::Release);
        StoreError::Unavailable {
            retry_after: Some(Duration::ZERO),
            reason: format!("the store's home is no longer in {}; the next request goes to the new one", self.region),
        }
    }

    pub(crate) fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }

    /// Before a read: a home that has not been asked for a while may have moved, and others may have written since.
    pub(crate) async fn look(&self, table: &Table) -> Result<()> {
        let now = Instant::now();
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_moved() {
            return Err(self.moved());
        }
        if now.saturating_duration_since(seen) < self.lease / 2 {
            return Ok(());
        }
        if table.get(&self.next).await?.is_some() {
            return Err(self.moved());
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }
}
