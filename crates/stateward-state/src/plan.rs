//! What applying a saved plan reads and writes, so that other runs can go on beside it.
//!
//! A plan is known by two things: its file, which `terraform plan -out` writes and [`PlanFile`] reads, and what
//! `terraform show -json` says of it. [`Footprint::of`] makes the write set and the read set of both. Where something cannot
//! be told for sure, the sets hold more: all instances, the whole module, everything. Where a plan cannot be held to
//! single resources at all, [`Whole`] says why.

mod error;
mod file;
mod footprint;
mod place;
mod resolve;
mod show;
mod source;

pub use error::{PlanError, ShowError, Whole};
pub use file::PlanFile;
pub use footprint::Footprint;
pub use place::{NotAPlace, Place, Places};
