//! The disk by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::clock::{Stopwatch, timed};
use super::stats::float;

const BLOCK: usize = 4096;
const BLOCKS: u64 = 1024;

/// How often a second 4 KB can be overwritten and made durable, and how often it was.
pub(super) fn sync_rate(dir: &Path, time: Duration) -> io::Result<(f64, usize)> {
    let path = dir.join("sync-rate");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    for _ in 0..BLOCKS {
        file.write_all(&[0; BLOCK])?;
    }
    file.sync_all()?;
    let mut count = 0_u64;
    let watch = Stopwatch::start();
    while watch.elapsed() < time {
        let byte = u8::try_from(count % 251).unwrap_or(0);
        file.write_all_at(&[byte; BLOCK], count % BLOCKS * BLOCK as u64)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = float(count) / watch.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok((rate, usize::try_from(count).unwrap_or(usize::MAX)))
}

/// How long it takes to write this to a new file and make it durable.
pub(super) fn write_time(dir: &Path, bytes: &[u8]) -> io::Result<Duration> {
    let path = dir.join("write-time");
    let (time, written) = timed(|| {
        let mut file = File::create(&path)?;
        file.write_all(bytes)?;
        file.sync_all()
    });
    written?;
    fs::remove_file(path)?;
    Ok(time)
}

/// The bytes of all files in a directory.
pub(super) fn size(dir: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() { self::size(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use stateward_testkit::TestDir;

    use super::*;

    #[test]
    fn sizes_are_of_all_files_below() {
        let dir = TestDir::new();
        dir.write("a", "12");
        dir.write("b/c", "345");
        assert_eq!(size(dir.path()).unwrap(), 5);
    }

    #[test]
    fn measuring_leaves_nothing_behind() {
        let dir = TestDir::new();
        let (rate, count) = sync_rate(dir.path(), Duration::from_millis(5)).unwrap();
        assert!(rate > 0.0 && count > 0);
        write_time(dir.path(), b"x").unwrap();
        assert_eq!(size(dir.path()).unwrap(), 0);
    }
}
