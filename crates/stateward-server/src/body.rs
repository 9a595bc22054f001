//! Bodies of requests.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use md5::{Digest, Md5};
use stateward_core::{BodyStream, Error, Kind, Result};
use tokio::time::{Instant, Sleep};

use crate::answer::CONTENT_MD5;
use crate::exchange::Exchange;

/// How long the rest of a refused body is read, so that its client gets to read the answer instead of a broken connection.
const LINGER: Duration = Duration::from_mins(1);

/// A body as it comes from the connection: counted, and ended when its client stays silent.
pub(crate) struct Intake {
    incoming: Option<Incoming>,
    exchange: Arc<Exchange>,
    silence: Duration,
    silent: Option<Pin<Box<Sleep>>>,
    /// Bytes of a refused body that are read and thrown away.
    linger: u64,
}

impl Intake {
    pub(crate) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        exchange: Arc<Exchange>,
        silence: Duration,
        limit: u64,
    ) -> Self {
        // A client that waits for `100 Continue` sends no body once it is refused.
        let linger = if headers.contains_key(EXPECT) { 0 } else { limit };
        Self { incoming: Some(incoming), exchange, silence, silent: None, linger }
    }
}

impl http_body::Body for Intake {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
            let silence = this.silence;
            let silent =
                this.silent.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + silence)));
            ready!(silent.as_mut().poll(cx));
            this.incoming = None;
            return Poll::Ready(Some(Err(format!("nothing came for {} seconds", silence.as_secs()).into())));
        };
        this.silent = None;
        match frame {
            Some(Ok(frame)) => {
                this.exchange.count_in(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.incoming = None;
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                this.incoming = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let rest = self.incoming.take().filter(|incoming| !http_body::Body::is_end_stream(incoming));
        if let (Some(rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            let limit = self.linger;
            runtime.spawn(async move { tokio::time::timeout(LINGER, discard(rest, limit)).await });
        }
    }
}

async fn discard(rest: Incoming, limit: u64) {
    let mut pieces = Body::new(rest).into_data_stream();
    let mut read = 0;
    while read < limit
        && let Some(Ok(piece)) = pieces.next().await
    {
        read += piece.len() as u64;
    }
}

/// A state on its way in, whatever its size up to the limit.
pub(crate) fn stream(body: Body, headers: &HeaderMap, limit: u64) -> Result<BodyStream> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let pieces = body.into_data_stream().map(|piece| piece.map_err(|error| cut_short(&error)));
    Ok(BodyStream { length, bytes: pieces.boxed() })
}

/// A small body, whole, with its MD5 checked.
pub(crate) async fn small(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes> {
    let md5 = content_md5(headers)?;
    let mut pieces = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| cut_short(&error))?;
        if whole.len() + piece.len() > limit {
            return Err(too_large(limit as u64));
        }
        whole.extend_from_slice(&piece);
    }
    match md5 {
        Some(md5) if md5[..] != Md5::digest(&whole)[..] => Err(other_md5()),
        _ => Ok(whole.freeze()),
    }
}

/// The same body, which fails at its end if it has another MD5.
pub(crate) fn checked(body: BodyStream, md5: Option<[u8; 16]>) -> BodyStream {
    let Some(md5) = md5 else { return body };
    let step = move |(mut pieces, mut hasher): (BoxStream<'static, Result<Bytes>>, Md5)| async move {
        match pieces.next().await {
            Some(Ok(piece)) => {
                hasher.update(&piece);
                Some((Ok(piece), (pieces, hasher)))
            }
            Some(Err(error)) => Some((Err(error), (pieces, hasher))),
            None if hasher.clone().finalize()[..] == md5[..] => None,
            None => Some((Err(other_md5()), (pieces, hasher))),
        }
    };
    BodyStream { length: body.length, bytes: stream::unfold((body.bytes, Md5::new()), step).boxed() }
}

/// The MD5 that `Content-MD5` gives.
pub(crate) fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>> {
    let Some(header) = headers.get(CONTENT_MD5) else { return Ok(None) };
    let md5 = STANDARD.decode(header.as_bytes()).ok().and_then(|md5| md5.try_into().ok());
    md5.map(Some)
        .ok_or_else(|| refused("`Content-MD5` is not the base64 of an MD5", "correct the header, or leave it out"))
}

fn refused(why: impl Into<String>, next: &str) -> Error {
    Error::new(Kind::Invalid, "nothing was changed", why, next)
}

fn other_md5() -> Error {
    refused("the body does not have the MD5 that `Content-MD5` gives: it was damaged on the way", "send it again")
}

fn cut_short(error: &axum::Error) -> Error {
    refused(format!("the body was cut short: {error}"), "send it again")
}

fn too_large(limit: u64) -> Error {
    let why = format!("the body is larger than the limit of {limit} bytes");
    Error::new(
        Kind::TooLarge,
        "nothing was changed",
        why,
        "make it smaller, or have the server's limit raised (`limits.body_bytes`)",
    )
}
