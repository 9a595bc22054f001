//! The one thread that writes.
//!
//! It takes all small tasks that wait, runs them in one transaction, and answers when that is on disk. While it waits for
//! the disk, the next group gathers by itself; there is no timer.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};
use stateward_store::{Result, StoreError};
use tracing::{error, warn};

use crate::error::{at_commit, undone};
use crate::queue::{Queue, Task, Turn};
use crate::stats::Counters;

/// Revisions are taken from the file in ranges, so that most commits do not have to write the counter.
const REVISION_RANGE: i64 = 1024;

/// The writing thread's own things.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) revisions: Revisions,
}

/// Revisions taken but not used yet. Unused ones are lost when the process ends: they have to be unique, not dense.
#[derive(Debug, Default)]
pub(crate) struct Revisions {
    next: i64,
    end: i64,
}

/// A write transaction as tasks see it.
pub(crate) struct Tx<'a> {
    connection: &'a Connection,
    revisions: &'a mut Revisions,
    epoch: Option<i64>,
    /// What will have been done if the transaction reaches the disk.
    pub(crate) tally: Tally,
}

/// Counts of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) commits: u64,
    pub(crate) blobs: u64,
    pub(crate) blob_bytes: u64,
}

/// Where a transaction failed.
enum Stopped {
    /// Before any task.
    AtBegin(StoreError),
    /// In a task, perhaps because of it alone.
    Within(StoreError),
    /// After all tasks.
    AtCommit(StoreError),
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let _abandon = Abandon(Arc::clone(&self.queue));
        while let Some(turn) = self.queue.next() {
            match turn {
                Turn::Write(tasks) => self.write(tasks),
                Turn::Checkpoint(answer) => drop(answer.send(crate::checkpoint::passive(&self.connection))),
            }
        }
    }

    fn write(&mut self, mut tasks: Vec<Box<dyn Task>>) {
        let done = match self.transaction(&mut tasks) {
            Ok(()) => Ok(()),
            Err(Stopped::Within(_)) if tasks.len() > 1 => {
                // Nothing was done; whoever caused it shall not take the others down.
                return tasks.into_iter().for_each(|task| self.write(vec![task]));
            }
            Err(Stopped::AtBegin(error) | Stopped::Within(error) | Stopped::AtCommit(error)) => {
                warn!(%error, tasks = tasks.len(), "a write transaction failed");
                Err(error)
            }
        };
        for task in tasks {
            task.answer(done.clone());
        }
    }

    fn transaction(&mut self, tasks: &mut [Box<dyn Task>]) -> Result<(), Stopped> {
        let begun = run(&self.connection, "BEGIN IMMEDIATE");
        begun.map_err(|error| Stopped::AtBegin(undone(&error)))?;

        let mut tx =
            Tx { connection: &self.connection, revisions: &mut self.revisions, epoch: None, tally: Tally::default() };
        for task in tasks {
            if let Err(error) = task.apply(&mut tx) {
                self.undo();
                return Err(Stopped::Within(undone(&error)));
            }
        }
        let tally = tx.tally;
        if let Err(error) = run(&self.connection, "COMMIT") {
            self.undo();
            return Err(Stopped::AtCommit(at_commit(&error)));
        }
        self.counters.add(&tally);
        Ok(())
    }

    fn undo(&mut self) {
        // The range may have been taken in the transaction that is now undone.
        self.revisions = Revisions::default();
        // SQLite may have rolled back by itself.
        if !self.connection.is_autocommit()
            && let Err(error) = run(&self.connection, "ROLLBACK")
        {
            error!(%error, "a rollback failed");
        }
    }
}

/// Refuses what is left in the queue however the thread ends.
struct Abandon(Arc<Queue>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Tx<'_> {
    /// A statement, prepared once for each connection.
    pub(crate) fn statement(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
    }

    /// The rowid of the last insertion.
    pub(crate) fn last_rowid(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// A revision that was never used before and never will be again, by any process.
    pub(crate) fn next_revision(&mut self) -> rusqlite::Result<i64> {
        if self.revisions.next == self.revisions.end {
            let take = "UPDATE meta SET value = value + ?1 WHERE name = 'revision' RETURNING value";
            let end: i64 = self.statement(take)?.query_row([REVISION_RANGE], |row| row.get(0))?;
            *self.revisions = Revisions { next: end - REVISION_RANGE, end };
        }
        self.revisions.next += 1;
        Ok(self.revisions.next)
    }

    /// The current round of collection.
    pub(crate) fn epoch(&mut self) -> rusqlite::Result<i64> {
        if let Some(epoch) = self.epoch {
            return Ok(epoch);
        }
        let epoch = read_epoch(self.connection)?;
        self.epoch = Some(epoch);
        Ok(epoch)
    }

    /// Begins a round of collection.
    pub(crate) fn next_epoch(&mut self) -> rusqlite::Result<i64> {
        let sql = "UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value";
        let epoch = self.statement(sql)?.query_row([], |row| row.get(0))?;
        self.epoch = Some(epoch);
        Ok(epoch)
    }
}

/// The current round of collection, as any connection sees it.
pub(crate) fn read_epoch(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT value FROM meta WHERE name = 'epoch'";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Halt;
    use crate::queue::Lane;

    /// A writer on an empty database in memory, not yet running.
    fn writer() -> (Arc<Queue>, Writer) {
        let queue = Arc::<Queue>::default();
        let connection = Connection::open_in_memory().unwrap();
        let (counters, revisions) = (Arc::default(), Revisions::default());
        (Arc::clone(&queue), Writer { connection, queue, counters, revisions })
    }

    #[test]
    fn a_writer_that_dies_leaves_nobody_waiting() {
        let (queue, writer) = writer();
        let dies = queue.submit(Lane::Small, usize::MAX, |_| -> Result<(), Halt> { panic!("on purpose") }).unwrap();
        let waits = queue.submit(Lane::Bulk, 0, |_| Ok(())).unwrap();
        assert!(std::thread::spawn(move || writer.run()).join().is_err());

        assert!(dies.blocking_recv().is_err(), "it may or may not have been done");
        assert!(matches!(waits.blocking_recv(), Ok(Err(StoreError::Unavailable { .. }))), "it was not begun");
        let late = queue.submit(Lane::Small, 0, |_| Ok(()));
        assert!(matches!(late, Err(StoreError::Unavailable { .. })));
        assert!(!queue.finish_checkpoint());
    }

    #[test]
    fn a_task_that_breaks_takes_no_other_down() {
        let (queue, writer) = writer();
        let create = queue.submit(Lane::Small, 0, |tx| Ok(tx.statement("CREATE TABLE t (x)")?.execute([])?)).unwrap();
        let breaks =
            queue.submit(Lane::Small, 0, |tx| Ok(tx.statement("INSERT INTO no_such_table VALUES (1)")?.execute([])?));
        let insert =
            queue.submit(Lane::Small, 0, |tx| Ok(tx.statement("INSERT INTO t VALUES (1)")?.execute([])?)).unwrap();
        queue.close();
        writer.run();
        assert!(matches!(create.blocking_recv(), Ok(Ok(_))));
        assert!(matches!(breaks.unwrap().blocking_recv(), Ok(Err(_))));
        assert!(matches!(insert.blocking_recv(), Ok(Ok(1))));
    }

    #[test]
    fn small_tasks_go_first_but_bulky_ones_are_not_starved() {
        let (queue, writer) = writer();
        let (order, taken) = std::sync::mpsc::channel();
        for (lane, name) in
            [(Lane::Bulk, "bulk 1"), (Lane::Bulk, "bulk 2"), (Lane::Small, "small 1"), (Lane::Small, "small 2")]
        {
            let order = order.clone();
            let note = move |_: &mut Tx<'_>| order.send(name).map_err(|_| Halt::from(crate::error::closed()));
            queue.submit(lane, 0, note).unwrap();
        }
        queue.close();
        writer.run();
        assert_eq!(taken.try_iter().collect::<Vec<_>>(), ["small 1", "small 2", "bulk 1", "bulk 2"]);
    }
}
