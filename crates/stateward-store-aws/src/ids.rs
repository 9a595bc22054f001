//! Names that nothing else has.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Makes ids that are unique among all that ever write to a store, from a seed that is never used twice.
pub struct Ids {
    seed: [u8; 32],
    made: AtomicU64,
}

impl Ids {
    /// Makes them from a seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: AtomicU64::new(0) }
    }

    fn bytes(&self) -> [u8; 32] {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        *blake3::keyed_hash(&self.seed, &number.to_le_bytes()).as_bytes()
    }

    /// 12 random bytes as 24 digits.
    pub fn next(&self) -> String {
        hex::encode(&self.bytes()[..12])
    }

    /// 8 random bytes as a number.
    pub fn number(&self) -> u64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.bytes()[..8]);
        u64::from_be_bytes(number)
    }

    /// A random part of a duration, so that those who lost the same race do not meet again.
    pub fn part_of(&self, duration: Duration) -> Duration {
        duration.mul_f64(f64::from(self.bytes()[0]) / 255.0)
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_fit_in_a_name() {
        let (one, other) = (Ids::new([1; 32]), Ids::new([2; 32]));
        let mut all: Vec<String> = (0..1000).flat_map(|_| [one.next(), other.next()]).collect();
        assert!(all.iter().all(|id| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2000);
        assert_ne!(one.number(), one.number());
    }
}
