//! A moment after which waiting is a failure.

use std::thread;
use std::time::{Duration, Instant};

/// How often a condition that cannot be waited for is looked at again.
const POLL: Duration = Duration::from_millis(2);

pub(crate) struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "limits on other processes are real time by nature")]
    pub(crate) fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    #[expect(clippy::disallowed_methods, reason = "limits on other processes are real time by nature")]
    pub(crate) fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Asks until there is an answer, or gives up.
    pub(crate) fn poll<T>(&self, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(answer) = ask() {
                return Some(answer);
            }
            if self.left().is_zero() {
                return None;
            }
            thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_at_least_once_and_gives_up() {
        let mut asked = 0;
        let answer = Deadline::after(Duration::ZERO).poll(|| {
            asked += 1;
            None::<()>
        });
        assert_eq!((answer, asked), (None, 1));
        let mut calls = 0;
        let third = Deadline::after(Duration::from_secs(10)).poll(|| {
            calls += 1;
            (calls == 3).then_some("third")
        });
        assert_eq!(third, Some("third"));
    }
}
