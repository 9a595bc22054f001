//! The engine against servers that stand in for `DynamoDB`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod blobs;
mod cost;
mod faults;
mod locks;
// Tests start in the order of their names: the longest one is not left over to the end, when nothing runs beside it.
mod moto;
mod opening;
mod place;
mod records;
mod regions;
mod suite;
