//! `kill -9` under load: what was acknowledged is there, what is there is sound, and locks survive.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stateward_testkit::{Body, RawHttp, TestDir, lock_info};

use crate::{cli, serve, state, store};

const ROUNDS: u64 = 20;
const WRITERS: u64 = 4;

/// By state: the highest serial whose POST was answered, and the lock that was answered and not given back.
type Ledger = Arc<Mutex<HashMap<String, Acknowledged>>>;

#[derive(Debug, Clone, Default)]
struct Acknowledged {
    serial: u64,
    /// A write on its way when the server died: it may be there or not.
    maybe: u64,
    lock: Option<String>,
    maybe_unlocked: bool,
}

/// Locks, writes a few times, unlocks, until the server is gone.
fn write_until_it_dies(http: &RawHttp, name: &str, round: u64, ledger: &Ledger, stop: &AtomicBool) {
    let note = |change: &dyn Fn(&mut Acknowledged)| change(ledger.lock().unwrap().entry(name.to_owned()).or_default());
    let known = ledger.lock().unwrap().entry(name.to_owned()).or_default().clone();
    let (mut serial, mut held) = (known.serial.max(known.maybe), known.lock.filter(|_| !known.maybe_unlocked));
    for run in 0.. {
        let lock = held.take().unwrap_or_else(|| format!("{name}-{round}-{run}"));
        let info = lock_info(&lock, "OperationTypeApply");
        let send = |method: &str, target: &str, body: &[u8]| http.try_request(method, target, &[], Body::Sized(body));
        // A lock on its way when the server dies may be there or not; the next round uses another ID and breaks it.
        match send("LOCK", &format!("/state/{name}"), &info) {
            Ok(answer) if answer.status == 200 => {
                note(&|known| (known.lock, known.maybe_unlocked) = (Some(lock.clone()), false));
            }
            Ok(answer) if answer.status == 423 => {
                send("UNLOCK", &format!("/state/{name}"), b"").ok();
                continue;
            }
            _ => return,
        }
        for _ in 0..3 {
            serial += 1;
            note(&|known| known.maybe = serial);
            match send(
                "POST",
                &format!("/state/{name}?ID={lock}"),
                state(serial, &format!("{name}-{serial}")).as_bytes(),
            ) {
                Ok(answer) if answer.status == 200 => note(&|known| known.serial = serial),
                Ok(answer) => panic!("{} {}", answer.status, answer.text()),
                Err(_) => return,
            }
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        note(&|known| known.maybe_unlocked = true);
        match send("UNLOCK", &format!("/state/{name}"), &info) {
            Ok(answer) if answer.status == 200 => note(&|known| known.lock = None),
            _ => return,
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_twenty_kills() {
    let dir = TestDir::new();
    let ledger = Ledger::default();
    for round in 0..ROUNDS {
        let server = serve(&dir, &["--insecure-no-auth"]);
        let (address, stop) = (server.address(), Arc::new(AtomicBool::new(false)));
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                let (ledger, stop) = (ledger.clone(), stop.clone());
                std::thread::spawn(move || {
                    write_until_it_dies(&RawHttp::new(address), &format!("s{n}"), round, &ledger, &stop);
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(60 + 17 * (round % 7)));
        server.kill9();
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        check(&dir, &ledger, round);
    }
    let written: u64 = ledger.lock().unwrap().values().map(|known| known.serial).sum();
    assert!(written >= ROUNDS * WRITERS, "there was hardly any load: {written} writes");
}

fn check(dir: &TestDir, ledger: &Ledger, round: u64) {
    let store = store(dir);
    cli(dir).run(&["state", "verify", "--store", &store]).expect_success();
    let locks = cli(dir).run(&["lock", "list", "--json", "--store", &store]).expect_success().stdout;
    let locks: serde_json::Value = serde_json::from_str(&locks).unwrap();
    for (name, known) in ledger.lock().unwrap().iter_mut() {
        let history = cli(dir).run(&["state", "history", name, "--json", "--store", &store]);
        if history.code() != Some(0) {
            assert_eq!(known.serial, 0, "round {round}: {name} is lost: {}", history.report());
            continue;
        }
        let history: serde_json::Value = serde_json::from_str(&history.stdout).unwrap();
        let serials: Vec<u64> =
            history["items"].as_array().unwrap().iter().map(|item| item["serial"].as_u64().unwrap()).collect();
        let head = serials[0];
        assert!(head == known.serial || head == known.maybe, "round {round}: {name} is at {head}, known is {known:?}");
        assert!(serials.iter().copied().eq((1..=head).rev()), "round {round}: {name} has gaps");
        let pulled = cli(dir).run(&["state", "pull", name, "--store", &store]).expect_success();
        assert_eq!(pulled.stdout, state(head, &format!("{name}-{head}")));
        if let Some(lock) = known.lock.as_ref().filter(|_| !known.maybe_unlocked) {
            let held = locks["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|item| item["state"] == name.as_str() && item["id"] == lock.as_str());
            assert!(held, "round {round}: the lock {lock} on {name} is lost: {locks}");
        }
        // What was on its way is settled now.
        (known.serial, known.maybe) = (head, head);
    }
}
