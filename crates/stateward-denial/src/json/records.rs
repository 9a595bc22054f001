//! What a record tells.

use serde_json::Value;

use super::{member, string};
use crate::codes;
use crate::message::{self, Message};
use crate::principal::{Principal, PrincipalType};
use crate::problem::{Denial, Effect, Event, Kind, Layer, LockInfo, Problem};
use crate::scan::{self, Frame};
use crate::services;
use crate::squeeze::Squeezed;

/// Records within records.
const DEPTH_MAX: usize = 24;

/// Whether a text can have records: a quick look for the names of their members.
pub(super) fn may_have_some(text: &str) -> bool {
    let has = |name: &str| memchr::memmem::find(text.as_bytes(), name.as_bytes()).is_some();
    // Any of them may have been broken by the end of a line.
    ["eventSource", "eventsource", "eventName", "eventname", "errorMessage", "errormessage", "explicitDeny"]
        .iter()
        .any(|name| has(name))
        || has("matchedStatements")
        || has("Operation")
}

/// What all records in a value tell; `None` if it has none.
pub(super) fn read(value: &Value) -> Option<Vec<Problem>> {
    let mut problems = Vec::new();
    walk(value, &mut problems, 0).then_some(problems)
}

/// Whether there was a record.
fn walk(value: &Value, problems: &mut Vec<Problem>, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match value {
        Value::Object(members) => {
            if let Some(problem) = event(value).or_else(|| decoded(value)).or_else(|| lock(value)) {
                problems.extend(problem);
                return true;
            }
            members.values().filter(|value| walk(value, problems, depth + 1)).count() > 0
        }
        Value::Array(elements) => elements.iter().filter(|value| walk(value, problems, depth + 1)).count() > 0,
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str::<Value>(text).is_ok_and(|value| walk(&value, problems, depth + 4))
        }
        _ => false,
    }
}

/// An event of `CloudTrail`: a problem if it failed.
#[expect(clippy::option_option, reason = "a record that tells of no problem is still a record")]
fn event(value: &Value) -> Option<Option<Problem>> {
    let source = string(value, "eventSource")?;
    let operation = string(value, "eventName")?;
    // What `lookup-events` prints has the names of an event, but not what happened: that is in a string.
    if member(value, "CloudTrailEvent").is_some() {
        return None;
    }
    let Some(code) = string(value, "errorCode") else { return Some(None) };
    let text = member(value, "errorMessage").and_then(Value::as_str).unwrap_or_default();
    let vpc_endpoint = string(value, "vpcEndpointId");
    let mut message = scan::message(text);
    let identity = member(value, "userIdentity");
    let parsed;
    // Athena and CloudTrail Lake have it as a string.
    let identity = match identity {
        Some(Value::String(text)) => {
            parsed = serde_json::from_str::<Value>(text).ok();
            parsed.as_ref()
        }
        other => other,
    };
    let (kind, _) = codes::meaning(Some(&code), None);
    if kind == Kind::AccessDenied {
        let denial = &mut message.get_or_insert_default().denial;
        if denial.principal.kind == PrincipalType::Unknown && denial.principal.arn.is_none() {
            denial.principal = identity.map(principal).unwrap_or_default();
        }
        denial.resource = denial.resource.take().or_else(|| resource(value));
        denial.prefix = if denial.is_listing() { listed(value) } else { None };
        if code == codes::BY_ENDPOINT {
            denial.layer = Layer::VpcEndpoint;
        }
    }
    let frame = Frame {
        meaning: message.is_none().then(|| scan::words(text)).flatten(),
        encoded: encoded(text),
        code: Some(code),
        service: services::prefix(&source),
        operation: Some(operation),
        request_id: string(value, "requestID"),
        subject: if kind == Kind::NotFound { resource(value) } else { None },
        message,
        ..Frame::default()
    };
    let mut problem = frame.into_problem(vpc_endpoint.is_none());
    problem.event = Some(Event {
        id: string(value, "eventID"),
        time: string(value, "eventTime"),
        region: string(value, "awsRegion"),
        source_ip: string(value, "sourceIPAddress"),
        vpc_endpoint,
    });
    Some(Some(problem))
}

/// Whether there is an encoded message, and it, if it is whole.
#[expect(
    clippy::option_option,
    reason = "CloudTrail cuts what it records: that there was a message is known all the same"
)]
fn encoded(text: &str) -> Option<Option<String>> {
    let squeezed = Squeezed::new(text, &[]);
    let found = squeezed.find(0..squeezed.len(), message::ENCODED)?;
    let (encoded, end) = message::read_encoded(&squeezed, found.start)?;
    Some(encoded.filter(|_| squeezed.byte(end) != b'.'))
}

/// Who the event says it was.
fn principal(identity: &Value) -> Principal {
    let kind = string(identity, "type").unwrap_or_default();
    let account = string(identity, "accountId");
    if account.as_deref() == Some("ANONYMOUS_PRINCIPAL") {
        return Principal { kind: PrincipalType::Anonymous, ..Principal::default() };
    }
    if let Some(arn) = string(identity, "arn") {
        let mut principal = Principal::from_arn(&arn);
        if principal.kind == PrincipalType::Unknown && kind == "Root" {
            principal.kind = PrincipalType::Root;
        }
        return principal;
    }
    match kind.as_str() {
        "AWSService" => {
            Principal { kind: PrincipalType::Service, name: string(identity, "invokedBy"), ..Principal::default() }
        }
        _ => {
            let name = string(identity, "userName").or_else(|| string(identity, "principalId"));
            let mut principal = name.map(|name| Principal::parse(&name)).unwrap_or_default();
            principal.account = account.filter(|account| crate::principal::is_account(account));
            principal
        }
    }
}

/// What the names begin with that the event's request was to list; the name of the one object that it was about.
fn listed(event: &Value) -> Option<String> {
    let parameters = member(event, "requestParameters")?;
    let parsed: Value;
    let parameters = match parameters {
        Value::String(text) => {
            parsed = serde_json::from_str(text).ok()?;
            &parsed
        }
        parameters => parameters,
    };
    string(parameters, "prefix").or_else(|| string(parameters, "key")).filter(|names| !names.is_empty())
}

/// The first resource that the event names.
fn resource(event: &Value) -> Option<String> {
    member(event, "resources")?.as_array()?.iter().find_map(|resource| string(resource, "ARN"))
}

/// What `sts:DecodeAuthorizationMessage` answers.
#[expect(clippy::option_option, reason = "a record that tells of no problem is still a record")]
fn decoded(value: &Value) -> Option<Option<Problem>> {
    let explicit = member(value, "explicitDeny")?.as_bool()?;
    let context = member(value, "context")?;
    if member(value, "allowed").and_then(Value::as_bool) == Some(true) {
        return Some(None);
    }
    let who = member(context, "principal");
    let arn = who.and_then(|who| string(who, "arn"));
    let principal = arn.or_else(|| string(who?, "id")).map(|who| Principal::parse(&who)).unwrap_or_default();
    let message = Message {
        denial: Denial {
            principal,
            action: string(context, "action"),
            resource: string(context, "resource"),
            layer: Layer::Unknown,
            effect: if explicit { Effect::Explicit } else { Effect::Implicit },
            ..Denial::default()
        },
        ..Message::default()
    };
    Some(Some(Frame { message: Some(message), ..Frame::default() }.into_problem(false)))
}

/// Terraform's information about a lock: it is held, or was. Whether it still is, the text does not say.
#[expect(clippy::option_option, reason = "the same shape as the other records")]
fn lock(value: &Value) -> Option<Option<Problem>> {
    let members = value.as_object()?;
    if !["ID", "Operation", "Who", "Created"].iter().all(|name| members.contains_key(*name)) {
        return None;
    }
    let info = LockInfo {
        id: string(value, "ID"),
        path: string(value, "Path"),
        operation: string(value, "Operation"),
        who: string(value, "Who"),
        version: string(value, "Version"),
        created: string(value, "Created"),
        info: string(value, "Info"),
    };
    Some(info.id.is_some().then(|| Problem { lock: Some(info), certain: false, ..Problem::new(Kind::LockHeld) }))
}
