//! What others do while states are being moved, and what is seen of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stateward_testkit::{AwsEnv, Fault, FaultProxy, LockInfo, Moto, Rule, SeenRequest, TestDir, lock_info};

use super::refused::SLOW;
use super::{KEY, Place, answer, at_server, gives_file_back, migrate, refused, sqlite, workdir};
use crate::{LIMIT, cli, state};

/// Does something when the first request of a kind comes by, before it goes on.
pub(super) fn at_first(
    proxy: &FaultProxy,
    is_it: impl Fn(&SeenRequest) -> bool + Send + 'static,
    does: impl Fn() + Send + 'static,
) {
    let is_done = AtomicBool::new(false);
    proxy.inject(Rule::new(Fault::LoseRequest).when(move |seen| {
        if is_it(seen) && !is_done.swap(true, Ordering::SeqCst) {
            does();
        }
        false
    }));
}

/// The lock at the target is being taken.
fn locks(seen: &SeenRequest) -> bool {
    seen.operation() == "PutObject" && seen.path.contains(".tflock")
}

/// The state is being written.
pub(super) fn writes(seen: &SeenRequest) -> bool {
    seen.operation() == "PutObject" && !seen.path.contains(".tflock")
}

#[test]
fn the_block_is_written_while_the_locks_are_held() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = workdir(&dir);
    let proxy = FaultProxy::to(Moto::shared().url());
    work.write_s3_backend(&place.backend(proxy.url()).lockfile());
    Moto::shared().put_object(&place.bucket, KEY, state(3, "x"));
    let seen = Arc::new(Mutex::new(None));
    let (block, sees) = (work.path().join("backend.tf"), Arc::clone(&seen));
    at_first(&proxy, gives_file_back, move || *sees.lock().unwrap() = std::fs::read_to_string(&block).ok());
    let store = sqlite(&dir, "here.db");
    migrate(&dir, &AwsEnv::new(), work.path(), &["--to", &store, "--state", "a", "--yes"]).expect_success();
    let block = seen.lock().unwrap().clone().unwrap();
    assert!(block.contains("backend \"http\" {}"), "whoever gets the lock next finds the new block: {block}");
}

/// As by CI, which ends a job so, and whose next one has another directory. The lock that is asked for just then comes a while later.
#[test]
fn a_run_that_is_ended_gives_its_locks_back() {
    for (is_terminated, is_it) in [(true, locks as fn(&SeenRequest) -> bool), (false, locks), (true, writes)] {
        let (moto, dir, from, to) = (Moto::shared(), TestDir::new(), Place::new(), Place::new());
        let (work, proxy) = (workdir(&dir), FaultProxy::to(moto.url()));
        work.write_s3_backend(&from.backend(proxy.url()).lockfile());
        moto.put_object(&from.bucket, KEY, state(3, "x"));
        let is_reached = Arc::new(AtomicBool::new(false));
        let reached = Arc::clone(&is_reached);
        proxy.inject(Rule::new(Fault::Delay(Duration::from_secs(1))).when(move |seen| {
            let is_it = is_it(seen);
            reached.fetch_or(is_it, Ordering::SeqCst);
            is_it
        }));
        let url = to.url(proxy.url());
        let arguments = ["migrate", "--dir", work.path().to_str().unwrap(), "--to", &url, "--yes"];
        let running = cli(&dir, &moto.env()).spawn(&arguments);
        crate::queue::until("it is under way", || is_reached.load(Ordering::SeqCst));
        if is_terminated {
            running.terminate();
        } else {
            running.interrupt();
        }
        let ended = running.wait(LIMIT).expect_code(1);
        assert!(ended.stderr.contains("interrupted"), "{}", ended.report());
        // Whatever was under way has come by now.
        std::thread::sleep(Duration::from_millis(1500));
        for place in [&from, &to] {
            place.expect_no_lock(&ended.stderr);
        }
        assert!(!work.path().join(".terraform/stateward-migrate").exists());
        proxy.heal();
        cli(&dir, &moto.env()).run(&arguments).expect_success();
    }
}

#[test]
fn a_first_apply_on_files() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("slow.tf", SLOW);
    work.run(&["init"]).expect_success();
    let mut running = work.spawn(&["apply", "-auto-approve"]);
    running.wait_for("begun", LIMIT);
    refused(&dir, &work, &["--to", &place.url(moto.url())], 3, "OperationTypeApply");
    work.write("go", "");
    running.wait(LIMIT).expect_success();
}

/// It has opened the file before, and would write where nobody looks any more.
#[test]
fn an_apply_that_waits_for_the_lock_of_a_file_that_is_put_aside() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.run(&["init"]).expect_success();
    work.run(&["apply", "-auto-approve"]).expect_success();
    let before = dir.read("work/terraform.tfstate");
    // Terraform waits only for who says that it holds the file, as an apply does that ends just before.
    let info = LockInfo::new("f108b30f-8c7b-b79e-433f-91f4236138ae", "OperationTypeApply");
    let proxy = FaultProxy::to(moto.url());
    let (said, waiting) = (info.to_bytes(), Arc::new(Mutex::new(None)));
    let (waits, other, at) = (Arc::clone(&waiting), work.clone(), work.path().join(".terraform.tfstate.lock.info"));
    at_first(&proxy, writes, move || {
        std::fs::write(&at, &said).unwrap();
        let mut apply = other.spawn(&["apply", "-auto-approve", "-lock-timeout=1m", "-no-color", "-var=n=2"]);
        apply.wait_for("Acquiring state lock", LIMIT);
        *waits.lock().unwrap() = Some(apply);
    });
    migrate(&dir, &moto.env(), work.path(), &["--to", &place.url(proxy.url()), "--yes"]).expect_success();
    let apply = waiting.lock().unwrap().take().unwrap().wait(LIMIT).expect_code(1);
    assert!(apply.stderr.contains("Unsupported state file format"), "{}", apply.report());
    assert_eq!((dir.read("work/terraform.tfstate.migrated"), place.object("default")), (before.clone(), before));
    assert!(!work.path().join("terraform.tfstate").exists());
}

#[test]
fn a_workspace_and_a_state_that_come_while_it_works() {
    for (file, before) in
        [("terraform.tfstate.d/dev/terraform.tfstate", Some(state(3, "x"))), ("terraform.tfstate", None)]
    {
        let (dir, place) = (TestDir::new(), Place::new());
        let work = workdir(&dir);
        if let Some(text) = before {
            work.write("terraform.tfstate", text);
        }
        let proxy = FaultProxy::to(Moto::shared().url());
        let path = work.path().join(file);
        at_first(&proxy, locks, move || {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, state(1, "late")).unwrap();
        });
        refused(&dir, &work, &["--to", &place.url(proxy.url())], 3, "was made meanwhile");
        place.expect_no_lock(file);
    }
}

#[test]
fn a_file_that_is_replaced_while_it_is_held() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = workdir(&dir);
    let path = work.write("terraform.tfstate", state(3, "x"));
    let proxy = FaultProxy::to(Moto::shared().url());
    at_first(&proxy, locks, move || {
        std::fs::rename(&path, path.with_extension("backup")).unwrap();
        std::fs::write(&path, state(4, "late")).unwrap();
    });
    refused(&dir, &work, &["--to", &place.url(proxy.url())], 3, "was replaced meanwhile");
}

#[test]
fn who_waits_in_the_queue_of_the_place_that_is_left() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = workdir(&dir);
    let (_server, http) = at_server(&dir, &work);
    let proxy = FaultProxy::to(Moto::shared().url());
    let (waiting, other) = (Arc::new(Mutex::new(None)), http.clone());
    let waits = Arc::clone(&waiting);
    at_first(&proxy, writes, move || {
        let client = other.clone();
        *waits.lock().unwrap() = Some(std::thread::spawn(move || {
            let info = lock_info("x", "OperationTypeApply");
            client.request("LOCK", "/state/net/prod?wait=2m", &[], &info).expect_status(200);
        }));
        while !other.request("GET", "/api/v1/locks", &[], b"").text().contains("\"queue\":1") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    refused(&dir, &work, &["--to", &place.url(proxy.url())], 3, "wait for the lock on `net/prod");
    waiting.lock().unwrap().take().unwrap().join().unwrap();
}

#[test]
fn a_workspace_that_is_made_in_stateward() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = workdir(&dir);
    let (_server, http) = at_server(&dir, &work);
    let proxy = FaultProxy::to(Moto::shared().url());
    at_first(&proxy, locks, move || {
        http.request("POST", "/state/net/prod?workspace=dev", &[], state(1, "late").as_str()).expect_status(200);
    });
    refused(&dir, &work, &["--to", &place.url(proxy.url())], 3, "the workspace dev was made meanwhile");
}

/// An `http` backend of somebody else's, which has another state from when it is told so.
fn foreign() -> (FaultProxy, Arc<AtomicBool>) {
    let (proxy, is_late) = (FaultProxy::to(Moto::shared().url()), Arc::new(AtomicBool::new(false)));
    for (when, body) in [(false, state(3, "x")), (true, state(4, "late"))] {
        let is_late = Arc::clone(&is_late);
        let answer = Fault::Answer { status: 200, headers: Vec::new(), body };
        proxy.inject(Rule::new(answer).when(move |_| is_late.load(Ordering::SeqCst) == when));
    }
    (proxy, is_late)
}

/// Nobody can be kept out there.
#[test]
fn what_is_written_past_the_lock() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    for at in ["lock", "write"] {
        let (work, place, (source, is_late)) = (workdir(&dir), Place::new(), foreign());
        work.write_http_backend(&format!("{}/net/prod", source.url()));
        let proxy = FaultProxy::to(moto.url());
        let url = place.url(proxy.url());
        let late = move || is_late.store(true, Ordering::SeqCst);
        if at == "lock" {
            at_first(&proxy, locks, late);
            let done = migrate(&dir, &moto.env(), work.path(), &["--to", &url, "--yes"]).expect_success();
            assert_eq!(answer(&done)["items"][0]["serial"], 4, "what was there last has come along");
            assert_eq!(place.object("default"), state(4, "late"));
        } else {
            at_first(&proxy, writes, late);
            refused(&dir, &work, &["--to", &url], 3, "past the locks");
        }
    }
}

/// By the same person on the same machine: neither takes the lock of the other for its own.
#[test]
fn two_migrations_to_one_place() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (work, place, proxy) = (workdir(&dir), Place::new(), FaultProxy::to(moto.url()));
    work.write("terraform.tfstate", state(3, "x"));
    let other = TestDir::new();
    workdir(&other).write("terraform.tfstate", state(5, "other").replace("11111111-", "99999999-"));
    let [url, same] = [proxy.url(), moto.url()].map(|url| place.url(url));
    let (of_other, here) = (other.join("work"), work.path().to_owned());
    at_first(&proxy, writes, move || {
        for (at, says) in [(&of_other, "holds `s3://"), (&here, "is at work in this directory")] {
            let refused = migrate(&TestDir::new(), &Moto::shared().env(), at, &["--to", &same, "--yes"]).expect_code(3);
            assert!(refused.stderr.contains(says), "{says}: {}", refused.report());
        }
    });
    migrate(&dir, &moto.env(), work.path(), &["--to", &url, "--yes"]).expect_success();
    assert_eq!(place.object("default"), state(3, "x"));
    place.expect_no_lock("after both");
    assert!(!work.path().join(".terraform/stateward-migrate").exists());
}

/// Which lock `terraform init` was told of on the command line stands in its notes alone.
#[test]
fn a_lock_that_only_init_was_told_of() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.backend(moto.url()));
    work.run(&["init", "-backend-config=use_lockfile=true"]).expect_success();
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let info = LockInfo::new("f108b30f-8c7b-b79e-433f-91f4236138ae", "OperationTypeApply");
    moto.put_object(&place.bucket, &format!("{KEY}.tflock"), info.to_bytes());
    let store = sqlite(&dir, "here.db");
    refused(&dir, &work, &["--to", &store, "--state", "net/prod"], 3, "OperationTypeApply");
    moto.delete_object(&place.bucket, &format!("{KEY}.tflock"));
    let done = migrate(&dir, &moto.env(), work.path(), &["--to", &store, "--state", "net/prod", "--yes"]);
    done.expect_success();
    let history = cli(&dir, &moto.env()).run(&["state", "history", "net/prod", "--store", &store]).expect_success();
    assert!(history.stdout.contains('3'), "{}", history.report());
}
