//! A proxy that lets requests go wrong as networks and services do, at a test's word.

mod rule;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, IF_MATCH, IF_NONE_MATCH, TRANSFER_ENCODING};
use hyper::http::request;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;

pub use self::rule::{Fault, Rule};
use crate::SeenRequest;

type Answer = Response<Full<Bytes>>;

/// An HTTP/1.1 proxy on loopback in front of one server. It counts requests, and breaks those that a [`Rule`] names.
///
/// Headers go through as they are, `Host` among them: a server that checks signatures sees what the client signed.
/// Bodies are held whole. Dropping it closes its connections.
///
/// ```no_run
/// # use stateward_testkit::{Fault, FaultProxy, Moto, Rule};
/// let proxy = FaultProxy::to(Moto::shared().url());
/// proxy.inject(Rule::new(Fault::LoseAnswer).operation("PutItem").nth(1));
/// // … a client of proxy.url() takes a lock …
/// assert_eq!((proxy.count("PutItem"), proxy.injected()), (1, 1));
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
    script: Mutex<Script>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Script {
    rules: Vec<Rule>,
    seen: Vec<SeenRequest>,
    /// How many came before those.
    forgotten: usize,
    injected: usize,
}

impl Script {
    /// The request of this number may have been forgotten meanwhile.
    fn note_status(&mut self, number: usize, status: Option<u16>) {
        if let Some(request) = number.checked_sub(self.forgotten).and_then(|index| self.seen.get_mut(index)) {
            request.status = status;
        }
    }
}

impl FaultProxy {
    /// In front of the server at this URL (`http://ADDRESS`).
    #[track_caller]
    pub fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port on loopback");
        listener.set_nonblocking(true).expect("make the listener non-blocking");
        let address: SocketAddr = listener.local_addr().expect("a bound socket has an address");
        let client = Client::builder(TokioExecutor::new()).http1_preserve_header_case(true).build_http();
        let upstream = upstream.trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared { upstream, client, script: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("start the proxy's runtime");
            runtime.block_on(async {
                tokio::select! {
                    error = accept(listener, serving) => panic!("the fault proxy cannot accept: {error}"),
                    _dropped = stopped => {}
                }
            });
        });
        Self { url: format!("http://{address}"), shared, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on this rule holds too. Where several strike, the one that was given first does.
    pub fn inject(&self, rule: Rule) {
        self.script().rules.push(rule);
    }

    /// From now on no rule holds.
    pub fn heal(&self) {
        self.script().rules.clear();
    }

    /// How many requests met a fault.
    pub fn injected(&self) -> usize {
        self.script().injected
    }

    /// The requests of clients, in the order in which they came in.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.script().seen.clone()
    }

    /// How many requests there were of each operation.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in &self.script().seen {
            *counts.entry(request.operation().to_owned()).or_default() += 1;
        }
        counts
    }

    /// How many requests there were of this operation.
    pub fn count(&self, operation: &str) -> usize {
        self.script().seen.iter().filter(|request| request.operation() == operation).count()
    }

    /// Forgets the requests so far, so that the next are counted by themselves. Rules keep their own count.
    pub fn forget_requests(&self) {
        let mut script = self.script();
        script.forgotten += script.seen.len();
        script.seen.clear();
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}

/// Returns only when it cannot go on.
async fn accept(listener: TcpListener, shared: Arc<Shared>) -> io::Error {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => return error,
        };
        // An answer that waits for the acknowledgement of the one before would be a delay that no test asked for.
        let _already_gone = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&shared), request));
            // An error is a client that left, or an answer that is to be lost.
            let _closed = hyper::server::conn::http1::Builder::new()
                .preserve_header_case(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// No answer: the connection is closed without one.
#[derive(Debug)]
struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is lost")
    }
}

impl std::error::Error for NoAnswer {}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, NoAnswer> {
    let (head, body) = request.into_parts();
    // A client that leaves in the middle of its request has asked for nothing.
    let body = body.collect().await.map_err(|_left| NoAnswer)?.to_bytes();
    let (number, fault) = shared.note(&head, &body);
    let stays = matches!(fault, Some(Fault::LandLate(_)));
    let carrying = async move {
        let answer = shared.carry_out(fault, head, body).await;
        shared.script().note_status(number, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        answer
    };
    if stays { tokio::spawn(carrying).await.unwrap_or(Err(NoAnswer)) } else { carrying.await }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number among all requests, and what is to go wrong with it.
    fn note(&self, head: &request::Parts, body: &[u8]) -> (usize, Option<Fault>) {
        let seen = seen(head, body);
        let mut script = self.script();
        let mut fault = None;
        // All of them look at it, also when one has struck: each counts what it matches.
        for rule in &mut script.rules {
            let struck = rule.meet(&seen).cloned();
            fault = fault.or(struck);
        }
        script.injected += usize::from(fault.is_some());
        script.seen.push(seen);
        (script.forgotten + script.seen.len() - 1, fault)
    }

    async fn carry_out(
        &self,
        fault: Option<Fault>,
        mut head: request::Parts,
        mut body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        match fault {
            None => {}
            Some(Fault::IgnoreParts) => {
                let uri = Uri::builder().path_and_query(head.uri.path()).build();
                head.uri = uri.expect("a path is one without its query, too");
            }
            Some(Fault::IgnoreCondition) => body = unconditional(&mut head.headers, body),
            Some(Fault::Delay(time) | Fault::LandLate(time)) => tokio::time::sleep(time).await,
            Some(Fault::AnswerLate(time)) => {
                let answer = self.forward(&head, &body).await;
                tokio::time::sleep(time).await;
                return Ok(answer);
            }
            Some(Fault::LoseRequest) => return Err(NoAnswer),
            Some(Fault::Answer { status, headers, body }) => return Ok(scripted(status, &headers, body)),
            Some(Fault::AnswerInstead { status, headers, body: instead }) => {
                self.forward(&head, &body).await;
                return Ok(scripted(status, &headers, instead));
            }
            Some(Fault::LoseAnswer) => {
                self.forward(&head, &body).await;
                return Err(NoAnswer);
            }
            Some(Fault::DuplicateAnsweredFirst) => {
                let first = self.forward(&head, &body).await;
                self.forward(&head, &body).await;
                return Ok(first);
            }
            Some(Fault::DuplicateAnsweredSecond) => {
                self.forward(&head, &body).await;
            }
        }
        Ok(self.forward(&head, &body).await)
    }

    /// The server's answer, whole. Where it gives none, one that says so: the test then sees why.
    async fn forward(&self, head: &request::Parts, body: &Bytes) -> Answer {
        match self.try_forward(head, body).await {
            Ok(answer) => answer,
            Err(error) => scripted(502, &[], format!("fault proxy: {} does not answer: {error}", self.upstream)),
        }
    }

    async fn try_forward(
        &self,
        head: &request::Parts,
        body: &Bytes,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let path = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = format!("{}{path}", self.upstream).parse::<Uri>()?;
        *request.headers_mut() = end_to_end(&head.headers);
        // How the headers' names were written.
        *request.extensions_mut() = head.extensions.clone();
        let (head, body) = self.client.request(request).await?.into_parts();
        let mut answer = Response::new(Full::new(body.collect().await?.to_bytes()));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = end_to_end(&head.headers);
        *answer.extensions_mut() = head.extensions;
        Ok(answer)
    }
}

/// A request without its condition: S3 has it in headers, `DynamoDB` in the body.
fn unconditional(headers: &mut HeaderMap, body: Bytes) -> Bytes {
    headers.remove(IF_MATCH);
    headers.remove(IF_NONE_MATCH);
    let Ok(serde_json::Value::Object(mut item)) = serde_json::from_slice(&body) else { return body };
    if item.remove("ConditionExpression").is_none() {
        return body;
    }
    let body = Bytes::from(serde_json::Value::Object(item).to_string());
    headers.insert(CONTENT_LENGTH, body.len().into());
    body
}

/// Without what is between two neighbours only. The body's length stays, for the answer to a HEAD has no other.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers
}

fn scripted(status: u16, headers: &[(String, String)], body: String) -> Answer {
    let builder =
        headers.iter().fold(Response::builder().status(status), |builder, (name, value)| builder.header(name, value));
    builder.body(Full::new(Bytes::from(body))).unwrap_or_else(|error| {
        // The test's own mistake, shown where the test looks.
        let mut answer = Response::new(Full::new(Bytes::from(format!("fault proxy: no such answer: {error}"))));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
}

fn seen(head: &request::Parts, body: &[u8]) -> SeenRequest {
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    SeenRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        status: None,
        action: action(head, body),
    }
}

/// What a form asks for.
fn action(head: &request::Parts, body: &[u8]) -> Option<String> {
    let is_form = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let form = std::str::from_utf8(body).ok().filter(|_| is_form)?;
    form.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned)
}
