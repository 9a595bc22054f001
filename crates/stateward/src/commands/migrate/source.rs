//! Where the state is.

use stateward_client::transfer::{Files, Held, Origin, Snapshots, fetch};
use stateward_client::{Connection, Secret};
use stateward_core::{Error, Kind, LockInfo, NameError, StateId, StateName, StatesQuery, Workspace};
use stateward_store_s3::Options;
use stateward_terraform::Backend;
use stateward_terraform::workdir::{self, HeldState, LocalState, local_states};

use super::super::state::bucket::S3State;
use super::super::terraform_state::options_of;
use super::super::{Context, TOOL};
use super::NOT_MOVED;
use super::locking::{Lock, held};
use super::setting::{Setting, noted_s3};
use crate::cli::MigrateArgs;
use crate::config::Target;
use crate::failure::{Failure, Result};
use crate::input::Input;
use crate::store::Missing;

/// The states of a configuration, where they are.
pub(super) enum Source {
    /// Files, held by Terraform's own lock.
    Local {
        files: Files,
        workspaces: Vec<Workspace>,
        /// They lie where Terraform looks for them whatever the backend is.
        is_usual: bool,
        _held: Vec<HeldState>,
    },
    Bucket(Box<S3State>),
    Stateward {
        connection: Box<dyn Connection>,
        states: Vec<StateId>,
    },
    /// Another `http` backend, whose locks we do not take.
    Http(Files),
}

/// The backend that a source is opened from.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    /// What the files declare; what `init` noted fills the gaps.
    Declared(&'a Backend),
    /// What `init` noted alone: the files say where the state shall be.
    Cached(&'a Backend),
    /// Terraform's default.
    Local,
}

impl Source {
    pub(super) async fn open(context: &Context, args: &MigrateArgs, setting: &Setting, from: From<'_>) -> Result<Self> {
        let backend = match from {
            From::Declared(backend) | From::Cached(backend) => Some(backend),
            From::Local => None,
        };
        match backend.map(|backend| (backend, backend.kind())) {
            None => Self::local(setting, None),
            Some((backend, Some("local"))) => Self::local(setting, Some(backend)),
            Some((backend, Some("s3"))) => {
                let target = match from {
                    From::Cached(_) => noted_s3(backend)?,
                    _ => setting.declared_s3()?,
                };
                Self::bucket(options_of(target)).await
            }
            Some((backend, Some("http"))) => Self::http(context, args, setting, backend).await,
            Some((backend, _)) => {
                let why = format!("the state is kept in {}, which is not read here", backend.title());
                let next = "where Terraform uses it, run: terraform state pull | stateward state import NAME -";
                Err(Failure::usage(NOT_MOVED, why, next))
            }
        }
    }

    async fn bucket(options: Options) -> Result<Self> {
        Ok(Self::Bucket(Box::new(S3State::open(options).await?)))
    }

    fn local(setting: &Setting, backend: Option<&Backend>) -> Result<Self> {
        let noted = backend.map(|backend| {
            let texts =
                backend.arguments().iter().filter_map(|(name, text)| Some((name.clone(), text.clone()?.into())));
            workdir::Backend { kind: "local".to_owned(), config: serde_json::Value::Object(texts.collect()) }
        });
        let failed = |error: workdir::WorkdirError| {
            Failure::usage(
                NOT_MOVED,
                error.to_string(),
                "check the directory, and that you may read and write its states",
            )
        };
        let states = local_states(&setting.directory, noted.as_ref()).map_err(failed)?;
        let (mut files, mut workspaces, mut all_held) =
            (Files::new(setting.directory.display().to_string()), Vec::new(), Vec::new());
        for state in states {
            let LocalState { workspace, path } = &state;
            let workspace: Workspace = workspace.parse().map_err(|error: NameError| {
                Failure::usage(NOT_MOVED, format!("the workspace `{workspace}`: {error}"), "rename it first")
            })?;
            let Some(file) = state.hold().map_err(failed)? else {
                let holder = state.holder().and_then(|raw| LockInfo::parse(raw.as_bytes()).ok()).unwrap_or_default();
                return Err(held(&path.display().to_string(), &holder, None).into());
            };
            let input =
                Input::of(file.file()).map_err(|error| Failure::file(NOT_MOVED, path, &error, "check the file"))?;
            files = files.with(workspace.clone(), None, Box::new(input));
            workspaces.push(workspace);
            all_held.push(file);
        }
        let is_usual = noted.is_none_or(|backend| backend.text("path").or(backend.text("workspace_dir")).is_none());
        Ok(Self::Local { files, workspaces, is_usual, _held: all_held })
    }

    async fn http(context: &Context, args: &MigrateArgs, setting: &Setting, backend: &Backend) -> Result<Self> {
        let variable = |argument: &str, name: &str| {
            backend.argument(argument).or(context.environment.get(name)).map(str::to_owned)
        };
        let address = variable("address", "TF_HTTP_ADDRESS");
        let password = variable("password", "TF_HTTP_PASSWORD").map(Secret::new);
        // A block without an address is one for `stateward run`.
        let Some(address) = address else {
            let Some(name) = &args.state else {
                let why = "the `http` block has no address: the state is where `stateward run` keeps it, under a name that the block does not say";
                return Err(Failure::usage(
                    NOT_MOVED,
                    why,
                    "name it with `--state NAME`, and its place with `--store` or `--server`",
                ));
            };
            let connection = context.open().await?;
            return Self::stateward(connection, name).await;
        };
        if let Some((server, name)) = address.split_once("/state/")
            && let Ok(server) = server.parse()
        {
            let path = name.split('?').next().unwrap_or_default();
            let name = args.state.clone().map_or_else(|| path.parse(), Ok).map_err(|error: NameError| {
                Failure::usage(
                    NOT_MOVED,
                    format!("the address of the backend: {error}"),
                    "name the state with `--state NAME`",
                )
            })?;
            let (server, settings) = (Target::Server(server), context.settings());
            // The token of the usual server is shown to no other.
            let token = if server == context.config.target { &settings.token } else { &settings.from_token };
            let connection = context.connect_to(&server, token.as_ref().or(password.as_ref()), Missing::Refuse).await?;
            return Self::stateward(connection, &name).await;
        }
        let login = variable("username", "TF_HTTP_USERNAME").zip(password);
        let login = login.as_ref().map(|(name, password)| (name.as_str(), password));
        let fetched = fetch(&address, login, TOOL).await?;
        let input = Input::copy_of(fetched.body).await?;
        let workspace = setting.selected().unwrap_or_default();
        Ok(Self::Http(Files::new(fetched.address).with(workspace, None, Box::new(input))))
    }

    async fn stateward(connection: Box<dyn Connection>, name: &StateName) -> Result<Self> {
        let query = StatesQuery { prefix: name.to_string(), ..StatesQuery::default() };
        let items = connection.states(&query).await?.items;
        let own = items.into_iter().filter(|item| item.state == *name);
        let states: Vec<StateId> = own.map(|item| StateId { name: item.state, workspace: item.workspace }).collect();
        if states.is_empty() {
            let why = format!("there is no state `{name}` in {}", connection.place());
            let next = "see `stateward state list`, and name it with `--state NAME`";
            return Err(Error::new(Kind::NotFound, NOT_MOVED, why, next).into());
        }
        Ok(Self::Stateward { connection, states })
    }

    pub(super) fn name(&self, setting: &Setting) -> String {
        match self {
            Self::Local { .. } => format!("files in {}", setting.directory.display()),
            Self::Bucket(bucket) => {
                format!("{} (Terraform's own `s3` backend)", stateward_client::transfer::Place::name(&**bucket))
            }
            Self::Stateward { connection, states } => match states.first() {
                Some(state) => format!("{} in {}", state.name, connection.place()),
                None => connection.place(),
            },
            Self::Http(files) => format!("{} (an `http` backend)", stateward_client::transfer::Place::name(files)),
        }
    }

    /// Each state with where it comes from. `all`: with its old versions.
    pub(super) async fn origins(&self, all: bool) -> Result<Vec<(Workspace, Box<dyn Origin + '_>)>> {
        let (place, workspaces): (&dyn stateward_client::transfer::Place, Vec<Workspace>) = match self {
            Self::Local { files, workspaces, .. } => (files, workspaces.clone()),
            Self::Bucket(bucket) => (&**bucket, bucket.there().await?),
            Self::Http(files) => (files, stateward_client::transfer::Place::workspaces(files).await?),
            Self::Stateward { connection, states } => {
                let origin = |state| -> Box<dyn Origin + '_> { Box::new(Held::new(&**connection, state)) };
                return Ok(states.iter().map(|state| (state.workspace.clone(), origin(state))).collect());
            }
        };
        let mut origins: Vec<(Workspace, Box<dyn Origin + '_>)> = Vec::new();
        for workspace in workspaces {
            let looked = Snapshots::look(place, workspace.clone(), all, &mut |_| {}).await?;
            origins.push((workspace, Box::new(looked)));
        }
        Ok(origins)
    }

    /// The lock of a workspace. Files are held already; of a foreign `http` backend we have none.
    pub(super) fn lock(&self, workspace: &Workspace) -> Option<Lock<'_>> {
        match self {
            Self::Bucket(bucket) if bucket.place().takes_locks() => Some(Lock::Place(bucket, workspace.clone())),
            Self::Stateward { connection, states } => {
                let state = states.iter().find(|state| state.workspace == *workspace)?;
                Some(Lock::State(&**connection, state.clone()))
            }
            _ => None,
        }
    }

    /// Whether `init` would ask to copy the states once more.
    pub(super) fn is_in_the_way(&self) -> bool {
        matches!(self, Self::Local { is_usual: true, workspaces, .. } if !workspaces.is_empty())
    }

    /// What may go when nobody needs it any more.
    pub(super) fn leftovers(&self, setting: &Setting) -> String {
        match self {
            Self::Local { .. } => format!("the state files in `{}`", setting.directory.display()),
            Self::Bucket(bucket) => format!("the objects of {}", stateward_client::transfer::Place::name(&**bucket)),
            Self::Stateward { states, .. } => {
                let names: Vec<String> = states.iter().map(ToString::to_string).collect();
                format!("the state in stateward, with `stateward state delete` ({})", names.join(", "))
            }
            Self::Http(files) => format!("the state at {}", stateward_client::transfer::Place::name(files)),
        }
    }
}
