//! The number of the collection round.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stateward_store::{Horizon, Result, StoreError};
use tokio::time::Instant;

use crate::item::{Action, Change, Condition, number, number_in};
use crate::pack::TOUCHED;
use crate::places::{At, Layout};
use crate::table::{Table, Unwritten};

/// For how long a number is taken for the present one. An old one does no harm: what was touched under it may only be collected
/// sooner, and whoever publishes it then is told.
const FRESH: Duration = Duration::from_mins(1);
/// How often others may begin a round in the same moment.
const RACES_MAX: usize = 20;

/// The present round.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    known: Mutex<Option<(u64, Instant)>>,
}

pub(crate) fn at(layout: &Layout) -> At {
    layout.meta("round")
}

impl Rounds {
    /// The present round, as far as it is known here.
    pub(crate) async fn current(&self, table: &Table, layout: &Layout) -> Result<u64> {
        if let Some((round, seen)) = *self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && seen.elapsed() < FRESH
        {
            return Ok(round);
        }
        let round = read(table, layout).await?.unwrap_or(0);
        self.note(round);
        Ok(round)
    }

    pub(crate) fn note(&self, round: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((known.map_or(0, |(known, _)| known).max(round), Instant::now()));
    }

    /// Begins the next round.
    pub(crate) async fn begin(&self, table: &Table, layout: &Layout) -> Result<Horizon> {
        for _ in 0..RACES_MAX {
            let before = read(table, layout).await?;
            let next = before.unwrap_or(0) + 1;
            let same = match before {
                Some(before) => Condition::new("R = :r").with(":r", number(before)),
                None => Condition::new("attribute_not_exists(R)"),
            };
            let change = Change::default().set(TOUCHED, number(next));
            match table.write(&[Action::update(at(layout), change).when(same)]).await {
                Ok(()) => {
                    self.note(next);
                    return Ok(Horizon(next));
                }
                Err(Unwritten::Conditions(_)) => {}
                Err(Unwritten::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable { retry_after: None, reason: "others begin one round after the other".into() })
    }
}

async fn read(table: &Table, layout: &Layout) -> Result<Option<u64>> {
    Ok(table.get(&at(layout)).await?.and_then(|item| number_in(&item, TOUCHED)))
}
