//! Where others look for the same states, and take locks of their own. See [`stateward_store::outside`].

use std::sync::Arc;

use stateward_store::outside::{BytesPlace, LockPlace, Mark, Seen, Spot};

use crate::control::Head;
use crate::name::StateId;
use crate::version::Version;

/// The places that a backend shares with others; mostly none.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// Whoever holds a whole state here holds the lock there too.
    pub locks: Option<Arc<dyn LockPlace>>,
    /// The current version's bytes stand there too.
    pub bytes: Option<Arc<dyn BytesPlace>>,
}

/// What a process knows of the bytes outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing stood there.
    Absent,
    /// This version stood there.
    Version(Version, Mark),
}

pub(crate) fn spot(state: &StateId) -> Spot {
    Spot { name: state.name.as_str().to_owned(), workspace: state.workspace.as_str().to_owned() }
}

/// The state that a place outside names; `None` where it is no name here.
pub(crate) fn state_at(at: &Spot) -> Option<StateId> {
    format!("{}@{}", at.name, at.workspace).parse().ok()
}

/// What we call a version outside.
pub(crate) fn label(head: &Head) -> String {
    format!("{} {}", head.version, head.sha256)
}

/// What the bytes outside are to a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The head itself, or there is nothing here and nothing there.
    Current,
    /// What the head replaced: it was published here and has not come to stand there yet.
    Behind,
    /// A version that a look at an older head could not know.
    Ahead,
    /// Somebody else's.
    Foreign,
    /// Nothing any more, though the head stood there.
    Gone,
}

/// Judges what stands outside against the head here, whose bytes are known there by `mark`, or against the one that was deleted.
pub(crate) fn standing(head: Option<&Head>, mark: Option<&Mark>, deleted: Option<&Head>, seen: &Seen) -> Standing {
    match (head, seen) {
        (None, Seen::Absent) | (Some(_), Seen::Same) => Standing::Current,
        (None, Seen::Same) => Standing::Ahead,
        (Some(_), Seen::Absent) if mark.is_some() => Standing::Gone,
        (Some(_), Seen::Absent) => Standing::Behind,
        (head, Seen::Bytes(incoming)) => {
            let written = incoming.label.as_deref().and_then(|label| label.split(' ').next()?.parse::<Version>().ok());
            match (head, written) {
                (Some(_), _) if mark == Some(&incoming.mark) => Standing::Current,
                (Some(head), _) if incoming.label.as_deref() == Some(label(head).as_str()) => Standing::Current,
                // The head has stood there, so that somebody put back what stood there before it.
                (Some(head), Some(written)) if written < head.version && mark.is_some() => Standing::Foreign,
                (Some(head), Some(written)) if written < head.version => Standing::Behind,
                (None, Some(written)) if deleted.is_some_and(|deleted| written <= deleted.version) => Standing::Behind,
                (_, Some(_)) => Standing::Ahead,
                (_, None) => Standing::Foreign,
            }
        }
    }
}
