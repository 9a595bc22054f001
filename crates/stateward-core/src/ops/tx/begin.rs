//! Beginning a transaction.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateward_state::counts::changed_addresses;

use super::super::history::Chain;
use super::super::lock::{Grant, LockRequest};
use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::bug::Bug;
use crate::claim::{Claim, Ending, TxRecord};
use crate::control::{Control, Head, Mode};
use crate::error::{Error, Kind, Result};
use crate::index::Search;
use crate::locks::Ask;
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::version::{Facts, Version, VersionRecord};

/// How a transaction begins.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Terraform's lock information; its `ID` is the transaction's.
    pub raw: Bytes,
    /// What it is going to read and write.
    pub claim: Claim,
    /// The state that its plan was made against.
    pub plan: PlanBase,
    /// How long to wait for others; `None` for what the settings say.
    pub wait: Option<Duration>,
    /// How long it holds what it claims unless it is renewed, 1 s to 1 h.
    pub lease: Duration,
}

/// The state that a plan was made against, as the plan file names it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanBase {
    /// Its serial; 0 where there was no state.
    pub serial: u64,
    /// Its lineage; empty where there was no state.
    pub lineage: String,
}

/// A transaction that holds all that it claims.
///
/// As with a [`Grant`], dropping it before [`Begun::delivered`] takes it back.
#[derive(Debug)]
pub struct Begun {
    /// The grant's number.
    pub fence: u64,
    /// It was open before: a repeated request.
    pub again: bool,
    /// The version that reads in it give until it writes; none where there was no state.
    pub base: Option<Version>,
    /// Until when it keeps others out unless it is renewed.
    pub lease_until: Timestamp,
    grant: Grant,
}

impl Begun {
    /// The client has got the answer.
    pub fn delivered(self) {
        self.grant.delivered();
    }

    /// What stands for the client until it has got the answer.
    pub fn into_grant(self) -> Grant {
        self.grant
    }
}

impl Backend {
    /// Begins a transaction: takes all that it claims, waiting in the queue where asked to, and then checks that nothing of it has
    /// changed since the plan was made; else the plan is [`Kind::Stale`] and nothing is held. Repeating it is safe.
    ///
    /// Drop the future, or the [`Begun`], when the client's connection ends: its place or what it holds is then given up.
    pub async fn begin(&self, caller: &Caller, state: &StateId, begin: Begin) -> Result<Begun> {
        self.audited(caller, state, "tx begin", async {
            caller.demand(&[Right::Lock], state)?;
            caller.demand(&[Right::Write], state)
        })
        .await?;
        let (control, base) = self.base_of(state, &begin.plan).await?;
        let base_version = base.as_ref().map(|record| record.facts.version);
        let request = LockRequest { raw: begin.raw, wait: begin.wait, lease: Some(begin.lease) };
        let mut ask = Ask { mode: Mode::Resources, ..self.ask(caller, &request)? };
        let claim = match begin.claim {
            _ if self.shared.planted.has(Bug::NothingIsHeld) => Claim::default(),
            Claim { write, .. } if self.shared.planted.has(Bug::ReadsAreFree) => Claim { write, ..Claim::default() },
            claim => claim,
        };
        let record = Arc::new(TxRecord::asking(&ask, base_version, claim, self.now()));
        self.same_claim(state, &control, &record).await?;
        ask.tx = Some(record.clone());
        let grant = self.queue_up(caller, state, ask, begin.wait).await?;
        let control = self.glance(state).await?;
        let Some(tx) = control.tx(&record.id).cloned() else {
            return Err(super::not_open(&record.id, None));
        };
        let has_moved = control.head.as_ref().map(|head| head.version) != base_version;
        if has_moved && tx.last.is_none() && !self.shared.planted.has(Bug::StalePlansPass) {
            let fresh = self.is_fresh(state, &control, base.as_ref(), &record.claim).await;
            if let Err(error) = fresh {
                self.end_tx(caller, state, &record, Ending::Aborted, "its plan was stale", false).await?;
                grant.delivered();
                return Err(error);
            }
        }
        Ok(Begun { fence: tx.fence, again: grant.again, base: base_version, lease_until: tx.lease_until, grant })
    }

    /// A repeated request has to be the same.
    async fn same_claim(&self, state: &StateId, control: &Control, record: &TxRecord) -> Result<()> {
        let claims = self.claims(state, control).await?;
        match claims.get(&record.id) {
            Some(known) if known.claim != record.claim => Err(Error::new(
                Kind::Invalid,
                "the transaction was not begun",
                "its ID is that of another one",
                "take an ID of its own for each transaction",
            )),
            _ => Ok(()),
        }
    }

    /// The version that a plan was made against.
    async fn base_of(&self, state: &StateId, plan: &PlanBase) -> Result<(Control, Option<VersionRecord>)> {
        let control = self.present(state).await?.control;
        // A plan may be in clear where the state is not, and what it writes cannot be merged.
        if control.head.as_ref().is_some_and(|head| head.opaque) {
            return Err(opaque());
        }
        if plan.serial == 0 && plan.lineage.is_empty() {
            return Ok((control, None));
        }
        let Some(head) = &control.head else {
            return Err(stale(format!("it was made against serial {}, and `{state}` is not there", plan.serial)));
        };
        if head.lineage != plan.lineage {
            return Err(stale(format!(
                "it was made against a state of the lineage `{}`, and that of `{state}` is `{}`: it is the plan of another state \
                 or workspace",
                plan.lineage, head.lineage
            )));
        }
        if head.serial == plan.serial {
            let record = self.record(&head.record).await?;
            return Ok((control, Some(record)));
        }
        if plan.serial > head.serial {
            return Err(stale(format!(
                "it was made against serial {}, and that of `{state}` is {}",
                plan.serial, head.serial
            )));
        }
        let mut chain = Chain::new(self, state, &control);
        while let Some((_, record)) = chain.next().await? {
            if record.facts.serial == plan.serial && record.facts.lineage == plan.lineage {
                return Ok((control, Some(record)));
            }
        }
        Err(stale(format!("it was made against serial {}, which `{state}` never had", plan.serial)))
    }

    /// An error where something of the claim has changed since `base`.
    async fn is_fresh(
        &self,
        state: &StateId,
        control: &Control,
        base: Option<&VersionRecord>,
        claim: &Claim,
    ) -> Result<()> {
        let Some(head) = &control.head else {
            return match base {
                None => Ok(()),
                Some(_) => Err(stale(format!("`{state}` was deleted since"))),
            };
        };
        if base.is_some_and(|base| base.facts.lineage != head.lineage) {
            return Err(stale(format!("`{state}` was replaced since by a state of another lineage")));
        }
        let changed = self.changed_since(base, head, |address| claim.covers(address)).await?;
        let Some(address) = changed.first() else { return Ok(()) };
        let more = match changed.len() {
            1 => String::new(),
            n => format!(", and {} more", n - 1),
        };
        let by = match self.last_change(state, control, base, address).await? {
            Some(Facts { who, version, created, .. }) => format!("{who} changed it at {created:.0} ({version})"),
            None => "it has changed since".to_owned(),
        };
        Err(stale(format!("{address}{more}: {by}")))
    }

    /// The instances and outputs among those asked for that differ between a version and the head, sorted by address.
    pub(super) async fn changed_since(
        &self,
        from: Option<&VersionRecord>,
        head: &Head,
        covers: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<Vec<String>> {
        if head.opaque || from.is_some_and(|from| from.facts.opaque) {
            return Err(opaque());
        }
        if from.is_some_and(|from| from.body.is_none()) {
            return Err(stale("the version that it was made against is no longer kept".to_owned()));
        }
        let head_index = match &head.index {
            Some(index) => Some(index.clone()),
            None => self.record(&head.record).await?.index,
        };
        let mut search = Search::new(&**self.store(), &self.shared.sealer, covers);
        let before = match from.map(|from| &from.index) {
            Some(Some(index)) => search.matches(index).await?,
            Some(None) => return Err(unindexed()),
            None => Vec::new(),
        };
        let after = search.matches(&head_index.ok_or_else(unindexed)?).await?;
        Ok(changed_addresses(&before, &after).into_iter().map(|(address, _)| address).collect())
    }

    /// The version that last changed an address, among those after `base`.
    async fn last_change(
        &self,
        state: &StateId,
        control: &Control,
        base: Option<&VersionRecord>,
        address: &str,
    ) -> Result<Option<Facts>> {
        let base = base.map(|base| base.facts.version);
        let mut search = Search::new(&**self.store(), &self.shared.sealer, |other: &str| other == address);
        let mut chain = Chain::new(self, state, control);
        let mut newer: Option<(Facts, Vec<stateward_state::Entry>)> = None;
        while let Some((_, record)) = chain.next().await? {
            let Some(index) = &record.index else { continue };
            let here = search.matches(index).await?;
            match newer {
                Some((facts, there)) if there != here => return Ok(Some(facts)),
                _ if Some(record.facts.version) == base => return Ok(None),
                _ => newer = Some((record.facts, here)),
            }
        }
        Ok(newer.map(|(facts, _)| facts))
    }
}

fn stale(why: String) -> Error {
    let next = "plan again on the current state";
    Error::new(Kind::Stale, "the plan is stale", why, next)
}

fn unindexed() -> Error {
    let why = "it holds addresses too long to be indexed";
    Error::new(Kind::Unsupported, "single resources of the state cannot be held", why, "lock the whole state")
}

fn opaque() -> Error {
    Error::new(
        Kind::Unsupported,
        "single resources of the state cannot be held",
        "it is encrypted by OpenTofu",
        "lock the whole state",
    )
}
