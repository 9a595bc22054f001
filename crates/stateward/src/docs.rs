//! `docs/reference/cli.md`, made from the command line, and the check that generated documents are current.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use crate::cli::Cli;

const HEAD: &str = "\
# Commands

<!-- Made from crates/stateward/src/cli.rs: run `STATEWARD_UPDATE_DOCS=1 cargo test -p stateward reference` to renew it. -->

Data goes to standard output, all else to standard error. `--store`, `--server`, `--json` and `--who` may stand anywhere before `--`.
A state is written `NAME` or `NAME@WORKSPACE`, a version `v7` or `7`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed, and the message says why |
| 2 | the command line or the configuration is wrong |
| 3 | locked, or in conflict with what somebody else wrote |
| 4 | denied: a token or a right is missing |
| 5 | what is stored is damaged |
| 70 | a bug in stateward |

`run` ends as its command did: with its exit code, or with 128 + N when signal N ended it; only what was refused for the sake of
somebody else gives 3.
";

/// Compares a generated document with the one in the repository, or renews that.
#[track_caller]
pub(crate) fn assert_current(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever changes what a document is made from")]
    if std::env::var_os("STATEWARD_UPDATE_DOCS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, wanted).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "{path} is not current: run `STATEWARD_UPDATE_DOCS=1 cargo test -p stateward reference`");
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut command = Cli::command().term_width(100);
    command.build();
    write_command(&mut text, &command, "stateward");
    text
}

fn write_command(text: &mut String, command: &clap::Command, path: &str) {
    let shown = |command: &clap::Command| !command.is_hide_set() && command.get_name() != "help";
    if command.get_subcommands().next().is_none() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {path}\n\n{about}.\n\n```text\n{usage}\n```\n");
        write_arguments(text, command);
    }
    for subcommand in command.get_subcommands().filter(|subcommand| shown(subcommand)) {
        write_command(text, subcommand, &format!("{path} {}", subcommand.get_name()));
    }
}

fn write_arguments(text: &mut String, command: &clap::Command) {
    let own = |arg: &&clap::Arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_help().is_some();
    let mut lines = String::new();
    for arg in
        command.get_arguments().filter(own).filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version_flag"))
    {
        let names =
            arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let takes_value = arg.get_action().takes_values();
        let flag = match (arg.get_long(), arg.get_short()) {
            (Some(long), Some(short)) => format!("-{short}, --{long}"),
            (Some(long), None) => format!("--{long}"),
            _ => String::new(),
        };
        let name = match (flag.as_str(), takes_value) {
            ("", _) => names,
            (flag, true) => format!("{flag} {names}"),
            (flag, false) => flag.to_owned(),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let defaults: Vec<String> = match arg.is_hide_default_value_set() {
            true => Vec::new(),
            false => arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect(),
        };
        let default = if takes_value && !defaults.is_empty() {
            format!(" Default: `{}`.", defaults.join(","))
        } else {
            String::new()
        };
        let values: Vec<String> =
            arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let values =
            if takes_value && !values.is_empty() { format!(" One of {}.", values.join(", ")) } else { String::new() };
        let _ = writeln!(lines, "- `{name}`: {}.{values}{default}", help.trim_end_matches('.'));
    }
    if !lines.is_empty() {
        let _ = write!(text, "\n{lines}");
    }
}

#[test]
fn the_reference_is_current() {
    assert_current("docs/reference/cli.md", &reference());
}
