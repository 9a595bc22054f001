//! Locks that a run leaves which is killed, and who gives them back.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stateward_testkit::{Fault, FaultProxy, Moto, Rule, SeenRequest, TestDir, Workdir};

use super::{KEY, Place, answer, at_server, migrate, workdir};
use crate::state;

/// From when the first lock is to be given back nothing gets through: as where the process is killed then.
fn killed_at_the_end(proxy: &FaultProxy) {
    let is_unlock = |seen: &SeenRequest| seen.operation() == "DeleteObject" && seen.path.contains(".tflock");
    let is_over = AtomicBool::new(false);
    proxy.inject(
        Rule::new(Fault::LoseRequest)
            .when(move |seen| is_over.fetch_or(is_unlock(seen), Ordering::SeqCst) || is_unlock(seen)),
    );
}

fn has_lock(place: &Place) -> bool {
    Moto::shared().objects(&place.bucket).iter().any(|key| key.ends_with(".tflock"))
}

/// A move whose locks at both ends are left, and how it was called.
fn left_at_both_ends(dir: &TestDir, work: &Workdir, [from, to]: [&Place; 2], proxy: &FaultProxy) -> [String; 3] {
    work.write_s3_backend(&from.backend(proxy.url()).lockfile());
    work.run(&["init"]).expect_success();
    Moto::shared().put_object(&from.bucket, KEY, state(3, "x"));
    let to_there = ["--to".to_owned(), to.url(proxy.url()), "--yes".to_owned()];
    killed_at_the_end(proxy);
    let cut = migrate(dir, &Moto::shared().env(), work.path(), &to_there.each_ref().map(String::as_str));
    assert_ne!(cut.code(), Some(0), "{}", cut.report());
    assert!(has_lock(from) && has_lock(to), "locks are left");
    proxy.heal();
    to_there
}

/// Nothing names the place any more where the other lock is.
#[test]
fn a_lock_at_the_old_place_after_init_was_run_for_the_new_one() {
    let (moto, dir, from, to) = (Moto::shared(), TestDir::new(), Place::new(), Place::new());
    let (work, proxy) = (workdir(&dir), FaultProxy::to(moto.url()));
    let arguments = left_at_both_ends(&dir, &work, [&from, &to], &proxy);
    work.run(&["init", "-reconfigure"]).expect_success();
    let again = migrate(&dir, &moto.env(), work.path(), &arguments.each_ref().map(String::as_str)).expect_success();
    assert_eq!(answer(&again)["outcome"], "unchanged");
    from.expect_no_lock("where the state was");
    to.expect_no_lock("where it is");
    assert!(!work.path().join(".terraform/stateward-migrate").exists());
}

#[test]
fn a_lock_at_the_old_place_that_cannot_be_given_back() {
    let (moto, dir, from, to) = (Moto::shared(), TestDir::new(), Place::new(), Place::new());
    let (work, proxy) = (workdir(&dir), FaultProxy::to(moto.url()));
    let arguments = left_at_both_ends(&dir, &work, [&from, &to], &proxy);
    work.run(&["init", "-reconfigure"]).expect_success();
    let bucket = from.bucket.clone();
    let refusal = Fault::Answer {
        status: 403,
        headers: Vec::new(),
        body: "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".to_owned(),
    };
    proxy.inject(Rule::new(refusal).when(move |seen| seen.path.contains(&bucket)));
    let run = || migrate(&dir, &moto.env(), work.path(), &arguments.each_ref().map(String::as_str)).expect_success();
    let told = answer(&run())["after"].to_string();
    let command = told.split("stateward lock inspect ").nth(1).unwrap_or_else(|| panic!("{told}"));
    let arguments = command.split('"').next().unwrap().replace('\'', "");
    to.expect_no_lock("where it is");
    proxy.heal();
    let inspect: Vec<&str> = ["lock", "inspect"].into_iter().chain(arguments.split(' ')).collect();
    crate::cli(&dir, &moto.env()).run(&inspect).expect_success();
    from.expect_no_lock("as the command does");
    assert!(!answer(&run())["after"].to_string().contains("lock inspect"), "it is told no more");
}

/// At a server that the block no longer names.
#[test]
fn a_lock_in_a_store_after_init_was_run_for_s3() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let (server, http) = at_server(&dir, &work);
    let (here, there) = (FaultProxy::to(&server.url("")), FaultProxy::to(moto.url()));
    work.write_http_backend(&format!("{}/state/net/prod", here.url()));
    let is_over = Arc::new(AtomicBool::new(false));
    for proxy in [&here, &there] {
        let is_over = Arc::clone(&is_over);
        proxy.inject(Rule::new(Fault::LoseRequest).when(move |seen| {
            let is_unlock = seen.operation() == "DeleteObject" && seen.path.contains(".tflock");
            is_over.fetch_or(is_unlock, Ordering::SeqCst) || is_unlock
        }));
    }
    let arguments = ["--to", &place.url(there.url()), "--yes"];
    let cut = migrate(&dir, &moto.env(), work.path(), &arguments);
    assert_ne!(cut.code(), Some(0), "{}", cut.report());
    let has_lock_here = || !http.request("GET", "/api/v1/locks", &[], b"").text().contains("\"items\":[]");
    assert!(has_lock_here() && has_lock(&place), "locks are left: {}", cut.report());
    here.heal();
    there.heal();
    work.run(&["init", "-reconfigure"]).expect_success();
    let again = migrate(&dir, &moto.env(), work.path(), &arguments).expect_success();
    assert_eq!(answer(&again)["outcome"], "unchanged");
    assert!(!has_lock_here(), "{}", again.report());
    place.expect_no_lock("where it is");
}

/// Both runs are cut off: what the first left, the third gives back.
#[test]
fn a_rerun_that_is_cut_off_too() {
    let (moto, dir, from, to) = (Moto::shared(), TestDir::new(), Place::new(), Place::new());
    let (work, proxy) = (workdir(&dir), FaultProxy::to(moto.url()));
    let arguments = left_at_both_ends(&dir, &work, [&from, &to], &proxy);
    let run = || migrate(&dir, &moto.env(), work.path(), &arguments.each_ref().map(String::as_str));
    for _ in 0..2 {
        killed_at_the_end(&proxy);
        let cut = run();
        assert_ne!(cut.code(), Some(0), "{}", cut.report());
        assert!(has_lock(&from) && work.path().join(".terraform/stateward-migrate").exists());
        proxy.heal();
    }
    run().expect_success();
    from.expect_no_lock("where the state was");
    to.expect_no_lock("where it is");
}

/// One configuration and one data directory, and a place for each environment.
#[test]
fn the_run_of_one_environment_gives_back_what_that_of_another_left() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (work, proxy) = (workdir(&dir), FaultProxy::to(moto.url()));
    let [from, to, other_from, other_to] = [(); 4].map(|()| Place::new());
    work.write(
        "backend.tf",
        format!(
            "terraform {{\n  backend \"s3\" {{\n    key = \"{KEY}\"\n    region = \"us-east-1\"\n    use_lockfile = true\n    use_path_style = true\n    \
             max_retries = 0\n    skip_credentials_validation = true\n    skip_requesting_account_id = true\n    endpoints = {{ s3 = \"{}\" }}\n  }}\n}}\n",
            proxy.url()
        ),
    );
    let run = |from: &Place, to: &Place| {
        let given = format!("bucket={}", from.bucket);
        work.run(&["init", "-reconfigure", &format!("-backend-config={given}")]).expect_success();
        let arguments = ["--to", &to.url(proxy.url()), "--backend-config", &given, "--print", "--yes"];
        migrate(&dir, &moto.env(), work.path(), &arguments)
    };
    for place in [&from, &other_from] {
        moto.put_object(&place.bucket, KEY, state(3, "x"));
    }
    killed_at_the_end(&proxy);
    assert_ne!(run(&from, &to).code(), Some(0));
    assert!(has_lock(&from) && has_lock(&to), "locks are left");
    proxy.heal();
    run(&other_from, &other_to).expect_success();
    for place in [&from, &to, &other_from, &other_to] {
        place.expect_no_lock(&place.bucket);
    }
    assert!(!work.path().join(".terraform/stateward-migrate").exists());
}

/// As a cache of CI brings it along: whether the run over there has ended is not known here.
#[test]
fn a_copy_of_the_data_directory() {
    let (moto, dir, from, to) = (Moto::shared(), TestDir::new(), Place::new(), Place::new());
    let (work, proxy) = (workdir(&dir), FaultProxy::to(moto.url()));
    let old = from.backend(moto.url()).lockfile();
    let arguments = left_at_both_ends(&dir, &work, [&from, &to], &proxy);
    let copied = TestDir::new();
    let copy = workdir(&copied);
    copy.write_s3_backend(&old);
    copy.run(&["init"]).expect_success();
    let claim = ".terraform/stateward-migrate";
    fs::copy(work.path().join(claim), copy.path().join(claim)).unwrap();
    let run = |dir: &TestDir, work: &Workdir| {
        migrate(dir, &moto.env(), work.path(), &arguments.each_ref().map(String::as_str))
    };
    let refused = run(&copied, &copy).expect_code(3);
    assert!(refused.stderr.contains("holds `s3://"), "{}", refused.report());
    assert!(has_lock(&from) && has_lock(&to), "they are another's");
    run(&dir, &work).expect_success();
    let done = answer(&run(&copied, &copy).expect_success());
    assert!(done["after"].to_string().contains("is a copy of another"), "{done}");
    assert!(!copy.path().join(claim).exists());
    from.expect_no_lock("where the state was");
}
