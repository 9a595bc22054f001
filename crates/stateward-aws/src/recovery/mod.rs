//! Puts right what a run of Terraform's own `s3` backend left behind: a state and its digest that contradict each other ([`look`],
//! [`decide`], [`Repair`]), and a lock whose holder is gone ([`weigh`]).
//!
//! Nothing is guessed: where the evidence does not decide, it is laid out, and whoever asks has to choose. Nothing is changed that is
//! not exactly what was looked at.

mod decide;
mod facts;
mod holder;
mod repair;

pub use decide::{Choice, Decision, DigestStep, Keep, Plan, Wish, Write, decide};
pub use facts::{Content, Facts, StateCopy, VERSIONS_READ, look};
pub use holder::{Evidence, Machine, Verdict, Weighed, taken_at, weigh};
pub use repair::{Done, Repair, RepairError};
