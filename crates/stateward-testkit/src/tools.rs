//! Where the programs are that tests need beside the toolchain.

use std::env;
use std::path::{Path, PathBuf};

use crate::not_run::did_not_run;

const SETUP: &str = "scripts/setup-test-tools";

/// What `scripts/setup-test-tools` installs under this name. Panics where it is missing: a test that is skipped
/// silently proves nothing.
pub(crate) fn find(name: &str) -> PathBuf {
    let root = root();
    let program = place(name);
    assert!(
        program.is_file(),
        "this test needs {name}, and {} is not there.\nnext: run {SETUP} in {}",
        program.display(),
        root.canonicalize().unwrap_or(root).display(),
    );
    program
}

/// One that `scripts/setup-test-tools` installs only where it is named; `None`, which is told, where it is not there.
pub(crate) fn find_optional(name: &str) -> Option<PathBuf> {
    let program = place(name);
    if program.is_file() {
        return Some(program);
    }
    did_not_run(&format!("{name} is not there; to run it too: {SETUP} {name}"));
    None
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[expect(clippy::disallowed_methods, reason = "where the tools are is the environment's to say")]
fn place(name: &str) -> PathBuf {
    let tools = env::var_os("STATEWARD_TEST_TOOLS").map_or_else(|| root().join(".cache/test-tools"), PathBuf::from);
    tools.join("bin").join(name)
}
