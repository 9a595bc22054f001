//! The shapes against the types of the core.
use std::collections::BTreeSet;

use serde::Serialize;
use stateward_core::audit::{AuditItem, Deed};
use stateward_core::view::{
    Action, Change, Changes, Finding, Imported, LockItem, Phase, Pruned, StateItem, Stored, TimelineItem, TxItem,
    Verified, VersionItem,
};
use stateward_core::{Adoption, Ending, Fingerprint, Original, Timestamp, Version};

use super::*;

fn keys(value: &impl Serialize) -> BTreeSet<String> {
    serde_json::to_value(value).unwrap().as_object().unwrap().keys().cloned().collect()
}

/// A full value has all fields of its shape and no other, a sparse one those that are always there.
#[track_caller]
fn has_shape(name: &str, full: &impl Serialize, sparse: &impl Serialize) {
    let shape = SHAPES.iter().find(|shape| shape.name == name).unwrap();
    let fields = |presence: &[Presence]| -> BTreeSet<String> {
        shape.fields.iter().filter(|field| presence.contains(&field.1)).map(|field| field.0.to_owned()).collect()
    };
    assert_eq!(keys(full), fields(&[Always, Maybe]), "{name}");
    assert_eq!(keys(sparse), fields(&[Always]), "{name}");
}

fn state_item(deleted: Option<Timestamp>) -> StateItem {
    StateItem {
        state: "a".parse().unwrap(),
        workspace: "default".parse().unwrap(),
        serial: 1,
        lineage: String::new(),
        version: Version(1),
        size: 1,
        resources: 1,
        updated: Timestamp::UNIX_EPOCH,
        updated_by: String::new(),
        locked: false,
        opaque: false,
        deleted,
    }
}

fn imported(full: bool) -> Imported {
    let text = || full.then(String::new);
    Imported {
        from: String::new(),
        version: full.then_some(Version(1)),
        hash: text(),
        at: Timestamp::UNIX_EPOCH,
        who: String::new(),
        token: text(),
    }
}

fn version_item(full: bool) -> VersionItem {
    VersionItem {
        version: Version(1),
        serial: 1,
        lineage: String::new(),
        size: 1,
        stored_size: 1,
        sha256: String::new(),
        md5: String::new(),
        created: Timestamp::UNIX_EPOCH,
        who: String::new(),
        operation: String::new(),
        lock_id: None,
        tx: full.then(String::new),
        fence: full.then_some(1),
        tool: String::new(),
        parent: None,
        hash: String::new(),
        changes: Changes::default(),
        resources: 1,
        token: full.then(String::new),
        opaque: false,
        head: true,
        pruned: false,
        imported: full.then(|| imported(true)),
    }
}

fn audit_item(full: bool) -> AuditItem {
    let text = |text: &str| full.then(|| text.to_owned());
    AuditItem {
        time: Timestamp::UNIX_EPOCH,
        action: Deed::Write,
        state: full.then(|| "a".parse().unwrap()),
        who: text("who").unwrap_or_default(),
        token: text("token"),
        source: text("source"),
        lock_id: text("lock"),
        version: text("v1"),
        serial: full.then_some(1),
        detail: text("detail").unwrap_or_default(),
    }
}

#[test]
fn lists_hold_what_the_core_gives() {
    has_shape("StateItem", &state_item(Some(Timestamp::UNIX_EPOCH)), &state_item(None));
    has_shape("VersionItem", &version_item(true), &version_item(false));
    has_shape("Imported", &imported(true), &imported(false));
    has_shape("AuditItem", &audit_item(true), &audit_item(false));
    let attribute = |text: &str| {
        let change: Change =
            serde_json::from_str(&format!(r#"{{"address":"a","action":"add","attributes":[{text}]}}"#)).unwrap();
        change.attributes.into_iter().next().unwrap()
    };
    let full = attribute(r#"{"path":"p","before":1,"after":2,"sensitive":false}"#);
    has_shape("AttributeChange", &full, &attribute(r#"{"path":"p","sensitive":false}"#));
    let change = Change { address: String::new(), action: Action::Add, attributes: Vec::new() };
    has_shape("Change", &change, &change);
    has_shape("Changes", &Changes::default(), &Changes::default());
    let (version, created) = (Version(1), Timestamp::UNIX_EPOCH);
    let step =
        TimelineItem { version, serial: 1, created, who: String::new(), action: Action::Add, address: String::new() };
    has_shape("TimelineItem", &step, &step);
}

#[test]
fn locks_and_outcomes_hold_what_the_core_gives() {
    let lock = |lease_until| LockItem {
        state: "a".parse().unwrap(),
        workspace: "default".parse().unwrap(),
        mode: String::new(),
        id: String::new(),
        who: String::new(),
        operation: String::new(),
        created: Timestamp::UNIX_EPOCH,
        age_s: 1,
        last_seen: Timestamp::UNIX_EPOCH,
        fence: 1,
        queue: 1,
        addresses: Vec::new(),
        lease_until,
        advice: String::new(),
    };
    has_shape("LockItem", &lock(Some(Timestamp::UNIX_EPOCH)), &lock(None));
    let stored = |addresses| Stored { version: Version(1), serial: 1, changed: true, renumbered: false, addresses };
    has_shape("Stored", &stored(vec![String::new()]), &stored(Vec::new()));
    let verified = Verified { states: 1, versions: 1, bytes: 1, findings: Vec::new() };
    has_shape("Verified", &verified, &verified);
    let finding = Finding { what: String::new(), why: String::new() };
    has_shape("Finding", &finding, &finding);
    let pruned = Pruned { versions: 1, blobs: 1, freed_bytes: 1 };
    has_shape("Pruned", &pruned, &pruned);
}

#[test]
fn what_is_taken_in_has_what_the_core_reads() {
    let fingerprint =
        |full: bool| Fingerprint { serial: 1, sha256: String::new(), created: full.then_some(Timestamp::UNIX_EPOCH) };
    has_shape("Fingerprint", &fingerprint(true), &fingerprint(false));
    let original = |full: bool| {
        let all = Original { lock_id: Some(String::new()), ..version_item(true).into() };
        match full {
            true => all,
            false => Original {
                version: None,
                hash: None,
                created: None,
                lock_id: None,
                transaction: false,
                fence: None,
                token: None,
                changes: None,
                ..all
            },
        }
    };
    has_shape("Original", &original(true), &original(false));
    let adoption = |full: bool| Adoption {
        from: String::new(),
        version: Version(1),
        after: full.then(|| fingerprint(true)),
        current: true,
        original: original(full),
    };
    has_shape("Adoption", &adoption(true), &adoption(false));
}

#[test]
fn transactions_hold_what_the_core_gives() {
    let tx = |full: bool| TxItem {
        tx: String::new(),
        state: "a".parse().unwrap(),
        workspace: "default".parse().unwrap(),
        phase: Phase::Open,
        who: String::new(),
        operation: String::new(),
        write: Vec::new(),
        read: Vec::new(),
        since: Timestamp::UNIX_EPOCH,
        lease_until: None,
        waits_for: Vec::new(),
        base: None,
        last: None,
        fence: full.then_some(1),
        ended: full.then_some(Timestamp::UNIX_EPOCH),
        why: if full { "why".to_owned() } else { String::new() },
    };
    has_shape("TxItem", &tx(true), &tx(false));
    for phase in [Phase::Queued, Phase::Open, Phase::Committed, Phase::Aborted, Phase::Lapsed] {
        is_one_of("TxItem", "phase", &phase);
    }
    for ending in [Ending::Committed, Ending::Aborted] {
        is_one_of("Finished", "phase", &ending);
    }
}

#[track_caller]
fn is_one_of(name: &str, field: &str, value: &impl Serialize) {
    let shape = SHAPES.iter().find(|shape| shape.name == name).unwrap();
    let field = shape.fields.iter().find(|found| found.0 == field).unwrap();
    let OneOf(values) = field.2 else { panic!("{name}.{} is not one of a set", field.0) };
    let value = serde_json::to_value(value).unwrap();
    assert!(values.iter().any(|known| value == *known), "{name}.{}: {value}", field.0);
}

#[test]
fn sets_of_words_are_whole() {
    use Deed::{Delete, ForceUnlock, Import, Lock, Prune, Refuse, Restore, Undelete, Unlock, Write};
    for action in [Action::Add, Action::Change, Action::Remove] {
        is_one_of("Change", "action", &action);
        is_one_of("TimelineItem", "action", &action);
    }
    for deed in [Write, Import, Restore, Delete, Undelete, Lock, Unlock, ForceUnlock, Refuse, Prune] {
        is_one_of("AuditItem", "action", &deed);
        // A new deed does not compile until it is listed here, too.
        match deed {
            Write | Import | Restore | Delete | Undelete | Lock | Unlock | ForceUnlock | Refuse | Prune => {}
        }
    }
}
