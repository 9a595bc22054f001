//! States of 100 MB, and the memory they take.

use std::fs;

use super::super::clock::timed;
use super::super::document::{Document, FIRST_SERIAL, resource_for};
use super::super::report::{Line, Quantity};
use super::super::stats::{Samples, float, millis};
use super::super::target::{Mark, Target};
use super::super::wire::Client;
use super::super::{Bench, Result};

pub(super) const SIZE: usize = 100_000_000;
const MEMORY_MAX: f64 = 96e6;

/// A server that is sent large states, and how it does.
pub(super) struct Subject {
    target: Target,
    client: Client,
    has_locks: bool,
    new: Samples,
    new_with_md5: Samples,
    touched: Samples,
    get: Samples,
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let served = bench.serve("large");
    let mut subjects = vec![Subject::new(served.state("large"))?];
    if let Some(peer) = &bench.peer {
        subjects.push(Subject::new(peer.clone())?);
    }
    let mut document = Document::of_size(SIZE);
    let mut received = document.bytes.clone();
    for run in 0..bench.runs {
        let serial = FIRST_SERIAL + 2 * run as u64;
        document.renew(serial);
        document.set_serial(serial);
        let (md5_time, md5) = timed(|| document.md5());
        for subject in &mut subjects {
            let time = subject.post(&document, &md5)?;
            subject.new.push(time);
            subject.new_with_md5.push(time + millis(md5_time));
            subject.get(&document, &mut received)?;
        }
        document.touch(resource_for(run, document.resources));
        document.set_serial(serial + 1);
        let md5 = document.md5();
        for subject in &mut subjects {
            let time = subject.post(&document, &md5)?;
            subject.touched.push(time);
        }
    }
    let (ours, peer) = subjects.split_first().ok_or("nothing was measured")?;
    report(bench, ours, peer.first(), document.bytes.len());
    let runs = 2 * bench.runs;
    report_memory(bench, "peak memory of the server after all this", served.server.id(), runs, MEMORY_MAX)
}

impl Subject {
    pub(super) fn new(target: Target) -> Result<Self> {
        let client = Client::connect(&target)?;
        let samples = Samples::default;
        let mut subject = Self {
            target,
            client,
            has_locks: true,
            new: samples(),
            new_with_md5: samples(),
            touched: samples(),
            get: samples(),
        };
        subject.has_locks = subject.try_lock()?;
        if subject.has_locks {
            subject.client.exchange(&subject.target.unlock())?;
        }
        Ok(subject)
    }

    fn try_lock(&mut self) -> Result<bool> {
        let mut body = Vec::new();
        self.client.send(&self.target.lock().bytes)?;
        match self.client.receive(&mut body)? {
            200 => Ok(true),
            404 | 405 | 501 => Ok(false),
            status => {
                Err(format!("LOCK at {}: {status} {}", self.target.address, String::from_utf8_lossy(&body)).into())
            }
        }
    }

    /// The time of the POST alone.
    pub(super) fn post(&mut self, document: &Document, md5: &str) -> Result<f64> {
        let query = if self.has_locks { format!("?ID={}", Mark::LockId.text()) } else { String::new() };
        let headers = [("Content-Type", "application/json"), ("Content-MD5", md5)];
        let head = self.target.head("POST", &query, &headers, Some(document.bytes.len()));
        if self.has_locks {
            self.client.exchange(&self.target.lock())?;
        }
        let (time, done) = timed(|| {
            self.client.send(&head)?;
            self.client.send(&document.bytes)?;
            self.client.expect_ok("POST of 100 MB")
        });
        done?;
        if self.has_locks {
            self.client.exchange(&self.target.unlock())?;
        }
        Ok(millis(time))
    }

    pub(super) fn get(&mut self, document: &Document, received: &mut Vec<u8>) -> Result<()> {
        let request = self.target.request("GET", "", b"");
        let (time, status) = timed(|| {
            self.client.send(&request.bytes)?;
            self.client.receive(received)
        });
        if status? != 200 || *received != document.bytes {
            return Err(format!("GET at {} does not give what was sent", self.target.address).into());
        }
        self.get.push_time(time);
        Ok(())
    }
}

fn report(bench: &mut Bench, ours: &Subject, peer: Option<&Subject>, size: usize) {
    let mega = size / 1_000_000;
    let mut line = |name: String, of: fn(&Subject) -> &Samples, goal: Option<f64>| {
        let median = |subject: &Subject| Quantity::Millis(of(subject).median());
        let line = Line::new(name, median(ours), of(ours).len()).against_if("peer", peer.map(median));
        bench.report(&goal.map_or(line.clone(), |goal| line.at_most(goal)));
    };
    // The goal is for what a user waits for: Terraform computes the MD5 before it sends, whatever the server.
    line(format!("POST {mega} MB, all new, MD5 known before"), |subject| &subject.new, None);
    line(format!("POST {mega} MB, all new, with MD5 by client"), |subject| &subject.new_with_md5, Some(1.25));
    line(format!("POST {mega} MB, one resource changed"), |subject| &subject.touched, None);
    line(format!("GET {mega} MB"), |subject| &subject.get, Some(0.6));
}

pub(super) fn report_memory(bench: &mut Bench, name: &str, pid: u32, runs: usize, at_most: f64) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = peak_memory(&status).ok_or("no VmHWM in /proc/PID/status")?;
    let line = Line::new(name, Quantity::Bytes(float(peak)), runs);
    bench.report(&line.at_most(at_most));
    Ok(())
}

/// The high-water mark in bytes.
fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_is_read_from_the_status() {
        assert_eq!(peak_memory("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   24576 kB\nVmRSS:\t 1 kB\n"), Some(24576 * 1024));
        assert_eq!(peak_memory("Name:\tx\n"), None);
    }
}
