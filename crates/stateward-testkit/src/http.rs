//! HTTP/1.1 to the byte: whatever a test sends is sent as it is, right or wrong.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(1);

/// How a request's body is framed.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// No body and no header about it.
    None,
    /// `Content-Length` and these bytes.
    Sized(&'a [u8]),
    /// `Transfer-Encoding: chunked`, one chunk for each (an empty list is what Terraform sends on force-unlock).
    Chunked(&'a [&'a [u8]]),
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Sized(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Body<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Sized(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Body<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Sized(bytes)
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(text: &'a str) -> Self {
        Self::Sized(text.as_bytes())
    }
}

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names as they were sent, and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The response, if the status is the expected one; else a panic that shows it.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}, got {}: {}", self.status, self.text());
        self
    }
}

/// A client for one address.
#[derive(Debug, Clone)]
pub struct RawHttp {
    address: SocketAddr,
    limit: Duration,
}

impl RawHttp {
    /// For a server at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, limit: LIMIT }
    }

    /// With another limit on every read and write.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// A new connection.
    pub fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&self.address, self.limit)?;
        stream.set_read_timeout(Some(self.limit))?;
        stream.set_write_timeout(Some(self.limit))?;
        // A test that writes in pieces means each piece to arrive by itself.
        stream.set_nodelay(true)?;
        Ok(Connection { reader: BufReader::new(stream), host: self.address.to_string() })
    }

    /// One request on a connection of its own. Panics when no whole answer comes.
    #[track_caller]
    pub fn request<'a>(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body<'a>>,
    ) -> Response {
        match self.try_request(method, target, headers, body) {
            Ok(response) => response,
            Err(error) => panic!("{method} {target}: {error}"),
        }
    }

    /// The same, for a server that may be killed meanwhile.
    pub fn try_request<'a>(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body<'a>>,
    ) -> io::Result<Response> {
        let mut connection = self.connect()?;
        let mut all = vec![("Connection", "close")];
        all.extend_from_slice(headers);
        let sent = connection.send_request(method, target, &all, body);
        // A server may refuse, answer and close before it has read the whole body: its answer counts, if there is one.
        match (connection.read_response_to(method), sent) {
            (Ok(response), _) => Ok(response),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }
}

/// An open connection. Dropping it closes it, whatever state it is in.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Sends exactly these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Sends the request line, `Host` and the headers, all verbatim, and the empty line; no body and nothing about one.
    pub fn send_head(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let has_host = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = if has_host { String::new() } else { format!("Host: {}\r\n", self.host) };
        let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        self.send(format!("{method} {target} HTTP/1.1\r\n{host}{headers}\r\n"))
    }

    /// Sends a whole request and does not wait for the answer, so that several can be sent in a row.
    pub fn send_request<'a>(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body<'a>>,
    ) -> io::Result<()> {
        let mut all = headers.to_vec();
        let length;
        match body.into() {
            Body::None => self.send_head(method, target, &all),
            Body::Sized(bytes) => {
                length = bytes.len().to_string();
                all.push(("Content-Length", &length));
                self.send_head(method, target, &all)?;
                self.send(bytes)
            }
            Body::Chunked(chunks) => {
                all.push(("Transfer-Encoding", "chunked"));
                self.send_head(method, target, &all)?;
                chunks.iter().try_for_each(|chunk| self.send_chunk(chunk))?;
                self.send("0\r\n\r\n")
            }
        }
    }

    /// Sends one chunk of a chunked body. An empty one would end the body, so it is left out.
    pub fn send_chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.send(framed)
    }

    /// Says that nothing more will be sent, and keeps reading: how a body cut short looks to the server.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.reader.get_mut().shutdown(Shutdown::Write)
    }

    /// Sends a request and reads its answer; the connection can be used again.
    pub fn request<'a>(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body<'a>>,
    ) -> io::Result<Response> {
        self.send_request(method, target, headers, body)?;
        self.read_response_to(method)
    }

    /// Reads one answer, to any method but HEAD. Interim answers (`100 Continue`) are given like any other.
    pub fn read_response(&mut self) -> io::Result<Response> {
        self.read_response_to("")
    }

    /// Reads one answer to this method.
    pub fn read_response_to(&mut self, method: &str) -> io::Result<Response> {
        let mut response = self.read_head()?;
        if method != "HEAD" && !matches!(response.status, 100..=199 | 204 | 304) {
            response.body = self.read_body(&response)?;
        }
        Ok(response)
    }

    /// Whether the server has closed the connection, all its answers having been read. Waits until it closes or sends.
    pub fn is_closed(&mut self) -> io::Result<bool> {
        match self.reader.fill_buf() {
            Ok(bytes) => Ok(bytes.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        if let Some(line) = line.strip_suffix("\r\n") {
            return Ok(line.to_owned());
        }
        Err(malformed(io::ErrorKind::UnexpectedEof, &format!("the answer ends in the line {line:?}")))
    }

    fn read_head(&mut self) -> io::Result<Response> {
        let status_line = self.read_line()?;
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status =
            status.ok_or_else(|| malformed(io::ErrorKind::InvalidData, &format!("status line {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Response { status, headers, body: Vec::new() });
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| malformed(io::ErrorKind::InvalidData, &format!("header {line:?}")))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn read_body(&mut self, head: &Response) -> io::Result<Vec<u8>> {
        if head.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.read_chunks();
        }
        if let Some(length) = head.header("content-length") {
            return self.read_exact(parse_length(length, 10)?);
        }
        let mut body = Vec::new();
        self.reader.read_to_end(&mut body)?;
        Ok(body)
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = line.split_once(';').map_or(line.as_str(), |(size, _extension)| size);
            let length = parse_length(size, 16)?;
            if length == 0 {
                break;
            }
            body.extend(self.read_exact(length)?);
            self.read_line()?;
        }
        // Trailers, up to the empty line.
        while !self.read_line()?.is_empty() {}
        Ok(body)
    }

    fn read_exact(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length {
            return Ok(bytes);
        }
        Err(malformed(io::ErrorKind::UnexpectedEof, &format!("{} of {length} bytes of the body", bytes.len())))
    }
}

fn parse_length(text: &str, radix: u32) -> io::Result<u64> {
    u64::from_str_radix(text.trim(), radix)
        .map_err(|_| malformed(io::ErrorKind::InvalidData, &format!("length {text:?}")))
}

fn malformed(kind: io::ErrorKind, what: &str) -> io::Error {
    io::Error::new(kind, format!("not a whole HTTP answer: {what}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    /// Accepts one connection, reads until the text ends like this, sends the answer, closes; gives what it read.
    fn serve_once(until: &'static str, answer: &'static str) -> (RawHttp, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = RawHttp::new(listener.local_addr().unwrap()).limit(Duration::from_secs(20));
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut buffer = [0; 1024];
            while !seen.ends_with(until.as_bytes()) {
                let count = stream.read(&mut buffer).unwrap();
                if count == 0 {
                    break;
                }
                seen.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(seen).unwrap()
        });
        (http, server)
    }

    #[test]
    fn sends_method_target_headers_and_body_verbatim() {
        let (http, server) = serve_once("{}", "HTTP/1.1 423 Locked\r\nX-A: b\r\ncontent-length: 2\r\n\r\nhi");
        let response = http.request("LOCK", "/state/../x%2f?ID=a", &[("X-Y", "z")], b"{}").expect_status(423);
        assert_eq!((response.header("x-a"), response.text().as_str()), (Some("b"), "hi"));
        let seen = server.join().unwrap();
        let host = http.address;
        let expected = format!(
            "LOCK /state/../x%2f?ID=a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Y: z\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        assert_eq!(seen, expected);
    }

    #[test]
    fn sends_an_empty_chunked_body_and_reads_chunks() {
        let answer =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n";
        let (http, server) = serve_once("0\r\n\r\n", answer);
        let response = http.request("UNLOCK", "/", &[], Body::Chunked(&[]));
        assert_eq!(response.text(), "hello!");
        assert!(server.join().unwrap().ends_with("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    }

    #[test]
    fn several_requests_in_a_row_on_one_connection() {
        let answers = "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        let (http, server) = serve_once("last", answers);
        let mut connection = http.connect().unwrap();
        connection.send_request("GET", "/a", &[], Body::None).unwrap();
        connection.send_request("POST", "/b", &[], "last").unwrap();
        assert_eq!(connection.read_response().unwrap().status, 204);
        assert_eq!(connection.read_response().unwrap().text(), "x");
        assert!(connection.is_closed().unwrap());
        assert!(server.join().unwrap().contains("GET /a HTTP/1.1\r\n"));
    }

    #[test]
    fn a_body_cut_short_is_seen_by_both_sides() {
        let (http, server) = serve_once("never", "HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\nshort");
        let mut connection = http.connect().unwrap();
        connection.send_head("POST", "/", &[("Content-Length", "10")]).unwrap();
        connection.send("only").unwrap();
        connection.finish_sending().unwrap();
        let error = connection.read_response().unwrap_err();
        assert_eq!(error.to_string(), "not a whole HTTP answer: 5 of 10 bytes of the body");
        assert!(server.join().unwrap().ends_with("only"));
    }

    #[test]
    fn a_server_that_says_nothing_is_an_error() {
        let (http, server) = serve_once("\r\n\r\n", "");
        let error = http.try_request("GET", "/", &[], Body::None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        server.join().unwrap();
    }
}
