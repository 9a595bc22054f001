//! The crate from outside: a corpus of labelled texts, and laws that hold for all of them.
#![expect(clippy::expect_used, reason = "tests fail by panicking, in helpers too")]

mod corpus;
mod laws;
mod streams;
mod wrap;
