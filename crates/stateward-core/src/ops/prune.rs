//! Letting old versions go, and collecting what nobody refers to any more. Runs while serving.

use std::collections::BTreeSet;
use std::sync::Arc;

use stateward_store::body;
use stateward_store::{Expect, Key, Live, StoreError, Write};

use super::history::Chain;
use super::tx::KEPT;
use crate::access::Caller;
use crate::audit::{AuditItem, Deed};
use crate::backend::Backend;
use crate::claim::{TxRecord, named};
use crate::control::Control;
use crate::error::Result;
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::records::Records;
use crate::settings::Retention;
use crate::version::{Version, VersionRecord};
use crate::view::Pruned;

const SECONDS_A_DAY: u64 = 86_400;

impl Backend {
    /// Applies the retention rule to every state and then removes blobs that nobody refers to.
    pub async fn prune(&self, caller: &Caller) -> Result<Pruned> {
        caller.demand_admin()?;
        let mut pruned = Pruned::default();
        // First, so that who reads a version that is let go now has until the next round.
        self.collect(&mut pruned).await?;
        let retention = self.settings().retention;
        if retention != Retention::default() {
            let mut states = States::of(self);
            while let Some((state, control)) = states.next().await? {
                pruned.versions += self.apply_retention(caller, &state, &control, retention).await?;
            }
        }
        self.forget_transactions().await?;
        Ok(pruned)
    }

    /// Removes the records of transactions that ended long ago.
    async fn forget_transactions(&self) -> Result<()> {
        let mut records = Records::under(self.store(), TxRecord::PREFIX);
        while let Some(entry) = records.next().await? {
            let record = TxRecord::decode(&entry.key, &entry.record.value)?;
            let is_old = self.now().duration_since(record.settled()) > KEPT;
            let Some(state) = TxRecord::state_of(&entry.key).filter(|_| is_old) else { continue };
            let (control, _) = self.control(&state).await?;
            if named(&control).all(|id| id != record.id) {
                match self.store().delete(&entry.key, entry.record.revision).await {
                    Ok(()) | Err(StoreError::Conflict { .. } | StoreError::OutcomeUnknown { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The versions that open and waiting transactions began with: what they write is merged against them.
    async fn bases(&self, state: &StateId, control: &Control) -> Result<BTreeSet<Version>> {
        let claims = self.claims(state, control).await?;
        let begun = named(control).filter_map(|id| claims.get(id)?.base);
        Ok(begun.chain(control.txs.iter().filter_map(|tx| tx.last)).collect())
    }

    async fn apply_retention(
        &self,
        caller: &Caller,
        state: &StateId,
        control: &Control,
        retention: Retention,
    ) -> Result<u64> {
        let mut chain = Chain::new(self, state, control);
        let mut rule = Rule::new(retention, control, self.now());
        let bases = self.bases(state, control).await?;
        let mut let_go = Vec::new();
        while let Some((key, record)) = chain.next().await? {
            if rule.keeps(&record) || record.body.is_none() || bases.contains(&record.facts.version) {
                continue;
            }
            // The record is read again for its revision: the chain's pages do not carry it, and few records come this far.
            let Some(found) = self.store().get(&key).await? else { continue };
            let value = Some(record.without_body().encode());
            let write = Write { key: key.clone(), value, expect: Expect::Revision(found.revision) };
            let id = self.new_id();
            let audit = AuditItem {
                version: Some(record.facts.version.to_string()),
                ..AuditItem::by(caller, self.now(), Deed::Prune, Some(state))
            };
            match self.store().commit(vec![audit.write(&id, 0), write]).await {
                Ok(_) => let_go.push((key, record)),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.take_back(state, &mut let_go).await?;
        Ok(let_go.len() as u64)
    }

    /// A transaction may have begun meanwhile with a version that was just let go. Its blobs are still there: they are collected in
    /// the next round at the earliest.
    async fn take_back(&self, state: &StateId, let_go: &mut Vec<(Key, VersionRecord)>) -> Result<()> {
        if let_go.is_empty() {
            return Ok(());
        }
        let (control, _) = self.control(state).await?;
        let bases = self.bases(state, &control).await?;
        for (key, record) in let_go.extract_if(.., |(_, record)| bases.contains(&record.facts.version)) {
            let write = Write { key, value: Some(record.encode()), expect: Expect::Any };
            self.store().commit(vec![write]).await?;
        }
        Ok(())
    }

    /// Mark and sweep. What is published while this runs is safe: the store keeps whatever a session put or shared since the
    /// round before the horizon, and what was published earlier is marked here.
    async fn collect(&self, pruned: &mut Pruned) -> Result<()> {
        let horizon = self.store().begin_sweep().await?;
        let mut live = Live::default();
        let mut states = States::of(self);
        while let Some((state, control)) = states.next().await? {
            let heads = control.head.iter().chain(control.deleted.iter().map(|deleted| &deleted.head));
            for head in heads {
                self.mark(&head.body, true, &mut live).await?;
            }
            self.mark_versions(&state, &mut live).await?;
        }
        let live = Arc::new(live);
        let mut after = None;
        loop {
            let page = self.store().sweep(horizon, after, live.clone()).await?;
            pruned.blobs += page.deleted;
            pruned.freed_bytes += page.freed_bytes;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn mark_versions(&self, state: &StateId, live: &mut Live) -> Result<()> {
        let mut records = Records::under(self.store(), VersionRecord::prefix(state));
        while let Some(entry) = records.next().await? {
            let record = VersionRecord::decode(&entry.key, &entry.record.value)?;
            if let Some(tree) = &record.body {
                self.mark(tree, true, live).await?;
            }
            if let Some(tree) = &record.index {
                self.mark(tree, false, live).await?;
            }
        }
        Ok(())
    }

    async fn mark(&self, tree: &body::Tree, chunks: bool, live: &mut Live) -> Result<()> {
        // A node that was marked before needs no second look: all below it was marked with it.
        body::refs_of(&**self.store(), &self.shared.sealer, tree, chunks, &mut |blob| live.insert(&blob.id)).await?;
        Ok(())
    }
}

/// Goes through all states in order of their names.
pub(super) struct States<'a>(Records<'a>);

impl<'a> States<'a> {
    pub(super) fn of(backend: &'a Backend) -> Self {
        Self(Records::under(backend.store(), Control::PREFIX))
    }

    pub(super) async fn next(&mut self) -> Result<Option<(StateId, Control)>> {
        while let Some(entry) = self.0.next().await? {
            if let Some(state) = Control::state_of(&entry.key) {
                return Ok(Some((state, Control::decode(&entry.key, &entry.record.value)?)));
            }
        }
        Ok(None)
    }
}

/// Decides version by version, from the newest to the oldest.
struct Rule {
    retention: Retention,
    head: Option<Version>,
    oldest: Option<Timestamp>,
    kept: u64,
    newer_lock: Option<(String, Option<u64>)>,
}

impl Rule {
    fn new(retention: Retention, control: &Control, now: Timestamp) -> Self {
        let head =
            control.head.as_ref().or(control.deleted.as_ref().map(|deleted| &deleted.head)).map(|head| head.version);
        let oldest = retention.keep_days.map(|days| {
            let age = i64::try_from(days.saturating_mul(SECONDS_A_DAY)).unwrap_or(i64::MAX);
            // Older than time itself: keeps everything.
            now.checked_sub(jiff::SignedDuration::from_secs(age)).unwrap_or(Timestamp::MIN)
        });
        Self { retention, head, oldest, kept: 0, newer_lock: None }
    }

    fn keeps(&mut self, record: &VersionRecord) -> bool {
        let lock = record.facts.lock_id.clone().map(|id| (id, record.facts.fence));
        let snapshot = lock.is_some() && lock == self.newer_lock;
        self.newer_lock = lock;
        if self.head == Some(record.facts.version) {
            self.kept += 1;
            return true;
        }
        if snapshot && self.retention.fold_snapshots {
            return false;
        }
        let Retention { keep_versions, keep_days, .. } = self.retention;
        let without_rules = keep_versions.is_none() && keep_days.is_none();
        let by_number = keep_versions.is_some_and(|keep| self.kept < keep);
        let by_age = self.oldest.is_some_and(|oldest| record.facts.created >= oldest);
        self.kept += 1;
        without_rules || by_number || by_age
    }
}
