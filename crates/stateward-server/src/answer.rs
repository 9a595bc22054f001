//! Answers: what the core says, as HTTP. The one table from kinds of errors to statuses is here.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use stateward_core::view::SCHEMA;
use stateward_core::{BodyStream, Content, Error, Kind};

pub(crate) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-stateward-version");
pub(crate) const SERIAL: HeaderName = HeaderName::from_static("x-stateward-serial");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a handler gives back.
pub(crate) type Answer = Result<Response, Refusal>;

/// Why a request was refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Told as JSON: what, why, and what to do next.
    Told(Error),
    /// Told as Terraform reads it: of a held lock, its holder's information and nothing else.
    ToTerraform(Error),
    /// The path has no such method; it has these.
    Method(&'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// The status of each kind.
///
/// Terraform tries a 5xx but 501 again, three times in all: what trying again cannot help is a 4xx, unless the server itself is to blame.
pub(crate) fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict | Kind::Stale => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Locked => StatusCode::LOCKED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The body of a refusal.
#[derive(Serialize)]
struct Told<'a> {
    schema: u32,
    kind: &'static str,
    what: &'a str,
    why: &'a str,
    next: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Told(error) => told(&error),
            Self::ToTerraform(error) => match error.holder().filter(|_| error.kind() == Kind::Locked) {
                Some(holder) => with_kind(
                    (StatusCode::LOCKED, [(CONTENT_TYPE, JSON)], holder.clone()).into_response(),
                    Kind::Locked,
                ),
                None => told(&error),
            },
            Self::Method(allowed) => {
                let why = format!("this path has only {allowed}");
                let error =
                    Error::new(Kind::Invalid, "there is no such method here", why, "see docs/reference/http.md");
                let mut response = told(&error);
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
                response
            }
        }
    }
}

fn told(error: &Error) -> Response {
    let (status, kind) = (status_of(error.kind()), error.kind().name());
    let holder = error.holder().and_then(|raw| serde_json::from_slice(raw).ok());
    let (what, why, next, address) = (error.what(), error.why(), error.next(), error.address());
    let body = Told { schema: SCHEMA, kind, what, why, next, holder, address };
    let mut response = with_kind((status, json(&body)).into_response(), error.kind());
    match error.kind() {
        Kind::Unauthenticated => {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"stateward\", charset=\"UTF-8\""));
        }
        Kind::Unavailable => {
            let after = error.retry_after_hint().unwrap_or_default().max(Duration::from_secs(1));
            response.headers_mut().insert(RETRY_AFTER, (after.as_secs() + u64::from(after.subsec_nanos() > 0)).into());
        }
        _ => {}
    }
    response
}

/// Leaves the kind behind for the metrics.
fn with_kind(mut response: Response, kind: Kind) -> Response {
    response.extensions_mut().insert(kind);
    response
}

/// A JSON document.
pub(crate) fn json(document: &impl Serialize) -> Response {
    // Shapes of our own with string keys: serialising them cannot fail.
    let body = serde_json::to_vec(document).unwrap_or_default();
    ([(CONTENT_TYPE, JSON)], body).into_response()
}

/// A version's bytes. The first of them are there before the status is sent, so that damage shows in it where it can.
pub(crate) async fn content(mut content: Content) -> Result<Response, Error> {
    let first = content.bytes.next().await.transpose()?.unwrap_or_default();
    let bytes = stream::once(async move { Ok(first) }).chain(content.bytes);
    let mut response = document(Body::from_stream(bytes), content.size);
    let headers = response.headers_mut();
    if let Some(md5) = hex::decode(&content.md5).ok().and_then(|md5| STANDARD.encode(md5).try_into().ok()) {
        headers.insert(CONTENT_MD5, md5);
    }
    if let Ok(tag) = format!("\"{}\"", content.sha256).try_into() {
        headers.insert(ETAG, tag);
    }
    if let Ok(version) = content.version.to_string().try_into() {
        headers.insert(VERSION, version);
    }
    headers.insert(SERIAL, content.serial.into());
    Ok(response)
}

/// A state's bytes, about which nothing else is known. The first of them are there before the status is sent.
pub(crate) async fn stream(mut body: BodyStream) -> Result<Response, Error> {
    let first = body.bytes.next().await.transpose()?.unwrap_or_default();
    let bytes = Body::from_stream(stream::once(async move { Ok(first) }).chain(body.bytes));
    Ok(match body.length {
        Some(length) => document(bytes, length),
        None => ([(CONTENT_TYPE, JSON)], bytes).into_response(),
    })
}

/// A state that was made for this answer.
pub(crate) fn bytes(bytes: Bytes) -> Response {
    let size = bytes.len() as u64;
    document(Body::from(bytes), size)
}

fn document(body: Body, size: u64) -> Response {
    ([(CONTENT_TYPE, JSON), (CONTENT_LENGTH, size.into())], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(kind: Kind) -> Response {
        Refusal::Told(Error::new(kind, "what", "why", "next")).into_response()
    }

    #[test]
    fn each_kind_has_its_status() {
        for (kind, status) in [
            (Kind::Invalid, 400),
            (Kind::Unauthenticated, 401),
            (Kind::Denied, 403),
            (Kind::NotFound, 404),
            (Kind::Conflict, 409),
            (Kind::Stale, 409),
            (Kind::TooLarge, 413),
            (Kind::Unsupported, 422),
            (Kind::Locked, 423),
            (Kind::Corrupt, 500),
            // Not 404, which Terraform takes for a state that is empty.
            (Kind::NoPlace, 500),
            (Kind::Bug, 500),
            (Kind::Unavailable, 503),
            (Kind::Full, 507),
        ] {
            assert_eq!(answered(kind).status().as_u16(), status, "{kind:?}");
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_and_at_least_one() {
        let after = |hint| {
            let error = Error::new(Kind::Unavailable, "what", "why", "next").retry_after(hint);
            Refusal::Told(error).into_response().headers()[RETRY_AFTER].to_str().unwrap().to_owned()
        };
        assert_eq!(after(Duration::from_millis(10)), "1");
        assert_eq!(after(Duration::from_millis(1001)), "2");
        assert_eq!(after(Duration::from_secs(5)), "5");
        assert_eq!(answered(Kind::Unavailable).headers()[RETRY_AFTER], "1");
        assert!(!answered(Kind::Full).headers().contains_key(RETRY_AFTER));
    }
}
