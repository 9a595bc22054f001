//! The settings as the rest of the program uses them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use stateward_client::{Secret, ServerUrl};

use super::store_url::StoreUrl;

/// SIGTERM ends within 60 s; the rest is for closing the store.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(50);

/// Every setting, typed. Made by [`resolve`](super::resolve) from the table; the values here before are never seen.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) store: StoreUrl,
    pub(crate) create_tables: bool,
    pub(crate) server: Option<ServerUrl>,
    pub(crate) token: Option<Secret>,
    pub(crate) from_token: Option<Secret>,
    pub(crate) to_token: Option<Secret>,
    pub(crate) who: Option<String>,
    pub(crate) listen: SocketAddr,
    pub(crate) tokens: Option<PathBuf>,
    pub(crate) insecure_no_auth: bool,
    pub(crate) core: stateward_core::Settings,
    /// Never, where there is none.
    pub(crate) prune_every: Option<Duration>,
    pub(crate) drain: Duration,
    pub(crate) store_max_bytes: Option<u64>,
    pub(crate) log: Option<String>,
    pub(crate) log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store: StoreUrl::Nowhere,
            create_tables: false,
            server: None,
            token: None,
            from_token: None,
            to_token: None,
            who: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tokens: None,
            insecure_no_auth: false,
            core: stateward_core::Settings::default(),
            prune_every: None,
            drain: Duration::ZERO,
            store_max_bytes: None,
            log: None,
            log_format: LogFormat::Text,
        }
    }
}
