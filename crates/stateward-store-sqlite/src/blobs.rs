//! Blobs, and the epochs by which they are collected.
//!
//! The rule that everything here keeps: a blob stamped with epoch `e` is not deleted while the current epoch is at most
//! `e + 1`, because a round with horizon `h` deletes only what is stamped before `h - 1`.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use stateward_store::{BlobId, BlobRef, Horizon, Live, NewBlob, Result, StoreError, SweepPage};

use crate::error::Halt;
use crate::open::RESERVE_BYTES;
use crate::writer::{Tx, read_epoch};

/// The largest sealed blob.
pub(crate) const BLOB_BYTES_MAX: usize = 1024 * 1024;

/// How many blobs one step of a sweep looks at, at most,
const SWEEP_STEP_SCANNED: usize = 4096;
/// and deletes, so that commits do not wait long behind it.
const SWEEP_STEP_DELETED: u64 = 256;

/// Which of the blobs asked for exist, and for how long that is certain.
#[derive(Debug)]
pub(crate) struct Found {
    /// The epoch with which all that exist are stamped at least.
    pub(crate) epoch: i64,
    /// In the order asked for.
    pub(crate) exists: Vec<bool>,
}

/// Looks blobs up. `None` where one of those that exist has an older stamp than the current epoch.
pub(crate) fn look_up(connection: &Connection, ids: &[BlobId]) -> Result<Option<Found>, Halt> {
    // First the epoch: should a round begin after this, the stamps are the better for it.
    let epoch = read_epoch(connection)?;
    let mut statement = connection.prepare_cached("SELECT epoch FROM blob WHERE id = ?1")?;
    let mut exists = Vec::with_capacity(ids.len());
    for id in ids {
        let stamp: Option<i64> = statement.query_row([&id.0[..]], |row| row.get(0)).optional()?;
        if stamp.is_some_and(|stamp| stamp < epoch) {
            return Ok(None);
        }
        exists.push(stamp.is_some());
    }
    Ok(Some(Found { epoch, exists }))
}

/// Stamps those that exist with the current epoch.
pub(crate) fn stamp(tx: &mut Tx<'_>, ids: &[BlobId]) -> Result<Found, Halt> {
    let epoch = tx.epoch()?;
    let exists = ids.iter().map(|id| stamp_one(tx, id, epoch)).collect::<rusqlite::Result<_>>()?;
    Ok(Found { epoch, exists })
}

/// Stamps blobs that a session relies on, or refuses if one of them is gone.
pub(crate) fn hold(tx: &mut Tx<'_>, ids: &[BlobId]) -> Result<(), Halt> {
    let found = stamp(tx, ids)?;
    match ids.iter().zip(found.exists).find(|(_, exists)| !exists) {
        None => Ok(()),
        Some((lost, _)) => Err(StoreError::Unavailable {
            retry_after: None,
            reason: format!("blob {lost} was collected before it was published; start over"),
        }
        .into()),
    }
}

/// Stores blobs, or stamps those that are there already. Returns the epoch they are stamped with.
pub(crate) fn put(tx: &mut Tx<'_>, blobs: &[NewBlob]) -> Result<i64, Halt> {
    check_room(tx)?;
    let epoch = tx.epoch()?;
    for blob in blobs {
        if stamp_one(tx, &blob.id, epoch)? {
            continue;
        }
        tx.statement("INSERT INTO sealed (content) VALUES (?1)")?.execute([&blob.sealed[..]])?;
        let n = tx.last_rowid();
        let sql = "INSERT INTO blob (id, n, epoch) VALUES (?1, ?2, ?3)";
        tx.statement(sql)?.execute((&blob.id.0[..], n, epoch))?;
        tx.tally.blobs += 1;
        tx.tally.blob_bytes += blob.sealed.len() as u64;
    }
    Ok(epoch)
}

/// What stands for no limit.
const PAGES_UNLIMITED: u64 = 0xFFFF_FFFE;

/// Keeps blobs out of the reserve that a limited store has for records.
fn check_room(tx: &Tx<'_>) -> Result<(), Halt> {
    let read = |name: &str| tx.statement(name)?.query_row([], |row| row.get::<_, u64>(0));
    let most = read("PRAGMA max_page_count")?;
    if most >= PAGES_UNLIMITED {
        return Ok(());
    }
    let (pages, free, page_bytes) =
        (read("PRAGMA page_count")?, read("PRAGMA freelist_count")?, read("PRAGMA page_size")?);
    if (pages - free + RESERVE_BYTES / page_bytes.max(1)) < most {
        return Ok(());
    }
    Err(StoreError::Full { reason: "the store has reached its limit (`store_max_bytes`)".to_owned() }.into())
}

/// Reads blobs in the order asked for.
pub(crate) fn get(connection: &Connection, refs: &[BlobRef]) -> Result<Vec<Bytes>, Halt> {
    let sql = "SELECT content FROM blob JOIN sealed USING (n) WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut contents = Vec::with_capacity(refs.len());
    for BlobRef { id, .. } in refs {
        let content = statement
            .query_row([&id.0[..]], |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?)))
            .optional()?
            .ok_or_else(|| StoreError::NotFound { what: id.to_string() })?;
        contents.push(content);
    }
    Ok(contents)
}

/// One step of a round. `after` is the first 8 bytes of the id of the first blob to look at.
pub(crate) fn sweep(tx: &Tx<'_>, horizon: Horizon, after: Option<u64>, live: &Live) -> Result<SweepPage, Halt> {
    let start = after.unwrap_or(0).to_be_bytes();
    let mut scan = tx.statement("SELECT id, n, epoch FROM blob WHERE id >= ?1 ORDER BY id LIMIT ?2")?;
    let mut rows = scan.query((&start[..], SWEEP_STEP_SCANNED + 1))?;

    let mut dead = Vec::new();
    let mut scanned = 0;
    let mut next = None;
    while let Some(row) = rows.next()? {
        let id = BlobId(row.get(0)?);
        if scanned == SWEEP_STEP_SCANNED || dead.len() as u64 == SWEEP_STEP_DELETED {
            next = Some(prefix(&id));
            break;
        }
        scanned += 1;
        let epoch: u64 = row.get(2)?;
        if epoch + 1 < horizon.0 && !live.contains(&id) {
            let n: i64 = row.get(1)?;
            dead.push((id, n));
        }
    }
    drop(rows);

    let mut page = SweepPage { next, deleted: 0, freed_bytes: 0 };
    for (id, n) in dead {
        let sql = "DELETE FROM sealed WHERE n = ?1 RETURNING length(content)";
        let freed: u64 = tx.statement(sql)?.query_row([n], |row| row.get(0))?;
        tx.statement("DELETE FROM blob WHERE id = ?1")?.execute([&id.0[..]])?;
        page.deleted += 1;
        page.freed_bytes += freed;
    }
    Ok(page)
}

/// Notes that a blob is in use in this epoch; false where there is no such blob.
fn stamp_one(tx: &Tx<'_>, id: &BlobId, epoch: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT epoch FROM blob WHERE id = ?1";
    let stamp: Option<i64> = tx.statement(sql)?.query_row([&id.0[..]], |row| row.get(0)).optional()?;
    if stamp.is_some_and(|stamp| stamp < epoch) {
        tx.statement("UPDATE blob SET epoch = ?2 WHERE id = ?1")?.execute((&id.0[..], epoch))?;
    }
    Ok(stamp.is_some())
}

fn prefix(id: &BlobId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.0[..8]);
    u64::from_be_bytes(bytes)
}
