//! The writer's queue: small tasks first, bulky ones in between.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use stateward_store::{Result, StoreError};
use tokio::sync::oneshot;

use crate::error::{Halt, closed};
use crate::writer::Tx;

/// At most so many small tasks share a transaction,
const GROUP_TASKS_MAX: usize = 256;
/// and about so many bytes.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Which line a task waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What somebody waits for: all that wait share one transaction.
    Small,
    /// Blobs ahead of their commit, and sweeps: each has a transaction of its own.
    Bulk,
}

/// What the writer is to do next.
pub(crate) enum Turn {
    /// These, in one transaction.
    Write(Vec<Box<dyn Task>>),
    /// Carry over what is left of the log; nobody else writes meanwhile.
    Checkpoint(oneshot::Sender<bool>),
}

/// A piece of work within a write transaction, and somebody who waits for its answer.
pub(crate) trait Task: Send {
    /// Does it. May be called again after the transaction was undone.
    fn apply(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    /// Answers, now that the transaction is on disk or is not.
    fn answer(self: Box<Self>, transaction: Result<()>);
    /// About how much it adds to its transaction.
    fn bytes(&self) -> usize;
}

/// Orders the writer's tasks.
#[derive(Default)]
pub(crate) struct Queue {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    small: VecDeque<Box<dyn Task>>,
    bulk: VecDeque<Box<dyn Task>>,
    checkpoint: Option<oneshot::Sender<bool>>,
    /// A bulky task goes next, so that a stream of small ones does not starve them.
    bulk_is_due: bool,
    /// No bulky task starts, so that the log can be finished.
    bulk_is_held: bool,
    closed: bool,
}

impl Queue {
    /// Does `work` in a write transaction and answers when that is on disk.
    pub(crate) async fn ask<T, F>(&self, lane: Lane, bytes: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Halt> + Send + 'static,
    {
        answered(self.submit(lane, bytes, work)?.await)
    }

    /// Like [`Queue::ask`], for those who do not wait yet.
    pub(crate) fn submit<T, F>(&self, lane: Lane, bytes: usize, work: F) -> Result<oneshot::Receiver<Result<T>>>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Halt> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let task = Box::new(Asked { work, bytes, outcome: None, answer });
        let mut lines = self.lock();
        if lines.closed {
            return Err(closed());
        }
        match lane {
            Lane::Small => lines.small.push_back(task),
            Lane::Bulk => lines.bulk.push_back(task),
        }
        drop(lines);
        self.changed.notify_one();
        Ok(receiver)
    }

    /// Has the writer finish a checkpoint between two transactions. The answer is true if nothing of the log is left over.
    pub(crate) fn finish_checkpoint(&self) -> bool {
        let (answer, receiver) = oneshot::channel();
        {
            let mut lines = self.lock();
            if lines.closed {
                return false;
            }
            lines.checkpoint = Some(answer);
        }
        self.changed.notify_one();
        receiver.blocking_recv().unwrap_or(false)
    }

    /// Holds bulky tasks back, or lets them go on.
    pub(crate) fn hold_bulk(&self, hold: bool) {
        self.lock().bulk_is_held = hold;
        self.changed.notify_one();
    }

    /// Takes no more tasks. The writer still does those that are there.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Takes no more tasks and refuses those that are there: the writer is gone.
    pub(crate) fn abandon(&self) {
        let mut lines = self.lock();
        lines.closed = true;
        lines.checkpoint = None;
        let left: Vec<_> = lines.small.drain(..).collect();
        let left = left.into_iter().chain(lines.bulk.drain(..)).collect::<Vec<_>>();
        drop(lines);
        for task in left {
            task.answer(Err(closed()));
        }
    }

    /// Waits for something to do; `None` when all is done and the queue is closed.
    pub(crate) fn next(&self) -> Option<Turn> {
        let mut lines = self.lock();
        loop {
            if let Some(turn) = lines.turn() {
                return Some(turn);
            }
            if lines.closed {
                return None;
            }
            lines = self.changed.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn turn(&mut self) -> Option<Turn> {
        if let Some(answer) = self.checkpoint.take() {
            return Some(Turn::Checkpoint(answer));
        }
        let bulk_may_go = !self.bulk.is_empty() && (!self.bulk_is_held || self.closed);
        if bulk_may_go && (self.bulk_is_due || self.small.is_empty()) {
            self.bulk_is_due = false;
            return self.bulk.pop_front().map(|task| Turn::Write(vec![task]));
        }
        if self.small.is_empty() {
            return None;
        }
        self.bulk_is_due = true;
        Some(Turn::Write(self.group()))
    }

    fn group(&mut self) -> Vec<Box<dyn Task>> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_TASKS_MAX && bytes < GROUP_BYTES_MAX {
            let Some(task) = self.small.pop_front() else { break };
            bytes += task.bytes();
            group.push(task);
        }
        group
    }
}

/// What the asker receives. An answer that never came belongs to a task that the writer died of.
pub(crate) fn answered<T>(received: Result<Result<T>, oneshot::error::RecvError>) -> Result<T> {
    received.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown { reason: "the writing thread ended".into() }))
}

struct Asked<T, F> {
    work: F,
    bytes: usize,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Task for Asked<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, Halt> + Send,
{
    fn apply(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.outcome = Some(match (self.work)(tx) {
            Ok(done) => Ok(done),
            Err(Halt::Refused(error)) => Err(error),
            Err(Halt::Broken(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, transaction: Result<()>) {
        let Self { outcome, answer, .. } = *self;
        let outcome = transaction.and_then(|()| outcome.unwrap_or_else(|| Err(closed())));
        // Whoever asked may have gone away: what was done stays done.
        drop(answer.send(outcome));
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
