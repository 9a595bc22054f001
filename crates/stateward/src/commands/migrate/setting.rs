//! What a directory says of where its state is.

use std::path::{Path, PathBuf};

use stateward_aws::doctor::{Given, Target};
use stateward_core::{NameError, Workspace};
use stateward_terraform::workdir::local_states;
use stateward_terraform::{
    Arguments, Backend, Configuration, Difference, Tool, data_dir, selected_workspace, workspace_in_address,
};

use super::super::Context;
use super::super::doctor::{configuration_of, extra_arguments, given, noted};
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
    /// What the last `init` noted; what it had from the environment is taken from there.
    pub(super) cached: Option<Backend>,
    /// As far as it is about the declared backend: what is noted of another place says nothing of this one.
    noted: Option<Backend>,
    /// The declared backend with what its block leaves out: from the command line, what `init` noted, or the environment.
    whole: Option<Backend>,
    /// The one workspace of a state in stateward that the address of an `http` backend names: to Terraform it is the default one.
    pub(super) only: Option<Workspace>,
    /// What the command line adds to the block.
    extra: Vec<Arguments>,
    /// `TF_WORKSPACE`.
    variable: Option<String>,
    /// What an `s3` backend takes from the environment.
    pub(super) given: Given,
}

impl Setting {
    pub(super) fn read(context: &Context, args: &MigrateArgs) -> Result<Self> {
        let directory = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let configuration = of_either_tool(&directory)?;
        if configuration.is_empty {
            let why = format!("`{}` has no files of Terraform", directory.display());
            return Err(Failure::usage(NOT_MOVED, why, "name the directory of the configuration with `--dir`"));
        }
        let data_dir = data_dir(&directory, context.environment.get("TF_DATA_DIR"));
        let environment = of_environment(context);
        let variable = context.environment.get("TF_WORKSPACE").map(str::to_owned);
        let cached = noted(&data_dir, NOT_MOVED)?.map(|noted| noted.filled(&environment));
        let extra = extra_arguments(&args.backend_config)?;
        let declared = configuration.declared.as_ref().map(|declared| declared.backend.clone());
        let given = declared.map(|declared| extra.iter().fold(declared, Backend::with));
        let is_of = |given: &Backend, noted: &Backend| given.differs(noted).is_none();
        let noted = cached.clone().filter(|noted| given.as_ref().is_some_and(|given| is_of(given, noted)));
        let whole = given.map(|given| noted.iter().chain([&environment]).fold(given, Backend::filled));
        let mut setting = Self {
            directory,
            data_dir,
            configuration,
            cached,
            noted,
            whole,
            only: None,
            extra,
            variable,
            given: self::given(context),
        };
        setting.only = setting.only()?;
        Ok(setting)
    }

    fn only(&self) -> Result<Option<Workspace>> {
        let mut backends = self.whole().into_iter().chain(&self.cached);
        let backend = backends.find(|backend| backend.kind() == Some("http"));
        let name = backend.and_then(|backend| backend.argument("address")).and_then(workspace_in_address);
        name.map(str::parse).transpose().map_err(|error: NameError| {
            let why = format!("the workspace in the address of the backend: {error}");
            Failure::usage(NOT_MOVED, why, "put its name there as it is, without escapes")
        })
    }

    /// The declared backend, with what its block leaves out.
    pub(super) fn whole(&self) -> Option<&Backend> {
        self.whole.as_ref()
    }

    /// What says where the state is and does not stand in the block: others may use the same files with other values.
    pub(super) fn elsewhere(&self) -> Vec<&'static str> {
        let Some(whole) = self.whole() else { return Vec::new() };
        let declared = self.declared();
        let is_elsewhere = |name: &&str| {
            let said = whole.argument(name);
            said.is_some() && said != declared.and_then(|declared| declared.argument(name))
        };
        whole.places().iter().map(|(name, _)| *name).filter(is_elsewhere).collect()
    }

    /// Refuses where the files and what `init` noted do not name one place: the state may be in either.
    pub(super) fn agrees(&self) -> Result<()> {
        let (why, next) = match (self.whole(), &self.cached) {
            (Some(declared), Some(noted)) => match declared.differs(noted) {
                Some(difference) => (disagreement(&difference), AFTER_INIT),
                None => return Ok(()),
            },
            (None, Some(noted)) if noted.kind() != Some("local") => {
                (format!("`terraform init` noted {}, and the files have no backend block", noted.title()), AFTER_INIT)
            }
            (Some(declared), None) if declared.kind() != Some("local") && self.has_local_states() => (
                format!("`init` has not been run for {}, and state files lie beside it", declared.title()),
                "see which of them is the state; give old files another name, or let `terraform init` take them along; then run the same command again",
            ),
            _ => return Ok(()),
        };
        Err(Failure::usage(NOT_MOVED, why, next))
    }

    /// Whether files with states lie where the `local` backend keeps them.
    pub(super) fn has_local_states(&self) -> bool {
        local_states(&self.directory, None).is_ok_and(|states| !states.is_empty())
    }

    /// The backend in the files.
    pub(super) fn declared(&self) -> Option<&Backend> {
        self.configuration.declared.as_ref().map(|declared| &declared.backend)
    }

    /// The workspace that is selected, unless it is the default one.
    pub(super) fn selected(&self) -> Option<Workspace> {
        selected_workspace(&self.data_dir)?.parse().ok()
    }

    /// The workspace that `TF_WORKSPACE` selects, unless it is the default one.
    pub(super) fn selected_by_variable(&self) -> Option<&str> {
        self.variable.as_deref().filter(|name| !name.is_empty() && *name != Workspace::default().as_str())
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

    /// The place of the declared `s3` backend, with the locks that the block and the command line name.
    pub(super) fn declared_s3(&self) -> Result<Target> {
        self.s3(|name| !LOCKS.contains(&name))
    }

    /// The place of the declared `s3` backend, with all locks that anybody may take: those that `init` noted, too.
    pub(super) fn locked_s3(&self) -> Result<Target> {
        self.s3(|_| true)
    }

    /// What the block leaves out, `init` may have noted.
    fn s3(&self, counts: impl Fn(&str) -> bool) -> Result<Target> {
        let mut given = self.given.clone();
        if let Some(noted) = &self.noted {
            let mut noted = noted.arguments().clone();
            noted.retain(|name, _| counts(name));
            given.add(&noted);
        }
        self.declared().iter().for_each(|declared| given.add(declared.arguments()));
        self.extra.iter().for_each(|extra| given.add(extra));
        given.target(None).map_err(|error| Failure::usage(NOT_MOVED, error.to_string(), error.advice()))
    }
}

/// What an `http` backend takes from the environment where nothing else says it.
fn of_environment(context: &Context) -> Backend {
    let address =
        context.environment.get("TF_HTTP_ADDRESS").map(|address| ("address".to_owned(), Some(address.to_owned())));
    Backend::Block { kind: "http".to_owned(), arguments: address.into_iter().collect() }
}

/// What Terraform reads, or `OpenTofu` where it alone has a backend. Refused where each has one of its own.
fn of_either_tool(directory: &Path) -> Result<Configuration> {
    let read = |tool| configuration_of(directory, tool, NOT_MOVED);
    let (terraform, tofu) = (read(Tool::Terraform)?, read(Tool::OpenTofu)?);
    let file = |configuration: &Configuration| Some(configuration.declared.as_ref()?.place.file.clone());
    match (file(&terraform), file(&tofu)) {
        (None, Some(_)) => Ok(tofu),
        (one, other) if one == other => Ok(terraform),
        (one, other) => {
            let of = |file: Option<String>| file.unwrap_or_else(|| "no file".to_owned());
            let why = format!("Terraform finds its backend in {}, and OpenTofu in {}", of(one), of(other));
            Err(Failure::usage(NOT_MOVED, why, "put the block into one file that both read, such as `backend.tf`"))
        }
    }
}

const AFTER_INIT: &str = "run `terraform init -reconfigure` if the state is where the files say, `terraform init -migrate-state` if it is where it was; then the same command again";

fn disagreement(Difference { argument, here, noted }: &Difference) -> String {
    match argument {
        Some(name) => format!("the files say `{name} = \"{here}\"`, and `terraform init` noted \"{noted}\""),
        None => format!("the files say {here}, and `terraform init` noted {noted}"),
    }
}
