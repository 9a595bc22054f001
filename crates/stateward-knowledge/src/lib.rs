//! What is known of each error, and what to do about it. Pure: no I/O, no async.

pub mod advice;
