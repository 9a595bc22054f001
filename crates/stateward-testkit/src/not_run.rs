//! Tests that a machine cannot run.

use std::io::{self, Write};
use std::path::Path;
use std::{env, fs, thread};

/// Says that the test on this thread did not run, or not in full, and why: past the harness, which keeps what a test prints that passes, and
/// in the list that `scripts/test` shows at the end.
#[expect(clippy::disallowed_methods, reason = "where the list is is the environment's to say")]
pub fn did_not_run(why: &str) {
    let thread = thread::current();
    let line = line(thread.name(), why);
    // Where nobody listens there is nobody to tell.
    let _ = writeln!(io::stderr(), "did not run: {line}");
    if let Some(list) = env::var_os("STATEWARD_TEST_NOT_RUN") {
        note(Path::new(&list), &line);
    }
}

fn line(test: Option<&str>, why: &str) -> String {
    format!("{}: {why}", test.unwrap_or("a test"))
}

/// At once: many processes write to one list.
fn note(list: &Path, line: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).open(list);
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.expect("the list of what did not run can be written");
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;
    use crate::TestDir;

    #[test]
    fn a_line_names_the_test_and_the_reason() {
        let dir = TestDir::new();
        let list = dir.join("list");
        note(&list, &line(Some("run::with_tofu"), "tofu is not there"));
        note(&list, &line(None, "no providers"));
        assert_eq!(dir.read("list"), "run::with_tofu: tofu is not there\na test: no providers\n");
    }

    /// The script with a `cargo` that does as told, in a directory of its own.
    fn script(dir: &TestDir, cargo: &str) -> (Option<i32>, String) {
        let executable = |name: &str, text: &str| {
            dir.write(name, text);
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).expect("it can be run");
        };
        executable("scripts/test", include_str!("../../../scripts/test"));
        executable("scripts/setup-test-tools", "#!/bin/sh\n");
        executable("bin/cargo", &format!("#!/bin/sh\n{cargo}\n"));
        executable("bin/python3", "#!/bin/sh\n");
        let mut command = Command::new("bash");
        dir.isolate(&mut command);
        command.env("PATH", format!("{}:/usr/bin:/bin", dir.join("bin").display()));
        let output = command.arg(dir.join("scripts/test")).output().expect("bash");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    }

    #[test]
    fn what_did_not_run_is_listed_once_at_the_end() {
        let dir = TestDir::new();
        let cargo = r#"echo "b: no tofu" >>"$STATEWARD_TEST_NOT_RUN"
echo "a: no tofu" >>"$STATEWARD_TEST_NOT_RUN"
echo "b: no tofu" >>"$STATEWARD_TEST_NOT_RUN"
echo "test result: ok"
exit 101"#;
        let (code, told) = script(&dir, cargo);
        assert_eq!(code, Some(101), "cargo's own");
        assert_eq!(told, "test result: ok\n\nthese tests did not run, or not in full:\n  a: no tofu\n  b: no tofu\n");
        assert_eq!(script(&dir, "echo fine"), (Some(0), "fine\n".to_owned()));
    }
}
