//! States that Terraform's own `s3` backend keeps, where they are: no store of ours is needed.

use std::fmt::Write;

use jiff::Timestamp;
use stateward_aws::doctor::{Given, Place, Target, typed};
use stateward_core::{Error, Kind};
use stateward_store::StoreError;
use stateward_store::outside::Spot;
use stateward_store_s3::{LockKind, Options, TerraformPlace};
use stateward_terraform::Backend;

use super::Context;
use super::doctor::backend_of_directory;
use crate::cli::TerraformStateArgs;
use crate::failure::{Failure, Result};
use crate::store;

const DEFAULT_WORKSPACE: &str = "default";
const WRITE_IT_AS: &str = "write it as `s3://BUCKET/KEY?region=…`";

/// One state of the backend.
pub(super) struct TerraformState {
    pub(super) place: TerraformPlace,
    pub(super) at: Spot,
    typed: Place,
}

impl TerraformState {
    /// `refusal` is what a message begins with.
    pub(super) async fn open(context: &Context, args: &TerraformStateArgs, refusal: &str) -> Result<Self> {
        let mut source = args.source.display().to_string();
        let (options, workspace) = match args.url() {
            Some(url) => {
                let refused = |why: String| Failure::usage(refusal, why, WRITE_IT_AS);
                let options = Options::from_url(url).map_err(|error| refused(error.to_string()))?;
                source = options.url();
                (options, None)
            }
            None => {
                let target =
                    backend_of_directory(context, args.directory(), &args.backend_config, args.workspace.as_deref())?;
                let workspace = target.workspace.clone();
                (target.options(), Some(workspace))
            }
        };
        let (place, name) = open_key(options, refusal).await?;
        let workspace = args.workspace.clone().or(workspace).unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned());
        let typed = typed_place(&source, &args.backend_config, args.workspace.as_deref());
        Ok(Self { place, at: Spot { name, workspace }, typed })
    }

    /// `s3://BUCKET/OBJECT`.
    pub(super) fn url(&self) -> String {
        format!("s3://{}/{}", self.place.bucket(), self.place.object(&self.at))
    }

    /// A command about this very state, as it can be typed; and what it does not say because it is secret.
    pub(super) fn command(&self, verb: &str, flags: &str) -> String {
        let unsaid = self.typed.unsaid().map(|unsaid| format!(" ({unsaid})")).unwrap_or_default();
        format!("stateward {verb} {}{flags}{unsaid}", self.typed.argument)
    }

    /// The locks that the backend takes.
    pub(super) fn kinds(&self) -> Vec<LockKind> {
        let file = self.place.uses_lockfile().then_some(LockKind::File);
        file.into_iter().chain(self.place.lock_table().map(|_| LockKind::Item)).collect()
    }

    /// When the state was written last, as far as S3 says.
    pub(super) async fn written(&self) -> Option<Timestamp> {
        let versions = self.place.versions(&self.at, 1).await.ok()?;
        let at = versions.first().filter(|version| version.current)?.at;
        Timestamp::UNIX_EPOCH.checked_add(jiff::SignedDuration::try_from(at).ok()?).ok()
    }
}

/// Arguments of the backend that are not printed.
const SECRETS: [&str; 4] = ["access_key", "secret_key", "token", "sse_customer_key"];

/// A state as `state repair` and `lock inspect` take it, as it is typed.
pub(super) fn typed_place(source: &str, backend_config: &[String], workspace: Option<&str>) -> Place {
    let mut argument = typed(source);
    let mut hidden = Vec::new();
    for given in backend_config {
        match given.split_once('=').map(|(name, _)| name.trim()).filter(|name| SECRETS.contains(name)) {
            Some(name) => hidden.push(name.to_owned()),
            None => {
                let _ = write!(argument, " --backend-config {}", typed(given));
            }
        }
    }
    if let Some(workspace) = workspace {
        let _ = write!(argument, " --workspace {}", typed(workspace));
    }
    Place { argument, hidden }
}

/// The place of an `s3` backend that `init` noted, beside what is given. `refusal` is what a message begins with.
pub(super) fn noted_target(mut given: Given, noted: &Backend, refusal: &str) -> Result<Target> {
    given.add(noted.arguments());
    given.target(None).map_err(|error| Failure::usage(refusal, error.to_string(), error.advice()))
}

/// Opens the place in which a key lies; `options` have the key in place of a prefix. Gives the key's last part, too: the place has
/// what lies beside it as well.
pub(super) async fn open_key(mut options: Options, refusal: &str) -> Result<(TerraformPlace, String)> {
    let key = options.prefix.clone();
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", &key));
    if name.is_empty() {
        let why = format!("`s3://{}/{key}` names a bucket and no key in it", options.bucket);
        return Err(Failure::usage(refusal, why, WRITE_IT_AS));
    }
    options.prefix = prefix.to_owned();
    options.sharing.get_or_insert_default();
    let place = TerraformPlace::open(options, store::seed()).await.map_err(|error| store::refused_by_s3(&error))?;
    Ok((place, name.to_owned()))
}

/// What the storage said of a state that is no store's.
pub(super) fn refused(what: &str, error: StoreError) -> Failure {
    let why = error.to_string();
    let (kind, next) = match &error {
        StoreError::Conflict { .. } => {
            (Kind::Conflict, "somebody else writes there: see who, and run the same command again")
        }
        StoreError::NotFound { .. } => (Kind::NotFound, "it was removed meanwhile: run the same command again"),
        StoreError::Denied { .. } => (Kind::Denied, "`stateward explain` says what to do about this refusal"),
        StoreError::Corrupt { .. } => {
            (Kind::Corrupt, "somebody else writes there: see who, and run the same command again")
        }
        _ => return Error::from(error).into(),
    };
    Error::new(kind, what, why, next).into()
}
