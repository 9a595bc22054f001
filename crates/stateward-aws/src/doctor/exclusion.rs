//! Whether two clients can both hold a lock here.

use futures::future;
use stateward_store_aws::{Bucket, Fault};

use super::finding::{blame, in_words};
use super::probes::{NEVER, Outcome, Probe, Row};
use super::store_table::is_cancelled;
use super::{Finding, Patient, Places, Reached};
use crate::Failed;

/// How many clients race for a lock.
const RACERS: usize = 20;
const CONDITION: &str = "conditional-write";
/// Where a policy may allow the state's own name alone.
const NOT_BESIDE: &str = "that was a name of the doctor's own, as if of another workspace, which a policy of `stateward policy generate --workspaces` allows";
const EXCLUSION: &str = "mutual-exclusion";

/// What trying a condition showed.
enum Tried {
    Holds,
    /// A write went through that should not have.
    Ignored(&'static str),
    Failed(Box<Failed>),
}

impl Patient {
    /// Both checks: where conditions are not kept, a race shows nothing more.
    pub(super) async fn exclusion(&self, places: Places) -> Vec<Finding> {
        let untested = |why: &str| vec![Finding::untested(CONDITION, why), Finding::untested(EXCLUSION, why)];
        if self.options.read_only {
            return untested("it takes writing, and `--read-only` was asked for");
        }
        let is_store = self.target.object().is_none();
        if !is_store && !self.target.use_lockfile && self.target.lock_table.is_none() {
            let mut found = untested("no lock is used here");
            found[1] = Finding::fail(
                EXCLUSION,
                "nothing locks this state",
                "the backend has neither `use_lockfile` nor `dynamodb_table`: two applies at once overwrite each other",
                "set `use_lockfile = true` in the backend block (Terraform and OpenTofu from 1.10 on)",
            );
            return found;
        }
        let in_bucket = async {
            match &self.bucket {
                Some(store) if self.target.use_lockfile || is_store => match places.bucket.hinders(CONDITION, "") {
                    Some(hindered) => hindered,
                    None => self.in_bucket(store).await,
                },
                _ => Vec::new(),
            }
        };
        let in_table = async |table: Option<&str>, reached: Reached| match (table, reached.hinders(CONDITION, "")) {
            (None, _) => Vec::new(),
            (Some(_), Some(hindered)) => hindered,
            (Some(name), None) => self.in_table(name).await,
        };
        let in_tables = future::join(
            in_table(self.target.lock_table.as_deref(), places.lock),
            in_table(self.target.state_table(), places.state),
        );
        let (mut found, (locks, own)) = Box::pin(future::join(in_bucket, in_tables)).await;
        found.extend(locks.into_iter().chain(own));
        if !found.iter().any(|finding| finding.check == EXCLUSION) {
            found.push(Finding::untested(EXCLUSION, "what it needs could not be reached"));
        }
        found
    }

    async fn in_bucket(&self, bucket: &Bucket) -> Vec<Finding> {
        match self.conditions_in_bucket(bucket).await {
            Tried::Holds => {}
            Tried::Failed(failed) if failed.is_refused() && self.target.object().is_some() => {
                let mut found = not_held("the bucket", Tried::Failed(failed));
                found.iter_mut().take(1).for_each(|finding| finding.add(NOT_BESIDE));
                return found;
            }
            tried => return not_held("the bucket", tried),
        }
        let name = self.new_object(".tflock");
        let race = (0..RACERS).map(|_| self.put_object(bucket, &name, Some("*"), None));
        let results = future::join_all(race).await;
        // What could not be removed is reported with what is left behind.
        drop(self.delete_object(bucket, &name).await);
        told("lock file", results)
    }

    /// Writes what is there already, and over what is no longer there.
    async fn conditions_in_bucket(&self, bucket: &Bucket) -> Tried {
        let name = self.new_object(".tflock");
        let first = self.put_object(bucket, &name, Some("*"), None).await;
        let tried = match first {
            Err(failed) => Tried::Failed(Box::new(failed)),
            Ok(()) => match self.put_object(bucket, &name, Some("*"), None).await {
                Ok(()) => Tried::Ignored("`If-None-Match: *` did not keep a second write out"),
                Err(failed) if lost(&failed) => match self.put_object(bucket, &name, None, Some(NEVER)).await {
                    Ok(()) => Tried::Ignored("`If-Match` did not keep a write out that knew another object"),
                    Err(failed) if lost(&failed) => Tried::Holds,
                    Err(failed) => Tried::Failed(Box::new(failed)),
                },
                Err(failed) => Tried::Failed(Box::new(failed)),
            },
        };
        if !matches!(&tried, Tried::Failed(failed) if failed.is_refused()) {
            drop(self.delete_object(bucket, &name).await);
        }
        tried
    }

    async fn in_table(&self, table: &str) -> Vec<Finding> {
        let is_own = self.target.state_table() == Some(table);
        let (place, new, kind): (_, &(dyn Fn() -> Row + Sync), _) = match is_own {
            true => ("the store's table", &|| self.new_own_item(), "record"),
            false => ("the table", &|| self.new_lock_item(), "lock item"),
        };
        let row = new();
        let tried = self.conditions_in_table(table, &row).await;
        if !is_own {
            self.note_unkept(&tried);
        }
        match tried {
            Tried::Failed(failed) if failed.is_refused() => return not_held(place, Tried::Failed(failed)),
            tried => {
                drop(self.delete_item(table, &row).await);
                if !matches!(tried, Tried::Holds) {
                    return not_held(place, tried);
                }
            }
        }
        if is_own {
            match self.transaction(table).await {
                Tried::Holds => {}
                Tried::Failed(failed) if failed.is("UnknownOperationException") => return no_transactions(&failed),
                tried => return not_held(place, tried),
            }
        }
        let row = new();
        let results = future::join_all((0..RACERS).map(|_| self.put_item(table, &row))).await;
        drop(self.delete_item(table, &row).await);
        told(kind, results)
    }

    /// Writes what is there already, and deletes it under a condition that it does not meet.
    async fn conditions_in_table(&self, table: &str, row: &Row) -> Tried {
        if let Err(failed) = self.put_item(table, row).await {
            return Tried::Failed(Box::new(failed));
        }
        match self.put_item(table, row).await {
            Ok(()) => return Tried::Ignored("`attribute_not_exists` did not keep a second write out"),
            Err(failed) if !lost(&failed) => return Tried::Failed(Box::new(failed)),
            Err(_) => {}
        }
        match self.delete_item_never(table, row).await {
            Ok(()) => Tried::Ignored("an item was deleted that does not meet the condition"),
            // Whether it may be asked for is told of as a right.
            Err(failed) if lost(&failed) || failed.is_refused() => Tried::Holds,
            Err(failed) => Tried::Failed(Box::new(failed)),
        }
    }

    /// Where nothing but a refusal was seen, it is one of policies about names, which only AWS's own service knows.
    fn note_unkept(&self, tried: &Tried) {
        let why = match tried {
            Tried::Holds => return,
            Tried::Failed(failed) if failed.is_refused() => return,
            Tried::Failed(failed) => {
                format!("it is not known whether the table keeps conditions: {}", in_words(failed))
            }
            Tried::Ignored(_) => format!("the table does not keep conditions, as `{CONDITION}` says"),
        };
        // It is noted once.
        drop(self.unkept.set(why));
    }

    /// Writes an item together with a condition that does not hold on another one.
    async fn transaction(&self, table: &str) -> Tried {
        let row = self.new_own_item();
        let tried = match self.transact(table, Some(&row)).await {
            Ok(()) => Tried::Ignored("a transaction was done though a condition in it does not hold"),
            Err(failed) if is_cancelled(&failed) => match self.has_item(table, &row).await {
                Ok(true) => Tried::Ignored("a transaction that was cancelled left a write behind"),
                Ok(false) => {
                    self.probes.forget(&Probe::Item(row));
                    return Tried::Holds;
                }
                // Whether it may be read is told of as a right.
                Err(_) => Tried::Holds,
            },
            // Whether it may be asked for is told of as a right.
            Err(failed) if failed.is_refused() => return Tried::Holds,
            Err(failed) => Tried::Failed(Box::new(failed)),
        };
        drop(self.delete_item(table, &row).await);
        tried
    }
}

fn no_transactions(failed: &Failed) -> Vec<Finding> {
    vec![
        Finding::fail(
            CONDITION,
            "the service of the store's table knows no transactions",
            format!("a store publishes each version by one: {}", failed.words()),
            "keep the store in DynamoDB itself, in a bucket (`s3://…`) or in a file (`sqlite:…`)",
        ),
        Finding::untested(EXCLUSION, format!("`{CONDITION}` stands in the way")),
    ]
}

/// Whether a conditional write was kept out.
fn lost(failed: &Failed) -> bool {
    matches!(failed.fault, Fault::Precondition | Fault::Contended)
}

fn not_held(place: &str, tried: Tried) -> Vec<Finding> {
    match tried {
        Tried::Ignored(how) => vec![
            Finding::fail(
                CONDITION,
                format!("{place} does not keep conditions"),
                format!("{how}: a lock kept here excludes nobody"),
                "keep locks elsewhere (`dynamodb_table`), or state in a store of another kind; `stateward serve` locks by itself",
            )
            .entry("lock/no-conditional-writes"),
            Finding::untested(EXCLUSION, format!("`{CONDITION}` stands in the way")),
        ],
        Tried::Failed(failed) => {
            let mut found = blame(CONDITION, &failed);
            found.push(Finding::untested(EXCLUSION, "the lock for the race could not be taken"));
            found
        }
        Tried::Holds => Vec::new(),
    }
}

/// What a race showed.
fn told(kind: &str, results: Vec<Outcome<()>>) -> Vec<Finding> {
    let winners = results.iter().filter(|result| result.is_ok()).count();
    let condition = Finding::ok(CONDITION, "a write that comes second is kept out");
    let exclusion = match winners {
        1 if results.iter().filter_map(|result| result.as_ref().err()).all(lost) => {
            Finding::ok(EXCLUSION, format!("{RACERS} clients raced for a lock, and one got it"))
        }
        // Whoever was turned away for another reason, or got no answer, was not in the race, or may have won it.
        0 | 1 => {
            let others: Vec<Failed> = results.into_iter().filter_map(Result::err).filter(|failed| !lost(failed)).collect();
            let mut found = others.first().map(|failed| blame(EXCLUSION, failed)).unwrap_or_default();
            for finding in found.iter_mut().filter(|finding| finding.check == EXCLUSION) {
                finding.add(&format!("{} of {RACERS} clients were not in the race: {}", others.len(), others[0].words()));
            }
            if found.is_empty() {
                found.push(Finding::untested(EXCLUSION, format!("{RACERS} clients raced for a lock, and none got it")));
            }
            found.push(condition);
            return found;
        }
        winners => Finding::fail(
            EXCLUSION,
            format!("{winners} of {RACERS} clients held the same {kind}"),
            "conditions are kept one after the other, but not when writes come at the same time: two applies can both run",
            "do not keep locks here; `stateward serve` locks by itself",
        )
        .entry("lock/no-conditional-writes"),
    };
    vec![condition, exclusion]
}
