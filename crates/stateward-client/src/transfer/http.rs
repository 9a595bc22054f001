//! Terraform's `http` backend, as a client reads it.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use reqwest::{Client, StatusCode, Url};
use stateward_core::{BodyStream, Error, Kind, Result};

use crate::server_url::{Secret, is_loopback};
use crate::transport::innermost;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The other side has to say something within this time.
const SILENCE_LIMIT: Duration = Duration::from_mins(1);

/// A state at an address of Terraform's `http` backend.
pub struct Fetched {
    /// The address without secrets.
    pub address: String,
    /// The state's bytes.
    pub body: BodyStream,
}

/// Reads the state at an address of Terraform's `http` backend; an error where there is none. The name and password are those of Basic
/// authentication; ones in the address go first.
pub async fn fetch(address: &str, login: Option<(&str, &Secret)>, tool: &str) -> Result<Fetched> {
    let failed = |kind, why: String, next: &str| Error::new(kind, "the state was not read", why, next);
    let mut url: Url =
        address.parse().map_err(|_| failed(Kind::Invalid, "its address is no URL".to_owned(), ADDRESS))?;
    let in_url = (url.username().to_owned(), url.password().map(str::to_owned));
    // Neither can fail: an http URL has a host.
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    if cleared.is_err() {
        return Err(failed(Kind::Invalid, "its address is no URL of a server".to_owned(), ADDRESS));
    }
    let mut client = Client::builder().connect_timeout(CONNECT_LIMIT).read_timeout(SILENCE_LIMIT).user_agent(tool);
    if is_loopback(&url) {
        client = client.no_proxy();
    }
    let client = client.build().map_err(|error| failed(Kind::Bug, innermost(&error), "please report it"))?;
    let mut request = client.get(url.clone());
    if !in_url.0.is_empty() {
        request = request.basic_auth(in_url.0, in_url.1);
    } else if let Some((name, password)) = login {
        request = request.basic_auth(name, Some(password.expose()));
    }
    let shown = shown(&url);
    let unreachable = |error: &reqwest::Error| {
        failed(
            Kind::Unavailable,
            format!("{shown} cannot be reached: {}", innermost(error)),
            "check the address, and try again",
        )
    };
    let response = request.send().await.map_err(|error| unreachable(&error))?;
    let nothing = || {
        let next = "check the address: a backend answers so where nothing has been written yet";
        Err(failed(Kind::NotFound, format!("there is no state at {shown}"), next))
    };
    match response.status() {
        StatusCode::OK if response.content_length() == Some(0) => nothing(),
        StatusCode::OK => {
            let (length, server) = (response.content_length(), shown.clone());
            let bytes = response.bytes_stream().map_err(move |error| {
                let why = format!("the connection to {server} ended too early: {}", innermost(&error));
                Error::new(Kind::Unavailable, "the state was not read", why, "try again")
            });
            Ok(Fetched { address: shown, body: BodyStream { length, bytes: bytes.boxed() } })
        }
        StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => nothing(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(failed(
            Kind::Denied,
            format!("{shown} answered {}", response.status()),
            "set `TF_HTTP_USERNAME` and `TF_HTTP_PASSWORD`, as for Terraform",
        )),
        status => Err(failed(Kind::Unsupported, format!("{shown} answered {status}"), ADDRESS)),
    }
}

const ADDRESS: &str = "give the `address` in the block `backend \"http\"`";

/// An address as it may be shown: without a login, and without a query, in which some backends take a token.
pub fn public_address(address: &str) -> String {
    address.parse().map_or_else(|_| "an address that is no URL".to_owned(), |url| shown(&url))
}

fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // A URL without a host has no login.
    let _cleared = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}
