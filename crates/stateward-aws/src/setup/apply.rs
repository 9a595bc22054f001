//! Do what the plan says, and look whether it is done.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Action, Call, Item, Wanted, calls, plan, read};
use crate::{Failed, Services};

/// So long AWS gets to do what it was asked.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(500);
/// Answers that mean: not yet. A table that is being made takes no other call, and two calls on one bucket can meet.
const NOT_YET: &[&str] = &[
    "ContinuousBackupsUnavailableException",
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
    let name = |item: &Item| (item.resource.clone(), item.property);
    let allowed: HashSet<_> = approved.iter().filter(|item| item.acts()).map(name).collect();
    let mut asked = HashSet::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let items = plan(wanted, &read(services, wanted).await?);
        if let Some(item) = items.iter().find(|item| item.action == Action::Refuse) {
            return Err(ApplyError::Refused(Box::new(item.clone())));
        }
        let Some(first) = items.iter().find(|item| item.acts()) else { return Ok(items) };
        let next = items.iter().find(|item| item.acts() && !asked.contains(&name(item)));
        match next.and_then(|item| item.call.as_ref().map(|call| (item, call))) {
            Some((item, _)) if !allowed.contains(&name(item)) => {
                return Err(ApplyError::Changed(Box::new(item.clone())));
            }
            Some((item, call)) => {
                until_taken(services, wanted, call).await?;
                asked.insert(name(item));
                done(item);
            }
            None if Instant::now() >= deadline => return Err(ApplyError::NotShown(Box::new(first.clone()))),
            None => sleep(PAUSE).await,
        }
    }
}

async fn until_taken(services: &Services, wanted: &Wanted, call: &Call) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match calls::send(services, wanted, call).await {
            Err(failed) if is_done(call, &failed) => return Ok(()),
            Err(failed) if NOT_YET.iter().any(|code| failed.is(code)) && Instant::now() < deadline => {
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether a request that was repeated found its own work: the answer to the first one was lost.
fn is_done(call: &Call, failed: &Failed) -> bool {
    match call {
        Call::CreateBucket => failed.is("BucketAlreadyOwnedByYou"),
        Call::CreateTable => failed.is("ResourceInUseException"),
        _ => false,
    }
}
