//! What comparing two versions costs as states grow, of which 100 resources differ: their bytes are read once more to take
//! out what changed.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::collections::HashSet;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use stateward_state::counts::changed_addresses;
use stateward_state::diff::diff;
use stateward_state::generate::{Spec, state};
use stateward_state::scan::scan;
use stateward_state::{Extracted, Extractor};

/// The most that is allocated at a time is shown beside the times.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Bodies come in pieces of this size.
const PIECE: usize = 256 * 1024;

fn main() {
    divan::main();
}

fn extract(body: &[u8], wanted: &HashSet<String>) -> std::collections::BTreeMap<String, Extracted> {
    let mut extractor = Extractor::with_sensitive(|address: &str| wanted.contains(address));
    body.chunks(PIECE).for_each(|piece| extractor.feed(piece).unwrap());
    extractor.finish().unwrap()
}

/// The indexes of both versions are there: they are stored with them.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5, sample_size = 1)]
fn diff_of_versions(bencher: Bencher<'_, '_>, resources: usize) {
    let spec = Spec { resources, ..Spec::default() };
    let old = state(&spec);
    let new = state(&Spec { touched: (0..100).map(|n| n * resources / 100).collect(), serial: 2, ..spec });
    let index = |body: &[u8]| scan(body, [7; 32]).unwrap().instances;
    let (old_index, new_index) = (index(&old), index(&new));
    bencher.counter(BytesCount::of_slice(&new)).bench_local(|| {
        let changed = changed_addresses(&old_index, &new_index).into_iter().map(|(address, _)| address).collect();
        let changes = diff(&extract(&old, &changed), &extract(&new, &changed));
        assert!(changes.len() >= 100, "some of the resources have several instances");
        changes
    });
}
