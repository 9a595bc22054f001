//! The storage contract, its reference engine, fault injection, and the suite that every engine passes.
//!
//! A store holds two kinds of things and knows the meaning of neither:
//!
//! - **records**: small values under a [`Key`], changed by compare-and-set on a [`Revision`];
//! - **blobs**: immutable sealed chunks under a [`BlobId`], written in a [`Session`].
//!
//! Everything above (versions, locks, history) is made of these two. [`body`] turns a stream of bytes of any size into
//! blobs and back, in bounded memory.

mod error;
mod mem;
mod store;

pub mod body;
pub mod conformance;
pub mod fault;
pub mod outside;

pub use error::{Result, StoreError};
pub use mem::MemStore;
pub use store::{
    BlobId, BlobRef, Description, Entry, Expect, Horizon, Key, Listing, Live, Locator, NewBlob, Problem, Record,
    Revision, Session, Store, SweepPage, Write,
};
