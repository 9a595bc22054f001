//! A client that costs little: it shares the machine with the server that it measures.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::Result;
use super::target::{Request, Target};

/// No answer takes longer, unless the server hangs.
const LIMIT: Duration = Duration::from_mins(2);

/// A connection that is kept.
#[derive(Debug)]
pub(super) struct Client {
    reader: BufReader<TcpStream>,
    line: Vec<u8>,
    scrap: Vec<u8>,
}

impl Client {
    pub(super) fn connect(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address)
            .map_err(|error| format!("no server answers at {}: {error}", target.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { reader: BufReader::with_capacity(64 * 1024, stream), line: Vec::new(), scrap: Vec::new() })
    }

    /// The socket, to wait for.
    pub(super) fn socket(&self) -> io::Result<TcpStream> {
        self.reader.get_ref().try_clone()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends a request and waits for its answer, which must be 200.
    pub(super) fn exchange(&mut self, request: &Request) -> Result<()> {
        let sent = self.send(&request.bytes);
        // A server that refuses a body may answer and close before it was sent: the answer says more than the broken pipe.
        self.expect_ok(&request.what)?;
        Ok(sent?)
    }

    /// Reads an answer, which must be 200.
    pub(super) fn expect_ok(&mut self, what: &str) -> Result<()> {
        let mut scrap = std::mem::take(&mut self.scrap);
        let status = self.receive(&mut scrap).map_err(|error| format!("{what}: {error}"))?;
        if status == 200 {
            self.scrap = scrap;
            return Ok(());
        }
        Err(format!("{what}: {status} {}", String::from_utf8_lossy(&scrap)).into())
    }

    /// Reads an answer. What is in `body` is overwritten in place: a vector of the right length costs no allocation.
    pub(super) fn receive(&mut self, body: &mut Vec<u8>) -> io::Result<u16> {
        self.read_line()?;
        let status = status_of(&self.line).ok_or_else(|| malformed("no status line"))?;
        let mut framing = Framing::Length(0);
        loop {
            self.read_line()?;
            if self.line.is_empty() {
                break;
            }
            framing = framing_in(&self.line)?.unwrap_or(framing);
        }
        let length = match framing {
            Framing::Length(length) => {
                self.fill(body, 0, length)?;
                length
            }
            Framing::Chunked => self.read_chunks(body)?,
        };
        body.truncate(length);
        Ok(status)
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            self.read_line()?;
            let length = chunk_length(&self.line).ok_or_else(|| malformed("a chunk's length"))?;
            self.fill(body, filled, length)?;
            filled += length;
            // The line's end after a chunk, or the empty line after all of them; nobody sends trailers here.
            self.read_line()?;
            if length == 0 {
                return Ok(filled);
            }
        }
    }

    fn fill(&mut self, body: &mut Vec<u8>, from: usize, length: usize) -> io::Result<()> {
        if body.len() < from + length {
            body.resize(from + length, 0);
        }
        self.reader.read_exact(&mut body[from..from + length])
    }

    /// Reads a line, without its end.
    fn read_line(&mut self) -> io::Result<()> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        if !self.line.ends_with(b"\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.line.truncate(self.line.len() - 2);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

fn status_of(line: &[u8]) -> Option<u16> {
    str::from_utf8(line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?.parse().ok()
}

/// What a header says about where the body ends.
fn framing_in(line: &[u8]) -> io::Result<Option<Framing>> {
    let value = |name: &[u8]| {
        let found = line.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        found.then(|| line[name.len()..].trim_ascii())
    };
    if let Some(length) = value(b"content-length:") {
        let length = str::from_utf8(length).ok().and_then(|length| length.parse().ok());
        return length.map(|length| Some(Framing::Length(length))).ok_or_else(|| malformed("Content-Length"));
    }
    Ok(value(b"transfer-encoding:").map(|_| Framing::Chunked))
}

fn chunk_length(line: &[u8]) -> Option<usize> {
    usize::from_str_radix(str::from_utf8(line).ok()?.split(';').next()?.trim(), 16).ok()
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP answer: {what}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A client of a server that sends just this.
    fn answered(answer: &'static str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::new(listener.local_addr().unwrap(), "/");
        thread::spawn(move || listener.accept().unwrap().0.write_all(answer.as_bytes()).unwrap());
        Client::connect(&target).unwrap()
    }

    #[test]
    fn sized_and_chunked_bodies_follow_each_other() {
        let mut client = answered(
            "HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\n\r\nabcHTTP/1.1 423 Locked\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nde\r\n1\r\nf\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        );
        let mut body = b"longer than that".to_vec();
        for (status, text) in [(200, "abc"), (423, "def"), (204, "")] {
            assert_eq!(client.receive(&mut body).unwrap(), status);
            assert_eq!(body, text.as_bytes());
        }
        assert!(client.receive(&mut body).is_err());
    }

    #[test]
    fn any_other_status_is_an_error_that_shows_the_body() {
        let mut client = answered("HTTP/1.1 423 Locked\r\nContent-Length: 4\r\n\r\nheld");
        assert_eq!(client.expect_ok("LOCK /a").unwrap_err().to_string(), "LOCK /a: 423 held");
    }

    #[test]
    fn what_is_no_http_is_an_error() {
        for answer in ["SSH-2.0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200", ""] {
            assert!(answered(answer).receive(&mut Vec::new()).is_err(), "{answer}");
        }
    }
}
