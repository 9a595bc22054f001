//! The backend itself, over any store: versions, locks, history, restore, audit and authorization.
//!
//! A request's path: [`Backend`] checks the caller's right ([`access`]), reads the state's [control record](control), lets a pure
//! step decide ([`locks`], [`publish`]), and publishes the outcome by one compare-and-set. Everything else that it writes is
//! immutable and written before.

pub mod access;
pub mod adoption;
pub mod audit;
pub mod backend;
mod bug;
pub mod claim;
pub mod control;
mod error;
mod index;
mod ingest;
mod latch;
pub mod locks;
mod name;
mod ops;
mod outside;
mod ports;
pub mod publish;
mod records;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod version;
pub mod view;

pub use access::{Access, Caller, Right, Tokens};
pub use adoption::{Adoption, Fingerprint, Original};
pub use backend::Backend;
pub use claim::{Claim, Ending};
pub use error::{Error, Kind, Result};
pub use name::{NameError, StateId, StateName, Workspace};
pub use ops::{
    Begin, Begun, BodyStream, Content, Grant, LockRequest, PlanBase, Post, Pruned, PushOutcome, Recover, StatesQuery,
    Unlocked, VerifyProgress, Written,
};
pub use outside::Outside;
pub use ports::{Clock, Entropy, Timestamp};
pub use settings::{ForceUnlock, Limits, PlanLocks, Retention, Settings};
pub use stateward_store::outside::LockInfo;
pub use version::Version;
