//! What is measured: a file each.

mod apply;
mod beside;
mod buckets;
mod cycles;
mod fsyncs;
mod history;
mod large;
mod locks;
mod machine;
mod many;
mod requests;
mod stall;

use std::time::Duration;

use super::{Bench, Result, disk};

/// One group of measurements.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn(&mut Bench) -> Result<()>,
}

pub(super) const SECTIONS: &[Section] = &[
    Section { name: "machine", about: "the disk by itself: fdatasyncs a second, 100 MiB written", run: machine::run },
    Section { name: "locks", about: "LOCK+UNLOCK a second, 16 clients on 16 states, and 1 client", run: locks::run },
    Section {
        name: "cycles",
        about: "LOCK, GET, POST of 20 KB, UNLOCK a second, 16 clients on 16 states",
        run: cycles::run,
    },
    Section { name: "large", about: "POST and GET of 100 MB, and the server's peak memory", run: large::run },
    Section {
        name: "buckets",
        about: "the server's peak memory with 100 MB whose bytes go to S3 (needs the test tools)",
        run: buckets::run,
    },
    Section {
        name: "stall",
        about: "how long a LOCK takes while another client writes 100 MB again and again",
        run: stall::run,
    },
    Section { name: "history", about: "what 1,000 versions of a 10 MB state take on disk", run: history::run },
    Section {
        name: "many",
        about: "what a listed page and a lock cost with 10 and with 100,000 states",
        run: many::run,
    },
    Section { name: "apply", about: "`terraform apply` over stateward and over the local backend", run: apply::run },
    Section {
        name: "beside",
        about: "eight applies side by side on one state; a transaction beside 1,000 others",
        run: beside::run,
    },
    Section { name: "fsyncs", about: "fsyncs for each LOCK, POST and UNLOCK (needs strace)", run: fsyncs::run },
    Section {
        name: "requests",
        about: "requests to S3 and DynamoDB for one apply of 20 KB (needs the test tools)",
        run: requests::run,
    },
];

const DISK_TIME: Duration = Duration::from_secs(1);

/// Does the work, and measures the disk before and after it. The better of both counts: what else runs meanwhile shall not
/// make the disk look slow, and the work good.
fn beside_disk<T>(bench: &Bench, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let before = disk::sync_rate(bench.dir.path(), DISK_TIME)?;
    let done = work()?;
    let after = disk::sync_rate(bench.dir.path(), DISK_TIME)?;
    Ok((done, before.0.max(after.0)))
}
