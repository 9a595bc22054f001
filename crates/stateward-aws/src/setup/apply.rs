//! Do what the plan says, and look whether it is done.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::bucket::LOG_DELIVERY;
use super::item::{EXISTENCE, Part};
use super::read::again;
use super::{Act, Action, Call, Found, Item, Key, Wanted, access, calls, read, steps};
use crate::{Failed, Services};

/// So long AWS gets to do what it was asked, each time.
const PATIENCE: Duration = Duration::from_mins(5);
/// So long what IAM says to be there already gets to show: it may be our own, where an answer was lost.
const SHOWING: Duration = Duration::from_secs(15);
/// So long what was made gets to show all that it was made with.
const SETTLING: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(500);

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
    /// What was made does not have what the request that made it said.
    #[error(
        "{} of {} was said in the request that made it, and {} s later it is not there: this service leaves it out",
        .0.property, .0.resource, SETTLING.as_secs()
    )]
    LeftOut(Box<Item>),
    /// AWS took the request, and yet does not show it.
    #[error("{} of {} was set, and {} s later AWS does not show it", .0.property, .0.resource, PATIENCE.as_secs())]
    NotShown(Box<Item>),
    /// Two set-ups made a key for one name at the same time.
    #[error(
        "{name} is the name of {named} by now, and the key that was made for it, {left}, has none: another set-up was at work. Nothing is \
         encrypted with that key, and it costs until it is deleted: `aws kms schedule-key-deletion --key-id {left}`"
    )]
    SecondKey {
        /// The alias.
        name: String,
        /// The ARN of the key that has it.
        named: String,
        /// That of the one that has not.
        left: String,
    },
    /// IAM has something else of this name, and does not show what.
    #[error(
        "{} cannot be made: IAM has one whose name is the same but for capital letters, or that has another path. \
         With `iam:ListPolicies` and `iam:ListRoles` it is told which; name the environment or the bucket otherwise, or take that one away",
        .0.resource
    )]
    Taken(Box<Item>),
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
    let (mut asked, mut taken) = (HashSet::new(), HashSet::new());
    let mut nameless = None;
    let mut latest = Instant::now();
    let mut found = Box::pin(read(services, wanted)).await?;
    // Whether nothing was asked for since all was read: the end is what AWS says at the end.
    let mut is_read = true;
    loop {
        if let Some(error) = second_key(nameless.as_ref(), &found) {
            return Err(error);
        }
        let mut items = steps(wanted, &found);
        let is_over = is_read && !items.iter().any(Item::acts) && lost(approved, &items, &asked).is_none();
        if is_over || next(&items, &asked).is_some_and(|ahead| opens(ahead, &allowed)) {
            items.extend(access::apart(wanted, &found));
        }
        if let Some(item) = items.iter().find(|item| item.action == Action::Refuse) {
            return Err(ApplyError::Refused(Box::new(item.clone())));
        }
        let first = items.iter().find(|item| item.acts());
        match (first, next(&items, &asked)) {
            (None, _) if is_read => match lost(approved, &items, &asked) {
                None => return Ok(items),
                Some(item) if latest.elapsed() >= SETTLING => return Err(ApplyError::LeftOut(Box::new(item.clone()))),
                Some(_) => sleep(PAUSE).await,
            },
            (Some(_), Some((item, _))) if !allowed.contains(&name(item)) => {
                let item = Box::new(item.clone());
                match asked.contains(&existence(&item)) {
                    false => return Err(ApplyError::Changed(item)),
                    true if latest.elapsed() >= SETTLING => return Err(ApplyError::LeftOut(item)),
                    true => sleep(PAUSE).await,
                }
            }
            (Some(_), Some((item, call))) => {
                let outcome = until_taken(services, wanted, call, not_yet(item, &call.act, &asked)).await?;
                asked.insert(name(item));
                match (outcome, &call.act) {
                    (Outcome::WasThere, Act::CreateAlias { .. }) => nameless = Some(call.clone()),
                    (Outcome::WasThere, act) if act.part() == Part::Access => _ = taken.insert(name(item)),
                    _ => {}
                }
                latest = Instant::now();
                done(item);
                Box::pin(again(services, wanted, &mut found, call)).await?;
                is_read = false;
                continue;
            }
            (Some(first), None) if latest.elapsed() >= SHOWING && taken.contains(&name(first)) => {
                return Err(ApplyError::Taken(Box::new(first.clone())));
            }
            (Some(first), None) if latest.elapsed() >= PATIENCE => {
                return Err(ApplyError::NotShown(Box::new(first.clone())));
            }
            (Some(_), None) => sleep(PAUSE).await,
            (None, _) => {}
        }
        found = Box::pin(read(services, wanted)).await?;
        is_read = true;
    }
}

/// That the key which was to get a name did not get it. Where an answer was lost it has it.
fn second_key(nameless: Option<&Call>, found: &Found) -> Option<ApplyError> {
    let (Some(Call { of, act: Act::CreateAlias { alias }, .. }), Some(Key::There(key))) = (nameless, &found.key) else {
        return None;
    };
    let error = || ApplyError::SecondKey { name: alias.clone(), named: key.arn.clone(), left: of.clone() };
    (key.arn != *of).then(error)
}

/// Whether it is about to let somebody do something. Nobody is, before it is seen by what is there now that it reaches nothing of others.
fn opens((item, call): (&Item, &Call), allowed: &HashSet<Name>) -> bool {
    call.act.part() == Part::Access && allowed.contains(&name(item))
}

fn name(item: &Item) -> Name {
    (item.resource.clone(), item.property)
}

fn existence(item: &Item) -> Name {
    (item.resource.clone(), EXISTENCE)
}

/// What was to be done to something that was made in this run, and is not asked for any more, for it does not show what it was made with:
/// by its tags a bucket is known to be ours.
fn lost<'a>(approved: &'a [Item], items: &[Item], asked: &HashSet<Name>) -> Option<&'a Item> {
    let is_kept = |name: &Name| items.iter().any(|item| self::name(item) == *name && item.current.is_null());
    approved.iter().filter(|item| item.acts() && asked.contains(&existence(item))).find(|item| {
        let name = name(item);
        !asked.contains(&name) && is_kept(&name)
    })
}

/// Answers that mean: not yet. A table that is being made takes no other call, two calls on one bucket can meet, and what was made in this
/// run is not known everywhere at once: of what was there before, the same answers mean that it is gone.
fn not_yet(item: &Item, act: &Act, asked: &HashSet<Name>) -> &'static [&'static str] {
    match (act.part(), asked.contains(&existence(item))) {
        (Part::Key, true) => &["NotFoundException"],
        // That versions are on is not known everywhere at once, nor is a new role.
        (Part::Bucket, _) if matches!(act, Act::Replicate { .. }) && !asked.is_empty() => {
            &["OperationAborted", "InvalidRequest"]
        }
        (Part::Bucket, _) => &["OperationAborted"],
        (Part::Table, true) => &[
            "ContinuousBackupsUnavailableException",
            "ResourceInUseException",
            "ResourceNotFoundException",
            "TableNotFoundException",
        ],
        (Part::Table, false) => &["ContinuousBackupsUnavailableException", "ResourceInUseException"],
        (Part::Trail, _) if asked.iter().any(|(_, property)| *property == LOG_DELIVERY) => {
            &["InsufficientS3BucketPolicyException"]
        }
        // A role is given a policy that was made just before.
        (Part::Access, is_new) if is_new || asked.iter().any(|(of, _)| of.starts_with("policy ")) => &["NoSuchEntity"],
        (Part::Key | Part::Trail | Part::Access, _) => &[],
    }
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

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It was done before: by a request of ours whose answer was lost, or by somebody else.
    WasThere,
}

async fn until_taken(services: &Services, wanted: &Wanted, call: &Call, not_yet: &[&str]) -> Result<Outcome, Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match calls::send(services, wanted, call).await {
            Ok(()) => return Ok(Outcome::Done),
            Err(failed) if is_done(&call.act, &failed) => return Ok(Outcome::WasThere),
            Err(failed) if not_yet.iter().any(|code| failed.is(code)) && Instant::now() < deadline => {
                sleep(PAUSE).await;
            }
            Err(failed) => return Err(failed),
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

    use super::super::Use;
    use super::super::item::Resource;
    use super::*;

    #[test]
    fn only_what_can_pass_is_waited_for() {
        let table = Resource { kind: "table", name: "t" };
        let values = || (Value::Bool(false), Value::Bool(true));
        let item = table.put("recovery", values(), "", Act::PointInTimeRecovery);
        let waits = |asked: &[Item], code| {
            let asked = asked.iter().map(name).collect();
            not_yet(&item, &Act::PointInTimeRecovery, &asked).contains(&code)
        };
        let made = [table.put("existence", values(), "", Act::CreateTable { of: Use::Locks, key: None })];
        let other = [Resource { kind: "table", name: "u" }.put("existence", values(), "", Act::CreateBucket)];
        assert!(waits(&made, "TableNotFoundException"));
        assert!(!waits(&other, "TableNotFoundException"), "it was there, and is deleted");
        assert!(waits(&[], "ContinuousBackupsUnavailableException"));
        assert!(!waits(&made, "OperationAborted"), "that is S3's word");
        let alias = Act::CreateAlias { alias: "alias/a".to_owned() };
        let named = Resource { kind: "key", name: "alias/a" }.put("alias", values(), "", alias.clone());
        assert!(not_yet(&named, &alias, &HashSet::new()).is_empty());
    }

    /// The proof takes thousands of decisions: it is done before what lets somebody do something, and not while something else is waited for.
    #[test]
    fn it_is_proven_before_somebody_is_let_do_something() {
        let values = || (Value::Null, Value::Bool(true));
        let bucket = Resource { kind: "bucket", name: "b" }.put("existence", values(), "", Act::CreateBucket);
        let role = Resource { kind: "role", name: "r" }.put("policy", values(), "", Act::AttachPolicy);
        let items = [bucket, role];
        let all: HashSet<Name> = items.iter().map(name).collect();
        let proven = |items: &[Item], asked: &HashSet<Name>, allowed: &HashSet<Name>| {
            next(items, asked).is_some_and(|ahead| opens(ahead, allowed))
        };
        let mut asked = HashSet::new();
        assert!(!proven(&items, &asked, &all), "a bucket lets nobody in");
        asked.insert(name(&items[0]));
        assert!(!proven(&items, &asked, &all), "it has to show first");
        let shown = &items[1..];
        assert!(proven(shown, &asked, &all));
        assert!(!proven(shown, &asked, &HashSet::new()), "nobody asked for it, and it is not done");
        asked.insert(name(&shown[0]));
        assert!(!proven(shown, &asked, &all), "it is done");
    }

    /// A server that leaves the tags of the request out that makes a bucket: its life cycle is then an owner's choice.
    #[test]
    fn what_was_left_out_is_missed() {
        let of = Resource { kind: "bucket", name: "b" };
        let lifecycle = of.put("lifecycle", (Value::Null, Value::Bool(true)), "", Act::Versioning);
        let approved = [of.put("existence", (Value::Null, Value::Bool(true)), "", Act::CreateBucket), lifecycle];
        let kept = [of.keep("lifecycle", Value::Null, "")];
        let mut asked = HashSet::from([name(&approved[0])]);
        assert_eq!(lost(&approved, &kept, &asked).map(|item| item.property), Some("lifecycle"));
        assert_eq!(lost(&approved, &[of.keep("lifecycle", Value::Bool(true), "")], &asked), None, "another did it");
        assert_eq!(lost(&approved, &kept, &HashSet::new()), None, "it was there before");
        asked.insert(name(&approved[1]));
        assert_eq!(lost(&approved, &kept, &asked), None);
    }

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
