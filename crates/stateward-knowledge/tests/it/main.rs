//! The entries, and what finds them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../build/compile.rs"]
mod compile;
#[path = "../../src/entry.rs"]
#[expect(dead_code, unreachable_pub, reason = "the compiler of entries needs their types only")]
mod entry;

mod entries;
mod faults;
mod site;
