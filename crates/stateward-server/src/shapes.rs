//! The shapes of API v1, for its `OpenAPI` document. Tests hold them against the types of the core, field by field.

use serde_json::{Map, Value, json};

/// An object.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A field of an object: its name, whether it may be left out, what is in it, and what it means.
pub(crate) struct Field(pub(crate) &'static str, pub(crate) Presence, pub(crate) Holds, pub(crate) &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Always,
    Maybe,
}

/// What is in a field.
pub(crate) enum Holds {
    Text,
    /// Text that is null where there is none.
    TextOrNull,
    Time,
    Count,
    Flag,
    OneOf(&'static [&'static str]),
    Texts,
    TimeOrNull,
    /// Any JSON.
    Any,
    Object(&'static str),
    Objects(&'static str),
}

use Holds::{Any, Count, Flag, Object, Objects, OneOf, Text, TextOrNull, Texts, Time, TimeOrNull};
use Presence::{Always, Maybe};

pub(crate) static SHAPES: &[Shape] = &[
    Shape {
        name: "StateItem",
        about: "A state.",
        fields: &[
            Field("state", Always, Text, "Its name."),
            Field("workspace", Always, Text, "Its workspace."),
            Field("serial", Always, Count, "Terraform's serial."),
            Field("lineage", Always, Text, "Terraform's lineage."),
            Field("version", Always, Text, "The current version."),
            Field("size", Always, Count, "Bytes."),
            Field("resources", Always, Count, "Resource instances."),
            Field("updated", Always, Time, "When it was last written."),
            Field("updated_by", Always, Text, "By whom."),
            Field("locked", Always, Flag, "Held as a whole."),
            Field("opaque", Always, Flag, "Encrypted by OpenTofu."),
            Field("deleted", Maybe, Time, "When it was deleted."),
        ],
    },
    Shape {
        name: "VersionItem",
        about: "A version.",
        fields: &[
            Field("version", Always, Text, "Its number, such as `v7`."),
            Field("serial", Always, Count, "Terraform's serial."),
            Field("lineage", Always, Text, "Terraform's lineage."),
            Field("size", Always, Count, "Bytes."),
            Field("stored_size", Always, Count, "Bytes that it added to the store."),
            Field("sha256", Always, Text, "SHA-256 of its bytes, hexadecimal."),
            Field("md5", Always, Text, "MD5 of its bytes, hexadecimal."),
            Field("created", Always, Time, "When it was published."),
            Field("who", Always, Text, "Who wrote it."),
            Field("operation", Always, Text, "Terraform's word for the operation, or `write`, `push`, `restore`."),
            Field("lock_id", Always, TextOrNull, "The lock that it was written under."),
            Field("tx", Maybe, Text, "The transaction that wrote it, where it was one."),
            Field("fence", Maybe, Count, "The number of that lock's grant."),
            Field("tool", Always, Text, "The tool that wrote it."),
            Field("parent", Always, TextOrNull, "The version before."),
            Field("hash", Always, Text, "The hash that chains it to the version before."),
            Field("changes", Always, Object("Changes"), "Resource instances against the version before."),
            Field("resources", Always, Count, "Resource instances in it."),
            Field("token", Maybe, Text, "The token that it was written with."),
            Field("opaque", Always, Flag, "Encrypted by OpenTofu."),
            Field("head", Always, Flag, "It is the current one."),
            Field("pruned", Always, Flag, "Its bytes are no longer kept."),
            Field("imported", Maybe, Object("Imported"), "Where it came from, if it was not written here."),
        ],
    },
    Shape {
        name: "Imported",
        about: "How a version came here that was written elsewhere.",
        fields: &[
            Field("from", Always, Text, "The store, server or file that it came from."),
            Field("version", Maybe, Text, "Its number there."),
            Field("hash", Maybe, Text, "Its hash in the chain there."),
            Field("at", Always, Time, "When it was taken in."),
            Field("who", Always, Text, "Who took it in."),
            Field("token", Maybe, Text, "The token with which it was taken in."),
        ],
    },
    Shape {
        name: "Changes",
        about: "How many instances differ.",
        fields: &[
            Field("added", Always, Count, "Only the later version has them."),
            Field("changed", Always, Count, "They differ."),
            Field("removed", Always, Count, "Only the earlier version has them."),
        ],
    },
    Shape {
        name: "Change",
        about: "What happened to an instance or output between two versions.",
        fields: &[
            Field("address", Always, Text, "Its address, as Terraform writes it."),
            Field("action", Always, OneOf(&["add", "change", "remove"]), "What happened."),
            Field("attributes", Always, Objects("AttributeChange"), "The values that differ."),
        ],
    },
    Shape {
        name: "AttributeChange",
        about: "A value that differs.",
        fields: &[
            Field("path", Always, Text, "Where it stands."),
            Field("before", Always, Any, "The value before; null where there was none, or it is sensitive."),
            Field("after", Always, Any, "The value after, likewise."),
            Field("sensitive", Always, Flag, "The values are hidden."),
        ],
    },
    Shape {
        name: "TimelineItem",
        about: "A step in the history of an instance or output.",
        fields: &[
            Field("version", Always, Text, "The version in which it happened."),
            Field("serial", Always, Count, "Terraform's serial."),
            Field("created", Always, Time, "When."),
            Field("who", Always, Text, "By whom."),
            Field("action", Always, OneOf(&["add", "change", "remove"]), "What happened."),
            Field("address", Always, Text, "To which instance."),
        ],
    },
    Shape {
        name: "LockItem",
        about: "A lock that is held.",
        fields: &[
            Field("state", Always, Text, "The state."),
            Field("workspace", Always, Text, "Its workspace."),
            Field("mode", Always, OneOf(&["plan", "whole", "resources"]), "What it covers."),
            Field("id", Always, Text, "Terraform's lock ID."),
            Field("who", Always, Text, "Who holds it, as the client says."),
            Field("operation", Always, Text, "Terraform's word for what it is doing."),
            Field("created", Always, Time, "When it was granted."),
            Field("age_s", Always, Count, "Seconds since then."),
            Field("last_seen", Always, Time, "When its holder was last heard of."),
            Field("fence", Always, Count, "The grant's number."),
            Field("queue", Always, Count, "Clients waiting for it."),
            Field("addresses", Always, Texts, "The resources it covers; none means all."),
            Field(
                "lease_until",
                Maybe,
                Time,
                "Until when it holds unless it is renewed; absent where it does not end by itself.",
            ),
            Field("advice", Always, Text, "What to make of it."),
        ],
    },
    Shape {
        name: "TxItem",
        about: "A transaction.",
        fields: &[
            Field("tx", Always, Text, "Its lock ID."),
            Field("state", Always, Text, "The state."),
            Field("workspace", Always, Text, "Its workspace."),
            Field("phase", Always, OneOf(&["queued", "open", "committed", "aborted", "lapsed"]), "How far it is."),
            Field("who", Always, Text, "Whose it is, as the client says."),
            Field("operation", Always, Text, "Terraform's word for what it is doing."),
            Field("write", Always, Texts, "What it may write: addresses, and `output.NAME`."),
            Field("read", Always, Texts, "What it depends on."),
            Field("since", Always, Time, "When it first asked."),
            Field("lease_until", Always, TimeOrNull, "Until when it keeps others out unless it is renewed."),
            Field("waits_for", Always, Texts, "IDs of the transactions and locks that it waits for."),
            Field("base", Always, TextOrNull, "The version that its plan was made against."),
            Field("last", Always, TextOrNull, "The last version that it wrote."),
            Field("fence", Maybe, Count, "The grant's number."),
            Field("ended", Maybe, Time, "When it ended."),
            Field("why", Maybe, Text, "Why it ended, where there is something to say."),
        ],
    },
    Shape {
        name: "BeginRequest",
        about: "What a run is going to read and write.",
        fields: &[
            Field("state", Always, Text, "The state: `name` or `name@workspace`."),
            Field("lock", Always, Object("LockInfo"), "Terraform's lock information; its `ID` is the transaction's."),
            Field("write", Maybe, Texts, "Addresses that it may write, outputs as `output.NAME`, everything as `*`."),
            Field("read", Maybe, Texts, "Addresses that it depends on."),
            Field("plan", Always, Object("PlanBase"), "The state that its plan was made against."),
            Field("wait_s", Maybe, Count, "Seconds to wait for others; what the server's settings say unless told."),
            Field("lease_s", Maybe, Count, "Seconds that it holds unless it is renewed, 1 to 3600; 60 unless told."),
        ],
    },
    Shape {
        name: "PlanBase",
        about: "The state that a plan was made against, as `tfstate` in the plan file has it.",
        fields: &[
            Field("serial", Always, Count, "Its serial; 0 where there was no state."),
            Field("lineage", Always, Text, "Its lineage; empty where there was no state."),
        ],
    },
    Shape {
        name: "LockInfo",
        about: "Terraform's lock information. Only the `ID` has to be there.",
        fields: &[
            Field("ID", Always, Text, "Unique to this run."),
            Field("Operation", Maybe, Text, "Such as `OperationTypeApply`."),
            Field("Info", Maybe, Text, "Free text."),
            Field("Who", Maybe, Text, "`user@host`, or a CI run."),
            Field("Version", Maybe, Text, "The tool's version."),
            Field("Created", Maybe, Text, "When it was asked for, RFC 3339."),
            Field("Path", Maybe, Text, "Filled in by some backends."),
        ],
    },
    Shape {
        name: "Begun",
        about: "A transaction that holds all that it asked for.",
        fields: &[
            Field("schema", Always, Count, "The version of this shape: 1."),
            Field("fence", Always, Count, "The grant's number."),
            Field("again", Always, Flag, "It was open before: a repeated request."),
            Field("base", Always, TextOrNull, "The version that its plan was made against."),
            Field("lease_until", Always, Time, "Until when it keeps others out unless it is renewed."),
        ],
    },
    Shape {
        name: "HeartbeatRequest",
        about: "Which transaction's lease to renew.",
        fields: &[
            Field("state", Always, Text, "The state: `name` or `name@workspace`."),
            Field("tx", Always, Text, "Its ID."),
            Field("lease_s", Maybe, Count, "Seconds that it holds from now on, 1 to 3600; 60 unless told."),
        ],
    },
    Shape {
        name: "FinishRequest",
        about: "Which transaction to end.",
        fields: &[
            Field("state", Always, Text, "The state: `name` or `name@workspace`."),
            Field("tx", Always, Text, "Its ID."),
            Field("abort", Maybe, Flag, "It is given up, not done. What it wrote stays either way."),
        ],
    },
    Shape {
        name: "Finished",
        about: "The outcome of ending a transaction.",
        fields: &[
            Field("schema", Always, Count, "The version of this shape: 1."),
            Field("tx", Always, Text, "Its ID."),
            Field("phase", Always, OneOf(&["committed", "aborted"]), "How it was ended."),
        ],
    },
    Shape {
        name: "AuditItem",
        about: "A record of what was done or refused.",
        fields: &[
            Field("time", Always, Time, "When."),
            Field(
                "action",
                Always,
                OneOf(&[
                    "write",
                    "import",
                    "restore",
                    "delete",
                    "undelete",
                    "lock",
                    "unlock",
                    "force_unlock",
                    "refuse",
                    "prune",
                ]),
                "What was done.",
            ),
            Field("state", Maybe, Text, "The state: `name` or `name@workspace`."),
            Field("who", Maybe, Text, "Who, as the client says."),
            Field("token", Maybe, Text, "The token that was shown."),
            Field("source", Maybe, Text, "Where the request came from."),
            Field("lock_id", Maybe, Text, "The lock it was about."),
            Field("version", Maybe, Text, "The version that it made."),
            Field("serial", Maybe, Count, "The serial of that version."),
            Field("detail", Maybe, Text, "What was asked for, where it was refused; else details."),
        ],
    },
    Shape {
        name: "Stored",
        about: "The outcome of storing or restoring a state.",
        fields: &[
            Field("version", Always, Text, "The version that now is the current one."),
            Field("serial", Always, Count, "Its serial."),
            Field("changed", Always, Flag, "False where the current version had these very bytes already."),
            Field("renumbered", Always, Flag, "The serial is another than in the bytes that were given."),
            Field("addresses", Maybe, Texts, "Instances that were changed, for a restore of single addresses."),
        ],
    },
    Shape {
        name: "Verified",
        about: "What was checked, and what is wrong with it.",
        fields: &[
            Field("states", Always, Count, "States looked at."),
            Field("versions", Always, Count, "Versions looked at."),
            Field("bytes", Always, Count, "Bytes read and compared with their hashes."),
            Field("findings", Always, Objects("Finding"), "What is wrong."),
        ],
    },
    Shape {
        name: "Finding",
        about: "Something that is wrong.",
        fields: &[
            Field("what", Always, Text, "The state, version, record or page."),
            Field("why", Always, Text, "What does not hold."),
        ],
    },
    Shape {
        name: "Pruned",
        about: "What was let go.",
        fields: &[
            Field("versions", Always, Count, "Versions whose bytes are no longer kept."),
            Field("blobs", Always, Count, "Chunks removed."),
            Field("freed_bytes", Always, Count, "Bytes of them."),
        ],
    },
    Shape {
        name: "Deleted",
        about: "The outcome of a deletion.",
        fields: &[
            Field("schema", Always, Count, "The version of this shape: 1."),
            Field("version", Always, TextOrNull, "The version that was the current one; null where there was none."),
        ],
    },
    Shape {
        name: "Undeleted",
        about: "The outcome of bringing a state back.",
        fields: &[
            Field("schema", Always, Count, "The version of this shape: 1."),
            Field("version", Always, Text, "The version that is the current one again."),
        ],
    },
    Shape {
        name: "Released",
        about: "The outcome of breaking a lock.",
        fields: &[
            Field("schema", Always, Count, "The version of this shape: 1."),
            Field("released", Always, Texts, "IDs of the locks that were released."),
        ],
    },
    Shape {
        name: "Renewed",
        about: "The outcome of renewing a lease.",
        fields: &[
            Field("schema", Always, Count, "The version of this shape: 1."),
            Field("lease_until", Maybe, Time, "Until when the lock holds; absent where it has no lease."),
        ],
    },
    Shape {
        name: "RestoreRequest",
        about: "What to go back to.",
        fields: &[
            Field("state", Always, Text, "The state: `name` or `name@workspace`."),
            Field("version", Always, Text, "The version, such as `v7`."),
            Field("only", Maybe, Texts, "Only these addresses."),
        ],
    },
    Shape {
        name: "Adoption",
        about: "A version from elsewhere that is to be taken in.",
        fields: &[
            Field("from", Always, Text, "The store, server or file that it comes from, without secrets."),
            Field("version", Always, Text, "The number that it gets here: the one after the last, such as `v3`."),
            Field(
                "after",
                Maybe,
                Object("Fingerprint"),
                "The version before it there, which has to be the last one here.",
            ),
            Field("current", Always, Flag, "It is the current one there, and becomes so here."),
            Field("original", Always, Object("Original"), "What is known of it."),
        ],
    },
    Shape {
        name: "Fingerprint",
        about: "By what a version is known again.",
        fields: &[
            Field("serial", Always, Count, "Terraform's serial."),
            Field("sha256", Always, Text, "SHA-256 of its bytes, hexadecimal."),
            Field("created", Maybe, Time, "When it was published."),
        ],
    },
    Shape {
        name: "Original",
        about: "A version as it is in another place.",
        fields: &[
            Field("version", Maybe, Text, "Its number there."),
            Field("hash", Maybe, Text, "Its hash in the chain there."),
            Field("serial", Always, Count, "Terraform's serial."),
            Field("lineage", Always, Text, "Terraform's lineage."),
            Field("size", Always, Count, "Bytes."),
            Field("sha256", Always, Text, "SHA-256 of its bytes, hexadecimal."),
            Field("md5", Always, Text, "MD5 of its bytes, hexadecimal."),
            Field("created", Maybe, Time, "When it was published; now, where that is not known."),
            Field("who", Always, Text, "Who wrote it."),
            Field("operation", Always, Text, "Terraform's word for the operation, or ours."),
            Field("lock_id", Maybe, Text, "The lock that it was written under."),
            Field("transaction", Maybe, Flag, "That lock was a transaction's."),
            Field("fence", Maybe, Count, "The number of that lock's grant."),
            Field("tool", Always, Text, "The tool that wrote it."),
            Field("token", Maybe, Text, "The token that it was written with."),
            Field("resources", Always, Count, "Resource instances in it."),
            Field("opaque", Always, Flag, "Encrypted by OpenTofu."),
            Field("changes", Maybe, Object("Changes"), "Against the version before; counted here unless told."),
            Field("pruned", Always, Flag, "Its bytes are no longer kept there: the body of the request is empty."),
        ],
    },
    Shape {
        name: "DeleteRequest",
        about: "Which state to delete.",
        fields: &[
            Field("state", Always, Text, "The state: `name` or `name@workspace`."),
            Field("lock_id", Maybe, Text, "The lock under which it happens, where the caller holds one."),
        ],
    },
    Shape {
        name: "StateRequest",
        about: "A state.",
        fields: &[Field("state", Always, Text, "The state: `name` or `name@workspace`.")],
    },
    Shape {
        name: "ReleaseRequest",
        about: "Which lock to break.",
        fields: &[
            Field("state", Always, Text, "The state: `name` or `name@workspace`."),
            Field("id", Maybe, Text, "The lock's ID; whatever is held unless told."),
        ],
    },
    Shape {
        name: "RenewRequest",
        about: "Which lock's lease to renew.",
        fields: &[
            Field("state", Always, Text, "The state: `name` or `name@workspace`."),
            Field("id", Always, Text, "The lock's ID."),
            Field("lease_s", Always, Count, "Seconds that it holds from now on, 1 to 3600."),
        ],
    },
    Shape {
        name: "VerifyRequest",
        about: "What to check.",
        fields: &[Field("state", Maybe, Text, "The state; everything unless told, which needs `admin`.")],
    },
    Shape { name: "PruneRequest", about: "Nothing to say.", fields: &[] },
    Shape {
        name: "Refusal",
        about: "Why a request was refused.",
        fields: &[
            Field("schema", Always, Count, "The version of this shape: 1."),
            Field(
                "kind",
                Always,
                OneOf(&[
                    "invalid",
                    "unauthenticated",
                    "denied",
                    "not_found",
                    "no_place",
                    "conflict",
                    "stale",
                    "too_large",
                    "unsupported",
                    "locked",
                    "corrupt",
                    "unavailable",
                    "full",
                    "bug",
                ]),
                "What sort of failure it is.",
            ),
            Field("what", Always, Text, "What happened."),
            Field("why", Always, Text, "Why."),
            Field("next", Always, Text, "What to do next."),
            Field("holder", Maybe, Any, "The lock information of who is in the way, as it was sent."),
            Field("address", Maybe, Text, "What they are in the way of; absent where it is the whole state."),
        ],
    },
];

impl Shape {
    /// Its JSON Schema.
    pub(crate) fn schema(&self) -> Value {
        let properties: Map<_, _> = self.fields.iter().map(|field| (field.0.to_owned(), field.schema())).collect();
        let required: Vec<_> = self.fields.iter().filter(|field| field.1 == Always).map(|field| field.0).collect();
        json!({ "type": "object", "description": self.about, "properties": properties, "required": required })
    }
}

impl Field {
    fn schema(&self) -> Value {
        let mut schema = match self.2 {
            Text => json!({ "type": "string" }),
            TextOrNull => json!({ "type": ["string", "null"] }),
            Time => json!({ "type": "string", "format": "date-time" }),
            TimeOrNull => json!({ "type": ["string", "null"], "format": "date-time" }),
            Count => json!({ "type": "integer", "minimum": 0 }),
            Flag => json!({ "type": "boolean" }),
            OneOf(values) => json!({ "type": "string", "enum": values }),
            Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Any => json!({}),
            Object(name) => reference(name),
            Objects(name) => json!({ "type": "array", "items": reference(name) }),
        };
        schema["description"] = self.3.into();
        schema
    }
}

/// A list of these, page by page.
pub(crate) fn list_of(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "schema": { "type": "integer", "minimum": 0, "description": "The version of the shape: 1." },
            "items": { "type": "array", "items": reference(name) },
            "next": { "type": "string", "description": "Where to go on; left out at the end." },
        },
        "required": ["schema", "items"],
    })
}

pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[cfg(test)]
mod tests;
