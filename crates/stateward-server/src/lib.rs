//! Terraform's http protocol and API v1 over the core.
//!
//! A request's path: [`serve()`] accepts a connection (`socket`), `exchange` numbers, measures and logs the request, `call` finds
//! out who asks, a handler (`terraform` or `api`) parses, calls the core and renders, and `answer` turns what the core refuses
//! into a status. No handler decides anything.

mod answer;
mod api;
mod app;
mod auth;
mod body;
mod call;
mod drain;
mod exchange;
mod grant;
mod knowledge;
mod local;
mod loopback;
mod metrics;
mod openapi;
mod probes;
mod query;
mod router;
mod serve;
mod shapes;
mod socket;
mod target;
mod terraform;

pub use app::{App, Options};
pub use auth::Auth;
pub use loopback::{Loopback, OneState};
pub use openapi::document as openapi;
pub use serve::serve;
