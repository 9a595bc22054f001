//! The signals that end a look early.

use tokio::signal::unix::SignalKind;
use tokio::sync::watch;

use super::super::interruption::listen_for;
use crate::failure::Result;
use crate::output;

/// Counts them: the first ends the look, the second the removal of what was written, too.
pub(super) struct Interruptions(watch::Receiver<u32>);

impl Interruptions {
    /// From here on the signals no longer end the process.
    pub(super) fn listen() -> Result<Self> {
        let mut interrupt = listen_for(SignalKind::interrupt())?;
        let mut terminate = listen_for(SignalKind::terminate())?;
        let mut hang_up = listen_for(SignalKind::hangup())?;
        let (count, counted) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _signal = interrupt.recv() => {}
                    _signal = terminate.recv() => {}
                    _signal = hang_up.recv() => {}
                }
                if *count.borrow() == 0 {
                    output::note("removing what was written to try things out; once more ends this at once\n");
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(counted))
    }

    pub(super) async fn first(&self) {
        self.come(1).await;
    }

    pub(super) async fn second(&self) {
        self.come(2).await;
    }

    async fn come(&self, number: u32) {
        let mut counted = self.0.clone();
        if counted.wait_for(|count| *count >= number).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
