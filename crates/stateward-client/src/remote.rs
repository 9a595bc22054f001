//! A server, spoken to by API v1.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use stateward_core::audit::AuditItem;
use stateward_core::view::{
    Change, List, LockItem, Pruned, StateItem, Stored, TimelineItem, TxItem, Verified, VersionItem,
};
use stateward_core::{
    Adoption, Begin, BodyStream, Ending, Error, Kind, LockRequest, Recover, Result, StateId, StatesQuery, Version,
};

use crate::connection::{Connection, OnVerify, Pulled};
use crate::server_url::{Secret, ServerUrl};
use crate::transport::Transport;

/// A server.
#[derive(Debug)]
pub struct Remote {
    transport: Arc<Transport>,
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(default)]
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Undeleted {
    version: Version,
}

#[derive(Deserialize)]
struct Written {
    version: Version,
    serial: u64,
    changed: bool,
}

#[derive(Deserialize)]
struct Released {
    released: Vec<String>,
}

impl Remote {
    /// A client of `server` that shows the token in its URL, or else `token`; a server without tokens is told `who` asks.
    /// Connects only when something is asked.
    pub fn new(server: ServerUrl, token: Option<&Secret>, who: &str, tool: &str) -> Result<Self> {
        let token = server.token().or(token).cloned();
        Ok(Self { transport: Arc::new(Transport::new(server, token.as_ref(), who, tool)?) })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.transport.request(Method::GET, path)
    }

    fn of_state(&self, path: &str, state: &StateId) -> RequestBuilder {
        self.get(path).query(&[("state", state.to_string())])
    }

    fn post(&self, path: &str, body: &impl Serialize) -> RequestBuilder {
        self.transport.request(Method::POST, path).json(body)
    }

    /// Asks page by page, until there are no more or the limit is reached. `cursor` is the parameter that names where to go on.
    async fn pages<T: for<'a> Deserialize<'a>>(
        &self,
        cursor: &str,
        start: Option<String>,
        limit: Option<usize>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<List<T>> {
        let (mut all, mut place) = (List::new(Vec::new()), start);
        loop {
            let left = limit.map(|limit| limit - all.items.len());
            let page = request().query(&[("limit", left)]).query(&[(cursor, place.take())]);
            let page: List<T> = self.transport.json(page).await?;
            let is_empty = page.items.is_empty();
            all.items.extend(page.items);
            let is_full = limit.is_some_and(|limit| all.items.len() >= limit);
            if page.next.is_none() || is_full || is_empty {
                all.next = page.next;
                return Ok(all);
            }
            place = page.next;
        }
    }

    /// Sends a request that is answered by a state.
    async fn pull_by(&self, request: RequestBuilder) -> Result<Pulled> {
        let response = self.transport.send(request).await?;
        let (size, transport) = (response.content_length(), Arc::clone(&self.transport));
        let bytes = response.bytes_stream().map_err(move |error| transport.cut_short(&error));
        Ok(Pulled { size, bytes: bytes.boxed() })
    }

    /// Sends a request whose body is a state, and reads what became of it.
    async fn put<T: for<'a> Deserialize<'a>>(&self, request: RequestBuilder, body: BodyStream) -> Result<T> {
        let request = match body.length {
            Some(length) => request.header(CONTENT_LENGTH, length),
            None => request,
        };
        let failed = Arc::new(Mutex::new(None));
        let request = request.header(CONTENT_TYPE, "application/json").body(upload(body, &failed));
        let stored = self.transport.json(request).await;
        // Where reading the file failed, that is the reason, and not that the server saw the body cut short.
        let reading: Option<Error> = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        reading.map_or(stored, Err)
    }
}

#[async_trait]
impl Connection for Remote {
    fn place(&self) -> String {
        self.transport.server().to_string()
    }

    async fn states(&self, query: &StatesQuery) -> Result<List<StateItem>> {
        let request = || {
            let request = self.get("states").query(&[("prefix", &query.prefix)]);
            if query.deleted { request.query(&[("deleted", true)]) } else { request }
        };
        self.pages("after", query.after.clone(), query.limit, request).await
    }

    async fn history(
        &self,
        state: &StateId,
        before: Option<Version>,
        limit: Option<usize>,
    ) -> Result<List<VersionItem>> {
        let before = before.map(|version| version.to_string());
        self.pages("before", before, limit, || self.of_state("history", state)).await
    }

    async fn recorded(&self, state: &StateId) -> Result<List<VersionItem>> {
        self.pages("before", None, None, || self.of_state("history", state).query(&[("recorded", true)])).await
    }

    async fn pull(&self, state: &StateId, version: Option<Version>) -> Result<Pulled> {
        let request = self.of_state("content", state).query(&[("version", version)]);
        self.pull_by(request).await
    }

    async fn store(&self, state: &StateId, body: BodyStream, force: bool) -> Result<Stored> {
        let mut request = self.transport.request(Method::PUT, "content").query(&[("state", state.to_string())]);
        if force {
            request = request.query(&[("force", true)]);
        }
        self.put(request, body).await
    }

    async fn adopt(&self, state: &StateId, adoption: &Adoption, body: Option<BodyStream>) -> Result<Stored> {
        let adoption = serde_json::to_string(adoption).unwrap_or_default();
        let query = [("state", state.to_string()), ("adoption", adoption)];
        let request = self.transport.request(Method::PUT, "import").query(&query);
        match body {
            Some(body) => self.put(request, body).await,
            None => self.transport.json(request).await,
        }
    }

    async fn restore(&self, state: &StateId, version: Version, only: &[String]) -> Result<Stored> {
        let body = match only {
            [] => json!({ "state": state, "version": version }),
            only => json!({ "state": state, "version": version, "only": only }),
        };
        self.transport.json(self.post("restore", &body)).await
    }

    async fn diff(&self, state: &StateId, from: Option<Version>, to: Option<Version>) -> Result<List<Change>> {
        self.transport.json(self.of_state("diff", state).query(&[("from", from), ("to", to)])).await
    }

    async fn timeline(&self, state: &StateId, address: &str) -> Result<List<TimelineItem>> {
        self.transport.json(self.of_state("timeline", state).query(&[("address", address)])).await
    }

    async fn delete(&self, state: &StateId, lock_id: Option<&str>) -> Result<Option<Version>> {
        let body = match lock_id {
            Some(lock_id) => json!({ "state": state, "lock_id": lock_id }),
            None => json!({ "state": state }),
        };
        let deleted: Deleted = self.transport.json(self.post("delete", &body)).await?;
        Ok(deleted.version)
    }

    async fn undelete(&self, state: &StateId) -> Result<Version> {
        let undeleted: Undeleted = self.transport.json(self.post("undelete", &json!({ "state": state }))).await?;
        Ok(undeleted.version)
    }

    async fn verify(&self, state: Option<&StateId>, _progress: OnVerify<'_>) -> Result<Verified> {
        let body = state.map_or_else(|| json!({}), |state| json!({ "state": state }));
        self.transport.json(self.post("verify", &body)).await
    }

    async fn locks(&self, state: Option<&StateId>) -> Result<List<LockItem>> {
        self.transport.json(self.get("locks").query(&[("state", state)])).await
    }

    async fn write(
        &self,
        state: &StateId,
        lock_id: Option<&str>,
        md5: Option<[u8; 16]>,
        body: BodyStream,
    ) -> Result<Stored> {
        let request = self.transport.to_state("POST", state)?.query(&[("ID", lock_id)]);
        let Written { version, serial, changed } = self.put(with_md5(request, md5), body).await?;
        Ok(Stored { version, serial, changed, renumbered: false, addresses: Vec::new() })
    }

    async fn lock(&self, state: &StateId, request: LockRequest) -> Result<()> {
        let seconds = |time: Duration| format!("{}s", whole_seconds(time));
        let (wait, lease) = (request.wait.map(seconds), request.lease.map(seconds));
        let lock = self.transport.to_state("LOCK", state)?.query(&[("wait", wait), ("lease", lease)]);
        self.transport.send(lock.body(request.raw)).await.map(drop)
    }

    async fn renew(&self, state: &StateId, id: &str, lease: Duration) -> Result<()> {
        let body = json!({ "state": state, "id": id, "lease_s": lease.as_secs().max(1) });
        self.transport.send(self.post("locks/renew", &body)).await.map(drop)
    }

    async fn unlock(&self, state: &StateId, raw: Bytes) -> Result<()> {
        self.transport.send(self.transport.to_state("UNLOCK", state)?.body(raw)).await.map(drop)
    }

    async fn release(&self, state: &StateId, id: Option<&str>) -> Result<Vec<String>> {
        let body = id.map_or_else(|| json!({ "state": state }), |id| json!({ "state": state, "id": id }));
        let released: Released = self.transport.json(self.post("locks/release", &body)).await?;
        Ok(released.released)
    }

    async fn transactions(&self, state: Option<&StateId>, ended: bool) -> Result<List<TxItem>> {
        self.transport.json(self.get("tx").query(&[("state", state)]).query(&[("ended", ended)])).await
    }

    async fn begin(&self, state: &StateId, begin: Begin) -> Result<()> {
        let lock = std::str::from_utf8(&begin.raw).ok().and_then(|raw| serde_json::from_str::<Box<RawValue>>(raw).ok());
        let body = json!({
            "state": state,
            "lock": lock,
            "write": begin.claim.written(),
            "read": begin.claim.read_only(),
            "plan": begin.plan,
            "wait_s": begin.wait.map(whole_seconds),
            "lease_s": whole_seconds(begin.lease),
        });
        self.transport.send(self.post("tx/begin", &body)).await.map(drop)
    }

    async fn pull_in(&self, state: &StateId, tx: &str) -> Result<Option<Pulled>> {
        match self.pull_by(self.of_state("tx/content", state).query(&[("tx", tx)])).await {
            Ok(pulled) => Ok(Some(pulled)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn commit(&self, state: &StateId, tx: &str, md5: Option<[u8; 16]>, body: BodyStream) -> Result<Stored> {
        let query = [("state", state.to_string()), ("tx", tx.to_owned())];
        let request = self.transport.request(Method::PUT, "tx/content").query(&query);
        self.put(with_md5(request, md5), body).await
    }

    async fn finish(&self, state: &StateId, tx: &str, ending: Ending) -> Result<()> {
        let body = json!({ "state": state, "tx": tx, "abort": ending != Ending::Committed });
        self.transport.send(self.post("tx/finish", &body)).await.map(drop)
    }

    async fn recover(&self, state: &StateId, recover: Recover) -> Result<Stored> {
        let lock = String::from_utf8_lossy(&recover.raw).into_owned();
        let query = [("state", state.to_string()), ("tx", recover.tx), ("lock", lock)];
        let mut request = self.transport.request(Method::PUT, "tx/recover").query(&query);
        if recover.force {
            request = request.query(&[("force", true)]);
        }
        self.put(request, recover.body).await
    }

    async fn audit(&self, state: Option<&StateId>, limit: Option<usize>) -> Result<List<AuditItem>> {
        self.pages("after", None, limit, || self.get("audit").query(&[("state", state)])).await
    }

    async fn prune(&self) -> Result<Pruned> {
        self.transport.json(self.post("prune", &json!({}))).await
    }
}

/// Times are sent in whole seconds, and no shorter than was asked for.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn with_md5(request: RequestBuilder, md5: Option<[u8; 16]>) -> RequestBuilder {
    match md5 {
        Some(md5) => request.header("content-md5", BASE64_STANDARD.encode(md5)),
        None => request,
    }
}

/// The body as the HTTP library wants it; what goes wrong in reading it is kept in `failed`.
fn upload(body: BodyStream, failed: &Arc<Mutex<Option<Error>>>) -> Body {
    let failed = Arc::clone(failed);
    Body::wrap_stream(body.bytes.map_err(move |error| {
        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::other("the body cannot be read")
    }))
}
