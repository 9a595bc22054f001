//! Who asks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::{HeaderMap, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stateward_core::{Caller, Error, Kind, Result, Tokens};
use tokio::time::Instant;

use crate::app::App;
use crate::exchange::Exchange;
use crate::local;

const ANONYMOUS: &str = "anonymous";
/// Bytes kept of what a client says of itself.
const CLAIM_BYTES_MAX: usize = 200;
/// Records of strangers that the audit log takes in one second.
const STRANGERS_NOTED: u32 = 5;

/// Who may come in.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Everybody, for everything.
    Open,
    /// Everybody on this machine, for everything; but no web page that somebody on it looks at.
    Local,
    /// The bearers of these tokens.
    Tokens(Tokens),
}

/// What the `Authorization` header holds.
struct Credentials {
    user: Option<String>,
    secret: String,
}

/// Finds out who asks, or refuses.
pub(crate) async fn caller(app: &App, exchange: &Exchange, uri: &Uri, headers: &HeaderMap) -> Result<Caller> {
    let shown = credentials(headers);
    let auth = app.auth();
    if let (Auth::Local, Some(why)) = (&auth, local::objection(uri, headers)) {
        note(app, exchange, &why).await;
        return Err(local::refusal(&why));
    }
    let caller = match (auth, shown) {
        (Auth::Open | Auth::Local, shown) => {
            Caller::trusted(shown.and_then(|shown| shown.user).unwrap_or_else(|| ANONYMOUS.to_owned()))
        }
        (Auth::Tokens(tokens), Some(shown)) => match tokens.bearer(&shown.secret) {
            Some(caller) => caller,
            None => return Err(turn_away(app, exchange, "its token is not known").await),
        },
        (Auth::Tokens(_), None) => return Err(turn_away(app, exchange, "it shows no token").await),
    };
    let tool = headers.get(USER_AGENT).map(|tool| printable(&String::from_utf8_lossy(tool.as_bytes())));
    Ok(caller.from(Some(exchange.peer.to_string()), tool))
}

/// Basic, whose password is the token, or Bearer.
fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials { user: None, secret: value.to_owned() });
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (user, secret) = decoded.split_once(':')?;
    Some(Credentials { user: Some(printable(user)).filter(|user| !user.is_empty()), secret: secret.to_owned() })
}

pub(crate) fn printable(claim: &str) -> String {
    claim.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(CLAIM_BYTES_MAX).collect()
}

async fn turn_away(app: &App, exchange: &Exchange, why: &str) -> Error {
    note(app, exchange, why).await;
    let next = "set `username` to anything and `password` to a token in the backend block (`TF_HTTP_PASSWORD`), or send it as a Bearer token";
    Error::new(Kind::Unauthenticated, "the request was refused", format!("{why}, and this server asks for one"), next)
}

/// Leaves a record that somebody was turned away, unless too many were just now.
async fn note(app: &App, exchange: &Exchange, why: &str) {
    match app.strangers().came(Instant::now()) {
        None => {
            app.metrics().audit_suppressed.inc();
        }
        Some(0) => app.backend().note_stranger(Some(exchange.peer.to_string()), why).await,
        Some(missed) => {
            let why = format!("{why}; {missed} more were turned away and not noted");
            app.backend().note_stranger(Some(exchange.peer.to_string()), &why).await;
        }
    }
}

/// Keeps strangers from filling the audit log.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<Option<Second>>);

#[derive(Debug)]
struct Second {
    began: Instant,
    noted: u32,
    missed: u64,
}

impl Strangers {
    /// Counts a stranger. Where it is to be noted, gives how many were not since the last that was.
    fn came(&self, now: Instant) -> Option<u64> {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let second = second.get_or_insert(Second { began: now, noted: 0, missed: 0 });
        if now.duration_since(second.began) >= Duration::from_secs(1) {
            (second.began, second.noted) = (now, 0);
        }
        if second.noted == STRANGERS_NOTED {
            second.missed += 1;
            return None;
        }
        second.noted += 1;
        Some(std::mem::take(&mut second.missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> Option<(Option<String>, String)> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header.try_into().unwrap())]);
        credentials(&headers).map(|shown| (shown.user, shown.secret))
    }

    #[test]
    fn both_schemes_in_any_case() {
        assert_eq!(shown("Bearer s3cret"), Some((None, "s3cret".into())));
        assert_eq!(shown("bearer  s3cret "), Some((None, "s3cret".into())));
        assert_eq!(shown("Basic YW5hOmE6Yg=="), Some((Some("ana".into()), "a:b".into())));
        assert_eq!(shown("BASIC OmE="), Some((None, "a".into())));
        for bad in ["Bearer", "Digest x", "Basic !", "Basic YW5h", "", "s3cret"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }

    #[test]
    fn strangers_are_noted_at_a_bounded_rate_and_none_is_forgotten() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let noted = (0..100).filter(|_| strangers.came(start).is_some()).count();
        assert_eq!(noted, 5);
        let later = start + Duration::from_secs(1);
        assert_eq!(strangers.came(later), Some(95));
        assert_eq!(strangers.came(later), Some(0));
    }
}
