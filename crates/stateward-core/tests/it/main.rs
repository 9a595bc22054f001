//! The backend over the reference store: one file a topic.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod adopt;
mod bench;
mod faults;
mod gathering;
mod history;
mod large;
mod locks;
mod outside;
mod regressions;
mod simulation;
mod transactions;
mod upkeep;
mod write;
