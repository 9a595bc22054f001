//! The binary on S3 and `DynamoDB`: beside plain Terraform on the same bucket, several servers on one store, and what goes wrong.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod beside;
mod chain;
mod doctor;
mod doctor_ended;
mod elsewhere;
mod emit;
mod lab;
mod migrate;
mod organization;
mod others;
mod queue;
mod recovery;
mod setup;
mod sharing;
mod tls;
mod trail;
mod wrong;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use stateward_testkit::{AwsEnv, Cli, Fault, FaultProxy, Rule, SeenRequest, ServerProcess, TestDir};

/// Long enough for a busy machine; nothing here waits for it in vain.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);

pub(crate) fn cli<'dir>(dir: &'dir TestDir, env: &AwsEnv) -> Cli<'dir> {
    Cli::new(env!("CARGO_BIN_EXE_stateward"), dir).envs(env.pairs()).limit(LIMIT)
}

pub(crate) fn serve(dir: &TestDir, env: &AwsEnv, store: &str) -> ServerProcess {
    cli(dir, env).serve(&["--store", store])
}

/// A state with one resource.
pub(crate) fn state(serial: u64, id: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"11111111-2222-3333-4444-555555555555","outputs":{{}},"resources":[{{"mode":"managed","type":"terraform_data","name":"x","provider":"provider[\"terraform.io/builtin/terraform\"]","instances":[{{"schema_version":0,"attributes":{{"id":"{id}"}},"sensitive_attributes":[]}}]}}],"check_results":null}}
"#
    )
}

/// From the n-th write on nothing gets through.
pub(crate) fn cut_off(proxy: &FaultProxy, fault: Fault, n: usize) {
    let (writes, is_cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&is_cut);
    proxy.inject(Rule::new(Fault::LoseRequest).when(move |_| over.load(Ordering::SeqCst)));
    proxy.inject(Rule::new(fault).when(move |seen: &SeenRequest| {
        let writes = ["PutObject", "DeleteObject", "PutItem", "UpdateItem", "DeleteItem"].contains(&seen.operation())
            && writes.fetch_add(1, Ordering::SeqCst) + 1 == n;
        is_cut.fetch_or(writes, Ordering::SeqCst);
        writes
    }));
}
