//! Terraform state documents: lossless scan, index, diff and edit. Pure: no I/O, no async.
//!
//! Bodies are state files of format 4 as Terraform and `OpenTofu` write them, or `OpenTofu`'s encrypted envelope. All readers
//! are strict (RFC 8259, UTF-8), keep numbers exact, and share one lexer that takes its input in pieces.
//!
//! - [`scan`](mod@scan): one pass that validates and indexes a body; [`counts`] compares two indexes.
//! - [`extract`](mod@extract) takes chosen instances out of a body; [`diff`](mod@diff) compares them without showing secrets.
//! - [`document`] and [`edit`]: a body in memory, and changes to it that keep every other byte.
//! - [`plan`]: what applying a saved plan reads and writes.
//! - [`address`]: Terraform's addresses, and patterns over them.

pub mod address;
pub mod counts;
pub mod diff;
pub mod document;
pub mod edit;
mod error;
pub mod extract;
#[cfg(feature = "generate")]
pub mod generate;
mod json;
pub mod plan;
pub mod scan;
mod walk;

pub use address::AddressPattern;
pub use counts::Action;
pub use document::Document;
pub use error::ScanError;
pub use extract::{Extracted, Extractor};
pub use json::MAX_DEPTH;
pub use scan::{Entry, Scanner, Spans, Summary};
