//! The locks that stand on the state: whose they are, whether they belong together, and whether their run is gone.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use stateward_store_aws::Bucket;
use stateward_store_s3::{LockKind, StandingLock};

use super::finding::blame;
use super::probes::Outcome;
use super::state::{MANY, time};
use super::table::NO_TABLE;
use super::{Finding, Patient, Reached};
use crate::Failed;
use crate::recovery::{Verdict, Weighed, taken_at, weigh};

const CHECK: &str = "orphan-lock";
/// A lock that is older is told of.
const OLD: i64 = 60 * 60;
/// The two locks of one run are taken one after the other.
const BETWEEN: i64 = 2 * 60;
/// No lock of Terraform's is larger.
const LOCK_BYTES_MAX: i64 = 1 << 20;

impl Patient {
    pub(super) async fn orphan_lock(&self, bucket: Reached, table: Reached) -> Vec<Finding> {
        let Some(object) = self.target.object() else { return vec![Finding::untested(CHECK, MANY)] };
        let file = self.bucket.as_ref().filter(|_| self.target.use_lockfile);
        let name = self.target.lock_table.as_deref();
        let hindered = file.and_then(|_| bucket.hinders(CHECK, ""));
        if let Some(hindered) = hindered.or_else(|| name.and_then(|_| table.hinders(CHECK, NO_TABLE))) {
            return hindered;
        }
        let kinds: Vec<LockKind> =
            file.map(|_| LockKind::File).into_iter().chain(name.map(|_| LockKind::Item)).collect();
        if kinds.is_empty() {
            return vec![Finding::untested(CHECK, "no lock is used here")];
        }
        let mut locks = Vec::new();
        for standing in [self.standing_file(file).await, self.standing_item(name, &object).await] {
            match standing {
                Ok(lock) => locks.extend(lock),
                Err(failed) => return blame(CHECK, &failed),
            }
        }
        if locks.is_empty() {
            return vec![Finding::ok(CHECK, "the state is not locked")];
        }
        vec![self.held(&locks, &kinds, self.written(&object).await)]
    }

    async fn standing_file(&self, bucket: Option<&Bucket>) -> Outcome<Option<StandingLock>> {
        let (Some(bucket), Some(name)) = (bucket, self.target.lock_file()) else { return Ok(None) };
        let answer = match bucket.reading(&name).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failed = Failed::new("S3: GetObject", &error);
                return if failed.is("NoSuchKey") { Ok(None) } else { Err(failed) };
            }
        };
        let written = answer.last_modified.and_then(|at| u64::try_from(at.secs()).ok()).map(Duration::from_secs);
        let info = match answer.content_length {
            Some(length) if length > LOCK_BYTES_MAX => Bytes::new(),
            _ => answer.body.collect().await.map_err(|error| Failed::cut("S3: GetObject", &error))?.into_bytes(),
        };
        let mut lock = StandingLock::new(LockKind::File, info);
        lock.written = written;
        Ok(Some(lock))
    }

    async fn standing_item(&self, table: Option<&str>, object: &str) -> Outcome<Option<StandingLock>> {
        let Some(table) = table else { return Ok(None) };
        let info = self.attribute(table, &self.target.lock_id(object), "Info").await?;
        Ok(info.map(|info| StandingLock::new(LockKind::Item, info.into())))
    }

    /// When the state was written last, as far as that can be seen.
    async fn written(&self, object: &str) -> Option<Timestamp> {
        let bucket = self.bucket.as_ref()?;
        let answer = bucket.reading(object).range("bytes=0-0").send().await.ok()?;
        time(answer.last_modified?)
    }

    fn held(&self, locks: &[StandingLock], kinds: &[LockKind], written: Option<Timestamp>) -> Finding {
        let now = (self.options.now)();
        let weighed = weigh(locks, kinds, written, &self.options.machine, now);
        let age = locks.iter().filter_map(taken).min().map(|taken| now.as_second() - taken.as_second());
        let told = match age {
            Some(age) if age >= 2 * 3600 => format!("{} h", age / 3600),
            Some(age) => format!("{} min", age.max(0) / 60),
            None => "an unknown time".to_owned(),
        };
        let (why, fix) = (why(locks, &weighed), self.with_unsaid(self.release(locks, &weighed)));
        let is_fresh = age.is_some_and(|age| age <= BETWEEN);
        let of_two = matches!(locks, [one, other] if one.id != other.id);
        let found = if of_two && !is_fresh {
            Finding::fail(CHECK, "the lock file and the item in the lock table are of two runs", why, fix)
        } else if locks.len() < kinds.len() && !is_fresh {
            let kind = locks.first().map_or("lock", |lock| word(lock.kind));
            Finding::fail(CHECK, format!("only the {kind} is held, for {told}, and not the other lock"), why, fix)
        } else if locks.iter().any(|lock| lock.id.is_none()) {
            Finding::warn(CHECK, format!("a lock stands, for {told}, that does not say whose it is"), why, fix)
        } else if weighed.verdict == Verdict::Gone {
            Finding::warn(CHECK, format!("locked for {told} by a run that is gone"), why, fix)
        } else if age.is_some_and(|age| age <= OLD) {
            let who = holders(locks).join(" and ");
            return Finding::ok(CHECK, format!("locked by {who} for {told}; a run may be under way"));
        } else {
            Finding::warn(CHECK, format!("locked for {told}"), why, fix)
        };
        found.entry("lock/orphan-lock")
    }

    /// The command that looks at the locks, and removes them.
    fn release(&self, locks: &[StandingLock], weighed: &Weighed) -> String {
        let inspect = format!("stateward lock inspect {}", self.place());
        if weighed.verdict == Verdict::Gone {
            return format!("its run is gone: {inspect} --release");
        }
        let ids: Vec<Option<&str>> = locks.iter().map(|lock| lock.id.as_deref()).collect();
        let which = match ids.as_slice() {
            [Some(id)] => format!("--id {id}"),
            [Some(id), Some(other)] if id == other => format!("--id {id}"),
            _ => "--force".to_owned(),
        };
        let whom = match holders(locks).as_slice() {
            [] => "find out whose run it was, and whether it is alive".to_owned(),
            holders => format!("ask {} whether the run is alive", holders.join(" and ")),
        };
        format!("{whom}; if it is over: {inspect} --release {which}")
    }
}

fn word(kind: LockKind) -> &'static str {
    match kind {
        LockKind::File => "lock file",
        LockKind::Item => "lock item",
    }
}

/// When a lock was taken: as it says itself, or S3.
fn taken(lock: &StandingLock) -> Option<Timestamp> {
    let written = || Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from(lock.written?).ok()?).ok();
    taken_at(&lock.lock_info()).or_else(written)
}

/// Who holds them, each once.
fn holders(locks: &[StandingLock]) -> Vec<String> {
    let mut holders: Vec<String> = locks.iter().map(|lock| lock.lock_info().who).collect();
    holders.retain(|who| !who.is_empty());
    holders.dedup();
    holders
}

/// What the locks say, and what is known beside that.
fn why(locks: &[StandingLock], weighed: &Weighed) -> String {
    let mut why = match locks {
        [one, other] if one.info == other.info && one.id.is_some() => {
            vec![described("the lock file and the item", one)]
        }
        locks => locks.iter().map(|lock| described(&format!("the {}", word(lock.kind)), lock)).collect(),
    };
    why.extend(weighed.evidence.iter().map(|evidence| evidence.what.clone()));
    why.join("; ")
}

fn described(what: &str, lock: &StandingLock) -> String {
    let info = lock.lock_info();
    let since = taken(lock).map(|taken| format!(" since {taken}")).unwrap_or_default();
    let Some(id) = &lock.id else {
        return format!("{what} stands there{since}, and is not what Terraform writes: nobody can tell whose it is");
    };
    let who = if info.who.is_empty() { "somebody".to_owned() } else { info.who };
    let operation = if info.operation.is_empty() { String::new() } else { format!(" for {}", info.operation) };
    format!("{who} holds {what}{since}{operation} ({id})")
}
