//! `cargo xtask simulate`: the simulation of transactions with more seeds than the tests have time for.

use std::process::Command;

const USAGE: &str = "usage: cargo xtask simulate [--seeds N]\n\nRuns the seeds 1 to N (1000 unless told) and stops at the first that shows something wrong.";

/// Runs it.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let seeds = match arguments {
        [] => 1000,
        [flag, seeds] if flag == "--seeds" => {
            seeds.parse::<u64>().map_err(|error| format!("`--seeds {seeds}`: {error}\n\n{USAGE}"))?
        }
        _ => return Err(USAGE.to_owned()),
    };
    let test = ["test", "--release", "--package", "stateward-core", "--test", "it", "simulation::"];
    let status = Command::new(env!("CARGO")).args(test).env("STATEWARD_SEEDS", seeds.to_string()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the simulation ended with {status}")),
        Err(error) => Err(format!("cargo could not be run: {error}")),
    }
}
