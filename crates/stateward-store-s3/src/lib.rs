//! The S3 storage engine: records as objects changed by conditional writes, chunks in packs.
//!
//! It needs S3 alone. Everything lies below `<prefix>/.stateward/`: `records/` holds one object a record (`records`, `envelope`, `names`),
//! `packs/` what is too large to be kept in a record (`pack`, `session`, `read`), `meta/` what the engine keeps for itself. `commit` says
//! how several records are written as one, `sweep` what is deleted when, and why that is safe. Beside it lies what is shared with Terraform's own
//! `s3` backend ([`TerraformPlace`]).

mod commit;
mod connect;
mod envelope;
mod hold;
mod list;
mod names;
mod open;
mod options;
mod pack;
mod read;
mod records;
mod refusal;
mod session;
mod shelf;
mod store;
mod sweep;
mod terraform;
mod verify;

pub use options::{Options, Sharing};
pub use refusal::OpenError;
pub use stateward_store_aws::{Access, BucketError, Counter, CustomerKey, Encryption, Objects, Role, UrlError, Usage};
pub use store::S3Store;
pub use terraform::{LockKind, ObjectVersion, StandingLock, TerraformPlace};
