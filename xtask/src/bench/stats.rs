//! Samples, and what is said of them.

use std::time::Duration;

/// Measured values, in the order in which they were taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds a time, in milliseconds.
    pub(super) fn push_time(&mut self, time: Duration) {
        self.push(millis(time));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that at least this share of all does not exceed; 0 where there are none.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let below =
            sorted.iter().enumerate().find(|(rank, _)| float(*rank as u64 + 1) >= share * float(self.len() as u64));
        below.map_or(0.0, |(_, value)| *value)
    }

    /// The middle one, or the mean of the two in the middle.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            count if count.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes here are far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples(values.to_vec())
    }

    #[test]
    fn medians_are_in_the_middle() {
        for (values, median) in
            [(&[][..], 0.0), (&[3.0], 3.0), (&[9.0, 1.0], 5.0), (&[5.0, 1.0, 9.0], 5.0), (&[4.0, 1.0, 2.0, 9.0], 3.0)]
        {
            assert!((samples(values).median() - median).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100_u32).rev().map(f64::from).collect();
        for (share, value) in [(0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0), (0.0, 1.0)] {
            assert!((samples(&hundred).quantile(share) - value).abs() < 1e-9, "{share}");
        }
        assert!(samples(&[]).quantile(1.0).abs() < 1e-9);
    }
}
