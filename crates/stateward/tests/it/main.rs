//! The command line, as a process: what it prints, and how it ends.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod backup;
mod config;
mod doctor;
mod explain;
mod import;
mod kb;
mod lab;
mod locks;
mod output;
mod policy;
mod run;
mod serve;
mod stalling;
mod states;
mod tokens;
mod trail;
mod transfer;
mod unread;
mod versions;
mod world;
mod wrong;
