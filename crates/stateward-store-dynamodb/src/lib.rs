//! The `DynamoDB` storage engine: records and packed chunks as items, published by transactions.
//!
//! A request's path: [`DynamoStore`] finds where the home is (`home`); `places` says which items a key stands for; `commit` makes
//! the actions of a commit, and `table` does them, all in one transaction, or in one plain conditional write where one is enough.
//! Blobs gather in a `session`, in packs (`pack`), which `sweep` deletes when nobody refers to them; their bytes may lie in a
//! bucket (`depot`).

mod batch;
mod blobs;
mod claim;
mod commit;
mod connect;
mod depot;
mod failover;
mod home;
mod item;
mod locks;
mod open;
mod options;
mod pack;
mod places;
mod records;
mod refusal;
mod rounds;
mod schema;
mod session;
mod shared;
mod shelf;
mod store;
mod sweep;
mod table;
mod verify;

pub use failover::{Force, Moved, failover, left_behind};
pub use locks::LockTable;
pub use options::{Blobs, Options};
pub use refusal::OpenError;
pub use stateward_store_aws::{
    Access, BucketError, Counter, CustomerKey, Encryption, Objects, Place, Role, UrlError, Usage,
};
pub use store::{DynamoStore, Now};
