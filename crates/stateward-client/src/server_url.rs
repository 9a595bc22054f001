//! Where a server is, and the token to show it.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// `http(s)://[TOKEN@]HOST[:PORT][/PATH]`. Shown without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    base: Url,
    token: Option<Secret>,
}

/// Why a text is no server's URL. Does not repeat the text, which may hold a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// No URL at all.
    #[error("it is not a URL: write it as `http://HOST:PORT`")]
    NotAUrl,
    /// Neither http nor https.
    #[error("a server's URL begins with `http://` or `https://`")]
    Scheme,
    /// Things that are no part of a server's address.
    #[error("a server's URL has no `?` or `#` part")]
    Extras,
}

impl ServerUrl {
    /// The token in the URL: its password, or else its user name.
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Whether it means this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Whether it asks for TLS.
    pub fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The URL of a path below it.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let mut base: Url = text.parse().map_err(|_| ServerUrlError::NotAUrl)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(ServerUrlError::Scheme);
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(ServerUrlError::Extras);
        }
        let token = base.password().filter(|password| !password.is_empty()).unwrap_or(base.username());
        let token = (!token.is_empty()).then(|| Secret::new(percent_decoded(token)));
        // Neither can fail: an http URL has a host.
        base.set_username("").map_err(|()| ServerUrlError::NotAUrl)?;
        base.set_password(None).map_err(|()| ServerUrlError::NotAUrl)?;
        Ok(Self { base, token })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

/// Whether a URL means this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

/// The parser has encoded what may not stand in a URL's user part.
fn percent_decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| hex::decode(digits).ok());
        match escaped.as_deref() {
            Some([decoded]) => {
                out.push(*decoded);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, Option<Secret>) {
        let server: ServerUrl = text.parse().unwrap();
        (server.to_string(), server.token)
    }

    #[test]
    fn tokens_are_taken_out_of_the_url() {
        let token = |text: &str| Some(Secret::new(text));
        assert_eq!(parse("http://127.0.0.1:7017"), ("http://127.0.0.1:7017".into(), None));
        assert_eq!(parse("https://sw_x@states.example.com/"), ("https://states.example.com".into(), token("sw_x")));
        assert_eq!(parse("http://ci:s%2Fcret@h:1/base/"), ("http://h:1/base".into(), token("s/cret")));
        assert!(!format!("{:?}", "http://ci:geheim@h".parse::<ServerUrl>().unwrap()).contains("geheim"));
    }

    #[test]
    fn paths_are_joined_below_the_base() {
        let server: ServerUrl = "http://h:1/base/".parse().unwrap();
        assert_eq!(server.join("api/v1/states").as_str(), "http://h:1/base/api/v1/states");
        let server: ServerUrl = "http://h:1".parse().unwrap();
        assert_eq!(server.join("api/v1/states").as_str(), "http://h:1/api/v1/states");
    }

    #[test]
    fn what_is_no_server() {
        for (text, error) in [
            ("127.0.0.1:7017", ServerUrlError::NotAUrl),
            ("ftp://h", ServerUrlError::Scheme),
            ("http://h/?a", ServerUrlError::Extras),
        ] {
            assert_eq!(text.parse::<ServerUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn loopback() {
        for (text, is) in [
            ("http://localhost:1", true),
            ("http://127.1.2.3", true),
            ("http://[::1]:7", true),
            ("http://10.0.0.1", false),
            ("https://a.example", false),
        ] {
            assert_eq!(text.parse::<ServerUrl>().unwrap().is_loopback(), is, "{text}");
        }
    }
}
