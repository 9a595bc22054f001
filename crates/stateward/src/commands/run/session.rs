//! The run's session, as its own server offers it and as its user hears of it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stateward_client::{Event, Session};
use stateward_core::view::Stored;
use stateward_core::{BodyStream, Result, StateId, Timestamp};
use stateward_server::OneState;
use stateward_store::outside::with_who;

use crate::output::human::{age, one_line};

/// A session whose locks bear the name of who runs it.
pub(super) struct RunSession {
    session: Arc<Session>,
    who: String,
}

impl RunSession {
    pub(super) fn new(session: Arc<Session>, who: String) -> Self {
        Self { session, who }
    }
}

#[async_trait]
impl OneState for RunSession {
    async fn read(&self) -> Result<Option<BodyStream>> {
        self.session.read().await
    }

    async fn write(&self, lock_id: Option<String>, md5: Option<[u8; 16]>, body: BodyStream) -> Result<Stored> {
        self.session.write(lock_id, md5, body).await
    }

    async fn lock(&self, raw: Bytes) -> Result<()> {
        let raw = with_who(&raw, &self.who).map_or(raw, Bytes::from);
        self.session.lock(raw).await
    }

    async fn unlock(&self, raw: Bytes) -> Result<()> {
        self.session.unlock(raw).await
    }
}

/// What the user is told while the command runs.
pub(super) fn told(state: &StateId, event: &Event, now: Timestamp) -> String {
    match event {
        Event::Waits(holder, address) => {
            let who = if holder.who.is_empty() { "somebody" } else { &holder.who };
            let operation = holder.operation.strip_prefix("OperationType").unwrap_or(&holder.operation).to_lowercase();
            match address {
                None => format!("waiting for `{state}`: {} holds it ({})\n", one_line(who), one_line(&operation)),
                Some(address) => {
                    let since = holder.created.parse::<Timestamp>().ok().map(|created| now.duration_since(created));
                    let since = since.and_then(|since| u64::try_from(since.as_secs()).ok()).map(age);
                    let since = since.map_or_else(String::new, |since| format!(", {since}"));
                    let (who, operation) = (one_line(who), one_line(&operation));
                    format!("waiting for {}, held by {who} ({operation}{since})\n", one_line(address))
                }
            }
        }
        Event::Unanswered(error) => format!("waiting for `{state}`: {}\n", one_line(error.why())),
        Event::Granted => format!("`{state}` is ours now\n"),
        Event::LeaseInDanger(error) => {
            format!("warning: the lock of `{state}` cannot be renewed: {}; it is tried again\n", one_line(error.why()))
        }
        Event::LeaseSafe => format!("the lock of `{state}` is renewed again\n"),
        Event::LeaseLost(error) => format!(
            "warning: the lock of `{state}` is lost: {}; what the command still writes will be refused and kept in a file\n",
            one_line(error.why())
        ),
    }
}
