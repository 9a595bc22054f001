//! Copying the versions of a state, and making sure that they have arrived.

use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use stateward_core::view::VersionItem;
use stateward_core::{Adoption, Error, Fingerprint, Kind, Original, Result, StateId, Version};

use super::{Found, OnTransfer, Origin, Progress, Stage};
use crate::connection::Connection;

/// Versions that are read back at a time.
const COMPARED_AT_ONCE: usize = 4;

/// What a copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Versions that there are now.
    pub versions: u64,
    /// Those of them that were not there before.
    pub copied: u64,
    /// Bytes that were read back and compared.
    pub bytes: u64,
    /// Versions whose bytes the origin still has, and the retention rule there has let go since they were copied.
    pub let_go: u64,
    /// The current version.
    pub version: Version,
    /// Its serial.
    pub serial: u64,
    /// Its lineage.
    pub lineage: String,
    /// The SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// Takes the versions of `origin` to `state`, oldest first, behind those that are there already. Reads every one back, the older ones
/// too, and compares it with what it has to be.
///
/// Refused where there is no current version to copy, where something else is at `state` than the beginning of the same history, and
/// while somebody holds it.
pub async fn copy(
    origin: &dyn Origin,
    to: &dyn Connection,
    state: &StateId,
    progress: OnTransfer<'_>,
) -> Result<Copied> {
    let found = origin.versions().await?;
    if !found.iter().any(|found| found.current) {
        let why = "it has no current version: it is deleted";
        let next = "bring it back first, with `stateward state undelete`; it can be deleted again afterwards";
        return Err(Error::new(Kind::NotFound, format!("{} was not copied", origin.name()), why, next));
    }
    let there = match origin.may_stand_there() {
        true => to.recorded(state).await?.items.into_iter().rev().collect(),
        false => history(to, state).await?,
    };
    let common = common(origin, &found, state, &there)?;
    let mut after = there.last().map(|item| Original::from(item.clone()).fingerprint());
    for (n, version) in found.iter().enumerate().skip(common) {
        progress(Progress { stage: Stage::Copying, done: n as u64, of: found.len() as u64 });
        after = Some(send(origin, to, state, n, version, after).await?);
    }
    if there.len() == found.len() {
        bring_back(to, state, &there).await?;
    }
    compare(origin, &found, to, state, common, progress).await
}

/// The versions of a state, oldest first; none where there never was one.
pub(super) async fn history(connection: &dyn Connection, state: &StateId) -> Result<Vec<VersionItem>> {
    match connection.history(state, None, None).await {
        Ok(list) => Ok(list.items.into_iter().rev().collect()),
        Err(error) if error.kind() == Kind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// How many versions are there already; an error where they are not the first of `found`.
fn common(origin: &dyn Origin, found: &[Found], state: &StateId, there: &[VersionItem]) -> Result<usize> {
    let other = |why: String| {
        let next = "choose a name that has nothing yet; `stateward state history` shows what is there";
        Err(Error::new(Kind::Conflict, format!("there is another `{state}` already"), why, next))
    };
    for (item, found) in there.iter().zip(found) {
        if !is_same(origin, &found.original, item) {
            let (version, name) = (item.version, origin.name());
            return other(format!(
                "its {version} (serial {}) is not the version that {name} has in that place (serial {}), so its history is not the beginning of that one",
                item.serial, found.original.serial
            ));
        }
    }
    match there.get(found.len()) {
        None => Ok(there.len()),
        Some(item) => other(format!(
            "it has gone on to {} (serial {}), which {} does not have",
            item.version,
            item.serial,
            origin.name()
        )),
    }
}

fn is_same(origin: &dyn Origin, original: &Original, item: &VersionItem) -> bool {
    let same_time = !origin.keeps_times() || original.created.is_none_or(|created| created == item.created);
    let (mine, theirs) =
        ((original.serial, &original.sha256, &original.lineage), (item.serial, &item.sha256, &item.lineage));
    same_time && mine == theirs
}

/// Sends one version; gives by what the next one knows it again.
async fn send(
    origin: &dyn Origin,
    to: &dyn Connection,
    state: &StateId,
    n: usize,
    found: &Found,
    after: Option<Fingerprint>,
) -> Result<Fingerprint> {
    let Found { original, current } = found.clone();
    let body = if original.pruned { None } else { Some(origin.open(n).await?) };
    let fingerprint = original.fingerprint();
    let adoption = Adoption { from: origin.name(), version: Version(n as u64 + 1), after, current, original };
    to.adopt(state, &adoption, body).await?;
    Ok(fingerprint)
}

/// A state that was deleted at the other place, with all its versions, comes back there.
async fn bring_back(to: &dyn Connection, state: &StateId, there: &[VersionItem]) -> Result<()> {
    if there.iter().any(|item| item.head) {
        return Ok(());
    }
    to.undelete(state).await.map(drop)
}

/// Makes sure that what is there is what `found` says, to the last byte.
pub(super) async fn compare(
    origin: &dyn Origin,
    found: &[Found],
    to: &dyn Connection,
    state: &StateId,
    before: usize,
    progress: OnTransfer<'_>,
) -> Result<Copied> {
    let there = history(to, state).await?;
    let of = found.len() as u64;
    let in_place =
        |(found, item): (&Found, &VersionItem)| is_same(origin, &found.original, item) && found.current == item.head;
    let let_go = |(found, item): &(&Found, &VersionItem)| item.pruned && !found.original.pruned;
    let current = there.iter().find(|item| item.head);
    let (Some(current), true) = (current, there.len() == found.len() && found.iter().zip(&there).all(in_place)) else {
        let why = "its history is not what was sent: somebody else changed it meanwhile";
        let next = "see `stateward state history` there; nothing was taken away where it came from";
        return Err(Error::new(Kind::Conflict, format!("`{state}` did not arrive as it was"), why, next));
    };
    let mut bytes = 0;
    let kept = there.iter().filter(|item| !item.pruned);
    let mut sizes = stream::iter(kept).map(|item| read_back(to, state, item)).buffer_unordered(COMPARED_AT_ONCE);
    let mut done = 0;
    progress(Progress { stage: Stage::Comparing, done, of });
    while let Some(size) = sizes.try_next().await? {
        (bytes, done) = (bytes + size, done + 1);
        progress(Progress { stage: Stage::Comparing, done, of });
    }
    Ok(Copied {
        versions: of,
        copied: of - before as u64,
        bytes,
        let_go: found.iter().zip(&there).filter(let_go).count() as u64,
        version: current.version,
        serial: current.serial,
        lineage: current.lineage.clone(),
        sha256: current.sha256.clone(),
    })
}

/// Makes sure that the current version of `state` has the bytes of that of `origin`, whatever was before it.
pub async fn compare_current(origin: &dyn Origin, to: &dyn Connection, state: &StateId) -> Result<()> {
    let mine = origin.versions().await?.into_iter().find(|found| found.current).map(|found| found.original.sha256);
    let there = history(to, state).await?;
    match there.iter().find(|item| item.head && mine.as_ref() == Some(&item.sha256)) {
        Some(head) => read_back(to, state, head).await.map(drop),
        None => {
            let next = "run the same command again; nothing was taken away where it came from";
            Err(Error::new(
                Kind::Conflict,
                format!("`{state}` is not as it was"),
                "somebody changed it meanwhile",
                next,
            ))
        }
    }
}

async fn read_back(to: &dyn Connection, state: &StateId, item: &VersionItem) -> Result<u64> {
    let mut bytes = to.pull(state, Some(item.version)).await?.bytes;
    let (mut hasher, mut size) = (Sha256::new(), 0);
    while let Some(piece) = bytes.try_next().await? {
        hasher.update(&piece);
        size += piece.len() as u64;
    }
    if hex::encode(hasher.finalize()) == item.sha256 {
        return Ok(size);
    }
    let why = format!("{} does not come back with the SHA-256 that it was sent with", item.version);
    let next = "run `stateward state verify` there; nothing was taken away where it came from";
    Err(Error::new(Kind::Corrupt, format!("`{state}` did not arrive as it was"), why, next))
}
