//! What watches the server asks: is it alive, is it ready, how is it doing.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;
use serde_json::json;
use stateward_core::{Error, Kind};

use crate::answer::{self, Answer};
use crate::app::App;
use crate::auth;
use crate::exchange::Exchange;

const READY_WITHIN: Duration = Duration::from_secs(5);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /healthz`: the process answers.
pub(crate) async fn alive() -> Answer {
    Ok(answer::json(&json!({ "schema": 1, "status": "alive" })))
}

/// `GET /readyz`: requests would be answered.
pub(crate) async fn ready(State(app): State<App>) -> Answer {
    let not_ready = |why: String| Error::new(Kind::Unavailable, "not ready", why, "ask again");
    if !app.drain().is_serving() {
        return Err(not_ready("the server is shutting down".to_owned()).into());
    }
    match tokio::time::timeout(READY_WITHIN, app.backend().store().ready()).await {
        Ok(Ok(())) => Ok(answer::json(&json!({ "schema": 1, "status": "ready" }))),
        Ok(Err(error)) => Err(not_ready(error.to_string()).into()),
        Err(_) => Err(not_ready(format!("the store has not answered for {} seconds", READY_WITHIN.as_secs())).into()),
    }
}

/// `GET /metrics`: needs a token, any, where tokens are in force.
pub(crate) async fn metrics(
    State(app): State<App>,
    Extension(exchange): Extension<Arc<Exchange>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    auth::caller(&app, &exchange, &uri, &headers).await?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], app.metrics().text(app.backend()).await).into_response())
}
