//! What the storage engines on AWS have in common.
//!
//! Who one is and where the service is ([`Access`], [`Who`], [`configuration`]); a bucket, how it is written to, and requests to it ([`Objects`],
//! [`Bucket`], [`Reader`]); what the errors of the SDK mean ([`fault_of`], [`BucketError`]). No record of a store and no lock is known here.

mod access;
mod assume;
mod bucket;
mod connect;
mod counter;
mod explained;
mod fault;
mod ids;
mod objects;
mod query;
mod reach;
mod reader;
mod refusal;
pub mod together;
mod who;

pub use access::{Access, Role, RoleQuery, Token, WebIdentity};
pub use assume::sts;
pub use bucket::{Bucket, Condition, Head, Headers, LISTED_MAX, Listed, Names, Object, Page, once};
pub use connect::{Location, at_endpoint, bucket, configuration, dynamodb_endpoint, s3_endpoint, settled};
pub use counter::{Counter, Units, Usage};
pub use explained::Explained;
pub use fault::{Fault, NoPlace, Refused, fault_of, words};
pub use ids::Ids;
pub use objects::{CustomerHeaders, CustomerKey, Encryption, KeyQuery, Objects};
pub use query::{BLOBS_MARK, Place, ROOT, S3_STORE_MARK, UrlError, endpoint, parse, query};
pub use reach::{has_id, is_foreign};
pub use reader::{Reader, Wanted};
pub use refusal::BucketError;
pub use who::{Source, Variable, Who};
