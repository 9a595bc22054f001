//! The engine against servers that stand in for `DynamoDB`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod blobs;
mod cost;
mod faults;
mod locks;
mod opening;
mod place;
mod records;
mod regions;
mod suite;
