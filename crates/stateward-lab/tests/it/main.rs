//! The lab as AWS's own SDK meets it.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod keys;
mod lab;
mod layers;
mod objects;
mod roles;
mod sessions;
mod signatures;
