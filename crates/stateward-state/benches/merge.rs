//! What merging costs as states grow: 100 resources changed by the run, 100 others by somebody else meanwhile.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use stateward_state::edit::Merge;
use stateward_state::generate::{Spec, state};

/// The most that is allocated at a time is shown beside the times.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn body(resources: usize, serial: u64, changed: impl Iterator<Item = usize>) -> Vec<u8> {
    state(&Spec { resources, serial, touched: changed.collect(), ..Spec::default() })
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5, sample_size = 1)]
fn merge(bencher: Bencher<'_, '_>, resources: usize) {
    let every = resources / 200;
    let base = body(resources, 1, std::iter::empty());
    let head = body(resources, 2, (0..100).map(|n| n * every * 2));
    let post = body(resources, 2, (0..100).map(|n| n * every * 2 + every));
    bencher.counter(BytesCount::of_slice(&head)).bench_local(|| {
        let merge = Merge { base: Some(&base), head: &head, post: &post, mine: &|_| false, serial: 3 };
        let merged = merge.run().unwrap();
        assert_eq!(merged.taken.len(), 100);
        merged
    });
}
