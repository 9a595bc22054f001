//! The entries, and what finds them.

#[path = "../../build/compile.rs"]
mod compile;
#[path = "../../src/entry.rs"]
#[expect(dead_code, unreachable_pub, reason = "the compiler of entries needs their types only")]
mod entry;

mod entries;
mod faults;
mod site;
