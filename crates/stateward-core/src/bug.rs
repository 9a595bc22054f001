//! Bugs that tests plant, to see that their checkers find them. Outside of test builds there are none.

#[cfg(any(test, feature = "testing"))]
use std::sync::{Mutex, PoisonError};

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "testing")), expect(unreachable_pub, reason = "only test builds export it"))]
pub enum Bug {
    /// What a transaction claims keeps nobody out.
    NothingIsHeld,
    /// What a transaction reads keeps nobody from writing it.
    ReadsAreFree,
    /// A plan is never stale.
    StalePlansPass,
    /// A write is taken whole, whatever others have written meanwhile.
    WritesAreNotMerged,
}

/// The bug that a backend has.
#[derive(Debug, Default)]
pub(crate) struct Planted {
    #[cfg(any(test, feature = "testing"))]
    bug: Mutex<Option<Bug>>,
}

impl Planted {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn plant(&self, bug: Bug) {
        *self.bug.lock().unwrap_or_else(PoisonError::into_inner) = Some(bug);
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn has(&self, bug: Bug) -> bool {
        *self.bug.lock().unwrap_or_else(PoisonError::into_inner) == Some(bug)
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "it is the same question in a test build")]
    pub(crate) fn has(&self, _: Bug) -> bool {
        false
    }
}
