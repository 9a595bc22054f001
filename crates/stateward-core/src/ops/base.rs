//! What a body changes, counted against the head that it will follow.

use bytes::Bytes;
use futures::StreamExt;
use stateward_state::Entry;
use stateward_state::counts::{self, IndexEntry};
use stateward_store::body::{self, Tree};

use crate::backend::Backend;
use crate::error::Result;
use crate::index::{self, OUTPUT_PREFIX};
use crate::name::StateId;
use crate::version::Version;
use crate::view::Changes;

/// Entries of the head's index that are compared at a time.
const COUNT_TOGETHER: usize = 1024;

/// The head that changes were counted against.
pub(crate) struct Base {
    pub(crate) version: Option<Version>,
    pub(crate) changes: Changes,
}

impl Backend {
    /// Counts the changes against the present head. `entries` are those of the body, sorted by address.
    pub(crate) async fn base(&self, state: &StateId, entries: &[Entry], opaque: bool) -> Result<Base> {
        let Some(head) = self.glance(state).await?.head else {
            return Ok(Base { version: None, changes: all_added(entries) });
        };
        let index = match head.index {
            _ if opaque || head.opaque => None,
            Some(index) => Some(index),
            None => self.record(&head.record).await?.index,
        };
        let changes = match index {
            Some(index) => self.count_since(&index, entries).await?,
            None => Changes::default(),
        };
        Ok(Base { version: Some(head.version), changes })
    }

    /// Counts piece by piece, so that the index of the head need not be in memory beside the new one.
    pub(crate) async fn count_since(&self, index: &Tree, mut after: &[Entry]) -> Result<Changes> {
        let items = body::items(self.store().clone(), self.shared.sealer.clone(), index);
        let mut pieces = std::pin::pin!(items.chunks(COUNT_TOGETHER));
        let mut changes = Changes::default();
        let mut add = |more: Changes| {
            changes.added += more.added;
            changes.changed += more.changed;
            changes.removed += more.removed;
        };
        while let Some(piece) = pieces.next().await {
            let items: Vec<Bytes> = piece.into_iter().collect::<Result<_, _>>()?;
            let before = items.iter().map(|item| index::parse(item)).collect::<Result<Vec<_>, _>>()?;
            let Some((last, _)) = before.last() else { continue };
            let (here, rest) = after.split_at(after.partition_point(|entry| entry.address.as_str() <= *last));
            add(count(before, here));
            after = rest;
        }
        add(all_added(after));
        Ok(changes)
    }
}

/// The changes of a body that follows nothing.
pub(super) fn all_added(entries: &[Entry]) -> Changes {
    count::<&Entry, _>([], entries)
}

/// Counts changed instances; outputs stand in the index too, and do not count.
fn count<T: IndexEntry, A: IntoIterator<Item = T>>(before: A, after: &[Entry]) -> Changes {
    fn is_instance(entry: &impl IndexEntry) -> bool {
        !entry.address().starts_with(OUTPUT_PREFIX)
    }
    counts::changes(before.into_iter().filter(is_instance), after.iter().filter(is_instance))
}
