//! The disk by itself.

use std::time::Duration;

use super::super::report::{Line, Quantity};
use super::super::stats::Samples;
use super::super::{Bench, Result, disk};

const SYNC_TIME: Duration = Duration::from_secs(2);
const LARGE: usize = 100 << 20;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let (rate, count) = disk::sync_rate(bench.dir.path(), SYNC_TIME)?;
    bench.report(&Line::new("fdatasync of 4 KB overwritten in place", Quantity::PerSecond(rate), count));
    let bytes = vec![b'x'; LARGE];
    let mut times = Samples::default();
    for _ in 0..bench.runs {
        times.push_time(disk::write_time(bench.dir.path(), &bytes)?);
    }
    bench.report(&Line::new("100 MiB written to a new file, and fsync", Quantity::Millis(times.median()), times.len()));
    Ok(())
}
