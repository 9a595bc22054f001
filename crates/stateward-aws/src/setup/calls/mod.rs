//! The requests that do the items.

mod access;
mod bucket;
mod key;
mod table;
mod trail;

pub(super) use bucket::{encryption_rule, location, replication};

use super::item::Part;
use super::{Call, Wanted};
use crate::{Failed, Services};

/// Sends the one request.
pub(super) async fn send(services: &Services, wanted: &Wanted, call: &Call) -> Result<(), Failed> {
    match wanted.of_replica().filter(|_| call.at_replica) {
        Some(there) => send_there(&services.in_region(&there.region), &there, call).await,
        None => send_there(services, wanted, call).await,
    }
}

async fn send_there(services: &Services, wanted: &Wanted, call: &Call) -> Result<(), Failed> {
    let of = call.of.as_str();
    match call.act.part() {
        Part::Key => key::send(&services.kms, wanted, of, &call.act).await,
        Part::Table => table::send(&services.dynamodb, wanted, of, &call.act).await,
        Part::Trail => trail::send(&services.trail, wanted, of, &call.act).await,
        Part::Access => access::send(&services.iam, wanted, of, &call.act).await,
        Part::Bucket => bucket::send(&services.s3, wanted, of, &call.act).await,
    }
}
