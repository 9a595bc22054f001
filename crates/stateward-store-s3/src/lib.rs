//! The S3 storage engine: records as objects changed by conditional writes, chunks in packs.
//!
//! It needs S3 alone. Everything lies below `<prefix>/.stateward/`: `records/` holds one object a record (`records`, `envelope`, `names`),
//! `packs/` what is too large to be kept in a record (`pack`, `session`, `read`), `meta/` what the engine keeps for itself. `commit` says
//! how several records are written as one, `sweep` what is deleted when, and why that is safe. Beside it lies what is shared with Terraform's own
//! `s3` backend ([`TerraformPlace`]).

mod bucket;
mod commit;
mod connect;
mod counter;
mod envelope;
mod fault;
mod hold;
mod ids;
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
mod together;
mod verify;

pub use counter::Counter;
pub use options::{Access, CustomerKey, Encryption, Options, Role, Sharing, UrlError};
pub use refusal::OpenError;
pub use store::S3Store;
pub use terraform::{ObjectVersion, TerraformPlace};
