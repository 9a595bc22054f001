//! Going down in order: first say so, then take no more, then let what is under way finish.

use tokio::sync::watch;

/// How far the shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Business as usual.
    Serving,
    /// `/readyz` says no, and nobody waits for a lock any more.
    Leaving,
    /// No new connections and requests.
    Closing,
}

#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<Stage>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }
}

impl Drain {
    pub(crate) fn enter(&self, stage: Stage) {
        self.0.send_replace(stage);
    }

    pub(crate) fn is_serving(&self) -> bool {
        *self.0.borrow() == Stage::Serving
    }

    /// Ends when the shutdown has come as far as `stage`.
    pub(crate) async fn reached(&self, stage: Stage) {
        // The sender lives as long as `self`, so that this cannot fail.
        let mut stages = self.0.subscribe();
        let _seen = stages.wait_for(|now| *now >= stage).await;
    }
}
