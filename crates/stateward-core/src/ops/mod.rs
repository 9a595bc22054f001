//! What the backend does, one file a use case. Each checks the caller's right first and leaves an audit record behind.

mod adopt;
mod audit;
mod base;
mod body;
mod delete;
mod diff;
mod history;
mod list;
mod lock;
mod log;
mod outside;
mod prune;
mod read;
mod restore;
mod timeline;
mod tx;
mod unlock;
mod verify;
mod write;

pub(crate) use base::Base;

pub use crate::view::Pruned;
pub use body::BodyStream;
pub use list::StatesQuery;
pub use lock::{Grant, LockRequest};
pub use read::Content;
pub use tx::{Begin, Begun, PlanBase, Recover};
pub use unlock::Unlocked;
pub use verify::VerifyProgress;
pub use write::{Post, PushOutcome, Written};

#[cfg(test)]
mod tests {
    use crate::Backend;
    use crate::access::Caller;
    use crate::name::StateId;

    /// A server runs them on any of its threads.
    #[test]
    fn the_long_ones_can_move_between_threads() {
        fn movable<T: Send>(_: impl Fn(Backend, &'static Caller, &'static StateId) -> T) {}
        movable(|backend, caller, _| async move { backend.prune(caller).await.map(drop) });
        movable(|backend, caller, _| async move { backend.verify(caller, None, |_| {}).await.map(drop) });
        movable(|backend, caller, state| async move { backend.diff(caller, state, None, None).await.map(drop) });
        movable(|backend, caller, state| async move { backend.timeline(caller, state, "").await.map(drop) });
    }
}
