//! Places in the queue: when they count, and when they lapse.

use jiff::SignedDuration;

use super::Ask;
use crate::control::{Mode, Ticket};
use crate::ports::Timestamp;

/// A waiting request that has not been heard of for so long is gone with its server.
const WAITING_LAPSES: SignedDuration = SignedDuration::from_secs(20);
/// The longest gap between two polls that is waited for.
const RHYTHM_MAX_S: i64 = 60;
/// A place is given up for good after so long a silence.
const GONE_AFTER: SignedDuration = SignedDuration::from_mins(2);

impl Ticket {
    pub(super) fn new(ask: &Ask, now: Timestamp) -> Self {
        Self {
            id: ask.id.clone(),
            raw: ask.raw.clone(),
            who: ask.who.clone(),
            operation: ask.operation.clone(),
            since: now,
            last_seen: now,
            polls: 1,
            gap_s: 0,
            waiting: ask.waiting,
            attempt: ask.attempt.clone(),
            resources: ask.mode == Mode::Resources,
        }
    }

    pub(super) fn ask_again(&mut self, ask: &Ask, now: Timestamp) {
        if self.attempt != ask.attempt || (self.waiting && !ask.waiting) {
            self.polls = self.polls.saturating_add(1);
            self.gap_s = u32::try_from(now.duration_since(self.last_seen).as_secs()).unwrap_or(0);
            self.attempt.clone_from(&ask.attempt);
        }
        self.waiting = ask.waiting;
        self.last_seen = now;
    }

    /// Whether others wait for it: it waits on an open connection or has come back at least once, and can be expected to do so
    /// again.
    pub fn counts(&self, now: Timestamp) -> bool {
        (self.waiting || self.polls > 1) && !self.has_lapsed(now)
    }

    /// Whether it is overdue. It no longer holds others up, but keeps its place in case it comes.
    ///
    /// Terraform polls after 1, 2, 4, 8 and then every 16 seconds; others keep a rhythm of their own.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        let rhythm = (i64::from(self.gap_s) * 3 / 2 + 2).min(RHYTHM_MAX_S);
        let patience = match self.waiting {
            true => WAITING_LAPSES,
            false => SignedDuration::from_secs(rhythm.max((1 << self.polls.min(4)) + 3)),
        };
        self.silence(now) > patience
    }

    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.silence(now) > GONE_AFTER
    }

    /// A clock that was set back counts like one that went on.
    fn silence(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.last_seen).abs()
    }
}
