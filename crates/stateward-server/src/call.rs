//! A request whose caller is known, less its body.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use serde::de::DeserializeOwned;
use stateward_core::{Backend, BodyStream, Caller, Error, Kind, Result, StateId};

use crate::answer::Refusal;
use crate::app::App;
use crate::exchange::Exchange;
use crate::{auth, body};

const JSON_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl FromRequestParts<App> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let missing = || {
            Error::new(Kind::Bug, "the request failed", "it came past the server's own connections", "please report it")
        };
        let exchange: Arc<Exchange> = parts.extensions.remove().ok_or_else(missing)?;
        let caller = auth::caller(app, &exchange, &parts.uri, &parts.headers).await?;
        let headers = std::mem::take(&mut parts.headers);
        Ok(Self { app: app.clone(), exchange, caller, method: parts.method.clone(), uri: parts.uri.clone(), headers })
    }
}

impl Call {
    pub(crate) fn backend(&self) -> &Backend {
        self.app.backend()
    }

    /// Notes which state the request is about.
    pub(crate) fn about(&self, state: StateId) -> StateId {
        self.exchange.is_about(&state);
        state
    }

    /// The body as a state on its way in, and the MD5 that it has to have.
    pub(crate) fn state_body(&self, body: Body) -> Result<(BodyStream, Option<[u8; 16]>)> {
        let md5 = body::content_md5(&self.headers)?;
        let limit = self.backend().settings().limits.body_bytes;
        Ok((body::stream(body, &self.headers, limit)?, md5))
    }

    /// The body as a lock's information.
    pub(crate) async fn lock_body(&self, body: Body) -> Result<bytes::Bytes> {
        let limit = self.backend().settings().limits.lock_bytes;
        body::small(body, &self.headers, limit).await
    }

    /// The body as JSON of API v1; none at all is an object without fields.
    pub(crate) async fn json<T: DeserializeOwned>(&self, body: Body) -> Result<T> {
        self.json_up_to(body, JSON_BYTES_MAX).await
    }

    /// The same, of at most so many bytes.
    pub(crate) async fn json_up_to<T: DeserializeOwned>(&self, body: Body, limit: usize) -> Result<T> {
        let bytes = body::small(body, &self.headers, limit).await?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map_err(|error| {
            Error::new(
                Kind::Invalid,
                "the body cannot be read",
                error.to_string(),
                "see docs/reference/openapi.json for what it has to be",
            )
        })
    }
}
