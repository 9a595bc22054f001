//! Reading the audit log, and noting refusals in it.

use std::future::Future;

use super::log::Log;
use crate::access::Caller;
use crate::audit::{AuditItem, Deed};
use crate::backend::Backend;
use crate::error::{Kind, Result};
use crate::name::StateId;
use crate::view::List;

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
        let mut log = Log::open(self, state, after).await?;
        let mut list = List::new(Vec::new());
        let mut last = None;
        while let Some((place, item)) = log.next().await? {
            if state.is_some() && item.state.as_ref() != state {
                continue;
            }
            if list.items.len() == limit {
                list.next = last;
                break;
            }
            list.items.push(item);
            last = Some(place);
        }
        Ok(list)
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
