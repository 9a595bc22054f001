//! What an operator may set. Defaults are the safe ones.

use std::time::Duration;

/// How the backend behaves.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What clients may send.
    pub limits: Limits,
    /// How long a LOCK waits in the queue when the client does not say (`lock.wait`).
    pub lock_wait: Duration,
    /// Whether a lock may be broken by an UNLOCK without lock information (Terraform's `force-unlock`).
    pub force_unlock: ForceUnlock,
    /// What a lock taken for a plan is.
    pub plan_locks: PlanLocks,
    /// Accept a POST that lowers the serial or changes the lineage (Terraform's `state push -force`).
    pub allow_force_push: bool,
    /// What of the history is kept.
    pub retention: Retention,
}

/// Bounds on requests.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a state.
    pub body_bytes: u64,
    /// Bytes of a lock's information.
    pub lock_bytes: usize,
    /// Clients waiting for one state.
    pub queue: usize,
    /// Plan locks shown for one state; the oldest go first, they protect nothing.
    pub plan_locks: usize,
    /// The longest that a LOCK may wait.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 1 << 30, lock_bytes: 64 << 10, queue: 256, plan_locks: 64, wait: Duration::from_hours(1) }
    }
}

/// Whether Terraform's `force-unlock`, which cannot say which lock it means, works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForceUnlock {
    /// Yes, for callers who have the right; each use is audited.
    #[default]
    Allowed,
    /// No: only an UNLOCK that names the lock.
    Refused,
}

/// What a lock with `OperationTypePlan` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlanLocks {
    /// Shared: never waits, keeps nobody waiting, and cannot write.
    #[default]
    Shared,
    /// A whole-state lock like any other.
    Exclusive,
}

/// What of the history is kept. A version stays if *either* rule keeps it; without rules everything stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// The newest so many versions of a state.
    pub keep_versions: Option<u64>,
    /// Versions younger than this many days.
    pub keep_days: Option<u64>,
    /// Of the snapshots that one run wrote under one lock, only the last counts as a version worth keeping.
    pub fold_snapshots: bool,
}
