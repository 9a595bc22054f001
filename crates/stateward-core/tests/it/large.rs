//! States of thousands of instances, and bodies that take their time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use stateward_core::view::Changes;
use stateward_core::{BodyStream, Post};
use tokio::sync::Semaphore;

use crate::bench::{Bench, bench, id, state};

const MANY: u64 = 6000;

fn resources() -> BTreeMap<String, String> {
    (0..MANY).map(|n| (format!("r{n:05}"), format!("{:032x}", u128::from(n + 1) * 0x9e37_79b9_7f4a_7c15))).collect()
}

fn body(serial: u64, resources: &BTreeMap<String, String>) -> String {
    let resources: Vec<(&str, &str)> = resources.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
    state(serial, &resources)
}

async fn newest(bench: &Bench) -> (u64, Changes) {
    let history = bench.backend.history(&bench.caller, &id("a"), None, Some(1)).await.unwrap();
    (history.items[0].stored_size, history.items[0].changes)
}

#[tokio::test]
async fn a_small_change_of_a_large_state_adds_little() {
    let (bench, mut resources) = (bench().await, resources());
    bench.post("a", None, body(1, &resources)).await.unwrap();
    let (whole, changes) = newest(&bench).await;
    assert_eq!(changes, Changes { added: MANY, changed: 0, removed: 0 });

    resources.insert("r03000".to_owned(), "changed".to_owned());
    bench.post("a", None, body(2, &resources)).await.unwrap();
    let (added, changes) = newest(&bench).await;
    assert_eq!(changes, Changes { added: 0, changed: 1, removed: 0 });
    assert!(added < whole / 10, "{added} of {whole}");
}

#[tokio::test]
async fn changes_all_over_a_large_state_are_counted() {
    let (bench, mut resources) = (bench().await, resources());
    bench.post("a", None, body(1, &resources)).await.unwrap();
    for n in (0..MANY).step_by(100) {
        resources.remove(&format!("r{n:05}"));
        resources.insert(format!("r{:05}", n + 1), "changed".to_owned());
        resources.insert(format!("r{n:05}new"), "new".to_owned());
    }
    resources.insert("z".to_owned(), "the last".to_owned());
    bench.post("a", None, body(2, &resources)).await.unwrap();
    let each = MANY / 100;
    assert_eq!(newest(&bench).await.1, Changes { added: each + 1, changed: each, removed: each });
}

/// A body of which so much has come, and no more for now. Tells when it is waited for.
fn stuck(text: &str, waiting: Arc<Semaphore>) -> BodyStream {
    let first = Bytes::copy_from_slice(&text.as_bytes()[..300_000]);
    let silence = stream::once(async move {
        waiting.add_permits(1);
        std::future::pending().await
    });
    BodyStream { length: Some(text.len() as u64), bytes: stream::iter([Ok(first)]).chain(silence).boxed() }
}

#[test]
fn slow_clients_hold_no_threads() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (bench, text, waiting) = (bench().await, body(1, &resources()), Arc::new(Semaphore::new(0)));
        let slow = (0..3).map(|n| {
            let (backend, caller, state) = (bench.backend.clone(), bench.caller.clone(), id(&format!("slow{n}")));
            let post = Post { lock_id: None, md5: None, body: stuck(&text, waiting.clone()) };
            tokio::spawn(async move { backend.write(&caller, &state, post).await })
        });
        let slow: Vec<_> = slow.collect();
        drop(waiting.acquire_many(3).await.unwrap());
        let done = tokio::time::timeout(Duration::from_mins(1), bench.post("a", None, text.clone())).await;
        assert!(done.expect("a body that is there is not held up").unwrap().changed);
        assert!(slow.iter().all(|slow| !slow.is_finished()));
        slow.iter().for_each(tokio::task::JoinHandle::abort);
    });
}
