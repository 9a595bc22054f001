//! Durable small commits in a second, beside what the disk does alone.
//!
//! `cargo run --release -p stateward-store-sqlite --example commit_rate [DIRECTORY]`

#![expect(clippy::print_stdout, reason = "a measurement for people")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::unwrap_used, reason = "an example stops at the first thing that goes wrong")]

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stateward_store::{Expect, Key, Store, Write};
use stateward_store_sqlite::{Options, SqliteStore};

const TIME: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let parent = std::env::args_os().nth(1).unwrap_or_else(|| std::env::temp_dir().into_os_string());
    let directory = tempfile::tempdir_in(parent).unwrap();
    let disk = fdatasyncs(&directory.path().join("raw"));
    println!("fdatasync of 4 KB: {disk}/s");
    for tasks in [1, 4, 16, 64] {
        let path = directory.path().join(format!("{tasks}.db"));
        let store = Arc::new(SqliteStore::open(&Options::new(path)).unwrap());
        let start = Instant::now();
        let running: Vec<_> =
            (0..tasks).map(|task| tokio::spawn(increments(Arc::clone(&store), task, start))).collect();
        let mut commits = 0;
        for task in running {
            commits += task.await.unwrap();
        }
        let rate = commits / TIME.as_secs();
        let stats = store.stats();
        println!(
            "{tasks:>2} tasks: {rate} commits/s, {} transactions/s, {} checkpoints ({}% of fdatasync/s)",
            stats.transactions / TIME.as_secs(),
            stats.checkpoints,
            rate * 100 / disk.max(1)
        );
    }
}

/// Compare-and-sets of a record of its own, of the size of a lock.
async fn increments(store: Arc<SqliteStore>, task: u32, start: Instant) -> u64 {
    let key = Key::new(format!("control/state-{task}"));
    let mut expect = Expect::Absent;
    let mut commits = 0;
    while start.elapsed() < TIME {
        let value = Some(Bytes::from(vec![b'v'; 500]));
        let revision = store.commit(vec![Write { key: key.clone(), value, expect }]).await.unwrap();
        expect = Expect::Revision(revision);
        commits += 1;
    }
    commits
}

fn fdatasyncs(path: &Path) -> u64 {
    let file = std::fs::File::create(path).unwrap();
    file.write_all_at(&[0; 4096], 0).unwrap();
    file.sync_all().unwrap();
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < TIME {
        file.write_all_at(&count.to_le_bytes().repeat(512), 0).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    count / TIME.as_secs()
}
