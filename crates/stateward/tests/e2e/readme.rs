//! Every console block of the README and the guides, run in order in one shell, output compared.
//!
//! In a block, `$ ` starts a command and `> ` continues it; the other lines are what it prints. `...` alone stands for any lines,
//! `[..]` for anything within a line. The port 7017 becomes a free one, and what is said to be on AWS is on a stand-in.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stateward_testkit::{AwsEnv, Moto, Terraform, TestDir, fresh_name};

const MARK: &str = "-- end of command";

struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn steps(document: &str) -> Vec<Step> {
    let (mut steps, mut within): (Vec<Step>, bool) = (Vec::new(), false);
    for (number, line) in document.lines().enumerate() {
        match (within, line) {
            (false, "```console") => within = true,
            (true, "```") => within = false,
            (true, _) => match (line.strip_prefix("$ "), line.strip_prefix('>'), steps.last_mut()) {
                (Some(command), ..) => {
                    steps.push(Step { line: number + 1, command: command.to_owned(), expected: Vec::new() });
                }
                (None, Some(more), Some(step)) if step.expected.is_empty() => {
                    step.command.push('\n');
                    step.command.push_str(more.strip_prefix(' ').unwrap_or(more));
                }
                (.., Some(step)) => step.expected.push(line.to_owned()),
                (.., None) => panic!("line {}: a console block starts with a command", number + 1),
            },
            (false, _) => {}
        }
    }
    steps
}

/// Whether the lines are the expected ones.
fn meets(expected: &[String], lines: &[String]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((pattern, rest)) if pattern == "..." => (0..=lines.len()).any(|skip| meets(rest, &lines[skip..])),
        Some((pattern, rest)) => {
            lines.split_first().is_some_and(|(line, more)| line_meets(pattern, line) && meets(rest, more))
        }
    }
}

fn line_meets(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.trim_end().split("[..]");
    let (first, line) = (parts.next().unwrap_or_default(), line.trim_end());
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(part) => part.is_empty() || line.ends_with(part),
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(document: &str) {
    run_with(document, Vec::new(), &[]);
}

/// `names`: what something is called in the document, and here.
fn run_with(document: &str, mut names: Vec<(&str, String)>, env: &[(&str, String)]) {
    let dir = TestDir::new();
    let port = free_port().to_string();
    let text = std::fs::read_to_string(workspace().join(document)).unwrap();
    let mut shell = shell(&dir, &port, env);
    names.push(("7017", port));
    let mut input = shell.stdin.take().unwrap();
    let mut output = BufReader::new(shell.stdout.take().unwrap()).lines();
    let steps = steps(&text);
    assert!(!steps.is_empty(), "{document} has no console blocks");
    let mut faults = Vec::new();
    for step in &steps {
        let command = names.iter().fold(step.command.clone(), |text, (there, here)| text.replace(there, here));
        writeln!(input, "{command}\necho; echo '{MARK}'").unwrap();
        // What runs in the background says where it listens a moment later.
        let mut lines: Vec<String> = output.by_ref().map(Result::unwrap).take_while(|line| line != MARK).collect();
        lines.retain(|line| !line.is_empty());
        let back = |line: &String| names.iter().fold(line.clone(), |line, (there, here)| line.replace(here, there));
        let lines: Vec<String> = lines.iter().map(back).collect();
        let expected: Vec<String> = step.expected.iter().filter(|line| !line.is_empty()).cloned().collect();
        if !meets(&expected, &lines) {
            let Step { line, command, .. } = step;
            faults.push(format!("{document}:{line}: $ {command}\nprinted:\n{}\n", lines.join("\n")));
        }
    }
    drop(input);
    shell.wait().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn shell(dir: &TestDir, port: &str, env: &[(&str, String)]) -> std::process::Child {
    let mut command = Command::new("bash");
    dir.isolate(&mut command);
    let binary = Path::new(env!("CARGO_BIN_EXE_stateward")).parent().unwrap();
    let terraform = Terraform::find();
    let path = format!("{}:{}:/usr/bin:/bin", binary.display(), terraform.directory().display());
    command
        .env("PATH", path)
        .env("STATEWARD_LISTEN", format!("127.0.0.1:{port}"))
        .env("STATEWARD_WHO", "ana@laptop")
        .env("COLUMNS", "120")
        .envs(env.iter().map(|(name, value)| (name, value)));
    command.current_dir(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = command.spawn().unwrap();
    // One stream, as on a terminal; and nothing outlives the shell.
    let setup = "exec 2>&1; trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT; NO_COLOR=1; TF_CLI_ARGS=-no-color; export NO_COLOR TF_CLI_ARGS";
    writeln!(shell.stdin.as_mut().unwrap(), "{setup}").unwrap();
    shell
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_readme_s_first_session() {
    let moto = Moto::shared();
    let aws = [("acme-states", fresh_name("acme-states")), ("111122223333", "123456789012".to_owned())];
    let region = ("eu-west-1", AwsEnv::REGION.to_owned());
    run_with("README.md", aws.into_iter().chain([region]).collect(), &moto.env().pairs());
}

#[test]
fn the_guide_to_least_privilege() {
    run("docs/how-to/least-privilege.md");
    run("docs/how-to/keep-environments-apart.md");
}

#[test]
fn the_guide_to_moving_state() {
    let moto = Moto::shared();
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    moto.keep_versions(&bucket);
    // Names of buckets in the host name would need a resolver of their own.
    let region = "region=us-east-1";
    let names = vec![
        ("acme-terraform-state", bucket),
        ("terraform-locks", table),
        (region, format!("{region}&use_path_style=true")),
    ];
    run_with("docs/how-to/move-state.md", names, &moto.env().pairs());
}

#[test]
fn a_pattern_that_does_not_fit_is_noticed() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(meets(&lines("a\n...\nz [..] end"), &lines("a\nb\nc\nz 1 2 end")));
    assert!(meets(&lines("..."), &[]));
    assert!(!meets(&lines("a"), &lines("a\nb")));
    assert!(!meets(&lines("a\nb"), &lines("a")));
    assert!(!meets(&lines("x[..]y"), &lines("x1z")));
    assert_eq!(steps("```console\n$ a\n> b\nout\n```\n```sh\n$ no\n```").len(), 1);
}
