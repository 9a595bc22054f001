//! Error texts from anywhere, as denials of AWS and what only looks like one. Pure: no I/O, no async.
//!
//! Give it what there is: the output of Terraform, a CI log, an SDK's exception, a body of XML or JSON, `CloudTrail` records; wrapped,
//! coloured, cut, megabytes of it. What it makes of that is structure ([`Problem`]), and it does not guess: where AWS's text has
//! several causes, the problem is not `certain`, and the layers that come into question are named.
//!
//! - [`Reader`] takes a text in pieces, in bounded memory; [`read`] takes one that is there; [`read_record`] takes a
//!   record of `CloudTrail` that was parsed already; [`read_whole`] takes an answer that just came.
//! - [`Utf8`] reads files of any editor and shell as UTF-8.

mod clean;
mod codes;
mod json;
mod layers;
mod mask;
mod message;
mod principal;
mod problem;
mod reader;
mod scan;
mod services;
mod squeeze;

pub use clean::Utf8;
pub use mask::Mask;
pub use principal::{Principal, PrincipalType};
pub use problem::{Denial, DigestMismatch, Effect, Event, Failure, Kind, Layer, LockInfo, Part, Problem, Reason};
pub use reader::{Findings, Reader, read, read_record, read_whole};
