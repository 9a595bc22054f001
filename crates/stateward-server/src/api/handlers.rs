//! What each route of API v1 does: read the request, call the core, render its answer.

use std::num::NonZeroUsize;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use stateward_core::view::Stored;
use stateward_core::{Adoption, Result, StateId, StatesQuery, Version};

use super::Asked;
use crate::{answer, body, terraform};

/// Items of a list that come in one answer; `next` says where to go on.
const PAGE: usize = 1000;

impl Asked {
    pub(super) fn state(&self) -> Result<StateId> {
        Ok(self.call.about(self.query.required("state")?))
    }

    pub(super) fn of_state(&self) -> Result<Option<StateId>> {
        Ok(self.query.parsed("state")?.map(|state| self.call.about(state)))
    }

    fn limit(&self) -> Result<Option<usize>> {
        let limit: Option<NonZeroUsize> = self.query.parsed("limit")?;
        Ok(Some(limit.map_or(PAGE, NonZeroUsize::get).min(PAGE)))
    }
}

pub(super) async fn list_states(asked: Asked) -> Result<Response> {
    let query = StatesQuery {
        prefix: asked.query.get("prefix").unwrap_or_default().to_owned(),
        after: asked.query.get("after").map(str::to_owned),
        limit: asked.limit()?,
        deleted: asked.query.parsed("deleted")?.unwrap_or_default(),
    };
    Ok(answer::json(&asked.call.backend().states(&asked.call.caller, &query).await?))
}

pub(super) async fn get_content(asked: Asked) -> Result<Response> {
    let (state, version, call) = (asked.state()?, asked.query.parsed("version")?, &asked.call);
    let content = match version {
        Some(version) => call.backend().read_version(&call.caller, &state, version).await?,
        None => call.backend().read(&call.caller, &state).await?.ok_or_else(|| terraform::no_state(&state))?,
    };
    answer::content(content).await
}

pub(super) async fn put_content(asked: Asked, body: Body) -> Result<Response> {
    let (state, force) = (asked.state()?, asked.query.parsed("force")?.unwrap_or_default());
    let call = &asked.call;
    let (body, md5) = call.state_body(body)?;
    let written = call.backend().push(&call.caller, &state, body::checked(body, md5), force).await?;
    call.app.metrics().versions.inc_by(written.changed.into());
    Ok(answer::json(&Stored::from(written)))
}

pub(super) async fn import_version(asked: Asked, body: Body) -> Result<Response> {
    let (state, adoption, call) = (asked.state()?, asked.query.json::<Adoption>("adoption")?, &asked.call);
    let body = match adoption.original.pruned {
        true => None,
        false => {
            let (body, md5) = call.state_body(body)?;
            Some(body::checked(body, md5))
        }
    };
    let written = call.backend().adopt(&call.caller, &state, adoption, body).await?;
    call.app.metrics().versions.inc_by(written.changed.into());
    Ok(answer::json(&Stored::from(written)))
}

pub(super) async fn get_history(asked: Asked) -> Result<Response> {
    let (state, before, limit, call) = (asked.state()?, asked.query.parsed("before")?, asked.limit()?, &asked.call);
    let list = match asked.query.parsed("recorded")? {
        Some(true) => call.backend().recorded(&call.caller, &state, before, limit).await?,
        _ => call.backend().history(&call.caller, &state, before, limit).await?,
    };
    Ok(answer::json(&list))
}

pub(super) async fn get_diff(asked: Asked) -> Result<Response> {
    let (state, from, to, call) = (asked.state()?, asked.query.parsed("from")?, asked.query.parsed("to")?, &asked.call);
    Ok(answer::json(&call.backend().diff(&call.caller, &state, from, to).await?))
}

pub(super) async fn get_timeline(asked: Asked) -> Result<Response> {
    let (state, address, call) = (asked.state()?, asked.query.required::<String>("address")?, &asked.call);
    Ok(answer::json(&call.backend().timeline(&call.caller, &state, &address).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreRequest {
    state: StateId,
    version: Version,
    #[serde(default)]
    only: Vec<String>,
}

pub(super) async fn restore(asked: Asked, body: Body) -> Result<Response> {
    let RestoreRequest { state, version, only } = asked.call.json(body).await?;
    let (state, call) = (asked.call.about(state), &asked.call);
    let stored = call.backend().restore(&call.caller, &state, version, &only).await?;
    call.app.metrics().versions.inc_by(stored.changed.into());
    Ok(answer::json(&stored))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateRequest {
    state: StateId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteRequest {
    state: StateId,
    #[serde(default)]
    lock_id: Option<String>,
}

pub(super) async fn delete(asked: Asked, body: Body) -> Result<Response> {
    let DeleteRequest { state, lock_id } = asked.call.json(body).await?;
    let (state, call) = (asked.call.about(state), &asked.call);
    let version = call.backend().delete(&call.caller, &state, lock_id.as_deref()).await?;
    Ok(answer::json(&json!({ "schema": 1, "version": version })))
}

pub(super) async fn undelete(asked: Asked, body: Body) -> Result<Response> {
    let StateRequest { state } = asked.call.json(body).await?;
    let (state, call) = (asked.call.about(state), &asked.call);
    let version = call.backend().undelete(&call.caller, &state).await?;
    Ok(answer::json(&json!({ "schema": 1, "version": version })))
}

pub(super) async fn list_locks(asked: Asked) -> Result<Response> {
    let (state, call) = (asked.of_state()?, &asked.call);
    Ok(answer::json(&call.backend().locks(&call.caller, state.as_ref()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseRequest {
    state: StateId,
    #[serde(default)]
    id: Option<String>,
}

pub(super) async fn release_lock(asked: Asked, body: Body) -> Result<Response> {
    let ReleaseRequest { state, id } = asked.call.json(body).await?;
    let (state, call) = (asked.call.about(state), &asked.call);
    let unlocked = call.backend().release(&call.caller, &state, id.as_deref()).await?;
    Ok(answer::json(&json!({ "schema": 1, "released": unlocked.released })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenewRequest {
    state: StateId,
    id: String,
    lease_s: u64,
}

pub(super) async fn renew_lock(asked: Asked, body: Body) -> Result<Response> {
    let RenewRequest { state, id, lease_s } = asked.call.json(body).await?;
    let (state, call) = (asked.call.about(state), &asked.call);
    let until = call.backend().renew(&call.caller, &state, &id, Duration::from_secs(lease_s)).await?;
    Ok(answer::json(&match until {
        Some(until) => json!({ "schema": 1, "lease_until": until }),
        None => json!({ "schema": 1 }),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyRequest {
    #[serde(default)]
    state: Option<StateId>,
}

pub(super) async fn verify(asked: Asked, body: Body) -> Result<Response> {
    let VerifyRequest { state } = asked.call.json(body).await?;
    let (state, call) = (state.map(|state| asked.call.about(state)), &asked.call);
    Ok(answer::json(&call.backend().verify(&call.caller, state.as_ref(), |_| {}).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PruneRequest {}

pub(super) async fn prune(asked: Asked, body: Body) -> Result<Response> {
    let PruneRequest {} = asked.call.json(body).await?;
    let call = &asked.call;
    Ok(answer::json(&call.backend().prune(&call.caller).await?))
}

pub(super) async fn list_audit(asked: Asked) -> Result<Response> {
    let (state, limit, call) = (asked.of_state()?, asked.limit()?, &asked.call);
    Ok(answer::json(&call.backend().audit(&call.caller, state.as_ref(), asked.query.get("after"), limit).await?))
}
