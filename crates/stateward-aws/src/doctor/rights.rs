//! The rights that keeping state needs, each tried.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures::future::{self, BoxFuture, FutureExt};
use stateward_denial::{Effect, Layer};
use stateward_iam::{CheckItem, Keeping, Layout, Outcome, Purpose, check};
use stateward_store_aws::{Bucket, Fault, once};

use super::basics::account_of;
use super::finding::in_words;
use super::policies::{Known, not_given, not_seen};
use super::probes::{Probe, Row};
use super::store_table::is_cancelled;
use super::target::{table_name, typed};
use super::{Finding, Offline, Patient, Places, Reached, Status};
use crate::Failed;

/// What trying a right showed.
#[derive(Debug)]
pub(super) enum Live {
    Allowed,
    Refused(Box<Failed>),
    /// Refused for another name than the one that counts, for want of a policy that allows it.
    Unsure(Box<Failed>),
    /// Allowed for a name of the doctor's own, and why the one that counts was not tried.
    Near(String),
    Untested(String),
}

/// Whether nothing allows it, or no reason is given; what denies it denies it for other names as well, most likely.
fn lacks_allow(failed: &Failed) -> bool {
    let denial = failed.problem().and_then(|problem| problem.denial);
    denial.is_none_or(|denial| match denial.layer {
        Layer::Unknown => true,
        layer => layer == Layer::Identity && denial.effect == Effect::Implicit,
    })
}

impl Live {
    pub(super) fn of(result: Result<(), Failed>) -> Self {
        match result {
            Ok(()) => Self::Allowed,
            Err(failed) if failed.is_refused() => Self::Refused(Box::new(failed)),
            // It was let in, and then could not be done: that is an answer, too.
            Err(failed) if matches!(failed.status, Some(404 | 409 | 412 | 416)) => Self::Allowed,
            Err(failed)
                if failed.is_archived() || failed.is("ConditionalCheckFailedException") || is_cancelled(&failed) =>
            {
                Self::Allowed
            }
            Err(failed) => Self::Untested(failed.words().to_owned()),
        }
    }

    /// Whether a name was let in, be it the doctor's own.
    fn is_let_in(&self) -> bool {
        matches!(self, Self::Allowed | Self::Near(_))
    }

    /// What counts most where several were tried.
    fn weight(&self) -> u8 {
        match self {
            Self::Allowed => 0,
            Self::Near(_) | Self::Unsure(_) | Self::Untested(_) => 1,
            Self::Refused(_) => 2,
        }
    }

    /// Whether an action was refused, for whatever name.
    fn refuses(&self, action: &str) -> bool {
        matches!(self, Self::Refused(failed) | Self::Unsure(failed) if refused_action(failed).is_some_and(|refused| refused.eq_ignore_ascii_case(action)))
    }
}

/// The action that was refused, where the answer names it: not always that of the request.
fn refused_action(failed: &Failed) -> Option<String> {
    failed.problem()?.denial?.action
}

impl Patient {
    pub(super) async fn rights(&self, places: Places, caller: Option<&str>, kms_key: Option<&str>) -> Vec<Finding> {
        let account = caller.and_then(account_of).unwrap_or("111122223333");
        let region = self.configuration.region().map_or("*", |region| region.as_ref());
        let keeping = self.target.keeping(region, account, kms_key);
        let known = self.policies(caller, kms_key).await;
        let someone = format!("arn:aws:iam::{account}:role/unnamed");
        let ask = |who: &str| check(&keeping, self.options.purpose, who, &known.set, &known.resources);
        let items = match caller.map_or_else(|| ask(&someone), |arn| ask(arn).or_else(|_| ask(&someone))) {
            Ok(items) => items,
            Err(error) => return vec![Finding::untested("right:*", error.to_string())],
        };
        let tried = future::join_all(items.iter().map(|item| self.try_right(item, places))).await;
        let mut by_action: BTreeMap<&str, Vec<(&CheckItem, Live)>> = BTreeMap::new();
        for (item, live) in items.iter().zip(tried) {
            by_action.entry(item.action).or_default().push((item, live));
        }
        through_the_bucket(&mut by_action, self.decrypted_with.get());
        let mut beside = within_others(&by_action);
        for finding in &mut beside {
            self.of_key(finding, &keeping, caller, &known).await;
        }
        let mut found: Vec<Finding> =
            by_action.into_iter().map(|(action, tried)| told(action, &tried, &known)).chain(beside).collect();
        let keeping = self.target.keeping(region, caller.and_then(account_of).unwrap_or("*"), kms_key);
        at_once(&mut found, &keeping, self.options.purpose);
        found
    }

    /// What the policies say of a key that a service was to use for the caller, and that is not the bucket's.
    async fn of_key(&self, finding: &mut Finding, keeping: &Keeping, caller: Option<&str>, known: &Known) {
        let Some(denial) = &finding.denial else { return };
        let (Some(caller), Some(action), Some(key)) = (caller, denial.action.clone(), denial.resource.clone()) else {
            return;
        };
        if !action.starts_with("kms:") || !key.contains(":key/") {
            return;
        }
        // As if state were kept in the table: who uses the key, and for what, is the same.
        let table = self.target.lock_table.as_deref().or_else(|| self.target.state_table());
        let keeping = match (denial.service.as_deref(), table) {
            (Some("dynamodb"), Some(table)) => {
                let (layout, place) = (Layout::StatewardDynamodb, table.to_owned());
                let key = String::new();
                Keeping { layout, place, key, lock_table: None, use_lockfile: false, ..keeping.clone() }
            }
            _ => keeping.clone(),
        };
        let mut unread = known.unread.clone();
        let policy = self.read_key_policy(&key, &mut unread).await;
        let keeping = Keeping { kms_key: Some(key), ..keeping };
        let items = check(&keeping, Purpose::Admin, caller, &known.set, policy.as_slice()).unwrap_or_default();
        if let Some(item) = items.iter().find(|item| item.action.eq_ignore_ascii_case(&action)) {
            known.beside(item, unread, finding);
        }
    }

    fn try_right<'a>(&'a self, item: &'a CheckItem, places: Places) -> BoxFuture<'a, Live> {
        let untested = |why: String| future::ready(Live::Untested(why)).boxed();
        let (service, _) = item.action.split_once(':').unwrap_or_default();
        let place = match service {
            "s3" => places.bucket,
            "dynamodb" if self.target.state_table().map(table_name) == Some(table_of(item)) => places.state,
            "dynamodb" => places.lock,
            _ => return untested(String::new()),
        };
        if let Reached::No(culprit) = place {
            return untested(format!("`{culprit}` stands in the way"));
        }
        match (service, &self.bucket) {
            ("s3", Some(bucket)) => self.in_bucket_right(bucket, item).boxed(),
            ("dynamodb", _) => self.in_table_right(item).boxed(),
            _ => untested("there is no bucket".to_owned()),
        }
    }

    async fn in_bucket_right(&self, bucket: &Bucket, item: &CheckItem) -> Live {
        let key = item.resource.split_once('/').map_or("", |(_, key)| key);
        let client = &bucket.client;
        match item.action {
            "s3:GetObject" => {
                let answer = bucket.reading(key).range("bytes=0-0").send().await;
                let read = answer.map(|answer| {
                    if let Some(key) = answer.ssekms_key_id {
                        drop(self.decrypted_with.set(key));
                    }
                });
                Live::of(read.map_err(|error| Failed::new("S3: GetObject", &error).about(key)))
            }
            "s3:ListBucket" => {
                for prefix in [Some(self.target.listed()), self.target.listed_beside()].into_iter().flatten() {
                    let answer = client.list_objects_v2().bucket(&bucket.name).prefix(&prefix).max_keys(1).send().await;
                    if let Err(error) = answer {
                        return Live::of(Err(Failed::new("S3: ListObjectsV2", &error).about(&prefix)));
                    }
                }
                Live::Allowed
            }
            "s3:ListBucketVersions" => {
                let prefix = self.target.listed();
                let answer =
                    client.list_object_versions().bucket(&bucket.name).prefix(&prefix).max_keys(1).send().await;
                let failed = |error| Failed::new("S3: ListObjectVersions", &error).about(&prefix);
                Live::of(answer.map(drop).map_err(failed))
            }
            "s3:PutObject" | "s3:DeleteObject" if self.options.read_only => read_only(),
            "s3:PutObject" => self.write_right(bucket, key).await,
            "s3:DeleteObject" => self.delete_right(bucket, key).await,
            action => nothing_harmless(action),
        }
    }

    /// A name of the doctor's own that policies for this object cover, too.
    fn beside(&self, key: &str, id: &str) -> String {
        let suffix = if key.ends_with(".tflock") { ".tflock" } else { "" };
        self.target.probe_beside(key, id) + suffix
    }

    /// Tries to write to a name of the doctor's own, and where that leaves nothing behind, or is refused, to the state's: it is that which
    /// counts, and a policy may tell them apart. A store has many names.
    async fn write_right(&self, bucket: &Bucket, key: &str) -> Live {
        let probe = self.beside(key, &self.probes.id());
        let is_store = self.target.object().is_none();
        match self.try_upload(bucket, &probe).await {
            Ok(_) if is_store => Live::Allowed,
            // What is begun under the state's name would stay there.
            Ok(false) => match self.try_part(bucket, &probe, key).await {
                Live::Allowed => Live::Allowed,
                _ => Live::Near("an upload that is begun there could not be given up".to_owned()),
            },
            Ok(true) => Live::of(self.try_upload(bucket, key).await.map(drop)),
            Err(failed) if is_store || !failed.is_refused() => Live::of(Err(failed)),
            // Whatever refuses the one name may allow the other, and then refuse to give up what was begun there.
            Err(failed) => match self.try_part(bucket, &probe, key).await {
                Live::Untested(_) if lacks_allow(&failed) => Live::Unsure(Box::new(failed)),
                Live::Untested(_) => Live::of(Err(failed)),
                live => live,
            },
        }
    }

    /// A part of an upload that there is not: who may write is told so, and nothing is written. A service that takes it for a write shows
    /// that under a name of the doctor's own.
    async fn try_part(&self, bucket: &Bucket, own: &str, key: &str) -> Live {
        if self.put_part(bucket, own).await.is_ok() {
            self.probes.note(Probe::Object(own.to_owned()));
            return Live::Untested("a part of no upload was taken".to_owned());
        }
        match self.put_part(bucket, key).await {
            Err(failed) if failed.is("NoSuchUpload") => Live::Allowed,
            Err(failed) => Live::of(Err(failed)),
            Ok(()) => Live::Untested("a part of no upload was taken".to_owned()),
        }
    }

    async fn put_part(&self, bucket: &Bucket, name: &str) -> Result<(), Failed> {
        let part =
            bucket.client.upload_part().bucket(&bucket.name).key(name).upload_id(self.probes.id()).part_number(1);
        let answer = part.customize().config_override(once()).send().await;
        answer.map(drop).map_err(|error| Failed::new("S3: UploadPart", &error))
    }

    /// Tries to delete what is not there, under a name of the doctor's own, for which S3 asks for the right all the same; and where the
    /// bucket is seen to keep a condition, the lock file, under one that nothing meets. No delete ever bears the name of a state.
    async fn delete_right(&self, bucket: &Bucket, key: &str) -> Live {
        let nothing = self.beside(key, "nothing");
        match Live::of(self.delete_nothing(bucket, &nothing).await) {
            // A policy may allow it for the very names of the state alone.
            Live::Refused(failed) if lacks_allow(&failed) => Live::Unsure(failed),
            Live::Allowed => match self.target.lock_file() {
                None => Live::Allowed,
                Some(lock) if key == lock => match self.keeps_deletes(bucket, key).await {
                    Ok(()) => Live::of(self.delete_never(bucket, key).await),
                    Err(why) => Live::Near(why),
                },
                Some(_) => Live::Near("no delete is ever sent under the name of a state".to_owned()),
            },
            live => live,
        }
    }

    /// Whether an object stays that is to be deleted under a condition that it does not meet, or why that is not known.
    async fn keeps_deletes(&self, bucket: &Bucket, key: &str) -> Result<(), String> {
        let name = self.beside(key, &self.probes.id());
        self.probes.note(Probe::Object(name.clone()));
        let unknown =
            |failed: &Failed| format!("it is not known whether a condition on it is kept: {}", in_words(failed));
        self.put_object(bucket, &name, Some("*"), None).await.map_err(|failed| unknown(&failed))?;
        let kept = match self.delete_never(bucket, &name).await {
            Err(failed) if matches!(failed.fault, Fault::Precondition) => Ok(()),
            Err(failed) => Err(unknown(&failed)),
            Ok(()) => Err("no condition on it is kept here, so that it would go".to_owned()),
        };
        // What could not be removed is reported with what is left behind.
        drop(self.delete_object(bucket, &name).await);
        kept
    }

    async fn in_table_right(&self, item: &CheckItem) -> Live {
        let client = &self.services.dynamodb;
        let lock_table = self.target.lock_table.as_deref().filter(|table| table_name(table) == table_of(item));
        let Some(table) = lock_table.or_else(|| self.target.state_table()) else {
            return Live::Untested("it is not known which table that is".to_owned());
        };
        match item.action {
            "dynamodb:DescribeTable" => {
                let answer = client.describe_table().table_name(table).send().await;
                Live::of(answer.map(drop).map_err(|error| Failed::new("DynamoDB: DescribeTable", &error)))
            }
            "dynamodb:Scan" => {
                let answer = client.scan().table_name(table).limit(1).send().await;
                Live::of(answer.map(drop).map_err(|error| Failed::new("DynamoDB: Scan", &error)))
            }
            action if lock_table.is_none() => self.own_right(table, action).await,
            action => {
                let tried = item.items.iter().map(|id| self.item_right(table, action, id));
                future::join_all(tried).await.into_iter().max_by_key(Live::weight).unwrap_or(Live::Allowed)
            }
        }
    }

    /// One item of the lock table: the lock, or the digest.
    async fn item_right(&self, table: &str, action: &str, id: &str) -> Live {
        let client = &self.services.dynamodb;
        let row = Row::Lock(id.to_owned());
        match action {
            "dynamodb:GetItem" => {
                let answer = client.get_item().table_name(table).set_key(Some(row.key())).send().await;
                Live::of(answer.map(drop).map_err(|error| Failed::new("DynamoDB: GetItem", &error)))
            }
            _ if self.options.read_only => read_only(),
            // It is the name of a lock or a digest that may stand there.
            _ if let Some(why) = self.unkept.get() => Live::Untested(why.clone()),
            "dynamodb:PutItem" => Live::of(self.put_item_never(table, &row).await),
            "dynamodb:DeleteItem" => Live::of(self.delete_item_never(table, &row).await),
            action => nothing_harmless(action),
        }
    }
}

/// S3 uses the key for whoever writes and reads: what it was refused there says whether they may, and so does what was read that is
/// encrypted with the key.
fn through_the_bucket(by_action: &mut BTreeMap<&str, Vec<(&CheckItem, Live)>>, decrypted_with: Option<&String>) {
    for (action, through) in [("kms:GenerateDataKey", "s3:PutObject"), ("kms:Decrypt", "s3:GetObject")] {
        let live = match by_action.get(through).map(Vec::as_slice) {
            Some(tried) => match tried.iter().find(|(_, live)| live.refuses(action)) {
                // A key is the same for all names.
                Some((_, Live::Refused(failed) | Live::Unsure(failed))) => Live::Refused(failed.clone()),
                _ if through == "s3:PutObject" && tried.iter().any(|(_, live)| live.is_let_in()) => Live::Allowed,
                _ if action == "kms:Decrypt" && is_all_of_key(by_action, action, decrypted_with) => Live::Allowed,
                _ if action == "kms:Decrypt" => {
                    Live::Untested("nothing was read that is encrypted with the key".to_owned())
                }
                _ => Live::Untested(format!("it takes a `{through}` that goes through")),
            },
            None => Live::Untested("only a service uses the key, and nothing was asked of it".to_owned()),
        };
        if let Some(tried) = by_action.get_mut(action)
            && let Some((_, first)) = tried.first_mut()
        {
            *first = live;
            tried.truncate(1);
        }
    }
}

/// Whether all that an action is needed for is this very key.
fn is_all_of_key(by_action: &BTreeMap<&str, Vec<(&CheckItem, Live)>>, action: &str, key: Option<&String>) -> bool {
    let items = by_action.get(action).map(Vec::as_slice).unwrap_or_default();
    key.is_some_and(|key| items.iter().all(|(item, _)| item.resource == *key))
}

/// Actions that a service asked for on the caller's behalf and was refused, such as the use of a key.
fn within_others(by_action: &BTreeMap<&str, Vec<(&CheckItem, Live)>>) -> Vec<Finding> {
    let mut beside = BTreeMap::new();
    for (_, live) in by_action.values().flatten() {
        if let Live::Refused(failed) = live
            && let Some(action) = refused_action(failed)
            && !by_action.keys().any(|known| known.eq_ignore_ascii_case(&action))
        {
            let finding = Finding::refused(&format!("right:{action}"), failed);
            beside.entry(action).or_insert(finding);
        }
    }
    beside.into_values().collect()
}

fn table_of(item: &CheckItem) -> &str {
    table_name(&item.resource)
}

pub(super) fn nothing_harmless(action: &str) -> Live {
    Live::Untested(format!("nothing harmless shows whether `{action}` is allowed"))
}

pub(super) fn read_only() -> Live {
    Live::Untested("it takes writing, and `--read-only` was asked for".to_owned())
}

/// Where several rights are lacking, the policy for all of them: a run stops at the first, and what comes after that may lack, too.
fn at_once(found: &mut [Finding], keeping: &Keeping, purpose: Purpose) {
    let lacks = |finding: &Finding| {
        let denial = finding.denial.as_ref().filter(|_| finding.status >= Status::Warn);
        denial.is_some_and(|denial| denial.layer == Layer::Identity && denial.effect == Effect::Implicit)
    };
    if found.iter().filter(|finding| lacks(finding)).count() > 1 {
        let words: Vec<String> = keeping.words().iter().map(|word| typed(word)).collect();
        let words = words.join(" ");
        let all =
            format!("`stateward policy generate --for {} {words}` prints all that is needed at once", purpose.name());
        for finding in found.iter_mut().filter(|finding| lacks(finding)) {
            let fix = finding.fix.get_or_insert_default();
            *fix = format!("{} ({all}).", fix.trim_end_matches('.'));
        }
    }
}

/// What all tries of an action say together.
fn told(action: &str, tried: &[(&CheckItem, Live)], known: &Known) -> Finding {
    let check = format!("right:{action}");
    let is_own = |failed: &Failed| refused_action(failed).is_none_or(|refused| refused.eq_ignore_ascii_case(action));
    let refused = tried.iter().find_map(|(item, live)| match live {
        Live::Refused(failed) if is_own(failed) => Some((*item, Finding::needed(&check, failed, item))),
        _ => None,
    });
    let allowed = || {
        tried.iter().find(|(_, live)| matches!(live, Live::Allowed)).map(|(item, _)| (*item, allowed(&check, tried)))
    };
    let found = refused.or_else(|| unsure(&check, tried, known, is_own)).or_else(allowed);
    let (item, mut finding) = match (found, tried.first()) {
        (Some(found), _) => found,
        (None, Some((item, live))) => (*item, Finding::untested(&check, why_untested(live))),
        (None, None) => return Finding::untested(&check, "nothing needs it"),
    };
    known.beside(item, known.unread.clone(), &mut finding);
    finding
}

/// What was refused for a name of the doctor's own, where the policies do not allow it for the one that counts: most likely that is, too.
fn unsure<'a>(
    check: &str,
    tried: &[(&'a CheckItem, Live)],
    known: &Known,
    is_own: impl Fn(&Failed) -> bool,
) -> Option<(&'a CheckItem, Finding)> {
    let unsure = tried.iter().filter_map(|(item, live)| match live {
        Live::Unsure(failed) if is_own(failed) && !known.allow(item) => Some((*item, failed)),
        _ => None,
    });
    let (item, failed) = unsure.min_by_key(|(item, _)| !known.refuse(item))?;
    let mut finding = Finding::needed(check, failed, item);
    if !known.refuse(item) {
        finding.status = Status::Warn;
        finding.add(
            "that was a name of the doctor's own beside the state: a policy may allow the names of the state and its lock alone",
        );
    }
    Some((item, finding))
}

impl Finding {
    /// A refused right, and what needs it.
    fn needed(check: &str, failed: &Failed, item: &CheckItem) -> Self {
        let mut finding = Self::refused(check, failed);
        finding.title = format!("{} (needed to {})", finding.title.trim_end_matches('.'), item.needed_for.join(", "));
        finding
    }
}

fn why_untested(live: &Live) -> String {
    match live {
        Live::Untested(why) => why.clone(),
        Live::Refused(failed) => format!("`{}` was refused first", refused_action(failed).unwrap_or_default()),
        Live::Unsure(failed) => format!(
            "it is refused for a name of the doctor's own; the own names of the state and its lock are not tried: {}",
            in_words(failed)
        ),
        Live::Near(why) => {
            format!("it is allowed for a name of the doctor's own; the state's own was not tried: {why}")
        }
        Live::Allowed => String::new(),
    }
}

/// Allowed where it was tried; where it was not, nothing is known.
fn allowed(check: &str, tried: &[(&CheckItem, Live)]) -> Finding {
    let Some((open, live)) = tried.iter().find(|(_, live)| !matches!(live, Live::Allowed)) else {
        return Finding::ok(check, "allowed");
    };
    let names = tried.iter().filter(|(_, live)| matches!(live, Live::Allowed)).map(|(item, _)| name_of(item));
    let names = names.collect::<Vec<_>>().join(", ");
    Finding::untested(check, format!("allowed for {names}; for {}: {}", name_of(open), why_untested(live)))
}

/// What an ARN names: all behind its fifth colon, for a key may hold some of its own.
fn name_of(item: &CheckItem) -> &str {
    item.resource.splitn(6, ':').last().unwrap_or_default()
}

impl Known {
    /// Whether the policies that were read allow a right.
    fn allow(&self, item: &CheckItem) -> bool {
        self.complete && item.decision == Outcome::Allowed
    }

    /// Whether the policies refuse a right for certain: none that could allow it is unread.
    fn refuse(&self, item: &CheckItem) -> bool {
        let service = item.action.split(':').next().unwrap_or_default();
        self.complete
            && matches!(item.decision, Outcome::ImplicitDeny | Outcome::ExplicitDeny)
            && !self.unread_resources.iter().any(|(of, _)| *of == service)
    }

    /// What the policies say that could be read, where they say something, and where that is not what was seen.
    fn beside(&self, item: &CheckItem, mut unread: Vec<String>, finding: &mut Finding) {
        let is_refused = finding.status == Status::Fail;
        let by_endpoint = finding.denial.as_ref().is_some_and(|denial| denial.layer == Layer::VpcEndpoint);
        let service = item.action.split(':').next().unwrap_or_default();
        // S3 uses the bucket's key for whoever writes and reads.
        let counts = |of: &str| of == service || (of == "kms" && service == "s3");
        unread.extend(self.unread_resources.iter().filter(|(of, _)| counts(of)).map(|(_, what)| what.clone()));
        let unread_endpoint = self.unread_endpoints.get(service).cloned();
        let is_asked = by_endpoint && self.set.vpc_endpoint.is_none();
        // A refusal without a reason may be that of an endpoint that stands in the routes, where nobody can see it from here.
        let gives_no_reason = finding.denial.as_ref().is_some_and(|denial| denial.layer == Layer::Unknown);
        let may_be_it = is_refused && gives_no_reason && item.decision == Outcome::Allowed;
        let unseen = || (may_be_it && self.set.vpc_endpoint.is_none()).then(|| not_seen(service));
        let unread_endpoint = unread_endpoint.or_else(|| is_asked.then(|| not_given(service, "ID")));
        unread.extend(unread_endpoint.or_else(unseen));
        let not_read = unread.join(", ");
        if !self.complete {
            if is_refused {
                finding.add(&format!("which policy it is could not be looked up; not read: {not_read}"));
            }
            return;
        }
        let differs = match finding.status {
            Status::Ok => matches!(item.decision, Outcome::ImplicitDeny | Outcome::ExplicitDeny),
            Status::Fail => item.decision == Outcome::Allowed,
            _ => false,
        };
        let CheckItem { decision, layer, statements, depends_on, add, .. } = item.clone();
        finding.offline = Some(Offline { decision, layer, statements, depends_on, unread });
        if finding.status == Status::Ok && !differs {
            return;
        }
        let mut told = format!("the policies that could be read {}", says(item));
        if differs {
            told.push_str(", unlike what was seen: another policy has a say, or one was just changed");
        }
        if !not_read.is_empty() {
            let _ = write!(told, "; not read: {not_read}");
        }
        finding.add(&told);
        let denying = || finding.status == Status::Fail && item.decision == Outcome::ExplicitDeny;
        if denying() && !item.statements.is_empty() {
            finding.decided(fix_of(item));
        } else if is_refused && !add.is_empty() {
            let fix = finding.fix.get_or_insert_default();
            let _ = write!(fix, " What the statement asks for: {}.", add.join("; "));
        }
    }
}

/// The statements that made a decision.
fn by(item: &CheckItem) -> Vec<String> {
    item.statements.iter().map(|made| format!("{} of {}", made.name(), made.policy)).collect()
}

/// What to do about statements that were read: what they ask for, and nothing that others usually ask for.
fn fix_of(item: &CheckItem) -> String {
    let by = by(item).join(" and ");
    match item.add.as_slice() {
        [] => format!("have {by} changed by whoever keeps that policy: it denies this whatever the request is like"),
        add => format!("meet what {by} asks for: {}; or have it changed by whoever keeps that policy", add.join("; ")),
    }
}

/// What policies say of a right, and by which statements.
fn says(item: &CheckItem) -> String {
    let by = by(item);
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    match item.decision {
        Outcome::Allowed => format!("allow it{by}"),
        Outcome::ImplicitDeny => match item.layer {
            Some(layer) => format!("do not allow it (layer: {layer})"),
            None => "do not allow it".to_owned(),
        },
        Outcome::ExplicitDeny => format!("deny it{by}"),
        Outcome::Depends => {
            let keys: Vec<String> = item.depends_on.iter().map(|key| format!("`{key}`")).collect();
            format!("leave it open{by}: it depends on {}", keys.join(", "))
        }
    }
}
