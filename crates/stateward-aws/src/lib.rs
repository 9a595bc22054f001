//! Live AWS: set it up for Terraform's state, check it, put it right, read its trail.
//!
//! Nothing here prints or reads the environment beside what the SDK itself does; what was found and done is returned as data.

pub mod doctor;
mod failed;
mod lifecycle;
pub mod recovery;
mod services;
pub mod setup;
pub mod trail;

pub use failed::Failed;
pub use services::{Layout, Services};
