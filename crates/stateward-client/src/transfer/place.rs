//! Places in which other programs keep states: one file, many, or the objects of a bucket.

use async_trait::async_trait;
use stateward_core::{BodyStream, Error, Kind, Original, Result, Timestamp, Workspace};

use super::{Found, OnTransfer, Origin, Progress, Stage};
use crate::push::{self, Scanned, Source};

/// Whose work a version is, where its place does not say.
const SOMEBODY: &str = "unknown";
const OPERATION: &str = "import";

/// Where other programs keep a state, in its workspaces, and maybe what it was before.
#[async_trait]
pub trait Place: Send + Sync {
    /// What history and messages call it: a URL without secrets, or a file's name.
    fn name(&self) -> String;

    /// The workspaces in which there is a state.
    async fn workspaces(&self) -> Result<Vec<Workspace>>;

    /// What there is of one workspace, oldest first; the last is the current one.
    async fn snapshots(&self, workspace: &Workspace) -> Result<Vec<Snapshot>>;

    /// The bytes of a snapshot.
    async fn open(&self, workspace: &Workspace, snapshot: &Snapshot) -> Result<BodyStream>;

    /// See [`Origin::may_stand_there`].
    fn may_be_shared(&self) -> bool {
        false
    }
}

#[async_trait]
impl<P: Place + ?Sized> Place for &P {
    fn name(&self) -> String {
        (**self).name()
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        (**self).workspaces().await
    }

    async fn snapshots(&self, workspace: &Workspace) -> Result<Vec<Snapshot>> {
        (**self).snapshots(workspace).await
    }

    async fn open(&self, workspace: &Workspace, snapshot: &Snapshot) -> Result<BodyStream> {
        (**self).open(workspace, snapshot).await
    }

    fn may_be_shared(&self) -> bool {
        (**self).may_be_shared()
    }
}

/// What a place had at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The place's own name for it: an object's version, a file.
    pub id: String,
    /// When it was written, where that is known.
    pub created: Option<Timestamp>,
}

/// An old snapshot that is no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The place's own name for it.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a place has of one workspace, looked through.
pub struct Snapshots<'a> {
    place: Box<dyn Place + 'a>,
    workspace: Workspace,
    kept: Vec<(Snapshot, Found)>,
    /// Older ones that are no states.
    pub left_out: Vec<LeftOut>,
}

impl<'a> Snapshots<'a> {
    /// Looks through a workspace: only its current snapshot, or all. Each is read once here, and once more when it is copied.
    pub async fn look(
        place: impl Place + 'a,
        workspace: Workspace,
        all: bool,
        progress: OnTransfer<'_>,
    ) -> Result<Self> {
        let place: Box<dyn Place + 'a> = Box::new(place);
        let mut snapshots = place.snapshots(&workspace).await?;
        if !all {
            snapshots.drain(..snapshots.len().saturating_sub(1));
        }
        let of = snapshots.len();
        let mut looked = Self { place, workspace, kept: Vec::new(), left_out: Vec::new() };
        for (n, snapshot) in snapshots.into_iter().enumerate() {
            progress(Progress { stage: Stage::Reading, done: n as u64, of: of as u64 });
            let current = n + 1 == of;
            match looked.read(&snapshot).await {
                Ok(original) => looked.kept.push((snapshot, Found { original, current })),
                Err(error) if error.kind() == Kind::Invalid && !current => {
                    looked.left_out.push(LeftOut { id: snapshot.id, why: error.why().to_owned() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(looked)
    }

    async fn read(&self, snapshot: &Snapshot) -> Result<Original> {
        let body = self.place.open(&self.workspace, snapshot).await?;
        let Scanned { summary, sha256, md5 } = push::scan(body, "the state was not imported").await?;
        let tool = summary.terraform_version.map_or_else(String::new, |version| format!("terraform_version {version}"));
        Ok(Original {
            version: None,
            hash: None,
            serial: summary.serial,
            lineage: summary.lineage,
            size: summary.size,
            sha256,
            md5,
            created: snapshot.created,
            who: SOMEBODY.to_owned(),
            operation: OPERATION.to_owned(),
            lock_id: None,
            transaction: false,
            fence: None,
            tool,
            token: None,
            resources: summary.instances.len() as u64,
            opaque: summary.opaque,
            changes: None,
            pruned: false,
        })
    }
}

#[async_trait]
impl Origin for Snapshots<'_> {
    fn name(&self) -> String {
        self.place.name()
    }

    async fn versions(&self) -> Result<Vec<Found>> {
        Ok(self.kept.iter().map(|(_, found)| found.clone()).collect())
    }

    async fn open(&self, n: usize) -> Result<BodyStream> {
        match self.kept.get(n) {
            Some((snapshot, _)) => self.place.open(&self.workspace, snapshot).await,
            None => Err(not_there()),
        }
    }

    fn keeps_times(&self) -> bool {
        false
    }

    fn may_stand_there(&self) -> bool {
        self.place.may_be_shared()
    }
}

/// States in files, one for each workspace.
pub struct Files {
    name: String,
    files: Vec<(Workspace, Snapshot, Box<dyn Source>)>,
}

impl Files {
    /// No files yet; `name` is what history calls all of them.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), files: Vec::new() }
    }

    /// With the file of a workspace, and when it was last written.
    #[must_use]
    pub fn with(mut self, workspace: Workspace, written: Option<Timestamp>, source: Box<dyn Source>) -> Self {
        self.files.push((workspace, Snapshot { id: self.name.clone(), created: written }, source));
        self
    }
}

#[async_trait]
impl Place for Files {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        Ok(self.files.iter().map(|(workspace, ..)| workspace.clone()).collect())
    }

    async fn snapshots(&self, workspace: &Workspace) -> Result<Vec<Snapshot>> {
        let of_it = self.files.iter().filter(|(of, ..)| of == workspace);
        Ok(of_it.map(|(_, snapshot, _)| snapshot.clone()).collect())
    }

    async fn open(&self, workspace: &Workspace, _: &Snapshot) -> Result<BodyStream> {
        match self.files.iter().find(|(of, ..)| of == workspace) {
            Some((.., source)) => source.open().await,
            None => Err(not_there()),
        }
    }
}

fn not_there() -> Error {
    Error::new(
        Kind::Bug,
        "the state was not imported",
        "something was asked for that was never found",
        "please report it",
    )
}
