//! Do what the plan says, and look whether it is done.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::item::Part;
use super::read::again;
use super::{Act, Action, Call, Item, Wanted, access, calls, read, steps};
use crate::{Failed, Services};

/// So long AWS gets to do what it was asked, each time.
const PATIENCE: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_millis(500);
/// Answers that mean: not yet. A table that is being made takes no other call, two calls on one bucket can meet, and what was just made
/// is not known everywhere.
const NOT_YET: &[&str] = &[
    "ContinuousBackupsUnavailableException",
    "InsufficientS3BucketPolicyException",
    "NoSuchEntity",
    "NotFoundException",
    "OperationAborted",
    "ResourceInUseException",
    "ResourceNotFoundException",
    "TableNotFoundException",
];

/// Why it ended before all was done. What was done stays, and running it again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A request that was refused or not answered.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// Something stands in the way.
    #[error("{}: {}", .0.resource, .0.why)]
    Refused(Box<Item>),
    /// What is there is not what the plan was made for.
    #[error("{} of {} has changed since the plan was made", .0.property, .0.resource)]
    Changed(Box<Item>),
    /// AWS took the request, and yet does not show it.
    #[error("{} of {} was set, and {} s later AWS does not show it", .0.property, .0.resource, PATIENCE.as_secs())]
    NotShown(Box<Item>),
}

type Name = (String, &'static str);

/// Does what acts in `approved`, and returns the plan that is left: every item of it is kept. `done` is told each item that was done.
///
/// # Errors
///
/// Why it ended before all was done.
pub async fn apply(
    services: &Services,
    wanted: &Wanted,
    approved: &[Item],
    done: &mut (dyn FnMut(&Item) + Send),
) -> Result<Vec<Item>, ApplyError> {
    let allowed: HashSet<_> = approved.iter().filter(|item| item.acts()).map(name).collect();
    let mut asked = HashSet::new();
    let mut deadline = Instant::now() + PATIENCE;
    let mut found = Box::pin(read(services, wanted)).await?;
    // Whether nothing was asked for since all was read: the end is what AWS says at the end.
    let mut is_read = true;
    loop {
        let mut items = steps(wanted, &found);
        // Nobody is let do anything before it is seen, by what is there now, that it reaches nothing of others.
        if next(&items, &asked).is_none_or(|(_, call)| call.act.part() == Part::Access) {
            items.extend(access::apart(wanted, &found));
        }
        if let Some(item) = items.iter().find(|item| item.action == Action::Refuse) {
            return Err(ApplyError::Refused(Box::new(item.clone())));
        }
        let first = items.iter().find(|item| item.acts());
        match (first, next(&items, &asked)) {
            (None, _) if is_read => return Ok(items),
            (Some(_), Some((item, _))) if !allowed.contains(&name(item)) => {
                return Err(ApplyError::Changed(Box::new(item.clone())));
            }
            (Some(_), Some((item, call))) => {
                until_taken(services, wanted, call).await?;
                asked.insert(name(item));
                deadline = Instant::now() + PATIENCE;
                done(item);
                Box::pin(again(services, wanted, &mut found, call)).await?;
                is_read = false;
                continue;
            }
            (Some(first), None) if Instant::now() >= deadline => {
                return Err(ApplyError::NotShown(Box::new(first.clone())));
            }
            (Some(_), None) => sleep(PAUSE).await,
            (None, _) => {}
        }
        found = Box::pin(read(services, wanted)).await?;
        is_read = true;
    }
}

fn name(item: &Item) -> Name {
    (item.resource.clone(), item.property)
}

/// What is asked for next; `None` where something that was asked for has to show first.
fn next<'a>(items: &'a [Item], asked: &HashSet<Name>) -> Option<(&'a Item, &'a Call)> {
    for item in items.iter().filter(|item| item.acts()) {
        let Some(call) = &item.call else { continue };
        if !asked.contains(&name(item)) {
            return Some((item, call));
        }
        if call.act.is_gate() {
            return None;
        }
    }
    None
}

async fn until_taken(services: &Services, wanted: &Wanted, call: &Call) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match calls::send(services, wanted, call).await {
            Err(failed) if is_done(&call.act, &failed) => return Ok(()),
            Err(failed) if NOT_YET.iter().any(|code| failed.is(code)) && Instant::now() < deadline => {
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether a request that was repeated found its own work: the answer to the first one was lost.
fn is_done(act: &Act, failed: &Failed) -> bool {
    match act {
        Act::CreateBucket => failed.is("BucketAlreadyOwnedByYou"),
        Act::CreateTable { .. } => failed.is("ResourceInUseException"),
        Act::CreateAlias { .. } => failed.is("AlreadyExistsException"),
        Act::CreateTrail => failed.is("TrailAlreadyExistsException"),
        Act::CreatePolicy { .. } | Act::CreateRole { .. } => failed.is("EntityAlreadyExists"),
        // Once it is on it cannot be put again, and the error has no code of its own.
        Act::Expire => failed.is("ValidationException") && failed.words().contains("already enabled"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::item::Resource;
    use super::*;

    #[test]
    fn what_others_need_has_to_show_before_they_are_asked_for() {
        let of = Resource { kind: "bucket", name: "b" };
        let values = || (Value::Null, Value::Bool(true));
        let items = [
            of.keep("kept", Value::Null, ""),
            of.later("waits", values(), ""),
            of.put("existence", values(), "", Act::CreateBucket),
            of.put("versioning", values(), "", Act::Versioning),
        ];
        let mut asked = HashSet::new();
        let property = |asked: &HashSet<Name>, items: &[Item]| next(items, asked).map(|(item, _)| item.property);
        assert_eq!(property(&asked, &items), Some("existence"));
        asked.insert(name(&items[2]));
        assert_eq!(property(&asked, &items), None, "the bucket does not show yet");
        let shown = [of.keep("existence", Value::Null, ""), items[3].clone()];
        assert_eq!(property(&asked, &shown), Some("versioning"));
        asked.insert(name(&items[3]));
        assert_eq!(property(&asked, &shown), None, "it is asked for once");
    }
}
