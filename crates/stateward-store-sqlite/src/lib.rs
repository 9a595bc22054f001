//! The embedded storage engine: one `SQLite` file.
//!
//! A request's path: [`SqliteStore`] turns it into a task; the `queue` orders tasks, small ones first; the `writer` thread
//! runs all small ones that wait as one transaction, and answers when it is on disk. Reads go to the `readers`.
//! `SQLite` never runs on a thread of the async runtime.
//!
//! Collection needs no pins: every blob carries the epoch in which it was last put, shared or published, a round of collection
//! begins with a new epoch, and it takes only what is older than the round before it. See [`stateward_store::Session`].

mod backup;
mod blobs;
mod checkpoint;
mod error;
mod filesystem;
mod open;
mod queue;
mod readers;
mod records;
mod refusal;
mod schema;
mod session;
mod stats;
mod store;
mod writer;

pub use filesystem::network_filesystem;
pub use open::Options;
pub use refusal::OpenError;
pub use stats::Stats;
pub use store::SqliteStore;
