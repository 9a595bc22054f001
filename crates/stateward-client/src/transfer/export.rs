//! A state's versions as plain files, and back: the bytes of each in a file of its own, and an index of all.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use stateward_core::view::{SCHEMA, VersionItem};
use stateward_core::{BodyStream, Error, Kind, Result, StateId, StateName, Workspace};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Found, OnTransfer, Origin, Progress, Stage, copy};
use crate::connection::Connection;

const INDEX: &str = "index.json";
/// What the index says that it is.
const KIND: &str = "stateward-export";
const EXTENSION: &str = ".tfstate";
const PARTIAL: &str = ".partial";
/// An index of a million versions is smaller than this.
const INDEX_BYTES_MAX: u64 = 1 << 30;
const PIECE: usize = 256 << 10;

/// What an export came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Versions in the index.
    pub versions: u64,
    /// Those of them whose bytes are no longer kept, so that they have no file.
    pub pruned: u64,
    /// Bytes written.
    pub bytes: u64,
    /// The index.
    pub index: PathBuf,
}

/// Writes the current version of a state, or all versions, to an empty directory, readable by its owner only. The index comes last:
/// a directory without one is no whole export, and may be written to again.
pub async fn export(
    connection: &dyn Connection,
    state: &StateId,
    directory: &Path,
    all: bool,
    progress: OnTransfer<'_>,
) -> Result<Exported> {
    let mut history = copy::history(connection, state).await?;
    if history.iter().all(|item| !item.head) {
        let why = if history.is_empty() { "nothing has ever been stored under this name" } else { "it is deleted" };
        let next = "`stateward state list --deleted` shows the states there are, and those that were";
        return Err(Error::new(Kind::NotFound, format!("`{state}` was not exported"), why, next));
    }
    history.retain(|item| all || item.head);
    prepare(directory).await?;
    let mut exported = Exported { versions: 0, pruned: 0, bytes: 0, index: directory.join(INDEX) };
    let (mut items, of) = (Vec::with_capacity(history.len()), history.len() as u64);
    for item in history {
        progress(Progress { stage: Stage::Copying, done: exported.versions, of });
        let file = (!item.pruned).then(|| format!("{}{EXTENSION}", item.version));
        match &file {
            Some(file) => exported.bytes += write_version(connection, state, &item, &directory.join(file)).await?,
            None => exported.pruned += 1,
        }
        exported.versions += 1;
        items.push(entry(&item, file)?);
    }
    let index = json!({
        "schema": SCHEMA,
        "kind": KIND,
        "state": state.name,
        "workspace": state.workspace,
        "from": connection.place(),
        "items": items,
    });
    let mut text = serde_json::to_vec_pretty(&index).map_err(|error| unwritten(&exported.index, &error.into()))?;
    text.push(b'\n');
    write_file(&exported.index, futures::stream::iter([Ok(Bytes::from(text))])).await?;
    sync_directory(directory).await?;
    Ok(exported)
}

/// Makes the directory, or finds in it nothing but what an export left that did not come to its end.
async fn prepare(directory: &Path) -> Result<()> {
    let failed = |error: io::Error| unwritten(directory, &error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).await.map_err(failed)?;
    let mut entries = fs::read_dir(directory).await.map_err(failed)?;
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let whole = name.strip_suffix(PARTIAL).unwrap_or(&name);
        let is_ours = name.ends_with(PARTIAL) && whole == INDEX || whole.starts_with('v') && whole.ends_with(EXTENSION);
        if !is_ours {
            let why = format!("`{}` has `{}` in it", directory.display(), name.escape_debug());
            return Err(Error::new(
                Kind::Invalid,
                "nothing was exported",
                why,
                "name an empty directory, or one that is yet to be made",
            ));
        }
    }
    Ok(())
}

async fn write_version(connection: &dyn Connection, state: &StateId, item: &VersionItem, path: &Path) -> Result<u64> {
    let pulled = connection.pull(state, Some(item.version)).await?;
    let sha256 = write_file(path, pulled.bytes).await?;
    if sha256 == item.sha256 {
        return Ok(item.size);
    }
    let why = format!("{} does not come with the SHA-256 that its history says", item.version);
    Err(Error::new(Kind::Corrupt, format!("`{state}` was not exported"), why, "run `stateward state verify` there"))
}

/// Writes a file that gets its name when it is whole and on the disk; gives the SHA-256 of its bytes.
async fn write_file(path: &Path, bytes: impl futures::Stream<Item = Result<Bytes>>) -> Result<String> {
    let failed = |error: io::Error| unwritten(path, &error);
    let mut partial = path.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = PathBuf::from(partial);
    // What an earlier try left is made anew: readable by its owner only, since states hold secrets.
    if let Err(error) = fs::remove_file(&partial).await
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned();
    let mut file = options.open(&partial).await.map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut bytes = std::pin::pin!(bytes);
    while let Some(piece) = bytes.try_next().await? {
        hasher.update(&piece);
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.sync_all().await.map_err(failed)?;
    fs::rename(&partial, path).await.map_err(failed)?;
    Ok(hex::encode(hasher.finalize()))
}

async fn sync_directory(directory: &Path) -> Result<()> {
    let failed = |error: io::Error| unwritten(directory, &error);
    File::open(directory).await.map_err(failed)?.sync_all().await.map_err(failed)
}

/// A version as in its history, with the name of its file.
fn entry(item: &VersionItem, file: Option<String>) -> Result<Value> {
    let facts = serde_json::to_value(item).map_err(|error| unwritten(Path::new(INDEX), &error.into()))?;
    let mut entry = Map::from_iter([("file".to_owned(), file.map_or(Value::Null, Value::from))]);
    if let Value::Object(facts) = facts {
        entry.extend(facts);
    }
    Ok(entry.into())
}

/// A directory that an export has made.
#[derive(Debug)]
pub struct Export {
    directory: PathBuf,
    /// What it is an export of.
    pub state: StateId,
    from: String,
    versions: Vec<Found>,
    files: HashMap<usize, String>,
}

impl Export {
    /// Reads the index of a directory; nothing where it has none.
    pub async fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(INDEX);
        let file = match File::open(&path).await {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(unreadable(&path, &error.to_string())),
        };
        let mut text = Vec::new();
        let read = file.take(INDEX_BYTES_MAX).read_to_end(&mut text).await;
        read.map_err(|error| unreadable(&path, &error.to_string()))?;
        let index: Value = serde_json::from_slice(&text).map_err(|error| unreadable(&path, &error.to_string()))?;
        if index["kind"] != KIND {
            return Ok(None);
        }
        Self::parse(directory, index).map(Some).map_err(|why| unreadable(&path, &why))
    }

    fn parse(directory: &Path, mut index: Value) -> Result<Self, String> {
        let schema = index["schema"].as_u64().unwrap_or_default();
        if schema != u64::from(SCHEMA) {
            return Err(format!("it is of form {schema}, and this stateward knows {SCHEMA}"));
        }
        let wrong = |error: serde_json::Error| error.to_string();
        let name: StateName = serde_json::from_value(index["state"].take()).map_err(wrong)?;
        let workspace: Workspace = serde_json::from_value(index["workspace"].take()).map_err(wrong)?;
        let from = index["from"].as_str().unwrap_or("an unknown place").to_owned();
        let (mut versions, mut files) = (Vec::new(), HashMap::new());
        let Value::Array(items) = index["items"].take() else { return Err("it has no `items`".to_owned()) };
        for mut item in items {
            if let Some(file) = item["file"].as_str() {
                if file.contains(['/', '\\']) || !file.ends_with(EXTENSION) {
                    return Err("a file in it is not one beside it".to_owned());
                }
                files.insert(versions.len(), file.to_owned());
            }
            item.as_object_mut().map(|fields| fields.remove("file"));
            let item: VersionItem = serde_json::from_value(item).map_err(wrong)?;
            versions.push(Found { current: item.head, original: item.into() });
        }
        if versions.iter().position(|found: &Found| found.current) != versions.len().checked_sub(1) {
            return Err("its last version has to be the current one, and no other".to_owned());
        }
        Ok(Self { directory: directory.to_path_buf(), state: StateId { name, workspace }, from, versions, files })
    }
}

#[async_trait]
impl Origin for Export {
    fn name(&self) -> String {
        format!("an export of {} in {}", self.state, self.from)
    }

    async fn versions(&self) -> Result<Vec<Found>> {
        Ok(self.versions.clone())
    }

    async fn open(&self, n: usize) -> Result<BodyStream> {
        let file = self.files.get(&n).ok_or_else(|| {
            unreadable(&self.directory.join(INDEX), "it names no file for a version whose bytes are kept")
        })?;
        let path = self.directory.join(file);
        let failed = |error: io::Error| unreadable(&path, &error.to_string());
        let file = File::open(&path).await.map_err(failed)?;
        let length = file.metadata().await.map_err(failed)?.len();
        let path = path.clone();
        let pieces = futures::stream::try_unfold(file, move |mut file| {
            let path = path.clone();
            async move {
                let mut piece = Vec::with_capacity(PIECE);
                let read = (&mut file).take(PIECE as u64).read_to_end(&mut piece).await;
                match read.map_err(|error| unreadable(&path, &error.to_string()))? {
                    0 => Ok(None),
                    _ => Ok(Some((Bytes::from(piece), file))),
                }
            }
        });
        Ok(BodyStream { length: Some(length), bytes: Box::pin(pieces) })
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
        _ => Kind::Invalid,
    };
    let why = format!("`{}`: {}", path.display(), plain(&error.to_string()));
    Error::new(kind, "the export was not written", why, "name a directory that can be written to, on a disk with room")
}

fn unreadable(path: &Path, why: &str) -> Error {
    let why = format!("`{}`: {}", path.display(), plain(why));
    Error::new(Kind::Invalid, "the export cannot be read", why, "export it again, or restore the file")
}

/// The system's words without its `(os error 2)`.
fn plain(text: &str) -> String {
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
