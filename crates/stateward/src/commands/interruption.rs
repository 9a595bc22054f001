//! Signals that end a command early which has locks to give back.

use stateward_core::{Error, Kind};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Result, plain};

/// SIGINT, and SIGTERM, by which CI ends a job.
pub(super) struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    pub(super) came: bool,
}

impl Interruption {
    /// From here on the signals no longer end the process.
    pub(super) fn new() -> Result<Self> {
        let receive = |kind| {
            signal(kind).map_err(|error| {
                let next = "free some of the machine's resources";
                Error::new(Kind::Unavailable, "signals cannot be received", plain(&error), next)
            })
        };
        Ok(Self {
            interrupt: receive(SignalKind::interrupt())?,
            terminate: receive(SignalKind::terminate())?,
            came: false,
        })
    }

    pub(super) async fn comes(&mut self) {
        tokio::select! {
            _signal = self.interrupt.recv() => {}
            _signal = self.terminate.recv() => {}
        }
        self.came = true;
    }
}
