//! `stateward policy generate`.

use serde::{Serialize, Serializer};
use stateward_iam::{Document, Purpose, generate, generate_split};

use super::{keeping, no_keeping};
use crate::cli::GenerateArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output;

/// The policies by the names of their purposes, from the least to the most.
struct ByPurpose(Vec<(Purpose, Document)>);

impl Serialize for ByPurpose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(purpose, policy)| (purpose.name(), policy)))
    }
}

/// The policies are documents of AWS, so that nothing is added to them, not even with `--json`.
pub(super) fn run(args: &GenerateArgs) -> Result<Exit> {
    let keeping = keeping(&args.keeping)?;
    let purpose = args.purpose.map_or(Purpose::Admin, Purpose::from);
    if args.split {
        let mut policies = generate_split(&keeping).map_err(|error| no_keeping(&error))?;
        policies.retain(|(own, _)| *own <= purpose);
        output::json(&ByPurpose(policies))?;
    } else {
        output::json(&generate(&keeping, purpose).map_err(|error| no_keeping(&error))?)?;
    }
    Ok(Exit::Done)
}
