//! The state beside its digest, and the locks on it.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::AggregatedBytes;
use md5::{Digest, Md5};
use serde::Deserialize;
use stateward_store_aws::Bucket;

use super::finding::blame;
use super::probes::{Outcome, key_of};
use super::table::NO_TABLE;
use super::{Finding, Patient, Reached};
use crate::Failed;
use crate::recovery::LockInfo;

const MANY: &str = "a store holds many states: `stateward state verify` and `stateward lock list` look at them";
/// A lock that is older is told of.
const OLD: i64 = 60 * 60;
/// The two locks of one run are taken one after the other.
const BETWEEN: i64 = 2 * 60;
/// How many earlier versions are compared with a digest.
const VERSIONS: i32 = 10;

/// What a state says of itself.
#[derive(Debug, Deserialize)]
struct Header {
    serial: u64,
    #[serde(default)]
    lineage: String,
}

impl Patient {
    pub(super) async fn digest(&self, bucket: Reached, table: Reached) -> Vec<Finding> {
        const CHECK: &str = "digest";
        let hindered =
            bucket.hinders(CHECK, MANY).or_else(|| table.hinders(CHECK, "without a lock table there is none"));
        let (None, Some(bucket), Some(object), Some(table)) =
            (&hindered, &self.bucket, self.target.object(), self.target.lock_table.as_deref())
        else {
            return hindered.unwrap_or_else(|| vec![Finding::untested(CHECK, MANY)]);
        };
        let id = format!("{}-md5", self.target.lock_id(&object));
        let stored = match self.attribute(table, &id, "Digest").await {
            Ok(stored) => stored,
            Err(failed) => return blame(CHECK, &failed),
        };
        let there = match self.md5(bucket, &object, None).await {
            Ok(there) => there,
            Err(failed) => return blame(CHECK, &failed),
        };
        vec![match (stored, there) {
            (None, None) => Finding::ok(CHECK, "there is no state yet"),
            (None, Some(_)) => Finding::ok(CHECK, "the table has none yet; Terraform writes one with the next apply"),
            (Some(_), None) => Finding::fail(
                CHECK,
                "there is a digest and no state",
                format!("{object} was deleted or moved, and the table still has the digest of what was there"),
                format!("bring the object back; if it is gone for good, delete the item `{id}` of {table}"),
            )
            .entry("state/digest-without-state"),
            (Some(stored), Some(there)) if stored == there => Finding::ok(CHECK, "that of the state"),
            (Some(stored), Some(there)) => self.mismatch(bucket, &object, &id, &stored, &there).await,
        }]
    }

    /// Which side is the old one, as far as the object's versions tell.
    async fn mismatch(&self, bucket: &Bucket, object: &str, id: &str, stored: &str, there: &str) -> Finding {
        let table = self.target.lock_table.as_deref().unwrap_or_default();
        let current = self.header(bucket, object, None).await;
        let told = |header: Option<Header>| {
            header.map_or_else(String::new, |header| format!(" (serial {}, lineage {})", header.serial, header.lineage))
        };
        let mut why = format!("the state{} has the MD5 {there}, the table says {stored}", told(current));
        let mut fix = format!(
            "wait for a run that may be under way. Then make sure that {object} is the state that you want, and set `Digest` of the item `{id}` of {table} to {there}"
        );
        if let Some((version, written)) = self.version_with(bucket, object, stored).await {
            let header = self.header(bucket, object, Some(&version)).await;
            why = format!(
                "{why}: that is of the version {version}{}, written {written}. The object is newer, and the digest was not renewed",
                told(header)
            );
        } else {
            why.push_str(": none of the last versions of the object has it");
            fix = format!("{fix}; if the object was put back by hand, `terraform state push` the newest state instead");
        }
        Finding::fail("digest", "the digest is not that of the state", why, fix).entry("state/digest-mismatch")
    }

    /// The earlier version of an object that has this MD5.
    async fn version_with(&self, bucket: &Bucket, object: &str, md5: &str) -> Option<(String, String)> {
        let request = bucket.client.list_object_versions().bucket(&bucket.name).prefix(object).max_keys(VERSIONS);
        for version in request.send().await.ok()?.versions? {
            let (Some(key), Some(id)) = (&version.key, &version.version_id) else { continue };
            if key == object && self.md5(bucket, object, Some(id)).await.ok()?.as_deref() == Some(md5) {
                let written = version.last_modified.map(|time| time.to_string()).unwrap_or_default();
                return Some((id.clone(), written));
            }
        }
        None
    }

    /// An attribute of an item; `None` where there is no item.
    async fn attribute(&self, table: &str, id: &str, name: &str) -> Outcome<Option<String>> {
        let request = self.services.dynamodb.get_item().table_name(table).set_key(Some(key_of(id)));
        let answer = request.consistent_read(true).send().await;
        let item = answer.map_err(|error| Failed::new("DynamoDB: GetItem", &error))?.item;
        let text = |item: std::collections::HashMap<String, AttributeValue>| match item.get(name) {
            Some(AttributeValue::S(text)) => text.clone(),
            _ => String::new(),
        };
        Ok(item.map(text))
    }

    /// The MD5 of an object, read piece by piece; `None` where there is none.
    async fn md5(&self, bucket: &Bucket, object: &str, version: Option<&str>) -> Outcome<Option<String>> {
        let request = bucket.reading(object).set_version_id(version.map(str::to_owned));
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failed = Failed::new("S3: GetObject", &error);
                return if failed.is("NoSuchKey") { Ok(None) } else { Err(failed) };
            }
        };
        let mut hash = Md5::new();
        while let Some(piece) = answer.body.next().await {
            hash.update(piece.map_err(|error| Failed::cut("S3: GetObject", &error))?);
        }
        Ok(Some(hex::encode(hash.finalize())))
    }

    /// What a state says of itself, where it can be read.
    async fn header(&self, bucket: &Bucket, object: &str, version: Option<&str>) -> Option<Header> {
        let request = bucket.reading(object).set_version_id(version.map(str::to_owned));
        let body = request.send().await.ok()?.body.collect().await.ok()?;
        serde_json::from_slice(&body.into_bytes()).ok()
    }

    pub(super) async fn orphan_lock(&self, bucket: Reached, table: Reached) -> Vec<Finding> {
        const CHECK: &str = "orphan-lock";
        let Some(object) = self.target.object() else { return vec![Finding::untested(CHECK, MANY)] };
        let mut held = Vec::new();
        let mut kinds = 0;
        if let (true, Some(store)) = (self.target.use_lockfile, &self.bucket) {
            if let Some(hindered) = bucket.hinders(CHECK, "") {
                return hindered;
            }
            kinds += 1;
            match store.reading(&format!("{object}.tflock")).send().await {
                Ok(answer) => {
                    let body = answer.body.collect().await.map(AggregatedBytes::into_bytes).unwrap_or_default();
                    held.push(("lock file", serde_json::from_slice(&body).unwrap_or_default()));
                }
                Err(error) => {
                    let failed = Failed::new("S3: GetObject", &error);
                    if !failed.is("NoSuchKey") {
                        return blame(CHECK, &failed);
                    }
                }
            }
        }
        if let Some(name) = self.target.lock_table.as_deref() {
            if let Some(hindered) = table.hinders(CHECK, NO_TABLE) {
                return hindered;
            }
            kinds += 1;
            match self.attribute(name, &self.target.lock_id(&object), "Info").await {
                Ok(None) => {}
                Ok(Some(info)) => held.push(("lock item", serde_json::from_str(&info).unwrap_or_default())),
                Err(failed) => return blame(CHECK, &failed),
            }
        }
        vec![match kinds {
            0 => Finding::untested(CHECK, "no lock is used here"),
            _ => self.held(&held, kinds),
        }]
    }

    fn held(&self, held: &[(&str, LockInfo)], kinds: usize) -> Finding {
        const CHECK: &str = "orphan-lock";
        let Some((kind, lock)) = held.first() else { return Finding::ok(CHECK, "the state is not locked") };
        let age = lock.taken().map(|created| (self.options.now)().as_second() - created.as_second());
        let told = match age {
            Some(age) if age >= 2 * 3600 => format!("{} h", age / 3600),
            Some(age) => format!("{} min", age.max(0) / 60),
            None => "an unknown time".to_owned(),
        };
        let LockInfo { id, operation, who, created, .. } = lock;
        let fix = format!("ask {who} whether the run is alive; if it is gone: terraform force-unlock {id}");
        let why = format!("{who} took it at {created} for {operation} ({kind}, {id})");
        let half = held.len() < kinds && age.is_none_or(|age| age > BETWEEN);
        if half {
            let title = format!("only the {kind} is held, for {told}, and not the other lock");
            return Finding::fail(CHECK, title, why, fix).entry("lock/orphan-lock");
        }
        match age {
            Some(age) if age <= OLD => {
                Finding::ok(CHECK, format!("locked by {who} for {told}; a run may be under way"))
            }
            _ => Finding::warn(CHECK, format!("locked for {told}"), why, fix).entry("lock/orphan-lock"),
        }
    }
}
