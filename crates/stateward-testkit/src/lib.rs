//! What tests of several crates need: hermetic directories and processes, real Terraform, servers that stand in for AWS,
//! a proxy that lets requests go wrong, and HTTP to the byte.
//!
//! Everything here blocks, and panics where it cannot go on: a helper that fails must fail its test, with all that it
//! knows. From a test that runs its server on a single-threaded async runtime, call it through `spawn_blocking`.
#![expect(clippy::expect_used, reason = "a helper that fails must fail its test")]
#![expect(clippy::return_self_not_must_use, reason = "an output may be checked and then dropped")]

mod aws;
mod cli;
mod deadline;
mod dir;
mod dynamodb_local;
mod fault_proxy;
mod filters;
mod http;
mod iam_oracle;
mod lock_info;
mod moto;
mod not_run;
mod process;
mod s3_backend;
mod second_opinion;
mod seen;
mod server;
mod service;
mod terraform;
mod tools;
mod versitygw;

pub use aws::{AwsEnv, fresh_name};
pub use cli::Cli;
pub use dir::TestDir;
pub use dynamodb_local::DynamoDbLocal;
pub use fault_proxy::{Fault, FaultProxy, Rule};
pub use filters::Filters;
pub use http::{Body, Connection, RawHttp, Response};
pub use iam_oracle::iam_oracle;
pub use lock_info::{LockInfo, lock_info};
pub use moto::{Moto, aws_calls, try_aws_calls};
pub use not_run::did_not_run;
pub use process::{Output, Running};
pub use s3_backend::S3Backend;
pub use second_opinion::{SecondOpinion, Seconded};
pub use seen::SeenRequest;
pub use server::ServerProcess;
pub use terraform::{Terraform, Workdir};
pub use versitygw::VersityGw;
