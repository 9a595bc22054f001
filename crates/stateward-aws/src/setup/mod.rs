//! Make a bucket and a lock table for Terraform's state, or bring those that are there up to what state needs.
//!
//! What is there is read into [`Found`]; [`plan`] compares it with what is [`Wanted`] and asks nothing. Nothing that exists is weakened
//! or deleted: a setting that is stricter than needed, or somebody else's, stays.

mod apply;
mod bucket;
mod calls;
mod found;
mod policy;
mod read;
mod table;

use serde::Serialize;
use serde_json::Value;

pub use apply::{ApplyError, apply};
pub use found::{Bucket, Found, Settings, Table};
pub use read::{Caller, caller, read};

/// The tag that the bucket and the table get in the call that creates them. By it a set-up that was broken off is told from a bucket
/// that somebody else made.
pub const TAG: (&str, &str) = ("stateward:made-by", "setup");

/// What shall be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The bucket's name.
    pub bucket: String,
    /// The lock table's name; `None` where locks are files in the bucket.
    pub lock_table: Option<String>,
    /// The Region of both.
    pub region: String,
    /// The account that shall own both.
    pub account: String,
    /// The account's partition: `aws`, `aws-cn`.
    pub partition: String,
}

/// One setting: what it is, what it shall be, and what is done about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// `bucket NAME` or `table NAME`.
    pub resource: String,
    /// The setting: `existence`, `versioning`.
    pub property: &'static str,
    /// What is there; null where nothing is.
    pub current: Value,
    /// What shall be there.
    pub wanted: Value,
    /// What is done about it.
    pub action: Action,
    /// Why, in a sentence.
    pub why: String,
    /// The one request that does it.
    #[serde(skip)]
    pub call: Option<Call>,
}

/// What is done about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made.
    Create,
    /// It is there and gets changed.
    Change,
    /// It stays as it is.
    Keep,
    /// It stands in the way: nothing at all is done.
    Refuse,
}

/// A request that does one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Make the bucket, with its tag and without access lists.
    CreateBucket,
    /// Do without access lists.
    OwnerEnforced,
    /// Keep versions.
    Versioning,
    /// Encrypt what comes without a header.
    Encryption,
    /// Refuse public access, all four ways.
    BlockPublicAccess,
    /// Put this policy: what was there, and a statement more.
    Policy(String),
    /// Make the table, with its tag.
    CreateTable,
    /// Keep what is needed to go back to any second.
    PointInTimeRecovery,
    /// Refuse to delete the table.
    DeletionProtection,
}

/// What is to be done, in the order in which it is done.
pub fn plan(wanted: &Wanted, found: &Found) -> Vec<Item> {
    let mut items = bucket::plan(wanted, &found.bucket);
    if let Some(name) = &wanted.lock_table {
        items.extend(table::plan(name, found.table.as_ref()));
    }
    items
}

impl Item {
    fn keep(resource: &str, property: &'static str, current: Value, why: &str) -> Self {
        let wanted = current.clone();
        Self {
            resource: resource.to_owned(),
            property,
            current,
            wanted,
            action: Action::Keep,
            why: why.to_owned(),
            call: None,
        }
    }

    fn refuse(resource: &str, property: &'static str, current: Value, wanted: Value, why: String) -> Self {
        Self { resource: resource.to_owned(), property, current, wanted, action: Action::Refuse, why, call: None }
    }

    /// Made where nothing is there, else changed.
    fn put(resource: &str, property: &'static str, current: Value, wanted: Value, why: &str, call: Call) -> Self {
        let action = if current.is_null() { Action::Create } else { Action::Change };
        Self { resource: resource.to_owned(), property, current, wanted, action, why: why.to_owned(), call: Some(call) }
    }

    /// Whether something is done about it.
    pub fn acts(&self) -> bool {
        self.call.is_some()
    }
}
