//! The audit log as it is read: from the newest item to the oldest, wherever the store keeps it.

use std::collections::BTreeMap;

use stateward_store::Key;

use super::prune::States;
use crate::audit::{AuditItem, PREFIX, place};
use crate::backend::Backend;
use crate::error::{Error, Kind, Result};
use crate::name::StateId;
use crate::records::Records;

/// Reads the log from the newest item to the oldest, out of its own records and, where the store gathers, out of control records.
pub(super) struct Log<'a> {
    backend: &'a Backend,
    /// Read and not yet given out, by place.
    waiting: BTreeMap<String, AuditItem>,
    records: Records<'a>,
    /// Items up to this place were given out in an earlier list.
    given: Option<String>,
}

impl<'a> Log<'a> {
    pub(super) async fn open(backend: &'a Backend, state: Option<&StateId>, given: Option<&str>) -> Result<Self> {
        let records = Records::under(backend.store(), PREFIX);
        if backend.store().gather() <= 1 {
            // A record is an item, so the log goes on where the list before ended.
            let records = records.after(given.map(|given| Key::new(format!("{PREFIX}{given}"))));
            return Ok(Self { backend, waiting: BTreeMap::new(), records, given: None });
        }
        let mut log = Self { backend, waiting: BTreeMap::new(), records, given: given.map(str::to_owned) };
        log.take_unwritten(state).await?;
        Ok(log)
    }

    async fn take_unwritten(&mut self, state: Option<&StateId>) -> Result<()> {
        if let Some(state) = state {
            let (control, _) = self.backend.control(state).await?;
            self.wait_for(&state.to_string(), control.notes);
            return Ok(());
        }
        let mut states = States::of(self.backend);
        while let Some((state, control)) = states.next().await? {
            self.wait_for(&state.to_string(), control.notes);
        }
        Ok(())
    }

    fn wait_for(&mut self, id: &str, items: Vec<AuditItem>) {
        for (n, item) in items.into_iter().enumerate() {
            self.waiting.insert(format!("{}-{id}-{n:03}", place(item.time)), item);
        }
    }

    /// The next item and its place.
    pub(super) async fn next(&mut self) -> Result<Option<(String, AuditItem)>> {
        loop {
            // A record is named for the newest item in it: what is newer than the next record can be given out.
            let record = self.records.peek().await?.map(|entry| entry.key.as_str());
            let first = self.waiting.first_key_value().map(|(place, _)| place.as_str());
            if record.is_some_and(|record| first.is_none_or(|first| first > &record[PREFIX.len()..])) {
                self.read_record().await?;
                continue;
            }
            let Some((place, item)) = self.waiting.pop_first() else { return Ok(None) };
            if self.given.as_ref().is_none_or(|given| place > *given) {
                return Ok(Some((place, item)));
            }
        }
    }

    async fn read_record(&mut self) -> Result<()> {
        let Some(entry) = self.records.next().await? else { return Ok(()) };
        let items = AuditItem::read(&entry.record.value).map_err(|error| {
            Error::new(
                Kind::Corrupt,
                "the audit log is damaged",
                format!("`{}`: {error}", entry.key),
                "run `stateward state verify`",
            )
        })?;
        match <[AuditItem; 1]>::try_from(items) {
            Ok([item]) => {
                let place = entry.key.as_str()[PREFIX.len()..].to_owned();
                self.waiting.insert(place, item);
            }
            Err(items) => self.wait_for(entry.key.as_str(), items),
        }
        Ok(())
    }
}
