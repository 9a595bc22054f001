//! The S3 engine on services of two makes: moto, and versitygw, which keeps objects as files and checks signatures.

mod budget;
mod digests;
mod faults;
mod opening;
mod place;
mod suite;
mod world;
