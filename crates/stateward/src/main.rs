//! stateward: a database for Terraform and OpenTofu state.
//!
//! A command's path: [`cli`] parses the arguments without any I/O, [`config`] puts the settings together, the command in
//! [`commands`] calls the core or a server through a [`Connection`](stateward_client::Connection), and [`output`] prints what
//! came of it. This crate alone prints, reads the environment and knows the time.

mod cli;
mod commands;
mod config;
#[cfg(test)]
mod docs;
mod exit;
mod failure;
mod input;
mod logs;
mod output;
mod store;
mod system;
mod who;

use std::panic::{self, UnwindSafe};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::commands::Context;
use crate::config::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// A server that takes large bodies on many threads must not keep on each of them what the largest one needed. The settings that
/// are built in stand in `.cargo/config.toml`.
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| output::bug(info.location())));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return help_or_usage(&error).into(),
    };
    guarded(|| run(&cli)).into()
}

/// A panic is a bug; the hook has told so.
fn guarded(run: impl FnOnce() -> Exit + UnwindSafe) -> Exit {
    panic::catch_unwind(run).unwrap_or(Exit::Bug)
}

/// Help and the version are asked for; all else is a mistake.
fn help_or_usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    let is_mistake = error.use_stderr();
    match printed {
        _ if is_mistake => Exit::Usage,
        Err(error) => Failure::from(error).exit(),
        Ok(()) => Exit::Done,
    }
}

fn run(cli: &Cli) -> Exit {
    let outcome = try_run(cli);
    outcome.unwrap_or_else(|failure| {
        if let Some(message) = failure.message() {
            output::error(&message);
        }
        failure.exit()
    })
}

fn try_run(cli: &Cli) -> Result<Exit> {
    let environment = Environment::read();
    let config = config::resolve(&environment, &cli.flags())?;
    logs::start(&config.settings, matches!(cli.command, cli::Command::Serve(_)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        let why = failure::plain(&error);
        stateward_core::Error::new(
            stateward_core::Kind::Unavailable,
            "no threads could be started",
            why,
            "free some of the machine's resources",
        )
    })?;
    let context = Context::new(config, environment, cli.global.json);
    let exit = runtime.block_on(commands::run(&context, &cli.command));
    // A read of standard input cannot be ended; nothing else is under way.
    runtime.shutdown_background();
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug() {
        assert_eq!(guarded(|| Exit::Conflict), Exit::Conflict);
        assert_eq!(guarded(|| panic!("for the test")), Exit::Bug);
        assert_eq!(ExitCode::from(Exit::Bug), ExitCode::from(70));
    }
}
