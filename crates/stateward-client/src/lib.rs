//! One way to a store, wherever it is: [`Connection`] is what the command line needs, [`Local`] serves it from a store on this
//! machine, [`Remote`] from a server, by API v1.
//!
//! [`push`], [`find_state`], all of [`transfer`] and the [`Session`] of a run are built on any connection.

mod connection;
mod file_body;
mod local;
mod push;
mod remote;
mod server_url;
mod session;
pub mod transfer;
mod transport;

pub use connection::{Connection, OnVerify, Pulled, find_state};
pub use file_body::FileBody;
pub use local::Local;
pub use push::{Source, push};
pub use remote::Remote;
pub use server_url::{Secret, ServerUrl, ServerUrlError};
pub use session::{Event, Session, Terms, Unsaved};
