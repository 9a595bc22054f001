//! The `OpenAPI` document of API v1, made from the [table of routes](crate::api::ROUTES) and the [shapes](crate::shapes::SHAPES).

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::{Gives, Parameter, ROUTES, Route, Takes};
use crate::shapes::{SHAPES, list_of, reference};

/// Statuses that any route may answer.
const REFUSALS: [u16; 5] = [400, 401, 403, 500, 503];

/// The document. `docs/reference/openapi.json` is a copy of it.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.as_http().as_str().to_ascii_lowercase()] = operation(route);
    }
    let shapes: Map<_, _> = SHAPES.iter().map(|shape| (shape.name.to_owned(), shape.schema())).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "stateward API v1",
            "version": "1",
            "description": "History, differences, restore, locks and maintenance of Terraform state. Terraform's own protocol is described in http.md.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:7017" }],
        "security": [{ "bearer": [] }, { "basic": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": shapes,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token." },
                "basic": { "type": "http", "scheme": "basic", "description": "A token as the password, with any user name." },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "parameters": route.query.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(route),
    });
    match route.takes {
        Takes::Nothing => {}
        Takes::State => {
            let state =
                json!({ "application/json": { "schema": { "description": "A state file, as Terraform writes it." } } });
            operation["requestBody"] = json!({ "required": true, "content": state });
        }
        Takes::Json(name) => {
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": reference(name) } } });
        }
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let mut described = json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.about,
    });
    match SHAPES.iter().any(|shape| shape.name == parameter.kind) {
        true => described["content"] = json!({ "application/json": { "schema": reference(parameter.kind) } }),
        false => described["schema"] = json!({ "type": parameter.kind }),
    }
    described
}

fn responses(route: &Route) -> Value {
    let schema = match route.gives {
        Gives::State => json!({ "description": "The state's bytes." }),
        Gives::Document => json!({ "type": "object" }),
        Gives::Json(name) => reference(name),
        Gives::List(name) => list_of(name),
    };
    let mut responses =
        json!({ "200": { "description": "Done.", "content": { "application/json": { "schema": schema } } } });
    let mut refusals: Vec<u16> = REFUSALS.iter().chain(route.refusals).copied().collect();
    refusals.sort_unstable();
    for status in refusals {
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        responses[status.to_string()] = json!({
            "description": format!("{reason}."),
            "content": { "application/json": { "schema": reference("Refusal") } },
        });
    }
    responses
}
