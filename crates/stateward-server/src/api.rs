//! API v1. One table says what there is: the router and the `OpenAPI` document are both made from it, and queries are read by it.

mod handlers;
mod transactions;

use axum::body::Body;
use axum::http::Method;
use axum::response::Response;
use futures::future::BoxFuture;
use stateward_core::Result;

use crate::answer::{self, Answer, Refusal};
use crate::call::Call;
use crate::openapi;
use crate::query::Query;

/// Something that API v1 can do.
pub(crate) struct Route {
    pub(crate) method: Verb,
    pub(crate) path: &'static str,
    /// Its name in the document, for generated clients.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) query: &'static [Parameter],
    pub(crate) takes: Takes,
    pub(crate) gives: Gives,
    /// Statuses that it may answer besides the success and those that any route may answer.
    pub(crate) refusals: &'static [u16],
    handler: fn(Asked, Body) -> BoxFuture<'static, Result<Response>>,
}

/// The methods of API v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Put,
    Post,
}

/// A query parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// A type of JSON Schema, or a shape that is written in JSON.
    pub(crate) kind: &'static str,
    pub(crate) required: bool,
    pub(crate) about: &'static str,
}

/// What is in the request's body: a shape by its name.
pub(crate) enum Takes {
    Nothing,
    State,
    Json(&'static str),
}

/// What is in the answer's body.
pub(crate) enum Gives {
    State,
    Document,
    Json(&'static str),
    List(&'static str),
}

/// A request whose query is read.
struct Asked {
    call: Call,
    query: Query,
}

impl Verb {
    pub(crate) fn as_http(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Put => Method::PUT,
            Self::Post => Method::POST,
        }
    }
}

const STATE: Parameter =
    Parameter { name: "state", kind: "string", required: true, about: "The state: `name` or `name@workspace`." };
const OF_STATE: Parameter =
    Parameter { required: false, about: "Only of this state: `name` or `name@workspace`.", ..STATE };
const LIMIT: Parameter = Parameter {
    name: "limit",
    kind: "integer",
    required: false,
    about: "At most so many items; never more than 1000.",
};
const AFTER: Parameter = Parameter {
    name: "after",
    kind: "string",
    required: false,
    about: "Go on after this place: what `next` of the list before says.",
};
const BEFORE: Parameter = Parameter {
    name: "before",
    kind: "string",
    required: false,
    about: "Only versions before this one: what `next` of the list before says.",
};
const RECORDED: Parameter = Parameter {
    name: "recorded",
    kind: "boolean",
    required: false,
    about: "Only what is recorded here, without a look at what others wrote to a place that is shared with them.",
};
const PREFIX: Parameter =
    Parameter { name: "prefix", kind: "string", required: false, about: "Only states whose name starts with this." };
const DELETED: Parameter =
    Parameter { name: "deleted", kind: "boolean", required: false, about: "Deleted states too." };
const VERSION: Parameter = Parameter {
    name: "version",
    kind: "string",
    required: false,
    about: "This version, such as `v7`; the current one unless told.",
};
const FORCE: Parameter = Parameter {
    name: "force",
    kind: "boolean",
    required: false,
    about: "Accept another lineage. The serial has to be higher all the same.",
};
const ADOPTION: Parameter =
    Parameter { name: "adoption", kind: "Adoption", required: true, about: "What is known of the version, in JSON." };
const FROM: Parameter = Parameter {
    name: "from",
    kind: "string",
    required: false,
    about: "The earlier version; the one before `to` unless told.",
};
const TO: Parameter =
    Parameter { name: "to", kind: "string", required: false, about: "The later version; the current one unless told." };
const ADDRESS: Parameter = Parameter {
    name: "address",
    kind: "string",
    required: true,
    about: "An instance, resource, module or output, as Terraform writes it.",
};

const TX: Parameter = Parameter {
    name: "tx",
    kind: "string",
    required: true,
    about: "The transaction: the `ID` of its lock information.",
};
const OVER: Parameter = Parameter {
    name: "ended",
    kind: "boolean",
    required: false,
    about: "Those that ended in the last seven days too.",
};
const LOCK: Parameter = Parameter {
    name: "lock",
    kind: "LockInfo",
    required: true,
    about: "Lock information with an `ID` of its own, in JSON.",
};
const RECOVER_FORCE: Parameter = Parameter {
    name: "force",
    kind: "boolean",
    required: false,
    about: "Write over what others have changed since of what the transaction held.",
};

/// All of API v1.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        method: Verb::Get,
        path: "/api/v1/states",
        name: "listStates",
        about: "The states that the caller may know of, in order of their names.",
        query: &[PREFIX, AFTER, LIMIT, DELETED],
        takes: Takes::Nothing,
        gives: Gives::List("StateItem"),
        refusals: &[],
        handler: |asked, _| Box::pin(handlers::list_states(asked)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/content",
        name: "getContent",
        about: "A version's bytes, exactly as they were stored.",
        query: &[STATE, VERSION],
        takes: Takes::Nothing,
        gives: Gives::State,
        refusals: &[404],
        handler: |asked, _| Box::pin(handlers::get_content(asked)),
    },
    Route {
        method: Verb::Put,
        path: "/api/v1/content",
        name: "putContent",
        about: "Stores a whole state. Refused while somebody holds it, or where it does not follow the current version.",
        query: &[STATE, FORCE],
        takes: Takes::State,
        gives: Gives::Json("Stored"),
        refusals: &[409, 413, 423, 507],
        handler: |asked, body| Box::pin(handlers::put_content(asked, body)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/history",
        name: "getHistory",
        about: "A state's versions, newest first.",
        query: &[STATE, BEFORE, LIMIT, RECORDED],
        takes: Takes::Nothing,
        gives: Gives::List("VersionItem"),
        refusals: &[404],
        handler: |asked, _| Box::pin(handlers::get_history(asked)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/diff",
        name: "getDiff",
        about: "What changed between two versions; sensitive values are left out.",
        query: &[STATE, FROM, TO],
        takes: Takes::Nothing,
        gives: Gives::List("Change"),
        refusals: &[404, 422],
        handler: |asked, _| Box::pin(handlers::get_diff(asked)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/timeline",
        name: "getTimeline",
        about: "When an instance, resource, module or output came, changed and went; newest first.",
        query: &[STATE, ADDRESS],
        takes: Takes::Nothing,
        gives: Gives::List("TimelineItem"),
        refusals: &[404],
        handler: |asked, _| Box::pin(handlers::get_timeline(asked)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/restore",
        name: "restore",
        about: "Makes an old version, or only some addresses of it, the current one again, under a new serial.",
        query: &[],
        takes: Takes::Json("RestoreRequest"),
        gives: Gives::Json("Stored"),
        refusals: &[404, 409, 413, 422, 423, 507],
        handler: |asked, body| Box::pin(handlers::restore(asked, body)),
    },
    Route {
        method: Verb::Put,
        path: "/api/v1/import",
        name: "importVersion",
        about: "Takes in a version from elsewhere behind those that were before it there; the body is its bytes. Refused while somebody holds the state.",
        query: &[STATE, ADOPTION],
        takes: Takes::State,
        gives: Gives::Json("Stored"),
        refusals: &[409, 413, 423, 507],
        handler: |asked, body| Box::pin(handlers::import_version(asked, body)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/delete",
        name: "delete",
        about: "Deletes a state; its history stays.",
        query: &[],
        takes: Takes::Json("DeleteRequest"),
        gives: Gives::Json("Deleted"),
        refusals: &[409, 413, 423, 507],
        handler: |asked, body| Box::pin(handlers::delete(asked, body)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/undelete",
        name: "undelete",
        about: "Brings a deleted state back as it was.",
        query: &[],
        takes: Takes::Json("StateRequest"),
        gives: Gives::Json("Undeleted"),
        refusals: &[404, 409, 413, 423, 507],
        handler: |asked, body| Box::pin(handlers::undelete(asked, body)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/locks",
        name: "listLocks",
        about: "The locks that are held.",
        query: &[OF_STATE],
        takes: Takes::Nothing,
        gives: Gives::List("LockItem"),
        refusals: &[],
        handler: |asked, _| Box::pin(handlers::list_locks(asked)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/locks/release",
        name: "releaseLock",
        about: "Breaks a lock: the one with this ID, or whatever is held.",
        query: &[],
        takes: Takes::Json("ReleaseRequest"),
        gives: Gives::Json("Released"),
        refusals: &[404, 409, 413, 507],
        handler: |asked, body| Box::pin(handlers::release_lock(asked, body)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/locks/renew",
        name: "renewLock",
        about: "Renews a lock's lease: it was taken by a LOCK with `lease`.",
        query: &[],
        takes: Takes::Json("RenewRequest"),
        gives: Gives::Json("Renewed"),
        refusals: &[409, 413, 507],
        handler: |asked, body| Box::pin(handlers::renew_lock(asked, body)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/tx",
        name: "listTransactions",
        about: "The transactions that are open or wait.",
        query: &[OF_STATE, OVER],
        takes: Takes::Nothing,
        gives: Gives::List("TxItem"),
        refusals: &[],
        handler: |asked, _| Box::pin(transactions::list(asked)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/tx/begin",
        name: "beginTransaction",
        about: "Takes all that a run is going to read and write, waiting for others where asked to. 409 with `stale` where some of it has changed since the plan was made: then nothing is held. Repeating it is safe.",
        query: &[],
        takes: Takes::Json("BeginRequest"),
        gives: Gives::Json("Begun"),
        refusals: &[409, 413, 422, 423, 507],
        handler: |asked, body| Box::pin(transactions::begin(asked, body)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/tx/heartbeat",
        name: "renewTransaction",
        about: "Renews a transaction's lease. 409 where it is over: what is written in it from now on is refused.",
        query: &[],
        takes: Takes::Json("HeartbeatRequest"),
        gives: Gives::Json("Renewed"),
        refusals: &[409, 413, 507],
        handler: |asked, body| Box::pin(transactions::heartbeat(asked, body)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/tx/content",
        name: "getTransactionContent",
        about: "The state as the transaction sees it: as its plan did, until it writes; then as of its last write. 404 where there was none.",
        query: &[STATE, TX],
        takes: Takes::Nothing,
        gives: Gives::State,
        refusals: &[404, 409],
        handler: |asked, _| Box::pin(transactions::content(asked)),
    },
    Route {
        method: Verb::Put,
        path: "/api/v1/tx/content",
        name: "commit",
        about: "Stores what the run writes, merged into the current state: what it holds as it was sent, all else as others have left it. Several times in one transaction if need be. Repeating it is safe.",
        query: &[STATE, TX],
        takes: Takes::State,
        gives: Gives::Json("Stored"),
        refusals: &[409, 413, 422, 507],
        handler: |asked, body| Box::pin(transactions::commit(asked, body)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/tx/finish",
        name: "finishTransaction",
        about: "Ends a transaction: what it held is free, what it wrote stays. Ending another token's needs `force_unlock`. Repeating it is safe.",
        query: &[],
        takes: Takes::Json("FinishRequest"),
        gives: Gives::Json("Finished"),
        refusals: &[404, 409, 413, 507],
        handler: |asked, body| Box::pin(transactions::finish(asked, body)),
    },
    Route {
        method: Verb::Put,
        path: "/api/v1/tx/recover",
        name: "recover",
        about: "Brings in what a transaction that was given up or lapsed was to store; the body is that state. 409 where others have changed since what it held.",
        query: &[STATE, TX, LOCK, RECOVER_FORCE],
        takes: Takes::State,
        gives: Gives::Json("Stored"),
        refusals: &[404, 409, 413, 422, 423, 507],
        handler: |asked, body| Box::pin(transactions::recover(asked, body)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/verify",
        name: "verify",
        about: "Checks one state, or the whole store. Damage is in the answer, not in its status.",
        query: &[],
        takes: Takes::Json("VerifyRequest"),
        gives: Gives::Json("Verified"),
        refusals: &[404, 413],
        handler: |asked, body| Box::pin(handlers::verify(asked, body)),
    },
    Route {
        method: Verb::Post,
        path: "/api/v1/prune",
        name: "prune",
        about: "Applies the retention rule, and removes what nobody refers to any more.",
        query: &[],
        takes: Takes::Json("PruneRequest"),
        gives: Gives::Json("Pruned"),
        refusals: &[413, 507],
        handler: |asked, body| Box::pin(handlers::prune(asked, body)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/audit",
        name: "listAudit",
        about: "The audit log, newest first.",
        query: &[OF_STATE, AFTER, LIMIT],
        takes: Takes::Nothing,
        gives: Gives::List("AuditItem"),
        refusals: &[],
        handler: |asked, _| Box::pin(handlers::list_audit(asked)),
    },
    Route {
        method: Verb::Get,
        path: "/api/v1/openapi.json",
        name: "getOpenapi",
        about: "This document.",
        query: &[],
        takes: Takes::Nothing,
        gives: Gives::Document,
        refusals: &[],
        handler: |_, _| Box::pin(async { Ok(answer::json(&openapi::document())) }),
    },
];

/// Answers a request for a route.
pub(crate) async fn answer(route: &'static Route, call: Call, body: Body) -> Answer {
    let known: Vec<&str> = route.query.iter().map(|parameter| parameter.name).collect();
    let query = Query::parse(call.uri.query(), &known)?;
    (route.handler)(Asked { call, query }, body).await.map_err(Refusal::Told)
}

/// The methods that a path has, for `Allow`.
pub(crate) fn methods_of(path: &str) -> &'static str {
    let has = |method| ROUTES.iter().any(|route| route.path == path && route.method == method);
    match (has(Verb::Get), has(Verb::Put)) {
        (true, true) => "GET, HEAD, PUT",
        (true, false) => "GET, HEAD",
        (false, true) => "PUT",
        (false, false) => "POST",
    }
}
