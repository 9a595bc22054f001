//! Which path leads where.

use axum::Router;
use axum::body::Body;
use axum::http::Uri;
use axum::routing::{MethodFilter, any, get, on};
use stateward_core::{Error, Kind};

use crate::answer::{Answer, Refusal};
use crate::api;
use crate::app::App;
use crate::call::Call;
use crate::{knowledge, probes, terraform};

pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new()
        .route("/state", any(terraform::state))
        .route("/state/", any(terraform::state))
        .route("/state/{*name}", any(terraform::state))
        .route("/lock", any(terraform::lock))
        .route("/lock/", any(terraform::lock))
        .route("/lock/{*name}", any(terraform::lock))
        .route("/healthz", get(probes::alive).fallback(only_get))
        .route("/readyz", get(probes::ready).fallback(only_get))
        .route("/metrics", get(probes::metrics).fallback(only_get))
        .route("/kb", get(knowledge::root).fallback(only_get))
        .route("/kb/", get(knowledge::file).fallback(only_get))
        .route("/kb/{*path}", get(knowledge::file).fallback(only_get));
    for route in api::ROUTES {
        let filter = MethodFilter::try_from(route.method.as_http()).unwrap_or(MethodFilter::GET);
        router = router.route(route.path, on(filter, move |call: Call, body: Body| api::answer(route, call, body)));
    }
    router.method_not_allowed_fallback(other_method).fallback(no_such_path).with_state(app)
}

/// The label of a path in metrics and logs: one of a fixed set.
pub(crate) fn route_of(path: &str) -> &'static str {
    const FIXED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
    let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if under("/state") {
        return "/state";
    }
    if under("/lock") {
        return "/lock";
    }
    if under("/kb") {
        return "/kb";
    }
    let mut known = FIXED.into_iter().chain(api::ROUTES.iter().map(|route| route.path));
    known.find(|known| *known == path).unwrap_or("other")
}

async fn only_get() -> Refusal {
    Refusal::Method("GET, HEAD")
}

/// Only paths of API v1 come here: all others know what to do with any method.
async fn other_method(uri: Uri) -> Refusal {
    Refusal::Method(api::methods_of(uri.path()))
}

async fn no_such_path() -> Answer {
    let next = "states are under /state/NAME, API v1 under /api/v1; see docs/reference/http.md";
    Err(Error::new(Kind::NotFound, "there is nothing here", "no such path is known", next).into())
}
