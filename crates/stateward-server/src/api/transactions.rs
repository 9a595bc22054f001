//! Transactions, for wrappers that run Terraform themselves.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use stateward_core::view::Stored;
use stateward_core::{Begin, Claim, Ending, Error, Kind, PlanBase, Post, Recover, Result, StateId};

use super::Asked;
use crate::{answer, body, grant, terraform};

/// The lease of a transaction that asks for none.
const LEASE_S: u64 = 60;

/// A plan may write tens of thousands of addresses.
const CLAIM_BYTES_MAX: usize = 16 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginRequest {
    state: StateId,
    lock: Box<RawValue>,
    #[serde(default)]
    write: Vec<String>,
    #[serde(default)]
    read: Vec<String>,
    plan: PlanBase,
    #[serde(default)]
    wait_s: Option<u64>,
    #[serde(default)]
    lease_s: Option<u64>,
}

pub(super) async fn list(asked: Asked) -> Result<Response> {
    let (state, ended) = (asked.of_state()?, asked.query.parsed("ended")?.unwrap_or_default());
    let call = &asked.call;
    Ok(answer::json(&call.backend().transactions(&call.caller, state.as_ref(), ended).await?))
}

pub(super) async fn begin(asked: Asked, body: Body) -> Result<Response> {
    let request: BeginRequest = asked.call.json_up_to(body, CLAIM_BYTES_MAX).await?;
    let (state, call) = (asked.call.about(request.state), &asked.call);
    let wait = request.wait_s.map(Duration::from_secs);
    let begin = Begin {
        raw: Bytes::copy_from_slice(request.lock.get().as_bytes()),
        claim: claim(&request.write, &request.read)?,
        plan: request.plan,
        wait,
        lease: Duration::from_secs(request.lease_s.unwrap_or(LEASE_S)),
    };
    let metrics = call.app.metrics();
    let begun = grant::waited(call, wait, Box::pin(call.backend().begin(&call.caller, &state, begin))).await;
    let begun = begun.inspect_err(|error| metrics.not_begun(error.kind()))?;
    metrics.tx_begun.inc_by((!begun.again).into());
    let told = json!({
        "schema": 1, "fence": begun.fence, "again": begun.again, "base": begun.base, "lease_until": begun.lease_until,
    });
    Ok(grant::answer(call, &told, begun.into_grant()))
}

fn claim(write: &[String], read: &[String]) -> Result<Claim> {
    Claim::parse(write, read).map_err(|error| {
        let next = "write addresses as Terraform does, outputs as `output.NAME`, and everything as `*`";
        Error::new(Kind::Invalid, "the transaction was not begun", error.to_string(), next)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeartbeatRequest {
    state: StateId,
    tx: String,
    #[serde(default)]
    lease_s: Option<u64>,
}

pub(super) async fn heartbeat(asked: Asked, body: Body) -> Result<Response> {
    let HeartbeatRequest { state, tx, lease_s } = asked.call.json(body).await?;
    let (state, call) = (asked.call.about(state), &asked.call);
    let lease = Duration::from_secs(lease_s.unwrap_or(LEASE_S));
    let until = call.backend().renew(&call.caller, &state, &tx, lease).await?;
    Ok(answer::json(&json!({ "schema": 1, "lease_until": until })))
}

pub(super) async fn content(asked: Asked) -> Result<Response> {
    let (state, tx, call) = (asked.state()?, asked.tx()?, &asked.call);
    let content = call.backend().read_in(&call.caller, &state, &tx).await?;
    answer::content(content.ok_or_else(|| terraform::no_state(&state))?).await
}

pub(super) async fn commit(asked: Asked, body: Body) -> Result<Response> {
    let (state, tx, call) = (asked.state()?, asked.tx()?, &asked.call);
    let (body, md5) = call.state_body(body)?;
    let post = Post { lock_id: None, md5, body };
    let written = call.backend().commit(&call.caller, &state, &tx, post).await?;
    call.app.metrics().committed(&written);
    Ok(answer::json(&Stored::from(written)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FinishRequest {
    state: StateId,
    tx: String,
    #[serde(default)]
    abort: bool,
}

pub(super) async fn finish(asked: Asked, body: Body) -> Result<Response> {
    let FinishRequest { state, tx, abort } = asked.call.json(body).await?;
    let (state, call) = (asked.call.about(state), &asked.call);
    let ending = if abort { Ending::Aborted } else { Ending::Committed };
    call.backend().end(&call.caller, &state, &tx, ending).await?;
    Ok(answer::json(&json!({ "schema": 1, "tx": tx, "phase": ending })))
}

pub(super) async fn recover(asked: Asked, body: Body) -> Result<Response> {
    let (state, tx, force) = (asked.state()?, asked.tx()?, asked.query.parsed("force")?.unwrap_or_default());
    let raw = asked.query.get("lock").unwrap_or_default().to_owned().into();
    let call = &asked.call;
    let (body, md5) = call.state_body(body)?;
    let recover = Recover { tx, raw, wait: None, force, body: body::checked(body, md5) };
    let written = call.backend().recover(&call.caller, &state, recover).await?;
    call.app.metrics().committed(&written);
    Ok(answer::json(&Stored::from(written)))
}

impl Asked {
    fn tx(&self) -> Result<String> {
        self.query.required("tx")
    }
}
