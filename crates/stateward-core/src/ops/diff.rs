//! What changed between two versions.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use stateward_state::diff::Change;
use stateward_state::{Entry, Extracted, Extractor};

use super::read::{body_of, opaque};
use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::error::{Error, Kind, Result};
use crate::name::StateId;
use crate::version::{Version, VersionRecord};
use crate::view::List;

impl Backend {
    /// The differences from version `from` to version `to`. Without `to` the current version is meant, without `from` the one
    /// before `to`.
    pub async fn diff(
        &self,
        caller: &Caller,
        state: &StateId,
        from: Option<Version>,
        to: Option<Version>,
    ) -> Result<List<Change>> {
        self.audited(caller, state, "diff", self.try_diff(caller, state, from, to)).await
    }

    async fn try_diff(
        &self,
        caller: &Caller,
        state: &StateId,
        from: Option<Version>,
        to: Option<Version>,
    ) -> Result<List<Change>> {
        caller.demand(&[Right::Read], state)?;
        let after = match to {
            Some(version) => self.find_version(state, version).await?,
            None => self.current(state).await?,
        };
        let before = match (from, &after.facts.parent) {
            (Some(version), _) => Some(self.find_version(state, version).await?),
            (None, Some(parent)) => Some(self.record(&parent.record).await?),
            (None, None) => None,
        };
        let entries = |record: Option<VersionRecord>| async move {
            match record {
                Some(record) => self.readable_index(&record).await,
                None => Ok(Vec::new()),
            }
        };
        let (old, new) = (entries(before.clone()).await?, entries(Some(after.clone())).await?);
        let changed: Arc<HashSet<String>> = Arc::new(
            stateward_state::counts::changed_addresses(&old, &new).into_iter().map(|(address, _)| address).collect(),
        );
        if changed.is_empty() {
            return Ok(List::new(Vec::new()));
        }
        let old = match &before {
            Some(record) => self.extract(record, changed.clone()).await?,
            None => BTreeMap::new(),
        };
        let new = self.extract(&after, changed).await?;
        Ok(List::new(stateward_state::diff::diff(&old, &new)))
    }

    async fn readable_index(&self, record: &VersionRecord) -> Result<Vec<Entry>> {
        body_of(record)?;
        let encrypted =
            || opaque("what is in it cannot be compared", "pull both versions with OpenTofu and compare them yourself");
        self.index_of(record).await?.ok_or_else(encrypted)
    }

    async fn extract(
        &self,
        record: &VersionRecord,
        wanted: Arc<HashSet<String>>,
    ) -> Result<BTreeMap<String, Extracted>> {
        let mut extractor = Extractor::with_sensitive(move |address: &str| wanted.contains(address));
        let mut bytes = self.stream(&body_of(record)?);
        let damaged = |error: stateward_state::ScanError| {
            Error::new(
                Kind::Corrupt,
                "a stored version cannot be read",
                error.to_string(),
                "run `stateward state verify`",
            )
        };
        while let Some(piece) = bytes.next().await {
            extractor.feed(&piece?).map_err(damaged)?;
        }
        extractor.finish().map_err(damaged)
    }

    pub(super) async fn current(&self, state: &StateId) -> Result<VersionRecord> {
        let control = self.known(state).await?;
        match control.head {
            Some(head) => self.record(&head.record).await,
            None => Err(deleted(state)),
        }
    }
}

pub(super) fn deleted(state: &StateId) -> Error {
    Error::new(
        Kind::NotFound,
        format!("`{state}` is deleted"),
        "it has a history, but no current version",
        format!("bring it back with `stateward state undelete {state}`"),
    )
}
