//! A clock that stands still until it is told, and randomness that repeats.

use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;

pub use crate::bug::Bug;
use crate::ports::{Clock, Entropy, Timestamp};

/// A clock that a test moves.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// Stands at this second of the Unix epoch.
    pub fn at(seconds: i64) -> Self {
        Self(Mutex::new(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)))
    }

    /// Moves on.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes from a seed (BLAKE3 in counter mode).
#[derive(Debug)]
pub struct SeededEntropy(Mutex<blake3::OutputReader>);

impl SeededEntropy {
    /// The same bytes for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof()))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}
