//! This machine's clock and randomness: what the core takes by injection.

use std::fmt::Write;

use jiff::Timestamp;
use rand::Rng;
use stateward_core::{Clock, Entropy};

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time is injected from")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The system's randomness, through a generator that is reseeded from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness is injected from")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// An ID that nobody else has, in the form of Terraform's own.
pub(crate) fn new_id() -> String {
    let mut bytes = [0_u8; 16];
    SystemEntropy.fill(&mut bytes);
    let mut text = String::new();
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
