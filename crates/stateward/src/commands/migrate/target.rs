//! Where the state shall be.

use stateward_aws::doctor::{self, typed};
use stateward_client::transfer::{There, bring_outside, compare_current, copy, look_outside};
use stateward_client::{Connection, Secret};
use stateward_core::{Error, Kind, Original, StateId, StateName, Workspace};
use stateward_store_s3::{Options, Sharing};
use stateward_terraform::{Backend, Written, workspace_in_address};

use super::super::Context;
use super::super::state::bucket::S3State;
use super::NOT_MOVED;
use super::block;
use super::locking::{Lock, Locks, noted};
use super::ours::Ours;
use super::setting::Setting;
use super::states::Moving;
use super::told::{self, Check, Status};
use crate::cli::{MigrateArgs, MigrateTo};
use crate::config::{StoreUrl, Target as Config};
use crate::failure::{Failure, Result};
use crate::store::Missing;

/// Where the state shall be.
pub(super) enum Target {
    Bucket {
        state: Box<S3State>,
        options: Box<Options>,
        /// With the lock file alone, where there is one.
        file: Option<Box<S3State>>,
        chose_lock: bool,
    },
    /// Without a connection where the store is yet to be made.
    Stateward {
        at: Config,
        connection: Option<Box<dyn Connection>>,
        /// By which a lock of it is found from elsewhere.
        noted: String,
        ours: Ours,
        /// All commands work on this store or server, unless told otherwise.
        is_usual: bool,
        /// We have a token for it, and so has Terraform to have one.
        has_token: bool,
    },
}

impl Target {
    pub(super) async fn open(context: &Context, args: &MigrateArgs, setting: &Setting) -> Result<Self> {
        let at = match &args.to {
            MigrateTo::S3(url) => return Self::bucket(url).await,
            MigrateTo::Stateward(at) => at.clone().unwrap_or_else(|| context.config.target.clone()),
            MigrateTo::LockFile | MigrateTo::LockTable => context.config.target.clone(),
        };
        if at == Config::Store(StoreUrl::Memory) {
            let next = "name a store or server with `--store` or `--server`";
            return Err(Failure::usage(NOT_MOVED, "the store is `memory:`, which ends with its process", next));
        }
        let ours = Ours { name: name(args, setting)?, only: setting.only.clone() };
        let connection = match context.connect_to(&at, token(context, &at), Missing::Refuse).await {
            Ok(connection) => Some(connection),
            Err(Failure::Refused(error)) if error.kind() == Kind::NotFound && matches!(at, Config::Store(_)) => None,
            Err(failure) => return Err(failure),
        };
        let is_usual = at == context.config.target;
        let has_token = matches!(at, Config::Server(_)) && token(context, &at).is_some();
        let noted = noted(&at).await;
        Ok(Self::Stateward { at, connection, noted, ours, is_usual, has_token })
    }

    async fn bucket(url: &str) -> Result<Self> {
        let refused = |why: String| Failure::usage(NOT_MOVED, why, "write it as `s3://BUCKET/KEY?region=…`");
        if url.split('?').next().is_some_and(|path| path.ends_with('/')) {
            return Err(refused("the key ends with a slash, which Terraform does not take".to_owned()));
        }
        let mut options = Options::from_url(url).map_err(|error| refused(error.to_string()))?;
        let sharing = options.sharing.get_or_insert_default();
        let chose_lock = sharing.lock_table.is_none() && !sharing.use_lockfile;
        sharing.use_lockfile |= chose_lock;
        let file = match sharing.use_lockfile {
            true => {
                let alone = Sharing { lock_table: None, ..sharing.clone() };
                Some(Box::new(S3State::open(Options { sharing: Some(alone), ..options.clone() }, NOT_MOVED).await?))
            }
            false => None,
        };
        let state = Box::new(S3State::open(options.clone(), NOT_MOVED).await?);
        Ok(Self::Bucket { state, options: Box::new(options), file, chose_lock })
    }

    /// Makes the store that is not there yet.
    pub(super) async fn make(&mut self, context: &Context) -> Result<()> {
        if let Self::Stateward { at, connection: connection @ None, noted, .. } = self {
            *connection = Some(context.connect_to(at, token(context, at), Missing::Make).await?);
            *noted = self::noted(at).await;
        }
        Ok(())
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Bucket { state, .. } => {
                format!("{} (Terraform's own `s3` backend)", stateward_client::transfer::Place::name(&**state))
            }
            Self::Stateward { at: Config::Store(store), ours, .. } => format!("{ours} in {store}"),
            Self::Stateward { at: Config::Server(server), ours, .. } => format!("{ours} in {server}"),
        }
    }

    /// Whether a backend is this very place.
    pub(super) fn is(&self, backend: &Backend, place: Option<&doctor::Target>) -> bool {
        match self {
            Self::Bucket { options, .. } => {
                let prefix = options.sharing.clone().unwrap_or_default().workspace_key_prefix;
                let endpoint = options.access.endpoint.as_deref().map(|url| url.trim_end_matches('/'));
                backend.kind() == Some("s3")
                    && place.is_some_and(|there| {
                        let theirs = there.endpoints.s3.as_deref().map(|url| url.trim_end_matches('/'));
                        (&there.place, &there.key, &there.workspace_key_prefix, theirs)
                            == (&options.bucket, &options.prefix, &prefix, endpoint)
                    })
            }
            Self::Stateward { at: Config::Server(server), ours: Ours { name, only }, .. } => {
                let own = format!("{server}/state/{name}");
                let address = backend.argument("address").filter(|_| backend.kind() == Some("http"));
                address.is_some_and(|address| {
                    address.split('?').next() == Some(own.as_str())
                        && workspace_in_address(address) == only.as_ref().map(Workspace::as_str)
                })
            }
            Self::Stateward { at: Config::Store(_), .. } => is_for_run(backend),
        }
    }

    /// Whether a backend that may be this place may as well be another: a block for `stateward run` does not say which store.
    pub(super) fn may_be_another(&self, backend: &Backend) -> bool {
        matches!(self, Self::Stateward { at: Config::Store(_), is_usual: false, .. }) && is_for_run(backend)
    }

    pub(super) fn is_stateward(&self) -> bool {
        matches!(self, Self::Stateward { .. })
    }

    pub(super) fn block(&self) -> Written {
        match self {
            Self::Bucket { options, .. } => block::s3(options),
            Self::Stateward { at: Config::Server(server), ours, .. } => {
                block::server(server, &ours.name, ours.only.as_ref())
            }
            Self::Stateward { at: Config::Store(_), .. } => block::store(),
        }
    }

    /// The store is not there yet.
    pub(super) fn is_to_be_made(&self) -> bool {
        matches!(self, Self::Stateward { connection: None, .. })
    }

    /// What can be known of the place before anything is moved.
    pub(super) async fn checks(&self) -> Result<Vec<Check>> {
        let Self::Bucket { state, options, chose_lock, .. } = self else { return Ok(Vec::new()) };
        let bucket = &options.bucket;
        let mut checks = vec![match state.place().keeps_versions().await {
            Ok(true) => Check::new("bucket-versioning", Status::Ok, format!("the bucket {bucket} keeps versions")),
            Ok(false) => Check::new(
                "bucket-versioning",
                Status::Warn,
                format!(
                    "the bucket {bucket} keeps no versions: a state that is overwritten is lost; turn versioning on"
                ),
            ),
            Err(error) => {
                let error = Error::from(error);
                if error.kind() != Kind::Denied {
                    return Err(error.into());
                }
                let title = format!("it is not known whether the bucket {bucket} keeps versions: {}", error.why());
                Check::new("bucket-versioning", Status::Warn, title)
            }
        }];
        let without = block::without_argument(options);
        if !without.is_empty() {
            let title = format!(
                "the block can say nothing of {}: Terraform writes the next state without, unless its environment has it",
                without.join(", ")
            );
            checks.push(Check::new("block", Status::Warn, title));
        }
        if *chose_lock {
            let title = "the URL names no lock: a lock file is taken (`use_lockfile`)";
            checks.push(Check::new("lock", Status::Ok, title));
        }
        if state.place().uses_lockfile() {
            checks.push(told::needs_lock_files());
        }
        Ok(checks)
    }

    /// What to do where the block takes another lock at this place than the one that was asked for.
    pub(super) fn other_lock(&self, declared: &doctor::Target) -> Option<String> {
        let Self::Bucket { options, chose_lock: false, .. } = self else { return None };
        let wanted = options.sharing.as_ref()?;
        let is_same = (&wanted.lock_table, wanted.use_lockfile) == (&declared.lock_table, declared.use_lockfile);
        let to = match &wanted.lock_table {
            Some(table) if declared.lock_table.is_none() => format!("dynamodb-lock --lock-table {table}"),
            Some(_) if !wanted.use_lockfile => "dynamodb-lock".to_owned(),
            _ => "lockfile".to_owned(),
        };
        (!is_same).then(|| format!("the state is there, and the block locks it in another way than was asked for: stateward migrate --to {to}"))
    }

    pub(super) fn lock(&self, workspace: &Workspace) -> Option<Lock<'_>> {
        match self {
            Self::Bucket { state, .. } => Some(Lock::Place(state, workspace.clone())),
            // Copying takes care of it.
            Self::Stateward { .. } => None,
        }
    }

    /// By which lock the place can be known.
    pub(super) fn held_as(&self, workspace: &Workspace) -> Option<Lock<'_>> {
        match self {
            Self::Bucket { .. } => self.lock(workspace),
            Self::Stateward { noted, connection, ours, .. } => {
                Some(Lock::State(connection.as_deref()?, noted, ours.id(workspace)))
            }
        }
    }

    /// Refuses where a lock file does not keep others out; the lock of this workspace has to be held.
    pub(super) async fn see_that_it_keeps_out(&self, locks: &mut Locks<'_>, held: &Workspace) -> Result<()> {
        match self {
            Self::Bucket { file: Some(file), .. } => locks.see_that_it_keeps_out(file, held).await,
            Self::Bucket { .. } | Self::Stateward { .. } => Ok(()),
        }
    }

    /// The workspaces in which there is a state already.
    pub(super) async fn workspaces(&self) -> Result<Vec<Workspace>> {
        Ok(match self {
            Self::Bucket { state, .. } => state.there().await?,
            Self::Stateward { connection: None, .. } => Vec::new(),
            Self::Stateward { connection: Some(connection), ours, .. } => ours.workspaces(&**connection).await?,
        })
    }

    /// The table that should have the digest of a state, and has not.
    pub(super) async fn lacks_digest(&self, workspace: &Workspace, current: &Original) -> Result<Option<&str>> {
        let Self::Bucket { state, .. } = self else { return Ok(None) };
        let Some(table) = state.place().lock_table() else { return Ok(None) };
        let digest = state.place().digest(&state.spot(workspace)).await.map_err(Error::from)?;
        Ok((digest.as_ref() != Some(&current.md5)).then_some(table))
    }

    /// What stands there, beside the versions that are to come.
    pub(super) async fn look(&self, workspace: &Workspace, versions: &[Original]) -> Result<Look> {
        let Some(current) = versions.last() else { return Ok(Look::Nothing) };
        match self {
            Self::Bucket { state, .. } => {
                let found = look_outside(current, state.place(), &state.spot(workspace)).await;
                Ok(match found.map_err(|error| unfit(state.unread(error), &state.title(workspace)))? {
                    There::Nothing => Look::Nothing,
                    There::Same => Look::Same,
                    There::Later { serial } => Look::Later(serial),
                    There::Other { why } => Look::Other(why),
                })
            }
            Self::Stateward { connection: None, .. } => Ok(Look::Nothing),
            Self::Stateward { connection: Some(connection), ours, .. } => {
                look_inside(&**connection, &ours.id(workspace), versions).await
            }
        }
    }

    /// Brings a state there, unless it has gone on, and compares it.
    pub(super) async fn bring(&self, Moving { workspace, origin, look, .. }: &Moving<'_>) -> Result<()> {
        let origin = &**origin;
        match (self, look) {
            (_, Look::Later(_)) | (Self::Stateward { connection: None, .. }, _) => Ok(()),
            (Self::Bucket { state, .. }, _) => {
                let brought = bring_outside(origin, state.place(), &state.spot(workspace)).await;
                Ok(brought.map_err(|error| unfit(error, &state.title(workspace)))?)
            }
            (Self::Stateward { connection: Some(connection), ours, .. }, Look::Current) => {
                Ok(compare_current(origin, &**connection, &ours.id(workspace)).await?)
            }
            (Self::Stateward { connection: Some(connection), ours, .. }, _) => {
                copy(origin, &**connection, &ours.id(workspace), &mut |_| {}).await?;
                Ok(())
            }
        }
    }

    /// How to see that it is right. `has_state`: there is something at the place.
    pub(super) fn next(&self, setting: &Setting, has_state: bool) -> Vec<String> {
        let chdir = match setting.directory.as_os_str() {
            directory if directory == "." => String::new(),
            directory => format!(" -chdir={}", typed(&directory.to_string_lossy())),
        };
        match self {
            Self::Stateward { at: Config::Store(store), ours, .. } => {
                let run = format!("stateward run --store '{store}' --state {ours} --");
                vec![format!("{run} terraform{chdir} init -reconfigure"), format!("{run} terraform{chdir} plan")]
            }
            _ => {
                let token = "export TF_HTTP_USERNAME=anything TF_HTTP_PASSWORD=TOKEN   (the token of the server)";
                let token = matches!(self, Self::Stateward { has_token: true, .. }).then(|| token.to_owned());
                let not = if has_state { "     (not -migrate-state: the state is there already)" } else { "" };
                let terraform = [format!("terraform{chdir} init -reconfigure{not}"), format!("terraform{chdir} plan")];
                token.into_iter().chain(terraform).collect()
            }
        }
    }
}

/// A block for `stateward run`, which has the address in the environment.
fn is_for_run(backend: &Backend) -> bool {
    backend.kind() == Some("http") && !backend.arguments().contains_key("address")
}

/// The token for a server; that of the usual one is shown to no other.
fn token<'a>(context: &'a Context, at: &Config) -> Option<&'a Secret> {
    let settings = context.settings();
    if *at == context.config.target { settings.token.as_ref() } else { settings.to_token.as_ref() }
}

/// What was found where a state is to come.
pub(super) enum Look {
    Nothing,
    Same,
    /// The same current version, with another history.
    Current,
    /// The first of the versions, and no others.
    Part,
    /// A later state of the same lineage, with this serial.
    Later(u64),
    Other(String),
}

async fn look_inside(connection: &dyn Connection, state: &StateId, versions: &[Original]) -> Result<Look> {
    let there = match connection.history(state, None, None).await {
        Ok(list) => list.items,
        Err(error) if error.kind() == Kind::NotFound => return Ok(Look::Nothing),
        Err(error) => return Err(error.into()),
    };
    let (Some(head), Some(current)) = (there.iter().find(|item| item.head).or(there.first()), versions.last()) else {
        return Ok(Look::Nothing);
    };
    let is_beginning = there.iter().rev().zip(versions).all(|(item, version)| item.sha256 == version.sha256);
    Ok(if is_beginning && there.len() == versions.len() {
        Look::Same
    } else if is_beginning && there.len() < versions.len() {
        Look::Part
    } else if head.head && head.sha256 == current.sha256 {
        Look::Current
    } else if head.lineage == current.lineage && head.serial > current.serial {
        Look::Later(head.serial)
    } else if !head.head {
        Look::Other(format!("`{state}` was deleted there, and is kept with serial {} and another history", head.serial))
    } else {
        Look::Other(format!("`{state}` is there with serial {} and another history", head.serial))
    })
}

/// The state's name in stateward: the one that was given, or what the backend calls it.
fn name(args: &MigrateArgs, setting: &Setting) -> Result<StateName> {
    if let Some(name) = &args.state {
        return Ok(name.clone());
    }
    let known = setting.whole().into_iter().chain(&setting.cached).find_map(Backend::state_name);
    known.and_then(|(_, name)| name.split('@').next()?.parse().ok()).ok_or_else(|| {
        Failure::usage(
            NOT_MOVED,
            "the configuration has no name for its state that could be one here",
            "give it one with `--state NAME`",
        )
    })
}

/// Bytes that do not fit their digest are no damage of a store of ours.
fn unfit(error: Error, what: &str) -> Error {
    if error.kind() != Kind::Corrupt {
        return error;
    }
    let next = "put right which of the two is wrong, as it says; then run the same command again";
    Error::new(Kind::Corrupt, format!("what stands at {what} does not fit its digest"), error.why(), next)
}
