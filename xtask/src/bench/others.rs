//! What else the machine is doing.

use std::fs;
use std::thread;
use std::time::Duration;

use super::stats::float;

const SAMPLE: Duration = Duration::from_millis(300);

/// The share of the machine's CPU time that is used while nothing here runs; `None` where the system does not tell.
pub(super) fn share_in_use() -> Option<f64> {
    let read = || Times::parse(&fs::read_to_string("/proc/stat").ok()?);
    let before = read()?;
    thread::sleep(SAMPLE);
    read()?.used_since(&before)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    idle: u64,
    all: u64,
}

impl Times {
    /// Reads the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, …
    fn parse(stat: &str) -> Option<Self> {
        let numbers: Vec<u64> =
            stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|text| text.parse().ok()).collect();
        // Guests' times are part of the others.
        Some(Self { idle: numbers.get(3)? + numbers.get(4)?, all: numbers.iter().take(8).sum() })
    }

    fn used_since(&self, before: &Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let idle = self.idle.checked_sub(before.idle)?;
        Some(1.0 - float(idle) / float(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_in_use_is_what_is_not_idle() {
        let before = Times::parse("cpu  100 0 50 800 50 0 0 0 9 9\ncpu0 1 2\n").unwrap();
        assert_eq!(before, Times { idle: 850, all: 1000 });
        let after = Times::parse("cpu  150 0 100 850 150 0 0 0 9 9\n").unwrap();
        assert!((after.used_since(&before).unwrap() - 0.4).abs() < 1e-9);
        assert_eq!(before.used_since(&before), None);
        assert_eq!(Times::parse("intr 1\n"), None);
    }
}
