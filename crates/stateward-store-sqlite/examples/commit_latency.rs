//! How long small commits take while another session writes 100 MB of blobs.
//!
//! `cargo run --release -p stateward-store-sqlite --example commit_latency [DIRECTORY]`

#![expect(clippy::print_stdout, reason = "a measurement for people")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::unwrap_used, reason = "an example stops at the first thing that goes wrong")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use stateward_store::{BlobId, Expect, Key, NewBlob, Session, Store, Write};
use stateward_store_sqlite::{Options, SqliteStore};

const BODY_BYTES: usize = 100_000_000;
const BODIES: usize = 5;

#[tokio::main]
async fn main() {
    let parent = std::env::args_os().nth(1).unwrap_or_else(|| std::env::temp_dir().into_os_string());
    let directory = tempfile::tempdir_in(parent).unwrap();
    for (name, blob_bytes) in [("64 KiB blobs", 65_536), ("4 KiB blobs", 4096)] {
        let path = directory.path().join(format!("{blob_bytes}.db"));
        let store = Arc::new(SqliteStore::open(&Options::new(&path)).unwrap());
        println!("{name}");
        print_latencies("  idle           ", &mut commits(&store, &AtomicBool::new(false), Some(2000)).await);

        let done = Arc::new(AtomicBool::new(false));
        let (other, other_done) = (Arc::clone(&store), Arc::clone(&done));
        let small = tokio::spawn(async move { commits(&other, &other_done, None).await });
        for body in 0..BODIES {
            let start = Instant::now();
            write_body(&*store, body, blob_bytes).await;
            println!("  100 MB written in {:?}", start.elapsed());
        }
        done.store(true, Relaxed);
        print_latencies("  while it writes", &mut small.await.unwrap());
        let log = std::fs::metadata(format!("{}-wal", path.display())).unwrap().len();
        println!("  log {} MiB, {:?}", log >> 20, store.stats());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("peak memory unknown"));
}

/// Commits to one record, one after the other, until told to stop or so many times.
async fn commits(store: &SqliteStore, done: &AtomicBool, times: Option<usize>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while !done.load(Relaxed) && times.is_none_or(|times| latencies.len() < times) {
        let start = Instant::now();
        let value = Some(Bytes::from(vec![b'v'; 500]));
        store.commit(vec![Write { key: Key::new("lock"), value, expect: Expect::Any }]).await.unwrap();
        latencies.push(start.elapsed());
    }
    latencies
}

async fn write_body(store: &dyn Store, body: usize, blob_bytes: usize) {
    let mut session = store.session(&Key::new("a"));
    let mut noise = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(body as u64 + 1);
    for n in 0..BODY_BYTES / blob_bytes {
        put_noise(session.as_mut(), &mut noise, blob_bytes, (body * BODY_BYTES + n) as u64).await;
    }
    let key = Key::new(format!("body/{body}"));
    session.commit(vec![Write { key, value: Some(Bytes::new()), expect: Expect::Any }]).await.unwrap();
}

/// Puts a blob that does not compress.
async fn put_noise(session: &mut dyn Session, noise: &mut u64, size: usize, n: u64) {
    let mut sealed = Vec::with_capacity(size);
    while sealed.len() < size {
        *noise ^= *noise << 13;
        *noise ^= *noise >> 7;
        *noise ^= *noise << 17;
        sealed.extend_from_slice(&noise.to_le_bytes());
    }
    let mut id = [0; 32];
    id[..8].copy_from_slice(&noise.to_le_bytes());
    id[8..16].copy_from_slice(&n.to_le_bytes());
    session.put(vec![NewBlob { id: BlobId(id), sealed: sealed.into() }]).await.unwrap();
}

fn print_latencies(name: &str, latencies: &mut [Duration]) {
    latencies.sort_unstable();
    let at = |per_mille: usize| latencies[(latencies.len() - 1) * per_mille / 1000];
    let count = latencies.len();
    println!("{name}: {count} commits, p50 {:?}, p99 {:?}, max {:?}", at(500), at(990), at(1000));
}
