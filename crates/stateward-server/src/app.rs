//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stateward_core::{Backend, Tokens};
use tokio::sync::watch;

use crate::auth::{Auth, Strangers};
use crate::drain::Drain;
use crate::metrics::Metrics;

/// How connections are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// How long a connection may be idle, or take to send the head of a request.
    pub idle: Duration,
    /// How long a client may neither send nor take a byte in the middle of a body.
    pub silence: Duration,
    /// How long, on shutdown, `/readyz` says no before connections are no longer accepted.
    pub notice: Duration,
    /// How long, after that, requests under way may take.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 4096,
            idle: Duration::from_mins(1),
            silence: Duration::from_mins(2),
            notice: Duration::ZERO,
            grace: Duration::from_secs(25),
        }
    }
}

/// The server, ready to be [served](crate::serve()). Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Backend,
    options: Options,
    auth: watch::Sender<Auth>,
    strangers: Strangers,
    drain: Drain,
    metrics: Metrics,
    /// Tells the requests of this process from those of others in logs.
    epoch: i64,
    requests: AtomicU64,
}

impl App {
    /// A server over `backend`.
    pub fn new(backend: Backend, auth: Auth, options: Options) -> Self {
        Self(Arc::new(Shared {
            epoch: backend.now().as_millisecond(),
            backend,
            options,
            auth: watch::Sender::new(auth),
            strangers: Strangers::default(),
            drain: Drain::default(),
            metrics: Metrics::new(),
            requests: AtomicU64::new(0),
        }))
    }

    /// Puts these tokens in force, for every request from now on.
    pub fn set_tokens(&self, tokens: Tokens) {
        self.0.auth.send_replace(Auth::Tokens(tokens));
    }

    /// The backend below.
    pub fn backend(&self) -> &Backend {
        &self.0.backend
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn auth(&self) -> Auth {
        self.0.auth.borrow().clone()
    }

    pub(crate) fn strangers(&self) -> &Strangers {
        &self.0.strangers
    }

    pub(crate) fn drain(&self) -> &Drain {
        &self.0.drain
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// A new name for a request.
    pub(crate) fn request_id(&self) -> String {
        format!("{:x}-{:x}", self.0.epoch, self.0.requests.fetch_add(1, Ordering::Relaxed))
    }
}
