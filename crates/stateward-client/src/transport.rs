//! Requests to a server, and its answers turned back into what the core would have said.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use stateward_core::{Error, Kind, LockInfo, Result, StateId};

use crate::server_url::{Secret, ServerUrl};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// An answer that is longer than this and should be an error is not ours.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// An HTTP client that knows one server.
#[derive(Debug)]
pub(crate) struct Transport {
    client: Client,
    server: ServerUrl,
    authorization: HeaderValue,
    has_token: bool,
}

/// The shape in which API v1 refuses.
#[derive(Deserialize)]
struct Refusal {
    kind: String,
    what: String,
    why: String,
    next: String,
    #[serde(default)]
    holder: Option<Box<RawValue>>,
    #[serde(default)]
    address: Option<String>,
}

impl Transport {
    pub(crate) fn new(server: ServerUrl, token: Option<&Secret>, who: &str, tool: &str) -> Result<Self> {
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .user_agent(tool)
            // A redirect would take the token to another place.
            .redirect(reqwest::redirect::Policy::none());
        if server.is_loopback() {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            Error::new(Kind::Bug, "the HTTP client could not be made", innermost(&error), "please report it")
        })?;
        let authorization = match token {
            Some(token) => bearer(token)?,
            None => name_only(who),
        };
        Ok(Self { client, server, authorization, has_token: token.is_some() })
    }

    /// A request to a path of API v1.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.server.join(&format!("api/v1/{path}")));
        request.header(AUTHORIZATION, self.authorization.clone())
    }

    /// A request of Terraform's own protocol, which has methods of its own.
    pub(crate) fn to_state(&self, method: &str, state: &StateId) -> Result<RequestBuilder> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| {
            Error::new(Kind::Bug, "the request was not sent", error.to_string(), "please report it")
        })?;
        let request = self.client.request(method, self.server.join(&format!("state/{}", state.name)));
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        Ok(match state.workspace.is_default() {
            true => request,
            false => request.query(&[("workspace", state.workspace.as_str())]),
        })
    }

    /// The server that it knows.
    pub(crate) fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Sends it; anything but success becomes an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// Sends it and reads the JSON that answers it.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let body = response.bytes().await.map_err(|error| self.cut_short(&error))?;
        serde_json::from_slice(&body).map_err(|_| self.not_stateward("its answer is not what API v1 says"))
    }

    /// The connection ended in the middle of an answer.
    pub(crate) fn cut_short(&self, error: &reqwest::Error) -> Error {
        let why = format!("the connection to {} ended too early: {}", self.server, innermost(error));
        Error::new(Kind::Unavailable, "the answer is incomplete", why, "try again")
    }

    async fn refusal(&self, response: Response) -> Error {
        let status = response.status();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return self.cut_short(&error),
        };
        if let Some(held) = parse_holder(status, &body) {
            return held;
        }
        let mut refusal = parse_refusal(&body).unwrap_or_else(|| self.foreign(status));
        if refusal.kind() == Kind::Unauthenticated {
            refusal = self.turned_away();
        }
        match retry_after {
            Some(seconds) => refusal.retry_after(Duration::from_secs(seconds)),
            None => refusal,
        }
    }

    /// An answer that stateward did not give: a proxy did, or another program is there.
    fn foreign(&self, status: StatusCode) -> Error {
        let server = &self.server;
        match status {
            StatusCode::UNAUTHORIZED => self.turned_away(),
            StatusCode::FORBIDDEN => Error::new(
                Kind::Denied,
                format!("{server} refused access"),
                format!(
                    "it answered {status}, and not in stateward's own words: a proxy in front of it may have refused"
                ),
                "ask whoever runs it",
            ),
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => {
                let why = format!("a proxy in front of it answered {status}");
                Error::new(Kind::Unavailable, format!("{server} cannot answer now"), why, "try again in a moment")
            }
            _ => self.not_stateward(&format!("it answered {status}")),
        }
    }

    /// The server's own words are for Terraform's settings; these are for ours.
    fn turned_away(&self) -> Error {
        let why = if self.has_token { "the token that was shown is not known there" } else { "none was given" };
        let next = "set `STATEWARD_TOKEN` to a token that it knows; `stateward token new` makes one";
        Error::new(Kind::Unauthenticated, format!("{} asks for a token", self.server), why, next)
    }

    fn not_stateward(&self, why: &str) -> Error {
        Error::new(
            Kind::Unsupported,
            format!("{} does not speak stateward's API v1", self.server),
            why,
            "check the URL; it is the one that `stateward serve` prints, without `/state/NAME`",
        )
    }

    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> Error {
        let (server, why) = (&self.server, innermost(error));
        let unavailable = |what: String, next: &str| Error::new(Kind::Unavailable, what, why.clone(), next);
        if error.is_timeout() {
            return unavailable(
                format!("{server} does not answer"),
                "check the address, and that no firewall is in between",
            );
        }
        if server.is_tls() && is_tls_failure(error) {
            let next = "check the server's certificate and its name; a server without TLS is reached by `http://`";
            return unavailable(format!("no secure connection to {server}"), next);
        }
        if error.is_connect() {
            return unavailable(
                format!("{server} cannot be reached"),
                "check the address, and that `stateward serve` runs there",
            );
        }
        unavailable(format!("the connection to {server} broke off"), "try again: repeating the command is safe")
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
        let why = "it has characters that no token has, such as a line break";
        Error::new(
            Kind::Invalid,
            "the token cannot be sent",
            why,
            "set `STATEWARD_TOKEN` to the line that `stateward token new` printed",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Where a server asks for no token, history and audit name whoever says so: a user without a password.
fn name_only(who: &str) -> HeaderValue {
    // What is Base64 can stand in a header.
    let credentials = BASE64_STANDARD.encode(format!("{}:", who.replace(':', "_")));
    HeaderValue::try_from(format!("Basic {credentials}")).unwrap_or(HeaderValue::from_static("Basic Og=="))
}

/// Terraform's protocol answers a LOCK with the lock information of who holds it.
fn parse_holder(status: StatusCode, body: &Bytes) -> Option<Error> {
    let info = LockInfo::parse(body).ok().filter(|_| status == StatusCode::LOCKED)?;
    let who = if info.who.is_empty() { "somebody" } else { &info.who };
    let why = format!("{who} holds it ({}, lock {})", info.operation, info.id);
    let next = "wait for the end of that run; `stateward lock list` shows how long it has held it";
    Some(Error::new(Kind::Locked, "the lock was not taken", why, next).held_by(body.clone()))
}

fn parse_refusal(body: &Bytes) -> Option<Error> {
    if body.len() > ERROR_BYTES_MAX {
        return None;
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    // A newer server may know kinds that we do not: it is no success all the same.
    let kind = Kind::named(&refusal.kind).unwrap_or(Kind::Unsupported);
    let error = Error::new(kind, refusal.what, refusal.why, refusal.next).over(refusal.address);
    Some(match refusal.holder {
        Some(holder) => error.held_by(Bytes::copy_from_slice(holder.get().as_bytes())),
        None => error,
    })
}

/// The sources of an error, outermost first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    // Without the stars it would be the reference's own `source`.
    std::iter::successors(Some(error), |error| (**error).source())
}

/// The last source says what happened; those around it say where in the library.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let innermost = chain(error).last().map(ToString::to_string).unwrap_or_default();
    // The number after the system's words says the same once more.
    let text = innermost.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// The system says why there is no connection by a number, the resolver in words of its own; what else goes wrong is TLS.
fn is_tls_failure(error: &reqwest::Error) -> bool {
    error.is_connect()
        && !chain(error).any(|error| {
            let system = error.downcast_ref::<io::Error>().is_some_and(|error| error.raw_os_error().is_some());
            system || error.to_string().contains("dns error")
        })
}
