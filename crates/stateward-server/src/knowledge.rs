//! `/kb`: the knowledge base, as the files that it is. It holds nothing of anybody's states, so it needs no token.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use stateward_core::{Error, Kind};
use stateward_knowledge::site;

use crate::answer::Answer;

/// The pages have neither scripts nor styles of their own, and load nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Links within the site are relative to directories.
pub(crate) async fn root() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "kb/")]).into_response()
}

/// `GET /kb/PATH`.
pub(crate) async fn file(uri: Uri) -> Answer {
    let path = uri.path().strip_prefix("/kb/").unwrap_or_default();
    let Some(file) = site::find(path) else {
        let next = "all entries are listed at /kb/";
        return Err(
            Error::new(Kind::NotFound, "there is no such page", "the knowledge base has no such file", next).into()
        );
    };
    let headers = [
        (CONTENT_TYPE, file.media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, Body::from(file.text.as_str())).into_response())
}
