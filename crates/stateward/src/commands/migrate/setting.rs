//! What a directory says of where its state is.

use std::path::PathBuf;

use stateward_aws::doctor::{Given, Target};
use stateward_core::Workspace;
use stateward_terraform::{Arguments, Backend, Configuration, cached, data_dir, selected_workspace};

use super::super::Context;
use super::super::doctor::{configuration_of, extra_arguments};
use super::NOT_MOVED;
use crate::cli::MigrateArgs;
use crate::failure::{Failure, Result};

/// Arguments that say how an `s3` backend locks.
pub(super) const LOCKS: [&str; 2] = ["dynamodb_table", "use_lockfile"];

/// What a directory says of where its state is.
pub(super) struct Setting {
    pub(super) directory: PathBuf,
    pub(super) data_dir: PathBuf,
    pub(super) configuration: Configuration,
    /// What the last `init` noted.
    pub(super) cached: Option<Backend>,
    /// What the command line adds to the block.
    extra: Vec<Arguments>,
}

impl Setting {
    pub(super) fn read(context: &Context, args: &MigrateArgs) -> Result<Self> {
        let directory = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let configuration = configuration_of(&directory, NOT_MOVED)?;
        if configuration.is_empty {
            let why = format!("`{}` has no files of Terraform", directory.display());
            return Err(Failure::usage(NOT_MOVED, why, "name the directory of the configuration with `--dir`"));
        }
        let data_dir = data_dir(&directory, context.environment.get("TF_DATA_DIR"));
        let cached = cached(&data_dir);
        let extra = extra_arguments(&args.backend_config)?;
        Ok(Self { directory, data_dir, configuration, cached, extra })
    }

    /// The backend in the files.
    pub(super) fn declared(&self) -> Option<&Backend> {
        self.configuration.declared.as_ref().map(|declared| &declared.backend)
    }

    /// The workspace that is selected, unless it is the default one.
    pub(super) fn selected(&self) -> Option<Workspace> {
        selected_workspace(&self.data_dir)?.parse().ok()
    }

    /// Whether the declared `s3` block, or the command line, has an argument.
    pub(super) fn argument(&self, name: &str) -> Option<String> {
        let declared = self.declared().map(Backend::arguments);
        self.extra.iter().rev().chain(declared).find_map(|arguments| arguments.get(name)?.clone())
    }

    /// Whether an argument stands in the block itself.
    pub(super) fn is_in_block(&self, name: &str) -> bool {
        self.declared().is_some_and(|backend| backend.arguments().contains_key(name))
    }

    /// The place of the declared `s3` backend. What its block leaves out, `init` may have noted; how it locks, only the block says.
    pub(super) fn declared_s3(&self) -> Result<Target> {
        let mut given = Given::default();
        if let Some(cached) = self.cached.as_ref().filter(|cached| cached.kind() == Some("s3")) {
            let mut noted = cached.arguments().clone();
            noted.retain(|name, _| !LOCKS.contains(&name.as_str()));
            given.add(&noted);
        }
        self.declared().iter().for_each(|declared| given.add(declared.arguments()));
        self.extra.iter().for_each(|extra| given.add(extra));
        given.target(None).map_err(|error| Failure::usage(NOT_MOVED, error.to_string(), error.advice()))
    }
}

/// The place of an `s3` backend that `init` noted.
pub(super) fn noted_s3(noted: &Backend) -> Result<Target> {
    let mut given = Given::default();
    given.add(noted.arguments());
    given.target(None).map_err(|error| Failure::usage(NOT_MOVED, error.to_string(), error.advice()))
}
