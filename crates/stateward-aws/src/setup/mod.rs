//! Make what Terraform's state needs on AWS, or bring what is there up to it: a bucket, tables, a key, a record of calls,
//! policies and roles.
//!
//! What is there is read into [`Found`]; [`plan`] compares it with what is [`Wanted`] and asks nothing. Nothing that exists is weakened
//! or deleted: a setting that is stricter than needed, or somebody else's, stays.

mod access;
mod apply;
mod bucket;
mod calls;
mod emit;
mod environment;
mod found;
mod headers;
mod item;
mod key;
mod lifecycle;
mod policy;
mod read;
mod replica;
mod rule;
mod table;
mod tags;
mod trail;
mod wanted;

pub use access::{IsolationFile, isolation_files};
pub use apply::{ApplyError, apply};
pub use emit::{EmitError, Format, emit};
pub use environment::{Environment, EnvironmentError, Trusted};
pub use found::{
    Access, Bucket, Encryption, Found, Grant, Key, KeySettings, Logging, Maker, ManagedPolicy, Namesake, ObjectLock,
    Role, Settings, Table, Trail, TrailSettings, UsedKey,
};
pub use headers::{Header, Headers};
pub use item::{Act, Action, Call, Item};
pub use key::KeysInUse;
pub use lifecycle::Rule;
pub use policy::statements;
pub use read::{Caller, caller, key_policies, read};
pub use wanted::{Replica, TAG, Use, Wanted, WantedKey};

pub(crate) use read::table_key;
pub(crate) use table::TTL;

use item::Resource;
use key::KeyIs;

/// What is to be done, in the order in which it is done, and whether environments will be kept apart.
pub fn plan(wanted: &Wanted, found: &Found) -> Vec<Item> {
    steps(wanted, found).into_iter().chain(access::apart(wanted, found)).collect()
}

/// What is to be done alone: the proof beside it takes thousands of decisions.
fn steps(wanted: &Wanted, found: &Found) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(key) = &wanted.key {
        items.extend(key::plan(wanted, key, found.key.as_ref().unwrap_or(&Key::Missing)));
    }
    let key = KeyIs::of(wanted, found);
    let missing = Bucket::Missing;
    if let Some(name) = &wanted.log_bucket {
        let trail = wanted.trail.as_deref().filter(|_| found.trail.as_ref().is_none_or(|trail| trail.writes_to(name)));
        items.extend(bucket::plan_logs(wanted, name, trail, found.log_bucket.as_ref().unwrap_or(&missing)));
    }
    if let Some(name) = &wanted.bucket {
        items.extend(bucket::plan(wanted, name, key, found.bucket.as_ref().unwrap_or(&missing)));
    }
    for (of, name) in wanted.tables() {
        items.extend(table::plan(wanted, of, name, key, found.table(of)));
    }
    if let Some(name) = &wanted.trail {
        items.extend(trail::plan(wanted, name, found.trail.as_ref().unwrap_or(&Trail::Missing)));
    }
    items.extend(replica::plan(wanted, found));
    items.extend(access::plan(wanted, found));
    items
}
