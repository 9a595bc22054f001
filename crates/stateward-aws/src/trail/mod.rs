//! The record of calls that were refused: read from files, from a trail's bucket, or from `CloudTrail` itself.
//!
//! Records stream through: what is kept is what was refused, by who asked for what ([`Tally`]).

mod bucket;
mod files;
mod fix;
mod lookup;
mod records;
mod tally;

pub use bucket::{BucketError, TrailBucket};
pub use files::{FileError, files_below, read_file};
pub use fix::{Fix, FixPolicy, LeftOut, Reason, fix};
pub use lookup::{KEPT, event_source, look_up};
pub use records::{Content, Unreadable, read};
pub use tally::{Denied, Refusal, Tally, Wanted};
