//! The answer to a LOCK that was granted: the lock counts once the answer has left for a client that is there.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use serde_json::Value;
use stateward_core::{Error, Grant, Kind};

use crate::answer::JSON;
use crate::call::Call;
use crate::drain::Stage;
use crate::socket::Outgoing;

/// Asks for what may be waited for: it is counted meanwhile, and given up when the server leaves.
pub(crate) async fn waited<T>(
    call: &Call,
    wait: Option<Duration>,
    asked: BoxFuture<'_, stateward_core::Result<T>>,
) -> stateward_core::Result<T> {
    let may_wait = !wait.unwrap_or(call.backend().settings().lock_wait).is_zero();
    let _waiting = may_wait.then(|| call.app.metrics().waiting());
    tokio::select! {
        biased;
        answered = asked => answered,
        () = call.app.drain().reached(Stage::Leaving), if may_wait => Err(leaving()),
    }
}

fn leaving() -> Error {
    let error = Error::new(
        Kind::Unavailable,
        "the lock was not taken",
        "the server is shutting down",
        "ask again: the place in the queue is not kept",
    );
    error.retry_after(Duration::from_secs(2))
}

/// What is told with a grant. The answer owns it until it has left.
pub(crate) fn answer(call: &Call, told: &Value, grant: Grant) -> Response {
    let body = GrantBody::new(told.to_string().into(), grant, call.exchange.outgoing.clone());
    ([(CONTENT_TYPE, JSON)], axum::body::Body::new(body)).into_response()
}

/// Owns the grant until its bytes are handed to the connection, and then passes it on to the connection's socket. Dropped before
/// that, it takes the lock back.
struct GrantBody {
    /// One piece: what is in it is never empty, or hyper would not ask for it.
    rest: Option<(Bytes, Grant)>,
    outgoing: Arc<Outgoing>,
}

impl GrantBody {
    fn new(text: Bytes, grant: Grant, outgoing: Arc<Outgoing>) -> Self {
        Self { rest: Some((text, grant)), outgoing }
    }
}

impl Body for GrantBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some((text, grant)) = self.rest.take() else { return Poll::Ready(None) };
        self.outgoing.handed_over(grant);
        Poll::Ready(Some(Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.as_ref().map_or(0, |(text, _)| text.len() as u64))
    }
}
