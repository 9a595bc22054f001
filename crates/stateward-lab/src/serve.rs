//! HTTP on a listener.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as Body;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::answer::{Answer, Refused};
use crate::ask::Service;
use crate::incoming::Incoming;
use crate::lab::Lab;

/// Larger bodies are not taken. A part of an upload is smaller.
const BODY_MAX: usize = 256 << 20;

/// Answers requests until `stop` is done.
pub async fn serve(lab: Arc<Lab>, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let mut stop = pin!(stop);
    loop {
        let (stream, from) = tokio::select! {
            () = &mut stop => return Ok(()),
            accepted = listener.accept() => accepted?,
        };
        // An answer is sent at once.
        let _already_gone = stream.set_nodelay(true);
        let lab = Arc::clone(&lab);
        let from = from.ip().to_string();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&lab), from.clone(), request));
            // An error is a client that left.
            let _closed =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(lab: Arc<Lab>, from: String, request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let path = head.uri.path().to_owned();
    let unsigned = !head.headers.contains_key(http::header::AUTHORIZATION);
    if unsigned && head.method == http::Method::GET && path == "/lab/decisions" {
        return Ok(decisions(&lab));
    }
    let body = match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            let refused = Refused::new(400, "EntityTooLarge", "the lab takes bodies of at most 256 MiB");
            return Ok(refused.answer(Service::S3, "0", head.method.as_str()).into());
        }
    };
    let query = head.uri.query().unwrap_or_default().to_owned();
    let method = head.method.as_str().to_owned();
    Ok(lab.answer(Incoming { method, path, query, headers, body, from }).await)
}

fn decisions(lab: &Lab) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "schema": 1, "items": lab.decisions() }).to_string();
    Answer { status: 200, headers: vec![("content-type", "application/json".to_owned())], body }.into()
}

impl From<Answer> for Response<Full<Bytes>> {
    fn from(answer: Answer) -> Self {
        let builder = answer
            .headers
            .iter()
            .fold(Response::builder().status(answer.status), |builder, (name, value)| builder.header(*name, value));
        builder.body(Full::new(Bytes::from(answer.body))).unwrap_or_else(|error| {
            // A header that cannot be sent.
            let mut answer = Self::new(Full::new(Bytes::from(error.to_string())));
            *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            answer
        })
    }
}
