//! The `SQLite` engine, from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod conformance;
mod full;
mod model;
mod refusals;
mod serving;
mod two_processes;

use std::path::Path;

use bytes::Bytes;
use stateward_store::{BlobId, Expect, Key, NewBlob, Store, Write};
use stateward_store_sqlite::{Options, SqliteStore};

/// Opens a database in a directory, as most tests want it.
fn open_in(directory: &Path) -> SqliteStore {
    SqliteStore::open(&Options::new(directory.join("stateward.db"))).unwrap()
}

fn write(key: &str, value: &str, expect: Expect) -> Write {
    Write { key: Key::new(key), value: Some(Bytes::copy_from_slice(value.as_bytes())), expect }
}

async fn value(store: &dyn Store, key: &str) -> Option<String> {
    let record = store.get(&Key::new(key)).await.unwrap()?;
    Some(String::from_utf8(record.value.to_vec()).unwrap())
}

/// A blob of bytes that depend on `n`.
fn blob(n: u64, size: usize) -> NewBlob {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let sealed = (0..size as u64).map(|i| (i.wrapping_mul(n | 1) >> 3).to_le_bytes()[0]).collect();
    NewBlob { id: BlobId(id), sealed }
}
