//! Where a state is, and requests to it.

use std::net::{SocketAddr, ToSocketAddrs};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How many digits a numbered place has.
const DIGITS: usize = 10;

/// Places in requests that get another number for each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    LockId,
    Serial,
    Name,
}

impl Mark {
    const ALL: [Self; 3] = [Self::LockId, Self::Serial, Self::Name];

    /// What stands for it when a request is made; the number goes over the digits at its end.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::LockId => "5ca1ab1e-0000-4000-8000-001000000000",
            Self::Serial => "\"serial\": 1000000000",
            Self::Name => "numbered-1000000000",
        }
    }

    /// Writes the number over the end of the mark's text at this place.
    pub(super) fn write(self, bytes: &mut [u8], at: usize, number: u64) {
        let end = at + self.text().len();
        write_digits(&mut bytes[end - DIGITS..end], number);
    }

    /// The mark's text with the number.
    pub(super) fn with(self, number: u64) -> String {
        let text = self.text();
        format!("{}{number:0DIGITS$}", &text[..text.len() - DIGITS])
    }
}

/// Overwrites all of the bytes with the number's decimal digits.
pub(super) fn write_digits(bytes: &mut [u8], mut number: u64) {
    for byte in bytes.iter_mut().rev() {
        *byte = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// A path on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    path: String,
    authorization: Option<String>,
}

impl Target {
    pub(super) fn new(address: SocketAddr, path: impl Into<String>) -> Self {
        Self { address, path: path.into(), authorization: None }
    }

    /// Reads `http://[USER:PASSWORD@]HOST:PORT/PATH`.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("`{url}` is no URL such as http://user:password@127.0.0.1:8080/state/a/b");
        let (authority, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        let mut addresses = host.to_socket_addrs().map_err(|error| format!("{}: {error}", wrong()))?;
        let address = addresses.next().ok_or_else(wrong)?;
        let authorization = login.map(|login| format!("Basic {}", STANDARD.encode(login)));
        Ok(Self { address, path: format!("/{path}"), authorization })
    }

    /// A request's head, up to its body.
    pub(super) fn head(&self, method: &str, query: &str, headers: &[(&str, &str)], length: Option<usize>) -> Vec<u8> {
        let mut head = format!("{method} {}{query} HTTP/1.1\r\nHost: {}\r\n", self.path, self.address);
        let length = length.map(|length| length.to_string());
        let own = [("Authorization", self.authorization.as_deref()), ("Content-Length", length.as_deref())];
        let own = own.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        for (name, value) in own.chain(headers.iter().copied()) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// A whole request.
    pub(super) fn request(&self, method: &str, query: &str, body: &[u8]) -> Request {
        let length = (method != "GET").then_some(body.len());
        let mut bytes = self.head(method, query, &[("Content-Type", "application/json")], length);
        bytes.extend_from_slice(body);
        Request::new(format!("{method} {}", self.path), bytes)
    }

    /// LOCK with the marked lock ID.
    pub(super) fn lock(&self) -> Request {
        self.request("LOCK", "", &lock_info())
    }

    /// UNLOCK with the marked lock ID.
    pub(super) fn unlock(&self) -> Request {
        self.request("UNLOCK", "", &lock_info())
    }
}

fn lock_info() -> Vec<u8> {
    stateward_testkit::lock_info(Mark::LockId.text(), "OperationTypeApply")
}

/// A request that is ready to be sent with one write.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Names it in messages.
    pub(super) what: String,
    pub(super) bytes: Vec<u8>,
    marks: Vec<(Mark, usize)>,
}

impl Request {
    fn new(what: String, bytes: Vec<u8>) -> Self {
        let places = |mark: Mark| memchr::memmem::find_iter(&bytes, mark.text()).map(move |at| (mark, at));
        let marks = Mark::ALL.into_iter().flat_map(places).collect();
        Self { what, bytes, marks }
    }

    /// Puts the number in all places with this mark.
    pub(super) fn number(&mut self, mark: Mark, number: u64) {
        for (_, at) in self.marks.iter().filter(|(found, _)| *found == mark) {
            mark.write(&mut self.bytes, *at, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: &Request) -> &str {
        str::from_utf8(&request.bytes).unwrap()
    }

    #[test]
    fn urls_are_read() {
        let target = Target::parse("http://basic:p@ss@127.0.0.1:8080/state/p/n").unwrap();
        assert_eq!((target.address, target.path.as_str()), ("127.0.0.1:8080".parse().unwrap(), "/state/p/n"));
        assert_eq!(target.authorization.as_deref(), Some("Basic YmFzaWM6cEBzcw=="));
        for wrong in ["https://127.0.0.1:1/a", "127.0.0.1:1/a", "http://127.0.0.1:1", "http://127.0.0.1/a"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_whole() {
        let target = Target::parse("http://u:p@127.0.0.1:80/state/a").unwrap();
        assert_eq!(
            text(&target.request("POST", "?ID=x", b"{}")),
            "POST /state/a?ID=x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAuthorization: Basic dTpw\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
        );
        assert!(!text(&target.request("GET", "", b"")).contains("Content-Length"));
    }

    #[test]
    fn numbers_go_to_all_places_of_their_mark() {
        let target = Target::new("127.0.0.1:80".parse().unwrap(), format!("/state/{}", Mark::Name.text()));
        let query = format!("?ID={}", Mark::LockId.text());
        let mut request = target.request("POST", &query, b"{\"serial\": 1000000000, \"x\": 1000000000}");
        request.number(Mark::Serial, 1_000_000_007);
        request.number(Mark::LockId, 42);
        request.number(Mark::Name, 3);
        assert!(text(&request).starts_with("POST /state/numbered-0000000003?ID=5ca1ab1e-0000-4000-8000-000000000042 "));
        assert!(text(&request).ends_with("\r\n\r\n{\"serial\": 1000000007, \"x\": 1000000000}"));
        assert_eq!(Mark::Name.with(3), "numbered-0000000003");
        let mut lock = target.lock();
        lock.number(Mark::LockId, 42);
        assert!(text(&lock).contains(&Mark::LockId.with(42)));
    }
}
