//! Records: small values under keys, changed by compare-and-set.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};
use stateward_store::{Entry, Expect, Key, Listing, Record, Result, Revision, StoreError, Write};

use crate::error::Halt;
use crate::writer::Tx;

/// The largest value of a record.
const VALUE_BYTES_MAX: usize = 256 * 1024;

/// Refuses what no state of the database would allow. Returns the size of the writes.
pub(crate) fn validate(writes: &[Write]) -> Result<usize> {
    if writes.is_empty() {
        return Err(StoreError::Unsupported {
            what: "a commit without writes".into(),
            reason: "its last write is what decides; name at least one".into(),
        });
    }
    let mut total = 0;
    for write in writes {
        let size = write.value.as_ref().map_or(0, Bytes::len);
        if size > VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge { size: size as u64, limit: VALUE_BYTES_MAX as u64 });
        }
        total += size + write.key.as_str().len();
    }
    Ok(total)
}

/// Checks every expectation; none of the writes is applied before all have been checked.
pub(crate) fn check(tx: &Tx<'_>, writes: &[Write]) -> Result<(), Halt> {
    let mut statement = tx.statement("SELECT revision FROM record WHERE key = ?1")?;
    for write in writes {
        if write.expect == Expect::Any {
            continue;
        }
        let current = statement.query_row([write.key.as_str()], |row| row.get(0)).optional()?.map(token);
        let holds = match &write.expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Revision(expected) => current.as_ref() == Some(expected),
        };
        if !holds {
            return Err(StoreError::Conflict { key: write.key.to_string(), current }.into());
        }
    }
    Ok(())
}

/// Applies writes that have been checked. Returns the revision of the last.
pub(crate) fn apply(tx: &mut Tx<'_>, writes: &[Write]) -> Result<Revision, Halt> {
    let mut last = 0;
    for write in writes {
        last = tx.next_revision()?;
        let key = write.key.as_str();
        match &write.value {
            Some(value) => tx
                .statement(
                    "INSERT INTO record (key, revision, value) VALUES (?1, ?2, ?3)
                     ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
                )?
                .execute((key, last, &value[..]))?,
            None => tx.statement("DELETE FROM record WHERE key = ?1")?.execute([key])?,
        };
    }
    tx.tally.commits += 1;
    Ok(token(last))
}

/// Reads one record.
pub(crate) fn get(connection: &Connection, key: &Key) -> Result<Option<Record>, Halt> {
    let sql = "SELECT revision, value FROM record WHERE key = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([key.as_str()], |row| record(row, 0)).optional()?)
}

/// Lists records in the order of their keys.
pub(crate) fn list(connection: &Connection, listing: &Listing) -> Result<Vec<Entry>, Halt> {
    // One bound each, so that a page far into a long list is found by the index.
    let (sql, start) = match &listing.after {
        Some(after) if after.as_str() >= listing.prefix.as_str() => {
            ("SELECT key, revision, value FROM record WHERE key > ?1 ORDER BY key", after.as_str())
        }
        _ => ("SELECT key, revision, value FROM record WHERE key >= ?1 ORDER BY key", listing.prefix.as_str()),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([start])?;
    let mut entries = Vec::new();
    while entries.len() < listing.limit
        && let Some(row) = rows.next()?
    {
        let key: String = row.get(0)?;
        if !key.starts_with(&listing.prefix) {
            break;
        }
        entries.push(Entry { key: Key::new(key), record: record(row, 1)? });
    }
    Ok(entries)
}

/// The record in the columns from `first` on.
fn record(row: &Row<'_>, first: usize) -> rusqlite::Result<Record> {
    let revision = token(row.get(first)?);
    let value = Bytes::copy_from_slice(row.get_ref(first + 1)?.as_blob()?);
    Ok(Record { value, revision })
}

fn token(revision: i64) -> Revision {
    Revision::new(revision.to_string())
}
