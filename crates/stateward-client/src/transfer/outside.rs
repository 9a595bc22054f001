//! Taking a state to a place that other programs use: its current version, as they would have written it.

use futures::{StreamExt, TryStreamExt};
use stateward_core::{BodyStream, Error, Kind, Original, Result};
use stateward_store::StoreError;
use stateward_store::outside::{BytesPlace, Incoming, Outgoing, Seen, Spot};

use super::Origin;
use crate::push::{self, Scanned};

/// What the bytes are called in the place: no version of ours, but ours to put right if their writer was cut off.
const LABEL: &str = "migrated";

/// What stands at a spot, beside what is to come there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// The very bytes.
    Same,
    /// A later state of the same lineage.
    Later {
        /// Its serial.
        serial: u64,
    },
    /// Something else.
    Other {
        /// What about it is different.
        why: String,
    },
}

/// Looks at what stands at a spot where a version is to come.
pub async fn look_outside(original: &Original, place: &dyn BytesPlace, at: &Spot) -> Result<There> {
    let found = match place.read(at, None).await? {
        Seen::Bytes(incoming) => scan(incoming).await,
        Seen::Absent | Seen::Same => return Ok(There::Nothing),
    };
    let Scanned { summary, sha256, .. } = match found {
        Ok(found) => found,
        Err(error) if error.kind() == Kind::Invalid => {
            return Ok(There::Other { why: format!("what stands there is no state: {}", error.why()) });
        }
        Err(error) => return Err(error),
    };
    Ok(if sha256 == original.sha256 {
        There::Same
    } else if summary.lineage != original.lineage {
        let (theirs, ours) = (&summary.lineage, &original.lineage);
        There::Other {
            why: format!("another state stands there: its lineage is {theirs}, and that of this one {ours}"),
        }
    } else if summary.serial > original.serial {
        There::Later { serial: summary.serial }
    } else {
        let (theirs, ours) = (summary.serial, original.serial);
        There::Other {
            why: format!("the same state stands there with serial {theirs} and other content, and here with {ours}"),
        }
    })
}

/// Puts the current version of an origin where nothing stands, and reads it back.
pub async fn bring_outside(origin: &dyn Origin, place: &dyn BytesPlace, at: &Spot) -> Result<()> {
    let versions = origin.versions().await?;
    let current = versions.iter().enumerate().find(|(_, found)| found.current);
    let Some((n, found)) = current else {
        let why = "it has no current version: it is deleted";
        let next = "bring it back first, with `stateward state undelete`";
        return Err(Error::new(Kind::NotFound, format!("{} was not copied", origin.name()), why, next));
    };
    let original = &found.original;
    let unread = |error: Error| StoreError::Unavailable { retry_after: None, reason: error.to_string() };
    let bytes = origin.open(n).await?.bytes.map_err(unread).boxed();
    let (size, md5) = (original.size, original.md5.clone());
    let written = place.write(at, None, Outgoing { label: LABEL.to_owned(), size, md5, bytes }).await;
    match written {
        Ok(_) | Err(StoreError::Conflict { .. } | StoreError::OutcomeUnknown { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match look_outside(original, place, at).await? {
        There::Same => Ok(()),
        There::Nothing => {
            let why = "what was written cannot be read back";
            Err(Error::new(Kind::Unavailable, not_there(at), why, "run it again"))
        }
        There::Later { serial } => {
            let why = format!("somebody else wrote serial {serial} there meanwhile");
            Err(Error::new(Kind::Conflict, not_there(at), why, NOTHING_LOST))
        }
        There::Other { why } => Err(Error::new(Kind::Conflict, not_there(at), why, NOTHING_LOST)),
    }
}

const NOTHING_LOST: &str = "see who writes there; nothing was taken away where it came from";

fn not_there(at: &Spot) -> String {
    format!("`{}` in the workspace `{}` did not arrive", at.name, at.workspace)
}

async fn scan(incoming: Incoming) -> Result<Scanned> {
    let Incoming { size, bytes, .. } = incoming;
    let body = BodyStream { length: Some(size), bytes: bytes.map_err(Error::from).boxed() };
    push::scan(body, "it was not compared").await
}
