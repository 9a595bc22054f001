//! From the lock table to the lock file, and back.

use serde_json::json;
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, TestDir, lock_info};

use super::{KEY, Place, answer, apply, expect_no_change, migrate, two_workspaces, workdir};
use crate::{cli, cut_off, state};

/// The block's arguments for locks.
fn locks(block: &str) -> (bool, bool) {
    (block.contains("dynamodb_table"), block.contains("use_lockfile"))
}

#[test]
fn terraform_goes_on_at_each_step_from_the_table_to_the_file_and_back() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let block = work.write_s3_backend(&place.table_backend(moto.url()));
    two_workspaces(&work);
    let digests = vec![format!("{}/env:/dev/{KEY}-md5", place.bucket), format!("{}/{KEY}-md5", place.bucket)];
    assert_eq!(place.items().0, digests);
    let step = |arguments: &[&str], outcome: &str, expected: (bool, bool)| {
        let output = migrate(&dir, &moto.env(), work.path(), &[arguments, &["--yes"]].concat()).expect_success();
        assert_eq!(answer(&output)["outcome"], outcome, "{}", output.report());
        assert_eq!(locks(&std::fs::read_to_string(&block).unwrap()), expected, "{}", output.report());
        place.expect_no_lock(&arguments.join(" "));
        if outcome == "done" {
            expect_no_change(&work);
        }
    };
    let (both, file, table) = ((true, true), (false, true), (true, false));
    let planned = migrate(&dir, &moto.env(), work.path(), &["--to", "lockfile", "--dry-run"]).expect_success();
    assert_eq!((answer(&planned)["outcome"].as_str(), locks(&dir.read("work/backend.tf"))), (Some("planned"), table));

    step(&["--to", "lockfile"], "done", both);
    step(&["--to", "lockfile"], "unchanged", both);
    step(&["--to", "lockfile", "--finish"], "done", file);
    step(&["--to", "lockfile", "--finish"], "unchanged", file);
    assert_eq!(place.items(), (Vec::new(), 0), "no digest is left that would be wrong later");
    apply(&work, "1");

    // One that is left all the same, of a time long past, would have Terraform refuse the state.
    place.put_digest(&"0".repeat(32));
    step(&["--to", "dynamodb-lock", "--lock-table", &place.table], "done", both);
    for workspace in ["default", "dev"] {
        let work = work.clone().env("TF_WORKSPACE", workspace);
        apply(&work, "2");
        apply(&work, "1");
    }
    step(&["--to", "dynamodb-lock", "--finish"], "done", table);
    assert_eq!(place.items().0, digests);
}

/// One of the four runs: its arguments, and the locks that the block names before and after.
struct Step {
    to: &'static [&'static str],
    before: (bool, bool),
    after: (bool, bool),
}

/// The MD5 of `state(3, "x")`.
const DIGEST: &str = "d67c81434d29c45d86262c86357b2179";
const BOTH: (bool, bool) = (true, true);
const STEPS: [Step; 4] = [
    Step { to: &["--to", "lockfile"], before: (true, false), after: BOTH },
    Step { to: &["--to", "lockfile", "--finish"], before: BOTH, after: (false, true) },
    Step { to: &["--to", "dynamodb-lock"], before: (false, true), after: BOTH },
    Step { to: &["--to", "dynamodb-lock", "--finish"], before: BOTH, after: (true, false) },
];

/// Cuts a step off at each write in turn, and runs it again.
fn cut_off_everywhere(Step { to, before, after }: &Step, fault: &Fault) {
    let moto = Moto::shared();
    for n in 1.. {
        let (dir, place) = (TestDir::new(), Place::new());
        let work = workdir(&dir);
        let proxy = FaultProxy::to(moto.url());
        let backend = place.backend(proxy.url());
        let backend = if before.0 { backend.lock_table(proxy.url(), &place.table) } else { backend };
        work.write_s3_backend(&if before.1 { backend.lockfile() } else { backend });
        moto.put_object(&place.bucket, KEY, state(3, "x"));
        // Of an earlier time, where the table does not count yet.
        place.put_digest(if before.0 { DIGEST } else { "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0" });
        cut_off(&proxy, fault.clone(), n);
        let table = ["--lock-table", &place.table];
        let named = if before.0 { &[][..] } else { &table[..] };
        let to = [to, named, &["--yes"]].concat();
        let env = AwsEnv::new().dynamodb(proxy.url());
        let cut = migrate(&dir, &env, work.path(), &to);
        let when = format!("{to:?}: {fault:?} at {n}");
        let is_over = proxy.injected() == 0;
        assert_eq!(cut.code() == Some(0), is_over, "{when}: {}", cut.report());
        let expected = if is_over { after } else { before };
        assert_eq!(locks(&dir.read("work/backend.tf")), *expected, "{when}: the block comes last");
        proxy.heal();
        let again = migrate(&dir, &env, work.path(), &to).expect_success();
        assert_eq!(answer(&again)["outcome"], if is_over { "unchanged" } else { "done" }, "{when}");
        assert_eq!(locks(&dir.read("work/backend.tf")), *after, "{when}");
        assert_eq!(place.object("default"), state(3, "x"), "{when}");
        place.expect_no_lock(&when);
        if is_over {
            assert!(n > 2, "{when}: writes were cut off");
            break;
        }
    }
}

#[test]
fn a_step_that_was_cut_off_at_any_write_is_finished_by_the_next_run() {
    for step in &STEPS {
        for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
            cut_off_everywhere(step, &fault);
        }
    }
}

#[test]
fn a_lock_of_either_kind_stops_it() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.table_backend(moto.url()));
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let before = dir.read("work/backend.tf");
    let stopped = || {
        let refused = migrate(&dir, &moto.env(), work.path(), &["--to", "lockfile", "--yes"]).expect_code(3);
        // The command that it names finds the lock, of either kind.
        let (_, command) = refused.stderr.split_once("stateward lock inspect '").unwrap();
        let inspected = cli(&dir, &moto.env()).run(&["lock", "inspect", command.split('\'').next().unwrap()]);
        assert!(inspected.stdout.contains("OperationTypeApply"), "{} {}", refused.report(), inspected.report());
        assert_eq!(dir.read("work/backend.tf"), before);
    };
    let lock_file = format!("{KEY}.tflock");
    moto.put_object(&place.bucket, &lock_file, lock_info("x", "OperationTypeApply"));
    stopped();
    moto.delete_object(&place.bucket, &lock_file);
    let info = String::from_utf8(lock_info("x", "OperationTypeApply")).unwrap();
    let item = json!({"LockID": {"S": format!("{}/{KEY}", place.bucket)}, "Info": {"S": info}});
    moto.dynamodb("PutItem", &json!({"TableName": place.table, "Item": item}).to_string());
    stopped();
}

/// Without it Terraform would take whatever stands there, such as an old copy that was put back.
#[test]
fn a_digest_that_contradicts_its_state_is_seen_before_the_table_goes_or_counts_again() {
    for (to, argument) in [("lockfile", "dynamodb_table"), ("dynamodb-lock", "use_lockfile")] {
        let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
        let work = workdir(&dir);
        work.write_s3_backend(&place.table_backend(moto.url()).lockfile());
        moto.put_object(&place.bucket, KEY, state(3, "x"));
        moto.put_object(&place.bucket, &Place::key("dev"), state(3, "y"));
        place.put_digest(&"0".repeat(32));
        let before = dir.read("work/backend.tf");
        let run = || migrate(&dir, &moto.env(), work.path(), &["--to", to, "--finish", "--yes"]);
        let refused = run().expect_code(3);
        assert!(refused.stderr.contains("stateward state repair 's3://"), "{}", refused.report());
        assert_eq!((dir.read("work/backend.tf"), place.items().0.len()), (before, 1), "{to}: all is as it was");
        place.expect_no_lock("after it was refused");
        let repair = ["state", "repair", work.path().to_str().unwrap(), "--keep", "object", "--yes"];
        cli(&dir, &moto.env()).run(&repair).expect_success();
        run().expect_success();
        assert!(!dir.read("work/backend.tf").contains(argument), "{to}");
    }
}
