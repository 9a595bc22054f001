//! The answer to a LOCK that was granted: the lock counts once the answer has left for a client that is there.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use stateward_core::Grant;

use crate::socket::Outgoing;

/// Owns the grant until its bytes are handed to the connection, and then passes it on to the connection's socket. Dropped before
/// that, it takes the lock back.
pub(crate) struct GrantBody {
    /// One piece: what is in it is never empty, or hyper would not ask for it.
    rest: Option<(Bytes, Grant)>,
    outgoing: Arc<Outgoing>,
}

impl GrantBody {
    pub(crate) fn new(text: Bytes, grant: Grant, outgoing: Arc<Outgoing>) -> Self {
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
