//! `stateward doctor`, ended before its end.

use std::time::Duration;

use serde_json::json;
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Moto, Rule, Running, TestDir};

use crate::{LIMIT, cli};

/// A doctor that is just writing under a name of its own; its writes take this long.
fn at_work(dir: &TestDir, proxy: &FaultProxy, bucket: &str, table: &str, each: Duration) -> Running {
    let rule = Rule::new(Fault::Delay(each)).path("stateward-doctor");
    proxy.inject(rule.operation("PutObject"));
    let arguments = ["doctor", "--bucket", bucket, "--key", "k", "--lock-table", table, "--use-lockfile"];
    let running = cli(dir, &AwsEnv::new().others(proxy.url()))
        .spawn(&[&arguments[..], &["--backend-config", "use_path_style=true"]].concat());
    while proxy.count("PutObject") == 0 || proxy.count("PutItem") == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    running
}

/// Whoever ends it: a build that is cancelled sends SIGTERM.
#[test]
fn what_was_written_is_removed_by_whatever_signal_it_is_ended() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let signals: [fn(&Running); 2] = [Running::interrupt, Running::terminate];
    for send in signals {
        let (proxy, bucket, table) = (FaultProxy::to(moto.url()), moto.create_bucket(), moto.create_lock_table());
        moto.keep_versions(&bucket);
        let running = at_work(&dir, &proxy, &bucket, &table, Duration::from_millis(300));
        send(&running);
        let output = running.wait(LIMIT).expect_code(1);
        for words in ["once more ends this at once", "interrupted; what was written to try things out is removed"] {
            assert!(output.stderr.contains(words), "{words:?} is not in\n{}", output.report());
        }
        // What never left was not left behind.
        assert!(!output.stderr.contains("left behind"), "{}", output.report());
        assert_eq!(moto.objects(&bucket), Vec::<String>::new());
        let items = moto.dynamodb("Scan", &json!({"TableName": table}).to_string());
        assert_eq!(items["Count"], 0, "{items}");
    }
}

/// Where nobody answers any more, nobody has to wait.
#[test]
fn a_second_interrupt_ends_it_at_once() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (proxy, bucket, table) = (FaultProxy::to(moto.url()), moto.create_bucket(), moto.create_lock_table());
    let mut running = at_work(&dir, &proxy, &bucket, &table, LIMIT);
    proxy.inject(Rule::new(Fault::Delay(LIMIT)));
    running.interrupt();
    running.wait_for("once more ends this at once", LIMIT);
    running.interrupt();
    let output = running.wait(Duration::from_secs(8)).expect_code(1);
    for words in [&format!("may be left behind: s3://{bucket}/env:/stateward-doctor-"), "interrupted before all that"] {
        assert!(output.stderr.contains(words), "{words:?} is not in\n{}", output.report());
    }
}
