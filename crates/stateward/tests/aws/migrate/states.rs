//! States from one backend to another.

use serde_json::Value;
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, TestDir, Workdir};

use super::{KEY, Place, answer, apply, expect_no_change, import, migrate, sqlite, two_workspaces, workdir};
use crate::{cli, cut_off, serve, state};

/// Without `terraform.workspace`, which an `http` backend does not have.
const PLAIN: &str = r#"
variable "n" { default = "1" }
resource "terraform_data" "x" { input = var.n }
"#;

#[test]
fn files_and_their_workspaces_go_to_s3_without_a_change() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    two_workspaces(&work);
    // No endpoint: the environment has it, for Terraform too.
    let Place { bucket, table } = &place;
    let to = format!("s3://{bucket}/{KEY}?region=us-east-1&use_path_style=true&use_lockfile=true&lock_table={table}");
    let files = [("default", "terraform.tfstate"), ("dev", "terraform.tfstate.d/dev/terraform.tfstate")]
        .map(|(workspace, file)| (workspace, dir.read(format!("work/{file}"))));
    let run = || answer(&migrate(&dir, &moto.env(), work.path(), &["--to", &to, "--yes"]).expect_success());
    let done = run();
    assert_eq!((&done["outcome"], done["items"].as_array().unwrap().len()), (&"done".into(), 2), "{done}");
    for (workspace, file) in &files {
        assert_eq!(place.object(workspace), *file, "to the byte");
    }
    assert_eq!(dir.read("work/terraform.tfstate.migrated"), files[0].1, "nothing is deleted");
    assert_eq!(dir.read("work/terraform.tfstate.d.migrated/dev/terraform.tfstate"), files[1].1);
    place.expect_no_lock("after the move");
    assert_eq!(run()["outcome"], "unchanged");
    expect_no_change(&work);
    apply(&work, "2");
    assert_eq!(run()["outcome"], "unchanged", "`init` has noted the new place, where the state has gone on");
}

#[test]
fn from_s3_to_a_server_with_the_history_and_to_s3_again() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("main.tf", PLAIN);
    work.write_s3_backend(&place.table_backend(moto.url()).lockfile());
    two_workspaces(&work);
    work.run(&["workspace", "select", "default"]).expect_success();
    apply(&work, "2");
    let server = serve(&dir, &moto.env(), &sqlite(&dir, "here.db"));
    let run = |to: &str| migrate(&dir, &moto.env(), work.path(), &["--to", to, "--state", "net/prod", "--yes"]);
    let done = answer(&run(&server.url("")).expect_success());
    let of = |workspace: &str| {
        let items = done["items"].as_array().unwrap();
        items.iter().find(|item| item["workspace"] == workspace).unwrap()["versions"].as_u64().unwrap()
    };
    assert!(of("default") >= 2, "{done}");
    for workspace in ["dev", "default"] {
        let address = server.url(&format!("/state/net/prod?workspace={workspace}"));
        let here = work.clone().env("TF_HTTP_ADDRESS", &address);
        if workspace == "dev" {
            work.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
        } else {
            work.write_http_backend(&server.url("/state/net/prod"));
        }
        here.run(&["init", "-reconfigure"]).expect_success();
        let n = if workspace == "dev" { "1" } else { "2" };
        here.run(&["plan", "-detailed-exitcode", &format!("-var=n={n}")]).expect_success();
    }
    apply(&work, "1");

    // Where it came from an earlier state stands, which is nobody's to write over.
    let refused = run(&place.url(moto.url())).expect_code(3);
    assert!(refused.stderr.contains("the same state stands there"), "{}", refused.report());
    let other = Place::new();
    run(&other.url(moto.url())).expect_success();
    other.expect_no_lock("after the move");
    expect_no_change(&work);
}

/// The history stays where it was; what stands there is what is on its way.
#[test]
fn away_and_back_again() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let (work, store) = (workdir(&dir), sqlite(&dir, "here.db"));
    for (serial, id) in [(1, "v"), (2, "w"), (3, "x")] {
        import_over(&dir, &store, &state(serial, id));
    }
    work.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    let there = ["--to", &place.url(moto.url()), "--store", &store, "--state", "net/prod", "--yes"];
    migrate(&dir, &moto.env(), work.path(), &there).expect_success();
    let back = ["--to", &store, "--state", "net/prod", "--yes"];
    let done = answer(&migrate(&dir, &moto.env(), work.path(), &back).expect_success());
    assert!(done["checks"].to_string().contains("a history of its own"), "{done}");
    assert!(!done["after"].to_string().contains("you may delete"), "{done}");
    let history = cli(&dir, &AwsEnv::new()).run(&["state", "history", "net/prod", "--json", "--store", &store]);
    assert_eq!(answer(&history)["items"].as_array().unwrap().len(), 3);
}

#[test]
fn workspaces_beside_a_state_that_lies_elsewhere() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("backend.tf", "terraform {\n  backend \"local\" {\n    path = \"net.tfstate\"\n  }\n}\n");
    two_workspaces(&work);
    work.run(&["workspace", "select", "default"]).expect_success();
    let done =
        answer(&migrate(&dir, &moto.env(), work.path(), &["--to", &place.url(moto.url()), "--yes"]).expect_success());
    let after = done["after"].to_string();
    assert!(after.contains("/work` and `") && after.contains("/net.tfstate`"), "all that may go is named: {after}");
    expect_no_change(&work);
}

/// The block is written, and of the files some are where they were: whole, or emptied for who waits for their lock.
#[test]
fn files_that_a_killed_run_has_not_put_aside() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    two_workspaces(&work);
    work.run(&["workspace", "select", "default"]).expect_success();
    let files = ["terraform.tfstate", "terraform.tfstate.d/dev/terraform.tfstate"];
    let before = files.map(|file| dir.read(format!("work/{file}")));
    let run = || migrate(&dir, &moto.env(), work.path(), &["--to", &place.url(moto.url()), "--yes"]).expect_success();
    run();
    let emptied = "{\"version\":99,\"moved_by\":\"stateward migrate\"}\n";
    for left in [[&*before[0], &*before[1]], [emptied, &*before[1]], [&*before[0], emptied], [emptied, emptied]] {
        for (file, text) in files.iter().zip(left) {
            work.write(file, text);
        }
        run();
        for file in files {
            assert!(!work.path().join(file).exists(), "{file}: {left:?}");
        }
        assert_eq!(dir.read("work/terraform.tfstate.migrated"), before[0]);
        assert_eq!(dir.read("work/terraform.tfstate.d.migrated/dev/terraform.tfstate"), before[1]);
        assert!(!work.path().join("terraform.tfstate.migrated-2").exists());
    }
    assert_eq!([place.object("default"), place.object("dev")], before);
    expect_no_change(&work);
}

/// It was killed between the last state that got its new name and its end: what lies beside them comes along, and its note goes.
#[test]
fn what_a_killed_run_has_left_beside_the_states() {
    let dir = TestDir::new();
    let work = workdir(&dir);
    let store = sqlite(&dir, "here.db");
    let run = || {
        let to = ["--to", &store, "--state", "a", "--yes"];
        answer(&migrate(&dir, &AwsEnv::new(), work.path(), &to).expect_success())
    };
    work.write("terraform.tfstate", state(3, "x"));
    work.write("terraform.tfstate.d/dev/terraform.tfstate", state(4, "y"));
    run();
    let note = ".terraform/stateward-migrate";
    let backup = "dev/terraform.tfstate.backup";
    for is_killed in [true, false] {
        work.write(&format!("terraform.tfstate.d/{backup}"), "before");
        if is_killed {
            work.write(note, "");
        }
        assert_eq!(run()["outcome"], "unchanged");
        assert!(!work.path().join(note).exists());
        assert!(work.path().join(format!("terraform.tfstate.d.migrated/{backup}")).exists());
        // Whatever comes there later is no business of ours.
        assert_eq!(work.path().join("terraform.tfstate.d").exists(), !is_killed);
        assert!(!work.path().join("terraform.tfstate.d.migrated-2").exists());
    }
}

/// A run was killed that had just made the file.
#[test]
fn a_store_that_a_killed_run_has_only_begun() {
    let dir = TestDir::new();
    let work = workdir(&dir);
    work.write("terraform.tfstate", state(3, "x"));
    dir.write("here.db", "");
    let to = ["--to", &sqlite(&dir, "here.db"), "--state", "a", "--yes"];
    let done = answer(&migrate(&dir, &AwsEnv::new(), work.path(), &to).expect_success());
    assert!(done["steps"].to_string().contains("make the store"), "{done}");
}

/// Cuts a move off at each write to S3 and the table in turn, and runs it again. Where the block has been written, as it is before the
/// locks are given back, everything is there.
fn cut_off_everywhere(
    prepare: impl Fn(&TestDir, &Place, &FaultProxy, &Workdir) -> Vec<String>,
    expect: impl Fn(&TestDir, &Place),
) {
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        for n in 1.. {
            let (dir, place, proxy) = (TestDir::new(), Place::new(), FaultProxy::to(Moto::shared().url()));
            let work = workdir(&dir);
            let arguments = prepare(&dir, &place, &proxy, &work);
            let block = || std::fs::read_to_string(work.path().join("backend.tf")).ok();
            let before = block();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--yes"]).collect();
            cut_off(&proxy, fault.clone(), n);
            let cut = migrate(&dir, &AwsEnv::new(), work.path(), &arguments);
            let (when, is_over) = (format!("{fault:?} at {n}"), proxy.injected() == 0);
            assert_eq!(cut.code() == Some(0), is_over, "{when}: {}", cut.report());
            if block() != before {
                expect(&dir, &place);
            }
            proxy.heal();
            migrate(&dir, &AwsEnv::new(), work.path(), &arguments).expect_success();
            assert_ne!(block(), before, "{when}");
            place.expect_no_lock(&when);
            expect(&dir, &place);
            if is_over {
                assert!(n > 4, "writes were cut off");
                break;
            }
        }
    }
}

#[test]
fn a_move_from_files_that_was_cut_off_at_any_write_is_finished_by_the_next() {
    cut_off_everywhere(
        |_, place, proxy, work| {
            work.write("terraform.tfstate", state(3, "x"));
            vec!["--to".into(), place.url(proxy.url())]
        },
        |dir, place| {
            assert_eq!((place.object("default"), place.items().0.len()), (state(3, "x"), 1), "with its digest");
            assert_eq!(dir.read("work/terraform.tfstate.migrated"), state(3, "x"), "nothing is deleted");
        },
    );
}

#[test]
fn a_move_from_s3_that_was_cut_off_at_any_write_is_finished_by_the_next() {
    let store = |dir: &TestDir| sqlite(dir, "here.db");
    cut_off_everywhere(
        |dir, place, proxy, work| {
            work.write_s3_backend(&place.backend(proxy.url()).lockfile().lock_table(proxy.url(), &place.table));
            work.run(&["init"]).expect_success();
            for (serial, id) in [(3, "x"), (4, "y")] {
                Moto::shared().put_object(&place.bucket, KEY, state(serial, id));
            }
            vec!["--to".into(), store(dir), "--state".into(), "net/prod".into()]
        },
        |dir, place| {
            let history =
                cli(dir, &AwsEnv::new()).run(&["state", "history", "net/prod", "--json", "--store", &store(dir)]);
            let history: Value = serde_json::from_str(&history.expect_success().stdout).unwrap();
            let items = history["items"].as_array().unwrap();
            let serials: Vec<u64> = items.iter().map(|item| item["serial"].as_u64().unwrap()).collect();
            assert_eq!((serials, place.object("default")), (vec![4, 3], state(4, "y")), "and it stays where it was");
        },
    );
}

#[test]
fn a_move_from_a_store_that_was_cut_off_at_any_write_is_finished_by_the_next() {
    cut_off_everywhere(
        |dir, place, proxy, work| {
            let store = sqlite(dir, "here.db");
            import(dir, &store, "net/prod", &state(3, "x"));
            work.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
            ["--to", &place.url(proxy.url()), "--store", &store, "--state", "net/prod"].map(str::to_owned).to_vec()
        },
        |dir, place| {
            assert_eq!((place.object("default"), place.items().0.len()), (state(3, "x"), 1), "with its digest");
            let store = sqlite(dir, "here.db");
            let locks = cli(dir, &AwsEnv::new()).run(&["lock", "list", "--store", &store, "--json"]).expect_success();
            assert_eq!(answer(&locks)["items"], serde_json::json!([]), "{}", locks.report());
        },
    );
}

/// One more version of a state.
fn import_over(dir: &TestDir, store: &str, text: &str) {
    let file = dir.write("next.tfstate", text);
    let push = ["state", "push", "net/prod", file.to_str().unwrap(), "--store", store];
    cli(dir, &AwsEnv::new()).run(&push).expect_success();
}
