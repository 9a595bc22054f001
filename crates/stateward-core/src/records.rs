//! Records in the order of their keys, however many there are.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use stateward_store::{Entry, Key, Listing, Store, StoreError};

use crate::name::StateId;

/// A record that says which form it has.
pub(crate) trait Formed: DeserializeOwned {
    /// The newest form that is read.
    const NEWEST: u8;

    /// The form that it has.
    fn format(&self) -> u8;
}

/// Reads a record.
pub(crate) fn decode<T: Formed>(key: &Key, value: &Bytes) -> Result<T, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt { what: key.to_string(), reason };
    let record: T = serde_json::from_slice(value).map_err(|error| corrupt(error.to_string()))?;
    if record.format() > T::NEWEST {
        return Err(StoreError::Unsupported {
            what: format!("the form {} of `{key}`", record.format()),
            reason: "a newer stateward wrote it; upgrade this one".to_owned(),
        });
    }
    Ok(record)
}

/// What the keys of a state's records of one sort begin with.
pub(crate) fn prefix_of(sort: &str, state: &StateId) -> String {
    format!("{sort}{}@{}#", state.name, state.workspace)
}

/// The state that the key of such a record names.
pub(crate) fn state_of(sort: &str, key: &Key) -> Option<StateId> {
    key.as_str().strip_prefix(sort)?.split_once('#')?.0.parse().ok()
}

/// Records read together, unless told otherwise.
pub(crate) const PAGE: usize = 500;

/// Goes through the records whose key starts with a prefix. Holds one page of them.
pub(crate) struct Records<'a> {
    store: &'a dyn Store,
    listing: Listing,
    page: std::vec::IntoIter<Entry>,
    last_page: bool,
}

impl<'a> Records<'a> {
    pub(crate) fn under(store: &'a Arc<dyn Store>, prefix: impl Into<String>) -> Self {
        let listing = Listing { prefix: prefix.into(), after: None, limit: PAGE };
        Self { store: &**store, listing, page: Vec::new().into_iter(), last_page: false }
    }

    /// Only those after this key.
    pub(crate) fn after(mut self, key: Option<Key>) -> Self {
        self.listing.after = key;
        self
    }

    /// So many at a time.
    pub(crate) fn by(mut self, page: usize) -> Self {
        self.listing.limit = page;
        self
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        self.peek().await?;
        Ok(self.page.next())
    }

    /// What comes next.
    pub(crate) async fn peek(&mut self) -> Result<Option<&Entry>, StoreError> {
        if self.page.as_slice().is_empty() && !self.last_page {
            let entries = self.store.list(&self.listing).await?;
            self.last_page = entries.len() < self.listing.limit;
            self.listing.after = entries.last().map(|entry| entry.key.clone());
            self.page = entries.into_iter();
        }
        Ok(self.page.as_slice().first())
    }
}

#[cfg(test)]
mod tests {
    use stateward_store::{Expect, MemStore, Write};

    use super::*;

    #[tokio::test]
    async fn all_come_whatever_the_page() {
        let store: Arc<dyn Store> = Arc::new(MemStore::new());
        for key in ["a/1", "b/1", "b/2", "b/3", "b/4", "c/1"] {
            let write = Write { key: Key::new(key), value: Some(key.into()), expect: Expect::Absent };
            store.commit(vec![write]).await.unwrap();
        }
        for page in 1..6 {
            let mut records = Records::under(&store, "b/").after(Some(Key::new("b/1"))).by(page);
            assert_eq!(records.peek().await.unwrap().unwrap().key.as_str(), "b/2");
            let mut keys = Vec::new();
            while let Some(entry) = records.next().await.unwrap() {
                keys.push(entry.key.to_string());
            }
            assert_eq!(keys, ["b/2", "b/3", "b/4"], "{page} at a time");
            assert!(records.next().await.unwrap().is_none());
        }
    }
}
