//! One request and its answer, from outside: numbered, measured and logged.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Response};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures::FutureExt;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use stateward_core::{Error, Kind, StateId};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::answer::Refusal;
use crate::app::App;
use crate::body::Intake;
use crate::metrics::Labels;
use crate::router;
use crate::socket::Outgoing;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 128;

/// What is known of a request besides its content.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Names it in logs; the client's own name for it, where it gave one.
    pub(crate) id: String,
    pub(crate) peer: SocketAddr,
    /// Where a lock goes whose answer is on its way.
    pub(crate) outgoing: Arc<Outgoing>,
    state: OnceLock<StateId>,
    bytes_in: AtomicU64,
}

impl Exchange {
    /// Notes which state it is about.
    pub(crate) fn is_about(&self, state: &StateId) {
        self.state.get_or_init(|| state.clone());
    }

    pub(crate) fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Answers a request.
pub(crate) async fn respond(
    app: App,
    router: Router,
    peer: SocketAddr,
    outgoing: Arc<Outgoing>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let given = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX);
    let id = given.map_or_else(|| app.request_id(), str::to_owned);
    let exchange = Arc::new(Exchange { id, peer, outgoing, state: OnceLock::new(), bytes_in: AtomicU64::new(0) });
    let mut report = Report::new(&app, &exchange, &request);

    let (mut parts, incoming) = request.into_parts();
    let limit = app.backend().settings().limits.body_bytes;
    let intake = Intake::new(incoming, &parts.headers, exchange.clone(), app.options().silence, limit);
    parts.extensions.insert(exchange.clone());
    let request = Request::from_parts(parts, Body::new(intake));

    let mut response = match AssertUnwindSafe(router.oneshot(request)).catch_unwind().await {
        Ok(answered) => answered.unwrap_or_else(|never: Infallible| match never {}),
        Err(_) => bug().into_response(),
    };
    report.answered(&response);
    if let Ok(id) = HeaderValue::from_str(&exchange.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response.map(|body| Body::new(Measured { body, report })))
}

fn bug() -> Refusal {
    Error::new(
        Kind::Bug,
        "the request failed",
        "a bug in stateward: the server's log has its message",
        "please report it",
    )
    .into()
}

/// Measures a request, and logs it when it is over: answered to the last byte, or left by its client.
struct Report {
    app: App,
    exchange: Arc<Exchange>,
    labels: Labels,
    start: Instant,
    status: Option<u16>,
    kind: Option<Kind>,
    bytes_out: u64,
}

impl Report {
    fn new(app: &App, exchange: &Arc<Exchange>, request: &Request<Incoming>) -> Self {
        let labels = Labels::new(request.method(), router::route_of(request.uri().path()));
        Self {
            app: app.clone(),
            exchange: exchange.clone(),
            labels,
            start: Instant::now(),
            status: None,
            kind: None,
            bytes_out: 0,
        }
    }

    fn answered(&mut self, response: &Response<Body>) {
        self.status = Some(response.status().as_u16());
        self.kind = response.extensions().get().copied();
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let (took, exchange) = (self.start.elapsed(), &self.exchange);
        let bytes_in = exchange.bytes_in.load(Ordering::Relaxed);
        self.app.metrics().request(&self.labels, self.status, self.kind, took, bytes_in, self.bytes_out);
        tracing::info!(
            method = self.labels.method,
            route = self.labels.route,
            state = exchange.state.get().map(tracing::field::display),
            status = self.status,
            bytes_in,
            bytes_out = self.bytes_out,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            peer = %exchange.peer,
            request_id = exchange.id,
            "{}",
            if self.status.is_some() { "request" } else { "request left by its client" },
        );
    }
}

/// A body on its way out, counted.
struct Measured {
    body: Body,
    report: Report,
}

impl http_body::Body for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.report.bytes_out += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
