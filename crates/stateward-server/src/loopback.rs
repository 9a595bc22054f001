//! Terraform's http protocol for one state and one run, on an address of this machine that nobody else can guess.
//!
//! Other users of the machine reach 127.0.0.1, too: what keeps them out is a secret in the path.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use stateward_core::view::Stored;
use stateward_core::{BodyStream, Error, Kind, Result};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::answer::{self, Answer, Refusal};
use crate::body;
use crate::query::Query;

const LOCK_BYTES_MAX: usize = 64 << 10;

/// What one run can do with its state.
#[async_trait]
pub trait OneState: Send + Sync + 'static {
    /// The bytes; `None` where there is no state yet.
    async fn read(&self) -> Result<Option<BodyStream>>;
    /// Stores a state under a lock. `md5` is what its bytes have to have.
    async fn write(&self, lock_id: Option<String>, md5: Option<[u8; 16]>, body: BodyStream) -> Result<Stored>;
    /// Takes the lock that Terraform's lock information describes. Dropped when its client goes.
    async fn lock(&self, raw: Bytes) -> Result<()>;
    /// Gives it back.
    async fn unlock(&self, raw: Bytes) -> Result<()>;
}

/// A server for one state, for as long as it is not dropped.
#[derive(Debug)]
pub struct Loopback {
    address: SocketAddr,
    secret: Arc<str>,
    task: JoinHandle<()>,
}

struct Door {
    secret: Arc<str>,
    state: Arc<dyn OneState>,
    body_bytes_max: u64,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Loopback {
    /// Starts to serve `state` on a free port; whoever asks has to know `secret`, which must be fit for a path.
    pub async fn start(state: Arc<dyn OneState>, secret: String, body_bytes_max: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, secret) = (listener.local_addr()?, Arc::<str>::from(secret));
        let door = Arc::new(Door { secret: Arc::clone(&secret), state, body_bytes_max });
        let router = Router::new().fallback(answer).with_state(door);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the run's own server stopped");
            }
        });
        Ok(Self { address, secret, task })
    }

    /// Where the state is read and written.
    pub fn state_url(&self) -> String {
        self.url("state")
    }

    /// Where its lock is taken and given back.
    pub fn lock_url(&self) -> String {
        self.url("lock")
    }

    /// Where there is no state.
    pub fn empty_url(&self) -> String {
        self.url("empty")
    }

    fn url(&self, what: &str) -> String {
        format!("http://{}/{}/{what}", self.address, self.secret)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(door): State<Arc<Door>>, request: Request) -> Response {
    let Some(what) = door.enter(request.uri().path()).map(str::to_owned) else {
        let next = "only the command that `stateward run` started may ask here";
        let error =
            Error::new(Kind::Denied, "the request was refused", "it does not show the secret of this run", next);
        return Refusal::Told(error).into_response();
    };
    let outcome = match (request.method().as_str(), what.as_str()) {
        ("GET", "state") => door.read().await,
        ("POST" | "PUT", "state") => door.write(request).await,
        ("LOCK", "lock") => door.lock(request).await,
        ("UNLOCK", "lock") => door.unlock(request).await,
        (_, "state") => Err(Refusal::Method("GET, POST, PUT")),
        (_, "lock") => Err(Refusal::Method("LOCK, UNLOCK")),
        // The address of no state is one of these.
        _ => Err(nothing_here().into()),
    };
    outcome.into_response()
}

impl Door {
    /// What is asked for, if the secret stands before it.
    fn enter<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (shown, what) = path.strip_prefix('/')?.split_once('/')?;
        bool::from(shown.as_bytes().ct_eq(self.secret.as_bytes())).then_some(what)
    }

    async fn read(&self) -> Answer {
        let body = self.state.read().await.map_err(Refusal::ToTerraform)?.ok_or_else(nothing_here)?;
        answer::stream(body).await.map_err(Refusal::ToTerraform)
    }

    async fn write(&self, request: Request) -> Answer {
        let (head, body) = request.into_parts();
        let lock_id = Query::parse(head.uri.query(), &["ID"])?.get("ID").map(str::to_owned);
        let md5 = body::content_md5(&head.headers)?;
        let body = body::checked(body::stream(body, &head.headers, self.body_bytes_max)?, md5);
        let stored = self.state.write(lock_id, md5, body).await.map_err(Refusal::ToTerraform)?;
        Ok(answer::json(&stored))
    }

    async fn lock(&self, request: Request) -> Answer {
        let raw = lock_body(request).await?;
        self.state.lock(raw).await.map_err(Refusal::ToTerraform)?;
        Ok(answer::json(&json!({ "schema": 1 })))
    }

    async fn unlock(&self, request: Request) -> Answer {
        let raw = lock_body(request).await?;
        self.state.unlock(raw).await.map_err(Refusal::ToTerraform)?;
        Ok(answer::json(&json!({ "schema": 1 })))
    }
}

async fn lock_body(request: Request<Body>) -> Result<Bytes> {
    let (head, body) = request.into_parts();
    body::small(body, &head.headers, LOCK_BYTES_MAX).await
}

/// Terraform takes 404 for a state that is yet to be written.
fn nothing_here() -> Error {
    Error::new(Kind::NotFound, "there is no state", "nothing is stored under this name", "write it")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    #[async_trait]
    impl OneState for Nothing {
        async fn read(&self) -> Result<Option<BodyStream>> {
            Ok(None)
        }

        async fn write(&self, _: Option<String>, _: Option<[u8; 16]>, _: BodyStream) -> Result<Stored> {
            Err(nothing_here())
        }

        async fn lock(&self, _: Bytes) -> Result<()> {
            Ok(())
        }

        async fn unlock(&self, _: Bytes) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_who_knows_the_secret_comes_in() {
        let door = Door { secret: "5ecret".into(), state: Arc::new(Nothing), body_bytes_max: 1 };
        for (path, what) in [
            ("/5ecret/state", Some("state")),
            ("/5ecret/", Some("")),
            ("/5ecret", None),
            ("/5ecre/state", None),
            ("/5ecrett/state", None),
            ("//5ecret/state", None),
            ("/%35ecret/state", None),
            ("/state", None),
            ("", None),
        ] {
            assert_eq!(door.enter(path), what, "{path}");
        }
    }
}
