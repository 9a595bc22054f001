//! AWS on loopback with every layer of access control: who may not is refused in AWS's own words, the rest goes to a
//! server that does it, such as moto.
//!
//! A [`Config`] says who there is and which policies have a say; it compiles to a [`World`]. A [`Lab`] answers requests in
//! it, by [`serve`] on a listener, or as a [`Running`] server on a thread of its own. Each decision is remembered as a
//! [`Decision`].
//!
//! A request goes one way: `authenticate` (who signed it), `ask` (which actions on which resources), `judge` (what all
//! policies say, by `stateward-iam`), then `refusal` and `answer`, or `upstream`. All but the last is pure.

mod addressed;
mod answer;
mod ask;
mod authenticate;
mod caller;
mod config;
mod decision;
mod incoming;
mod judge;
mod key_state;
mod lab;
mod learn;
mod refusal;
mod running;
mod seed;
mod serve;
mod sign;
mod tell;
mod upstream;
mod web_identity;
mod world;

pub use config::{Config, ConfigError, Upstream};
pub use decision::Decision;
pub use lab::{Lab, Surroundings};
pub use running::Running;
pub use serve::serve;
pub use world::{Credentials, World};
