//! Copy, move, import and export between stores in memory, with faults.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod copy;
mod files;
mod outside;
mod relocate;
mod world;
