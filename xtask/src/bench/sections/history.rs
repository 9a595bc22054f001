//! What versions that differ little take.

use super::super::document::{Document, FIRST_SERIAL, resource_for};
use super::super::report::{Line, Quantity};
use super::super::stats::{Samples, float, millis};
use super::super::wire::Client;
use super::super::{Bench, Result, clock};

const SIZE: usize = 10_000_000;
const VERSIONS: usize = 1000;
const TOTAL_MAX: f64 = 16e6;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut document = Document::of_size(SIZE);
    let mega = document.bytes.len() / 1_000_000;
    post_versions(bench, &mut document, 0..1)?;
    let (first, _) = post_versions(bench, &mut document, 0..0)?;
    bench.report(&Line::new(format!("the store with 1 version of {mega} MB"), Quantity::Bytes(float(first)), 1));

    let (all, times) = post_versions(bench, &mut document, 1..VERSIONS)?;
    bench.report(&Line::new(
        format!("POST {mega} MB, one resource changed"),
        Quantity::Millis(times.median()),
        times.len(),
    ));
    let name = format!("the store with {VERSIONS} versions of {mega} MB");
    bench.report(&Line::new(name, Quantity::Bytes(float(all)), VERSIONS).at_most(TOTAL_MAX));
    Ok(())
}

/// Serves, posts these versions, stops; gives the size of the store then, and how long each took.
fn post_versions(bench: &Bench, document: &mut Document, versions: std::ops::Range<usize>) -> Result<(u64, Samples)> {
    let served = bench.serve("history");
    let state = served.state("history");
    let mut client = Client::connect(&state)?;
    let mut times = Samples::default();
    for version in versions {
        if version > 0 {
            document.touch(resource_for(version, document.resources));
        }
        document.set_serial(FIRST_SERIAL + version as u64);
        let request = state.request("POST", "", &document.bytes);
        let (time, done) = clock::timed(|| client.exchange(&request));
        done?;
        times.push(millis(time));
    }
    Ok((served.stop()?, times))
}
