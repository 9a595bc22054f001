//! The history of one resource.

use std::collections::BTreeMap;

use stateward_state::{Action, AddressPattern};

use super::history::Chain;
use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::error::{Error, Kind, Result};
use crate::index::Search;
use crate::name::StateId;
use crate::version::Facts;
use crate::view::{List, TimelineItem};

impl Backend {
    /// When an instance, resource, module or output came, changed and went; newest first.
    pub async fn timeline(&self, caller: &Caller, state: &StateId, address: &str) -> Result<List<TimelineItem>> {
        self.audited(caller, state, "timeline", self.try_timeline(caller, state, address)).await
    }

    async fn try_timeline(&self, caller: &Caller, state: &StateId, address: &str) -> Result<List<TimelineItem>> {
        caller.demand(&[Right::Read], state)?;
        let pattern = parse_pattern(address)?;
        let control = self.known(state).await?;
        let mut search =
            Search::new(&**self.store(), &self.shared.sealer, move |address: &str| pattern.matches(address));
        let mut chain = Chain::new(self, state, &control);
        let mut items = Vec::new();
        let mut newer: Option<(Facts, BTreeMap<String, [u8; 16]>)> = None;
        while let Some((_, record)) = chain.next().await? {
            // Encrypted and pruned versions tell nothing: the step shows at the next one that does.
            let Some(index) = &record.index else { continue };
            let here = search.matches(index).await?.into_iter().map(|entry| (entry.address, entry.meaning)).collect();
            if let Some((facts, after)) = newer.replace((record.facts, here)) {
                let before = newer.as_ref().map(|(_, here)| here);
                push_steps(&mut items, &facts, before, &after);
            }
        }
        // What came before the oldest version that is still known is not known: it does not show as added there.
        if let Some((facts, first)) = newer.filter(|(facts, _)| facts.parent.is_none()) {
            push_steps(&mut items, &facts, None, &first);
        }
        Ok(List::new(items))
    }
}

fn push_steps(
    items: &mut Vec<TimelineItem>,
    facts: &Facts,
    before: Option<&BTreeMap<String, [u8; 16]>>,
    after: &BTreeMap<String, [u8; 16]>,
) {
    let empty = BTreeMap::new();
    let before = before.unwrap_or(&empty);
    let mut push = |address: &String, action| {
        items.push(TimelineItem {
            version: facts.version,
            serial: facts.serial,
            created: facts.created,
            who: facts.who.clone(),
            action,
            address: address.clone(),
        });
    };
    for (address, meaning) in after {
        match before.get(address) {
            None => push(address, Action::Add),
            Some(known) if known != meaning => push(address, Action::Change),
            Some(_) => {}
        }
    }
    before.keys().filter(|address| !after.contains_key(*address)).for_each(|address| push(address, Action::Remove));
}

pub(super) fn parse_pattern(address: &str) -> Result<AddressPattern> {
    AddressPattern::parse(address).map_err(|error| {
        Error::new(
            Kind::Invalid,
            "this is no address",
            error.to_string(),
            "write it as `terraform state list` does, such as `module.a[\"x\"].aws_s3_bucket.b[0]`",
        )
    })
}
