//! Bodies: byte streams of any size kept as sealed, content-defined chunks.
//!
//! ```text
//! bytes --cut--> chunks --seal--> blobs        (chunk.rs, cut.rs)
//!                  `--refs--> tree of refs     (tree.rs)
//! ```
//!
//! A body that differs little from another shares most of its chunks with it, and most of the nodes of the tree that lists them,
//! because both are cut where the *content* says so. [`Writer`] and [`read`] hold a few MiB at most, whatever the body's size.

mod chunk;
mod cut;
mod read;
mod tree;
mod write;

pub use chunk::{Sealer, StoreKey};
pub use cut::Grain;
pub use read::{items, open_one, read, read_range, refs_of};
pub use tree::{RefItem, Tree, TreeError};
pub use write::{ListWriter, Writer};
