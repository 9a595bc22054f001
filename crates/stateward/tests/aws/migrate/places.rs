//! Which place is which: one under two names, and several that the files could mean.

use serde_json::Value;
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Rule, SeenRequest, TestDir, Workdir};

use super::{KEY, Place, answer, at_server, import, migrate, refused, sqlite, workdir};
use crate::{LIMIT, cli, serve, state};

/// The serials of a state, newest first; none where it is not there.
fn serials(dir: &TestDir, store: &str, name: &str) -> Vec<u64> {
    let output = cli(dir, &AwsEnv::new()).run(&["state", "history", name, "--json", "--store", store]);
    let Ok(answer) = serde_json::from_str::<Value>(&output.stdout) else { return Vec::new() };
    answer["items"].as_array().unwrap().iter().map(|item| item["serial"].as_u64().unwrap()).collect()
}

fn run(dir: &TestDir, work: &Workdir, arguments: &[&str]) -> Value {
    answer(&migrate(dir, &Moto::shared().env(), work.path(), &[arguments, &["--yes"]].concat()).expect_success())
}

#[track_caller]
fn expect_one_place(done: &Value) {
    let after = done["after"].to_string();
    assert_eq!(done["outcome"], "done", "{done}");
    assert!(after.contains("mean one place") && !after.contains("you may delete"), "{after}");
}

#[test]
fn a_bucket_under_two_names() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.backend(moto.url()).lockfile());
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let other = moto.url().replace("127.0.0.1", "localhost");
    expect_one_place(&run(&dir, &work, &["--to", &place.url(&other)]));
    assert_eq!(place.object("default"), state(3, "x"));
    place.expect_no_lock("after the block was written");
    assert!(dir.read("work/backend.tf").contains("localhost"));
}

#[test]
fn a_server_under_two_names_and_the_file_that_it_serves() {
    let dir = TestDir::new();
    let work = workdir(&dir);
    let (server, http) = at_server(&dir, &work);
    let other = server.url("").replace("127.0.0.1", "localhost");
    expect_one_place(&run(&dir, &work, &["--to", &other]));
    expect_one_place(&run(&dir, &work, &["--to", &sqlite(&dir, "here.db"), "--state", "net/prod"]));
    assert_eq!(serials(&dir, &sqlite(&dir, "here.db"), "net/prod"), [3]);
    assert!(http.request("GET", "/api/v1/locks", &[], b"").expect_status(200).text().contains("\"items\":[]"));
}

#[test]
fn a_store_that_shares_the_object() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.backend(moto.url()).lockfile());
    for (serial, id) in [(2, "w"), (3, "x")] {
        moto.put_object(&place.bucket, KEY, state(serial, id));
    }
    let store = format!(
        "s3://{}/net?region=us-east-1&use_path_style=true&use_lockfile=true&endpoint={}",
        place.bucket,
        moto.url()
    );
    let done = answer(
        &migrate(
            &dir,
            &moto.env(),
            work.path(),
            &["--to", "stateward", "--store", &store, "--state", "prod.tfstate", "--yes"],
        )
        .expect_success(),
    );
    expect_one_place(&done);
    assert_eq!(place.object("default"), state(3, "x"));
    place.expect_no_lock("after the block was written");
}

/// `backend "http" {}` says nothing of which store `stateward run` works on.
#[test]
fn from_one_store_to_another_by_a_block_that_names_neither() {
    let dir = TestDir::new();
    let work = workdir(&dir);
    work.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    let (one, other) = (sqlite(&dir, "one.db"), sqlite(&dir, "other.db"));
    import(&dir, &one, "net/prod", &state(3, "x"));
    let to = ["--to", &other, "--store", &one, "--state", "net/prod"];
    let done = run(&dir, &work, &to);
    assert_eq!((done["outcome"].as_str(), serials(&dir, &other, "net/prod")), (Some("done"), vec![3]), "{done}");
    // Where it is already there is nothing to do, whatever the usual store is.
    assert_eq!(run(&dir, &work, &["--to", &other, "--store", &other, "--state", "net/prod"])["outcome"], "unchanged");
    let third = sqlite(&dir, "third.db");
    assert_eq!(run(&dir, &work, &["--to", &other, "--store", &third, "--state", "net/prod"])["outcome"], "unchanged");
    refused(&dir, &work, &["--to", &third, "--store", &one, "--state", "net/prd"], 1, "net/prd");
}

#[test]
fn an_address_with_a_workspace_means_that_one() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let server = serve(&dir, &AwsEnv::new(), &sqlite(&dir, "here.db"));
    let http = server.http().limit(LIMIT);
    for (name, serial) in [("net", 2), ("net?workspace=dev", 3), ("net?workspace=prod", 4)] {
        http.request("POST", &format!("/state/{name}"), &[], state(serial, "x").as_str()).expect_status(200);
    }
    let address = server.url("/state/net?workspace=dev");
    work.write("backend.tf", format!("terraform {{\n  backend \"http\" {{\n    address = \"{address}\"\n  }}\n}}\n"));
    let second = serve(&dir, &AwsEnv::new(), &sqlite(&dir, "second.db"));
    let done = run(&dir, &work, &["--to", &second.url("")]);
    assert_eq!(done["items"].as_array().unwrap().len(), 1, "{done}");
    assert!(dir.read("work/backend.tf").contains(&second.url("/state/net?workspace=dev")));
    let second_store = sqlite(&dir, "second.db");
    assert_eq!((serials(&dir, &second_store, "net@dev"), serials(&dir, &second_store, "net@prod")), (vec![3], vec![]));
    assert_eq!(run(&dir, &work, &["--to", &second.url("")])["outcome"], "unchanged");
    // To Terraform it is the default workspace.
    run(&dir, &work, &["--to", &place.url(moto.url())]);
    assert_eq!((place.object("default"), moto.objects(&place.bucket)), (state(3, "x"), vec![KEY.to_owned()]));
}

/// Until `init` is run again its notes are those of the place that was left.
#[test]
fn notes_of_the_old_place_say_nothing_of_the_new_one() {
    let (moto, dir, place, other) = (Moto::shared(), TestDir::new(), Place::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.backend(moto.url()).lockfile().set("workspace_key_prefix", "\"envs\""));
    work.run(&["init"]).expect_success();
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    // Neither endpoint nor prefix: the environment has the one, and the other is the usual one.
    let to = format!("s3://{}/{KEY}?region=us-east-1&use_path_style=true&use_lockfile=true", other.bucket);
    run(&dir, &work, &["--to", &to]);
    moto.put_object(&other.bucket, KEY, state(4, "later"));
    let again = run(&dir, &work, &["--to", &to]);
    assert!(again["checks"].to_string().contains("has gone on to serial 4"), "{again}");
    assert_eq!((place.object("default"), other.object("default")), (state(3, "x"), state(4, "later")));
}

/// GitLab's addresses look like those of a server of ours.
#[test]
fn another_backend_with_state_in_its_address() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let gitlab = FaultProxy::to(moto.url());
    let is_state = |request: &SeenRequest| request.path == "/api/v4/projects/1/terraform/state/net";
    let answers = |status, body: &str| Fault::Answer { status, headers: Vec::new(), body: body.to_owned() };
    gitlab.inject(Rule::new(answers(200, &state(3, "x"))).when(is_state));
    gitlab.inject(Rule::new(answers(404, r#"{"error":"404 Not Found"}"#)).when(move |request| !is_state(request)));
    work.write_http_backend(&format!("{}/api/v4/projects/1/terraform/state/net", gitlab.url()));
    let done = run(&dir, &work, &["--to", &place.url(moto.url())]);
    assert!(done["checks"].to_string().contains("nobody can be kept out where the state is"), "{done}");
    assert_eq!(place.object("default"), state(3, "x"));
}

#[test]
fn files_and_notes_that_name_two_places() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let store = sqlite(&dir, "here.db");
    let to = ["--to", &store, "--state", "net/prod"];
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let block = place.backend(moto.url()).lockfile();

    let work = workdir(&dir);
    work.write_s3_backend(&block);
    work.write("terraform.tfstate", state(1, "local"));
    refused(&dir, &work, &to, 2, "`init` has not been run");
    work.remove("terraform.tfstate");

    work.run(&["init"]).expect_success();
    let text = dir.read("work/backend.tf");
    work.write("backend.tf", text.replace(KEY, "another"));
    refused(&dir, &work, &to, 2, "key = \"another\"");
    work.write("backend.tf", "terraform {\n  backend \"local\" {}\n}\n");
    refused(&dir, &work, &to, 2, "noted backend \"s3\"");
    work.remove("backend.tf");
    refused(&dir, &work, &to, 2, "no backend block");
    work.write("backend.tf", &text);
    run(&dir, &work, &to);
}

#[test]
fn states_at_the_target_that_are_nobodys_here() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    for (there, here) in [("dev", true), ("default", false)] {
        let place = Place::new();
        let work = workdir(&dir);
        if here {
            work.write("terraform.tfstate", state(3, "x"));
        } else {
            work.remove("terraform.tfstate");
        }
        moto.put_object(&place.bucket, &Place::key(there), state(7, "theirs"));
        refused(&dir, &work, &["--to", &place.url(moto.url())], 3, &format!("workspace {there}: a state is there"));
        assert_eq!(place.object(there), state(7, "theirs"));
    }
}

#[test]
fn a_target_whose_lock_file_keeps_nobody_out() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("terraform.tfstate", state(3, "x"));
    let proxy = FaultProxy::to(Moto::shared().url());
    // As a storage answers that writes whatever the condition says.
    let is_lock = |seen: &SeenRequest| seen.operation() == "PutObject" && seen.path.contains(".tflock");
    proxy.inject(Rule::new(Fault::status(200).header("ETag", "\"0\"")).when(is_lock));
    refused(&dir, &work, &["--to", &place.url(proxy.url())], 1, "If-None-Match");
}

#[test]
fn a_digest_that_does_not_fit_where_it_comes_from() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.table_backend(moto.url()));
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    place.put_digest(&"0".repeat(32));
    refused(&dir, &work, &["--to", &sqlite(&dir, "here.db"), "--state", "a"], 5, "state repair");
}

/// Terraform passes over a digest that it may not write; the next one to read should know.
#[test]
fn a_digest_that_may_not_be_written_is_told() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("terraform.tfstate", state(3, "x"));
    let proxy = FaultProxy::to(Moto::shared().url());
    // The first is the lock.
    let refusal = Fault::dynamodb(400, "AccessDeniedException", "not authorized");
    proxy.inject(Rule::new(refusal).operation("PutItem").nth(2));
    let done = run(&dir, &work, &["--to", &place.url(proxy.url())]);
    assert!(done["after"].to_string().contains("no digest of it could be written"), "{done}");
    assert_eq!((place.items(), place.object("default")), ((vec![], 0), state(3, "x")));
}

#[test]
fn what_the_old_block_says_and_the_new_one_does_not_is_told() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(
        &place.backend(moto.url()).lockfile().set("encrypt", "true").set("kms_key_id", "\"alias/x\""),
    );
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let to = place.url(moto.url()).replacen(KEY, "other", 1);
    let planned = answer(&migrate(&dir, &moto.env(), work.path(), &["--to", &to, "--dry-run"]).expect_success());
    let checks = planned["checks"].to_string();
    assert!(checks.contains("`encrypt`, `kms_key_id`"), "{checks}");
}

#[test]
fn what_the_url_says_is_in_the_block_or_told() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("terraform.tfstate", state(3, "x"));
    let keys = dir.write("keys", "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = hidden\n");
    let more = format!("&shared_credentials_file={}&tag.team=net", keys.display());
    let done = run(&dir, &work, &["--to", &(place.url(moto.url()) + &more)]);
    let block = dir.read("work/backend.tf");
    assert!(block.contains("max_retries") && block.contains(&format!("[\"{}\"]", keys.display())), "{block}");
    assert!(done["checks"].to_string().contains("nothing of `tag.team`"), "{done}");
    work.run(&["init", "-reconfigure"]).expect_success();
}

#[test]
fn two_names_whose_locks_have_nothing_in_common() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let block = place.backend(moto.url()).lockfile();
    work.write_s3_backend(&block);
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let Place { bucket, table } = &place;
    let to = format!(
        "s3://{bucket}/{KEY}?region=us-east-1&use_path_style=true&lock_table={table}&dynamodb_endpoint={0}&endpoint={0}",
        moto.url()
    );
    let same = run(&dir, &work, &["--to", &to]);
    assert_eq!(same["outcome"], "unchanged");
    assert!(same["after"].to_string().contains("stateward migrate --to dynamodb-lock"), "{same}");
    let done = run(&dir, &work, &["--to", &to.replace("127.0.0.1", "localhost")]);
    let after = done["after"].to_string();
    assert!(after.contains("was there before: see that these are two places"), "{after}");
    assert!(!after.contains("you may delete"), "{after}");
    assert_eq!(place.object("default"), state(3, "x"));
}

/// The default workspace is at one place under both names; the other is not.
#[test]
fn each_workspace_is_known_by_its_own_lock() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.backend(moto.url()).lockfile());
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    moto.put_object(&place.bucket, &Place::key("dev"), state(4, "dev"));
    let done = run(&dir, &work, &["--to", &format!("{}&workspace_key_prefix=other", place.url(moto.url()))]);
    assert_eq!(moto.get_object(&place.bucket, &format!("other/dev/{KEY}")), state(4, "dev").into_bytes());
    let after = done["after"].to_string();
    assert!(after.contains(&format!("you may delete s3://{}/env:/dev/{KEY}\"", place.bucket)), "{after}");
    assert!(after.contains("the workspace default: both names mean one place"), "{after}");
    place.expect_no_lock("after the block was written");
}

/// One table for two storages, in which bucket and key are called the same.
#[test]
fn two_storages_that_share_a_lock() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let other = Moto::start();
    // Without a key it is the bucket that is made.
    other.put_object(&place.bucket, "", "");
    let work = workdir(&dir);
    work.write_s3_backend(&place.table_backend(moto.url()));
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let Place { bucket, table } = &place;
    let to = format!(
        "s3://{bucket}/{KEY}?region=us-east-1&use_path_style=true&lock_table={table}&dynamodb_endpoint={}&endpoint={}",
        moto.url(),
        other.url()
    );
    refused(&dir, &work, &["--to", &to], 3, "one lock at both ends");
    place.expect_no_lock("after it was refused");
}

/// What the block leaves out `init` was told, or is told in the environment.
#[test]
fn a_block_that_says_only_half() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let store = sqlite(&dir, "to.db");
    let local = workdir(&dir);
    local.write("backend.tf", "terraform {\n  backend \"local\" {}\n}\n");
    local.write("states/net.tfstate", state(3, "x"));
    let to = ["--to", &store, "--state", "net/local"];
    let given = [&to[..], &["--backend-config", "path=states/net.tfstate"]].concat();
    refused(&dir, &local, &given, 2, "`path` comes from `-backend-config`");
    local.run(&["init", "-backend-config=path=states/net.tfstate"]).expect_success();
    refused(&dir, &local, &to, 2, "`path` comes from `-backend-config`");
    let done = run(&dir, &local, &[&to[..], &["--print"]].concat());
    assert_eq!(serials(&dir, &store, "net/local"), [3], "{done}");

    let server = serve(&dir, &AwsEnv::new(), &sqlite(&dir, "here.db"));
    let address = server.url("/state/net/prod");
    server.http().limit(LIMIT).request("POST", "/state/net/prod", &[], state(5, "y").as_str()).expect_status(200);
    let dir = TestDir::new();
    let http = workdir(&dir);
    http.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    // A state of that name where `stateward run` would look is not the one.
    let usual = sqlite(&dir, "usual.db");
    import(&dir, &usual, "net/prod", &state(1, "old"));
    let to = ["--to", &place.url(moto.url()), "--store", &usual, "--state", "net/prod"];
    let given = format!("address={address}");
    refused(&dir, &http, &[&to[..], &["--backend-config", &given]].concat(), 2, "`address` comes from");
    run(&dir, &http, &[&to[..], &["--backend-config", &given, "--print"]].concat());
    assert_eq!(place.object("default"), state(5, "y"));

    let env = AwsEnv::new().pairs().into_iter().chain([("TF_HTTP_ADDRESS", address)]);
    let other = sqlite(&dir, "other.db");
    let arguments =
        ["migrate", "--dir", http.path().to_str().unwrap(), "--to", "stateward", "--store", &other, "--yes"];
    let program = stateward_testkit::Cli::new(env!("CARGO_BIN_EXE_stateward"), &dir).envs(env).limit(LIMIT);
    program.run(&arguments).expect_success();
    assert_eq!(serials(&dir, &other, "net/prod"), [5]);
}
