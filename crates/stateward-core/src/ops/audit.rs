//! Reading the audit log, and noting refusals in it.

use std::future::Future;

use stateward_store::{Key, Listing};

use crate::access::Caller;
use crate::audit::{AuditItem, Deed, PREFIX};
use crate::backend::Backend;
use crate::error::{Error, Kind, Result};
use crate::name::StateId;
use crate::view::List;

const PAGE: usize = 500;

impl Backend {
    /// The audit log, newest first; of one state where given, after the item that `after` names.
    pub async fn audit(
        &self,
        caller: &Caller,
        state: Option<&StateId>,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<List<AuditItem>> {
        caller.demand_admin()?;
        let limit = limit.unwrap_or(usize::MAX).max(1);
        let mut after = after.map(|after| Key::new(format!("{PREFIX}{after}")));
        let mut list = List::new(Vec::new());
        loop {
            let entries =
                self.store().list(&Listing { prefix: PREFIX.to_owned(), after: after.clone(), limit: PAGE }).await?;
            let last_page = entries.len() < PAGE;
            for entry in entries {
                if list.items.len() == limit {
                    list.next = after.map(|key| key.as_str()[PREFIX.len()..].to_owned());
                    return Ok(list);
                }
                let item: AuditItem = serde_json::from_slice(&entry.record.value).map_err(|error| {
                    Error::new(
                        Kind::Corrupt,
                        "the audit log is damaged",
                        format!("`{}`: {error}", entry.key),
                        "run `stateward state verify`",
                    )
                })?;
                after = Some(entry.key);
                if state.is_none() || item.state.as_ref() == state {
                    list.items.push(item);
                }
            }
            if last_page {
                return Ok(list);
            }
        }
    }

    /// Notes that somebody without a valid token was turned away.
    pub async fn note_stranger(&self, source: Option<String>, what: &str) {
        let item = AuditItem { source, detail: what.to_owned(), ..AuditItem::new(self.now(), Deed::Refuse, None) };
        self.append_refusal(&item).await;
    }

    /// Runs a use case; where it is refused for lack of a right, of the lock, or of the right serial, that is noted.
    pub(super) async fn audited<T>(
        &self,
        caller: &Caller,
        state: &StateId,
        what: &str,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let outcome = run.await;
        if let Err(error) = &outcome
            && matches!(error.kind(), Kind::Denied | Kind::Conflict | Kind::Locked)
        {
            let item = AuditItem {
                detail: format!("{what}: {}", error.why()),
                ..AuditItem::by(caller, self.now(), Deed::Refuse, Some(state))
            };
            self.append_refusal(&item).await;
        }
        outcome
    }

    /// A refusal is answered even when it cannot be noted.
    async fn append_refusal(&self, item: &AuditItem) {
        if let Err(error) = self.append_audit(item).await {
            tracing::warn!(%error, "a refusal could not be noted in the audit log");
        }
    }
}
