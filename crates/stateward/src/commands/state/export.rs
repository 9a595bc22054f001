//! `stateward state export`.

use std::path::Path;

use serde::Serialize;
use stateward_client::transfer::{Exported, export};
use stateward_core::{StateName, Workspace};

use super::pull;
use super::transfer::{Doing, follow};
use crate::cli::ExportArgs;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::human::{self, counted};
use crate::output::progress::Progress;

/// The answer of `state export --json`.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    state: &'a StateName,
    workspace: &'a Workspace,
    directory: String,
    index: String,
    versions: u64,
    /// Versions whose bytes are no longer kept, so that they have no file.
    pruned: u64,
    bytes: u64,
}

pub(super) async fn run(context: &Context, args: &ExportArgs) -> Result<Exit> {
    let ExportArgs { name, directory, all_versions } = args;
    if directory == Path::new("-") {
        if *all_versions {
            let next = "name a directory, or leave `--all-versions` out";
            return Err(Failure::usage("nothing was exported", "standard output takes one version", next));
        }
        return pull::run(context, name, None, None).await;
    }
    let connection = context.open().await?;
    let exported = {
        let (progress, shown) = (Progress::work("exporting"), name.to_string());
        let mut follow = follow(&progress, Doing::Copy, &shown);
        export(&*connection, name, directory, *all_versions, &mut follow).await?
    };
    let Exported { versions, pruned, bytes, index } = &exported;
    let outcome = Outcome {
        state: &name.name,
        workspace: &name.workspace,
        directory: directory.display().to_string(),
        index: index.display().to_string(),
        versions: *versions,
        pruned: *pruned,
        bytes: *bytes,
    };
    context.out.answer(&outcome, || {
        let pruned = match pruned {
            0 => String::new(),
            count => format!(", {count} of them without bytes, which are no longer kept"),
        };
        format!(
            "{name} is exported to {}: {}{pruned}, {}; `stateward state import NAME {}` takes it back in\n",
            directory.display(),
            counted(*versions, "version"),
            human::size(*bytes),
            directory.display()
        )
    })
}
