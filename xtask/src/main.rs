//! Developer commands: `cargo xtask COMMAND`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod bench;
mod kb_lab;
mod simulate;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

/// One developer command. To add one: a module of its own with `pub fn run(&[String]) -> Result<(), String>`, and a
/// line here.
struct Command {
    name: &'static str,
    summary: &'static str,
    run: fn(&[String]) -> Result<(), String>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "bench",
        summary: "measure speed and size against their goals (--help lists the sections)",
        run: bench::run,
    },
    Command {
        name: "kb-lab",
        summary: "print what the knowledge base counts: causes, their texts, and what ends them",
        run: kb_lab::run,
    },
    Command {
        name: "simulate",
        summary: "run transactions side by side over a failing store, with more seeds than the tests (--seeds N)",
        run: simulate::run,
    },
    Command {
        name: "tidy",
        summary: "check what the compiler cannot: crate edges, file sizes, docs (--fix rewrites generated docs)",
        run: tidy::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprint!("{}", usage());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("no developer command `{name}`\n");
        eprint!("{}", usage());
        return ExitCode::from(2);
    };
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let width = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or(0);
    let line = |command: &Command| format!("  {:width$}  {}\n", command.name, command.summary);
    let lines: String = COMMANDS.iter().map(line).collect();
    format!("usage: cargo xtask COMMAND\n\n{lines}")
}

/// The workspace's root, whatever directory the command was started in.
fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or(manifest.clone(), PathBuf::from)
}
