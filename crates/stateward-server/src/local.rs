//! Telling this machine's own programs from the web pages that its browsers show.
//!
//! A server on loopback without tokens trusts whoever reaches it. A browser on the same machine does too, on behalf of any page:
//! one that sends a form here, or one whose host's name was made to lead here (DNS rebinding). The first shows in `Origin`, the
//! second in `Host`, and no page can change what the browser writes there.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use stateward_core::{Error, Kind};

use crate::auth::printable;

/// Why a request does not come from a program of this machine, if it does not.
pub(crate) fn objection(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let text = |bytes: &[u8]| printable(&String::from_utf8_lossy(bytes));
    let mut hosts = headers.get_all(HOST).iter().map(|host| text(host.as_bytes()));
    let named = uri.authority().map(Authority::to_string);
    if let Some(host) = hosts.find(|host| !is_here(host)).or(named.filter(|host| !is_here(host))) {
        return Some(format!("it is addressed to the host `{host}`"));
    }
    let mut origins = headers.get_all(ORIGIN).iter().map(|origin| text(origin.as_bytes()));
    let origin = origins.find(|origin| !origin.split_once("://").is_some_and(|(_, host)| is_here(host)))?;
    Some(format!("a web page of `{origin}` sent it"))
}

/// `HOST[:PORT]` where the host can only be this machine.
fn is_here(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

pub(crate) fn refusal(why: &str) -> Error {
    Error::new(
        Kind::Denied,
        "the request was refused",
        format!("{why}, and this server has no tokens and serves programs of its own machine only"),
        "call it by 127.0.0.1 or localhost; where a proxy stands before it, give it `--tokens`, or `--insecure-no-auth` if the \
         proxy keeps strangers out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_few_names() {
        for here in ["127.0.0.1", "127.0.0.1:7017", "127.8.8.8:1", "localhost", "LocalHost:80", "[::1]", "[::1]:7017"] {
            assert!(is_here(here), "{here}");
        }
        for there in [
            "",
            "null",
            "evil.example",
            "evil.example:7017",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]:1",
            "0.0.0.0",
            "a b",
        ] {
            assert!(!is_here(there), "{there}");
        }
    }

    #[test]
    fn pages_show_in_what_their_browser_writes() {
        let objects = |uri: &str, headers: &[(axum::http::HeaderName, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            objection(&uri.parse().unwrap(), &headers).is_some()
        };
        assert!(!objects("/", &[(HOST, "127.0.0.1:7017")]));
        assert!(!objects("/", &[(HOST, "localhost"), (ORIGIN, "http://localhost:3000")]));
        assert!(!objects("http://[::1]:7017/", &[]));
        assert!(objects("/", &[(HOST, "evil.example:7017")]));
        assert!(objects("/", &[(HOST, "127.0.0.1"), (HOST, "evil.example")]));
        assert!(objects("http://evil.example/", &[(HOST, "127.0.0.1")]));
        assert!(objects("/", &[(HOST, "127.0.0.1"), (ORIGIN, "https://evil.example")]));
        assert!(objects("/", &[(HOST, "127.0.0.1"), (ORIGIN, "null")]));
    }
}
