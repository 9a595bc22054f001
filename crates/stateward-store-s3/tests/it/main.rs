//! The S3 engine on services of two makes: moto, and versitygw, which keeps objects as files and checks signatures.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "figures are shown with `--nocapture`")]

mod budget;
mod digests;
mod faults;
mod opening;
mod place;
mod suite;
mod unchecked;
mod world;
