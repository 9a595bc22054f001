//! Locks that a run leaves which is killed, and who gives them back.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, RawHttp, Rule, SeenRequest, TestDir, Workdir};

use super::{KEY, Place, answer, at_server, gives_file_back, migrate, sqlite, workdir};
use crate::state;

/// From when the first lock is to be given back nothing gets through: as where the process is killed then.
fn killed_at_the_end(proxy: &FaultProxy) {
    let is_unlock = |seen: &SeenRequest| gives_file_back(seen) || seen.operation() == "DeleteItem";
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
            let is_unlock = gives_file_back(seen);
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

/// Where a place is comes from the environment: the next run has that of another Region, and of another service.
#[test]
fn the_run_in_another_environment_gives_back_what_was_left() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (work, proxy, elsewhere) = (workdir(&dir), FaultProxy::to(moto.url()), Moto::start());
    let [from, to] = [(); 2].map(|()| Place::new());
    moto.put_object(&from.bucket, KEY, state(3, "x"));
    // There, too, are a bucket and a table of these names.
    for bucket in [&from.bucket, &to.bucket] {
        let region =
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        at_service(&elsewhere, "s3", "PUT", &format!("/{bucket}"), None, region);
    }
    let table = json!({
        "TableName": from.table, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
    });
    at_service(&elsewhere, "dynamodb", "POST", "/", Some("CreateTable"), &table.to_string());
    work.write(
        "backend.tf",
        format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket = \"{}\"\n    key = \"{KEY}\"\n    dynamodb_table = \"{}\"\n    use_path_style = true\n    \
             max_retries = 0\n    skip_credentials_validation = true\n    skip_requesting_account_id = true\n  }}\n}}\n",
            from.bucket, from.table
        ),
    );
    let url = format!("s3://{}/{KEY}?use_path_style=true&max_retries=0&use_lockfile=true", to.bucket);
    let run = |env: &AwsEnv, region| {
        let arguments = ["migrate", "--json", "--dir", work.path().to_str().unwrap(), "--to", &url, "--yes", "--print"];
        crate::cli(&dir, env).env("AWS_REGION", region).run(&arguments)
    };
    killed_at_the_end(&proxy);
    let here = AwsEnv::new().s3(proxy.url()).dynamodb(proxy.url()).others(moto.url());
    let cut = run(&here, "us-east-1");
    assert!(has_lock(&to) && from.items().1 == 1, "locks are left: {}", cut.report());
    proxy.heal();
    run(&elsewhere.env(), "eu-west-1").expect_success();
    from.expect_no_lock("where the state was");
    to.expect_no_lock("where it was to be");
    assert!(!work.path().join(".terraform/stateward-migrate").exists());
}

fn at_service(moto: &Moto, service: &str, method: &str, path: &str, operation: Option<&str>, body: &str) {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
    );
    let target = format!("DynamoDB_20120810.{}", operation.unwrap_or_default());
    let mut headers = vec![("Authorization", authorization.as_str())];
    if operation.is_some() {
        headers.extend([("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", target.as_str())]);
    }
    let address = moto.url().trim_start_matches("http://").parse().unwrap();
    RawHttp::new(address).request(method, path, &headers, body).expect_status(200);
}

/// The store is named from where the run was, and the next one is elsewhere; then its disk is away for a while.
#[test]
fn a_lock_in_a_file_that_was_named_from_another_directory() {
    let (moto, dir, to) = (Moto::shared(), TestDir::new(), Place::new());
    let (work, proxy) = (workdir(&dir), FaultProxy::to(moto.url()));
    let store = sqlite(&dir, "s.db");
    super::import(&dir, &store, "net/prod", &state(3, "x"));
    work.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    let run = |at: &std::path::Path, store: &str, url: &str| {
        let arguments = ["migrate", "--json", "--dir", work.path().to_str().unwrap(), "--to", url, "--yes"];
        let arguments = [&arguments[..], &["--state", "net/prod", "--store", store]].concat();
        crate::cli(&dir, &moto.env()).current_dir(at).spawn(&arguments)
    };
    let is_reached = Arc::new(AtomicBool::new(false));
    let reached = Arc::clone(&is_reached);
    proxy.inject(Rule::new(Fault::Delay(crate::LIMIT)).when(move |seen| {
        let is_lock = seen.operation() == "PutObject" && seen.path.contains(".tflock");
        reached.fetch_or(is_lock, Ordering::SeqCst);
        is_lock
    }));
    let cut = run(dir.path(), "sqlite:s.db", &to.url(proxy.url()));
    crate::queue::until("the lock at the target is being taken", || is_reached.load(Ordering::SeqCst));
    cut.kill9();
    let claim = work.path().join(".terraform/stateward-migrate");
    let has_lock = || {
        let list = crate::cli(&dir, &AwsEnv::new()).run(&["lock", "list", "--json", "--store", &store]);
        answer(&list.expect_success())["items"] != json!([])
    };
    assert!(has_lock() && claim.exists());
    // To another store, so that nothing but the note leads to the first.
    let other = sqlite(&dir, "other.db");
    super::import(&dir, &other, "net/prod", &state(3, "x"));
    let url = to.url(moto.url());
    let away = dir.path().join("away.db");
    fs::rename(dir.path().join("s.db"), &away).unwrap();
    let told = run(work.path(), &other, &url).wait(crate::LIMIT).expect_success();
    let told = answer(&told)["after"].to_string();
    let file = dir.path().canonicalize().unwrap().join("s.db").display().to_string();
    assert!(told.contains("stateward lock release net/prod --id") && told.contains(&file), "{told}");
    assert!(claim.exists(), "the note stays");
    fs::rename(&away, dir.path().join("s.db")).unwrap();
    assert!(has_lock());
    let again = run(work.path(), &other, &url).wait(crate::LIMIT).expect_success();
    assert!(!has_lock() && !claim.exists(), "it is given back: {}", again.report());
    to.expect_no_lock("where it is");
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
