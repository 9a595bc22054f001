//! What is written to try things out, and taken away again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use futures::future;
use stateward_store_aws::{Bucket, Fault, Ids, once};

use super::Patient;
use super::finding::in_words;
use super::gate::is_closed;
use crate::Failed;
use crate::setup::TTL;

pub(crate) type Outcome<T> = Result<T, Failed>;

/// Something of ours that may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    Object(String),
    Item(Row),
    /// An upload in parts, and its ID where that is known.
    Upload(String, Option<String>),
}

/// An item of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// Of the lock table, by its `LockID`.
    Lock(String),
    /// Of the table that holds all of a store, by its partition.
    Own(String),
}

impl Row {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Lock(id) | Self::Own(id) => id,
        }
    }

    /// The attribute that every item of the table has.
    fn partition(&self) -> &'static str {
        match self {
            Self::Lock(_) => "LockID",
            Self::Own(_) => "StateID",
        }
    }

    pub(crate) fn key(&self) -> HashMap<String, AttributeValue> {
        let mut key = HashMap::from([(self.partition().to_owned(), AttributeValue::S(self.name().to_owned()))]);
        if let Self::Own(_) = self {
            key.insert("VersionID".to_owned(), AttributeValue::N("0".to_owned()));
        }
        key
    }

    /// That it is not there.
    pub(crate) fn absent(&self) -> String {
        format!("attribute_not_exists({})", self.partition())
    }

    /// What no item meets, whether it is there or not: a request with it shows the right and changes nothing.
    pub(crate) fn never(&self) -> String {
        format!("attribute_exists({0}) AND {1}", self.partition(), self.absent())
    }
}

/// What may be there, noted before it is written.
#[derive(Debug)]
pub(crate) struct Probes {
    ids: Ids,
    /// The IDs that were given out.
    given: Mutex<Vec<String>>,
    there: Mutex<Vec<Probe>>,
    /// The versions that were written, by object: in a bucket that keeps versions a plain delete leaves them.
    versions: Mutex<HashMap<String, Vec<String>>>,
    /// Why what nobody sees stays, where it does: old versions, and delete markers.
    stay: Mutex<[Option<String>; 2]>,
}

/// What stays behind an object that is gone.
#[derive(Debug, Clone, Copy)]
enum Unseen {
    Version,
    Mark,
}

/// The version of an object that was written while its bucket kept none. A plain delete takes it away, and leaves a mark.
const UNVERSIONED: &str = "null";

impl Probes {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            ids: Ids::new(seed),
            given: Mutex::default(),
            there: Mutex::default(),
            versions: Mutex::default(),
            stay: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> String {
        let id = self.ids.next();
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push(id.clone());
        id
    }

    /// Whether a name was made here, so that nobody else has it.
    fn is_ours(&self, name: &str) -> bool {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|id| name.contains(id))
    }

    pub(crate) fn note(&self, probe: Probe) {
        self.there.lock().unwrap_or_else(PoisonError::into_inner).push(probe);
    }

    pub(crate) fn forget(&self, probe: &Probe) {
        self.there.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != probe);
    }

    fn note_version(&self, name: &str, version: Option<String>) {
        if let Some(version) = version {
            let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
            versions.entry(name.to_owned()).or_default().push(version);
        }
    }

    fn has_versions(&self, name: &str) -> bool {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    fn take_versions(&self, name: &str) -> Vec<String> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).remove(name).unwrap_or_default()
    }

    /// Only the first reason is of interest.
    fn note_stay(&self, unseen: Unseen, failed: &Failed) {
        let mut stay = self.stay.lock().unwrap_or_else(PoisonError::into_inner);
        stay[unseen as usize].get_or_insert_with(|| in_words(failed));
    }

    /// What stays that nobody sees, and why.
    fn take_stay(&self) -> Option<(String, String)> {
        let stay = std::mem::take(&mut *self.stay.lock().unwrap_or_else(PoisonError::into_inner));
        let what = match &stay {
            [Some(_), Some(_)] => "old versions and delete markers",
            [Some(_), None] => "old versions",
            [None, _] => "delete markers",
        };
        let why = stay.into_iter().flatten().next()?;
        Some((format!("{what} of objects that are gone"), why))
    }

    pub(crate) fn all(&self) -> Vec<Probe> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The tag of no object.
pub(crate) const NEVER: &str = "\"00000000000000000000000000000000\"";
/// How the doctor's items in the table of a store begin.
const OWN_NAMES: &str = "stateward-doctor-";
/// In seconds: by then nobody needs them.
const GONE_AFTER: i64 = 24 * 60 * 60;
pub(crate) const CONTENT: &[u8] = b"written by stateward doctor to see that it can be, and removed at once";

impl Patient {
    /// The name of a new object of ours, noted; nothing is written.
    pub(crate) fn new_object(&self, suffix: &str) -> String {
        let name = self.target.probe(&self.probes.id()) + suffix;
        self.probes.note(Probe::Object(name.clone()));
        name
    }

    /// A new item of ours in the lock table, noted; nothing is written.
    pub(crate) fn new_lock_item(&self) -> Row {
        let row = Row::Lock(self.target.lock_id(&self.target.probe(&self.probes.id())));
        self.probes.note(Probe::Item(row.clone()));
        row
    }

    /// A new item of ours in the table of a store, noted; nothing is written.
    pub(crate) fn new_own_item(&self) -> Row {
        let row = self.own_row();
        self.probes.note(Probe::Item(row.clone()));
        row
    }

    /// The name of an item in the table of a store that nobody else has: none of a store's begins so.
    pub(crate) fn own_row(&self) -> Row {
        Row::Own(format!("{OWN_NAMES}{}", self.probes.id()))
    }

    /// Writes an object, once.
    pub(crate) async fn put_object(
        &self,
        bucket: &Bucket,
        name: &str,
        if_none: Option<&str>,
        if_match: Option<&str>,
    ) -> Outcome<()> {
        let request = bucket.writing(name, Bytes::from_static(CONTENT));
        let request = request
            .set_if_none_match(if_none.map(str::to_owned))
            .set_if_match(if_match.map(str::to_owned))
            .customize()
            .config_override(once());
        match request.send().await {
            Ok(answer) => {
                self.probes.note_version(name, answer.version_id);
                Ok(())
            }
            Err(error) => Err(self.not_written(&Probe::Object(name.to_owned()), Failed::new("S3: PutObject", &error))),
        }
    }

    /// Removes an object of ours: its versions, and where that may not be, the object.
    pub(crate) async fn delete_object(&self, bucket: &Bucket, name: &str) -> Outcome<()> {
        let versions = self.probes.take_versions(name);
        let has_versions = !versions.is_empty();
        let mut kept = Vec::new();
        let mut refused = None;
        for version in versions {
            if let Err(failed) = self.delete_version(bucket, name, &version).await {
                kept.push(version);
                refused.get_or_insert(failed);
            }
        }
        if !has_versions || !kept.is_empty() {
            let answer = bucket.client.delete_object().bucket(&bucket.name).key(name).send().await;
            let answer = answer.map_err(|error| {
                // Whoever tries again knows them then.
                kept.iter().for_each(|version| self.probes.note_version(name, Some(version.clone())));
                Failed::new("S3: DeleteObject", &error)
            })?;
            if let Some(failed) = &refused {
                if kept.iter().any(|version| version != UNVERSIONED) {
                    self.probes.note_stay(Unseen::Version, failed);
                }
                if answer.delete_marker == Some(true) {
                    self.probes.note_stay(Unseen::Mark, failed);
                }
            }
        }
        self.probes.forget(&Probe::Object(name.to_owned()));
        Ok(())
    }

    /// Removes an object of ours whose writing was broken off, so that its versions were not all told. Where there is nothing, nothing is
    /// deleted: a bucket that keeps versions would mark that.
    pub(crate) async fn wipe(&self, bucket: &Bucket, name: &str) -> Outcome<()> {
        let listed = bucket.client.list_object_versions().bucket(&bucket.name).prefix(name).send().await;
        let Ok(listed) = listed else { return self.delete_object(bucket, name).await };
        let versions = listed.versions.unwrap_or_default().into_iter().map(|version| (version.key, version.version_id));
        let marks = listed.delete_markers.unwrap_or_default().into_iter().map(|mark| (mark.key, mark.version_id));
        let own = versions.chain(marks).filter(|(key, _)| key.as_deref() == Some(name)).filter_map(|(_, id)| id);
        self.probes.take_versions(name);
        for version in own {
            if self.delete_version(bucket, name, &version).await.is_err() {
                self.probes.note_version(name, Some(version));
            }
        }
        if self.probes.has_versions(name) {
            return self.delete_object(bucket, name).await;
        }
        self.probes.forget(&Probe::Object(name.to_owned()));
        Ok(())
    }

    async fn delete_version(&self, bucket: &Bucket, name: &str, version: &str) -> Outcome<()> {
        let request = bucket.client.delete_object().bucket(&bucket.name).key(name).version_id(version);
        request.send().await.map(drop).map_err(|error| Failed::new("S3: DeleteObject", &error))
    }

    /// Deletes what was never there. A bucket that keeps versions marks it as deleted all the same; the mark is taken away.
    pub(crate) async fn delete_nothing(&self, bucket: &Bucket, name: &str) -> Outcome<()> {
        let probe = Probe::Object(name.to_owned());
        self.probes.note(probe.clone());
        let answer = bucket.client.delete_object().bucket(&bucket.name).key(name).send().await;
        let answer = answer.map_err(|error| self.not_written(&probe, Failed::new("S3: DeleteObject", &error)))?;
        if let (Some(true), Some(mark)) = (answer.delete_marker, answer.version_id)
            && let Err(failed) = self.delete_version(bucket, name, &mark).await
        {
            if !failed.is_refused() {
                self.probes.note_version(name, Some(mark));
                return Ok(());
            }
            self.probes.note_stay(Unseen::Mark, &failed);
        }
        self.probes.forget(&probe);
        Ok(())
    }

    /// Deletes an object under a condition that none meets.
    pub(crate) async fn delete_never(&self, bucket: &Bucket, name: &str) -> Outcome<()> {
        let request = bucket.client.delete_object().bucket(&bucket.name).key(name).if_match(NEVER);
        let answer = request.customize().config_override(once()).send().await;
        let answer = answer.map_err(|error| Failed::new("S3: DeleteObject", &error))?;
        // The condition was not kept, and a bucket that keeps versions has marked the object as deleted.
        self.probes.note_version(name, answer.version_id);
        Ok(())
    }

    /// Begins to write an object in parts and gives it up: that takes the right to write, and nothing is written. Gives whether it was
    /// given up.
    pub(crate) async fn try_upload(&self, bucket: &Bucket, name: &str) -> Outcome<bool> {
        let begun = Probe::Upload(name.to_owned(), None);
        self.probes.note(begun.clone());
        // Once: what a first try began, whose answer was lost, a second one would not know.
        let answer = bucket.uploading(name).customize().config_override(once()).send().await;
        let upload = match answer {
            Ok(answer) => answer.upload_id.unwrap_or_default(),
            Err(error) => {
                let failed = Failed::new("S3: CreateMultipartUpload", &error);
                if is_closed(&error) || !matches!(failed.fault, Fault::Lost(_)) {
                    self.probes.forget(&begun);
                }
                return Err(failed);
            }
        };
        let probe = Probe::Upload(name.to_owned(), Some(upload.clone()));
        self.probes.note(probe.clone());
        self.probes.forget(&begun);
        Ok(self.abort_upload(bucket, name, &upload).await.is_ok())
    }

    pub(crate) async fn abort_upload(&self, bucket: &Bucket, name: &str, upload: &str) -> Outcome<()> {
        let request = bucket.client.abort_multipart_upload().bucket(&bucket.name).key(name).upload_id(upload);
        if let Err(error) = request.send().await {
            let failed = Failed::new("S3: AbortMultipartUpload", &error);
            if !failed.is("NoSuchUpload") {
                return Err(failed);
            }
        }
        self.probes.forget(&Probe::Upload(name.to_owned(), Some(upload.to_owned())));
        Ok(())
    }

    /// Gives up an upload whose ID never came: under a name that only the doctor has, all uploads are its own.
    async fn abort_uploads(&self, bucket: &Bucket, name: &str) -> Outcome<()> {
        let listed = bucket.client.list_multipart_uploads().bucket(&bucket.name).prefix(name).send().await;
        let listed = listed.map_err(|error| Failed::new("S3: ListMultipartUploads", &error))?;
        for upload in listed.uploads.unwrap_or_default().iter().filter_map(|upload| upload.upload_id.as_deref()) {
            self.abort_upload(bucket, name, upload).await?;
        }
        self.probes.forget(&Probe::Upload(name.to_owned(), None));
        Ok(())
    }

    /// What an item of ours holds. In the table of a store it goes by itself after a day.
    pub(crate) fn item(&self, row: &Row) -> HashMap<String, AttributeValue> {
        let mut item = row.key();
        item.insert("Info".to_owned(), AttributeValue::S("{}".to_owned()));
        if let Row::Own(_) = row {
            let end = (self.options.now)().as_second() + GONE_AFTER;
            item.insert(TTL.to_owned(), AttributeValue::N(end.to_string()));
        }
        item
    }

    /// Writes an item if there is none.
    pub(crate) async fn put_item(&self, table: &str, row: &Row) -> Outcome<()> {
        let request = self.services.dynamodb.put_item().table_name(table);
        let request = request
            .set_item(Some(self.item(row)))
            .condition_expression(row.absent())
            .customize()
            .config_override(once_dynamodb());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.not_written(&Probe::Item(row.clone()), Failed::new("DynamoDB: PutItem", &error))),
        }
    }

    /// Writes an item under a condition that none meets: that takes the right, and changes nothing.
    pub(crate) async fn put_item_never(&self, table: &str, row: &Row) -> Outcome<()> {
        let request = self.services.dynamodb.put_item().table_name(table).set_item(Some(row.key()));
        let answer = request.condition_expression(row.never()).send().await;
        answer.map(drop).map_err(|error| Failed::new("DynamoDB: PutItem", &error))
    }

    /// Deletes an item under such a condition.
    pub(crate) async fn delete_item_never(&self, table: &str, row: &Row) -> Outcome<()> {
        let request = self.services.dynamodb.delete_item().table_name(table).set_key(Some(row.key()));
        let answer = request.condition_expression(row.never()).send().await;
        answer.map(drop).map_err(|error| Failed::new("DynamoDB: DeleteItem", &error))
    }

    /// What was refused for lack of a right is not there.
    pub(crate) fn not_written(&self, probe: &Probe, failed: Failed) -> Failed {
        if failed.is_refused() {
            self.probes.forget(probe);
        }
        failed
    }

    /// Removes an item of ours.
    pub(crate) async fn delete_item(&self, table: &str, row: &Row) -> Outcome<()> {
        let request = self.services.dynamodb.delete_item().table_name(table);
        let answer = request.set_key(Some(row.key())).send().await;
        answer.map_err(|error| Failed::new("DynamoDB: DeleteItem", &error))?;
        self.probes.forget(&Probe::Item(row.clone()));
        Ok(())
    }

    /// Removes what may still be there of ours, all at once; gives what stays, and why.
    pub async fn clean(&self) -> Vec<(String, String)> {
        self.gate.open();
        let removing = self.probes.all().into_iter().map(|probe| self.remove(probe));
        let mut left: Vec<_> = future::join_all(removing).await.into_iter().flatten().collect();
        left.extend(self.probes.take_stay());
        left
    }

    /// What may be there of ours now.
    pub fn may_be_there(&self) -> Vec<String> {
        self.probes.all().iter().map(|probe| self.called(probe)).collect()
    }

    fn table_of(&self, row: &Row) -> Option<&str> {
        match row {
            Row::Own(_) => self.target.state_table(),
            Row::Lock(_) => self.target.lock_table.as_deref(),
        }
    }

    /// What it is called where it is told of.
    pub(crate) fn called(&self, probe: &Probe) -> String {
        let bucket = self.bucket.as_ref().map_or("", |bucket| bucket.name.as_str());
        match probe {
            Probe::Object(name) => format!("s3://{bucket}/{name}"),
            Probe::Upload(name, Some(id)) => format!("the upload {id} of s3://{bucket}/{name}, which holds no bytes"),
            Probe::Upload(name, None) => format!("an upload of s3://{bucket}/{name}, which holds no bytes"),
            Probe::Item(row) => format!("the item `{}` of {}", row.name(), self.table_of(row).unwrap_or_default()),
        }
    }

    /// Removes one; where it stays, what it is, and why.
    async fn remove(&self, probe: Probe) -> Option<(String, String)> {
        let removed = match (&probe, &self.bucket) {
            // Others may have begun theirs under the state's own name.
            (Probe::Upload(name, None), Some(_)) if !self.probes.is_ours(name) => {
                let why = "the answer to its beginning was lost, and with it its ID".to_owned();
                return Some((self.called(&probe), why));
            }
            (Probe::Object(name), Some(bucket)) => self.wipe(bucket, name).await,
            (Probe::Upload(name, Some(id)), Some(bucket)) => self.abort_upload(bucket, name, id).await,
            (Probe::Upload(name, None), Some(bucket)) => self.abort_uploads(bucket, name).await,
            (Probe::Item(row), _) => self.delete_item(self.table_of(row)?, row).await,
            _ => return None,
        };
        removed.err().map(|failed| (self.called(&probe), in_words(&failed)))
    }
}

pub(crate) fn once_dynamodb() -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::config::Builder::new().retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
}
