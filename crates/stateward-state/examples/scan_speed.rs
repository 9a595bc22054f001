//! How fast bodies are scanned on one core: `cargo run --release --features generate --example scan_speed`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]

use std::time::Instant;

use stateward_state::generate::{Spec, state};
use stateward_state::{Extractor, Scanner};

fn main() -> Result<(), stateward_state::ScanError> {
    for indented in [true, false] {
        let body = state(&Spec { indented, ..Spec::of_size(100_000_000) });
        let mut best = f64::INFINITY;
        let mut entries = 0;
        for _ in 0..5 {
            let start = Instant::now();
            let mut scanner = Scanner::new([7; 32]);
            for piece in body.chunks(256 * 1024) {
                scanner.feed(piece)?;
            }
            entries = scanner.finish()?.instances.len();
            best = best.min(start.elapsed().as_secs_f64());
        }
        let start = Instant::now();
        let mut extractor = Extractor::new(|address: &str| address.ends_with("r_0000042"));
        for piece in body.chunks(256 * 1024) {
            extractor.feed(piece)?;
        }
        let found = extractor.finish()?.len();
        let extracted = start.elapsed().as_secs_f64();
        let layout = if indented { "indented" } else { "compact" };
        let megabytes = f64::from(u32::try_from(body.len()).unwrap_or(u32::MAX)) / 1e6;
        println!(
            "{layout}: {megabytes:.0} MB, {entries} instances, scan {:.0} MB/s, extract {found} at {:.0} MB/s",
            megabytes / best,
            megabytes / extracted
        );
    }
    Ok(())
}
