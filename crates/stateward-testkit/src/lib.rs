//! What tests of several crates need: hermetic directories and processes, real Terraform, and HTTP to the byte.
//!
//! Everything here blocks, and panics where it cannot go on: a helper that fails must fail its test, with all that it
//! knows. From a test that runs its server on a single-threaded async runtime, call it through `spawn_blocking`.
#![expect(clippy::expect_used, reason = "a helper that fails must fail its test")]
#![expect(clippy::return_self_not_must_use, reason = "an output may be checked and then dropped")]

mod cli;
mod deadline;
mod dir;
mod filters;
mod http;
mod lock_info;
mod process;
mod server;
mod terraform;

pub use cli::Cli;
pub use dir::TestDir;
pub use filters::Filters;
pub use http::{Body, Connection, RawHttp, Response};
pub use lock_info::{LockInfo, lock_info};
pub use process::{Output, Running};
pub use server::ServerProcess;
pub use terraform::{Terraform, Workdir};
