//! Read what is there. Nothing is written.

mod access;
mod bucket;
mod key;
mod table;
mod trail;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use futures::try_join;

use super::item::Part;
use super::{Access, Bucket, Call, Found, Key, KeysInUse, Role, Table, Trail, Use, Wanted};
use crate::{Failed, Services};

pub(super) use key::ALIAS;
pub(crate) use table::key_of as table_key;

/// Whose credentials these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// Its partition: `aws`, `aws-cn`.
    pub partition: String,
    /// Who: the ARN of a user, or of a role's session.
    pub arn: String,
}

/// Asks AWS whose credentials these are.
///
/// # Errors
///
/// A request that was refused or not answered.
pub async fn caller(services: &Services) -> Result<Caller, Failed> {
    let answer = services.sts.get_caller_identity().send().await;
    let answer = answer.map_err(|error| Failed::new("STS: GetCallerIdentity", &error))?;
    let arn = answer.arn.unwrap_or_default();
    let partition = arn.split(':').nth(1).unwrap_or("aws").to_owned();
    Ok(Caller { account: answer.account.unwrap_or_default(), partition, arn })
}

/// The policies of the keys that are in use, of those that may be read, and how many may not.
///
/// # Errors
///
/// A request that was not answered.
pub async fn key_policies(services: &Services, keys: &KeysInUse) -> Result<(Vec<String>, usize), Failed> {
    let all: BTreeSet<&String> = keys.state.iter().chain(&keys.lock_table).collect();
    let read = try_join_all(all.iter().map(|arn| key::policy(&services.kms, arn))).await?;
    let policies: Vec<String> = read.into_iter().flatten().collect();
    let unread = all.len() - policies.len();
    Ok((policies, unread))
}

/// Reads what is there of what is wanted.
///
/// # Errors
///
/// A request that was refused or not answered.
pub async fn read(services: &Services, wanted: &Wanted) -> Result<Found, Failed> {
    let (key, bucket, log_bucket, lock_table, state_table, trail, replica, replicator, access) = try_join!(
        Box::pin(key_of(services, wanted)),
        Box::pin(bucket_of(services, wanted, wanted.bucket.as_deref())),
        Box::pin(bucket_of(services, wanted, wanted.log_bucket.as_deref())),
        Box::pin(table_of(services, wanted, wanted.lock_table.as_deref(), Use::Locks)),
        Box::pin(table_of(services, wanted, wanted.state_table.as_deref(), Use::State)),
        Box::pin(trail_of(services, wanted)),
        Box::pin(replica_of(services, wanted)),
        Box::pin(replicator_of(services, wanted)),
        Box::pin(access_of(services, wanted, None)),
    )?;
    Ok(Found { key, bucket, log_bucket, lock_table, state_table, trail, replica, replicator, access })
}

/// Reads again what a request has changed.
pub(super) async fn again(services: &Services, wanted: &Wanted, found: &mut Found, call: &Call) -> Result<(), Failed> {
    let of = Some(call.of.as_str());
    if call.at_replica {
        found.replica = replica_of(services, wanted).await?;
        return Ok(());
    }
    match call.act.part() {
        Part::Key => found.key = key_of(services, wanted).await?,
        Part::Bucket if wanted.bucket.as_deref() == of => found.bucket = bucket_of(services, wanted, of).await?,
        Part::Bucket => found.log_bucket = bucket_of(services, wanted, of).await?,
        Part::Table if wanted.lock_table.as_deref() == of => {
            found.lock_table = table_of(services, wanted, of, Use::Locks).await?;
        }
        Part::Table => found.state_table = table_of(services, wanted, of, Use::State).await?,
        Part::Trail => found.trail = trail_of(services, wanted).await?,
        Part::Access if wanted.replicator().as_deref() == of => {
            found.replicator = replicator_of(services, wanted).await?;
        }
        Part::Access => found.access.extend(access_of(services, wanted, of).await?),
    }
    Ok(())
}

async fn key_of(services: &Services, wanted: &Wanted) -> Result<Option<Key>, Failed> {
    match &wanted.key {
        Some(key) => key::find(&services.kms, wanted, key).await.map(Some),
        None => Ok(None),
    }
}

async fn trail_of(services: &Services, wanted: &Wanted) -> Result<Option<Trail>, Failed> {
    match &wanted.trail {
        Some(name) => trail::find(&services.trail, name).await.map(Some),
        None => Ok(None),
    }
}

async fn replica_of(services: &Services, wanted: &Wanted) -> Result<Option<Box<Found>>, Failed> {
    let Some(there) = wanted.of_replica() else { return Ok(None) };
    let services = services.in_region(&there.region);
    let (key, bucket) = try_join!(
        Box::pin(key_of(&services, &there)),
        Box::pin(bucket_of(&services, &there, there.bucket.as_deref())),
    )?;
    Ok(Some(Box::new(Found { key, bucket, ..Found::default() })))
}

async fn replicator_of(services: &Services, wanted: &Wanted) -> Result<Option<Role>, Failed> {
    match wanted.replicator() {
        Some(name) => access::role(&services.iam, &name, "").await,
        None => Ok(None),
    }
}

/// Of all environments, or of the one whose policy and role have this name.
async fn access_of(
    services: &Services,
    wanted: &Wanted,
    only: Option<&str>,
) -> Result<BTreeMap<String, Access>, Failed> {
    let named = wanted.environments().map(|(bucket, one)| one.access(bucket));
    let asked = named.filter(|name| only.is_none_or(|only| only == name)).map(|name| async {
        let found = Box::pin(access::find(&services.iam, wanted, &name)).await?;
        Ok((name, found))
    });
    let mut all = try_join_all(asked).await?.into_iter().collect();
    if only.is_none() {
        Box::pin(access::namesakes(&services.iam, wanted, &mut all)).await?;
    }
    Ok(all)
}

async fn bucket_of(services: &Services, wanted: &Wanted, name: Option<&str>) -> Result<Option<Bucket>, Failed> {
    match name {
        Some(name) => Box::pin(bucket::find(services, wanted, name)).await.map(Some),
        None => Ok(None),
    }
}

async fn table_of(services: &Services, wanted: &Wanted, name: Option<&str>, of: Use) -> Result<Option<Table>, Failed> {
    match name {
        Some(name) => Box::pin(table::find(services, wanted, name, of)).await,
        None => Ok(None),
    }
}

/// `None` where AWS answers that there is none.
fn unless<T>(missing: &str, answer: Result<T, Failed>) -> Result<Option<T>, Failed> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failed) if failed.is(missing) => Ok(None),
        Err(failed) => Err(failed),
    }
}
