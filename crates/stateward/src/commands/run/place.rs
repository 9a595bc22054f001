//! Which state a run is about, and whether its tool would come to it.

use std::path::PathBuf;

use stateward_aws::doctor::typed;
use stateward_core::{NameError, StateId, Workspace};
use stateward_terraform::{
    Backend, Configuration, Invocation, Need, Tool, cached, data_dir, selected_workspace, terragrunt_dependency,
};

use crate::cli::RunArgs;
use crate::config::Environment;
use crate::failure::{Failure, Result};
use crate::output;

const NOT_STARTED: &str = "the command was not started";
const DECLARE: &str =
    "declare `terraform { backend \"http\" {} }`, or let `--override` stand in for it during this run";

/// A run's directory and its state.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) state: StateId,
    /// Where the tool works.
    pub(super) directory: PathBuf,
    /// Where it keeps what it has downloaded and noted.
    pub(super) data_dir: PathBuf,
    /// What its configuration says; `None` where the tool is not known, or chooses directories by itself.
    configuration: Option<Configuration>,
    cached: Option<Backend>,
}

impl Place {
    pub(super) fn find(environment: &Environment, args: &RunArgs, invocation: Option<&Invocation<'_>>) -> Result<Self> {
        let told = |name| environment.get(name).is_some_and(|value| !matches!(value, "" | "0" | "f" | "false"));
        let by_variable = |invocation: &Invocation<'_>| {
            invocation.tool == Tool::Terragrunt && ["TG_ALL", "TG_GRAPH"].into_iter().any(told)
        };
        if invocation.is_some_and(|invocation| invocation.is_for_many() || by_variable(invocation)) {
            let why = "it would work on many directories, each with a state of its own, and a run has one state";
            return Err(Failure::usage(NOT_STARTED, why, "run it once in each directory"));
        }
        let tool = invocation.map(|invocation| invocation.tool);
        let chdir = invocation.and_then(|invocation| invocation.chdir);
        let directory =
            chdir.map_or_else(|| environment.current_dir.clone(), |chdir| environment.current_dir.join(chdir));
        let data_dir = data_dir(&directory, environment.get("TF_DATA_DIR"));
        if let Some(place) = terragrunt_dependency(&directory).filter(|_| tool == Some(Tool::Terragrunt)) {
            output::note(&format!(
                "warning: {place} declares `dependency`: if the other unit has a `backend \"http\" {{}}`, it gets the outputs of this run's state\n"
            ));
        }
        let configuration = tool
            .filter(|tool| *tool != Tool::Terragrunt)
            .map(|tool| Configuration::read(&directory, tool))
            .transpose()
            .map_err(|error| Failure::file(NOT_STARTED, &directory, &error, "check the directory, or `-chdir`"))?;
        // What cannot be read the tool tells of itself.
        let cached = cached(&data_dir).ok().flatten();
        let declared = configuration.as_ref().and_then(|configuration| configuration.declared.as_ref());
        let state = match &args.state {
            Some(state) => parse(state).map_err(|error| bad_name(state, "`--state`", &error))?,
            None => by_backend(declared.map(|declared| &declared.backend).into_iter().chain(&cached))?,
        };
        let workspace = workspace(args, &state, environment.get("TF_WORKSPACE"), selected_workspace(&data_dir))?;
        let state = StateId { name: state.id.name, workspace };
        if args.state.is_none() {
            output::note(&format!("the state is `{state}`\n"));
        }
        Ok(Self { state, directory, data_dir, configuration, cached })
    }

    /// What its configuration says, where that was read.
    pub(super) fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }

    /// Refuses a run that would go past the state, or in which the configuration would mean another thing.
    pub(super) fn check(&self, is_override: bool, need: Need) -> Result<()> {
        let Some(configuration) = &self.configuration else {
            return match is_override {
                false => Ok(()),
                true => {
                    let why =
                        "`--override` needs `terraform` or `tofu` itself behind `--`, to know which directory it means";
                    Err(Failure::usage(NOT_STARTED, why, "call the tool itself, or leave `--override` out"))
                }
            };
        };
        let is_default = self.state.workspace == Workspace::default();
        if let Some(place) = configuration.workspace.as_ref().filter(|_| !is_default) {
            let why = format!(
                "{place} uses `terraform.workspace`, which would be `default` and not `{}`: the `http` backend has no workspaces",
                self.state.workspace
            );
            return Err(Failure::usage(NOT_STARTED, why, "use an input variable in its place"));
        }
        match is_override {
            true => beyond(configuration),
            false => self.leads_here(configuration, need),
        }
    }

    fn leads_here(&self, configuration: &Configuration, need: Need) -> Result<()> {
        let Some(declared) = &configuration.declared else {
            if configuration.is_empty || !configuration.unreadable.is_empty() {
                // The tool says itself what is wrong.
                return Ok(());
            }
            let why = "its configuration declares no backend, so that its state would stay in a file";
            return Err(Failure::usage(NOT_STARTED, why, DECLARE));
        };
        let (backend, place) = (&declared.backend, &declared.place);
        if backend.kind() != Some("http") {
            let why = format!("{place} declares `{}`, so that its state would stay there", backend.title());
            return Err(Failure::usage(NOT_STARTED, why, DECLARE));
        }
        if let Some(argument) = backend.fixed_address() {
            let why = format!("{place} fixes the `{argument}` of the backend, so that its state would stay there");
            let next = "take the addresses out of the block, or let `--override` stand in for it during this run";
            return Err(Failure::usage(NOT_STARTED, why, next));
        }
        if let Some(argument) = self.cached.as_ref().and_then(Backend::fixed_address).filter(|_| need == Need::State) {
            let why = format!("the directory was initialised with an `{argument}` of its own, which would be asked");
            let state = typed(&self.state.to_string());
            let next = format!("initialise it again: stateward run --state {state} -- terraform init -reconfigure");
            return Err(Failure::usage(NOT_STARTED, why, next));
        }
        Ok(())
    }
}

fn beyond(configuration: &Configuration) -> Result<()> {
    let Some(declared) = configuration.beyond_override() else { return Ok(()) };
    let why = format!("{} declares `{}`, and comes after our override file", declared.place, declared.backend.title());
    Err(Failure::usage(NOT_STARTED, why, "rename that file, so that its name sorts before `stateward_override.tf`"))
}

/// A name, and whether it says the workspace.
struct Named {
    id: StateId,
    workspace: bool,
}

fn parse(text: &str) -> Result<Named, NameError> {
    Ok(Named { id: text.parse()?, workspace: text.contains('@') })
}

fn by_backend<'a>(backends: impl Iterator<Item = &'a Backend>) -> Result<Named> {
    let mut names = backends.filter_map(|backend| Some((backend.title(), backend.state_name()?)));
    let Some((title, (argument, name))) = names.next() else {
        let why = "neither `--state` nor the configuration's backend says which state it is about";
        return Err(Failure::usage(NOT_STARTED, why, "name the state: `--state NAME`"));
    };
    parse(&name).map_err(|error| bad_name(&name, &format!("the `{argument}` of `{title}`"), &error))
}

fn bad_name(name: &str, whence: &str, error: &NameError) -> Failure {
    let why = format!("{whence} is `{name}`: {error}");
    Failure::usage(NOT_STARTED, why, format!("name the state with `--state`: {}", NameError::SHAPE))
}

fn workspace(args: &RunArgs, state: &Named, variable: Option<&str>, selected: Option<String>) -> Result<Workspace> {
    match &args.workspace {
        Some(workspace) if state.workspace && *workspace != state.id.workspace => {
            let why = format!("`--workspace` is `{workspace}`, and the state's name says `{}`", state.id.workspace);
            return Err(Failure::usage(NOT_STARTED, why, "leave one of them out"));
        }
        Some(workspace) => return Ok(workspace.clone()),
        None if state.workspace => return Ok(state.id.workspace.clone()),
        None => {}
    }
    let Some(name) = variable.map(str::to_owned).or(selected) else { return Ok(state.id.workspace.clone()) };
    name.parse().map_err(|error| bad_name(&name, "the selected workspace", &error))
}
