//! Signals that end a command early which has something to finish first.

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
        Ok(Self {
            interrupt: listen_for(SignalKind::interrupt())?,
            terminate: listen_for(SignalKind::terminate())?,
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

/// From here on the signal no longer ends the process.
pub(super) fn listen_for(kind: SignalKind) -> Result<Signal> {
    let signal = signal(kind).map_err(|error| {
        let next = "free some of the machine's resources";
        Error::new(Kind::Unavailable, "signals cannot be received", plain(&error), next)
    });
    Ok(signal?)
}
