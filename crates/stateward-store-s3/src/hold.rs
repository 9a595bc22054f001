//! The packs that a session means to publish, and the check that none of them has been collected.

use std::collections::BTreeMap;

use futures::FutureExt;
use stateward_store::{Result, StoreError};
use stateward_store_aws::together;

use crate::envelope::{PackId, Upkeep};
use crate::pack;
use crate::records::{Home, Records};

/// Packs of one home, each with the last round whose visit is known not to have taken it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hold {
    packs: BTreeMap<PackId, u64>,
}

impl Hold {
    pub(crate) fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Holds a pack that was there after the visit of `round`.
    pub(crate) fn add(&mut self, pack: PackId, round: u64) {
        let known = self.packs.entry(pack).or_insert(round);
        *known = round.max(*known);
    }

    /// Makes sure that all packs are there as long as the home's record is the one that says `upkeep`.
    pub(crate) async fn check(&mut self, records: &Records, upkeep: &Upkeep, key: &str) -> Result<()> {
        if let Some(lost) = self.packs.keys().find(|pack| upkeep.dropped.contains(pack)) {
            return Err(collected(lost));
        }
        // Where visits came in between, a pack may have been given up, deleted and forgotten.
        let unsure: Vec<PackId> =
            self.packs.iter().filter(|(_, round)| **round < upkeep.round).map(|(pack, _)| pack.clone()).collect();
        let directory = pack::directory(&records.root, Home::of(key));
        let ask = |pack: &PackId| {
            let (pack, object) = (pack.clone(), format!("{directory}{}", pack.0));
            async move { if records.bucket.head(&object).await?.is_some() { Ok(()) } else { Err(collected(&pack)) } }
                .boxed()
        };
        together::all(unsure.iter().map(ask)).await?;
        for pack in unsure {
            self.add(pack, upkeep.round);
        }
        Ok(())
    }

    /// Notes in the home's record that a commit refers to these packs.
    pub(crate) fn touch(&self, upkeep: &mut Upkeep) {
        for pack in self.packs.keys() {
            upkeep.touched.add(pack);
        }
    }
}

fn collected(pack: &PackId) -> StoreError {
    StoreError::Unavailable {
        retry_after: None,
        reason: format!("blobs that this write shares were collected meanwhile (pack {}); start over", pack.0),
    }
}
