//! Small commits while a large state is being written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::super::clock::Stopwatch;
use super::super::document::{Document, FIRST_SERIAL};
use super::super::report::{Line, Quantity};
use super::super::stats::Samples;
use super::super::target::{Mark, Target};
use super::super::wire::Client;
use super::super::{Bench, Result};

const TIME: Duration = Duration::from_secs(10);
/// A request is due this often, whether the ones before were slow or not.
const EVERY: Duration = Duration::from_millis(5);
const LARGE: usize = 100_000_000;

#[derive(Default)]
struct Latencies {
    /// From the moment it was sent.
    sent: Samples,
    /// From the moment it was due.
    due: Samples,
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let served = bench.serve("stall");
    let quiet = latencies(&served.state("small"))?;
    let (busy, writes) = while_writing(&served.state("large"), || latencies(&served.state("small")))?;
    let n = busy.sent.len();
    let quantity = |share: f64| Quantity::Millis(busy.sent.quantile(share));
    let name = |which: &str| format!("LOCK or UNLOCK beside 100 MB writes: {which}");
    bench.report(&Line::new("100 MB written meanwhile", Quantity::Millis(writes.median()), writes.len()));
    bench.report(
        &Line::new(name("p50"), quantity(0.5), n).against("p50 without", Quantity::Millis(quiet.sent.median())),
    );
    bench.report(&Line::new(name("p99"), quantity(0.99), n).at_most(20.0));
    bench.report(&Line::new(name("max"), quantity(1.0), n));
    bench.report(&Line::new("the same from when it was due: p99", Quantity::Millis(busy.due.quantile(0.99)), n));
    Ok(())
}

/// Does the work while a thread writes large states, none of which shares anything with another.
fn while_writing<T>(target: &Target, work: impl FnOnce() -> Result<T>) -> Result<(T, Samples)> {
    let mut document = Document::of_size(LARGE);
    let mut client = Client::connect(target)?;
    let stop = AtomicBool::new(false);
    let mut write = |number: u64| -> Result<Duration> {
        document.renew(number);
        document.set_serial(FIRST_SERIAL + number);
        let watch = Stopwatch::start();
        client.send(&target.head("POST", "", &[("Content-Type", "application/json")], Some(document.bytes.len())))?;
        client.send(&document.bytes)?;
        client.expect_ok("POST of 100 MB")?;
        Ok(watch.elapsed())
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<Samples> {
            let mut times = Samples::default();
            while !stop.load(Ordering::Relaxed) {
                times.push_time(write(times.len() as u64)?);
            }
            Ok(times)
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let times = writer.join().map_err(|_| "the writing thread panicked")??;
        Ok((done?, times))
    })
}

fn latencies(target: &Target) -> Result<Latencies> {
    let mut client = Client::connect(target)?;
    let mut pair = [target.lock(), target.unlock()];
    let mut latencies = Latencies::default();
    let watch = Stopwatch::start();
    let mut due = Duration::ZERO;
    for round in 1_u64.. {
        for request in &mut pair {
            thread::sleep(due.saturating_sub(watch.elapsed()));
            request.number(Mark::LockId, round);
            let sent = watch.elapsed();
            client.exchange(request)?;
            let answered = watch.elapsed();
            latencies.sent.push_time(answered.saturating_sub(sent));
            latencies.due.push_time(answered.saturating_sub(due));
            due += EVERY;
        }
        if due >= TIME {
            break;
        }
    }
    Ok(latencies)
}
