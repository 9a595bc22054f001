//! Numbers for Prometheus. Labels come from fixed sets; a state's name is never one.

use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use stateward_core::{Backend, Caller, Kind, Result, Written};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Seconds; requests take from a fraction of a millisecond to minutes in a queue.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];
/// Counting the locks that are held reads every state: no more often than this, and never more than a twentieth of the time.
const HELD_COUNTED_EVERY: Duration = Duration::from_secs(15);
const HELD_COUNTED_SHARE: u32 = 20;

/// What kind of request it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Labels {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabel {
    mode: &'static str,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram>,
    bytes_in: Counter,
    bytes_out: Counter,
    refusals: Family<KindLabel, Counter>,
    held: Family<ModeLabel, Gauge>,
    held_counted: Mutex<Option<(Instant, Duration)>>,
    pub(crate) locks_granted: Counter,
    pub(crate) locks_refused: Counter,
    pub(crate) locks_waiting: Gauge,
    pub(crate) versions: Counter,
    pub(crate) tx_begun: Counter,
    tx_not_begun: Family<KindLabel, Counter>,
    tx_commits: Counter,
    pub(crate) audit_suppressed: Counter,
}

impl Labels {
    pub(crate) fn new(method: &Method, route: &'static str) -> Self {
        const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "LOCK", "UNLOCK", "OPTIONS"];
        let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
        Self { method, route }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("stateward"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            refusals: Family::default(),
            held: Family::default(),
            held_counted: Mutex::default(),
            locks_granted: Counter::default(),
            locks_refused: Counter::default(),
            locks_waiting: Gauge::default(),
            versions: Counter::default(),
            tx_begun: Counter::default(),
            tx_not_begun: Family::default(),
            tx_commits: Counter::default(),
            audit_suppressed: Counter::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "http_requests",
            "Requests answered; status `gone` where the client left first",
            self.requests.clone(),
        );
        registry.register(
            "http_request_seconds",
            "From a request's head to its answer's last byte",
            self.durations.clone(),
        );
        registry.register("http_received_bytes", "Bytes of bodies received", self.bytes_in.clone());
        registry.register("http_sent_bytes", "Bytes of bodies sent", self.bytes_out.clone());
        registry.register(
            "refusals",
            "Requests refused or failed, by kind; `unavailable`, `full` and `corrupt` are the store's",
            self.refusals.clone(),
        );
        registry.register("locks_granted", "Locks granted", self.locks_granted.clone());
        registry.register(
            "locks_refused",
            "LOCK requests refused because somebody else holds the state",
            self.locks_refused.clone(),
        );
        registry.register("locks_waiting", "LOCK requests that may wait in a queue", self.locks_waiting.clone());
        registry.register("locks_held", "Locks held; counted every 15 s at most", self.held.clone());
        registry.register("versions_written", "Versions published", self.versions.clone());
        registry.register("transactions_begun", "Transactions begun", self.tx_begun.clone());
        registry.register(
            "transactions_refused",
            "Transactions not begun, by kind; `locked`: others are in the way, `stale`: the plan is old",
            self.tx_not_begun.clone(),
        );
        registry.register("transaction_commits", "Versions published by transactions", self.tx_commits.clone());
        registry.register(
            "audit_suppressed",
            "Requests without a known token that the audit log does not show one by one",
            self.audit_suppressed.clone(),
        );
        registry.register("build", "What this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self
    }

    /// Counts a request that is over.
    pub(crate) fn request(
        &self,
        labels: &Labels,
        status: Option<u16>,
        kind: Option<Kind>,
        took: Duration,
        bytes_in: u64,
        bytes_out: u64,
    ) {
        let status = match status {
            None => "gone",
            Some(..300) => "2xx",
            Some(300..400) => "3xx",
            Some(400..500) => "4xx",
            Some(500..) => "5xx",
        };
        self.requests.get_or_create(&RequestLabels { method: labels.method, route: labels.route, status }).inc();
        self.durations.get_or_create(&RouteLabel { route: labels.route }).observe(took.as_secs_f64());
        self.bytes_in.inc_by(bytes_in);
        self.bytes_out.inc_by(bytes_out);
        if let Some(kind) = kind {
            self.refusals.get_or_create(&KindLabel { kind: kind.name() }).inc();
        }
    }

    /// Counts a LOCK request as waiting until the guard is dropped.
    pub(crate) fn waiting(&self) -> impl Drop + use<> {
        struct Waiting(Gauge);
        impl Drop for Waiting {
            fn drop(&mut self) {
                self.0.dec();
            }
        }
        self.locks_waiting.inc();
        Waiting(self.locks_waiting.clone())
    }

    /// Counts a transaction that did not come to be.
    pub(crate) fn not_begun(&self, kind: Kind) {
        self.tx_not_begun.get_or_create(&KindLabel { kind: kind.name() }).inc();
    }

    /// Counts what a transaction wrote.
    pub(crate) fn committed(&self, written: &Written) {
        self.versions.inc_by(written.changed.into());
        self.tx_commits.inc_by(written.changed.into());
    }

    /// All of it, as Prometheus reads it.
    pub(crate) async fn text(&self, backend: &Backend) -> String {
        if let Err(error) = self.count_held(backend).await {
            tracing::warn!(%error, "the locks that are held could not be counted");
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _written = encode(&mut text, &self.registry);
        text
    }

    async fn count_held(&self, backend: &Backend) -> Result<()> {
        let mut counted = self.held_counted.lock().await;
        let is_fresh =
            |(at, cost): &(Instant, Duration)| at.elapsed() < HELD_COUNTED_EVERY.max(*cost * HELD_COUNTED_SHARE);
        if counted.as_ref().is_some_and(is_fresh) {
            return Ok(());
        }
        let start = Instant::now();
        let locks = backend.locks(&Caller::trusted("metrics"), None).await?;
        for mode in ["plan", "whole", "resources"] {
            let held = locks.items.iter().filter(|lock| lock.mode == mode).count();
            self.held.get_or_create(&ModeLabel { mode }).set(i64::try_from(held).unwrap_or(i64::MAX));
        }
        *counted = Some((Instant::now(), start.elapsed()));
        Ok(())
    }
}
