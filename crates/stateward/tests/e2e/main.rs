//! The binary as its users meet it: under real Terraform, killed without warning, and by the README.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod beside;
mod crash;
mod disk;
mod ephemeral;
mod readme;
mod run;
mod terraform;
mod tofu;
mod transfer;

use std::time::Duration;

use stateward_testkit::{Cli, ServerProcess, TestDir};

/// Long enough for a busy machine; nothing here waits for it in vain.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

pub(crate) fn cli(dir: &TestDir) -> Cli<'_> {
    Cli::new(env!("CARGO_BIN_EXE_stateward"), dir)
}

pub(crate) fn store(dir: &TestDir) -> String {
    format!("sqlite:{}", dir.join("store.db").display())
}

pub(crate) fn serve(dir: &TestDir, arguments: &[&str]) -> ServerProcess {
    let store = store(dir);
    let mut all = vec!["--store", store.as_str()];
    all.extend(arguments);
    cli(dir).serve(&all)
}

/// A state with one resource.
pub(crate) fn state(serial: u64, id: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"11111111-2222-3333-4444-555555555555","outputs":{{}},"resources":[{{"mode":"managed","type":"terraform_data","name":"x","provider":"provider[\"terraform.io/builtin/terraform\"]","instances":[{{"schema_version":0,"attributes":{{"id":"{id}"}},"sensitive_attributes":[]}}]}}],"check_results":null}}
"#
    )
}
