//! Where the state is.

use stateward_client::transfer::{Files, Held, Origin, Place, Snapshots, fetch, public_address};
use stateward_client::{Connection, Secret};
use stateward_core::{Error, Kind, Original, Result as CoreResult, Workspace};
use stateward_store_s3::Options;
use stateward_terraform::Backend;

use super::super::state::bucket::{Current, S3State};
use super::super::terraform_state::noted_target;
use super::super::{Context, TOOL};
use super::NOT_MOVED;
use super::local::Local;
use super::locking::{Lock, noted};
use super::ours::Ours;
use super::setting::Setting;
use crate::cli::MigrateArgs;
use crate::config::Target as Config;
use crate::failure::{Failure, Result};
use crate::input::Input;
use crate::store::Missing;

/// The states of a configuration, where they are. What there is, is asked for anew each time.
pub(super) enum Source {
    Local(Local),
    Bucket(Box<S3State>),
    Stateward { connection: Box<dyn Connection>, at: String, ours: Ours },
    Http(Remote),
}

/// Another `http` backend, whose locks we do not take.
pub(super) struct Remote {
    address: String,
    login: Option<(String, Secret)>,
    workspace: Workspace,
}

impl Remote {
    fn name(&self) -> String {
        format!("{} (an `http` backend)", public_address(&self.address))
    }

    async fn fetch(&self) -> Result<Files> {
        let login = self.login.as_ref().map(|(name, password)| (name.as_str(), password));
        let fetched = fetch(&self.address, login, TOOL).await?;
        let input = Input::copy_of(fetched.body).await?;
        Ok(Files::new(fetched.address).with(self.workspace.clone(), None, Box::new(input)))
    }
}

/// What says where the state of a `local` or `http` backend is, and is a variable or the like; of `s3` its own reader says so.
fn not_written_out(backend: &Backend) -> Option<&'static str> {
    let is_open = |name: &&str| backend.arguments().get(*name).is_some_and(Option::is_none);
    backend.places().iter().map(|(name, _)| *name).find(|name| backend.kind() != Some("s3") && is_open(name))
}

/// A state as it comes.
pub(super) struct Coming<'a> {
    pub(super) workspace: Workspace,
    pub(super) origin: Box<dyn Origin + 'a>,
    /// Old versions that are no states.
    pub(super) left_out: u64,
    /// Why there may be old versions that are not seen.
    pub(super) unseen: Option<String>,
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
        if let Some(open) = backend.and_then(not_written_out) {
            let why = format!("`{open}` is not written out in the block, and `init` has not noted it");
            let next = format!("pass it with `--backend-config {open}=VALUE`");
            return Err(Failure::usage(NOT_MOVED, why, next));
        }
        match backend.map(|backend| (backend, backend.kind())) {
            None => Local::hold(&setting.directory, None).map(Self::Local),
            Some((backend, Some("local"))) => Local::hold(&setting.directory, Some(backend)).map(Self::Local),
            Some((backend, Some("s3"))) => {
                let target = match from {
                    From::Cached(_) => noted_target(setting.given.clone(), backend, NOT_MOVED)?,
                    _ => setting.locked_s3()?,
                };
                Self::bucket(target.options()).await
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
        Ok(Self::Bucket(Box::new(S3State::open(options, NOT_MOVED).await?)))
    }

    async fn http(context: &Context, args: &MigrateArgs, setting: &Setting, backend: &Backend) -> Result<Self> {
        let variable = |argument: &str, name: &str| {
            backend.argument(argument).or(context.environment.get(name)).map(str::to_owned)
        };
        let address = backend.argument("address").map(str::to_owned);
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
            let at = context.config.target.clone();
            return Self::stateward(connection, &at, Ours { name: name.clone(), only: None }).await;
        };
        if let Some((server, name)) = address.split_once("/state/")
            && let Ok(server) = server.parse()
            && let Some(name) = name.split('?').next().and_then(|path| path.parse().ok()).or(args.state.clone())
        {
            let (server, settings) = (Config::Server(server), context.settings());
            // The token of the usual server is shown to no other.
            let token = if server == context.config.target { &settings.token } else { &settings.from_token };
            let connection = context.connect_to(&server, token.as_ref().or(password.as_ref()), Missing::Refuse).await?;
            match Self::stateward(connection, &server, Ours { name, only: setting.only.clone() }).await {
                // Others, such as GitLab, have such addresses, too.
                Err(Failure::Refused(error)) if error.kind() == Kind::Unsupported => {}
                opened => return opened,
            }
        }
        let login = variable("username", "TF_HTTP_USERNAME").zip(password);
        let workspace = setting.selected().unwrap_or_default();
        Ok(Self::Http(Remote { address, login, workspace }))
    }

    async fn stateward(connection: Box<dyn Connection>, at: &Config, ours: Ours) -> Result<Self> {
        if ours.workspaces(&*connection).await?.is_empty() {
            let why = format!("there is no state `{ours}` in {}", connection.place());
            let next = "see `stateward state list`, and name it with `--state NAME`";
            return Err(Error::new(Kind::NotFound, NOT_MOVED, why, next).into());
        }
        Ok(Self::Stateward { connection, at: noted(at).await, ours })
    }

    pub(super) fn name(&self, setting: &Setting) -> String {
        match self {
            Self::Local { .. } => format!("files in {}", setting.directory.display()),
            Self::Bucket(bucket) => format!("{} (Terraform's own `s3` backend)", Place::name(&**bucket)),
            Self::Stateward { connection, ours, .. } => format!("{ours} in {}", connection.place()),
            Self::Http(remote) => remote.name(),
        }
    }

    /// The workspaces in which there is a state, as Terraform calls them.
    async fn workspaces(&self) -> CoreResult<Vec<Workspace>> {
        match self {
            Self::Local(local) => Ok(local.workspaces.clone()),
            Self::Bucket(bucket) => bucket.there().await,
            Self::Http(remote) => Ok(vec![remote.workspace.clone()]),
            Self::Stateward { connection, ours, .. } => ours.workspaces(&**connection).await,
        }
    }

    /// Each state with where it comes from. `all`: with its old versions.
    pub(super) async fn origins(&self, all: bool) -> Result<Vec<Coming<'_>>> {
        let mut origins = Vec::new();
        for workspace in self.workspaces().await? {
            let coming = self.origin(&workspace, all).await;
            origins.push(coming.map_err(|error| self.no_state(&workspace, error))?);
        }
        Ok(origins)
    }

    async fn origin(&self, workspace: &Workspace, all: bool) -> Result<Coming<'_>> {
        let (of, mut quiet, mut unseen) = (workspace.clone(), |_| {}, None);
        let looked = match self {
            Self::Local(local) => Snapshots::look(&local.files, of, all, &mut quiet).await?,
            Self::Http(remote) => Snapshots::look(remote.fetch().await?, of, all, &mut quiet).await?,
            Self::Stateward { connection, ours, .. } => {
                let origin = Box::new(Held::new(&**connection, &ours.id(&of)));
                return Ok(Coming { workspace: of, origin, left_out: 0, unseen });
            }
            Self::Bucket(bucket) => {
                let with_old = match all {
                    true => Some(Snapshots::look(&**bucket, of.clone(), true, &mut quiet).await),
                    false => None,
                };
                match with_old {
                    Some(Err(error)) if matches!(error.kind(), Kind::Denied | Kind::Unsupported) => {
                        unseen = Some(error.why().to_owned());
                        Snapshots::look(Current(bucket), of, false, &mut quiet).await?
                    }
                    Some(looked) => looked?,
                    None => Snapshots::look(Current(bucket), of, false, &mut quiet).await?,
                }
            }
        };
        let left_out = looked.left_out.len() as u64;
        Ok(Coming { workspace: workspace.clone(), origin: Box::new(looked), left_out, unseen })
    }

    /// Which one it is that is no state.
    fn no_state(&self, workspace: &Workspace, failure: Failure) -> Failure {
        let error = match failure {
            Failure::Refused(error) if error.kind() == Kind::Invalid => error,
            other => return other,
        };
        let of = match self {
            Self::Local(local) => local.title(workspace),
            Self::Bucket(bucket) => bucket.title(workspace),
            Self::Stateward { .. } | Self::Http(_) => return error.into(),
        };
        // The advice is for who posts one.
        let why = error.why().trim_end_matches("; send the state file itself");
        let next = "bring the state back from a backup; or if there is none to bring back, take away what stands there";
        Error::new(Kind::Invalid, NOT_MOVED, format!("{of} is no state: {why}"), next).into()
    }

    /// The SHA-256 of the current version of each state.
    pub(super) async fn currents(&self) -> Result<Vec<(Workspace, String)>> {
        let mut currents = Vec::new();
        for Coming { workspace, origin, .. } in self.origins(false).await? {
            let versions = origin.versions().await?;
            currents.extend(versions.into_iter().next_back().map(|found| (workspace, found.original.sha256)));
        }
        Ok(currents)
    }

    /// Refuses where Terraform would not read the current version, because its digest is another's.
    pub(super) async fn see_that_it_fits(&self, workspace: &Workspace, current: &Original) -> Result<()> {
        let Self::Bucket(bucket) = self else { return Ok(()) };
        let digest = bucket.place().digest(&bucket.spot(workspace)).await.map_err(Error::from)?;
        if digest.is_none_or(|digest| digest == current.md5) {
            return Ok(());
        }
        let why = format!(
            "{}: its digest in the lock table is that of other bytes, so Terraform refuses it",
            bucket.title(workspace)
        );
        let next = format!(
            "which of the two is right says: stateward state repair {}; then run the same command again",
            bucket.argument(workspace)
        );
        Err(Error::new(Kind::Corrupt, NOT_MOVED, why, next).into())
    }

    /// Refuses where what was read is not all that there is, or somebody stands next in line to write it.
    pub(super) async fn see_that_it_stands(&self, workspaces: &[Workspace]) -> Result<()> {
        if let Self::Local(local) = self {
            return local.see_that_it_stands();
        }
        let Self::Stateward { connection, ours, .. } = self else { return Ok(()) };
        for state in workspaces.iter().map(|workspace| ours.id(workspace)) {
            let waiting: u64 = connection.locks(Some(&state)).await?.items.iter().map(|lock| lock.queue).sum();
            if waiting > 0 {
                let why = format!("others wait for the lock on `{state}` ({waiting}), and would write where it was");
                let next = "wait for the end of their runs, and run the same command again";
                return Err(Error::new(Kind::Locked, NOT_MOVED, why, next).into());
            }
        }
        Ok(())
    }

    /// The lock of a workspace. Files are held already; of a foreign `http` backend we have none.
    pub(super) fn lock(&self, workspace: &Workspace) -> Option<Lock<'_>> {
        match self {
            Self::Bucket(bucket) if bucket.place().takes_locks() => Some(Lock::Place(bucket, workspace.clone())),
            Self::Stateward { connection, at, ours } => Some(Lock::State(&**connection, at, ours.id(workspace))),
            _ => None,
        }
    }

    /// Whether `init` would ask to copy the states once more.
    pub(super) fn is_in_the_way(&self) -> bool {
        matches!(self, Self::Local(local) if local.is_usual)
    }

    /// Refuses where the state files could not be put aside.
    pub(super) fn can_be_put_aside(&self) -> Result<()> {
        match self {
            Self::Local(local) => local.can_be_put_aside(),
            _ => Ok(()),
        }
    }

    /// Puts the state files aside for which `init` would ask.
    pub(super) fn put_aside(&self) -> Result<()> {
        match self {
            Self::Local(local) => local.put_aside(),
            _ => Ok(()),
        }
    }

    /// What may go when nobody needs it any more.
    pub(super) fn leftovers(&self, setting: &Setting, workspaces: &[Workspace]) -> String {
        match self {
            Self::Local(local) => {
                let usual = local.is_usual.then(|| format!("the state files in `{}`", setting.directory.display()));
                let elsewhere = local.elsewhere.iter().map(|path| format!("`{}`", path.display()));
                usual.into_iter().chain(elsewhere).collect::<Vec<_>>().join(" and ")
            }
            Self::Bucket(bucket) => {
                let place = bucket.place();
                let object = |workspace| format!("s3://{}/{}", place.bucket(), place.object(&bucket.spot(workspace)));
                workspaces.iter().map(object).collect::<Vec<_>>().join(" and ")
            }
            Self::Stateward { ours, .. } => {
                let names: Vec<String> = workspaces.iter().map(|workspace| ours.id(workspace).to_string()).collect();
                format!("the state in stateward, with `stateward state delete` ({})", names.join(", "))
            }
            Self::Http(remote) => format!("the state at {}", public_address(&remote.address)),
        }
    }
}
