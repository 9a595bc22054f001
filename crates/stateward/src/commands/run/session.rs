//! The run's session, as its own server offers it and as its user hears of it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stateward_client::{Event, Session};
use stateward_core::view::Stored;
use stateward_core::{BodyStream, Result, StateId};
use stateward_server::OneState;
use stateward_terraform::with_who;

use crate::output::human::one_line;

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
pub(super) fn told(state: &StateId, event: &Event) -> String {
    match event {
        Event::Waits(holder) => {
            let who = if holder.who.is_empty() { "somebody" } else { &holder.who };
            let operation = holder.operation.strip_prefix("OperationType").unwrap_or(&holder.operation);
            format!("waiting for `{state}`: {} holds it ({})\n", one_line(who), one_line(&operation.to_lowercase()))
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
