//! A connection's socket, which knows when an answer has left it and when its client has stopped reading.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use stateward_core::Grant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Silence after which the system asks whether the client's machine is still there, and how often it asks.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(10);
const KEEPALIVE_TRIES: u32 = 3;

/// The lock whose answer is on its way out of a connection. Dropping it takes the lock back.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Mutex<Option<Grant>>);

impl Outgoing {
    /// The answer's last byte was handed to the connection.
    pub(crate) fn handed_over(&self, grant: Grant) {
        *self.slot() = Some(grant);
    }

    fn is_empty(&self) -> bool {
        self.slot().is_none()
    }

    fn take(&self) -> Option<Grant> {
        self.slot().take()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Grant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    outgoing: Arc<Outgoing>,
    silence: Duration,
    /// Runs while the client takes no bytes.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, outgoing: Arc<Outgoing>, silence: Duration) -> Self {
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "the connection's options could not be set");
        }
        Self { stream, outgoing, silence, stalled: None }
    }

    fn within_silence<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let silence = self.silence;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + silence)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client has stopped reading")))
    }

    /// A lock is not told to a client that has hung up, or has said that it will send nothing more. To be asked before writing:
    /// once it has its answer, a client may well close the connection.
    fn check_presence(&self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let mut byte = [0];
        match self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone")),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        }
    }
}

/// A client whose machine is gone without a word must not stay in a lock's queue.
fn tune(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_AGAIN)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_TRIES)?;
    Ok(())
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_presence(cx)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.within_silence(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_presence(cx)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.within_silence(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when all it has was written: a lock's answer is then on its way.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if let Some(grant) = self.outgoing.take() {
            grant.delivered();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
