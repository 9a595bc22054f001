//! The state beside its digest: what stands there, and what `state repair` would do about it.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::ObjectVersion;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use stateward_state::scan::Scanner;
use stateward_store_aws::Bucket;

use super::finding::{blame, in_words};
use super::probes::{Outcome, Row};
use super::{Finding, Patient, Reached};
use crate::Failed;
use crate::recovery::{Choice, Decision, Facts, Keep, StateCopy, VERSIONS_READ, Wish, decide};

pub(super) const MANY: &str =
    "a store holds many states: `stateward state verify` and `stateward lock list` look at them";
const CHECK: &str = "digest";
/// A larger state is not read to its end, where S3 knows its MD5.
const LARGE: i64 = 8 << 20;
/// So much of a large state is read at either end.
const END: i64 = 1 << 10;
/// So many bytes of older versions are read; whoever repairs reads them all.
const READ_MAX: i64 = 64 << 20;

/// What stands at the state's object.
struct Seen {
    md5: String,
    /// Why it is no state.
    wrong: Option<String>,
}

impl Patient {
    pub(super) async fn digest(&self, bucket: Reached, table: Reached) -> Vec<Finding> {
        let Some(object) = self.target.object() else { return vec![Finding::untested(CHECK, MANY)] };
        let name = self.target.lock_table.as_deref();
        let hindered = bucket.hinders(CHECK, MANY).or_else(|| name.and_then(|_| table.hinders(CHECK, "")));
        let (None, Some(bucket)) = (&hindered, &self.bucket) else {
            return hindered.unwrap_or_else(|| vec![Finding::untested(CHECK, MANY)]);
        };
        match self.compare(bucket, &object, name).await {
            Ok(finding) => vec![finding],
            Err(failed) => blame(CHECK, &failed),
        }
    }

    async fn compare(&self, bucket: &Bucket, object: &str, table: Option<&str>) -> Outcome<Finding> {
        let stored = self.stored(table, object).await?;
        let there = self.seen(bucket, object, stored.as_deref()).await?;
        Ok(match (stored, there) {
            (None, None) => Finding::ok(CHECK, "there is no state yet"),
            (None, Some(Seen { wrong: None, .. })) if table.is_none() => {
                Finding::untested(CHECK, "without a lock table there is none")
            }
            (None, Some(Seen { wrong: None, .. })) => {
                Finding::ok(CHECK, "the table has none yet; Terraform writes one with the next apply")
            }
            (Some(stored), Some(Seen { md5, wrong: None })) if stored == md5 => Finding::ok(CHECK, "that of the state"),
            _ => {
                let (facts, unread) = self.facts(bucket, object, table).await?;
                self.contradiction(&facts, unread)
            }
        })
    }

    /// The digest in the table; `None` where there is none, or no table.
    async fn stored(&self, table: Option<&str>, object: &str) -> Outcome<Option<String>> {
        let Some(table) = table else { return Ok(None) };
        let stored = self.attribute(table, &format!("{}-md5", self.target.lock_id(object)), "Digest").await?;
        Ok(stored.filter(|digest| !digest.is_empty()))
    }

    /// The text in an item of the lock table; `None` where there is no item.
    pub(super) async fn attribute(&self, table: &str, id: &str, name: &str) -> Outcome<Option<String>> {
        let request = self.services.dynamodb.get_item().table_name(table).set_key(Some(Row::Lock(id.to_owned()).key()));
        let answer = request.consistent_read(true).send().await;
        let item = answer.map_err(|error| Failed::new("DynamoDB: GetItem", &error))?.item;
        let text = |item: std::collections::HashMap<String, AttributeValue>| match item.get(name) {
            Some(AttributeValue::S(text)) => text.clone(),
            _ => String::new(),
        };
        Ok(item.map(text))
    }

    /// What stands at an object, read piece by piece: a large one only as far as is needed.
    async fn seen(&self, bucket: &Bucket, object: &str, stored: Option<&str>) -> Outcome<Option<Seen>> {
        let Some(mut answer) = self.get(bucket, object, None, None).await? else { return Ok(None) };
        let tag = answer.e_tag.as_deref().unwrap_or_default().trim_matches('"').to_owned();
        let is_known = stored.is_none_or(|stored| stored == tag);
        if is_known && answer.content_length.is_some_and(|length| length > LARGE) {
            drop(answer);
            return self.ends(bucket, object, tag).await.map(Some);
        }
        let (mut hash, mut scanner, mut length) = (Md5::new(), Ok(Scanner::new([0; 32])), 0);
        while let Some(piece) = answer.body.next().await {
            let piece = piece.map_err(|error| Failed::cut("S3: GetObject", &error))?;
            hash.update(&piece);
            length += piece.len();
            scanner = scanner.and_then(|mut scanner| scanner.feed(&piece).map(|()| scanner));
        }
        let wrong = match scanner.and_then(Scanner::finish) {
            Ok(_) => None,
            Err(_) if length == 0 => Some("it is empty".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        Ok(Some(Seen { md5: hex::encode(hash.finalize()), wrong }))
    }

    /// Whether a large object begins and ends as a state does.
    async fn ends(&self, bucket: &Bucket, object: &str, md5: String) -> Outcome<Seen> {
        let begin = self.piece(bucket, object, &format!("bytes=0-{}", END - 1)).await?;
        let end = self.piece(bucket, object, &format!("bytes=-{END}")).await?;
        let is_whole = begin.trim_ascii_start().starts_with(b"{") && end.trim_ascii_end().ends_with(b"}");
        Ok(Seen { md5, wrong: (!is_whole).then(|| "it is cut off".to_owned()) })
    }

    async fn piece(&self, bucket: &Bucket, object: &str, range: &str) -> Outcome<Vec<u8>> {
        let answer = self.get(bucket, object, None, Some(range)).await?;
        Ok(match answer {
            Some(answer) => body(answer).await?,
            None => Vec::new(),
        })
    }

    /// Begins to read an object; `None` where there is none.
    async fn get(
        &self,
        bucket: &Bucket,
        object: &str,
        version: Option<&str>,
        range: Option<&str>,
    ) -> Outcome<Option<GetObjectOutput>> {
        let request = bucket.reading(object).set_version_id(version.map(str::to_owned));
        match request.set_range(range.map(str::to_owned)).send().await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => {
                let failed = Failed::new("S3: GetObject", &error);
                if failed.is("NoSuchKey") { Ok(None) } else { Err(failed) }
            }
        }
    }

    /// All that `state repair` looks at, and how many older versions were left unread. Each body is held whole, one after the other.
    async fn facts(&self, bucket: &Bucket, object: &str, table: Option<&str>) -> Outcome<(Facts, usize)> {
        // The digest first: a writer writes it last.
        let digest = self.stored(table, object).await?;
        let (versions, older_unseen) = match self.versions(bucket, object).await {
            Ok(versions) => (versions, None),
            Err(failed) => (Vec::new(), Some(in_words(&failed))),
        };
        let mut current = None;
        if let Some(answer) = self.get(bucket, object, None, None).await? {
            let (id, at) = (answer.version_id.clone(), answer.last_modified.and_then(time));
            current = Some(StateCopy::of(id, at, &body(answer).await?));
        }
        let older: Vec<&ObjectVersion> = versions.iter().filter(|version| version.is_latest != Some(true)).collect();
        let is_named = |version: &ObjectVersion| {
            let tag = version.e_tag.as_deref().map(|tag| tag.trim_matches('"'));
            digest.is_some() && tag == digest.as_deref()
        };
        // What the digest names, most likely, before all else.
        let mut order: Vec<usize> = (0..older.len()).collect();
        order.sort_by_key(|at| !is_named(older[*at]));
        let mut read: Vec<Option<StateCopy>> = vec![None; older.len()];
        let mut left = READ_MAX;
        for at in order {
            let version = older[at];
            left -= version.size.unwrap_or_default();
            let id = version.version_id.as_deref();
            if left < 0 {
                break;
            }
            if let Some(answer) = self.get(bucket, object, id, None).await? {
                let written = version.last_modified.and_then(time);
                read[at] = Some(StateCopy::of(id.map(str::to_owned), written, &body(answer).await?));
            }
        }
        let unread = read.iter().filter(|copy| copy.is_none()).count();
        let older = read.into_iter().flatten().collect();
        let (object, table) = (object.to_owned(), table.map(str::to_owned));
        let bucket = bucket.name.clone();
        let facts =
            Facts { bucket, object, table, digest, current, older, older_unread: unread, older_unseen, mark: None };
        Ok((facts, unread))
    }

    /// The versions of an object, latest first.
    async fn versions(&self, bucket: &Bucket, object: &str) -> Outcome<Vec<ObjectVersion>> {
        let most = i32::try_from(VERSIONS_READ).unwrap_or(i32::MAX);
        let request = bucket.client.list_object_versions().bucket(&bucket.name).prefix(object).max_keys(most);
        let answer = request.send().await.map_err(|error| Failed::new("S3: ListObjectVersions", &error))?;
        let mut versions = answer.versions.unwrap_or_default();
        versions.retain(|version| version.key.as_deref() == Some(object));
        Ok(versions)
    }

    /// What is to be done about it, in the words of `state repair`, which is to do it.
    fn contradiction(&self, facts: &Facts, unread: usize) -> Finding {
        let repair = format!("stateward state repair {}", self.place());
        let (title, entry) = match &facts.current {
            None => ("there is a digest and no state", Some("state/digest-without-state")),
            Some(current) if current.size == 0 => ("the state is empty", None),
            Some(current) if current.serial().is_none() => ("the state cannot be read", None),
            Some(_) => ("the digest is not that of the state", Some("state/digest-mismatch")),
        };
        let dry = format!("`{repair} --dry-run` shows all versions and what is done");
        let (mut why, fix) = match decide(facts, Wish::default()) {
            // A run that was under way has come to its end.
            Decision::Fits { why } => return Finding::ok(CHECK, why),
            Decision::Repair(plan) if unread == 0 => {
                (plan.why, format!("wait for a run that may be under way; then: {repair}. {dry}"))
            }
            Decision::Repair(plan) => (plan.why, format!("wait for a run that may be under way; then see: {dry}")),
            Decision::Choose { why, choices } => {
                let ways: Vec<String> = choices.iter().filter_map(|choice| way(choice, facts)).collect();
                let ways = if ways.is_empty() { String::new() } else { format!(": {}", ways.join("; ")) };
                (
                    why,
                    format!(
                        "the evidence does not decide which side is right. {dry}; then choose{ways}; `--object-version ID` brings any version back"
                    ),
                )
            }
            Decision::Refused { why, next } => (why, next),
        };
        if unread > 0 {
            why = format!("{why}; {unread} older versions were not read here, for they are large");
        }
        let found = Finding::fail(CHECK, title, why, self.with_unsaid(fix));
        match entry {
            Some(entry) => found.entry(entry),
            None => found,
        }
    }
}

/// A side that can be kept, and what that does.
fn way(choice: &Choice, facts: &Facts) -> Option<String> {
    choice.plan.as_ref()?;
    Some(match choice.keep {
        Keep::Object if facts.current.is_none() => "`--keep object` removes the digest: the state is gone".to_owned(),
        Keep::Object => "`--keep object` keeps what stands there".to_owned(),
        Keep::Digest => "`--keep digest` brings the version back that the digest is of".to_owned(),
    })
}

async fn body(mut answer: GetObjectOutput) -> Outcome<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.body.next().await {
        body.extend_from_slice(&piece.map_err(|error| Failed::cut("S3: GetObject", &error))?);
    }
    Ok(body)
}

pub(super) fn time(at: aws_sdk_s3::primitives::DateTime) -> Option<Timestamp> {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(at.secs())).ok()
}
