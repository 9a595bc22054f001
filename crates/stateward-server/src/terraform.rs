//! Terraform's http protocol: states under `/state/NAME`, and GitLab's convention for locks under `/lock/NAME`.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use serde_json::json;
use stateward_core::control::Mode;
use stateward_core::{Error, Kind, LockRequest, Post, Result, StateId};

use crate::answer::{self, Answer, Refusal};
use crate::call::Call;
use crate::grant;
use crate::query::{Query, bad_value};
use crate::target::state_of;

const PARAMETERS: [&str; 6] = ["ID", "workspace", "wait", "lease", "view", "tx"];

/// What the URL asks for.
struct Asked {
    state: StateId,
    lock_id: Option<String>,
    wait: Option<Duration>,
    lease: Option<Duration>,
    outputs_only: bool,
    /// The transaction that it happens in.
    tx: Option<String>,
}

impl Asked {
    fn of(call: &Call, prefix: &str) -> Result<Self> {
        let query = Query::parse(call.uri.query(), &PARAMETERS)?;
        let path = call.uri.path();
        let state = state_of(path.strip_prefix(prefix).unwrap_or(path), query.get("workspace"))?;
        let outputs_only = match query.get("view") {
            None => false,
            Some("outputs") => true,
            Some(_) => return Err(bad_value("view", "the only view is `outputs`")),
        };
        let lock_id = query.get("ID").map(str::to_owned);
        let (wait, lease) = (query.duration("wait")?, query.duration("lease")?);
        let tx = query.get("tx").map(str::to_owned);
        Ok(Self { state: call.about(state), lock_id, wait, lease, outputs_only, tx })
    }

    /// The state, for anything but reading.
    fn for_change(self) -> Result<Self> {
        if self.outputs_only {
            return Err(bad_value("view", "a view can only be read"));
        }
        Ok(self)
    }
}

/// `/state/NAME`.
pub(crate) async fn state(call: Call, body: Body) -> Answer {
    let asked = Asked::of(&call, "/state")?;
    let done = match call.method.as_str() {
        "GET" | "HEAD" => read(&call, &asked).await,
        "POST" | "PUT" => write(&call, asked.for_change()?, body).await,
        "LOCK" => take_lock(&call, asked.for_change()?, body).await,
        "UNLOCK" => give_back_lock(&call, asked.for_change()?, body).await,
        "DELETE" => delete(&call, &asked.for_change()?).await,
        _ => return Err(Refusal::Method("GET, HEAD, POST, PUT, LOCK, UNLOCK, DELETE")),
    };
    done.map_err(Refusal::ToTerraform)
}

/// `/lock/NAME`, for clients whose `lock_method` and `unlock_method` are set to methods that every proxy lets through.
pub(crate) async fn lock(call: Call, body: Body) -> Answer {
    let asked = Asked::of(&call, "/lock")?.for_change()?;
    let done = match call.method.as_str() {
        "POST" | "PUT" | "LOCK" => take_lock(&call, asked, body).await,
        "DELETE" | "UNLOCK" => give_back_lock(&call, asked, body).await,
        _ => return Err(Refusal::Method("POST, PUT, DELETE, LOCK, UNLOCK")),
    };
    done.map_err(Refusal::ToTerraform)
}

async fn read(call: &Call, asked: &Asked) -> Result<Response> {
    let (backend, state) = (call.backend(), &asked.state);
    if asked.outputs_only {
        let outputs = backend.read_outputs(&call.caller, state).await?;
        return outputs.map(answer::bytes).ok_or_else(|| no_state(state));
    }
    let content = match &asked.tx {
        Some(tx) => backend.read_in(&call.caller, state, tx).await?,
        None => backend.read(&call.caller, state).await?,
    };
    let content = content.ok_or_else(|| no_state(state))?;
    answer::content(content).await
}

/// Terraform takes 404 for a state that is yet to be written.
pub(crate) fn no_state(state: &StateId) -> Error {
    let next = "write it, or see `stateward state list`";
    Error::new(Kind::NotFound, format!("there is no state `{state}`"), "nothing is stored under this name", next)
}

async fn write(call: &Call, asked: Asked, body: Body) -> Result<Response> {
    let (body, md5) = call.state_body(body)?;
    let post = Post { lock_id: asked.lock_id, md5, body };
    let (backend, metrics) = (call.backend(), call.app.metrics());
    let written = match &asked.tx {
        Some(tx) => {
            let written = backend.commit(&call.caller, &asked.state, tx, post).await?;
            metrics.committed(&written);
            written
        }
        None => {
            let written = backend.write(&call.caller, &asked.state, post).await?;
            metrics.versions.inc_by(written.changed.into());
            written
        }
    };
    Ok(answer::json(
        &json!({ "schema": 1, "version": written.version, "serial": written.serial, "changed": written.changed }),
    ))
}

async fn take_lock(call: &Call, asked: Asked, body: Body) -> Result<Response> {
    let raw = call.lock_body(body).await?;
    let (backend, metrics) = (call.backend(), call.app.metrics());
    if let Some(tx) = &asked.tx {
        // Terraform asks for the lock that its wrapper has taken: a transaction holds all that this run may write.
        backend.demand_open(&call.caller, &asked.state, tx).await?;
        return Ok(answer::json(&json!({ "schema": 1, "mode": Mode::Resources, "again": true })));
    }
    let request = LockRequest { raw, wait: asked.wait, lease: asked.lease };
    let grant = grant::waited(call, asked.wait, Box::pin(backend.lock(&call.caller, &asked.state, request))).await;
    let grant = grant.inspect_err(|error| {
        metrics.locks_refused.inc_by((error.kind() == Kind::Locked).into());
    })?;
    metrics.locks_granted.inc_by((!grant.again).into());
    let told = json!({ "schema": 1, "fence": grant.fence, "mode": grant.mode, "again": grant.again });
    Ok(grant::answer(call, &told, grant))
}

async fn give_back_lock(call: &Call, asked: Asked, body: Body) -> Result<Response> {
    let raw = call.lock_body(body).await?;
    if asked.tx.is_some() {
        // The wrapper ends what it began.
        return Ok(answer::json(&json!({ "schema": 1, "released": [] })));
    }
    let unlocked = call.backend().unlock(&call.caller, &asked.state, &raw).await?;
    Ok(answer::json(&json!({ "schema": 1, "released": unlocked.released })))
}

async fn delete(call: &Call, asked: &Asked) -> Result<Response> {
    if asked.tx.is_some() {
        return Err(bad_value("tx", "a transaction cannot delete a state"));
    }
    let version = call.backend().delete(&call.caller, &asked.state, asked.lock_id.as_deref()).await?;
    Ok(answer::json(&json!({ "schema": 1, "version": version })))
}
