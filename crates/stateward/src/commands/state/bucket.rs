//! A bucket in which Terraform's own `s3` backend keeps a state.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use stateward_aws::doctor::Given;
use stateward_client::transfer::{Place, Snapshot};
use stateward_core::{BodyStream, Error, Kind, NameError, Result, Workspace};
use stateward_store::outside::{Incoming, Seen, Spot};
use stateward_store_s3::{Options, TerraformPlace};
use stateward_terraform::Backend;
use tokio::sync::OnceCell;

use super::import::NOT_IMPORTED;
use crate::commands::terraform_state::{noted_target, open_key};
use crate::failure::Failure;

/// The state under one key of a bucket.
pub(in crate::commands) struct S3State {
    place: TerraformPlace,
    bucket: String,
    key: String,
    /// The key's last part; the place lists what lies beside it, too.
    name: String,
    options: Options,
    settled: OnceCell<String>,
}

impl S3State {
    /// From `s3://BUCKET/KEY?region=…`, with the options of a store in S3.
    pub(super) async fn from_url(url: &str) -> Result<Self, Failure> {
        let refused = |why: String| Failure::usage(NOT_IMPORTED, why, "write it as `s3://BUCKET/KEY?region=…`");
        let options = Options::from_url(url).map_err(|error| refused(error.to_string()))?;
        Self::open(options, NOT_IMPORTED).await
    }

    /// From what `terraform init` noted.
    pub(super) async fn from_backend(given: Given, noted: &Backend) -> Result<Self, Failure> {
        Self::open(noted_target(given, noted, NOT_IMPORTED)?.options(), NOT_IMPORTED).await
    }

    /// `options` have the key in place of a prefix; `refusal` is what a message begins with.
    pub(in crate::commands) async fn open(options: Options, refusal: &str) -> Result<Self, Failure> {
        let (bucket, key) = (options.bucket.clone(), options.prefix.clone());
        let (place, name) = open_key(options.clone(), refusal).await?;
        Ok(Self { place, bucket, key, name, options, settled: OnceCell::new() })
    }

    /// A state as `stateward lock inspect` and `state repair` take it: `s3://BUCKET/KEY?…`, quoted, and the workspace.
    pub(in crate::commands) fn argument(&self, workspace: &Workspace) -> String {
        let workspace = if workspace.is_default() { String::new() } else { format!(" --workspace {workspace}") };
        format!("'{}'{workspace}", self.options.url())
    }

    /// `s3://BUCKET/KEY?…`, without what is secret, and with what the environment says of where it is.
    pub(in crate::commands) async fn settled_url(&self) -> String {
        self.settled.get_or_init(async || self.options.settled().await.url()).await.clone()
    }

    /// The place, in which more may lie.
    pub(in crate::commands) fn place(&self) -> &TerraformPlace {
        &self.place
    }

    /// The state of a workspace, in messages.
    pub(in crate::commands) fn title(&self, workspace: &Workspace) -> String {
        match workspace.is_default() {
            true => self.name(),
            false => format!("{} in the workspace {workspace}", self.name()),
        }
    }

    /// The workspaces in which there is a state; maybe none.
    pub(in crate::commands) async fn there(&self) -> Result<Vec<Workspace>> {
        let there = self.place.named(&self.name).await.map_err(|error| self.unread(error.into()))?;
        let known = |(at, _): (Spot, _)| at.workspace.parse().map_err(|error| self.is_no_name(&at.workspace, &error));
        let mut workspaces = there.into_iter().map(known).collect::<Result<Vec<Workspace>>>()?;
        workspaces.sort();
        Ok(workspaces)
    }

    /// Terraform takes more names than we do, and none of its states may be passed over.
    fn is_no_name(&self, workspace: &str, error: &NameError) -> Error {
        let why = format!("the workspace `{workspace}` has a name that is none here: {error}");
        let next = "give it another one: `terraform state pull` there, then `terraform workspace new` and `terraform state push`, and delete the old one";
        Error::new(Kind::Invalid, format!("not all workspaces of {} can be named here", self.name()), why, next)
    }

    /// Which place it is that does not answer.
    pub(in crate::commands) fn unread(&self, error: Error) -> Error {
        if error.kind() != Kind::Unavailable {
            return error;
        }
        let next = "see that the bucket is there, that its Region and endpoint are right, and try again";
        Error::new(Kind::Unavailable, format!("{} cannot be read", self.name()), error.why(), next)
    }

    pub(in crate::commands) fn spot(&self, workspace: &Workspace) -> Spot {
        Spot { name: self.name.clone(), workspace: workspace.as_str().to_owned() }
    }
}

#[async_trait]
impl Place for S3State {
    fn name(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        let workspaces = self.there().await?;
        if workspaces.is_empty() {
            let next =
                "check the bucket, the key and `region`; other workspaces are looked for under `workspace_key_prefix`";
            let why = format!("there is no object under this key in the bucket `{}`", self.bucket);
            return Err(Error::new(Kind::NotFound, format!("there is no state at {}", self.name()), why, next));
        }
        Ok(workspaces)
    }

    async fn snapshots(&self, workspace: &Workspace) -> Result<Vec<Snapshot>> {
        let mut versions = self.place.versions(&self.spot(workspace), usize::MAX).await?;
        // What was deleted is not the state, however late it was.
        if versions.first().is_some_and(|latest| !latest.current) {
            return Ok(Vec::new());
        }
        versions.reverse();
        let written = |version: &stateward_store_s3::ObjectVersion| {
            Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from(version.at).ok()?).ok()
        };
        Ok(versions.iter().map(|version| Snapshot { id: version.id.clone(), created: written(version) }).collect())
    }

    async fn open(&self, workspace: &Workspace, snapshot: &Snapshot) -> Result<BodyStream> {
        let found = self.place.read_version(&self.spot(workspace), &snapshot.id).await?;
        Ok(BodyStream { length: Some(found.size), bytes: found.bytes.map_err(Error::from).boxed() })
    }

    /// Where the target shares the very place that this comes from, the current version stands there already.
    fn may_be_shared(&self) -> bool {
        true
    }
}

/// What stands there now, read as Terraform reads it: without a look at what stood there before, which may be refused.
pub(in crate::commands) struct Current<'a>(pub(in crate::commands) &'a S3State);

#[async_trait]
impl Place for Current<'_> {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.0.workspaces().await
    }

    async fn snapshots(&self, workspace: &Workspace) -> Result<Vec<Snapshot>> {
        Ok(match self.0.place.read_unchecked(&self.0.spot(workspace)).await? {
            Seen::Bytes(Incoming { mark, .. }) => vec![Snapshot { id: mark.as_str().to_owned(), created: None }],
            Seen::Absent | Seen::Same => Vec::new(),
        })
    }

    async fn open(&self, workspace: &Workspace, snapshot: &Snapshot) -> Result<BodyStream> {
        match self.0.place.read_unchecked(&self.0.spot(workspace)).await? {
            Seen::Bytes(Incoming { mark, size, bytes, .. }) if mark.as_str() == snapshot.id => {
                Ok(BodyStream { length: Some(size), bytes: bytes.map_err(Error::from).boxed() })
            }
            _ => {
                let what = format!("{} was not read", self.0.title(workspace));
                let next = "see who writes there, and run the same command again";
                Err(Error::new(Kind::Conflict, what, "it was written to meanwhile", next))
            }
        }
    }

    fn may_be_shared(&self) -> bool {
        true
    }
}
