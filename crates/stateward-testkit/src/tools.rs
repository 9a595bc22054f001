//! Where the programs are that tests need beside the toolchain.

use std::env;
use std::path::{Path, PathBuf};

const SETUP: &str = "scripts/setup-test-tools";

/// What `scripts/setup-test-tools` installs under this name. Panics where it is missing: a test that is skipped
/// silently proves nothing.
#[expect(clippy::disallowed_methods, reason = "where the tools are is the environment's to say")]
pub(crate) fn find(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tools = env::var_os("STATEWARD_TEST_TOOLS").map_or_else(|| root.join(".cache/test-tools"), PathBuf::from);
    let program = tools.join("bin").join(name);
    assert!(
        program.is_file(),
        "this test needs {name}, and {} is not there.\nnext: run {SETUP} in {}",
        program.display(),
        root.canonicalize().unwrap_or(root).display(),
    );
    program
}
