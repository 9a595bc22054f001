//! Connections: accepting them, keeping them in bounds, and ending them in order.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::app::App;
use crate::drain::Stage;
use crate::exchange::respond;
use crate::router::router;
use crate::socket::{Outgoing, Socket};

/// How long to rest when the system gives no connection, because it is out of descriptors, for example.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves until `shutdown` ends, and then goes down in order: `/readyz` says no and waiting LOCKs are sent away at once; after
/// [`Options::notice`](crate::Options) no more connections are taken; what is under way may take [`Options::grace`](crate::Options).
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let mut door = Door {
        router: router(app.clone()),
        seats: Arc::new(Semaphore::new(app.options().connections)),
        guests: JoinSet::new(),
        app,
    };
    door.open_until(&listener, shutdown).await;

    let app = door.app.clone();
    tracing::info!(connections = door.guests.len(), "shutting down");
    app.drain().enter(Stage::Leaving);
    door.open_until(&listener, tokio::time::sleep(app.options().notice)).await;
    drop(listener);
    app.drain().enter(Stage::Closing);
    door.see_off(app.options().grace).await;
    // A client that was cut off may have been about to get a lock.
    app.backend().settled().await;
    Ok(())
}

struct Door {
    app: App,
    router: Router,
    seats: Arc<Semaphore>,
    guests: JoinSet<()>,
}

impl Door {
    async fn open_until(&mut self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                (seat, stream, peer) = welcome(listener, &self.seats) => {
                    let conversation = converse(self.app.clone(), self.router.clone(), stream, peer);
                    self.guests.spawn(async move {
                        conversation.await;
                        drop(seat);
                    });
                }
                Some(_left) = self.guests.join_next() => {}
            }
        }
    }

    /// Waits for all connections to end, and ends those that do not.
    async fn see_off(&mut self, grace: Duration) {
        let all_gone = async { while self.guests.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_gone).await.is_err() {
            tracing::warn!(connections = self.guests.len(), "cutting off connections that did not end by themselves");
            self.guests.shutdown().await;
        }
    }
}

/// The next connection, once there is room for it.
async fn welcome(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream, SocketAddr) {
    // The semaphore is never closed, so that there always is a permit.
    let seat = seats.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (seat, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Answers the requests of one connection. When it ends, hyper drops what it is waiting for: a LOCK in the queue gives up its place.
async fn converse(app: App, router: Router, stream: TcpStream, peer: SocketAddr) {
    let outgoing = Arc::new(Outgoing::default());
    let socket = Socket::new(stream, outgoing.clone(), app.options().silence);
    let service = service_fn(|request| respond(app.clone(), router.clone(), peer, outgoing.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(app.options().idle);
    let mut connection = pin!(http.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.drain().reached(Stage::Closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "the connection ended early");
    }
}
